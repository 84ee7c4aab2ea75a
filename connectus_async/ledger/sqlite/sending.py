"""Changes of messages that are being sent, written a group at a time.

A group is a few statements with many rows: SQLite works with the interpreter's lock released for
the whole of each. Row by row, the writer would have to get the lock back from a busy event loop
each time; `switch_interval` says how long that takes. The rows are bound, not given as JSON, which
takes half as long again.

`schema` says how a message is begun without a row of its own.
"""

import sqlite3
import time
from asyncio import Future
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from connectus_async import _json
from connectus_async.ledger.records import Claim, Entry
from connectus_async.ledger.sqlite import codes
from connectus_async.ledger.sqlite.holder import HolderFile
from connectus_async.ledger.sqlite.rows import ENDED, ENTRY, NOTHING, PUT, filled, many
from connectus_async.ledger.sqlite.schema import CHANGEABLE, SETTLED, WATERMARK
from connectus_async.ledger.states import State

INSERT: Final = many(
    f"""
INSERT INTO entry ({", ".join(ENTRY)})
SELECT column1, nullif(column2, {NOTHING}), nullif(column3, {NOTHING}), column4, column5, column6,
       column7
FROM (VALUES {{rows}})
WHERE column1 <> {NOTHING}
""",
    len(ENTRY),
)

_IS_BEGUN: Final = f"""
(column1 <= {WATERMARK} OR column1 IN (SELECT id FROM outcome) OR column2 = {codes.QUEUED})
AND column1 IN (SELECT id FROM entry)
"""
"""An outcome of a message that was deleted by hand would count, and no export would show it."""

_END: Final = f"""
INSERT INTO outcome (id, state, attempts, started, took, provider_id, reason)
SELECT column1, column2, column1 <= {WATERMARK}, at, column3 - coalesce(at, 0),
       nullif(column4, {NOTHING}), nullif(column5, {NOTHING})
FROM (VALUES {{rows}}) LEFT JOIN begun ON upto = (SELECT min(upto) FROM begun WHERE upto >= column1)
WHERE column1 <> {NOTHING} AND {_IS_BEGUN}
"""
END: Final = many(_END, len(ENDED))
"""For messages that have no row, as most: a conflict is an error of the whole statement."""

END_AGAIN: Final = many(
    f"""{_END}
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state,
    took = coalesce(excluded.started, 0) + excluded.took - coalesce(outcome.started, 0),
    provider_id = coalesce(excluded.provider_id, outcome.provider_id),
    reason = excluded.reason
    WHERE outcome.state = {codes.IN_FLIGHT}
       OR outcome.state = {codes.QUEUED} AND excluded.state = {codes.QUEUED}
""",
    len(ENDED),
)
"""A message that is finished was begun, or waits as before: else the row stays as it is."""

_IS_QUEUED: Final = f"({{number}} > {WATERMARK} OR {{number}} IN (SELECT id FROM outcome))"

REST: Final = many(
    f"""
INSERT INTO outcome (id, state, attempts, took, reason)
SELECT column1, column2, 0, nullif(column3, {NOTHING}), nullif(column4, {NOTHING})
FROM (VALUES {{rows}})
WHERE column1 <> {NOTHING} AND {_IS_QUEUED.format(number="column1")}
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, took = excluded.took - coalesce(outcome.started, 0),
    reason = excluded.reason
    WHERE outcome.state = {codes.QUEUED}
""",
    len(PUT),
)
"""A message that waits or is skipped was queued."""

_WAITS: Final = f"id > {WATERMARK} AND id NOT IN (SELECT id FROM outcome)"
WAITING: Final = f"""
SELECT group_concat(id) FROM (
    SELECT id FROM entry WHERE {_WAITS} AND id <= :last ORDER BY id
    LIMIT (SELECT (SELECT id FROM entry WHERE {_WAITS} ORDER BY id LIMIT 1) IS :first) * :most
)
"""
"""The first queued messages that were never begun, up to a number, if they begin with another one:
else a message that waits for long would have all those after it read, group by group."""

IN_ORDER: Final = f"""
WITH reached AS MATERIALIZED (
    SELECT coalesce((
        SELECT id FROM entry
        WHERE id > {WATERMARK} AND id <= :last AND id NOT IN (SELECT id FROM outcome)
              AND id NOT IN (SELECT value FROM json_each(:numbers))
        ORDER BY id LIMIT 1
    ) - 1, :last) AS upto
)
SELECT {WATERMARK}, upto, (
    SELECT count(*) FROM entry
    WHERE id > {WATERMARK} AND id <= upto AND id NOT IN (SELECT id FROM outcome)
) FROM reached
"""
"""The watermark, the number that it can be moved to, and how many messages that begins: it stops
before the first message that waits for another turn."""

