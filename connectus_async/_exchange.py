"""How one HTTP exchange is made with aiohttp: a request out, its answer in.

What becomes of the exchange is decided in `transport`; here bytes are moved, and what goes wrong is
raised as it comes from aiohttp. There are two ways to do it: `PublicExchange` here, which works
with every aiohttp, and `FastExchange` of `_fast_exchange`, where aiohttp is one that it knows.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Protocol

import aiohttp
import attrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict
from yarl import URL

from connectus_async._sockets import close_in_order, end_with_process, input_of
from connectus_async.errors import ClientClosedError

LARGE_BODY: Final = 2**20
"""From this many bytes on, aiohttp wants a request body as a stream."""

READ_AT_MOST: Final = 2**16
"""Bytes that a connection reads at once. asyncio makes room for 256 KiB each time, so much that
memory is mapped and unmapped for an answer of 200 bytes: 20 µs where that was measured."""

MOST_HEADER_BYTES: Final = 2**16
"""Bytes of a header field that are read. aiohttp reads 8 KiB, and makes an error of a 401 with a
longer cookie or policy, which then could not be told from an answer that is no HTTP."""

LOOK_EVERY: Final = 0.25
"""Seconds after which somebody who connects looks whether the loop was blocked."""

BLOCKED: Final = 0.1
"""Seconds of a pause of the loop, for which no server is to blame."""

TURNS: Final = 4
"""Turns of the event loop within which it reads what has come; uvloop takes more than asyncio."""

PIECE: Final = 2**16
"""Bytes of a large body that are written at once."""

MAX_HEADS: Final = 64
"""How many heads are kept: all that carry no identifier, and not all that do."""


@attrs.frozen(eq=False)
class Endpoint:
    """A host of the API, and what every request to it carries.

    Attributes:
        base_url: What a target is put behind.
        headers: The header fields of every request, credentials included.
        proxy: The URL of the proxy that leads there, with its credentials.
    """

    base_url: str
    headers: CIMultiDict[str] = attrs.field(repr=False)
    proxy: str | None = attrs.field(default=None, repr=False)
    _heads: dict[tuple[str, str], bytes] = attrs.field(factory=dict, init=False, repr=False)

    def head(self, method: str, target: str) -> bytes:
        """Write the head of a request, but for what depends on its body."""
        head = self._heads.get((method, target))
        if head is None:
            head = self._write_head(method, target)
            if len(self._heads) < MAX_HEADS:
                self._heads[method, target] = head
        return head

    def url(self, target: str) -> URL:
        """Put a target behind the base URL."""
        return URL(self.base_url + target, encoded=True)

    def _write_head(self, method: str, target: str) -> bytes:
        url = self.url(target)
        lines = [f"{method} {url.raw_path_qs} HTTP/1.1", f"Host: {url.host_port_subcomponent}"]
        lines += (f"{name}: {value}" for name, value in self.headers.items())
        return "\r\n".join([*lines, ""]).encode()


def _times(limits: "Limits") -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=limits.connect)


@attrs.frozen
class Limits:
    """What an exchange may take.

    Attributes:
        total: Seconds from the search for a connection to the last byte of the answer.
        connect: Seconds to connect, once the name is resolved.
        answer: Bytes of the answer's body.
        timeout: The time to connect in aiohttp's words.
    """

    total: float
    connect: float
    answer: int
    timeout: aiohttp.ClientTimeout = attrs.field(
        init=False, repr=False, default=attrs.Factory(_times, takes_self=True)
    )


@attrs.define
class RawResponse:
    """What came back, once there were a status line and headers.

    Attributes:
        status: The HTTP status code.
        headers: The header fields.
        body: The body as it came; empty if there is a problem.
        encoding: How the body is encoded, if it is.
        problem: Why there is no whole body: a `ValueError` that says so if it is too large, else
            what broke it off.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    encoding: str | None = None
    problem: Exception | None = None


