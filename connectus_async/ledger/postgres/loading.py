"""Loading of sources: messages are recorded as queued or skipped before any is sent.

A source is loaded into chunks that only its loader may begin, until it is known at the end which of
its messages are left out, and which of others it replaces. Of several loads at a time, the one that
began last decides for all of them.

The calls of a load need not be on disk before its end is: a crash of the server, which may lose
them, breaks the connection, and a load never goes on with another one.
"""

import time
from array import array
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from connectus_async.errors import LedgerError
from connectus_async.ledger import metadata_names
from connectus_async.ledger.bloom_filter import BloomFilter
from connectus_async.ledger.content import is_same
from connectus_async.ledger.postgres import problems, schema, sending
from connectus_async.ledger.postgres.chunks import chunk_of
from connectus_async.ledger.postgres.connection import (
    AsyncConnection,
    Cursor,
    repeated,
    undone_on_error,
)
from connectus_async.ledger.postgres.releasing import (
    BREAK_OFF,
    HOLD,
    IS_OTHERS,
    LOCK,
    RECALL,
    SETTLE,
)
from connectus_async.ledger.postgres.replacing import (
    Scope,
    leave_out,
    load_number,
    replace,
    skip_too_often,
    supersede,
)
from connectus_async.ledger.postgres.schema import CHUNK, LOADING, RECALLED
from connectus_async.ledger.postgres.writer import Place, at_rest
from connectus_async.ledger.records import INVALID, Corrects, Entry, Loaded, Loading, no_message
from connectus_async.ledger.states import (
    LEFT_OUT_BECAUSE,
    MAY_BE_SENT,
    REPLACED,
    REPLACED_BECAUSE,
    RETURNS,
    Edited,
    SkipReason,
    State,
)
from connectus_async.ledger.texts import storable

FILTER_BYTES: Final = 1 << 21
"""After a million keys, one new key in forty is looked up; after ten million, every second one."""

MOST_AHEAD: Final = 16
"""Chunks that are made before they are needed; at first, none is."""

CALL_SETTINGS: Final = {
    "synchronous_commit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
}
"""Of the transaction of a call. Planning would take as long as the rest of its small statements,
and the server may have no statistics yet of what it has loaded."""

_SET: Final = ", ".join(f"set_config('{it}', '{to}', true)" for it, to in CALL_SETTINGS.items())
BEGIN_CALL: Final = f"SELECT {_SET} FROM ({LOCK}) AS it"

FORGET_INVALID: Final = f"""
WITH invalid AS (
    DELETE FROM entry USING outcome
    WHERE outcome.id = entry.id AND outcome.{schema.CHANGEABLE} AND outcome.state = 'skipped'
        AND entry.campaign = %s AND entry.kind = '{INVALID}'
    RETURNING entry.id
)
DELETE FROM outcome USING invalid WHERE outcome.id = invalid.id
"""
HAS_KEYS: Final = "SELECT EXISTS (SELECT 1 FROM entry WHERE campaign = %s AND key IS NOT NULL)"

KNOWN: Final = sending.known("id, line, state, reason, reading, kind, recipient, body")

OURS: Final = f"""
SELECT id FROM chunk WHERE id = ANY(%s) AND state = {LOADING} AND owner = %s ORDER BY id FOR UPDATE
"""
ADD: Final = f"""
INSERT INTO chunk (campaign, state, begun, owner)
SELECT %s, {LOADING}, 0, %s FROM generate_series(1, %s) RETURNING id
"""
COPY: Final = f"""
COPY entry (id, campaign, {", ".join(Entry._fields)}, reading) FROM STDIN (FORMAT BINARY)
"""
TYPES: Final = ("int8", "int4", "text", "int4", "text", "text", "text", "int4", "int4")
SKIP: Final = """
INSERT INTO outcome (id, state, attempts, ended_at, reason)
SELECT id, state, 0, ended_at, reason FROM unnest(
    %(id)s::bigint[], %(state)s::state[], %(ended_at)s::double precision[], %(reason)s::text[])
AS it (id, state, ended_at, reason)
"""
MOVE: Final = """
UPDATE entry SET line = it.line FROM unnest(%s::bigint[], %s::integer[]) AS it (id, line)
WHERE entry.id = it.id
"""

