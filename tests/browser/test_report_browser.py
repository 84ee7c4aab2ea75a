"""The page of a campaign, seen in a real browser."""

import json
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from report_ledgers import BEGIN, campaign, message, over_two_days, write_ledger
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from connectus_async.report.page import write_page

pytestmark = pytest.mark.timeout(180)

WIDTHS = {"desktop": 1280, "phone": 390, "small phone": 360}
SANTIAGO = ZoneInfo("America/Santiago")
CLOCKS_PUT_BACK = datetime(2026, 4, 4, 23, tzinfo=SANTIAGO).timestamp()


def at(begin: float, step: float, latency: float = 0.25) -> list[dict[str, Any]]:
    """Make a hundred messages, one after another."""
    moments = [begin + place * step for place in range(100)]
    return [message(started_at=moment, ended_at=moment + latency) for moment in moments]


CAMPAIGNS = {
    "none": [],
    "one": [message()],
    "2 days": [*over_two_days()],
    "seconds": at(BEGIN, 0.04, 0.97),
    "an hour twice": at(CLOCKS_PUT_BACK, 70),
    "a month": at(BEGIN, 27_000, 95),
    "many a second": at(BEGIN, 0.0002, 0.001),
    "long words": [
        message(state="rejected", reason="400: " + "x" * 300),
        message(state="rejected", reason="400: " + "a long sentence " * 20),
        message(state="queued", started_at=None, ended_at=None),
    ],
}
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

LINES = """
    return [...document.querySelectorAll(arguments[0])].map(it => [...it.getClientRects()]);
"""
HEIGHTS_OF_LABELS = """
    return [...document.querySelectorAll("figure svg text")].map(text =>
        parseFloat(getComputedStyle(text).fontSize)
        * text.ownerSVGElement.getBoundingClientRect().width
        / text.ownerSVGElement.viewBox.baseVal.width);
"""
POINTED_AT = """
    const figure = document.querySelector(arguments[0]);
    figure.scrollIntoView();
    return [...figure.querySelectorAll(".part")].map(part => {
        const box = part.querySelector(".room").getBoundingClientRect();
        const there = document.elementFromPoint(box.x + box.width / 2, box.y + box.height * 0.7);
        return there.closest(".part").querySelector("title").textContent;
    });
"""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    messages = [
        *campaign(5_000, finished=False),
        message(state="rejected", reason=f"400: {HOSTILE}"),
        message(state="skipped", reason=f"invalid: {HOSTILE}"),
    ]
    path = tmp_path_factory.mktemp("campaign") / "navidad.db"
    return write_ledger(path, messages, name=f"Navidad {HOSTILE}", stopped=f"401 {HOSTILE}")


@pytest.fixture(scope="module")
def page(ledger: Path) -> Path:
    path = ledger.with_suffix(".html")
    write_page(ledger, path)
    return path


@pytest.fixture(scope="module", params=["en", "es"])
def spoken_page(ledger: Path, request: pytest.FixtureRequest) -> Path:
    """The page in a language."""
    path = ledger.with_suffix(f".{request.param}.html")
    write_page(ledger, path, language=request.param)
    return path


@pytest.fixture(scope="module", params=CAMPAIGNS)
def any_page(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The page of a campaign of some shape."""
    path = tmp_path_factory.mktemp("shape") / f"{'a long name ' * 9}.db"
    write_ledger(path, CAMPAIGNS[request.param], stopped="y" * 150, name="Navidad " * 20)
    write_page(path, path.with_suffix(".html"), zone=SANTIAGO)
    return path.with_suffix(".html")


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
    for place in ("h1", "#errors", "#invalid", "#stopped"):
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
        ("#throughput svg .bar", 90),
        ("#latency svg polyline.line", 3),
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


def test_it_fits_every_screen(browser: Chrome, spoken_page: Path, width: int):
    """Nothing sticks out, no label lies on another, and no time is broken at its hyphens."""
    assert_fits(browser, spoken_page, width)
    assert {len(it) for it in browser.execute_script(LINES, "header .whole")} == {1}


def assert_fits(browser: Chrome, page: Path, width: int) -> None:
    show(browser, page, width=width)

    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(OUTSIDE) == []
    assert browser.execute_script(OVERLAPPING) == []


def test_a_campaign_of_any_shape_fits_every_screen(browser: Chrome, any_page: Path, width: int):
    """However long it took, and however its labels are written."""
    assert_fits(browser, any_page, width)


def test_labels_are_large_enough_to_read(browser: Chrome, page: Path, width: int):
    """A chart is scaled to its place, and its text with it."""
    show(browser, page, width=width)

    assert min(browser.execute_script(HEIGHTS_OF_LABELS)) >= 10


def test_percentiles_that_are_the_same_are_all_seen(browser: Chrome, tmp_path: Path):
    """Where they lie on each other, the lower one is narrower and above, with gaps if dashed."""
    ledger = write_ledger(tmp_path / "a.db", at(BEGIN, 1))
    write_page(ledger, tmp_path / "a.html")
    show(browser, tmp_path / "a.html")

    lines = found(browser, "#latency svg polyline.line")
    assert len({line.get_attribute("points") for line in lines}) == 1
    widths = [float(line.value_of_css_property("stroke-width")[:-2]) for line in lines]
    assert widths == sorted(widths, reverse=True)
    assert len({*widths}) == 3
    assert len({line.value_of_css_property("stroke") for line in lines}) == 3
    assert lines[1].value_of_css_property("stroke-dasharray") != "none"


def test_what_is_pointed_at_is_named(browser: Chrome, page: Path):
    """Each part of the time says its figures, over its whole height and above the lines."""
    show(browser, page)

    for figure in ("#throughput", "#latency"):
        tips = browser.execute_script(POINTED_AT, figure)
        assert len(tips) == len({*tips}) > 90
        assert all(tip and ": " in tip for tip in tips)


def test_a_screen_reader_has_a_name_and_a_description(browser: Chrome, page: Path):
    """As Chromium hands them on; the marks in it are not read out one by one."""
    show(browser, page)

    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    images = [
        node["name"]["value"]
        for node in nodes
        if node.get("role", {}).get("value") == "image" and not node["ignored"]
    ]
    assert len(images) == 2
    assert images[0].startswith("Messages a second over time On average ")
    assert images[1].startswith("Time until the API answered over time Half within ")


@pytest.mark.parametrize(
    ("selector", "behind", "property"),
    [
        ("h1", "body", "color"),
        ("header .muted", "body", "color"),
        ("#status strong", "#status", "color"),
        (".card dt", ".card", "color"),
        ("#errors td.sentence", "#errors", "color"),
        ("#throughput svg .axis text", "#throughput", "fill"),
        ("#commands code", "#commands code", "color"),
        ("#stopped", "#status", "color"),
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
                found(browser, "#throughput svg .bar")[0].value_of_css_property("fill"),
            )
        )

    assert len({background for background, _ in seen}) == len({fill for _, fill in seen}) == 2


def test_it_prints_without_what_is_folded_away(browser: Chrome, page: Path):
    """On paper the long table stays closed, and colors stay colors."""
    show(browser, page)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})

    assert not found(browser, "#by-time")[0].is_displayed()
    assert found(browser, "#throughput svg .bar")[0].is_displayed()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
