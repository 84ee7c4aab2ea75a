"""How long a thread of this process may compute while another waits for the interpreter's lock.

CPython has a thread give way after 5 ms. The thread of a ledger needs the lock some times for each
group of changes, beside an event loop that is never idle; so a group that takes 1 ms took 4, and
the messages that waited for it with it. `sys.setswitchinterval` is of the whole process: it is
lowered while a ledger is open, and only then.
"""

import sys
import threading
from typing import Final

SECONDS: Final = 0.0001

_lock: Final = threading.Lock()
_before: list[float] = []
"""What was set before each of the ledgers that are open."""


def lower() -> None:
    """Have threads give way sooner, until `restore` was called as often as this."""
    with _lock:
        _before.append(sys.getswitchinterval())
        if _before[-1] > SECONDS:
            sys.setswitchinterval(SECONDS)


def restore() -> None:
    """Set what was set before, once the last ledger is closed."""
    with _lock:
        interval = _before.pop()
        if not _before and interval > SECONDS:
            sys.setswitchinterval(interval)
