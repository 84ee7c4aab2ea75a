"""Writer of a holder's changes: one transaction for everything that gathered meanwhile.

A message is in flight in the database before its first byte leaves. While a group of changes is
written, the next one gathers.

If the connection breaks, the same group is written again as soon as the server is back, since it
may or may not be there: whatever of it is there already stays as it is. After any other error a
writer begins nothing more, and everyone who asks gets that error.
"""

import asyncio
import time
from asyncio import Future
from collections import deque
from collections.abc import Awaitable, Generator, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from psycopg.errors import UniqueViolation

from connectus_async.errors import HolderGivenUpError, LedgerError
from connectus_async.ledger.content import hashed
from connectus_async.ledger.postgres import problems, sending
from connectus_async.ledger.postgres.chunks import Begun, Chunk, chunk_of
from connectus_async.ledger.postgres.connection import AsyncConnection
from connectus_async.ledger.postgres.schema import CHUNK, STREAMED
from connectus_async.ledger.postgres.session import Session
from connectus_async.ledger.records import Claim, Entry
from connectus_async.ledger.states import SkipReason, State, skip_reason
from connectus_async.ledger.texts import storable

MOST: Final = 256
"""Changes in a group."""

TOO_OLD: Final = "the permission to send it was too old: nothing was sent"


class Place(NamedTuple):
    """What a writer writes for.

    Attributes:
        name: The place's name, for messages.
        campaign: The number of the campaign.
        worker: The number of the holder.
        lease: Seconds after which others give the holder up.
    """

    name: str
    campaign: int
    worker: int
    lease: float


class New(NamedTuple):
    """A message that may be new.

    Attributes:
        entry: The message.
        waiter: The future of the caller that begins it; ``None`` if it is not begun.
        at_rest: Its state, end and reason, if it is not begun.
    """

    entry: Entry
    waiter: "Future[Claim] | None"
    at_rest: sending.Row = ()


class Group:
    """Changes that are written together, at most one of each known message.

    Attributes:
        new: Messages that may be new.
        begun: Known messages that are begun, and the futures of those who wait for them.
        ended: Outcomes of attempts: state, end, identifier and reason.
        put: Known messages that wait or are skipped: state, end and reason.
        kept: Messages that are going to be tried again by whoever ended the attempt.
        bodies: Contents that are replaced.
        flushed: Futures of those who wait until it is written.
        size: Number of changes.
    """

    __slots__ = ("begun", "bodies", "ended", "flushed", "kept", "new", "put", "size")

    def __init__(self) -> None:
        self.new: list[New] = []
        self.begun: dict[int, Future[Claim] | None] = {}
        self.ended: dict[int, sending.Row] = {}
        self.put: dict[int, sending.Row] = {}
        self.kept: set[int] = set()
        self.bodies: dict[int, str] = {}
        self.flushed: list[Future[None]] = []
        self.size = 0

    def has(self, number: int) -> bool:
        """Tell whether it has a change of a message."""
        return number in self.begun or number in self.ended or number in self.put

    @property
    def futures(self) -> "list[Future[Any]]":
        """The futures of all who wait."""
        waiters = [new.waiter for new in self.new] + [*self.begun.values()]
        return [*(waiter for waiter in waiters if waiter is not None), *self.flushed]


