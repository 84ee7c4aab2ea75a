"""Exchanges on aiohttp's connections, without its session.

aiohttp still handles name resolution, TLS, the connection limit, keep-alive, and the parsing of all
but the simplest responses. This module replaces ``ClientSession._request``, which supports all of
HTTP and costs more than the rest of a call. It relies on private parts of aiohttp, so it is used
only with the versions in `KNOWN_VERSIONS`; `OneTimeExchange` serves all others, and
`PublicExchange` proxies, by the same rules. A test compares the source of those parts, and says
what to do when it changed.

Savings per call; ``python -m benchmarks.single_call`` measures the total. An exchange takes a third
of the CPU of a plain ``session.post`` with ``json``, including the kernel; one through
`PublicExchange` takes as much as the plain post:

======================================================================  ======
no session: no request, response, cookies, task or tracing               97 us
simple responses are parsed on arrival: no parser, stream or queue       26 us
the head of a request is cached, except the length of the body            7 us
one timer per connection instead of one per exchange                      6 us
a kept connection is taken without a coroutine or a wrapper               2 us
response headers are parsed on first access                               2 us
a connection is returned without a check if nobody waits for one          2 us
nothing is parsed again if reading was not paused                         1 us
======================================================================  ======
"""

import asyncio
import math
import re
import time
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from functools import cached_property, partial
from typing import Any, Final

import aiohttp
from aiohttp import ClientRequest, ClientSession
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict

from connectus_async._exchange import (
    CHUNK_SIZE,
    LARGE_BODY,
    MAX_HEADER_BYTES,
    READ_ITERATIONS,
    Endpoint,
    KeepingConnector,
    Limits,
    PublicExchange,
    RawResponse,
    ResponseProtocol,
    mark_early,
    mark_not_sent,
    read_body,
)

_NO_TRACES: Final[list[Any]] = []
_EARLY: Final = 0.002
"""Seconds by which a timer may fire early: the clocks of event loops are coarse."""


FIRST: Final = asyncio.FIRST_COMPLETED

KNOWN_VERSIONS: Final = frozenset({"3.14.4", "3.14.5"})
"""Versions of aiohttp that this module was tested with."""


def knows_aiohttp() -> bool:
    """Tell whether the installed aiohttp is one of them."""
    return aiohttp.__version__ in KNOWN_VERSIONS


class FastExchange:
    """Exchanges over the connections of a connector."""

    def __init__(self, connector: "FastConnector", public: PublicExchange) -> None:
        self._connector = connector
        self._public = public
        self._loop = asyncio.get_running_loop()
        self._routes: dict[str, tuple[ConnectionKey, ClientRequest]] = {}
        self._own_request: object = None

    async def __call__(
        self, endpoint: Endpoint, method: str, target: str, body: bytes | None, limits: Limits
    ) -> RawResponse:
        """Make one exchange, through the session if its request method was replaced."""
        if ClientSession._request is not self._own_request and self._is_replaced():  # noqa: SLF001
            return await self._public(endpoint, method, target, body, limits)
        deadline = self._loop.time() + limits.total
        request, rest = _request(endpoint.head(method, target), body)
        key, route = self._routes.get(endpoint.base_url) or self._route(endpoint)
        connection: _Connection | None = self._connector.lease(key)
        if connection is None:
            async with asyncio.timeout_at(deadline):
                connection = await self._connector.lease_new(route, limits)
        is_clean = False
        try:
            answer = connection.begin(request, deadline, limits.answer)
            raw = await answer if rest is None else None
            if type(raw) is not RawResponse:
                raw = await connection.end(answer, rest)
            is_clean = raw.problem is None
        finally:
            self._connector.release(key, connection, is_clean=is_clean)
        return raw

    def _is_replaced(self) -> bool:
        """Tell whether the session's request method was replaced, for instance by a test."""
        request = ClientSession._request  # noqa: SLF001 - aioresponses and vcrpy replace it
        code = getattr(request, "__code__", None)
        if code is None or code.co_filename != ClientSession.__init__.__code__.co_filename:
            return True
        self._own_request = request
        return False

    def _route(self, endpoint: Endpoint) -> tuple[ConnectionKey, ClientRequest]:
        """Describe a host in the form that the connector needs."""
        request = ClientRequest("GET", endpoint.url(""), loop=self._loop)
        route = self._routes[endpoint.base_url] = request.connection_key, request
        return route


