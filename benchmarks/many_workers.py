"""One campaign of a PostgreSQL ledger sent by many workers, while something goes wrong.

Each trial loads a campaign, starts workers, each a process of its own, does one thing to them at a
moment that its seed chooses, and waits for their end. The sink, another process, counts the
requests and the distinct ones, so a message that went twice shows. The server is one of this
benchmark alone, and it syncs. The lease is short, so that trials are.

==================  ================================================================
kill                one worker is killed
sleep               one worker is stopped, and continued after its lease
crash               the server is stopped as by a crash, and started again
no database         one worker is cut off from the server for longer than its lease
no API              one worker is cut off from the API for as long
load                the source is loaded again, by two at once, to replace the first load
reconcile           two workers are killed; then two at once look for what they left in
                    the API's reports, and send what is absent. The API is the emulator,
                    which half of the messages reach late
none                nothing goes wrong
==================  ================================================================

The last two need root, Linux, ``ip`` and ``unshare``: the worker is in a network namespace of its
own, and a link of it goes down. Run from the top of the repository:

    python -m benchmarks.many_workers [--messages 20000] [--workers 4] [--trials 20]
        [--only kill sleep crash load reconcile "no database" "no API" none] [--seed 1]
        [--out FOLDER]
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import attrs
import psycopg

from benchmarks import child, figures
from benchmarks.cut_off import API, DATABASE, Place, cut_off
from benchmarks.sink import sink
from connectus_async import AsyncConnectus, ConnectusError, Sms
from connectus_async.bulk.options import BulkOptions
from connectus_async.client import sender_over
from connectus_async.defaults import ENVIRONMENT
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger import create_tables, open_store
from connectus_async.ledger.states import OnUnknown, State
from connectus_async.postgres_server import PostgresServer

MESSAGES = 20_000
WORKERS = 4
TRIALS = 3
CONCURRENCY = 64
LEASE = 3.0
FIRST_NUMBER = 56_960_000_000
TEXT = "Hola, tu pedido va en camino."
PATIENCE = 120.0
LATE = 0.05
"""Seconds after which a message reaches the emulator, unless its sender has died meanwhile."""

SETTLE = 1.0
TIMEOUT = 10.0
"""Seconds of the two that reconcile, so that they need not wait for long."""

SENT = "SELECT count(*) FROM connectus.outcome JOIN connectus.entry USING (id) WHERE campaign = %s"
CAMPAIGN = "SELECT id FROM connectus.campaign WHERE name = %s"


@attrs.frozen
class Trial:
    """What came of a trial."""

    kind: str
    seed: int
    seconds: float
    received: int
    distinct: int
    accepted: int
    unknown: int
    others: int
    ended: tuple[int, ...]


@asynccontextmanager
async def bulk_of(
    ledger: str, on_unknown: OnUnknown = OnUnknown.HOLD, **client: Any
) -> AsyncIterator[Any]:
    """Open a campaign with the short lease."""
    options = BulkOptions(ledger=ledger, concurrency=CONCURRENCY, on_unknown=on_unknown)
    async with AsyncConnectus(max_connections=CONCURRENCY, **client) as connectus:
        holder = open_store(ledger, lease=LEASE).ledger()
        async with sender_over(connectus, holder, options) as bulk:
            yield bulk


async def work(ledger: str) -> None:
    """Be a worker: send what is queued until nothing is."""
    async with bulk_of(ledger) as bulk:
        await bulk.run()


async def find_and_send(ledger: str) -> None:
    """Look for messages whose outcome is unknown, and send those that are absent."""
    async with bulk_of(ledger, OnUnknown.RESEND_IF_ABSENT, timeout=TIMEOUT) as bulk:
        found = await bulk.reconcile(settle=SETTLE)
        await bulk.run()
    print(found, file=sys.stderr)


WAYS: Mapping[str, Callable[[str], Any]] = {"--worker": work, "--reconcile": find_and_send}
"""What a process of a campaign does."""


async def be_the_api() -> None:
    """Be an API with reports, which half of the messages reach late."""
    async with Emulator() as emulator:
        emulator.fault(Fault.delay(LATE), route="sms.send", share=0.5)

        def seen() -> Mapping[str, int]:
            recipients = [message.recipient for message in emulator.received]
            return {"received": len(recipients), "distinct": len({*recipients})}

        await child.serve(child.settings_of(emulator), seen)


async def load(ledger: str, messages: int, *, replaces: bool = False) -> None:
    """Record the messages of a campaign."""
    async with bulk_of(ledger) as bulk:
        source = (Sms(FIRST_NUMBER + index, TEXT) for index in range(messages))
        await bulk.load(source, replaces=replaces)


class Workers:
    """Worker processes of a campaign."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.processes = [_start(place, "--worker") for place in places]

    def signal(self, number: int) -> None:
        """Send a signal to the last worker."""
        self.processes[-1].send_signal(number)

    async def ended(self) -> tuple[int, ...]:
        """Wait for their ends; give their exit codes."""
        waiting = (asyncio.to_thread(process.wait, PATIENCE) for process in self.processes)
        return tuple(await asyncio.gather(*waiting))


def _start(place: Place, way: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - the arguments are ours
        [*place.prefix, sys.executable, "-m", __spec__.name, way, place.ledger],
        env={**os.environ, **place.settings},
    )


async def until_sent(server: PostgresServer, campaign: str, count: int) -> None:
    """Wait until a number of messages have an outcome."""
    async with await psycopg.AsyncConnection.connect(server.address(), autocommit=True) as database:
        while True:
            cursor = await database.execute(CAMPAIGN, [campaign])
            row = await cursor.fetchone()
            if row is not None:
                cursor = await database.execute(SENT, row)
                ((sent,),) = await cursor.fetchall()
                if sent >= count:
                    return
            await asyncio.sleep(0.02)


