"""Opening of a ledger's file, and the one rule by which its log is moved into it.

SQLite 3.7.0 to 3.51.2 has a fault (https://sqlite.org/wal.html#walresetbug): a checkpoint that goes
on while another connection commits and begins the write-ahead log anew can leave the file damaged.
So there is one rule for every connection of this package:

**A checkpoint is made while the write lock is held, and by the holder of the ledger alone.**

- No connection makes one by itself: all have ``wal_autocheckpoint = 0``.
- The holder (of the `LedgerLock`: the sender) takes the write lock with one connection and has
  another make a passive checkpoint: nobody can commit meanwhile, and no reader is waited for. The
  modes that take the write lock themselves (FULL, RESTART, TRUNCATE) go on as passive ones where
  they do not get it in time, and wait for readers with the lock held; so only TRUNCATE is used, and
  only when the ledger is closed, after the write lock was free.
- Whoever writes without a sender beside it (delivery statuses, for days after a campaign) becomes
  the holder for that moment; where there is a sender, that one makes the checkpoints.
- The last connection that is closed makes one too. SQLite takes the file for itself then: nobody
  else has it open, and whoever wants to waits.

SQLite knows a log by the name of its file alone. Who opens a ledger by another name (a hard link, a
bind mount of the file), or has moved or copied it without its log, sees it as it was at the last
checkpoint, and would send to all since then again. So the holder writes down in the ledger whether
its log has more than the file: `BEHIND` right before each checkpoint, which moves it into the file,
and `WHOLE` right after it, which stays in the log. Who finds `BEHIND` and no log has half a ledger.

A path is made absolute before SQLite sees it: ``:memory:``, ``file:…`` and the empty name mean
something else to it than a file.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from connectus_async.errors import LedgerError
from connectus_async.ledger.sqlite.lock import LedgerLock, was_held_in_fork

BUSY_SECONDS: Final = 5.0
PAGES: Final = 1_000
"""Pages in the log before they are moved: what SQLite does by itself."""

LOG: Final = "log"
"""The fact of the campaign that says whether the file has all, or its log has more."""

BEHIND: Final = "has more"
WHOLE: Final = "was read"
MARK: Final = """
INSERT INTO campaign VALUES ('log', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
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
    """Open a ledger's file; no connection that this gives makes a checkpoint unasked.

    Args:
        path: Where it is.
        mode: ``ro`` to read it, ``rw`` to write one that is there, ``rwc`` to make it as well.
        timeout: Seconds to wait for a lock.

    Raises:
        LedgerError: SQLite in this process has the ledger open from before a fork.
    """
    if was_held_in_fork(path):
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


def check_whole(facts: Mapping[str, str], path: Path) -> None:
    """See that a ledger is not without its log; before anything is written, which begins another.

    Raises:
        LedgerError: It is.
    """
    if facts.get(LOG) != BEHIND:
        return
    file = path.resolve()  # SQLite has the log beside what a symbolic link is to
    log = file.with_name(f"{file.name}-wal")
    if not (log.exists() and log.stat().st_size):
        raise LedgerError(path.name, LOG_MISSING.format(log=log.name))


class Checkpoints:
    """The checkpoints of one writing connection, as soon as its log has some thousand pages.

    Pages cannot be counted from here, but rows: the last checkpoint tells how many pages they took.

    Args:
        path: The ledger.
        connection: The connection that writes it.
        is_holder: The connection belongs to the holder of the ledger's lock.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, *, is_holder: bool) -> None:
        self._path = path
        self._connection = connection
        self._is_holder = is_holder
        self._changes = FIRST_CHANGES
        self._since = connection.total_changes
        self.due_at = self._since + FIRST_CHANGES

    def make(self) -> None:
        """Move the log into the file; what cannot be done now is done later.

        Call it where ``connection.total_changes`` has come to `due_at`, and no transaction is open.
        """
        pages = self._moved_and_marked() if self._is_holder else self._moved_as_holder()
        now = self._connection.total_changes
        if pages:
            wanted = (now - self._since) * PAGES // pages
            self._changes = min(max(wanted, FEWEST_CHANGES), MOST_CHANGES)
        self._since = now
        self.due_at = now + self._changes

    def make_first(self) -> None:
        """Have the file tell from now on, before anything is sent, that its log has more."""
        self._moved_and_marked()
        self._since = self._connection.total_changes
        self.due_at = self._since + self._changes

    def make_last(self) -> None:
        """Empty the log before the holder's connection is closed."""
        with suppress(sqlite3.OperationalError):  # somebody writes for long: what is there stays
            self._connection.execute(MARK, (WHOLE,))
            with _writing(self._connection):
                pass
            self._connection.execute(LAST_CHECKPOINT)

    def _moved_and_marked(self) -> int:
        try:
            self._connection.execute(MARK, (BEHIND,))
            pages = self._moved()
            self._connection.execute(MARK, (WHOLE,))
        except sqlite3.OperationalError:  # somebody else writes just now
            return 0
        return pages

    def _moved_as_holder(self) -> int:
        lock = LedgerLock(self._path)
        try:
            lock.acquire(for_a_moment=True)
        except LedgerError:
            return 0  # its sender makes them
        try:
            return self._moved()
        except sqlite3.Error:
            return 0  # what is written next meets it too, and says so
        finally:
            lock.release()

    def _moved(self) -> int:
        """Make a checkpoint; returns how many pages the log had."""
        try:
            with _writing(self._connection), closing(connect(self._path, "rw")) as other:
                ((_, pages, _),) = other.execute(CHECKPOINT)
        except sqlite3.OperationalError:  # somebody else writes just now
            return 0
        return max(0, int(pages))


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the write lock, and write nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
