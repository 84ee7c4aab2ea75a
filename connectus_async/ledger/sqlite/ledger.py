"""The ledger in one SQLite file: one writer thread, and one transaction for all that waits.

A message is in flight on disk before its first byte leaves (write-ahead log, ``synchronous=FULL``).
While the writer writes a group of changes, the next one gathers. What makes it fast:

- A group is one statement with many rows: SQLite works with the interpreter's lock released for the
  whole of it. Row by row, the writer would have to get the lock back from a busy event loop each
  time; `switch_interval` says how long that takes.
- The rows are bound, not handed over as JSON: 27 instead of 38 µs of CPU for the two changes of a
  message.
- The log is moved into the file by the rule of `ledger_file`, after some thousand pages.
- No ``None`` is bound: sqlite3 looks for an adapter of it each time. With `NOTHING` in its place,
  the two changes take half the CPU and, beside a busy loop, a third of the time.
"""

import asyncio
import hashlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from connectus_async import _json
from connectus_async.errors import LedgerError
from connectus_async.ledger.keys import recipient_key
from connectus_async.ledger.records import (
    INVALID,
    Claim,
    Entry,
    Loaded,
    Loading,
    Policy,
    Unresolved,
)
from connectus_async.ledger.sqlite import key_index, switch_interval
from connectus_async.ledger.sqlite.connection import Checkpoints, check_whole, connect
from connectus_async.ledger.sqlite.key_index import KeyIndex
from connectus_async.ledger.sqlite.lock import LedgerLock
from connectus_async.ledger.states import Edited, OnUnknown, SkipReason, State

T = TypeVar("T")
Task = Callable[[sqlite3.Connection], Any]

APPLICATION_ID: Final = 0x436E6374
"""What tells our files from other SQLite files."""

SCHEMA_VERSION: Final = 4
"""In 4 there may be the fact `ONE_SPELLING`: who does not know it would make other keys. In 1 each
key went into an index of the table at once. Such a ledger keeps it, and goes on. In 1 and 2 there
were indexes of what is open and of what is over the budget, in 2 a fact that says up to which
number the keys are in their table."""

OLDEST_SQLITE: Final = (3, 38, 0)
ABSENT: Final = "the API's reports do not show it, and show what was accepted before and after it"
REPLACED: Final = "its source does not have it any more"
ROUTE: Final = ("id_delivery", "id_client", "src_number")
"""The fields of a message that say in which report it is."""

HAS_ANOTHER: Final = "who gets it may have got another text of this campaign"
REPLACED_BECAUSE: Final = f"{SkipReason.EXPIRED}: {REPLACED}"
LEFT_OUT_BECAUSE: Final = f"{SkipReason.DUPLICATE}: {HAS_ANOTHER}"
RETURNS: Final = frozenset({REPLACED_BECAUSE, LEFT_OUT_BECAUSE})
"""The reasons for which a message waits again once its source has it."""

INTERRUPTED: Final = "the sender ended before the answer came"

SCHEMA: Final = f"""
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    key TEXT,
    line INTEGER,
    kind TEXT NOT NULL,
    recipient TEXT,
    body TEXT,
    billed INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    provider_id TEXT,
    started_at REAL,
    ended_at REAL,
    delivery_status TEXT,
    delivered_at REAL,
    reading INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE campaign (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
"""

UPGRADE: Final = f"""
{key_index.SCHEMA}
DROP INDEX IF EXISTS open_message;
DROP INDEX IF EXISTS over_budget;
DELETE FROM campaign WHERE name = 'keys_merged_to';
PRAGMA user_version = {SCHEMA_VERSION};
"""
"""No index has the state of a message: it would change three times with each, which took as much as
all the rest of its two changes. What waits is read in order of its number, from the last one on."""

ONE_SPELLING: Final = "one_spelling"
"""The fact of a campaign whose keys were made by `recipient_key`. One without it, which is older,
keeps its way to make them, or each person with two spellings would be somebody new."""

HOLDER: Final = "holder"
"""The fact of the campaign that says who opened it last."""

HELD: Final = f"(SELECT value FROM campaign WHERE name = '{HOLDER}') = ?"
"""The condition that nobody opened it after us, as somebody can who deletes the file of the lock:
what both begin, each would send."""

COLUMNS: Final = (
    "id, key, line, kind, recipient, body, billed, state, reason, attempts, provider_id,"
    " started_at, ended_at"
)
NOTHING: Final = 0
"""Stands for NULL in a row."""

