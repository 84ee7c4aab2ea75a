"""Requests and answers of messages, as they were on the wire, in bounded memory."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from attrs import define, field

from connectus_async.emulator.faults import SENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from connectus_async.emulator.messages import Received

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PART_LIMIT: Final = 64 * 2**10
"""Bytes kept of a body; an email may be far longer."""
TOTAL_LIMIT: Final = 64 * 2**20
"""Bytes kept of all messages; beyond, the oldest are dropped."""
_OVERHEAD: Final = 400
_SHARED_HEADS: Final = 256
_SCHEMES: Final = frozenset({b"basic", b"bearer"})
_SECRET: Final = frozenset({b"authorization", b"proxy-authorization", b"cookie"})


@define(eq=False, repr=False)
class Exchange:
    """One request and its answer."""

    request: web.Request | None
    id_message: str | None = None
    request_head: bytes = b""
    request_body: bytes = b""
    request_size: int = 0
    answer_head: bytes = b""
    answer_body: bytes = b""
    answer_size: int = 0
    bytes: int = 0

    async def shown(self) -> dict[str, Any]:
        """Return the exchange as JSON; ``answer`` is None if there was none, or none yet."""
        head, body, size = self.request_head, self.request_body, self.request_size
        if self.request is not None:
            whole = await self.request.read()  # the call has read it, so this does not wait
            head, body, size = _request_head(self.request), whole[:PART_LIMIT], len(whole)
        answered = _part(self.answer_head, self.answer_body, self.answer_size)
        return {
            "ended": self.request is None,
            "request": _part(head, body, size),
            "answer": answered if self.answer_head else None,
        }


EXCHANGE: Final = web.RequestKey("connectus_async.exchange", Exchange)
"""Where a request has its exchange."""


@define(eq=False, repr=False)
class Wire:
    """The exchanges of messages, by the id of the message; the oldest are dropped.

    Args:
        total_limit: Bytes to keep.
    """

    total_limit: int = TOTAL_LIMIT
    _kept: dict[str, Exchange] = field(factory=dict[str, Exchange])
    _bytes: int = 0
    _heads: dict[bytes, bytes] = field(factory=dict[bytes, bytes])
    _current: ContextVar[Exchange | None] = field(
        factory=lambda: ContextVar("exchange", default=None)
    )

    async def record(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, and record the exchange."""
        exchange = request[EXCHANGE] = Exchange(request)
        token = self._current.set(exchange)
        try:
            return await handler(request)
        finally:
            self._current.reset(token)
            if exchange.id_message is not None:
                body = await request.read()
                exchange.request_head = self._shared(_request_head(request))
                exchange.request_body, exchange.request_size = body[:PART_LIMIT], len(body)
                self._add(exchange, len(exchange.request_body))
            exchange.request = None

    def accepted(self, message: Received) -> None:
        """Keep the present exchange, which sent a message."""
        exchange = self._current.get()
        if exchange is not None:
            exchange.id_message = message.id
            self._kept[message.id] = exchange
            self._add(exchange, _OVERHEAD)

    def answering(self, exchange: Exchange, response: web.StreamResponse) -> None:
        """Record an answer, whose headers are complete."""
        if exchange.id_message is not None:
            raw = response.body if isinstance(response, web.Response) else response.get(SENT)
            body = raw if isinstance(raw, bytes) else b""
            exchange.answer_head = self._shared(_answer_head(response))
            exchange.answer_body, exchange.answer_size = body[:PART_LIMIT], len(body)
            self._add(exchange, len(exchange.answer_body))

    def get(self, id_message: str) -> Exchange | None:
        """Return the exchange of a message, if it is still kept."""
        return self._kept.get(id_message)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
        self._heads.clear()
        self._bytes = 0

    def _add(self, exchange: Exchange, size: int) -> None:
        if exchange.id_message not in self._kept:
            return
        exchange.bytes += size
        self._bytes += size
        while self._bytes > self.total_limit and self._kept:
            oldest = self._kept.pop(next(iter(self._kept)))
            self._bytes -= oldest.bytes

    def _shared(self, head: bytes) -> bytes:
        """Return an equal head that is kept already: those of one client differ in little."""
        if len(self._heads) >= _SHARED_HEADS:
            self._heads.clear()
        return self._heads.setdefault(head, head)


def _request_head(request: web.Request) -> bytes:
    major, minor = request.version
    first = f"{request.method} {request.raw_path} HTTP/{major}.{minor}"
    lines = [first.encode(errors="surrogateescape")]
    lines += [
        b"%b: %b" % (name, _masked(value) if name.lower() in _SECRET else value)
        for name, value in request.raw_headers
    ]
    return b"\r\n".join(lines)


def _masked(value: bytes) -> bytes:
    """Mask credentials; a scheme of the API may be seen."""
    scheme = value.partition(b" ")[0]
    return scheme + b" ***" if scheme.lower() in _SCHEMES else b"***"


def _answer_head(response: web.StreamResponse) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    return "\r\n".join(lines).encode(errors="surrogateescape")


def _part(head: bytes, body: bytes, size: int) -> dict[str, Any]:
    return {
        "head": head.decode(errors="replace"),
        "body": body.decode(errors="replace"),
        "size": size,
        "cut": size > len(body),
    }
