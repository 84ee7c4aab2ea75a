"""How far a bulk sender is, at one moment."""

from collections import Counter
from typing import TYPE_CHECKING, Self

import attrs

from connectus_async.bulk.outcomes import BulkSummary

if TYPE_CHECKING:
    from connectus_async.bulk.pacing import Pacer


@attrs.frozen(kw_only=True)
class Progress:
    """What `Bulk.progress` tells.

    Attributes:
        summary: The count of the outcomes by then.
        in_flight: How many messages are on their way.
        rate: Messages (or segments) that leave a second.
        rate_limit: How many of them may, or ``None`` for no limit: the user's, or what is left of
            it after the API answered 429.
        concurrency_limit: How many messages may be on their way: the user's limit, or what is left
            of it after the API became slow or failed.
        is_paused: Whether `Bulk.pause`, a ``Retry-After``, an API out of reach or a suppression
            list that cannot be read holds it up.
    """

    summary: BulkSummary
    in_flight: int
    rate: float
    rate_limit: float | None
    concurrency_limit: int
    is_paused: bool

    @classmethod
    def of(cls, summary: BulkSummary, pacer: "Pacer") -> Self:
        """Take what holds now."""
        return cls(
            summary=BulkSummary(Counter(summary.counts), Counter(summary.skipped_by)),
            in_flight=pacer.in_flight,
            rate=pacer.measured_rate,
            rate_limit=pacer.rate,
            concurrency_limit=pacer.concurrency,
            is_paused=pacer.is_paused or pacer.paused_until is not None,
        )
