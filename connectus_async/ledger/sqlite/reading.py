"""A ledger, opened to be read: also while a campaign writes it, and never changed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from connectus_async.errors import LedgerError
from connectus_async.ledger.sqlite.connection import check_whole, connect
from connectus_async.ledger.sqlite.ledger import APPLICATION_ID, SCHEMA_VERSION

LOCK_TIMEOUT: Final = 5.0
"""Seconds to wait for a ledger that another program has locked for a moment."""

MESSAGES: Final = """
SELECT id, key, line, kind, recipient, body, billed, state, reason, attempts, provider_id,
       started_at, ended_at, delivery_status, delivered_at
FROM message LIMIT 0
"""
FACTS: Final = "SELECT name, value FROM campaign"
BEGIN: Final = "BEGIN"
APPLICATION: Final = "PRAGMA application_id"
VERSION: Final = "PRAGMA user_version"
NO_CAMPAIGN: Final = "is not a ledger: it holds no campaign"

_PROBLEMS: Final = {
    sqlite3.SQLITE_NOTADB: "is not a ledger: it is no SQLite file",
    sqlite3.SQLITE_ERROR: NO_CAMPAIGN,
    sqlite3.SQLITE_BUSY: "is locked by another program: try again when that has ended",
    sqlite3.SQLITE_CORRUPT: "is damaged and cannot be read to its end",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: a ledger's folder must be writable to read it",
    sqlite3.SQLITE_FULL: "cannot be read: the disk for temporary files is full",
}


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a ledger as it stands at this moment; what is written to it later does not show.

    Args:
        path: Where it is.

    Returns:
        A connection that cannot write, in a transaction, to be closed by the caller.

    Raises:
        LedgerError: There is no such file, it is no ledger, without its log, or cannot be read.
    """
    if not path.is_file():
        raise LedgerError(path.name, "there is no such file")
    with _problems_named(path):
        connection = connect(path, "ro", LOCK_TIMEOUT)
        try:
            connection.execute(BEGIN)
            _check_kind(connection, path)
            connection.execute(MESSAGES)
            check_whole(dict(connection.execute(FACTS)), path)
        except BaseException:
            connection.close()
            raise
    return connection


def _check_kind(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute(APPLICATION).fetchone()
    (version,) = connection.execute(VERSION).fetchone()
    if application != APPLICATION_ID:
        raise LedgerError(path.name, NO_CAMPAIGN)
    if version > SCHEMA_VERSION:
        raise LedgerError(path.name, "was made by a newer connectus-async: upgrade to read it")


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Read a ledger in a block; what SQLite cannot read in it is a `LedgerError` too."""
    with closing(open_for_reading(path)) as connection, _problems_named(path):
        yield connection


@contextmanager
def _problems_named(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        problem = _PROBLEMS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        raise LedgerError(path.name, problem or f"cannot be read: {error}") from error
