"""``connectus bulk send --processes``: killed, refused, interrupted; one campaign all the same."""

import asyncio
import os
import re
import signal
import sqlite3
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections import Counter
from collections.abc import Mapping
from contextlib import closing, suppress
from math import inf
from pathlib import Path
from random import Random

import attrs
import pytest
from campaign_program import numbers
from campaigns import (
    CONCURRENCY,
    FINISHING,
    RESEND,
    SETTLE,
    Ended,
    Gate,
    asked_later,
    command,
    ended,
    gate_of,
    ledger_of,
    ran,
    reached,
    send,
    states_in,
    write,
)
from campaigns import environment as environment_of
from forks import Fork
from scripts import ROOT

from connectus_async.cli.campaigns import STOPPED
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger.states import State
from connectus_async.workers.dispatcher import ALL_ENDED, ENDED

ROWS = 400
PROCESSES = 2
SHARE = CONCURRENCY // PROCESSES
SEVERAL = ("--processes", PROCESSES)
PROC = Path("/proc")
HAS_PROC = PROC.joinpath("self", "stat").exists()
SLOW_LOOP = re.compile("Executing .* took .* seconds\n")
"""What a debugged loop says on a busy machine."""


@pytest.fixture
def gate(emulator: Emulator) -> Gate:
    return gate_of(emulator)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "recipients.csv"
    write(path, ROWS)
    return path


async def senders_of(process: Fork) -> list[int]:
    """Find the processes that a command has started."""
    pairs = await (asyncio.to_thread(parents) if HAS_PROC else listed_parents())
    return [pid for pid, parent in pairs if parent == process.pid]


def parents() -> list[tuple[int, int]]:
    """Read the parent of each process that there is."""
    pairs = []
    for path in PROC.glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
            _, _, after_name = path.read_text().rpartition(")")
            _, parent, *_ = after_name.split()
            pairs.append((int(path.parent.name), int(parent)))
    return pairs


async def listed_parents() -> list[tuple[int, int]]:
    """Ask the system's tool, where there is no such folder."""
    listing = await asyncio.create_subprocess_exec("ps", "-A", "-o", "pid=,ppid=", stdout=PIPE)
    listed, _ = await listing.communicate()
    return [(int(pid), int(parent)) for pid, parent in map(bytes.split, listed.splitlines())]


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def sent_with_kills(file: Path, emulator: Emulator, kills: Mapping[int, str]) -> Ended:
    """Send, and end a sender, the command or both at requests with these numbers."""
    last = min((number for number, victim in kills.items() if victim != "sender"), default=inf)
    async with command(*send(file, *SEVERAL), emulator=emulator) as process:

        async def before(number: int) -> None:
            victim = kills.get(number)
            if victim in {"sender", "both"}:
                kill(*(await senders_of(process))[:1])
            if victim in {"command", "both"}:
                kill(process.pid)
            if number >= last:
                await asyncio.Event().wait()  # the end of the connection cancels the request

        with emulator.fault(Fault.call(before=before), route="sms.send"):
            return await ended(process)


def unsettled(file: Path) -> Counter[str]:
    """Count what crashes left, by what the ledger says of it."""
    with closing(sqlite3.connect(ledger_of(file))) as connection:
        rows = connection.execute("SELECT state, reason FROM message WHERE state <> 'queued'")
        return Counter(reason or state for state, reason in rows)


async def test_kills_of_senders_and_of_the_command(emulator, file):
    """Amid 429, resets and 502: each is reached exactly once, and unknown are few."""
    emulator.fault(Fault.too_many("0"), route="sms.send", share=0.05)
    emulator.fault(Fault.reset_after(), route="sms.send", share=0.01)
    emulator.fault(Fault.status(502, acted=True), route="sms.send", share=0.01)
    chance = Random(9)
    plans = [
        {chance.randint(1, 75): "command"},
        {chance.randint(1, 40): "sender", chance.randint(50, 75): "command"},
        {chance.randint(1, 75): "both"},
        {chance.randint(1, 75): "sender"},
    ]
    for number, plan in enumerate(plans, 1):
        result = await sent_with_kills(file, emulator, plan)
        left = unsettled(file)
        survives = set(plan.values()) == {"sender"}
        assert result.code == (3 if survives else -signal.SIGKILL)
        assert left[State.IN_FLIGHT] <= CONCURRENCY
        assert left[ENDED] <= number * SHARE
        assert result.errors.count(ENDED) <= SHARE
    emulator.clear_faults()
    asked = await asked_later(
        "bulk", "reconcile", ledger_of(file), *SETTLE, *RESEND, emulator=emulator
    )
    resumed = await ran("bulk", "resume", ledger_of(file), emulator=emulator)
    requests = emulator.requests["sms.send"]
    again = await ran(*send(file, *SEVERAL), emulator=emulator)

    assert (asked.code, resumed.code, again.code) == (0, 0, 0)
    assert requests == emulator.requests["sms.send"]
    assert states_in(ledger_of(file)) == {State.ACCEPTED: ROWS}
    assert reached(emulator) == Counter(numbers(ROWS))


