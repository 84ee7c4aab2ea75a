"""Cost of the ledger alone: CPU and bytes for each message, a resume, a report and an export.

Nothing is sent. A round begins and finishes messages, 64 at a time, beside a round of the event
loop alone that waits as often. The messages are loaded before, or streamed. Then one large ledger
is resumed up to the first message that may be sent, reported and exported.
"""

import asyncio
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs

from benchmarks.figures import environment, interleaved, parse, spread, write
from benchmarks.one_campaign import messages, peak_memory
from connectus_async import AsyncConnectus, Sms
from connectus_async.bulk.channels import channels
from connectus_async.ledger import open_store
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.keys import KeyMaker
from connectus_async.ledger.records import Claim, Entry, Loading, Policy, TimeGrid
from connectus_async.ledger.states import OnUnknown, State
from connectus_async.report.export import export

AT_A_TIME = 64
ROWS_A_LOAD = 500
ROWS_A_READ = 1_000
PARTS = 100
MIB = 2**20
POLICY = Policy("", "message", OnUnknown.HOLD, forgets_content=False)
PROVIDER_ID = "c7925e64955445bbbe0ae39339b9514c"
LOADED, STREAMED, LOOP = WAYS = ("loaded", "streamed", "the loop alone")

Numbered = tuple[int | None, Entry]


@attrs.frozen
class Cost:
    """Cost of one round, for each message.

    Attributes:
        cpu: Microseconds of CPU.
        file: Bytes of the ledger's file at the end.
        log: Bytes that went through its log while messages were begun and finished.
    """

    cpu: float
    file: float = 0
    log: float = 0


def entries(count: int) -> list[Entry]:
    """Make the entries of messages, each with a text of its own."""
    client = AsyncConnectus("user", "key")
    channel = channels(client.sms, client.email, client.whatsapp)[Sms]
    keys = KeyMaker("", by_recipient=False)
    return [channel.entry(it, line, None, keys) for line, it in enumerate(messages(count), 2)]


async def opened(path: Path) -> Ledger:
    """Open a ledger to send with."""
    ledger = open_store(path).ledger()
    await ledger.open(POLICY)
    return ledger


async def load(ledger: Ledger, source: Sequence[Entry]) -> None:
    """Load messages."""
    number = await ledger.begin_load()
    for place in range(0, len(source), ROWS_A_LOAD):
        await ledger.load([Loading(it) for it in source[place : place + ROWS_A_LOAD]], number)
    await ledger.end_load(number, replaces=True)


async def waiting(ledger: Ledger) -> list[Numbered]:
    """Read all messages that wait."""
    found: list[Numbered] = []
    last = 0
    while batch := await ledger.queued(last, ROWS_A_READ):
        found += batch
        last = batch[-1][0]
    return found


async def send(ledger: Ledger, source: Iterable[Numbered]) -> None:
    """Begin and finish messages, some at a time, as if each were answered in the next turn."""
    left = iter(source)

    async def work() -> None:
        for number, entry in left:
            claim = ledger.begin(entry, number)
            if not isinstance(claim, Claim):
                claim = await claim
            await asyncio.sleep(0)
            ledger.finish(entry, claim.number, State.ACCEPTED, None, PROVIDER_ID)

    await asyncio.gather(*(work() for _ in range(AT_A_TIME)))
    await ledger.flush()


async def loop_alone(count: int) -> Cost:
    """Wait as often as a ledger's messages do."""
    loop = asyncio.get_running_loop()
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            future = loop.create_future()
            loop.call_soon(future.set_result, None)
            await future
            await asyncio.sleep(0)

    began = time.process_time()
    await asyncio.gather(*(work() for _ in range(AT_A_TIME)))
    return Cost((time.process_time() - began) / count * 1e6)


