"""Statuses that came before the holder recorded the provider id of their SMS."""

import logging
import time
from collections.abc import Set as AbstractSet
from typing import Any, Final

from connectus_async.ledger.delivery_connection import DeliveryConnection
from connectus_async.ledger.steady_clock import SteadyClock

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds between two searches for the SMS of early statuses. The pause doubles each time."""

SEARCH_SHARE: Final = 0.1
"""Maximum share of the time that goes into searches."""

DROP_PAUSE: Final = 3_600.0
"""Seconds between two deletions of old statuses, and between two warnings about them."""

DROPPED: Final = (
    "delivery statuses dropped: %d. The ledger never had their SMS; if the account also sends"
    " outside of this campaign, they may be of those SMS"
)

_log: Final = logging.getLogger("connectus_async")


class EarlyStatuses:
    """Schedule of the searches for the SMS of early statuses, and of deleting old statuses.

    Args:
        clock: The clock that tells the age of a status.
        seconds: How long a status is kept.
    """

    def __init__(self, clock: SteadyClock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._are_there = False
        self._pause = FIRST_PAUSE
        self._next_search = 0.0
        self._next_drop = 0.0
        self._seen_changes: object = None
        self._dropped = 0
        self._next_warning = 0.0

    def resume(self, connection: DeliveryConnection[Any]) -> None:
        """Continue with the statuses that an earlier writer kept."""
        self._are_there = connection.run(connection.rows.has_early)
        self.join(connection, at_once=True)

    def add(self, ids: AbstractSet[str], dropped: int) -> None:
        """Note that statuses were kept, and how many were dropped."""
        if ids:
            soon = time.monotonic() + FIRST_PAUSE
            self._next_search = min(self._next_search, soon) if self._are_there else soon
            self._pause = FIRST_PAUSE
            self._are_there = True
        self._count_dropped(dropped)

    def pause(self) -> float | None:
        """Return the seconds until the next search; ``None`` if nothing is kept."""
        return max(0.0, self._next_search - time.monotonic()) if self._are_there else None

    def join(self, connection: DeliveryConnection[Any], *, at_once: bool = False) -> None:
        """Move statuses to SMS that are recorded by now.

        Args:
            connection: The ledger.
            at_once: Search now, even if the next search is later.
        """
        began = time.monotonic()
        if not self._are_there or (began < self._next_search and not at_once):
            return
        run, rows = connection.run, connection.rows
        changes = run(rows.changes)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._next_search = began + self._pause  # even if what follows fails
        if changes != self._seen_changes:
            self._join_all(connection)
            self._seen_changes = changes
        if began >= self._next_drop:
            self._next_drop = began + min(self._seconds, DROP_PAUSE)
            oldest = self._clock.unix_now() - self._seconds
            self._count_dropped(run(rows.drop_old, oldest))
        self._are_there = run(rows.has_early)
        took = time.monotonic() - began
        self._next_search = max(self._next_search, began + took / SEARCH_SHARE)

    def _join_all(self, connection: DeliveryConnection[Any]) -> None:
        """Move statuses in pages, so that the holder need not wait."""
        run, rows = connection.run, connection.rows
        after = 0
        while page := run(rows.named, after):
            after = page[-1].number
            run(rows.record, {it.id_sms: it.status for it in page}, self._clock.unix_now())

    def warn(self) -> None:
        """Log the number of statuses that were dropped since the last warning."""
        if self._dropped:
            _log.warning(DROPPED, self._dropped)
            self._dropped = 0

    def _count_dropped(self, count: int) -> None:
        self._dropped += count
        if self._dropped and time.monotonic() >= self._next_warning:
            self._next_warning = time.monotonic() + DROP_PAUSE
            self.warn()