class Exchange(Protocol):
    """A way to make exchanges."""

    async def __call__(
        self, endpoint: Endpoint, method: str, target: str, body: bytes | None, limits: Limits
    ) -> RawResponse:
        """Make one exchange.

        Raises:
            ClientClosedError: The client was closed while it waited for a connection.
            Exception: There is no status line; `failed_while_connecting` tells how far it came.
        """
        ...


class PublicExchange:
    """Exchanges through aiohttp's session, as its documentation has them."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def __call__(
        self, endpoint: Endpoint, method: str, target: str, body: bytes | None, limits: Limits
    ) -> RawResponse:
        """Make one exchange."""
        due = time.monotonic() + limits.total
        headers = endpoint.headers
        data: Any = body
        written: list[bool] = []
        is_large = body is not None and len(body) >= LARGE_BODY
        if body is not None and is_large:
            headers = headers.copy()
            headers["Content-Length"] = str(len(body))
            data = _pieces(body, written)
        async with time_limit(due):
            response = await self._session.request(
                method,
                endpoint.url(target),
                data=data,
                headers=headers,
                timeout=limits.timeout,
                allow_redirects=False,
                proxy=endpoint.proxy,
            )

        async def read() -> bytes:
            async with time_limit(due):
                return await response.content.readany()

        async with response:
            fields = CIMultiDict(response.headers)
            reply = RawResponse(response.status, fields, encoding=fields.get("Content-Encoding"))
            await read_body(reply, read, limits.answer)
            if reply.problem is not None or (is_large and not written):
                response.close()
        if is_large and not written:
            came_early(reply)
        return reply


class EarlyAnswerError(Exception):
    """A success was answered before the whole request was written: nobody can have acted on it."""


def came_early(reply: RawResponse) -> None:
    """Note that no more of the request was written once the answer had come."""
    if 200 <= reply.status < 300:
        reply.problem = EarlyAnswerError()


_has_input: ContextVar[Callable[[], object]] = ContextVar("connectus_has_input")
"""Of the connection that the exchange of this context got."""


async def _pieces(body: bytes, written: list[bool]) -> AsyncIterator[bytes]:
    """Hand out a body, each piece after the loop has read what came.

    A server that refuses it answers early, and closes: to write before the answer is read would
    fail, and the answer be lost by that.
    """
    for start in range(0, len(body), PIECE):
        for _ in range(TURNS):
            await asyncio.sleep(0)
            if not _has_input.get(bool)():
                break
        if start + PIECE >= len(body):
            written.append(True)
        yield body[start : start + PIECE]


@asynccontextmanager
async def time_limit(due: float) -> AsyncIterator[None]:
    """Raise a `TimeoutError` when the time has come, but not for what came while the loop slept.

    aiohttp's own limit, and asyncio's, end what waits for an answer that has come meanwhile.

    Args:
        due: The time, by the monotonic clock.
    """
    loop = asyncio.get_running_loop()
    wait = max(0.0, due - time.monotonic())
    awaited = time.monotonic() + wait

    def run_out() -> None:
        is_late = time.monotonic() - awaited > BLOCKED
        limit.reschedule(loop.time() + (LOOK_EVERY if is_late else 0))

    async with asyncio.timeout(None) as limit:
        timer = loop.call_later(wait, run_out)
        try:
            yield
        finally:
            timer.cancel()


async def read_body(reply: RawResponse, read: Callable[[], Awaitable[bytes]], limit: int) -> None:
    """Put the body into a reply, or the reason why it is not whole.

    Args:
        reply: The reply.
        read: Reads what there is, and nothing at the end.
        limit: Bytes that are read at most.
    """
    chunks = []
    size = 0
    try:
        while chunk := await read():
            size += len(chunk)
            if size > limit:
                reply.problem = too_large(limit)
                return
            chunks.append(chunk)
    except (aiohttp.ClientError, OSError) as error:
        reply.problem = error
    else:
        reply.body = b"".join(chunks)


def too_large(limit: int) -> ValueError:
    """Say that a body is larger than is read."""
    return ValueError(f"it has more than {limit} bytes")


class ResponseProtocol(ResponseHandler):
    """aiohttp's end of a connection, from which nothing more leaves once it is closed.

    A request that was given up must not reach the server later, when its outcome was looked for.
    """

    has_input: Callable[[], object]
    """Tells whether there is something that the loop has not read; it may be blocked."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have asyncio's own transport read less at once; others have a buffer that they keep."""
        untyped: Any = transport
        if hasattr(untyped, "max_size"):
            untyped.max_size = READ_AT_MOST
        sock = transport.get_extra_info("socket")
        end_with_process(sock)
        self.has_input = input_of(sock)
        super().connection_made(transport)

    def close(self) -> None:
        """Close the connection, at once if there is something that has not arrived."""
        if self._closes_in_order():
            super().close()
        else:
            super().abort()

    def abort(self) -> None:
        """Close the connection at once."""
        self._closes_in_order()
        super().abort()

    def eof_received(self) -> None:
        """Let the transport close the connection, as the server did."""
        self._closes_in_order()
        super().eof_received()

    def _closes_in_order(self) -> bool:
        transport = self.transport
        if transport is None:
            return True
        if transport.get_write_buffer_size():
            return False
        sock = transport.get_extra_info("socket")
        return sock is not None and close_in_order(sock)


