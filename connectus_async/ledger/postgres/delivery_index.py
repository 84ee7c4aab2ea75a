"""Index that finds an SMS by its provider id. The first writer of delivery statuses makes it.

Nobody who sends waits for it longer than a moment: a large table is indexed CONCURRENTLY. That
waits until all transactions that are open in the database have ended, so a small table, which takes
no time, is indexed in the plain way. Two that are made CONCURRENTLY at a time block each other, and
one that was interrupted stays and is of no use; so one connection at a time makes it, and removes
such a one first.
"""

import time
from typing import Final

from psycopg import errors

from connectus_async.errors import LedgerError
from connectus_async.ledger.postgres import problems, schema
from connectus_async.ledger.postgres.connection import Connection

FOLDED: Final = 'lower({} COLLATE "C")'
"""Form of a provider id in which it is looked for. Only the 26 letters of ASCII are folded, and no
locale changes the order of the index."""

NAME: Final = f"{schema.NAME}.outcome_provider_id"
INDEX: Final = (
    f"outcome_provider_id ON {schema.NAME}.outcome ({FOLDED.format('provider_id')})"
    " WHERE provider_id IS NOT NULL"
)
CREATE: Final = f"CREATE INDEX IF NOT EXISTS {INDEX}"
CREATE_SLOWLY: Final = f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {INDEX}"
DROP: Final = f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}"

IS_VALID: Final = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"
SIZE: Final = "SELECT pg_relation_size(%s)"

SMALL: Final = 2**23
"""Bytes of a table that is indexed in some tenths of a second."""

LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = '1s'"
"""While somebody else keeps the table, as a load does, everyone waits who asks after us."""

LOCK: Final = "SELECT pg_try_advisory_lock(%s)"
UNLOCK: Final = "SELECT pg_advisory_unlock(%s)"
LOCK_NUMBER: Final = int.from_bytes(b"connects", "big")
PAUSE: Final = 0.1


def make(connection: Connection, name: str) -> None:
    """Make the index, unless it is there.

    Args:
        connection: A connection outside of a transaction.
        name: The ledger, for messages.

    Raises:
        LedgerError: It is missing, and the user may not make it. Close the connection after any
            error, since that frees the lock.
    """
    while not _is_valid(connection):
        ((is_ours,),) = connection.execute(LOCK, (LOCK_NUMBER,))
        if not is_ours:
            time.sleep(PAUSE)  # to wait for the lock would block the other one
            continue
        try:
            if not _is_valid(connection):
                _build(connection)
        except errors.InsufficientPrivilege:
            statements = f"{DROP}; {CREATE_SLOWLY}"
            raise LedgerError(name, problems.NEEDS_INDEX.format(statements=statements)) from None
        connection.execute(UNLOCK, (LOCK_NUMBER,))


def _is_valid(connection: Connection) -> bool:
    row = connection.execute(IS_VALID, (NAME,)).fetchone()
    return row is not None and bool(row[0])


def _build(connection: Connection) -> None:
    connection.execute(DROP)
    ((size,),) = connection.execute(SIZE, (f"{schema.NAME}.outcome",))
    if size <= SMALL:
        try:
            with connection.transaction():
                connection.execute(LOCK_TIMEOUT)
                connection.execute(CREATE)
        except errors.LockNotAvailable:
            pass
        else:
            return
    connection.execute(CREATE_SLOWLY)
