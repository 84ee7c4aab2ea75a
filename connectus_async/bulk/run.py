"""One run over a feed: the workers, and the steps of each message."""

import asyncio
import time
from collections.abc import Mapping

from connectus_async.bulk.channels import LARGE, Channel, entry_of
from connectus_async.bulk.circuit_breaker import FOREIGN_FIRST, CircuitBreaker
from connectus_async.bulk.failures import DOUBTED, OUTCOMES, consequence
from connectus_async.bulk.feed import STOPPED, Feed, Job
from connectus_async.bulk.guards import Guards, Refusal
from connectus_async.bulk.outcome_queue import OutcomeQueue
from connectus_async.bulk.outcomes import BulkSummary, MessageOutcome
from connectus_async.bulk.pacing import Pacer, Signal
from connectus_async.bulk.quiet_messages import QuietMessages
from connectus_async.bulk.watching import Watcher
from connectus_async.bulk.weighted_semaphore import WeightedSemaphore
from connectus_async.errors import (
    CampaignStoppedError,
    InvalidArgumentError,
    LedgerError,
    Outcome,
    RejectedError,
    safe_text,
)
from connectus_async.ledger.abc import SendingLedger
from connectus_async.ledger.keys import KeyMaker
from connectus_async.ledger.records import Claim, Entry, no_message
from connectus_async.ledger.states import MAY_BE_SENT, SkipReason, State
from connectus_async.products.email import Email
from connectus_async.products.messages import Message

FIRST_ANSWER_SECONDS = 1.0
"""Maximum time with few workers, if the first answer is slow."""

LARGE_CHARACTERS = 2**24
"""Maximum characters of large messages in flight; each takes several times its size in memory."""


class _NotNowError(Exception):
    """A message has no outcome here: whoever reads the ledger next gets it.

    It waits for the end of quiet hours, or the ledger has taken it back, as when it is loaded
    again.
    """


