"""The event loop of the blocking client: the fastest that works where it is started.

gevent and eventlet make threads greenlets, which all run in one thread. There the loop's greenlet
must let the others run while it waits, and must not leave what a thread has only one of, such as
its running loop, as theirs: they would be told that they cannot block, or start a loop.
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
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

THREAD_NAME: Final = f"{__name__.partition('.')[0]} helper"

T = TypeVar("T")
LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]


class _OwnThreads:
    """Runs functions in threads of their own: an executor takes none once the main thread ends."""

    def run_in_executor(
        self: Any, executor: Any, function: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        if executor is not None:
            raise NotImplementedError
        future: asyncio.Future[T] = self.create_future()
        work = functools.partial(_work, self, future, functools.partial(function, *args))
        try:
            self.start_thread(work)
        except RuntimeError:  # the interpreter exits: better to wait for it here than to fail
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
    """What asyncio keeps once for each thread."""

    loop: asyncio.AbstractEventLoop | None = None
    firstiter: Any = None
    finalizer: Any = None

    @classmethod
    def now(cls) -> "_Shared":
        return cls(events._get_running_loop(), *sys.get_asyncgen_hooks())  # noqa: SLF001 - for loops

    def put(self) -> None:
        events._set_running_loop(self.loop)  # noqa: SLF001 - for loops
        sys.set_asyncgen_hooks(self.firstiter, self.finalizer)


class _GreenLoop(_OwnThreads, asyncio.SelectorEventLoop):  # type: ignore[misc]
    """A loop in a greenlet, which shares its thread with others."""

    def __init__(self, selector_class: type[selectors.BaseSelector]) -> None:
        loop, pid = self, os.getpid()

        class Selector(selector_class):  # type: ignore[valid-type,misc]
            def select(self, timeout: float | None = None) -> Any:
                with loop.out_of_turn():
                    ready = super().select(timeout)
                    if os.getpid() != pid:  # unlike a thread, a greenlet is forked with the others
                        self.close()
                        _sleep_for_ever()
                return ready

        self._others = _Shared()
        super().__init__(Selector())

    def start_thread(self, work: Callable[[], None]) -> None:
        """Start a greenlet, but not as a `Thread`: that waits for it, and others run meanwhile."""
        _thread.start_new_thread(work, ())

    def run_forever(self) -> None:
        self._others = _Shared.now()
        _Shared().put()
        try:
            super().run_forever()
        finally:
            self._others.put()

    @contextlib.contextmanager
    def out_of_turn(self) -> Any:
        """Put what is the thread's as other greenlets left it, and then back."""
        ours = _Shared.now()
        self._others.put()
        try:
            yield
        finally:
            self._others = _Shared.now()
            ours.put()


def _sleep_for_ever() -> None:
    """Wait, in the child of a fork, as the sockets are the parent's."""
    while True:
        threading.Event().wait()


def loop_factory() -> LoopFactory:
    """Import the fastest loop that is installed, and make it, or where need be another, later."""
    fastest = _fastest_loop()

    def make() -> asyncio.AbstractEventLoop:
        selector_class = _green_selector()
        return fastest() if selector_class is None else _GreenLoop(selector_class)

    return make


def _green_selector() -> type[selectors.BaseSelector] | None:
    """Give the selector that lets other greenlets run, where threads are greenlets."""
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
    except (ImportError, RuntimeError):  # the latter at exit, for it brings executors
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