TAKE: Final = f"""
UPDATE chunk SET owner = %(worker)s,
    state = CASE WHEN owner IS NULL THEN {LOADING} ELSE state END
WHERE id IN (
    SELECT id FROM chunk WHERE id = ANY(%(chunks)s)
        AND (owner IS NULL AND id <> ALL(%(read)s) OR owner = %(worker)s AND state <> {RECALLED})
        AND NOT {IS_OTHERS}
    ORDER BY id FOR UPDATE
)
RETURNING id
"""
QUEUE_AGAIN: Final = """
UPDATE outcome SET state = 'queued', reason = NULL, ended_at = NULL
WHERE id = ANY(%s) AND state IN ('skipped', 'rejected')
"""
REWRITE: Final = f"""
UPDATE entry SET kind = it.kind, recipient = it.recipient, body = it.body, billed = it.billed
FROM unnest(%(id)s::bigint[], %(kind)s::text[], %(recipient)s::text[], %(body)s::text[],
            %(billed)s::integer[]) AS it (id, kind, recipient, body, billed)
JOIN chunk ON chunk.id = it.id / {CHUNK}
LEFT JOIN outcome ON outcome.id = it.id
WHERE entry.id = it.id AND (
    outcome.state IN ('skipped', 'rejected')
    OR (outcome.state = 'queued' OR outcome.id IS NULL AND it.id > begun)
        AND (owner IS NULL OR owner = %(worker)s) AND chunk.id <> ALL(%(read)s)
)
"""
"""A holder that has read a queued message sends what it has read, so this stays on record."""
REWRITTEN: Final = ("id", "kind", "recipient", "body", "billed")


async def begin(
    connection: AsyncConnection,
    campaign: int,
    *,
    place: Place,
    corrects: Corrects | None = None,
    read: Collection[int] = (),
) -> "Load":
    """Begin a load. See `Ledger.begin_load`, and `Load` for the parameters."""
    async with connection.transaction():
        await connection.execute(LOCK, (campaign,))
        number = await load_number(connection, campaign) + 1
        values = {metadata_names.LOAD: str(number)}
        if corrects is None:
            await connection.execute(FORGET_INVALID, (campaign,))
            values[metadata_names.LOADED] = "0"
        await sending.set_metadata(connection, campaign, values=values)
        (has_keys,) = await sending.one(connection, HAS_KEYS, (campaign,))
    return Load(connection, place, number, corrects=corrects, has_keys=has_keys, read=read)


NEW: Final = Loaded(None)
BROKEN_OFF: Final = (SkipReason.SUPERSEDED, REPLACED)
"""What a load adds is queued by its end: one that is broken off leaves nothing to send."""


class Known(NamedTuple):
    """A message that the ledger has.

    Attributes:
        id: Its number.
        line: Its line.
        state: Its state.
        reason: The reason for it.
        load: The number of a load that had it; that of this load, if it had it already.
        kind: As in `Entry`.
        recipient: As in `Entry`.
        body: As in `Entry`.
    """

    id: int
    line: int | None
    state: str
    reason: str | None
    load: int
    kind: str
    recipient: str
    body: str


