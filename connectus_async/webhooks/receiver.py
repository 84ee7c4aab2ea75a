"""Core of all receivers: parse an event, call the handler once and in order, and respond."""

import hashlib
import inspect
import json
import logging
import math
import os
import threading
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar
from weakref import WeakSet

import anyio
import anyio.to_thread
import attrs

from connectus_async._expiring import ExpiringDict
from connectus_async.errors import ConfigurationError, WebhookError
from connectus_async.products.sms_ids import folded
from connectus_async.products.sms_statuses import SmsStatus
from connectus_async.webhooks.access import (
    BUSY,
    FAILED,
    INCOMPLETE,
    MAX_BODY,
    NO_LENGTH,
    OK,
    TOO_SLOW,
    AccessCheck,
    Body,
    RejectedRequest,
    RequestHead,
    WebhookResponse,
)
from connectus_async.webhooks.events import Event, IncomingSms, StatusUpdate, parse
from connectus_async.webhooks.time_limit import within

Handler: TypeAlias = Callable[[Event], object]
"""Callable for each event. Its result is ignored; an exception means that it failed."""

ReadChunk: TypeAlias = Callable[[], Awaitable[tuple[bytes, bool]]]
"""Returns the next chunk of a body, and whether more follows."""

DEFAULT_TIMEOUT: Final = 10.0
MAX_EVENTS: Final = 1_000
"""Maximum events being handled or waiting."""

REMEMBERED: Final = 32_768
REMEMBERED_FOR: Final = 86_400.0
MAX_FRAMES: Final = 8

_log: Final = logging.getLogger("connectus_async")
_canonical: Final = json.JSONEncoder(sort_keys=True).encode


class _Signal(Protocol):
    def set(self) -> object: ...


SignalT = TypeVar("SignalT", bound=_Signal)


