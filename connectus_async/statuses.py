"""HTTP statuses, each with the outcome of its request and the reason. Pure data.

A wrong ``not_sent`` sends a message twice, a wrong ``rejected`` invites the user to do so, and a
wrong ``unknown`` costs a look. So a status counts as a rejection only if no server sends it after
acting, by RFC 9110 and by the proxies and firewalls that respond in place of an application.
"""

from collections.abc import Mapping
from typing import Final

import attrs

from connectus_async.errors import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ContentTooLargeError,
    NotFoundError,
    NotSentError,
    PaymentRequiredError,
    PermissionDeniedError,
    ProxyAuthenticationError,
    RateLimitError,
    RejectedError,
    RequestError,
    ServerError,
    UnexpectedStatusError,
    UnprocessableContentError,
)


@attrs.frozen
class Status:
    """Meaning of a status.

    Attributes:
        error: The error to raise; its ``outcome`` is the outcome of the request.
        reason: The reason for the outcome.
    """

    error: type[RequestError]
    reason: str


STATUSES: Final[Mapping[int, Status]] = {
    400: Status(BadRequestError, "Malformed, according to nginx, HAProxy or the API."),
    401: Status(AuthenticationError, "The credentials are missing or wrong."),
    402: Status(PaymentRequiredError, "The balance does not cover the message."),
    403: Status(PermissionDeniedError, "Forbidden by the API, or by a firewall in front of it."),
    404: Status(NotFoundError, "Nothing has this path or identifier."),
    405: Status(
        RejectedError,
        "The path does not accept the method. Routers, nginx and firewalls send it before "
        "anything acts.",
    ),
    406: Status(
        UnexpectedStatusError,
        "ModSecurity sends it in front of the API, but frameworks also send it after acting, when "
        "they cannot produce the requested media type.",
    ),
    407: Status(
        ProxyAuthenticationError,
        "A proxy requires credentials, and forwarded nothing. It is not retried, since accounts "
        "get locked.",
    ),
    408: Status(
        UnexpectedStatusError,
        "By RFC 9110 the request did not arrive completely, but gateways also send it when the "
        "API behind them is slow.",
    ),
    409: Status(ConflictError, "The request conflicts with the current state."),
    410: Status(RejectedError, "The path was removed for good; routers send it before acting."),
    411: Status(NotSentError, "The length is missing; the body was not read. We always send it."),
    413: Status(ContentTooLargeError, "The body is too large; it was not read."),
    414: Status(RejectedError, "The URL is too long; servers reject it at the request line."),
    415: Status(RejectedError, "The body's media type is not supported; it was not read."),
    417: Status(
        UnexpectedStatusError,
        "It responds to a header field that we never send, so it is used for something else.",
    ),
    421: Status(
        NotSentError,
        "This server is not responsible for the host; by RFC 9110 the request may be retried.",
    ),
    422: Status(UnprocessableContentError, "Well-formed, but the content is invalid."),
    425: Status(NotSentError, "By RFC 8470 the server did not risk processing it so early."),
    426: Status(NotSentError, "The server rejects this version of the protocol."),
    428: Status(RejectedError, "By RFC 6585 the server rejects unconditional requests."),
    429: Status(RateLimitError, "Too many requests; the server did not act."),
    431: Status(NotSentError, "By RFC 6585 header fields are too large; rejected before acting."),
    451: Status(RejectedError, "By RFC 7725 access is denied for a legal reason."),
    503: Status(
        ServerError,
        "nginx sends it for its rate limit, but an API may also send it after acting, with the "
        "same header fields: they cannot be told apart. A rate limit should use 429.",
    ),
    505: Status(NotSentError, "The server rejects this version of HTTP at the request line."),
    511: Status(NotSentError, "By RFC 6585 a network requires a login, and forwarded nothing."),
    521: Status(
        ServerError,
        "From Cloudflare, like 520 to 530: it does not say whether an earlier attempt of its own "
        "reached the server.",
    ),
}
"""Statuses with a known meaning. Any other outside 2xx leaves the outcome open."""


def error_of(status: int) -> type[RequestError]:
    """Return the error for a status outside 2xx.

    >>> error_of(421).outcome, error_of(418).outcome, error_of(599).__name__
    (<Outcome.NOT_SENT: 'not_sent'>, <Outcome.UNKNOWN: 'unknown'>, 'ServerError')
    """
    known = STATUSES.get(status)
    if known is not None:
        return known.error
    return ServerError if status >= 500 else UnexpectedStatusError


def table() -> str:
    """Format the statuses as a Markdown table for the documentation."""
    head = ["| status | outcome | reason |", "|---|---|---|"]
    rows = [
        f"| {status} | `{known.error.outcome}` | {known.reason} |"
        for status, known in STATUSES.items()
    ]
    rest = "| any other outside 2xx | `unknown` | It neither accepts nor rejects the request. |"
    return "\n".join([*head, *rows, rest])