NO_ROW: Final = (NOTHING,) * len(COLUMNS.split(","))
MOST_ROWS: Final = 256
"""In one statement."""

CHANGE: Final = f"""
INSERT INTO message ({COLUMNS})
SELECT column1, {", ".join(f"nullif(column{place}, {NOTHING})" for place in range(2, 7))},
       column7, column8, nullif(column9, {NOTHING}), column10,
       {", ".join(f"nullif(column{place}, {NOTHING})" for place in range(11, 14))}
FROM (VALUES {{rows}})
WHERE {HELD} AND column1 <> {NOTHING}
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state,
    reason = excluded.reason,
    attempts = message.attempts + excluded.attempts,
    provider_id = coalesce(excluded.provider_id, message.provider_id),
    started_at = coalesce(excluded.started_at, message.started_at),
    ended_at = excluded.ended_at,
    body = coalesce(excluded.body, message.body)
    WHERE message.state = 'queued'
       OR (message.state = 'in_flight' AND excluded.state NOT IN ('in_flight', 'skipped'))
"""
"""What is begun or skipped was queued, and what is finished was begun: else the row stays as it
is."""


def _change_of(size: int) -> str:
    row = f"({', '.join('?' for _ in NO_ROW)})"
    return CHANGE.format(rows=", ".join([row] * size))


CHANGES: Final = {1 << power: _change_of(1 << power) for power in range(MOST_ROWS.bit_length())}
"""By the number of rows, with `NO_ROW` for those that are missing: few, so that SQLite compiles
each but once."""

STATES: Final = "SELECT id, state FROM message WHERE id IN (SELECT value FROM json_each(?))"

BEGIN_FOUND: Final = f"""
UPDATE message SET state = 'in_flight', attempts = attempts + 1, started_at = ?, ended_at = NULL,
                   reason = NULL
WHERE {HELD} AND state = 'queued' AND id IN (SELECT value FROM json_each(?))
"""

QUEUED: Final = """
SELECT id, key, line, kind, recipient, body, billed FROM message
WHERE state = 'queued' AND id > ? ORDER BY id LIMIT ?
"""

LOAD: Final = f"""
INSERT INTO message (id, key, line, kind, recipient, body, billed, state, reason, ended_at, reading)
VALUES (?, nullif(?, {NOTHING}), nullif(?, {NOTHING}), ?, ?, ?, ?, ?, nullif(?, {NOTHING}),
        nullif(?, {NOTHING}), ?)
"""

LOADED: Final = "SELECT line, state, reading, reason FROM message WHERE id = ?"
SEE_AGAIN: Final = "UPDATE message SET line = ?, reading = ? WHERE id = ?"
QUEUE_AGAIN: Final = """
UPDATE message SET state = 'queued', reason = NULL, ended_at = NULL WHERE id = ?
"""

REPLACE: Final = """
UPDATE message SET state = 'skipped', reason = ?, ended_at = ?
WHERE state = 'queued' AND reading <> ?
"""

MAY_HAVE: Final = """
FROM message WHERE state IN ('accepted', 'unknown', 'held', 'in_flight') AND reading <> :reading
"""
SUPERSEDED: Final = f"SELECT 1 {MAY_HAVE} LIMIT 1"
EDITED: Final = f"""
state = 'queued' AND reading = :reading
AND person(recipient) IN (SELECT person(recipient) {MAY_HAVE})
"""
"""Messages to people who got, or may have got, something that their source does not have any more.
Two looks at all messages, however many they are; ``person`` is `recipient_key`."""

COUNT_EDITED: Final = f"SELECT count(DISTINCT person(recipient)) FROM message WHERE {EDITED}"
LEAVE_OUT: Final = f"""
UPDATE message SET state = 'skipped', reason = :reason, ended_at = :now WHERE {EDITED}
"""
LEFT_OUT: Final = """
SELECT id, key, line, kind, recipient, body, billed FROM message
WHERE state = 'skipped' AND reason = ? AND reading = ? AND id > ? ORDER BY id LIMIT ?
"""

OVER_BUDGET: Final = f"state = 'skipped' AND reason = '{SkipReason.OVER_BUDGET}'"
WAITS_AGAIN: Final = {
    OnUnknown.HOLD: OVER_BUDGET,
    OnUnknown.RESEND: f"state IN ('in_flight', 'unknown', 'held') OR {OVER_BUDGET}",
    OnUnknown.RESEND_IF_ABSENT: f"state = 'held' AND reason = :absent OR {OVER_BUDGET}",
}
"""What of an earlier run is to be sent, by what the policy says of the unknown."""

