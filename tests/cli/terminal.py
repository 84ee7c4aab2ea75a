"""A command at a terminal, as a person sits at one."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping

LIMIT = 60
COMMAND = (sys.executable, "-m", "connectus_async")
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, *command: object, environment: Mapping[str, str]) -> None:
        self._ours, side = pty.openpty()
        self._process = subprocess.Popen(
            [*COMMAND, *map(str, command)],
            stdin=side,
            stdout=side,
            stderr=side,
            env={**os.environ, **environment, "TERM": "dumb", "COLUMNS": "200"},
            start_new_session=True,
        )
        os.close(side)
        self.shown = ""

    def read_until(self, words: str) -> str:
        """Read until the command has shown some words."""
        while words not in self.shown and self._read():
            pass
        assert words in self.shown, self.shown
        return self.shown

    def write(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def interrupt(self) -> None:
        os.killpg(self._process.pid, signal.SIGINT)

    def ended(self) -> int:
        """Read to the end, and return the exit code."""
        while self._read():
            pass
        return self._process.wait(LIMIT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        os.close(self._ours)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], LIMIT)[0]:
            return False
        try:
            new = os.read(self._ours, 65_536).decode(errors="replace")
        except OSError:  # so Linux tells the end
            return False
        self.shown += CODES.sub("", new).replace("\r\n", "\n")
        return bool(new)


At = Callable[..., Terminal]
