"""Campaigns in processes of their own, killed at a moment that is told beforehand."""

import asyncio
import json
import os
import re
import shlex
import signal
import sqlite3
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager
from pathlib import Path
from random import Random

import attrs
from campaign_program import WITNESS, numbers
from confirmed import confirmed
from forks import Fork, forked
from scripts import ROOT

from connectus_async.emulator import Emulator, Fault

PROGRAM = Path(__file__).with_name("campaign_program.py")

CONCURRENCY = 8
"""Of the commands."""

FINISHING = b"connectus: finishing the messages under way; press Ctrl-C again to abandon them\n"
SETTLE = ("--settle", 0.2)
RESEND = ("--on-unknown", "resend_if_absent")


@attrs.frozen
class Kill:
    """One moment: the process ends right before or after something is done for the n-th time.

    Attributes:
        at: `sms.send` or `sms.by_date` for a request that the emulator acts on, `statement` for one
            that SQLite carries out.
        number: Which of them, from 1.
        after: Whether it is done, or never will be.
    """

    at: str
    number: int
    after: bool


@attrs.frozen
class Found:
    """What a process found in the ledger, and how it ended.

    Attributes:
        unknown: Messages whose outcome was unknown right after opening.
        interrupted: Those of them that a crash left in flight.
        counts: All messages by state at the end; empty if it was killed before.
    """

    unknown: int = 0
    interrupted: int = 0
    counts: dict[str, int] = attrs.field(factory=dict)


@attrs.define(kw_only=True)
class Campaign:
    """One campaign over many starts of its process."""

    emulator: Emulator
    ledger: Path
    total: int
    concurrency: int = 16
    on_unknown: str = "resend_if_absent"
    streams: bool = False
    reconciles: bool = True

    async def start(self, kill: Kill | None = None) -> Found:
        """Start it and wait for its end, which has to be the kill if there is one."""
        settings = attrs.asdict(self, filter=attrs.filters.exclude("emulator"))
        if kill is not None and kill.at == "statement":
            settings["kill"] = attrs.asdict(kill)
        arguments = (PROGRAM, json.dumps(settings, default=str))
        async with started(*arguments, environment=environment(self.emulator)) as process:
            with killed(process, self.emulator, kill):
                output, errors = await process.communicate()
        assert errors == b"", errors.decode()
        assert process.returncode == (0 if kill is None else -signal.SIGKILL), kill
        facts = [json.loads(line) for line in output.splitlines()]
        return Found(**{name: fact for line in facts for name, fact in line.items()})

    @property
    def recipients(self) -> set[str]:
        return set(numbers(self.total))

    @property
    def reached(self) -> Counter[str]:
        return reached(self.emulator)

    def states(self) -> dict[str, str]:
        """Read the state of each recipient in the ledger."""
        with closing(sqlite3.connect(self.ledger)) as connection:
            query = "SELECT recipient, state FROM message WHERE recipient <> ?"
            return dict(connection.execute(query, (WITNESS,)))


@attrs.frozen
class Ended:
    """How a command ended."""

    code: int
    output: str
    errors: str

    def advice(self, name: str) -> Sequence[str]:
        """Find the command that it told the user to continue with."""
        (words,) = re.findall(rf"connectus (bulk {name} .*)", self.output)
        return shlex.split(words)


async def ended(process: Fork | Process) -> Ended:
    output, errors = await process.communicate()
    return Ended(process.returncode, output.decode(), errors.decode())


def command(*args: object, emulator: Emulator) -> AbstractAsyncContextManager[Fork]:
    """Start a command of the package, confirmed."""
    return started("-m", "connectus_async", *confirmed(*args), environment=environment(emulator))


async def ran(*args: object, emulator: Emulator) -> Ended:
    """Run a command to its end."""
    async with command(*args, emulator=emulator) as process:
        return await ended(process)


async def asked_later(*args: object, emulator: Emulator) -> Ended:
    """Run a command as if an hour had passed: nothing that was given up is still on its way."""
    arguments = json.dumps({"command": confirmed(*args)})
    async with started(PROGRAM, arguments, environment=environment(emulator)) as process:
        return await ended(process)


@attrs.define
class Gate:
    """Holds the answers once so many messages were let pass, acted upon as they are."""

    passing: int = 20
    full: asyncio.Event = attrs.field(factory=asyncio.Event)
    opened: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def after(self, number: int) -> None:
        if number == self.passing + CONCURRENCY:
            self.full.set()
        if number > self.passing:
            await self.opened.wait()


def gate_of(emulator: Emulator) -> Gate:
    gate = Gate()
    emulator.fault(Fault.call(after=gate.after), route="sms.send")
    return gate


def write(path: Path, rows: int) -> None:
    path.write_text("dst_number\n" + "".join(f"{number}\n" for number in numbers(rows)))


def send(file: Path, *options: object) -> Sequence[object]:
    return ("bulk", "send", "--yes", file, "--text", "Hola", "--concurrency", CONCURRENCY, *options)


def reached(emulator: Emulator) -> Counter[str]:
    """How often each was reached; witnesses are not counted."""
    return Counter(
        message.recipient for message in emulator.received if message.recipient != WITNESS
    )


def vouched(file: Path) -> None:
    """Add a row for a witness, which shows how far the reports are."""
    with file.open("a", encoding="utf-8") as table:
        table.write(f"{WITNESS}\n")


def ledger_of(file: Path) -> Path:
    return file.with_name(file.name + ".ledger.db")


def states_in(ledger: Path) -> Counter[str]:
    with closing(sqlite3.connect(ledger)) as connection:
        return Counter(state for (state,) in connection.execute("SELECT state FROM message"))


@contextmanager
def killed(process: Fork, emulator: Emulator, kill: Kill | None) -> Iterator[None]:
    """Have the emulator end a process at a request, for as long as a block lasts."""
    if kill is None or kill.at == "statement":
        yield
        return

    async def before(number: int) -> None:
        if number == kill.number and not kill.after:
            process.kill()
            await asyncio.Event().wait()  # the end of the connection cancels the request

    def after(number: int) -> None:
        if number == kill.number and kill.after:
            process.kill()

    with emulator.fault(Fault.call(before=before, after=after), route=kill.at):
        yield


@asynccontextmanager
async def started(*args: object, environment: dict[str, str]) -> AsyncIterator[Fork]:
    """Start a Python process, which ends with the block at the latest."""
    process = await forked(*args, environment=environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def environment(emulator: Emulator) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CONNECTUS_BASE_URL": emulator.base_url,
        "CONNECTUS_API_USER": emulator.api_user,
        "CONNECTUS_API_KEY": emulator.api_key,
    }


def shuffled(chance: Random, *groups: Sequence[Sequence[Kill]]) -> list[Kill]:
    """Put sequences of kills in any order, each of them left as it is."""
    sequences = [sequence for group in groups for sequence in group]
    chance.shuffle(sequences)
    return [kill for sequence in sequences for kill in sequence]
