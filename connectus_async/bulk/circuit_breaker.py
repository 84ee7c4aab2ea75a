"""When a campaign had better stop itself and leave the rest queued."""

import time
from collections.abc import Callable
from typing import Final

from connectus_async import _json
from connectus_async.errors import (
    AuthenticationError,
    CampaignStoppedError,
    ClientClosedError,
    ConfigurationError,
    ContentTooLargeError,
    LedgerError,
    NotSentError,
    PaymentRequiredError,
    PermissionDeniedError,
    ProxyAuthenticationError,
    RateLimitError,
    RejectedError,
    RequestError,
    UnknownOutcomeError,
    UnreadableAnswerError,
    WrongEventLoopError,
)

STOPS_THE_CAMPAIGN: Final = (
    AuthenticationError,
    PermissionDeniedError,
    PaymentRequiredError,
    ProxyAuthenticationError,
    ConfigurationError,
    ClientClosedError,
    LedgerError,
    WrongEventLoopError,
)
"""Errors that every further message would meet too."""

FIRST_TRIES: Final = 3
"""Where no request was ever answered, the address is more likely wrong than the server down."""

UNREADABLE_FIRST: Final = 3
"""Where nothing else ever came, something answers in the place of the API."""

UNREADABLE_IN_A_ROW: Final = 10
"""And also after the API has answered: a firewall may begin to ask for more amid a campaign."""

REFUSED_AGAIN: Final = 3
"""Tries after which a page that refuses one message, and no other meanwhile, is a no to it."""

NO_ONE_THERE: Final = frozenset({404, 405, 410, 414, 415, 428, 451})
"""Refusals of where and how it was asked: from the first request on, they are of no message."""

UNKNOWN_IN_A_ROW: Final = 100
"""From so many on, or twice the concurrency, the fault is not the messages'."""

UNKNOWN_FIRST: Final = 10
"""And where nothing else ever came."""


class CircuitBreaker:
    """Judges each failure of a campaign.

    Args:
        seconds: How long nothing but failures and 429 may come.
        concurrency: How many messages are on their way at a time.
        retry_after_cap: Seconds of a ``Retry-After`` that are waited for.
        clock: Seconds that never run backwards.
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
        self._refused = 0
        self._unknown = 0
        self._unreadable = 0
        self._may_have_acted = False

    def answered(self) -> None:
        """Note that the API took or refused a message: it is there and works."""
        self._was_answered = True
        self._failing_since = None
        self._refused = self._unknown = self._unreadable = 0
        self._may_have_acted = False

    def resumed(self) -> None:
        """Begin to count the time anew: what the user held up is no outage."""
        self._failing_since = None

    def doubts(self, error: Exception, tries: int) -> bool:
        """Tell whether a refusal need not be the API's: then it is no word about the message.

        Args:
            error: The refusal.
            tries: How often this message was refused like this before.
        """
        if not isinstance(error, RejectedError) or isinstance(error, ContentTooLargeError):
            return False
        if error.response is None or isinstance(error, STOPS_THE_CAMPAIGN):
            return False
        if self._was_answered:
            is_alone = self._unreadable <= tries
            return _is_page(error) and not (is_alone and tries >= REFUSED_AGAIN - 1)
        return error.response.status in NO_ONE_THERE or not _is_json(error)

    def is_of_the_api(self, error: Exception | None) -> bool:
        """Tell whether a request was answered, and not by something in the API's place."""
        if error is None:
            return True
        if not isinstance(error, RequestError) or error.response is None:
            return False
        return not (self._is_of_another(error) or self.doubts(error, 0))

    def failed(self, error: Exception, *, is_doubted: bool = False) -> Exception | None:
        """Judge a failure; what is returned stops the campaign.

        Args:
            error: The failure.
            is_doubted: Whether it is a refusal that need not be the API's.
        """
        if isinstance(error, STOPS_THE_CAMPAIGN):
            return error
        if is_doubted and isinstance(error, RequestError):
            return self._not_read(error.reason)
        if isinstance(error, UnknownOutcomeError) and self._is_of_another(error):
            self._may_have_acted = True
            return self._not_read(error.reason) or self.unknown(error.reason)
        if isinstance(error, UnknownOutcomeError):
            self._unreadable = 0
            return self.unknown(error.reason)
        if isinstance(error, NotSentError):
            return self._not_sent(error)
        return None

    def unknown(self, reason: str) -> Exception | None:
        """Judge that a message may or may not have been sent; what is returned stops the campaign.

        Args:
            reason: What happened to it.
        """
        self._unknown += 1
        limit = self._unknown_limit if self._was_answered else UNKNOWN_FIRST
        if self._unknown < limit and not self._is_exhausted():
            return None
        return CampaignStoppedError(
            f"the last {self._unknown} messages may or may not have been sent ({reason}): "
            "stopped to spare the rest"
        )

    def _is_of_another(self, error: RequestError) -> bool:
        """Tell an answer of which nobody knows what became, and that is none of the API's."""
        if isinstance(error, UnreadableAnswerError):
            return True
        if error.response is None or not isinstance(error, UnknownOutcomeError):
            return False
        return 300 <= error.response.status < 400 or (not self._was_answered and _is_page(error))

    def _not_read(self, reason: str) -> Exception | None:
        """Judge an answer that is none of the API's."""
        self._unreadable += 1
        limit = UNREADABLE_IN_A_ROW if self._was_answered else UNREADABLE_FIRST
        if self._unreadable < limit:
            return None
        became = (
            "these messages may or may not have been sent, and the rest is spared"
            if self._may_have_acted
            else "nothing was sent, and all wait"
        )
        return CampaignStoppedError(
            f"{self._unreadable} answers in a row were none of the API's ({reason}): something may "
            "answer in its place, so look at the base URL and at what is on the way to it; "
            f"{became}"
        )

    def _not_sent(self, error: NotSentError) -> Exception | None:
        wanted = error.retry_after if isinstance(error, RateLimitError) else None
        if wanted is not None and wanted > self._retry_after_cap:
            return error
        self._refused += 1
        self._was_answered |= isinstance(error, RateLimitError)
        if not self._was_answered and self._refused >= FIRST_TRIES:
            return error
        return error if self._is_exhausted() else None

    def _is_exhausted(self) -> bool:
        """Tell whether nothing but failures came for too long."""
        now = self._clock()
        if self._failing_since is None:
            self._failing_since = now
        return now - self._failing_since > self._seconds


def _is_page(error: RequestError) -> bool:
    """Tell an answer in HTML, as those write it who stand before the API."""
    return error.response is not None and error.response.body.lstrip().startswith(b"<")


def _is_json(error: RequestError) -> bool:
    """Tell an answer as the API may give it; some have no words."""
    if error.response is None or not error.response.body.strip():
        return True
    try:
        _json.loads(error.response.body)
    except ValueError:
        return False
    return True
