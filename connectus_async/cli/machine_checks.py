"""Checks of this machine: credentials, time zones, SQLite, extras, PostgreSQL."""

import datetime as dt
import platform
import re
from collections import defaultdict
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from connectus_async import __version__, tz_database
from connectus_async.cli import env_file, profiles
from connectus_async.cli.checks import LIMIT, Check, Level, within
from connectus_async.cli.credentials import Choice, Place
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import number, translated
from connectus_async.cli.runner import shown
from connectus_async.errors import ConnectusError, LedgerError
from connectus_async.ledger import check_sqlite, check_tables

DISTRIBUTION: Final = "connectus-async"
_REQUIREMENT: Final = re.compile(r"([\w.-]+).*\bextra == ['\"](\w+)['\"]")


def check_program() -> Check:
    """Give the versions of the package and of Python."""
    python = f"Python {platform.python_version()}, {platform.system()}"
    return Check(_("program"), Level.OK, f"{DISTRIBUTION} {__version__}, {python}")


def check_credentials(choice: Choice) -> Iterator[Check]:
    """Say where the credentials come from, and whether others can read them."""
    name = _("credentials")
    match choice.place:
        case Place.NOWHERE:
            yield Check(name, Level.FAIL, _("there are none"), _("Run `connectus login`."))
        case Place.PROFILE:
            found = _("profile {name} of {file}").format(name=choice.profile, file=profiles.path())
            yield Check(name, Level.OK, found)
        case Place.ENVIRONMENT:
            yield Check(name, Level.OK, _("from the environment"))
        case Place.ENV_FILE:
            yield Check(name, Level.OK, _("from .env"))
    file = Path(env_file.NAME)
    if file.is_file() and profiles.is_readable_by_others(file):
        yield Check(
            env_file.NAME, Level.WARN, _("others can read it"), f"chmod 600 {env_file.NAME}"
        )


def check_time_zones() -> Check:
    """Check that the rules of time zones are of this year or the last one."""
    trouble = tz_database.trouble(dt.datetime.now(dt.UTC).date())
    if trouble is None:
        versions = (tz_database.system_version(), tz_database.package_version())
        newest = max(filter(None, versions), default=None)
        return Check(_("time zones"), Level.OK, f"{newest[0]}{newest[2]}" if newest else "")
    return Check(_("time zones"), Level.WARN, translated(trouble))


def check_sqlite_version() -> Check:
    """Check that SQLite is new enough."""
    try:
        return Check("SQLite", Level.OK, check_sqlite())
    except LedgerError as error:
        return Check("SQLite", Level.FAIL, shown(error), _("Use a newer Python."))


def check_extras() -> Iterator[Check]:
    """List the extras with the versions of their libraries."""
    needed = defaultdict(list)
    for requirement in metadata.requires(DISTRIBUTION) or ():
        if (found := _REQUIREMENT.match(requirement)) is not None:
            needed[found[2]].append(found[1])
    for extra, libraries in sorted(needed.items()):
        versions = [_version(library) for library in libraries]
        is_whole = None not in versions
        pairs = zip(libraries, versions, strict=True)
        found_all = ", ".join(f"{library} {version}" for library, version in pairs)
        text = found_all if is_whole else _("not installed")
        yield Check(f"[{extra}]", Level.OK, text)


def check_postgres(address: str) -> Check:
    """Check that a database can be reached, and has the tables of ledgers."""
    advice = _("Check the address, the server, and `connectus ledger init`.")
    try:
        within(LIMIT, check_tables, address)
    except TimeoutError:
        found = _("no answer within {seconds} s").format(seconds=number(LIMIT))
        return Check("PostgreSQL", Level.FAIL, found, advice)
    except ConnectusError as error:
        return Check("PostgreSQL", Level.FAIL, shown(error), advice)
    return Check("PostgreSQL", Level.OK, _("has the tables of ledgers"))


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None
