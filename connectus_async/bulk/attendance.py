"""Attendance: who sends a campaign asks its ledger for instructions twice a second."""

import asyncio
import time
from contextlib import suppress
from typing import Final, Protocol

from connectus_async.ledger.abc import SendingLedger
from connectus_async.ledger.records import Attendance, Instructions

SECONDS: Final = 0.5
"""Seconds from one report to the next."""

SOON: Final = 0.1
"""The same, for one who may not send yet, since others have the whole rate."""


class Attending(Protocol):
    """One who sends a campaign, from the start to the last answer.

    Attributes:
        news: Set when there is something to report at once: a stop, or the end.
    """

    news: asyncio.Event

    @property
    def is_over(self) -> bool:
        """``True`` if everything was sent, or was stopped, and no answer is waited for."""
        ...

    def attendance(self) -> Attendance:
        """Make the next report."""
        ...

    def follow(self, instructions: Instructions, asked_at: float) -> None:
        """Follow instructions, which were asked for at a moment of the monotonic clock."""
        ...

    def stop(self, failure: Exception) -> None:
        """Send nothing more."""
        ...


async def attend(ledger: SendingLedger, who: Attending, *, is_start: bool) -> None:
    """Ask for instructions until everything is over, and once more then.

    Args:
        ledger: The ledger. Without an answer nothing more is sent.
        who: Who sends.
        is_start: It is the user who starts the campaign.
    """
    is_over = False
    while not is_over:
        is_over = who.is_over
        try:
            seconds = await _attend(ledger, who, is_start=is_start)
        except Exception as error:  # noqa: BLE001 - the campaign stops with it
            who.stop(error)
            return
        is_start = False
        if not is_over:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await who.news.wait()
            who.news.clear()


async def _attend(ledger: SendingLedger, who: Attending, *, is_start: bool) -> float:
    """Report once, and follow the instructions; return the seconds until the next report."""
    asked_at = time.monotonic()
    found = await ledger.attend(who.attendance()._replace(is_start=is_start))
    if not who.is_over:
        who.follow(found, asked_at)
    return SOON if found.rate == 0 else SECONDS