async def test_all_senders_are_killed(emulator, file):
    """The command says so, and the next one sends what was not begun."""
    async with command(*send(file, *SEVERAL), emulator=emulator) as process:

        async def before(number: int) -> None:
            if number == 100:
                kill(*await senders_of(process))
            if number >= 100:  # or the rest is sent before they have died
                await asyncio.Event().wait()

        with emulator.fault(Fault.call(before=before), route="sms.send"):
            stopped = await ended(process)
    states = states_in(ledger_of(file))
    with closing(sqlite3.connect(ledger_of(file))) as connection:
        reason = connection.execute("SELECT value FROM campaign WHERE name = 'stopped'").fetchone()
    rest = await ran(*stopped.advice("resume"), emulator=emulator)
    asked = await asked_later(*stopped.advice("reconcile"), *SETTLE, *RESEND, emulator=emulator)
    resumed = await ran(*stopped.advice("resume"), emulator=emulator)

    assert (stopped.code, rest.code, asked.code, resumed.code) == (3, 3, 0, 0)
    assert f"connectus: stopped: {ALL_ENDED}\n" in stopped.errors
    assert reason == (ALL_ENDED,)
    assert "Traceback" not in stopped.errors
    assert 1 <= states[State.UNKNOWN] <= CONCURRENCY
    assert states[State.ACCEPTED] + states[State.UNKNOWN] + states[State.QUEUED] == ROWS
    assert reached(emulator) == Counter(numbers(ROWS))


async def test_the_budget_is_one(emulator, file):
    """What it does not cover is skipped, by whichever process would have sent it."""
    sent = await ran(*send(file, *SEVERAL, "--budget", 300), emulator=emulator)

    assert sent.code == 6
    assert "300 of 400 accepted" in sent.output
    assert "100 skipped" in sent.output
    assert re.search(r"^100 skipped \(lines .*: the budget of 300 does not cover it$", sent.errors)
    assert len(reached(emulator)) == len(emulator.received) == 300


async def test_wrong_credentials_stop_all(emulator, file):
    """A 401 that one process meets ends the campaign as in one process; the rest stays queued.

    Whoever resumes it may have a suppression list by then: each process asks it before it sends.
    """

    def after(number: int) -> None:
        if number == 100:
            emulator.fault(Fault.status(401), route="sms.send")

    emulator.fault(Fault.call(after=after), route="sms.send")
    stopped = await ran(*send(file, *SEVERAL), emulator=emulator)
    accepted = reached(emulator)

    assert stopped.code == 6
    assert stopped.errors.startswith("connectus: stopped: POST /sms/send_individual: 401")
    assert emulator.requests["sms.send"] <= 100 + 2 * CONCURRENCY
    left = ROWS - len(accepted)
    assert states_in(ledger_of(file)) == {State.ACCEPTED: ROWS - left, State.QUEUED: left}

    emulator.clear_faults()
    listed = file.with_name("stop.txt")
    listed.write_text("".join(f"{number}\n" for number in set(numbers(ROWS)[1::2]) - set(accepted)))
    resumed = await ran(*stopped.advice("resume"), "--suppress", listed, emulator=emulator)
    assert resumed.code == 0
    count = len(listed.read_text().split())
    assert resumed.errors.startswith(f"{count} skipped (lines ")
    assert ": recipient: is on the suppression list\n" in resumed.errors
    assert reached(emulator) == Counter(numbers(ROWS)) - Counter(listed.read_text().split())


async def test_a_message_that_cannot_be_read(emulator, file, gate):
    """Its ledger is damaged: that is said in one sentence, and is no matter of the processes."""
    async with command(*send(file, *SEVERAL), emulator=emulator) as process:
        await gate.full.wait()
        process.send_signal(signal.SIGINT)
        gate.opened.set()
        await ended(process)
    with closing(sqlite3.connect(ledger_of(file))) as connection, connection:
        connection.execute("UPDATE message SET body = '{' WHERE state = 'queued'")
    resumed = await ran("bulk", "resume", ledger_of(file), emulator=emulator)

    assert resumed.code == 6
    assert resumed.errors == "connectus: stopped: JSONDecodeError\n"


