"""Exceptions, each with the outcome of the request and its own message."""

import enum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from connectus_async.answer import Response


class Outcome(enum.StrEnum):
    """Outcome of a request, and so of its message."""

    ACCEPTED = "accepted"
    """The server accepted it (2xx)."""

    NOT_SENT = "not_sent"
    """The server did not act on it; it can be sent again."""

    REJECTED = "rejected"
    """The server rejected it; sending it unchanged gets the same answer."""

    UNKNOWN = "unknown"
    """It may have been sent; check before sending it again."""


class ConnectusError(Exception):
    """Base of all errors of this package.

    Attributes:
        outcome: The outcome of the request.
        response: The HTTP response, or ``None`` without one.
    """

    outcome: Outcome = Outcome.NOT_SENT
    response: "Response | None" = None


class ConfigurationError(ConnectusError, ValueError):
    """A setting is missing or invalid. Nothing was sent.

    Attributes:
        setting: The name of the setting, as in the constructor.
        problem: The problem with it.
    """

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(setting, problem)
        self.setting = setting
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.setting}: {self.problem}"


class LibraryMissingError(ConfigurationError):
    """A setting or a file needs an optional library that is not installed. Nothing was sent."""


class InvalidArgumentError(ConnectusError, ValueError):
    """An argument is invalid. Nothing was sent.

    Attributes:
        field: The name of the argument.
        problem: The problem with it, never its value.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


class ClientClosedError(ConnectusError, RuntimeError):
    """The client was closed before this call. Nothing was sent."""

    def __str__(self) -> str:
        return "the client is closed: open a new one"


class WrongEventLoopError(ConnectusError, RuntimeError):
    """The client is open in an event loop other than the caller's. Nothing was sent."""

    def __str__(self) -> str:
        return "the client is open in another event loop: use one client per loop"


class OwnThreadError(ConnectusError, RuntimeError):
    """A blocking call came from the client's own thread, such as a callback. Nothing was sent."""

    def __str__(self) -> str:
        return (
            "a blocking call on the event loop's own thread would deadlock: "
            "await the async client there, or call from another thread"
        )


class OwnServerError(ConnectusError, RuntimeError):
    """A blocking call would stop the event loop that has to answer it. Nothing was sent."""

    def __str__(self) -> str:
        return (
            "the server that this call is for runs in the event loop that the call would block: "
            "await the async client there, or run the server in another thread, as "
            "`with Emulator()` does"
        )


class WrongProcessError(ConnectusError, RuntimeError):
    """An object from before a fork is used in the child process. Nothing was sent."""

    def __str__(self) -> str:
        return "this was started before the process forked: start it again in the child"


class WebhookError(ConnectusError, ValueError):
    """The body of a webhook is not an event.

    Attributes:
        problem: The problem with the body, never its content.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"the body of a webhook {self.problem}"


class DeliveryTimeoutError(ConnectusError, TimeoutError):
    """An SMS has no final status yet. It was accepted, and may still be delivered.

    Attributes:
        seconds: The seconds waited; ``None`` if only the tracker's own limit applied.
    """

    outcome = Outcome.ACCEPTED

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        limit = (
            "within the tracking time" if self.seconds is None else (f"within {self.seconds:g} s")
        )
        return f"no final status {limit}"


class UndeliveredError(ConnectusError):
    """An SMS was accepted, and will certainly not be delivered."""

    outcome = Outcome.ACCEPTED

    def __str__(self) -> str:
        return "was accepted, and will not be delivered"


class AllChannelsFailedError(ConnectusError):
    """None of the messages of `AsyncConnectus.send` reached anybody.

    Attributes:
        failures: The error of each message.
        outcome: ``not_sent`` if that holds for all of them, else ``rejected``.
    """

    def __init__(self, failures: "tuple[ConnectusError, ...]") -> None:
        super().__init__(failures)
        self.failures = failures
        are_unsent = all(error.outcome is Outcome.NOT_SENT for error in failures)
        self.outcome = Outcome.NOT_SENT if are_unsent else Outcome.REJECTED

    def __str__(self) -> str:
        return f"nobody was reached: {'; '.join(map(str, self.failures))}"


class LedgerError(ConnectusError):
    """A campaign's ledger cannot be used. Messages that it does not have were not sent.

    Attributes:
        ledger: The name of its file, or its address without user and password.
        problem: The problem with it, and what to do.
    """

    def __init__(self, ledger: str, problem: str) -> None:
        super().__init__(ledger, problem)
        self.ledger = ledger
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.ledger}: {self.problem}"


class HolderGivenUpError(LedgerError):
    """Others gave this holder of a ledger up, since nothing was heard of it, and go on.

    It can become a holder again: messages that it has sent are not sent twice.
    """


class CampaignStoppedError(ConnectusError):
    """A campaign stopped itself to protect the remaining messages, which stay queued.

    Attributes:
        reason: The reason.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class RequestError(ConnectusError):
    """A request failed.

    Attributes:
        call: The method and path, such as ``POST /sms/send_individual``; for a blocking call that
            ``close`` interrupted, its name.
        reason: What happened, without secrets or personal data.
        response: The HTTP response, or ``None`` without one.
    """

    advice: ClassVar[str] = ""
    """Advice on what to do."""

    def __init__(self, call: str, reason: str, response: "Response | None" = None) -> None:
        super().__init__(call, reason, response)
        self.call = call
        self.reason = reason
        self.response = response

    @property
    def may_have_acted(self) -> bool:
        """``True`` if the request may have changed or sent something; a query never does."""
        return self.outcome is Outcome.UNKNOWN and not self.call.startswith("GET ")

    def __str__(self) -> str:
        sentence = f"{self.call}: {self.reason}"
        return f"{sentence} ({self.advice})" if self.advice else sentence


