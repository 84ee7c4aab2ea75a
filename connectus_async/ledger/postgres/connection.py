"""Connections to a database, each with the settings that a ledger relies on."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, TypeAlias, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from connectus_async.errors import LedgerError
from connectus_async.ledger.postgres import problems, schema
from connectus_async.ledger.postgres.address import Address

T = TypeVar("T")
AsyncConnection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Cursor: TypeAlias = psycopg.AsyncCursor[tuple[Any, ...]]

TRIES: Final = 5
"""Of a transaction that meets others."""

CONNECT_SECONDS: Final = 10
SILENT_SECONDS: Final = 10
"""Seconds after which a connection that answers nothing is given up."""

PARAMETERS: Final[dict[str, str | int]] = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": SILENT_SECONDS * 1_000,
    "fallback_application_name": "connectus-async",
}

SETTINGS: Final = {
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "search_path": schema.NAME,
    "client_encoding": "UTF8",
    "jit": "off",
}
"""A role or a database may have others. Without ``synchronous_commit`` a crash of the server loses
committed rows, and each lost row is a second message. To compile a statement takes seconds."""

_SET: Final = f"SELECT {', '.join('set_config(%s, %s, false)' for _ in SETTINGS)}"
_SET_IDLE: Final = "SELECT set_config('idle_in_transaction_session_timeout', %s, false)"
_VALUES: Final = [part for setting in SETTINGS.items() for part in setting]


def conninfo(address: Address) -> str:
    """Add the parameters that an address leaves open.

    Raises:
        LedgerError: Libpq cannot read the address.
    """
    try:
        given: dict[str, Any] = {**PARAMETERS, **conninfo_to_dict(address.conninfo)}
        return make_conninfo(**given)
    except psycopg.ProgrammingError:
        raise LedgerError(address.name, problems.UNREADABLE_ADDRESS) from None


async def connect(address: Address, *, idle_seconds: float = 0) -> AsyncConnection:
    """Open a connection of the event loop. Each statement is a transaction of its own.

    Args:
        address: The database.
        idle_seconds: Seconds after which the server ends a transaction, and the connection, if its
            next statement does not come; 0 for never.

    Raises:
        psycopg.Error: The database cannot be reached or used.
    """
    connection = await psycopg.AsyncConnection.connect(
        conninfo(address), autocommit=True, prepare_threshold=1
    )
    try:
        await connection.execute(_SET, _VALUES)
        await connection.execute(_SET_IDLE, (f"{idle_seconds * 1_000:.0f}",))
    except BaseException:
        await connection.close()
        raise
    return connection


def connect_blocking(address: Address) -> Connection:
    """Open a connection of a thread. See `connect`."""
    connection = psycopg.connect(conninfo(address), autocommit=True, prepare_threshold=1)
    try:
        connection.execute(_SET, _VALUES)
    except BaseException:
        connection.close()
        raise
    return connection


async def repeated(transaction: Callable[[], Awaitable[T]]) -> T:
    """Run a transaction again that met another one, which wrote the same rows."""
    for _ in range(TRIES - 1):
        with suppress(errors.UniqueViolation, errors.DeadlockDetected):
            return await transaction()
    return await transaction()


@asynccontextmanager
async def undone_on_error(connection: AsyncConnection) -> AsyncIterator[None]:
    """Undo a transaction if the block fails which begins and ends it by statements of its own."""
    try:
        yield
    except BaseException:
        if not connection.closed:
            await connection.rollback()
        raise


def check_version(name: str, version: int) -> None:
    """Check that the tables are of this version.

    Raises:
        LedgerError: They are not.
    """
    if version > schema.VERSION:
        raise LedgerError(name, problems.NEWER.format(version=version))
    if version < schema.VERSION:
        raise LedgerError(name, problems.OLDER)


@contextmanager
def described(address: Address) -> Iterator[None]:
    """Turn an error of the database in a block into a `LedgerError`."""
    try:
        yield
    except (psycopg.Error, OSError) as error:
        raise problems.described(address.name, error) from None
