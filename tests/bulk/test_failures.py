"""The one rule for what a failure means: every class of error has its line here."""

import attrs
import pytest

from connectus_async import Outcome, errors
from connectus_async.answer import Response
from connectus_async.bulk.failures import (
    ANSWERED,
    DOUBTED,
    NOT_ABOUT_THE_MESSAGE,
    OUTCOMES,
    STATES,
    Consequence,
    Origin,
    consequence,
    origin,
)
from connectus_async.bulk.pacing import Signal
from connectus_async.errors import (
    AllChannelsFailedError,
    AuthenticationError,
    BadRequestError,
    CampaignStoppedError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    ConnectionLostError,
    ConnectusError,
    ContentTooLargeError,
    DeliveryTimeoutError,
    HolderGivenUpError,
    InvalidArgumentError,
    LedgerError,
    LibraryMissingError,
    NotFoundError,
    NotSentError,
    OwnServerError,
    OwnThreadError,
    PaymentRequiredError,
    PermissionDeniedError,
    ProxyAuthenticationError,
    ProxyError,
    RateLimitError,
    RejectedError,
    RequestError,
    RequestTimeoutError,
    ServerError,
    TooManyOpenFilesError,
    UndeliveredError,
    UnexpectedStatusError,
    UnknownOutcomeError,
    UnprocessableContentError,
    UnreadableAnswerError,
    WebhookError,
    WrongEventLoopError,
    WrongProcessError,
)
from connectus_async.ledger.states import MAY_BE_SENT, STEPS, State
from connectus_async.statuses import STATUSES

CALL = "POST /sms/send_individual"

REFUSED = Consequence(state=State.REJECTED, signal=Signal.SUCCESS)
LOST = Consequence(state=State.UNKNOWN, signal=Signal.OVERLOADED)
NOT_SENT = Consequence(state=State.QUEUED, signal=Signal.UNREACHABLE)
ACCOUNT_REFUSED = Consequence(state=State.QUEUED, signal=Signal.SUCCESS, stops=True)
NOBODY_CAN_SEND = Consequence(state=State.QUEUED, signal=Signal.UNREACHABLE, stops=True)

TABLE: dict[type[ConnectusError], Consequence] = {
    ConnectusError: NOT_SENT,
    CampaignStoppedError: NOT_SENT,
    InvalidArgumentError: NOT_SENT,
    OwnThreadError: NOT_SENT,
    WebhookError: NOT_SENT,
    WrongProcessError: NOT_SENT,
    DeliveryTimeoutError: Consequence(state=State.ACCEPTED, signal=Signal.NOTHING),
    # Of other calls than those of a campaign:
    AllChannelsFailedError: NOT_SENT,
    OwnServerError: NOT_SENT,
    UndeliveredError: Consequence(state=State.ACCEPTED, signal=Signal.NOTHING),
    # Local, and every further message would meet it too:
    ClientClosedError: NOBODY_CAN_SEND,
    ConfigurationError: NOBODY_CAN_SEND,
    LibraryMissingError: NOBODY_CAN_SEND,
    LedgerError: NOBODY_CAN_SEND,
    HolderGivenUpError: NOBODY_CAN_SEND,
    WrongEventLoopError: NOBODY_CAN_SEND,
    # Requests that were never acted upon:
    RequestError: NOT_SENT,
    NotSentError: NOT_SENT,
    ConnectError: NOT_SENT,
    TooManyOpenFilesError: NOT_SENT,
    ProxyError: NOT_SENT,
    ProxyAuthenticationError: NOBODY_CAN_SEND,
    RateLimitError: Consequence(state=State.QUEUED, signal=Signal.THROTTLED),
    # A no to the message:
    RejectedError: REFUSED,
    BadRequestError: REFUSED,
    NotFoundError: REFUSED,
    ConflictError: REFUSED,
    ContentTooLargeError: REFUSED,
    UnprocessableContentError: REFUSED,
    # A no to the account:
    AuthenticationError: ACCOUNT_REFUSED,
    PaymentRequiredError: ACCOUNT_REFUSED,
    PermissionDeniedError: ACCOUNT_REFUSED,
    # Requests that may have been acted upon:
    UnknownOutcomeError: LOST,
    RequestTimeoutError: LOST,
    ConnectionLostError: LOST,
    ServerError: LOST,
    UnexpectedStatusError: LOST,
    UnreadableAnswerError: LOST,
}


def every(kind: type[ConnectusError]) -> list[type[ConnectusError]]:
    return [kind] + [found for subclass in kind.__subclasses__() for found in every(subclass)]


def raised(kind: type[ConnectusError], response: Response | None = None) -> ConnectusError:
    """Make an error of a class without its constructor, which differs from class to class."""
    error = kind.__new__(kind)
    if isinstance(error, RateLimitError):
        error.retry_after = None
    error.response = response
    return error


def answer(status: int, body: bytes = b"{}") -> Response:
    return Response(status, {}, body)


def test_every_class_of_error_has_its_line():
    """A new one is classified here, or this fails."""
    kinds = {kind for kind in every(ConnectusError) if kind.__module__ == errors.__name__}

    assert set(TABLE) == kinds


