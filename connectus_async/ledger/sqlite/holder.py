"""A ledger's file as its holder has it open."""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from connectus_async.errors import LedgerError
from connectus_async.ledger.records import Policy
from connectus_async.ledger.sqlite import again, metadata, resuming, schema
from connectus_async.ledger.sqlite.connection import Checkpoints, Task, connect
from connectus_async.ledger.sqlite.key_index import KeyIndex
from connectus_async.ledger.sqlite.lock import LedgerLock

OLDEST_SQLITE: Final = (3, 38, 0)

IS_HOLDER: Final = f"SELECT (SELECT value FROM campaign WHERE name = '{metadata.HOLDER}') IS ?"
"""Tells whether nobody has opened the ledger since. Deleting the lock's file would allow that,
and each holder would send what both begin."""


HIGHEST: Final = """
SELECT max((SELECT coalesce(max(id), 0) FROM entry), (SELECT coalesce(max(id), 0) FROM outcome),
           (SELECT max(upto) FROM begun))
"""
"""A new message gets a number above the watermark, or it would count as begun."""


class HolderFile:
    """Connection of the holder, for its writer thread alone.

    Args:
        path: The ledger, by the name that the user knows.
        file: Its absolute path.
        connection: The connection.
        holder: The token of this holder.

    Attributes:
        path: The ledger, by the name that the user knows.
        connection: The connection.
        holder: The token of this holder.
        keys: The keys of the messages.
        next_number: The first number that no message had when it was opened.
    """

    def __init__(self, path: Path, file: Path, connection: sqlite3.Connection, holder: str) -> None:
        self.path = path
        self.connection = connection
        self.holder = holder
        self.keys = KeyIndex()
        self.transaction(self.keys.prepare)
        self._file = file
        self._place = _place(file.resolve())
        ((highest,),) = connection.execute(HIGHEST)
        self.next_number = int(highest) + 1

    def checkpoints(self) -> Checkpoints:
        """Make the first checkpoint, and the schedule of those that follow."""
        checkpoints = Checkpoints(self._file, self.connection, is_holder=True)
        checkpoints.make_first()
        return checkpoints

    def transaction(self, task: Task) -> Any:
        """Run a function in a transaction. A cursor that it returns is read to its end.

        Raises:
            LedgerError: Somebody else has become the holder.
        """
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        self.check_holder()
        answer = task(connection)
        result = answer.fetchall() if isinstance(answer, sqlite3.Cursor) else answer
        connection.execute("COMMIT")
        return result

    def check_holder(self) -> None:
        """Check in a transaction that nobody else has become the holder.

        Raises:
            LedgerError: Somebody has.
        """
        ((is_holder,),) = self.connection.execute(IS_HOLDER, (self.holder,))
        if not is_holder:
            raise self.was_changed()

    def was_changed(self) -> LedgerError:
        """Make the error for a ledger that is not as its holder left it."""
        return LedgerError(self.path.name, "was changed by somebody else amid the campaign")

    def check_place(self) -> None:
        """Check that the file is where the next sender looks for it, or it would send all again.

        Raises:
            LedgerError: It is not.
        """
        if self._place is not None and _place(self._place[0]) != self._place:
            raise LedgerError(
                self.path.name, "was moved or deleted amid the campaign: nothing more is sent"
            )


@contextmanager
def open_as_holder(path: Path, policy: Policy) -> Iterator[HolderFile]:
    """Open a ledger's file as its holder, and create it if there is none.

    Raises:
        LedgerError: It is in use, no ledger, of another campaign, or cannot be written.
    """
    check_version(path.name)
    file = path.absolute()
    if file.exists() and not file.is_file():
        raise LedgerError(path.name, "is not a file: choose another path")
    lock = LedgerLock(path)
    lock.acquire()
    try:
        _create_private(file)
        with closing(connect(file)) as connection:
            holder = secrets.token_hex(8)
            _prepare(connection, path, policy, holder)
            yield HolderFile(path, file, connection, holder)
    finally:
        lock.release()


def check_version(name: str) -> str:
    """Check that SQLite is new enough for a ledger, and return its version.

    Raises:
        LedgerError: It is not.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE[:2]))
        raise LedgerError(name, f"needs SQLite {wanted}; this Python has {sqlite3.sqlite_version}")
    return sqlite3.sqlite_version


def _prepare(connection: sqlite3.Connection, path: Path, policy: Policy, holder: str) -> None:
    version = schema.create(connection, path)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA secure_delete = {'ON' if policy.forgets_content else 'OFF'}")
    resuming.check_campaign(connection, path, policy)
    schema.upgrade(connection, version)
    again.prepare(connection)
    # Before anything is read that another holder could still change.
    metadata.write(connection, {metadata.HOLDER: holder})
    resuming.resume(connection, policy)


def _create_private(file: Path) -> None:
    """Create the file, readable by its owner alone, before SQLite makes it readable by all."""
    if not file.exists():
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


def _place(path: Path) -> tuple[Path, int, int] | None:
    """Tell the place of a file, and which file it is; ``None`` if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return path, found.st_dev, found.st_ino
