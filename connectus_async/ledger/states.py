"""The states that a message of a campaign goes through, and the steps between them. Pure."""

import enum
from collections.abc import Mapping
from typing import Final

from connectus_async.errors import ConnectusError, Outcome


class State(enum.StrEnum):
    """Where a message of a campaign is."""

    QUEUED = "queued"
    """It was never sent, and waits to be."""

    IN_FLIGHT = "in_flight"
    """It is being sent: written down before the first byte leaves."""

    ACCEPTED = "accepted"
    """The API took it."""

    REJECTED = "rejected"
    """The API refused it: sending the same again gets the same answer."""

    UNKNOWN = "unknown"
    """It may have been sent; `Bulk.reconcile` asks the API."""

    HELD = "held"
    """It may have been sent, the API's reports do not show it, and it waits for the user's word."""

    SKIPPED = "skipped"
    """It is not going to be sent; the `SkipReason` says why."""

    @property
    def is_final(self) -> bool:
        """Whether nothing moves the message from here but the user's word."""
        return not STEPS[self]


class SkipReason(enum.StrEnum):
    """Why a message is not going to be sent."""

    INVALID = "invalid"
    """The row cannot become a message, or the message cannot be sent as it is."""

    DUPLICATE = "duplicate"
    """The campaign has the same message already."""

    SUPPRESSED = "suppressed"
    """The recipient is on the suppression list."""

    EXPIRED = "expired"
    """The time after which it is not to be sent had passed."""

    OVER_BUDGET = "over_budget"
    """The budget does not cover it."""


class OnUnknown(enum.StrEnum):
    """What is to become of a message that may have been sent."""

    HOLD = "hold"
    """It is never sent again: at most once."""

    RESEND_IF_ABSENT = "resend_if_absent"
    """It is sent again once the API's reports, read twice, do not show it."""

    RESEND = "resend"
    """It is sent again: at least once, so a person may get it twice."""


class Edited(enum.StrEnum):
    """Treatment of people who may have got another text of the same ledger already."""

    REFUSE = "refuse"
    """Nothing is sent, and how many they are is said."""

    REMAINING = "remaining"
    """They get nothing more; only those who have nothing yet get the new text."""

    EVERYONE = "everyone"
    """They get the new text as well."""


STEPS: Final[Mapping[State, frozenset[State]]] = {
    State.QUEUED: frozenset({State.IN_FLIGHT, State.SKIPPED}),
    State.IN_FLIGHT: frozenset({State.ACCEPTED, State.REJECTED, State.QUEUED, State.UNKNOWN}),
    State.UNKNOWN: frozenset({State.ACCEPTED, State.HELD, State.QUEUED}),
    State.ACCEPTED: frozenset(),
    State.REJECTED: frozenset(),
    State.HELD: frozenset(),
    State.SKIPPED: frozenset(),
}
"""The steps that a message takes by itself. The user's word can also queue what is held, and what
was skipped as over budget."""


def after_attempt(error: Exception | None) -> State:
    """The state of a message after an attempt to send it that raised `error`, or nothing.

    >>> after_attempt(None), after_attempt(TimeoutError())
    (<State.ACCEPTED: 'accepted'>, <State.UNKNOWN: 'unknown'>)
    """
    if error is None:
        return State.ACCEPTED
    outcome = error.outcome if isinstance(error, ConnectusError) else Outcome.UNKNOWN
    return _AFTER[outcome]


_AFTER: Final = {
    Outcome.ACCEPTED: State.ACCEPTED,
    Outcome.NOT_SENT: State.QUEUED,
    Outcome.REJECTED: State.REJECTED,
    Outcome.UNKNOWN: State.UNKNOWN,
}
