"""``connectus bulk`` killed, interrupted, started twice, and given the same file again."""

import asyncio
import json
import signal
from collections import Counter
from pathlib import Path

import pytest
from campaign_program import numbers
from campaigns import (
    CONCURRENCY,
    FINISHING,
    PROGRAM,
    RESEND,
    SETTLE,
    Gate,
    Kill,
    asked_later,
    command,
    ended,
    environment,
    gate_of,
    killed,
    ledger_of,
    ran,
    reached,
    send,
    started,
    states_in,
    vouched,
    write,
)
from scripts import LIMIT

from connectus_async.bulk.reconcile import NO_LATER
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger.states import State

ROWS = 1_000


@pytest.fixture
def gate(emulator: Emulator) -> Gate:
    return gate_of(emulator)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "recipients of a campaign.csv"
    write(path, ROWS)
    return path


async def test_a_command_that_is_killed_is_given_again(emulator, file):
    """The same command sends the rest; what it prints then settles what the kill left open."""
    async with command(*send(file), emulator=emulator) as process:
        with killed(process, emulator, Kill("sms.send", 137, after=False)):
            assert (await ended(process)).code == -signal.SIGKILL
    again = await ran(*send(file), emulator=emulator)
    asked = await asked_later(*again.advice("reconcile"), *SETTLE, *RESEND, emulator=emulator)
    resumed = await ran(*asked.advice("resume"), emulator=emulator)

    assert (again.code, asked.code, resumed.code) == (3, 0, 0)
    assert "1,000 of 1,000 accepted" in resumed.output
    assert reached(emulator) == Counter(numbers(ROWS))


