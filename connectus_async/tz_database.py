"""Time zones, by the newest rules at hand: those of the system or of the package tzdata.

``zoneinfo`` asks the system first, whose rules can be years old where tzdata's are new: then a
country that has changed its clocks since is an hour off.
"""

import datetime as dt
import re
import zoneinfo
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module, resources
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectus_async.errors import ConfigurationError

ZONES_REMEMBERED: Final = 2**10
"""All that there are; Python itself forgets a zone and reads its file again."""

_VERSION: Final = re.compile(r"\b(20\d\d)([a-z]{1,2})\b")
_VERSION_FILES: Final = ("tzdata.zi", "+VERSION")
_HEAD: Final = 100

_PROBES: Final = (
    # Paraguay ended its changes of the clock in October 2024, and Aysén in March 2025.
    ("America/Asuncion", dt.datetime(2025, 7, 1, tzinfo=dt.UTC), dt.timedelta(hours=-3)),
    ("America/Coyhaique", dt.datetime(2025, 7, 1, tzinfo=dt.UTC), dt.timedelta(hours=-3)),
)

Version = tuple[int, int, str]
"""As 2025b, in an order in which 2025z comes before 2025za."""


class _Packaged(ZoneInfo):
    """A zone of the package tzdata, whatever the system says."""

    def __reduce__(self) -> tuple[Any, ...]:
        return zone, (self.key,)


def zone(name: str) -> ZoneInfo:
    """Find a time zone by its IANA name; files are read at the first time.

    Raises:
        ConfigurationError: It is not known here.
    """
    return _named(name, _found)


def check(name: str) -> None:
    """Check that there is such a time zone.

    Raises:
        ConfigurationError: It is not known here.
    """
    _named(name, ZoneInfo)


def _named(name: str, find: Callable[[str], ZoneInfo]) -> ZoneInfo:
    try:
        return find(name)
    except (ZoneInfoNotFoundError, OSError, TypeError, ValueError):
        raise ConfigurationError(
            "time_zone", f"{name!r} is not known here: check its spelling, or pip install tzdata"
        ) from None


@lru_cache(ZONES_REMEMBERED)
def _found(name: str) -> ZoneInfo:
    found = ZoneInfo(name)  # which also checks that the name leads nowhere else
    return (_packaged(name) or found) if _prefers_package() else found


def trouble(today: dt.date) -> str | None:
    """Say what is wrong with the rules in use, if they are too old to be relied on."""
    used = max(filter(None, (system_version(), package_version())), default=None)
    if all(_is_right(*probe) for probe in _PROBES) and not _is_behind(used, today):
        return None
    version = f"of {used[0]}{used[2]}" if used else "of an unknown version"
    return (
        f"the time zones known here are {version}; countries have changed their clocks since, and "
        "hours there are wrong by one: pip install -U tzdata, or update the system's"
    )


def _is_right(name: str, moment: dt.datetime, offset: dt.timedelta) -> bool:
    try:
        return moment.astimezone(zone(name)).utcoffset() == offset
    except ConfigurationError:
        return False


def _is_behind(used: Version | None, today: dt.date) -> bool:
    """Tell whether a whole year went by without a word of the changes in it."""
    return used is not None and used[0] < today.year - 1


def system_version() -> Version | None:
    """Tell the version of the system's database; ``None`` where there is none, or it is untold."""
    for folder in zoneinfo.TZPATH:
        for name in _VERSION_FILES:
            try:
                with Path(folder, name).open("rb") as file:
                    head = file.read(_HEAD)
            except OSError:
                continue
            if version := _version(head.decode("latin-1")):
                return version
    return None


def package_version() -> Version | None:
    """Tell the version of the package tzdata; ``None`` where it is not installed."""
    try:
        return _version(str(import_module("tzdata").IANA_VERSION))
    except (ImportError, AttributeError):
        return None


def _version(text: str) -> Version | None:
    found = _VERSION.search(text)
    return None if found is None else (int(found[1]), len(found[2]), found[2])


@lru_cache(1)
def _prefers_package() -> bool:
    """Tell whether the package is newer. It is pinned: it counts if the other's age is untold."""
    packaged = package_version()
    return packaged is not None and packaged > (system_version() or (0, 0, ""))


def _packaged(name: str) -> ZoneInfo | None:
    try:
        file = resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb")
    except (OSError, ImportError):
        return None
    with file:
        return _Packaged.from_file(file, key=name)
