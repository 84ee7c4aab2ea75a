"""What all receivers share: read an event, call its handler once, in order, and answer."""

import hashlib
import inspect
import json
import logging
import math
import threading
import time
import traceback
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

import anyio
import anyio.to_thread
import attrs

from connectus_async.errors import ConfigurationError, WebhookError
from connectus_async.webhooks.events import Event, is_flat, parse
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
    """Remembers which events were handled, up to a number of them and for a time.

    Args:
        size: How many.
        age: For how many seconds since it last came.
        clock: The present in seconds.
    """

    def __init__(
        self,
        size: int = REMEMBERED,
        age: float = REMEMBERED_FOR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size = size
        self._age = age
        self._clock = clock
        self._seen: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, digest: bytes) -> bool:
        seen = self._seen.get(digest)
        if seen is None or seen <= self._clock() - self._age:
            return False
        self.add(digest)
        return True

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, digest: bytes) -> None:
        """Remember an event, and forget those that are too old or too many."""
        now = self._clock()
        with self._lock:
            self._seen[digest] = now
            self._seen.move_to_end(digest)
            while len(self._seen) > self._size or self._oldest() <= now - self._age:
                self._seen.popitem(last=False)

    def _oldest(self) -> float:
        return next(iter(self._seen.values()))


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
    event: Event
    digest: bytes

    @property
    def line(self) -> Hashable:
        """What it has in common with those that it must not overtake."""
        return self.event.id_sms or self.digest


class AsyncReceiver:
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
        self._handler = handler
        self._is_async = _is_async(handler)
        self._gate = gate
        self._timeout = timeout
        self._handled = Handled()
        self._turns = Turns(anyio.Event)

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
        if received.digest in self._handled:
            return TAKEN
        try:
            await self._call(received.event)
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the platform may try again
            return _failed(error)
        self._handled.add(received.digest)
        return TAKEN

    async def _call(self, event: Event) -> None:
        if self._is_async:
            await self._handler(event)  # type: ignore[misc]  # it has been looked at
            return
        result = await anyio.to_thread.run_sync(self._handler, event)
        if inspect.isawaitable(result):
            await result


class ThreadedReceiver:
    """The core of receivers that have a thread for each request.

    Args:
        handler: Called with each event, in the thread of its request. Several run at a time.
        gate: Who may come in.

    Raises:
        ConfigurationError: The handler cannot be called, or is async.
    """

    def __init__(self, handler: Handler, gate: Gate) -> None:
        check_plain(handler)
        self._handler = handler
        self._gate = gate
        self._handled = Handled()
        self._turns = Turns(threading.Event)

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
        if received.digest in self._handled:
            return TAKEN
        try:
            self._call(received.event)
        except Exception as error:  # noqa: BLE001 - whatever it is, the platform may try again
            return _failed(error)
        self._handled.add(received.digest)
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
    return _Received(event, _digest(event.raw))


def _digest(raw: dict[str, Any]) -> bytes:
    """Tell events apart, but not by the order of their fields or the blanks between them."""
    text = repr(sorted(raw.items())) if is_flat(raw) else _canonical(raw)
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
