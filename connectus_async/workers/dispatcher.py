"""Dispatcher of a campaign: it alone has the ledger open, for senders in other processes.

It assigns each message to one sender and lets it be sent once it is recorded as in flight. It knows
the messages under way of each sender: these are unknown if the sender dies.
"""

import asyncio
import datetime as dt
import logging
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final

import attrs

from connectus_async.bulk.circuit_breaker import CircuitBreaker
from connectus_async.bulk.failures import ANSWERED
from connectus_async.bulk.feed import STOPPED
from connectus_async.bulk.guards import Guards, Refusal
from connectus_async.bulk.outcomes import BulkSummary
from connectus_async.bulk.progress import Delay, DelayCause, Progress, together
from connectus_async.bulk.quiet_messages import seconds_to_sleep
from connectus_async.errors import CampaignStoppedError, LedgerError, UnknownOutcomeError
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.records import Attendance, Entry, Instructions, Throttling
from connectus_async.ledger.states import MAY_BE_SENT, SkipReason, State
from connectus_async.workers.frames import FrameProtocol, Item

READ_BATCH: Final = 1_000
MIN_ASSIGNED: Final = 8
MAX_ASSIGNED_CHARACTERS: Final = 2**20
"""Limit of the texts that are assigned at once, so that frames stay small. One may be longer."""

ROUNDS: Final = 4
"""Parts in which a sender gets its share of the remaining messages, so that all end together."""

ENDED: Final = "its sender ended before the answer came"
ADVICE: Final = f" ({UnknownOutcomeError.advice})"
"""End of a sentence about one message."""

ALL_ENDED: Final = "all sender processes ended early: run it again to resume"

_log: Final = logging.getLogger("connectus_async")
_STATES: Final = {state.value: state for state in State}


@attrs.frozen
class Failure:
    """A message of sender processes that was not accepted.

    Attributes:
        line: Its line in the file, if it came from one.
        state: Its state now.
        skipped: The reason if it is skipped, or ``None``.
        error: A sentence that says why.
    """

    line: int | None
    state: State
    skipped: SkipReason | None
    error: str


@attrs.frozen
class Pace:
    """Pace of a sender. See `Progress`."""

    rate: float = 0.0
    rate_limit: float | None = None
    concurrency_limit: int = 0
    is_paused: bool = False
    delays: tuple[Delay, ...] = ()


@attrs.frozen
class Told:
    """A 429, of a sender or of another holder of the ledger.

    Attributes:
        sent_at: Begin of its request, by the monotonic clock.
        until: The end of the time for which the API wants no further request.
    """

    sent_at: float
    until: float

    @classmethod
    def of(cls, throttling: Throttling) -> "Told":
        """Take it at this moment."""
        now = time.monotonic()
        return cls(now - throttling.age, now + throttling.retry_after)

    def now(self) -> tuple[float, float]:
        """Tell it again, as a `Throttling` of this moment."""
        now = time.monotonic()
        return now - self.sent_at, max(0.0, self.until - now)


@attrs.define(eq=False)
class Sender:
    """A sender in another process.

    Attributes:
        protocol: The connection to it.
        assigned: Messages assigned to it that it has not begun, by number.
        begun: Messages that it has begun and not finished.
        claims: Numbers of the messages that it begins with the present frame.
        is_idle: Whether it has sent all of its messages, and waits.
        is_leaving: Whether it was told to leave.
        pace: Its pace.
        demand: The rate that it has use for; ``None`` for all that it can get.
        told: The last 429 that it knows of.
        is_asking: Whether it waits for instructions.
    """

    protocol: FrameProtocol = attrs.field(init=False)
    assigned: dict[int, Entry] = attrs.field(factory=dict, repr=False)
    begun: dict[int, Entry] = attrs.field(factory=dict, repr=False)
    claims: list[int] = attrs.field(factory=list, repr=False)
    is_idle: bool = False
    is_leaving: bool = False
    pace: Pace = attrs.field(factory=Pace)
    demand: float | None = None
    told: Told | None = None
    is_asking: bool = False


