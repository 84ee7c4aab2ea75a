"""Which number a key has in a ledger: the newest keys in memory, all others in a sorted table.

A key is random, so an index that takes each at once changes a page of its own for almost every
message: more bytes than the messages themselves, and more with each message that is there. Here
the newest wait in memory and go in together, in order.

What waits is on the disk with its message: whoever opens the ledger puts it in first.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from connectus_async import _json

MOST_IN_MEMORY: Final = 1 << 15
"""Keys before they go into the table, some 6 MiB with what merging takes. At a million messages
that is 8 µs for each; twice as many are 5."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS known_key (key TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS forget_key AFTER DELETE ON message WHEN old.key IS NOT NULL
BEGIN DELETE FROM known_key WHERE key = old.key; END;
CREATE TRIGGER IF NOT EXISTS forget_old_key AFTER UPDATE OF key ON message
BEGIN DELETE FROM known_key WHERE key = old.key; END;
"""
"""A message may be deleted by hand, to have it sent again: so the table forgets it by itself. What
else is changed by hand shows in the number of the keys, when the ledger is opened."""

IS_NEW: Final = "NOT EXISTS (SELECT 1 FROM known_key WHERE key = {key})"
"""The condition that a key is not in the table. In a statement that inserts it costs no second
one, whose result would have to wait for the interpreter's lock."""

FIND: Final = "SELECT key, id FROM known_key WHERE key IN (SELECT value FROM json_each(?))"

MERGE: Final = """
INSERT INTO known_key
SELECT key, id FROM message WHERE key IS NOT NULL AND id > ? AND id <= ? ORDER BY key
"""
HIGHEST: Final = "SELECT coalesce(max(id), 0) FROM message"
HIGHEST_IN_TABLE: Final = "SELECT coalesce(max(id), 0) FROM known_key"
IS_WHOLE: Final = """
SELECT (SELECT count(key) FROM message) = (SELECT count(*) FROM known_key)
"""
CLEAR: Final = "DELETE FROM known_key"


class KeyIndex:
    """The keys of one ledger. Numbers have to grow with each message that is put down.

    What changes the table, the caller makes a transaction.
    """

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._highest = 0  # of those that are in the table

    def take_up(self, connection: sqlite3.Connection) -> None:
        """Put all keys into the table; make it anew if somebody changed the ledger by hand."""
        ((self._highest,),) = connection.execute(HIGHEST_IN_TABLE)
        self.merge(connection)
        ((is_whole,),) = connection.execute(IS_WHOLE)
        if not is_whole:
            connection.execute(CLEAR)
            self._highest = 0
            self.merge(connection)

    @property
    def is_full(self) -> bool:
        """Whether it is time to merge."""
        return len(self._newest) >= MOST_IN_MEMORY

    def add(self, keys: Sequence[tuple[str, int]]) -> set[int]:
        """Note keys that are about to be put down.

        Returns:
            The numbers of those that are among the newest already, with another number. Of those
            that are in the table, the statement with `IS_NEW` has to tell.
        """
        newest = self._newest
        return {number for key, number in keys if newest.setdefault(key, number) != number}

    def find(self, connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, int]:
        """Find the numbers of keys; those that were added though the table has them are mended."""
        found = dict(connection.execute(FIND, (_json.dumps(keys).decode(),)))
        for key in found:
            self._newest.pop(key, None)
        newest = self._newest
        return found | {key: newest[key] for key in keys if key in newest}

    def forget(self, keys: Iterable[str]) -> None:
        """Forget keys of messages that were deleted; from the table they are gone already."""
        for key in keys:
            self._newest.pop(key, None)

    def merge(self, connection: sqlite3.Connection) -> None:
        """Put into the table what the ledger has beyond it."""
        ((highest,),) = connection.execute(HIGHEST)
        connection.execute(MERGE, (self._highest, highest))
        self._highest = highest
        self._newest.clear()
