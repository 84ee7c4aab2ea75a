"""One blocking call through our client beside requests and httpx, against the same server.

The server is the emulator in a process of its own. All keep their connections, send the same
headers and body, and read the answer. The rounds are interleaved, and the figures are medians. Run
from the top of the repository:

    python -m benchmarks.sync_call [CALLS]
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import requests
from anyio.from_thread import start_blocking_portal

from benchmarks.sink import sink
from connectus_async import Connectus

ROUNDS = 9
THREADS = (1, 4, 16)
DEFAULT_CALLS = 400
NUMBER = 56_960_000_000
TEXT = "Hola, tu pedido va en camino."
HEADERS = {"Accept": "application/json", "User-Agent": "benchmark"}
LIMIT = 30

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


def timed(call: Call, calls: int, pool: ThreadPoolExecutor, threads: int) -> tuple[float, float]:
    """Return microseconds per call: of the clock, and of this process's CPU."""
    share = calls // threads

    def work() -> None:
        for _ in range(share):
            call()

    wall, cpu = time.perf_counter(), time.process_time()
    for done in [pool.submit(work) for _ in range(threads)]:
        done.result()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall / (share * threads) * 1e6, cpu / (share * threads) * 1e6


def report(figures: dict[str, list[tuple[float, float]]]) -> None:
    """Print the medians, and the ratios of ours to the others with their spread."""
    for name, rounds in figures.items():
        wall, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:>14}: {wall:6.0f} us {cpu:6.0f} us CPU")
    for mine in ("ours", "ours, uvloop"):
        for other in ("requests", "httpx"):
            pairs = zip(figures[mine], figures[other], strict=True)
            ratios = sorted(left / right for (left, _), (right, _) in pairs)
            spread = f"({ratios[0]:.2f}-{ratios[-1]:.2f})"
            print(f"{mine:>14} / {other:8}: {statistics.median(ratios):.2f} {spread}")


def measure(calls: int) -> None:
    """Measure all clients with each number of threads."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(sink()) as server,
        ExitStack() as stack,
        ThreadPoolExecutor(max(THREADS)) as pool,
    ):
        clients = {
            name: stack.enter_context(client(server.settings)) for name, client in CLIENTS.items()
        }
        for threads in THREADS:
            figures: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
            for call in clients.values():
                timed(call, calls, pool, threads)
            for _ in range(ROUNDS):
                for name, call in clients.items():
                    figures[name].append(timed(call, calls, pool, threads))
            print(f"{threads} threads, {calls} calls, {ROUNDS} interleaved rounds, medians")
            report(figures)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("calls", nargs="?", type=int, default=DEFAULT_CALLS)
    measure(parser.parse_args().calls)


if __name__ == "__main__":
    main()
