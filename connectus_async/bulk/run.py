"""One run over a source: the workers, and what each does with a message."""

import asyncio
import time
from collections.abc import Mapping

from connectus_async.bulk.channels import LARGE, Channel, KeyMaker, entry_of
from connectus_async.bulk.circuit_breaker import (
    STOPS_THE_CAMPAIGN,
    UNREADABLE_FIRST,
    CircuitBreaker,
)
from connectus_async.bulk.feed import Feed, Job
from connectus_async.bulk.guards import Guards, Refusal
from connectus_async.bulk.outcome_queue import OutcomeQueue
from connectus_async.bulk.outcomes import BulkSummary, MessageOutcome, sentence
from connectus_async.bulk.pacing import Pacer, Signal
from connectus_async.bulk.weighted_semaphore import Room
from connectus_async.errors import (
    CampaignStoppedError,
    ConnectusError,
    InvalidArgumentError,
    LedgerError,
    Outcome,
    RateLimitError,
    RejectedError,
    UnknownOutcomeError,
)
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.records import INVALID, Claim, Entry
from connectus_async.ledger.states import SkipReason, State, after_attempt
from connectus_async.products.email import Email
from connectus_async.products.messages import Message, Receipt

OPENING_SECONDS = 1.0
"""After which a slow first answer is not waited for."""

AT_ONCE = 2**24
"""Characters of large messages on their way at a time; each takes several times its size."""

OUTCOMES = {
    State.ACCEPTED: Outcome.ACCEPTED,
    State.REJECTED: Outcome.REJECTED,
    State.UNKNOWN: Outcome.UNKNOWN,
}


