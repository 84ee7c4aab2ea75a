"""The demo: a campaign of made-up recipients to the emulator, and a check of what arrived."""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio.to_thread
import click

from connectus_async.bulk.sources import CsvFile
from connectus_async.bulk.templates import Template
from connectus_async.cli.campaign import Campaign
from connectus_async.cli.running import EXIT_FAILED
from connectus_async.client import AsyncConnectus
from connectus_async.emulator import Emulator

FIRST_NUMBER = 56_960_000_000
NAMES = ("Ana", "Benjamín", "Camila", "Diego", "Elisa", "Felipe", "Gabriela", "Hernán")
TEXT = "Hola {name}, tu pedido va en camino."


async def demo(recipients: int, concurrency: int) -> int:
    """Send to an emulator and compare its count with ours.

    Returns:
        The exit code: 0 if all were accepted and each arrived exactly once.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "recipients.csv"
        await anyio.to_thread.run_sync(_write_recipients, path, recipients)
        async with Emulator() as emulator:
            click.echo(f"The emulator of the Connectus API listens on {emulator.base_url}")
            click.echo(f"Sending {TEXT!r} to the {recipients:,} recipients of {path.name}")
            code = await _send(emulator, path, concurrency)
            return code or _compare(emulator, recipients)


async def _send(emulator: Emulator, path: Path, concurrency: int) -> int:
    file = await CsvFile.open(path)
    rows = file.rows("dst_number", Template.parse("text", TEXT))
    async with AsyncConnectus(
        emulator.api_user, emulator.api_key, base_url=emulator.base_url
    ) as connectus:
        return await Campaign(file.length, as_json=False).send(connectus, rows, concurrency)


def _write_recipients(path: Path, recipients: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["dst_number", "name"])
        writer.writerows(
            [FIRST_NUMBER + index, NAMES[index % len(NAMES)]] for index in range(recipients)
        )


def _compare(emulator: Emulator, recipients: int) -> int:
    arrived = len(emulator.received)
    reached = len({message.recipient for message in emulator.received})
    click.echo(
        f"The emulator counted {arrived:,} messages to {reached:,} numbers; "
        f"{arrived - reached:,} arrived twice"
    )
    return 0 if arrived == reached == recipients else EXIT_FAILED
