"""Holding of a campaign: joining its workers, taking chunks, and taking over from dead workers.

Only the server's clock decides who is dead: a worker that was not seen for its lease, which others
know. Its messages that were begun and have no outcome are unknown from then on, and its chunks wait
again. After the server was started, nobody is dead for a lease: all of them were cut off. Nor does
a worker judge others for a lease after it was silent itself.

A worker may be stopped at any moment, for hours. The server ends a transaction that waits for its
next statement, and so frees its locks, but not one that waits amid a pipeline. So there is none.
"""

import asyncio
import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from psycopg.errors import LockNotAvailable

from connectus_async.errors import LedgerError
from connectus_async.ledger import metadata_names
from connectus_async.ledger.postgres import campaigns, problems, schema, sending
from connectus_async.ledger.postgres.address import Address
from connectus_async.ledger.postgres.attending import STOP, Attending
from connectus_async.ledger.postgres.chunks import Chunk, chunk_of
from connectus_async.ledger.postgres.connection import AsyncConnection, check_version
from connectus_async.ledger.postgres.schema import CHUNK, DONE, LOADING, OWNED, RECALLED, WAITING
from connectus_async.ledger.postgres.session import Session, Task
from connectus_async.ledger.postgres.writer import Place, Writer
from connectus_async.ledger.records import Entry, Policy
from connectus_async.ledger.same_campaign import difference
from connectus_async.ledger.states import ABSENT, INTERRUPTED, OnUnknown, SkipReason

LEASE: Final = 10.0
"""Seconds after which a worker that was not seen is given up."""

BEATS: Final = 10
"""In a lease."""

JOIN: Final = "INSERT INTO worker (campaign, place, lease) VALUES (%s, %s, %s) RETURNING id"
BEAT: Final = """
UPDATE worker SET seen_at = clock_timestamp()
FROM (SELECT id AS me, seen_at AS before FROM worker WHERE id = %s) AS it
WHERE id = me AND left_at IS NULL
RETURNING before > clock_timestamp() - lease * interval '1 second'
"""
LEAVE: Final = "UPDATE worker SET left_at = clock_timestamp() WHERE id = %s AND left_at IS NULL"

WAIT_BRIEFLY: Final = "SELECT set_config('lock_timeout', %s, true)"
"""Of a transaction between two signs of life: somebody may have its rows locked for longer than a
lease, as the end of a large load has."""

FREE: Final = f"""
WITH freed AS (
    UPDATE chunk SET owner = NULL, state = CASE
        WHEN state = {LOADING} OR releaser IS NOT NULL THEN {LOADING}
        WHEN {schema.HAS_QUEUED} THEN {WAITING} ELSE {DONE} END
    WHERE id = ANY(%s) AND owner = ANY(%s) AND NOT {schema.HAS_IN_FLIGHT}
    RETURNING id
)
DELETE FROM begun USING freed WHERE chunk = freed.id
"""
"""Whoever has messages in flight stays, so that somebody is there who gives them up if it dies."""

LOCK: Final = "SELECT FROM chunk WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
"""Whoever queues messages of a chunk has it locked meanwhile: what he queued is seen after this."""

HELD: Final = "SELECT id FROM chunk WHERE id = ANY(%s) AND owner = ANY(%s)"
OWNED_BY: Final = f"SELECT id FROM chunk WHERE campaign = %s AND owner = %s AND state <> {DONE}"

CLAIM: Final = f"""
UPDATE chunk SET owner = %(worker)s, state = CASE WHEN owner IS NULL THEN {OWNED} ELSE state END
WHERE id = (
    SELECT id FROM chunk
    WHERE campaign = %(campaign)s AND state <> {DONE} AND id <> ALL(%(read)s)
        AND (state = {WAITING} OR owner = %(worker)s AND state <> {RECALLED}
            AND coalesce(releaser, owner) = owner)
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, begun
"""
WAITS: Final = f"""
SELECT entry.id, outcome.id IS NOT NULL, {", ".join(Entry._fields)}
FROM entry
LEFT JOIN outcome ON outcome.id = entry.id AND outcome.id BETWEEN %(first)s AND %(last)s
WHERE entry.id BETWEEN %(first)s AND %(last)s
    AND (outcome.state = 'queued' OR outcome.id IS NULL AND entry.id > %(begun)s)
ORDER BY entry.id
"""
OTHERS_GO_ON: Final = f"""
SELECT EXISTS (
    SELECT 1 FROM chunk
    WHERE campaign = %(campaign)s AND (
        state = {WAITING} AND id <> ALL(%(read)s)
        OR (state = {RECALLED} OR state = {OWNED} AND (owner <> %(worker)s OR id <> ALL(%(read)s)))
            AND {schema.HAS_QUEUED}
    )
)
"""
"""A chunk that waits, or is ours and unread, is one that somebody has locked at the moment."""

