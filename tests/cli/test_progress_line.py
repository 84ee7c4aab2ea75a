"""The progress line of a campaign, at the widths of terminals, and what its log is told."""

import datetime as dt
import io
import logging
from collections import Counter
from collections.abc import Iterator

import pytest
from rich.console import Console

from connectus_async import BulkSummary, Delay, DelayCause, Progress, State
from connectus_async.cli.campaign_log import CampaignLog
from connectus_async.cli.delays import told
from connectus_async.cli.durations import duration
from connectus_async.cli.log import CAMPAIGN, FIELDS, handled
from connectus_async.cli.progress_line import Figures, Meter

MORNING = (
    dt.datetime.now(dt.UTC)
    .astimezone(dt.timezone(dt.timedelta(hours=-3)))
    .replace(hour=8, minute=0)
)
QUIET = Delay(cause=DelayCause.QUIET_HOURS, until=MORNING, messages=1_999, country="CL")
SLOW = Delay(cause=DelayCause.RATE_LIMIT, rate=120.4)
PAUSE = Delay(cause=DelayCause.PAUSE, by="ana@host7")


def summary(**counts: int) -> BulkSummary:
    return BulkSummary(Counter({State(state): count for state, count in counts.items()}))


def progress(*delays: Delay, in_flight: int = 0, **counts: int) -> Progress:
    return Progress(
        summary=summary(**counts),
        in_flight=in_flight,
        rate=1.0,
        rate_limit=None,
        concurrency_limit=64,
        is_paused=False,
        delays=delays,
    )


def drawn(figures: Figures, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width).print(figures)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def figures(**changes: object) -> Figures:
    values = {
        "final": 1_200,
        "total": 500_000,
        "rate": 123.4,
        "summary": summary(accepted=1_100, rejected=70, unknown=3, skipped=27),
    }
    return Figures(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [120, 80, 44, 20])
def test_a_line_fits_its_terminal(width):
    """It is one line, and the counts are on it; what does not fit is left out."""
    (line,) = drawn(figures(), width)
    assert len(line) < width
    assert "1,200 of 500,000" in line
    assert ("123/s" in line, "1 h 7 min left" in line) == (width >= 44, width >= 44)
    assert ("27 skipped" in line) is (width >= 120)


@pytest.mark.parametrize("width", [120, 80, 44])
def test_the_cause_of_a_delay_has_a_line_of_its_own(width):
    """While nothing is sent there is no rate."""
    shown = figures(delays=told([QUIET]), is_halted=True)
    first, *rest = drawn(shown, width)
    assert "/s" not in first
    assert " ".join(rest) == "quiet hours until 08:00 in Chile, 1,999 wait"


@pytest.mark.parametrize(
    ("delays", "sentences"),
    [
        ([QUIET], ["quiet hours until 08:00 in Chile, 1,999 wait"]),
        (
            [Delay(cause=DelayCause.QUIET_HOURS, until=MORNING, messages=1)],
            ["quiet hours until 08:00, 1 waits"],
        ),
        (
            [QUIET, Delay(cause=DelayCause.QUIET_HOURS, until=MORNING, messages=1, country="PE")],
            ["quiet hours until 08:00 in Chile and later elsewhere, 2,000 wait"],
        ),
        ([SLOW], ["the API said slow down: 120/s"]),
        ([Delay(cause=DelayCause.RATE_LIMIT, rate=2.04)], ["the API said slow down: 2.0/s"]),
        ([Delay(cause=DelayCause.RATE_LIMIT)], ["the API said slow down"]),
        ([PAUSE], ["paused by ana@host7"]),
        ([PAUSE, SLOW], ["paused by ana@host7"]),
        ([Delay(cause=DelayCause.OUTAGE)], ["the API does not answer; trying again"]),
        (
            [Delay(cause=DelayCause.SUPPRESSION, by="the suppression list")],
            ["the suppression list cannot be read; trying again"],
        ),
    ],
)
def test_each_cause_has_its_sentence(delays, sentences):
    assert told(delays) == sentences


def test_the_end_of_a_pause_is_told_in_local_time_with_its_date_if_it_is_far():
    soon = dt.datetime.now().astimezone() + dt.timedelta(minutes=5)
    far = dt.datetime(2099, 12, 24, 10, tzinfo=dt.UTC).astimezone()
    for until, said in ((soon, f"{soon:%H:%M}"), (far, f"{far:%Y-%m-%d %H:%M}")):
        delay = Delay(cause=DelayCause.PAUSE, by="ana", until=until)
        assert told([delay]) == [f"paused by ana until {said}"]


def test_a_wait_that_the_api_asks_for_is_told():
    until = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5)
    (said,) = told([Delay(cause=DelayCause.RATE_LIMIT, rate=5.0, until=until)])
    assert said == f"the API said slow down: nothing until {until.astimezone():%H:%M:%S}"


