"""States of a message of a campaign, the steps between them, and their reasons. Pure."""

import enum
from collections.abc import Mapping
from typing import Final

ABSENT: Final = "the API's reports do not show it, and show what was accepted before and after it"
INTERRUPTED: Final = "the sender ended before the answer came"
REPLACED: Final = "its source does not have it any more"
CORRECTED: Final = "its row was corrected"
HAS_ANOTHER: Final = "who gets it may have got another text of this campaign"


class State(enum.StrEnum):
    """State of a message of a campaign."""

    QUEUED = "queued"
    """It was not sent, and waits to be."""

    IN_FLIGHT = "in_flight"
    """It is being sent: recorded before the first byte leaves."""

    ACCEPTED = "accepted"
    """The API accepted it."""

    REJECTED = "rejected"
    """The API refused it: sending the same again gets the same answer."""

    UNKNOWN = "unknown"
    """It may have been sent; `Bulk.reconcile` asks the API."""

    HELD = "held"
    """It may have been sent, the API's reports do not show it, and the user decides."""

    SKIPPED = "skipped"
    """It is not sent; the `SkipReason` says why."""

    @property
    def is_final(self) -> bool:
        """``True`` if only the user can move the message from here."""
        return not STEPS[self]


class SkipReason(enum.StrEnum):
    """Reason not to send a message."""

    INVALID = "invalid"
    """The row cannot become a message, or the message cannot be sent as it is."""

    DUPLICATE = "duplicate"
    """The campaign has the same message already."""

    SUPPRESSED = "suppressed"
    """The recipient is on the suppression list."""

    EXPIRED = "expired"
    """It was too late to send it."""

    OVER_BUDGET = "over_budget"
    """The budget does not cover it."""

    SUPERSEDED = "superseded"
    """A later load of its source does not have it any more, or its row was corrected."""

    TOO_OFTEN = "too_often"
    """The recipient got as many messages of other campaigns lately as are allowed."""

    HAS_ANOTHER = "has_another"
    """The recipient may have got another text of this campaign, and gets no further one."""


def skip_reason(skipped: SkipReason, sentence: str | None) -> str:
    """Write the reason of a skipped message, as the statistics take it apart."""
    return f"{skipped}: {sentence}" if sentence else skipped.value


REPLACED_BECAUSE: Final = skip_reason(SkipReason.SUPERSEDED, REPLACED)
CORRECTED_BECAUSE: Final = skip_reason(SkipReason.SUPERSEDED, CORRECTED)
LEFT_OUT_BECAUSE: Final = skip_reason(SkipReason.HAS_ANOTHER, HAS_ANOTHER)
NOT_COUNTED: Final = frozenset({SkipReason.SUPERSEDED, SkipReason.HAS_ANOTHER})
"""Reasons of rows that are no part of a campaign's total: their source does not have them any more,
or another message stands in their place."""


def not_counted(skipped: Mapping[str, int]) -> int:
    """Add up the skipped rows that are no part of a campaign's total.

    Args:
        skipped: Skipped rows by reason.
    """
    return sum(skipped.get(reason, 0) for reason in NOT_COUNTED)


RETURNS: Final = frozenset({REPLACED_BECAUSE, LEFT_OUT_BECAUSE, SkipReason.TOO_OFTEN.value})
"""The reasons for which a message waits again once its source has it."""


class OnUnknown(enum.StrEnum):
    """Treatment of a message that may have been sent."""

    HOLD = "hold"
    """It is never sent again: at most once."""

    RESEND_IF_ABSENT = "resend_if_absent"
    """It is sent again once the API's reports, read twice, do not show it."""

    RESEND = "resend"
    """It is sent again: at least once, so a person may get it twice."""


class Edited(enum.StrEnum):
    """Treatment of people who may have got another text of the same ledger already."""

    ABORT = "abort"
    """Nothing is sent, and the error gives their number."""

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
"""The steps that a message takes by itself. The user can also queue held messages, those that were
skipped as over budget, and rejected or skipped ones that have another content now."""

ATTEMPTED: Final = (State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.HELD)
"""The states of messages whose last attempt has an outcome."""

MAY_BE_SENT: Final = frozenset({State.IN_FLIGHT, State.ACCEPTED, State.UNKNOWN, State.HELD})
"""States of messages that were or may have been sent: each may have taken from the balance. One in
another state waits again, with its new content, once its source has another content for it."""