class Run:
    """Sends what an intake gives, a bounded number at a time.

    Args:
        intake: Where the messages come from.
        ledger: Where each step is put down before it is taken.
        pacer: When the next message may leave.
        guards: Whether it may.
        patience: When to stop.
        channels: How each kind of message is sent.
        salt: What makes the keys of the campaign.
        summary: Where the outcomes are counted.
        weighs_segments: Whether an SMS weighs as much as it is billed, for the rate.
    """

    def __init__(
        self,
        intake: Feed,
        *,
        ledger: Ledger,
        pacer: Pacer,
        guards: Guards,
        patience: CircuitBreaker,
        channels: Mapping[type[Message], Channel],
        salt: KeyMaker,
        summary: BulkSummary,
        weighs_segments: bool,
        mailbox: OutcomeQueue,
    ) -> None:
        self.intake = intake
        self.mailbox = mailbox
        self._ledger = ledger
        self._pacer = pacer
        self._guards = guards
        self._patience = patience
        self._channels = channels
        self._by_kind = {channel.kind: channel for channel in channels.values()}
        self._salt = salt
        self._summary = summary
        self._weighs_segments = weighs_segments
        self._workers: set[asyncio.Task[None]] = set()
        self._to_employ = 0
        self._opening: asyncio.TimerHandle | None = None
        self._waiting: set[asyncio.Task[None]] = set()
        self._room = Room(AT_ONCE)

    def begin(self, count: int) -> None:
        """Have a few workers until one got an answer of the API, then so many.

        Where something else answers in its place, as many messages are left unknown.
        """
        self._to_employ = count
        self._opening = asyncio.get_running_loop().call_later(OPENING_SECONDS, self._open)
        self.employ(min(count, UNREADABLE_FIRST))

    def _open(self) -> None:
        count, self._to_employ = self._to_employ, 0
        if self._opening is not None:
            self._opening.cancel()
        if count:
            self.employ(count)

    def employ(self, count: int) -> None:
        """Have at least so many workers."""
        while len(self._workers) < count and not self.intake.is_stopped:
            worker = asyncio.create_task(self._work(), name="connectus bulk worker")
            self._workers.add(worker)
            worker.add_done_callback(self._left)

    def stop(self, failure: Exception | None = None) -> None:
        """Send nothing more; what is being sent is finished."""
        self.intake.stop(failure)
        for worker in self._waiting:
            worker.cancel()

    def resumed(self) -> None:
        """Begin anew to be patient."""
        self._patience.resumed()

    @property
    def is_over(self) -> bool:
        """Whether every worker has left."""
        return not self._workers

    async def ended(self) -> None:
        """Wait until all workers have left."""
        while self._workers:
            await asyncio.wait(self._workers)

    def _left(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        error = None if worker.cancelled() else worker.exception()
        if isinstance(error, Exception):
            self.stop(error)
        elif (worker.cancelled() or error is not None) and not self.intake.is_stopped:
            self.stop(CampaignStoppedError("somebody cancelled what sends its messages"))
        if not self._workers:
            self._to_employ = 0
            self._open()
            self.mailbox.finish()

    async def _work(self) -> None:
        while (job := await self.intake.pull()) is not None:
            size, content = 0, job.content
            if job.entry is not None:
                size = len(job.entry.body)
            elif type(content) is Email and isinstance(content.email_content, str):
                size = len(content.email_content)
            if size < LARGE:
                outcome = await self._outcome(job)
            else:
                async with self._room.taken(size):
                    outcome = await self._outcome(job)
            if self._to_employ and self._patience.is_of_the_api(outcome.error):
                self._open()
            self._summary.add(outcome)
            await self.mailbox.put(outcome)

    async def _outcome(self, job: Job) -> MessageOutcome:
        entry = job.entry
        if entry is None:
            try:
                entry = entry_of(self._channels, job.content, job.line, job.key, self._salt)
            except Exception as error:  # noqa: BLE001 - one row never stops the others
                return self._invalid(job, error)
        try:
            if self._guards.watches:
                self._check(entry)
            return await self._sent(job, entry)
        except Refusal as refusal:
            self._ledger.put(entry, job.number, refusal.skipped)
            return _outcome(job, refusal.state, refusal.error, skipped=refusal.skipped)

    def _check(self, entry: Entry) -> None:
        try:
            self._guards.check(entry)
        except Refusal:
            raise
        except Exception as error:  # noqa: BLE001 - who cannot be checked must not be reached
            self.stop(error)
            raise Refusal(None, error) from None

    def _invalid(self, job: Job, error: Exception) -> MessageOutcome:
        key = None if job.line is None else f"line {job.line}"
        entry = Entry(key, job.line, INVALID, "", "", 0)
        self._ledger.put(entry, None, SkipReason.INVALID, sentence(error))
        return _outcome(job, State.SKIPPED, error, skipped=SkipReason.INVALID)

    async def _sent(self, job: Job, entry: Entry) -> MessageOutcome:
        """Send a message, again for as long as it certainly was not sent."""
        if self._weighs_segments:
            job.weight = entry.billed
        while True:
            if self.intake.is_stopped or not (
                self._pacer.try_acquire(job.weight) or await self._is_let_go(job.weight)
            ):
                self._ledger.put(entry, job.number)
                error = self.intake.failure or CampaignStoppedError("it was stopped before")
                return _outcome(job, State.QUEUED, error)
            try:
                outcome = await self._attempt(job, entry)
            except BaseException as error:
                self._let_back(job)
                if isinstance(error, asyncio.CancelledError):
                    self._summary.counts[State.UNKNOWN] += 1  # as the ledger has or will have it
                raise
            if outcome.state is not State.QUEUED:
                return outcome
            if self.intake.is_stopped:
                self._ledger.put(entry, job.number)
                return outcome

    async def _is_let_go(self, weight: int) -> bool:
        """Wait for a place and the time; tell whether the message is still to be sent."""
        task = asyncio.current_task()
        if task is None:
            raise AssertionError  # a worker is a task
        self._waiting.add(task)
        try:
            await self._pacer.acquire(weight)
        except asyncio.CancelledError:
            if not self.intake.is_stopped:
                raise
            task.uncancel()  # it was `stop` that cancelled it
            return False
        finally:
            self._waiting.discard(task)
        return True

    async def _attempt(self, job: Job, entry: Entry) -> MessageOutcome:
        if self._guards.watches:
            self._check(entry)  # again: it may have waited for long
        self._guards.take(entry)
        try:
            claim = self._ledger.begin(entry, job.number)
            if not isinstance(claim, Claim):
                claim = await claim
        except LedgerError as error:
            self._guards.give_back(entry)
            self._let_back(job)
            self.stop(error)
            return _outcome(job, State.QUEUED, error)
        if claim.found is not None:
            self._guards.give_back(entry)
            self._let_back(job)
            again = InvalidArgumentError("message", f"the campaign has it already: {claim.found}")
            return _outcome(job, State.SKIPPED, again, skipped=SkipReason.DUPLICATE)
        job.number = claim.number
        return await self._exchange(job, entry, claim.number)

    async def _exchange(self, job: Job, entry: Entry, number: int) -> MessageOutcome:
        started = time.monotonic()
        try:
            receipt = await self._by_kind[entry.kind].deliver(entry)
        except asyncio.CancelledError:
            self._ledger.finish(entry, number, State.UNKNOWN, "its answer was not waited for", None)
            raise
        except Exception as error:  # noqa: BLE001 - one message never stops the others
            return self._failed(job, entry, number, error, time.monotonic() - started)
        self._patience.answered()
        self._pacer.succeeded(time.monotonic() - started, job.weight)
        self._ledger.finish(entry, number, State.ACCEPTED, None, receipt.id)
        return _outcome(job, State.ACCEPTED, None, receipt=receipt)

    def _failed(
        self, job: Job, entry: Entry, number: int, failure: Exception, latency: float
    ) -> MessageOutcome:
        state = self._judged(job, failure, latency)
        if state is not State.UNKNOWN:
            self._guards.give_back(entry)
        is_kept = state is State.QUEUED and not self.intake.is_stopped
        self._ledger.finish(entry, number, state, sentence(failure), None, is_kept=is_kept)
        return _outcome(job, state, failure)

    def _let_back(self, job: Job) -> None:
        """Give back the place of a message for which no request was made."""
        self._pacer.release(Signal.NOTHING, latency=0, cost=job.weight)

    def _judged(self, job: Job, failure: Exception, latency: float) -> State:
        """Tell the pacer how it went, stop if that is called for, and name the state."""
        state = after_attempt(failure)
        is_doubted = self._patience.doubts(failure, job.doubts)
        job.doubts += is_doubted
        if state is State.REJECTED and not is_doubted:
            self._patience.answered()
        wanted = failure.retry_after if isinstance(failure, RateLimitError) else None
        signal = Signal.UNREACHABLE if is_doubted else _signal(failure)
        self._pacer.release(signal, latency=latency, retry_after=wanted, cost=job.weight)
        if (verdict := self._patience.failed(failure, is_doubted=is_doubted)) is not None:
            self.stop(verdict)
        is_campaigns = isinstance(failure, STOPS_THE_CAMPAIGN) and state is State.REJECTED
        return State.QUEUED if is_campaigns or is_doubted else state


def _signal(failure: Exception) -> Signal:
    match failure:
        case RejectedError():
            return Signal.SUCCESS
        case RateLimitError():
            return Signal.THROTTLED
        case UnknownOutcomeError():
            return Signal.OVERLOADED
        case ConnectusError() if failure.outcome is Outcome.NOT_SENT:
            return Signal.UNREACHABLE
        case _:
            return Signal.NOTHING


def _outcome(
    job: Job,
    state: State,
    error: Exception | None,
    *,
    skipped: SkipReason | None = None,
    receipt: Receipt | None = None,
) -> MessageOutcome:
    requested = error.outcome if isinstance(error, RejectedError) else None
    return MessageOutcome(
        index=job.index,
        line=job.line,
        message=job.message,
        state=state,
        outcome=requested or OUTCOMES.get(state, Outcome.NOT_SENT),
        skipped=skipped,
        receipt=receipt,
        error=error,
    )
