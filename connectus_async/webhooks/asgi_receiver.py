"""The receiver for ASGI: FastAPI, Starlette, Litestar, or a server such as uvicorn alone."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any, TypeAlias

from connectus_async.webhooks.gate import BROKEN_OFF, Gate, Head, Refused, Reply
from connectus_async.webhooks.receiver import DEFAULT_TIMEOUT, AsyncReceiver, Handler

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def asgi(
    handler: Handler,
    *,
    secret: str | None = None,
    allowed_networks: Iterable[str] = (),
    trusted_proxies: Iterable[str] = (),
    insecure: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
) -> AsgiApp:
    """Make an ASGI app that receives webhooks: to run as it is, or to mount in another.

    `connectus_async.webhooks` says what protects it, how events are ordered, and what is answered.

    Args:
        handler: Called with each event. An async function is awaited; any other runs in a worker
            thread.
        secret: What the URL must have as the last segment of its path or as the query value
            ``secret``: 16 or more letters, digits, ``-`` and ``_``.
        allowed_networks: The addresses and networks that may post, such as ``203.0.113.0/24``; any
            if left out.
        trusted_proxies: The addresses and networks of your own proxies, whose ``X-Forwarded-For``
            is believed; ``"unix"`` for one that comes through a Unix socket.
        insecure: Whether there may be neither ``secret`` nor ``allowed_networks``.
        timeout: Seconds in which a body has to come.

    Raises:
        ConfigurationError: Nothing protects the receiver, or an argument makes no sense.

    Example:
        ```python
        app = FastAPI()  # or Starlette()
        app.mount("/webhooks", webhooks.asgi(handle, secret=SECRET))
        ```
    """
    gate = Gate(
        secret=secret,
        allowed_networks=allowed_networks,
        trusted_proxies=trusted_proxies,
        insecure=insecure,
    )
    return _App(AsyncReceiver(handler, gate, timeout))


class _App:
    def __init__(self, receiver: AsyncReceiver) -> None:
        self._receiver = receiver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await _live(receive, send)
            case "websocket":
                await send({"type": "websocket.close"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def chunk() -> tuple[bytes, bool]:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(BROKEN_OFF)
            return message.get("body", b""), message.get("more_body", False)

        reply = await self._receiver.receive(_head(scope), chunk)
        is_http_1 = scope.get("http_version", "1.1").startswith("1")
        headers = _headers(reply, closes=reply.closes and is_http_1)
        # whoever wraps us may add to the list of headers: each answer has one of its own
        await send(
            {"type": "http.response.start", "status": reply.status, "headers": list(headers)}
        )
        await send({"type": "http.response.body", "body": reply.body})


async def _live(receive: Receive, send: Send) -> None:
    """Start and stop with the server, there being nothing to do."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _head(scope: Scope) -> Head:
    length, encoding, hops = None, b"", []
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = value.decode("latin-1")
        elif name == b"content-encoding":
            encoding = value
        elif name == b"x-forwarded-for":
            hops.append(value)
    client = scope.get("client")
    return Head(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        peer=client[0] if client else None,
        forwarded_for=b",".join(hops).decode("latin-1"),
        length=length,
        encoding=encoding.decode("latin-1"),
    )


@lru_cache(maxsize=64)
def _headers(reply: Reply, *, closes: bool) -> tuple[tuple[bytes, bytes], ...]:
    headers = tuple((name.lower().encode(), value.encode()) for name, value in reply.fields)
    return (*headers, (b"connection", b"close")) if closes else headers