class Call:
    """Messages of a load that are recorded together. It only decides.

    Args:
        load: The number of the load.
        known: Messages that the ledger has, by their keys.
        adds: The load adds messages.
        tells_left_out: As in `Ledger.load`.

    Attributes:
        new: Messages to insert.
        seen: Numbers of messages of earlier loads.
        moved: Lines of those that have another one now, by their numbers.
        returning: Numbers of those that wait again.
        added: Numbers of those that the end of a load queues which adds messages.
        too_often: Numbers of those that wait, and are to be skipped as too often.
        changed: Messages with another content, by the numbers of those that take it.
    """

    def __init__(
        self, load: int, known: dict[str, Known], *, adds: bool = False, tells_left_out: bool
    ) -> None:
        self.new: list[Loading] = []
        self.seen: list[int] = []
        self.moved: dict[int, int | None] = {}
        self.returning: list[int] = []
        self.added: list[int] = []
        self.too_often: list[int] = []
        self.changed: dict[int, Entry] = {}
        self._load = load
        self._known = known
        self._adds = adds
        self._tells_left_out = tells_left_out
        self._lines: dict[str, int | None] = {}

    def record(self, item: Loading) -> Loaded:
        """Decide what becomes of a message."""
        entry, skipped, _ = item
        key = entry.key
        if not key:
            self.new.append(self._placed(item))
            return Loaded(skipped)
        if key in self._lines:
            return self._duplicate(entry, self._lines[key])
        known = self._known.get(key)
        if known is not None and known.load == self._load:
            return self._duplicate(entry, known.line)
        self._lines[key] = entry.line
        if known is None:
            self.new.append(self._placed(item))
            return NEW if skipped is None else Loaded(skipped)
        return self._see_again(item, known)

    def _placed(self, item: Loading) -> Loading:
        is_added = self._adds and item.skipped is None
        return Loading(item.entry, *BROKEN_OFF) if is_added else item

    def _duplicate(self, entry: Entry, line: int | None) -> Loaded:
        first = "an earlier message" if line is None else f"line {line}"
        new = Loading(no_message(entry.line), SkipReason.DUPLICATE, f"of {first}")
        self.new.append(new)
        return Loaded(SkipReason.DUPLICATE, first_line=line)

    def _see_again(self, item: Loading, known: Known) -> Loaded:
        if self._adds and (item.skipped is not None or known.reason != REPLACED_BECAUSE):
            return Loaded(None, State(known.state))
        self.seen.append(known.id)
        if known.line != item.entry.line:
            self.moved[known.id] = item.entry.line
        if self._adds:
            self.added.append(known.id)
            return Loaded(None, State.QUEUED)
        if item.is_too_often(known.state, known.reason):
            if known.state == State.QUEUED:
                self.too_often.append(known.id)
            return Loaded(item.skipped)
        is_changed = known.state not in MAY_BE_SENT and not _is_same(known, item.entry)
        if item.skipped is not None or not (is_changed or known.reason in RETURNS):
            return Loaded(None, State(known.state))
        if is_changed:
            self.changed[known.id] = item.entry
        if known.state != State.QUEUED:
            self.returning.append(known.id)
        if self._tells_left_out and known.reason == LEFT_OUT_BECAUSE:
            return Loaded(SkipReason.HAS_ANOTHER, State.SKIPPED)
        return Loaded(None, State.QUEUED)


def _is_same(known: Known, entry: Entry) -> bool:
    given = (entry.kind, storable(entry.recipient), storable(entry.body))
    return is_same((known.kind, known.recipient, known.body), given)