class Plan:
    """How a group is written. It is made once, also if the group has to be written twice.

    Attributes:
        now: The time, in Unix seconds.
        numbers: Numbers for the messages that may be new.
        marks: Watermarks by chunk, for each chunk of the group; 0 where it stays.
        apart: Messages that are begun with a new row.
        again: Messages that are begun in the row that they have.
        ended: Outcomes in a new row.
        ended_again: Outcomes in the row that is there.
        rest: Messages that are not sent, in a new row.
        rest_again: Messages that are not sent, in the row that is there.
        refused: Messages that are not begun, since they were taken away.
        claims: Answers for those who wait, by number; filled while it is written.
        taken: Messages that were begun by their keys, in this try or an earlier one.
        is_repeated: It is not the first try.
        asked_at: Begin of the last try, by the monotonic clock.
    """

    def __init__(self, now: float, numbers: Sequence[int]) -> None:
        self.now = now
        self.numbers = numbers
        self.marks: dict[int, int] = {}
        self.apart: list[int] = []
        self.again: list[int] = []
        self.ended: list[sending.Row] = []
        self.ended_again: list[sending.Row] = []
        self.rest: list[sending.Row] = []
        self.rest_again: list[sending.Row] = []
        self.refused: set[int] = set()
        self.claims: dict[int, Claim] = {}
        self.taken: set[int] = set()
        self.is_repeated = False
        self.asked_at = 0.0

    @property
    def is_fast(self) -> bool:
        """``True`` if it has outcomes in new rows and watermarks only."""
        others = (self.numbers, self.apart, self.again, self.ended_again)
        return not any(others) and not (self.rest or self.rest_again)


class GivenUpError(Exception):
    """Others have given this holder up."""


class Grant:
    """Permission to send a message, for whoever awaits it.

    It is good for half a lease after the database was asked, by the clock of this process: one that
    slept for longer may have been given up.
    """

    __slots__ = ("_future", "_writer")

    def __init__(self, future: "Future[Claim]", writer: "Writer") -> None:
        self._future = future
        self._writer = writer

    def __await__(self) -> Generator[Any, None, Claim]:
        claim = yield from self._future.__await__()
        return self._writer.still_good(claim)


class GrantOfAll:
    """Permission to send messages, as `Grant`: of all of them, or of none."""

    __slots__ = ("_future", "_numbers", "_writer")

    def __init__(self, future: "Future[Claim]", writer: "Writer", numbers: Sequence[int]) -> None:
        self._future = future
        self._writer = writer
        self._numbers = numbers

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._future.__await__()
        self._writer.check_all(self._numbers)


