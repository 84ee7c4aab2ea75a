"""One rate over several workers of a PostgreSQL ledger, one of which is killed.

A server in this process notes when each request comes. Told are the requests of each second from
the first one on, and what was asked for: from the third second on, each within a tenth of the rate;
none above that after the kill; and back at 95 % of it within five seconds. Run from the top of the
repository:

    python -m benchmarks.shared_rate [--rate 500] [--workers 4] [--seconds 20] [--out FOLDER]
"""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from benchmarks import figures
from benchmarks.sink import BACKLOG, FastConnection, FastServer
from connectus_async import AsyncConnectus, Sms
from connectus_async.bulk.options import BulkOptions
from connectus_async.client import sender_over
from connectus_async.defaults import ENVIRONMENT
from connectus_async.ledger import create_tables, open_store
from connectus_async.postgres_server import PostgresServer

RATE = 500.0
WORKERS = 4
SECONDS = 20
CONCURRENCY = 64
FIRST_NUMBER = 56_960_000_000
TEXT = "Hola, tu pedido va en camino."

UNSETTLED = 2
"""Seconds at the beginning that do not count."""

TOLERATED = 0.1
BACK_WITHIN = 5
BACK_AT = 0.95


class TimedServer(FastServer):
    """A server that notes when each request comes."""

    def __init__(self) -> None:
        super().__init__(distinct=False)
        self.times: list[float] = []
        self.asked = asyncio.Event()

    def answer(self, head: bytes, body: bytes) -> bytes:
        """Note the time, and answer."""
        self.times.append(time.monotonic())
        self.asked.set()
        return super().answer(head, body)


@asynccontextmanager
async def bulk_of(ledger: str, rate: float) -> AsyncIterator[Any]:
    """Open the campaign."""
    options = BulkOptions(ledger=ledger, concurrency=CONCURRENCY, rate=rate)
    async with AsyncConnectus(max_connections=CONCURRENCY) as connectus:
        ledger_of_worker = open_store(ledger).ledger()
        async with sender_over(connectus, ledger_of_worker, options) as bulk:
            yield bulk


async def work(ledger: str, rate: float) -> None:
    """Be a worker: send what is queued until nothing is."""
    async with bulk_of(ledger, rate) as bulk:
        await bulk.run()


async def measure(options: Any) -> tuple[list[int], int]:
    """Give the requests of each second, and the second of the kill."""
    server = TimedServer()
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: FastConnection(server), "127.0.0.1", 0, backlog=BACKLOG
    )
    host, port = listener.sockets[0].getsockname()
    settings = {"base_url": f"http://{host}:{port}", "api_user": "user", "api_key": "key"}
    os.environ.update({ENVIRONMENT[name]: value for name, value in settings.items()})
    with PostgresServer() as database:
        create_tables(database.address())
        ledger = database.address(campaign="rate")
        count = int(options.rate * (options.seconds + 10))
        async with bulk_of(ledger, options.rate) as bulk:
            await bulk.load(Sms(FIRST_NUMBER + index, TEXT) for index in range(count))
        command = [sys.executable, "-m", __spec__.name, "--rate", str(options.rate), "--worker"]
        workers = [
            await asyncio.create_subprocess_exec(*command, ledger) for _ in range(options.workers)
        ]
        try:
            await server.asked.wait()
            await asyncio.sleep(options.seconds / 2)
            workers[-1].kill()
            killed = int(time.monotonic() - server.times[0])
            await asyncio.sleep(options.seconds / 2)
        finally:
            for worker in workers:
                with suppress(ProcessLookupError):
                    worker.kill()
                await worker.wait()
    listener.close()
    seconds = Counter(int(at - server.times[0]) for at in server.times)
    return [seconds[second] for second in range(options.seconds)], killed


def faults(seconds: Sequence[int], killed: int, rate: float) -> list[str]:
    """Name the promises that were not kept."""
    found = []
    for second, count in enumerate(seconds):
        if second >= UNSETTLED and count > rate * (1 + TOLERATED):
            found.append(f"second {second}: {count} is too much")
        is_spared = killed <= second < killed + BACK_WITHIN
        least = BACK_AT if second > killed else 1 - TOLERATED
        if second >= UNSETTLED and not is_spared and count < rate * least:
            found.append(f"second {second}: {count} is too little")
    return found


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--worker", metavar="LEDGER", help=argparse.SUPPRESS)
    options = figures.parse(parser)
    if options.worker:
        asyncio.run(work(options.worker, options.rate))
        return
    seconds, killed = asyncio.run(measure(options))
    print("requests of each second:", *seconds)
    print(f"a worker was killed in second {killed}")
    found = faults(seconds, killed, options.rate)
    print(*found or ["kept"], sep="\n")
    environment = figures.environment(options.out)
    measured = {"rate": options.rate, "workers": options.workers, "killed": killed}
    figures.write(
        options.out,
        "shared-rate",
        {"environment": environment, **measured, "seconds": seconds, "faults": found},
    )


if __name__ == "__main__":
    main()
