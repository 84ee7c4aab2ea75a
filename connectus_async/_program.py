"""Signals and garbage collection of a process that runs this package as its program."""

import gc
import signal
import sys
from typing import Final

_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # the last: Windows closes a console
SIGNALS: Final = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
"""Signals that ask a process to stop."""

COLLECTION_THRESHOLD: Final = 20_000
"""New objects before a collection. A campaign makes and drops some thousand with each group of its
ledger: at the 700 of Python 3.11, fruitless collections took 11 to 19 of 150 us per message."""


def ignore_signals() -> None:
    """Ignore all requests to stop from here on."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    sys.unraisablehook = hook  # Python complains there of a signal that came at this very moment


def collect_seldom() -> None:
    """Make Python collect garbage less often in this process."""
    gc.set_threshold(COLLECTION_THRESHOLD)
