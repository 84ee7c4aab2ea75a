"""Figures as people read them. Pure."""

from datetime import datetime
from typing import Final

A_MINUTE: Final = 60
AN_HOUR: Final = 3600
A_DAY: Final = 86_400


def number(value: float) -> str:
    """Write a number with three digits that count, and thousands apart.

    >>> number(20000), number(1234.5), number(12.345), number(0.01234), number(0)
    ('20,000', '1,234', '12.3', '0.0123', '0')
    """
    if value == int(value) or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def percent(part: float, whole: float) -> str:
    """Write a share; it is 0 or 100 only where it is exactly that.

    >>> percent(1, 3), percent(1, 100_000), percent(99_999, 100_000), percent(0, 5), percent(5, 5)
    ('33.3 %', '< 0.1 %', '> 99.9 %', '0 %', '100 %')
    """
    share = 100 * part / whole if whole else 0.0
    if share in {0, 100}:
        return f"{share:.0f} %"
    if share < 0.1:
        return "< 0.1 %"
    return "> 99.9 %" if share > 99.9 else f"{share:.1f} %"


def duration(seconds: float) -> str:
    """Write a time that something took.

    >>> duration(0.0421), duration(2.5), duration(75), duration(5400), duration(93_600)
    ('42 ms', '2.5 s', '1 min 15 s', '1 h 30 min', '1 d 2 h')
    """
    if seconds < 1:
        return f"{number(round(seconds * 1000))} ms"
    if seconds < A_MINUTE:
        return f"{seconds:.3g} s"
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


def moment(at: datetime) -> str:
    """Write a moment in full.

    >>> moment(datetime(2026, 11, 6, 14, 0, 9))
    '2026-11-06 14:00:09'
    """
    return f"{at:%Y-%m-%d %H:%M:%S}"


def clock(at: datetime, seconds: float) -> str:
    """Write a moment as short as an axis over so many seconds needs it.

    >>> at = datetime(2026, 11, 6, 14, 0, 9)
    >>> clock(at, 10), clock(at, 7200), clock(at, 200_000)
    ('14:00:09', '14:00', '11-06 14:00')
    """
    if seconds > A_DAY:
        return f"{at:%m-%d %H:%M}"
    return f"{at:%H:%M}" if seconds > 10 * A_MINUTE else f"{at:%H:%M:%S}"


def title(word: str) -> str:
    """Write a word of the ledger as a label.

    >>> title("in_flight"), title("over_budget"), title("NO ENTREGADO")
    ('In flight', 'Over budget', 'No entregado')
    """
    return word.replace("_", " ").capitalize()
