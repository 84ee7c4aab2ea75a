"""A server in its own process, which writes lines of JSON.

The process writes its settings once it listens, serves until its standard input closes, and then
writes its observations.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from connectus_async.emulator import Emulator

LONGEST_LINE = 2**24


class Server:
    """The other end of the process.

    Attributes:
        settings: ``base_url``, ``api_user`` and ``api_key`` of the server.
        pid: The number of the process.
    """

    def __init__(self, process: asyncio.subprocess.Process, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.pid = process.pid
        self._process = process

    async def stop(self) -> dict[str, Any]:
        """End it, and return what it saw."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return await _heard(self._process)


@asynccontextmanager
async def running(module: str, *arguments: str) -> AsyncIterator[Server]:
    """Run a module that calls `serve`, for the length of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE,
    )
    try:
        yield Server(process, await _heard(process))
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def serve(settings: Mapping[str, str], seen: Callable[[], Mapping[str, Any]]) -> None:
    """In the process: tell the settings, wait for the end, and tell what was seen."""
    _say(settings)
    await asyncio.to_thread(sys.stdin.read)
    _say(seen())


def settings_of(emulator: Emulator) -> dict[str, str]:
    """Return what a client of an emulator needs to know."""
    return {
        "base_url": emulator.base_url,
        "api_user": emulator.api_user,
        "api_key": emulator.api_key,
    }


async def _heard(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(await process.stdout.readline())
    return line


def _say(line: Mapping[str, Any]) -> None:
    print(json.dumps(line), flush=True)
