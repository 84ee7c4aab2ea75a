"""Tickets: what a worker does with one, where it is afterwards, and what is not handed out."""

import asyncio
import datetime as dt
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Job

from connectus_async import (
    AsyncConnectus,
    CampaignStoppedError,
    ConfigurationError,
    HolderGivenUpError,
    LedgerError,
    QuietHours,
    Sms,
    State,
    SuppressionList,
)
from connectus_async.bulk.sender import Bulk
from connectus_async.emulator import Fault
from connectus_async.ledger import create_tables, open_store, with_campaign
from connectus_async.workers import hand_out, run_ticket_worker, ticket_queue, ticket_tasks
from connectus_async.workers.tickets import create_queue

FIRST = 56_960_000_000
HIGH_NOON = dt.datetime(2126, 7, 31, 12, tzinfo=dt.UTC)


@pytest.fixture
async def client(settings: dict[str, Any]) -> AsyncIterator[AsyncConnectus]:
    async with AsyncConnectus(**settings) as client:
        yield client


@pytest.fixture
def ledger(queue: str) -> str:
    return with_campaign(queue, "navidad")


@pytest.fixture
async def app(queue: str) -> AsyncIterator[App]:
    """An app that looks after the jobs."""
    connector = PsycopgConnector(conninfo=queue, min_size=1, max_size=2)
    async with App(connector=connector).open_async() as app:
        yield app


async def load(bulk: Bulk, count: int = 3) -> None:
    await bulk.load(Sms(str(FIRST + index), "Hola") for index in range(count))


async def jobs(app: App) -> list[Job]:
    return [*await app.job_manager.list_jobs_async()]


async def statuses(app: App) -> list[str]:
    return [job.status for job in await jobs(app)]


def stopped_by(ledger: str) -> str:
    with open_store(ledger).read() as reader:
        return reader.metadata()["stopped"]


@contextmanager
def logged(text: str, act: Callable[[], object]) -> Iterator[None]:
    """Act when a worker logs a text, for as long as a block lasts."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if text in record.getMessage():
                act()

    logger, handler = logging.getLogger("procrastinate.worker"), Handler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


async def test_workers_send_a_campaign_that_was_handed_out(client, settings, ledger, queue, app):
    """Each ticket ends when nothing is left to do; it has the campaign's name, and nothing else."""
    async with client.bulk(ledger=ledger, concurrency=2) as bulk:
        await load(bulk)
        await hand_out(bulk, tickets=2)
        assert [job.task_kwargs for job in await jobs(app)] == 2 * [{"campaign": "navidad"}]
        await asyncio.gather(
            *(run_ticket_worker(queue, until_empty=True, **settings) for _ in range(2))
        )

        assert await bulk.counts() == {State.ACCEPTED: 3}
    assert await statuses(app) == ["succeeded", "succeeded"]


async def test_a_ticket_that_comes_late_sends_nothing(
    client, settings, emulator, ledger, queue, app
):
    """So it does not matter how often one runs."""
    async with client.bulk(ledger=ledger) as bulk:
        await load(bulk)
        await bulk.run()
        await hand_out(bulk, tickets=1)
    await run_ticket_worker(queue, until_empty=True, **settings)

    assert len(emulator.received) == 3
    assert await statuses(app) == ["succeeded"]


async def test_workers_have_the_options_of_the_one_who_handed_out(
    client, settings, emulator, ledger, queue, tmp_path
):
    """They read them in the ledger, and the suppression list in its file."""
    listed = tmp_path / "stop.txt"
    listed.write_text(f"{FIRST}\n", "utf-8")
    os.utime(listed, (0, 0))  # nobody is about to write more
    suppression = await asyncio.to_thread(SuppressionList.read, listed)
    async with client.bulk(ledger=ledger) as bulk:
        await load(bulk)
    options = {"suppression": suppression, "expires_at": HIGH_NOON, "budget": 1, "patience": 7}
    async with client.bulk(ledger=ledger, **options) as bulk:
        await hand_out(bulk, tickets=1)
        await run_ticket_worker(queue, until_empty=True, **settings)

        assert await bulk.counts() == {State.ACCEPTED: 1, State.SKIPPED: 2}
    assert [message.recipient for message in emulator.received] == [str(FIRST + 1)]


async def test_workers_wait_for_the_end_of_quiet_hours(
    client, settings, emulator, ledger, queue, app, monkeypatch
):
    """Nobody is woken up, and nothing is left for another start; each message leaves once."""
    ends: list[dt.datetime] = []

    def until(_: QuietHours, recipient: str, now: dt.datetime) -> dt.datetime | None:
        if not ends:
            ends.append(now + dt.timedelta(milliseconds=500))
        return ends[0] if now < ends[0] else None

    monkeypatch.setattr(QuietHours, "until", until)
    async with client.bulk(ledger=ledger, quiet_hours=QuietHours.parse("21:00-08:00")) as bulk:
        await load(bulk)
        await hand_out(bulk, tickets=1)
        await run_ticket_worker(queue, until_empty=True, **settings)

        assert await bulk.counts() == {State.ACCEPTED: 3}
    assert await statuses(app) == ["succeeded"]
    assert len(emulator.received) == 3


