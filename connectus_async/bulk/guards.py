"""Checks of each message right before it is sent, however long ago it was queued."""

import asyncio
import datetime as dt
import math
import time
from typing import Final

from connectus_async.bulk.options import BulkOptions
from connectus_async.errors import CampaignStoppedError, InvalidArgumentError
from connectus_async.ledger.abc import Ledger, SharedLedger
from connectus_async.ledger.records import Entry
from connectus_async.ledger.states import SkipReason, State

PORTION: Final = 1_000
"""Units of a shared budget that are reserved at a time, of one that has many left."""

REFUSED_SECONDS: Final = 1.0
"""Seconds for which a shared budget that did not cover a message is not asked again for as much."""


class Refusal(Exception):  # noqa: N818 - it is one verdict of several, not an error
    """A message must not be sent, or not now.

    Attributes:
        state: State of the message.
        skipped: Reason to skip it; ``None`` if it stays queued.
        error: The reason, as an error.
        until: End of the quiet hours that are the reason; ``None`` for another one.
    """

    def __init__(
        self, skipped: SkipReason | None, error: Exception, until: dt.datetime | None = None
    ) -> None:
        super().__init__(skipped)
        self.state = State.QUEUED if skipped is None else State.SKIPPED
        self.skipped = skipped
        self.error = error
        self.until = until


class Guards:
    """Checks of one campaign: suppression, expiry, quiet hours and budget.

    Args:
        options: Options of the campaign.
        spent: Amount taken from the balance so far.
        shared: The ledger, if others who send it share the budget.

    Attributes:
        has_checks: Whether there is anything to `check`.
    """

    def __init__(
        self, options: BulkOptions, spent: int, shared: SharedLedger | None = None
    ) -> None:
        self._suppression = options.suppression
        self._quiet_hours = options.quiet_hours
        self._expires_at = options.expires_at
        self._budget = options.budget
        self._spent = spent
        self._shared = shared
        self._reserving = asyncio.Lock()
        self._refused = (0, -math.inf)
        if self._shared is not None:
            self._spent = options.budget or 0  # each part is reserved first
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
                    until,
                )

    @property
    def kept(self) -> int:
        """Units of a shared budget that are reserved here and not used."""
        return 0 if self._shared is None else (self._budget or 0) - self._spent

    def take(self, entry: Entry) -> None:
        """Take the cost of a message from the budget, or from what is reserved of a shared one.

        Raises:
            Refusal: They do not cover it. Of a shared budget, `take_more` may find some.
        """
        if self._budget is not None and self._spent + entry.billed > self._budget:
            raise self._over_budget()
        self._spent += entry.billed

    async def take_more(self, entry: Entry) -> None:
        """Take the cost of a message from what others have left of a shared budget.

        Raises:
            Refusal: The budget does not cover it.
            LedgerError: The ledger cannot be used.
        """
        if self._shared is None or self._budget is None:
            raise self._over_budget()
        async with self._reserving:
            while self._spent + entry.billed > self._budget:
                least = entry.billed - self.kept
                refused, until = self._refused
                if least >= refused and time.monotonic() < until:
                    raise self._over_budget()
                units = await self._shared.reserve(self._budget, least, max(least, PORTION))
                if not units:
                    self._refused = (least, time.monotonic() + REFUSED_SECONDS)
                self._spent -= units
        self._spent += entry.billed

    def give_back(self, entry: Entry) -> None:
        """Return the cost of a message that was not sent."""
        self._spent -= entry.billed

    async def recount(self, ledger: Ledger) -> None:
        """Count anew what was taken from the balance; no message is under way."""
        if self._shared is None:
            self._spent = await ledger.spent()
        else:
            await self._shared.count_budget(self.kept)

    async def end(self) -> None:
        """Give back what is reserved of a shared budget."""
        if self._shared is not None and self.kept:
            await self._shared.give_back(self.kept)

    def _over_budget(self) -> Refusal:
        return Refusal(
            SkipReason.OVER_BUDGET,
            CampaignStoppedError(f"the budget of {self._budget:,} does not cover it"),
        )
