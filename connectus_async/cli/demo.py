"""Demo: a campaign of made-up recipients to the emulator, and a check of its messages."""

import asyncio
import csv
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from anyio.to_thread import run_sync

from connectus_async.cli.exit_codes import ExitCode
from connectus_async.cli.interrupts import at_first_interrupt
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import number
from connectus_async.cli.ledgers import Place
from connectus_async.cli.plan import Planner
from connectus_async.cli.runner import echo, run
from connectus_async.cli.sending import send_source
from connectus_async.cli.state_counts import counted
from connectus_async.client import AsyncConnectus
from connectus_async.defaults import ENVIRONMENT
from connectus_async.emulator import Emulator
from connectus_async.ledger import create_tables, open_store
from connectus_async.ledger.states import State
from connectus_async.postgres_server import PostgresServer
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.sources import open_source
from connectus_async.recipients.templates import Template
from connectus_async.workers.campaign_options import Settings
from connectus_async.workers.tickets import create_queue

CAMPAIGN = "demo"
FIRST_NUMBER = 56_960_000_000
NAMES = ("Ana", "Benjamín", "Camila", "Diego", "Elisa", "Felipe", "Gabriela", "Hernán")
TEXT = "Hola {name}, tu pedido va en camino."


def demo(
    recipients: int, concurrency: int | None, workers: int | None, *, stay: bool = False
) -> int:
    """Send to an emulator, and compare its count with ours.

    Args:
        recipients: Number of recipients.
        concurrency: Maximum concurrent messages, of each worker.
        workers: Number of worker processes over a PostgreSQL server of its own; ``None`` to send
            from this process, with a ledger in a file.
        stay: Whether to keep the inbox open at the end, until it is interrupted.

    Returns:
        The exit code: 0 if all messages were accepted and each arrived exactly once.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "recipients.csv"
        _write_recipients(path, recipients)
        return run(partial(_send, path, recipients, concurrency, workers, stay=stay))


async def _send(
    path: Path, recipients: int, concurrency: int | None, workers: int | None, *, stay: bool
) -> int:
    composer = Composer(kind="sms", sms_content=Template.parse("text", TEXT))
    settings = Settings(concurrency=concurrency)
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(Emulator(inbox=True))
        echo(_("The emulator of the Connectus API listens on {url}").format(url=emulator.base_url))
        echo(_("Its inbox shows the messages: {url}").format(url=emulator.inbox_url))
        ledger: Place = path.with_name("ledger.db")
        if workers:
            ledger = await stack.enter_async_context(_database())
        echo(
            _("Sending “{text}” to the {count} recipients of {file}").format(
                text=TEXT, count=number(recipients), file=path.name
            )
        )
        async with AsyncConnectus(
            emulator.api_user,
            emulator.api_key,
            base_url=emulator.base_url,
            max_connections=settings.concurrency,
        ) as connectus:
            source = await open_source(path)
            code, accepted = await send_source(
                *(connectus, source, composer, settings, ledger),
                workers=workers,
                yes=True,
                planner=Planner(),
                as_json=False,
            )
        if workers:
            code, accepted = await _helped(emulator, ledger, workers)
        agrees = _compare(emulator, accepted)
        if stay:
            await _wait_for_interrupt(emulator)
    return code or (ExitCode.DONE if agrees else ExitCode.FAILED)


async def _wait_for_interrupt(emulator: Emulator) -> None:
    interrupted = asyncio.Event()
    echo(_("The inbox stays open until Ctrl-C: {url}").format(url=emulator.inbox_url))
    with at_first_interrupt(interrupted.set):
        await interrupted.wait()


@asynccontextmanager
async def _database() -> AsyncIterator[str]:
    """Start a PostgreSQL server with a ledger for the demo; nothing of it stays."""
    server = PostgresServer(syncs=False)
    await run_sync(server.__enter__)
    try:
        await run_sync(create_tables, server.address())
        await run_sync(create_queue, server.address())
        yield server.address(campaign=CAMPAIGN)
    finally:
        await run_sync(server.__exit__)


async def _helped(emulator: Emulator, ledger: Place, workers: int) -> tuple[int, int]:
    """Run workers until nothing waits.

    Returns:
        The exit code, and the number of accepted messages in the ledger.
    """
    settings = {
        "base_url": emulator.base_url,
        "api_user": emulator.api_user,
        "api_key": emulator.api_key,
    }
    environment = {ENVIRONMENT[name]: value for name, value in settings.items()}
    address = str(ledger).removesuffix(f"&campaign={CAMPAIGN}")
    command = (sys.executable, "-m", "connectus_async", "workers", "run", address, "--until-empty")
    processes = [
        await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment})
        for _worker in range(workers)
    ]
    codes = [await process.wait() for process in processes]
    counts = await run_sync(_counts, ledger)
    echo(", ".join(counted(state, count) for state, count in counts.items()))
    return max(codes), counts.get(State.ACCEPTED, 0)


def _counts(ledger: Place) -> dict[State, int]:
    with open_store(ledger).read() as reader:
        return {state: total.messages for state, total in reader.totals().items()}


def _write_recipients(path: Path, recipients: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["dst_number", "name"])
        writer.writerows(
            [FIRST_NUMBER + index, NAMES[index % len(NAMES)]] for index in range(recipients)
        )


def _compare(emulator: Emulator, accepted: int) -> bool:
    arrived = len(emulator.received)
    reached = len({message.recipient for message in emulator.received})
    echo(
        _(
            "The emulator counted {arrived} messages to {reached} numbers; {twice} arrived twice"
        ).format(arrived=number(arrived), reached=number(reached), twice=number(arrived - reached))
    )
    agrees = arrived == reached == accepted
    if not agrees:
        differs = _("that differs from the {count} accepted").format(count=number(accepted))
        click.echo(f"connectus: {differs}", err=True)
    return agrees
