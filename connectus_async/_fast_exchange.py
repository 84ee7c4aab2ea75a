"""Exchanges on aiohttp's connections, but without its session.

Names, TLS, the limit of connections and keep-alive stay aiohttp's own, and so does the parsing of
every answer but the plainest. What is left out is ``ClientSession._request``, which is made for
everything that HTTP can be and takes more than the rest of a call together. It relies on parts of
aiohttp that are not public, so it is used only with the versions in `KNOWN_VERSIONS`;
`OneTimeExchange` serves all others, and `PublicExchange` proxies, on the same rules. A test
compares the source of those parts, and says what to do when it changed.

What each trick spares a call; ``python -m benchmarks.single_call`` measures the whole. An exchange
takes a third of the CPU of a bare ``session.post`` with ``json``, the kernel included, and one
through `PublicExchange` as much as that:

======================================================================  ======
nothing of a session: no request, response, cookies, task and tracing    97 us
a plain answer is read where it comes in: no parser, stream and queue    26 us
the head of a request is kept, all but the length of the body             7 us
one timer for a connection, not one for each exchange                     6 us
a kept connection is taken without coroutine and object for the loan      2 us
the header fields of an answer are read once somebody looks at them       2 us
and given back without a second look at it, where nobody waits for one    2 us
nothing is parsed again where reading was not paused                      1 us
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
    LARGE_BODY,
    MOST_HEADER_BYTES,
    PIECE,
    TURNS,
    Endpoint,
    KeepingConnector,
    Limits,
    PublicExchange,
    RawResponse,
    ResponseProtocol,
    came_early,
    not_sent,
    read_body,
)

_NO_TRACES: Final[list[Any]] = []
_EARLY: Final = 0.002
"""Seconds by which a timer may go off early: the clocks of event loops are coarse."""


FIRST: Final = asyncio.FIRST_COMPLETED

KNOWN_VERSIONS: Final = frozenset({"3.14.4", "3.14.5"})
"""The versions of aiohttp that this module was tried with."""


def knows_aiohttp() -> bool:
    """Tell whether the aiohttp that is there is one of them."""
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
        """Make one exchange; as a session does where somebody put another in the place of it."""
        if ClientSession._request is not self._own_request and self._is_replaced():  # noqa: SLF001
            return await self._public(endpoint, method, target, body, limits)
        deadline = self._loop.time() + limits.total
        request, rest = endpoint.head(method, target), None
        if body is not None and len(body) >= LARGE_BODY:
            request, rest = b"%bContent-Length: %d\r\n\r\n" % (request, len(body)), body
        else:
            request = _request(request, body)
        key, route = self._routes.get(endpoint.base_url) or self._route(endpoint)
        connection = self._connector.lease(key)
        if connection is None:
            async with asyncio.timeout_at(deadline):
                connection = await self._connector.lease_new(route, limits)
        is_clean = False
        try:
            reply: RawResponse = await connection.exchange(request, deadline, limits.answer, rest)
            is_clean = reply.problem is None
        finally:
            self._connector.take_back(key, connection, is_clean=is_clean)
        return reply

    def _is_replaced(self) -> bool:
        """Tell whether a session's requests go elsewhere, as in a test that is to reach nobody."""
        request = ClientSession._request  # noqa: SLF001 - what aioresponses and vcrpy replace
        code = getattr(request, "__code__", None)
        if code is None or code.co_filename != ClientSession.__init__.__code__.co_filename:
            return True
        self._own_request = request
        return False

    def _route(self, endpoint: Endpoint) -> tuple[ConnectionKey, ClientRequest]:
        """Describe a host in the way in which the connector wants it."""
        request = ClientRequest("GET", endpoint.url(""), loop=self._loop)
        route = self._routes[endpoint.base_url] = request.connection_key, request
        return route


