"""Reading in worker threads, which a cancelled task interrupts."""

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import anyio
from anyio.to_thread import run_sync

INTERVAL_SECONDS: Final = 0.1

T = TypeVar("T")


async def interruptible(
    interrupt: Callable[[], object], read: Callable[..., T], *arguments: object
) -> T:
    """Call a blocking function in a worker thread; if the task is cancelled, interrupt it.

    The task does not wait for its end.

    Args:
        interrupt: Makes the function end soon. Called again until it has ended, since what it
            waits for may not have begun. It may block.
        read: The function.
        arguments: Its arguments.
    """
    call = _Call(read, arguments)
    try:
        return await run_sync(call.run, abandon_on_cancel=True)
    except anyio.get_cancelled_exc_class():
        if call.give_up():
            threading.Thread(target=call.interrupt, args=[interrupt], daemon=True).start()
        raise


class _Call(Generic[T]):
    """A call that may be given up before it begins."""

    def __init__(self, read: Callable[..., T], arguments: tuple[object, ...]) -> None:
        self._read = read
        self._arguments = arguments
        self._lock = threading.Lock()
        self._is_given_up = self._has_begun = False
        self._ended = threading.Event()

    def run(self) -> T:
        with self._lock:
            if self._is_given_up:
                raise RuntimeError  # nobody hears it
            self._has_begun = True
        try:
            return self._read(*self._arguments)
        finally:
            self._ended.set()

    def give_up(self) -> bool:
        """Keep it from beginning; return whether it has begun before."""
        with self._lock:
            self._is_given_up = True
            return self._has_begun

    def interrupt(self, interrupt: Callable[[], object]) -> None:
        """Interrupt it until it ends."""
        while not self._ended.wait(INTERVAL_SECONDS):
            interrupt()
