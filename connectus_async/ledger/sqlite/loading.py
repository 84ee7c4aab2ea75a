"""Loading of sources: messages are recorded as queued or skipped before any is sent."""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from connectus_async import _json
from connectus_async.ledger import metadata_names
from connectus_async.ledger.content import is_same
from connectus_async.ledger.keys import recipient_key
from connectus_async.ledger.records import INVALID, Corrects, Entry, Loaded, Loading, no_message
from connectus_async.ledger.sqlite import again, metadata
from connectus_async.ledger.sqlite.codes import KIND_CODES
from connectus_async.ledger.sqlite.holder import HolderFile
from connectus_async.ledger.sqlite.rows import (
    ENTRY,
    MOST_ROWS,
    NOTHING,
    PUT,
    at_rest,
    bound,
    filled,
    listed,
    many,
)
from connectus_async.ledger.states import (
    CORRECTED_BECAUSE,
    LEFT_OUT_BECAUSE,
    MAY_BE_SENT,
    REPLACED,
    REPLACED_BECAUSE,
    RETURNS,
    Edited,
    SkipReason,
    State,
)
from connectus_async.products.sms_statuses import UNDELIVERED

COLUMNS: Final = (*ENTRY, "reading")
"""The columns of a message that is loaded; ``reading`` is the number of its last load."""

LOAD: Final = many(
    f"""
INSERT INTO entry ({", ".join(COLUMNS)})
SELECT column1, nullif(column2, {NOTHING}), nullif(column3, {NOTHING}), column4, column5, column6,
       column7, column8
FROM (VALUES {{rows}}) WHERE column1 <> {NOTHING}
""",
    len(COLUMNS),
)
SKIP: Final = many(
    f"""
INSERT INTO outcome (id, state, attempts, took, reason)
SELECT column1, column2, 0, column3, column4
FROM (VALUES {{rows}}) WHERE column1 <> {NOTHING}
""",
    len(PUT),
)
LOADED: Final = """
SELECT line, state, reading, reason, kind, recipient, body FROM message WHERE id = ?
"""
SEE_AGAIN: Final = "UPDATE entry SET line = ?, reading = ? WHERE id = ?"
REWRITE: Final = "UPDATE entry SET kind = ?, recipient = ?, body = ?, billed = ? WHERE id = ?"
QUEUE_AGAIN: Final = """
UPDATE message SET state = 'queued', reason = NULL, ended_at = NULL WHERE id = ?
"""
SKIP_KNOWN: Final = "UPDATE message SET state = 'skipped', reason = ?, ended_at = ? WHERE id = ?"
_WAITING: Final = "state = 'queued' AND id IN (SELECT value FROM json_each(:numbers))"
COUNT_WAITING: Final = f"SELECT count(*) FROM message WHERE {_WAITING}"
SKIP_WAITING: Final = f"""
UPDATE message SET state = 'skipped', reason = :reason, ended_at = :now WHERE {_WAITING}
"""
FORGET_INVALID: Final = "DELETE FROM entry WHERE kind = ?"

QUEUE_ADDED: Final = """
UPDATE message SET state = 'queued', reason = NULL, ended_at = NULL
WHERE state = 'skipped' AND reason = ? AND reading = ?
"""
"""What a load adds is queued by its end: one that is broken off leaves nothing to send."""

REPLACE: Final = """
UPDATE message SET state = 'skipped', reason = :reason, ended_at = :now
WHERE state = 'queued' AND reading <> :load AND (line IN (
    SELECT line FROM message WHERE state = 'skipped' AND reason = :corrected AND reading = :load
)) IS NOT TRUE
"""
"""A row that waits with its correction keeps that."""

MAY_HAVE: Final = f"""
FROM message WHERE state IN ({listed(MAY_BE_SENT)}) AND reading <> :load
"""
SUPERSEDED: Final = f"SELECT 1 {MAY_HAVE} LIMIT 1"
EDITED: Final = f"""
state = 'queued' AND reading = :load
AND person(recipient) IN (SELECT person(recipient) {MAY_HAVE})
"""
"""Messages to people who got, or may have got, something that their source does not have any more.
Two passes over all messages, however many they are; ``person`` is `recipient_key`."""

