"""One blocking call through our client compared with requests and httpx.

The server is the fast sink, in its own process. All keep their connections, send the same headers
and body, and read the response. Rounds are interleaved, and figures are medians; ratios are of the
same round. Run from the top of the repository:

    python -m benchmarks.sync_call [CALLS] [--threads 1 4 16] [--rounds 9] [--server fast]
        [--out FOLDER]
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx
import requests
from anyio.from_thread import start_blocking_portal

from benchmarks import figures
from benchmarks.figures import Spread
from benchmarks.sink import KINDS, sink
from connectus_async import Connectus

ROUNDS = 9
THREADS = (1, 4, 16)
DEFAULT_CALLS = 400
NUMBER = 56_960_000_000
TEXT = "Hola, tu pedido va en camino."
HEADERS = {"Accept": "application/json", "User-Agent": "benchmark"}
LIMIT = 30
AIMS = {"requests": 0.75, "httpx": 1.0}

Settings = dict[str, str]
Call = Callable[[], object]


@contextmanager
def ours(settings: Settings) -> Iterator[Call]:
    """Typed arguments and answer, checks, retries, an outcome whatever happens."""
    with Connectus(**settings) as connectus:
        yield lambda: connectus.sms.send(NUMBER, TEXT)


@contextmanager
def ours_on_stock_loop(settings: Settings) -> Iterator[Call]:
    """The same where uvloop is not installed."""
    sys.modules["uvloop"] = None  # type: ignore[assignment]  # so that its import fails
    with ExitStack() as stack:
        call = stack.enter_context(ours(settings))
        del sys.modules["uvloop"]
        yield call


@contextmanager
def with_requests(settings: Settings) -> Iterator[Call]:
    """A session of requests, with as many connections as there are threads."""
    url, body = request_of(settings)

    def call() -> object:
        response = session.post(url, json=body, timeout=LIMIT)
        response.raise_for_status()
        return response.json()

    with requests.Session() as session:
        session.mount(url, requests.adapters.HTTPAdapter(pool_maxsize=max(THREADS)))
        session.auth = settings["api_user"], settings["api_key"]
        session.headers.update(HEADERS)
        yield call


@contextmanager
def with_httpx(settings: Settings) -> Iterator[Call]:
    """A client of httpx."""
    url, body = request_of(settings)

    def call() -> object:
        response = client.post(url, json=body)
        response.raise_for_status()
        return response.json()

    auth = settings["api_user"], settings["api_key"]
    with httpx.Client(auth=auth, headers=HEADERS, timeout=LIMIT) as client:
        yield call


def request_of(settings: Settings) -> tuple[str, dict[str, int | str]]:
    """Return the URL and the body that our client posts."""
    url = settings["base_url"] + "/sms/send_individual"
    return url, {"dst_number": NUMBER, "sms_content": TEXT}


CLIENTS = {
    "ours": ours_on_stock_loop,
    "ours, uvloop": ours,
    "requests": with_requests,
    "httpx": with_httpx,
}


@attrs.frozen
class Round:
    """Microseconds per call: of the clock, and of CPU of this process."""

    wall: float
    cpu: float


@attrs.frozen
class Cost:
    """What the rounds of one client took, and the ratios of their times to the others'."""

    wall_us: Spread
    cpu_us: Spread
    wall_over: dict[str, Spread]

    @classmethod
    def of(cls, rounds: list[Round], others: dict[str, list[Round]]) -> "Cost":
        """Take the medians."""
        return cls(
            figures.spread(rounds, "wall"),
            figures.spread(rounds, "cpu"),
            {name: figures.quotient(rounds, others[name], "wall") for name in AIMS},
        )


def timed(call: Call, calls: int, pool: ThreadPoolExecutor, threads: int) -> Round:
    """Make calls in some threads at a time."""
    share = calls // threads

    def work() -> None:
        for _ in range(share):
            call()

    wall, cpu = time.perf_counter(), time.process_time()
    for done in [pool.submit(work) for _ in range(threads)]:
        done.result()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Round(wall / (share * threads) * 1e6, cpu / (share * threads) * 1e6)


def measure(
    clients: dict[str, Call], pool: ThreadPoolExecutor, threads: int, options: argparse.Namespace
) -> dict[str, Cost]:
    """Measure all clients with one number of threads."""

    def one(name: str) -> Round:
        return timed(clients[name], options.calls, pool, threads)

    for name in clients:
        one(name)
    rounds = figures.interleaved(list(clients), options.rounds, one)
    return {name: Cost.of(each, rounds) for name, each in rounds.items()}


def report(costs: dict[str, Cost]) -> None:
    """Print the medians, and the ratios of ours to the others with their spread."""
    for name, cost in costs.items():
        print(f"{name:>14}: {cost.wall_us.median:6.0f} us {cost.cpu_us.median:6.0f} us CPU")
    for mine in ("ours", "ours, uvloop"):
        for other, aim in AIMS.items():
            print(f"{mine:>14} / {other:8}: {costs[mine].wall_over[other]}, aim {aim}")


def draw(path: Path, costs: dict[int, dict[str, Cost]]) -> None:
    """Draw time and CPU of all."""
    panels = {"time per call (µs)": "wall_us", "CPU per call (µs)": "cpu_us"}
    figures.bars(
        path,
        "One blocking call, to a loopback server",
        {
            panel: {
                f"{threads} threads": {name: getattr(cost, field) for name, cost in by_name.items()}
                for threads, by_name in costs.items()
            }
            for panel, field in panels.items()
        },
    )


def measure_all(options: argparse.Namespace) -> None:
    """Measure, print, and write the result."""
    result: dict[str, Any] = {
        "environment": figures.environment(options.out),
        "rounds": options.rounds,
        "calls": options.calls,
        "server": options.server,
    }
    costs: dict[int, dict[str, Cost]] = {}
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(sink(options.server)) as server,
    ):
        with ExitStack() as stack, ThreadPoolExecutor(max(options.threads)) as pool:
            clients = {
                name: stack.enter_context(client(server.settings))
                for name, client in CLIENTS.items()
            }
            for threads in options.threads:
                print(f"{threads} threads, {options.calls} calls, {options.rounds} rounds, medians")
                costs[threads] = measure(clients, pool, threads, options)
                report(costs[threads])
        shortest = min(cost.wall_us.median for each in costs.values() for cost in each.values())
        print(figures.headroom(portal.call(server.stop), 1e6 / shortest))
    figures.write(options.out, "sync_call", {**result, "by_threads": costs})
    draw(options.out / "sync_call.png", costs)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("calls", nargs="?", type=int, default=DEFAULT_CALLS)
    parser.add_argument("--threads", type=int, nargs="+", default=THREADS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--server", choices=KINDS, default="fast")
    options = figures.parse(parser)
    measure_all(options)


if __name__ == "__main__":
    main()
