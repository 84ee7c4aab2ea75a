"""The way of the outcomes from many workers to one reader, who may be slower than they are."""

import asyncio
from collections import deque

from connectus_async.bulk.outcomes import MessageOutcome


class OutcomeQueue:
    """Holds the outcomes that the reader has not taken yet, a bounded number of them.

    A memory object stream does the same, at the cost of a turn of the loop for many an item.

    Args:
        limit: How many it holds before its writers have to wait.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[MessageOutcome] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._writers: deque[asyncio.Future[None]] = deque()
        self._has_reader = True
        self._is_finished = False

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody reads any more."""
        return not self._has_reader

    async def put(self, item: MessageOutcome) -> None:
        """Hand an outcome over; wait while there are too many."""
        if not self._has_reader:
            return
        self._items.append(item)
        self._wake_reader()
        if len(self._items) >= self._limit:
            room = asyncio.get_running_loop().create_future()
            self._writers.append(room)
            await room

    async def take(self) -> MessageOutcome | None:
        """Take the oldest outcome, or ``None`` once there will be no more."""
        while not self._items:
            if self._is_finished:
                return None
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        item = self._items.popleft()
        if self._writers:
            _wake(self._writers.popleft())
        return item

    def finish(self) -> None:
        """Tell the reader that there will be no more."""
        self._is_finished = True
        self._wake_reader()

    def abandon(self) -> None:
        """Tell the writers that nobody reads any more."""
        self._has_reader = False
        self._items.clear()
        while self._writers:
            _wake(self._writers.popleft())

    def _wake_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            _wake(reader)


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