@pytest.mark.both("either loop gets signals")
async def test_an_interruption_drains_all(emulator, file, gate):
    """A terminal sends Ctrl-C to every process; all finish, and the rest is sent by `resume`."""
    async with command(*send(file, *SEVERAL), emulator=emulator) as process:
        await gate.full.wait()
        for pid in await senders_of(process):
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert await process.stderr.readline() == FINISHING
        gate.opened.set()
        interrupted = await ended(process)
    sent = emulator.requests["sms.send"]
    resumed = await ran(*interrupted.advice("resume"), emulator=emulator)

    assert (interrupted.code, resumed.code) == (130, 0)
    assert interrupted.errors == "connectus: stopped: interrupted\n"
    assert sent == gate.passing + CONCURRENCY
    assert f"{sent} of 400 accepted" in interrupted.output
    assert reached(emulator) == Counter(numbers(ROWS))


@pytest.mark.both("either loop gets signals")
async def test_a_second_interruption_stops_all(emulator, file, gate):
    """No process is left, and what was cut off is on record as unknown."""
    async with command(*send(file, *SEVERAL), emulator=emulator) as process:
        await gate.full.wait()
        senders = await senders_of(process)
        process.send_signal(signal.SIGINT)
        assert await process.stderr.readline() == FINISHING
        process.send_signal(signal.SIGINT)
        stopped = await ended(process)
    states = states_in(ledger_of(file))
    gate.opened.set()
    await asked_later("bulk", "reconcile", ledger_of(file), *SETTLE, *RESEND, emulator=emulator)
    resumed = await ran("bulk", "resume", ledger_of(file), *SEVERAL, emulator=emulator)

    assert (stopped.code, resumed.code) == (130, 0)
    assert stopped.errors == f"connectus: {STOPPED}\n"
    assert states[State.UNKNOWN] == CONCURRENCY
    for pid in senders:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert reached(emulator) == Counter(numbers(ROWS))


RACE = re.compile(r"Traceback.*?OSError: Signal \d+ ignored due to race condition\n", re.DOTALL)
"""What Python itself says of a signal that comes while its handler is changed."""


async def interrupted_to_its_end(process: Fork) -> Ended:
    """Send Ctrl-C again and again, as somebody does who keeps the key down."""
    ending = asyncio.create_task(ended(process))
    while not ending.done():
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGINT)  # that of the process would reap it
        await asyncio.sleep(0)
    stopped = await ending
    return attrs.evolve(stopped, errors=RACE.sub("", stopped.errors))


@pytest.mark.both("either loop gets signals")
@pytest.mark.parametrize("options", [(), SEVERAL])
async def test_impatience(emulator, file, gate, options):
    """However many interruptions there are, the command ends, and its processes with it."""
    async with command(*send(file, *options), emulator=emulator) as process:
        await gate.full.wait()
        senders = await senders_of(process)
        process.send_signal(signal.SIGINT)
        assert await process.stderr.readline() == FINISHING
        stopped = await interrupted_to_its_end(process)
    states = states_in(ledger_of(file))

    assert (stopped.code, stopped.errors) == (130, f"connectus: {STOPPED}\n")
    assert len(senders) == len(options)
    for pid in senders:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert states[State.UNKNOWN] + states[State.IN_FLIGHT] == CONCURRENCY


@pytest.mark.both("either loop gets signals")
async def test_impatience_before_anything_is_sent(emulator, file):
    """The command ends then as well, with all still queued."""
    asked = asyncio.Event()

    async def before(_: int) -> None:
        asked.set()
        await asyncio.Event().wait()

    emulator.fault(Fault.call(before=before), route="clients.list")
    async with command(*send(file, *SEVERAL), emulator=emulator) as process:
        await asked.wait()
        stopped = await interrupted_to_its_end(process)

    assert (stopped.code, stopped.errors) == (130, f"connectus: {STOPPED}\n")
    assert states_in(ledger_of(file)) == {State.QUEUED: ROWS}


async def test_nothing_complains(emulator, file):
    """In development mode, with every warning an error, standard error stays empty."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-W", "error", "-m", "connectus_async"),
        *map(str, send(file, *SEVERAL)),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env=environment_of(emulator),
        cwd=ROOT,
    )
    sent = await ended(process)

    assert (sent.code, SLOW_LOOP.sub("", sent.errors)) == (0, "")
    assert reached(emulator) == Counter(numbers(ROWS))


async def test_more_processes_than_messages_at_a_time(emulator, file):
    """They could not share them: nothing is sent, and no ledger made."""
    refused = await ran(*send(file), "--processes", CONCURRENCY + 1, emulator=emulator)

    assert (refused.code, refused.output) == (2, "")
    sentence = "--processes: must be at most the concurrency, which is 8. Nothing was sent."
    assert refused.errors == f"connectus: {sentence}\n"
    assert not ledger_of(file).exists()