class Dispatcher:
    """Serves the senders of one campaign.

    Args:
        ledger: The ledger, opened by the caller.
        waiting: The number of its queued messages.
        guards: The guard of the budget.
        circuit_breaker: The circuit breaker for the outcomes of all senders.
        rate: Maximum messages or segments a second of all senders.
        reserves: There is a budget.
        wait: Messages in quiet hours are sent when these end.
        expires_at: Time from which on nothing is sent.

    Attributes:
        summary: The count of the outcomes so far.
        failure: The error that stopped the campaign, or ``None``.
        news: See `Attending`.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        waiting: int,
        guards: Guards,
        circuit_breaker: CircuitBreaker,
        rate: float | None = None,
        reserves: bool = False,
        wait: bool = False,
        expires_at: dt.datetime | None = None,
    ) -> None:
        self._reserves = reserves
        self._waits = wait
        self._expires_at = expires_at
        self._rest: asyncio.TimerHandle | None = None
        self._quiet_at_the_end: list[tuple[Delay, ...]] = []
        self.news = asyncio.Event()
        self._rate = rate
        self._instructions: Instructions | None = None
        self._asked_at = 0.0
        self._throttled: Told | None = None
        self._throttling: Throttling | None = None
        self._stopped: str | None = None
        self.summary = BulkSummary()
        self.failure: Exception | None = None
        self._ledger = ledger
        self._left = waiting
        self._guards = guards
        self._circuit_breaker = circuit_breaker
        self._is_stopped = self._is_exhausted = False
        self._last = 0
        self._ready: deque[tuple[int, Entry]] = deque()
        self._read_lock = asyncio.Lock()
        self._senders: list[Sender] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: asyncio.Queue[Failure | None] = asyncio.Queue()
        self._ended = asyncio.Event()
        self._handlers: Final[Mapping[str, Callable[[Sender, Item], None]]] = {
            "begin": self._begin,
            "finish": self._finish,
            "put": self._put,
            "assign": self._assign,
            "tell": self._tell,
            "pace": self._pace,
            "attend": self._attend,
            "done": self._done,
        }

    def add_sender(self, job: Mapping[str, Any]) -> FrameProtocol:
        """Expect another sender.

        Args:
            job: Its job, which is sent to it once it is connected.

        Returns:
            The dispatcher's end of the connection.
        """
        sender = Sender()
        sender.protocol = FrameProtocol(partial(self._receive, sender), partial(self._lose, sender))
        sender.protocol.send("job", job)
        self._senders.append(sender)
        return sender.protocol

    async def failures(self) -> AsyncIterator[Failure]:
        """Yield each message that is not accepted, until all senders have left."""
        while (failure := await self._failures.get()) is not None:
            yield failure
        self._failures.put_nowait(None)  # for another reader
        if self.failure is None:
            await self._ledger.flush()

    def dismiss(self) -> None:
        """Stop without waiting for the senders. Messages that they had begun are unknown."""
        self.stop()
        for sender in tuple(self._senders):
            sender.protocol.close()

    async def ended(self) -> None:
        """Wait until all senders have left."""
        if self._senders:
            await self._ended.wait()

    def stop(self, failure: Exception | None = None) -> None:
        """Send nothing more. Messages under way are finished."""
        self.failure = self.failure or failure
        if self._is_stopped:
            return
        self._is_stopped = True
        self.news.set()
        for sender in self._senders:
            sender.protocol.send("stop")
        self._direct()

    @property
    def is_over(self) -> bool:
        """``True`` if all senders have left."""
        return not self._senders

    def attendance(self) -> Attendance:
        """Report how all senders go together."""
        demands = [sender.demand for sender in self._senders]
        known = [demand for demand in demands if demand is not None]
        throttling, self._throttling = self._throttling, None
        stopped, self._stopped = self._stopped, None
        return Attendance(
            rate=self._rate,
            demand=sum(known) if len(known) == len(demands) else None,
            throttling=throttling,
            stopped=stopped,
            reserves=self._reserves,
        )

    def follow(self, instructions: Instructions, asked_at: float) -> None:
        """Hand instructions on to each sender when it asks for them."""
        self._instructions, self._asked_at = instructions, asked_at
        if instructions.throttling is not None:
            self._throttled = Told.of(instructions.throttling)
        if instructions.stopped is not None:
            self.stop(CampaignStoppedError(instructions.stopped))
        for sender in self._senders:
            if sender.is_asking:
                self._instruct(sender, instructions)

    def progress(self) -> Progress:
        """Progress of all senders together."""
        paces = [sender.pace for sender in self._senders]
        rates = [pace.rate_limit for pace in paces if pace.rate_limit is not None]
        return Progress(
            summary=BulkSummary(Counter(self.summary.counts), Counter(self.summary.skipped_by)),
            in_flight=sum(len(sender.begun) for sender in self._senders),
            rate=sum(pace.rate for pace in paces),
            rate_limit=sum(rates) if rates and len(rates) == len(paces) else None,
            concurrency_limit=sum(pace.concurrency_limit for pace in paces),
            is_paused=any(pace.is_paused for pace in paces),
            delays=together([*(pace.delays for pace in paces), *self._quiet_at_the_end]),
        )

    def _receive(self, sender: Sender, items: Sequence[Item]) -> None:
        handlers = self._handlers
        for item in items:
            handlers[item[0]](sender, item)
        if sender.claims:
            claims, sender.claims = sender.claims, []
            self._do(self._grant(sender, claims, self._ledger.begin_known(claims)))

    def _do(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _begin(self, sender: Sender, item: Item) -> None:
        _, number = item
        entry = sender.assigned[number]
        if self._is_stopped:  # and the sender does not know it yet
            sender.protocol.send("refuse", number, None, STOPPED)
            return
        try:
            self._guards.take(entry)
        except Refusal:
            self._do(self._begin_later(sender, number, entry))
            return
        self._begun(sender, number, entry)
        sender.claims.append(number)

    async def _begin_later(self, sender: Sender, number: int, entry: Entry) -> None:
        """Begin a message once it is known whether the budget covers it."""
        try:
            await self._guards.take_more(entry)
        except Refusal as refusal:
            skipped = refusal.skipped and refusal.skipped.value
            sender.protocol.send("refuse", number, skipped, str(refusal.error))
            return
        except LedgerError as error:
            self.stop(error)
            sender.protocol.send("fail", number, error.ledger, error.problem)
            return
        if self._is_stopped or number not in sender.assigned:
            self._guards.give_back(entry)
            sender.protocol.send("refuse", number, None, STOPPED)
            return
        self._begun(sender, number, entry)
        await self._grant(sender, [number], self._written(number))

    async def _written(self, number: int) -> None:
        await self._ledger.begin_known([number])

    def _begun(self, sender: Sender, number: int, entry: Entry) -> None:
        del sender.assigned[number]
        sender.begun[number] = entry

    async def _grant(
        self, sender: Sender, numbers: Sequence[int], written: Awaitable[object]
    ) -> None:
        try:
            await written
        except LedgerError as error:
            self.stop(error)
            for number in numbers:
                if number in sender.begun:
                    sender.assigned[number] = sender.begun.pop(number)
                sender.protocol.send("fail", number, error.ledger, error.problem)
        else:
            sender.protocol.send("grant", numbers)

    def _finish(self, sender: Sender, item: Item) -> None:
        _, number, value, reason, provider_id, is_kept = item
        entry = sender.begun.pop(number)
        state = _STATES[value]
        self._ledger.finish(entry, number, state, reason, provider_id, is_kept=is_kept)
        if state not in MAY_BE_SENT:
            self._guards.give_back(entry)
        if state is State.QUEUED:
            sender.assigned[number] = entry
        else:
            self.summary.counts[state] += 1
        if state in ANSWERED:
            self._circuit_breaker.answered()
        elif state is State.UNKNOWN:
            self._judge(reason or "")

    def _judge(self, reason: str) -> None:
        verdict = self._circuit_breaker.unknown(reason.removesuffix(ADVICE))
        if verdict is not None:
            self.stop(verdict)

    def _put(self, sender: Sender, item: Item) -> None:
        _, number, value, reason = item
        entry = sender.assigned.pop(number)
        skipped = None if value is None else SkipReason(value)
        self._ledger.put(entry, number, skipped, reason)
        if skipped is None:
            self.summary.counts[State.QUEUED] += 1
        else:
            self.summary.counts[State.SKIPPED] += 1
            self.summary.skipped_by[skipped] += 1

    def _tell(self, _: Sender, item: Item) -> None:
        _, line, state, skipped, error = item
        reason = None if skipped is None else SkipReason(skipped)
        self._failures.put_nowait(Failure(line, State(state), reason, error))

    def _pace(self, sender: Sender, item: Item) -> None:
        _, rate, rate_limit, concurrency_limit, is_paused, delays = item
        told = tuple(map(Delay.read, delays))
        sender.pace = Pace(rate, rate_limit, concurrency_limit, is_paused, told)

    def _attend(self, sender: Sender, item: Item) -> None:
        _, sender.demand, throttling, stopped = item
        if throttling is not None:
            self._throttling = Throttling(*throttling)
            self._throttled = sender.told = Told.of(self._throttling)
            self.news.set()
        if stopped is not None:
            self._stopped = stopped
            self.stop(CampaignStoppedError(stopped))
        if self._instructions is None:
            sender.is_asking = True
        else:
            self._instruct(sender, self._instructions)

    def _instruct(self, sender: Sender, all_together: Instructions) -> None:
        """Give a sender its part of the instructions to all together."""
        sender.is_asking = False
        throttled = self._throttled if self._throttled is not sender.told else None
        sender.told = self._throttled
        rate = all_together.rate
        sender.protocol.send(
            "instruct",
            None if rate is None else rate / len(self._senders),
            all_together.lasts - (time.monotonic() - self._asked_at),
            all_together.paused_for,
            all_together.paused_by,
            throttled and throttled.now(),
            all_together.starts_in,
            all_together.starts_zone,
        )

    def _assign(self, sender: Sender, item: Item) -> None:
        _, limit = item
        self._do(self._assign_to(sender, limit))

    async def _assign_to(self, sender: Sender, limit: int) -> None:
        rows: list[tuple[int, Entry]] = []
        try:
            async with self._read_lock:
                await self._read()
            if sender in self._senders and not self._is_stopped:
                rows = self._taken(limit)
        except Exception as error:  # noqa: BLE001 - the sender waits for an answer
            self.stop(error)
        sender.assigned.update(rows)
        sender.protocol.send("assigned", [(number, *entry) for number, entry in rows])

    async def _read(self) -> None:
        if self._ready or self._is_exhausted:
            return
        batch = await self._ledger.queued(self._last, READ_BATCH)
        self._ready.extend(batch)
        if batch:
            self._last = batch[-1][0]
        self._is_exhausted = not batch

    def _taken(self, limit: int) -> list[tuple[int, Entry]]:
        share = max(self._left // (ROUNDS * len(self._senders)), MIN_ASSIGNED)
        most = min(limit, share)
        rows: list[tuple[int, Entry]] = []
        characters = 0
        while self._ready and len(rows) < most:
            rows.append(self._ready.popleft())
            characters += len(rows[-1][1].body)
            if characters > MAX_ASSIGNED_CHARACTERS:
                break
        self._left -= len(rows)
        return rows

    def _done(self, sender: Sender, item: Item) -> None:
        _, failure = item
        sender.is_idle = True
        sender.assigned.clear()
        if failure is not None:
            self.stop(CampaignStoppedError(failure))
        self._direct()

    def _lose(self, sender: Sender) -> None:
        """Assign messages that it had not begun to others; those that it had begun are unknown."""
        self._senders.remove(sender)
        if sender.is_leaving:
            self._quiet_at_the_end.append(_quiet(sender))
        for number, entry in sender.begun.items():
            self._ledger.finish(entry, number, State.UNKNOWN, ENDED, None)
            self.summary.counts[State.UNKNOWN] += 1
            self._failures.put_nowait(Failure(entry.line, State.UNKNOWN, None, ENDED))
        sender.begun.clear()
        self._ready.extend(sender.assigned.items())
        self._left += len(sender.assigned)
        if self._senders and not (sender.is_leaving or self._is_stopped):
            _log.warning("a sender process ended early; the others continue")
        self._direct()

    def _direct(self) -> None:
        """Tell idle senders to continue, or to leave when all are idle."""
        if not self._senders:
            self._end()
        elif self._ready and not self._is_stopped:
            for sender in self._senders:
                if sender.is_idle:
                    sender.is_idle = False
                    sender.protocol.send("continue")
        elif all(sender.is_idle and not sender.is_leaving for sender in self._senders):
            quiet = [delay for sender in self._senders for delay in _quiet(sender)]
            if quiet and self._waits and not self._is_stopped:
                self._wait_for_the_end_of(quiet)
                return
            for sender in self._senders:
                sender.is_leaving = True
                sender.protocol.send("leave")

    def _wait_for_the_end_of(self, quiet: Sequence[Delay]) -> None:
        """Assign the messages anew when the first quiet hours end."""
        self._last, self._is_exhausted = 0, False
        ends = (delay.until for delay in quiet if delay.until is not None)
        if self._rest is not None:
            self._rest.cancel()
        if seconds := seconds_to_sleep(ends, self._expires_at):
            loop = asyncio.get_running_loop()
            self._rest = loop.call_later(seconds, self._direct)
            return
        self._left += self.summary.counts.pop(State.QUEUED, 0)
        for sender in self._senders:
            sender.is_idle = False
            sender.protocol.send("continue")

    def _end(self) -> None:
        has_more = self._ready or not self._is_exhausted
        if has_more and not self._is_stopped:
            self.failure = CampaignStoppedError(ALL_ENDED)
        self._failures.put_nowait(None)
        self._ended.set()
        self.news.set()


def _quiet(sender: Sender) -> tuple[Delay, ...]:
    """Choose the delays of a sender that are quiet hours."""
    delays = sender.pace.delays
    return tuple(delay for delay in delays if delay.cause is DelayCause.QUIET_HOURS)
