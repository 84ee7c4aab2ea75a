"""What all receivers share: read an event, call its handler once, in order, and answer."""

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
from connectus_async.webhooks.events import Event, IncomingSms, StatusUpdate, parse
from connectus_async.webhooks.gate import (
    BROKEN_OFF,
    BUSY,
    FAILED,
    MAX_BODY,
    NO_LENGTH,
    TAKEN,
    TOO_SLOW,
    Body,
    Gate,
    Head,
    Refused,
    Reply,
)
from connectus_async.webhooks.time_limit import within

Handler: TypeAlias = Callable[[Event], object]
"""What is called with each event. What it returns does not matter; that it returns does."""

ReadChunk: TypeAlias = Callable[[], Awaitable[tuple[bytes, bool]]]
"""Gives the next part of a body, and whether there is more of it."""

DEFAULT_TIMEOUT: Final = 10.0
MAX_EVENTS: Final = 1_000
"""That are being handled or wait for their turn."""

REMEMBERED: Final = 32_768
REMEMBERED_FOR: Final = 86_400.0
MAX_FRAMES: Final = 8

_log: Final = logging.getLogger("connectus_async")
_canonical: Final = json.JSONEncoder(sort_keys=True).encode


class _Signal(Protocol):
    def set(self) -> object: ...


SignalT = TypeVar("SignalT", bound=_Signal)


