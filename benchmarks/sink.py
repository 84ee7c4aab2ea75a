"""A server for the benchmarks, in its own process.

There are three kinds: the emulator; the emulator with a journal; and a fast sink, which knows just
enough HTTP to read a request and check its credentials, and always sends the same response.

It reports ``received`` and ``cpu_seconds``, and ``distinct`` on request.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, cast, get_args

from benchmarks import child
from connectus_async.emulator import Emulator

Kind = Literal["emulator", "journal", "fast"]

KINDS: tuple[Kind, ...] = get_args(Kind)
BALANCE = 1_000_000_000
BACKLOG = 1_024
UNAUTHORIZED = b'HTTP/1.1 401 Unauthorized\r\nContent-Length: 24\r\n\r\n{"error":"unauthorized"}'
ACCEPTED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    b'{"status":"EN_COLA","id_sms":"%032x"}'
)
LENGTH_OF_ANSWER = len(b'{"status":"EN_COLA","id_sms":""}') + 32


@asynccontextmanager
async def sink(kind: Kind = "emulator", *, distinct: bool = False) -> AsyncIterator[child.Server]:
    """Run a server for the length of the block.

    Args:
        kind: ``"emulator"``, ``"journal"`` for one with a journal, or ``"fast"``.
        distinct: Whether the fast one also counts how many bodies were distinct, which takes memory
            for each.
    """
    async with child.running("benchmarks.sink", kind, *["--distinct"] * distinct) as server:
        yield server


class FastServer:
    """What the fast sink counts, over all its connections."""

    def __init__(self, *, distinct: bool) -> None:
        self.received = 0
        self.bodies: set[int] | None = set() if distinct else None

    def answer(self, head: bytes, body: bytes) -> bytes:
        """Count a request and answer it; `head` is in lower case."""
        if b"\r\nauthorization: " not in head:
            return UNAUTHORIZED
        self.received += 1
        if self.bodies is not None:
            self.bodies.add(hash(body))
        return ACCEPTED % (LENGTH_OF_ANSWER, self.received)

    def counts(self) -> dict[str, int]:
        """Tell what was counted."""
        distinct = {} if self.bodies is None else {"distinct": len(self.bodies)}
        return {"received": self.received, **distinct}


class FastConnection(asyncio.Protocol):
    """Requests framed by their Content-Length, one after another."""

    def __init__(self, server: FastServer) -> None:
        self._server = server
        self._pending = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._pending += data
        for head, body in self._whole_requests():
            self._transport.write(self._server.answer(head, body))

    def _whole_requests(self) -> Iterator[tuple[bytes, bytes]]:
        while (end := self._pending.find(b"\r\n\r\n") + 4) > 3:
            head = self._pending[:end].lower()
            _, _, length = head.partition(b"\r\ncontent-length: ")
            whole = end + int(length[: length.find(b"\r")] or 0)
            if len(self._pending) < whole:
                return
            body, self._pending = self._pending[end:whole], self._pending[whole:]
            yield head, body


async def _serve(settings: dict[str, str], counts: Callable[[], dict[str, int]]) -> None:
    started = time.process_time()
    await child.serve(settings, lambda: {**counts(), "cpu_seconds": time.process_time() - started})


async def _serve_emulator(journal: Path | None = None) -> None:
    async with Emulator(keep_received=False, balance=BALANCE, journal=journal) as emulator:
        await _serve(
            child.settings_of(emulator), lambda: {"received": emulator.received_counts.total()}
        )


async def _serve_emulator_with_journal() -> None:
    with TemporaryDirectory() as folder:
        await _serve_emulator(Path(folder) / "journal")


async def _serve_fast(*, distinct: bool) -> None:
    server = FastServer(distinct=distinct)
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: FastConnection(server), "127.0.0.1", 0, backlog=BACKLOG
    )
    port = listener.sockets[0].getsockname()[1]
    settings = {"base_url": f"http://127.0.0.1:{port}/api_v3", "api_user": "a", "api_key": "b"}
    await _serve(settings, server.counts)
    listener.close()


def fastest_loop() -> asyncio.AbstractEventLoop:
    """Make a loop of uvloop where it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - it may be missing
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--distinct", action="store_true")
    arguments = parser.parse_args()
    if arguments.kind == "fast":
        with asyncio.Runner(loop_factory=fastest_loop) as runner:
            runner.run(_serve_fast(distinct=arguments.distinct))
    elif arguments.kind == "journal":
        asyncio.run(_serve_emulator_with_journal())
    else:
        asyncio.run(_serve_emulator())


if __name__ == "__main__":
    _main()
