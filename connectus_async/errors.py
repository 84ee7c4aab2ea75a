"""The one tree of exceptions: each says what became of the request, in its own sentence."""

import enum
from typing import ClassVar

from connectus_async.answer import Response


class Outcome(enum.StrEnum):
    """What became of a request, and so of its message."""

    ACCEPTED = "accepted"
    """The server took it (2xx)."""

    NOT_SENT = "not_sent"
    """The server never acted on it: it can be sent again."""

    REJECTED = "rejected"
    """The server said no: sending the same again gets the same answer."""

    UNKNOWN = "unknown"
    """It may have been sent. Look before sending it again."""


class ConnectusError(Exception):
    """Base of every error that this package raises.

    Attributes:
        outcome: What became of the request.
        response: The HTTP response, or ``None`` where there was none.
    """

    outcome: Outcome = Outcome.NOT_SENT
    response: Response | None = None


class ConfigurationError(ConnectusError, ValueError):
    """A setting is missing or makes no sense. Nothing was sent.

    Attributes:
        setting: The name of the setting, as in the constructor.
        problem: What is wrong with it.
    """

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(setting, problem)
        self.setting = setting
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.setting}: {self.problem}"


class InvalidArgumentError(ConnectusError, ValueError):
    """An argument cannot be sent as it is. Nothing was sent.

    Attributes:
        field: The name of the argument.
        problem: What is wrong with it; never its value.
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
        return "the client is closed: open another one"


class WrongEventLoopError(ConnectusError, RuntimeError):
    """The client is open in another event loop than the one that calls. Nothing was sent."""

    def __str__(self) -> str:
        return "the client is open in another event loop: use one client in each loop"


class OwnThreadError(ConnectusError, RuntimeError):
    """A blocking call came from the client's own thread, as in a callback. Nothing was sent."""

    def __str__(self) -> str:
        return (
            "a blocking call on the event loop's own thread would wait for itself for ever: "
            "await the async client there, or make the call in another thread"
        )


class WrongProcessError(ConnectusError, RuntimeError):
    """Something that was begun before a fork is used in the child. Nothing was sent."""

    def __str__(self) -> str:
        return "this was begun before the process was forked: begin it again in the child"


class WebhookError(ConnectusError, ValueError):
    """What came to a webhook is no event.

    Attributes:
        problem: What is wrong with its body; never what the body says.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"the body of a webhook {self.problem}"


class DeliveryTimeoutError(ConnectusError, TimeoutError):
    """An SMS has no final status yet. It was accepted, and may still be delivered.

    Attributes:
        seconds: For how long it was waited; ``None`` if there was no limit but the tracker's.
    """

    outcome = Outcome.ACCEPTED

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        limit = (
            "in the time that it is followed"
            if self.seconds is None
            else (f"within {self.seconds:g} s")
        )
        return f"no final status {limit}"


class LedgerError(ConnectusError):
    """A campaign's ledger cannot be used. What it does not have on record was not sent.

    Attributes:
        ledger: The name of its file.
        problem: What is wrong with it, and what to do.
    """

    def __init__(self, ledger: str, problem: str) -> None:
        super().__init__(ledger, problem)
        self.ledger = ledger
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.ledger}: {self.problem}"


class CampaignStoppedError(ConnectusError):
    """A campaign stopped itself, to spare the messages that are left. They stay queued.

    Attributes:
        reason: Why.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class RequestError(ConnectusError):
    """A request failed.

    Attributes:
        call: The method and path, such as ``POST /sms/send_individual``; of a blocking call that
            ``close`` cut off, its name.
        reason: What happened, without secrets and personal data.
        response: The HTTP response, or ``None`` where there was none.
    """

    advice: ClassVar[str] = ""
    """What to do about it."""

    def __init__(self, call: str, reason: str, response: Response | None = None) -> None:
        super().__init__(call, reason, response)
        self.call = call
        self.reason = reason
        self.response = response

    @property
    def may_have_acted(self) -> bool:
        """Whether the request may have changed or sent something: a question never does."""
        return self.outcome is Outcome.UNKNOWN and not self.call.startswith("GET ")

    def __str__(self) -> str:
        sentence = f"{self.call}: {self.reason}"
        return f"{sentence} ({self.advice})" if self.advice else sentence


