"""The page of a campaign, seen in a real browser."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from report_ledgers import campaign, message, write_ledger
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from connectus_async.report.page import write_page

pytestmark = pytest.mark.timeout(180)

NEEDED = "needs Chromium and its driver; on Debian: apt-get install chromium chromium-driver"
NAMES_OF_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    "headless=new",
    "no-sandbox",
    "disable-gpu",
    "disable-dev-shm-usage",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
)
WIDTHS = {"desktop": 1200, "phone": 360}
HOSTILE = "<script>alert(1)</script>"

CONTRAST_OF = """
    const channels = color => color.match(/[0-9.]+/g).slice(0, 3).map(value => {
        const share = value / 255;
        return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    const light = color => {
        const [red, green, blue] = channels(color);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const one = light(getComputedStyle(arguments[0])[arguments[2]]);
    const other = light(getComputedStyle(arguments[1]).backgroundColor);
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
"""
OUTSIDE = """
    return [...document.querySelectorAll("figure svg")].flatMap(svg => {
        const whole = svg.getBoundingClientRect();
        return [...svg.querySelectorAll("text")].filter(text => {
            const box = text.getBoundingClientRect();
            return box.left < whole.left - 1 || box.right > whole.right + 1
                || box.top < whole.top - 1 || box.bottom > whole.bottom + 1;
        }).map(text => text.textContent);
    });
"""
OVERLAPPING = """
    return [...document.querySelectorAll("figure svg .axis")].flatMap(axis => {
        const boxes = [...axis.querySelectorAll("text")].map(text => text.getBoundingClientRect());
        return boxes.filter((box, place) => boxes.slice(place + 1).some(other =>
            box.left < other.right && other.left < box.right
            && box.top < other.bottom && other.top < box.bottom)).map(box => box.x);
    });
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    chromium = next(filter(None, map(shutil.which, NAMES_OF_CHROMIUM)), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.fail(NEEDED)
    options = ChromeOptions()
    options.binary_location = chromium
    for switch in (*SWITCHES, f"user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(f"--{switch}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    messages = [
        *campaign(5_000, finished=False),
        message(state="rejected", reason=f"400: {HOSTILE}"),
        message(state="skipped", reason=f"invalid: {HOSTILE}"),
    ]
    path = tmp_path_factory.mktemp("campaign") / "navidad.db"
    return write_ledger(path, messages, name=f"Navidad {HOSTILE}")


@pytest.fixture(scope="module")
def page(ledger: Path) -> Path:
    path = ledger.with_suffix(".html")
    write_page(ledger, path)
    return path


@pytest.fixture(params=WIDTHS)
def width(request: pytest.FixtureRequest) -> int:
    return WIDTHS[request.param]


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return request.param


def show(browser: Chrome, page: Path, *, width: int = 1200, scheme: str = "light") -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    browser.get(page.as_uri())


def found(browser: Chrome, selector: str) -> list[Any]:
    elements = browser.find_elements(By.CSS_SELECTOR, selector)
    assert elements, selector
    return elements


def test_it_asks_for_nothing_and_complains_of_nothing(browser: Chrome, page: Path):
    """The file is the only request, and the console stays empty."""
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get_log("browser")

    show(browser, page)

    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert {url for url in requests if not url.startswith("data:")} == {page.as_uri()}
    assert browser.get_log("browser") == []


def test_what_others_wrote_is_text(browser: Chrome, page: Path):
    """A script in an error is read, not run."""
    show(browser, page)

    assert browser.execute_script("return document.scripts.length") == 0
    assert browser.title == f"Navidad {HOSTILE} · campaign report"
    for place in ("h1", "#errors", "#invalid"):
        assert HOSTILE in found(browser, place)[0].text


def test_its_numbers_are_those_of_the_ledger(browser: Chrome, page: Path, ledger: Path):
    """On the cards, in the banner and beside the bars."""
    show(browser, page)

    with closing(sqlite3.connect(ledger)) as connection:
        counts = dict(connection.execute("SELECT state, COUNT(*) FROM message GROUP BY 1"))
        skipped = connection.execute(
            "SELECT COUNT(*) FROM message WHERE state = 'skipped' AND reason LIKE 'invalid%'"
        ).fetchone()[0]
    cards = {
        card.get_attribute("data-state"): int(card.text.replace(",", ""))
        for card in found(browser, "[data-state]")
    }
    assert cards == counts
    assert found(browser, "[data-total]")[0].text == "5,002"
    assert f"{counts['queued']:,} still queued" in found(browser, "#status")[0].text
    assert f"Invalid {skipped}" in " ".join(found(browser, "#skipped")[0].text.split())
    assert f"Accepted {counts['accepted']:,}" in " ".join(
        found(browser, "#outcomes")[0].text.split()
    )


def test_the_figures_over_time_add_up(browser: Chrome, page: Path, ledger: Path):
    """The table under the charts has every accepted message once."""
    show(browser, page)
    browser.execute_script("document.querySelector('#by-time').open = true")

    cells = found(browser, "#by-time tbody td:nth-child(2)")
    with closing(sqlite3.connect(ledger)) as connection:
        (accepted,) = connection.execute(
            "SELECT COUNT(*) FROM message WHERE state = 'accepted'"
        ).fetchone()
    assert sum(int(cell.text.replace(",", "")) for cell in cells) == accepted


@pytest.mark.parametrize(
    ("marks", "least"),
    [
        ("#throughput svg .rect", 90),
        ("#latency svg path.line[class*=reactive], #latency svg .series path", 3),
        ("#outcomes .track div", 5),
        ("#skipped .track div", 3),
        ("#deliveries .track div", 2),
    ],
)
def test_every_chart_is_drawn(browser: Chrome, page: Path, marks: str, least: int):
    """It has room, and marks of a size and a color in it."""
    show(browser, page)

    drawn = [mark for mark in found(browser, marks) if mark.size["width"] and mark.size["height"]]
    assert len(drawn) >= least
    colors = {
        mark.value_of_css_property(name)
        for mark in drawn[:1]
        for name in ("fill", "stroke", "background-color")
    }
    assert colors - {"none", "rgba(0, 0, 0, 0)", "rgb(0, 0, 0)"}
    figure = found(browser, marks.partition(" ")[0])[0]
    assert figure.size["width"] > 250
    assert figure.size["height"] > 80


def test_bars_are_as_long_as_their_numbers(browser: Chrome, page: Path):
    """The longest fills its track."""
    show(browser, page)

    lengths = {
        row.find_element(By.CSS_SELECTOR, ".n").text: row.find_element(
            By.CSS_SELECTOR, ".track div"
        ).size["width"]
        for row in found(browser, "#skipped tr")
    }
    longest = max(lengths, key=int)
    for number, length in lengths.items():
        assert length == pytest.approx(lengths[longest] * int(number) / int(longest), abs=2)


def test_it_fits_every_screen(browser: Chrome, page: Path, width: int):
    """Nothing sticks out, and no label lies on another."""
    show(browser, page, width=width)

    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(OUTSIDE) == []
    assert browser.execute_script(OVERLAPPING) == []


@pytest.mark.parametrize(
    ("selector", "behind", "property"),
    [
        ("h1", "body", "color"),
        ("header .muted", "body", "color"),
        ("#status strong", "#status", "color"),
        (".card dt", ".card", "color"),
        ("#errors td.sentence", "#errors", "color"),
        ("#throughput svg .axis text.major", "#throughput", "fill"),
    ],
)
def test_text_is_legible_by_day_and_by_night(
    browser: Chrome, page: Path, scheme: str, selector: str, behind: str, property: str
):
    """The contrast is what WCAG asks for at level AA."""
    show(browser, page, scheme=scheme)

    text, background = found(browser, selector)[0], found(browser, behind)[0]
    assert browser.execute_script(CONTRAST_OF, text, background, property) >= 4.5


def test_day_and_night_differ(browser: Chrome, page: Path):
    """Charts too follow what the reader's device asks for."""
    seen = set()
    for scheme in ("light", "dark"):
        show(browser, page, scheme=scheme)
        seen.add(
            (
                found(browser, "body")[0].value_of_css_property("background-color"),
                found(browser, "#throughput svg .rect")[0].value_of_css_property("fill"),
            )
        )

    assert len({background for background, _ in seen}) == len({fill for _, fill in seen}) == 2


def test_it_prints_without_what_is_folded_away(browser: Chrome, page: Path):
    """On paper the long table stays closed, and colors stay colors."""
    show(browser, page)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})

    assert not found(browser, "#by-time")[0].is_displayed()
    assert found(browser, "#throughput svg .rect")[0].is_displayed()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
