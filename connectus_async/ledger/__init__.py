"""Memory of a campaign, and the only place that knows how it is stored.

Other packages use the doors in `abc`, the records and the states. A store is a package of its own,
reached by `open_store` alone.
"""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from connectus_async.errors import ConfigurationError
from connectus_async.ledger.places import LEDGER_SUFFIX as LEDGER_SUFFIX
from connectus_async.ledger.places import is_address as is_address

if TYPE_CHECKING:
    from connectus_async.errors import LedgerError
    from connectus_async.ledger.abc import LedgerStore
    from connectus_async.ledger.postgres.address import Address

T = TypeVar("T")


def open_store(where: str | PathLike[str], *, lease: float | None = None) -> "LedgerStore":
    """Find the store of a ledger; nothing is read or created yet.

    Args:
        where: The path of its file, or its address in a PostgreSQL database.
        lease: Seconds after which a holder of a ledger in a database is given up, if nothing is
            heard of it. Default 10. A file has one holder, which keeps it.

    Raises:
        ConfigurationError: It is neither, or PostgreSQL needs the extra ``postgres``.
    """
    if is_address(where):
        _check_extra()
        from connectus_async.ledger.postgres.store import PostgresStore  # noqa: PLC0415 - an extra

        return PostgresStore(where) if lease is None else PostgresStore(where, lease=lease)
    from connectus_async.ledger.sqlite.store import SqliteStore  # noqa: PLC0415 - one of several

    try:
        return SqliteStore(Path(where))
    except TypeError:
        raise ConfigurationError("ledger", "must be a path or an address") from None


def name_of(where: str | PathLike[str]) -> str:
    """Name the place of a ledger as messages do: without its folder, or user and password."""
    return parse_address(where).name if is_address(where) else Path(where).name


def with_campaign(where: T, campaign: str) -> T | str:
    """Add the name of its campaign to the place of a ledger, if that is an address without one."""
    if not (is_address(where) and campaign):
        return where
    from connectus_async.ledger.postgres import address  # noqa: PLC0415 - for few ledgers

    return address.with_campaign(where, campaign)


def campaigns_in(where: str | PathLike[str]) -> "list[Path | str]":
    """List the places of all campaigns of a folder or a database. Blocks.

    Args:
        where: The path of the folder, or the address of a PostgreSQL database. A file in the
            folder is a ledger by its content, or if its name ends in ``.ledger.db``.

    Returns:
        Paths in the order of their names, or addresses, the oldest campaign first.

    Raises:
        ConfigurationError: It is neither, or the extra ``postgres`` is missing.
        LedgerError: The folder or the database cannot be read.
    """
    if not is_address(where):
        from connectus_async.ledger.sqlite.folder import ledgers_in  # noqa: PLC0415 - for few commands

        if not Path(where).is_dir():
            raise ConfigurationError("folder", f"there is no folder {where}")
        return [*ledgers_in(Path(where))]
    address = parse_address(where)
    _check_extra()
    from connectus_async.ledger.postgres import reader  # noqa: PLC0415 - as above

    return [with_campaign(where, name) for name in reader.names(address)]


def parse_address(where: str) -> "Address":
    """Take the address of a ledger in a database apart.

    Raises:
        ConfigurationError: It is no such address.
    """
    from connectus_async.ledger.postgres.address import parse  # noqa: PLC0415 - as above

    return parse(where)


def conninfo(where: str) -> str:
    """Give what libpq needs to connect to a database, as a ledger connects to it.

    Raises:
        ConfigurationError: It is no address of a database.
    """
    from connectus_async.ledger.postgres import connection  # noqa: PLC0415 - as above

    return connection.conninfo(parse_address(where))


def database_error(where: str, error: Exception) -> "LedgerError":
    """Describe an error of the database of a ledger in one sentence."""
    from connectus_async.ledger.postgres import problems  # noqa: PLC0415 - as above

    return problems.described(parse_address(where).name, error)


def check_sqlite() -> str:
    """Check that this Python has a SQLite that is new enough, and return its version.

    Raises:
        LedgerError: It is not.
    """
    from connectus_async.ledger.sqlite.holder import check_version  # noqa: PLC0415 - as above

    return check_version("a ledger in a file")


def check_tables(where: str) -> None:
    """Check that a database has the tables of ledgers. Blocks.

    Raises:
        ConfigurationError: It is no address, or the extra ``postgres`` is missing.
        LedgerError: It has none, or cannot be reached.
    """
    address = parse_address(where)
    _check_extra()
    from connectus_async.ledger.postgres import init  # noqa: PLC0415 - as above

    init.check_tables(address)


def create_tables(where: str) -> bool:
    """Make the tables of the ledgers of a PostgreSQL database, unless it has them. Blocks.

    Args:
        where: Its address.

    Returns:
        ``True`` if they were made; ``False`` if they were there.

    Raises:
        ConfigurationError: It is no address, or the extra ``postgres`` is missing.
        LedgerError: They cannot be made.
    """
    address = parse_address(where)
    _check_extra()
    from connectus_async.ledger.postgres import init  # noqa: PLC0415 - as above

    return init.create_tables(address)


def _check_extra() -> None:
    from connectus_async.extras import library  # noqa: PLC0415 - as above

    library("ledger", "psycopg", extra="postgres")
