"""A server with limits, in its own process, which records its load.

It is the emulator, with either a rate limit, or a limit of concurrent requests whose duration
changes by a script. It reports `Watch.seen`.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from benchmarks import child
from connectus_async.emulator import Emulator, Fault

AT_A_TIME = 16
BIN = 0.25
BALANCE = 1_000_000_000

Script = Sequence[tuple[float, float]]


@asynccontextmanager
async def limited(rate: float | None, script: Script) -> AsyncIterator[child.Server]:
    """Run a server for the length of the block.

    Args:
        rate: Requests a second that it allows; ``None`` for no limit.
        script: Pairs of when, in seconds after the first request, and how many seconds it works on
            a request from then on, on `AT_A_TIME` of them at a time. Empty for not at all.
    """
    async with child.running("benchmarks.limited", json.dumps([rate, script])) as server:
        yield server


class Watch:
    """Remembers what an emulator was asked, and how long its answers took."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._began: dict[int, float] = {}
        self._answered: dict[int, list[float]] = {}
        self._counts: list[tuple[float, int, int]] = []
        self.asked = asyncio.Event()
        self.origin = 0.0
        emulator.fault(Fault.call(before=self._begin, after=self._end))

    def _begin(self, number: int) -> None:
        self._began[number] = time.time()
        if not self.asked.is_set():
            self.origin = time.time()
            self.asked.set()

    def _end(self, number: int) -> None:
        now = time.time()
        bin_ = int((now - self.origin) / BIN)
        self._answered.setdefault(bin_, []).append(now - self._began.pop(number))

    async def count(self) -> None:
        """Take the counts again and again."""
        await self.asked.wait()
        while True:
            requests, received = self._totals()
            self._counts.append((time.time() - self.origin, requests, received))
            await asyncio.sleep(BIN)

    def seen(self) -> dict[str, Any]:
        """Tell all.

        Returns:
            The ``origin``, when the first request came, in Unix seconds; the numbers of
            ``requests`` and of messages ``received``; the ``counts``, which are seconds after the
            origin with both numbers; the ``latencies``, which are seconds after the origin with the
            median of what was answered then, in seconds.
        """
        requests, received = self._totals()
        return {
            "origin": self.origin,
            "requests": requests,
            "received": received,
            "counts": self._counts,
            "latencies": [
                (number * BIN, statistics.median(taken))
                for number, taken in sorted(self._answered.items())
            ],
        }

    def _totals(self) -> tuple[int, int]:
        return self._emulator.requests.total(), self._emulator.received_counts.total()


async def _play(emulator: Emulator, asked: asyncio.Event, script: Script) -> None:
    placed = None
    began: float | None = None
    for at, seconds in script:
        if began is not None:
            await asyncio.sleep(began + at - time.monotonic())
        if placed is not None:
            placed.remove()
        placed = emulator.fault(Fault.queue(seconds, at_a_time=AT_A_TIME))
        if began is None:
            await asked.wait()
            began = time.monotonic()


async def _serve(rate: float | None, script: Script) -> None:
    async with Emulator(rate_limit=rate, keep_received=False, balance=BALANCE) as emulator:
        watch = Watch(emulator)
        tasks = [
            asyncio.create_task(watch.count()),
            asyncio.create_task(_play(emulator, watch.asked, script)),
        ]
        await child.serve(child.settings_of(emulator), watch.seen)
        for task in tasks:
            task.cancel()


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("limits", type=json.loads)
    asyncio.run(_serve(*parser.parse_args().limits))


if __name__ == "__main__":
    _main()
