"""Bulk sender: the public face of the engine. It opens, starts and steers; `run` sends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from functools import partial
from inspect import isawaitable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from zoneinfo import ZoneInfo

import anyio
import anyio.to_thread
import attrs

from connectus_async._one_process import Unpicklable
from connectus_async.bulk.attendance import attend
from connectus_async.bulk.channels import Channel, channels
from connectus_async.bulk.circuit_breaker import CircuitBreaker
from connectus_async.bulk.clock_offsets import record_offset
from connectus_async.bulk.feed import Feed, Messages, from_ledger, from_messages
from connectus_async.bulk.guards import Guards
from connectus_async.bulk.load_outcomes import OnRow, outcomes_of_load
from connectus_async.bulk.loading import Compose, Loader, OnBatch
from connectus_async.bulk.options import DEFAULT_SETTLE, BulkOptions, check_above_zero
from connectus_async.bulk.outcome_queue import OutcomeQueue
from connectus_async.bulk.outcomes import BulkSummary, MessageOutcome, Reconciliation
from connectus_async.bulk.pacing import Pacer
from connectus_async.bulk.progress import Progress
from connectus_async.bulk.quiet_messages import QuietMessages
from connectus_async.bulk.reconcile import Reconciler
from connectus_async.bulk.run import Run
from connectus_async.bulk.steering import PAUSED, SUPPRESSION, UNREADABLE, USER, Steering
from connectus_async.bulk.suppression_watch import watch_suppression
from connectus_async.bulk.watching import Watcher
from connectus_async.config import Config
from connectus_async.errors import ConfigurationError, LedgerError
from connectus_async.ledger import open_store
from connectus_async.ledger.abc import Ledger, SendingLedger, SharedLedger
from connectus_async.ledger.keys import KeyMaker
from connectus_async.ledger.metadata_names import LOADED, ONE_SPELLING
from connectus_async.ledger.null import NullLedger
from connectus_async.ledger.records import Corrects, Loaded, Policy
from connectus_async.ledger.states import Edited, State
from connectus_async.products.email import EmailService
from connectus_async.products.messages import Message, Row
from connectus_async.products.sms import Sms, SmsService
from connectus_async.products.whatsapp import WhatsAppService

if TYPE_CHECKING:
    from connectus_async.recipients.frequency import Reached

_log: Final = logging.getLogger("connectus_async")


@attrs.frozen
class Delegated:
    """Campaign that other processes send.

    Attributes:
        ledger: Its ledger, opened here.
        options: Its options.
        guards: The guard of its budget.
        circuit_breaker: The circuit breaker for all of its messages.
        config: The configuration of the client.
        is_start: Whether the user starts it.
    """

    ledger: Ledger
    options: BulkOptions
    guards: Guards
    circuit_breaker: CircuitBreaker
    config: Config
    is_start: bool


class Bulk(Unpicklable):
    """Sender of many messages. Get one with ``connectus.bulk()`` and use it with ``async with``.

    Leaving the ``async with`` early, by ``break``, an exception or Ctrl-C, pulls no further
    message, waits for the answers to the messages in flight, and counts them all in the summary.
    The others stay queued.

    Attributes:
        summary: Count of all outcomes so far.
    """

    def __init__(
        self,
        sms: SmsService,
        email: EmailService,
        whatsapp: WhatsAppService,
        *,
        options: BulkOptions,
        config: Config,
        ledger: SendingLedger | None = None,
        is_start: bool = True,
    ) -> None:
        self.summary = BulkSummary()
        self._sms = sms
        self._whatsapp = whatsapp
        self._options = options
        self._config = config
        self._channels: Mapping[type[Message], Channel] = channels(sms, email, whatsapp)
        self._by_kind = {channel.kind: channel for channel in self._channels.values()}
        self._key_maker = KeyMaker(options.campaign, by_recipient=options.identity == "recipient")
        self._ledger: SendingLedger = ledger or _ledger_of(options)
        self._pacer = Pacer(max_concurrency=options.concurrency, rate=options.rate)
        self._steering = Steering(self._pacer, options.rate, reserves=options.budget is not None)
        self._guards: Guards | None = None
        self._run: Run | None = None
        self._attending: asyncio.Task[None] | None = None
        self._watcher = _watcher_of(options, has_ledger=type(self._ledger) is not NullLedger)
        self._watching: asyncio.Task[None] | None = None
        self._is_start = is_start
        self._suppression_watch: asyncio.Task[None] | None = None
        self._is_entered = self._is_reconciling = self._is_delegated = False
        self._loads = 0
        self._limit: int | None = None

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
            self._key_maker = attrs.evolve(self._key_maker, by_spelling=by_spelling)
        if type(self._ledger) is NullLedger:
            _log.info("a campaign without a ledger: a crash forgets who was reached")
        self._guards = await self._guards_of(options)
        if options.quiet_hours is not None:
            await anyio.to_thread.run_sync(options.quiet_hours.load)
        if options.suppression is not None:
            self._steering.hold_back(SUPPRESSION)  # it may have changed since it was made
            watch = watch_suppression(
                options.suppression,
                hold_back=partial(self._steering.hold_back, SUPPRESSION, UNREADABLE),
                go_on=partial(self._steering.go_on, SUPPRESSION),
                stop=self._stop,
            )
            self._suppression_watch = asyncio.create_task(watch)

    async def _guards_of(self, options: BulkOptions) -> Guards:
        ledger = self._ledger
        if options.budget is None:
            return Guards(options, 0)
        if isinstance(ledger, SharedLedger):
            await ledger.count_budget()
            return Guards(options, 0, ledger)
        return Guards(options, await ledger.spent())

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
        guards, self._guards = self._guards, None
        if self._suppression_watch is not None:
            self._suppression_watch.cancel()
        try:
            if run is not None:
                run.stop()
                run.outcomes.abandon()
                await run.ended()
                await self._attended()
            if guards is not None:
                with suppress(LedgerError):  # then it counts as used
                    await guards.end()
        finally:
            if self._attending is not None:
                self._attending.cancel()
            self._is_entered = False
            await self._ledger.close()

    async def stream(self, messages: Messages | None = None) -> AsyncIterator[MessageOutcome]:
        """Send messages, and yield the outcome of each.

        Args:
            messages: `Sms`, `Email` or `WhatsApp` messages in any mixture, or `Row`, as an iterable
                or an async iterable. It is pulled as messages are sent, never ahead of them. If
                left out, the messages that are queued in the ledger are sent; with ``wait``, those
                in quiet hours when these end. With
                ``edited="abort"`` or ``"remaining"`` it is loaded to its end first, as by `load`
                with ``replaces``.

        Yields:
            One `MessageOutcome` for each message, in the order of completion.

        Raises:
            ConnectusError: Every further message would fail too: wrong credentials, an exhausted
                balance, a closed client, an API that is out of reach, a ledger that cannot be
                written. Raised after the outcomes of all messages that were pulled; the rest of
                the source is not pulled.
            ConfigurationError: With ``edited="abort"``: recipients may have got another text of
                this ledger already. Nothing was sent.
            Exception: An error of the source, after the outcomes of its messages so far.

        Example:
            async with connectus.bulk() as bulk:
                async for outcome in bulk.stream([Sms("56987688060", "Hola")]):
                    print(outcome.state)
        """
        await self._end_abandoned()
        await self._attended()
        if messages is not None and self._options.edited is not Edited.EVERYONE:
            async with aclosing(self._loaded(messages)) as rows:  # type: ignore[type-var]
                async for row in rows:
                    self._add_loaded(row)
                    yield row
            messages = None
        run = await self._started(messages)
        try:
            if messages is not None:
                await self._ledger.set_metadata(**{LOADED: "0"})
            is_clock_known, outcomes = False, run.outcomes
            while (outcome := outcomes.next() or await outcomes.take()) is not None:
                if not is_clock_known and outcome.receipt is not None:
                    is_clock_known = True
                    await record_offset(self._ledger, outcome.receipt.response)
                yield outcome
        finally:
            run.stop()
            run.outcomes.abandon()
        await self._attended()
        if run.feed.failure is not None:
            raise run.feed.failure
        if self._run is not run:
            raise ConfigurationError("bulk", "was left before its stream had ended")
        if messages is not None and run.feed.is_exhausted:
            await self._ledger.set_metadata(**{LOADED: "1"})
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
            on_outcome: Called with the outcome of each message, one at a time. It may be a
                coroutine function.

        Returns:
            The count of all outcomes of this sender.

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
        """Record messages in the ledger without sending them; `stream` and `run` send them later.

        Rows that cannot become a message, duplicates and suppressed recipients are recorded as
        skipped, with their lines. Messages that are in the ledger already, by their key or the
        recipient's identity, stay as they are if they may have been sent; otherwise they take the
        content that they have now, and if that is another one, they wait again.

        Args:
            messages: As in `stream`. It is read to its end.
            replaces: Whether to skip messages that earlier calls left queued and that this source
                does not have: after a text was corrected, nobody gets the old one as well.
            on_row: Called with each row and its result.

        Returns:
            The number of rows.

        Raises:
            ConfigurationError: There is no ledger. With ``edited="abort"``: recipients may have
                got another text of this ledger already; the error has their number, and nothing
                was sent.
            LedgerError: The ledger cannot be written.
            Exception: An error of the source. Load the same source again to resume.

        Example:
            async with connectus.bulk(ledger="navidad.db") as bulk:
                await bulk.load([Sms("56987688060", "Hola")])
                await bulk.run()
        """
        with self._loading() as loader:
            return await loader.load(messages, on_row, replaces=replaces)

    async def _load_composed(
        self,
        compose: Compose,
        on_batch: OnBatch | None = None,
        *,
        edited: Edited | None = None,
        template: str | None = None,
        reached: "Reached | None" = None,
        corrects: Corrects | None = None,
    ) -> None:
        """Load what a function composes for this sender, and replace earlier loads, or add to them.

        It is `load` for the command line: in batches, each with its results; with another treatment
        of edited texts, if one is given, the hash of their template, and what people got by other
        campaigns, if that counts. Nobody sends it before `Ledger.release`.
        """
        channel, key_maker = self._channels[Sms], self._key_maker
        batches = compose(lambda sms: channel.entry(sms, None, None, key_maker), key_maker)
        with self._loading(edited, template, reached) as loader:
            await loader.load_composed(batches, on_batch, replaces=not corrects, corrects=corrects)

    @contextmanager
    def _loading(
        self,
        edited: Edited | None = None,
        template: str | None = None,
        reached: "Reached | None" = None,
    ) -> Iterator[Loader]:
        ledger = self._entered_ledger()
        self._check_not_delegated()
        options = self._options
        self._loads += 1
        try:
            yield Loader(
                ledger,
                self._channels,
                self._key_maker,
                options.suppression,
                edited or options.edited,
                template,
                reached,
            )
        finally:
            self._loads -= 1

    async def reconcile(self, *, settle: float = DEFAULT_SETTLE) -> Reconciliation:
        """Look for the messages whose outcome is unknown in the API's reports.

        Args:
            settle: Seconds after the last attempt until a report is taken to be complete, and
                between two reports. Default 60. The first report is fetched no earlier than the
                client's timeout and 10 seconds after the attempt began: a request may still arrive
                until then, even if it was given up. With a ledger in a database, add its lease of
                10 seconds.

        Returns:
            The number of messages that were accepted, and the states of the others. With
            ``on_unknown="resend_if_absent"``, absent messages are queued again. An absence is
            proven only if the same report shows messages of this ledger that were accepted before
            and after. Without that proof a message stays unknown; ``reasons`` says what would prove
            it.

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
        self._check_idle()  # messages in flight would be taken for unknown ones
        self._is_reconciling = True
        try:
            reconciler = Reconciler(
                ledger,
                self._sms,
                self._whatsapp,
                zone=await anyio.to_thread.run_sync(self._zone),  # it may be read from a file
                timeout=self._config.timeout,
                on_unknown=self._options.on_unknown,
            )
            found = await reconciler.reconcile(settle)
        finally:
            self._is_reconciling = False
        await guards.recount(ledger)
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
        """Sum the messages that the campaign took from the balance, or may have taken.

        Returns:
            The number of billed SMS, plus one for each email and WhatsApp message.

        Raises:
            ConfigurationError: There is no ledger.
            LedgerError: The ledger cannot be read.

        Example:
            async with connectus.bulk(ledger="navidad.db") as bulk:
                await bulk.run([Sms("56987688060", "Hola")])
                await bulk.spent()
        """
        return await self._entered_ledger().spent()

    async def note(self, **values: str) -> None:
        """Record metadata of the campaign in the ledger.

        Args:
            values: Texts by name. Reports show ``source``, the name of the file of recipients, and
                ``stopped``, why the campaign stopped last, which is empty once it goes on.

        Raises:
            ConfigurationError: There is no ledger.
            LedgerError: The ledger cannot be written.

        Example:
            async with connectus.bulk(ledger="navidad.db") as bulk:
                await bulk.note(source="recipients.csv")
                await bulk.run([Sms("56987688060", "Hola")])
        """
        await self._entered_ledger().set_metadata(**values)

    def pause(self) -> None:
        """Send no further message until `resume`. Messages in flight are finished.

        A campaign that was paused from another terminal is paused until it is continued there.

        Example:
            async with connectus.bulk() as bulk:
                bulk.pause()
                bulk.resume()
                await bulk.run([Sms("56987688060", "Hola")])
        """
        self._steering.hold_back(USER, PAUSED)

    def resume(self) -> None:
        """Send messages again after `pause`.

        Example:
            async with connectus.bulk() as bulk:
                bulk.pause()
                bulk.resume()
                await bulk.run([Sms("56987688060", "Hola")])
        """
        self._steering.go_on(USER)

    def cancel(self) -> None:
        """Stop the present stream. It ends when the messages in flight are finished.

        The others stay queued in the ledger, or in the source.

        Example:
            async with connectus.bulk() as bulk:
                async for outcome in bulk.stream([Sms("56987688060", "Hola")]):
                    bulk.cancel()
        """
        self._stop()

    def set_rate(self, rate: float | None) -> None:
        """Change the rate limit, at any time. An order from another terminal overrides it.

        Args:
            rate: Maximum messages or segments per second, as ``rate_unit`` says; ``None`` for as
                many as the API takes.

        Raises:
            ConfigurationError: It is not above zero.

        Example:
            async with connectus.bulk(rate=10) as bulk:
                bulk.set_rate(50)
                await bulk.run([Sms("56987688060", "Hola")])
        """
        check_above_zero("rate", rate)
        self._steering.set_rate(rate)

    def set_concurrency(self, concurrency: int) -> None:
        """Change the maximum number of messages in flight, at any time.

        Args:
            concurrency: From 1 to the ``concurrency`` of ``bulk()``.

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
        """Return the present progress and pace.

        Returns:
            The figures of this moment; they do not change later.

        Example:
            async with connectus.bulk() as bulk:
                await bulk.run([Sms("56987688060", "Hola")])
                bulk.progress().summary.accepted
        """
        quiet = () if self._run is None else self._run.quiet.delays
        return Progress.of(self.summary, self._pacer, (*self._steering.delays, *quiet))

    async def watch(self, seconds: float = 0.5) -> AsyncIterator[Progress]:
        """Yield the progress at intervals, until the sender is left.

        Args:
            seconds: Length of an interval.

        Yields:
            The progress of each moment. The last one comes after the sender was left.

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

    def _add_loaded(self, row: MessageOutcome) -> None:
        self.summary.add(row)
        if self._watcher is not None:
            kind = None if row.message is None else self._channels[type(row.message)].kind
            self._watcher.ended(kind, row)

    async def _started(self, messages: Messages | None) -> Run:
        watcher = self._watcher
        if watcher is not None:
            self._check_entered()
            await watcher.count(self._ledger, self._limit, has_source=messages is not None)
        run = self._start(messages)
        if watcher is not None:
            self._watching = asyncio.create_task(watcher.watch(run, self.progress))
        return run

    def _start(self, messages: Messages | None) -> Run:
        guards = self._check_entered()
        self._check_idle()
        options = self._options
        self._run = run = Run(
            self._feed(messages, quiet := QuietMessages(options.expires_at)),
            ledger=self._ledger,
            pacer=self._pacer,
            guards=guards,
            breaker=self._circuit_breaker(),
            channels=self._channels,
            key_maker=self._key_maker,
            summary=self.summary,
            weighs_segments=options.rate_unit == "segments",
            outcomes=OutcomeQueue(options.concurrency),
            quiet=quiet,
            waits=options.wait and messages is None,
            watcher=self._watcher,
        )
        if type(self._ledger) is not NullLedger:
            attendant = self._steering.begin(run)
            attending = attend(self._ledger, attendant, is_start=self._is_start)
            self._attending = asyncio.create_task(attending)
        run.start(options.concurrency)
        return run

    async def _attended(self) -> None:
        """Wait until the last run has made its last reports."""
        if self._watching is not None:
            await asyncio.wait([self._watching])
            self._watching = None
        if self._attending is not None:
            await asyncio.wait([self._attending])
            self._attending = None
            self._steering.end()

    def _loaded(self, messages: Messages) -> AsyncIterator[MessageOutcome]:
        """Load a source to its end, and yield the outcome of each row that will not be sent."""
        self._check_idle()

        async def load(on_row: OnRow) -> None:
            await self.load(messages, replaces=True, on_row=on_row)

        return outcomes_of_load(
            load, self._entered_ledger(), self._by_kind, self._options.concurrency
        )

    @asynccontextmanager
    async def _delegated(self) -> AsyncIterator[Delegated]:
        """Leave the sending to other processes for the length of a block."""
        ledger, guards = self._entered_ledger(), self._check_entered()
        await self._end_abandoned()
        self._check_idle()
        if self._loads:
            raise ConfigurationError("bulk", "is loading: wait for its end first")
        if self._steering.holds_back(USER):
            raise ConfigurationError("bulk", "is paused: resume it first, no sender process pauses")
        self._is_delegated = True
        try:
            breaker = self._circuit_breaker()
            yield Delegated(ledger, self._options, guards, breaker, self._config, self._is_start)
        finally:
            self._is_delegated = False

    def _circuit_breaker(self) -> CircuitBreaker:
        options, cap = self._options, self._config.retry_after_cap
        return CircuitBreaker(options.patience, options.concurrency, cap)

    def _zone(self) -> ZoneInfo:
        return self._config.zone

    def _check_idle(self) -> None:
        if self._run is not None and not self._run.is_over:
            raise ConfigurationError("bulk", "has a stream under way: end it first")
        if self._is_reconciling:
            raise ConfigurationError("bulk", "is reconciling: wait for its end first")
        self._check_not_delegated()

    def _check_not_delegated(self) -> None:
        if self._is_delegated:
            raise ConfigurationError("bulk", "has sender processes: leave them first")

    async def _end_abandoned(self) -> None:
        """Wait for the messages in flight of a stream that was abandoned."""
        if self._run is not None and self._run.outcomes.is_abandoned:
            await self._run.ended()

    def _feed(self, messages: Messages | None, quiet: QuietMessages) -> Feed:
        if messages is not None:
            return from_messages(messages)
        waits = self._options.wait and self._limit is None
        return from_ledger(self._ledger, self._by_kind, quiet if waits else None, self._limit)

    def _send_at_most(self, limit: int) -> None:
        """Let the next runs send so many queued messages each, for the command line."""
        self._limit = limit

    def _stop(self, failure: Exception | None = None) -> None:
        if self._run is not None:
            self._run.stop(failure)


def _watcher_of(options: BulkOptions, *, has_ledger: bool) -> Watcher | None:
    hook = options.on_event
    return None if hook is None else Watcher(hook, has_ledger=has_ledger)


def _ledger_of(options: BulkOptions) -> SendingLedger:
    return open_store(options.ledger).ledger() if options.ledger else NullLedger()
