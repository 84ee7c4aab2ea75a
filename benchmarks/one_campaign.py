"""One campaign in its own process, for `scaling`; it imports little else.

It reads a task as a line of JSON from its standard input, and writes the result as another:

- ``{"do": "send", "messages": 1000, "stretches": 1, …}`` sends messages from a generator, after a
  few that load the modules and do not count. Before each stretch it writes a line with the result
  of the previous one, and waits for a line;
- ``{"do": "load", "messages": 1000, …}`` loads messages into a ledger, and marks half as accepted;
- ``{"do": "resume", "began": …, …}`` resumes a ledger, and stops at the first response.
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
from connectus_async.bulk.sender import Bulk

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
    """Peak of the resident memory of this process, in bytes.

    ``ru_maxrss`` begins with the memory of the process that started this one; Linux knows better.
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


class Clock:
    """Clock for stretches."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin a stretch."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def taken(self) -> Job:
        """Cost of the stretch so far."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return {"wall": wall, "cpu": cpu}


async def send(job: Job) -> Job:
    """Send from a generator."""
    before = peak_memory()
    stretch = job["messages"] // job["stretches"]
    async with client(job) as connectus:
        async with connectus.bulk(concurrency=job["concurrency"]) as bulk:
            await bulk.run(messages(WARM_UP))
        async with connectus.bulk(concurrency=job["concurrency"], ledger=job["ledger"]) as bulk:
            last = await send_in_stretches(bulk, job["messages"], stretch)
    return {**last, "before": before, "peak": peak_memory()}


async def send_in_stretches(bulk: Bulk, count: int, stretch: int) -> Job:
    """Send, and rest before each stretch, with nothing under way.

    Returns:
        The cost of the last stretch.
    """
    await rest({})
    clock = Clock()
    ends = iter(range(stretch, count - stretch + 1, stretch))
    end = next(ends, None)
    told = 0
    async for outcome in bulk.stream(messages(count)):
        assert outcome.id is not None
        sent = bulk.summary.accepted
        if end is None or sent < end:
            continue
        bulk.pause()
        if bulk.progress().in_flight:
            continue
        await rest({**clock.taken(), "messages": sent - told})
        told, end = sent, next(ends, None)
        clock.start()
        bulk.resume()
    assert bulk.summary.accepted == count
    return {**clock.taken(), "messages": count - told}


async def rest(told: Job) -> None:
    """Write a line, and wait for one."""
    print(json.dumps(told), flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def load(job: Job) -> Job:
    """Make the ledger of a campaign that was stopped half way."""
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
    """Resume a campaign; return the seconds to the first answer and to the steps before it."""
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
    """Do the job on the standard input."""
    job = json.loads(sys.stdin.readline())
    print(json.dumps(asyncio.run({"send": send, "load": load, "resume": resume}[job["do"]](job))))


if __name__ == "__main__":
    main()