MOVE: Final = "INSERT INTO begun VALUES (?, ?)"
MOVE_ON: Final = f"INSERT INTO begun SELECT :last, :now WHERE {WATERMARK} = :first - 1"
"""Moves the watermark if nothing lies between it and the first message."""
BEGIN_OUT_OF_ORDER: Final = f"""
INSERT INTO outcome (id, state, attempts, started)
SELECT id, {codes.IN_FLIGHT}, 1, ? FROM entry
WHERE id IN (SELECT value FROM json_each(?)) AND {_IS_QUEUED.format(number="id")}
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, attempts = outcome.attempts + 1, started = excluded.started,
    took = NULL, reason = NULL
    WHERE outcome.state = {codes.QUEUED}
"""
REPLACE_BODY: Final = "UPDATE entry SET body = ? WHERE id = ?"

STATES: Final = "SELECT id, state FROM message WHERE id IN (SELECT value FROM json_each(?))"

FIRST_OPEN: Final = f"""
SELECT id FROM entry
WHERE id > {SETTLED} AND id <= {WATERMARK} AND id NOT IN (SELECT id FROM outcome)
ORDER BY id LIMIT 1
"""
SETTLE: Final = """
DELETE FROM begun WHERE upto < (SELECT max(upto) FROM begun WHERE upto < ?)
"""
"""Times of messages that have their own by now. The lowest number that stays is the settled one."""

QUEUED: Final = f"""
SELECT id, {", ".join(Entry._fields)} FROM message WHERE id IN (
    SELECT * FROM (
        SELECT id FROM entry
        WHERE id > max(:after, {WATERMARK}) AND id NOT IN (SELECT id FROM outcome)
        ORDER BY id LIMIT :limit
    )
    UNION ALL
    SELECT * FROM (
        SELECT id FROM outcome
        WHERE {CHANGEABLE} AND state = {codes.QUEUED} AND id > :after ORDER BY id LIMIT :limit
    )
) ORDER BY id LIMIT :limit
"""
SPENT: Final = f"""
SELECT (
    SELECT coalesce(sum(billed), 0) FROM entry LEFT JOIN outcome USING (id)
    WHERE coalesce(state IN ({codes.SENT_OR_MAYBE}), id <= {WATERMARK})
) + (
    SELECT coalesce(sum(billed), 0) FROM earlier_attempt JOIN entry USING (id)
    WHERE state IN ({codes.SENT_OR_MAYBE})
)
"""


