"""The time zones of all phone numbers, kept in memory: no file is read for them again.

It is imported by `QuietHours.load`, off the event loop.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Final
from zoneinfo import ZoneInfo

from phonenumbers.tzdata import TIMEZONE_DATA

from connectus_async import tz_database
from connectus_async.bulk.number_zones import CORRECTED
from connectus_async.config import TIME_ZONE
from connectus_async.errors import ConfigurationError


def _found(name: str) -> ZoneInfo | None:
    try:
        return tz_database.zone(name)
    except ConfigurationError:  # it is one where the zone is needed
        return None


TIME_ZONES: Final[Mapping[str, ZoneInfo | None]] = {
    name: _found(name)
    for name in {
        TIME_ZONE,
        *chain.from_iterable(TIMEZONE_DATA.values()),
        *chain.from_iterable(CORRECTED.values()),
    }
}
