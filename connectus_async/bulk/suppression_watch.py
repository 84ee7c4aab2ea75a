"""Suppression watch: reads the suppression list again and again while a campaign runs."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync

if TYPE_CHECKING:
    from connectus_async.recipients.suppression import SuppressionList

REFRESH_SECONDS = 1.0
MOST_FAILED_READS = 10
"""Failed reads in a row that stop a campaign: a list that is being written is soon whole."""


async def watch_suppression(
    suppression: "SuppressionList",
    *,
    hold_back: Callable[[], object],
    go_on: Callable[[], object],
    stop: Callable[[Exception], object],
) -> None:
    """Refresh a suppression list until cancelled, for the first time at once.

    While it cannot be read, nobody is reached: they may be new on it.

    Args:
        suppression: The list.
        hold_back: Called when it cannot be read.
        go_on: Called each time it was read.
        stop: Called when it could not be read for too long.
    """
    failures = 0
    while True:
        try:
            await run_sync(suppression.refresh)
        except Exception as error:  # noqa: BLE001 - without the list nobody is reached
            failures += 1
            hold_back()
            if failures >= MOST_FAILED_READS:
                stop(error)
        else:
            failures = 0
            go_on()
        await asyncio.sleep(REFRESH_SECONDS)
