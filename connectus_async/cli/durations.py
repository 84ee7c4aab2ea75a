"""Durations in words."""

from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import ngettext, number


def duration(seconds: float) -> str:
    """Write a duration in its two largest units.

    >>> duration(8), duration(125), duration(7_260)
    ('8 s', '2 min 5 s', '2 h 1 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return ngettext("{days} day {hours} h", "{days} days {hours} h", days).format(
            days=number(days), hours=hours
        )
    if hours:
        return _("{hours} h {minutes} min").format(hours=hours, minutes=minutes)
    if minutes:
        return _("{minutes} min {seconds} s").format(minutes=minutes, seconds=rest)
    return _("{seconds} s").format(seconds=rest)