async def test_a_worker_that_waits_for_the_end_of_quiet_hours_can_be_stopped(
    client, settings, emulator, ledger, queue, app, monkeypatch
):
    """Its ticket is for the next one, and so are the messages."""
    waits = asyncio.Event()

    def until(_: QuietHours, recipient: str, now: dt.datetime) -> dt.datetime | None:
        waits.set()
        return now + dt.timedelta(hours=9)

    monkeypatch.setattr(QuietHours, "until", until)
    async with client.bulk(ledger=ledger, quiet_hours=QuietHours.parse("21:00-08:00")) as bulk:
        await load(bulk)
        await hand_out(bulk, tickets=1)
        worker = asyncio.create_task(run_ticket_worker(queue, until_empty=True, **settings))
        await waits.wait()
        worker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await worker

        assert await bulk.counts() == {State.QUEUED: 3}
    assert await statuses(app) == ["todo"]
    assert not emulator.received


async def test_who_hands_out_obeys_a_stop_that_was_ordered_meanwhile(client, ledger, app):
    """Nothing is handed out, as by a start that is loading; the next one ends the stop."""
    async with client.bulk(ledger=ledger) as bulk:
        await load(bulk)
        control = open_store(ledger).control()
        await asyncio.to_thread(lambda: control.change(stopped="ana stopped it"))
        with pytest.raises(CampaignStoppedError, match=r"^ana stopped it$"):
            await hand_out(bulk, tickets=1)
        assert await jobs(app) == []
        await hand_out(bulk, tickets=1)
    assert await statuses(app) == ["todo"]


async def test_a_worker_that_is_stopped_finishes_what_is_under_way(
    client, settings, emulator, ledger, queue, app
):
    """Its ticket is for the next one, and so is the rest."""
    under_way, is_asked = asyncio.Event(), asyncio.Event()

    async def hold(_: int) -> None:
        under_way.set()
        await is_asked.wait()

    async with client.bulk(ledger=ledger, concurrency=1) as bulk:
        await load(bulk)
        await hand_out(bulk, tickets=1)
        with emulator.fault(Fault.call(after=hold)), logged("Aborting them", is_asked.set):
            worker = asyncio.create_task(run_ticket_worker(queue, **settings))
            await under_way.wait()
            worker.cancel()
            with pytest.raises(asyncio.CancelledError):
                await worker
        assert await bulk.counts() == {State.ACCEPTED: 1, State.QUEUED: 2}
        assert await statuses(app) == ["todo"]

        await run_ticket_worker(queue, until_empty=True, **settings)
        assert await bulk.counts() == {State.ACCEPTED: 3}
    assert await statuses(app) == ["succeeded"]


async def test_a_worker_that_waits_for_another_one_can_be_stopped(
    client, settings, emulator, ledger, queue, app
):
    """It has nothing to send, and stays for what the other may leave; it need not."""
    begun, answered = asyncio.Queue[None](), asyncio.Event()

    async def hold(_: int) -> None:
        await answered.wait()

    async with client.bulk(ledger=ledger, concurrency=1) as bulk:
        await load(bulk)
        await hand_out(bulk, tickets=2)
    with (
        emulator.fault(Fault.call(after=hold)),
        logged("Starting job", lambda: begun.put_nowait(None)),
    ):
        sending, waiting = [
            asyncio.create_task(run_ticket_worker(queue, until_empty=is_first, **settings))
            for is_first in (True, False)
        ]
        await begun.get()
        await begun.get()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert sorted(await statuses(app)) == ["doing", "todo"]
        answered.set()
        await sending

    assert await statuses(app) == ["succeeded", "succeeded"]
    assert len(emulator.received) == 3


async def test_a_worker_that_was_given_up_helps_again(app):
    """Others have sent what it had; there may be more."""

    async def give_up(_: str) -> str:
        raise HolderGivenUpError("navidad", "gave this sender up")

    app.add_tasks_from(ticket_queue.tasks(give_up), namespace=ticket_queue.NAMESPACE)
    await app.configure_task(ticket_queue.TASK, queue="connectus").defer_async(campaign="navidad")
    await app.run_worker_async(wait=False, install_signal_handlers=False)
    (job,) = await jobs(app)

    assert (job.status, job.attempts) == ("todo", 1)
    assert dt.datetime.now(dt.UTC) < job.scheduled_at


