"""The page says what the ledger says, needs nothing else, and gives nobody away."""

import math
import re
import shlex
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from report_ledgers import BEGIN, SECRET, campaign, message, over_two_days, write_ledger

from connectus_async.errors import ConfigurationError, InvalidArgumentError
from connectus_async.ledger.states import (
    CORRECTED_BECAUSE,
    LEFT_OUT_BECAUSE,
    REPLACED_BECAUSE,
    State,
)
from connectus_async.report.page import write_page

UNSENT = {"attempts": 0, "started_at": None, "ended_at": None}
SANTIAGO = ZoneInfo("America/Santiago")
SVG = "{http://www.w3.org/2000/svg}"
OUTCOMES = ("accepted", "rejected", "unknown", "held")
PERCENTILES = ("p50", "p95", "p99")

CAMPAIGNS = {
    "one message": [message()],
    "a quarter of an hour": [*campaign(2_000)],
    "two days": [*over_two_days()],
    "slow answers": [
        message(ended_at=BEGIN + place + seconds, started_at=BEGIN + place)
        for place, seconds in enumerate([0.2, 3, 42, 170, 500] * 10)
    ],
}

SEEN_BY = {
    "everybody": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopes": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopes": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopes": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""What is left of linear red, green and blue, as Machado, Oliveira and Fernandes have it (2009)."""


def page_of(tmp_path: Path, messages, *, zone=None, file: str = "a.db", **facts: str) -> str:
    ledger = write_ledger(tmp_path / file, messages, **facts)
    write_page(ledger, tmp_path / "a.html", **({"zone": zone} if zone else {}))
    return (tmp_path / "a.html").read_text("utf-8")


def charts_of(page: str) -> dict[str, ET.Element]:
    """The charts by the names of their figures; each must be well-formed by itself."""
    drawn = re.findall(r'<figure id="(\w+)">.*?(<svg role="img".*?</svg>)', page, re.DOTALL)
    assert drawn
    namespace = '<svg xmlns="http://www.w3.org/2000/svg" '
    return {name: ET.fromstring(svg.replace("<svg ", namespace, 1)) for name, svg in drawn}


def classed(chart: ET.Element, name: str) -> list[ET.Element]:
    return [each for each in chart.iter() if name in each.get("class", "").split()]


def labels(axis: ET.Element) -> list[str]:
    return [text.text or "" for text in axis.iter(f"{SVG}text")]


def read_of(times: ET.Element) -> Iterator[tuple[str, str]]:
    """What an axis of time says: each time, with the last day before it."""
    below: dict[str, list[str]] = defaultdict(list)
    for text in times.iter(f"{SVG}text"):
        below[text.get("x", "")].append(text.text or "")
    day = ""
    for time, *days in below.values():
        day = "".join(days) or day
        yield time, day


def colors_of(page: str, scheme: str) -> Mapping[str, str]:
    light, _, rest = page.partition("prefers-color-scheme: dark")
    declared = light if scheme == "light" else rest.partition("}")[0]
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6})\b", declared))


def linear(color: str) -> list[float]:
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    shares = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    return [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]


def lightness(color: str) -> float:
    return sum(a * b for a, b in zip((0.2126, 0.7152, 0.0722), linear(color), strict=True))


def contrast(one: str, other: str) -> float:
    dark, light = sorted([lightness(one), lightness(other)])
    return (light + 0.05) / (dark + 0.05)


