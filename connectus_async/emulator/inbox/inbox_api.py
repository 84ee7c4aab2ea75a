"""The page of the inbox, and the JSON API that it uses.

All paths begin with ``/inbox/api``. Times are ISO 8601 with an offset, and lists have the newest
first. An error is ``{"error": "a sentence"}`` with a status of 4xx.

============================== =====================================================================
call                           answer
============================== =====================================================================
``GET /summary``               the number of messages, balances, deliveries, and the words that the
                               filters take
``GET /messages``              ``total``, and ``messages`` from ``offset``, at most ``limit``;
                               filters are ``channel``, ``state``, ``delivery``, ``recipient``
                               (a part) and ``text`` (of content, subject, recipient or sender)
``GET /messages/ID``           one message: content, SMS parts, states, ``exchange`` (request and
                               answer as on the wire, credentials masked; None once it is dropped),
                               ``webhooks`` with their answers
``GET /messages/ID/email``     the content of an email, as a page that runs nothing
``POST /messages/ID/replies``  ``{"text": "Sí"}`` is replied by the recipient of an SMS; ``status``
                               is the answer of the incoming webhook, None without one
``DELETE /messages``           forgets all messages
``GET /conversations``         ``total``, and ``conversations``: the last message to each recipient,
                               and how many there are; ``offset`` and ``limit``
``GET /conversations/NUMBER``  ``total``, the last ``messages`` to a recipient, and the ``replies``
``GET /faults``                the faults in effect, and the names that one may have
``POST /faults``               ``{"fault": "sms.send=status:500,share=0.1"}`` is put in effect
``DELETE /faults/NUMBER``      ends a fault
``DELETE /faults``             ends all
``GET /events``                server-sent events ``changed``, at most ten a second
============================== =====================================================================
"""

from __future__ import annotations

import asyncio
import json
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from attrs import define, field

from connectus_async.emulator import inbox
from connectus_async.emulator.calls import CALL_NAMES, INBOX_PATH
from connectus_async.emulator.fault_texts import FAULT_NAMES, FaultText
from connectus_async.emulator.inbox import access, views
from connectus_async.emulator.inbox.access import InboxError, json_response
from connectus_async.emulator.inbox.events import Events
from connectus_async.emulator.inbox.posts import Posts, Reply
from connectus_async.emulator.inbox.search import Index, Query
from connectus_async.emulator.inbox.wire import EXCHANGE, Wire
from connectus_async.emulator.messages import STATUSES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from connectus_async.emulator.faults import Faults, PlacedFault
    from connectus_async.emulator.messages import Received
    from connectus_async.emulator.state import State
    from connectus_async.emulator.webhooks import Post

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_API: Final = "/inbox/api"
_PAGE: Final = {
    "": ("page.html", "text/html"),
    "page.css": ("page.css", "text/css"),
    "page.js": ("page.js", "text/javascript"),
    "message.js": ("message.js", "text/javascript"),
    "tools.js": ("tools.js", "text/javascript"),
}
_CHANNELS: Final = ("sms", "email", "whatsapp", "whatsapp_qr")
_MOST_ROWS: Final = 500
_ROWS: Final = 100
_LONGEST_FILTER: Final = 1_000
_LONGEST_REPLY: Final = 10_000
_BUBBLES: Final = 200


