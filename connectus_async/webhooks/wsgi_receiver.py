"""The receiver for WSGI: gunicorn, uWSGI, mod_wsgi and whatever else runs an application."""

from collections.abc import Callable, Iterable
from http.client import responses
from typing import TYPE_CHECKING, Any

from connectus_async.webhooks.gate import Gate, Head
from connectus_async.webhooks.receiver import Handler, ThreadedReceiver

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication


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
    How long a body may take is for the server to say, as of every WSGI application.

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
    if environ.get("CONTENT_LENGTH") or environ.get("wsgi.input_terminated"):
        read: Callable[[int], bytes] = environ["wsgi.input"].read
        return read
    return None


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
