"""A ledger in a PostgreSQL database, beside one in a SQLite file and beside itself.

The server is one of this benchmark alone, and it syncs. Each round has a copy of the same loaded
ledger, and processes of its own on asyncio's own loop, which start together. Rates come from the
ledger: all messages, from the start of the first to the end of the last. CPU is that of these
processes, not of the database server. Rounds are interleaved; figures are medians, and ratios are
of the same round.

=====  =============================================================================
send   one process sends to the fast sink, 256 at a time: PostgreSQL beside SQLite
alone  the ledger, 256 at a time, with nothing sent: one process beside two that share
       a campaign; and the bytes of the database's log
size   the same, one process: a large campaign beside a small one
load   a source with 1 % duplicates is loaded, 500 rows a call, beside an ``INSERT … ON
       CONFLICT`` of the same rows into the same table, each call durable or none
=====  =============================================================================

Run from the top of the repository:

    python -m benchmarks.databases [--only send alone size load] [--messages 40000]
        [--sizes 100000 1000000] [--rows 1000000] [--rounds 5] [--large-rounds 2] [--out FOLDER]
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import psycopg
from anyio.from_thread import start_blocking_portal

from benchmarks import figures
from benchmarks.figures import Round, Spread, costs, quotient, rates, ratio
from benchmarks.ledger import POLICY, PROVIDER_ID
from benchmarks.one_campaign import FIRST_NUMBER, TEXT, messages
from benchmarks.sink import sink
from connectus_async import AsyncConnectus, Sms
from connectus_async._program import collect_seldom
from connectus_async.bulk.channels import channels
from connectus_async.bulk.feed import ROWS_A_READ
from connectus_async.defaults import ENVIRONMENT
from connectus_async.ledger import conninfo, create_tables, open_store
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.keys import KeyMaker
from connectus_async.ledger.postgres import sending
from connectus_async.ledger.postgres.schema import CHUNK
from connectus_async.ledger.records import Claim, Entry, Loading
from connectus_async.ledger.states import State
from connectus_async.postgres_server import PostgresServer

MESSAGES = 40_000
SIZES = (100_000, 1_000_000)
ROWS = 1_000_000
ROUNDS = 5
LARGE_ROUNDS = 2
AT_A_TIME = 256
ROWS_A_CALL = 500
ONE_DUPLICATE_IN = 100

Job = Mapping[str, Any]
Figures = Mapping[str, Any]


class Databases:
    """The databases of the rounds, on one server."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._numbers = count(1)

    def address(self, database: str) -> str:
        """Give the address of a campaign in a database."""
        return self._server.address(database, campaign="bench")

    def end_of_log(self) -> int:
        """Give the number of bytes that were written to the log so far."""
        return int(self._run("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    @contextmanager
    def empty(self, template: str = "template0") -> Iterator[str]:
        """Make a database, for the length of the block; a copy of another one, or an empty one."""
        name = f"bench_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            create_tables(self.address(name))
            yield name
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def loaded(self, size: int) -> Iterator[str]:
        """Make a database with a loaded campaign."""
        with self.empty() as name:
            asyncio.run(load(self.address(name), size))
            with psycopg.connect(conninfo(self.address(name)), autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")
            yield name

    @contextmanager
    def copy(self, loaded: str) -> Iterator[str]:
        """Copy a database; give the address of the campaign in the copy."""
        with self.empty(loaded) as name:
            yield self.address(name)

    def _run(self, statement: str) -> Any:
        with psycopg.connect(self._server.address(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall()[0][0] if cursor.description else None


async def load(ledger: str, size: int) -> None:
    """Record messages in a ledger."""
    async with AsyncConnectus("user", "key") as connectus, connectus.bulk(ledger=ledger) as bulk:
        await bulk.load(messages(size))


class Process:
    """Process that does a job when it is told to."""

    def __init__(self, job: Job) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - what is run is this program
            [sys.executable, "-m", __spec__.name, "--job", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.kill()
        self._process.communicate()

    def heard(self) -> Any:
        """Read what it tells: first that it is ready, then the result."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def begin(self) -> None:
        """Tell it to begin."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()


async def do(job: Job) -> None:
    """Do a job, in a process of its own; tell how many messages were sent, and the CPU of that."""
    collect_seldom()  # as the command does
    at_a_time = job["at_a_time"]
    if not job["sends"]:
        ledger = open_store(job["ledger"]).ledger()
        await ledger.open(POLICY)
        began = await told_to_begin()
        tell_end(began, await drain(ledger, at_a_time))
        await ledger.close()
        return
    client = AsyncConnectus(max_connections=at_a_time)
    bulk = client.bulk(ledger=job["ledger"], concurrency=at_a_time)
    async with client, bulk:
        began = await told_to_begin()
        await bulk.run()
        tell_end(began, bulk.summary.accepted)


async def told_to_begin() -> float:
    """Tell that this process is ready, and wait; return the CPU that it used so far."""
    print(json.dumps("ready"), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    return time.process_time()


def tell_end(began: float, sent: int) -> None:
    """Tell the result."""
    print(json.dumps({"cpu": time.process_time() - began, "sent": sent}), flush=True)


async def drain(ledger: Ledger, at_a_time: int) -> int:
    """Begin and finish all messages that wait, as if each were answered in the next turn."""
    sent = last = 0
    rows: Iterator[tuple[int, Entry]] = iter(())
    lock = asyncio.Lock()

    async def more() -> tuple[int, Entry] | None:
        nonlocal last, rows
        async with lock:
            if (row := next(rows, None)) is None and last >= 0:
                batch = await ledger.queued(last, ROWS_A_READ)
                last, rows = batch[-1][0] if batch else -1, iter(batch)
                row = next(rows, None)
        return row

    async def work() -> None:
        nonlocal sent
        while (row := next(rows, None) or await more()) is not None:
            number, entry = row
            claim = ledger.begin(entry, number)
            if not isinstance(claim, Claim):
                claim = await claim
            assert claim.found is None
            await asyncio.sleep(0)
            ledger.finish(entry, number, State.ACCEPTED, None, PROVIDER_ID)
            sent += 1

    await asyncio.gather(*(work() for _ in range(at_a_time)))
    await ledger.flush()
    return sent


def sent_by(ledger: str, size: int, processes: int = 1, *, sends: bool) -> Round:
    """Send a campaign by processes that start together."""
    job = {"ledger": ledger, "at_a_time": AT_A_TIME, "sends": sends}
    with ExitStack() as stack:
        started = [stack.enter_context(Process(job)) for _ in range(processes)]
        for process in started:
            process.heard()
        for process in started:
            process.begin()
        told = [process.heard() for process in started]
    assert sum(it["sent"] for it in told) == size
    with open_store(ledger).read() as reader:
        total = reader.totals()[State.ACCEPTED]
    assert total.messages == size
    assert total.began is not None
    assert total.ended is not None
    return Round(size, total.ended - total.began, sum(it["cpu"] for it in told))


def measure_send(databases: Databases, options: Namespace) -> Figures:
    """Send from a database, and from a file."""
    size = options.messages
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(dir=options.out)))
        portal = stack.enter_context(start_blocking_portal())
        server = stack.enter_context(portal.wrap_async_context_manager(sink("fast")))
        os.environ.update({ENVIRONMENT[name]: value for name, value in server.settings.items()})
        template = stack.enter_context(databases.loaded(size))
        file = folder / "loaded.db"
        asyncio.run(load(str(file), size))

        def one(store: str) -> Round:
            if store == "SQLite":
                copy = shutil.copy(file, folder / "campaign.db")
                return sent_by(str(copy), size, sends=True)
            with databases.copy(template) as ledger:
                return sent_by(ledger, size, sends=True)

        found = figures.interleaved(["PostgreSQL", "SQLite"], options.rounds, one)
        served = portal.call(server.stop)
    print_rounds(found, "SQLite")
    print(figures.headroom(served, rates(found["SQLite"]).high))
    return figures_of(found, "SQLite")


def measure_alone(databases: Databases, options: Namespace) -> Figures:
    """Use the ledger alone, by one process and by two."""
    size = options.messages
    logged: list[float] = []

    def one(processes: str) -> Round:
        with databases.copy(template) as ledger:
            before = databases.end_of_log()
            found = sent_by(ledger, size, int(processes), sends=False)
            logged.append((databases.end_of_log() - before) / size)
            return found

    with databases.loaded(size) as template:
        found = figures.interleaved(["1", "2"], options.rounds, one)
    print_rounds(found, "1")
    log = Spread.of(logged)
    print(f"{log} bytes of the database's log a message")
    return {**figures_of(found, "1"), "log_bytes_per_message": log}


def measure_size(databases: Databases, options: Namespace) -> Figures:
    """Use the ledger alone, with few messages and with many."""

    def one(size: str) -> Round:
        with databases.copy(templates[size]) as ledger:
            return sent_by(ledger, int(size), sends=False)

    with ExitStack() as stack:
        names = [str(size) for size in options.sizes]
        templates = {name: stack.enter_context(databases.loaded(int(name))) for name in names}
        found = figures.interleaved(names, options.large_rounds, one)
    print_rounds(found, names[0])
    return figures_of(found, names[0])


def calls(rows: int) -> Iterator[list[Entry]]:
    """Make the entries of a source, call by call."""
    client = AsyncConnectus("user", "key")
    channel = channels(client.sms, client.email, client.whatsapp)[Sms]
    keys = KeyMaker("", by_recipient=False)
    for first in range(0, rows, ROWS_A_CALL):
        numbers = range(first, min(first + ROWS_A_CALL, rows))
        repeated = (it - ROWS_A_CALL // 2 * (it % ONE_DUPLICATE_IN == 0) for it in numbers)
        sms = (Sms(FIRST_NUMBER + max(it, 0), TEXT.format(max(it, 0))) for it in repeated)
        yield [
            channel.entry(it, number + 2, None, keys)
            for number, it in zip(numbers, sms, strict=True)
        ]


async def load_by_ledger(address: str, rows: int) -> Round:
    """Load a source; the entries take time, but not in this measurement."""
    ledger = open_store(address).ledger()
    await ledger.open(POLICY)
    clock = Clock()
    with clock:
        number = await ledger.begin_load()
    for entries in calls(rows):
        items = [Loading(entry) for entry in entries]
        with clock:
            await ledger.load(items, number)
    with clock:
        await ledger.end_load(number, replaces=True)
    await ledger.close()
    return Round(rows, clock.wall, clock.cpu)


async def insert(address: str, rows: int, *, durably: bool) -> Round:
    """Insert the rows of a source."""
    clock = Clock()
    numbers = count(CHUNK)
    settings = f"-c search_path=connectus -c synchronous_commit={'on' if durably else 'off'}"
    async with await psycopg.AsyncConnection.connect(
        conninfo(address), options=settings, autocommit=True, prepare_threshold=1
    ) as connection:
        for entries in calls(rows):
            with clock:
                rows_of_call = [(next(numbers), *entry) for entry in entries]
                columns = sending.columns(("id", *Entry._fields), rows_of_call)
                await connection.execute(sending.INSERT, {"campaign": 1, **columns})
    return Round(rows, clock.wall, clock.cpu)


class Clock:
    """Sum of the times of some blocks."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __enter__(self) -> None:
        self.wall -= time.perf_counter()
        self.cpu -= time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter()
        self.cpu += time.process_time()


def measure_load(databases: Databases, options: Namespace) -> Figures:
    """Load a source, and insert its rows."""
    durable, light = "ON CONFLICT", "ON CONFLICT, not durable"

    def one(way: str) -> Round:
        with databases.empty() as name:
            address = databases.address(name)
            if way == "Ledger.load":
                return asyncio.run(load_by_ledger(address, options.rows))
            return asyncio.run(insert(address, options.rows, durably=way == durable))

    found = figures.interleaved(["Ledger.load", durable, light], options.large_rounds, one)
    print_rounds(found, durable)
    times = {way: quotient(found["Ledger.load"], found[way], "wall") for way in (durable, light)}
    for way, quotients in times.items():
        print(f"Ledger.load takes {quotients} times as long as {way}")
    return {**figures_of(found, durable), "times_as_long": times}


def print_rounds(found: Mapping[str, Sequence[Round]], first: str) -> None:
    """Print medians, and ratios to one of them."""
    print(f"{'':26} messages/s  us CPU  times the rate, and the CPU, of {first}")
    for name, rounds in found.items():
        rate, cost = ratio(rounds, found[first]), quotient(rounds, found[first], "cost")
        print(
            f"{name:>26} {rates(rounds).median:10,.0f} {costs(rounds).median:7.1f}  {rate}  {cost}"
        )


def figures_of(found: Mapping[str, Sequence[Round]], first: str) -> Figures:
    """Collect the figures of some rounds."""
    return {
        name: {
            "messages_per_second": rates(rounds),
            "cpu_us_per_message": costs(rounds),
            f"rate_over_{first}": ratio(rounds, found[first]),
            f"cpu_over_{first}": quotient(rounds, found[first], "cost"),
        }
        for name, rounds in found.items()
    }


MEASUREMENTS = {
    "send": measure_send,
    "alone": measure_alone,
    "size": measure_size,
    "load": measure_load,
}


def main() -> None:
    """Measure."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS))
    parser.add_argument("--messages", type=int, default=MESSAGES, help="of `send` and `alone`")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="messages of `size`")
    parser.add_argument("--rows", type=int, default=ROWS, help="of `load`")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--large-rounds", type=int, default=LARGE_ROUNDS, help="of `size`, `load`")
    parser.add_argument("--job", type=json.loads, help=SUPPRESS)
    options = figures.parse(parser)
    if options.job:
        asyncio.run(do(options.job))
        return
    found: dict[str, Any] = {
        "environment": figures.environment(options.out),
        **{name: vars(options)[name] for name in ("messages", "sizes", "rows", "rounds")},
    }
    with PostgresServer() as server:
        for name in options.only:
            print(f"\n{name}", flush=True)
            found[name] = MEASUREMENTS[name](Databases(server), options)
    figures.write(options.out, "databases", found)


if __name__ == "__main__":
    main()
