"""How one HTTP exchange is made with aiohttp: a request out, its answer in.

What becomes of the exchange is decided in `transport`; here bytes are moved, and what goes wrong is
raised as it comes from aiohttp. There are two ways to do it: `PublicExchange` here, which works
with every aiohttp, and `FastExchange` of `_fast_exchange`, where aiohttp is one that it knows.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

import aiohttp
import attrs
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict
from yarl import URL

from connectus_async.errors import ClientClosedError

LARGE_BODY: Final = 2**20
"""From this many bytes on, aiohttp wants a request body as a stream."""

READ_AT_MOST: Final = 2**16
"""Bytes that a connection reads at once. asyncio makes room for 256 KiB each time, so much that
memory is mapped and unmapped for an answer of 200 bytes: 20 µs where that was measured."""

MOST_HEADER_BYTES: Final = 2**16
"""Bytes of a header field that are read. aiohttp reads 8 KiB, and makes an error of a 401 with a
longer cookie or policy, which then could not be told from an answer that is no HTTP."""

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
    return aiohttp.ClientTimeout(total=limits.total, sock_connect=limits.connect)


@attrs.frozen
class Limits:
    """What an exchange may take.

    Attributes:
        total: Seconds from the search for a connection to the last byte of the answer.
        connect: Seconds to connect, once the name is resolved.
        answer: Bytes of the answer's body.
        timeout: The two times in aiohttp's words.
    """

    total: float
    connect: float
    answer: int
    timeout: aiohttp.ClientTimeout = attrs.field(
        init=False, repr=False, default=attrs.Factory(_times, takes_self=True)
    )


@attrs.define
class Reply:
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
    ) -> Reply:
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
    ) -> Reply:
        """Make one exchange."""
        async with self._session.request(
            method,
            endpoint.url(target),
            data=body if body is None or len(body) < LARGE_BODY else io.BytesIO(body),
            headers=endpoint.headers,
            timeout=limits.timeout,
            allow_redirects=False,
            proxy=endpoint.proxy,
        ) as response:
            headers = CIMultiDict(response.headers)
            reply = Reply(response.status, headers, encoding=headers.get("Content-Encoding"))
            await read_body(reply, response.content.readany, limits.answer)
            if reply.problem is not None:
                response.close()
            return reply


async def read_body(reply: Reply, read: Callable[[], Awaitable[bytes]], limit: int) -> None:
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
    """aiohttp's end of a connection, which writes nothing more once it is closed.

    A request that was given up must not reach the server later, when its outcome was looked for.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have asyncio's own transport read less at once; others have a buffer that they keep."""
        untyped: Any = transport
        if hasattr(untyped, "max_size"):
            untyped.max_size = READ_AT_MOST
        super().connection_made(transport)

    def close(self) -> None:
        """Close the connection, at once if there is something that has not been written."""
        transport = self.transport
        if transport is not None and transport.get_write_buffer_size():
            self.abort()
        else:
            super().close()


class Connector(aiohttp.TCPConnector):
    """Tells a failure to get a connection from a later one, and a clean connection from another.

    The type of the exception does not tell: when the total time runs out, aiohttp raises the same
    ``TimeoutError`` whether it was still connecting or already waiting for the answer. So every
    failure to get a connection is marked, cancellation by a timeout included.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._factory = partial(ResponseProtocol, loop=self._loop)  # type: ignore[assignment]

    async def connect(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        """Get a connection, and mark the failure to get one."""
        try:
            return await super().connect(*args, **kwargs)
        except asyncio.CancelledError as error:
            error.connectus_not_sent = True  # type: ignore[attr-defined]
            task = asyncio.current_task()
            if self.closed and task is not None and not task.cancelling():
                raise ClientClosedError from None  # close() wakes those who wait by cancelling
            raise
        except BaseException as error:
            error.connectus_not_sent = True  # type: ignore[attr-defined]
            raise

    async def _create_proxy_connection(self, *args: Any, **kwargs: Any) -> Any:
        """Connect through a proxy in the time for a connection; aiohttp waits for it for longer."""
        given = (*args, *kwargs.values())
        limits = (each.sock_connect for each in given if isinstance(each, aiohttp.ClientTimeout))
        async with asyncio.timeout(next(limits, None)):
            return await super()._create_proxy_connection(*args, **kwargs)

    async def _get(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection | None:
        """Take a kept connection, but none on which the server spoke unasked.

        aiohttp would read that as the answer to the next request, whose message would then count as
        accepted whatever became of it.
        """
        while connection := await super()._get(*args, **kwargs):
            protocol = connection.protocol
            if protocol is not None and not protocol.should_close:
                return connection
            connection.close()
        return None


def failed_while_connecting(error: BaseException) -> bool:
    """Tell whether an exchange failed before there was a connection to write to."""
    return any(
        getattr(link, "connectus_not_sent", False) for link in (error, error.__cause__) if link
    )
