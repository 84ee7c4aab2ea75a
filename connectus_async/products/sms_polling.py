"""How to ask again and again what became of an SMS: ever less often, and through what passes."""

import asyncio
import random
from typing import Final

import attrs

from connectus_async.errors import (
    AuthenticationError,
    DeliveryTimeoutError,
    InvalidArgumentError,
    PermissionDeniedError,
    RequestError,
)
from connectus_async.products.sms import SmsService, SmsStatus
from connectus_async.products.sms_statuses import in_words_of_webhooks

FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 900.0
JITTER: Final = 0.25
"""The share of a pause by which it is longer or shorter, so that polls spread."""

MAX_DOUBLINGS: Final = 64


@attrs.frozen
class Backoff:
    """The pauses before each poll of an SMS: they double up to a longest one.

    Attributes:
        first: Seconds before the first poll.
        longest: Seconds that a pause has at most, but for the jitter.
    """

    first: float = FIRST_PAUSE
    longest: float = LONGEST_PAUSE

    def pause(self, polls: int) -> float:
        """Draw the pause in seconds after a number of polls."""
        jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, hides nothing
        return self.length(polls) * jitter

    def length(self, polls: int) -> float:
        """Give the pause in seconds after a number of polls, without jitter."""
        return min(self.longest, self.first * 2.0 ** min(polls, MAX_DOUBLINGS))

    def polls_within(self, seconds: float) -> int:
        """Count the polls that are due in a time, without jitter.

        >>> [Backoff(5, 20).polls_within(age) for age in (4, 5, 15, 35, 55, 75)]
        [0, 1, 2, 3, 4, 5]
        """
        polls, left = 0, seconds
        while (pause := self.length(polls)) < self.longest:
            if left < pause:
                return polls
            left -= pause
            polls += 1
        return polls + int(left // self.longest)


async def ask(sms: SmsService, id_sms: str) -> SmsStatus | None:
    """Ask the API where an SMS is.

    Returns:
        Its status; ``None`` if the answer did not tell, there was none, or the identifier cannot be
        sent. An SMS that the API does not find may be one that it does not find yet.

    Raises:
        AuthenticationError: The credentials are wrong.
        PermissionDeniedError: They do not allow to ask.
        ClientClosedError: The client was closed.
    """
    try:
        report = await sms.status(id_sms)
    except (AuthenticationError, PermissionDeniedError):
        raise
    except (RequestError, InvalidArgumentError):
        return None
    return in_words_of_webhooks(report.status)


async def final_status(sms: SmsService, id_sms: str, seconds: float | None) -> SmsStatus:
    """Ask until an SMS has a final status.

    Raises:
        DeliveryTimeoutError: It has none in time.
        ConnectusError: As of `ask`.
    """
    backoff = Backoff()
    try:
        async with asyncio.timeout(seconds):
            polls = 0
            while True:
                await asyncio.sleep(backoff.pause(polls))
                status = await ask(sms, id_sms)
                if status is not None and status.is_final:
                    return status
                polls += 1
    except TimeoutError:
        raise DeliveryTimeoutError(seconds) from None


def is_async() -> bool:
    """Tell whether an event loop is running in this thread, so that one can await."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