_IS_SILENT: Final = """
seen_at < clock_timestamp() - lease * interval '1 second'
AND pg_postmaster_start_time() < clock_timestamp() - lease * interval '1 second'
"""
GIVE_UP: Final = f"""
UPDATE worker SET left_at = coalesce(left_at, clock_timestamp()) WHERE id IN (
    SELECT id FROM worker
    WHERE campaign = %(campaign)s AND id <> %(worker)s AND (
        left_at IS NULL AND {_IS_SILENT}
        OR left_at IS NOT NULL AND id IN (
            SELECT owner FROM chunk WHERE campaign = %(campaign)s AND state <> {DONE}
        )
    )
    ORDER BY id FOR UPDATE SKIP LOCKED
)
RETURNING id
"""
LOST: Final = f"""
SELECT id, begun FROM chunk WHERE campaign = %s AND state <> {DONE} AND owner = ANY(%s)
ORDER BY id FOR UPDATE
"""
INTERRUPT: Final = f"""
UPDATE outcome SET state = 'unknown', reason = '{INTERRUPTED}', ended_at = %(now)s
FROM unnest(%(chunks)s::bigint[]) AS lost (id)
WHERE outcome.id BETWEEN lost.id * {CHUNK} AND lost.id * {CHUNK} + {CHUNK - 1}
    AND outcome.state = 'in_flight'
"""
INTERRUPT_BEGUN: Final = f"""
INSERT INTO outcome (id, state, attempts, started_at, ended_at, reason)
SELECT it.id, 'unknown', 1, (
    SELECT at FROM begun WHERE begun.chunk = chunk.id AND upto >= it.id ORDER BY upto LIMIT 1
), %(now)s, '{INTERRUPTED}'
FROM chunk CROSS JOIN LATERAL (
    SELECT entry.id FROM entry LEFT JOIN outcome ON outcome.id = entry.id
        AND outcome.id BETWEEN chunk.id * {CHUNK} AND chunk.id * {CHUNK} + {CHUNK - 1}
    WHERE entry.id BETWEEN chunk.id * {CHUNK} AND chunk.begun AND outcome.id IS NULL
    OFFSET 0
) AS it
WHERE chunk.id = ANY(%(chunks)s)
"""
"""Chunk by chunk, whatever statistics the server has."""

OVER_BUDGET: Final = f"outcome.state = 'skipped' AND outcome.reason = '{SkipReason.OVER_BUDGET}'"
WAITS_AGAIN: Final = {
    OnUnknown.HOLD: OVER_BUDGET,
    OnUnknown.RESEND: f"outcome.state IN ('unknown', 'held') OR {OVER_BUDGET}",
    OnUnknown.RESEND_IF_ABSENT: (
        f"outcome.state = 'held' AND outcome.reason = %(absent)s OR {OVER_BUDGET}"
    ),
}
"""Messages of an earlier run that are sent, by the treatment of the unknown ones."""

HOLD: Final = f"""
SELECT FROM chunk WHERE campaign = %(campaign)s AND (state <> {DONE} OR EXISTS (
    SELECT 1 FROM outcome
    WHERE outcome.id BETWEEN chunk.id * {CHUNK} AND chunk.id * {CHUNK} + {CHUNK - 1}
        AND outcome.{schema.CHANGEABLE} AND ({{waits_again}})
))
ORDER BY id FOR KEY SHARE
"""
"""See `LOCK`. Their messages go on being sent."""

RESUME: Final = f"""
UPDATE outcome SET state = 'queued', reason = CASE WHEN {OVER_BUDGET} THEN NULL ELSE reason END
FROM entry
WHERE entry.id = outcome.id AND entry.campaign = %(campaign)s AND outcome.{schema.CHANGEABLE}
    AND ({{waits_again}})
"""


