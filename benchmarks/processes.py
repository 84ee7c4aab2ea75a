"""One campaign sent by one process and by several, as by ``connectus bulk send --processes``.

Each round is a process that resumes a copy of the same loaded ledger, and starts its sender
processes. The rate comes from the ledger: all messages, from the start of the first to the response
of the last. It excludes loading the ledger and starting processes; the total time is reported too.
CPU is that of all processes of a campaign, including the start of the sender processes. Several
processes are faster only if there are cores for them, so the load of the server, and the number of
cores that one process and the server use, are reported as well. Rounds are interleaved; figures are
medians, and ratios are of the same round.

With ``--share``, the kernel limits each thread, also of the server, to that share of a core. This
simulates more cores, each of that share of the speed, and shows the effect of more processes if
neither the server nor the number of cores is the limit. But a thread that is stopped while it has
the GIL blocks the others of its process, which affects one process more. It needs Linux with
control groups of version 1, and root. Run from the top of the repository:

    python -m benchmarks.processes [--messages 40000] [--processes 1 2] [--concurrency 64 256]
        [--rounds 5] [--share 0.4] [--uvloop] [--out FOLDER]
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
from anyio.from_thread import start_blocking_portal

from benchmarks import figures
from benchmarks.figures import Round, costs, rates, ratio
from benchmarks.sink import fastest_loop, sink
from benchmarks.slow_cores import slow_cores
from connectus_async import AsyncConnectus, Sms
from connectus_async._program import collect_seldom
from connectus_async.defaults import ENVIRONMENT
from connectus_async.workers import SenderProcesses

MESSAGES = 40_000
PROCESSES = (1, 2)
CONCURRENCIES = (64, 256)
ROUNDS = 5
WARMING_UP = 2_000
FIRST_NUMBER = 56_960_000_000
TEXT = "Hola, tu pedido va en camino."


@attrs.frozen
class Sent(Round):
    """A round, with its whole duration.

    Attributes:
        whole: Seconds of the clock, starting processes included.
    """

    whole: float


async def load(ledger: Path, messages: int) -> None:
    """Record messages in a ledger."""
    async with AsyncConnectus() as connectus, connectus.bulk(ledger=ledger) as bulk:
        await bulk.load(Sms(FIRST_NUMBER + index, TEXT) for index in range(messages))


async def send(path: Path, job: Mapping[str, Any]) -> None:
    """Send the queued messages of a ledger."""
    concurrency = job["concurrency"]
    client = AsyncConnectus(max_connections=concurrency)
    async with client, client.bulk(ledger=path, concurrency=concurrency) as bulk:
        if job["processes"] == 1:
            await bulk.run()
            accepted = bulk.summary.accepted
        else:
            async with SenderProcesses(bulk, processes=job["processes"]) as sending:
                async for failure in sending.stream():
                    raise AssertionError(failure)
            accepted = sending.summary.accepted
    assert accepted == job["messages"], accepted


def one_round(job: Mapping[str, Any]) -> None:
    """Send, and print the cost; in a process of its own."""
    path = Path(job["ledger"])
    collect_seldom()  # as the command does
    began, used = time.perf_counter(), time.process_time()
    with asyncio.Runner(loop_factory=fastest_loop if job["uvloop"] else None) as runner:
        runner.run(send(path, job))
    whole = time.perf_counter() - began
    senders = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = time.process_time() - used + senders.ru_utime + senders.ru_stime
    print(json.dumps({"wall": seconds_in(path), "cpu": cpu, "whole": whole}))


def seconds_in(ledger: Path) -> float:
    """Read the duration of a campaign."""
    with closing(sqlite3.connect(ledger)) as connection:
        ((seconds,),) = connection.execute("SELECT max(ended_at) - min(started_at) FROM message")
    return float(seconds)


@attrs.frozen
class Campaigns:
    """Starts the processes of the rounds.

    Attributes:
        environment: Their environment, with the address of the server.
        folder: The folder of the ledgers.
        uvloop: Whether all run on uvloop.
        slowed: Slows the threads of a process, given its number.
    """

    environment: Mapping[str, str]
    folder: Path
    uvloop: bool
    slowed: Callable[[int], AbstractContextManager[object]]

    def send(self, loaded: Path, messages: int, processes: int, concurrency: int) -> Sent:
        """Measure one round."""
        with TemporaryDirectory(dir=self.folder) as folder:
            ledger = shutil.copy(loaded, Path(folder) / "campaign.db")
            job = {
                "ledger": str(ledger),
                "messages": messages,
                "processes": processes,
                "concurrency": concurrency,
                "uvloop": self.uvloop,
            }
            with (
                subprocess.Popen(  # noqa: S603 - what is run is this program
                    [sys.executable, "-m", "benchmarks.processes", "--round", json.dumps(job)],
                    env=self.environment,
                    stdout=subprocess.PIPE,
                ) as process,
                self.slowed(process.pid),
            ):
                try:
                    told, _ = process.communicate()
                except BaseException:
                    process.kill()  # or it is waited for
                    raise
        assert process.returncode == 0
        return Sent(messages, **json.loads(told))


def measure(
    campaigns: Campaigns, options: argparse.Namespace, concurrency: int
) -> dict[int, list[Sent]]:
    """Measure all with one concurrency."""
    with TemporaryDirectory(dir=options.out) as folder:
        loaded, small = Path(folder) / "loaded.db", Path(folder) / "small.db"
        asyncio.run(load(loaded, options.messages))
        asyncio.run(load(small, WARMING_UP))
        for count in options.processes:
            campaigns.send(small, WARMING_UP, count, concurrency)
        measured = figures.interleaved(
            [str(count) for count in options.processes],
            options.rounds,
            lambda count: campaigns.send(loaded, options.messages, int(count), concurrency),
        )
    return {int(count): rounds for count, rounds in measured.items()}


def report(measured: Mapping[int, Sequence[Sent]]) -> None:
    """Print the medians, and ratios to the first."""
    first = next(iter(measured))
    print(f"processes  messages/s  us CPU  s in all  times the rate of {first}")
    for count, rounds in measured.items():
        whole = figures.spread(rounds, "whole").median
        print(
            f"{count:>9} {rates(rounds).median:11,.0f} {costs(rounds).median:7.0f} {whole:9.2f}"
            f"  {ratio(rounds, measured[first])}"
        )


def report_headroom(
    served: Mapping[str, Any], results: Mapping[int, Mapping[int, Sequence[Sent]]]
) -> dict[int, float]:
    """Print the load of the server, and of all cores with the first number of processes.

    Returns:
        The number of busy cores, by concurrency.
    """
    fastest = max(rates(each).median for measured in results.values() for each in measured.values())
    print(f"\n{figures.headroom(served, fastest)}")
    cost = served["cpu_seconds"] / served["received"] * 1e6
    cores = os.cpu_count() or 1
    busy = {}
    for concurrency, measured in results.items():
        count, rounds = next(iter(measured.items()))
        used = busy[concurrency] = (costs(rounds).median + cost) * rates(rounds).median / 1e6
        print(
            f"{concurrency} at a time, {count} and the server keep {used:.2f} of {cores} cores"
            f" busy: with no more CPU, {cores / used:.2f} times the rate is all there can be"
        )
    return busy


def draw(path: Path, results: Mapping[int, Mapping[int, Sequence[Sent]]], title: str) -> None:
    """Draw rate and CPU, with a bar for each number of processes."""
    panels = "messages a second", "CPU per message, of all processes (µs)"
    with figures.plot(path, title, 3.5, *panels, aside=True) as axes:
        counts = list(next(iter(results.values())))
        for place, count in enumerate(counts):
            offset = (place - (len(counts) - 1) / 2) * 0.8 / len(counts)
            rows = [row + offset for row in range(len(results))]
            for panel, spread in zip(axes, (rates, costs), strict=True):
                panel.barh(
                    rows,
                    [spread(measured[count]).median for measured in results.values()],
                    height=0.8 / len(counts),
                    label=f"{count} process{'es' * (count > 1)}",
                )
        axes[0].legend(loc="center right")
        for panel in axes:
            panel.invert_yaxis()
            panel.set_xlim(right=1.35 * panel.get_xlim()[1])
            panel.set_yticks(range(len(results)))
            panel.set_yticklabels([f"{number} at a time" for number in results])
            panel.xaxis.set_major_formatter("{x:,.0f}")


def figures_of(measured: Mapping[int, Sequence[Sent]]) -> dict[str, Any]:
    """Collect the figures of one concurrency."""
    first = next(iter(measured))
    return {
        str(count): {
            "messages_per_second": rates(rounds),
            "cpu_us_per_message": costs(rounds),
            "seconds_in_all": figures.spread(rounds, "whole"),
            f"rate_over_{first}": ratio(rounds, measured[first]),
        }
        for count, rounds in measured.items()
    }


def measure_all(options: argparse.Namespace) -> None:
    """Measure, print, and write the result."""
    where = figures.environment(options.out)
    loop = "uvloop" if options.uvloop else "asyncio's own loop"
    if options.share is not None:
        loop += f", each thread with {options.share} of a core"
    print(f"{options.messages:,} messages, {options.rounds} interleaved rounds, medians; {loop}")
    results = {}
    slowed: Callable[[int], AbstractContextManager[object]] = nullcontext
    with ExitStack() as stack:
        if options.share is not None:
            slowed = stack.enter_context(slow_cores(options.share))
        portal = stack.enter_context(start_blocking_portal())
        server = stack.enter_context(portal.wrap_async_context_manager(sink("fast")))
        os.environ.update({ENVIRONMENT[name]: value for name, value in server.settings.items()})
        campaigns = Campaigns(dict(os.environ), options.out, options.uvloop, slowed)
        with slowed(server.pid):
            for concurrency in options.concurrency:
                print(f"\n{concurrency} at a time", flush=True)
                results[concurrency] = measure(campaigns, options, concurrency)
                report(results[concurrency])
        served = portal.call(server.stop)
    busy = report_headroom(served, results)
    name = "processes" + "-uvloop" * options.uvloop + "-slowed" * (options.share is not None)
    figures.write(
        options.out,
        name,
        {
            "environment": where,
            "messages": options.messages,
            "rounds": options.rounds,
            "loop": loop,
            "share_of_a_core": options.share,
            "sink_cpu_us_per_message": served["cpu_seconds"] / served["received"] * 1e6,
            "cores_busy_with_the_first": busy,
            "by_concurrency": {number: figures_of(each) for number, each in results.items()},
        },
    )
    draw(
        options.out / f"{name}.png",
        results,
        f"{options.messages:,} SMS, server included on {where['cores']} cores; {loop}",
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--processes", type=int, nargs="+", default=PROCESSES)
    parser.add_argument("--concurrency", type=int, nargs="+", default=CONCURRENCIES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--share", type=float, help="of a core for each thread, at most")
    parser.add_argument("--uvloop", action="store_true", help="run all on uvloop")
    parser.add_argument("--round", type=json.loads, help=argparse.SUPPRESS)
    options = figures.parse(parser)
    if options.round:
        one_round(options.round)
        return
    measure_all(options)


if __name__ == "__main__":
    main()
