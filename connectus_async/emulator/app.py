"""HTTP layer: parse, authenticate, call the state, respond."""

from __future__ import annotations

import base64
import hmac
import json
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web
from attrs import define, field

from connectus_async.emulator.calls import API_PREFIX, CALLS, INBOX_PATH, QR_PREFIX, Call
from connectus_async.emulator.refusals import RefusalError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from connectus_async.emulator.faults import Faults, RateLimit
    from connectus_async.emulator.inbox.inbox_api import Inbox
    from connectus_async.emulator.journal import Journal
    from connectus_async.emulator.params import Params
    from connectus_async.emulator.state import State

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
    OnRequest = Callable[[str, str, int | None], object]

LINK_PATH: Final = "/l/"
_BODY_LIMIT: Final = 8 * 2**20
_JSON: Final = {"Content-Type": "application/json"}


class Credentials:
    """The Authorization that each host accepts."""

    def __init__(self, api_user: str, api_key: str, qr_token: str) -> None:
        """Accept basic authentication on the platform and a bearer token on the QR host."""
        basic = base64.b64encode(f"{api_user}:{api_key}".encode())
        self._expected = {API_PREFIX: ("basic", basic), QR_PREFIX: ("bearer", qr_token.encode())}

    def accept(self, prefix: str, authorization: str) -> bool:
        """Tell in constant time whether the header is valid for the host."""
        expected_scheme, expected = self._expected[prefix]
        scheme, _, secret = authorization.partition(" ")
        given = secret.strip().encode(errors="surrogateescape")
        return scheme.lower() == expected_scheme and hmac.compare_digest(given, expected)


@define(kw_only=True, repr=False, eq=False)
class Api:
    """The web application of one emulator."""

    state: State
    credentials: Credentials
    faults: Faults
    rate_limit: RateLimit | None
    journal: Journal | None
    inbox: Inbox | None = None
    on_request: OnRequest | None = None
    requests: Counter[str] = field(factory=Counter[str])
    busy: set[web.RequestHandler] = field(factory=set[web.RequestHandler])

    def application(self) -> web.Application:
        """Make the application: every call of the table, the short links, and 404 otherwise."""
        app = web.Application(client_max_size=_BODY_LIMIT)
        if self.on_request is not None:
            app.middlewares.append(_reporting(self.on_request))
        if self.inbox is not None:
            self.inbox.add_to(app)
        for call in CALLS:
            app.router.add_route(call.method, call.prefix + call.path, self._handler(call))
        app.router.add_route("GET", LINK_PATH + "{code}", self._follow)
        app.router.add_route("*", "/{path:.*}", _not_found)
        return app

    def _handler(self, call: Call) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            self.requests[call.name] += 1
            self.busy.add(request.protocol)
            try:
                return await self._limited(call, request)
            finally:
                self.busy.discard(request.protocol)

        return handle

    async def _limited(self, call: Call, request: web.Request) -> web.StreamResponse:
        if self.rate_limit and (seconds := self.rate_limit.seconds_to_wait()):
            return _error(429, "Too many requests", {"Retry-After": str(seconds)})
        affecting = self.faults.affecting(call.name)
        if not affecting:
            return await self._answer(call, request)
        return await self.faults.run(affecting, request, partial(self._answer, call, request))

    async def _answer(self, call: Call, request: web.Request) -> web.StreamResponse:
        if not self.credentials.accept(call.prefix, request.headers.get("Authorization", "")):
            return _error(401, "You must submit an API key")
        try:
            params = await _params(call, request)
            answer = self.act(call, params)
        except RefusalError as refusal:
            return _error(refusal.status, str(refusal))
        except web.HTTPRequestEntityTooLarge:
            return _error(413, "body is too large")
        return _json(200, answer)

    def act(self, call: Call, params: Params) -> dict[str, Any]:
        """Carry out a call, and write it to the journal if there is one."""
        if self.journal:
            return self.journal.answer(call, params)
        return call.answer(self.state, params)

    async def _follow(self, request: web.Request) -> web.StreamResponse:
        try:
            short_link = self.state.short_link(request.match_info["code"])
        except RefusalError as refusal:
            return _error(refusal.status, str(refusal))
        short_link.clicks += 1
        return web.Response(status=302, headers={"Location": short_link.link})


def _reporting(on_request: OnRequest) -> Any:
    """Make a middleware that reports each request of the API; those of the inbox are many."""

    @web.middleware
    async def report(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(INBOX_PATH):
            return await handler(request)
        status = None
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            on_request(request.method, request.rel_url.raw_path, status)
        return response

    return report


async def _params(call: Call, request: web.Request) -> Params:
    if call.params_in_body:
        return {**_object(call, await request.read()), **request.match_info}
    return {**request.query, **request.match_info}


def _object(call: Call, body: bytes) -> Params:
    if not body and call.method == "GET":
        return {}
    try:
        parsed: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusalError(subject="body", reason="is not valid JSON") from None
    if not isinstance(parsed, dict):
        raise RefusalError(subject="body", reason="must be a JSON object")
    return cast("Params", parsed)


async def _not_found(_: web.Request) -> web.StreamResponse:
    return _error(404, "route not found")


def _error(status: int, sentence: str, headers: dict[str, str] | None = None) -> web.Response:
    return _json(status, {"error": sentence}, headers)


def _json(
    status: int, answer: dict[str, Any], headers: dict[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=status, body=json.dumps(answer).encode(), headers=_JSON | (headers or {})
    )