class Group:
    """Changes that are written together, each kind as a list of values.

    Attributes:
        new: New messages, as `rows.ENTRY` has them.
        ended: Outcomes of attempts, as `rows.ENDED` has them.
        put: Messages that wait or are skipped, as `rows.PUT` has them.
        begun: Numbers of messages that are begun.
        bodies: Contents that are replaced: bodies and the numbers of their messages.
        waiters: The futures of the callers that wait for a message to be begun, with its number.
        kept: Numbers of messages that are going to be tried again.
        touched: Numbers of messages with a change; each has one in a group, so that the kinds can
            be written in their order.
        size: Number of changes.
    """

    __slots__ = ("begun", "bodies", "ended", "kept", "new", "put", "size", "touched", "waiters")

    def __init__(self) -> None:
        self.new: list[Any] = []
        self.ended: list[Any] = []
        self.put: list[Any] = []
        self.begun: list[int] = []
        self.bodies: list[tuple[str, int]] = []
        self.waiters: list[tuple[Future[Claim], int]] = []
        self.kept: set[int] = set()
        self.touched: set[int] = set()
        self.size = 0

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
        self._connection = file.connection
        self._tried_again: set[int] = set()

    def write(self, group: Group) -> Mapping[int, Claim]:
        """Write a group; return the claims on messages that were there, by the number asked for.

        Raises:
            LedgerError: The ledger is not as its holder left it.
        """
        self._file.check_place()
        self._note_tries(group)
        self._connection.execute("BEGIN IMMEDIATE")
        self._file.check_holder()
        duplicates = self._insert(group) if group.new else {}
        self._end(group.ended)
        self._write_rows(REST, group.put, len(PUT))
        for body, number in group.bodies:
            self._change(REPLACE_BODY, (body, number), 1)
        if begun := sorted(number for number in group.begun if number not in duplicates):
            self._begin(begun, new=group.new[:: len(ENTRY)])
        claims = self._claims(group, duplicates) if duplicates else {}
        self._connection.execute("COMMIT")
        return claims

    def _note_tries(self, group: Group) -> None:
        """Note messages that their worker tries again: until then, nobody else begins them."""
        if self._tried_again:
            self._tried_again.difference_update(group.ended[:: len(ENDED)])
            self._tried_again.difference_update(group.put[:: len(PUT)])
        self._tried_again |= group.kept

    def _insert(self, group: Group) -> Mapping[int, int]:
        """Insert the new messages; return the numbers of those that were there, by the new ones."""
        width = len(ENTRY)
        numbers = group.new[::width]
        keys = zip(group.new[1::width], numbers, strict=True)
        duplicates = self._file.keys.add(self._connection, [pair for pair in keys if pair[0]])
        if duplicates:
            group.new = _without(group.new, width, duplicates)
            group.put = _without(group.put, len(PUT), duplicates)
        self._write_rows(INSERT, group.new, width)
        return duplicates

    def _write_rows(self, statements: Mapping[int, str], values: list[Any], columns: int) -> None:
        if not values:
            return
        size, group = filled(values, columns)
        self._change(statements[size], group, len(values) // columns)

    def _end(self, values: list[Any]) -> None:
        try:
            self._write_rows(END, values, len(ENDED))
        except sqlite3.IntegrityError:  # some have a row, since they were begun out of order
            self._write_rows(END_AGAIN, values, len(ENDED))

    def _change(self, statement: str, values: Sequence[Any], wanted: int) -> None:
        if self._rows(statement, values) != wanted:
            raise self._file.was_changed()

    def _rows(self, statement: str, values: Sequence[Any] | Mapping[str, Any]) -> int:
        return self._connection.execute(statement, values).rowcount

    def _begin(self, numbers: Sequence[int], new: Sequence[int] = ()) -> None:
        """Move the watermark to messages that are begun in order, and write a row for others.

        Args:
            numbers: Their numbers, in order.
            new: The numbers of messages that the same group inserted: each of them is begun, or has
                an outcome.
        """
        now = codes.ticks(time.time())
        first, last = numbers[0], numbers[-1]
        values = {"first": first, "last": last, "most": len(numbers) + 1, "now": now}
        if {*new}.issuperset(range(first, last + 1)) and self._rows(MOVE_ON, values):
            return
        ((waiting,),) = self._connection.execute(WAITING, values)
        if waiting == ",".join(map(str, numbers)):
            self._connection.execute(MOVE, (last, now))
        else:
            self._begin_some(numbers, last, now)

    def _begin_some(self, numbers: Sequence[int], last: int, now: int) -> None:
        document = _json.dumps(numbers).decode()
        values = {"last": last, "numbers": document}
        ((watermark, upto, covered),) = self._connection.execute(IN_ORDER, values)
        if upto > watermark:
            self._connection.execute(MOVE, (upto, now))
        if covered < len(numbers):
            self._change(BEGIN_OUT_OF_ORDER, (now, document), len(numbers) - covered)

    def _claims(self, group: Group, duplicates: Mapping[int, int]) -> Mapping[int, Claim]:
        """Look up the messages that are there of those to begin, and begin those that wait."""
        states = self._states(duplicates.values())
        if not states.keys() >= set(duplicates.values()):
            raise self._file.was_changed()
        waiting = []
        claims = {}
        for asked in group.begun:
            number = duplicates.get(asked)
            if number is None:
                continue
            state = states[number]
            is_waiting = state == State.QUEUED and number not in self._tried_again
            claims[asked] = Claim(number, None if is_waiting else State(state))
            if is_waiting:
                waiting.append(number)
                states[number] = State.IN_FLIGHT
        if waiting:
            self._begin(sorted(waiting))
        return claims

    def _states(self, numbers: Iterable[int]) -> dict[int, str]:
        document = _json.dumps(sorted(set(numbers))).decode()
        return dict(self._connection.execute(STATES, (document,)))


def _without(values: list[Any], columns: int, numbers: Container[int]) -> list[Any]:
    """Leave out the rows of some numbers."""
    places = range(0, len(values), columns)
    rows = (values[place : place + columns] for place in places if values[place] not in numbers)
    return [*chain.from_iterable(rows)]


def settle(connection: sqlite3.Connection) -> None:
    """Forget the times of messages that have an outcome, so that the next opening is quick."""
    first = connection.execute(FIRST_OPEN).fetchone()
    ((watermark,),) = connection.execute(f"SELECT {WATERMARK}")
    connection.execute(SETTLE, (first[0] if first else watermark + 1,))


def queued(connection: sqlite3.Connection, after: int, limit: int) -> Sequence[tuple[int, Entry]]:
    """Read messages that wait to be sent. See `Ledger.queued`."""
    rows = connection.execute(QUEUED, {"after": after, "limit": limit})
    return [(number, Entry(*columns)) for number, *columns in rows]


def spent(connection: sqlite3.Connection) -> int:
    """Add up the amounts that were or may have been taken from the balance."""
    ((total,),) = connection.execute(SPENT)
    return int(total)
