"""The receiver for Django: a view."""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from connectus_async.webhooks.gate import Gate
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

    `connectus_async.webhooks` says what protects it, how events are ordered, and what is answered.
    It is exempt from the CSRF check. Where ``ATOMIC_REQUESTS`` is set, each call of the handler is
    a transaction of its own, so that an event counts as handled only when it is committed.

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
        view = webhooks.django_view(handle, secret=SECRET)
        urlpatterns = [path("webhooks/<str:secret>", view)]
        ```
    """
    gate = Gate(
        secret=secret,
        allowed_networks=allowed_networks,
        trusted_proxies=trusted_proxies,
        insecure=insecure,
    )
    http = import_module("django.http")
    check_plain(handler)
    receiver = ThreadedReceiver(_in_transactions(handler), gate)

    def view(request: Any, *_: object, **__: object) -> Any:
        reply = receiver.receive(head_of(request.META), _reader(request))
        response = http.HttpResponse(reply.body, status=reply.status, headers=dict(reply.fields))
        response._has_been_logged = True  # noqa: SLF001 - Django would log the path, the secret
        return response

    view.csrf_exempt = True  # type: ignore[attr-defined]  # as Django's decorator has it
    return _without_transaction(view)


def _in_transactions(handler: Handler) -> Handler:
    """Put the transactions around the handler that Django would put around the view.

    Those end after the view: what fails to commit would already be remembered as handled.
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
