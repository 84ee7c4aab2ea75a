"""Tables of a database, made once by somebody who has the right to."""

from typing import Final

import psycopg
from psycopg.pq import PGconn, Ping

from connectus_async.errors import LedgerError
from connectus_async.ledger.postgres import problems, schema
from connectus_async.ledger.postgres.address import Address
from connectus_async.ledger.postgres.connection import (
    Connection,
    check_version,
    connect_blocking,
    conninfo,
    described,
)

LOCK: Final = 0x436E6374
"""Number of the lock that keeps two of us from making the same tables."""

_EXISTS: Final = f"SELECT to_regclass('{schema.NAME}.version') IS NOT NULL"


def check_tables(address: Address) -> None:
    """Check that a database has the tables. Blocks.

    Raises:
        LedgerError: It has not, or it cannot be reached.
    """
    with described(address), _connected(address) as connection:
        _check(connection, address)


def create_tables(address: Address) -> bool:
    """Make the tables of a database, unless it has them. Blocks.

    Returns:
        ``True`` if they were made; ``False`` if they were there.

    Raises:
        LedgerError: The database cannot be reached, the user may make no schema in it, or its
            tables are of another version.
    """
    with described(address), _connected(address) as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        (exists,) = connection.execute(_EXISTS).fetchone() or (False,)
        if not exists:
            connection.execute(schema.CREATE, prepare=False)  # several statements at once
            return True
        _check(connection, address)
        return False


def _check(connection: Connection, address: Address) -> None:
    for (version,) in connection.execute(schema.FIND_VERSION):
        check_version(address.name, version)


def _connected(address: Address) -> Connection:
    """Connect. A server says only in its own language why it refuses to."""
    try:
        return connect_blocking(address)
    except psycopg.OperationalError:
        if PGconn.ping(conninfo(address).encode()) == Ping.OK:
            raise LedgerError(address.name, problems.KEPT_OUT) from None
        raise
