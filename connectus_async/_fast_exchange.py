"""Exchanges on aiohttp's connections and with its parser, but without its session.

Names, TLS, the limit of connections, keep-alive and parsing stay aiohttp's own. What is left out is
``ClientSession._request``, which is made for everything that HTTP can be and takes more than the
rest of a call together. It relies on parts of aiohttp that are not public, so it is used only with
the versions in `KNOWN_VERSIONS`; `PublicExchange` serves all others, proxies and large bodies, on
the same rules. A test compares the source of those parts, and says what to do when it changed.

What each trick spares a call. It takes 57 us without the network and the kernel, where one through
`PublicExchange` takes 170 us and a bare ``session.post`` with ``json`` 152 us:

======================================================================  ======
nothing of a session: no request, response, cookies, task and tracing    97 us
a scope that shields is entered once something is cancelled, not before  12 us
the head of a request is kept, all but the length of the body             7 us
one timer for a connection, not one for each exchange                     6 us
a kept connection is taken without coroutine and object for the loan      2 us
nothing is parsed again where reading was not paused                      1 us
======================================================================  ======
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar, cast

import aiohttp
import anyio
from aiohttp import ClientRequest
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey

from connectus_async._exchange import (
    LARGE_BODY,
    Connector,
    Endpoint,
    Limits,
    PublicExchange,
    Reply,
    read_body,
    too_large,
)

ReadT = TypeVar("ReadT")

_NO_TRACES: Final[list[Any]] = []
_EARLY: Final = 0.002
"""Seconds by which a timer may go off early: the clocks of event loops are coarse."""


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

    async def __call__(
        self, endpoint: Endpoint, method: str, target: str, body: bytes | None, limits: Limits
    ) -> Reply:
        """Make one exchange."""
        if body is not None and len(body) >= LARGE_BODY:
            return await self._public(endpoint, method, target, body, limits)
        deadline = self._loop.time() + limits.total
        request = _request(endpoint.head(method, target), body)
        key, route = self._routes.get(endpoint.base_url) or self._route(endpoint)
        connection = self._connector.lease(key)
        if connection is None:
            connection = await self._connect(route, deadline, limits)
        is_clean = False
        try:
            reply = await _converse(connection, request, deadline, limits)
            is_clean = reply.problem is None
        finally:
            self._connector.give_back(key, connection, is_clean=is_clean)
        return reply

    def _route(self, endpoint: Endpoint) -> tuple[ConnectionKey, ClientRequest]:
        """Describe a host in the way in which the connector wants it."""
        request = ClientRequest("GET", endpoint.url(""), loop=self._loop)
        route = self._routes[endpoint.base_url] = request.connection_key, request
        return route

    async def _connect(
        self, route: ClientRequest, deadline: float, limits: Limits
    ) -> "_Connection":
        with anyio.CancelScope(shield=limits.finishes):
            async with asyncio.timeout_at(deadline):
                return await self._connector.lease_new(route, limits)
        raise AssertionError  # nobody cancels this scope


class FastConnector(Connector):
    """Lends its connections without a coroutine, and without an object that stands for the loan."""

    def __init__(self, *, keepalive_timeout: float, **settings: Any) -> None:
        super().__init__(keepalive_timeout=keepalive_timeout, **settings)
        self._kept_for = keepalive_timeout
        self._factory = partial(_Connection, loop=self._loop)  # type: ignore[assignment]

    def lease(self, key: ConnectionKey) -> "_Connection | None":
        """Take a kept connection, as `_get` does, but none on which the server spoke unasked."""
        kept = self._conns.get(key)
        if kept is None:
            return None
        oldest = time.monotonic() - self._kept_for
        connection: ResponseHandler | None = None
        while kept and connection is None:
            candidate, since = kept.popleft()
            if since >= oldest and candidate.is_connected() and not candidate.should_close:
                connection = candidate
                self._acquired.add(connection)
            else:
                candidate.close()
        if not kept:
            del self._conns[key]
        return cast("_Connection | None", connection)

    async def lease_new(self, route: ClientRequest, limits: Limits) -> "_Connection":
        """Take a connection as soon as there is one."""
        try:
            loan = await self.connect(route, _NO_TRACES, limits.timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        connection, loan._protocol = loan._protocol, None  # noqa: SLF001 - or it gives it back
        return cast("_Connection", connection)

    def give_back(self, key: ConnectionKey, connection: "_Connection", *, is_clean: bool) -> None:
        """Keep a connection for the next exchange, or close it if that is not safe."""
        self._release(key, connection, should_close=not is_clean)


async def _converse(
    connection: "_Connection", request: bytes, deadline: float, limits: Limits
) -> Reply:
    """Write a request to a connection, and read its answer."""
    transport = connection.transport
    if transport is None or transport.is_closing():
        raise aiohttp.ServerDisconnectedError
    connection.set_response_params(auto_decompress=False, read_until_eof=True)
    connection.wait_until(deadline)
    transport.write(request)
    while True:
        message, payload = await _read(connection.read, limits)
        if not 100 <= message.code < 200 or message.code == 101:
            break
    reply = Reply(message.code, message.headers.copy())
    if payload.is_eof():
        reply.body = payload.read_nowait()
        if len(reply.body) > limits.answer:
            reply.body, reply.problem = b"", too_large(limits.answer)
    else:
        await read_body(reply, partial(_read, payload.readany, limits), limits.answer)
    connection.wait_until(math.inf)
    return reply


def _request(head: bytes, body: bytes | None) -> bytes:
    if body is None:
        return head + b"\r\n"
    return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


async def _read(read: Callable[[], Awaitable[ReadT]], limits: Limits) -> ReadT:
    """Read from a connection; if the exchange is to be finished, also in a cancelled scope.

    A scope that shields from the beginning costs more than the whole of the reading.
    """
    try:
        return await read()
    except asyncio.CancelledError:
        if not limits.finishes or anyio.current_effective_deadline() > -math.inf:
            raise  # it does not come from a scope, which would say it again
    with anyio.CancelScope(shield=True):
        return await read()
    raise AssertionError  # a shield lets no cancellation end its block early


class _Connection(ResponseHandler):
    """A connection that ends what waits on it when the time is up.

    Its timer is not set anew with each exchange: it goes off once in the length of the time limit,
    and looks when it has to go off next.
    """

    _deadline = math.inf
    _alarm: asyncio.TimerHandle | None = None
    _alarm_at = math.inf

    def wait_until(self, deadline: float) -> None:
        """Let what waits on the connection fail with a `TimeoutError` at a time of the loop."""
        self._deadline = deadline
        if deadline < self._alarm_at:
            self._set_alarm(deadline)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the time."""
        self._drop_alarm()
        super().connection_lost(exc)

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
            self.wait_until(self._deadline)
            return
        self.set_exception(TimeoutError())
        if self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(TimeoutError())
