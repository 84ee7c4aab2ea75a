"""Preloads the time zones of all phone numbers, so that sending a message reads no file.

`QuietHours.load` imports it, off the event loop.
"""

from contextlib import suppress
from itertools import chain

from phonenumbers.tzdata import TIMEZONE_DATA

from connectus_async import tz_database
from connectus_async.errors import ConfigurationError
from connectus_async.recipients.number_zones import CORRECTED


def load() -> None:
    """Load every zone into the cache of `tz_database`. Blocking."""
    for name in {*chain(*TIMEZONE_DATA.values(), *CORRECTED.values())}:
        with suppress(ConfigurationError):  # raised later, if the zone is needed
            tz_database.zone(name)
