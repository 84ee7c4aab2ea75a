"""A time limit that costs nothing where there is nothing to wait for."""

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, coroutine: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine, for so long at most.

    The body of an event has mostly come when it is asked for, and a timer takes as long as the rest
    of what is done with it. So the first step is taken without one.

    Raises:
        TimeoutError: It took too long, and was cancelled.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    async with asyncio.timeout(seconds):
        return await _Begun(coroutine, waits_for)


class _Begun(Awaitable[T]):
    """The rest of a coroutine, of which the loop has yet to hear what the first step waits for."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], waits_for: object) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, T]:
        waits_for = self._waits_for
        try:
            while True:
                try:
                    sent = yield waits_for
                except BaseException as error:  # noqa: BLE001 - a cancellation is the coroutine's
                    waits_for = self._coroutine.throw(error)
                else:
                    waits_for = self._coroutine.send(sent)
        except StopIteration as end:
            result: T = end.value
            return result
