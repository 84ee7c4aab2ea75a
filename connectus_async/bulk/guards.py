"""What is checked of each message right before it is sent, however long ago it was queued."""

import datetime as dt

from connectus_async.bulk.options import BulkOptions
from connectus_async.errors import CampaignStoppedError, InvalidArgumentError
from connectus_async.ledger.records import Entry
from connectus_async.ledger.states import SkipReason, State

REFRESH_SECONDS = 1.0
MOST_FAILED_LOOKS = 10
"""At a suppression list, until a campaign stops: one that is being written is soon whole."""


class Refusal(Exception):  # noqa: N818 - it is one verdict of several, not an error
    """A message is not to be sent, or not now.

    Attributes:
        state: Where that leaves it.
        skipped: Why it is not going to be sent, if it is not.
        error: The sentence for it.
    """

    def __init__(self, skipped: SkipReason | None, error: Exception) -> None:
        super().__init__(skipped)
        self.state = State.QUEUED if skipped is None else State.SKIPPED
        self.skipped = skipped
        self.error = error


class Guards:
    """The checks of one campaign.

    Args:
        options: The campaign's options.
        spent: What it took from the balance so far.

    Attributes:
        watches: Whether there is anything to `check`.
    """

    def __init__(self, options: BulkOptions, spent: int) -> None:
        self._suppression = options.suppression
        self._quiet_hours = options.quiet_hours
        self._expires_at = options.expires_at
        self._budget = options.budget
        self._spent = spent
        self.watches = (
            self._suppression is not None
            or self._quiet_hours is not None
            or self._expires_at is not None
        )

    def check(self, entry: Entry) -> None:
        """Check whether a message may leave now.

        Raises:
            Refusal: It may not.
        """
        if self._suppression is not None and entry.recipient in self._suppression:
            raise Refusal(
                SkipReason.SUPPRESSED,
                InvalidArgumentError("recipient", "is on the suppression list"),
            )
        now = dt.datetime.now(dt.UTC)
        if self._expires_at is not None and now >= self._expires_at:
            raise Refusal(
                SkipReason.EXPIRED, CampaignStoppedError("it was not to be sent after expires_at")
            )
        if self._quiet_hours is not None:
            until = self._quiet_hours.until(entry.recipient, now)
            if until is not None:
                raise Refusal(
                    None,
                    CampaignStoppedError(
                        f"it is quiet hours where it goes, until {until:%Y-%m-%d %H:%M %Z}"
                    ),
                )

    def take(self, entry: Entry) -> None:
        """Take what a message costs from the budget.

        Raises:
            Refusal: The budget does not cover it.
        """
        if self._budget is not None and self._spent + entry.billed > self._budget:
            raise Refusal(
                SkipReason.OVER_BUDGET,
                CampaignStoppedError(f"the budget of {self._budget:,} does not cover it"),
            )
        self._spent += entry.billed

    def give_back(self, entry: Entry) -> None:
        """Give back what a message did not cost after all."""
        self._spent -= entry.billed

    def recount(self, spent: int) -> None:
        """Begin anew with what was taken from the balance so far."""
        self._spent = spent
