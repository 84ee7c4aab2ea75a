"""The statuses of HTTP, each with the outcome of its request and the reason. Pure data.

A wrong ``not_sent`` costs a second message, a wrong ``rejected`` invites to one, and a wrong
``unknown`` costs a look. So a status stands for a no only where nobody who acted can answer it: by
RFC 9110, and by what stands before an application and answers in its place.
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
        error: The error that it becomes, whose ``outcome`` says what became of the request.
        reason: The reason for it.
    """

    error: type[RequestError]
    reason: str


STATUSES: Final[Mapping[int, Status]] = {
    400: Status(BadRequestError, "The request is malformed, as nginx, HAProxy or the API found."),
    401: Status(AuthenticationError, "The credentials are missing or wrong."),
    402: Status(PaymentRequiredError, "The balance does not cover the message."),
    403: Status(PermissionDeniedError, "Forbidden, by the API or by a firewall before it."),
    404: Status(NotFoundError, "Nothing has this path or identifier."),
    405: Status(
        RejectedError,
        "The path does not take the method. Routers, nginx and firewalls say so before anything "
        "acts.",
    ),
    406: Status(
        UnexpectedStatusError,
        "ModSecurity says so before the API, but frameworks also say so after acting, when they "
        "cannot write an answer of the type that was asked for.",
    ),
    407: Status(
        ProxyAuthenticationError,
        "A proxy wants credentials, and handed nothing on. It is not asked again: accounts get "
        "locked.",
    ),
    408: Status(
        UnexpectedStatusError,
        "By RFC 9110 the request never came whole, but gateways also say so when the API behind "
        "them was slow.",
    ),
    409: Status(ConflictError, "The request contradicts the present state."),
    410: Status(RejectedError, "The path was given up for good; routers say so before acting."),
    411: Status(NotSentError, "The length is missing: the body was not read. We always send it."),
    413: Status(ContentTooLargeError, "The body is too large: it was not read."),
    414: Status(RejectedError, "The URL is too long: servers refuse it with the first line."),
    415: Status(RejectedError, "The body's type is not taken: it was not read."),
    417: Status(
        UnexpectedStatusError,
        "It answers a field that we never send, so it is used for something else.",
    ),
    421: Status(
        NotSentError,
        "This server does not answer for the host; by RFC 9110 the request may be repeated.",
    ),
    422: Status(UnprocessableContentError, "Well-formed, but the API refuses what it says."),
    425: Status(NotSentError, "By RFC 8470 the server did not risk processing it so early."),
    426: Status(NotSentError, "The server refuses this version of the protocol."),
    428: Status(RejectedError, "By RFC 6585 it refuses what comes without a condition."),
    429: Status(RateLimitError, "Too many requests: it is not acted upon."),
    431: Status(NotSentError, "By RFC 6585 header fields are too large: refused before acting."),
    451: Status(RejectedError, "By RFC 7725 access is denied for a legal reason."),
    503: Status(
        ServerError,
        "nginx says so for its rate limit, but an API also does after acting, with the same "
        "header fields: no mark tells them apart. A limit should answer 429.",
    ),
    505: Status(NotSentError, "The server refuses this version of HTTP, with the first line."),
    511: Status(NotSentError, "By RFC 6585 a network wants a login: it let nothing through."),
    521: Status(
        ServerError,
        "Cloudflare, as it does with 520 to 530: whether an earlier try of its own got through, "
        "it does not say.",
    ),
}
"""The statuses about which there is something to say. Any other outside 2xx leaves it open."""


def error_of(status: int) -> type[RequestError]:
    """Tell which error a status outside 2xx is.

    >>> error_of(421).outcome, error_of(418).outcome, error_of(599).__name__
    (<Outcome.NOT_SENT: 'not_sent'>, <Outcome.UNKNOWN: 'unknown'>, 'ServerError')
    """
    known = STATUSES.get(status)
    if known is not None:
        return known.error
    return ServerError if status >= 500 else UnexpectedStatusError


def table() -> str:
    """Write the statuses as a table for the documentation."""
    head = ["| status | outcome | why |", "|---|---|---|"]
    rows = [
        f"| {status} | `{known.error.outcome}` | {known.reason} |"
        for status, known in STATUSES.items()
    ]
    rest = "| any other outside 2xx | `unknown` | It says neither yes nor no. |"
    return "\n".join([*head, *rows, rest])
