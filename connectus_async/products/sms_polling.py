"""Polling for the final status of an SMS, with growing pauses."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import attrs

from connectus_async.errors import DeliveryTimeoutError
from connectus_async.products.sms_statuses import SmsStatus

Ask: TypeAlias = Callable[[str], Awaitable[SmsStatus | None]]
"""Asks for the status of an SMS by its id; gives ``None`` where the status is not known."""

FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 900.0
JITTER: Final = 0.25
"""Share by which a pause is longer or shorter, so that polls spread."""

MAX_DOUBLINGS: Final = 64


@attrs.frozen
class PollSchedule:
    """Pauses between the polls of an SMS. They double up to a maximum.

    Attributes:
        first: Seconds before the first poll.
        longest: Maximum seconds between two polls, without jitter.
    """

    first: float = FIRST_PAUSE
    longest: float = LONGEST_PAUSE

    def pause(self, polls: int) -> float:
        """Return the seconds to pause after a number of polls, with jitter."""
        jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, hides nothing
        return self.length(polls) * jitter

    def length(self, polls: int) -> float:
        """Return the seconds to pause after a number of polls, without jitter."""
        return min(self.longest, self.first * 2.0 ** min(polls, MAX_DOUBLINGS))

    def polls_within(self, seconds: float) -> int:
        """Count the polls that are due in a number of seconds, without jitter.

        >>> [PollSchedule(5, 20).polls_within(age) for age in (4, 5, 15, 35, 55, 75)]
        [0, 1, 2, 3, 4, 5]
        """
        polls, left = 0, seconds
        while (pause := self.length(polls)) < self.longest:
            if left < pause:
                return polls
            left -= pause
            polls += 1
        return polls + int(left // self.longest)


async def is_delivered(ask: Ask, id_sms: str, seconds: float | None) -> bool:
    """Ask until an SMS has a final status; return ``True`` if it was delivered.

    Args:
        ask: Asks for the status.
        id_sms: The id of the SMS.
        seconds: Maximum time to wait; no limit if ``None``.

    Raises:
        DeliveryTimeoutError: It had no final status in time.
        ConnectusError: As of ``ask``.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _final_status(ask, id_sms) is SmsStatus.ENTREGADO
    except TimeoutError:
        raise DeliveryTimeoutError(seconds) from None


async def _final_status(ask: Ask, id_sms: str) -> SmsStatus:
    schedule = PollSchedule()
    polls = 0
    while True:
        await asyncio.sleep(schedule.pause(polls))
        status = await ask(id_sms)
        if status is not None and status.is_final:
            return status
        polls += 1


def is_async() -> bool:
    """Return ``True`` if an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
