"""Demo: a campaign of made-up recipients to the emulator, and a check of its messages."""

import csv
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from connectus_async.cli.bulk import send_source
from connectus_async.cli.runner import EXIT_FAILED, echo, run
from connectus_async.client import AsyncConnectus
from connectus_async.emulator import Emulator
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.sources import open_source
from connectus_async.recipients.templates import Template
from connectus_async.workers.campaign_options import Settings

FIRST_NUMBER = 56_960_000_000
NAMES = ("Ana", "Benjamín", "Camila", "Diego", "Elisa", "Felipe", "Gabriela", "Hernán")
TEXT = "Hola {name}, tu pedido va en camino."


def demo(recipients: int, concurrency: int | None) -> int:
    """Send to an emulator, and compare its count with ours.

    Returns:
        The exit code: 0 if all messages were accepted and each arrived exactly once.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "recipients.csv"
        _write_recipients(path, recipients)
        return run(partial(_send, path, recipients, concurrency))


async def _send(path: Path, recipients: int, concurrency: int | None) -> int:
    composer = Composer(kind="sms", sms_content=Template.parse("text", TEXT))
    settings = Settings(concurrency=concurrency)
    async with Emulator() as emulator:
        echo(f"The emulator of the Connectus API listens on {emulator.base_url}")
        echo(f"Sending {TEXT!r} to the {recipients:,} recipients of {path.name}")
        async with AsyncConnectus(
            emulator.api_user,
            emulator.api_key,
            base_url=emulator.base_url,
            max_connections=settings.concurrency,
        ) as connectus:
            source = await open_source(path)
            ledger = path.with_name("ledger.db")
            code, accepted = await send_source(
                connectus, source, composer, settings, ledger, as_json=False
            )
        agrees = _compare(emulator, accepted)
    return code or (0 if agrees else EXIT_FAILED)


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
        f"The emulator counted {arrived:,} messages to {reached:,} numbers; "
        f"{arrived - reached:,} arrived twice"
    )
    agrees = arrived == reached == accepted
    if not agrees:
        click.echo(f"connectus: that differs from the {accepted:,} accepted", err=True)
    return agrees
