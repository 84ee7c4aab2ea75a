"""Effect of Ctrl-C, SIGTERM and SIGHUP on a command.

Outside an event loop they raise `KeyboardInterrupt`, and what is done because of it is not cut off
by the next one at once. On the loop they raise nothing, for an exception out of nowhere loses the
callback that it hits, and who waits for that one waits for ever: there the first has the command
stop in order, the second cancels whatever is left, and any more are ignored. SIGHUP only ever asks
to stop in order: of a terminal that was closed, the kernel tells a process, and so does its shell.

What is ignored from the beginning, as Ctrl-C is in a background job and SIGHUP under nohup, stays
so.
"""

import _thread
import operator
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from connectus_async._own_process import SIGNALS

if TYPE_CHECKING:
    import asyncio  # which takes its time, and `main` is not protected before this module is there

HANGUP: Final[signal.Signals | None] = getattr(signal, "SIGHUP", None)

PATIENCE_SECONDS: Final = 1.0
"""How long an interruption has to take effect; the next one after that raises, even on the loop.

A loop may be stuck in printing to a pipe that nobody reads; and Python drops an exception that is
raised in a place such as ``__del__``, or amid an import.
"""

_stops: Final[list[Callable[[], object]]] = []
"""What has the command stop in order, the innermost last."""


class _Turnstile(dict[str, Callable[..., object]]):
    """A signal handler that lets one signal in, and no other until it is opened again.

    Python looks for signals before the first instruction of a function. So a function that is a
    handler is entered within itself where signals come fast enough, again and again until there is
    no more stack. Up to the function that is let in, all of this is C, which looks for none.
    """

    __call__ = property(operator.methodcaller("pop", "open", operator.is_))
    _due = 0.0

    def open(self, handler: Callable[..., object]) -> None:
        """Let one signal in."""
        self["open"] = handler

    def open_late(self, handler: Callable[..., object]) -> None:
        """Let one signal in once the one before has had its time to take effect."""
        self.clear()
        self._due = time.monotonic() + PATIENCE_SECONDS
        try:  # without locks, which this very thread may hold: so no `threading.Timer`
            _thread.start_new_thread(self._open_in_time, (handler,))
        except RuntimeError:  # there are no more threads
            self.open(handler)

    def _open_in_time(self, handler: Callable[..., object]) -> None:
        time.sleep(PATIENCE_SECONDS)
        if time.monotonic() >= self._due:
            self.open(handler)


_raising: Final = _Turnstile()


def raise_interrupts() -> None:
    """Have signals raise `KeyboardInterrupt`."""
    _raising.open(_raise)
    _handle(_raising)


def hold_interrupts() -> None:
    """Have signals do nothing for a while: an interruption is taking effect."""
    _raising.open_late(_raise)
    _handle(_raising)


@contextmanager
def interrupts_on_loop() -> Iterator[None]:
    """Have signals act on the running event loop while the block runs."""
    import asyncio  # noqa: PLC0415 - see above

    loop = _Loop(asyncio.get_running_loop())
    before = _handle(loop.turnstile)
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
        self.turnstile = _Turnstile(open=self._ask)
        self._loop = loop
        self._steps = [_cancel_all, _stop_in_order]
        self._is_waited_for = False

    def _ask(self, signum: int, _: object) -> None:
        """Ask for the next step; what comes before it was taken is the same wish."""
        if self._is_waited_for:
            _raise()
        self.was_asked = True
        self.turnstile.open_late(self._ask)
        self._is_waited_for = True
        self._loop.call_soon_threadsafe(self._act, signum)

    def _act(self, signum: int) -> None:
        self._is_waited_for = False
        self.turnstile.open(self._ask)
        is_repeated = signum == HANGUP and len(self._steps) < 2
        if self._steps and not is_repeated:
            self._steps.pop()()


def _stop_in_order() -> None:
    if _stops:  # there is none once the command has ended
        _stops[-1]()


def _cancel_all() -> None:
    import asyncio  # noqa: PLC0415 - see above

    for task in asyncio.all_tasks():
        task.cancel()


def _handle(turnstile: _Turnstile) -> dict[signal.Signals, Any]:
    """Handle signals; return their handlers before."""
    handler = cast("Callable[..., None]", turnstile)
    handled = [signum for signum in SIGNALS if signal.getsignal(signum) is not signal.SIG_IGN]
    return {signum: signal.signal(signum, handler) for signum in handled}


def _raise(*_: object) -> None:
    hold_interrupts()
    raise KeyboardInterrupt
