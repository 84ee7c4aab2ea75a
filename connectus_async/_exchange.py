"""HTTP exchanges with aiohttp: one request and its response.

This module moves bytes, and raises errors as aiohttp does; `transport` decides the outcome. There
are two implementations: `PublicExchange` works with every aiohttp, and `FastExchange` of
`_fast_exchange` only with the versions it was tested with.
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
"""Size from which aiohttp expects a request body as a stream."""

READ_SIZE: Final = 2**16
"""Maximum bytes per read. asyncio allocates 256 KiB for each read, so much that memory is mapped
and unmapped for a response of 200 bytes, which was measured at 20 µs."""

MAX_HEADER_BYTES: Final = 2**16
"""Maximum bytes of a header field. aiohttp's default is 8 KiB: a 401 with a longer cookie or policy
would raise an error, and could not be told from a response that is not HTTP."""

LOOP_CHECK_INTERVAL: Final = 0.25
"""Seconds between checks for a blocked event loop."""

BLOCKED: Final = 0.1
"""Seconds of a pause of the event loop from which it counts as blocked: no server caused it."""

READ_ITERATIONS: Final = 4
"""Iterations of the event loop within which it reads available input; uvloop needs more than
asyncio."""

CHUNK_SIZE: Final = 2**16
"""Bytes of a large body per write."""

MAX_HEADS: Final = 64
"""Maximum cached heads: enough for all calls without an identifier in the path."""


@attrs.frozen(eq=False)
class Endpoint:
    """A host of the API, with the headers of every request to it.

    Attributes:
        base_url: The base URL of all targets.
        headers: The header fields of every request, including credentials.
        proxy: The URL of the proxy, with its credentials.
    """

    base_url: str
    headers: CIMultiDict[str] = attrs.field(repr=False)
    proxy: str | None = attrs.field(default=None, repr=False)
    _heads: dict[tuple[str, str], bytes] = attrs.field(factory=dict, init=False, repr=False)

    def head(self, method: str, target: str) -> bytes:
        """Return the head of a request, without the fields that depend on its body."""
        return self._heads.get((method, target)) or self._new_head(method, target)

    def url(self, target: str) -> URL:
        """Return the URL of a target."""
        return URL(self.base_url + target, encoded=True)

    def with_fields(self, fields: Mapping[str, str]) -> "Endpoint":
        """Return this host with further header fields, for one request."""
        headers = self.headers.copy()
        headers.update(fields)
        return _RequestEndpoint(self.base_url, headers, self.proxy, endpoint=self, fields=fields)

    def _new_head(self, method: str, target: str) -> bytes:
        head = self._write_head(method, target)
        if len(self._heads) < MAX_HEADS:
            self._heads[method, target] = head
        return head

    def _write_head(self, method: str, target: str) -> bytes:
        url = self.url(target)
        lines = [f"{method} {url.raw_path_qs} HTTP/1.1", f"Host: {url.host_port_subcomponent}"]
        lines += (f"{name}: {value}" for name, value in self.headers.items())
        return "\r\n".join([*lines, ""]).encode()


@attrs.frozen(eq=False)
class _RequestEndpoint(Endpoint):
    """A host with further header fields, whose heads are made from those of the host."""

    _endpoint: Endpoint = attrs.field(kw_only=True, repr=False, alias="endpoint")
    _fields: Mapping[str, str] = attrs.field(kw_only=True, repr=False, alias="fields")

    def head(self, method: str, target: str) -> bytes:
        lines = "".join(f"{name}: {value}\r\n" for name, value in self._fields.items())
        return self._endpoint.head(method, target) + lines.encode("ascii")


def _times(limits: "Limits") -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=limits.connect)


@attrs.frozen
class Limits:
    """Limits of an exchange.

    Attributes:
        total: Seconds from getting a connection to the last byte of the response.
        connect: Seconds to connect, after name resolution.
        answer: Maximum bytes of the response's body.
        timeout: The time to connect, for aiohttp.
    """

    total: float
    connect: float
    answer: int
    timeout: aiohttp.ClientTimeout = attrs.field(
        init=False, repr=False, default=attrs.Factory(_times, takes_self=True)
    )


@attrs.define
class RawResponse:
    """An HTTP response with status line and headers, possibly with an incomplete body.

    Attributes:
        status: The HTTP status code.
        headers: The header fields.
        body: The body as received; empty if there is a problem.
        encoding: The ``Content-Encoding``, if any.
        problem: The reason for a missing body: a `ValueError` with a message if it is too large,
            else the error that cut it off.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    encoding: str | None = None
    problem: Exception | None = None


class Exchange(Protocol):
    """A callable that makes exchanges."""

    async def __call__(
        self, endpoint: Endpoint, method: str, target: str, body: bytes | None, limits: Limits
    ) -> RawResponse:
        """Make one exchange.

        Raises:
            ClientClosedError: The client was closed while waiting for a connection.
            Exception: There is no status line; see `failed_while_connecting`.
        """
        ...


