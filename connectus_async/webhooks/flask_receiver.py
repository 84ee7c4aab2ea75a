"""Receiver for Flask: a blueprint."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from connectus_async.webhooks.access import AccessCheck
from connectus_async.webhooks.receiver import Handler, ThreadedReceiver
from connectus_async.webhooks.wsgi_receiver import head_of, reader

if TYPE_CHECKING:
    import flask

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def flask_blueprint(
    handler: Handler,
    *,
    secret: str | None = None,
    allowed_networks: Iterable[str] = (),
    trusted_proxies: Iterable[str] = (),
    insecure: bool = False,
    name: str = "connectus_webhooks",
) -> "flask.Blueprint":
    """Make a Flask blueprint that receives webhooks, at its prefix and at everything below it.

    See `connectus_async.webhooks` for security, the order of events, and the responses.

    Args:
        handler: A plain function, called with each event in the thread of its request.
        secret: The required last segment of the URL's path, or its query value ``secret``: 16 or
            more letters, digits, ``-`` and ``_``.
        allowed_networks: The addresses and networks that may post, such as ``203.0.113.0/24``; any
            by default.
        trusted_proxies: The addresses and networks of your own proxies, whose ``X-Forwarded-For``
            is trusted; ``"unix"`` for a proxy that connects through a Unix socket.
        insecure: Whether to allow a receiver without ``secret`` and ``allowed_networks``.
        name: The name of the blueprint, unique in the app.

    Raises:
        ConfigurationError: Nothing protects the receiver, the handler is async, or an argument
            is invalid.

    Example:
        ```python
        blueprint = webhooks.flask_blueprint(handle, secret=SECRET)
        app.register_blueprint(blueprint, url_prefix="/webhooks")
        ```
    """
    access = AccessCheck(
        secret=secret,
        allowed_networks=allowed_networks,
        trusted_proxies=trusted_proxies,
        insecure=insecure,
    )
    import flask  # noqa: PLC0415 - optional

    receiver = ThreadedReceiver(handler, access)
    blueprint = flask.Blueprint(name, __name__)

    def receive(path: str = "") -> flask.Response:  # noqa: ARG001 - the access check reads the whole path
        environ = flask.request.environ
        answer = receiver.receive(head_of(environ), reader(environ))
        return flask.Response(answer.body, answer.status, answer.fields)

    for rule in ("/", "/<path:path>"):
        blueprint.add_url_rule(
            rule,
            view_func=receive,
            methods=METHODS,
            strict_slashes=False,
            provide_automatic_options=False,
        )
    return blueprint
