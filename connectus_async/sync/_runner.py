"""Blocking access to async code: calls, iterations and ``with`` blocks, from any number of threads.

It knows coroutines, async iterators and async context managers, but not Connectus. The loop and its
thread are in `_engine`.
"""

import asyncio
import contextlib
import functools
import os
import threading
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
)
from types import TracebackType
from typing import Any, Final, Generic, ParamSpec, TypeAlias, TypeVar, cast

from connectus_async._one_process import Unpicklable
from connectus_async.errors import ClientClosedError
from connectus_async.sync._engine import (
    GRACE,
    Body,
    Engine,
    Operation,
    current_operation,
)
from connectus_async.sync._loops import loop_factory

P = ParamSpec("P")
T = TypeVar("T")
OwnedT = TypeVar("OwnedT")
_Manager: TypeAlias = contextlib.AbstractAsyncContextManager[T, bool | None]

_END: Final = object()
_MORE: Final = True
_ENOUGH: Final = False


class Runner(Unpicklable, Generic[OwnedT]):
    """Lets any number of threads call async code and wait for it.

    The first use starts the thread of the loop. In a forked child, the first use starts another
    thread with another loop and another owned object.

    Args:
        factory: Makes the async object whose methods are called, once per process.
        close: Closes the object, on the loop.
    """

    def __init__(
        self, factory: Callable[[], OwnedT], close: Callable[[OwnedT], Awaitable[None]]
    ) -> None:
        self._engine: Engine[OwnedT] | None = None
        self._factory = factory
        self._close = close
        self._new_loop = (
            loop_factory()
        )  # now, since a fork during an import would deadlock the child
        self._locks: dict[int, threading.RLock] = {}
        self._is_closed = False

    @property
    def owned(self) -> OwnedT:
        """Async object of this process. Do not keep it: a fork makes it useless."""
        return self._usable_engine().owned

    def call(
        self, function: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an async function, and return its result or raise its error.

        An exception that interrupts the wait, such as Ctrl-C, cancels the task and is raised again.

        Raises:
            ClientClosedError: The runner is closed. Nothing was run.
            ConnectionLostError: The runner was closed, or its loop died, during the call.
            NotSentError: The loop died before the call. Nothing was run.
            RuntimeError: The caller is on the thread of the loop.
        """
        operation = self._operation(function, lambda _: function(*args, **kwargs))
        return cast("T", operation.exchange(operation.begin))

    def iterate(
        self, function: Callable[P, AsyncIterable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> "Iteration[T]":
        """Iterate over an async generator, item by item, in one task."""
        operation = self._operation(function, lambda it: _pump(it, function(*args, **kwargs)))
        return Iteration(self, operation)

    def context(
        self, function: Callable[P, _Manager[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> "BlockingContext[T]":
        """Enter and exit the async context manager that a function returns, in one task."""
        operation = self._operation(function, lambda it: _enter(it, function(*args, **kwargs)))
        return BlockingContext(self, operation)

    def close(self) -> None:
        """Cancel the tasks, close the owned object and end the thread. It can be called again."""
        with self._lock():
            self._is_closed = True
            engine = self._engine
        if engine is None or engine.pid != os.getpid():
            return
        engine.refuse_own_thread()
        engine.stop()
        engine.thread.join(2 * GRACE)
        if engine.failure is not None:
            raise engine.failure

    def __del__(self) -> None:
        engine = self._engine
        if engine is not None and engine.is_usable():
            engine.stop()

    def _operation(self, function: Callable[..., object], body: Body) -> Operation:
        name = getattr(function, "__qualname__", type(function).__name__)
        return Operation(self._usable_engine(), name, body)

    def _lock(self) -> threading.RLock:
        """Return the lock of this process. A thread of the parent may have the parent's lock."""
        return self._locks.setdefault(os.getpid(), threading.RLock())

    def _usable_engine(self) -> Engine[OwnedT]:
        engine = self._engine
        if engine is not None and engine.is_usable() and not self._is_closed:
            return engine
        with self._lock():
            if self._is_closed:
                raise ClientClosedError
            engine = self._engine
            if engine is None or not engine.is_usable():
                engine = Engine(self._factory(), self._close, self._new_loop)
                engine.start()
                self._engine = engine
            return engine


class Iteration(Iterator[T]):
    """One pass over an async iterator, for one thread at a time. It pulls no item ahead."""

    def __init__(self, runner: Runner[Any], operation: Operation) -> None:
        self._runner = runner  # kept alive: when it is deleted, the loop stops
        self._operation = operation
        self._is_paused = False
        self._is_over = False

    def __next__(self) -> T:
        if self._is_over:
            raise StopIteration
        self._is_over = True  # unless it gives another item
        if self._is_paused:
            item = self._operation.exchange(self._operation.deliver, _MORE)
        else:
            item = self._operation.exchange(self._operation.begin)
        if item is _END:
            raise StopIteration
        self._is_paused, self._is_over = True, False
        return cast("T", item)

    def close(self) -> None:
        """Close the async iterator in the task that ran it."""
        is_over, self._is_over = self._is_over, True
        if self._is_paused and not is_over and self._operation.is_open():
            self._operation.exchange(self._operation.deliver, _ENOUGH)

    def __del__(self) -> None:
        if self._is_paused and not self._is_over:
            self._operation.deliver(_ENOUGH)


class BlockingContext(contextlib.AbstractContextManager[T, bool | None]):
    """Async context manager, for a plain ``with``."""

    def __init__(self, runner: Runner[Any], operation: Operation) -> None:
        self._runner = runner
        self._operation = operation

    def __enter__(self) -> T:
        return cast("T", self._operation.exchange(self._operation.begin))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if not self._operation.engine.is_usable():
            return None
        try:
            return bool(self._operation.exchange(self._operation.deliver, error))
        except BaseException as raised:
            if raised is not error:
                raise
            raised.__traceback__ = traceback
            return False


def pulled(source: Iterable[T] | AsyncIterable[T]) -> Iterable[T] | AsyncIterable[T]:
    """Make an iterable that an async function can pull from without blocking the loop.

    The calling thread, which waits anyway, pulls each item. So objects that are bound to a thread,
    such as cursors, keep working. Lists and tuples cannot block, and stay as they are.
    """
    return source if isinstance(source, list | tuple | AsyncIterable) else _Pulled(source)


def called(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Make an async callback that runs a plain one in the calling thread.

    There, unlike on the loop, it may block and use the runner itself.
    """

    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return await _in_caller(functools.partial(function, *args, **kwargs))

    return call


async def _in_caller(function: Callable[[], T]) -> T:
    return cast("T", await current_operation.get().ask_caller(function))


class _Pulled(AsyncIterator[T]):
    def __init__(self, source: Iterable[T]) -> None:
        self._source = source
        self._items: Iterator[T] | None = None

    async def __anext__(self) -> T:
        item = await _in_caller(self._pull)
        if item is _END:
            raise StopAsyncIteration
        return cast("T", item)

    def _pull(self) -> object:
        if self._items is None:
            self._items = iter(self._source)
        return next(self._items, _END)


async def _pump(operation: Operation, items: AsyncIterable[T]) -> object:
    iterator = aiter(items)
    try:
        async for item in iterator:
            if not await operation.converse(item):
                break
    finally:
        aclose = getattr(iterator, "aclose", None)
        if aclose is not None:
            await aclose()
    return _END


async def _enter(operation: Operation, manager: _Manager[Any]) -> bool | None:
    value = await manager.__aenter__()
    try:
        error = cast("BaseException | None", await operation.converse(value))
    except asyncio.CancelledError as cancelled:
        error = cancelled
    kind, traceback = (type(error), error.__traceback__) if error else (None, None)
    return await manager.__aexit__(kind, error, traceback)