class PublicExchange:
    """Exchanges through aiohttp's public session."""

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
            data = _chunks(body, written)
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
            raw = RawResponse(response.status, fields, encoding=fields.get("Content-Encoding"))
            await read_body(raw, read, limits.answer)
            if raw.problem is not None or (is_large and not written):
                response.close()
        if is_large and not written:
            mark_early(raw)
        return raw


class EarlyAnswerError(Exception):
    """A success arrived before the whole request was written, so nobody can have acted on it."""


def mark_early(raw: RawResponse) -> None:
    """Record that a response arrived before the whole request was written."""
    if 200 <= raw.status < 300:
        raw.problem = EarlyAnswerError()


_has_input: ContextVar[Callable[[], object]] = ContextVar("connectus_has_input")
"""Check for unread input on the connection of the current exchange."""


async def _chunks(body: bytes, written: list[bool]) -> AsyncIterator[bytes]:
    """Yield a body in chunks, each after the loop has read available input.

    A server that rejects a body responds early and closes the connection. A write before reading
    that response would fail, and lose it.
    """
    for start in range(0, len(body), CHUNK_SIZE):
        for _ in range(READ_ITERATIONS):
            await asyncio.sleep(0)
            if not _has_input.get(bool)():
                break
        if start + CHUNK_SIZE >= len(body):
            written.append(True)
        yield body[start : start + CHUNK_SIZE]


@asynccontextmanager
async def time_limit(due: float) -> AsyncIterator[None]:
    """Raise a `TimeoutError` at a given time, but not for input that arrived in a blocked loop.

    The time limits of aiohttp and asyncio would discard a response that has arrived meanwhile.

    Args:
        due: The time, by the monotonic clock.
    """
    loop = asyncio.get_running_loop()
    wait = max(0.0, due - time.monotonic())
    awaited = time.monotonic() + wait

    def run_out() -> None:
        is_late = time.monotonic() - awaited > BLOCKED
        limit.reschedule(loop.time() + (LOOP_CHECK_INTERVAL if is_late else 0))

    async with asyncio.timeout(None) as limit:
        timer = loop.call_later(wait, run_out)
        try:
            yield
        finally:
            timer.cancel()


async def read_body(raw: RawResponse, read: Callable[[], Awaitable[bytes]], limit: int) -> None:
    """Set the body of a response, or its problem.

    Args:
        raw: The response.
        read: Reads the next chunk, which is empty at the end.
        limit: Maximum bytes.
    """
    chunks = []
    size = 0
    try:
        while chunk := await read():
            size += len(chunk)
            if size > limit:
                raw.problem = too_large(limit)
                return
            chunks.append(chunk)
    except (aiohttp.ClientError, OSError) as error:
        raw.problem = error
    else:
        raw.body = b"".join(chunks)


def too_large(limit: int) -> ValueError:
    """Make the error of a body over the limit."""
    return ValueError(f"it has more than {limit} bytes")


class ResponseProtocol(ResponseHandler):
    """aiohttp's protocol of a connection, which sends nothing more once it is closed.

    An abandoned request must not reach the server later, after its outcome was looked up.
    """

    has_input: Callable[[], object]
    """Tells whether there is input that the loop has not read; it may be blocked."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make asyncio's own transport read less at once; others reuse their buffer."""
        untyped: Any = transport
        if hasattr(untyped, "max_size"):
            untyped.max_size = READ_SIZE
        sock = transport.get_extra_info("socket")
        end_with_process(sock)
        self.has_input = input_of(sock)
        super().connection_made(transport)

    def is_free(self) -> bool:
        """Tell whether an exchange may begin: it is open, and has no unsolicited input."""
        transport = self.transport
        return (
            transport is not None
            and not transport.is_closing()
            and not self.should_close
            and not self.has_input()
        )

    def close(self) -> None:
        """Close the connection, with a reset if unacknowledged bytes remain."""
        if self._closes_in_order():
            super().close()
        else:
            super().abort()

    def abort(self) -> None:
        """Abort the connection."""
        self._closes_in_order()
        super().abort()

    def eof_received(self) -> None:
        """Let the transport close the connection after the server."""
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


