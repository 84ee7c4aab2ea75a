"""The owner of a ledger, for senders in other processes: it alone reads and writes it.

It hands each message out to one sender, lets it leave once that is durable, and knows at any moment
what a sender has on its way: that is what is unknown when the sender dies.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final

import attrs

from connectus_async.bulk.circuit_breaker import CircuitBreaker
from connectus_async.bulk.failures import ANSWERED
from connectus_async.bulk.guards import Guards, Refusal
from connectus_async.bulk.outcomes import BulkSummary
from connectus_async.bulk.progress import Progress
from connectus_async.errors import CampaignStoppedError, LedgerError, UnknownOutcomeError
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.records import Entry
from connectus_async.ledger.states import COSTS, SkipReason, State
from connectus_async.workers.frames import Item, Link

READ_AT_ONCE: Final = 1_000
FEWEST_HANDED: Final = 8
MOST_HANDED_CHARACTERS: Final = 2**20
"""Texts that are handed out at once, so that a frame stays small; one message may have more."""

SHARES: Final = 4
"""A sender is handed this part of its share of what is left, so that all end together."""

ENDED: Final = "its sender ended before the answer came"
STOPPED: Final = "it was stopped before"
ADVICE: Final = f" ({UnknownOutcomeError.advice})"
"""What a sentence about one message says at its end."""

ALL_ENDED: Final = "every sender process ended before its time: run the same command again"

_log: Final = logging.getLogger("connectus_async")
_STATES: Final = {state.value: state for state in State}


@attrs.frozen
class Failure:
    """A message that was not accepted, of a campaign with senders in other processes.

    Attributes:
        line: The line of the file that it came from, where it came from one.
        state: Where it is now.
        skipped: Why it is not going to be sent, if it is not.
        error: The sentence for it.
    """

    line: int | None
    state: State
    skipped: SkipReason | None
    error: str


@attrs.frozen
class Pace:
    """How a sender is paced. See `Progress`."""

    rate: float = 0.0
    rate_limit: float | None = None
    concurrency_limit: int = 0
    is_paused: bool = False


@attrs.define(eq=False)
class Sender:
    """A sender in another process, as the owner sees it.

    Attributes:
        link: The way to it.
        handed: What it was handed and has not begun, by number.
        begun: What it has begun and not finished.
        claims: The numbers of what it has begun with the frame at hand.
        is_idle: Whether it has sent what it was handed, and waits for a word.
        is_leaving: Whether it was told to leave.
        pace: How it is paced.
    """

    link: Link = attrs.field(init=False)
    handed: dict[int, Entry] = attrs.field(factory=dict, repr=False)
    begun: dict[int, Entry] = attrs.field(factory=dict, repr=False)
    claims: list[int] = attrs.field(factory=list, repr=False)
    is_idle: bool = False
    is_leaving: bool = False
    pace: Pace = attrs.field(factory=Pace)


class Dispatcher:
    """Serves senders from one ledger.

    Args:
        ledger: The ledger, which the caller has open.
        waiting: How many messages wait in it.
        guards: What the budget still covers.
        patience: When to stop for what becomes of the messages of all senders.

    Attributes:
        summary: The count of the outcomes so far.
        failure: What stopped the campaign before its end.
    """

    def __init__(
        self, ledger: Ledger, *, waiting: int, guards: Guards, patience: CircuitBreaker
    ) -> None:
        self.summary = BulkSummary()
        self.failure: Exception | None = None
        self._ledger = ledger
        self._left = waiting
        self._guards = guards
        self._patience = patience
        self._is_stopped = self._is_read = False
        self._last = 0
        self._ready: deque[tuple[int, Entry]] = deque()
        self._reading = asyncio.Lock()
        self._senders: list[Sender] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: asyncio.Queue[Failure | None] = asyncio.Queue()
        self._ended = asyncio.Event()
        self._words: Final[Mapping[str, Callable[[Sender, Item], None]]] = {
            "begin": self._begin,
            "finish": self._finish,
            "put": self._put,
            "hand out": self._hand_out,
            "tell": self._tell,
            "pace": self._pace,
            "done": self._done,
        }

    def employ(self, job: Mapping[str, Any]) -> Link:
        """Expect another sender; what is returned is the owner's end of the way to it.

        Args:
            job: What it is to do.
        """
        sender = Sender()
        sender.link = Link(partial(self._receive, sender), partial(self._lose, sender))
        sender.link.send("job", job)
        self._senders.append(sender)
        return sender.link

    async def failures(self) -> AsyncIterator[Failure]:
        """Yield each message that is not accepted, until all senders have left."""
        while (failure := await self._failures.get()) is not None:
            yield failure

    def dismiss(self) -> None:
        """Stop, and wait for no sender: whatever it had begun is unknown."""
        self.stop()
        for sender in tuple(self._senders):
            sender.link.close()

    async def ended(self) -> None:
        """Wait until all senders have left."""
        if self._senders:
            await self._ended.wait()

    def stop(self, failure: Exception | None = None) -> None:
        """Have nothing more sent; what is being sent is finished."""
        self.failure = self.failure or failure
        if self._is_stopped:
            return
        self._is_stopped = True
        for sender in self._senders:
            sender.link.send("stop")
        self._direct()

    def progress(self) -> Progress:
        """Tell how far all senders are."""
        paces = [sender.pace for sender in self._senders]
        rates = [pace.rate_limit for pace in paces if pace.rate_limit is not None]
        return Progress(
            summary=BulkSummary(Counter(self.summary.counts), Counter(self.summary.skipped_by)),
            in_flight=sum(len(sender.begun) for sender in self._senders),
            rate=sum(pace.rate for pace in paces),
            rate_limit=sum(rates) if rates and len(rates) == len(paces) else None,
            concurrency_limit=sum(pace.concurrency_limit for pace in paces),
            is_paused=any(pace.is_paused for pace in paces),
        )

    def _receive(self, sender: Sender, items: Sequence[Item]) -> None:
        words = self._words
        for item in items:
            words[item[0]](sender, item)
        if sender.claims:
            claims, sender.claims = sender.claims, []
            self._do(self._grant(sender, claims, self._ledger.begin_known(claims)))

    def _do(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _begin(self, sender: Sender, item: Item) -> None:
        _, number = item
        entry = sender.handed[number]
        if self._is_stopped:  # of which the sender has not heard yet
            sender.link.send("refuse", number, None, STOPPED)
            return
        try:
            self._guards.take(entry)
        except Refusal as refusal:
            skipped = refusal.skipped and refusal.skipped.value
            sender.link.send("refuse", number, skipped, str(refusal.error))
            return
        del sender.handed[number]
        sender.begun[number] = entry
        sender.claims.append(number)

    async def _grant(
        self, sender: Sender, numbers: Sequence[int], written: Awaitable[object]
    ) -> None:
        try:
            await written
        except LedgerError as error:
            self.stop(error)
            for number in numbers:
                if number in sender.begun:
                    sender.handed[number] = sender.begun.pop(number)
                sender.link.send("fail", number, error.ledger, error.problem)
        else:
            sender.link.send("grant", numbers)

    def _finish(self, sender: Sender, item: Item) -> None:
        _, number, word, reason, provider_id, is_kept = item
        entry = sender.begun.pop(number)
        state = _STATES[word]
        self._ledger.finish(entry, number, state, reason, provider_id, is_kept=is_kept)
        if state not in COSTS:
            self._guards.give_back(entry)
        if state is State.QUEUED:
            sender.handed[number] = entry
        else:
            self.summary.counts[state] += 1
        if state in ANSWERED:
            self._patience.answered()
        elif state is State.UNKNOWN:
            self._judge(reason or "")

    def _judge(self, reason: str) -> None:
        verdict = self._patience.unknown(reason.removesuffix(ADVICE))
        if verdict is not None:
            self.stop(verdict)

    def _put(self, sender: Sender, item: Item) -> None:
        _, number, word, reason = item
        entry = sender.handed.pop(number)
        skipped = None if word is None else SkipReason(word)
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
        sender.pace = Pace(*item[1:])

    def _hand_out(self, sender: Sender, item: Item) -> None:
        _, limit = item
        self._do(self._read_for(sender, limit))

    async def _read_for(self, sender: Sender, limit: int) -> None:
        rows: list[tuple[int, Entry]] = []
        try:
            async with self._reading:
                await self._read()
            if sender in self._senders and not self._is_stopped:
                rows = self._taken(limit)
        except Exception as error:  # noqa: BLE001 - the sender waits for an answer
            self.stop(error)
        sender.handed.update(rows)
        sender.link.send("rows", [(number, *entry) for number, entry in rows])

    async def _read(self) -> None:
        if self._ready or self._is_read:
            return
        batch = await self._ledger.queued(self._last, READ_AT_ONCE)
        self._ready.extend(batch)
        if batch:
            self._last = batch[-1][0]
        self._is_read = not batch

    def _taken(self, limit: int) -> list[tuple[int, Entry]]:
        share = max(self._left // (SHARES * len(self._senders)), FEWEST_HANDED)
        most = min(limit, share)
        rows: list[tuple[int, Entry]] = []
        characters = 0
        while self._ready and len(rows) < most:
            rows.append(self._ready.popleft())
            characters += len(rows[-1][1].body)
            if characters > MOST_HANDED_CHARACTERS:
                break
        self._left -= len(rows)
        return rows

    def _done(self, sender: Sender, item: Item) -> None:
        _, failure = item
        sender.is_idle = True
        sender.handed.clear()
        if failure is not None:
            self.stop(CampaignStoppedError(failure))
        self._direct()

    def _lose(self, sender: Sender) -> None:
        """Hand out to others what it had not begun; what it had begun may have been sent."""
        self._senders.remove(sender)
        for number, entry in sender.begun.items():
            self._ledger.finish(entry, number, State.UNKNOWN, ENDED, None)
            self.summary.counts[State.UNKNOWN] += 1
            self._failures.put_nowait(Failure(entry.line, State.UNKNOWN, None, ENDED))
        sender.begun.clear()
        self._ready.extend(sender.handed.items())
        self._left += len(sender.handed)
        if self._senders and not (sender.is_leaving or self._is_stopped):
            _log.warning("a sender process ended before its time; the others go on")
        self._direct()

    def _direct(self) -> None:
        """Give those their word that wait for one."""
        if not self._senders:
            self._end()
        elif self._ready and not self._is_stopped:
            for sender in self._senders:
                if sender.is_idle:
                    sender.is_idle = False
                    sender.link.send("go on")
        elif all(sender.is_idle and not sender.is_leaving for sender in self._senders):
            for sender in self._senders:
                sender.is_leaving = True
                sender.link.send("leave")

    def _end(self) -> None:
        has_more = self._ready or not self._is_read
        if has_more and not self._is_stopped:
            self.failure = CampaignStoppedError(ALL_ENDED)
        self._failures.put_nowait(None)
        self._ended.set()
