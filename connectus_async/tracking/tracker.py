"""Tracker of SMS from send to delivered, by the events of webhooks and by polling.

```python
async with tracking.Tracker(connectus) as tracker:
    app.mount("/webhooks", webhooks.asgi(tracker.handle, secret=SECRET))
    receipt = await connectus.sms.send("56987688060", "Hola")
    if await receipt.delivered(timeout=60):
        ...
```
"""

import asyncio
import logging
import math
import time
import zlib
from asyncio import wrap_future
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from weakref import WeakValueDictionary

import anyio
from anyio.to_thread import run_sync

from connectus_async._expiring import ExpiringDict
from connectus_async.bulk.options import check_above_zero
from connectus_async.errors import ConfigurationError, ConnectusError, DeliveryTimeoutError
from connectus_async.ledger import open_store
from connectus_async.ledger.abc import DeliveryLog
from connectus_async.ledger.records import EARLY_SECONDS, OpenSms, Recorded
from connectus_async.ledger.steady_clock import SteadyClock
from connectus_async.products.sms import SmsReceipt, SmsService, ask, trackable_id
from connectus_async.products.sms_ids import folded
from connectus_async.products.sms_polling import (
    FIRST_PAUSE,
    JITTER,
    LONGEST_PAUSE,
    PollSchedule,
)
from connectus_async.products.sms_statuses import SmsStatus, is_news
from connectus_async.tracking.limits import CONCURRENCY
from connectus_async.webhooks.events import Event, StatusUpdate, status_of

if TYPE_CHECKING:
    from os import PathLike

    from anyio.streams.memory import MemoryObjectSendStream

    from connectus_async.client import AsyncConnectus

SILENCE: Final = 60.0
DEFAULT_PATIENCE: Final = EARLY_SECONDS

RECOUNT_SECONDS: Final = 5.0
"""Pause between two counts of open SMS, since others write to the ledger too."""

MAX_REMEMBERED: Final = 65_536
REMEMBERED_FOR: Final = 3_600.0
MAX_UNREAD: Final = 10_000
PAGE: Final = 1_000
READ_SHARE: Final = 0.1
"""Maximum share of the time that goes into reading open SMS from a large ledger."""

NAMELESS: Final = "SMS that were accepted without an id, and cannot be followed: %d"

_log: Final = logging.getLogger("connectus_async")


