"""The time zones of all phone numbers, kept in memory: ``ZoneInfo`` reads no file for them again.

It is imported by `QuietHours.load`, off the event loop.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from phonenumbers.tzdata import TIMEZONE_DATA

from connectus_async.config import TIME_ZONE


def _found(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):  # it is an error where it is needed
        return None


TIME_ZONES: Final[Mapping[str, ZoneInfo | None]] = {
    name: _found(name) for name in {TIME_ZONE, *chain.from_iterable(TIMEZONE_DATA.values())}
}
