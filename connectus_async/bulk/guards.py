"""Checks of each message right before it is sent, however long ago it was queued."""

import datetime as dt

from connectus_async.bulk.options import BulkOptions
from connectus_async.errors import CampaignStoppedError, InvalidArgumentError
from connectus_async.ledger.records import Entry
from connectus_async.ledger.states import SkipReason, State


class Refusal(Exception):  # noqa: N818 - it is one verdict of several, not an error
    """A message must not be sent, or not now.

    Attributes:
        state: State of the message.
        skipped: Reason to skip it; ``None`` if it stays queued.
        error: The reason, as an error.
    """

    def __init__(self, skipped: SkipReason | None, error: Exception) -> None:
        super().__init__(skipped)
        self.state = State.QUEUED if skipped is None else State.SKIPPED
        self.skipped = skipped
        self.error = error


class Guards:
    """Checks of one campaign: suppression, expiry, quiet hours and budget.

    Args:
        options: Options of the campaign.
        spent: Amount taken from the balance so far.

    Attributes:
        has_checks: Whether there is anything to `check`.
    """

    def __init__(self, options: BulkOptions, spent: int) -> None:
        self._suppression = options.suppression
        self._quiet_hours = options.quiet_hours
        self._expires_at = options.expires_at
        self._budget = options.budget
        self._spent = spent
        self.has_checks = (
            self._suppression is not None
            or self._quiet_hours is not None
            or self._expires_at is not None
        )

    def check(self, entry: Entry) -> None:
        """Check whether a message may be sent now.

        Raises:
            Refusal: It must not.
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
        """Take the cost of a message from the budget.

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
        """Return the cost of a message that was not sent."""
        self._spent -= entry.billed

    def recount(self, spent: int) -> None:
        """Replace the amount taken from the balance so far."""
        self._spent = spent