class FastConnector(KeepingConnector):
    """Leases its connections without a coroutine and without a wrapper object."""

    def __init__(self, *, keepalive_timeout: float, **settings: Any) -> None:
        super().__init__(keepalive_timeout=keepalive_timeout, **settings)
        self._factory = partial(  # type: ignore[assignment]
            _Connection, loop=self._loop, parser=SimpleParser()
        )

    async def lease_new(self, route: ClientRequest, limits: Limits) -> "_Connection":
        """Wait for a connection."""
        try:
            wrapper = await self.connect(route, _NO_TRACES, limits.timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        connection, wrapper._protocol = wrapper._protocol, None  # noqa: SLF001 - or it releases it
        return connection  # type: ignore[return-value]  # as above

    def release(self, key: ConnectionKey, connection: "_Connection", *, is_clean: bool) -> None:
        """Keep a connection after a successful exchange, as `_release` does, or close it.

        `lease` checks whether it is still usable.
        """
        if not is_clean or self._waiters or self._cleanup_handle is None or self._closed:
            self._release(key, connection, should_close=not is_clean)
            return
        self._acquired.discard(connection)
        self._conns[key].append((connection, time.monotonic()))


def _request(head: bytes, body: bytes | None) -> tuple[bytes, bytes | None]:
    """Return the bytes to write at once, and those of a large body, to write after them."""
    if body is None:
        return head + b"\r\n", None
    if len(body) >= LARGE_BODY:
        return b"%bContent-Length: %d\r\n\r\n" % (head, len(body)), body
    return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body), None


_VALUE: Final = r"[!-~](?:[ -~]{0,254}[!-~])?"
_SPECIAL: Final = (
    "content-length|content-encoding|transfer-encoding|(?:proxy-)?connection|upgrade"
    "|sec-websocket-key1"
)
_OTHERS: Final = rf"(?:(?!(?i:{_SPECIAL}):)[\w-]{{1,64}}: ?{_VALUE}\r\n){{0,63}}"
_FIELDS: Final = rf"{_OTHERS}(?i:content-length): ?(\d{{1,15}})\r\n{_OTHERS}"
_HEAD: Final = re.compile(
    rf"HTTP/1\.1 (20[0-3]|[45]\d\d) [ -~]{{0,64}}\r\n({_FIELDS})\r\n".encode(), re.ASCII
)
_FIELD: Final = re.compile(r"([\w-]+): ?([ -~]+)\r\n", re.ASCII)


class SimpleParser:
    """Parser of simple responses that arrive in one piece.

    Most heads are those of the response before, and are not parsed again.
    """

    def __init__(self) -> None:
        self._head = b"-"
        self._end = 0
        self._body_length = -1
        self._status = 0
        self._fields: Mapping[str, str] = {}

    def parse(self, data: bytes, limit: int) -> RawResponse | None:
        """Parse a response.

        Returns:
            The same result as aiohttp's parser, or ``None`` for any other response.
        """
        if not data.startswith(self._head) and not self._learn(data):
            return None
        length = len(data) - self._end
        if length > limit or length != self._body_length:
            return None
        return RawResponse(self._status, self._fields, data[self._end :])

    def _learn(self, data: bytes) -> bool:
        head = _HEAD.match(data)
        if head is None or head[3] != b"%d" % (len(data) - head.end()):
            return False
        self._head, self._end, self._body_length = head[0], head.end(), len(data) - head.end()
        self._status, self._fields = int(head[1]), _Fields(head[2])
        return True


