"""Event loop of the blocking client: the fastest one that works where it is started.

gevent and eventlet turn threads into greenlets, which share one thread. There the loop's greenlet
must let the others run while it waits. It must also hide from them the state that a thread has only
once, such as its running loop: otherwise they could neither block nor start a loop of their own.
"""

import _thread
import asyncio
import contextlib
import functools
import os
import selectors
import socket
import sys
import threading
from asyncio import events
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

THREAD_NAME: Final = f"{__name__.partition('.')[0]} helper"

T = TypeVar("T")
LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]


class _OwnThreads:
    """Runs each function in its own thread: an executor accepts none once the main thread ends."""

    def run_in_executor(
        self: Any, executor: Any, function: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        if executor is not None:
            raise NotImplementedError
        future: asyncio.Future[T] = self.create_future()
        work = functools.partial(_work, self, future, functools.partial(function, *args))
        try:
            self.start_thread(work)
        except RuntimeError:  # the interpreter exits: wait here rather than fail
            work()
        return future

    def start_thread(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name=THREAD_NAME, daemon=True).start()


def _work(
    loop: asyncio.AbstractEventLoop, future: "asyncio.Future[T]", function: Callable[[], T]
) -> None:
    try:
        settle = functools.partial(future.set_result, function())
    except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
        settle = functools.partial(future.set_exception, error)
    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(_settle, future, settle)


def _settle(future: "asyncio.Future[Any]", settle: Callable[[], None]) -> None:
    if not future.done():
        settle()


if sys.platform == "win32":

    class _StockLoop(_OwnThreads, asyncio.ProactorEventLoop):  # type: ignore[misc]
        pass

else:

    class _StockLoop(_OwnThreads, asyncio.SelectorEventLoop):  # type: ignore[misc]
        pass


class _Shared(NamedTuple):
    """State that asyncio keeps once per thread."""

    loop: asyncio.AbstractEventLoop | None = None
    firstiter: Any = None
    finalizer: Any = None

    @classmethod
    def now(cls) -> "_Shared":
        return cls(events._get_running_loop(), *sys.get_asyncgen_hooks())  # noqa: SLF001 - for loops

    def put(self) -> None:
        events._set_running_loop(self.loop)  # noqa: SLF001 - for loops
        sys.set_asyncgen_hooks(self.firstiter, self.finalizer)


class _Turns:
    """Swaps the state of a thread whenever its greenlets take turns, so that each loop has its own.

    A greenlet gives up its turn when its loop waits for sockets, and in any callback that waits for
    a lock or a thread. So this traces every switch of greenlets.

    Args:
        before: Trace function that was set before.
    """

    def __init__(self, before: Callable[[str, tuple[Any, Any]], object] | None) -> None:
        self.before = before
        self._others = _Shared()
        self._of_loops: dict[object, _Shared] = {}

    def __call__(self, event: str, args: tuple[Any, Any]) -> None:
        origin, target = args
        if origin in self._of_loops:
            self._of_loops[origin] = _Shared.now()
            self._others.put()
        if target in self._of_loops:
            self._others = _Shared.now()
            self._of_loops[target].put()
        if self.before is not None:
            self.before(event, args)

    def is_idle(self) -> bool:
        return not self._of_loops

    @contextlib.contextmanager
    def taken(self, greenlet: object) -> Iterator[None]:
        """Let the current greenlet, which runs a loop, take turns with the others."""
        self._others = _Shared.now()
        self._of_loops[greenlet] = _Shared()
        _Shared().put()
        try:
            yield
        finally:
            del self._of_loops[greenlet]
            self._others.put()


class _GreenLoop(_OwnThreads, asyncio.SelectorEventLoop):  # type: ignore[misc]
    """Loop in a greenlet that shares its thread with others."""

    def __init__(self, selector_class: Any) -> None:
        pid = os.getpid()

        class Selector(selector_class):  # type: ignore[misc]
            def select(self, timeout: float | None = None) -> Any:
                ready = super().select(timeout)
                if os.getpid() != pid:  # unlike a thread, a greenlet is forked with the others
                    self.close()
                    _sleep_for_ever()
                return ready

        super().__init__(Selector())

    def start_thread(self, work: Callable[[], None]) -> None:
        """Start a greenlet without waiting for it to run."""
        _thread.start_new_thread(work, ())

    def run_forever(self) -> None:
        with _turns():
            super().run_forever()


_turns_of_threads: Final[dict[int, _Turns]] = {}


@contextlib.contextmanager
def _turns() -> Iterator[None]:
    """Let this greenlet take turns with the others of its thread."""
    greenlets, thread = import_module("greenlet"), threading.get_native_id()
    tracing = greenlets.gettrace()
    turns = _turns_of_threads.get(thread)
    if turns is None or tracing is None:
        turns = _turns_of_threads[thread] = _Turns(tracing)
        greenlets.settrace(turns)
    try:
        with turns.taken(greenlets.getcurrent()):
            yield
    finally:
        if turns.is_idle() and greenlets.gettrace() is turns:
            greenlets.settrace(turns.before)
            _turns_of_threads.pop(thread, None)


def _sleep_for_ever() -> None:
    """Wait, in a forked child, since the sockets are the parent's."""
    while True:
        threading.Event().wait()


def loop_factory() -> LoopFactory:
    """Import the fastest loop; return a function that makes it, or one for greenlets."""
    fastest = _fastest_loop()

    def make() -> asyncio.AbstractEventLoop:
        selector_class = _green_selector()
        return fastest() if selector_class is None else _GreenLoop(selector_class)

    return make


def _green_selector() -> type[selectors.BaseSelector] | None:
    """Return the selector that lets other greenlets run; ``None`` if threads are real."""
    gevent, eventlet = map(sys.modules.get, ("gevent.monkey", "eventlet.patcher"))
    if gevent is not None and gevent.is_module_patched("threading"):
        selector: type[selectors.BaseSelector] = import_module("gevent.selectors").DefaultSelector
        return selector
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return selectors.SelectSelector
    return None


def _fastest_loop() -> LoopFactory:
    try:
        import uvloop  # noqa: PLC0415 - optional
    except (ImportError, RuntimeError):  # the latter at exit, since it imports executors
        return _StockLoop

    class Loop(_OwnThreads, uvloop.Loop):  # type: ignore[misc]
        """Resolves names in Python's threads: libuv's own crash a forked child when it exits."""

        async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
            numeric = options | {"flags": options.get("flags", 0) | socket.AI_NUMERICHOST}
            with contextlib.suppress(socket.gaierror):
                return socket.getaddrinfo(host, port, **numeric)
            look_up = functools.partial(socket.getaddrinfo, host, port, **options)
            return await self.run_in_executor(None, look_up)

    return Loop
