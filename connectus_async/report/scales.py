"""Scales of charts: round ticks for values, and for time by the clocks of a zone."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from itertools import count
from typing import Final

A_DAY: Final = 86_400
TIME_STEPS: Final = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 14_400, 21_600, 43_200, A_DAY),
)
"""Seconds between two ticks of time; more than a day are 1, 2 or 5 times a power of ten days."""

UNITS: Final = ((0.5, 0.001, "ms"), (120, 1, "s"), (7200, 60, "min"), (math.inf, 3600, "h"))
INTERVALS: Final = 5


def value_ticks(highest: float) -> list[float]:
    """Find at most six ticks from zero up to a value, or to the next one above it.

    >>> value_ticks(0.37)
    [0.0, 0.1, 0.2, 0.3, 0.4]
    """
    top = Decimal(str(highest or 1))
    step = _round_step(top / INTERVALS)
    return [float(step * place) for place in range(math.ceil(top / step) + 1)]


def unit_of(highest: float) -> tuple[float, str]:
    """Choose a unit for durations, in seconds, by the longest of them.

    >>> unit_of(0.25), unit_of(90)
    ((0.001, 'ms'), (1, 's'))
    """
    return next((seconds, name) for limit, seconds, name in UNITS if highest < limit)


def time_ticks(begin: datetime, end: datetime, zone: tzinfo, most: int) -> list[datetime]:
    """Find moments from one to another that are round by the clocks of a zone.

    Args:
        begin: The first moment.
        end: The last moment.
        zone: The zone. An hour that its clocks show twice has its ticks twice; one that they leave
            out has none, but a day whose midnight is left out begins right after that.
        most: Maximum number of steps.
    """
    step = _time_step((end - begin).total_seconds(), most)
    ticks = {
        tick
        for reading in _readings(begin.astimezone(zone), end.astimezone(zone), step)
        for tick in _moments(reading, zone, is_day=step.days > 0)
        if begin <= tick <= end
    }
    return [tick.astimezone(zone) for tick in sorted(ticks)]


def _round_step(least: Decimal) -> Decimal:
    """Find the least of 1, 2 or 5 times a power of ten that is not below a number."""
    decade = Decimal(1).scaleb(least.adjusted())
    return next(factor * decade for factor in (1, 2, 5, 10) if factor * decade >= least)


def _time_step(seconds: float, most: int) -> timedelta:
    for step in TIME_STEPS:
        if step * most >= seconds:
            return timedelta(seconds=step)
    return timedelta(days=int(_round_step(Decimal(seconds) / A_DAY / most)))


def _readings(begin: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    """Yield the times that a clock may show between two moments, even if it is put back."""
    put = abs((end.utcoffset() or timedelta()) - (begin.utcoffset() or timedelta()))
    first, last = begin.replace(tzinfo=None) - put, end.replace(tzinfo=None) + put
    first -= (first - datetime.min) % step  # noqa: DTZ901 - what a clock shows has no zone
    for place in count():
        reading = first + place * step
        if reading > last:
            return
        yield reading


def _moments(reading: datetime, zone: tzinfo, *, is_day: bool) -> Iterator[datetime]:
    """Yield when the clocks of a zone show something: once, twice, or not at all."""
    for fold in (0, 1):
        moment = reading.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        is_shown = moment.astimezone(zone).replace(tzinfo=None) == reading
        if is_shown or (is_day and fold == 0):
            yield moment
