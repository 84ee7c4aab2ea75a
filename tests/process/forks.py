"""Programs in processes of their own that do not have to import the package first."""

import asyncio
import atexit
import functools
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from scripts import ROOT

SERVER = Path(__file__).with_name("fork_server.py")


HASH_SEEDS = itertools.cycle("12")
"""One process hashes texts otherwise than the one before it, as processes do by themselves."""


@functools.cache
def server(hash_seed: str) -> socket.socket:
    """Start a server, for all tests of this process."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", SERVER, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # a program goes on with files of the same kind
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed},
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C is for the tests
        )
    atexit.register(process.communicate)
    atexit.register(ours.close)
    return ours


class Fork:
    """A process with the face of asyncio's, as far as it is used."""

    def __init__(
        self,
        pid: int,
        stdout: asyncio.StreamReader,
        stderr: asyncio.StreamReader,
        control: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr
        self.returncode: int | None = None
        self._reader, self._writer = control

    def send_signal(self, signum: int) -> None:
        os.kill(self.pid, signum)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        if self.returncode is None:
            self.returncode = int(await self._reader.readline())
            self._writer.close()
        return self.returncode

    async def communicate(self) -> tuple[bytes, bytes]:
        output, errors, _ = await asyncio.gather(
            self.stdout.read(), self.stderr.read(), self.wait()
        )
        return output, errors


async def forked(*arguments: object, environment: dict[str, str]) -> Fork:
    """Start a Python program as the interpreter would with these arguments."""
    ours, theirs = socket.socketpair()
    output, errors = os.pipe(), os.pipe()
    socket.send_fds(server(next(HASH_SEEDS)), [b"."], [theirs.fileno(), output[1], errors[1]])
    for passed in (theirs.detach(), output[1], errors[1]):
        os.close(passed)
    reader, writer = control = await asyncio.open_unix_connection(sock=ours)
    wanted = {
        "arguments": [str(argument) for argument in arguments],
        "environment": environment,
        "folder": str(ROOT),
    }
    writer.write(json.dumps(wanted).encode() + b"\n")
    pid = int(await reader.readline())
    return Fork(pid, await reader_of(output[0]), await reader_of(errors[0]), control)


async def reader_of(pipe: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", 0)
    )
    return reader
