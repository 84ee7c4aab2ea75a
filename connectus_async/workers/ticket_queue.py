"""Queue of tickets: Procrastinate, which no other module knows. See `tickets`.

A ticket has no lock: that of a worker that was killed would be kept for ever.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from procrastinate import (
    App,
    BaseRetryStrategy,
    Blueprint,
    PsycopgConnector,
    RetryDecision,
    SyncPsycopgConnector,
)
from procrastinate.exceptions import ConnectorException, JobAborted
from procrastinate.job_context import AbortReason, JobContext
from procrastinate.worker import Worker
from psycopg_pool import PoolTimeout

from connectus_async.errors import HolderGivenUpError, LedgerError
from connectus_async.ledger import conninfo, database_error, parse_address

NAMESPACE: Final = "connectus"
QUEUE: Final = "connectus"
TASK: Final = f"{NAMESPACE}:send"

AGAIN_SECONDS: Final = 5
"""Seconds after which a worker that others gave up helps again."""

MAX_CONNECTIONS: Final = 4

LOST: Final = "lost its queue, as the log says: start the worker again"


def tasks(help_with: Callable[[str], Awaitable[str]]) -> Blueprint:
    """Make the task for tickets.

    Args:
        help_with: Helps with the campaign of a name, and returns what was done.
    """
    blueprint = Blueprint()

    @blueprint.task(name="send", queue=QUEUE, retry=_BackToTheQueue(), pass_context=True)
    async def send(context: JobContext, campaign: str) -> str:
        try:
            return await help_with(campaign)
        except asyncio.CancelledError:
            if context.abort_reason() is AbortReason.USER_REQUEST:
                raise JobAborted from None
            raise

    return blueprint


class _BackToTheQueue(BaseRetryStrategy):
    """The tickets of a worker that stops, or that others gave up, are for the next free one."""

    def get_retry_decision(self, *, exception: BaseException, **_: object) -> RetryDecision | None:
        if isinstance(exception, asyncio.CancelledError):
            return RetryDecision()
        if isinstance(exception, HolderGivenUpError):
            return RetryDecision(retry_in={"seconds": AGAIN_SECONDS})
        return None


def deferrer(tickets: int) -> Callable[[Any, str], Awaitable[None]]:
    """Make a function that defers tickets for a campaign, in the transaction of a connection."""
    app = App(connector=PsycopgConnector())

    async def defer(connection: Any, campaign: str) -> None:
        jobs = app.configure_task(TASK, queue=QUEUE, connection=connection)
        ticket: dict[str, Any] = {"campaign": campaign}
        try:
            await jobs.batch_defer_async(*tickets * [ticket])
        except ConnectorException as error:
            raise _cause(error) from None

    return defer


async def run(ledger: str, blueprint: Blueprint, *, until_empty: bool) -> None:
    """Run a worker until it is cancelled. It then cancels its ticket, and waits for its end.

    Args:
        ledger: The address of its database.
        blueprint: The task for tickets.
        until_empty: Return when no ticket waits.

    Raises:
        LedgerError: The database or its queue cannot be used.
    """
    stoppable = _Stoppable()
    running = asyncio.ensure_future(stoppable.run(ledger, blueprint, until_empty=until_empty))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        stoppable.stop()
        await running
        raise
    if not until_empty:
        raise LedgerError(parse_address(ledger).name, LOST)


class _Stoppable:
    """Worker that is told to stop: psycopg's pool does not always survive a cancellation."""

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._is_stopped = False

    async def run(self, ledger: str, blueprint: Blueprint, *, until_empty: bool) -> None:
        async with _opened(ledger) as app:
            app.add_tasks_from(blueprint, namespace=NAMESPACE)
            self._worker = Worker(
                app,
                queues=[QUEUE],
                wait=not until_empty,
                shutdown_graceful_timeout=0,
                install_signal_handlers=False,
            )
            if not self._is_stopped:
                await self._worker.run()  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        self._is_stopped = True
        if self._worker is not None:
            self._worker.stop()  # type: ignore[no-untyped-call]


def create(ledger: str) -> bool:
    """Make the tables of Procrastinate, unless they are there. See `tickets.create_queue`."""
    connector = SyncPsycopgConnector(conninfo=conninfo(ledger), min_size=1, max_size=1)
    with _described(ledger), App(connector=connector).open() as app:
        if app.check_connection():
            return False
        app.schema_manager.apply_schema()
        return True


@asynccontextmanager
async def _opened(ledger: str) -> AsyncIterator[App]:
    connector = PsycopgConnector(conninfo=conninfo(ledger), min_size=1, max_size=MAX_CONNECTIONS)
    with _described(ledger):
        async with App(connector=connector).open_async() as app:
            yield app


@contextmanager
def _described(ledger: str) -> Iterator[None]:
    """Turn an error of the database in a block into a `LedgerError`."""
    try:
        yield
    except ConnectorException as error:
        raise database_error(ledger, _cause(error)) from None
    except PoolTimeout as error:
        raise database_error(ledger, error) from None


def _cause(error: ConnectorException) -> Exception:
    return error.__cause__ if isinstance(error.__cause__, Exception) else error