def lab(color: str, seen_by: str) -> tuple[float, float, float]:
    red, green, blue = (
        min(1, max(0, sum(a * b for a, b in zip(row, linear(color), strict=True))))
        for row in SEEN_BY[seen_by]
    )

    def root(share: float) -> float:
        return math.cbrt(share) if share > 0.008856 else 7.787 * share + 16 / 116

    x = root((0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505)
    y = root(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    z = root((0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def distance(one: str, other: str, seen_by: str = "everybody") -> float:
    return math.dist(lab(one, seen_by), lab(other, seen_by))


def words_of(page: str) -> str:
    """What a reader sees, in one line."""
    words: list[str] = []
    parser = HTMLParser()
    parser.handle_data = words.append
    parser.feed(page.partition("<body>")[2])
    return " ".join(" ".join(words).split())


def test_the_numbers_are_those_of_the_ledger(tmp_path: Path):
    """Each state has its card."""
    page = page_of(tmp_path, campaign(2000))

    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        counts = connection.execute("SELECT state, COUNT(*) FROM message GROUP BY 1").fetchall()
    assert "data-total>2,000<" in page
    for state, count in counts:
        assert f'data-state="{state}">{count:,}<' in page


def test_nobody_is_given_away(tmp_path: Path):
    """No recipient, no key, no text of a message, and no path of the sender's machine."""
    messages = [*campaign(200), message(state="rejected", reason="56987688060: closed", key="k-9")]
    page = page_of(tmp_path, messages, source="/home/ana/clientes.csv")

    assert "k-9" not in page
    assert "key-" not in page
    assert SECRET not in page
    assert "/home" not in page
    assert not any(each["recipient"] in page for each in messages)


@pytest.mark.parametrize("where", ["reason", "invalid", "name", "source", "delivery_status"])
def test_what_others_wrote_is_text(tmp_path: Path, where: str):
    """A tag in an error, a name or a status is shown, not obeyed."""
    hostile = "<img src=x onerror=alert(1)>'\"&"
    page = page_of(
        tmp_path,
        [
            message(delivery_status=hostile if where == "delivery_status" else None),
            message(state="rejected", reason=hostile if where == "reason" else "400"),
            message(
                state="skipped",
                reason=f"invalid: {hostile if where == 'invalid' else ''}",
                **UNSENT,
            ),
        ],
        **({where: hostile} if where in {"name", "source"} else {}),
    )

    assert "<img" not in page
    assert "<img src=x onerror=alert(1)>'\"&".lower() in words_of(page).lower()


def test_the_page_needs_nothing_else(tmp_path: Path):
    """No script, and no address but those that name the language of a drawing."""
    page = page_of(tmp_path, campaign(500))

    assert "<script" not in page
    assert set(re.findall(r"\w+://[^\"' ]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_a_finished_campaign_says_so(tmp_path: Path):
    """Nothing is left, and the source was read to its end."""
    words = words_of(page_of(tmp_path, campaign(100)))

    assert "This campaign is finished." in words
    assert "Ended (UTC)" in words


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (State.QUEUED, "1 still queued: running the campaign again sends them."),
        (State.IN_FLIGHT, "1 in flight: being sent, or cut off when their sender ended."),
        (State.UNKNOWN, "1 unknown: may have been sent; reconciling asks the API."),
    ],
)
def test_an_unfinished_campaign_says_what_is_left(tmp_path: Path, state: State, said: str):
    """Whatever else the page says."""
    words = words_of(page_of(tmp_path, [message(), message(state=state)]))

    assert f"This campaign is not finished. {said}" in words
    assert "is finished" not in words
    assert "Last outcome (UTC)" in words


def test_a_source_that_was_not_read_to_its_end_is_named(tmp_path: Path):
    """More messages may follow."""
    words = words_of(page_of(tmp_path, [message()], loaded="0"))

    assert "This campaign is not finished. Its source has not been read to the end" in words


def test_what_is_not_on_record_is_not_claimed(tmp_path: Path):
    """A campaign that was sent as it was read may have had more messages."""
    ledger = write_ledger(tmp_path / "a.db", [message()])
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("DELETE FROM campaign")
        connection.commit()
    write_page(ledger, tmp_path / "a.html")

    words = words_of((tmp_path / "a.html").read_text("utf-8"))
    assert "Everything on record is done. Whether more messages were to follow" in words
    assert "is finished" not in words


def test_held_messages_ask_for_somebody(tmp_path: Path):
    """The campaign is finished, but they are not forgotten."""
    words = words_of(page_of(tmp_path, [message(), message(state="held", reason="absent")]))

    assert "1 held: may have been sent, and wait for somebody to decide." in words


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [message(state="queued", **UNSENT)],
        [message(state="skipped", reason="expired", **UNSENT)],
        [message(state="unknown", reason="no answer")],
        [message(state="unknown", reason="cut off", ended_at=None)],
        [message()],
        [message(ended_at=message()["started_at"])],
    ],
)
def test_a_campaign_of_any_shape_has_a_page(tmp_path: Path, messages: list[dict[str, object]]):
    """Also before its first message, and without a single answer."""
    words = words_of(page_of(tmp_path, messages))

    assert f"Messages {len(messages)} " in words


def test_it_is_quick_to_read_for_a_screen_reader(tmp_path: Path):
    """Charts have a sentence in their place, and a table has all their figures."""
    page = page_of(tmp_path, campaign(500))

    charts = charts_of(page)
    assert [chart.findtext(f"{SVG}title") for chart in charts.values()] == [
        "Messages a second over time",
        "Time until the API answered over time",
    ]
    for name, chart in charts.items():
        assert chart.get("aria-labelledby") == f"{name}-title {name}-desc"
        title, desc = (chart.find(f"{SVG}{tag}") for tag in ("title", "desc"))
        assert (title.get("id"), desc.get("id")) == (f"{name}-title", f"{name}-desc")
        assert "The table of the figures over time" in desc.text
    assert charts["throughput"].findtext(f"{SVG}desc").startswith("On average 0.")
    assert '<details class="panel" id="by-time">' in page


@pytest.mark.parametrize("messages", CAMPAIGNS.values(), ids=CAMPAIGNS)
@pytest.mark.parametrize("zone", [None, SANTIAGO])
def test_an_axis_has_each_label_once(tmp_path: Path, messages: list[dict[str, Any]], zone):
    """And two at least, or nobody knows how far apart they are."""
    for chart in charts_of(page_of(tmp_path, messages, zone=zone)).values():
        values, times = classed(chart, "axis")
        assert len(labels(values)) == len({*labels(values)}) >= 3
        read = list(read_of(times))
        assert len(read) == len({*read}) >= 2


@pytest.mark.parametrize("messages", CAMPAIGNS.values(), ids=CAMPAIGNS)
def test_nothing_is_drawn_beyond_the_axes(tmp_path: Path, messages: list[dict[str, Any]]):
    """The last tick is above the highest bar and the slowest answer."""
    charts = charts_of(page_of(tmp_path, messages))

    for chart in charts.values():
        ticks = [float(tick.get("y")) for tick in classed(chart, "axis")[0].iter(f"{SVG}text")]
        bottom, top = max(ticks), min(ticks)
        for bar in classed(chart, "bar"):
            assert top <= float(bar.get("y"))
            assert float(bar.get("y")) + float(bar.get("height")) <= bottom + 0.02
        heights = [
            *(float(spot.get("cy")) for spot in classed(chart, "spot")),
            *(
                float(point.partition(",")[2])
                for line in classed(chart, "line")
                for point in line.get("points").split()
            ),
        ]
        assert all(top <= height <= bottom for height in heights)


def test_bars_are_as_high_as_their_figures(tmp_path: Path):
    """Stacked in the order of the legend, none over another."""
    messages = [message(ended_at=BEGIN + place * 0.05) for place in range(60)]
    messages += [message(state="rejected", ended_at=BEGIN + place * 0.1) for place in range(20)]
    chart = charts_of(page_of(tmp_path, messages))["throughput"]

    heights = {
        state: sum(float(bar.get("height")) for bar in classed(chart, state)) for state in OUTCOMES
    }
    assert heights["accepted"] == pytest.approx(3 * heights["rejected"], abs=0.5)
    assert heights["unknown"] == heights["held"] == 0
    for part in classed(chart, "part"):
        bars = classed(part, "bar")
        if len(bars) == 2:
            assert [bar.get("class") for bar in bars] == ["bar accepted", "bar rejected"]
            above = float(bars[1].get("y")) + float(bars[1].get("height"))
            assert above == pytest.approx(float(bars[0].get("y")), abs=0.02)


def test_where_there_was_no_answer_there_is_no_line(tmp_path: Path):
    """An outage is a gap; an answer between two gaps is a spot."""
    seconds = [*range(30), *range(100, 130), 200, *range(300, 330)]
    messages = [
        message(started_at=BEGIN + second, ended_at=BEGIN + second + 0.2)
        for second in seconds
        for _ in range(10)
    ]
    chart = charts_of(page_of(tmp_path, messages))["latency"]

    for name in PERCENTILES:
        (percentile,) = [each for each in classed(chart, "percentile") if name in each.get("class")]
        assert len(classed(percentile, "line")) == 3
        assert len(classed(percentile, "spot")) == 1


def test_percentiles_that_are_the_same_are_all_seen(tmp_path: Path):
    """The higher one is wider, and below."""
    page = page_of(tmp_path, [*(message(ended_at=BEGIN + 0.1 * place) for place in range(50))])
    chart = charts_of(page)["latency"]

    drawn = [each.get("class").split()[-1] for each in classed(chart, "percentile")]
    assert drawn == ["p99", "p95", "p50"]
    widths = [float(re.search(rf"\.{name} {{ stroke-width: ([\d.]+)", page)[1]) for name in drawn]
    assert all(wide >= 1.5 * narrow for wide, narrow in pairwise(widths))
    spots = charts_of(page_of(tmp_path, [message()], file="one.db"))["latency"]
    radii = [float(spot.get("r")) for spot in classed(spots, "spot")]
    assert radii == sorted(radii, reverse=True)
    assert len({*radii}) == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("seen_by", SEEN_BY)
def test_colors_are_told_apart_by_everybody(tmp_path: Path, scheme: str, seen_by: str):
    """Those of one chart, from each other and from what is behind them."""
    colors = colors_of(page_of(tmp_path, [message()]), scheme)

    for names, least in ((OUTCOMES, 25), (PERCENTILES, 18)):
        for one, other in combinations(names, 2):
            assert distance(colors[one], colors[other], seen_by) >= least, (one, other)
        for name in names:
            assert contrast(colors[name], colors["card"]) >= 3, name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_percentile_has_the_color_of_a_state(tmp_path: Path, scheme: str):
    """On one page, a color means one thing."""
    colors = colors_of(page_of(tmp_path, [message()]), scheme)

    for name in PERCENTILES:
        for state in State:
            assert distance(colors[name], colors[state.value]) >= 30, (name, state)


def test_times_are_those_of_the_zone(tmp_path: Path):
    """Which the page names; the day too is that of the zone."""
    late = [message(started_at=BEGIN - 11.5 * 3600, ended_at=BEGIN - 11.5 * 3600 + 2)]
    words = words_of(page_of(tmp_path, late, zone=SANTIAGO))

    assert "times are those of America/Santiago" in words
    assert "Began (UTC-03:00) 2026-11-05 23:30:00" in words
    assert "Ended (UTC-03:00) 2026-11-05 23:30:02" in words
    assert "From (America/Santiago)" in words
    assert "23:30:01" in words
    assert "02:30:0" not in words


@pytest.mark.parametrize(
    ("zone", "name"), [(None, "UTC"), (timezone(timedelta(hours=5, minutes=30)), "UTC+05:30")]
)
def test_a_zone_needs_no_file(tmp_path: Path, zone, name: str):
    """Without one it is UTC."""
    words = words_of(page_of(tmp_path, [message()], zone=zone))

    assert f"times are those of {name}" in words
    assert f"Began ({name})" in words


def test_an_hour_that_comes_twice_is_told_apart(tmp_path: Path):
    """Chile put its clocks back in the night to 2026-04-05."""
    first = datetime(2026, 4, 4, 23, tzinfo=SANTIAGO).timestamp()
    messages = [
        message(started_at=first + place * 60, ended_at=first + place * 60 + 1)
        for place in range(110)
    ]
    page = page_of(tmp_path, messages, zone=SANTIAGO)

    words = words_of(page)
    assert "Began (UTC-03:00) 2026-04-04 23:00:00 -03" in words
    assert "Ended (UTC-04:00) 2026-04-04 23:49:01 -04" in words
    times = labels(classed(charts_of(page)["throughput"], "axis")[1])
    assert times == ["23:00 -03", "23:30 -03", "23:00 -04", "23:30 -04"]


def test_why_it_stopped_is_said(tmp_path: Path):
    """Without what may be somebody's number."""
    messages = [message(), message(state="queued", **UNSENT)]
    words = words_of(page_of(tmp_path, messages, stopped="402: no balance <b> for 56987688060"))

    assert "Stopped: 402: no balance <b> for …" in words


@pytest.mark.parametrize("stopped", [None, ""])
def test_a_campaign_that_has_not_stopped_does_not_say_so(tmp_path: Path, stopped: str | None):
    """Nor does an older ledger, in which it was not put down."""
    facts = {} if stopped is None else {"stopped": stopped}
    words = words_of(page_of(tmp_path, [message(state="queued", **UNSENT)], **facts))

    assert "Stopped" not in words


def test_a_finished_campaign_has_neither_a_stop_nor_a_command(tmp_path: Path):
    """It was interrupted after its last message, say."""
    words = words_of(page_of(tmp_path, [message()], stopped="interrupted"))

    assert "Stopped" not in words
    assert "connectus bulk" not in words


@pytest.mark.parametrize(
    ("states", "named"),
    [
        (["queued"], ["resume"]),
        (["unknown"], ["reconcile"]),
        (["in_flight"], ["reconcile"]),
        (["queued", "unknown", "held", "skipped"], ["resume", "reconcile"]),
        (["accepted", "held"], []),
    ],
)
@pytest.mark.parametrize("file", ["a.db", "it's navidad & más.db", "-x.db"])
def test_the_command_to_go_on_with_is_written_for_the_shell(
    tmp_path: Path, states: list[str], named: list[str], file: str
):
    """Whatever the name of its ledger; not where that is, which is nobody's business."""
    page = page_of(tmp_path, [message(state=state) for state in states], file=file)

    shown = re.findall(r"<code>(.*?)</code>", page)
    assert [shlex.split(words_of(f"<body>{command}")) for command in shown] == [
        ["connectus", "bulk", name, f"./{file}" if file.startswith("-") else file] for name in named
    ]
    assert str(tmp_path) not in page


def skipped(reason: str) -> dict[str, Any]:
    return message(state="skipped", reason=reason, **UNSENT)


def test_what_is_no_part_of_the_total_is_named_apart(tmp_path: Path):
    """Rows that others replaced, and those of people who may have another text, did not fail."""
    others = [skipped(REPLACED_BECAUSE), skipped(CORRECTED_BECAUSE), skipped(LEFT_OUT_BECAUSE)]
    page = page_of(tmp_path, [message(), skipped("suppressed"), *others])

    assert "data-total>2<" in page
    assert 'data-state="skipped">1<' in page
    words = words_of(page)
    assert "Suppressed 1 100 %" in words
    assert "Not part of the total, by reason" in words
    assert "Superseded 2 66.7 % Has another 1 33.3 %" in words


def test_a_campaign_of_replaced_rows_alone_has_a_page(tmp_path: Path):
    """It is not taken for one without messages."""
    words = words_of(page_of(tmp_path, [skipped(REPLACED_BECAUSE)]))

    assert "This campaign is finished." in words
    assert "Superseded 1 100 %" in words


def test_rows_to_correct_have_the_command_that_exports_them(tmp_path: Path):
    """Where the ledger knows their file."""
    bad = [message(state="rejected", reason="400"), skipped("invalid: is empty"), message()]
    page = page_of(tmp_path, bad, file="-x.db", source_file="{}")

    assert "2 rows are rejected or invalid. To correct them" in words_of(page)
    assert re.findall(r"<code>(.*?)</code>", page) == [
        "connectus bulk export ./-x.db to-fix.xlsx --to-fix"
    ]


@pytest.mark.parametrize("loaded", ["0", None])
def test_a_source_that_has_to_be_read_again_is_not_resumed(tmp_path: Path, loaded: str | None):
    """`bulk resume` would refuse that."""
    ledger = write_ledger(tmp_path / "a.db", [message(state="queued", **UNSENT)])
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("DELETE FROM campaign WHERE name = 'loaded'")
        if loaded:
            connection.execute("INSERT INTO campaign VALUES ('loaded', ?)", (loaded,))
        connection.commit()
    write_page(ledger, tmp_path / "a.html")

    page = (tmp_path / "a.html").read_text("utf-8")
    assert "run again what began it, such as connectus bulk send" in words_of(page)
    assert "<code>" not in page


def test_a_file_name_that_is_no_text_makes_a_page(tmp_path: Path):
    """Linux takes any bytes."""
    page = page_of(tmp_path, [message(state="queued", **UNSENT)], file="a\udcff.db")

    assert "connectus bulk resume" in page


def test_the_ledger_is_never_the_target(tmp_path: Path):
    """As with the export."""
    ledger = write_ledger(tmp_path / "a.db", [message()])

    with pytest.raises(InvalidArgumentError, match="target: is the ledger itself"):
        write_page(ledger, ledger)


def test_without_its_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Nothing is written then."""
    monkeypatch.setitem(sys.modules, "jinja2", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'connectus-async\[report\]'"):
        page_of(tmp_path, [message()])

    assert not (tmp_path / "a.html").exists()