class Tracked:
    """An SMS that a `Tracker` follows.

    Attributes:
        id: Its provider id.
    """

    def __init__(self, id: str) -> None:
        self.id = id
        self._status: SmsStatus | None = None
        self._failure: ConnectusError | None = None
        self._is_over = asyncio.Event()
        self._touched_at = time.monotonic()

    @property
    def status(self) -> SmsStatus | None:
        """Its status; ``None`` before the first one."""
        return self._status

    @property
    def is_final(self) -> bool:
        """``True`` if no other status is expected. See `SmsStatus.is_final`."""
        return self._status is not None and self._status.is_final

    async def delivered(self, *, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - the usual name
        """Wait for its final status.

        Args:
            timeout: Maximum number of seconds to wait; no limit by default.

        Returns:
            Whether it was delivered. `status` has the status.

        Raises:
            DeliveryTimeoutError: It had no final status within the timeout or the tracker's
                patience.
            ConnectusError: The tracker was left, or cannot poll.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._is_over.wait()
        except TimeoutError:
            raise DeliveryTimeoutError(timeout) from None
        if self._failure is not None and not self.is_final:
            raise self._failure
        return self._status is SmsStatus.ENTREGADO

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._status!r}>"

    def _hear(self, status: SmsStatus) -> bool:
        """Take a status; tell whether it is news."""
        self._touched_at = time.monotonic()
        if not is_news(status, self._status):
            return False
        self._status = status
        if status.is_final:
            self._is_over.set()
        return True

    def _fail(self, failure: ConnectusError) -> None:
        self._failure = failure
        self._is_over.set()

    async def _silence(self, seconds: float) -> None:
        """Wait until no status and no poll came for a time, or it is over."""
        while not self._is_over.is_set():
            left = self._touched_at + seconds - time.monotonic()
            if left <= 0:
                return
            with anyio.move_on_after(left):
                await self._is_over.wait()


class Tracker:
    """Follows SMS to their final status. Use it with ``async with``.

    `handle` is the handler for a receiver. If no webhook reports an SMS, the tracker polls the API,
    less and less often until the status is final. Statuses may come late, twice or in any order:
    the most advanced one counts: ENTREGADO before any other final status, and that before the rest.

    With a ledger, the tracker follows all of its accepted SMS, also those of a campaign that is
    still running, and records their statuses in it, where ``connectus bulk status`` and the report
    show them. `handle` returns when an event is on disk. A status that comes before the response to
    the send is kept in the ledger for three days, until the campaign records the SMS. The SMS are
    read page by page, so memory does not grow with the campaign.

    Without a ledger, statuses are in memory only, and lost when the process ends. To poll a status
    again, follow its SMS again. The status of an SMS that is not followed yet is remembered for an
    hour.

    A provider id of hexadecimal digits is the same in upper and lower case. An SMS that the API
    accepted without an id cannot be followed; the log has the number of such SMS in a ledger.

    Args:
        connectus: The client to poll with, used in the event loop that enters the tracker. The
            receipts of its ``sms`` then wait through the tracker.
        ledger: The ledger of a campaign, which must exist: the path of its file, or its address.
        polls: Poll the API.
        poll_after: Seconds until the first poll of an SMS, while no webhook has come. Default 2.
            Each further pause is twice as long.
        poll_after_silence: The same once webhooks come: seconds since the last event about an SMS,
            or since an SMS of the ledger was accepted. Default 60.
        longest_pause: Maximum number of seconds between two polls of an SMS. Default 900.
        patience: Seconds after which an SMS is no longer polled. Default three days.
        concurrency: Maximum number of concurrent polls. Default 16.

    Raises:
        ConfigurationError: An argument is not valid; the message names it.

    Example:
        ```python
        async with tracking.Tracker(connectus, ledger="navidad.db") as tracker:
            async with connectus.bulk(ledger="navidad.db") as bulk:
                await bulk.run(messages)
            await tracker.until_final()
        ```
    """

    def __init__(
        self,
        connectus: "AsyncConnectus",
        *,
        ledger: "str | PathLike[str] | None" = None,
        polls: bool = True,
        poll_after: float = FIRST_PAUSE,
        poll_after_silence: float = SILENCE,
        longest_pause: float = LONGEST_PAUSE,
        patience: float = DEFAULT_PATIENCE,
        concurrency: int = CONCURRENCY,
    ) -> None:
        _check_client(connectus)
        check_above_zero("poll_after", poll_after)
        check_above_zero("poll_after_silence", poll_after_silence)
        check_above_zero("longest_pause", longest_pause)
        check_above_zero("patience", patience)
        _check_concurrency(concurrency)
        self._sms: SmsService = connectus.sms
        self._ledger = None if ledger is None else open_store(ledger).deliveries()
        self._polls = polls
        self._without_webhook = PollSchedule(poll_after, longest_pause)
        self._with_webhook = PollSchedule(poll_after_silence, longest_pause)
        self._backoff = self._without_webhook
        self._patience = patience
        self._poll_limit = asyncio.Semaphore(concurrency)
        self._concurrency = concurrency
        self._remembered: ExpiringDict[str, SmsStatus] = ExpiringDict(
            MAX_REMEMBERED, REMEMBERED_FOR
        )
        self._tracked: WeakValueDictionary[str, Tracked] = WeakValueDictionary()
        self._open: dict[str, Tracked] = {}
        self._subscribers: set[MemoryObjectSendStream[Event]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._clock = SteadyClock()
        self._entered_at: float | None = None
        self._is_left = False
        self._swept_at = -math.inf
        self._left = 0
        self._nameless = 0
        self._pulse = asyncio.Event()
        self._failure: ConnectusError | None = None

    async def __aenter__(self) -> Self:
        if self._entered_at is not None:
            raise ConfigurationError("tracker", "was entered before: make another one")
        self._clock = SteadyClock()
        self._entered_at = self._clock.now()
        if self._ledger is not None:
            await self._open_ledger(self._ledger)
        self._sms._tracker = self  # noqa: SLF001 - so that receipts wait through it
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_left = True
        if self._sms._tracker is self:  # noqa: SLF001 - as above
            self._sms._tracker = None  # noqa: SLF001 - as above
        self._fail(ConfigurationError("tracker", "was left before there was a final status"))
        with anyio.CancelScope(shield=True):
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for stream in self._subscribers:
                stream.close()
            if self._ledger is not None:
                await run_sync(self._ledger.close)

    @property
    def left(self) -> int:
        """Number of SMS of the ledger without a final status, at the last count.

        They are counted every few seconds, so SMS that a campaign adds appear a little later.
        """
        return max(0, self._left)

    def track(self, sms: SmsReceipt | str) -> Tracked:
        """Follow an SMS.

        Args:
            sms: The receipt of a send, or its ``id``.

        Returns:
            The SMS with its status. The tracker follows it even if you drop this object.

        Raises:
            InvalidArgumentError: The SMS has no ``id``.
            ConfigurationError: The tracker was not entered, or was left.

        Example:
            ```python
            tracked = tracker.track(receipt)
            await tracked.delivered(timeout=60)
            tracked.status
            ```
        """
        id_sms = trackable_id(sms)
        self._check_entered()
        key = folded(id_sms)
        tracked = self._tracked.get(key)
        if tracked is not None:
            return tracked
        self._tracked[key] = tracked = Tracked(id_sms)
        remembered = self._remembered.get(key)
        if remembered is not None:
            tracked._hear(remembered)  # noqa: SLF001 - they are one thing
        if not tracked.is_final:
            self._open[key] = tracked
            self._start(self._follow(tracked))
        return tracked

    async def delivered(self, sms: SmsReceipt | str, *, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - as above
        """Follow an SMS and wait for its final status.

        Args:
            sms: As in `track`.
            timeout: As in `Tracked.delivered`.

        Returns:
            Whether it was delivered.

        Raises:
            DeliveryTimeoutError: It had no final status in time.
            ConnectusError: As in `track` and `Tracked.delivered`.
        """
        return await self.track(sms).delivered(timeout=timeout)

    async def events(self) -> AsyncIterator[Event]:
        """Yield events from the first iteration on.

        Yields:
            Each `StatusUpdate` with a new status, also from polls, without ``raw``; each
            `IncomingSms` and `UnknownEvent`. The iteration ends when the tracker is left. If
            10,000 events are unread, `handle` waits.

        Raises:
            ConfigurationError: The tracker was not entered, or was left.
        """
        self._check_entered()
        sending, receiving = anyio.create_memory_object_stream[Event](MAX_UNREAD)
        self._subscribers.add(sending)
        try:
            with receiving:
                async for event in receiving:
                    yield event
        finally:
            self._subscribers.discard(sending)
            sending.close()

    async def handle(self, event: Event) -> None:
        """Handle an event of a webhook: pass this to `asgi`, `aiohttp_app` or `aiohttp_routes`.

        Statuses go to the SMS that are followed and to the ledger. Other events only go to
        `events`, in memory. If you must not lose a reply, give the receiver a handler that stores
        it before it calls this one.

        Raises:
            LedgerError: The status cannot be recorded. A receiver then answers 500, so that the
                platform may try again.
            ConfigurationError: The tracker was not entered, or was left.
        """
        self._check_entered()
        self._backoff = self._with_webhook
        if await self._is_news(event):
            await self._publish(event)

    async def poll(self) -> int:
        """Poll every SMS that is followed and has no final status, now.

        Returns:
            The number of SMS without a final status afterwards.

        Raises:
            RequestError: The API refuses the poll, for instance because of wrong credentials.
            LedgerError: The ledger cannot be read or written.
            ConfigurationError: The tracker was not entered, or was left.
        """
        self._check_entered()
        await self._poll_all([sms.id for sms in self._open.values() if not sms.is_final])
        if self._ledger is not None:
            await self._sweep(self._ledger, lambda _: True)
        return await self._count_open()

    async def until_final(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        """Wait until every SMS that is followed has a final status or was given up.

        It does not wait for SMS that the campaign has yet to send: end the campaign's run first.

        Args:
            timeout: Maximum number of seconds to wait; no limit by default.

        Raises:
            DeliveryTimeoutError: Some SMS had no final status in time.
            ConnectusError: As in `poll`.
        """
        self._check_entered()
        try:
            async with asyncio.timeout(timeout):
                while True:
                    pulse = self._pulse
                    if await self._count_open() == 0:
                        await self._warn_of_nameless()
                        return
                    if self._failure is not None:
                        raise self._failure
                    with anyio.move_on_after(RECOUNT_SECONDS):
                        await pulse.wait()
        except TimeoutError:
            raise DeliveryTimeoutError(timeout) from None

    async def _open_ledger(self, ledger: DeliveryLog) -> None:
        await run_sync(ledger.open)
        try:
            self._left = await self._count_in_ledger(ledger)
            await self._warn_of_nameless()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await run_sync(ledger.close)
            raise
        if self._polls:
            self._start(self._sweep_for_ever(ledger))

    def _check_entered(self) -> float:
        if self._entered_at is None or self._is_left:
            raise ConfigurationError(
                "tracker", "must be entered first: async with tracking.Tracker(connectus)"
            )
        return self._entered_at

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _is_news(self, event: Event) -> bool:
        reported = status_of(event)
        return True if reported is None else await self._settle(*reported)

    async def _settle(self, id_sms: str, status: SmsStatus) -> bool:
        """Take a status of an SMS; tell whether it is news."""
        is_new_here = self._hear(id_sms, status)
        if self._ledger is None:
            return is_new_here
        recorded = await wrap_future(self._ledger.record(id_sms, status))
        if recorded is Recorded.NEWS and status.is_final:
            self._left -= 1
            if self._left <= 0:
                self._beat()
        return is_new_here if recorded is Recorded.EARLY else recorded is Recorded.NEWS

    def _hear(self, id_sms: str, status: SmsStatus) -> bool:
        key = folded(id_sms)
        tracked = self._tracked.get(key)
        if tracked is None:
            return self._remember(key, status)
        is_new = tracked._hear(status)  # noqa: SLF001 - as above
        if is_new:
            self._remember(key, status)
            self._beat()
        return is_new

    def _remember(self, key: str, status: SmsStatus) -> bool:
        """Remember a status; return ``True`` if it is news."""
        if not is_news(status, self._remembered.get(key)):
            return False
        self._remembered[key] = status
        return True

    async def _publish(self, event: Event) -> None:
        for stream in list(self._subscribers):
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await stream.send(event)

    async def _follow(self, tracked: Tracked) -> None:
        """Poll an SMS after each silence, until it is final or too old."""
        begun, polls = time.monotonic(), 0
        try:
            while time.monotonic() - begun < self._patience:
                pause = self._backoff.pause(polls) if self._polls else self._patience
                await tracked._silence(pause)  # noqa: SLF001 - as above
                if tracked.is_final:
                    return
                if self._polls:
                    await self._poll(tracked.id)
                    tracked._touched_at = time.monotonic()  # noqa: SLF001 - as above
                polls += 1
            tracked._fail(DeliveryTimeoutError(None))  # noqa: SLF001 - as above
        except ConnectusError as error:
            tracked._fail(error)  # noqa: SLF001 - as above
        finally:
            self._open.pop(folded(tracked.id), None)
            self._beat()

    async def _poll(self, id_sms: str) -> None:
        async with self._poll_limit:
            status = await ask(self._sms, id_sms)
        if status is not None and await self._settle(id_sms, status):
            await self._publish(StatusUpdate(id_sms=id_sms, status=status))

    async def _poll_all(self, ids: Iterable[str]) -> None:
        waiting = iter(ids)

        async def work() -> None:
            for id_sms in waiting:
                await self._poll(id_sms)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._concurrency):
                    group.create_task(work())
        except* ConnectusError as errors:
            failure = _first(errors)
        else:
            return
        raise failure

    async def _sweep_for_ever(self, ledger: DeliveryLog) -> None:
        try:
            while True:
                started = time.monotonic()
                now = self._clock.now()
                seconds = await self._sweep(ledger, self._is_due(now, self._swept_at))
                self._swept_at = now
                self._left = await self._count_in_ledger(ledger)
                self._beat()
                pause = max(self._backoff.first, seconds / READ_SHARE)
                await asyncio.sleep(max(0.0, started + pause - time.monotonic()))
        except ConnectusError as error:
            _log.warning("delivery statuses are not polled any more: %s", error)
            self._fail(error)

    async def _sweep(self, ledger: DeliveryLog, is_due: Callable[[OpenSms], bool]) -> float:
        """Read the open SMS of the ledger, and poll those that are due.

        Returns:
            The seconds that it took to read them.
        """
        after, seconds = 0, 0.0
        while True:
            began = time.monotonic()
            page = await wrap_future(ledger.open_sms(after, PAGE, *self._span()))
            seconds += time.monotonic() - began
            if not page:
                return seconds
            after = page[-1].number
            await self._poll_all([sms.id for sms in page if is_due(sms)])

    def _is_due(self, now: float, before: float) -> Callable[[OpenSms], bool]:
        """Make the test for SMS whose pause ended since the last sweep.

        It needs no memory of an SMS: the age tells the number of polls.
        """
        backoff, entered_at, moment = self._backoff, self._check_entered(), self._clock.moment

        def is_due(sms: OpenSms) -> bool:
            began = max(moment(sms.accepted_at), entered_at - backoff.first * (1 + JITTER))
            stretch = 1 + JITTER * (2 * zlib.crc32(sms.id.encode()) / 2**32 - 1)
            due = backoff.polls_within((now - began) / stretch)
            return due > backoff.polls_within(max(0.0, before - began) / stretch)

        return is_due

    def _span(self) -> tuple[float, float]:
        """Return the period in which the SMS that are still followed were accepted."""
        now, entered_at = self._clock.now(), self._check_entered()
        if now - entered_at <= self._patience:
            return 0.0, math.inf
        return self._clock.span(now - self._patience)

    async def _count_open(self) -> int:
        open_here = sum(not tracked._is_over.is_set() for tracked in self._open.values())  # noqa: SLF001
        if self._ledger is None:
            return open_here
        self._left = await self._count_in_ledger(self._ledger)
        return open_here + self._left

    def _count_in_ledger(self, ledger: DeliveryLog) -> Awaitable[int]:
        return wrap_future(ledger.count_open(*self._span()))

    async def _warn_of_nameless(self) -> None:
        """Log the number of SMS that cannot be followed, when it rises."""
        if self._ledger is None:
            return
        before, self._nameless = self._nameless, await wrap_future(self._ledger.count_nameless())
        if self._nameless > before:
            _log.warning(NAMELESS, self._nameless)

    def _beat(self) -> None:
        """Wake up who waits for something to change."""
        self._pulse.set()
        self._pulse = asyncio.Event()

    def _fail(self, failure: ConnectusError) -> None:
        self._failure = failure
        for tracked in self._open.values():
            tracked._fail(failure)  # noqa: SLF001 - as above
        self._beat()


def _first(errors: BaseExceptionGroup[ConnectusError]) -> ConnectusError:
    """Return one of the errors, since all have the same cause."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _check_concurrency(concurrency: object) -> None:
    if not isinstance(concurrency, int) or isinstance(concurrency, bool) or concurrency < 1:
        raise ConfigurationError("concurrency", "must be a whole number above zero")


def _check_client(connectus: object) -> None:
    status = getattr(getattr(connectus, "sms", None), "status", None)
    if not iscoroutinefunction(status):
        raise ConfigurationError("connectus", "must be an AsyncConnectus")
