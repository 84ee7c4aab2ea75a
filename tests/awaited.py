"""The blocking client, awaited: each call runs in a worker thread, so that one test serves both."""

import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Self

import pytest
from anyio.to_thread import run_sync

from connectus_async import AsyncConnectus, Connectus
from connectus_async.sync import Bulk
from connectus_async.sync._generated import OneTimePasswords, Service

RETURN_AT_ONCE = {
    "bulk",
    "cancel",
    "otp",
    "pause",
    "progress",
    "resume",
    "set_concurrency",
    "set_rate",
    "stream",
    "watch",
    "with_options",
}
"""Methods that the async client does not await either."""

asyncio_only = pytest.mark.parametrize("connectus", ["async"], indirect=True)
"""For a test of what belongs to asyncio: tasks, scopes, async sources and callbacks."""


class Awaited:
    """A blocking object with the face of the async one."""

    def __init__(self, blocking: object) -> None:
        self._blocking = blocking

    def __getattr__(self, name: str) -> object:
        found = getattr(self._blocking, name)
        if not inspect.ismethod(found):
            return awaited(found)
        if name in RETURN_AT_ONCE:
            return lambda *args, **kwargs: awaited(found(*args, **kwargs))

        async def call(*args: object, **kwargs: object) -> object:
            return await run_sync(functools.partial(found, *args, **kwargs))

        return call

    def __dir__(self) -> list[str]:
        return dir(self._blocking)

    def __repr__(self) -> str:
        return repr(self._blocking)

    async def __aenter__(self) -> Self:
        await run_sync(self._blocking.__enter__)
        return self

    async def __aexit__(self, *error: object) -> None:
        await run_sync(self._blocking.__exit__, *error)


class AwaitedIterator(AsyncIterator):
    """A blocking iterator, of which each step runs in a worker thread."""

    def __init__(self, blocking: Iterator) -> None:
        self._blocking = blocking

    async def __anext__(self) -> object:
        end = object()
        item = await run_sync(next, self._blocking, end)
        if item is end:
            raise StopAsyncIteration
        return item


def awaited(value: object) -> object:
    match value:
        case Connectus() | Service() | Bulk() | OneTimePasswords():
            return Awaited(value)
        case Iterator():
            return AwaitedIterator(value)
        case _:
            return value


def awaited_connectus(*args: object, **kwargs: object) -> Awaited:
    return Awaited(Connectus(*args, **kwargs))


CLIENTS = {"async": AsyncConnectus, "sync": awaited_connectus}