TAKE_UP: Final = f"""
UPDATE message SET
    state = CASE WHEN {{waits_again}} THEN 'queued' ELSE 'unknown' END,
    reason = CASE WHEN state = 'in_flight' THEN :interrupted
                  WHEN {OVER_BUDGET} THEN NULL
                  ELSE reason END,
    ended_at = CASE WHEN state = 'in_flight' THEN :now ELSE ended_at END
WHERE state = 'in_flight' OR {{waits_again}}
"""
"""What was in flight has ended by now: whoever sent it held the ledger, and holds it no more."""

FORGET_INVALID: Final = "DELETE FROM message WHERE kind = ?"

UNRESOLVED: Final = """
SELECT id, kind, recipient, body, started_at, max(coalesce(ended_at, started_at), started_at)
FROM message WHERE state = 'unknown' ORDER BY id
"""


class SqliteLedger:
    """A campaign's ledger in a file. It belongs to the event loop that opens it.

    Args:
        path: Where the file is or is to be; only its owner may read it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path
        self._lock = LedgerLock(path)
        self._gathered: _Changes | None = None
        self._under_way = 0
        self._pending: SimpleQueue[_Changes | _Question | None] = SimpleQueue()  # None is the end
        self._failure: LedgerError | None = None
        self._place: tuple[Path, int, int] | None = None
        self._tried_again: set[int] = set()
        self._thread: threading.Thread | None = None
        self._next_number = 1
        self._keys = KeyIndex()
        self._holder = ""
        self._forgets_content = False

    async def open(self, policy: Policy) -> None:
        """Take hold of the file; make it if there is none.

        Raises:
            LedgerError: It is in use, not a ledger, of another campaign, or cannot be written.
        """
        self._forgets_content = policy.forgets_content
        self._failure = None
        self._gathered, self._under_way, self._pending = None, 0, SimpleQueue()
        self._tried_again.clear()
        self._loop = asyncio.get_running_loop()
        opened = self._loop.create_future()
        self._thread = threading.Thread(
            target=self._run,
            args=(policy, opened),
            name=f"connectus ledger {self.path.name}",
            daemon=True,
        )
        self._thread.start()
        try:
            self._next_number = await opened
        except LedgerError:
            await self.close()  # the file is free once its thread has ended
            raise

    @property
    def forgets_content(self) -> bool:
        """Whether only a hash of the content is kept of what was accepted."""
        return self._forgets_content

    async def close(self) -> None:
        """Write what is still to be written, and let go of the file."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._hand_over()
        self._pending.put(None)
        try:
            await self._loop.run_in_executor(None, thread.join)
        except RuntimeError:  # Python is exiting: its executors take nothing any more
            thread.join()

    def begin(self, entry: Entry, number: int | None) -> Awaitable[Claim]:
        """Put a message down as in flight. See `Ledger.begin`."""
        number, columns = self._placed(entry, number)
        return self._begin((number,), columns)

    def begin_known(self, numbers: Sequence[int]) -> Awaitable[Claim]:
        """Put messages down as in flight that `queued` gave, and that nobody else can begin.

        They are written in their order, so what this gives is durable once the last one is.

        Args:
            numbers: The numbers of their entries; at least one.
        """
        return self._begin(numbers, _UNCHANGED)

    def finish(
        self,
        entry: Entry,
        number: int,
        state: State,
        reason: str | None,
        provider_id: str | None,
        *,
        is_kept: bool = False,
    ) -> None:
        """Put down what became of an attempt. See `Ledger.finish`."""
        columns: tuple[Any, ...] = _UNCHANGED
        if state is State.ACCEPTED and self._forgets_content:
            columns = (*columns[:_BODY], hashed(entry.body), *columns[_BODY + 1 :])
        told, said = _storable(provider_id) or NOTHING, _storable(reason) or NOTHING
        row = (number, *columns, state._value_, said, 0, told, NOTHING, time.time())
        self._gather(row, is_kept=is_kept)

    def put(
        self,
        entry: Entry,
        number: int | None,
        skipped: SkipReason | None = None,
        reason: str | None = None,
    ) -> None:
        """Put a message down as skipped or waiting. See `Ledger.put`."""
        number, columns = self._placed(entry, number)
        state, told, ended_at = _resting(skipped, reason)
        self._gather((number, *columns, state, told, 0, NOTHING, NOTHING, ended_at))

    async def flush(self) -> None:
        """Wait until everything that was put down is written."""
        await self.ask(lambda _: None)

    async def queued(self, after: int, limit: int) -> Sequence[tuple[int, Entry]]:
        """Read messages that wait to be sent. See `Ledger.queued`."""
        rows = await self.ask(lambda connection: connection.execute(QUEUED, (after, limit)))
        return [(number, Entry(*columns)) for number, *columns in rows]

    async def begin_reading(self) -> int:
        """Get ready to load a source; what is no message belongs to the last reading alone."""

        def begin(connection: sqlite3.Connection) -> int:
            facts = dict(connection.execute("SELECT * FROM campaign"))
            number = int(facts.get("reading", 0)) + 1
            self._keys.merge(connection)  # from the table they go by themselves
            connection.execute(FORGET_INVALID, (INVALID,))
            _note(connection, {"reading": str(number), "loaded": "0"})
            return number

        reading: int = await self.ask(begin)
        return reading

    async def end_reading(
        self, reading: int, *, replaces: bool, edited: Edited = Edited.EVERYONE
    ) -> int:
        """Note that a source was read to its end.

        Args:
            reading: The number of the reading.
            replaces: Whether what waits and was not in it is skipped.
            edited: Whether people are left out who may have got another text. If that is refused,
                the source does not count as read, so that nobody resumes it.

        Returns:
            The number of people who were left out.
        """

        def end(connection: sqlite3.Connection) -> int:
            if replaces:
                values = (REPLACED_BECAUSE, time.time(), reading)
                connection.execute(REPLACE, values)
            people = 0 if edited is Edited.EVERYONE else _leave_out(connection, reading)
            is_refused = people and edited is Edited.REFUSE
            _note(connection, {"loaded": "0" if is_refused else "1"})
            return people

        people: int = await self.ask(end)
        return people

    async def left_out(self, after: int, limit: int) -> Sequence[tuple[int, Entry]]:
        """Read the messages of the last reading that `end_reading` left out, as `queued` does."""

        def read(connection: sqlite3.Connection) -> sqlite3.Cursor:
            facts = dict(connection.execute("SELECT * FROM campaign"))
            values = (LEFT_OUT_BECAUSE, int(facts.get("reading", 0)), after, limit)
            return connection.execute(LEFT_OUT, values)

        return [(number, Entry(*columns)) for number, *columns in await self.ask(read)]

    async def load(
        self, items: Sequence[Loading], reading: int, *, tells_left_out: bool = False
    ) -> Sequence[Loaded]:
        """Put messages down as queued, or as skipped, in one transaction.

        Args:
            items: The messages.
            reading: The number of the reading of the source that they come from.
            tells_left_out: Whether what an earlier reading left out is said to be skipped: as
                `end_reading` is going to leave it out again, unless the person has nothing yet.

        Returns:
            What became of each.
        """
        first = self._next_number
        self._next_number += 2 * len(items)  # a duplicate takes a second one
        loaded: Sequence[Loaded] = await self.ask(
            lambda connection: self._load(
                connection, items, reading, first, tells_left_out=tells_left_out
            )
        )
        return loaded

    async def counts(self) -> Mapping[State, int]:
        """Count the messages by state."""
        rows = await self.ask(
            lambda connection: connection.execute("SELECT state, count(*) FROM message GROUP BY 1")
        )
        return {State(state): count for state, count in rows}

    async def spent(self) -> int:
        """Add up what was or may have been taken from the balance."""
        ((total,),) = await self.ask(
            lambda connection: connection.execute(
                "SELECT coalesce(sum(billed), 0) FROM message"
                " WHERE state IN ('accepted', 'in_flight', 'unknown', 'held')"
            )
        )
        return int(total)

    async def facts(self) -> Mapping[str, str]:
        """Read what is on record of the campaign itself."""
        return dict(await self.ask(lambda connection: connection.execute("SELECT * FROM campaign")))

    async def note(self, **facts: str) -> None:
        """Put facts of the campaign on record."""
        await self.ask(lambda connection: _note(connection, facts))

    async def unresolved(self) -> Sequence[Unresolved]:
        """Read the messages that may have been sent, in order."""
        rows = await self.ask(lambda connection: connection.execute(UNRESOLVED))
        return [Unresolved(*row) for row in rows]

    async def ask(self, task: Task) -> Any:
        """Run a function of the connection in the writer thread, after what was put down before.

        A cursor that it returns is read to its end; what it changes is one transaction.
        """
        future = self._loop.create_future()
        if self._failure is not None:
            raise self._failure
        self._hand_over()
        self._pending.put(_Question(task, future))
        return await future

    def _load(
        self,
        connection: sqlite3.Connection,
        items: Sequence[Loading],
        reading: int,
        first: int,
        *,
        tells_left_out: bool,
    ) -> Sequence[Loaded]:
        numbers = iter(range(first, first + 2 * len(items)))
        keys = [item.entry.key for item in items if item.entry.key]
        known = self._keys.find(connection, keys)

        def put(entry: Entry, skipped: SkipReason | None, reason: str | None) -> None:
            number = next(numbers)
            connection.execute(LOAD, (number, *_bound(entry), *_resting(skipped, reason), reading))
            if entry.key:
                self._keys.note(entry.key, number)
                known[entry.key] = number

        def place(item: Loading) -> Loaded:
            entry = item.entry
            number = known.get(entry.key) if entry.key else None
            if number is None:
                put(*item)
                return Loaded(item.skipped)
            found = connection.execute(LOADED, (number,)).fetchone()
            if found is None:
                raise self._changed()
            line, state, seen, reason = found
            if seen != reading:
                connection.execute(SEE_AGAIN, (entry.line, reading, number))
                if reason in RETURNS and item.skipped is None:
                    connection.execute(QUEUE_AGAIN, (number,))  # its source has it again
                    if tells_left_out and reason == LEFT_OUT_BECAUSE:
                        return Loaded(SkipReason.DUPLICATE, State.SKIPPED)
                    state = State.QUEUED
                return Loaded(None, State(state))
            first_line = "an earlier message" if line is None else f"line {line}"
            twin = Entry(None, entry.line, INVALID, "", "", 0)
            put(twin, SkipReason.DUPLICATE, f"of {first_line}")
            return Loaded(SkipReason.DUPLICATE, first_line=line)

        return [place(item) for item in items]

    def _placed(self, entry: Entry, number: int | None) -> tuple[int, tuple[Any, ...]]:
        """Give a new entry its number; one that has a number stays as it is."""
        if number is not None:
            return number, _UNCHANGED
        new = self._next_number
        self._next_number += 1
        return new, _bound(entry)

    def _begin(self, numbers: Sequence[int], columns: tuple[Any, ...]) -> Awaitable[Claim]:
        future: asyncio.Future[Claim] = self._loop.create_future()
        if self._failure is not None:
            future.set_exception(self._failure)
            return future
        columns = (*columns, _IN_FLIGHT, NOTHING, 1, NOTHING, time.time(), NOTHING)
        *others, last = numbers
        for number in others:
            self._gather((number, *columns))
        self._gather((last, *columns), future)
        return future

    def _gather(
        self,
        row: tuple[Any, ...],
        future: "asyncio.Future[Claim] | None" = None,
        *,
        is_kept: bool = False,
    ) -> None:
        """Put a row to those that are written together.

        They are those of a turn of the loop, or all that come while the writer writes others. What
        belongs to a row is put down before the group may be handed over: then it is the writer's.
        """
        changes = self._gathered
        if changes is None:
            changes = self._gathered = _Changes()
            if not self._under_way:
                self._loop.call_soon(self._hand_over)
        if future is not None:
            changes.waiters.append((future, row[0]))
        if is_kept:
            changes.kept.add(len(changes.rows))
        changes.rows.append(row)
        if len(changes.rows) == MOST_ROWS:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the writer what was gathered."""
        changes, self._gathered = self._gathered, None
        if changes is None:
            return
        if self._failure is None:
            self._under_way += 1
            self._pending.put(changes)
        else:
            _settle([(future, None, self._failure) for future in changes.futures])

    def _written(self, results: "list[tuple[asyncio.Future[Any], Any, Exception | None]]") -> None:
        """Go on with what was gathered while the writer wrote."""
        self._under_way -= 1
        _settle(results)
        self._hand_over()

    def _run(self, policy: Policy, opened: "asyncio.Future[int]") -> None:
        switch_interval.lower()
        try:
            with closing(self._opened(policy)) as connection:
                checkpoints = Checkpoints(self._file, connection, is_holder=True)
                checkpoints.make_first()
                self._tell([(opened, _next_number(connection), None)])
                self._work(connection, checkpoints)
                checkpoints.make_last()
        except Exception as error:  # noqa: BLE001 - whoever waits has to hear of it
            self._failure = _ledger_error(self.path, error)
            self._tell([(opened, None, self._failure)])
        finally:
            self._failure = self._failure or LedgerError(self.path.name, "is closed")
            self._lock.release()
            switch_interval.restore()
            self._call(self._drop)

    def _drop(self) -> None:
        """Answer those that came when the writer had left."""
        self._hand_over()
        while not self._pending.empty():
            item = self._pending.get()
            if item is not None:
                _settle([(future, None, self._failure) for future in item.futures])

    def _opened(self, policy: Policy) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            wanted = ".".join(map(str, OLDEST_SQLITE[:2]))
            raise LedgerError(
                self.path.name, f"needs SQLite {wanted}; this Python has {sqlite3.sqlite_version}"
            )
        self._file = self.path.absolute()
        if self._file.exists() and not self._file.is_file():
            raise LedgerError(self.path.name, "is not a file: choose another path")
        self._lock.acquire()
        _create_private(self._file)
        connection = connect(self._file)
        try:
            self._holder = secrets.token_hex(8)
            _prepare(connection, self.path, policy, self._holder)
            self._in_transaction(connection, self._keys.take_up)
            self._place = _place(self._file.resolve())
        except BaseException:
            connection.close()
            raise
        return connection

    def _work(self, connection: sqlite3.Connection, checkpoints: Checkpoints) -> None:
        while (item := self._pending.get()) is not None:
            if isinstance(item, _Question):
                self._answer(connection, item)
            else:
                self._write(connection, item)
            if self._keys.is_full and self._failure is None:
                self._arrange_keys(connection, self._keys.merge)
            if connection.total_changes >= checkpoints.due_at and self._failure is None:
                self._make_checkpoint(connection, checkpoints)

    def _make_checkpoint(self, connection: sqlite3.Connection, checkpoints: Checkpoints) -> None:
        try:
            checkpoints.make()
        except sqlite3.Error as error:
            self._fail(connection, error)

    def _arrange_keys(self, connection: sqlite3.Connection, task: Task) -> None:
        try:
            self._in_transaction(connection, task)
        except (sqlite3.Error, LedgerError) as error:
            self._fail(connection, error)

    def _answer(self, connection: sqlite3.Connection, question: "_Question") -> None:
        if self._failure is not None:
            self._tell([(question.future, None, self._failure)])
            return
        try:
            result = self._in_transaction(connection, question.task)
        except (sqlite3.Error, LedgerError) as error:
            self._fail(connection, error)
            self._tell([(question.future, None, self._failure)])
        except Exception as error:  # noqa: BLE001 - it belongs to who asked
            self._tell([(question.future, None, error)])
            with suppress(sqlite3.Error):  # what comes next tells what is wrong with the disk
                connection.rollback()
            self._arrange_keys(connection, self._keys.take_up)  # they have what is not there
        else:
            self._tell([(question.future, result, None)])

    def _in_transaction(self, connection: sqlite3.Connection, task: Task) -> Any:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute(f"SELECT 1 WHERE {HELD}", (self._holder,)).fetchone() is None:
            raise self._changed()
        answer = task(connection)
        result = answer.fetchall() if isinstance(answer, sqlite3.Cursor) else answer
        connection.execute("COMMIT")
        return result

    def _write(self, connection: sqlite3.Connection, changes: "_Changes") -> None:
        found: Mapping[int, Claim] = {}
        try:
            if self._failure is None:
                found = self._change(connection, changes)
        except Exception as error:  # noqa: BLE001 - whoever waits has to hear of it
            self._fail(connection, error)
        failure = self._failure
        results = [
            (future, None if failure else found.get(number) or Claim(number), failure)
            for future, number in changes.waiters
        ]
        self._call(self._written, results)

    def _change(self, connection: sqlite3.Connection, changes: "_Changes") -> Mapping[int, Claim]:
        """Write changes; return the claims on what was there before, by the number asked for."""
        self._check_place()
        self._note_tries(changes)
        rows = changes.rows
        count = len(rows)
        twins = self._keys.add(connection, [(row[_KEY], row[0]) for row in rows if row[_KEY]])
        if twins:
            rows = [NO_ROW if row[0] in twins else row for row in rows]
        size = 1 << (count - 1).bit_length()
        values = [*chain.from_iterable(rows), *NO_ROW * (size - count), self._holder]
        changed = connection.execute(CHANGES[size], values).rowcount
        if changed != count - len(twins):
            raise self._changed()
        return self._claims(connection, changes.rows, twins) if twins else {}

    def _changed(self) -> LedgerError:
        return LedgerError(self.path.name, "was changed by somebody else amid the campaign")

    def _note_tries(self, changes: "_Changes") -> None:
        """Note what is queued, but only until who has it tries again: it is nobody else's."""
        if not (self._tried_again or changes.kept):
            return
        for index, row in enumerate(changes.rows):
            if index in changes.kept:
                self._tried_again.add(row[0])
            elif row[_STATE] != _IN_FLIGHT:
                self._tried_again.discard(row[0])

    def _check_place(self) -> None:
        """Check that the file is where the next sender looks for it, or it would send all again."""
        if self._place is not None and _place(self._place[0]) != self._place:
            raise LedgerError(
                self.path.name, "was moved or deleted amid the campaign: nothing more is sent"
            )

    def _claims(
        self,
        connection: sqlite3.Connection,
        rows: Sequence[tuple[Any, ...]],
        twins: Mapping[int, int],
    ) -> Mapping[int, Claim]:
        """Say what messages are already that are to be begun, and begin those that wait."""
        document = _json.dumps(sorted(set(twins.values()))).decode()
        states = dict(connection.execute(STATES, (document,)))
        waiting = []
        claims = {}
        for row in rows:
            number = twins.get(row[0])
            if number is None:
                continue
            if number not in states:
                raise self._changed()
            if row[_STATE] != _IN_FLIGHT:
                continue
            state = states[number]
            is_waiting = state == State.QUEUED and number not in self._tried_again
            claims[row[0]] = Claim(number, None if is_waiting else State(state))
            if is_waiting:
                waiting.append(number)
                states[number] = State.IN_FLIGHT
        if waiting:
            values = time.time(), self._holder, _json.dumps(waiting).decode()
            if connection.execute(BEGIN_FOUND, values).rowcount != len(waiting):
                raise self._changed()
        return claims

    def _fail(self, connection: sqlite3.Connection, error: Exception) -> None:
        self._failure = _ledger_error(self.path, error)
        if connection.in_transaction:
            with suppress(sqlite3.Error):  # the disk that failed may fail again
                connection.rollback()

    def _tell(self, results: "list[tuple[asyncio.Future[Any], Any, Exception | None]]") -> None:
        self._call(_settle, results)

    def _call(self, function: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self._loop.call_soon_threadsafe(function, *args)


class _Changes:
    """Rows that are written together.

    Attributes:
        rows: The rows, in the order of the columns.
        waiters: Who waits for a row to be begun, and its number.
        kept: The places among the rows of those that are going to be tried again.
    """

    __slots__ = ("kept", "rows", "waiters")

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.waiters: list[tuple[asyncio.Future[Claim], int]] = []
        self.kept: set[int] = set()

    @property
    def futures(self) -> "list[asyncio.Future[Any]]":
        """What waits."""
        return [future for future, _ in self.waiters]


class _Question:
    """A function to run, and who waits for its answer."""

    __slots__ = ("future", "task")

    def __init__(self, task: Task, future: "asyncio.Future[Any]") -> None:
        self.task = task
        self.future = future

    @property
    def futures(self) -> "list[asyncio.Future[Any]]":
        """What waits."""
        return [self.future]


_KEY: Final = 1
_STATE: Final = 7
"""The places in a row."""

_IN_FLIGHT: Final = State.IN_FLIGHT.value
_UNCHANGED: Final = (NOTHING, NOTHING, "", "", NOTHING, 0)
"""Stands for the columns of an entry that is there: only a new row takes them."""

_BODY: Final = 4
"""The place of the body among them."""


def _settle(results: "list[tuple[asyncio.Future[Any], Any, Exception | None]]") -> None:
    for future, result, error in results:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def hashed(body: str) -> str:
    """Replace the content of an entry by its hash, which reports and reconciling still match.

    Its route stays: that tells which report shows the message.
    """
    fields = _json.loads(body.encode())
    kept = {name: fields[name] for name in ROUTE if fields.get(name) is not None}
    kept["hash"] = content_hash(body)
    return _json.dumps(kept).decode()


def content_hash(body: str) -> str:
    """Hash the content of an entry."""
    return hashlib.blake2b(body.encode(), digest_size=16).hexdigest()


def _place(path: Path) -> tuple[Path, int, int] | None:
    """Where a file is, and which it is; ``None`` if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return path, found.st_dev, found.st_ino


def _create_private(path: Path) -> None:
    """Make the file, readable by its owner alone, before SQLite makes it readable by all."""
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _prepare(connection: sqlite3.Connection, path: Path, policy: Policy, holder: str) -> None:
    (application,), (version,) = (
        connection.execute(f"PRAGMA {name}").fetchone()
        for name in ("application_id", "user_version")
    )
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application != APPLICATION_ID:
        raise LedgerError(path.name, "is a SQLite file but no ledger: choose another path")
    if version > SCHEMA_VERSION:
        raise LedgerError(
            path.name, f"was made by a newer connectus-async (its version is {version}): upgrade"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA secure_delete = {'ON' if policy.forgets_content else 'OFF'}")
    if not tables:
        connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        _note(connection, {"created_at": f"{time.time():.3f}", ONE_SPELLING: "1"})
    _check_campaign(connection, path, policy)
    if version < SCHEMA_VERSION:
        connection.executescript(f"BEGIN; {UPGRADE} COMMIT;")
    _note(connection, {HOLDER: holder})  # before anything is read that another could still change
    _take_up(connection, policy)


def _check_campaign(connection: sqlite3.Connection, path: Path, policy: Policy) -> None:
    facts = dict(connection.execute("SELECT * FROM campaign"))
    check_whole(facts, path)
    wanted = {"name": policy.campaign, "identity": policy.identity}
    for fact, value in wanted.items():
        if facts.get(fact, value) != value:
            raise LedgerError(
                path.name,
                f"its campaign has the {fact} {facts[fact]!r}, not {value!r}: a ledger is of one "
                "campaign; choose another path",
            )
    _note(connection, wanted)


def _take_up(connection: sqlite3.Connection, policy: Policy) -> None:
    """Make of what was left what the policy says, in one look at all messages."""
    statement = TAKE_UP.format(waits_again=WAITS_AGAIN[policy.on_unknown])
    connection.execute(
        statement, {"absent": ABSENT, "interrupted": INTERRUPTED, "now": time.time()}
    )


def _person(recipient: str | None) -> str | None:
    """Compare people as keys and suppression do; a row that is no message has no recipient."""
    return None if recipient is None else recipient_key(recipient)


def _leave_out(connection: sqlite3.Connection, reading: int) -> int:
    """Skip what people were to get who may have got another text; returns how many they are."""
    values = {"reading": reading}
    if connection.execute(SUPERSEDED, values).fetchone() is None:
        return 0
    connection.create_function("person", 1, _person, deterministic=True)
    ((people,),) = connection.execute(COUNT_EDITED, values)
    if people:
        facts = {"reason": LEFT_OUT_BECAUSE, "now": time.time()}
        connection.execute(LEAVE_OUT, {**values, **facts})
    return int(people)


def _note(connection: sqlite3.Connection, facts: Mapping[str, str]) -> None:
    connection.executemany(
        "INSERT INTO campaign VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [(name, _storable(value) or "") for name, value in facts.items()],
    )


def _bound(entry: Entry) -> tuple[Any, ...]:
    """Make the columns of a new row."""
    key, line, *others = entry
    return (key or NOTHING, line or NOTHING, *others)


def _resting(skipped: SkipReason | None, reason: str | None) -> tuple[str, str | int, float]:
    """The state of a message that is not being sent, why, and since when it is final."""
    if skipped is None:
        return State.QUEUED.value, NOTHING, NOTHING
    return State.SKIPPED.value, _because(skipped, reason), time.time()


def _storable(text: str | None) -> str | None:
    """Take from a text that came over the wire what SQLite cannot hold or would end at."""
    if not text:
        return None
    if text.isascii() and text.isprintable():
        return text
    return text.replace("\0", "").encode(errors="replace").decode()


def _because(skipped: SkipReason, reason: str | None) -> str:
    return _storable(f"{skipped}: {reason}") or "" if reason else skipped.value


def _next_number(connection: sqlite3.Connection) -> int:
    (highest,) = connection.execute(key_index.HIGHEST).fetchone()
    return int(highest) + 1


def _ledger_error(path: Path, error: Exception) -> LedgerError:
    """Say in one sentence what is wrong with the file, and what to do."""
    if isinstance(error, LedgerError):
        return error
    text = str(error)
    for sign, problem in _PROBLEMS.items():
        if sign in text:
            return LedgerError(path.name, problem)
    known = isinstance(error, (sqlite3.Error, OSError))  # others may have what a row has in them
    return LedgerError(path.name, f"cannot be used: {text if known else type(error).__name__}")


_PROBLEMS: Final = {
    "disk is full": "the disk is full: free some room, then resume",
    "disk I/O error": "the disk took no more: see that it has room and works, then resume",
    "readonly": "may not be written: change its permissions, or choose another path",
    "unable to open": "cannot be opened: see that its folder is there and may be written",
    "not a database": "is not a ledger: choose another path",
    "UNIQUE": "has a message twice: restore it from a copy, or ask the API who was reached",
    "malformed": "is damaged: restore it from a copy, or ask the API who was reached",
    "locked": "is in use by another program: close it first",
}
