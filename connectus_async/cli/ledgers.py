"""Ledgers of the command line: their places, and the tables of a database."""

import os
import shlex
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

import click
from anyio.to_thread import run_sync

from connectus_async.cli.language import gettext as _
from connectus_async.cli.runner import echo, run
from connectus_async.errors import LedgerError
from connectus_async.ledger import (
    LEDGER_SUFFIX,
    create_tables,
    is_address,
    name_of,
    open_store,
    parse_address,
)
from connectus_async.ledger.metadata_names import NAME, PROFILE, SOURCE
from connectus_async.ledger.states import State
from connectus_async.report import commands

Place: TypeAlias = Path | str
"""A path, or an address."""


_UNSAFE: Final = frozenset('/\\:*?"<>|')
"""Characters that a file cannot have in its name, on one system or another."""

MAX_NAME_BYTES: Final = 255 - len("-journal")


def beside(file: Path, campaign: str) -> Path:
    """Name the ledger of a campaign, which was given none: a file beside its source.

    Args:
        file: The source.
        campaign: The campaign's name, which may be empty.

    Raises:
        click.BadParameter: The name cannot be part of a file's name; or there is none, though the
            source has named campaigns and none without a name: it may have been forgotten.
        LedgerError: The file that may be its ledger from earlier versions cannot be read.
    """
    unnamed = file.with_name(file.name + LEDGER_SUFFIX)
    if not campaign and not unnamed.exists():
        _check_has_no_others(file)
    if not campaign or _is_of(unnamed, campaign):
        return unnamed
    name = f"{file.name}.{campaign}{LEDGER_SUFFIX}"
    if not campaign.isprintable() or _UNSAFE & set(campaign):
        _refuse(_("has a character that the name of a file cannot have, such as / or :"))
    if len(os.fsencode(name)) > MAX_NAME_BYTES:
        _refuse(_("is too long to be part of the name of a file"))
    return file.with_name(name)


def _is_of(ledger: Path, campaign: str) -> bool:
    """Tell whether a file is the ledger of a campaign, as older versions named it."""
    if not (ledger.is_file() and ledger.stat().st_size):
        return False
    with open_store(ledger).read() as reader:
        return reader.metadata().get(NAME) == campaign


def _check_has_no_others(file: Path) -> None:
    ledgers = [*file.parent.glob(f"{escape(file.name)}.*{LEDGER_SUFFIX}")]
    if ledgers:
        newest = max(ledgers, key=lambda it: it.stat().st_mtime)
        known = newest.name.removeprefix(f"{file.name}.").removesuffix(LEDGER_SUFFIX)
        told = _(
            "this file was sent as the campaign {known}: add --campaign to go on with it or to"
            " begin another one, or name the file of one without a name with --ledger"
        )
        raise click.BadParameter(told.format(known=known), param_hint="'--campaign'")


def _refuse(problem: str) -> NoReturn:
    told = _("{problem}: write it in another way, or name the file with --ledger")
    raise click.BadParameter(told.format(problem=problem), param_hint="'--campaign'")


def typed(ledger: Place) -> str:
    """Write a place for a shell, to be typed again, without a password."""
    place = parse_address(ledger).without_password if is_address(ledger) else ledger
    return shlex.quote(str(place))


def command(name: str, ledger: Place, profile: str = "") -> str:
    """Write a command of a campaign, to be typed; see `commands.command` of the report."""
    return commands.command(name, typed(ledger), profile)


def profile_of(ledger: Place) -> str:
    """Read the profile that a campaign is sent with; empty if none has to be named. Blocks."""
    with open_store(ledger).read() as reader:
        return reader.metadata().get(PROFILE, "")


def check_source(ledger: Place, source: str) -> None:
    """Check that no message of another file waits in a ledger: a load would leave it out.

    Args:
        ledger: The ledger; it need not be there yet.
        source: The name of the file that is to be sent.

    Raises:
        LedgerError: One waits.
    """
    known, profile, waiting = source, "", 0
    with suppress(LedgerError), open_store(ledger).read() as reader:  # told when it is opened
        metadata = reader.metadata()
        known, profile = metadata.get(SOURCE) or source, metadata.get(PROFILE, "")
        if known != source and State.QUEUED in (totals := reader.totals()):
            waiting = totals[State.QUEUED].messages
    if waiting:
        raise LedgerError(
            name_of(ledger),
            f"is the ledger of {known}, and {waiting:,} of its messages still wait: send those"
            f" first with {command('resume', ledger, profile)}, or give {source} another --ledger",
        )


def init(address: str) -> None:
    """Make the tables of ledgers and of tickets in the PostgreSQL database at ADDRESS."""
    from connectus_async.workers.tickets import create_queue  # noqa: PLC0415 - for one command

    async def command() -> bool:
        made = await run_sync(create_tables, address)
        return await run_sync(create_queue, address) or made

    made = run(command, when_interrupted="interrupted")
    echo(_("the tables were made") if made else _("the tables are there already, and up to date"))