async def test_a_command_that_is_killed_while_it_loads(emulator, file):
    """What is half loaded is not resumed; the same command loads all of it and sends it."""
    kill = {"number": 86, "after": True}
    arguments = json.dumps({"kill": kill, "command": [str(arg) for arg in send(file)]})
    async with started(PROGRAM, arguments, environment=environment(emulator)) as process:
        assert (await ended(process)).code == -signal.SIGKILL
    loaded = states_in(ledger_of(file))
    resumed = await ran("bulk", "resume", ledger_of(file), emulator=emulator)
    again = await ran(*send(file), emulator=emulator)

    assert loaded == {State.QUEUED: ROWS // 2}
    assert (resumed.code, again.code) == (1, 0)
    assert "was not read to its end: run bulk send again" in resumed.errors
    assert reached(emulator) == Counter(numbers(ROWS))


async def test_the_same_file_again_and_then_with_more_rows(emulator, file):
    """The second time nothing is sent, and that is said; of a file grown by 100 rows, 100 are."""
    first = await ran(*send(file), emulator=emulator)
    requests = emulator.requests.copy()
    second = await ran(*send(file), emulator=emulator)
    assert emulator.requests == requests

    write(file, ROWS + 100)
    third = await ran(*send(file), emulator=emulator)
    assert emulator.requests["sms.send"] == requests["sms.send"] + 100

    assert (first.code, second.code, third.code) == (0, 0, 0)
    assert "1,000 rows, 0 messages to send\n  1,000 accepted in an earlier run" in second.output
    assert "1,100 rows, 100 messages to send\n" in third.output
    assert reached(emulator) == Counter(numbers(ROWS + 100))


async def test_two_starts_at_once(emulator, file, gate):
    """The second is refused with the number of the first process, which goes on undisturbed."""
    async with command(*send(file), emulator=emulator) as process:
        await gate.full.wait()
        async with asyncio.timeout(LIMIT):  # at the gate, one that is not refused waits for ever
            refused = await asyncio.gather(
                ran(*send(file), emulator=emulator),
                ran("bulk", "resume", ledger_of(file), emulator=emulator),
                ran("bulk", "reconcile", ledger_of(file), emulator=emulator),
            )
        requests = emulator.requests["sms.send"]
        gate.opened.set()
        first = await ended(process)

    for second in refused:
        assert (second.code, second.output) == (1, "")
        assert f"is in use by process {process.pid}: " in second.errors
    assert requests == gate.passing + CONCURRENCY
    assert first.code == 0
    assert reached(emulator) == Counter(numbers(ROWS))


@pytest.mark.both("either loop gets signals")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
async def test_an_interruption_drains_and_says_how_to_go_on(emulator, file, gate, signum):
    """The command that it prints sends the rest, each exactly once."""
    async with command(*send(file), emulator=emulator) as process:
        await gate.full.wait()
        process.send_signal(signum)
        assert await process.stderr.readline() == FINISHING
        gate.opened.set()
        interrupted = await ended(process)
    sent = emulator.requests["sms.send"]
    resumed = await ran(*interrupted.advice("resume"), emulator=emulator)

    assert (interrupted.code, resumed.code) == (130, 0)
    assert sent == gate.passing + CONCURRENCY
    assert f"{sent} of 1,000 accepted" in interrupted.output
    assert f"{ROWS - sent} are still queued: continue with" in interrupted.output
    assert reached(emulator) == Counter(numbers(ROWS))


@pytest.mark.both("either loop gets signals")
async def test_a_second_interruption_stops(emulator, file, gate):
    """What was cut off is on record as unknown; asking for it and resuming reach everybody once."""
    async with command(*send(file), emulator=emulator) as process:
        await gate.full.wait()
        process.send_signal(signal.SIGINT)
        assert await process.stderr.readline() == FINISHING
        process.send_signal(signal.SIGINT)
        stopped = await ended(process)
    states = states_in(ledger_of(file))
    gate.opened.set()
    asked = await asked_later(
        "bulk", "reconcile", ledger_of(file), *SETTLE, *RESEND, emulator=emulator
    )
    resumed = await ran("bulk", "resume", ledger_of(file), emulator=emulator)

    assert (stopped.code, asked.code, resumed.code) == (130, 0, 0)
    assert "Traceback" not in stopped.errors
    assert states[State.UNKNOWN] == CONCURRENCY
    assert f"{CONCURRENCY} had been sent, 0 are queued again" in asked.output
    assert reached(emulator) == Counter(numbers(ROWS))


async def test_reconcile_says_what_would_prove_an_absence(emulator, file):
    """Its advice is followed: a row for oneself, the same command, and all are reached once."""
    write(file, 2)
    await ran(*send(file), emulator=emulator)
    write(file, 3)
    emulator.fault(Fault.reset_before(), route="sms.send", times=1)
    sent = await ran(*send(file), emulator=emulator)
    unproven = await asked_later(*sent.advice("reconcile"), *SETTLE, *RESEND, emulator=emulator)
    vouched(file)
    again = await ran(*send(file), emulator=emulator)
    asked = await asked_later(*sent.advice("reconcile"), *SETTLE, *RESEND, emulator=emulator)
    resumed = await ran(*asked.advice("resume"), emulator=emulator)

    assert (sent.code, unproven.code, again.code, resumed.code) == (3, 3, 3, 0)
    assert f"1: {NO_LATER}\n" in unproven.output
    assert "add a row with your own number" in unproven.output
    assert reached(emulator) == Counter(numbers(3))


@pytest.mark.parametrize("processes", [1, 2])
async def test_an_edited_text_is_refused_until_the_user_says_who_gets_it(emulator, file, processes):
    """Neither the same command again nor `resume` sends it; --edited names who does."""
    write(file, 30)
    options = ("--concurrency", CONCURRENCY, "--processes", processes)
    old = ("bulk", "send", file, "--text", "Hola mudno", *options)
    new = ("bulk", "send", file, "--text", "Hola mundo", *options)
    await ran(*old, emulator=emulator)
    write(file, 40)
    tried = await ran(*new, "--dry-run", emulator=emulator)
    refused = [await ran(*new, emulator=emulator) for _ in range(2)]
    resumed = await ran("bulk", "resume", ledger_of(file), emulator=emulator)
    assert reached(emulator) == Counter(numbers(30))

    told = await ran(*new, "--edited", "remaining", "--dry-run", emulator=emulator)
    remaining = await ran(*new, "--edited", "remaining", emulator=emulator)
    assert reached(emulator) == Counter(numbers(40))
    again = await ran(*new, emulator=emulator)
    assert reached(emulator) == Counter(numbers(40))
    everyone = await ran(*new, "--edited", "everyone", emulator=emulator)

    said = "The text was edited since: 30 people already got the old one, or may have got it."
    assert (tried.code, said in tried.output) == (0, True)
    assert [(end.code, said in end.errors) for end in (*refused, again)] == [(1, True)] * 3
    assert resumed.code == 1
    assert "40 rows, 10 messages to send" in told.output
    assert "40 rows, 10 messages to send" in remaining.output
    assert "40 of 40 accepted" in remaining.output
    assert "70 of 70 accepted" in everyone.output
    assert reached(emulator) == Counter([*numbers(40), *numbers(30)])
