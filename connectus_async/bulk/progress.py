"""Progress of a bulk sender at one moment."""

from collections import Counter
from typing import TYPE_CHECKING, Self

import attrs

from connectus_async.bulk.outcomes import BulkSummary

if TYPE_CHECKING:
    from connectus_async.bulk.pacing import Pacer


@attrs.frozen(kw_only=True)
class Progress:
    """Progress of a bulk sender, as `Bulk.progress` returns it.

    Attributes:
        summary: Count of the outcomes so far.
        in_flight: Number of messages in flight.
        rate: Measured rate, in messages or segments per second.
        rate_limit: Present rate limit, or ``None``: the user's, or a lower one after the API
            answered 429.
        concurrency_limit: Present concurrency limit: the user's, or a lower one after the API
            became slow or failed.
        is_paused: Whether `Bulk.pause`, an order from another terminal, a ``Retry-After``, an API
            out of reach or a suppression list that cannot be read holds messages back.
        paused_by: Who or what holds messages back, unless it is the API.
    """

    summary: BulkSummary
    in_flight: int
    rate: float
    rate_limit: float | None
    concurrency_limit: int
    is_paused: bool
    paused_by: tuple[str, ...] = ()

    @classmethod
    def of(cls, summary: BulkSummary, pacer: "Pacer", paused_by: tuple[str, ...]) -> Self:
        """Take the present figures."""
        return cls(
            summary=BulkSummary(Counter(summary.counts), Counter(summary.skipped_by)),
            in_flight=pacer.in_flight,
            rate=pacer.measured_rate,
            rate_limit=pacer.rate,
            concurrency_limit=pacer.concurrency,
            is_paused=pacer.is_paused or pacer.paused_until is not None,
            paused_by=paused_by,
        )
