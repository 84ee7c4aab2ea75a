"""What Ctrl-C and SIGTERM do to a command.

Outside an event loop they raise `KeyboardInterrupt`, and what is done because of it is not cut off
by the next one at once. On the loop they raise nothing, for an exception out of nowhere loses the
callback that it hits, and who waits for that one waits for ever: there the first has the command
stop in order, the second cancels whatever is left, and any more are ignored.

What is ignored from the beginning, as Ctrl-C is in a background job, stays so.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio  # which takes its time, and `main` is not protected before this module is there

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

PATIENCE_SECONDS: Final = 1.0
"""How long an interruption has to take effect; the next one after that raises, even on the loop.

A loop may be stuck in printing to a pipe that nobody reads; and Python drops an exception that is
raised in a place such as ``__del__``, or amid an import.
"""

_stops: Final[list[Callable[[], object]]] = []
"""What has the command stop in order, the innermost last."""


def raise_interrupts() -> None:
    """Have signals raise `KeyboardInterrupt`."""
    _handle(_raise)


def hold_interrupts() -> None:
    """Have signals do nothing for a while: an interruption is taking effect."""
    _handle(partial(_raise_after, time.monotonic() + PATIENCE_SECONDS))


def ignore_interrupts() -> None:
    """Ignore all signals from here on."""
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)


@contextmanager
def interrupts_on_loop() -> Iterator[None]:
    """Have signals act on the running event loop while the block runs."""
    import asyncio  # noqa: PLC0415 - see above

    loop = _Loop(asyncio.get_running_loop())
    before = _handle(loop.ask)
    try:
        yield
    finally:
        if loop.was_asked:
            hold_interrupts()
        else:
            for signum, handler in before.items():
                signal.signal(signum, handler)


@contextmanager
def at_first_interrupt(stop: Callable[[], object]) -> Iterator[None]:
    """Have a function called if a signal comes while the block runs, the command's first one.

    Of blocks within each other, the innermost says what is called.
    """
    _stops.append(stop)
    try:
        yield
    finally:
        _stops.remove(stop)


class _Loop:
    """An event loop that signals act on."""

    def __init__(self, loop: "asyncio.AbstractEventLoop") -> None:
        self.was_asked = False
        self._loop = loop
        self._steps = [_cancel_all, _stop_in_order]
        self._patient_until: float | None = None

    def ask(self, *_: object) -> None:
        """Ask for the next step; what comes before it was taken is the same wish."""
        if self._patient_until is None:
            self.was_asked = True
            self._patient_until = time.monotonic() + PATIENCE_SECONDS
            self._loop.call_soon_threadsafe(self._act)
        else:
            _raise_after(self._patient_until)

    def _act(self) -> None:
        self._patient_until = None
        if self._steps:
            self._steps.pop()()


def _stop_in_order() -> None:
    if _stops:  # there is none once the command has ended
        _stops[-1]()


def _cancel_all() -> None:
    import asyncio  # noqa: PLC0415 - see above

    for task in asyncio.all_tasks():
        task.cancel()


def _handle(handler: Callable[..., None]) -> dict[signal.Signals, Any]:
    """Handle signals; return their handlers before."""
    handled = [signum for signum in SIGNALS if signal.getsignal(signum) is not signal.SIG_IGN]
    return {signum: signal.signal(signum, handler) for signum in handled}


def _raise(*_: object) -> None:
    hold_interrupts()
    raise KeyboardInterrupt


def _raise_after(deadline: float, *_: object) -> None:
    if time.monotonic() > deadline:
        _raise()
