"""Ledgers of the command line: their places, and the tables of a database."""

import shlex
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from anyio.to_thread import run_sync

from connectus_async.cli.language import gettext as _
from connectus_async.cli.runner import echo, run
from connectus_async.errors import LedgerError
from connectus_async.ledger import (
    create_tables,
    is_address,
    metadata_names,
    name_of,
    open_store,
    parse_address,
)
from connectus_async.ledger.states import State

Place: TypeAlias = Path | str
"""A path, or an address."""


def typed(ledger: Place) -> str:
    """Write a place for a shell, to be typed again, without a password."""
    place = parse_address(ledger).without_password if is_address(ledger) else ledger
    return shlex.quote(str(place))


def check_source(ledger: Place, source: str) -> None:
    """Check that no message of another file waits in a ledger: a load would leave it out.

    Args:
        ledger: The ledger; it need not be there yet.
        source: The name of the file that is to be sent.

    Raises:
        LedgerError: One waits.
    """
    known, waiting = source, 0
    with suppress(LedgerError), open_store(ledger).read() as reader:  # told when it is opened
        known = reader.metadata().get(metadata_names.SOURCE) or source
        if known != source and State.QUEUED in (totals := reader.totals()):
            waiting = totals[State.QUEUED].messages
    if waiting:
        raise LedgerError(
            name_of(ledger),
            f"is the ledger of {known}, and {waiting:,} of its messages still wait: send those"
            f" first with connectus bulk resume {typed(ledger)}, or give {source} another --ledger",
        )


def init(address: str) -> None:
    """Make the tables of ledgers and of tickets in the PostgreSQL database at ADDRESS."""
    from connectus_async.workers.tickets import create_queue  # noqa: PLC0415 - for one command

    async def command() -> bool:
        made = await run_sync(create_tables, address)
        return await run_sync(create_queue, address) or made

    made = run(command, when_interrupted="interrupted")
    echo(_("the tables were made") if made else _("the tables are there already, and up to date"))