class _LoopPauses:
    """Measures how long an event loop is blocked.

    Attributes:
        longest: Seconds of the longest pause.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.longest = 0.0
        self._loop = loop
        self._schedule()

    def _schedule(self) -> None:
        self._due = time.monotonic() + LOOP_CHECK_INTERVAL
        self._handle = self._loop.call_later(LOOP_CHECK_INTERVAL, self._measure)

    def _measure(self) -> None:
        self.longest = max(self.longest, time.monotonic() - self._due)
        self._schedule()

    def stop(self) -> None:
        """Stop measuring."""
        self._handle.cancel()


class Connector(aiohttp.TCPConnector):
    """Marks failures to get a connection, to distinguish them from later ones.

    The type of the exception does not suffice: when the total time runs out, aiohttp raises the
    same ``TimeoutError`` while connecting and while waiting for the response. So every failure to
    get a connection is marked, including cancellation by a timeout.
    """

    async def connect(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        """Get a connection without unexpected input, or mark the failure."""
        try:
            connection = await self._connect_again(*args, **kwargs)
            try:
                self._check(connection)
            except BaseException:
                connection.close()
                raise
        except asyncio.CancelledError as error:
            mark_not_sent(error)
            task = asyncio.current_task()
            if self.closed and task is not None and not task.cancelling():
                raise ClientClosedError from None  # close() cancels waiting tasks
            raise
        except BaseException as error:
            mark_not_sent(error)
            raise
        return connection

    async def _connect_again(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        """Connect, and retry if the time ran out because the loop was blocked.

        The server may have accepted at once, unnoticed by the loop.
        """
        while True:
            pauses = _LoopPauses(self._loop)
            try:
                return await super().connect(*args, **kwargs)
            except TimeoutError:
                if pauses.longest < BLOCKED:
                    raise
            finally:
                pauses.stop()

    def _check(self, connection: aiohttp.connector.Connection) -> None:
        """Reject a connection that was closed, or has input, before anything was written."""
        if connection.closed or getattr(connection.protocol, "should_close", False):
            raise aiohttp.ServerDisconnectedError


class KeepingConnector(Connector):
    """Reuses kept connections, except closed ones and those with unsolicited input.

    aiohttp would read such input as the response to the next request, whose message would then
    count as accepted whatever happened to it. This class relies on private parts of aiohttp, so it
    is used only with the versions that `_fast_exchange` knows.
    """

    def __init__(self, *, keepalive_timeout: float, **settings: Any) -> None:
        super().__init__(keepalive_timeout=keepalive_timeout, **settings)
        self._kept_for = keepalive_timeout
        self._factory = partial(ResponseProtocol, loop=self._loop)  # type: ignore[assignment]

    def _check(self, connection: aiohttp.connector.Connection) -> None:
        """Give the exchange access to the connection's input check."""
        super()._check(connection)
        protocol: Any = connection.protocol
        _has_input.set(protocol.has_input)

    def lease(self, key: ConnectionKey) -> Any:
        """Take the most recently used connection, which the server is least likely to close.

        A connection with unread input stays until the loop has read it.
        """
        kept: Any = self._conns.get(key)
        if not kept:
            return None
        connection, since = kept[-1]
        if since < time.monotonic() - self._kept_for or not connection.is_free():
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
        """Connect through a proxy within the time to connect; aiohttp would wait longer."""
        given = (*args, *kwargs.values())
        limits = (each.sock_connect for each in given if isinstance(each, aiohttp.ClientTimeout))
        async with asyncio.timeout(next(limits, None)):
            return await super()._create_proxy_connection(*args, **kwargs)

    async def _get(
        self,
        key: ConnectionKey,
        traces: list[Any],  # noqa: ARG002 - always empty
    ) -> aiohttp.connector.Connection | None:
        """Take a kept connection, after the loop has read its input.

        Over TLS the input may be a session ticket, and the connection still usable.
        """
        leased = self.lease(key)
        for _ in range(READ_ITERATIONS):
            if leased is not None or not self._conns.get(key):
                break
            await asyncio.sleep(0)
            leased = self.lease(key)
        if leased is not None:
            return aiohttp.connector.Connection(self, key, leased, self._loop)
        for connection, _ in self._conns.pop(key, ()):
            connection.close()
        return None


_leased: ContextVar[list[tuple[asyncio.Transport, socket.socket]]] = ContextVar("connectus_leased")


class OneTimeConnector(Connector):
    """Opens a new connection for each request, through aiohttp's public interface only."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, force_close=True)

    def _check(self, connection: aiohttp.connector.Connection) -> None:
        """Duplicate the socket, for the exchange that requested the connection."""
        super()._check(connection)
        transport = connection.transport
        if transport is None:
            raise AssertionError  # the connection is open
        sock = transport.get_extra_info("socket")
        duplicate = socket.fromfd(sock.fileno(), sock.family, sock.type)
        _leased.get().append((transport, duplicate))
        _has_input.set(input_of(duplicate))
        end_with_process(duplicate)


class OneTimeExchange(PublicExchange):
    """Exchanges over connections of a `OneTimeConnector`, which close with the exchange."""

    async def __call__(
        self, endpoint: Endpoint, method: str, target: str, body: bytes | None, limits: Limits
    ) -> RawResponse:
        """Make one exchange, and discard unsent bytes when it is over."""
        leased: list[tuple[asyncio.Transport, socket.socket]] = []
        token = _leased.set(leased)
        try:
            return await super().__call__(endpoint, method, target, body, limits)
        finally:
            _leased.reset(token)
            for transport, duplicate in leased:
                with duplicate:
                    if not close_in_order(duplicate):
                        transport.abort()


def mark_not_sent(error: BaseException) -> BaseException:
    """Mark an error as raised before the first byte of the request was written."""
    error.connectus_not_sent = True  # type: ignore[attr-defined]
    return error


def failed_while_connecting(error: BaseException) -> bool:
    """Tell whether an exchange failed before there was a connection to write to."""
    return any(
        getattr(each, "connectus_not_sent", False) for each in (error, error.__cause__) if each
    )
