"""One of the processes of ``connectus bulk send --processes``: it sends, and owns no ledger.

Its standard input is the socket to the process that started it. That one alone decides when to
stop, so what a terminal or a service manager sends to all processes is ignored once this one is up.
"""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.to_thread import run_sync

from connectus_async._version import __version__
from connectus_async.bulk.options import BulkOptions
from connectus_async.cli.garbage import look_seldom
from connectus_async.cli.interrupts import ignore_interrupts
from connectus_async.cli.settings import Settings
from connectus_async.client import AsyncConnectus, sender_over
from connectus_async.errors import ConfigurationError, safe_text
from connectus_async.ledger.states import State
from connectus_async.workers.remote_ledger import RemoteLedger

if TYPE_CHECKING:
    from connectus_async.bulk.sender import Bulk

PACE_SECONDS: Final = 0.25
EXIT_ORPHANED: Final = 1
UVLOOP: Final = "uvloop"
"""The argument that says on which loop to run."""


async def main() -> None:
    """Do the job that comes over the socket, and leave when told to."""
    # Without an owner no answer can be put down any more. To end at once is what a crash of a
    # campaign in one process is: the ledger has on record whatever may have been sent.
    ledger = RemoteLedger(partial(os._exit, EXIT_ORPHANED))
    way = socket.fromfd(sys.stdin.fileno(), socket.AF_UNIX, socket.SOCK_STREAM)
    await asyncio.get_running_loop().create_unix_connection(lambda: ledger.link, sock=way)
    job = await ledger.job()
    try:
        await _take_part(job, ledger)
    except Exception as error:  # noqa: BLE001 - the owner is to say it, in one sentence
        await ledger.done(safe_text(error))
    await ledger.leave()


async def _take_part(job: Mapping[str, Any], ledger: RemoteLedger) -> None:
    if job["version"] != __version__:
        raise ConfigurationError(
            "processes", f"version {__version__} was installed meanwhile: run the command again"
        )
    options = await run_sync(Settings(**job["settings"]).options, None)
    client = AsyncConnectus(**job["client"])
    async with client, sender_over(client, ledger, BulkOptions(**options)) as bulk:
        ledger.on_stop = bulk.cancel
        async with _pace_told(bulk, ledger):
            while await ledger.done(await _sent(bulk, ledger)):
                pass


async def _sent(bulk: "Bulk", ledger: RemoteLedger) -> str | None:
    """Send what is handed out; tell what stopped it."""
    try:
        async for outcome in bulk.stream():
            if outcome.error is not None and outcome.state is not State.QUEUED:
                ledger.tell(outcome.line, outcome.state, outcome.skipped, str(outcome.error))
    except Exception as error:  # noqa: BLE001 - the owner is to say it, in one sentence
        return safe_text(error)
    return None


@asynccontextmanager
async def _pace_told(bulk: "Bulk", ledger: RemoteLedger) -> AsyncIterator[None]:
    async def tell() -> None:
        async for now in bulk.watch(PACE_SECONDS):
            ledger.tell_pace(now)

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling


if __name__ == "__main__":
    look_seldom()
    ignore_interrupts()
    anyio.run(main, backend_options={"use_uvloop": UVLOOP in sys.argv})
