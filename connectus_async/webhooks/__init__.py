"""Webhooks: what the platform posts when the status of an SMS changes, or when one comes in.

Three lines make a receiver in whatever you run. It calls your function with each event, a
`StatusUpdate`, an `IncomingSms` or an `UnknownEvent`::

    from connectus_async import webhooks

    async def handle(event: webhooks.Event) -> None: ...

    app = webhooks.asgi(handle, secret=SECRET)  # the URL: https://example.com/<SECRET>

There are `asgi` for FastAPI, Starlette, Litestar and bare servers, `aiohttp_app` and
`aiohttp_routes`, `wsgi`, `django_view` and `flask_blueprint`. They all do the same:

**What protects them.** The platform does not sign its webhooks, so nothing proves that an event
comes from it and is whole: a webhook without a signature is weaker than one with it. What is left
is a secret in the URL that only the platform and you know, and the addresses that it posts from.
Whoever learns the URL, from an access log for instance, can forge events: use https, keep URLs out
of logs, and before you act on a status that matters, ask ``connectus.sms.status``. Without secret
and addresses a receiver refuses to be made. A request without the secret, or from elsewhere, gets
404. Any other than a POST of a JSON object of up to 64 KiB, not compressed, gets 405, 413, 415 or
400; its ``Content-Type`` does not matter, for the platform documents none. No such request reaches
your function, and no receiver keeps more than 64 KiB of its body.

**What a server keeps.** Some take a body whole before they ask a receiver, of any size and for
anybody: waitress, daphne, and Django under ASGI. There the limit has to be in front: waitress's own
``max_request_body_size=65536``; for the others that of a proxy, such as nginx's
``client_max_body_size 64k``, Apache's ``LimitRequestBody 65536`` or Caddy's ``request_body`` with
``max_size 64KiB``. gunicorn, uvicorn, hypercorn, granian, cheroot, uWSGI and aiohttp stop at what
the receiver takes.

**When your function is called.** Events of one SMS one after another, in the order in which they
came; others at the same time. If it raises, the answer is 500, the platform may try again, and the
log names the error and its place but not its words, which may be about somebody. If it returns, the
answer is 200 and the event counts as handled: the same event again is answered 200 without calling
it. One that comes meanwhile waits, and is handed over only if the first one failed. Past 1,000
events at a time the answer is 503.

**What the same event is.** Of a status, the same ``id_sms`` with the same status; of an SMS that
came in, the same ``id_sms`` with the same numbers and content; of another kind, the same ``id_sms``
with all the rest. Other fields do not matter, nor whether the hexadecimal digits of ``id_sms`` are
in capitals. Without an ``id_sms`` no event is the same as another, for two people may answer in the
same words: if the platform posts one again, your function is called again.

**What is remembered.** The last 32,768 events of the last day, in this process alone: after a
restart, or with several processes, an event may come to your function again. A process that is
forked from one that had events knows those too. And the platform may
post the changes of one SMS in another order than they happened.

**From send to delivered.** The handlers of `connectus_async.tracking` wait for the final status of
an SMS, and write statuses into a campaign's ledger.
"""

from typing import TYPE_CHECKING

from connectus_async._lazy import lazily

if TYPE_CHECKING:
    from connectus_async.webhooks.aiohttp_receiver import aiohttp_app, aiohttp_routes
    from connectus_async.webhooks.asgi_receiver import asgi
    from connectus_async.webhooks.django_receiver import django_view
    from connectus_async.webhooks.events import (
        Event,
        IncomingSms,
        StatusUpdate,
        UnknownEvent,
        parse,
    )
    from connectus_async.webhooks.flask_receiver import flask_blueprint
    from connectus_async.webhooks.receiver import Handler
    from connectus_async.webhooks.wsgi_receiver import wsgi

_HOMES = {
    "aiohttp_receiver": ("aiohttp_app", "aiohttp_routes"),
    "asgi_receiver": ("asgi",),
    "django_receiver": ("django_view",),
    "events": ("Event", "IncomingSms", "StatusUpdate", "UnknownEvent", "parse"),
    "flask_receiver": ("flask_blueprint",),
    "receiver": ("Handler",),
    "wsgi_receiver": ("wsgi",),
}

_MOVED = dict.fromkeys(("LedgerHandler", "Tracked", "Tracker"), "connectus_async.tracking")

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES, _MOVED)

__all__ = [
    "Event",
    "Handler",
    "IncomingSms",
    "StatusUpdate",
    "UnknownEvent",
    "aiohttp_app",
    "aiohttp_routes",
    "asgi",
    "django_view",
    "flask_blueprint",
    "parse",
    "wsgi",
]
