"""Formats of numbers, durations and times, for people. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from connectus_async.translation import ENGLISH, Language, language

IN_ENGLISH: Final = language(ENGLISH)
A_MINUTE: Final = 60
AN_HOUR: Final = 3600
A_DAY: Final = 86_400
HALF_A_DAY: Final = timedelta(hours=12)


def number(value: float, language: Language = IN_ENGLISH) -> str:
    """Write a number with three digits that count, and thousands apart.

    >>> number(20000), number(1234.5), number(12.345), number(0.01234), number(0)
    ('20,000', '1,234', '12.3', '0.0123', '0')
    """
    if value == int(value) or value >= 1000:
        return language.number(value)
    return language.number(value, 1) if value >= 10 else language.digits(f"{value:.3g}")


def percent(part: float, whole: float, language: Language = IN_ENGLISH) -> str:
    """Write a share; it is 0 or 100 only where it is exactly that.

    >>> percent(1, 3), percent(1, 100_000), percent(99_999, 100_000), percent(0, 5), percent(5, 5)
    ('33.3 %', '< 0.1 %', '> 99.9 %', '0 %', '100 %')
    """
    share = 100 * part / whole if whole else 0.0
    if share in {0, 100}:
        return f"{share:.0f} %"
    if share < 0.1:
        return language.digits("< 0.1 %")
    return language.digits("> 99.9 %" if share > 99.9 else f"{share:.1f} %")


def duration(seconds: float, language: Language = IN_ENGLISH) -> str:
    """Write a time that something took.

    >>> duration(0.0421), duration(2.5), duration(75), duration(5400), duration(93_600)
    ('42 ms', '2.5 s', '1 min 15 s', '1 h 30 min', '1 d 2 h')
    """
    if seconds < 1:
        return f"{number(round(seconds * 1000), language)} ms"
    if seconds < A_MINUTE:
        return language.digits(f"{seconds:.3g} s")
    whole = round(seconds)
    if whole < AN_HOUR:
        return _two(whole // A_MINUTE, "min", whole % A_MINUTE, "s")
    minutes = round(seconds / A_MINUTE)
    if seconds < A_DAY:
        return _two(minutes // 60, "h", minutes % 60, "min")
    hours = round(seconds / AN_HOUR)
    return _two(hours // 24, "d", hours % 24, "h")


def _two(large: int, unit: str, small: int, smaller_unit: str) -> str:
    return f"{large} {unit} {small} {smaller_unit}" if small else f"{large} {unit}"


def moment(at: datetime, language: Language = IN_ENGLISH) -> str:
    """Write a moment in full.

    >>> moment(datetime(2026, 11, 6, 14, 0, 9))
    '2026-11-06 14:00:09'
    """
    return f"{language.date(at)} {at:%H:%M:%S}{_which(at)}"


def tick_labels(
    ticks: Sequence[datetime], language: Language = IN_ENGLISH
) -> list[tuple[str, str]]:
    """Write the moments of an axis, each as its time and its day; the day only where it is new.

    >>> tick_labels([datetime(2026, 11, 6, 18), datetime(2026, 11, 7), datetime(2026, 11, 7, 6)])
    [('18:00', '6 Nov'), ('00:00', '7 Nov'), ('06:00', '')]
    """
    days = [language.day(tick) for tick in ticks]
    if len(ticks) > 1 and all(later - tick > HALF_A_DAY for tick, later in pairwise(ticks)):
        return [(day, "") for day in days]
    pattern = "%H:%M:%S" if any(tick.second for tick in ticks) else "%H:%M"
    times = [f"{tick:{pattern}}{_which(tick)}" for tick in ticks]
    known = [days[0] if len({*days}) == 1 else "", *days]
    return [
        (time, "" if day == before else day)
        for time, day, before in zip(times, days, known, strict=False)
    ]


def _which(at: datetime) -> str:
    """Tell apart the two moments at which clocks that are put back show the same."""
    is_shown_twice = at.utcoffset() != at.replace(fold=1 - at.fold).utcoffset()
    return f" {at:%Z}" if is_shown_twice else ""


def title(name: str, language: Language = IN_ENGLISH) -> str:
    """Write a name of the ledger as a label.

    >>> title("in_flight"), title("over_budget"), title("NO ENTREGADO")
    ('In flight', 'Over budget', 'No entregado')
    """
    return language.sentence(name).replace("_", " ").capitalize()
