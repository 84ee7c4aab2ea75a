"""Changes of messages that are being sent, written a group at a time.

A group is one statement with many rows: SQLite works with the interpreter's lock released for the
whole of it. Row by row, the writer would have to get the lock back from a busy event loop each
time; `switch_interval` says how long that takes. The rows are bound, not given as JSON: 27 instead
of 38 µs of CPU for the two changes of a message.
"""

import sqlite3
import time
from asyncio import Future
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from connectus_async import _json
from connectus_async.ledger.records import Claim, Entry
from connectus_async.ledger.sqlite.holder import IS_HOLDER, HolderFile
from connectus_async.ledger.sqlite.rows import (
    COLUMNS,
    ID,
    KEY,
    NEVER_NULL,
    NO_ROW,
    NOTHING,
    STATE,
    Row,
    listed,
)
from connectus_async.ledger.states import MAY_BE_SENT, State

MOST_ROWS: Final = 256
"""In one statement."""


def _taken(column: str) -> str:
    """Make the expression that takes a column from a row, with NULL for `NOTHING`."""
    place = f"column{COLUMNS.index(column) + 1}"
    return place if column in NEVER_NULL else f"nullif({place}, {NOTHING})"


CHANGE: Final = f"""
INSERT INTO message ({", ".join(COLUMNS)})
SELECT {", ".join(map(_taken, COLUMNS))}
FROM (VALUES {{rows}})
WHERE {IS_HOLDER} AND {_taken("id")} <> {NOTHING}
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state,
    reason = excluded.reason,
    attempts = message.attempts + excluded.attempts,
    provider_id = coalesce(excluded.provider_id, message.provider_id),
    started_at = coalesce(excluded.started_at, message.started_at),
    ended_at = excluded.ended_at,
    body = coalesce(excluded.body, message.body)
    WHERE (message.state = 'queued' AND excluded.state IN ('in_flight', 'queued', 'skipped'))
       OR (message.state = 'in_flight'
           AND excluded.state <> 'skipped' AND excluded.ended_at IS NOT NULL)
"""
"""A message that is begun, waits or is skipped was queued, and one that is finished was begun: else
the row stays as it is. Of a row that queues a message, only the end of an attempt has a time."""


def _change_of(size: int) -> str:
    row = f"({', '.join('?' for _ in COLUMNS)})"
    return CHANGE.format(rows=", ".join([row] * size))


CHANGES: Final = {1 << power: _change_of(1 << power) for power in range(MOST_ROWS.bit_length())}
"""By the number of rows, with `NO_ROW` for those that are missing: few, so that SQLite compiles
each but once."""

STATES: Final = "SELECT id, state FROM message WHERE id IN (SELECT value FROM json_each(?))"

BEGIN_FOUND: Final = f"""
UPDATE message SET state = 'in_flight', attempts = attempts + 1, started_at = ?, ended_at = NULL,
                   reason = NULL
WHERE {IS_HOLDER} AND state = 'queued' AND id IN (SELECT value FROM json_each(?))
"""

QUEUED: Final = f"""
SELECT id, {", ".join(Entry._fields)} FROM message
WHERE state = 'queued' AND id > ? ORDER BY id LIMIT ?
"""
COUNTS: Final = "SELECT state, count(*) FROM message GROUP BY 1"
SPENT: Final = f"""
SELECT coalesce(sum(billed), 0) FROM message WHERE state IN ({listed(MAY_BE_SENT)})
"""


class Group:
    """Rows that are written together.

    Attributes:
        rows: The rows.
        waiters: The futures of the callers that wait for a row to be begun, each with its number.
        kept: The places among the rows of those that are going to be tried again.
    """

    __slots__ = ("kept", "rows", "waiters")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.waiters: list[tuple[Future[Claim], int]] = []
        self.kept: set[int] = set()

    @property
    def futures(self) -> list[Future[Any]]:
        """The futures of all callers that wait."""
        return [future for future, _ in self.waiters]


class Sending:
    """Writer of the changes of messages, in the writer thread alone.

    Args:
        file: The ledger.
    """

    def __init__(self, file: HolderFile) -> None:
        self._file = file
        self._tried_again: set[int] = set()

    def write(self, group: Group) -> Mapping[int, Claim]:
        """Write a group; return the claims on messages that were there, by the number asked for.

        Raises:
            LedgerError: The ledger is not as its holder left it.
        """
        file = self._file
        file.check_place()
        self._note_tries(group)
        rows = group.rows
        count = len(rows)
        keys = [(row[KEY], row[ID]) for row in rows if row[KEY]]
        duplicates = file.keys.add(file.connection, keys)
        if duplicates:
            rows = [NO_ROW if row[ID] in duplicates else row for row in rows]
        size = 1 << (count - 1).bit_length()
        values = [*chain.from_iterable(rows), *NO_ROW * (size - count), file.holder]
        changed = file.connection.execute(CHANGES[size], values).rowcount
        if changed != count - len(duplicates):
            raise file.was_changed()
        return self._claims(group.rows, duplicates) if duplicates else {}

    def _note_tries(self, group: Group) -> None:
        """Note messages that their worker tries again: until then, nobody else begins them."""
        if not (self._tried_again or group.kept):
            return
        for index, row in enumerate(group.rows):
            if index in group.kept:
                self._tried_again.add(row[ID])
            elif row[STATE] != State.IN_FLIGHT:
                self._tried_again.discard(row[ID])

    def _claims(self, rows: Sequence[Row], duplicates: Mapping[int, int]) -> Mapping[int, Claim]:
        """Look up the messages that are there of those to begin, and begin those that wait."""
        states = self._states(duplicates.values())
        waiting = []
        claims = {}
        for row in rows:
            number = duplicates.get(row[ID])
            if number is None:
                continue
            if number not in states:
                raise self._file.was_changed()
            if row[STATE] != State.IN_FLIGHT:
                continue
            state = states[number]
            is_waiting = state == State.QUEUED and number not in self._tried_again
            claims[row[ID]] = Claim(number, None if is_waiting else State(state))
            if is_waiting:
                waiting.append(number)
                states[number] = State.IN_FLIGHT
        if waiting:
            self._begin(waiting)
        return claims

    def _states(self, numbers: Iterable[int]) -> dict[int, str]:
        document = _json.dumps(sorted(set(numbers))).decode()
        return dict(self._file.connection.execute(STATES, (document,)))

    def _begin(self, numbers: Sequence[int]) -> None:
        values = time.time(), self._file.holder, _json.dumps(numbers).decode()
        if self._file.connection.execute(BEGIN_FOUND, values).rowcount != len(numbers):
            raise self._file.was_changed()


def queued(connection: sqlite3.Connection, after: int, limit: int) -> Sequence[tuple[int, Entry]]:
    """Read messages that wait to be sent. See `Ledger.queued`."""
    rows = connection.execute(QUEUED, (after, limit))
    return [(number, Entry(*columns)) for number, *columns in rows]


def counts(connection: sqlite3.Connection) -> Mapping[State, int]:
    """Count the messages by state."""
    return {State(state): count for state, count in connection.execute(COUNTS)}


def spent(connection: sqlite3.Connection) -> int:
    """Add up the amounts that were or may have been taken from the balance."""
    ((total,),) = connection.execute(SPENT)
    return int(total)
