"""One awaited ``sms.send`` beside a bare ``session.post`` and ``json``, against the same server.

The server is the fast sink in a process of its own. The rounds of all are interleaved, and the
figures are medians. Ours checks the arguments, keeps the time limit, decides the outcome and
returns a typed receipt; the bare one does nothing of it. Run from the top of the repository:

    python -m benchmarks.single_call [CALLS]
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from unittest.mock import patch

import aiohttp
import attrs

from benchmarks.sink import sink
from connectus_async import AsyncConnectus
from connectus_async.products.sms import SmsService

CONCURRENCIES = (1, 64)
ROUNDS = 15
DEFAULT_CALLS = 1_000
FIRST_NUMBER = 56_960_000_000
TEXT = "Hola, tu pedido va en camino."
BARE = "session.post"

Settings = dict[str, str]
Call = Callable[[int], Awaitable[object]]


@asynccontextmanager
async def ours(settings: Settings) -> AsyncIterator[Call]:
    """Send as a user does."""
    async with AsyncConnectus(**settings) as connectus:
        yield lambda number: connectus.sms.send(number, TEXT)


@asynccontextmanager
async def ours_in_bulk(settings: Settings) -> AsyncIterator[Call]:
    """Send as the bulk sender does: a call is never cancelled amid a try."""
    async with AsyncConnectus(**settings) as connectus:
        sms = SmsService(connectus._transport.finishing_tries())  # noqa: SLF001 - as `bulk` does
        yield lambda number: sms.send(number, TEXT)


@asynccontextmanager
async def ours_on_any_aiohttp(settings: Settings) -> AsyncIterator[Call]:
    """Send as where aiohttp is of a version that we do not know."""
    async with ours(settings) as call:
        with patch("connectus_async.transport.knows_aiohttp", return_value=False):
            await call(FIRST_NUMBER)  # the first call decides
        yield call


@asynccontextmanager
async def bare(settings: Settings) -> AsyncIterator[Call]:
    """Post with aiohttp: no checks, no types, any error is an exception."""
    auth = aiohttp.encode_basic_auth(settings["api_user"], settings["api_key"])
    url = settings["base_url"] + "/sms/send_individual"

    async def call(number: int) -> object:
        body = {"dst_number": number, "sms_content": TEXT}
        async with session.post(url, json=body) as response:
            response.raise_for_status()
            return await response.json()

    async with aiohttp.ClientSession(headers={"Authorization": auth}) as session:
        yield call


CLIENTS = {
    BARE: bare,
    "ours": ours,
    "ours, in bulk": ours_in_bulk,
    "ours, any aiohttp": ours_on_any_aiohttp,
}


@attrs.frozen
class Round:
    """Microseconds per call: of CPU of this process, and of the clock at two percentiles."""

    cpu: float
    p50: float
    p99: float


async def timed(call: Call, calls: int, concurrency: int) -> Round:
    """Make calls, a number at a time."""
    numbers = iter(range(FIRST_NUMBER, FIRST_NUMBER + calls))
    latencies: list[float] = []

    async def work(numbers: Iterator[int]) -> None:
        for number in numbers:
            started = time.perf_counter()
            await call(number)
            latencies.append(time.perf_counter() - started)

    cpu = time.process_time()
    await asyncio.gather(*(work(numbers) for _ in range(concurrency)))
    cpu = time.process_time() - cpu
    percentiles = statistics.quantiles(latencies, n=100)
    return Round(cpu / calls * 1e6, percentiles[49] * 1e6, percentiles[98] * 1e6)


def report(rounds: dict[str, list[Round]]) -> None:
    """Print the medians, and the ratio of each CPU to that of the bare one with its spread."""
    for name, measured in rounds.items():
        cpu, p50, p99 = (
            statistics.median(column) for column in zip(*map(attrs.astuple, measured), strict=True)
        )
        pairs = zip(measured, rounds[BARE], strict=True)
        ratios = sorted(mine.cpu / theirs.cpu for mine, theirs in pairs)
        print(
            f"{name:>18}: {cpu:6.0f} us CPU, p50 {p50:6.0f} us, p99 {p99:6.0f} us;"
            f" CPU / {BARE}: {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
        )


async def measure(calls: int) -> None:
    """Measure all clients with each number of calls at a time."""
    async with sink("fast") as server, AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(client(server.settings))
            for name, client in CLIENTS.items()
        }
        for concurrency in CONCURRENCIES:
            rounds: dict[str, list[Round]] = {name: [] for name in clients}
            for call in clients.values():
                await timed(call, calls // 5, concurrency)
            for _ in range(ROUNDS):
                for name, call in clients.items():
                    rounds[name].append(await timed(call, calls, concurrency))
            print(f"{concurrency} at a time, {calls} calls, {ROUNDS} interleaved rounds, medians")
            report(rounds)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("calls", nargs="?", type=int, default=DEFAULT_CALLS)
    asyncio.run(measure(parser.parse_args().calls))


if __name__ == "__main__":
    main()
