"""Room for large messages, so that memory is bounded by their size and not by their number."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Room:
    """Lets large messages in as long as there is room; one that is larger than it goes alone.

    Args:
        size: The room, in characters of messages.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._waiting: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncIterator[None]:
        """Take room once there is enough, and a turn of the loop: each message blocks it a while.

        Args:
            size: The characters of the message.
        """
        while self._used and self._used + size > self._size:
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