class Handled:
    """Memory of the events that were handled: of a number of them, and for a time.

    Args:
        size: Maximum number of events.
        age: Seconds after which an event is forgotten, since it last came.
        clock: Returns the present in seconds.
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
        """Remember an event."""
        self._seen[digest] = True

    def begin_anew(self) -> None:
        """Leave the lock to the parent of this process, and remember the same."""
        self._seen.after_fork()


class Turns(Generic[SignalT]):
    """Lets the events of one SMS take turns, in the order in which they came.

    Args:
        signal: Makes what an event waits for until it is its turn.
        limit: How many events there may be at a time, of all SMS together.
    """

    def __init__(self, signal: Callable[[], SignalT], limit: int = MAX_EVENTS) -> None:
        self._signal = signal
        self._limit = limit
        self._count = 0
        self._waiting: dict[Hashable, deque[SignalT]] = {}
        self._lock = threading.Lock()

    def join(self, key: Hashable) -> SignalT | None:
        """Get in line; ``None`` means that it is its turn already.

        Raises:
            Refused: There are too many.
        """
        with self._lock:
            if self._count >= self._limit:
                raise Refused(BUSY)
            self._count += 1
            if key not in self._waiting:
                self._waiting[key] = deque()
                return None
            signal = self._signal()
            self._waiting[key].append(signal)
            return signal

    def leave(self, key: Hashable) -> None:
        """Let the next one in."""
        with self._lock:
            self._count -= 1
            waiting = self._waiting[key]
            if waiting:
                waiting.popleft().set()
            else:
                del self._waiting[key]

    def abandon(self, key: Hashable, signal: SignalT) -> None:
        """Leave the line, or the turn if it has come meanwhile."""
        with self._lock:
            is_waiting = signal in self._waiting[key]
            if is_waiting:
                self._waiting[key].remove(signal)
                self._count -= 1
        if not is_waiting:
            self.leave(key)


@attrs.define
class _Received:
    """An event, and by what it is known again.

    Attributes:
        event: The event.
        identity: The same of an event that comes again; ``None`` if nothing tells that it does.
        line: The key that it shares with those that it must not overtake.
    """

    event: Event
    identity: bytes | None
    line: Hashable


class _Receiver(Generic[SignalT]):
    """Memory of events in a receiver. A forked child remembers them too, and begins its own lines.

    Args:
        signal: As of `Turns`.
    """

    def __init__(self, signal: Callable[[], SignalT]) -> None:
        self._signal = signal
        self._handled = Handled()
        self._turns = Turns(signal)
        _receivers.add(self)

    def begin_anew(self) -> None:
        """Leave the lines and locks to the parent, whose threads are not here to let go of them."""
        self._handled.begin_anew()
        self._turns = Turns(self._signal)

    def _was_handled(self, received: _Received) -> bool:
        return received.identity is not None and received.identity in self._handled

    def _note(self, received: _Received) -> None:
        if received.identity is not None:
            self._handled.add(received.identity)


_receivers: Final[WeakSet[_Receiver[Any]]] = WeakSet()


def _begin_anew() -> None:
    for receiver in list(_receivers):
        receiver.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


class AsyncReceiver(_Receiver[anyio.Event]):
    """The core of receivers on an event loop.

    Args:
        handler: Called with each event: awaited if it is async, else run in a worker thread.
        gate: Who may come in.
        timeout: Seconds in which a body has to come.

    Raises:
        ConfigurationError: The handler cannot be called, or the timeout makes no sense.
    """

    def __init__(self, handler: Handler, gate: Gate, timeout: float = DEFAULT_TIMEOUT) -> None:
        _check_handler(handler)
        _check_timeout(timeout)
        super().__init__(anyio.Event)
        self._handler = handler
        self._is_async = _is_async(handler)
        self._gate = gate
        self._timeout = timeout

    async def receive(self, head: Head, chunk: ReadChunk) -> Reply:
        """Answer a request."""
        try:
            self._gate.check(head)
            received = _read(await self._in_time(chunk))
            return await self._in_turn(received)
        except Refused as refused:
            return refused.reply

    async def _in_time(self, chunk: ReadChunk) -> bytes:
        try:
            return await within(self._timeout, _whole(chunk))
        except TimeoutError:
            raise Refused(TOO_SLOW) from None

    async def _in_turn(self, received: _Received) -> Reply:
        signal = self._turns.join(received.line)
        if signal is not None:
            try:
                await signal.wait()
            except BaseException:
                self._turns.abandon(received.line, signal)
                raise
        try:
            return await self._once(received)
        finally:
            self._turns.leave(received.line)

    async def _once(self, received: _Received) -> Reply:
        if self._was_handled(received):
            return TAKEN
        try:
            await self._call(received.event)
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the platform may try again
            return _failed(error)
        self._note(received)
        return TAKEN

    async def _call(self, event: Event) -> None:
        if self._is_async:
            await self._handler(event)  # type: ignore[misc]  # it has been looked at
            return
        result = await anyio.to_thread.run_sync(self._handler, event)
        if inspect.isawaitable(result):
            await result


class ThreadedReceiver(_Receiver[threading.Event]):
    """The core of receivers that have a thread for each request.

    Args:
        handler: Called with each event, in the thread of its request. Several run at a time.
        gate: Who may come in.

    Raises:
        ConfigurationError: The handler cannot be called, or is async.
    """

    def __init__(self, handler: Handler, gate: Gate) -> None:
        check_plain(handler)
        super().__init__(threading.Event)
        self._handler = handler
        self._gate = gate

    def receive(self, head: Head, read: Callable[[int], bytes] | None) -> Reply:
        """Answer a request.

        Args:
            head: The request.
            read: Reads up to so many bytes of the body, and none at its end; ``None`` where the
                body has no end.
        """
        try:
            self._gate.check(head)
            received = _read(_body(read, head.length))
            return self._in_turn(received)
        except Refused as refused:
            return refused.reply

    def _in_turn(self, received: _Received) -> Reply:
        signal = self._turns.join(received.line)
        if signal is not None:
            try:
                signal.wait()
            except BaseException:
                self._turns.abandon(received.line, signal)
                raise
        try:
            return self._once(received)
        finally:
            self._turns.leave(received.line)

    def _once(self, received: _Received) -> Reply:
        if self._was_handled(received):
            return TAKEN
        try:
            self._call(received.event)
        except Exception as error:  # noqa: BLE001 - whatever it is, the platform may try again
            return _failed(error)
        self._note(received)
        return TAKEN

    def _call(self, event: Event) -> None:
        result = self._handler(event)
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError("the handler is async")


def check_plain(handler: Handler) -> None:
    """Check that a handler can be called where there is no event loop.

    Raises:
        ConfigurationError: It is async, or cannot be called at all.
    """
    _check_handler(handler)
    if _is_async(handler):
        raise ConfigurationError(
            "handler", "is async: WSGI, Django and Flask take a plain function"
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
        getattr(handler, "__call__", None)  # noqa: B004 - of an object whose calls are async
    )


async def _whole(chunk: ReadChunk) -> bytes:
    body, has_more = Body(), True
    while has_more:
        try:
            part, has_more = await chunk()
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 - as of `_chunk`
            raise _unreadable(error) from None
        body.add(part)
    return body.whole()


def _body(read: Callable[[int], bytes] | None, length: str | None) -> bytes:
    """Read a body as long as it says, or to its end but never past the limit."""
    if read is None:
        raise Refused(NO_LENGTH)
    body = Body()
    left = MAX_BODY + 1 if length is None else int(length)
    while left > 0 and (chunk := _chunk(read, left)):
        body.add(chunk)
        left -= len(chunk)
    if length is not None and left > 0:
        raise Refused(BROKEN_OFF)
    return body.whole()


def _chunk(read: Callable[[int], bytes], size: int) -> bytes:
    try:
        return read(size)
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001 - what a server cannot read is no fault of ours
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> Refused:
    """Answer a body that breaks off; each server has errors of its own for it."""
    _log.info("a webhook was answered 400: reading it raised %s", type(error).__name__)
    return Refused(BROKEN_OFF)


def _read(body: bytes) -> _Received:
    try:
        event = parse(body)
    except WebhookError as error:
        _log.info("a webhook was answered 400: %s", error)
        raise Refused(Reply(400, str(error))) from None
    return _Received(event, _identity(event), folded(event.id_sms) if event.id_sms else object())


def _identity(event: Event) -> bytes | None:
    """Tell by what an event is known again, whatever the platform adds to it when it tries again.

    That is the identifier with the status, and of an SMS that came in the identifier with what it
    says and between whom: if that is another, nobody's words are lost. What is of a kind that is
    not known may tell of something else each time, unless all of it is the same. Without an
    identifier, the same words are taken for another event: two people may answer "sí".
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


def _failed(error: Exception) -> Reply:
    """Say where a handler failed; what its error says may be about somebody."""
    frames = [
        f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    where = " > ".join(frames[-MAX_FRAMES:])
    _log.error(
        "a webhook was answered 500: its handler raised %s at %s", type(error).__name__, where
    )
    return FAILED