class NotSentError(RequestError):
    """The server did not act on the request, which may be sent again.

    Raised itself for 411, 421, 425, 426, 431, 505 and 511.
    """

    outcome = Outcome.NOT_SENT


class ConnectError(NotSentError):
    """No connection: name resolution, connection refused, TLS, or no free connection in time."""

    advice = "nothing was sent; check the base URL and the network"


class TooManyOpenFilesError(ConnectError):
    """No connection: this process, or the whole system, cannot open more files."""

    advice = (
        "nothing was sent; raise the limit (ulimit -n), or lower max_connections and concurrency"
    )


class ProxyError(ConnectError):
    """The proxy is unreachable, or refused to connect to the API."""

    advice = "nothing was sent; check the proxy"


class ProxyAuthenticationError(ProxyError):
    """407: the proxy requires other credentials. It is not retried, since it may lock the account.

    A campaign stops, and leaves the remaining messages queued.
    """

    advice = "nothing was sent; check the user and password in the proxy URL"


class RateLimitError(NotSentError):
    """429: too many requests; the server did not act on this one.

    Attributes:
        retry_after: The seconds to wait as requested by the server, or ``None``.
    """

    advice = "nothing was sent; slow down"

    def __init__(
        self,
        call: str,
        reason: str,
        response: "Response | None" = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(call, reason, response)
        self.args = (call, reason, response, retry_after)
        self.retry_after = retry_after


class RejectedError(RequestError):
    """The server rejected the request.

    Raised itself for a 2xx with an ``error``, and for 405, 410, 414, 415, 428 and 451.
    """

    outcome = Outcome.REJECTED


class BadRequestError(RejectedError):
    """400: a parameter is missing or malformed."""


class AuthenticationError(RejectedError):
    """401: the credentials are missing or wrong."""

    advice = "check api_user and api_key, or qr_token for the WhatsApp QR calls"


class PaymentRequiredError(RejectedError):
    """402: the balance does not cover the message."""

    advice = "add balance to the account or the sub-client"


class PermissionDeniedError(RejectedError):
    """403: the account may not make this call."""

    advice = "ask the account's administrator for the role"


class NotFoundError(RejectedError):
    """404: no such message, client, delivery, link or path."""


class ConflictError(RejectedError):
    """409: the request conflicts with the current state."""


class ContentTooLargeError(RejectedError):
    """413: the request is too large for the server."""


class UnprocessableContentError(RejectedError):
    """422: the request is well-formed, but its content is invalid."""


class UnknownOutcomeError(RequestError):
    """The server may have acted on the request. POST and PATCH are never retried after it."""

    outcome = Outcome.UNKNOWN
    advice = "it may have been carried out; check before sending it again"

    def __str__(self) -> str:
        return super().__str__() if self.may_have_acted else f"{self.call}: {self.reason}"


class RequestTimeoutError(UnknownOutcomeError, TimeoutError):
    """The answer did not arrive in time."""


class ConnectionLostError(UnknownOutcomeError):
    """The connection ended before the whole answer arrived."""


class ServerError(UnknownOutcomeError):
    """5xx, as status or in the body of a 2xx: the server failed, perhaps after acting."""


class UnexpectedStatusError(UnknownOutcomeError):
    """A status that neither accepts nor rejects: 1xx, 3xx, and 4xx without a class of their own."""


class UnreadableAnswerError(UnknownOutcomeError):
    """A 2xx whose body is not an answer to the call, such as the page of a gateway.

    The API may not have received the request; the outcome of a message is unknown.
    """

    def __str__(self) -> str:
        if self.may_have_acted:
            return super().__str__()
        return f"{self.call}: {self.reason} (the answer is in .response)"


def safe_text(error: Exception) -> str:
    """Describe an error without personal data, which the message of a foreign error may contain.

    >>> safe_text(CampaignStoppedError("stopped")), safe_text(ValueError("Ana"))
    ('stopped', 'ValueError')
    """
    return str(error) if isinstance(error, ConnectusError) else type(error).__name__
