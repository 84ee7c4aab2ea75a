"""The receiver for aiohttp: an application, or routes for one."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from connectus_async.webhooks.gate import Gate, Head
from connectus_async.webhooks.receiver import DEFAULT_TIMEOUT, AsyncReceiver, Handler

if TYPE_CHECKING:
    from aiohttp import web


def aiohttp_app(
    handler: Handler,
    *,
    secret: str | None = None,
    allowed_networks: Iterable[str] = (),
    trusted_proxies: Iterable[str] = (),
    insecure: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
) -> "web.Application":
    """Make an aiohttp application that receives webhooks: to run, or to add to another.

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
        app = web.Application()
        app.add_subapp("/webhooks", webhooks.aiohttp_app(handle, secret=SECRET))
        ```
    """
    from aiohttp import web  # noqa: PLC0415 - it takes a while, and WSGI never needs it

    app = web.Application()
    app.add_routes(
        aiohttp_routes(
            handler,
            "",
            secret=secret,
            allowed_networks=allowed_networks,
            trusted_proxies=trusted_proxies,
            insecure=insecure,
            timeout=timeout,
        )
    )
    return app


def aiohttp_routes(
    handler: Handler,
    path: str,
    *,
    secret: str | None = None,
    allowed_networks: Iterable[str] = (),
    trusted_proxies: Iterable[str] = (),
    insecure: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
) -> "list[web.RouteDef]":
    """Make routes that receive webhooks, at a path and everywhere below it.

    Args:
        handler: As of `aiohttp_app`.
        path: Where they are, such as ``/webhooks``.
        secret: As of `aiohttp_app`.
        allowed_networks: As of `aiohttp_app`.
        trusted_proxies: As of `aiohttp_app`.
        insecure: As of `aiohttp_app`.
        timeout: As of `aiohttp_app`.

    Raises:
        ConfigurationError: Nothing protects the receiver, or an argument makes no sense.

    Example:
        ```python
        app.add_routes(webhooks.aiohttp_routes(handle, "/webhooks", secret=SECRET))
        ```
    """
    gate = Gate(
        secret=secret,
        allowed_networks=allowed_networks,
        trusted_proxies=trusted_proxies,
        insecure=insecure,
    )
    from aiohttp import web  # noqa: PLC0415 - as above

    receiver = AsyncReceiver(handler, gate, timeout)

    async def receive(request: web.Request) -> web.Response:
        async def chunk() -> tuple[bytes, bool]:
            content = request.content
            return await content.readany(), not content.at_eof()

        reply = await receiver.receive(_head(request), chunk)
        response = web.Response(body=reply.body, status=reply.status, headers=reply.fields)
        if reply.closes:
            response.force_close()
        return response

    return [web.route("*", path or "/", receive), web.route("*", path + "/{tail:.*}", receive)]


def _head(request: "web.Request") -> Head:
    headers = request.headers
    return Head(
        method=request.method,
        path=request.path,
        query=request.rel_url.raw_query_string,
        peer=request.remote,
        forwarded_for=",".join(headers.getall("X-Forwarded-For", ())),
        length=headers.get("Content-Length"),
        encoding=headers.get("Content-Encoding", ""),
    )
