"""Effect of Ctrl-C, SIGTERM and SIGHUP on a command.

Outside an event loop they raise `KeyboardInterrupt`; the next one does not interrupt the handling
of it at once. On the loop they raise nothing: an exception at a random place would lose the
callback that it hits, and its waiter would wait forever. There the first signal stops the command
in order, the second cancels all tasks, and any more are ignored. SIGHUP only stops in order: when a
terminal closes, both the kernel and the shell send it.

A signal that is ignored from the beginning, as Ctrl-C is in a background job and SIGHUP under
nohup, stays ignored.
"""

import _thread
import operator
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from connectus_async._program import SIGNALS

if TYPE_CHECKING:
    import asyncio  # slow to import, and `main` is unprotected until this module is imported

HANGUP: Final[signal.Signals | None] = getattr(signal, "SIGHUP", None)

GRACE_SECONDS: Final = 1.0
"""Time in which an interruption takes effect; the next one after that raises, even on the loop.

A loop may block in printing to a pipe that nobody reads. And Python drops exceptions in places such
as ``__del__``, or during an import.
"""

_stops: Final[list[Callable[[], object]]] = []
"""Functions that stop the command in order, the innermost last."""


class _Turnstile(dict[str, Callable[..., object]]):
    """Signal handler that handles one signal, and no other until it is opened again.

    Python handles signals before the first instruction of a function. So if signals come fast, a
    handler that is a function is entered within itself until the stack overflows. This handler is C
    code up to the call of the function, and C code handles no signals.
    """

    __call__ = property(operator.methodcaller("pop", "open", operator.is_))
    _due = 0.0

    def open(self, handler: Callable[..., object]) -> None:
        """Handle one signal."""
        self["open"] = handler

    def open_late(self, handler: Callable[..., object]) -> None:
        """Handle one signal after the time in which the last one takes effect."""
        self.clear()
        self._due = time.monotonic() + GRACE_SECONDS
        try:  # no `threading.Timer`: this thread may hold the locks that it needs
            _thread.start_new_thread(self._open_in_time, (handler,))
        except RuntimeError:  # no more threads
            self.open(handler)

    def _open_in_time(self, handler: Callable[..., object]) -> None:
        time.sleep(GRACE_SECONDS)
        if time.monotonic() >= self._due:
            self.open(handler)


_raising: Final = _Turnstile()


def raise_interrupts() -> None:
    """Make signals raise `KeyboardInterrupt`."""
    _raising.open(_raise)
    _handle(_raising)


def hold_interrupts() -> None:
    """Ignore signals for a while, in which an interruption takes effect."""
    _raising.open_late(_raise)
    _handle(_raising)


@contextmanager
def interrupts_on_loop() -> Iterator[None]:
    """Make signals act on the running event loop during the block."""
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
    """Call a function if the first signal to the command comes during the block.

    In nested blocks, only the innermost function is called.
    """
    _stops.append(stop)
    try:
        yield
    finally:
        _stops.remove(stop)


class _Loop:
    """Event loop that signals act on."""

    def __init__(self, loop: "asyncio.AbstractEventLoop") -> None:
        self.was_asked = False
        self.turnstile = _Turnstile(open=self._ask)
        self._loop = loop
        self._steps = [_cancel_all, _stop_in_order]
        self._is_waited_for = False

    def _ask(self, signum: int, _: object) -> None:
        """Request the next step. A signal before the loop takes it means that the loop is stuck."""
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
    if _stops:  # none once the command has ended
        _stops[-1]()


def _cancel_all() -> None:
    import asyncio  # noqa: PLC0415 - see above

    for task in asyncio.all_tasks():
        task.cancel()


def _handle(turnstile: _Turnstile) -> dict[signal.Signals, Any]:
    """Set the handler of the signals; return their previous handlers."""
    handler = cast("Callable[..., None]", turnstile)
    handled = [signum for signum in SIGNALS if signal.getsignal(signum) is not signal.SIG_IGN]
    return {signum: signal.signal(signum, handler) for signum in handled}


def _raise(*_: object) -> None:
    hold_interrupts()
    raise KeyboardInterrupt
