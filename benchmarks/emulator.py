"""How many ``sms.send`` a second one core of the emulator takes.

The server runs in a process of its own; this one loads it through 64 connections that are kept
alive, with as little HTTP as will do. Run from the top of the repository:

    python -m benchmarks.emulator [SENDS]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from connectus_async.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONNECTIONS = 64
DEFAULT_SENDS = 20_000
BODY = json.dumps({"dst_number": 56987688060, "sms_content": "Hola, this is a benchmark"}).encode()


async def serve() -> None:
    """Say where, serve until stdin ends, then say what it took."""
    async with Emulator() as emulator:
        credentials = f"{emulator.api_user}:{emulator.api_key}".encode()
        say({"port": emulator.port, "authorization": base64.b64encode(credentials).decode()})
        started = time.process_time()
        await asyncio.to_thread(sys.stdin.read)
        used = time.process_time() - started
        say({"received": len(emulator.received), "cpu_seconds": used})


def say(line: dict[str, Any]) -> None:
    """Write a line of JSON for the other process."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


@asynccontextmanager
async def server_process() -> AsyncIterator[asyncio.subprocess.Process]:
    """The server, ended with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.emulator", "--serve"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def heard(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The next line that the server says."""
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(await process.stdout.readline())
    return line


async def load(port: int, request: bytes, sends: int) -> None:
    """Send `request` one after another over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(sends):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
        await reader.readexactly(int(length))
    writer.close()
    await writer.wait_closed()


async def measure(sends: int) -> None:
    """Print sends a second, and sends per second of the server's CPU."""
    async with server_process() as process:
        hello = await heard(process)
        request = (
            b"POST /api_v3/sms/send_individual HTTP/1.1\r\n"
            b"Host: 127.0.0.1\r\n"
            b"Authorization: Basic %b\r\n"
            b"Content-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b"
        ) % (hello["authorization"].encode(), len(BODY), BODY)
        each = max(1, sends // CONNECTIONS)
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(load(hello["port"], request, each))
        elapsed = time.perf_counter() - started
        assert process.stdin is not None
        process.stdin.close()
        result = await heard(process)
    sent = each * CONNECTIONS
    assert result["received"] == sent, result
    print(f"{sent:,} sends in {elapsed:.2f} s: {sent / elapsed:,.0f} a second")
    print(f"{sent / result['cpu_seconds']:,.0f} sends per CPU-second of the server")


def main() -> None:
    """Measure, or be the server of a measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sends", nargs="?", type=int, default=DEFAULT_SENDS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    asyncio.run(serve() if arguments.serve else measure(arguments.sends))


if __name__ == "__main__":
    main()
