"""Forks programs that have imported the package already, which else takes most of their time.

Whoever asks passes three files: a socket, standard output and standard error. On the socket it
writes one line of JSON, and reads the number of the process, and in the end its exit code.
"""
# ruff: noqa: E402

import json
import os
import runpy
import signal
import socket
import sys
from contextlib import suppress

import anyio._backends._asyncio  # noqa: F401
import phonenumbers  # noqa: F401

from connectus_async import defaults

defaults.DEFAULT_TIMEOUT = 200.0  # or what is slow on a busy machine counts as unknown

import connectus_async.cli.calls
import connectus_async.cli.commands.bulk
import connectus_async.cli.commands.calls
import connectus_async.cli.commands.emulator
import connectus_async.cli.commands.webhooks
import connectus_async.cli.demo
import connectus_async.cli.emulator
import connectus_async.cli.reconciling
import connectus_async.cli.reports
import connectus_async.cli.sending
import connectus_async.cli.status
import connectus_async.cli.tracking
import connectus_async.cli.webhooks
import connectus_async.transport
import connectus_async.workers.processes  # noqa: F401 - these are what commands and clients import

with suppress(ImportError):
    import uvloop  # noqa: F401 - by a command, where it is installed

PROGRAMS = os.path.dirname(__file__)  # noqa: PTH120 - as in sys.path


def main(requests):
    """Serve until the other end is closed.

    Returns:
        What a program is to be, in each process that becomes one.
    """
    signal.signal(signal.SIGCHLD, reap)
    while True:
        message, files, *_ = socket.recv_fds(requests, 1, 3)
        if not message:
            return None
        if os.fork() == 0:
            requests.close()
            return keep(*files)
        for file in files:
            os.close(file)


def reap(*_):
    """Take note of keepers that have ended, so that what they cost is counted."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def keep(control, output, errors):
    """Start a program, and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with socket.socket(fileno=control) as asking:
        wanted = json.loads(asking.makefile().readline())
        program = os.fork()
        if program != 0:
            os.close(output)
            os.close(errors)
            with suppress(ConnectionError):  # the test is over
                asking.sendall(b"%d\n" % program)
                _, status = os.waitpid(program, 0)
                asking.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
            os._exit(0)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.close(output)
    os.close(errors)
    return wanted


def become(arguments, environment, folder):
    """Be what ``python`` with these arguments would be."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    module = arguments[0] == "-m"
    sys.argv = arguments[module:]
    sys.path[0] = folder if module else PROGRAMS
    run = runpy.run_module if module else runpy.run_path
    run(sys.argv[0], run_name="__main__", **({"alter_sys": True} if module else {}))


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        wanted = main(requests)
    if wanted is not None:
        become(**wanted)
