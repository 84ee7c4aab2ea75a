"""Connections to a ledger's file, and the one rule by which its log is moved into it.

SQLite 3.7.0 to 3.51.2 has a fault (https://sqlite.org/wal.html#walresetbug): a checkpoint during
which another connection commits and restarts the write-ahead log can leave the file damaged. So
there is one rule for every connection of this package:

**Only the holder makes checkpoints, and only with the write lock of the file taken.**

- No connection makes one by itself: all have ``wal_autocheckpoint = 0``.
- The holder (of the `LedgerLock`) takes the write lock with one connection, and makes a passive
  checkpoint with another: nobody can commit meanwhile, and no reader is waited for. The modes that
  take the write lock themselves (FULL, RESTART, TRUNCATE) go on as passive ones if they do not get
  it in time, and keep the lock while they wait for readers; so only TRUNCATE is used, and only when
  the ledger is closed, after the write lock was free.
- The writer of delivery statuses, which goes on for days after a campaign, becomes the holder for
  that moment; if there is another holder, that one makes the checkpoints.
- The last connection that is closed makes one too. SQLite locks the whole file then: nobody else
  has it open, and everyone else waits.

SQLite finds a log by the name of its file alone. A ledger that is opened by another name (a hard
link, a bind mount of the file), or was moved or copied without its log, looks as it did at the last
checkpoint, and everyone since then would be sent to again. So the holder records in the ledger
whether its log has more than the file: `BEHIND` right before each checkpoint, which moves it into
the file, and `WHOLE` right after it, which stays in the log. `BEHIND` without a log is half a
ledger.

A path is made absolute before SQLite gets it, which does not take ``:memory:``, ``file:…`` and the
empty name for files.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

from connectus_async.errors import LedgerError
from connectus_async.ledger.sqlite import metadata
from connectus_async.ledger.sqlite.lock import LedgerLock, was_open_in_fork

Task: TypeAlias = Callable[[sqlite3.Connection], Any]
"""Function that uses a connection, in the thread that has it."""

BUSY_SECONDS: Final = 5.0
PAGES: Final = 1_000
"""Pages in the log before they are moved: the default of SQLite."""

BEHIND: Final = "has more"
WHOLE: Final = "was read"
"""Values of the metadata `LOG`."""

LOG_MISSING: Final = (
    "is without its log, the file {log} that was beside it, so it does not know all who were"
    " reached: bring the two together again; if another program has it open by another name, wait"
    " for that and use that name"
)

LOST: Final = "was open when this process was forked: start this process again"

FEWEST_CHANGES: Final = 64
MOST_CHANGES: Final = 65_536
FIRST_CHANGES: Final = 1_024

NO_CHECKPOINTS: Final = "PRAGMA wal_autocheckpoint = 0"
CHECKPOINT: Final = "PRAGMA wal_checkpoint(PASSIVE)"
LAST_CHECKPOINT: Final = "PRAGMA wal_checkpoint(TRUNCATE)"


def connect(path: Path, mode: str = "rwc", timeout: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open a ledger's file. The connection makes no checkpoint by itself.

    Args:
        path: The file.
        mode: ``ro`` to read it, ``rw`` to write one that is there, ``rwc`` to create it as well.
        timeout: Seconds to wait for a lock.

    Raises:
        LedgerError: SQLite in this process has had the ledger open since before a fork.
    """
    if was_open_in_fork(path):
        raise LedgerError(path.name, LOST)
    place = path.absolute()
    is_made = mode == "rwc"
    address = str(place) if is_made else f"{place.as_uri()}?mode={mode}"
    connection = sqlite3.connect(address, uri=not is_made, isolation_level=None, timeout=timeout)
    try:
        connection.execute(NO_CHECKPOINTS)
    except BaseException:
        connection.close()
        raise
    return connection


def mark(connection: sqlite3.Connection, log: str) -> None:
    """Record in a ledger whether its log has more than the file: `BEHIND` or `WHOLE`."""
    metadata.write(connection, {metadata.LOG: log})


def check_whole(found: Mapping[str, str], path: Path) -> None:
    """Check that a ledger has its log, before anything is written, which begins another.

    Raises:
        LedgerError: The log is missing.
    """
    if found.get(metadata.LOG) != BEHIND:
        return
    file = path.resolve()  # SQLite keeps the log beside the target of a symbolic link
    log = file.with_name(f"{file.name}-wal")
    if not (log.exists() and log.stat().st_size):
        raise LedgerError(path.name, LOG_MISSING.format(log=log.name))


class Checkpoints:
    """Checkpoints of one writing connection, made when its log has some thousand pages.

    Pages cannot be counted from here, but rows can: the last checkpoint tells how many pages they
    took.

    Args:
        path: The ledger.
        connection: The connection that writes it.
        is_holder: The connection is the holder's.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, *, is_holder: bool) -> None:
        self._path = path
        self._connection = connection
        self._is_holder = is_holder
        self._changes = FIRST_CHANGES
        self._since = connection.total_changes
        self.due_at = self._since + FIRST_CHANGES

    def make(self) -> None:
        """Move the log into the file, now or by a later call.

        Call it when ``connection.total_changes`` has reached `due_at` and no transaction is open.
        """
        pages = self._moved_and_marked() if self._is_holder else self._moved_as_holder()
        now = self._connection.total_changes
        if pages:
            wanted = (now - self._since) * PAGES // pages
            self._changes = min(max(wanted, FEWEST_CHANGES), MOST_CHANGES)
        self._since = now
        self.due_at = now + self._changes

    def make_first(self) -> None:
        """Record in the file, before anything is sent, that its log has more."""
        self._moved_and_marked()
        self._since = self._connection.total_changes
        self.due_at = self._since + self._changes

    def make_last(self) -> None:
        """Empty the log before the holder's connection is closed."""
        with suppress(sqlite3.OperationalError):  # another writer takes long: the log stays
            mark(self._connection, WHOLE)
            with _writing(self._connection):
                pass
            self._connection.execute(LAST_CHECKPOINT)

    def _moved_and_marked(self) -> int:
        try:
            mark(self._connection, BEHIND)
            pages = self._moved()
            mark(self._connection, WHOLE)
        except sqlite3.OperationalError:  # another connection is writing
            return 0
        return pages

    def _moved_as_holder(self) -> int:
        lock = LedgerLock(self._path)
        try:
            lock.acquire(for_a_moment=True)
        except LedgerError:
            return 0  # the holder makes them
        try:
            return self._moved()
        except sqlite3.Error:
            return 0  # the next write meets it too, and reports it
        finally:
            lock.release()

    def _moved(self) -> int:
        """Make a checkpoint; return the number of pages that the log had."""
        try:
            with _writing(self._connection), closing(connect(self._path, "rw")) as other:
                ((_, pages, _),) = other.execute(CHECKPOINT)
        except sqlite3.OperationalError:  # another connection is writing
            return 0
        return max(0, int(pages))


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Keep the write lock, and write nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
