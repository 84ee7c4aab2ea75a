"""Injectable faults between a request and its response."""

from __future__ import annotations

import asyncio
import json
import math
import random
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import isawaitable
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Self, cast

from aiohttp import web
from attrs import define, field, frozen

from connectus_async.emulator.calls import CALL_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Act = Callable[[], Awaitable[web.StreamResponse]]
Run = Callable[[web.Request, Act], Awaitable[web.StreamResponse]]
Body = str | bytes | dict[str, Any] | None
Hook = Callable[[int], object]

_ABORTIVE_CLOSE: Final = struct.pack("ii", 1, 0)
_FINAL_CODES: Final = range(200, 600)
_GARBAGE: Final = "<html>it works</html>"
SENT: Final = web.ResponseKey("connectus_async.sent", bytes)
"""Where a response has the part of its body that is sent, if not the whole."""


@frozen
class Fault:
    """A fault of requests. Make one with a class method.

    "Act" means that the server does what the request asks, so that a message reaches "the phone",
    whatever the response.
    """

    name: str
    run: Run = field(repr=False)

    @classmethod
    def delay(cls, seconds: float) -> Self:
        """Wait `seconds`, then act and respond as usual.

        If the client disconnects before that, the server does not act.
        """

        async def run(_: web.Request, act: Act) -> web.StreamResponse:
            await asyncio.sleep(seconds)
            return await act()

        return cls(f"delay {seconds:g} s", run)

    @classmethod
    def reset_before(cls) -> Self:
        """Reset the connection without acting."""

        async def run(request: web.Request, _: Act) -> web.StreamResponse:
            return await _reset(request)

        return cls("reset_before", run)

    @classmethod
    def reset_after(cls) -> Self:
        """Act, then reset the connection instead of responding."""

        async def run(request: web.Request, act: Act) -> web.StreamResponse:
            await act()
            return await _reset(request)

        return cls("reset_after", run)

    @classmethod
    def half_answer(cls) -> Self:
        """Act, then close the connection after half of the response's Content-Length."""

        async def run(request: web.Request, act: Act) -> web.StreamResponse:
            return await _halve(request, await act())

        return cls("half_answer", run)

    @classmethod
    def status(
        cls,
        code: int,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        *,
        acted: bool = False,
    ) -> Self:
        """Respond with `code`, without acting or after acting (such as a proxy's 502).

        Args:
            code: The HTTP status, 200 to 599.
            body: A dict is sent as JSON, text and bytes unchanged.
            headers: Additional response headers.
            acted: Whether to act first.

        Raises:
            ValueError: The code is not of a final response.
        """
        if code not in _FINAL_CODES:
            sentence = f"code must be 200 to 599, not {code}"
            raise ValueError(sentence)

        async def run(_: web.Request, act: Act) -> web.StreamResponse:
            if acted:
                await act()
            return _response(code, body, headers)

        return cls(f"status {code}", run)

    @classmethod
    def too_many(cls, retry_after: float | str = 1) -> Self:
        """Respond with 429 without acting; `retry_after` is seconds or an HTTP date."""
        body: Body = {"error": "Too many requests"}
        return cls("too_many", cls.status(429, body, {"Retry-After": str(retry_after)}).run)

    @classmethod
    def garbage(
        cls, body: str | bytes = _GARBAGE, headers: Mapping[str, str] | None = None
    ) -> Self:
        """Act, then respond with 200 and a body that is not JSON."""
        return cls("garbage", cls.status(200, body, headers, acted=True).run)

    @classmethod
    def timeout(cls) -> Self:
        """Act, then never respond: the connection stays open until the client closes it."""

        async def run(_: web.Request, act: Act) -> web.StreamResponse:
            await act()
            return await _until_cancelled()

        return cls("timeout", run)

    @classmethod
    def queue(cls, seconds: float, *, at_a_time: int) -> Self:
        """Process `at_a_time` requests at a time, `seconds` each; the others wait in order.

        The throughput is at most ``at_a_time / seconds`` requests per second, and responses take
        longer the more requests wait. If a client disconnects before its request is done, the
        server does not act.

        Raises:
            ValueError: `at_a_time` is less than 1, or `seconds` is negative.
        """
        if at_a_time < 1:
            sentence = f"at_a_time must be at least 1, not {at_a_time!r}"
            raise ValueError(sentence)
        if not seconds >= 0:
            sentence = f"seconds must be 0 or more, not {seconds!r}"
            raise ValueError(sentence)
        turn = asyncio.Semaphore(at_a_time)

        async def run(_: web.Request, act: Act) -> web.StreamResponse:
            async with turn:
                await asyncio.sleep(seconds)
                return await act()

        return cls(f"queue {seconds:g} s", run)

    @classmethod
    def call(cls, *, before: Hook | None = None, after: Hook | None = None) -> Self:
        """Call `before` before acting, and `after` between acting and responding.

        Both get the number of the affected request, from 1, and may be coroutine functions, which
        are awaited. So a test can act at an exact request::

            Fault.call(after=lambda number: process.kill() if number == 100 else None)
        """
        numbers = count(1)

        async def run(_: web.Request, act: Act) -> web.StreamResponse:
            number = next(numbers)
            await _call_hook(before, number)
            answer = await act()
            await _call_hook(after, number)
            return answer

        return cls("call", run)


