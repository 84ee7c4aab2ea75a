"""Queue for outcomes, from many workers to one reader, which may be slower."""

import asyncio
from collections import deque

from connectus_async.bulk.outcomes import MessageOutcome


class OutcomeQueue:
    """Bounded queue for outcomes.

    A memory object stream does the same, but costs a turn of the event loop for many items.

    Args:
        limit: Maximum number of outcomes; then writers wait.
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
        """``True`` if the reader has left."""
        return not self._has_reader

    def add(self, item: MessageOutcome) -> "asyncio.Future[None] | None":
        """Add an outcome; return the future to wait for if the queue is full."""
        if not self._has_reader:
            return None
        items = self._items
        items.append(item)
        if self._reader is not None:
            self._wake_reader()
        if len(items) < self._limit:
            return None
        turn = asyncio.get_running_loop().create_future()
        self._writers.append(turn)
        return turn

    def next(self) -> MessageOutcome | None:
        """Take the oldest outcome, if there is one."""
        if not self._items:
            return None
        if self._writers:
            _wake(self._writers.popleft())
        return self._items.popleft()

    async def take(self) -> MessageOutcome | None:
        """Wait for the oldest outcome, and take it; ``None`` after the last one."""
        while (item := self.next()) is None:
            if self._is_finished:
                return None
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return item

    def finish(self) -> None:
        """Tell the reader that no outcome will follow."""
        self._is_finished = True
        self._wake_reader()

    def abandon(self) -> None:
        """Tell the writers that the reader has left."""
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
