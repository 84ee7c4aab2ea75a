"""The time zones of all phone numbers, read before the first message: no file is read amid them.

It is imported by `QuietHours.load`, off the event loop.
"""

from contextlib import suppress
from itertools import chain

from phonenumbers.tzdata import TIMEZONE_DATA

from connectus_async import tz_database
from connectus_async.errors import ConfigurationError
from connectus_async.recipients.number_zones import CORRECTED


def load() -> None:
    """Read them all, blocking; `tz_database` remembers them."""
    for name in {*chain(*TIMEZONE_DATA.values(), *CORRECTED.values())}:
        with suppress(ConfigurationError):  # it is an error where the zone is needed
            tz_database.zone(name)
