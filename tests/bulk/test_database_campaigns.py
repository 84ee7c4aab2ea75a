"""A campaign whose ledger is in a database, through all that takes a ledger."""

import csv
import io
from pathlib import Path

import anyio
from anyio.to_thread import run_sync
from awaited import asyncio_only

from connectus_async import AsyncConnectus, SkipReason, Sms, SmsStatus, State
from connectus_async.emulator import Emulator
from connectus_async.report.export import export
from connectus_async.report.page import write_page
from connectus_async.tracking import LedgerHandler, Tracker
from connectus_async.webhooks import StatusUpdate
from connectus_async.workers import SenderProcesses

FIRST = 56_960_000_000


def messages(count: int) -> list[Sms]:
    return [Sms(FIRST + index, "Hola") for index in range(count)]


def rows(ledger: str) -> list[dict[str, str]]:
    table = io.StringIO()
    export(ledger, table, format="csv")
    return list(csv.DictReader(table.getvalue().splitlines()))


async def test_a_second_run_sends_only_what_is_new(
    connectus: AsyncConnectus, emulator: Emulator, postgres_ledger: str
):
    """Both clients take an address as they take a path."""
    for count in (30, 30, 40):
        async with connectus.bulk(ledger=postgres_ledger) as bulk:
            await bulk.run(messages(count))

    assert bulk.summary.skipped_by == {SkipReason.DUPLICATE: 30}
    assert len(emulator.received) == 40
    assert len({message.recipient for message in emulator.received}) == 40


@asyncio_only
async def test_two_senders_share_a_campaign(
    connectus: AsyncConnectus, emulator: Emulator, postgres_ledger: str
):
    """As two machines do: a file would refuse the second."""
    async with connectus.bulk(ledger=postgres_ledger) as first:
        await first.load(messages(2_000))
        async with connectus.bulk(ledger=postgres_ledger) as second:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(first.run)
                tasks.start_soon(second.run)
            assert first.summary.accepted + second.summary.accepted == 2_000

    assert len({message.recipient for message in emulator.received}) == 2_000


@asyncio_only
async def test_a_message_that_a_load_takes_back_has_one_outcome(
    connectus: AsyncConnectus, emulator: Emulator, postgres_ledger: str
):
    """Whoever sends it in the end counts it; nobody calls it a duplicate."""
    async with connectus.bulk(ledger=postgres_ledger) as loader:
        await loader.load(messages(60))
        async with connectus.bulk(ledger=postgres_ledger, rate=60) as sender:
            outcomes = sender.stream()
            await anext(outcomes)
            await loader.load(messages(60), replaces=True)
            others = [outcome async for outcome in outcomes]

    assert {outcome.state for outcome in others} == {State.ACCEPTED}
    assert len(others) == 59
    assert len(emulator.received) == 60


@asyncio_only
async def test_sender_processes_send_it(
    connectus: AsyncConnectus, emulator: Emulator, postgres_ledger: str
):
    """The process that has the ledger open is the only one with the address."""
    async with connectus.bulk(ledger=postgres_ledger, concurrency=4) as bulk:
        await bulk.load(messages(50))
        async with SenderProcesses(bulk, processes=2) as processes:
            assert [failure async for failure in processes.stream()] == []

    assert len({message.recipient for message in emulator.received}) == 50


@asyncio_only
async def test_statuses_of_webhooks_and_of_polls_are_recorded(
    connectus: AsyncConnectus, emulator: Emulator, postgres_ledger: str
):
    """The export has both."""
    async with connectus.bulk(ledger=postgres_ledger) as bulk:
        await bulk.run(messages(2))
    first, _ = (message.id for message in emulator.received)
    handler = LedgerHandler(postgres_ledger)
    await run_sync(handler, StatusUpdate(id_sms=first, status=SmsStatus.ENTREGADO))
    await run_sync(handler.close)
    async with Tracker(connectus, ledger=postgres_ledger, polls=False) as tracker:
        assert tracker.left == 1
        await tracker.poll()

    found = await run_sync(rows, postgres_ledger)
    assert {row["delivery_status"] for row in found if row["id"] == first} == {"ENTREGADO"}
    assert emulator.requests["sms.status"] == 1


async def test_a_page_is_written_of_it(
    connectus: AsyncConnectus, postgres_ledger: str, tmp_path: Path
):
    """No file of a ledger is in the way of the target."""
    async with connectus.bulk(ledger=postgres_ledger) as bulk:
        await bulk.load(messages(3))
    await run_sync(write_page, postgres_ledger, tmp_path / "page.html")

    page = (tmp_path / "page.html").read_text("utf-8")
    assert "connectus bulk resume" in page
    assert "campaign=navidad" in page
    assert "user=" not in page
