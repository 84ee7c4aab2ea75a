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
@click.option(
    "--stay", is_flag=True, help="Keep the inbox of the emulator open at the end, until Ctrl-C."
)
def demo(recipients: int, concurrency: int | None, workers: int | None, stay: bool) -> None:
    """Send a campaign to the built-in emulator; no message leaves this machine."""
    from connectus_async.cli.demo import demo as run_demo

    sys.exit(run_demo(recipients, concurrency, workers, stay=stay))


def _faults(_context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> Any:
    """Read the faults; a wrong one is named."""
    from connectus_async.emulator import FaultText

    try:
        return [FaultText.parse(text) for text in given]
    except ValueError as error:
        raise click.BadParameter(str(error), param=parameter) from None


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
@click.option(
    "--fault",
    "faults",
    multiple=True,
    callback=_faults,
    metavar="[CALL=]FAULT[:NUMBER][,OPTION]...",
    help="Fault of requests, such as sms.send=status:500,share=0.1. May be repeated. Faults are"
    " delay:SECONDS, reset_before, reset_after, half_answer, status:CODE, too_many, garbage,"
    " timeout and queue:SECONDS; options are share=0.1, times=3, acted and at_a_time=4.",
)
@json_option
def emulator(**given: Any) -> None:
    """Run an emulator of the API; Ctrl-C stops it."""
    from connectus_async.cli.emulator import run_emulator

    run_emulator(**given)
