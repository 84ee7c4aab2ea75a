"""The receiver for Flask: a blueprint."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from connectus_async.webhooks.gate import Gate
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
    """Make a Flask blueprint that receives webhooks, at its prefix and everywhere below.

    `connectus_async.webhooks` says what protects it, how events are ordered, and what is answered.

    Args:
        handler: Called with each event, in the thread of its request: a plain function.
        secret: What the URL must have as the last segment of its path or as the query value
            ``secret``: 16 or more letters, digits, ``-`` and ``_``.
        allowed_networks: The addresses and networks that may post, such as ``203.0.113.0/24``; any
            if left out.
        trusted_proxies: The addresses and networks of your own proxies, whose ``X-Forwarded-For``
            is believed; ``"unix"`` for one that comes through a Unix socket.
        insecure: Whether there may be neither ``secret`` nor ``allowed_networks``.
        name: The name of the blueprint; an app can have each once.

    Raises:
        ConfigurationError: Nothing protects the receiver, the handler is async, or an argument
            makes no sense.

    Example:
        ```python
        blueprint = webhooks.flask_blueprint(handle, secret=SECRET)
        app.register_blueprint(blueprint, url_prefix="/webhooks")
        ```
    """
    gate = Gate(
        secret=secret,
        allowed_networks=allowed_networks,
        trusted_proxies=trusted_proxies,
        insecure=insecure,
    )
    import flask  # noqa: PLC0415 - who calls this has it

    receiver = ThreadedReceiver(handler, gate)
    blueprint = flask.Blueprint(name, __name__)

    def receive(path: str = "") -> flask.Response:  # noqa: ARG001 - the gate looks at all of it
        environ = flask.request.environ
        reply = receiver.receive(head_of(environ), reader(environ))
        return flask.Response(reply.body, reply.status, reply.fields)

    for rule in ("/", "/<path:path>"):
        blueprint.add_url_rule(
            rule,
            view_func=receive,
            methods=METHODS,
            strict_slashes=False,
            provide_automatic_options=False,
        )
    return blueprint