async def round_of(way: str, path: Path, source: Sequence[Entry]) -> Cost:
    """Take the cost of one round. A reader keeps the log from being written anew."""
    count = len(source)
    if way == LOOP:
        return await loop_alone(count)
    ledger = await opened(path)
    if way == LOADED:
        await load(ledger, source)
        await ledger.close()  # most campaigns are loaded by another command
        ledger = await opened(path)
    given = await waiting(ledger) if way == LOADED else [(None, entry) for entry in source]
    with open_store(path).read() as reader:
        reader.metadata()
        log = path.with_name(f"{path.name}-wal")
        before = log.stat().st_size
        began = time.process_time()
        await send(ledger, given)
        cpu = time.process_time() - began
        written = log.stat().st_size - before
    await ledger.close()
    size = (await asyncio.to_thread(path.stat)).st_size
    return Cost(cpu / count * 1e6, size / count, written / count)


def measured(way: str, source: Sequence[Entry], folder: Path) -> Cost:
    """Do a round in a folder of its own."""
    with TemporaryDirectory(dir=folder) as place:
        return asyncio.run(round_of(way, Path(place, "a.db"), source))


def stages(path: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Give what is done with a large ledger, by name."""
    yield "resume to the first message", lambda: asyncio.run(resume(path))
    yield "report", lambda: report(path)
    yield "export as CSV", lambda: export(path, path.with_suffix(".csv"))
    yield "export as JSON Lines", lambda: export(path, path.with_suffix(".jsonl"))


async def resume(path: Path) -> None:
    """Open a ledger, and begin its first message."""
    ledger = await opened(path)
    try:
        for number, _ in await ledger.queued(0, ROWS_A_LOAD):
            await ledger.begin_known([number])
            break
    finally:
        await ledger.close()


def report(path: Path) -> None:
    """Ask for all figures of a report."""
    with open_store(path).read() as reader:
        totals = reader.totals().values()
        begin = min(it.began for it in totals if it.began is not None)
        end = max(it.ended for it in totals if it.ended is not None)
        grid = TimeGrid(begin, (end - begin) / PARTS or 1, PARTS)
        reader.skipped()
        reader.invalid(PARTS)
        reader.errors(PARTS)
        reader.deliveries(PARTS)
        reader.outcomes(grid)
        reader.latencies(grid)


async def make(path: Path, count: int) -> None:
    """Make a ledger of a campaign that ended shortly before its end."""
    ledger = await opened(path)
    await load(ledger, entries(count))
    given = await waiting(ledger)
    await send(ledger, given[: count - count // 100])
    await ledger.close()


def large(count: int, folder: Path) -> Mapping[str, Mapping[str, float]]:
    """Measure what is done with a large ledger: seconds, and the peak of memory so far."""
    figures: dict[str, Mapping[str, float]] = {}
    with TemporaryDirectory(dir=folder) as place:
        path = Path(place, "large.db")
        asyncio.run(make(path, count))
        for name, do in stages(path):
            wall, cpu = time.perf_counter(), time.process_time()
            do()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            figures[name] = {"seconds": wall, "cpu": cpu, "peak_mib": peak_memory() / MIB}
            print(f"{name:30} {wall:6.2f} s  CPU {cpu:6.2f} s  peak {peak_memory() / MIB:,.0f} MiB")
    return figures


def arguments() -> Namespace:
    """Read the options."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000, help="messages of a round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the large ledger; 0: none")
    return parse(parser)


def main() -> None:
    """Measure, print and write the figures."""
    options = arguments()
    source = entries(options.messages)
    costs = interleaved(WAYS, options.rounds, lambda way: measured(way, source, options.out))
    figures: dict[str, Any] = {"environment": environment(options.out)}
    for way, rounds in costs.items():
        figures[way] = {field: spread(rounds, field) for field in ("cpu", "file", "log")}
        bytes_ = (
            "" if way == LOOP else f"  file {rounds[-1].file:.0f} B  log {rounds[-1].log:.0f} B"
        )
        print(f"{way:15} {spread(rounds, 'cpu')} us of CPU a message{bytes_}")
    if options.rows:
        figures["large"] = large(options.rows, options.out)
    write(options.out, "ledger", figures)


if __name__ == "__main__":
    main()