@define(kw_only=True, eq=False, repr=False)
class Inbox:
    """The inbox of one emulator.

    Args:
        state: The state of the emulator.
        faults: Its faults.
        host: The address that it is bound to.
        clear: Forgets all messages.
        reply: Posts an incoming SMS: from, to, text. Returns the status of the answer.
        hears_replies: Whether there is an incoming webhook.
    """

    state: State
    faults: Faults
    host: str
    clear: Callable[[], object]
    reply: Callable[[str, str, str], Awaitable[int | None]]
    hears_replies: bool
    _wire: Wire = field(init=False, factory=Wire)
    _posts: Posts = field(init=False, factory=Posts)
    _index: Index = field(init=False)
    _events: Events = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Make the parts that look at the state."""
        self._index = Index(self.state)
        self._events = Events(lambda: len(self.state.received))

    def add_to(self, app: web.Application) -> None:
        """Add the routes, and watch the requests of the others."""
        app.middlewares.append(self._watch())
        app.on_response_prepare.append(self._answering)
        app.on_shutdown.append(self._events.close)
        app.router.add_get("/", self._guarded(_to_page, page=True))
        app.router.add_get(INBOX_PATH.rstrip("/"), self._guarded(_to_page, page=True))
        for path, (name, type_) in _PAGE.items():
            app.router.add_get(INBOX_PATH + path, self._guarded(_file(name, type_), page=True))
        for method, path, handle in (
            ("GET", "/summary", self._summary),
            ("GET", "/messages", self._list),
            ("DELETE", "/messages", self._clear),
            ("GET", "/messages/{id}", self._message),
            ("GET", "/messages/{id}/email", self._email),
            ("POST", "/messages/{id}/replies", self._reply),
            ("GET", "/conversations", self._conversations),
            ("GET", "/conversations/{recipient}", self._conversation),
            ("GET", "/faults", self._faults),
            ("POST", "/faults", self._place_fault),
            ("DELETE", "/faults", self._remove_faults),
            ("DELETE", "/faults/{number}", self._remove_fault),
            ("GET", "/events", self._events.stream),
        ):
            app.router.add_route(method, _API + path, self._guarded(handle))

    def accepted(self, message: Received) -> None:
        """Take notice of a message."""
        self._wire.accepted(message)
        self._events.changed()

    def posted(self, post: Post, status: int | None, answer: bytes) -> None:
        """Take notice of a webhook that was sent."""
        self._posts.add(post, self.state.clock(), status, answer)
        self._events.changed()

    def replied(self, id_sms: str, src: str, dst: str, text: str) -> None:
        """Take notice of an incoming SMS."""
        self._posts.add_reply(Reply(id_sms, self.state.clock(), src, dst, text))
        self._events.changed()

    def _watch(self) -> Any:
        wire = self._wire

        @web.middleware
        async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith(INBOX_PATH):
                return await handler(request)
            return await wire.record(request, handler)

        return watch

    async def _answering(self, request: web.Request, response: web.StreamResponse) -> None:
        exchange = request.get(EXCHANGE)
        if exchange is not None:
            self._wire.answering(exchange, response)

    def _guarded(self, handle: Handler, *, page: bool = False) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                access.check_access(request, self.host, page=page)
                return await handle(request)
            except InboxError as error:
                return json_response({"error": str(error)}, error.status)
            except web.HTTPRequestEntityTooLarge:
                return json_response({"error": "body is too large"}, 413)

        return guarded

    async def _summary(self, _: web.Request) -> web.Response:
        return json_response(
            {
                "messages": len(self.state.received),
                "balances": views.balances(self.state),
                "deliveries": views.deliveries(self.state),
                "channels": _CHANNELS,
                "states": STATUSES,
                "hears_replies": self.hears_replies,
                "faults": len(self.faults.placed),
            }
        )

    async def _list(self, request: web.Request) -> web.Response:
        offset, limit = _window(request)
        total, messages = self._index.page(_query(request), offset, limit)
        rows = [views.row(self.state, message) for message in messages]
        return json_response({"total": total, "offset": offset, "messages": rows})

    async def _message(self, request: web.Request) -> web.Response:
        message = self._asked(request)
        exchange = self._wire.get(message.id)
        return json_response(
            {
                **views.whole(self.state, message),
                "exchange": None if exchange is None else await exchange.shown(),
                "webhooks": [sent.shown() for sent in self._posts.of(message.id)],
            }
        )

    async def _email(self, request: web.Request) -> web.Response:
        message = self._asked(request)
        if message.product != "email":
            raise InboxError(404, "this message is not an email")
        return web.Response(
            body=message.content.encode(errors="replace"),
            content_type="text/html" if "<" in message.content else "text/plain",
            charset="utf-8",
            headers={**access.HEADERS, "Content-Security-Policy": access.EMAIL_POLICY},
        )

    async def _reply(self, request: web.Request) -> web.Response:
        message = self._asked(request)
        text = await _field(request, "text", _LONGEST_REPLY)
        if message.product != "sms":
            raise InboxError(409, "only an SMS can be replied to: the API has no other webhook")
        if not self.hears_replies:
            raise InboxError(409, "this emulator has no incoming webhook")
        return json_response({"status": await self.reply(message.recipient, message.src, text)})

    async def _clear(self, _: web.Request) -> web.Response:
        self.clear()
        self._index.clear()
        self._wire.clear()
        self._posts.clear()
        self._events.changed()
        return json_response({})

    async def _conversations(self, request: web.Request) -> web.Response:
        total, found = self._index.recipients(*_window(request))
        rows = [
            {"recipient": last.recipient, "messages": count, "last": views.row(self.state, last)}
            for last, count in found
        ]
        return json_response({"total": total, "conversations": rows})

    async def _conversation(self, request: web.Request) -> web.Response:
        recipient = request.match_info["recipient"]
        total, messages = self._index.conversation(recipient, _BUBBLES)
        replies = self._posts.replies_of(recipient)[-_BUBBLES:]
        return json_response(
            {
                "total": total,
                "messages": [views.bubble(self.state, message) for message in messages],
                "replies": [self._replied(reply) for reply in replies],
            }
        )

    def _replied(self, reply: Reply) -> dict[str, Any]:
        return {**reply.shown(), "webhooks": [sent.shown() for sent in self._posts.of(reply.id)]}

    async def _faults(self, _: web.Request) -> web.Response:
        return json_response(
            {
                "faults": [_placed(placed) for placed in self.faults.placed],
                "names": FAULT_NAMES,
                "routes": sorted(CALL_NAMES),
            }
        )

    async def _place_fault(self, request: web.Request) -> web.Response:
        text = await _field(request, "fault", _LONGEST_FILTER)
        try:
            fault = FaultText.parse(text)
        except ValueError as error:
            raise InboxError(400, str(error)) from None
        placed = self.faults.place(
            fault.fault, route=fault.route, share=fault.share, times=fault.times
        )
        self._events.changed()
        return json_response(_placed(placed))

    async def _remove_faults(self, _: web.Request) -> web.Response:
        self.faults.clear()
        self._events.changed()
        return json_response({})

    async def _remove_fault(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        for placed in list(self.faults.placed):
            if str(placed.number) == number:
                placed.remove()
                self._events.changed()
                return json_response({})
        raise InboxError(404, "no fault in effect has this number")

    def _asked(self, request: web.Request) -> Received:
        message = self.state.any_message(request.match_info["id"])
        if message is None:
            raise InboxError(404, "no message has this id")
        return message


async def _to_page(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={**access.HEADERS, "Location": INBOX_PATH})


def _file(name: str, content_type: str) -> Handler:
    path = resources.files(inbox) / name

    async def answer(_: web.Request) -> web.Response:
        return web.Response(
            body=await asyncio.to_thread(path.read_bytes),
            content_type=content_type,
            charset="utf-8",
            headers={**access.HEADERS, "Content-Security-Policy": access.PAGE_POLICY},
        )

    return answer


def _query(request: web.Request) -> Query:
    known = {"channel", "state", "delivery", "recipient", "text"}
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name in {"offset", "limit"}:
            continue
        if name not in known:
            raise InboxError(400, f"{name!r} is not a filter")
        if len(value) > _LONGEST_FILTER:
            raise InboxError(400, f"{name} is longer than {_LONGEST_FILTER} characters")
        given[name] = value
    _check_word("channel", given.get("channel", ""), _CHANNELS)
    _check_word("state", given.get("state", ""), STATUSES)
    for name in ("recipient", "text"):
        given[name] = given.get(name, "").strip().casefold()
    given["recipient"] = _address(given["recipient"])
    return Query(**given)


def _check_word(name: str, value: str, known: tuple[str, ...]) -> None:
    if value and value not in known:
        raise InboxError(400, f"{name} must be one of {', '.join(known)}")


def _address(recipient: str) -> str:
    """Reduce a number, in whatever spelling, to its digits."""
    digits = recipient.translate(dict.fromkeys(map(ord, " +-().")))
    return digits if digits.isdecimal() else recipient


def _window(request: web.Request) -> tuple[int, int]:
    offset = _whole_number(request, "offset", 0, 10**9)
    return offset, _whole_number(request, "limit", _ROWS, _MOST_ROWS)


def _whole_number(request: web.Request, name: str, default: int, most: int) -> int:
    value = request.query.get(name, str(default))
    if not (value.isascii() and value.isdecimal() and len(value) < 12 and int(value) <= most):
        raise InboxError(400, f"{name} must be a whole number up to {most}")
    return int(value)


async def _field(request: web.Request, name: str, longest: int) -> str:
    """Read a JSON object with one text; the type of the body keeps forms of other sites away."""
    if request.content_type != "application/json":
        raise InboxError(415, "the body must be application/json")
    try:
        body: Any = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise InboxError(400, "body is not valid JSON") from None
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise InboxError(400, f"{name} is missing")
    if len(value) > longest:
        raise InboxError(400, f"{name} is longer than {longest} characters")
    return value


def _placed(placed: PlacedFault) -> dict[str, Any]:
    return {
        "number": placed.number,
        "name": placed.fault.name,
        "route": placed.route,
        "share": placed.share,
        "times": placed.times,
        "fired": placed.fired,
    }