class HandledEvents:
    """Remembers handled events, up to a number of them and for a time.

    Args:
        size: Maximum events.
        age: Seconds since an event last came after which it is forgotten.
        clock: The clock, in seconds.
    """

    def __init__(
        self,
        size: int = REMEMBERED,
        age: float = REMEMBERED_FOR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seen: ExpiringDict[bytes, bool] = ExpiringDict(size, age, clock)

    def __contains__(self, digest: bytes) -> bool:
        if self._seen.get(digest) is None:
            return False
        self.add(digest)
        return True

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, digest: bytes) -> None:
        """Remember an event, and forget the oldest ones beyond the limits."""
        self._seen[digest] = True

    def after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may hold, and keep the events."""
        self._seen.after_fork()


class KeyedQueues(Generic[SignalT]):
    """Queues of events: those with the same key run one at a time, in the order they arrive.

    Args:
        signal: Makes the signal that a queued event waits for.
        limit: Maximum events in all queues together.
    """

    def __init__(self, signal: Callable[[], SignalT], limit: int = MAX_EVENTS) -> None:
        self._signal = signal
        self._limit = limit
        self._count = 0
        self._waiting: dict[Hashable, deque[SignalT]] = {}
        self._lock = threading.Lock()

    def join(self, key: Hashable) -> SignalT | None:
        """Join a queue; ``None`` means that the event can run at once.

        Raises:
            RejectedRequest: The queues are full.
        """
        with self._lock:
            if self._count >= self._limit:
                raise RejectedRequest(BUSY)
            self._count += 1
            if key not in self._waiting:
                self._waiting[key] = deque()
                return None
            signal = self._signal()
            self._waiting[key].append(signal)
            return signal

    def leave(self, key: Hashable) -> None:
        """Leave a queue after running, and wake the next event."""
        with self._lock:
            self._count -= 1
            waiting = self._waiting[key]
            if waiting:
                waiting.popleft().set()
            else:
                del self._waiting[key]

    def abandon(self, key: Hashable, signal: SignalT) -> None:
        """Leave a queue without running, whether or not the signal has come meanwhile."""
        with self._lock:
            is_waiting = signal in self._waiting[key]
            if is_waiting:
                self._waiting[key].remove(signal)
                self._count -= 1
        if not is_waiting:
            self.leave(key)


@attrs.define
class _Received:
    """An event with its identity.

    Attributes:
        event: The event.
        identity: The identity, equal for duplicates; ``None`` if duplicates cannot be recognised.
        queue: The key of its queue, shared with events that it must not overtake.
    """

    event: Event
    identity: bytes | None
    queue: Hashable


class _Receiver(Generic[SignalT]):
    """State of a receiver. A forked child keeps the handled events, and begins with empty queues.

    Args:
        signal: As for `KeyedQueues`.
    """

    def __init__(self, signal: Callable[[], SignalT]) -> None:
        self._signal = signal
        self._handled = HandledEvents()
        self._queues = KeyedQueues(signal)
        _receivers.add(self)

    def after_fork(self) -> None:
        """Replace queues and locks, which threads of the parent may hold."""
        self._handled.after_fork()
        self._queues = KeyedQueues(self._signal)

    def _was_handled(self, received: _Received) -> bool:
        return received.identity is not None and received.identity in self._handled

    def _remember(self, received: _Received) -> None:
        if received.identity is not None:
            self._handled.add(received.identity)


_receivers: Final[WeakSet[_Receiver[Any]]] = WeakSet()


def _after_fork() -> None:
    for receiver in list(_receivers):
        receiver.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class AsyncReceiver(_Receiver[anyio.Event]):
    """Core of receivers on an event loop.

    Args:
        handler: Called with each event: awaited if it is async, else run in a worker thread.
        access: The access check.
        timeout: Seconds within which a body must arrive.

    Raises:
        ConfigurationError: The handler is not callable, or the timeout is invalid.
    """

    def __init__(
        self, handler: Handler, access: AccessCheck, timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        _check_handler(handler)
        _check_timeout(timeout)
        super().__init__(anyio.Event)
        self._handler = handler
        self._is_async = _is_async(handler)
        self._access = access
        self._timeout = timeout

    async def receive(self, head: RequestHead, chunk: ReadChunk) -> WebhookResponse:
        """Respond to a request."""
        try:
            self._access.check(head)
            received = _read(await self._in_time(chunk))
            return await self._in_order(received)
        except RejectedRequest as rejected:
            return rejected.response

    async def _in_time(self, chunk: ReadChunk) -> bytes:
        try:
            return await within(self._timeout, _whole(chunk))
        except TimeoutError:
            raise RejectedRequest(TOO_SLOW) from None

    async def _in_order(self, received: _Received) -> WebhookResponse:
        signal = self._queues.join(received.queue)
        if signal is not None:
            try:
                await signal.wait()
            except BaseException:
                self._queues.abandon(received.queue, signal)
                raise
        try:
            return await self._handle_once(received)
        finally:
            self._queues.leave(received.queue)

    async def _handle_once(self, received: _Received) -> WebhookResponse:
        if self._was_handled(received):
            return OK
        try:
            await self._call(received.event)
        except RejectedRequest:
            raise
        except Exception as error:  # noqa: BLE001 - after any error the platform may retry
            return _failed(error)
        self._remember(received)
        return OK

    async def _call(self, event: Event) -> None:
        if self._is_async:
            await self._handler(event)  # type: ignore[misc]  # checked in the constructor
            return
        result = await anyio.to_thread.run_sync(self._handler, event)
        if inspect.isawaitable(result):
            await result


class ThreadedReceiver(_Receiver[threading.Event]):
    """Core of receivers with a thread for each request.

    Args:
        handler: Called with each event, in the thread of its request, concurrently.
        access: The access check.

    Raises:
        ConfigurationError: The handler is not callable, or is async.
    """

    def __init__(self, handler: Handler, access: AccessCheck) -> None:
        check_plain(handler)
        super().__init__(threading.Event)
        self._handler = handler
        self._access = access

    def receive(self, head: RequestHead, read: Callable[[int], bytes] | None) -> WebhookResponse:
        """Respond to a request.

        Args:
            head: The head of the request.
            read: Reads up to the given number of bytes of the body, and none at its end; ``None``
                if the end cannot be told.
        """
        try:
            self._access.check(head)
            received = _read(_body(read, head.length))
            return self._in_order(received)
        except RejectedRequest as rejected:
            return rejected.response

    def _in_order(self, received: _Received) -> WebhookResponse:
        signal = self._queues.join(received.queue)
        if signal is not None:
            try:
                signal.wait()
            except BaseException:
                self._queues.abandon(received.queue, signal)
                raise
        try:
            return self._handle_once(received)
        finally:
            self._queues.leave(received.queue)

    def _handle_once(self, received: _Received) -> WebhookResponse:
        if self._was_handled(received):
            return OK
        try:
            self._call(received.event)
        except Exception as error:  # noqa: BLE001 - after any error the platform may retry
            return _failed(error)
        self._remember(received)
        return OK

    def _call(self, event: Event) -> None:
        result = self._handler(event)
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError("the handler is async")


def check_plain(handler: Handler) -> None:
    """Check that a handler can be called without an event loop.

    Raises:
        ConfigurationError: It is async, or not callable.
    """
    _check_handler(handler)
    if _is_async(handler):
        raise ConfigurationError(
            "handler", "is async; WSGI, Django and Flask need a plain function"
        )


def _check_handler(handler: object) -> None:
    if not callable(handler):
        raise ConfigurationError("handler", "must be a function of one argument, the event")


def _check_timeout(timeout: object) -> None:
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not is_number or not math.isfinite(timeout) or timeout <= 0:  # type: ignore[arg-type,operator]
        raise ConfigurationError("timeout", "must be a finite number above zero")


def _is_async(handler: Any) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 - for an object with an async __call__
    )


async def _whole(chunk: ReadChunk) -> bytes:
    body, has_more = Body(), True
    while has_more:
        try:
            part, has_more = await chunk()
        except RejectedRequest:
            raise
        except Exception as error:  # noqa: BLE001 - as in `_chunk`
            raise _unreadable(error) from None
        body.add(part)
    return body.whole()


def _body(read: Callable[[int], bytes] | None, length: str | None) -> bytes:
    """Read a body to its stated length, or to its end, up to the maximum size."""
    if read is None:
        raise RejectedRequest(NO_LENGTH)
    body = Body()
    left = MAX_BODY + 1 if length is None else int(length)
    while left > 0 and (chunk := _chunk(read, left)):
        body.add(chunk)
        left -= len(chunk)
    if length is not None and left > 0:
        raise RejectedRequest(INCOMPLETE)
    return body.whole()


def _chunk(read: Callable[[int], bytes], size: int) -> bytes:
    try:
        return read(size)
    except RejectedRequest:
        raise
    except Exception as error:  # noqa: BLE001 - each server has its own errors
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> RejectedRequest:
    """Make the response to a body that cannot be read."""
    _log.info("webhook rejected with 400: reading it raised %s", type(error).__name__)
    return RejectedRequest(INCOMPLETE)


def _read(body: bytes) -> _Received:
    try:
        event = parse(body)
    except WebhookError as error:
        _log.info("webhook rejected with 400: %s", error)
        raise RejectedRequest(WebhookResponse(400, str(error))) from None
    return _Received(event, _identity(event), folded(event.id_sms) if event.id_sms else object())


def _identity(event: Event) -> bytes | None:
    """Return the identity of an event, which ignores fields that a retry may add.

    It is the identifier with the status; for an incoming SMS, with its content and numbers, so that
    no message is lost. An unknown event may report something new each time, unless all its fields
    are the same. Without an identifier there is no identity: two people may answer "sí".
    """
    if not event.id_sms:
        return None
    match event:
        case StatusUpdate(status=SmsStatus() as status):
            said: object = status.value
        case IncomingSms():
            numbers = event.src_number, event.dst_number
            said = *numbers, event.sms_content, event.sms_content_binary
        case _:
            said = _canonical(event.raw)
    text = repr((type(event).__name__, folded(event.id_sms), said))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _failed(error: Exception) -> WebhookResponse:
    """Log where a handler failed, without the error's message, which may have personal data."""
    frames = [
        f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    where = " > ".join(frames[-MAX_FRAMES:])
    _log.error(
        "webhook answered with 500: its handler raised %s at %s", type(error).__name__, where
    )
    return FAILED
