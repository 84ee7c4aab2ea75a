"""Commands of the emulator: run it, or send a campaign to it."""

import sys
from typing import Any

import click

from connectus_async.cli.parameters import (
    campaign_option,
    host_option,
    json_option,
    port_option,
    url,
)


@click.command()
@click.option(
    "--recipients",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    help="How many people get the message.",
)
@campaign_option("concurrency")
@click.option(
    "--workers",
    type=click.IntRange(1, 16),
    help="Send from so many processes over a PostgreSQL server, which is started for it.",
)
def demo(recipients: int, concurrency: int | None, workers: int | None) -> None:
    """Send a campaign to the built-in emulator; no message leaves this machine."""
    from connectus_async.cli.demo import demo as run_demo

    sys.exit(run_demo(recipients, concurrency, workers))


@click.command()
@host_option
@port_option(8_037)
@click.option("--status-webhook", callback=url, help="URL for status changes.")
@click.option("--incoming-webhook", callback=url, help="URL for replies.")
@click.option(
    "--rate-limit", type=click.IntRange(1), help="Maximum requests a second; others get 429."
)
@click.option(
    "--journal",
    type=click.Path(dir_okay=False),
    help="File that keeps the messages for the next start.",
)
@json_option
def emulator(**given: Any) -> None:
    """Run an emulator of the API; Ctrl-C stops it."""
    from connectus_async.cli.emulator import run_emulator

    run_emulator(**given)
