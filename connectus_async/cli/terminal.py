"""Questions at the terminal."""

import sys
from typing import TextIO

import anyio


def terminal() -> TextIO | None:
    """Find where a question is seen that can be answered."""
    if not sys.stdin.isatty():
        return None
    return next((stream for stream in (sys.stderr, sys.stdout) if stream.isatty()), None)


async def line() -> str:
    """Read an answer; empty once the terminal is closed. Ctrl-C ends the wait at once."""
    if sys.platform != "win32":  # there, no event loop waits for a terminal
        await anyio.wait_readable(sys.stdin)
    return sys.stdin.readline()