class _Pauses:
    """Sees how long a loop does nothing that it is asked to.

    Attributes:
        longest: Seconds of the longest pause.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.longest = 0.0
        self._loop = loop
        self._look()

    def _look(self) -> None:
        self._due = time.monotonic() + LOOK_EVERY
        self._handle = self._loop.call_later(LOOK_EVERY, self._see)

    def _see(self) -> None:
        self.longest = max(self.longest, time.monotonic() - self._due)
        self._look()

    def stop(self) -> None:
        """Look no more."""
        self._handle.cancel()


class Connector(aiohttp.TCPConnector):
    """Tells a failure to get a connection from a later one.

    The type of the exception does not tell: when the total time runs out, aiohttp raises the same
    ``TimeoutError`` whether it was still connecting or already waiting for the answer. So every
    failure to get a connection is marked, cancellation by a timeout included.
    """

    async def connect(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        """Get a connection on which the server has not spoken yet, or mark the failure."""
        try:
            loan = await self._connect_again(*args, **kwargs)
            try:
                self._check(loan)
            except BaseException:
                loan.close()
                raise
        except asyncio.CancelledError as error:
            not_sent(error)
            task = asyncio.current_task()
            if self.closed and task is not None and not task.cancelling():
                raise ClientClosedError from None  # close() wakes those who wait by cancelling
            raise
        except BaseException as error:
            not_sent(error)
            raise
        return loan

    async def _connect_again(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        """Connect, again where the time ran out because the loop was blocked.

        Then the server may have answered at once, and nobody was there to see it.
        """
        while True:
            pauses = _Pauses(self._loop)
            try:
                return await super().connect(*args, **kwargs)
            except TimeoutError:
                if pauses.longest < BLOCKED:
                    raise
            finally:
                pauses.stop()

    def _check(self, loan: aiohttp.connector.Connection) -> None:
        """Refuse a connection that was closed, or spoken on, before anything was written."""
        if loan.closed or getattr(loan.protocol, "should_close", False):
            raise aiohttp.ServerDisconnectedError


class KeepingConnector(Connector):
    """Lends a kept connection again, but none on which the server spoke unasked, or that it closed.

    aiohttp would read that as the answer to the next request, whose message would then count as
    accepted whatever became of it. It relies on parts of aiohttp that are not public, so it is used
    only with versions that `_fast_exchange` knows.
    """

    def __init__(self, *, keepalive_timeout: float, **settings: Any) -> None:
        super().__init__(keepalive_timeout=keepalive_timeout, **settings)
        self._kept_for = keepalive_timeout
        self._factory = partial(ResponseProtocol, loop=self._loop)  # type: ignore[assignment]

    def _check(self, loan: aiohttp.connector.Connection) -> None:
        """Tell the exchange how to look at the connection."""
        super()._check(loan)
        protocol: Any = loan.protocol
        _has_input.set(protocol.has_input)

    def lease(self, key: ConnectionKey) -> Any:
        """Take the connection that was used last, which the server is least likely to close.

        One from which there is something to read stays until the loop has read it.
        """
        kept: Any = self._conns.get(key)
        if not kept:
            return None
        connection, since = kept[-1]
        is_good = since >= time.monotonic() - self._kept_for and connection.is_connected()
        if not is_good or connection.should_close or connection.has_input():
            return self._lease_another(kept)
        kept.pop()
        self._acquired.add(connection)
        return connection

    def _lease_another(self, kept: Any) -> Any:
        oldest = time.monotonic() - self._kept_for
        unread: list[tuple[Any, float]] = []
        leased = None
        while kept and leased is None:
            connection, since = entry = kept.pop()
            if since < oldest or not connection.is_connected() or connection.should_close:
                connection.close()
            elif connection.has_input():
                unread.append(entry)
            else:
                self._acquired.add(connection)
                leased = connection
        kept.extendleft(unread)
        return leased

    async def _create_proxy_connection(self, *args: Any, **kwargs: Any) -> Any:
        """Connect through a proxy in the time for a connection; aiohttp waits for it for longer."""
        given = (*args, *kwargs.values())
        limits = (each.sock_connect for each in given if isinstance(each, aiohttp.ClientTimeout))
        async with asyncio.timeout(next(limits, None)):
            return await super()._create_proxy_connection(*args, **kwargs)

    async def _get(
        self,
        key: ConnectionKey,
        traces: list[Any],  # noqa: ARG002 - there are none
    ) -> aiohttp.connector.Connection | None:
        """Take a kept connection, after the loop has read what there was to read.

        Over TLS that may be a session ticket, and the connection as good as before.
        """
        leased = self.lease(key)
        for _ in range(TURNS):
            if leased is not None or not self._conns.get(key):
                break
            await asyncio.sleep(0)
            leased = self.lease(key)
        if leased is not None:
            return aiohttp.connector.Connection(self, key, leased, self._loop)
        for connection, _ in self._conns.pop(key, ()):
            connection.close()
        return None


_lent: ContextVar[list[tuple[asyncio.Transport, socket.socket]]] = ContextVar("connectus_lent")


class OneTimeConnector(Connector):
    """Makes a new connection for each request, with aiohttp's public interface alone."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, force_close=True)

    def _check(self, loan: aiohttp.connector.Connection) -> None:
        """Hold the socket besides, for the exchange that asked for the connection."""
        super()._check(loan)
        transport = loan.transport
        if transport is None:
            raise AssertionError  # it is not closed
        sock = transport.get_extra_info("socket")
        held = socket.fromfd(sock.fileno(), sock.family, sock.type)
        _lent.get().append((transport, held))
        _has_input.set(input_of(held))
        end_with_process(held)


class OneTimeExchange(PublicExchange):
    """Exchanges over the connections of a `OneTimeConnector`, which end with the exchange."""

    async def __call__(
        self, endpoint: Endpoint, method: str, target: str, body: bytes | None, limits: Limits
    ) -> RawResponse:
        """Make one exchange, and take back what has not left when it is over."""
        lent: list[tuple[asyncio.Transport, socket.socket]] = []
        token = _lent.set(lent)
        try:
            return await super().__call__(endpoint, method, target, body, limits)
        finally:
            _lent.reset(token)
            for transport, held in lent:
                with held:
                    if not close_in_order(held):
                        transport.abort()


def not_sent(error: BaseException) -> BaseException:
    """Mark an error as one that came before the first byte of the request was written."""
    error.connectus_not_sent = True  # type: ignore[attr-defined]
    return error


def failed_while_connecting(error: BaseException) -> bool:
    """Tell whether an exchange failed before there was a connection to write to."""
    return any(
        getattr(link, "connectus_not_sent", False) for link in (error, error.__cause__) if link
    )
