"""The receiver for WSGI: gunicorn, uWSGI, mod_wsgi and whatever else runs an application."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.client import responses
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from connectus_async.webhooks.gate import Gate, Head, Refused, Reply
from connectus_async.webhooks.receiver import Handler, ThreadedReceiver

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication

UNREAD_CHUNKS: Final = Reply(
    HTTPStatus.BAD_REQUEST,
    "the chunks of the body cannot be read: uWSGI's http router needs http-chunked-input",
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

    `connectus_async.webhooks` says what protects it, how events are ordered, and what is answered.
    How long a body may take is for the server to say, as of every WSGI application. One in chunks
    is read where the server marks its end (``wsgi.input_terminated``), under eventlet, and under
    uWSGI, whose own http router has to be told ``http-chunked-input``; elsewhere it gets 411.

    Args:
        handler: Called with each event, in the thread of its request: a plain function.
        secret: What the URL must have as the last segment of its path or as the query value
            ``secret``: 16 or more letters, digits, ``-`` and ``_``.
        allowed_networks: The addresses and networks that may post, such as ``203.0.113.0/24``; any
            if left out.
        trusted_proxies: The addresses and networks of your own proxies, whose ``X-Forwarded-For``
            is believed; ``"unix"`` for one that comes through a Unix socket.
        insecure: Whether there may be neither ``secret`` nor ``allowed_networks``.

    Raises:
        ConfigurationError: Nothing protects the receiver, the handler is async, or an argument
            makes no sense.

    Example:
        ```python
        application = webhooks.wsgi(handle, secret=SECRET)
        ```
    """
    gate = Gate(
        secret=secret,
        allowed_networks=allowed_networks,
        trusted_proxies=trusted_proxies,
        insecure=insecure,
    )
    receiver = ThreadedReceiver(handler, gate)

    def application(environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        reply = receiver.receive(head_of(environ), reader(environ))
        status = f"{reply.status:d} {responses.get(reply.status, '')}"
        start_response(status, reply.fields)
        return [reply.body]

    return application


def reader(environ: dict[str, Any]) -> Callable[[int], bytes] | None:
    """Find what reads a body; ``None`` if nothing says where it ends."""
    if environ.get("CONTENT_LENGTH") or _ends_by_itself(environ):
        read: Callable[[int], bytes] = environ["wsgi.input"].read
        return read
    if "uwsgi.version" in environ and _is_chunked(environ):
        return _uwsgi_chunk
    return None


def _ends_by_itself(environ: dict[str, Any]) -> bool:
    """Whether the server ends a body in chunks; eventlet does, and does not say so."""
    marked = environ.get("wsgi.input_terminated")
    return bool(marked or ("eventlet.input" in environ and _is_chunked(environ)))


def _is_chunked(environ: dict[str, Any]) -> bool:
    return bool(environ.get("HTTP_TRANSFER_ENCODING", "").strip().lower() == "chunked")


def _uwsgi_chunk(_: int) -> bytes:
    """Read the next chunk in uWSGI's own way, of up to its chunked-input-limit."""
    try:
        chunk: bytes = import_module("uwsgi").chunked_read()  # which only a process of uWSGI has
    except OSError:
        raise Refused(UNREAD_CHUNKS) from None
    return chunk


def head_of(environ: dict[str, Any]) -> Head:
    """Read the head of a request."""
    return Head(
        method=environ["REQUEST_METHOD"],
        path=environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
        query=environ.get("QUERY_STRING", ""),
        peer=environ.get("REMOTE_ADDR"),
        forwarded_for=environ.get("HTTP_X_FORWARDED_FOR", ""),
        length=environ.get("CONTENT_LENGTH") or None,
        encoding=environ.get("HTTP_CONTENT_ENCODING", ""),
    )
