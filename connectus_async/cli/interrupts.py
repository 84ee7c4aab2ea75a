"""What Ctrl-C and SIGTERM do to a command.

Outside an event loop they raise, once: what is done because of it is not cut off by the next. On
the loop they raise nothing, for an exception out of nowhere loses the callback that it hits, and
who waits for that one waits for ever: there the first has the command stop in order, the second
cancels whatever is left, and any more are ignored.

What is ignored from the beginning, as Ctrl-C is in a background job, stays so.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

STUCK_SECONDS: Final = 1.0
"""A loop that has not acted for so long is stuck, as in printing to a pipe that nobody reads. What
comes then raises after all."""

_stops: Final[list[Callable[[], object]]] = []
"""What has the command stop in order, the innermost last."""


def raise_at_first_interrupt() -> None:
    """Have the first signal raise `KeyboardInterrupt`, and all after it do nothing."""
    _handle(_raise)


def ignore_interrupts() -> None:
    """Ignore all signals from here on."""
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)


@contextmanager
def interrupts_on_loop() -> Iterator[None]:
    """Have signals act on the running event loop while the block runs."""
    loop = _Loop(asyncio.get_running_loop())
    _handle(loop.ask)
    try:
        yield
    finally:
        _handle(_pass if loop.was_asked else _raise)


@contextmanager
def at_first_interrupt(stop: Callable[[], object]) -> Iterator[None]:
    """Have the first signal that comes while the block runs call a function, and nothing else.

    Of blocks within each other, the innermost says what is called.
    """
    _stops.append(stop)
    try:
        yield
    finally:
        _stops.remove(stop)


class _Loop:
    """An event loop that signals act on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.was_asked = False
        self._loop = loop
        self._steps = [_cancel_all, _stop_in_order]
        self._asked_at: float | None = None

    def ask(self, *_: object) -> None:
        """Ask for the next step; what comes before it was taken is the same wish."""
        if self._asked_at is None:
            self.was_asked = True
            self._asked_at = time.monotonic()
            self._loop.call_soon_threadsafe(self._act)
        elif time.monotonic() - self._asked_at > STUCK_SECONDS:
            _raise()

    def _act(self) -> None:
        self._asked_at = None
        if self._steps:
            self._steps.pop()()


def _stop_in_order() -> None:
    for stop in _stops[-1:]:  # there is none once the command has ended
        stop()


def _cancel_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


def _handle(handler: Callable[..., None]) -> None:
    for signum in SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, handler)


def _raise(*_: object) -> None:
    _handle(_pass)
    raise KeyboardInterrupt


def _pass(*_: object) -> None:
    """Do nothing. Of `SIG_IGN`, Python would complain if a signal came just before it was set."""