@attrs.frozen
class Scene:
    """What a trial can disturb."""

    workers: Workers
    server: PostgresServer
    place: Place
    messages: int


async def kill(scene: Scene) -> None:
    """Kill a worker."""
    scene.workers.signal(signal.SIGKILL)


async def sleep(scene: Scene) -> None:
    """Stop a worker, and continue it after its lease."""
    scene.workers.signal(signal.SIGSTOP)
    await asyncio.sleep(2 * LEASE)
    scene.workers.signal(signal.SIGCONT)


async def crash(scene: Scene) -> None:
    """Crash the server, and start it again."""
    await asyncio.to_thread(scene.server.crash)
    await asyncio.sleep(1)
    await asyncio.to_thread(scene.server.start)


async def load_again(scene: Scene) -> None:
    """Load the same source twice at once, to replace the first."""
    loads = (load(scene.place.ledger, scene.messages, replaces=True) for _ in range(2))
    await asyncio.gather(*loads)


async def reconcile(scene: Scene) -> None:
    """Kill two workers, and reconcile twice at once when the others have ended."""
    processes = scene.workers.processes
    for process in processes[-2:]:
        process.kill()
    await scene.workers.ended()
    processes += [_start(scene.place, "--reconcile") for _ in range(2)]


async def none(_: Scene) -> None:
    """Do nothing."""


DISTURBANCES: Mapping[str, Callable[[Scene], Any]] = {
    "kill": kill,
    "sleep": sleep,
    "crash": crash,
    "load": load_again,
    "reconcile": reconcile,
    "none": none,
}
LINKS = {"no database": DATABASE, "no API": API}
"""The links that go down."""


def api_of(kind: str) -> AbstractAsyncContextManager[child.Server]:
    """Run what counts the messages of a trial."""
    if kind == "reconcile":
        return child.running(__spec__.name, "--api")
    return sink("fast", distinct=True)


async def one_trial(kind: str, seed: int, server: PostgresServer, options: Any) -> Trial:
    """Send a campaign while something goes wrong."""
    chosen = random.Random(f"{kind} {seed}")  # noqa: S311 - it is to be repeatable
    campaign = f"{kind} {seed}"
    ledger = server.address(campaign=campaign)
    async with api_of(kind) as served:
        settings = {ENVIRONMENT[name]: value for name, value in served.settings.items()}
        os.environ.update(settings)
        await load(ledger, options.messages)
        place = Place(ledger, settings)
        moment = int(options.messages * chosen.uniform(0.1, 0.7))
        began = time.perf_counter()
        if kind in LINKS:
            async with cut_off(place, LINKS[kind]) as (apart, cut):
                workers = Workers([place] * (options.workers - 1) + [apart])
                await until_sent(server, campaign, moment)
                await cut(2 * LEASE)
                ended = await workers.ended()
        else:
            workers = Workers([place] * options.workers)
            await until_sent(server, campaign, moment)
            await DISTURBANCES[kind](Scene(workers, server, place, options.messages))
            ended = await workers.ended()
        seconds = time.perf_counter() - began
        async with bulk_of(ledger) as bulk:
            await bulk.run()
            counts = dict(await bulk.counts())
        seen = await served.stop()
    accepted, unknown = counts.pop(State.ACCEPTED, 0), counts.pop(State.UNKNOWN, 0)
    return Trial(
        kind,
        seed,
        seconds,
        seen["received"],
        seen["distinct"],
        accepted,
        unknown,
        sum(counts.values()),
        ended,
    )


def told(trial: Trial, messages: int) -> str:
    """Write a trial in a line; a promise that was not kept is named."""
    broken = []
    if trial.received != trial.distinct:
        broken.append(f"{trial.received - trial.distinct} SENT TWICE")
    if trial.accepted + trial.unknown != messages:
        broken.append(f"{trial.others} NOT SENT")
    if trial.distinct < trial.accepted or trial.unknown > WORKERS * CONCURRENCY:
        broken.append("TOO MANY UNKNOWN")
    return (
        f"{trial.kind:12} {trial.seed:4} {trial.seconds:7.1f} {trial.received:9,} "
        f"{trial.accepted:9,} {trial.unknown:8} {' '.join(map(str, trial.ended)):14} "
        f"{', '.join(broken) or 'kept'}"
    )


async def measure(options: Any) -> list[Trial]:
    """Make all trials."""
    trials = []
    print("             seed seconds  received  accepted  unknown exit codes     promise")
    with PostgresServer() as server:
        create_tables(server.address())
        for kind in options.only:
            for seed in range(options.seed, options.seed + options.trials):
                trial = await one_trial(kind, seed, server, options)
                trials.append(trial)
                print(told(trial, options.messages), flush=True)
    return trials


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = [*DISTURBANCES, *LINKS]
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds)
    for way in WAYS:
        parser.add_argument(way, metavar="LEDGER", help=argparse.SUPPRESS)
    parser.add_argument("--api", action="store_true", help=argparse.SUPPRESS)
    options = figures.parse(parser)
    if options.api:
        asyncio.run(be_the_api())
        return
    for way, do in WAYS.items():
        if ledger := vars(options)[way.removeprefix("--")]:
            try:
                asyncio.run(do(ledger))
            except ConnectusError as error:
                sys.exit(f"a worker ended: {error}")
            return
    trials = asyncio.run(measure(options))
    environment = figures.environment(options.out)
    figures.write(
        options.out,
        "many-workers",
        {"environment": environment, "messages": options.messages, "trials": trials},
    )


if __name__ == "__main__":
    main()
