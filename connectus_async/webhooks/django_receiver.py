"""Receiver for Django: a view."""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from connectus_async.webhooks.access import AccessCheck
from connectus_async.webhooks.receiver import Handler, ThreadedReceiver, check_plain
from connectus_async.webhooks.wsgi_receiver import head_of, reader


def django_view(
    handler: Handler,
    *,
    secret: str | None = None,
    allowed_networks: Iterable[str] = (),
    trusted_proxies: Iterable[str] = (),
    insecure: bool = False,
) -> Callable[..., Any]:
    """Make a Django view that receives webhooks, under WSGI or ASGI.

    See `connectus_async.webhooks` for security, the order of events, and the responses.
    The view is exempt from the CSRF check. If ``ATOMIC_REQUESTS`` is set, each call of the handler
    is a transaction of its own, so that an event counts as handled only once committed.

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
        view = webhooks.django_view(handle, secret=SECRET)
        urlpatterns = [path("webhooks/<str:secret>", view)]
        ```
    """
    access = AccessCheck(
        secret=secret,
        allowed_networks=allowed_networks,
        trusted_proxies=trusted_proxies,
        insecure=insecure,
    )
    http = import_module("django.http")
    check_plain(handler)
    receiver = ThreadedReceiver(_in_transactions(handler), access)

    def view(request: Any, *_: object, **__: object) -> Any:
        answer = receiver.receive(head_of(request.META), _reader(request))
        response = http.HttpResponse(answer.body, status=answer.status, headers=dict(answer.fields))
        response._has_been_logged = True  # noqa: SLF001 - Django would log the path with the secret
        return response

    view.csrf_exempt = True  # type: ignore[attr-defined]  # as Django's decorator does
    return _without_transaction(view)


def _in_transactions(handler: Handler) -> Handler:
    """Wrap the handler, instead of the view, in the transactions of ``ATOMIC_REQUESTS``.

    Those of the view end after it: an event whose commit failed would count as handled.
    """
    db = import_module("django.db")
    for alias, database in db.connections.settings.items():
        if database["ATOMIC_REQUESTS"]:
            handler = db.transaction.atomic(using=alias)(handler)
    return handler


def _without_transaction(view: Callable[..., Any]) -> Callable[..., Any]:
    db = import_module("django.db")
    for alias in db.connections.settings:
        view = db.transaction.non_atomic_requests(using=alias)(view)
    return view


def _reader(request: Any) -> Callable[[int], bytes] | None:
    environ = getattr(request, "environ", {})
    if environ and not environ.get("CONTENT_LENGTH"):  # Django reads no body without a length
        return reader(environ)
    read: Callable[[int], bytes] = request.read
    return read