class Holding:
    """One holder of a campaign, from its opening to its end.

    Args:
        address: The database, and the campaign in it.
        lease: Seconds after which others give this holder up, if nothing is heard of it.
    """

    def __init__(self, address: Address, *, lease: float) -> None:
        self._address = address
        self._lease = lease
        self._writer: Writer | None = None
        self._state = problems.NOT_OPEN
        self._policy: Policy | None = None
        self._beats: asyncio.Task[None] | None = None
        self._read: list[int] = []
        self._page: list[tuple[int, Entry]] = []
        self._claiming: asyncio.Task[bool] | None = None
        self._last_read = self._after = 0
        self._judges_at = 0.0
        self.worker = 0
        self._campaign = 0

    @property
    def writer(self) -> Writer:
        """The writer of its changes.

        Raises:
            LedgerError: It is not open.
        """
        if self._writer is None:
            raise LedgerError(self._address.name, self._state)
        return self._writer

    async def begin(self, policy: Policy) -> None:
        """Join the workers of the campaign."""
        self._policy = policy
        self._changes, self._questions, self._signs_of_life = self._sessions(policy)
        try:
            await self._open_sessions()
            await self._questions.run(partial(self._join, policy=policy), repeats=True)
            place = Place(self._address.name, self._campaign, self.worker, self._lease)
            writer = Writer(self._changes, place)
            self._beats = asyncio.create_task(self._beat(writer))
            await self._questions.run(partial(self._resume, policy=policy), repeats=True)
            self._writer = writer
        except BaseException:
            await self._stop_beating()
            await self._close_sessions()
            raise

    def _sessions(self, policy: Policy) -> tuple[Session, Session, Session]:  # noqa: ARG002
        """Make three sessions: a question may take longer than a lease."""
        changes, questions, signs_of_life = (
            Session(self._address, idle_seconds=self._lease) for _ in range(3)
        )
        return changes, questions, signs_of_life

    def _name(self, policy: Policy) -> str:
        """Give the name that the campaign has in the database."""
        name = self._address.campaign
        return policy.campaign if name is None else name

    async def _open_sessions(self) -> None:
        for session in {self._changes, self._questions, self._signs_of_life}:
            await session.open()

    async def _close_sessions(self) -> None:
        for session in {self._changes, self._questions, self._signs_of_life}:
            await session.close()

    async def _join(self, connection: AsyncConnection, policy: Policy) -> None:
        name = self._address.name
        (version,) = await sending.one(connection, schema.FIND_VERSION, ())
        check_version(name, version)
        async with connection.transaction():
            self._campaign = await self._find(connection, policy)
            place = f"{socket.gethostname()} PID {os.getpid()}"
            values = (self._campaign, place, self._lease)
            (self.worker,) = await sending.one(connection, JOIN, values)
            (stop,) = await sending.one(connection, STOP, (self._campaign,))
        self.attending = Attending(self.worker, stop)

    async def _resume(self, connection: AsyncConnection, policy: Policy) -> None:
        """Go on where earlier workers stopped; it may take longer than a lease."""
        with suppress(LockNotAvailable):
            await self._take_over(connection)
        async with connection.transaction():
            await self._queue_again(connection, policy.on_unknown)

    async def _find(self, connection: AsyncConnection, policy: Policy) -> int:
        """Find the campaign, or make it; check that it is the one of the policy."""
        name = self._name(policy)
        made = (await connection.execute(campaigns.ADD, (name,))).rowcount
        (campaign,) = await sending.one(connection, campaigns.FIND, (name,))
        found = {metadata_names.NAME: name, **await sending.metadata(connection, campaign)}
        wanted = {
            metadata_names.NAME: policy.campaign or name,
            metadata_names.IDENTITY: policy.identity,
        }
        if made:
            wanted[metadata_names.CREATED_AT] = f"{time.time():.3f}"
            wanted[metadata_names.ONE_SPELLING] = "1"
        if problem := difference(found, wanted):
            raise LedgerError(self._address.name, problem)
        await sending.set_metadata(connection, campaign, values=wanted)
        return int(campaign)

    async def end(self) -> None:
        """Write what is left, give back the chunks, and leave; repeating it is harmless."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        self._state = problems.CLOSED
        try:
            await self._stop_reading()
            await writer.end()
            await self._stop_beating()
            await self._questions.run(partial(self._leave, writer=writer), repeats=True)
        finally:
            await self._close_sessions()

    async def _leave(self, connection: AsyncConnection, writer: Writer) -> None:
        """Leave; chunks with messages in flight stay ours, so that the next worker finds them."""
        async with connection.transaction():
            cursor = await connection.execute(OWNED_BY, (self._campaign, self.worker))
            free = [chunk async for (chunk,) in cursor if not writer.has_in_flight(chunk)]
            await self._free(connection, free, [self.worker])
            await connection.execute(LEAVE, (self.worker,))

    async def _free(
        self, connection: AsyncConnection, chunks: Sequence[int], owners: Sequence[int]
    ) -> set[int]:
        """Give chunks back; return those that stay, since they have messages in flight."""
        values = ([*chunks], [*owners])
        await connection.execute(LOCK, ([*chunks],))
        await connection.execute(FREE, values)
        cursor = await connection.execute(HELD, values)
        return {chunk async for (chunk,) in cursor}

    async def _beat(self, writer: Writer) -> None:
        """Be seen, and look who is not, until the end."""
        while True:
            await asyncio.sleep(self._lease / BEATS)
            try:
                seen = partial(self._seen, writer=writer)
                is_present = await self._signs_of_life.run(seen, repeats=True)
            except LedgerError as error:
                writer.fail(error)
                return
            if not is_present:
                writer.give_up()
                return

    async def _stop_beating(self) -> None:
        if self._beats is not None:
            self._beats.cancel()
            await asyncio.wait([self._beats])

    async def _seen(self, connection: AsyncConnection, writer: Writer) -> bool:
        cursor = await connection.execute(BEAT, (self.worker,))
        beat = await cursor.fetchone()
        if beat is None:
            return False
        (was_seen,) = beat
        if not was_seen:  # the server may have been away: then the others were not seen either
            self._judges_at = time.monotonic() + self._lease
        with suppress(LockNotAvailable):  # the next beat tries it again
            await self._give_back(connection, writer)
            if time.monotonic() >= self._judges_at:
                await self._take_over(connection)
        return True

    async def _give_back(self, connection: AsyncConnection, writer: Writer) -> None:
        """Give back chunks of which one message was begun by its key, or that were recalled."""
        if ended := {chunk for chunk in writer.to_give_back if not writer.is_in_use(chunk)}:
            async with connection.transaction():
                await self._wait_briefly(connection)
                ended -= await self._free(connection, [*ended], [self.worker])
            given = {chunk for chunk in ended if not writer.is_in_use(chunk)}
            writer.to_give_back.difference_update(given)

    async def _wait_briefly(self, connection: AsyncConnection) -> None:
        await connection.execute(WAIT_BRIEFLY, (f"{self._lease / BEATS * 1_000:.0f}",))

    async def _take_over(self, connection: AsyncConnection) -> None:
        """Give up workers that are dead, and take what they left."""
        who = {"campaign": self._campaign, "worker": self.worker}
        async with connection.transaction():
            cursor = await connection.execute(GIVE_UP, who)
            dead = [worker async for (worker,) in cursor]
            if not dead:
                return
            await self._wait_briefly(connection)
            cursor = await connection.execute(LOST, (self._campaign, dead))
            lost = [chunk async for chunk, _ in cursor]
            values = {"chunks": lost, "now": time.time()}
            await connection.execute(INTERRUPT, values)
            await connection.execute(INTERRUPT_BEGUN, values)
            await self._free(connection, lost, dead)
            if self._policy is not None and self._policy.on_unknown is OnUnknown.RESEND:
                await self._queue_again(connection, OnUnknown.RESEND)

    async def _queue_again(self, connection: AsyncConnection, on_unknown: OnUnknown) -> None:
        """Queue the messages of earlier runs that the policy wants to be sent."""
        values = {"campaign": self._campaign, "absent": ABSENT}
        for statement in (HOLD, RESUME):
            queued = statement.format(waits_again=WAITS_AGAIN[on_unknown])
            await connection.execute(queued, values)
        await connection.execute(schema.REOPEN, values)

    async def ask_at_once(self, task: Task, *, repeats: bool) -> Any:
        """Run a function of the connection that waits for no change and no other question."""
        campaign = self.writer.place.campaign
        return await self._signs_of_life.run(
            lambda connection: task(connection, campaign), repeats=repeats
        )

    async def ask(self, task: Task, *, repeats: bool) -> Any:
        """Run a function of the connection, after everything that was recorded is written."""
        await self.writer.written()
        return await self._questions.run(
            lambda connection: task(connection, self._campaign), repeats=repeats
        )

    async def queued(self, after: int, limit: int) -> Sequence[tuple[int, Entry]]:
        """Read messages that wait, chunk by chunk; wait for others who may leave some.

        See `Ledger.queued`. A number that is not the last one of the call before begins anew. While
        messages are sent, the next chunk is read.
        """
        self.writer.check()
        if after == 0 or after != self._last_read:
            await self._read_anew(after)
        while not (rows := await self._next(limit)):
            if not await self._questions.run(self._others_go_on, repeats=True):
                return []
            await asyncio.sleep(self._lease / BEATS)
        self._last_read = rows[-1][0]
        return rows

    async def _read_anew(self, after: int) -> None:
        await self._stop_reading()
        await self.writer.written()
        self._read, self._page, self._after = [], [], after
        self.writer.read_anew()

    async def _next(self, limit: int) -> Sequence[tuple[int, Entry]]:
        while len(self._page) < limit:
            claiming, self._claiming = self._claiming or self._claim_ahead(), None
            if not await claiming:
                break
        rows, self._page = self._page[:limit], self._page[limit:]
        self.writer.handed_out.update(number for number, _ in rows)
        if rows and len(self._page) < limit:
            self._claiming = self._claim_ahead()
        return rows

    def _claim_ahead(self) -> asyncio.Task[bool]:
        return asyncio.create_task(self._questions.run(self._claim, repeats=True))

    async def _stop_reading(self) -> None:
        claiming, self._claiming = self._claiming, None
        if claiming is not None:
            claiming.cancel()
            await asyncio.gather(claiming, return_exceptions=True)

    async def _claim(self, connection: AsyncConnection) -> bool:
        """Take another chunk, whose messages are read next; give back those that are at an end."""
        writer = self.writer
        ended = [chunk for chunk in writer.chunks if not writer.is_in_use(chunk)]
        self._read = [chunk for chunk in self._read if chunk not in writer.recalled]
        self._page = [row for row in self._page if chunk_of(row[0]) not in writer.recalled]
        if ended:
            async with connection.transaction():
                writer.to_give_back |= await self._free(connection, ended, [self.worker])
        async with connection.transaction():
            found = await (await connection.execute(CLAIM, self._asking())).fetchone()
            waiting = [] if found is None else await self._waiting(connection, *found)
        for ended_chunk in ended:
            writer.chunks.pop(ended_chunk, None)
        if found is None:
            return False
        (chunk, _) = found
        with_row = {number for number, has_row, *_ in waiting if has_row}
        without_row = [number for number, has_row, *_ in waiting if not has_row]
        writer.own(chunk, Chunk(without_row, with_row))
        writer.take_away(chunk, [row[0] for row in waiting])
        self._read.append(chunk)
        rows = ((row[0], Entry._make(row[2:])) for row in waiting)
        known = writer.handed_out  # whoever has them from an earlier claim begins them
        self._page += [row for row in rows if row[0] > self._after and row[0] not in known]
        return True

    async def _waiting(
        self, connection: AsyncConnection, chunk: int, begun: int
    ) -> Sequence[sending.Row]:
        """Read the messages of a chunk that are queued, and whether they have an outcome's row."""
        values = {"first": chunk * CHUNK, "last": (chunk + 1) * CHUNK - 1, "begun": begun}
        return await (await connection.execute(WAITS, values)).fetchall()

    async def _others_go_on(self, connection: AsyncConnection) -> bool:
        (others_go_on,) = await sending.one(connection, OTHERS_GO_ON, self._asking())
        return bool(others_go_on)

    def _asking(self) -> dict[str, Any]:
        return {"campaign": self._campaign, "worker": self.worker, "read": self._read}
