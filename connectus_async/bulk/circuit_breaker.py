"""Circuit breaker for a campaign: counts failures. `failures` says what each one means."""

import time
from collections.abc import Callable
from typing import Final

from connectus_async.bulk.failures import Origin, consequence, origin
from connectus_async.errors import (
    CampaignStoppedError,
    NotSentError,
    RateLimitError,
    RejectedError,
    RequestError,
    UnknownOutcomeError,
)

FIRST_TRIES: Final = 3
"""Failures to connect before the first answer: the address is likely wrong, the API is not down."""

FOREIGN_FIRST: Final = 3
"""Foreign answers before the first of the API: something answers in its place."""

FOREIGN_IN_A_ROW: Final = 10
"""Foreign answers after one of the API: a firewall may step in amid a campaign."""

REFUSED_AGAIN: Final = 3
"""Tries after which a page that refuses one message, and no other meanwhile, is a no to it."""

UNKNOWN_IN_A_ROW: Final = 100
"""Unknown outcomes in a row, or twice the concurrency if that is more."""

UNKNOWN_FIRST: Final = 10
"""Unknown outcomes before the first answer."""


class CircuitBreaker:
    """Circuit breaker for a campaign.

    Args:
        seconds: Maximum time with nothing but failures and 429.
        concurrency: Maximum number of messages in flight.
        retry_after_cap: Longest ``Retry-After`` to wait for, in seconds.
        clock: Monotonic clock, in seconds.
    """

    def __init__(
        self,
        seconds: float,
        concurrency: int,
        retry_after_cap: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._unknown_limit = max(UNKNOWN_IN_A_ROW, 2 * concurrency)
        self._retry_after_cap = retry_after_cap
        self._clock = clock
        self._was_answered = False
        self._failing_since: float | None = None
        self._not_sent = 0
        self._unknown = 0
        self._foreign = 0
        self._may_have_acted = False

    def answered(self) -> None:
        """Record that the API accepted or refused a message: it works."""
        self._was_answered = True
        self._failing_since = None
        self._not_sent = self._unknown = self._foreign = 0
        self._may_have_acted = False

    def resumed(self) -> None:
        """Restart the clock after a pause by the user: that is no outage."""
        self._failing_since = None

    def doubts(self, error: Exception, tries: int) -> bool:
        """Tell whether a refusal need not be the API's, so that it says nothing about the message.

        Args:
            error: The failure.
            tries: Number of earlier refusals of this message that were doubted.
        """
        if not isinstance(error, RejectedError) or not self._is_foreign(error):
            return False
        is_alone = self._foreign <= tries
        is_final = self._was_answered and is_alone and tries >= REFUSED_AGAIN - 1
        return not is_final

    def is_of_the_api(self, error: Exception | None) -> bool:
        """Tell whether a request was answered, and by the API.

        Args:
            error: The failure; ``None`` if the message was accepted.
        """
        if error is None:
            return True
        if not isinstance(error, RequestError) or error.response is None:
            return False
        return not self._is_foreign(error)

    def failed(self, error: Exception, *, is_doubted: bool = False) -> Exception | None:
        """Record a failure.

        Args:
            error: The failure.
            is_doubted: Whether it is a refusal that need not be the API's.

        Returns:
            The reason to stop the campaign, or ``None``.
        """
        if consequence(error).stops:
            return error
        if is_doubted and isinstance(error, RequestError):
            return self._count_foreign(error.reason)
        if isinstance(error, UnknownOutcomeError):
            return self._count_unknown(error)
        if isinstance(error, NotSentError):
            return self._count_not_sent(error)
        return None

    def unknown(self, reason: str) -> Exception | None:
        """Record that a message may or may not have been sent.

        Args:
            reason: The failure, in words.

        Returns:
            The reason to stop the campaign, or ``None``.
        """
        self._unknown += 1
        limit = self._unknown_limit if self._was_answered else UNKNOWN_FIRST
        if self._unknown < limit and not self._is_exhausted():
            return None
        return CampaignStoppedError(
            f"the last {self._unknown} messages may or may not have been sent ({reason}): "
            "stopped to spare the rest"
        )

    def _is_foreign(self, error: Exception) -> bool:
        author = origin(error)
        return author is Origin.FOREIGN or (author is Origin.UNPROVEN and not self._was_answered)

    def _count_unknown(self, error: UnknownOutcomeError) -> Exception | None:
        if self._is_foreign(error):
            self._may_have_acted = True
            return self._count_foreign(error.reason) or self.unknown(error.reason)
        self._foreign = 0
        return self.unknown(error.reason)

    def _count_foreign(self, reason: str) -> Exception | None:
        self._foreign += 1
        limit = FOREIGN_IN_A_ROW if self._was_answered else FOREIGN_FIRST
        if self._foreign < limit:
            return None
        effect = (
            "these messages may or may not have been sent, and the rest is spared"
            if self._may_have_acted
            else "nothing was sent, and all wait"
        )
        return CampaignStoppedError(
            f"{self._foreign} answers in a row were none of the API's ({reason}): something may "
            "answer in its place, so look at the base URL and at what is on the way to it; "
            f"{effect}"
        )

    def _count_not_sent(self, error: NotSentError) -> Exception | None:
        wait = consequence(error).retry_after
        if wait is not None and wait > self._retry_after_cap:
            return error
        self._not_sent += 1
        self._was_answered |= isinstance(error, RateLimitError)
        if not self._was_answered and self._not_sent >= FIRST_TRIES:
            return error
        return error if self._is_exhausted() else None

    def _is_exhausted(self) -> bool:
        """Tell whether nothing but failures came for too long."""
        now = self._clock()
        if self._failing_since is None:
            self._failing_since = now
        return now - self._failing_since > self._seconds
