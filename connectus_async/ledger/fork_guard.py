"""Guard that lets no connection of a writer of delivery statuses be open while the process forks.

A child must not use a connection that it inherits. What SQLite knows of the locks of a file belongs
to the process: a child takes its parent's locks for its own, and then another process may delete
the log that the child is writing. To a server, parent and child would be one. So writers end before
a fork, and with the next status parent and child each start a new one.
"""

import os
import threading
import time
from typing import Final, Protocol

LONGEST_WAIT: Final = 5.0
"""Seconds that a fork waits for writers to end."""


class Writer(Protocol):
    """A thread with a connection to a ledger."""

    @property
    def place(self) -> object:
        """Where the ledger is: equal for the same one."""
        ...

    def is_of_this_process(self) -> bool:
        """Tell whether this process started it, and not the one that it was forked from."""
        ...

    def end(self) -> None:
        """Tell it to end once its earlier tasks are done."""
        ...

    def join(self, seconds: float | None = None) -> bool:
        """Wait until it has ended, and tell whether it has."""
        ...


class ForkGuard:
    """Guard of all writers of a process.

    Attributes:
        lock: Taken to start a writer, to ask it for something, and for a fork.
        writers: Writers whose thread has not ended. In a child, also those of its parent that had
            a connection open in the fork.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.writers: set[Writer] = set()

    def before_fork(self) -> None:
        """End all writers and let none start. A fork does not wait long for one that hangs."""
        self.lock.acquire()
        deadline = time.monotonic() + LONGEST_WAIT
        writers = [writer for writer in list(self.writers) if writer.is_of_this_process()]
        for writer in writers:
            writer.end()
        for writer in writers:
            writer.join(max(0.0, deadline - time.monotonic()))

    def after_fork_in_parent(self) -> None:
        """Let writers start again."""
        self.lock.release()

    def after_fork_in_child(self) -> None:
        """Replace the lock, which a thread of the parent has."""
        self.lock = threading.RLock()

    def was_open_in_fork(self, place: object) -> bool:
        """Tell whether a ledger was open in the fork that made this process."""
        return any(
            writer.place == place and not writer.is_of_this_process()
            for writer in list(self.writers)
        )


fork_guard: Final = ForkGuard()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=fork_guard.before_fork,
        after_in_parent=fork_guard.after_fork_in_parent,
        after_in_child=fork_guard.after_fork_in_child,
    )
