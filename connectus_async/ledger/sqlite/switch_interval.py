"""Time after which a thread gives way to another that waits for the interpreter's lock.

It is 5 ms by default. The thread of a ledger needs the lock several times for each group of
changes: beside an event loop that is never idle, a group that takes 1 ms took 4 ms, and so did the
messages that waited for it. A shorter time than this one costs more CPU than it saves: a campaign
took a tenth more with 0.1 ms. `sys.setswitchinterval` is of the whole process, so it is lowered
only while a ledger is open.
"""

import sys
import threading
from typing import Final

SECONDS: Final = 0.001

_lock: Final = threading.Lock()
_before: list[float] = []
"""The interval before each of the open ledgers."""


def lower() -> None:
    """Lower the interval, until `restore` was called as often as this."""
    with _lock:
        _before.append(sys.getswitchinterval())
        if _before[-1] > SECONDS:
            sys.setswitchinterval(SECONDS)


def restore() -> None:
    """Restore the interval, once the last ledger is closed."""
    with _lock:
        interval = _before.pop()
        if not _before and interval > SECONDS:
            sys.setswitchinterval(interval)
