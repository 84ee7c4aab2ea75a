"""Storage of one-time passwords in a file that the processes of a machine share, with SQLite."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from os import PathLike
from pathlib import Path
from typing import Final

from connectus_async.otp.storage import OtpStorageError

BUSY_SECONDS: Final = 10.0
APPLICATION_ID: Final = 0x436F4F50  # "CoOP"

_SCHEMA: Final = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    "CREATE TABLE entry (key TEXT PRIMARY KEY, value BLOB NOT NULL, until REAL NOT NULL)",
    "CREATE INDEX entry_until ON entry (until)",
)


class FileOtpStorage:
    """Storage in a file, which several processes of a machine can use at a time.

    Only its owner may read the file. A value is on the disk before its code is sent. It must be a
    local file, not one of a network.

    Args:
        path: The path of the file. It is made if it is not there; its folder must be.

    Example:
        otp = connectus.otp(storage=FileOtpStorage("/var/lib/shop/codes.db"))
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = Path(path)

    def get(self, key: str) -> bytes | None:
        """See `OtpStorage.get`.

        Raises:
            OtpStorageError: The file cannot be used.
        """
        with self._opened() as connection:
            return _get(connection, key)

    def replace(self, key: str, old: bytes | None, new: bytes | None, seconds: float) -> bool:
        """See `OtpStorage.replace`.

        Raises:
            OtpStorageError: The file cannot be used. The value is as it was.
        """
        with self._opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            if _get(connection, key) != old:
                return False
            now = time.time()
            connection.execute("DELETE FROM entry WHERE until <= ? OR key = ?", (now, key))
            if new is not None:
                connection.execute("INSERT INTO entry VALUES (?, ?, ?)", (key, new, now + seconds))
            connection.execute("COMMIT")
            return True

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Open it anew each time: a connection belongs to one thread and one process."""
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
            with closing(connection):
                _prepare(connection)
                yield connection
        except sqlite3.Error as error:
            raise OtpStorageError(f"{self._path.name}: {error}") from None
        except OSError as error:
            raise OtpStorageError(f"{self._path.name}: {error.strerror}") from None


def _prepare(connection: sqlite3.Connection) -> None:
    if _is_ours(connection):
        return
    connection.execute("BEGIN IMMEDIATE")  # another process may be as far
    if not _is_ours(connection):
        for statement in _SCHEMA:
            connection.execute(statement)
    connection.execute("COMMIT")


def _is_ours(connection: sqlite3.Connection) -> bool:
    # in this order, since another process may make both in between
    ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_schema")
    ((application,),) = connection.execute("PRAGMA application_id")
    if tables and application != APPLICATION_ID:
        raise OtpStorageError("the file is of another program")
    return bool(tables)


def _get(connection: sqlite3.Connection, key: str) -> bytes | None:
    row = connection.execute(
        "SELECT value FROM entry WHERE key = ? AND until > ?", (key, time.time())
    ).fetchone()
    return None if row is None else bytes(row[0])
