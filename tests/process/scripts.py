"""Python scripts in processes of their own, for what a test process must not do to itself."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT = 100
"""Seconds after which a script is taken to hang."""

SLOW = re.compile(r"Executing <.* took \d+\.\d+ seconds")
"""What asyncio's debug mode says of a callback on a busy machine."""

FORK_WARNING = "ignore:This process (pid:DeprecationWarning"
"""Python 3.12 warns of every fork with threads; what comes of it is what is tested here."""

PRELUDE = """
import asyncio, atexit, contextlib, gc, os, signal, sys, threading
from connectus_async.sync import _engine
from connectus_async.sync._runner import Runner, called, pulled

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

class Service:
    async def close(self):
        say("closed")

async def add(left, right):
    return left + right

async def forever(name="forever"):
    say(name, "begun")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        say(name, "cancelled")
        raise

runner = Runner(Service, Service.close)
"""


@contextmanager
def started(script, *arguments, first=""):
    """Start a script after the prelude; on leaving, it is killed with all that it forked."""
    text = first + PRELUDE + script
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-W", FORK_WARNING, "-c", text, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def ended(process, code=0):
    """Wait for a script; return the lines that it still wrote. It must not have complained."""
    out, err = process.communicate(timeout=LIMIT)
    complaints = [line for line in err.splitlines() if not SLOW.search(line)]
    if complaints or process.returncode != code:
        pytest.fail(f"exit code {process.returncode}\n{out}\n{err}")
    return out.splitlines()


def ran(script, *arguments, code=0, first=""):
    """Run a script to its end; return the lines that it wrote."""
    with started(script, *arguments, first=first) as process:
        return ended(process, code)
