"""Receiver for ASGI: FastAPI, Starlette, Litestar, or a plain server such as uvicorn."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any, TypeAlias

from connectus_async.webhooks.access import (
    INCOMPLETE,
    AccessCheck,
    RejectedRequest,
    RequestHead,
    WebhookResponse,
)
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
    """Make an ASGI app that receives webhooks, to run by itself or to mount in another app.

    See `connectus_async.webhooks` for security, the order of events, and the responses.

    Args:
        handler: Called with each event. An async function is awaited; any other runs in a worker
            thread.
        secret: The required last segment of the URL's path, or its query value ``secret``: 16 or
            more letters, digits, ``-`` and ``_``.
        allowed_networks: The addresses and networks that may post, such as ``203.0.113.0/24``; any
            by default.
        trusted_proxies: The addresses and networks of your own proxies, whose ``X-Forwarded-For``
            is trusted; ``"unix"`` for a proxy that connects through a Unix socket.
        insecure: Whether to allow a receiver without ``secret`` and ``allowed_networks``.
        timeout: Seconds within which a body must arrive.

    Raises:
        ConfigurationError: Nothing protects the receiver, or an argument is invalid.

    Example:
        ```python
        app = FastAPI()  # or Starlette()
        app.mount("/webhooks", webhooks.asgi(handle, secret=SECRET))
        ```
    """
    access = AccessCheck(
        secret=secret,
        allowed_networks=allowed_networks,
        trusted_proxies=trusted_proxies,
        insecure=insecure,
    )
    return _App(AsyncReceiver(handler, access, timeout))


class _App:
    def __init__(self, receiver: AsyncReceiver) -> None:
        self._receiver = receiver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await _lifespan(receive, send)
            case "websocket":
                await send({"type": "websocket.close"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def chunk() -> tuple[bytes, bool]:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RejectedRequest(INCOMPLETE)
            return message.get("body", b""), message.get("more_body", False)

        answer = await self._receiver.receive(_head(scope), chunk)
        is_http_1 = scope.get("http_version", "1.1").startswith("1")
        headers = _headers(answer, closes=answer.closes and is_http_1)
        # a middleware may add headers to the list, so each response gets a copy
        await send(
            {"type": "http.response.start", "status": answer.status, "headers": list(headers)}
        )
        await send({"type": "http.response.body", "body": answer.body})


async def _lifespan(receive: Receive, send: Send) -> None:
    """Acknowledge startup and shutdown."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _head(scope: Scope) -> RequestHead:
    length, encoding, hops = None, b"", []
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = value.decode("latin-1")
        elif name == b"content-encoding":
            encoding = value
        elif name == b"x-forwarded-for":
            hops.append(value)
    client = scope.get("client")
    return RequestHead(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        peer=client[0] if client else None,
        forwarded_for=b",".join(hops).decode("latin-1"),
        length=length,
        encoding=encoding.decode("latin-1"),
    )


@lru_cache(maxsize=64)
def _headers(answer: WebhookResponse, *, closes: bool) -> tuple[tuple[bytes, bytes], ...]:
    headers = tuple((name.lower().encode(), value.encode()) for name, value in answer.fields)
    return (*headers, (b"connection", b"close")) if closes else headers