COUNT_EDITED: Final = f"""
SELECT other, count(*)
FROM (SELECT person(recipient) AS who, max(reading) AS other {MAY_HAVE} GROUP BY who)
WHERE who IN (SELECT person(recipient) FROM message WHERE state = 'queued' AND reading = :load)
GROUP BY other
"""
LEAVE_OUT: Final = f"""
UPDATE message SET state = 'skipped', reason = :reason, ended_at = :now WHERE {EDITED}
"""
CORRECTED_NOW: Final = f"""
WITH correction AS MATERIALIZED (
    SELECT line, max(reading) AS reading FROM message
    WHERE reading > :load AND state <> 'skipped' GROUP BY line
)
SELECT id FROM message
WHERE id IN (SELECT value FROM json_each(:numbers))
    AND (state = 'rejected' OR state = 'skipped' AND kind = '{INVALID}'
        OR state = 'accepted' AND delivery_status IN ({listed(UNDELIVERED)}))
    AND reading < (SELECT reading FROM correction WHERE correction.line = message.line)
"""
SUPERSEDE: Final = """
UPDATE message SET state = 'skipped', reason = ?, ended_at = ?, started_at = NULL,
    provider_id = NULL, delivery_status = NULL, delivered_at = NULL
WHERE id IN (SELECT value FROM json_each(?))
"""
LEFT_OUT: Final = f"""
SELECT id, {", ".join(Entry._fields)} FROM message
WHERE state = 'skipped' AND reason = ? AND reading = ? AND id > ? ORDER BY id LIMIT ?
"""


def begin(file: HolderFile, *, adds: bool) -> int:
    """Begin a load. See `Ledger.begin_load`."""
    connection = file.connection
    number = metadata.load_number(connection) + 1
    values = {metadata_names.LOAD: str(number)}
    if not adds:
        file.keys.merge(connection)  # the table forgets deleted messages by itself
        connection.execute(FORGET_INVALID, (KIND_CODES[INVALID],))
        values[metadata_names.LOADED] = "0"
    metadata.write(connection, values)
    return number


def end(
    connection: sqlite3.Connection,
    number: int,
    *,
    corrects: Corrects | None,
    replaces: bool,
    edited: Edited,
) -> Mapping[int, int]:
    """Record that a source was loaded to its end. See `Ledger.end_load`."""
    if corrects:
        connection.execute(QUEUE_ADDED, (REPLACED_BECAUSE, number))
    if replaces:
        values = {"reason": REPLACED_BECAUSE, "corrected": CORRECTED_BECAUSE, "load": number}
        connection.execute(REPLACE, {**values, "now": time.time()})
    people = {} if edited is Edited.EVERYONE else _leave_out(connection, number)
    if corrects:
        _supersede(connection, corrects)
    else:
        is_loaded = not people or edited is not Edited.ABORT
        metadata.write(connection, {metadata_names.LOADED: str(int(is_loaded))})
    return people


def _supersede(connection: sqlite3.Connection, corrects: Corrects) -> None:
    """Skip messages whose rows were corrected."""
    values = {"numbers": _document(corrects.numbers), "load": corrects.load}
    rows = connection.execute(CORRECTED_NOW, values)
    corrected = _document([number for (number,) in rows])
    again.keep(connection, corrected)
    connection.execute(SUPERSEDE, (CORRECTED_BECAUSE, time.time(), corrected))


def skip_too_often(connection: sqlite3.Connection, numbers: Sequence[int]) -> int:
    """Skip messages that wait. See `Ledger.skip_too_often`."""
    values = {"numbers": _document(numbers), "reason": SkipReason.TOO_OFTEN, "now": time.time()}
    ((total,),) = connection.execute(COUNT_WAITING, values)
    connection.execute(SKIP_WAITING, values)
    return int(total)


def left_out(connection: sqlite3.Connection, after: int, limit: int) -> Sequence[tuple[int, Entry]]:
    """Read the messages of the last load that `end` left out."""
    values = (LEFT_OUT_BECAUSE, metadata.load_number(connection), after, limit)
    rows = connection.execute(LEFT_OUT, values)
    return [(number, Entry(*columns)) for number, *columns in rows]


