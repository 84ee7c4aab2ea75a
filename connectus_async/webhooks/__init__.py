"""Webhooks: events that the platform posts when an SMS changes its status or comes in.

Three lines make a receiver for your web framework. It calls your function with each event: a
`StatusUpdate`, an `IncomingSms` or an `UnknownEvent`::

    from connectus_async import webhooks

    async def handle(event: webhooks.Event) -> None: ...

    app = webhooks.asgi(handle, secret=SECRET)  # the URL: https://example.com/<SECRET>

Use `asgi` for FastAPI, Starlette, Litestar and plain ASGI servers, `aiohttp_app` or
`aiohttp_routes`, `wsgi`, `django_view`, or `flask_blueprint`. They all behave the same:

**Security.** The platform does not sign its webhooks, so nothing proves that an event is authentic:
this is weaker than a signature. Two protections remain: a secret in the URL, known only to you and
the platform, and the addresses that the platform posts from. Anyone who learns the URL, from an
access log for instance, can forge events: use https, keep URLs out of logs, and before you act on a
status that matters, confirm it with ``connectus.sms.status``. Making a receiver with neither secret
nor addresses is an error. A request without the secret, or from another address, gets 404. Anything
but a POST of an uncompressed JSON object of up to 64 KiB gets 405, 413, 415 or 400; the
``Content-Type`` is ignored, since the platform documents none. No such request reaches your
function, and no receiver keeps more than 64 KiB of a body.

**Body size.** Some servers read a whole body, of any size and from anyone, before they call a
receiver: waitress, daphne, and Django under ASGI. Set a limit in front of the receiver: waitress's
own ``max_request_body_size=65536``; for the others, that of a proxy, such as nginx's
``client_max_body_size 64k``, Apache's ``LimitRequestBody 65536`` or Caddy's ``request_body`` with
``max_size 64KiB``. gunicorn, uvicorn, hypercorn, granian, cheroot, uWSGI and aiohttp stop reading
when the receiver does.

**Calls.** Events of one SMS are handled one after another, in the order they arrive; others are
handled concurrently. If your function raises, the response is 500, the platform may retry, and the
log has the type and place of the error but not its message, which may contain personal data. If it
returns, the response is 200 and the event counts as handled: a duplicate gets 200 without a call. A
duplicate that arrives meanwhile waits, and is handled only if the first one failed. Beyond 1,000
concurrent events the response is 503.

**Duplicates.** Status updates are duplicates if they have the same ``id_sms`` and status; incoming
SMS, the same ``id_sms``, numbers and content; other events, the same ``id_sms`` and all other
fields. Further fields do not count, nor does the case of the hexadecimal digits of ``id_sms``. An
event without ``id_sms`` is never a duplicate, since two people may reply with the same words: if
the platform posts it again, your function is called again.

**Memory.** A receiver remembers the last 32,768 events of the last day, in its own process: after a
restart, or with several processes, your function may get an event twice. A forked process inherits
the events of its parent. The platform may also post the status updates of one SMS out of order.

**Tracking.** The handlers of `connectus_async.tracking` wait for the final status of an SMS, and
write statuses into a campaign's ledger.
"""

from typing import TYPE_CHECKING

from connectus_async._lazy import lazily

if TYPE_CHECKING:
    from connectus_async.webhooks.aiohttp_receiver import aiohttp_app as aiohttp_app
    from connectus_async.webhooks.aiohttp_receiver import aiohttp_routes as aiohttp_routes
    from connectus_async.webhooks.asgi_receiver import asgi as asgi
    from connectus_async.webhooks.django_receiver import django_view as django_view
    from connectus_async.webhooks.events import Event as Event
    from connectus_async.webhooks.events import IncomingSms as IncomingSms
    from connectus_async.webhooks.events import StatusUpdate as StatusUpdate
    from connectus_async.webhooks.events import UnknownEvent as UnknownEvent
    from connectus_async.webhooks.events import parse as parse
    from connectus_async.webhooks.flask_receiver import flask_blueprint as flask_blueprint
    from connectus_async.webhooks.receiver import Handler as Handler
    from connectus_async.webhooks.wsgi_receiver import wsgi as wsgi
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        moved=dict.fromkeys(("LedgerHandler", "Tracked", "Tracker"), "connectus_async.tracking"),
    )
