"""Receiver for aiohttp: an application, or routes for one."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from connectus_async.webhooks.access import AccessCheck, RequestHead
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
    """Make an aiohttp application that receives webhooks, to run or to add to another.

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
        app = web.Application()
        app.add_subapp("/webhooks", webhooks.aiohttp_app(handle, secret=SECRET))
        ```
    """
    from aiohttp import web  # noqa: PLC0415 - slow to import, and WSGI does not need it

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
    """Make routes that receive webhooks, at a path and at everything below it.

    Args:
        handler: As for `aiohttp_app`.
        path: The path, such as ``/webhooks``.
        secret: As for `aiohttp_app`.
        allowed_networks: As for `aiohttp_app`.
        trusted_proxies: As for `aiohttp_app`.
        insecure: As for `aiohttp_app`.
        timeout: As for `aiohttp_app`.

    Raises:
        ConfigurationError: Nothing protects the receiver, or an argument is invalid.

    Example:
        ```python
        app.add_routes(webhooks.aiohttp_routes(handle, "/webhooks", secret=SECRET))
        ```
    """
    access = AccessCheck(
        secret=secret,
        allowed_networks=allowed_networks,
        trusted_proxies=trusted_proxies,
        insecure=insecure,
    )
    from aiohttp import web  # noqa: PLC0415 - as above

    receiver = AsyncReceiver(handler, access, timeout)

    async def receive(request: web.Request) -> web.Response:
        async def chunk() -> tuple[bytes, bool]:
            content = request.content
            return await content.readany(), not content.at_eof()

        answer = await receiver.receive(_head(request), chunk)
        response = web.Response(body=answer.body, status=answer.status, headers=answer.fields)
        if answer.closes:
            response.force_close()
        return response

    return [web.route("*", path or "/", receive), web.route("*", path + "/{tail:.*}", receive)]


def _head(request: "web.Request") -> RequestHead:
    headers = request.headers
    return RequestHead(
        method=request.method,
        path=request.path,
        query=request.rel_url.raw_query_string,
        peer=request.remote,
        forwarded_for=",".join(headers.getall("X-Forwarded-For", ())),
        length=headers.get("Content-Length"),
        encoding=headers.get("Content-Encoding", ""),
    )