class NotSentError(RequestError):
    """The server never acted on the request: it may be sent again.

    Raised as itself for the statuses that say so: 411, 421, 425, 426, 431, 505 and 511.
    """

    outcome = Outcome.NOT_SENT


class ConnectError(NotSentError):
    """No connection could be had: name resolution, refused, TLS, or no free connection in time."""

    advice = "nothing was sent; check the base URL and the network"


class TooManyOpenFilesError(ConnectError):
    """No connection could be had: this process, or the whole system, may open no more files."""

    advice = (
        "nothing was sent; raise the limit (ulimit -n), or lower max_connections and concurrency"
    )


class ProxyError(ConnectError):
    """The proxy cannot be reached, or refused to connect to the API."""

    advice = "nothing was sent; check the proxy"


class ProxyAuthenticationError(ProxyError):
    """407: the proxy wants credentials, or others. It is not asked again: it may lock the account.

    A campaign stops, and leaves the rest queued.
    """

    advice = "nothing was sent; check the user and the password in the URL of the proxy"


class RateLimitError(NotSentError):
    """429: too many requests; the server did not act on this one.

    Attributes:
        retry_after: The seconds that the server asks to wait, or ``None``.
    """

    advice = "nothing was sent; slow down"

    def __init__(
        self,
        call: str,
        reason: str,
        response: Response | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(call, reason, response)
        self.args = (call, reason, response, retry_after)
        self.retry_after = retry_after


class RejectedError(RequestError):
    """A definite no.

    Raised as itself for a 2xx that says ``error``, and for 405, 410, 414, 415, 428 and 451.
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

    advice = "ask the administrator of the account for the role"


class NotFoundError(RejectedError):
    """404: no such message, client, delivery, link or path."""


class ConflictError(RejectedError):
    """409: the request contradicts the present state."""


class ContentTooLargeError(RejectedError):
    """413: the request is larger than the server takes."""


class UnprocessableContentError(RejectedError):
    """422: well-formed, but the server refuses what it says."""


class UnknownOutcomeError(RequestError):
    """The request may have been acted upon. POST and PATCH are never retried after it."""

    outcome = Outcome.UNKNOWN
    advice = "it may have been carried out; check before sending it again"

    def __str__(self) -> str:
        return super().__str__() if self.may_have_acted else f"{self.call}: {self.reason}"


class RequestTimeoutError(UnknownOutcomeError, TimeoutError):
    """The answer did not come in time."""


class ConnectionLostError(UnknownOutcomeError):
    """The connection ended before a whole answer had come."""


class ServerError(UnknownOutcomeError):
    """5xx, in the status or in the body of a 2xx: the server failed, perhaps after acting."""


class UnexpectedStatusError(UnknownOutcomeError):
    """A status that says neither yes nor no: 1xx, 3xx and the 4xx without a class of their own."""


class UnreadableAnswerError(UnknownOutcomeError):
    """A 2xx with a body that is not what the call answers, such as the page of a gateway.

    The API need not have got the request; a message counts as unknown.
    """

    def __str__(self) -> str:
        if self.may_have_acted:
            return super().__str__()
        return f"{self.call}: {self.reason} (the answer is in .response)"


def safe_text(error: Exception) -> str:
    """Describe an error without personal data: the words of errors that are not ours may have some.

    >>> safe_text(CampaignStoppedError("stopped")), safe_text(ValueError("Ana"))
    ('stopped', 'ValueError')
    """
    return str(error) if isinstance(error, ConnectusError) else type(error).__name__
