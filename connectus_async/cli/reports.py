"""Reports of the command line: a page, and a table of every message."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
from anyio.to_thread import run_sync

from connectus_async import tz_database
from connectus_async.cli.language import current
from connectus_async.cli.ledgers import Place
from connectus_async.cli.runner import echo, run
from connectus_async.ledger.states import State
from connectus_async.report.export import export
from connectus_async.report.page import write_page


def write_report(ledger: Place, to: Path | None, time_zone: str) -> None:
    """Write a page with the figures and charts of LEDGER; it names no recipient."""
    target = to or _beside(ledger)

    async def command() -> None:
        zone = await run_sync(tz_database.zone, time_zone)
        await run_sync(partial(write_page, ledger, target, zone=zone, language=current().tag))

    run(command, when_interrupted="interrupted; no page was written")
    echo(f"written to {target}")


def _beside(ledger: Place) -> Path:
    if isinstance(ledger, str):
        raise click.UsageError("--to is needed: there is no folder beside a database")
    return ledger.with_name(ledger.name + ".html")


def write_table(ledger: Place, target: Path, states: tuple[str, ...], format: Any) -> None:
    """Write every message of LEDGER to TARGET, with its recipient; - is standard output."""
    chosen = [State(state) for state in states] or None
    is_stream = str(target) == "-"

    async def command() -> int:
        place: Any = sys.stdout if is_stream else target
        return await run_sync(partial(export, ledger, place, format=format, states=chosen))

    rows = run(command, when_interrupted="interrupted; nothing was written")
    click.echo(
        f"{rows:,} rows written" if is_stream else f"{rows:,} rows written to {target}", err=True
    )
