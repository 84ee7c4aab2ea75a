"""Ledgers of the command line: their places, and the tables of a database."""

import shlex
from pathlib import Path
from typing import TypeAlias

from anyio.to_thread import run_sync

from connectus_async.cli.language import gettext as _
from connectus_async.cli.runner import echo, run
from connectus_async.ledger import create_tables, is_address, parse_address

Place: TypeAlias = Path | str
"""A path, or an address."""


def typed(ledger: Place) -> str:
    """Write a place for a shell, to be typed again, without a password."""
    place = parse_address(ledger).without_password if is_address(ledger) else ledger
    return shlex.quote(str(place))


def init(address: str) -> None:
    """Make the tables of ledgers and of tickets in the PostgreSQL database at ADDRESS."""
    from connectus_async.workers.tickets import create_queue  # noqa: PLC0415 - for one command

    async def command() -> bool:
        made = await run_sync(create_tables, address)
        return await run_sync(create_queue, address) or made

    made = run(command, when_interrupted="interrupted")
    echo(_("the tables were made") if made else _("the tables are there already, and up to date"))
