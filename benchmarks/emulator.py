"""How many ``sms.send`` a second one core of the emulator takes.

The server runs in a process of its own; this one loads it through 64 connections that are kept
alive, with as little HTTP as will do. Run from the top of the repository:

    python -m benchmarks.emulator [SENDS]
"""

import argparse
import asyncio
import base64
import json
import time
from urllib.parse import urlsplit

from benchmarks.sink import sink

CONNECTIONS = 64
DEFAULT_SENDS = 20_000
BODY = json.dumps({"dst_number": 56987688060, "sms_content": "Hola, this is a benchmark"}).encode()


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


def send_request(settings: dict[str, str]) -> bytes:
    """Write the request that every send is."""
    credentials = f"{settings['api_user']}:{settings['api_key']}".encode()
    return (
        b"POST /api_v3/sms/send_individual HTTP/1.1\r\n"
        b"Host: 127.0.0.1\r\n"
        b"Authorization: Basic %b\r\n"
        b"Content-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b"
    ) % (base64.b64encode(credentials), len(BODY), BODY)


async def measure(sends: int) -> None:
    """Print sends a second, and sends per second of the server's CPU."""
    each = max(1, sends // CONNECTIONS)
    async with sink() as server:
        port = urlsplit(server.settings["base_url"]).port or 0
        request = send_request(server.settings)
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(load(port, request, each))
        elapsed = time.perf_counter() - started
        result = await server.stop()
    sent = each * CONNECTIONS
    assert result["received"] == sent, result
    print(f"{sent:,} sends in {elapsed:.2f} s: {sent / elapsed:,.0f} a second")
    print(f"{sent / result['cpu_seconds']:,.0f} sends per CPU-second of the server")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sends", nargs="?", type=int, default=DEFAULT_SENDS)
    asyncio.run(measure(parser.parse_args().sends))


if __name__ == "__main__":
    main()