class Run:
    """One run: sends the messages of a feed, a bounded number at a time.

    Args:
        feed: Source of the messages.
        ledger: Record of each step, written before the step is taken.
        pacer: Rate and concurrency.
        guards: Checks before a message is sent.
        breaker: Circuit breaker of the campaign.
        channels: Channel of each type of message.
        key_maker: Maker of the keys of the campaign.
        summary: Count of the outcomes.
        weighs_segments: Whether the rate counts the segments of an SMS rather than messages.
        outcomes: Queue for the outcomes.
        quiet: Messages that were refused in quiet hours.
        waits: Whether the feed gives these messages again, so that they have no outcome yet.
        watcher: Reports to the user's hook, if there is one.

    Attributes:
        news: Set when it is stopped, and when it has ended.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        ledger: SendingLedger,
        pacer: Pacer,
        guards: Guards,
        breaker: CircuitBreaker,
        channels: Mapping[type[Message], Channel],
        key_maker: KeyMaker,
        summary: BulkSummary,
        weighs_segments: bool,
        outcomes: OutcomeQueue,
        quiet: QuietMessages,
        waits: bool = False,
        watcher: Watcher | None = None,
    ) -> None:
        self.feed = feed
        self.quiet = quiet
        self._waits = waits
        self._watcher = watcher
        self.outcomes = outcomes
        self.news = asyncio.Event()
        self._ledger = ledger
        self._pacer = pacer
        self._guards = guards
        self._breaker = breaker
        self._channels = channels
        self._by_kind = {channel.kind: channel for channel in channels.values()}
        self._key_maker = key_maker
        self._summary = summary
        self._weighs_segments = weighs_segments
        self._workers: set[asyncio.Task[None]] = set()
        self._workers_to_come = 0
        self._first_answer: asyncio.TimerHandle | None = None
        self._waiting: set[asyncio.Task[None]] = set()
        self._large = WeightedSemaphore(LARGE_CHARACTERS)

    def start(self, workers: int) -> None:
        """Start a few workers, and the others after the first answer of the API.

        If something else answers in its place, each worker may cost a message that is unknown.

        Args:
            workers: Number of workers in the end.
        """
        self._workers_to_come = workers
        loop = asyncio.get_running_loop()
        self._first_answer = loop.call_later(FIRST_ANSWER_SECONDS, self._start_the_others)
        self._start_workers(min(workers, FOREIGN_FIRST))

    def _start_the_others(self) -> None:
        count, self._workers_to_come = self._workers_to_come, 0
        if self._first_answer is not None:
            self._first_answer.cancel()
        if count:
            self._start_workers(count)

    def _start_workers(self, count: int) -> None:
        while len(self._workers) < count and not self.feed.is_stopped:
            worker = asyncio.create_task(self._work(), name="connectus bulk worker")
            self._workers.add(worker)
            worker.add_done_callback(self._worker_ended)

    def stop(self, failure: Exception | None = None) -> None:
        """Send no further message; messages in flight are finished."""
        self.feed.stop(failure)
        self.news.set()
        for worker in self._waiting:
            worker.cancel()

    def resumed(self) -> None:
        """Tell the circuit breaker that a pause has ended."""
        self._breaker.resumed()

    @property
    def is_over(self) -> bool:
        """``True`` if all workers have ended."""
        return not self._workers

    async def ended(self) -> None:
        """Wait until all workers have ended."""
        while self._workers:
            await asyncio.wait(self._workers)

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        error = None if worker.cancelled() else worker.exception()
        if isinstance(error, Exception):
            self.stop(error)
        elif (worker.cancelled() or error is not None) and not self.feed.is_stopped:
            self.stop(CampaignStoppedError("somebody cancelled what sends its messages"))
        if not self._workers:
            self._workers_to_come = 0
            self._start_the_others()
            self.outcomes.finish()
            self.news.set()

    async def _work(self) -> None:
        feed, outcomes = self.feed, self.outcomes
        while (job := feed.next() or await feed.pull()) is not None:
            size, content = 0, job.content
            if job.entry is not None:
                size = len(job.entry.body)
            elif type(content) is Email and isinstance(content.email_content, str):
                size = len(content.email_content)
            try:
                if size < LARGE:
                    outcome = await self._outcome(job)
                else:
                    async with self._large.taken(size):
                        outcome = await self._outcome(job)
            except _NotNowError:
                feed.ask_again()
                continue
            if self._workers_to_come and self._breaker.is_of_the_api(outcome.error):
                self._start_the_others()
            self._summary.add(outcome)
            if self._watcher is not None:
                self._watcher.ended(self._kind_of(job), outcome)
            turn = outcomes.add(outcome)
            if turn is not None:
                await turn

    async def _outcome(self, job: Job) -> MessageOutcome:
        entry = job.entry
        if entry is None:
            try:
                entry = entry_of(self._channels, job.content, job.line, job.key, self._key_maker)
            except Exception as error:  # noqa: BLE001 - one row never stops the others
                return self._invalid(job, error)
        if self._weighs_segments:
            job.weight = entry.billed
        try:
            if self._guards.has_checks:
                self._check(entry)
            return await self._sent(job, entry)
        except Refusal as refusal:
            self._ledger.put(entry, job.number, refusal.skipped)
            if refusal.until is not None:
                self.quiet.add(entry, refusal.until)
                if self._waits and not self.feed.is_stopped:
                    raise _NotNowError from None
            return _outcome(job, refusal.state, refusal.error, skipped=refusal.skipped)

    def _check(self, entry: Entry) -> None:
        try:
            self._guards.check(entry)
        except Refusal:
            raise
        except Exception as error:  # noqa: BLE001 - without a check nobody is reached
            self.stop(error)
            raise Refusal(None, error) from None

    def _kind_of(self, job: Job) -> str | None:
        if job.entry is not None:
            return job.entry.kind
        channel = self._channels.get(type(job.content))  # type: ignore[arg-type]  # or an error
        return None if channel is None else channel.kind

    def _invalid(self, job: Job, error: Exception) -> MessageOutcome:
        key = None if job.line is None else f"line {job.line}"
        entry = no_message(job.line, key)
        self._ledger.put(entry, None, SkipReason.INVALID, safe_text(error))
        return _outcome(job, State.SKIPPED, error, skipped=SkipReason.INVALID)

    async def _sent(self, job: Job, entry: Entry) -> MessageOutcome:
        """Send a message, again for as long as it certainly was not sent."""
        while True:
            if self.feed.is_stopped or not (
                self._pacer.try_acquire(job.weight) or await self._acquired(job.weight)
            ):
                self._ledger.put(entry, job.number)
                error = self.feed.failure or CampaignStoppedError(STOPPED)
                return _outcome(job, State.QUEUED, error)
            try:
                outcome = await self._attempt(job, entry)
            except BaseException as error:
                self._release_unused(job)
                if isinstance(error, asyncio.CancelledError):
                    self._summary.counts[State.UNKNOWN] += 1  # as the ledger has or will have it
                    if self._watcher is not None:
                        self._watcher.given_up(entry.kind, error)
                raise
            if outcome.state is not State.QUEUED:
                return outcome
            if self.feed.is_stopped:
                self._ledger.put(entry, job.number)
                return outcome

    async def _acquired(self, weight: int) -> bool:
        """Wait for the pacer; return False if the run was stopped meanwhile."""
        task = asyncio.current_task()
        if task is None:
            raise AssertionError  # a worker is a task
        self._waiting.add(task)
        try:
            await self._pacer.acquire(weight)
        except asyncio.CancelledError:
            if not self.feed.is_stopped:
                raise
            task.uncancel()  # it was `stop` that cancelled it
            return False
        finally:
            self._waiting.discard(task)
        return True

    async def _attempt(self, job: Job, entry: Entry) -> MessageOutcome:
        if self._guards.has_checks:
            self._check(entry)  # again: it may have waited for long
        try:
            self._guards.take(entry)
        except Refusal:
            await self._take_more(entry)
        asked = None if self._watcher is None else time.monotonic()
        try:
            claim = self._ledger.begin(entry, job.number)
            if type(claim) is not Claim:
                claim = await claim  # type: ignore[misc]  # mypy does not narrow by `type`
        except LedgerError as error:
            return self._not_begun(job, entry, error)
        if claim.found is not None:
            self._guards.give_back(entry)
            if claim.found is State.QUEUED and job.number is not None:
                raise _NotNowError
            return self._known_already(job, claim.found)
        number = job.number = claim.number
        started = time.monotonic()
        if self._watcher is not None and asked is not None:
            self._watcher.begun(entry.kind, started - asked)
        try:
            receipt = await self._by_kind[entry.kind].deliver(entry)
        except asyncio.CancelledError:
            self._ledger.finish(entry, number, State.UNKNOWN, "its answer was not waited for", None)
            raise
        except Exception as error:  # noqa: BLE001 - one message never stops the others
            return self._failed(job, entry, number, error, time.monotonic() - started)
        self._breaker.answered()
        self._pacer.succeeded(time.monotonic() - started, job.weight)
        self._ledger.finish(entry, number, State.ACCEPTED, None, receipt.id)
        return MessageOutcome(
            index=job.index,
            line=job.line,
            message=job.message,
            state=State.ACCEPTED,
            outcome=Outcome.ACCEPTED,
            receipt=receipt,
        )

    async def _take_more(self, entry: Entry) -> None:
        try:
            await self._guards.take_more(entry)
        except LedgerError as error:
            self.stop(error)
            raise Refusal(None, error) from None
        if self.feed.is_stopped:
            self._guards.give_back(entry)
            raise Refusal(None, self.feed.failure or CampaignStoppedError(STOPPED))

    def _not_begun(self, job: Job, entry: Entry, error: LedgerError) -> MessageOutcome:
        self._guards.give_back(entry)
        self._release_unused(job)
        self.stop(error)
        return _outcome(job, State.QUEUED, error)

    def _known_already(self, job: Job, found: State) -> MessageOutcome:
        self._release_unused(job)
        again = InvalidArgumentError("message", f"the campaign has it already: {found}")
        return _outcome(job, State.SKIPPED, again, skipped=SkipReason.DUPLICATE)

    def _failed(
        self, job: Job, entry: Entry, number: int, error: Exception, latency: float
    ) -> MessageOutcome:
        state = self._judged(job, error, latency)
        if state not in MAY_BE_SENT:
            self._guards.give_back(entry)
        is_kept = state is State.QUEUED and not self.feed.is_stopped
        self._ledger.finish(entry, number, state, safe_text(error), None, is_kept=is_kept)
        return _outcome(job, state, error)

    def _release_unused(self, job: Job) -> None:
        """Return the permission of a message for which no request was made."""
        self._pacer.release(Signal.NOTHING, latency=0, cost=job.weight)

    def _judged(self, job: Job, error: Exception, latency: float) -> State:
        """Report a failure to the pacer and the circuit breaker, and return the message's state."""
        is_doubted = self._breaker.doubts(error, job.doubts)
        meaning = DOUBTED if is_doubted else consequence(error)
        job.doubts += is_doubted
        if meaning.signal is Signal.SUCCESS:
            self._breaker.answered()
        self._pacer.release(
            meaning.signal, latency=latency, retry_after=meaning.retry_after, cost=job.weight
        )
        if (reason := self._breaker.failed(error, is_doubted=is_doubted)) is not None:
            self.stop(reason)
        return meaning.state


def _outcome(
    job: Job,
    state: State,
    error: Exception,
    *,
    skipped: SkipReason | None = None,
) -> MessageOutcome:
    requested = error.outcome if isinstance(error, RejectedError) else None
    return MessageOutcome(
        index=job.index,
        line=job.line,
        message=job.message,
        state=state,
        outcome=requested or OUTCOMES.get(state, Outcome.NOT_SENT),
        skipped=skipped,
        error=error,
    )
