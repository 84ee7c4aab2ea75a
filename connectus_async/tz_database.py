"""Time zones by the newest available rules, of the system or of the package tzdata.

``zoneinfo`` prefers the system, whose rules may be years older than those of tzdata. Countries that
have changed their rules since would then be an hour off.
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
"""More than all zones; Python's own cache drops zones, and reads their files again."""

_VERSION: Final = re.compile(r"\b(20\d\d)([a-z]{1,2})\b")
_VERSION_FILES: Final = ("tzdata.zi", "+VERSION")
_HEAD: Final = 100

_PROBES: Final = (
    # Paraguay abolished daylight saving time in October 2024, and Aysén in March 2025.
    ("America/Asuncion", dt.datetime(2025, 7, 1, tzinfo=dt.UTC), dt.timedelta(hours=-3)),
    ("America/Coyhaique", dt.datetime(2025, 7, 1, tzinfo=dt.UTC), dt.timedelta(hours=-3)),
)

Version = tuple[int, int, str]
"""A version such as 2025b; 2025z sorts before 2025za."""


class _Packaged(ZoneInfo):
    """A zone of the package tzdata, regardless of the system."""

    def __reduce__(self) -> tuple[Any, ...]:
        return zone, (self.key,)


def zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name; its file is read on first use.

    Raises:
        ConfigurationError: This machine does not know it.
    """
    return _named(name, _found)


def check(name: str) -> None:
    """Check that a time zone exists.

    Raises:
        ConfigurationError: This machine does not know it.
    """
    _named(name, ZoneInfo)


def _named(name: str, find: Callable[[str], ZoneInfo]) -> ZoneInfo:
    try:
        return find(name)
    except (ZoneInfoNotFoundError, OSError, TypeError, ValueError):
        raise ConfigurationError(
            "time_zone",
            f"{name!r} is unknown here; check its spelling, as in America/Santiago, or pip install"
            " tzdata",
        ) from None


@lru_cache(ZONES_REMEMBERED)
def _found(name: str) -> ZoneInfo:
    found = ZoneInfo(name)  # it also rejects names that lead elsewhere
    return (_packaged(name) or found) if _prefers_package() else found


def trouble(today: dt.date) -> str | None:
    """Describe the problem if the rules in use are too old to rely on."""
    used = max(filter(None, (system_version(), package_version())), default=None)
    if all(_is_right(*probe) for probe in _PROBES) and not _is_behind(used, today):
        return None
    version = f"of {used[0]}{used[2]}" if used else "of an unknown version"
    return (
        f"the time zone rules on this machine are {version}; countries have changed theirs since, "
        "and local times there are off by an hour: pip install -U tzdata, or update the system's"
    )


def _is_right(name: str, moment: dt.datetime, offset: dt.timedelta) -> bool:
    try:
        return moment.astimezone(zone(name)).utcoffset() == offset
    except ConfigurationError:
        return False


def _is_behind(used: Version | None, today: dt.date) -> bool:
    """Tell whether the rules lack a whole calendar year."""
    return used is not None and used[0] < today.year - 1


def system_version() -> Version | None:
    """Return the version of the system's database; ``None`` if it is missing or unknown."""
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
    """Return the version of the package tzdata; ``None`` if it is not installed."""
    try:
        return _version(str(import_module("tzdata").IANA_VERSION))
    except (ImportError, AttributeError):
        return None


def _version(text: str) -> Version | None:
    found = _VERSION.search(text)
    return None if found is None else (int(found[1]), len(found[2]), found[2])


@lru_cache(1)
def _prefers_package() -> bool:
    """Tell whether the package is newer; it is pinned, so it wins if the other's age is unknown."""
    packaged = package_version()
    return packaged is not None and packaged > (system_version() or (0, 0, ""))


def _packaged(name: str) -> ZoneInfo | None:
    try:
        file = resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb")
    except (OSError, ImportError):
        return None
    with file:
        return _Packaged.from_file(file, key=name)