@pytest.mark.parametrize(
    ("kind", "meaning"), TABLE.items(), ids=lambda it: getattr(it, "__name__", "")
)
def test_a_failure_means_what_its_class_says(kind: type[ConnectusError], meaning: Consequence):
    """Whatever was answered: whose answer it is, is another question."""
    for response in (None, answer(200), answer(404, b"<h1>Not Found</h1>")):
        assert consequence(raised(kind, response)) == meaning


@pytest.mark.parametrize("error", [OSError(), RuntimeError(), ValueError(), KeyError()])
def test_an_error_that_is_not_ours_leaves_a_message_unknown(error: Exception):
    """It may have come after the first byte: a look costs less than a second message."""
    assert consequence(error) == Consequence(state=State.UNKNOWN, signal=Signal.NOTHING)


def test_a_rate_limit_says_how_long_to_wait():
    meaning = consequence(RateLimitError(CALL, "429", None, 7.5))

    assert meaning == attrs.evolve(TABLE[RateLimitError], retry_after=7.5)


def test_no_status_of_refusal_is_taken_for_a_success():
    """Each status of the table refuses the message, leaves it queued, or leaves it open."""
    states = {consequence(status.error(CALL, "no")).state for status in STATUSES.values()}

    assert states == {State.REJECTED, State.QUEUED, State.UNKNOWN}


def test_an_attempt_ends_in_a_step_that_is_allowed():
    """No outcome that a request can have lacks a place in the ledger."""
    assert set(STATES) == set(Outcome)
    assert set(STATES.values()) == STEPS[State.IN_FLIGHT]
    assert {OUTCOMES[state]: state for state in OUTCOMES} == STATES
    assert {DOUBTED.state, *(meaning.state for meaning in TABLE.values())} <= STEPS[State.IN_FLIGHT]


def test_the_state_follows_the_outcome_of_the_request():
    """Also of an error that somebody else derived."""

    class OddError(CampaignStoppedError):
        """Of another package: it has no line above."""

    for outcome in Outcome:
        error = OddError("odd")
        error.outcome = outcome
        assert consequence(error).state is STATES[outcome]


def test_only_what_certainly_was_not_sent_is_queued_again():
    """A second message costs more than a look."""
    for kind, meaning in TABLE.items():
        is_queued = meaning.state is State.QUEUED
        assert is_queued == (kind.outcome is Outcome.NOT_SENT or meaning is ACCOUNT_REFUSED)


def test_an_answer_that_is_doubted_is_no_answer():
    """The message waits, and the server is left alone."""
    assert Consequence(state=State.QUEUED, signal=Signal.UNREACHABLE) == DOUBTED
    assert DOUBTED.state not in ANSWERED | MAY_BE_SENT


PAGE = b" \r\n<!DOCTYPE html><title>Not Found</title>"
WORDS = b"Client sent an HTTP request to an HTTPS server."
JSON = b'{"error": "no"}'


@pytest.mark.parametrize(
    ("kind", "status", "body", "whose"),
    [
        (BadRequestError, 400, JSON, Origin.API),
        (BadRequestError, 400, b" \n", Origin.API),
        (BadRequestError, 400, WORDS, Origin.UNPROVEN),
        (BadRequestError, 400, PAGE, Origin.FOREIGN),
        (UnprocessableContentError, 422, JSON, Origin.API),
        (NotFoundError, 404, JSON, Origin.UNPROVEN),
        (NotFoundError, 404, PAGE, Origin.FOREIGN),
        (ContentTooLargeError, 413, PAGE, Origin.API),
        (AuthenticationError, 401, PAGE, Origin.API),
        (PaymentRequiredError, 402, PAGE, Origin.API),
        (PermissionDeniedError, 403, PAGE, Origin.API),
        (ProxyAuthenticationError, 407, PAGE, Origin.API),
        (RateLimitError, 429, PAGE, Origin.API),
        (NotSentError, 421, PAGE, Origin.API),
        (ServerError, 502, JSON, Origin.API),
        (ServerError, 502, WORDS, Origin.API),
        (ServerError, 502, PAGE, Origin.UNPROVEN),
        (ConnectionLostError, 200, b"", Origin.API),
        (UnexpectedStatusError, 299, JSON, Origin.API),
        (UnexpectedStatusError, 300, JSON, Origin.FOREIGN),
        (UnexpectedStatusError, 399, b"", Origin.FOREIGN),
        (UnexpectedStatusError, 408, JSON, Origin.API),
        (UnreadableAnswerError, 200, PAGE, Origin.FOREIGN),
        (UnreadableAnswerError, 200, JSON, Origin.FOREIGN),
        *(
            (RejectedError, status, JSON, Origin.UNPROVEN)
            for status in (404, 405, 410, 414, 415, 428, 451)
        ),
    ],
)
def test_an_answer_shows_who_wrote_it(
    kind: type[RequestError], status: int, body: bytes, whose: Origin
):
    """What is no word of the API says nothing about a message."""
    assert origin(kind(CALL, "no", answer(status, body))) is whose


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
def test_what_was_not_answered_is_nobody_elses(kind: type[ConnectusError]):
    """But for what could not be read."""
    expected = Origin.FOREIGN if kind is UnreadableAnswerError else Origin.API

    assert origin(raised(kind)) is expected
    assert origin(ValueError()) is Origin.API


def test_the_statuses_that_are_about_no_message_are_refusals():
    """405 to 451 share one class with others; the table of statuses knows each."""
    for status in NOT_ABOUT_THE_MESSAGE:
        assert issubclass(STATUSES[status].error, RejectedError)
