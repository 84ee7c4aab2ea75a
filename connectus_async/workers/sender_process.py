"""A sender process: it sends what the dispatcher assigns to it, and has no ledger.

Its standard input is the socket to the dispatcher, which alone decides when to stop. So the signals
that a terminal or a service manager sends to all processes are ignored once this one is up.
"""

import asyncio
import os
import pickle
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
from anyio.to_thread import run_sync

from connectus_async._program import collect_seldom, ignore_signals
from connectus_async._version import __version__
from connectus_async.client import AsyncConnectus, sender_over
from connectus_async.errors import ConfigurationError, safe_text
from connectus_async.ledger.states import State
from connectus_async.workers.remote_ledger import RemoteLedger

if TYPE_CHECKING:
    from connectus_async.bulk.options import BulkOptions
    from connectus_async.bulk.sender import Bulk

PROGRESS_SECONDS: Final = 0.25
EXIT_ORPHANED: Final = 1
UVLOOP: Final = "uvloop"
"""Argument that chooses the event loop."""


async def main() -> None:
    """Receive a job, do it, and leave when told to."""
    # Without a dispatcher no outcome can be recorded. Ending at once is safe: the ledger has every
    # message on record that may have been sent, as after the crash of a campaign in one process.
    ledger = RemoteLedger(partial(os._exit, EXIT_ORPHANED))
    end = socket.fromfd(sys.stdin.fileno(), socket.AF_UNIX, socket.SOCK_STREAM)
    await asyncio.get_running_loop().create_unix_connection(lambda: ledger.protocol, sock=end)
    job = await ledger.job()
    try:
        await _do(job, ledger)
    except Exception as error:  # noqa: BLE001 - the dispatcher reports it, in one sentence
        await ledger.done(safe_text(error))
    await ledger.leave()


async def _do(job: Mapping[str, Any], ledger: RemoteLedger) -> None:
    if job["version"] != __version__:
        raise ConfigurationError(
            "processes", f"version {__version__} was installed meanwhile: start again"
        )
    options = await run_sync(_unpickled, job["options"])
    client = AsyncConnectus(**job["client"])
    async with client, sender_over(client, ledger, options) as bulk:
        ledger.on_stop = bulk.cancel
        async with _progress_told(bulk, ledger):
            while await ledger.done(await _sent(bulk, ledger)):
                pass


def _unpickled(options: bytes) -> "BulkOptions":
    try:
        return cast("BulkOptions", pickle.loads(options))  # noqa: S301 - the dispatcher's
    except Exception:  # noqa: BLE001 - whose words may have a person in them
        raise ConfigurationError(
            "processes",
            "cannot have this suppression list or these quiet hours: move the functions and classes"
            " in them from the program to a module, which a process can import",
        ) from None


async def _sent(bulk: "Bulk", ledger: RemoteLedger) -> str | None:
    """Send the assigned messages; return the error that stopped them."""
    try:
        async for outcome in bulk.stream():
            if outcome.error is not None and outcome.state is not State.QUEUED:
                ledger.tell(outcome.line, outcome.state, outcome.skipped, str(outcome.error))
    except Exception as error:  # noqa: BLE001 - the dispatcher reports it, in one sentence
        return safe_text(error)
    finally:
        ledger.tell_progress(bulk.progress())  # the dispatcher waits for the end of quiet hours
    return None


@asynccontextmanager
async def _progress_told(bulk: "Bulk", ledger: RemoteLedger) -> AsyncIterator[None]:
    async def tell() -> None:
        async for progress in bulk.watch(PROGRESS_SECONDS):
            ledger.tell_progress(progress)

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling


if __name__ == "__main__":
    collect_seldom()
    ignore_signals()
    anyio.run(main, backend_options={"use_uvloop": UVLOOP in sys.argv})