async def test_a_ticket_that_is_aborted_by_hand_is_not_run_again(queue, app):
    """It ends in order, as that of a worker that is stopped."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait(_: str) -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    app.add_tasks_from(ticket_queue.tasks(wait), namespace=ticket_queue.NAMESPACE)
    ticket = app.configure_task(ticket_queue.TASK, queue="connectus")
    number = await ticket.defer_async(campaign="navidad")
    worker = asyncio.create_task(
        app.run_worker_async(
            wait=False, abort_job_polling_interval=0.05, install_signal_handlers=False
        )
    )
    await begun.wait()
    await app.job_manager.cancel_job_by_id_async(number, abort=True)
    await worker

    assert ended.is_set()
    assert await statuses(app) == ["aborted"]


async def test_a_campaign_that_must_not_go_on(client, settings, ledger, queue, app):
    """The ticket has failed, is not run again, and the ledger has the reason."""
    async with client.bulk(ledger=ledger) as bulk:
        await load(bulk)
        await hand_out(bulk, tickets=1)
        await run_ticket_worker(queue, until_empty=True, **{**settings, "api_key": "wrong"})

        assert await bulk.counts() == {State.QUEUED: 3}
    assert await statuses(app) == ["failed"]
    assert "401" in await asyncio.to_thread(stopped_by, ledger)


async def test_a_source_that_was_not_loaded_to_its_end(client, settings, ledger, queue, app):
    """Nothing of it is handed out; a ticket from before waits for nothing, but fails."""

    def broken():
        yield Sms(str(FIRST), "Hola")
        raise ValueError("the file is broken")

    async with client.bulk(ledger=ledger) as bulk:
        await load(bulk)
        await hand_out(bulk, tickets=1)
        with pytest.raises(ValueError, match="broken"):
            await bulk.load(broken())
        with pytest.raises(LedgerError, match="navidad: was not loaded to its end"):
            await hand_out(bulk, tickets=1)
        await run_ticket_worker(queue, until_empty=True, **settings)
    assert await statuses(app) == ["failed"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"suppression": SuppressionList([FIRST])}, "suppression: must be of a file"),
        (
            {"quiet_hours": QuietHours.parse("21:00-08:00", time_zone="America/Lima")},
            "quiet_hours: must be of whole minutes, with the fallback zone",
        ),
        (
            {"quiet_hours": QuietHours(dt.time(21, 0, 1), dt.time(8))},
            "quiet_hours: must be of whole minutes",
        ),
    ],
)
async def test_options_that_a_ledger_cannot_record(client, ledger, app, options, problem):
    """Nothing is handed out, or workers would send otherwise."""
    async with client.bulk(ledger=ledger, **options) as bulk:
        await load(bulk)
        with pytest.raises(ConfigurationError, match=problem):
            await hand_out(bulk, tickets=1)
    assert await jobs(app) == []


@pytest.mark.parametrize("tickets", [0, -1, 1.5])
async def test_a_number_of_tickets_that_makes_no_sense(client, ledger, tickets):
    async with client.bulk(ledger=ledger) as bulk:
        await load(bulk)
        with pytest.raises(ConfigurationError, match="tickets: must be a whole number above zero"):
            await hand_out(bulk, tickets=tickets)


async def test_a_file_that_only_this_machine_has(client, tmp_path):
    """Workers cannot open it."""
    async with client.bulk(ledger=tmp_path / "campaign.db") as bulk:
        await load(bulk)
        with pytest.raises(ConfigurationError, match="ledger: must be in a database for tickets"):
            await hand_out(bulk, tickets=1)


def test_a_worker_is_for_all_campaigns_of_a_database(ledger):
    with pytest.raises(ConfigurationError, match="ledger: must be without a campaign here"):
        ticket_tasks(ledger)


async def test_a_worker_without_credentials(queue):
    """It says so before it takes a ticket."""
    with pytest.raises(ConfigurationError, match="api_user: no credentials"):
        await run_ticket_worker(queue, until_empty=True)


async def test_a_queue_is_where_the_user_of_the_address_finds_it(client, settings, queue):
    """It is made once, by the search_path of the user."""
    elsewhere = f"{queue}&options=-csearch_path%3Delsewhere"
    with psycopg.connect(queue, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA elsewhere")
        try:
            async with client.bulk(ledger=with_campaign(elsewhere, "navidad")) as bulk:
                await load(bulk)
                with pytest.raises(LedgerError, match="has no queue for tickets: make its tables"):
                    await hand_out(bulk, tickets=1)
                assert await asyncio.to_thread(create_queue, elsewhere)
                assert not await asyncio.to_thread(create_queue, elsewhere)
                await hand_out(bulk, tickets=1)
            (count,) = connection.execute(
                "SELECT count(*) FROM elsewhere.procrastinate_jobs"
            ).fetchone()
            assert count == 1
        finally:
            connection.execute("DROP SCHEMA elsewhere CASCADE")


async def test_a_database_without_tables(postgres, settings):
    """A worker says so, and what to do."""
    with psycopg.connect(postgres.address(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty")
    address = postgres.address("empty")
    with pytest.raises(LedgerError, match="has no ledgers yet: make its tables by connectus"):
        await run_ticket_worker(address, until_empty=True, **settings)
    await asyncio.to_thread(create_tables, address)
    with pytest.raises(LedgerError, match="has no queue for tickets: make its tables by"):
        await run_ticket_worker(address, until_empty=True, **settings)
