"""The emulator in a process of its own, for the benchmarks to send to.

It writes a line of JSON when it listens, serves until its standard input ends, and then writes what
it received and what that took.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from connectus_async.emulator import Emulator


class Sink:
    """The other end of the process.

    Attributes:
        settings: ``base_url``, ``api_user`` and ``api_key`` of the emulator.
    """

    def __init__(self, process: asyncio.subprocess.Process, settings: dict[str, str]) -> None:
        self.settings = settings
        self._process = process

    async def stop(self) -> dict[str, Any]:
        """End it, and return ``received`` and ``cpu_seconds``."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return await _heard(self._process)


@asynccontextmanager
async def sink() -> AsyncIterator[Sink]:
    """Run an emulator for the length of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.sink"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Sink(process, await _heard(process))
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _heard(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(await process.stdout.readline())
    return line


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


async def _serve() -> None:
    async with Emulator(keep_received=False, balance=1_000_000_000) as emulator:
        _say(
            {
                "base_url": emulator.base_url,
                "api_user": emulator.api_user,
                "api_key": emulator.api_key,
            }
        )
        started = time.process_time()
        await asyncio.to_thread(sys.stdin.read)
        used = time.process_time() - started
        _say({"received": emulator.received_counts.total(), "cpu_seconds": used})


if __name__ == "__main__":
    asyncio.run(_serve())
