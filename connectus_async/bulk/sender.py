"""The bulk sender: pulls messages lazily, sends a bounded number at a time, names every outcome."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from inspect import isawaitable
from types import TracebackType
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

import anyio
import anyio.to_thread
import attrs

from connectus_async._one_process import OfOneProcess
from connectus_async.answer import Answer
from connectus_async.bulk.channels import Channel, channels
from connectus_async.bulk.circuit_breaker import CircuitBreaker
from connectus_async.bulk.clock_offsets import OFFSETS, ahead, is_new, with_offset
from connectus_async.bulk.feed import Feed, Messages, from_ledger, from_messages
from connectus_async.bulk.guards import MOST_FAILED_LOOKS, REFRESH_SECONDS, Guards
from connectus_async.bulk.loading import Loader
from connectus_async.bulk.options import DEFAULT_SETTLE, BulkOptions, check_above_zero
from connectus_async.bulk.outcome_queue import OutcomeQueue
from connectus_async.bulk.outcomes import BulkSummary, MessageOutcome, Reconciliation
from connectus_async.bulk.pacing import Pacer
from connectus_async.bulk.progress import Progress
from connectus_async.bulk.reconcile import Reconciler
from connectus_async.bulk.run import Run
from connectus_async.errors import ConfigurationError, InvalidArgumentError, Outcome
from connectus_async.ledger import open_store
from connectus_async.ledger.abc import Ledger, SendingLedger
from connectus_async.ledger.keys import ONE_SPELLING, KeyMaker
from connectus_async.ledger.null import NullLedger
from connectus_async.ledger.records import Loaded, Policy
from connectus_async.ledger.states import HAS_ANOTHER, Edited, SkipReason, State
from connectus_async.products.email import EmailService
from connectus_async.products.messages import Message, Row
from connectus_async.products.sms import SmsService
from connectus_async.products.whatsapp import WhatsAppService

ROWS_A_READ: Final = 500

_log: Final = logging.getLogger("connectus_async")


class Bulk(OfOneProcess):
    """Sends many messages. Get one with ``connectus.bulk()`` and use it with ``async with``.

    Leaving the ``async with`` early, by ``break``, an exception or Ctrl-C, pulls no further
    messages, waits for the answers of those that are being sent, and counts them all in the
    summary. What has not left by then stays queued.

    Attributes:
        summary: The count of all outcomes so far.
    """

    def __init__(
        self,
        sms: SmsService,
        email: EmailService,
        whatsapp: WhatsAppService,
        *,
        options: BulkOptions,
        retry_after_cap: float,
        timeout: float,
        zone: Callable[[], ZoneInfo],
        ledger: SendingLedger | None = None,
    ) -> None:
        self.summary = BulkSummary()
        self._sms = sms
        self._whatsapp = whatsapp
        self._options = options
        self._retry_after_cap = retry_after_cap
        self._timeout = timeout
        self._zone = zone
        self._channels: Mapping[type[Message], Channel] = channels(sms, email, whatsapp)
        self._by_kind = {channel.kind: channel for channel in self._channels.values()}
        self._salt = KeyMaker(options.campaign, by_recipient=options.identity == "recipient")
        self._ledger: SendingLedger = ledger or _ledger_of(options)
        self._pacer = Pacer(max_concurrency=options.concurrency, rate=options.rate)
        self._guards: Guards | None = None
        self._run: Run | None = None
        self._refresher: asyncio.Task[None] | None = None
        self._is_entered = self._is_reconciling = False
        self._is_paused = self._is_in_doubt = False

    async def __aenter__(self) -> Self:
        if self._is_entered:
            raise ConfigurationError("bulk", "is entered already: make another with bulk()")
        self._is_entered = True
        try:
            await self._enter()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._leave()
            raise
        return self

    async def _enter(self) -> None:
        options = self._options
        await self._ledger.open(
            Policy(
                campaign=options.campaign,
                identity=options.identity,
                on_unknown=options.on_unknown,
                forgets_content=options.forget_content,
            )
        )
        if isinstance(self._ledger, Ledger):
            by_spelling = ONE_SPELLING not in await self._ledger.metadata()
            self._salt = attrs.evolve(self._salt, by_spelling=by_spelling)
        if type(self._ledger) is NullLedger:
            _log.info("a campaign without a ledger: a crash forgets who was reached")
        spent = 0 if options.budget is None else await self._ledger.spent()
        self._guards = Guards(options, spent)
        if options.quiet_hours is not None:
            await anyio.to_thread.run_sync(options.quiet_hours.load)
        if options.suppression is not None:
            self._refresher = asyncio.create_task(self._refresh_suppression())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self._leave()

    async def _leave(self) -> None:
        run, self._run = self._run, None
        self._guards = None
        if self._refresher is not None:
            self._refresher.cancel()
        try:
            if run is not None:
                run.stop()
                run.mailbox.abandon()
                await run.ended()
        finally:
            self._is_entered = False
            await self._ledger.close()

    async def stream(self, messages: Messages | None = None) -> AsyncIterator[MessageOutcome]:
        """Send messages, and yield the outcome of each as it is known.

        Args:
            messages: `Sms`, `Email` or `WhatsApp` messages in any mixture, or `Row`, as an iterable
                or an async iterable. It is pulled as messages are sent, never ahead of them. If
                left out, what waits in the ledger is sent. With ``edited="refuse"`` or
                ``"remaining"`` it is put down to its end first, as by `load` with ``replaces``.

        Yields:
            One `MessageOutcome` for each message, in the order of completion.

        Raises:
            ConnectusError: Every further message would fail too: wrong credentials, an exhausted
                balance, a closed client, an API that is out of reach, a ledger that cannot be
                written. Raised after the outcomes of all messages that were pulled; the rest of
                the source is left alone.
            ConfigurationError: With ``edited="refuse"``: people may have got another text of this
                ledger already. Nothing was sent.
            Exception: What the source itself raised, after the outcomes of what it had given.

        Example:
            async with connectus.bulk() as bulk:
                async for outcome in bulk.stream([Sms("56987688060", "Hola")]):
                    print(outcome.state)
        """
        await self._end_abandoned()
        if messages is not None and self._options.edited is not Edited.EVERYONE:
            async with aclosing(self._put_down(messages)) as rows:  # type: ignore[type-var]
                async for row in rows:
                    self.summary.add(row)
                    yield row
            messages = None
        run = self._start(messages)
        try:
            if messages is not None:
                await self._ledger.set_metadata(loaded="0")
            is_compared = False
            while (outcome := await run.mailbox.take()) is not None:
                if not is_compared and outcome.receipt is not None:
                    is_compared = True
                    await self._compare_clocks(outcome.receipt)
                yield outcome
        finally:
            run.stop()
            run.mailbox.abandon()
        if run.intake.failure is not None:
            raise run.intake.failure
        if self._run is not run:
            raise ConfigurationError("bulk", "was left before its stream had ended")
        if messages is not None and run.intake.is_exhausted:
            await self._ledger.set_metadata(loaded="1")
        await self._ledger.flush()

    async def run(
        self,
        messages: Messages | None = None,
        *,
        on_outcome: Callable[[MessageOutcome], object] | None = None,
    ) -> BulkSummary:
        """Send messages, and return the count of their outcomes.

        Args:
            messages: As in `stream`.
            on_outcome: Called with the outcome of each message, one at a time; what it returns is
                awaited if it can be.

        Returns:
            The counts of everything that this sender sent.

        Raises:
            ConnectusError: As in `stream`.

        Example:
            async with connectus.bulk() as bulk:
                summary = await bulk.run([Sms("56987688060", "Hola")])
            summary.accepted
        """
        async with aclosing(self.stream(messages)) as outcomes:  # type: ignore[type-var]
            async for outcome in outcomes:
                if on_outcome is not None and isawaitable(answer := on_outcome(outcome)):
                    await answer
        return self.summary

    async def load(
        self,
        messages: Messages,
        *,
        replaces: bool = False,
        on_row: Callable[[Row, Loaded], object] | None = None,
    ) -> int:
        """Put messages down in the ledger without sending them; `stream` and `run` do that then.

        Rows that cannot become a message, duplicates and suppressed recipients are put down as
        skipped, with their lines. What the ledger has from before stays as it is.

        Args:
            messages: As in `stream`. It is read to its end.
            replaces: Whether what earlier calls left queued, and this source does not have, is
                skipped: after a text was corrected, nobody is to get the old one as well.
            on_row: Called with each row and what became of it.

        Returns:
            How many rows there were.

        Raises:
            ConfigurationError: There is no ledger. With ``edited="refuse"``: people may have got
                another text of this ledger already; it says how many, and nothing is to be sent.
            LedgerError: The ledger cannot be written.
            Exception: What the source itself raised. Loading the same source again takes it up.

        Example:
            async with connectus.bulk(ledger="navidad.db") as bulk:
                await bulk.load([Sms("56987688060", "Hola")])
                await bulk.run()
        """
        ledger = self._entered_ledger()
        options = self._options
        loader = Loader(ledger, self._channels, self._salt, options.suppression, options.edited)
        return await loader.load(messages, on_row, replaces=replaces)

    async def reconcile(self, *, settle: float = DEFAULT_SETTLE) -> Reconciliation:
        """Ask the API's reports what became of the messages whose outcome is unknown.

        Args:
            settle: Seconds after the last attempt before a report is believed to be complete, and
                between two reads. Default 60. The first read is not before the client's timeout and
                10 seconds have passed since the attempt began, for which a request can be on its
                way after it was given up.

        Returns:
            How many turned out to be accepted, and what became of the others. With
            ``on_unknown="resend_if_absent"``, those that are absent are queued again: which is
            proven only where the same report shows messages of this ledger that were accepted
            before and after them. What is not proven stays unknown; ``reasons`` says what would
            prove it.

        Raises:
            ConfigurationError: There is no ledger, or a stream is under way.
            LedgerError: The ledger cannot be written.

        Source: ``GET /sms/delivery_info``, ``GET /sms/date_report``, ``GET /whatsapp/messages``.

        Example:
            async with connectus.bulk(ledger="navidad.db") as bulk:
                await bulk.run([Sms("56987688060", "Hola")])
                (await bulk.reconcile(settle=30)).accepted
        """
        check_above_zero("settle", settle)
        ledger, guards = self._entered_ledger(), self._check_entered()
        await self._end_abandoned()
        self._check_idle()  # what is on its way would be taken for what is unknown
        self._is_reconciling = True
        try:
            reconciler = Reconciler(
                ledger,
                self._sms,
                self._whatsapp,
                zone=await anyio.to_thread.run_sync(self._zone),  # it may be read from a file
                timeout=self._timeout,
                on_unknown=self._options.on_unknown,
            )
            found = await reconciler.reconcile(settle)
        finally:
            self._is_reconciling = False
        guards.recount(await ledger.spent())
        return found

    async def counts(self) -> Mapping[State, int]:
        """Count all messages of the ledger, those of earlier runs included.

        Returns:
            The number of messages by state; states without any are left out.

        Raises:
            ConfigurationError: There is no ledger.
            LedgerError: The ledger cannot be read.

        Example:
            async with connectus.bulk(ledger="navidad.db") as bulk:
                await bulk.run([Sms("56987688060", "Hola")])
                (await bulk.counts())[State.ACCEPTED]
        """
        return await self._entered_ledger().counts()

    async def spent(self) -> int:
        """Add up what the campaign took from the balance, or may have taken.

        Returns:
            SMS as they are billed, and one for each email and WhatsApp message.

        Raises:
            ConfigurationError: There is no ledger.
            LedgerError: The ledger cannot be read.

        Example:
            async with connectus.bulk(ledger="navidad.db") as bulk:
                await bulk.run([Sms("56987688060", "Hola")])
                await bulk.spent()
        """
        return await self._entered_ledger().spent()

    async def note(self, **facts: str) -> None:
        """Put facts of the campaign on record in the ledger.

        Args:
            facts: Texts by name. Reports show ``source``, the name of the file of recipients, and
                ``stopped``, why the campaign stopped last, which is empty once it goes on.

        Raises:
            ConfigurationError: There is no ledger.
            LedgerError: The ledger cannot be written.

        Example:
            async with connectus.bulk(ledger="navidad.db") as bulk:
                await bulk.note(source="recipients.csv")
                await bulk.run([Sms("56987688060", "Hola")])
        """
        await self._entered_ledger().set_metadata(**facts)

    def pause(self) -> None:
        """Let no further message leave until `resume`. What is being sent is finished.

        Example:
            async with connectus.bulk() as bulk:
                bulk.pause()
                bulk.resume()
                await bulk.run([Sms("56987688060", "Hola")])
        """
        self._is_paused = True
        self._pacer.pause()

    def resume(self) -> None:
        """Let messages leave again after `pause`.

        Example:
            async with connectus.bulk() as bulk:
                bulk.pause()
                bulk.resume()
                await bulk.run([Sms("56987688060", "Hola")])
        """
        self._is_paused = False
        self._let_go_on()

    def cancel(self) -> None:
        """End the stream that is under way, as soon as what is being sent is finished.

        What has not left stays queued in the ledger, or in the source.

        Example:
            async with connectus.bulk() as bulk:
                async for outcome in bulk.stream([Sms("56987688060", "Hola")]):
                    bulk.cancel()
        """
        if self._run is not None:
            self._run.stop()

    def set_rate(self, rate: float | None) -> None:
        """Change the rate while messages are sent.

        Args:
            rate: Messages or segments a second at most, as ``rate_unit`` says; ``None`` for as many
                as the API takes.

        Raises:
            ConfigurationError: It is not above zero.

        Example:
            async with connectus.bulk(rate=10) as bulk:
                bulk.set_rate(50)
                await bulk.run([Sms("56987688060", "Hola")])
        """
        check_above_zero("rate", rate)
        self._pacer.set_rate(rate)

    def set_concurrency(self, concurrency: int) -> None:
        """Change how many messages are on their way at a time, while they are sent.

        Args:
            concurrency: From 1 to what ``bulk()`` was given.

        Raises:
            ConfigurationError: It is not in that range.

        Example:
            async with connectus.bulk() as bulk:
                bulk.set_concurrency(8)
                await bulk.run([Sms("56987688060", "Hola")])
        """
        limit = self._options.concurrency
        if not 1 <= concurrency <= limit:
            raise ConfigurationError("concurrency", f"must be from 1 to {limit} here")
        self._pacer.set_max_concurrency(concurrency)

    def progress(self) -> Progress:
        """Tell how far it is, and how it is paced.

        Returns:
            What holds now; it does not change by itself.

        Example:
            async with connectus.bulk() as bulk:
                await bulk.run([Sms("56987688060", "Hola")])
                bulk.progress().summary.accepted
        """
        return Progress.of(self.summary, self._pacer)

    async def watch(self, seconds: float = 0.5) -> AsyncIterator[Progress]:
        """Yield the progress again and again, for as long as the sender is entered.

        Args:
            seconds: How long to wait between two.

        Yields:
            What holds at the time. The last one comes when the sender has been left.

        Raises:
            ConfigurationError: ``seconds`` is not above zero.

        Example:
            async with connectus.bulk() as bulk:
                async for progress in bulk.watch():
                    print(progress.rate)
                    break
                await bulk.run([Sms("56987688060", "Hola")])
        """
        check_above_zero("seconds", seconds)
        while self._guards is not None:
            yield self.progress()
            await asyncio.sleep(seconds)
        yield self.progress()

    def _entered_ledger(self) -> Ledger:
        if not isinstance(self._ledger, Ledger):
            raise ConfigurationError("ledger", "is needed for this: pass its path to bulk()")
        self._check_entered()
        return self._ledger

    def _check_entered(self) -> Guards:
        if self._guards is None:
            raise ConfigurationError("bulk", "must be entered first: async with connectus.bulk()")
        return self._guards

    def _start(self, messages: Messages | None) -> Run:
        guards = self._check_entered()
        self._check_idle()
        options = self._options
        self._run = run = Run(
            self._intake(messages),
            ledger=self._ledger,
            pacer=self._pacer,
            guards=guards,
            patience=CircuitBreaker(options.patience, options.concurrency, self._retry_after_cap),
            channels=self._channels,
            salt=self._salt,
            summary=self.summary,
            weighs_segments=options.rate_unit == "segments",
            mailbox=OutcomeQueue(options.concurrency),
        )
        run.begin(options.concurrency)
        return run

    async def _put_down(self, messages: Messages) -> AsyncIterator[MessageOutcome]:
        """Load a source to its end; yield what is not going to be sent of it."""
        self._check_idle()
        ledger = self._entered_ledger()
        found: asyncio.Queue[MessageOutcome | None] = asyncio.Queue(self._options.concurrency)
        index = 0

        async def note(row: Row, loaded: Loaded) -> None:
            nonlocal index
            is_told_later = loaded.skipped is not None and loaded.known is not None
            is_to_be_sent = loaded.skipped is None and loaded.known in (None, State.QUEUED)
            if not (is_told_later or is_to_be_sent):
                await found.put(_left_out(index, row, loaded))
            index += 1

        async def load() -> None:
            try:
                await self.load(messages, replaces=True, on_row=note)
            finally:
                await found.put(None)

        loading = asyncio.create_task(load())
        try:
            while (outcome := await found.get()) is not None:
                yield outcome
            await loading
        finally:
            loading.cancel()
            await asyncio.wait([loading])
        last = 0
        while rows := await ledger.left_out(last, ROWS_A_READ):
            last = rows[-1][0]
            for _, entry in rows:
                row = Row(entry.line, self._by_kind[entry.kind].restored(entry))
                yield _left_out(index, row, Loaded(SkipReason.DUPLICATE), HAS_ANOTHER)
                index += 1

    async def _compare_clocks(self, answer: Answer) -> None:
        """Put on record that the API's clock is another than ours: its reports are in its days."""
        offset = ahead(answer.response)
        if offset is None or not is_new(offset, {0.0}):
            return
        _log.warning(
            "this machine's clock is %+d s from the API's: times in the ledger are ours", -offset
        )
        fact = with_offset((await self._ledger.metadata()).get(OFFSETS), offset)
        if fact is not None:
            await self._ledger.set_metadata(**{OFFSETS: fact})

    def _check_idle(self) -> None:
        if self._run is not None and not self._run.is_over:
            raise ConfigurationError("bulk", "has a stream under way: end it first")
        if self._is_reconciling:
            raise ConfigurationError("bulk", "is reconciling: wait for its end first")

    async def _end_abandoned(self) -> None:
        """Wait for what a stream that was given up still has on its way."""
        if self._run is not None and self._run.mailbox.is_abandoned:
            await self._run.ended()

    def _intake(self, messages: Messages | None) -> Feed:
        if messages is not None:
            return from_messages(messages)
        return from_ledger(self._ledger, self._by_kind)

    def _let_go_on(self) -> None:
        """Undo a pause, unless there is another reason for it."""
        if self._is_paused or self._is_in_doubt:
            return
        self._pacer.resume()
        if self._run is not None:
            self._run.resumed()

    async def _refresh_suppression(self) -> None:
        """Follow the list. While it cannot be read, nobody is reached: they may be new on it."""
        suppression: Any = self._options.suppression
        failures = 0
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await anyio.to_thread.run_sync(suppression.refresh)
            except Exception as error:  # noqa: BLE001 - who cannot be spared must not be reached
                failures += 1
                self._is_in_doubt = True
                self._pacer.pause()
                if failures >= MOST_FAILED_LOOKS and self._run is not None:
                    self._run.stop(error)
            else:
                failures = 0
                if self._is_in_doubt:
                    self._is_in_doubt = False
                    self._let_go_on()


def _left_out(index: int, row: Row, loaded: Loaded, why: str | None = None) -> MessageOutcome:
    """The outcome of a row that was loaded, and is not going to be sent."""
    error = row.content if isinstance(row.content, Exception) else None
    known = loaded.known or "an earlier row"
    said = why or str(loaded.skipped or f"the campaign has it already: {known}")
    return MessageOutcome(
        index=index,
        line=row.line,
        message=None if isinstance(row.content, Exception) else row.content,
        state=State.SKIPPED,
        outcome=Outcome.NOT_SENT,
        skipped=loaded.skipped or SkipReason.DUPLICATE,
        error=error or InvalidArgumentError("message", said),
    )


def _ledger_of(options: BulkOptions) -> SendingLedger:
    return open_store(options.ledger).ledger() if options.ledger else NullLedger()