def test_only_what_is_final_counts():
    """A message that waits again is not done."""
    meter = Meter(100)
    found = meter.figures(progress(accepted=10, queued=40), 0.0)
    assert (found.final, found.total, found.rate) == (10, 100, None)
    found = meter.figures(progress(accepted=30, queued=40), 4.0)
    assert (found.final, found.rate, found.seconds_left) == (30, 5.0, 14.0)


def test_the_rate_is_that_of_the_last_seconds():
    """A pause an hour ago does not count."""
    meter = Meter(1_000)
    for second in range(100):
        found = meter.figures(progress(accepted=min(second, 50) + 5 * max(0, second - 50)), second)
    assert found.rate == 5.0


def test_the_rate_of_a_campaign_does_not_count_the_time_that_it_waited():
    """Neither while it is sent nor at its end: nothing was to be sent then."""
    meter = Meter(200, began=0.0)
    for second in range(11):
        meter.figures(progress(in_flight=1, accepted=second * 10), second)
    for second in range(11, 1_000):
        meter.figures(progress(PAUSE, accepted=100), second)
    found = meter.figures(progress(in_flight=1, accepted=110), 1_000)
    for second in range(1_001, 1_010):
        found = meter.figures(progress(in_flight=1, accepted=second * 10 - 9_890), second)
    ended = meter.result(progress(accepted=210), 1_010)
    assert (found.rate, ended.rate) == (10.0, 10.0)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *[(0.4, "0 s"), (59, "59 s"), (125, "2 min 5 s"), (7_260, "2 h 1 min")],
        *[(90_000, "1 day 1 h"), (180_000, "2 days 2 h")],
    ],
)
def test_a_duration_has_two_units(seconds, said):
    assert duration(seconds) == said


class Events(logging.Handler):
    """The events of a campaign."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def events() -> Iterator[list[logging.LogRecord]]:
    handler = Events()
    with handled(handler, {CAMPAIGN.name: logging.INFO}):
        yield handler.records


@pytest.mark.parametrize("rate", [20, 100, 1_000])
def test_a_campaign_of_half_a_million_has_fewer_than_200_lines(events, rate):
    """Even if the API says slow down again and again, and is away in between."""
    meter, log = Meter(500_000), CampaignLog(0.0)
    for second in range(500_000 // rate):
        delays = [SLOW] * (second % 7 < 3) + [Delay(cause=DelayCause.OUTAGE)] * (second % 11 < 2)
        now = progress(*delays, in_flight=9, accepted=second * rate)
        log.look(meter.figures(now, second), now.delays, second)
    assert len(events) < 200
    assert sum("type" in getattr(it, FIELDS) for it in events) >= 40


def test_the_log_has_a_line_every_ten_seconds(events):
    """With the figures for machines."""
    meter, log = Meter(100), CampaignLog(0.0)
    for second in range(31):
        now = progress(in_flight=1, accepted=second, rejected=1)
        log.look(meter.figures(now, second), now.delays, second)
    assert [it.getMessage() for it in events] == [
        "11 of 100, 1.0/s, 1 min 29 s left, 1 rejected",
        "21 of 100, 1.0/s, 1 min 19 s left, 1 rejected",
        "31 of 100, 1.0/s, 1 min 9 s left, 1 rejected",
    ]
    assert getattr(events[-1], FIELDS) == {
        "type": "progress",
        "final": 31,
        "total": 100,
        "accepted": 30,
        "rejected": 1,
        "unknown": 0,
        "skipped": 0,
        "rate": 1.0,
        "seconds_left": 69,
        "delays": [],
    }


def test_each_change_of_a_delay_is_a_line(events):
    """Once, and the end of all of them."""
    meter, log = Meter(100), CampaignLog(0.0)
    looks = [(), (PAUSE,), (PAUSE,), (PAUSE, SLOW), (SLOW,), (), ()]
    changed = []
    for second, delays in enumerate(looks):
        now = progress(*delays, accepted=1)
        changed.append(log.look(meter.figures(now, second), delays, second))
    assert [it.getMessage() for it in events] == [
        "paused by ana@host7",
        "the API said slow down: 120/s",
        "sending goes on",
    ]
    assert changed == [False, True, False, True, True, False, False]


def test_quiet_hours_are_told_when_the_number_that_waits_is_known(events):
    """Not while the messages are still looked at."""
    meter, log = Meter(100), CampaignLog(0.0)
    looks = ((500, 3), (1_000, 0), (1_999, 0), (1_999, 0), (1_999, 0))
    for second, (waiting, in_flight) in enumerate(looks):
        delay = Delay(cause=DelayCause.QUIET_HOURS, until=MORNING, messages=waiting, country="CL")
        now = progress(delay, in_flight=in_flight, accepted=1)
        log.look(meter.figures(now, second), now.delays, second)
    assert [it.getMessage() for it in events] == ["quiet hours until 08:00 in Chile, 1,999 wait"]
