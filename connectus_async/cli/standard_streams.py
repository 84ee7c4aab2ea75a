"""Standard streams of a process, which the shell or a reader may have closed."""

import io
import os
import sys
from typing import TextIO


def prepare_streams() -> None:
    """Make all three safe to use.

    A closed one (``>&-``) is opened on the null device, or a socket would get its number.
    Characters that a terminal cannot show are escaped.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, SIM115 - until the end; pathlib is slow to import
            setattr(sys, name, null)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def finish_streams() -> None:
    """Flush the output. Python would exit with code 120 if that failed at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            discard(stream)


def discard(stream: TextIO) -> None:
    """Drop the buffer of a stream, and all further output."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
    stream.flush()