@define(eq=False)
class PlacedFault:
    """A fault in effect; as a context manager it ends with the block.

    Attributes:
        number: Its number, from 1, in the order of placing.
        fault: The fault.
        route: The client's method that it affects, such as ``"sms.send"``; None for all.
        share: The share of those requests that it affects, above 0 up to 1.
        times: The remaining number of requests to affect; None for no limit.
        fired: The number of requests affected.
    """

    number: int
    fault: Fault
    route: str | None
    share: float
    times: int | None
    fired: int = field(default=0, init=False)
    _faults: Faults = field(repr=False)
    _random: random.Random = field(repr=False)

    def remove(self) -> None:
        """End the fault. A second call does nothing."""
        self._faults.discard(self)

    def __enter__(self) -> Self:
        """Return the fault, which is already in effect."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the fault."""
        self.remove()

    def strikes(self, route: str) -> bool:
        """Decide whether the fault affects a request, and count it."""
        if self.route not in {None, route} or self.times == 0:
            return False
        if self.share < 1 and self._random.random() >= self.share:
            return False
        self.fired += 1
        if self.times is not None:
            self.times -= 1
        return True


def check_placing(route: str | None, share: float, times: int | None) -> None:
    """Check where and how often a fault shall strike, or raise a `ValueError` that names it."""
    if route is not None and route not in CALL_NAMES:
        sentence = f"route must be a method of the client such as sms.send, not {route!r}"
        raise ValueError(sentence)
    if not 0 < share <= 1:
        sentence = f"share must be above 0 and at most 1, not {share!r}"
        raise ValueError(sentence)
    if times is not None and times < 1:
        sentence = f"times must be at least 1 or None, not {times!r}"
        raise ValueError(sentence)


class Faults:
    """The faults in effect; the first one is the outermost."""

    def __init__(self, seed: int) -> None:
        """Use `seed` for the choices of requests."""
        self._seed = seed
        self._count = 0
        self._placed: list[PlacedFault] = []
        self._affected: set[asyncio.Task[Any]] = set()

    def place(
        self, fault: Fault, *, route: str | None, share: float, times: int | None
    ) -> PlacedFault:
        """Put a fault in effect, or raise a `ValueError` that names the invalid argument."""
        check_placing(route, share, times)
        self._count += 1
        # A generator per fault: placing one does not change another's choices.
        chance = random.Random(f"{self._seed}/{self._count}")  # noqa: S311 - a test's dice
        placed = PlacedFault(self._count, fault, route, share, times, self, chance)
        self._placed.append(placed)
        return placed

    @property
    def placed(self) -> Sequence[PlacedFault]:
        """The faults in effect, in the order of placing."""
        return self._placed

    def discard(self, placed: PlacedFault) -> None:
        """End one fault."""
        if placed in self._placed:
            self._placed.remove(placed)

    def clear(self) -> None:
        """End all faults."""
        self._placed.clear()

    def affecting(self, route: str) -> list[PlacedFault]:
        """Return the faults that affect the current request."""
        return [placed for placed in self._placed if placed.strikes(route)]

    async def run(
        self, affecting: list[PlacedFault], request: web.Request, act: Act
    ) -> web.StreamResponse:
        """Run the faults around `act`."""
        for placed in reversed(affecting):
            act = partial(placed.fault.run, request, act)
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._affected.add(task)
        try:
            return await act()
        finally:
            self._affected.discard(task)

    async def close(self) -> None:
        """Cancel the requests that wait in a fault."""
        affected = list(self._affected)
        for task in affected:
            task.cancel()
        await asyncio.gather(*affected, return_exceptions=True)


@define
class RateLimit:
    """A token bucket that holds one second of requests.

    Attributes:
        rate: Requests per second.
        timer: A monotonic clock, in seconds.
    """

    rate: float
    timer: Callable[[], float] = time.monotonic
    _tokens: float = field(init=False)
    _filled: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start with a full bucket."""
        self._tokens = max(1.0, self.rate)
        self._filled = self.timer()

    def seconds_to_wait(self) -> int:
        """Return 0 to accept a request, else the whole seconds until it may be retried."""
        now = self.timer()
        self._tokens = min(max(1.0, self.rate), self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0
        return math.ceil((1 - self._tokens) / self.rate)


async def _call_hook(hook: Hook | None, number: int) -> None:
    result = hook and hook(number)
    if isawaitable(result):
        await result


def _response(code: int, body: Body, headers: Mapping[str, str] | None) -> web.Response:
    if isinstance(body, dict):
        body = json.dumps(body)
    raw = body.encode() if isinstance(body, str) else body
    return web.Response(
        status=code, body=raw, headers={"Content-Type": "application/json", **(headers or {})}
    )


async def _reset(request: web.Request) -> web.StreamResponse:
    """Close with an RST; a plain close would send a FIN."""
    transport = request.transport
    if transport is not None:
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORTIVE_CLOSE)
        transport.abort()
    return await _until_cancelled()


async def _halve(request: web.Request, whole: web.StreamResponse) -> web.StreamResponse:
    body = whole.body if isinstance(whole, web.Response) else b""
    raw = body if isinstance(body, bytes) else b""
    half = web.StreamResponse(status=whole.status, headers={"Content-Type": whole.content_type})
    half.content_length = len(raw) + 1
    half.force_close()
    half[SENT] = raw[: len(raw) // 2]
    await half.prepare(request)
    await half.write(half[SENT])
    if request.transport is not None:
        request.transport.close()
    return await _until_cancelled()


async def _until_cancelled() -> web.StreamResponse:
    """Wait until the client disconnects, which cancels the handler, or the emulator closes."""
    await asyncio.Event().wait()
    raise asyncio.CancelledError
