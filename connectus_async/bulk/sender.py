"""The bulk sender: pulls messages lazily, sends a bounded number at a time, names every outcome."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from inspect import isawaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio
import attrs
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from connectus_async.bulk.outcomes import BulkSummary, Message, MessageOutcome, Row
from connectus_async.errors import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    ConnectusError,
    InvalidArgumentError,
    Outcome,
    PaymentRequiredError,
    PermissionDeniedError,
    WrongEventLoopError,
)
from connectus_async.products.email import Email, EmailService
from connectus_async.products.sms import Sms, SmsService
from connectus_async.products.whatsapp import WhatsApp, WhatsAppService

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

Messages = Iterable[Message | Row] | AsyncIterable[Message | Row]

STOPS_THE_CAMPAIGN = (
    AuthenticationError,
    PermissionDeniedError,
    PaymentRequiredError,
    ConfigurationError,
    ClientClosedError,
    WrongEventLoopError,
)
"""Errors that every further message would meet too."""


class Bulk:
    """Sends many messages. Get one with ``connectus.bulk()`` and use it with ``async with``.

    Leaving the ``async with`` early, by ``break``, an exception or Ctrl-C, pulls no further
    messages, waits for the answers of those that are being sent, gives up those that wait for
    another try, and counts them all in the summary.

    Attributes:
        summary: The count of all outcomes so far.
    """

    def __init__(
        self,
        sms: SmsService,
        email: EmailService,
        whatsapp: WhatsAppService,
        *,
        concurrency: int,
    ) -> None:
        self.summary = BulkSummary()
        self._send: Mapping[type, Callable[..., Any]] = {
            Sms: sms.send,
            Email: email.send,
            WhatsApp: whatsapp.send,
        }
        self._parameters = {kind: tuple(attrs.fields_dict(kind)) for kind in self._send}
        self._concurrency = concurrency
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tasks, self._tasks = self._tasks, None
        if tasks is not None:
            tasks.cancel_scope.cancel()  # what is being sent is shielded from it
            await tasks.__aexit__(None, None, None)  # given the error, it would wrap it in a group

    async def stream(self, messages: Messages) -> AsyncIterator[MessageOutcome]:
        """Send messages, and yield the outcome of each as it is known.

        Args:
            messages: `Sms`, `Email` or `WhatsApp` messages in any mixture, or `Row`, as an iterable
                or an async iterable. It is pulled as messages are sent, never ahead of them.

        Yields:
            One `MessageOutcome` for each message, in the order of completion.

        Raises:
            ConnectusError: Every further message would fail too: wrong credentials, an exhausted
                balance, a closed client. Raised after the outcomes of all messages that were
                pulled; the rest of the source is left alone.
            Exception: What the source itself raised, after the outcomes of what it had given.

        Example:
            async with connectus.bulk() as bulk:
                async for outcome in bulk.stream([Sms("56987688060", "Hola")]):
                    print(outcome.outcome)
        """
        tasks = self._tasks
        if tasks is None:
            raise ConfigurationError("bulk", "must be entered first: async with connectus.bulk()")
        source = _Source(messages)
        outcomes, received = anyio.create_memory_object_stream[MessageOutcome](self._concurrency)
        with outcomes:
            for _ in range(self._concurrency):
                tasks.start_soon(self._work, source, outcomes.clone())
        with received, suppress(anyio.EndOfStream):
            while True:
                yield await _next(received)
        if source.failure is not None:
            raise source.failure
        if self._tasks is not tasks:
            raise ConfigurationError("bulk", "was left before its stream had ended")

    async def run(
        self,
        messages: Messages,
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
        async for outcome in self.stream(messages):
            if on_outcome is not None and isawaitable(answer := on_outcome(outcome)):
                await answer
        return self.summary

    async def _work(
        self, source: "_Source", outcomes: MemoryObjectSendStream[MessageOutcome]
    ) -> None:
        with outcomes:
            while (item := await source.pull()) is not None:
                try:
                    outcome = await self._outcome(*item)
                except asyncio.CancelledError:  # it comes between two tries, never amid one
                    self.summary.counts[Outcome.NOT_SENT] += 1
                    raise
                self.summary.add(outcome)
                if outcome.message and isinstance(outcome.error, STOPS_THE_CAMPAIGN):
                    source.stop(outcome.error)
                try:
                    await outcomes.send(outcome)
                except anyio.BrokenResourceError:
                    source.stop()  # nobody listens any more

    async def _outcome(self, index: int, item: Message | Row) -> MessageOutcome:
        line, content = (item.line, item.content) if isinstance(item, Row) else (None, item)
        message = None if isinstance(content, Exception) else content
        try:
            receipt = await self._deliver(content)
        except Exception as error:  # noqa: BLE001 - one message never stops the others
            outcome = Outcome.NOT_SENT if error is content else _outcome_of(error)
            return MessageOutcome(
                index=index, line=line, message=message, outcome=outcome, error=error
            )
        return MessageOutcome(
            index=index, line=line, message=message, outcome=Outcome.ACCEPTED, receipt=receipt
        )

    async def _deliver(self, content: Message | Exception) -> Any:
        if isinstance(content, Exception):
            raise content
        send = self._send.get(type(content))
        if send is None:
            raise InvalidArgumentError(
                "message", f"must be Sms, Email or WhatsApp, not {type(content).__name__}"
            )
        return await send(
            **{name: getattr(content, name) for name in self._parameters[type(content)]}
        )


def _outcome_of(error: Exception) -> Outcome:
    return error.outcome if isinstance(error, ConnectusError) else Outcome.UNKNOWN


async def _next(received: MemoryObjectReceiveStream[MessageOutcome]) -> MessageOutcome:
    """Take an outcome that is there without a turn of the loop: a turn costs half a send."""
    try:
        return received.receive_nowait()
    except anyio.WouldBlock:
        return await received.receive()


class _Source:
    """The messages that are still to be sent, one at a time for many workers."""

    def __init__(self, messages: Messages) -> None:
        self.failure: Exception | None = None
        self._items = _iterate(messages)
        self._lock = anyio.Lock(fast_acquire=True)
        self._pulled = 0
        self._stopped = False

    def stop(self, failure: Exception | None = None) -> None:
        self._stopped = True
        self.failure = self.failure or failure

    async def pull(self) -> tuple[int, Message | Row] | None:
        async with self._lock:
            if self._stopped:
                return None
            try:
                item = await anext(self._items)
            except StopAsyncIteration:
                self.stop()
                return None
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                self.stop(RuntimeError("the source of the messages was cancelled"))
                return None
            except Exception as error:  # noqa: BLE001 - raised again when all outcomes are known
                self.stop(error)
                return None
            index = self._pulled
            self._pulled += 1
            return index, item


async def _iterate(messages: Messages) -> AsyncIterator[Message | Row]:
    if isinstance(messages, AsyncIterable):
        async for message in messages:
            yield message
    else:
        for message in messages:
            yield message
