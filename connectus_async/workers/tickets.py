"""Tickets: jobs of a queue that ask its workers to help with a campaign.

A ticket has the campaign's name, and nothing else. Which message is whose is decided in the ledger,
so a ticket that runs twice, or on two workers at a time, brings more workers, and never a second
message. The queue is Procrastinate's, in the database of the ledger.
"""

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from anyio.to_thread import run_sync

from connectus_async.bulk.sender import Bulk
from connectus_async.client import AsyncConnectus, sender_over
from connectus_async.errors import (
    CampaignStoppedError,
    ConfigurationError,
    ConnectusError,
    LedgerError,
)
from connectus_async.extras import library
from connectus_async.ledger import check_tables, open_store, parse_address, with_campaign
from connectus_async.ledger.abc import Ledger, LedgerStore, SharedLedger
from connectus_async.ledger.metadata_names import LOADED, SETTINGS, STOPPED
from connectus_async.ledger.records import Attendance
from connectus_async.redaction import one_line
from connectus_async.workers.campaign_options import CampaignOptions, Settings

if TYPE_CHECKING:
    from procrastinate import Blueprint

MAX_REASON_CHARACTERS: Final = 500

NOT_LOADED: Final = "was not loaded to its end, so nothing of it is sent"


def ticket_tasks(ledger: str, *, lease: float | None = None, **client: Any) -> "Blueprint":
    """Make the task that a worker of Procrastinate runs for a ticket.

    Add it to your app under the namespace ``connectus``. The queue is ``connectus`` too: a worker
    without the task must not listen to it. Run the workers with a ``shutdown_graceful_timeout``:
    when it is over, a ticket ends as soon as the messages under way are answered, and goes back to
    the queue. Without one, a worker that is asked to stop does so when the campaign ends.

    Args:
        ledger: The address of the database with the ledgers, without a campaign.
        lease: Seconds after which a worker that nothing is heard of is given up. Default 10.
        client: Arguments of `AsyncConnectus`, except ``max_connections``. Credentials that are left
            out come from the environment of the worker.

    Raises:
        ConfigurationError: It is no such address, or the extra ``postgres`` is missing.

    Example:
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=DATABASE))
        app.add_tasks_from(ticket_tasks("postgresql://db.example/ledgers"), namespace="connectus")
    """
    _check_place(ledger)
    from connectus_async.workers import ticket_queue  # noqa: PLC0415 - an extra

    return ticket_queue.tasks(partial(_help_with, ledger=ledger, lease=lease, client=client))


async def hand_out(bulk: Bulk, tickets: int) -> None:
    """Ask workers to send what waits in a ledger, and return at once.

    They get the options of the bulk sender, which its ledger records.

    Args:
        bulk: The entered bulk sender, with a ledger in a database. A suppression list must be of a
            file that each worker has at the same place.
        tickets: How many workers are to help, if there are as many. Further calls bring more.

    Raises:
        CampaignStoppedError: It was stopped from another terminal since the sender was entered.
        ConfigurationError: Its ledger is a file, it is busy, or an option cannot be recorded.
        LedgerError: The source was not loaded to its end, or the ledger cannot be used.

    Example:
        ledger = "postgresql://db.example/ledgers?campaign=navidad"
        async with connectus.bulk(ledger=ledger) as bulk:
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
        ledger: The ledger, which has the options for the workers.
        tickets: How many.

    Raises:
        CampaignStoppedError: It was stopped from another terminal since the ledger was opened.
        ConfigurationError: The ledger is a file, or the number is not above zero.
        LedgerError: The source was not loaded to its end, or the ledger cannot be used.
    """
    if not isinstance(tickets, int) or tickets < 1:
        raise ConfigurationError("tickets", "must be a whole number above zero")
    _check_extra()
    from connectus_async.workers import ticket_queue  # noqa: PLC0415 - an extra

    if not isinstance(ledger, SharedLedger):
        raise ConfigurationError("ledger", "must be in a database for tickets: postgresql://…")
    found = await ledger.attend(Attendance(is_start=True, demand=0.0))
    if found.stopped is not None:
        raise CampaignStoppedError(found.stopped)
    await ledger.hand_out(ticket_queue.deferrer(tickets))


async def run_ticket_worker(
    ledger: str, *, until_empty: bool = False, lease: float | None = None, **client: Any
) -> None:
    """Run a worker that takes tickets of a database, one at a time, until it is cancelled.

    Then it sends no further message, finishes those under way, and puts its ticket back in the
    queue.

    Args:
        ledger: As for `ticket_tasks`.
        until_empty: Return when no ticket waits.
        lease: As for `ticket_tasks`.
        client: As for `ticket_tasks`.

    Raises:
        ConfigurationError: The address or an argument of the client is not valid.
        LedgerError: The database or its queue cannot be used.
    """
    async with AsyncConnectus(**client):
        pass  # a wrong argument should not be found by the first ticket
    blueprint = ticket_tasks(ledger, lease=lease, **client)
    await run_sync(check_tables, ledger)
    from connectus_async.workers import ticket_queue  # noqa: PLC0415 - an extra

    await ticket_queue.run(ledger, blueprint, until_empty=until_empty)


def create_queue(ledger: str) -> bool:
    """Make the tables of Procrastinate in a database, unless it has them. Blocks.

    They are found, and made, where every app of Procrastinate has them: by the ``search_path`` of
    the user of the address. So an app that has its own tables there shares them with the tickets.

    Args:
        ledger: The address of the database.

    Returns:
        ``True`` if they were made; ``False`` if they were there.

    Raises:
        ConfigurationError: It is no such address, or the extra ``postgres`` is missing.
        LedgerError: The database cannot be reached, or the user may not make tables.
    """
    _check_extra()
    from connectus_async.workers import ticket_queue  # noqa: PLC0415 - an extra

    return ticket_queue.create(ledger)


def _check_place(ledger: str) -> None:
    if parse_address(ledger).campaign is not None:
        raise ConfigurationError(
            "ledger", "must be without a campaign here: workers help with all of the database"
        )
    _check_extra()


def _check_extra() -> None:
    library("tickets", "procrastinate", extra="postgres")


async def _help_with(campaign: str, *, ledger: str, lease: float | None, client: Any) -> str:
    """Send messages of a campaign until none of them waits for anybody."""
    address = with_campaign(ledger, campaign)
    store = open_store(address, lease=lease)
    options = await run_sync(_recorded, store, address)
    async with (
        AsyncConnectus(max_connections=options.concurrency, **client) as connectus,
        sender_over(connectus, store.ledger(), options, is_start=False) as sender,
    ):
        await sender.note(**{STOPPED: ""})
        try:
            summary = await sender.run()
        except LedgerError:
            raise
        except ConnectusError as error:
            await _note_stop(sender, error)
            raise
    counts = [f"{count:,} {state}" for state, count in summary.counts.items() if count]
    return ", ".join(counts) or "nothing was left to send"


async def _note_stop(sender: Bulk, error: ConnectusError) -> None:
    with suppress(LedgerError):
        await sender.note(**{STOPPED: one_line(str(error), MAX_REASON_CHARACTERS)})


def _recorded(store: LedgerStore, address: str) -> CampaignOptions:
    """Read the options of a campaign that was loaded to its end.

    Quiet hours are waited for: nobody else would send the rest after them.
    """
    with store.read() as reader:
        metadata = reader.metadata()
    if metadata.get(LOADED) != "1":
        raise LedgerError(parse_address(address).name, NOT_LOADED)
    return Settings.read(address, metadata).options(address, wait=True)
