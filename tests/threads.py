"""The threads that a test leaves behind."""

import threading

from connectus_async.sync._loops import THREAD_NAME

WAIT = 100
"""Seconds after which a test gives up; never waited for."""


def begun_since(before: set[threading.Thread]) -> set[threading.Thread]:
    """Return the threads that began since and go on.

    A helper thread may take a moment to end once its result was handed over: nobody joins it.
    """
    begun = set(threading.enumerate()) - before
    for thread in begun:
        if thread.name == THREAD_NAME:
            thread.join(WAIT)
    return {thread for thread in begun if thread.is_alive()}
