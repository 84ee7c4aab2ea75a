"""One awaited ``sms.send`` compared with a plain ``session.post`` and ``json``.

The server is the fast sink, in its own process. Rounds are interleaved, and figures are medians.
Ours checks the arguments, keeps the time limit, decides the outcome and returns a typed receipt;
the plain one does none of this. Run from the top of the repository:

    python -m benchmarks.single_call [CALLS] [--rounds 15] [--out FOLDER]
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
import attrs

from benchmarks import figures
from benchmarks.child import Server
from benchmarks.figures import Spread
from benchmarks.sink import sink
from connectus_async import AsyncConnectus

CONCURRENCIES = (1, 64)
ROUNDS = 15
WARM_UP = 0.2
AIM = 1.0
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
    "ours, any aiohttp": ours_on_any_aiohttp,
}


@attrs.frozen
class Round:
    """What one round took, in microseconds per call.

    Attributes:
        cpu: CPU of this process.
        p50: Half of the calls took less than that.
        p99: All but a hundredth took less than that.
        rate: Calls a second.
    """

    cpu: float
    p50: float
    p99: float
    rate: float


@attrs.frozen
class Cost:
    """What the rounds of one client took, in microseconds per call."""

    cpu_us: Spread
    p50_us: Spread
    p99_us: Spread
    cpu_over_bare: Spread

    @classmethod
    def of(cls, rounds: list[Round], bare: list[Round]) -> "Cost":
        """Take the medians."""
        return cls(
            figures.spread(rounds, "cpu"),
            figures.spread(rounds, "p50"),
            figures.spread(rounds, "p99"),
            figures.quotient(rounds, bare, "cpu"),
        )


async def timed(call: Call, calls: int, concurrency: int) -> Round:
    """Make calls, a number at a time."""
    numbers = iter(range(FIRST_NUMBER, FIRST_NUMBER + calls))
    latencies: list[float] = []

    async def work(numbers: Iterator[int]) -> None:
        for number in numbers:
            started = time.perf_counter()
            await call(number)
            latencies.append(time.perf_counter() - started)

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work(numbers) for _ in range(concurrency)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    percentiles = statistics.quantiles(latencies, n=100)
    return Round(cpu / calls * 1e6, percentiles[49] * 1e6, percentiles[98] * 1e6, calls / wall)


def report(costs: dict[str, Cost]) -> None:
    """Print the medians, and the ratio of each CPU to that of the bare one with its spread."""
    for name, cost in costs.items():
        print(
            f"{name:>18}: {cost.cpu_us.median:6.0f} us CPU, p50 {cost.p50_us.median:6.0f} us,"
            f" p99 {cost.p99_us.median:6.0f} us; CPU / {BARE}: {cost.cpu_over_bare}"
        )


@contextmanager
def everything(runner: asyncio.Runner) -> Iterator[tuple[Server, dict[str, Call]]]:
    """Run the server and all clients for the length of the block."""
    stack = AsyncExitStack()

    async def enter() -> tuple[Server, dict[str, Call]]:
        server = await stack.enter_async_context(sink("fast"))
        clients = {}
        for name, client in CLIENTS.items():
            clients[name] = await stack.enter_async_context(client(server.settings))
        return server, clients

    try:
        yield runner.run(enter())
    finally:
        runner.run(stack.aclose())


def measure(
    runner: asyncio.Runner, clients: dict[str, Call], options: argparse.Namespace, concurrency: int
) -> dict[str, list[Round]]:
    """Measure all clients, on one loop."""

    def one(name: str, part: float = 1.0) -> Round:
        return runner.run(timed(clients[name], int(options.calls * part), concurrency))

    for name in clients:
        one(name, WARM_UP)
    return figures.interleaved(list(clients), options.rounds, one)


def measure_all(options: argparse.Namespace) -> None:
    """Measure, print, and write the result."""
    result: dict[str, Any] = {
        "environment": figures.environment(options.out),
        "rounds": options.rounds,
        "calls": options.calls,
    }
    costs: dict[int, dict[str, Cost]] = {}
    rates: list[float] = []
    with asyncio.Runner() as runner, everything(runner) as (server, clients):
        for concurrency in CONCURRENCIES:
            rounds = measure(runner, clients, options, concurrency)
            costs[concurrency] = {
                name: Cost.of(each, rounds[BARE]) for name, each in rounds.items()
            }
            rates += [figures.spread(each, "rate").median for each in rounds.values()]
            print(
                f"{concurrency} at a time, {options.calls} calls, {options.rounds} rounds, medians"
            )
            report(costs[concurrency])
        print(f"the aim for ours: at most {AIM} times the CPU of {BARE}")
        print(figures.headroom(runner.run(server.stop()), max(rates)))
    figures.write(options.out, "single_call", {**result, "by_concurrency": costs})
    draw(options.out / "single_call.png", costs)


def draw(path: Path, costs: dict[int, dict[str, Cost]]) -> None:
    """Draw CPU and latency of all."""

    def column(concurrency: int, field: str) -> dict[str, Spread]:
        return {name: getattr(cost, field) for name, cost in costs[concurrency].items()}

    cpu = {f"{number} at a time": column(number, "cpu_us") for number in costs}
    latencies = {
        f"latency (µs), {number} at a time": {
            "median": column(number, "p50_us"),
            "99th percentile": column(number, "p99_us"),
        }
        for number in costs
    }
    title = "One awaited call, to a loopback server"
    figures.bars(path, title, {"CPU (µs)": cpu, **latencies})


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("calls", nargs="?", type=int, default=DEFAULT_CALLS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = figures.parse(parser)
    measure_all(options)


if __name__ == "__main__":
    main()