class FastConnector(KeepingConnector):
    """Lends its connections without a coroutine, and without an object that stands for the loan."""

    def __init__(self, *, keepalive_timeout: float, **settings: Any) -> None:
        super().__init__(keepalive_timeout=keepalive_timeout, **settings)
        self._factory = partial(_Connection, loop=self._loop)  # type: ignore[assignment]

    async def lease_new(self, route: ClientRequest, limits: Limits) -> "_Connection":
        """Take a connection as soon as there is one."""
        try:
            loan = await self.connect(route, _NO_TRACES, limits.timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        connection, loan._protocol = loan._protocol, None  # noqa: SLF001 - or it gives it back
        return connection  # type: ignore[return-value]  # as above

    def take_back(self, key: ConnectionKey, connection: "_Connection", *, is_clean: bool) -> None:
        """Keep a connection on which all went well, as `_release` does, or close it.

        Whether it is still good to use, `lease` asks.
        """
        if not is_clean or self._waiters or self._cleanup_handle is None or self._closed:
            self._release(key, connection, should_close=not is_clean)
            return
        self._acquired.discard(connection)
        self._conns[key].append((connection, time.monotonic()))


def _request(head: bytes, body: bytes | None) -> bytes:
    if body is None:
        return head + b"\r\n"
    return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


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


def plain_reply(data: bytes, limit: int) -> RawResponse | None:
    """Read an answer that came whole, at once, and is as plain as most are.

    Returns:
        The same as aiohttp's parser makes of it; ``None`` for everything that is not that plain.
    """
    head = _HEAD.match(data)
    if head is None:
        return None
    end = head.end()
    length = len(data) - end
    if length > limit or head[3] != b"%d" % length:
        return None
    return RawResponse(int(head[1]), _Fields(head[2]), data[end:])


class _Fields(Mapping[str, str]):
    """Header fields that are read once somebody looks at them."""

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
    """A connection that reads plain answers itself, and ends what waits on it when the time is up.

    Its timer is not set anew with each exchange: it goes off once in the length of the time limit,
    and looks when it has to go off next.
    """

    _answer: "asyncio.Future[RawResponse | BaseException | None] | None" = None
    _room: "asyncio.Future[None] | None" = None
    _limit = 0
    _deadline = math.inf
    _alarm: asyncio.TimerHandle | None = None
    _alarm_at = math.inf

    async def exchange(
        self, request: bytes, deadline: float, limit: int, rest: bytes | None = None
    ) -> RawResponse:
        """Write a request, and read its answer.

        Args:
            request: The request as it goes on the wire.
            deadline: The time of the loop at which what waits fails with a `TimeoutError`.
            limit: Bytes of the answer's body that are read at most.
            rest: A large body, of which no more is written once the answer comes.
        """
        transport = self.transport
        if transport is None or transport.is_closing() or self._tail:
            raise not_sent(aiohttp.ServerDisconnectedError())
        self._limit = limit
        self._deadline = deadline
        if deadline < self._alarm_at:
            self._set_alarm(deadline)
        answer = self._answer = self._loop.create_future()
        transport.write(request)
        is_whole = rest is None or await self._write_in_pieces(rest, answer)
        reply: RawResponse | BaseException | None = await answer
        if isinstance(reply, BaseException):
            raise reply
        if reply is None:
            reply = await self._parsed(limit)
        self._deadline = math.inf
        if not is_whole:
            self.close()
            came_early(reply)
        return reply

    async def _write_in_pieces(self, body: bytes, answer: "asyncio.Future[Any]") -> bool:
        """Write a body, and tell whether that came to its end before an answer or a failure did.

        A server that refuses it answers early, and closes: to write once more would fail, and the
        answer be lost by that.
        """
        if self.transport is not None:
            self.transport.set_write_buffer_limits(high=1, low=0)
        whole = memoryview(body)
        for start in range(0, len(body), PIECE):
            await self._can_write(answer)
            if self.transport is None or self._is_ending(answer):
                return False
            self.transport.write(whole[start : start + PIECE])
            await asyncio.sleep(0)
        return True

    async def _can_write(self, answer: "asyncio.Future[Any]") -> None:
        """Wait until the last piece is with the kernel, and what came has been read."""
        for _ in range(TURNS):
            while self._paused and not self._is_ending(answer):
                room = self._room = self._loop.create_future()
                await asyncio.wait([room] if answer.done() else [room, answer], return_when=FIRST)
            if self._is_ending(answer) or not self.has_input():
                return
            await asyncio.sleep(0)

    def _is_ending(self, answer: "asyncio.Future[Any]") -> bool:
        """Tell whether there is a final answer, or a failure."""
        if self.transport is None or self._exception is not None:
            return True
        if not answer.done():
            return False
        return answer.result() is not None or any(
            message.code >= 200 for (message, _), _ in self._buffer
        )

    def resume_writing(self) -> None:
        """Go on with a large body."""
        super().resume_writing()
        self._wake()

    def _wake(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    async def _parsed(self, limit: int) -> RawResponse:
        """Take an answer from aiohttp's parser, as it comes."""
        while True:
            message, payload = await self.read()
            if not 100 <= message.code < 200 or message.code == 101:
                break
        headers = message.headers.copy()
        reply = RawResponse(message.code, headers, encoding=headers.get("Content-Encoding"))
        await read_body(reply, payload.readany, limit)
        return reply

    def data_received(self, data: bytes) -> None:
        """Read what came, or have the parser read it."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            reply = plain_reply(data, self._limit)
            answer.set_result(reply)
            if reply is not None:
                return
            self.set_response_params(
                auto_decompress=False,
                read_until_eof=True,
                max_line_size=MOST_HEADER_BYTES,
                max_field_size=MOST_HEADER_BYTES,
            )
        super().data_received(data)
        self._wake()

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Let what waits fail."""
        super().set_exception(exc, *(() if exc_cause is None else (exc_cause,)))
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(exc)  # as its exception, asyncio would log it where nobody waits
        self._wake()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the time."""
        self._drop_alarm()
        super().connection_lost(exc)
        self._wake()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT002 - aiohttp calls it
        """Go on reading, if that was paused; aiohttp parses nothing once more if it was not."""
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
