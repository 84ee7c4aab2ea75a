"""Worker on the command line: takes tickets of a database, and says in its log what it does."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from connectus_async.cli.interrupts import at_first_interrupt
from connectus_async.cli.log import OneLine, handled
from connectus_async.cli.parameters import connection
from connectus_async.cli.runner import run
from connectus_async.workers.tickets import run_ticket_worker

LEVELS: Final = {
    "connectus_async": logging.INFO,
    "procrastinate": logging.WARNING,
    "procrastinate.worker": logging.INFO,
    "psycopg": logging.WARNING,
}
"""What is worth a line in the log of a service."""

STOPPED: Final = "stopped; messages under way may be unknown"


def run_worker(address: str, until_empty: bool) -> None:
    """Take tickets of the database at ADDRESS, and send, until it is stopped."""

    async def command() -> None:
        worker = asyncio.ensure_future(
            run_ticket_worker(address, until_empty=until_empty, **connection())
        )
        with at_first_interrupt(worker.cancel):
            await asyncio.wait([worker])
        if not worker.cancelled():
            worker.result()

    with _logs_shown():
        run(command, when_interrupted=STOPPED)


@contextmanager
def _logs_shown() -> Iterator[None]:
    """Show the log on standard error during a block."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine())
    with handled(handler, LEVELS):
        yield
