"""Axes have few round ticks, none twice, and reach as far as what is drawn."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async.report.formats import duration, number, tick_labels
from connectus_async.report.scales import TIME_STEPS, time_ticks, unit_of, value_ticks

SANTIAGO = ZoneInfo("America/Santiago")
MOST = 4


def ticks_between(begin: datetime, end: datetime, zone=UTC) -> list[str]:
    ticks = time_ticks(begin.astimezone(UTC), end.astimezone(UTC), zone, MOST)
    return [f"{text} {date}".strip() for text, date in tick_labels(ticks)]


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [
        (0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.37, [0, 0.1, 0.2, 0.3, 0.4]),
        (1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (2.4, [0, 0.5, 1, 1.5, 2, 2.5]),
        (9.9, [0, 2, 4, 6, 8, 10]),
        (1001, [0, 500, 1000, 1500]),
        (4e-5, [0, 1e-5, 2e-5, 3e-5, 4e-5]),
    ],
)
def test_values_have_round_ticks(highest: float, ticks: list[float]):
    """Steps of 1, 2 or 5, and so few of them that each can be read."""
    assert value_ticks(highest) == ticks


@given(st.floats(1e-9, 1e12))
def test_the_last_tick_is_above_every_value(highest: float):
    """And no label is there twice."""
    ticks = value_ticks(highest)

    assert ticks[0] == 0
    assert ticks[-2] < highest <= ticks[-1]
    assert len(ticks) <= 6
    assert len({number(tick) for tick in ticks}) == len(ticks)


@pytest.mark.parametrize(
    ("highest", "unit"), [(0.4, "ms"), (0.5, "s"), (119, "s"), (120, "min"), (10_000, "h")]
)
def test_durations_have_one_unit(highest: float, unit: str):
    """Ticks are round in the unit that is written beside them."""
    seconds, name = unit_of(highest)

    assert name == unit
    assert duration(seconds).endswith(unit)


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (2, ["14:00:00", "14:00:01", "14:00:02"]),
        (17, ["14:00:00", "14:00:05", "14:00:10", "14:00:15"]),
        (600, ["14:00", "14:05", "14:10"]),
        (7 * 3600, ["14:00", "16:00", "18:00", "20:00"]),
        (15 * 3600, ["16:00 6 Nov", "20:00", "00:00 7 Nov", "04:00"]),
        (48 * 3600, ["00:00 7 Nov", "12:00", "00:00 8 Nov", "12:00"]),
        (40 * 86_400, ["11 Nov", "21 Nov", "1 Dec", "11 Dec"]),
    ],
)
def test_time_has_ticks_at_round_hours(seconds: int, labels: list[str]):
    """The day is named where the campaign crosses midnight."""
    begin = datetime(2026, 11, 6, 14, tzinfo=UTC)

    assert ticks_between(begin, begin + timedelta(seconds=seconds)) == labels


def test_hours_are_round_in_their_zone():
    """Half an hour off UTC too."""
    begin = datetime(2026, 11, 6, 14, 10, tzinfo=UTC)

    assert ticks_between(begin, begin + timedelta(hours=3), ZoneInfo("Asia/Kolkata")) == [
        "20:00",
        "21:00",
        "22:00",
    ]


def test_an_hour_that_comes_twice_says_which_it_is():
    """Chile puts its clocks back at midnight, from the 5th to the 4th of April."""
    begin = datetime(2026, 4, 4, 22, tzinfo=SANTIAGO)

    assert ticks_between(begin, begin.astimezone(UTC) + timedelta(hours=4), SANTIAGO) == [
        "22:00 4 Apr",
        "23:00 -03",
        "23:00 -04",
        "00:00 5 Apr",
        "01:00",
    ]


def test_a_midnight_that_is_left_out_begins_its_day_late():
    """Chile puts its clocks on at midnight: that day begins at one."""
    begin = datetime(2026, 9, 5, 22, tzinfo=SANTIAGO)

    assert ticks_between(begin, begin.astimezone(UTC) + timedelta(hours=3), SANTIAGO) == [
        "22:00 5 Sep",
        "23:00",
        "01:00 6 Sep",
        "02:00",
    ]
    assert ticks_between(
        datetime(2026, 9, 4, tzinfo=SANTIAGO), datetime(2026, 9, 8, tzinfo=SANTIAGO), SANTIAGO
    ) == ["4 Sep", "5 Sep", "6 Sep", "7 Sep", "8 Sep"]


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)),
    st.one_of(st.floats(2, 60), st.floats(2, 86_400), st.floats(2, 10 * 365 * 86_400)),
    st.sampled_from(["UTC", "America/Santiago", "Europe/Madrid", "Asia/Kolkata", "Pacific/Apia"]),
)
def test_ticks_are_few_in_order_and_within(begin: datetime, seconds: float, name: str):
    """Whatever the clocks of the zone do."""
    start = begin.replace(tzinfo=UTC)
    end = start + timedelta(seconds=seconds)

    ticks = time_ticks(start, end, ZoneInfo(name), MOST)

    instants = [tick.astimezone(UTC) for tick in ticks]
    assert 1 <= len(ticks) <= MOST + 3  # a clock that is put back adds one or two
    assert all(start <= instant <= end for instant in instants)
    assert all(earlier < later for earlier, later in pairwise(instants))
    labels = tick_labels(ticks)
    if seconds < 86_400:
        assert len(set(labels)) == len(labels)


def test_steps_divide_a_day():
    """So that every midnight is a tick."""
    assert all(86_400 % step == 0 for step in TIME_STEPS)
