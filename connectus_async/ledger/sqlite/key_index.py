"""Index from keys to numbers: the newest keys in memory, all others in a sorted table.

A key is random, so an index that takes each at once changes a page of its own for almost every
message: more bytes than the messages themselves, and more with each message that is there. Here
the newest wait in memory and go in together, in order.

A key that waits is on disk with its message: the next holder puts it into the table first. Since
each look-up in the table would read a page of its own, a filter knows of most new keys that they
are not there, unless there were too many to read when the ledger was opened.

A key must not have control characters: SQLite reads a text in JSON up to the first NUL.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from connectus_async import _json
from connectus_async.ledger.bloom_filter import BloomFilter
from connectus_async.ledger.compact_map import CompactMap

MOST_IN_MEMORY: Final = 1 << 17
"""Keys before they go into the table, some 6 MiB. With a million in it, pages are written 35 times
for 100 messages then; with a quarter as many keys, 109 times."""

FILTER_BYTES: Final = 1 << 21
"""After a million keys, one new key in forty is looked up in the table; after ten million, every
second one."""

MOST_READ: Final = 1 << 17
"""Keys that are read for the filter when a ledger is opened, in a tenth of a second. With more keys
there is no filter: a large campaign is to go on at once."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS known_key (key TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS forget_key AFTER DELETE ON entry WHEN old.key IS NOT NULL
BEGIN DELETE FROM known_key WHERE key = old.key; END;
CREATE TRIGGER IF NOT EXISTS forget_old_key AFTER UPDATE OF key ON entry
BEGIN DELETE FROM known_key WHERE key = old.key; END;
"""
"""A message may be deleted by hand, to have it sent again: so the table forgets it by itself. Other
changes by hand show in the number of keys, when the ledger is opened."""

FIND: Final = "SELECT key, id FROM known_key WHERE key IN (SELECT value FROM json_each(?))"

MERGE: Final = """
INSERT INTO known_key
SELECT key, id FROM entry WHERE key IS NOT NULL AND id > ? AND id <= ? ORDER BY key
"""
HIGHEST: Final = "SELECT coalesce(max(id), 0) FROM entry"
HIGHEST_IN_TABLE: Final = "SELECT coalesce(max(id), 0) FROM known_key"
COUNTS: Final = "SELECT (SELECT count(key) FROM entry), (SELECT count(*) FROM known_key)"
CLEAR: Final = "DELETE FROM known_key"
ALL: Final = "SELECT key FROM known_key"
BEYOND: Final = "SELECT key FROM entry WHERE key IS NOT NULL AND id > ?"
VERSION: Final = "PRAGMA data_version"
"""Changes when another connection has changed the file."""


class KeyIndex:
    """Keys of one ledger. Numbers have to grow with each message that is recorded.

    The caller begins and commits the transactions.
    """

    def __init__(self) -> None:
        self._newest = CompactMap()
        self._highest = 0  # of the messages whose keys are in the table
        self._version = 0
        self._seen: BloomFilter | None = None  # without one, every key may have been there

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Put all keys into the table; rebuild it if the ledger was changed by hand."""
        self._seen = None
        ((self._highest,),) = connection.execute(HIGHEST_IN_TABLE)
        self.merge(connection)
        ((count, in_table),) = connection.execute(COUNTS)
        if count != in_table:
            connection.execute(CLEAR)
            self._highest = 0
            self.merge(connection)
        if count <= MOST_READ:
            self._seen = BloomFilter(FILTER_BYTES)
            self._see(connection, ALL)

    @property
    def is_full(self) -> bool:
        """``True`` if it is time to merge."""
        return len(self._newest) >= MOST_IN_MEMORY

    def add(
        self, connection: sqlite3.Connection, keys: Sequence[tuple[str, int]]
    ) -> dict[int, int]:
        """Note keys that are about to be recorded, each with its number.

        Returns:
            For those that are known already, their numbers by the ones given.
        """
        candidates = self._candidates([key for key, _ in keys])
        if not candidates:
            self._newest.put(keys)
            return {}
        known = self._find(connection, candidates)
        duplicates = {}
        for key, number in keys:
            first = known.setdefault(key, number)
            if first == number:
                self.note(key, number)
            else:
                duplicates[number] = first
        return duplicates

    def find(self, connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, int]:
        """Find the numbers of keys. All of them may be noted from here on."""
        candidates = self._candidates(keys)
        return self._find(connection, candidates) if candidates else {}

    def note(self, key: str, number: int) -> None:
        """Note a key that `find` did not find."""
        self._newest.put([(key, number)])

    def merge(self, connection: sqlite3.Connection) -> None:
        """Put the keys into the table that the ledger has beyond it."""
        ((version,),) = connection.execute(VERSION)
        if version != self._version:  # messages may have been added by hand
            self._version = version
            self._see(connection, BEYOND, self._highest)
        ((highest,),) = connection.execute(HIGHEST)
        connection.execute(MERGE, (self._highest, highest))
        self._highest = highest
        self._newest.clear()

    def _see(self, connection: sqlite3.Connection, query: str, *values: int) -> None:
        if self._seen is not None:
            self._seen.add(key for (key,) in connection.execute(query, values))

    def _candidates(self, keys: Sequence[str]) -> Sequence[str]:
        """Leave out keys that certainly are new; from here on, all count as seen."""
        return keys if self._seen is None else self._seen.add(keys)

    def _find(self, connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, int]:
        known: dict[str, int] = dict(connection.execute(FIND, (_json.dumps(keys).decode(),)))
        newest = {key: self._newest.get(key) for key in keys}
        return known | {key: number for key, number in newest.items() if number is not None}
