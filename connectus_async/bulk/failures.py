"""Meaning of each failure, to the message, the pacer and the campaign. Pure.

Anything that depends on earlier failures is in `circuit_breaker`.
"""

import enum
from collections.abc import Mapping
from typing import Final

import attrs

from connectus_async import _json
from connectus_async.bulk.pacing import Signal
from connectus_async.errors import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    ConnectusError,
    ContentTooLargeError,
    LedgerError,
    Outcome,
    PaymentRequiredError,
    PermissionDeniedError,
    ProxyAuthenticationError,
    RateLimitError,
    RejectedError,
    RequestError,
    UnknownOutcomeError,
    UnreadableAnswerError,
    WrongEventLoopError,
)
from connectus_async.ledger.states import State

STATES: Final[Mapping[Outcome, State]] = {
    Outcome.ACCEPTED: State.ACCEPTED,
    Outcome.NOT_SENT: State.QUEUED,
    Outcome.REJECTED: State.REJECTED,
    Outcome.UNKNOWN: State.UNKNOWN,
}
"""State of a message after a request with that outcome."""

OUTCOMES: Final[Mapping[State, Outcome]] = {state: outcome for outcome, state in STATES.items()}

ANSWERED: Final = frozenset({State.ACCEPTED, State.REJECTED})
"""States that only an answer of the API leads to."""

STOPS_THE_CAMPAIGN: Final = (
    AuthenticationError,
    PermissionDeniedError,
    PaymentRequiredError,
    ProxyAuthenticationError,
    ConfigurationError,
    ClientClosedError,
    LedgerError,
    WrongEventLoopError,
)
"""Errors that every further message would meet too."""

STOPS_ALL_HOLDERS: Final = (AuthenticationError, PaymentRequiredError, RateLimitError)
"""Errors that stop a campaign for everyone who sends it. They are about the account; others may be
about one machine and its way to the API."""

NOT_ABOUT_THE_MESSAGE: Final = frozenset({404, 405, 410, 414, 415, 428, 451})
"""Statuses that refuse the path or the form of a request. No message is the reason."""


@attrs.frozen(kw_only=True)
class Consequence:
    """Meaning of a failed attempt to send a message.

    Attributes:
        state: State of the message.
        signal: Report to the pacer.
        stops: Whether every further message would fail too, so that the campaign stops.
        retry_after: Seconds that the API asks to wait, or ``None``.
    """

    state: State
    signal: Signal
    stops: bool = False
    retry_after: float | None = None


def consequence(error: Exception) -> Consequence:
    """Return the meaning of a failure. It depends on the error alone.

    >>> consequence(TimeoutError()).state
    <State.UNKNOWN: 'unknown'>
    """
    outcome = error.outcome if isinstance(error, ConnectusError) else Outcome.UNKNOWN
    stops = isinstance(error, STOPS_THE_CAMPAIGN)
    is_of_the_account = stops and outcome is Outcome.REJECTED  # it refuses no message
    return Consequence(
        state=State.QUEUED if is_of_the_account else STATES[outcome],
        signal=_signal(error),
        stops=stops,
        retry_after=error.retry_after if isinstance(error, RateLimitError) else None,
    )


DOUBTED: Final = Consequence(state=State.QUEUED, signal=Signal.UNREACHABLE)
"""Consequence of a refusal that need not be the API's: it says nothing about the message."""


def _signal(error: Exception) -> Signal:
    match error:
        case RejectedError():
            return Signal.SUCCESS
        case RateLimitError():
            return Signal.THROTTLED
        case UnknownOutcomeError():
            return Signal.OVERLOADED
        case ConnectusError() if error.outcome is Outcome.NOT_SENT:
            return Signal.UNREACHABLE
        case _:
            return Signal.NOTHING


class Origin(enum.Enum):
    """Author of the answer that an error reports."""

    API = "api"
    """The API, or nobody: there was no answer."""

    UNPROVEN = "unproven"
    """The API, if it has answered before; else anything at the base URL."""

    FOREIGN = "foreign"
    """Something in the API's place, such as a gateway or a portal."""


def origin(error: Exception) -> Origin:
    """Tell who wrote the answer that an error reports."""
    if isinstance(error, UnreadableAnswerError):
        return Origin.FOREIGN
    if not isinstance(error, RequestError) or error.response is None:
        return Origin.API
    if isinstance(error, UnknownOutcomeError):
        return _origin_of_unknown(error.response.status, error.response.body)
    if isinstance(error, RejectedError) and not isinstance(error, _BELIEVED):
        return _origin_of_refusal(error.response.status, error.response.body)
    return Origin.API


_BELIEVED: Final = (ContentTooLargeError, *STOPS_THE_CAMPAIGN)
"""Refusals that mean the same from a gateway as from the API."""


def _origin_of_unknown(status: int, body: bytes) -> Origin:
    if 300 <= status < 400:
        return Origin.FOREIGN
    return Origin.UNPROVEN if _is_page(body) else Origin.API


def _origin_of_refusal(status: int, body: bytes) -> Origin:
    if _is_page(body):
        return Origin.FOREIGN
    is_proven = status not in NOT_ABOUT_THE_MESSAGE and _is_json(body)
    return Origin.API if is_proven else Origin.UNPROVEN


def _is_page(body: bytes) -> bool:
    """Tell an HTML page, as gateways write it."""
    return body.lstrip().startswith(b"<")


def _is_json(body: bytes) -> bool:
    """Tell a body that the API may write: JSON, or nothing."""
    if not body.strip():
        return True
    try:
        _json.loads(body)
    except ValueError:
        return False
    return True
