"""One campaign in a process of its own, for what `scaling` measures; little else is imported here.

It reads what to do as a line of JSON from its standard input, and writes what it took as another:

- ``{"do": "send", "messages": 1000, …}`` sends that many from a generator, after a few that bring
  the modules and do not count;
- ``{"do": "load", "messages": 1000, …}`` puts that many in a ledger, and marks half as accepted;
- ``{"do": "resume", "began": …, …}`` takes a ledger up, and stops at the first answer.
"""

import asyncio
import json
import resource
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from connectus_async import AsyncConnectus, Sms

MOST_CONNECTIONS = 100
FIRST_NUMBER = 56_960_000_000
TEXT = "Hola {}, tu pedido va en camino."
KIB = 1024
WARM_UP = 200

Job = dict[str, Any]


def messages(count: int) -> Iterator[Sms]:
    """Make messages, each with a text of its own."""
    return (Sms(FIRST_NUMBER + index, TEXT.format(index)) for index in range(count))


def peak_memory() -> int:
    """Return the most bytes that were resident in this process.

    ``ru_maxrss`` begins with what the process had that started this one; Linux tells better.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * KIB
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * KIB


def client(job: Job) -> AsyncConnectus:
    """Make a client with enough connections."""
    return AsyncConnectus(
        **job["settings"], max_connections=max(job["concurrency"], MOST_CONNECTIONS)
    )


async def send(job: Job) -> Job:
    """Send from a generator."""
    before = peak_memory()
    async with client(job) as connectus:
        await campaign(connectus, WARM_UP, job["concurrency"], None)
        wall, cpu = time.perf_counter(), time.process_time()
        await campaign(connectus, job["messages"], job["concurrency"], job["ledger"])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall, "cpu": cpu, "before": before, "peak": peak_memory()}


async def campaign(
    connectus: AsyncConnectus, count: int, concurrency: int, ledger: str | None
) -> None:
    """Send so many messages."""
    async with connectus.bulk(concurrency=concurrency, ledger=ledger) as bulk:
        async for outcome in bulk.stream(messages(count)):
            assert outcome.id is not None
    assert bulk.summary.accepted == count


async def load(job: Job) -> Job:
    """Make a ledger of a campaign that was stopped half way."""
    wall, cpu = time.perf_counter(), time.process_time()
    async with client(job) as connectus, connectus.bulk(ledger=job["ledger"]) as bulk:
        await bulk.load(messages(job["messages"]))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    with closing(sqlite3.connect(job["ledger"])) as connection, connection:
        connection.execute(
            "UPDATE message SET state = 'accepted', attempts = 1, started_at = ?, ended_at = ?,"
            " provider_id = hex(randomblob(16)) WHERE id <= ?",
            (time.time(), time.time(), job["messages"] // 2),
        )
    return {"wall": wall, "cpu": cpu, "peak": peak_memory()}


async def resume(job: Job) -> Job:
    """Take a ledger up; what is told are seconds to the first answer, and to parts of the way."""
    began: float = job["began"]
    entering = time.time()
    async with client(job) as connectus, connectus.bulk(ledger=job["ledger"]) as bulk:
        entered = time.time()
        async for _ in bulk.stream():
            break
        answered = time.time()
    return {
        "from_start": answered - began,
        "from_entering": answered - entering,
        "to_enter": entered - entering,
        "peak": peak_memory(),
    }


def main() -> None:
    """Do what the standard input says."""
    job = json.loads(sys.stdin.readline())
    print(json.dumps(asyncio.run({"send": send, "load": load, "resume": resume}[job["do"]](job))))


if __name__ == "__main__":
    main()