class Load:
    """One load of a source, by one holder.

    Args:
        connection: The connection that began it.
        place: Its campaign and holder.
        number: Its number.
        corrects: As in `Ledger.begin_load`.
        has_keys: The campaign had keys before it.
        read: Chunks that the holder has read. If one of them has no owner any more, others may have
            begun what it has read, so that it must not become its owner again.

    Attributes:
        number: Its number.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        place: Place,
        number: int,
        *,
        corrects: Corrects | None,
        has_keys: bool,
        read: Collection[int],
    ) -> None:
        self.number = number
        self._connection = connection
        self._place = place
        self._corrects = corrects
        self._read = read
        self._keys = None if has_keys else BloomFilter(FILTER_BYTES)
        self._chunks: list[int] = []
        self._free: Sequence[range] = ()
        self._seen: dict[int, bytearray] = {}
        self._returning: list[int] = []
        self._touched: set[int] = set()
        self._too_often = array("q")
        self._changed: dict[int, Entry] = {}

    async def record(
        self,
        connection: AsyncConnection,
        _campaign: int,
        *,
        items: Sequence[Loading],
        tells_left_out: bool,
    ) -> Sequence[Loaded]:
        """Record messages. See `Ledger.load`."""
        self._check(connection)

        async def write() -> Sequence[Loaded]:
            return await self._record(items, tells_left_out=tells_left_out)

        return await repeated(write)

    async def end(
        self,
        connection: AsyncConnection,
        _campaign: int,
        *,
        replaces: bool,
        edited: Edited,
        releases: bool,
    ) -> Mapping[int, int]:
        """Record that the source was loaded to its end. See `Ledger.end_load`.

        If a later load has begun, it decides what it replaces, and when its own messages are sent.
        """
        self._check(connection)

        async def write() -> Mapping[int, int]:
            async with connection.transaction():
                return await self._end(replaces=replaces, edited=edited, releases=releases)

        return await repeated(write)

    def _check(self, connection: AsyncConnection) -> None:
        if connection is not self._connection:
            raise LedgerError(self._place.name, problems.BROKEN_LOAD)

    async def _record(self, items: Sequence[Loading], *, tells_left_out: bool) -> Sequence[Loaded]:
        connection, place = self._connection, self._place
        chunks = [chunk_of(some[0]) for some in self._free]
        async with undone_on_error(connection):
            async with connection.pipeline():  # one round trip
                await connection.execute("BEGIN")
                await connection.execute(BEGIN_CALL, (place.campaign,))
                ours = await connection.execute(OURS, (chunks, place.worker))
                keys = sending.array(self._may_be_known(items))
                known = await connection.execute(KNOWN, (place.campaign, keys))
            call = Call(
                self.number,
                await self._known(known),
                adds=bool(self._corrects),
                tells_left_out=tells_left_out,
            )
            loaded = [call.record(item) for item in items]
            free = await self._still_free(ours)
            made = await self._make_chunks(len(call.new) - sum(map(len, free)))
            free += [range(chunk * CHUNK, (chunk + 1) * CHUNK) for chunk in made]
            postponed, unchanged = await self._queue_again(call.returning, call.changed)
            rows = [*zip(chain.from_iterable(free), call.new, strict=False)]
            await self._copy(rows)
            async with connection.pipeline():
                await self._change(rows, call.moved)
                await connection.execute("COMMIT")
        self._chunks += made
        self._free = beyond(free, len(call.new))
        self._returning += (*postponed, *call.added)
        self._returning += [number for number, it in rows if it[1:] == BROKEN_OFF]
        self._too_often.extend(call.too_often)
        self._changed |= unchanged
        for number in call.seen:
            mask = self._seen.setdefault(chunk_of(number), bytearray(CHUNK // 8))
            mask[number % CHUNK // 8] |= 1 << number % 8
        return loaded

    def _may_be_known(self, items: Sequence[Loading]) -> Sequence[str]:
        """Leave out keys that certainly are new; from here on, all count as seen."""
        keys = [item.entry.key for item in items if item.entry.key]
        return keys if self._keys is None else self._keys.add(keys)

    async def _known(self, cursor: Cursor) -> "dict[str, Known]":
        known = {key: Known(*columns) async for key, *columns in cursor}
        seen_again = {key: it for key, it in known.items() if self._has_seen(it.id)}
        return known | {key: it._replace(load=self.number) for key, it in seen_again.items()}

    def _has_seen(self, number: int) -> bool:
        mask = self._seen.get(chunk_of(number))
        return mask is not None and bool(mask[number % CHUNK // 8] >> number % 8 & 1)

    async def _still_free(self, cursor: Cursor) -> list[range]:
        """Give the numbers left over, of chunks that nobody has taken: another load may end."""
        ours = {chunk async for (chunk,) in cursor}
        return [some for some in self._free if chunk_of(some[0]) in ours]

    async def _make_chunks(self, numbers: int) -> Sequence[int]:
        """Make chunks for numbers that are missing, if there are any."""
        if numbers <= 0:
            return ()
        count = max(-(-numbers // CHUNK), min(len(self._chunks), MOST_AHEAD))
        values = (self._place.campaign, self._place.worker, count)
        cursor = await self._connection.execute(ADD, values)
        return [chunk async for (chunk,) in cursor]

    async def _copy(self, rows: Sequence[tuple[int, Loading]]) -> None:
        if not rows:
            return
        campaign, load = self._place.campaign, self.number
        async with self._connection.cursor().copy(COPY) as copy:
            copy.set_types(TYPES)
            for number, ((key, line, kind, recipient, body, billed), _, _) in rows:
                texts = (key or None, line or None, kind, storable(recipient), storable(body))
                await copy.write_row((number, campaign, *texts, billed, load))

    async def _change(
        self, rows: Sequence[tuple[int, Loading]], moved: Mapping[int, int | None]
    ) -> None:
        """Skip messages, and give others the line that they have now."""
        skipped = [(number, *at_rest(it[1], it[2])) for number, it in rows if it[1]]
        if skipped:
            await self._connection.execute(SKIP, sending.columns(sending.AT_REST, skipped))
        if moved:
            values = (sending.array(moved), sending.array(moved.values()))
            await self._connection.execute(MOVE, values)

    async def _queue_again(
        self, numbers: Sequence[int], changed: Mapping[int, Entry]
    ) -> tuple[Sequence[int], Mapping[int, Entry]]:
        """Queue messages that their source has again, and give others their new content.

        Returns:
            The messages of both kinds that somebody else keeps.
        """
        if not (numbers or changed):
            return (), {}
        values = {
            "chunks": [*{*map(chunk_of, (*numbers, *changed))}],
            "worker": self._place.worker,
            "read": [*self._read],
        }
        cursor = await self._connection.execute(TAKE, values)
        taken = {chunk async for (chunk,) in cursor}
        now = [number for number in numbers if chunk_of(number) in taken]
        self._touched |= taken
        await self._rewrite({it: new for it, new in changed.items() if chunk_of(it) in taken})
        await self._connection.execute(QUEUE_AGAIN, (now,))
        return (
            [number for number in numbers if chunk_of(number) not in taken],
            {number: new for number, new in changed.items() if chunk_of(number) not in taken},
        )

    async def _rewrite(self, changed: Mapping[int, Entry]) -> None:
        """Give messages their new content."""
        if changed:
            rows = [
                (number, it.kind, storable(it.recipient), storable(it.body), it.billed)
                for number, it in changed.items()
            ]
            who = {"worker": self._place.worker, "read": [*self._read]}
            await self._connection.execute(REWRITE, {**who, **sending.columns(REWRITTEN, rows)})

    async def _end(self, *, replaces: bool, edited: Edited, releases: bool) -> Mapping[int, int]:
        connection, place = self._connection, self._place
        await connection.execute(LOCK, (place.campaign,))
        is_newest = await load_number(connection, place.campaign) == self.number
        asks = not releases or edited is not Edited.EVERYONE
        takes = replaces or asks or bool(self._too_often)
        values = {
            **(scope := self._scope()),
            "takes": takes,
            "replaces": replaces,
            "is_newest": is_newest,
            "touched": [*map(chunk_of, (*self._returning, *self._changed))],
        }
        await self._hold(values)
        await self._rewrite(self._changed)
        if self._returning:
            await connection.execute(QUEUE_AGAIN, (self._returning,))
            await connection.execute(schema.REOPEN, values)
        if replaces and is_newest:
            await replace(connection, scope)
        await skip_too_often(connection, scope, self._too_often)
        people = {} if edited is Edited.EVERYONE else await leave_out(connection, scope)
        is_loaded = not people or edited is not Edited.ABORT
        settled = {"is_loaded": is_loaded, "releases": releases and is_loaded}
        await connection.execute(SETTLE, {**values, **settled, "touched": [*self._touched]})
        if self._corrects:
            await supersede(connection, place.campaign, self._corrects)
        elif is_newest:
            loaded = {metadata_names.LOADED: str(int(is_loaded))}
            await sending.set_metadata(connection, place.campaign, values=loaded)
        return people

    async def _hold(self, values: Scope) -> None:
        """Let nobody begin or change what the end is about."""
        self._touched.update(values["touched"])
        await self._connection.execute(HOLD, values)
        if values["takes"]:
            await self._connection.execute(RECALL, values)
        if values["takes"] and values["is_newest"]:
            broken_off = await self._connection.execute(BREAK_OFF, values)
            self._touched.update([chunk async for (chunk,) in broken_off])

    def _scope(self) -> Scope:
        return {
            "campaign": self._place.campaign,
            "worker": self._place.worker,
            "load": self.number,
            "made": self._chunks,
            "chunks": [*self._seen],
            "masks": [bytes(mask) for mask in self._seen.values()],
            "now": time.time(),
        }


def beyond(free: Sequence[range], count: int) -> list[range]:
    """Leave out the first of some numbers.

    >>> beyond([range(3), range(7, 9), range(9, 12)], 4)
    [range(8, 9), range(9, 12)]
    """
    rest = []
    for some in free:
        rest.append(some[count:])
        count = max(0, count - len(some))
    return [some for some in rest if some]
