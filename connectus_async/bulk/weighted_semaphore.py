"""Weighted semaphore: bounds memory by the size of large messages rather than their number."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class WeightedSemaphore:
    """Semaphore for messages of different sizes. A message above the limit is admitted alone.

    Args:
        limit: Maximum characters at a time.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._waiting: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncIterator[None]:
        """Take part of the limit as soon as it is free.

        It yields to the event loop once, for each large message blocks it for a while.

        Args:
            size: Characters of the message.
        """
        while self._used and self._used + size > self._limit:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        self._used += size
        try:
            await asyncio.sleep(0)
            yield
        finally:
            self._used -= size
            waiting, self._waiting = self._waiting, []
            for turn in waiting:
                if not turn.done():
                    turn.set_result(None)
