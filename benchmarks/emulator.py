"""Throughput of the emulator: ``sms.send`` per second and core, with and without a journal.

The server runs in its own process; this one loads it through 64 kept connections, with minimal
HTTP. The fast sink of the other benchmarks is measured as well, to show that it does not limit
them. Run from the top of the repository:

    python -m benchmarks.emulator [SENDS]
"""

import argparse
import asyncio
import base64
import json
import time
from typing import cast
from urllib.parse import urlsplit

from benchmarks.sink import KINDS, Kind, fastest_loop, sink

CONNECTIONS = 64
DEFAULT_SENDS = 20_000
BODY = json.dumps({"dst_number": 56987688060, "sms_content": "Hola, this is a benchmark"}).encode()


class Load(asyncio.Protocol):
    """Sends `request` one after another over one connection.

    Attributes:
        done: Set when all are answered, or when something is wrong.
    """

    def __init__(self, request: bytes, sends: int) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self._request = request
        self._left = sends
        self._pending = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Send the next after a whole answer."""
        self._pending += data
        head, end, body = self._pending.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            self._end(AssertionError(head))
        elif end and len(body) == int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]):
            self._pending = b""
            self._left -= 1
            if self._left:
                self._transport.write(self._request)
            else:
                self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, too early perhaps."""
        self._end(exc or EOFError("the server closed"))

    def _end(self, exc: Exception | None) -> None:
        if self.done.done():
            return
        if exc is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(exc)
        self._transport.close()


async def load(port: int, request: bytes, sends: int) -> None:
    """Send `request` so many times over a connection of its own."""
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(lambda: Load(request, sends), "127.0.0.1", port)
    await protocol.done


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


async def measure(kind: Kind, sends: int) -> None:
    """Print sends a second, and sends per second of the server's CPU."""
    each = max(1, sends // CONNECTIONS)
    async with sink(kind) as server:
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
    print(
        f"{kind:>8}: {sent:,} sends in {elapsed:.2f} s, {sent / elapsed:,.0f} a second,"
        f" {sent / result['cpu_seconds']:,.0f} per CPU-second of the server"
    )


async def measure_all(sends: int) -> None:
    """Measure every kind of server."""
    for kind in KINDS:
        await measure(kind, sends)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sends", nargs="?", type=int, default=DEFAULT_SENDS)
    with asyncio.Runner(loop_factory=fastest_loop) as runner:
        runner.run(measure_all(parser.parse_args().sends))


if __name__ == "__main__":
    main()