class Load:
    """Messages of one load that are recorded together.

    Args:
        file: The ledger.
        number: The number of the load.
        numbers: Numbers for new messages; a duplicate takes one as well.
        adds: The load adds messages.
        tells_left_out: As in `Ledger.load`.
    """

    def __init__(
        self,
        file: HolderFile,
        number: int,
        numbers: Iterator[int],
        *,
        adds: bool,
        tells_left_out: bool,
    ) -> None:
        self._file = file
        self._connection = file.connection
        self._number = number
        self._numbers = numbers
        self._adds = adds
        self._tells_left_out = tells_left_out
        self._known: dict[str, int] = {}
        self._new: list[Any] = []
        self._skipped: list[Any] = []
        self._lines: dict[int, int | None] = {}

    def record(self, items: Sequence[Loading]) -> Sequence[Loaded]:
        """Record messages. See `Ledger.load`."""
        keys = [item.entry.key for item in items if item.entry.key]
        self._known = self._file.keys.find(self._connection, keys)
        loaded = [self._record(item) for item in items]
        self._write(LOAD, self._new, len(COLUMNS))
        self._write(SKIP, self._skipped, len(PUT))
        return loaded

    def _record(self, item: Loading) -> Loaded:
        entry = item.entry
        number = self._known.get(entry.key) if entry.key else None
        if number is None:
            self._insert(*item)
            return Loaded(item.skipped)
        if number in self._lines:
            return self._duplicate(entry, self._lines[number])
        found = self._connection.execute(LOADED, (number,)).fetchone()
        if found is None:
            raise self._file.was_changed()
        line, state, seen, reason, *content = found
        if seen == self._number:
            return self._duplicate(entry, line)
        if self._adds and (item.skipped is not None or reason != REPLACED_BECAUSE):
            return Loaded(None, State(state))
        self._connection.execute(SEE_AGAIN, (entry.line, self._number, number))
        if self._adds:
            return Loaded(None, State.QUEUED)
        if item.is_too_often(state, reason):
            if state == State.QUEUED:
                self._connection.execute(SKIP_KNOWN, (item.skipped, time.time(), number))
            return Loaded(item.skipped)
        return self._see_again(item, number, state, reason, content)

    def _see_again(
        self, item: Loading, number: int, state: str, reason: str | None, content: list[Any]
    ) -> Loaded:
        entry = item.entry
        is_changed = state not in MAY_BE_SENT and not is_same((*content,), entry[2:5])
        if item.skipped is not None or not (is_changed or reason in RETURNS):
            return Loaded(None, State(state))
        if is_changed:
            _, _, _, *columns = bound(number, entry)
            self._connection.execute(REWRITE, (*columns, number))
        if state != State.QUEUED:
            self._connection.execute(QUEUE_AGAIN, (number,))
        if self._tells_left_out and reason == LEFT_OUT_BECAUSE:
            return Loaded(SkipReason.HAS_ANOTHER, State.SKIPPED)
        return Loaded(None, State.QUEUED)

    def _duplicate(self, entry: Entry, line: int | None) -> Loaded:
        first = "an earlier message" if line is None else f"line {line}"
        self._insert(no_message(entry.line), SkipReason.DUPLICATE, f"of {first}")
        return Loaded(SkipReason.DUPLICATE, first_line=line)

    def _insert(self, entry: Entry, skipped: SkipReason | None, reason: str | None) -> None:
        if self._adds and skipped is None:
            skipped, reason = SkipReason.SUPERSEDED, REPLACED
        number = next(self._numbers)
        self._new += (*bound(number, entry), self._number)
        if skipped is not None:
            self._skipped += (number, *at_rest(skipped, reason))
        if entry.key:
            self._file.keys.note(entry.key, number)
            self._known[entry.key] = number
            self._lines[number] = entry.line

    def _write(self, statements: Mapping[int, str], values: list[Any], columns: int) -> None:
        """Write rows, as many as a statement takes at a time."""
        most = MOST_ROWS * columns
        for place in range(0, len(values), most):
            size, rows = filled(values[place : place + most], columns)
            self._connection.execute(statements[size], rows)


def _leave_out(connection: sqlite3.Connection, number: int) -> Mapping[int, int]:
    """Skip messages to people who may have got another text; count them as `end` does."""
    values = {"load": number}
    if connection.execute(SUPERSEDED, values).fetchone() is None:
        return {}
    connection.create_function("person", 1, _person, deterministic=True)
    people = dict(connection.execute(COUNT_EDITED, values))
    if people:
        because = {"reason": LEFT_OUT_BECAUSE, "now": time.time()}
        connection.execute(LEAVE_OUT, {**values, **because})
    return people


def _document(numbers: Sequence[int]) -> str:
    return _json.dumps([*numbers]).decode()


def _person(recipient: str | None) -> str | None:
    """Compare people as keys and suppression do; a row that is no message has no recipient."""
    return None if recipient is None else recipient_key(recipient)
