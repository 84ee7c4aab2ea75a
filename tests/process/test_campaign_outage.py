"""The API is killed amid a campaign, again and again, and starts anew; the campaign goes on."""

import asyncio
import json
import os
import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import pytest
from campaign_program import WITNESS, numbers
from campaigns import Campaign, asked_later, command, ran, started
from campaigns import reached as reached_by
from forks import Fork

from connectus_async.emulator import Emulator
from connectus_async.ledger.states import State

PROGRAM = Path(__file__).with_name("emulator_program.py")
DEADLINE = 200


@pytest.fixture
def journal(tmp_path) -> Path:
    return tmp_path / "journal.jsonl"


async def reached(journal: Path) -> Counter[str]:
    """Count who was reached, as an emulator knows that starts with the journal."""
    async with Emulator(journal=journal) as emulator:
        return reached_by(emulator)


@pytest.mark.timeout(1_800)
async def test_an_api_that_is_killed_and_restarted(journal, tmp_path):
    """Refused connections are waited out, and lost answers reconciled: each is reached once."""
    chance = Random(8)
    kills = [(chance.randint(50, 150), after) for after in (False, True) * 5]
    campaign = Campaign(emulator=Emulator(), ledger=tmp_path / "campaign.db", total=2_000)

    async def serve(stack: AsyncExitStack, **kill: object) -> Fork:
        settings = {"port": campaign.emulator.port, "journal": str(journal), **kill}
        arguments = (PROGRAM, json.dumps(settings))
        server = await stack.enter_async_context(started(*arguments, environment={**os.environ}))
        campaign.emulator.port = int(await server.stdout.readline())
        return server

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        running = None
        for number, after in kills:
            server = await serve(stack, number=number, after=after)
            running = running or tasks.create_task(campaign.start())
            _, errors = await server.communicate()
            assert (errors, server.returncode) == (b"", -signal.SIGKILL)
        await serve(stack)
        found = await running

    assert found.counts == {State.ACCEPTED: campaign.total}
    assert await reached(journal) == Counter(campaign.recipients)


async def has_lines(journal: Path, count: int) -> None:
    """Wait until a journal is so long: the emulator writes it, and says nothing."""
    async with asyncio.timeout(DEADLINE):
        while not journal.exists() or journal.read_bytes().count(b"\n") < count:  # noqa: ASYNC110 - it is another process that writes
            await asyncio.sleep(0.01)


@pytest.mark.timeout(1_800)
async def test_the_commands_while_the_emulator_command_is_killed(journal, tmp_path):
    """``bulk send`` goes on; what it prints at its end is all that is needed for the rest."""
    recipients = numbers(1_000)
    file = tmp_path / "recipients.csv"
    file.write_text(f"dst_number\n{WITNESS}\n")
    emulator = Emulator()

    async def serve(stack: AsyncExitStack) -> Fork:
        arguments = ("emulator", "--port", emulator.port, "--journal", journal, "--json")
        server = await stack.enter_async_context(command(*arguments, emulator=emulator))
        settings = json.loads(await server.stdout.readline())
        emulator.port = urlsplit(settings["CONNECTUS_BASE_URL"]).port
        return server

    async with AsyncExitStack() as stack:
        server = await serve(stack)
        send = ("bulk", "send", file, "--text", "Hola", "--on-unknown", "resend_if_absent")
        await ran(*send, emulator=emulator)
        file.write_text("\n".join(["dst_number", WITNESS, *recipients]))
        sending = asyncio.create_task(ran(*send, emulator=emulator))
        for count in (100, 300, 500):
            await has_lines(journal, count)
            server.kill()
            await server.communicate()
            server = await serve(stack)
        sent = await sending
        asked = await asked_later(*sent.advice("reconcile"), "--settle", 0.2, emulator=emulator)
        resumed = await ran(*asked.advice("resume"), emulator=emulator)

    assert (sent.code, asked.code, resumed.code) == (3, 0, 0)
    assert "1,001 of 1,001 accepted" in resumed.output
    assert await reached(journal) == Counter(recipients)