class _Fields(Mapping[str, str]):
    """Header fields, parsed on first access."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    @cached_property
    def _read(self) -> CIMultiDict[str]:
        return CIMultiDict(_FIELD.findall(self._raw.decode("ascii")))

    def __getitem__(self, name: str) -> str:
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)

    def __repr__(self) -> str:
        return repr(self._read)

    def items(self) -> ItemsView[str, str]:
        return self._read.items()

    def values(self) -> ValuesView[str]:
        return self._read.values()


class _Connection(ResponseProtocol):
    """A connection that parses simple responses itself, and has its own time limit.

    Its timer is not set again for each exchange: it fires once per time limit, and then checks when
    it must fire next.
    """

    _answer: "asyncio.Future[RawResponse | BaseException | None] | None" = None
    _writable: "asyncio.Future[None] | None" = None
    _limit = 0
    _deadline = math.inf
    _alarm: asyncio.TimerHandle | None = None
    _alarm_at = math.inf

    def __init__(self, loop: asyncio.AbstractEventLoop, parser: SimpleParser) -> None:
        super().__init__(loop=loop)
        self._simple = parser

    def begin(
        self, request: bytes, deadline: float, limit: int
    ) -> "asyncio.Future[RawResponse | BaseException | None]":
        """Write a request.

        Args:
            request: The bytes of the request, but for a large body.
            deadline: The loop's time at which the exchange fails with a `TimeoutError`.
            limit: Maximum bytes of the response's body.

        Returns:
            The response if it is a simple one; anything else is for `end`.
        """
        transport = self.transport
        if transport is None or transport.is_closing() or self._tail:
            raise mark_not_sent(aiohttp.ServerDisconnectedError())
        self._limit = limit
        self._deadline = deadline
        if deadline < self._alarm_at:
            self._set_alarm(deadline)
        answer = self._answer = self._loop.create_future()
        transport.write(request)
        return answer

    async def end(
        self,
        answer: "asyncio.Future[RawResponse | BaseException | None]",
        rest: bytes | None = None,
    ) -> RawResponse:
        """Read the response to a request that `begin` wrote.

        Args:
            answer: What `begin` returned.
            rest: A large body; writing stops when the response arrives.
        """
        is_whole = rest is None or await self._write_chunks(rest, answer)
        raw = await answer
        if isinstance(raw, BaseException):
            raise raw
        if raw is None:
            raw = await self._parsed(self._limit)
        self._deadline = math.inf
        if not is_whole:
            self.close()
            mark_early(raw)
        return raw

    async def _write_chunks(self, body: bytes, answer: "asyncio.Future[Any]") -> bool:
        """Write a body, and tell whether it was written completely before a response or a failure.

        A server that rejects a body responds early and closes the connection. Another write would
        fail, and lose the response.
        """
        if self.transport is not None:
            self.transport.set_write_buffer_limits(high=1, low=0)
        whole = memoryview(body)
        for start in range(0, len(body), CHUNK_SIZE):
            await self._can_write(answer)
            if self.transport is None or self._is_ending(answer):
                return False
            self.transport.write(whole[start : start + CHUNK_SIZE])
            await asyncio.sleep(0)
        return True

    async def _can_write(self, answer: "asyncio.Future[Any]") -> None:
        """Wait until the kernel has the last chunk, and all input has been read."""
        for _ in range(READ_ITERATIONS):
            while self._paused and not self._is_ending(answer):
                writable = self._writable = self._loop.create_future()
                await asyncio.wait(
                    [writable] if answer.done() else [writable, answer], return_when=FIRST
                )
            if self._is_ending(answer) or not self.has_input():
                return
            await asyncio.sleep(0)

    def _is_ending(self, answer: "asyncio.Future[Any]") -> bool:
        """Tell whether there is a final response or a failure."""
        if self.transport is None or self._exception is not None:
            return True
        if not answer.done():
            return False
        return answer.result() is not None or any(
            message.code >= 200 for (message, _), _ in self._buffer
        )

    def resume_writing(self) -> None:
        """Continue writing a large body."""
        super().resume_writing()
        self._wake()

    def _wake(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    async def _parsed(self, limit: int) -> RawResponse:
        """Read a response from aiohttp's parser."""
        while True:
            message, payload = await self.read()
            if not 100 <= message.code < 200 or message.code == 101:
                break
        headers = message.headers.copy()
        raw = RawResponse(message.code, headers, encoding=headers.get("Content-Encoding"))
        await read_body(raw, payload.readany, limit)
        return raw

    def data_received(self, data: bytes) -> None:
        """Parse a simple response, or pass the data to aiohttp's parser."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            raw = self._simple.parse(data, self._limit)
            answer.set_result(raw)
            if raw is not None:
                self._deadline = math.inf
                return
            self.set_response_params(
                auto_decompress=False,
                read_until_eof=True,
                max_line_size=MAX_HEADER_BYTES,
                max_field_size=MAX_HEADER_BYTES,
            )
        super().data_received(data)
        self._wake()

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Make the current exchange fail."""
        super().set_exception(exc, *(() if exc_cause is None else (exc_cause,)))
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(exc)  # set as exception, asyncio would log it if nobody waits
        self._wake()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Cancel the timer."""
        self._drop_alarm()
        super().connection_lost(exc)
        self._wake()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT002 - aiohttp calls it
        """Continue reading if it was paused; otherwise nothing must be parsed again."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def _set_alarm(self, at: float) -> None:
        self._drop_alarm()
        self._alarm, self._alarm_at = self._loop.call_at(at, self._on_alarm), at

    def _drop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = None, math.inf

    def _on_alarm(self) -> None:
        self._drop_alarm()
        if self._deadline > self._loop.time() + _EARLY:
            if self._deadline < math.inf:
                self._set_alarm(self._deadline)
            return
        self.set_exception(TimeoutError())
        if self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(TimeoutError())
