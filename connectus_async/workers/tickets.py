"""Tickets: jobs of Procrastinate that ask its workers to help with a campaign.

A ticket has the campaign's name, and nothing else. Which message is whose is decided in the ledger,
so a ticket that runs twice, or on two workers at a time, brings more workers, and never a second
message. It has no lock: that of a worker that was killed would be kept for ever.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from anyio.to_thread import run_sync

from connectus_async.bulk.outcomes import BulkSummary
from connectus_async.bulk.sender import Bulk
from connectus_async.client import AsyncConnectus, sender_over
from connectus_async.errors import (
    ConfigurationError,
    ConnectusError,
    GivenUpError,
    LedgerError,
)
from connectus_async.extras import library
from connectus_async.ledger import open_store, parse_address, with_campaign
from connectus_async.ledger.abc import Ledger, LedgerStore
from connectus_async.ledger.metadata_names import LOADED, SETTINGS, STOPPED
from connectus_async.redaction import one_line
from connectus_async.workers.campaign_options import CampaignOptions, Settings

if TYPE_CHECKING:
    import procrastinate
    import psycopg_pool
    from procrastinate import exceptions, job_context
else:
    procrastinate = library("tickets", "procrastinate", extra="postgres")
    psycopg_pool = library("tickets", "psycopg_pool", extra="postgres")
    from procrastinate import exceptions, job_context

NAMESPACE: Final = "connectus"
QUEUE: Final = "connectus"
TASK: Final = f"{NAMESPACE}:send"

AGAIN_SECONDS: Final = 5
"""Seconds after which a worker that was given up helps again."""

MAX_REASON_CHARACTERS: Final = 500
MAX_CONNECTIONS: Final = 4
"""Of a worker to its queue: it waits for news on one, and finishes jobs on another."""

NO_QUEUE: Final = "has no queue for tickets yet: make its tables by connectus ledger init"
NOT_LOADED: Final = "was not loaded to its end, so nothing of it is sent"
LOST: Final = "lost its queue; its log says more: start the worker again"


def ticket_tasks(
    ledger: str, *, lease: float | None = None, **client: Any
) -> "procrastinate.Blueprint":
    """Make the task that workers of Procrastinate run for a ticket.

    Add it to an app under the namespace ``connectus``. The queue is ``connectus`` too: a worker
    without the task must not listen to it. Run the workers with a ``shutdown_graceful_timeout``:
    when it is over, a ticket ends as soon as the messages under way are answered, and goes back to
    the queue. Without one, a worker that is to stop ends when the campaign does.

    Args:
        ledger: The address of a database with ledgers, without a campaign. The app may be in
            another database.
        lease: Seconds after which a worker that nothing is heard of is given up. Default 10.
        client: Arguments of `AsyncConnectus`, except ``max_connections``. The credentials come from
            the environment if they are left out.

    Raises:
        ConfigurationError: It is no such address.

    Example:
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=DATABASE))
        app.add_tasks_from(ticket_tasks("postgresql://db.example/ledgers"), namespace="connectus")
    """
    _check_place(ledger)
    tasks = procrastinate.Blueprint()

    @tasks.task(name="send", queue=QUEUE, retry=_BackToTheQueue(), pass_context=True)
    async def send(context: "job_context.JobContext", campaign: str) -> str:
        try:
            summary = await _help_with(with_campaign(ledger, campaign), lease, client)
        except asyncio.CancelledError:
            if context.abort_reason() is job_context.AbortReason.USER_REQUEST:
                raise exceptions.JobAborted from None
            raise
        return f"{summary.accepted:,} of {summary.total:,} messages accepted"

    return tasks


async def hand_out(bulk: Bulk, tickets: int) -> None:
    """Ask workers to send what waits in a ledger, in the same way as a bulk sender would.

    The ledger records the sender's options for them. They begin at once, and this returns.

    Args:
        bulk: The entered bulk sender, with a ledger in a database. A suppression list must be in a
            file that each worker has too.
        tickets: How many workers are to help, if there are as many. Further calls bring more.

    Raises:
        ConfigurationError: Its ledger is a file, it is busy, or an option cannot be recorded.
        LedgerError: The source was not loaded to its end, or the ledger cannot be used.

    Example:
        async with connectus.bulk(ledger="postgresql://db.example/ledgers?campaign=navidad") as bulk:
            await bulk.load([Sms("56987688060", "Hola"), Sms("56987688061", "Hola")])
            await hand_out(bulk, tickets=2)
    """
    async with bulk._delegated() as campaign:  # noqa: SLF001 - no matter of the users of a sender
        settings = await run_sync(Settings.of, campaign.options)
        await campaign.ledger.set_metadata(**{SETTINGS: settings.written(), STOPPED: ""})
        await defer_tickets(campaign.ledger, tickets)


async def defer_tickets(ledger: Ledger, tickets: int) -> None:
    """Defer tickets for the campaign of an open ledger, in one of its transactions.

    Args:
        ledger: The ledger. It has the options for the workers.
        tickets: How many.

    Raises:
        ConfigurationError: The ledger is a file, or the number is not above zero.
        LedgerError: The source was not loaded to its end, or the ledger cannot be used.
    """
    if tickets < 1:
        raise ConfigurationError("tickets", "must be above zero")
    await ledger.hand_out(_deferrer(tickets))


def _deferrer(tickets: int) -> Callable[[Any, str], Awaitable[None]]:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector())

    async def defer(connection: Any, campaign: str) -> None:
        deferrer = app.configure_task(TASK, queue=QUEUE, connection=connection)
        try:
            await deferrer.batch_defer_async(*tickets * [{"campaign": campaign}])
        except exceptions.ConnectorException as error:
            raise error.__cause__ or error from None

    return defer


async def run_ticket_worker(
    ledger: str, *, until_empty: bool = False, lease: float | None = None, **client: Any
) -> None:
    """Run a worker of Procrastinate that takes tickets, one at a time, until it is cancelled.

    A cancellation stops it in order: no further message is sent, those under way are finished, and
    the ticket goes back to the queue.

    Args:
        ledger: As for `ticket_tasks`. The queue is in the same database.
        until_empty: Return when no ticket waits.
        lease: As for `ticket_tasks`.
        client: As for `ticket_tasks`.

    Raises:
        ConfigurationError: The address or an argument of the client is not valid.
        LedgerError: The database or its queue cannot be used.
    """
    async with AsyncConnectus(**client):
        pass  # what is missing should not be found by the first ticket
    app, name = _app(ledger), parse_address(ledger).name
    app.add_tasks_from(ticket_tasks(ledger, lease=lease, **client), namespace=NAMESPACE)
    try:
        async with app.open_async():
            if not await app.check_connection_async():
                raise LedgerError(name, NO_QUEUE)
            await app.run_worker_async(
                queues=[QUEUE],
                wait=not until_empty,
                shutdown_graceful_timeout=0,
                install_signal_handlers=False,
            )
    except (exceptions.ConnectorException, psycopg_pool.PoolTimeout):
        raise LedgerError(name, LOST) from None
    if not until_empty:
        raise LedgerError(name, LOST)


async def create_queue(ledger: str) -> bool:
    """Make the tables of Procrastinate, unless the database has them.

    They are found and made in the way of all apps of Procrastinate: by the ``search_path`` that
    the user of the address has. So an app of its own finds them, and if it has made some, tickets
    are in these.

    Args:
        ledger: As for `ticket_tasks`.

    Returns:
        ``True`` if they were made; ``False`` if they were there.

    Raises:
        ConfigurationError: It is no such address.
        LedgerError: The database cannot be reached, or the user may not make tables.
    """
    _check_place(ledger)
    app = _app(ledger)
    async with app.open_async():
        if await app.check_connection_async():
            return False
        await app.schema_manager.apply_schema_async()
    return True


def _check_place(ledger: str) -> None:
    if parse_address(ledger).campaign is not None:
        raise ConfigurationError(
            "ledger", "must be without a campaign here: workers help with all of the database"
        )


def _app(ledger: str) -> "procrastinate.App":
    conninfo = parse_address(ledger).conninfo
    return procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=conninfo, min_size=1, max_size=MAX_CONNECTIONS
        )
    )


class _BackToTheQueue(procrastinate.BaseRetryStrategy):
    """Tickets of a worker that stops, or that others gave up, are for the next one that is free."""

    def get_retry_decision(
        self, *, exception: BaseException, **_: object
    ) -> "procrastinate.RetryDecision | None":
        if isinstance(exception, asyncio.CancelledError):
            return procrastinate.RetryDecision()
        if isinstance(exception, GivenUpError):
            return procrastinate.RetryDecision(retry_in={"seconds": AGAIN_SECONDS})
        return None


async def _help_with(address: str, lease: float | None, client: dict[str, Any]) -> BulkSummary:
    """Send what waits in a ledger, until nothing is left or others see to it."""
    store = open_store(address, lease=lease)
    options = await run_sync(_recorded, store, address)
    async with (
        AsyncConnectus(max_connections=options.concurrency, **client) as connectus,
        sender_over(connectus, store.ledger(), options) as sender,
    ):
        await sender.note(**{STOPPED: ""})
        try:
            return await sender.run()
        except LedgerError:
            raise
        except ConnectusError as error:
            with suppress(LedgerError):
                reason = one_line(str(error), MAX_REASON_CHARACTERS)
                await sender.note(**{STOPPED: reason})
            raise


def _recorded(store: LedgerStore, address: str) -> CampaignOptions:
    """Read the options of a campaign that was loaded to its end."""
    with store.read() as reader:
        metadata = reader.metadata()
    if metadata.get(LOADED) != "1":
        raise LedgerError(parse_address(address).name, NOT_LOADED)
    return Settings.read(address, metadata).options(address)
