"""Receiver for WSGI servers, such as gunicorn, uWSGI and mod_wsgi."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.client import responses
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from connectus_async.webhooks.access import (
    AccessCheck,
    RejectedRequest,
    RequestHead,
    WebhookResponse,
)
from connectus_async.webhooks.receiver import Handler, ThreadedReceiver

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication

UNREAD_CHUNKS: Final = WebhookResponse(
    HTTPStatus.BAD_REQUEST,
    "the chunked body cannot be read: uWSGI's http router needs http-chunked-input",
    closes=True,
)


def wsgi(
    handler: Handler,
    *,
    secret: str | None = None,
    allowed_networks: Iterable[str] = (),
    trusted_proxies: Iterable[str] = (),
    insecure: bool = False,
) -> "WSGIApplication":
    """Make a WSGI application that receives webhooks.

    See `connectus_async.webhooks` for security, the order of events, and the responses.
    The server limits how long a body may take, as for every WSGI application. A chunked body is
    accepted if the server marks its end (``wsgi.input_terminated``), under eventlet, and under
    uWSGI, whose own http router needs ``http-chunked-input``; elsewhere it gets a 411.

    Args:
        handler: A plain function, called with each event in the thread of its request.
        secret: The required last segment of the URL's path, or its query value ``secret``: 16 or
            more letters, digits, ``-`` and ``_``.
        allowed_networks: The addresses and networks that may post, such as ``203.0.113.0/24``; any
            by default.
        trusted_proxies: The addresses and networks of your own proxies, whose ``X-Forwarded-For``
            is trusted; ``"unix"`` for a proxy that connects through a Unix socket.
        insecure: Whether to allow a receiver without ``secret`` and ``allowed_networks``.

    Raises:
        ConfigurationError: Nothing protects the receiver, the handler is async, or an argument
            is invalid.

    Example:
        ```python
        application = webhooks.wsgi(handle, secret=SECRET)
        ```
    """
    access = AccessCheck(
        secret=secret,
        allowed_networks=allowed_networks,
        trusted_proxies=trusted_proxies,
        insecure=insecure,
    )
    receiver = ThreadedReceiver(handler, access)

    def application(environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        answer = receiver.receive(head_of(environ), reader(environ))
        status = f"{answer.status:d} {responses.get(answer.status, '')}"
        start_response(status, answer.fields)
        return [answer.body]

    return application


def reader(environ: dict[str, Any]) -> Callable[[int], bytes] | None:
    """Return a function that reads the body, or ``None`` if its end cannot be told."""
    if environ.get("CONTENT_LENGTH") or _ends_by_itself(environ):
        read: Callable[[int], bytes] = environ["wsgi.input"].read
        return read
    if "uwsgi.version" in environ and _is_chunked(environ):
        return _uwsgi_chunk
    return None


def _ends_by_itself(environ: dict[str, Any]) -> bool:
    """Tell whether the server ends a chunked body; eventlet does so without marking it."""
    marked = environ.get("wsgi.input_terminated")
    return bool(marked or ("eventlet.input" in environ and _is_chunked(environ)))


def _is_chunked(environ: dict[str, Any]) -> bool:
    return bool(environ.get("HTTP_TRANSFER_ENCODING", "").strip().lower() == "chunked")


def _uwsgi_chunk(_: int) -> bytes:
    """Read the next chunk through uWSGI's own API, up to its chunked-input-limit."""
    try:
        chunk: bytes = import_module("uwsgi").chunked_read()  # exists only inside uWSGI
    except OSError:
        raise RejectedRequest(UNREAD_CHUNKS) from None
    return chunk


def head_of(environ: dict[str, Any]) -> RequestHead:
    """Make the head of a request from a WSGI environ."""
    return RequestHead(
        method=environ["REQUEST_METHOD"],
        path=environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
        query=environ.get("QUERY_STRING", ""),
        peer=environ.get("REMOTE_ADDR"),
        forwarded_for=environ.get("HTTP_X_FORWARDED_FOR", ""),
        length=environ.get("CONTENT_LENGTH") or None,
        encoding=environ.get("HTTP_CONTENT_ENCODING", ""),
    )
