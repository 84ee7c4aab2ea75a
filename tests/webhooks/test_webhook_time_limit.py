"""A time limit without a timer if there is nothing to wait for."""

import asyncio
from typing import Any
from unittest.mock import patch

import pytest

from connectus_async.webhooks.time_limit import within

LONG = 30
SHORT = 0.01


async def test_what_is_there_at_once_takes_no_timer():
    """Its purpose."""

    async def coroutine() -> str:
        return "result"

    with patch.object(asyncio, "timeout", side_effect=AssertionError):
        assert await within(LONG, coroutine()) == "result"


async def test_what_comes_in_time():
    """It may wait more than once."""
    futures = [asyncio.get_running_loop().create_future() for _ in range(3)]

    async def coroutine() -> list[Any]:
        return [await future for future in futures]

    task = asyncio.create_task(within(LONG, coroutine()))
    for number, future in enumerate(futures):
        await asyncio.sleep(0)
        future.set_result(number)

    assert await task == [0, 1, 2]


async def test_what_takes_too_long_is_cancelled():
    """And may clean up."""
    ended = []

    async def coroutine() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(TimeoutError):
        await within(SHORT, coroutine())
    assert ended == [True]
    assert asyncio.current_task().cancelling() == 0


async def test_a_cancellation_from_outside_stays_one():
    """It is no timeout."""

    async def coroutine() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(within(LONG, coroutine()))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("waits", [False, True])
async def test_an_error_is_passed_on(waits):
    """At once or later."""

    async def coroutine() -> None:
        if waits:
            await asyncio.sleep(0)
        raise LookupError

    with pytest.raises(LookupError):
        await within(LONG, coroutine())


async def test_an_error_of_what_is_waited_for_can_be_handled():
    """It is thrown in where the waiting is."""
    future = asyncio.get_running_loop().create_future()
    future.set_exception(LookupError())

    async def coroutine() -> str:
        await asyncio.sleep(0)
        try:
            await future
        except LookupError:
            return "handled"

    assert await within(LONG, coroutine()) == "handled"
