"""Reports of the command line: a page, and a table of every message."""

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import click
from anyio.to_thread import run_sync

from connectus_async import tz_database
from connectus_async.cli.composition import Composition
from connectus_async.cli.language import current, ngettext, number
from connectus_async.cli.language import gettext as _
from connectus_async.cli.ledgers import Place, command, profile_of
from connectus_async.cli.runner import at_work, echo, run
from connectus_async.cli.source_files import SourceFile
from connectus_async.ledger import open_store
from connectus_async.ledger.states import State
from connectus_async.report.export import TO_FIX, TO_FIX_COLUMNS, Choice, export
from connectus_async.report.original import Original
from connectus_async.report.page import write_page


def write_report(ledger: Place, to: Path | None, time_zone: str) -> None:
    """Write a page with the figures and charts of LEDGER; it names no recipient."""
    target = to or _beside(ledger)

    async def command() -> None:
        zone = await run_sync(tz_database.zone, time_zone)
        await run_sync(partial(write_page, ledger, target, zone=zone, language=current().tag))

    run(command, when_interrupted="interrupted; no page was written")
    echo(_("written to {target}").format(target=target))


def _beside(ledger: Place) -> Path:
    if isinstance(ledger, str):
        raise click.UsageError(_("--to is needed: there is no folder beside a database"))
    return ledger.with_name(ledger.name + ".html")


def write_table(
    ledger: Place,
    target: Path,
    states: tuple[str, ...],
    reason: str | None,
    delivery_statuses: tuple[str, ...],
    to_fix: bool,
    original: bool,
    source: Path | None,
    text: bool,
    delimiter: str | None,
    format: Any,
) -> None:
    """Write messages of LEDGER to TARGET, with their recipients; - is standard output."""
    choice = TO_FIX if to_fix else Choice(states=[State(it) for it in states] or None)
    choice = attrs.evolve(choice, reason=reason, delivery_statuses=delivery_statuses or None)
    is_stream = str(target) == "-"

    async def write() -> tuple[int, str]:
        has_columns = original or to_fix or source is not None
        with at_work():
            rows = await _original(ledger, source) if has_columns else None
        place: Any = sys.stdout if is_stream else target
        write_all = partial(
            export,
            ledger,
            place,
            format=format,
            choice=choice,
            original=rows,
            columns=TO_FIX_COLUMNS if to_fix else None,
            has_texts=text,
            delimiter=delimiter,
            language=current().tag,
        )
        return await run_sync(write_all), await run_sync(profile_of, ledger)

    rows, profile = run(write, when_interrupted="interrupted; nothing was written")
    written = ngettext("{count} row written", "{count} rows written", rows)
    if not is_stream:
        written = ngettext(
            "{count} row written to {target}", "{count} rows written to {target}", rows
        )
    click.echo(written.format(count=number(rows), target=target), err=True)
    if to_fix and rows:
        fix = _("fix them in that file, and send them: {command}")
        how = f"{command('retry', ledger, profile)} --from {shlex.quote(str(target))}"
        click.echo(fix.format(command=how), err=True)


async def _original(ledger: Place, moved_to: Path | None) -> Original:
    def read() -> tuple[SourceFile, str]:
        with open_store(ledger).read() as reader:
            metadata = reader.metadata()
        file, composition = SourceFile.read(metadata), Composition.read(metadata)
        return file, "" if composition is None else composition.recipient

    file, recipient = await run_sync(read)
    return await file.original(moved_to, recipient)