class Writer:
    """Writer of the changes of one holder.

    Args:
        session: The connection for it alone.
        place: What it writes for.
    """

    def __init__(self, session: Session, place: Place) -> None:
        self.place = place
        self.chunks: dict[int, Chunk] = {}
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._groups: deque[Group] = deque()
        self._writing: Group | None = None
        self._pump: asyncio.Task[None] | None = None
        self._failure: LedgerError | None = None
        self._is_given_up = False
        self._granted_at = 0.0
        self._started: dict[int, float] = {}
        self._apart: set[int] = set()
        self._kept: set[int] = set()
        self._in_hand: set[int] = set()
        self.handed_out: set[int] = set()
        self._taken_away: set[int] = set()
        self.to_give_back: set[int] = set()
        self.recalled: set[int] = set()
        self._free: range = range(0)

    def begin_new(self, entry: Entry) -> Awaitable[Claim]:
        """Begin a message that may be new."""
        future = self._future()
        self._group_for().new.append(New(entry, future))
        return Grant(future, self)

    def begin_known(self, number: int) -> Awaitable[Claim]:
        """Begin a message that waits."""
        future = self._future()
        self._group_for(number).begun[number] = future
        return Grant(future, self)

    def begin_all(self, numbers: Sequence[int]) -> Awaitable[object]:
        """Begin messages that wait; they are written in this order."""
        *others, last = numbers
        future = self._future()
        for number in others:
            self._group_for(number).begun[number] = None
        self._group_for(last).begun[last] = future
        return GrantOfAll(future, self, numbers)

    def finish(
        self,
        number: int,
        state: State,
        reason: str | None,
        provider_id: str | None,
        body: str | None,
        *,
        is_kept: bool,
    ) -> None:
        """Record the outcome of an attempt; see `Ledger.finish`. A body is kept as its hash."""
        if not self._is_given_up:
            self.check()
        group = self._group_for(number)
        group.ended[number] = (
            state,
            time.time(),
            None if provider_id is None else storable(provider_id),
            None if reason is None else storable(reason),
        )
        if is_kept:
            group.kept.add(number)
        if body is not None:
            group.bodies[number] = hashed(body)

    def put(
        self, entry: Entry, number: int | None, skipped: SkipReason | None, reason: str | None
    ) -> None:
        """Record a message as skipped or waiting."""
        self.check()
        row = at_rest(skipped, reason)
        if number is None:
            self._group_for().new.append(New(entry, None, row))
        else:
            self._group_for(number).put[number] = row

    async def written(self) -> None:
        """Wait until everything that was recorded is written.

        Raises:
            LedgerError: It could not be written.
        """
        group = self._groups[-1] if self._groups else self._writing
        if group is not None:
            future: Future[None] = self._loop.create_future()
            group.flushed.append(future)
            await future
        self.check()

    async def end(self) -> None:
        """Write what is left, and take nothing more."""
        if self._pump is not None:
            await asyncio.wait([self._pump])
        self.fail(LedgerError(self.place.name, problems.CLOSED))

    def fail(self, failure: LedgerError) -> None:
        """Begin nothing more."""
        self._failure = self._failure or failure

    def give_up(self) -> None:
        """Begin nothing more, since others go on; write only that messages were accepted."""
        self._is_given_up = True
        problem = problems.GIVEN_UP.format(seconds=self.place.lease)
        self.fail(HolderGivenUpError(self.place.name, problem))

    def still_good(self, claim: Claim) -> Claim:
        """Check that a permission is not too old; a message that was not sent waits again."""
        if claim.found is not None or self._is_granted:
            return claim
        self._queue_again([claim.number], TOO_OLD)
        return Claim(claim.number, State.QUEUED)

    def check_all(self, numbers: Sequence[int]) -> None:
        """Check that messages may be sent; if some may not, all wait again.

        Raises:
            LedgerError: Some may not.
        """
        begun = [number for number in numbers if number in self._started]
        if len(begun) < len(numbers) or not self._is_granted:
            self._queue_again(begun, problems.TAKEN)
            raise LedgerError(self.place.name, problems.TAKEN)

    @property
    def _is_granted(self) -> bool:
        return time.monotonic() - self._granted_at <= self.place.lease / 2

    def _queue_again(self, numbers: Iterable[int], reason: str) -> None:
        if not self._is_given_up:
            for number in numbers:
                self.finish(number, State.QUEUED, reason, None, None, is_kept=False)

    def recall(self) -> None:
        """Begin nothing more of what was read: a load may have skipped some of it.

        New messages get numbers above those of the load.
        """
        self._free = range(0)
        self.recalled |= self.chunks.keys()
        self.to_give_back |= self.chunks.keys()
        self.chunks.clear()

    def own(self, number: int, chunk: Chunk) -> None:
        """Begin messages of a chunk from now on."""
        self.chunks[number] = chunk
        self.recalled.discard(number)
        self.to_give_back.discard(number)

    def take_away(self, chunk: int, waiting: Iterable[int]) -> None:
        """Note which messages that were read do not wait any more, of a chunk claimed again."""
        of_it = {number for number in self.handed_out if chunk_of(number) == chunk}
        self._taken_away |= of_it.difference(waiting)

    def read_anew(self) -> None:
        """Forget what was read, and is not going to be begun."""
        self.handed_out.clear()
        self._taken_away.clear()

    def is_in_use(self, chunk: int) -> bool:
        """Tell whether messages of a chunk wait here, are in flight, or are going to be."""
        is_filled = bool(self._free) and chunk_of(self._free[0]) == chunk
        has_waiting = chunk in self.chunks and self.chunks[chunk].has_waiting
        if is_filled or has_waiting or chunk in self._in_hand:
            return True
        return any(chunk_of(number) == chunk for number in self._kept) or self.has_in_flight(chunk)

    def has_in_flight(self, chunk: int) -> bool:
        """Tell whether messages of a chunk are in flight."""
        return any(chunk_of(number) == chunk for number in self._started)

    def check(self) -> None:
        """Raise the failure after which it begins nothing more, if there was one."""
        if self._failure is not None:
            raise self._failure

    def _future(self) -> "Future[Claim]":
        self.check()
        return self._loop.create_future()

    def _group_for(self, number: int | None = None) -> Group:
        """Give the group for one more change, of a message that may be new or of a known one."""
        groups = self._groups
        group = groups[-1] if groups else None
        if group is None or group.size >= MOST or (number is not None and group.has(number)):
            group = Group()
            groups.append(group)
            if self._pump is None:
                self._pump = self._loop.create_task(self._write_all())
        group.size += 1
        return group

    async def _write_all(self) -> None:
        try:
            while self._groups:
                group = self._writing = self._groups.popleft()
                try:
                    plan = await self._write(group)
                except BaseException as error:  # noqa: BLE001 - all who wait get it
                    self._break(group, error)
                else:
                    _answer(group, plan)
                self._in_hand.clear()
        finally:
            self._pump = self._writing = None

    def _break(self, group: Group, error: BaseException) -> None:
        if not isinstance(error, Exception):
            error = LedgerError(self.place.name, problems.CLOSED)
        self.fail(problems.described(self.place.name, error))
        failure = self._failure
        for future in group.futures:
            if not future.done() and failure is not None:
                future.set_exception(failure)
                future.exception()  # somebody may have given up waiting
        while self._groups and not self._is_given_up:
            self._break(self._groups.popleft(), error)

    async def _write(self, group: Group) -> Plan:
        if self._is_given_up:
            await self._write_late(group)
            self.check()
        plan = self._plan(group, await self._numbers(len(group.new)))

        async def write(connection: AsyncConnection) -> None:
            plan.asked_at = time.monotonic()
            try:
                if not (plan.is_fast and not group.bodies and await self._wrote(connection, plan)):
                    async with connection.transaction():
                        await self._write_some(connection, group, plan)
            finally:
                plan.is_repeated = True

        try:
            await self._session.run(write, repeats=True)
            self._granted_at = await self._granted(plan)
        except GivenUpError:
            self.give_up()
            await self._write_late(group)
            self.check()
        self._note(group, plan)
        return plan

    async def _granted(self, plan: Plan) -> float:
        """Ask once more whether the chunks are ours, until the answer comes soon enough."""
        asked_at = plan.asked_at
        while time.monotonic() - asked_at > self.place.lease / 2:
            asked_at = time.monotonic()
            (is_present,) = await self._session.run(
                lambda connection: sending.one(
                    connection, sending.IS_PRESENT, (self.place.worker,)
                ),
                repeats=True,
            )
            if not is_present:
                raise GivenUpError
        return asked_at

    async def _numbers(self, count: int) -> Sequence[int]:
        """Take numbers for messages that may be new, out of chunks of ours."""
        taken: list[int] = []
        while count:
            if not self._free:
                (chunk,) = await self._session.run(self._new_chunk, repeats=True)
                self._free = range(chunk * CHUNK, (chunk + 1) * CHUNK)
                self.own(chunk, Chunk())
            some, self._free = self._free[:count], self._free[count:]
            self._in_hand.add(chunk_of(some[0]))
            taken += some
            count -= len(some)
        return taken

    async def _new_chunk(self, connection: AsyncConnection) -> sending.Row:
        values = (self.place.campaign, STREAMED, self.place.worker)
        return await sending.one(connection, sending.NEW_CHUNK, values)

    def _plan(self, group: Group, numbers: Sequence[int]) -> Plan:
        plan = Plan(time.time(), numbers)
        self._kept.difference_update(group.ended, group.put, group.begun)
        self._kept |= group.kept
        for number, new in zip(numbers, group.new, strict=True):
            chunk = chunk_of(number)
            plan.marks[chunk] = number if new.waiter else plan.marks.get(chunk, 0)
            if new.at_rest:
                plan.rest.append((number, *new.at_rest))
        started, apart = self._started, self._apart
        for number, (state, at, provider_id, reason) in group.ended.items():
            is_new = number in started and number not in apart
            row = (number, state, started.get(number), at, provider_id, reason)
            (plan.ended if is_new else plan.ended_again).append(row)
        for chunk in {*map(chunk_of, group.ended)}:
            plan.marks.setdefault(chunk, 0)
        for number, row in group.put.items():
            waits = self._waits_in(number) is not None
            (plan.rest if waits else plan.rest_again).append((number, *row))
            plan.marks.setdefault(chunk_of(number), 0)
            self._leave_out(number)
        self._plan_begun(group.begun, plan)
        self._in_hand |= plan.marks.keys()
        return plan

    def _leave_out(self, number: int) -> None:
        chunk = self.chunks.get(chunk_of(number))
        if chunk is not None:
            chunk.leave_out(number)

    def _waits_in(self, number: int) -> Chunk | None:
        """Give the chunk of a message that waits to be begun by its watermark."""
        chunk = self.chunks.get(chunk_of(number))
        return chunk if chunk is not None and number in chunk else None

    def _plan_begun(self, begun: Iterable[int], plan: Plan) -> None:
        by_chunk: dict[int, list[int]] = {}
        for number in begun:
            by_chunk.setdefault(number // CHUNK, []).append(number)
        for chunk, numbers in by_chunk.items():
            plan.marks.setdefault(chunk, 0)
            owned = self.chunks.get(chunk, Chunk())
            waiting = [number for number in numbers if number in owned]
            if len(waiting) < len(numbers):
                again = [number for number in numbers if number not in owned]
                for number in again:
                    owned.leave_out(number)
                plan.again += again
                is_recalled = chunk in self.recalled
                plan.refused.update(it for it in again if is_recalled or it in self._taken_away)
            if waiting:
                way: Begun = owned.begin(waiting)
                plan.marks[chunk] = max(plan.marks[chunk], way.upto)
                plan.apart += way.apart

    async def _wrote(self, connection: AsyncConnection, plan: Plan) -> bool:
        """Write a plan in one statement; return False, and write nothing, if that does not do."""
        values = {
            "chunks": sending.array(plan.marks),
            "uptos": sending.array(plan.marks.values()),
            "worker": self.place.worker,
            "count": len(plan.marks),
            "now": plan.now,
            **sending.columns(sending.ENDED, plan.ended),
        }
        try:
            (is_ours,) = await sending.one(connection, sending.FAST, values)
        except UniqueViolation:  # it is written again, or somebody else wrote; the long way tells
            return False
        return bool(is_ours)

    async def _write_some(self, connection: AsyncConnection, group: Group, plan: Plan) -> None:
        """Write a plan that `_wrote` does not."""
        worker = self.place.worker
        (is_present,) = await sending.one(connection, sending.IS_PRESENT, (worker,))
        if not is_present:
            raise GivenUpError
        cursor = await connection.execute(sending.OWN, ([*plan.marks], worker))
        ours = {chunk async for (chunk,) in cursor}
        may_begin = ours - self.recalled
        plan.claims.clear()  # of an earlier try
        lost = {number for number in group.begun if chunk_of(number) not in may_begin}
        lost |= plan.refused
        duplicates = await self._insert(connection, group, plan) if group.new else {}
        await self._end(connection, plan)
        await self._put(connection, plan, may_begin)
        await self._begin(connection, plan, ours, lost)
        if lost:
            await self._refuse(connection, lost, plan)
        if duplicates:
            await self._claim(connection, duplicates, plan)
        if group.bodies:
            values = ([*group.bodies], [*group.bodies.values()])
            await connection.execute(sending.REPLACE_BODIES, values)

    async def _insert(
        self, connection: AsyncConnection, group: Group, plan: Plan
    ) -> Mapping[int, New]:
        """Insert new messages; return those that are not new, by the numbers meant for them."""
        rows = [
            (number, entry.key or None, *entry[1:])
            for number, (entry, _, _) in zip(plan.numbers, group.new, strict=True)
        ]
        names = ("id", "key", "line", "kind", "recipient", "body", "billed")
        values = {"campaign": self.place.campaign, **sending.columns(names, rows)}
        cursor = await connection.execute(sending.INSERT, values)
        if cursor.rowcount == len(rows):
            return {}
        cursor = await connection.execute(sending.INSERTED, ([*plan.numbers],))
        inserted = {number async for (number,) in cursor}
        pairs = zip(plan.numbers, group.new, strict=True)
        return {number: new for number, new in pairs if number not in inserted}

    async def _end(self, connection: AsyncConnection, plan: Plan) -> None:
        changes = (
            (sending.END, sending.ENDED, plan.ended),
            (sending.END_AGAIN, sending.ENDED, plan.ended_again),
        )
        for statement, names, rows in changes:
            if rows:
                cursor = await connection.execute(statement, sending.columns(names, rows))
                self._check_count(cursor.rowcount, rows, plan)

    async def _put(self, connection: AsyncConnection, plan: Plan, ours: set[int]) -> None:
        """Write that messages are not sent; those that were taken away stay as they are."""
        new = {*plan.numbers}
        for statement, rows in ((sending.REST, plan.rest), (sending.REST_AGAIN, plan.rest_again)):
            ours_still = (row for row in rows if row[0] in new or chunk_of(row[0]) in ours)
            if some := [row for row in ours_still if row[0] not in self._taken_away]:
                values = sending.columns(sending.AT_REST, some)
                cursor = await connection.execute(statement, values)
                if statement is not sending.REST or not new:
                    self._check_count(cursor.rowcount, some, plan)

    async def _begin(
        self, connection: AsyncConnection, plan: Plan, ours: set[int], lost: set[int]
    ) -> None:
        changes = ((sending.BEGIN_APART, plan.apart), (sending.BEGIN_AGAIN, plan.again))
        for statement, numbers in changes:
            if some := [number for number in numbers if number not in lost]:
                cursor = await connection.execute(statement, (plan.now, some))
                self._check_count(cursor.rowcount, some, plan)
        marks = {chunk: upto for chunk, upto in plan.marks.items() if upto and chunk in ours}
        if marks:
            values = ([*marks], [*marks.values()], plan.now)
            await connection.execute(sending.MOVE, values)

    async def _refuse(
        self, connection: AsyncConnection, numbers: Iterable[int], plan: Plan
    ) -> None:
        """Answer that messages are not begun here, since their chunk was taken away."""
        states = await self._states(connection, numbers)
        plan.claims.update({number: Claim(number, state) for number, state in states.items()})
        for chunk in {chunk_of(number) for number in numbers if number not in self._taken_away}:
            self.chunks.pop(chunk, None)
            self.recalled.add(chunk)
            self.to_give_back.add(chunk)

    async def _states(
        self, connection: AsyncConnection, numbers: Iterable[int]
    ) -> Mapping[int, State]:
        values = (self.place.campaign, [*numbers])
        cursor = await connection.execute(sending.STATES, values)
        states = {number: State(state) async for number, state in cursor}
        if not states.keys() >= {*numbers}:
            raise LedgerError(self.place.name, problems.CHANGED)
        return states

    async def _claim(
        self, connection: AsyncConnection, duplicates: Mapping[int, New], plan: Plan
    ) -> None:
        """Look messages up that are there already, and begin those that wait."""
        asked = {number: new for number, new in duplicates.items() if new.waiter is not None}
        keys = [new.entry.key for new in asked.values()]
        cursor = await connection.execute(sending.KNOWN, (self.place.campaign, keys))
        known = {key: (id_, State(state)) async for key, id_, state in cursor}
        if not known.keys() >= {*keys}:
            raise LedgerError(self.place.name, problems.CHANGED)
        took: set[int] = set()
        refused: dict[int, int] = {}
        for number, new in asked.items():
            id_, state = known[new.entry.key]
            is_waiting = state is State.QUEUED and id_ not in self._kept
            may_take = id_ not in took and (is_waiting or id_ in plan.taken)
            if may_take and await self._took(connection, id_, plan):
                took.add(id_)
                plan.claims[number] = Claim(id_)
            else:
                refused[number] = id_
        if refused:
            states = await self._states(connection, refused.values())
            plan.claims.update({it: Claim(id_, states[id_]) for it, id_ in refused.items()})

    async def _took(self, connection: AsyncConnection, number: int, plan: Plan) -> bool:
        """Begin a message that waits in a chunk of ours, or in one without an owner.

        Only from here on, nobody else begins it: it may not wait any more. Or it is in flight since
        an earlier try of this plan, whose answer did not come.
        """
        self._in_hand.add(chunk_of(number))
        chunk = chunk_of(number)
        values = (chunk, self.place.worker, self.place.worker)
        taken = await (await connection.execute(sending.TAKE_CHUNK, values)).fetchone()
        if taken is None:
            return False
        was_free, begun = taken
        if was_free and self.chunks.pop(chunk, None) is not None:
            self.recalled.add(chunk)  # others had it since it was read
        if chunk not in self.chunks:
            self.to_give_back.add(chunk)
        statements = (sending.BEGIN_AGAIN, *[sending.BEGIN_APART] * (number > begun))
        for statement in statements:
            cursor = await connection.execute(statement, (plan.now, [number]))
            if cursor.rowcount:
                plan.taken.add(number)
                return True
        states = await self._states(connection, [number])
        return number in plan.taken and states[number] is State.IN_FLIGHT

    def _check_count(self, found: int, rows: Sequence[object], plan: Plan) -> None:
        if found != len(rows) and not plan.is_repeated:
            raise LedgerError(self.place.name, problems.CHANGED)

    def _note(self, group: Group, plan: Plan) -> None:
        """Remember what is in flight from here."""
        for those in (self.handed_out, self._taken_away):
            those.difference_update(group.begun, group.put)
        for number in group.ended:
            self._started.pop(number, None)
            self._apart.discard(number)
        pairs = zip(plan.numbers, group.new, strict=True)
        asking = [*(number for number, new in pairs if new.waiter is not None), *group.begun]
        plan.claims.update({it: Claim(it) for it in asking if it not in plan.claims})
        own_row = {*plan.apart, *plan.again}
        for asked, (number, found) in plan.claims.items():
            if found is None:
                self._started[number] = plan.now
                if number in own_row or number != asked:
                    self._apart.add(number)
                    self._leave_out(number)

    async def _write_late(self, group: Group) -> None:
        """Write that messages were accepted, after others gave this holder up."""
        rows = [
            (number, state, None, at, provider_id, None)
            for number, (state, at, provider_id, _) in group.ended.items()
            if state is State.ACCEPTED
        ]
        if rows:
            values = sending.columns(sending.ENDED, rows)
            await self._session.run(
                lambda connection: connection.execute(sending.END_LATE, values), repeats=True
            )


def at_rest(skipped: SkipReason | None, reason: str | None) -> sending.Row:
    """Give the state of a message that is not being sent, the time of its end, and its reason."""
    if skipped is None:
        return State.QUEUED, None, None
    return State.SKIPPED, time.time(), storable(skip_reason(skipped, reason))


def _answer(group: Group, plan: Plan) -> None:
    waiters = {number: new.waiter for number, new in zip(plan.numbers, group.new, strict=True)}
    for number, future in {**waiters, **group.begun}.items():
        if future is not None and not future.done():
            future.set_result(plan.claims[number])
    for flushed in group.flushed:
        if not flushed.done():
            flushed.set_result(None)
