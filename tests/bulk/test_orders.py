"""A campaign follows orders from other terminals, and what others who send it have found out."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import anyio.lowlevel
import pytest
from anyio.to_thread import run_sync
from awaited import asyncio_only

from connectus_async import AsyncConnectus, CampaignStoppedError, PaymentRequiredError, Sms, State
from connectus_async.bulk import attendance
from connectus_async.bulk.options import BulkOptions
from connectus_async.bulk.sender import Bulk
from connectus_async.client import sender_over
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger import open_store
from connectus_async.ledger.records import Attendance, Instructions
from connectus_async.ledger.sqlite.ledger import SqliteLedger

FIRST = 56_960_000_000

Ledger = Path | str


@pytest.fixture(autouse=True)
def _asks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendance, "SECONDS", 0.01)


def messages(count: int, first: int = 0) -> list[Sms]:
    return [Sms(FIRST + index, "Hola") for index in range(first, first + count)]


async def order(ledger: Ledger, **orders: object) -> None:
    """Give orders as another terminal does."""
    await run_sync(lambda: open_store(ledger).control().change(**orders))


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await anyio.lowlevel.checkpoint()


def at_request(emulator: Emulator, number: int, do: Callable[[], Awaitable[object]]) -> None:
    """Do something before the emulator acts on a request."""

    async def hook(count: int) -> None:
        if count == number:
            await do()

    emulator.fault(Fault.call(before=hook), route="sms.send")


@asyncio_only
async def test_a_pause_from_another_terminal_holds_until_the_campaign_is_continued(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Ledger
):
    """Its sender says whose order it is; the message under way is finished."""

    async def pause() -> None:
        await order(ledger, paused_until=math.inf, paused_by="ana@host1")
        await until(lambda: bulk.progress().paused_by)

    at_request(emulator, 3, pause)
    async with connectus.bulk(ledger=ledger, concurrency=1) as bulk:
        await bulk.load(messages(9))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bulk.run)
            await until(lambda: bulk.summary.accepted == 3)
            assert bulk.progress().paused_by == ("ana@host1",)
            assert bulk.progress().is_paused
            await heard(bulk)
            assert emulator.requests["sms.send"] == 3
            await order(ledger, paused_until=None, paused_by=None)
        assert bulk.progress().paused_by == ()

    assert bulk.summary.accepted == 9


async def heard(bulk: Bulk) -> None:
    """Wait until a sender has asked for instructions and got them, from now on."""
    asked = 0
    ledger = bulk._ledger
    attend = ledger.attend

    async def counted(report: Attendance) -> Instructions:
        nonlocal asked
        found = await attend(report)
        asked += 1
        return found

    ledger.attend = counted  # type: ignore[method-assign]
    await until(lambda: asked > 1)
    ledger.attend = attend  # type: ignore[method-assign]


@asyncio_only
async def test_a_campaign_that_is_paused_when_it_starts_waits(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Ledger
):
    """Nothing leaves before its first instructions have come."""
    async with connectus.bulk(ledger=ledger) as bulk:
        await bulk.load(messages(3))
        await order(ledger, paused_until=math.inf)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bulk.run)
            await until(lambda: bulk.progress().paused_by)
            await heard(bulk)
            assert emulator.requests["sms.send"] == 0
            await order(ledger, paused_until=None)
    assert bulk.summary.accepted == 3


@asyncio_only
async def test_a_pause_of_the_program_is_another_one(connectus: AsyncConnectus, ledger: Ledger):
    """Neither ends with the other."""
    async with connectus.bulk(ledger=ledger) as bulk:
        await bulk.load(messages(3))
        bulk.pause()
        await order(ledger, paused_until=math.inf, paused_by="ana")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bulk.run)
            await until(lambda: bulk.progress().paused_by == ("the user", "ana"))
            await order(ledger, paused_until=None)
            await until(lambda: bulk.progress().paused_by == ("the user",))
            bulk.resume()
    assert bulk.summary.accepted == 3


@asyncio_only
async def test_a_stop_from_another_terminal_ends_the_campaign(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Ledger
):
    """With its reason; what is left stays queued, and is sent when the user starts it again."""

    async def stop() -> None:
        await order(ledger, stopped="ana stopped it")
        await until(lambda: bulk._run.feed.is_stopped)

    at_request(emulator, 3, stop)
    async with connectus.bulk(ledger=ledger, concurrency=1) as bulk:
        await bulk.load(messages(9))
        with pytest.raises(CampaignStoppedError, match=r"^ana stopped it$"):
            await bulk.run()
        assert await bulk.counts() == {State.ACCEPTED: 3, State.QUEUED: 6}
        assert (await bulk.run()).accepted == 9


@asyncio_only
async def test_who_only_helps_does_not_start_what_was_stopped(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Ledger
):
    """Nothing is sent until the user starts the campaign."""
    async with connectus.bulk(ledger=ledger, campaign="navidad") as bulk:
        await bulk.load(messages(3))
        await order(ledger, stopped="402: no balance")
    options = BulkOptions(ledger=ledger, campaign="navidad")
    opened = open_store(ledger).ledger()
    async with sender_over(connectus, opened, options, is_start=False) as helper:
        with pytest.raises(CampaignStoppedError, match=r"^402: no balance$"):
            await helper.run()
        assert await helper.counts() == {State.QUEUED: 3}
    assert emulator.requests["sms.send"] == 0


async def test_a_rate_from_another_terminal_counts_until_it_is_taken_back(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Ledger
):
    """Then the one counts again that the campaign was started with."""
    limits = []

    async def at_rate(rate: float | None, limit: float) -> None:
        await order(ledger, rate=rate)
        await until(lambda: bulk.progress().rate_limit == limit)
        limits.append(limit)

    at_request(emulator, 1, lambda: at_rate(2_500.0, 2_500))
    at_request(emulator, 2, lambda: at_rate(None, 1_000))
    async with connectus.bulk(ledger=ledger, concurrency=1, rate=1_000) as bulk:
        assert (await bulk.run(messages(3))).accepted == 3
    assert limits == [2_500, 1_000]


@asyncio_only
async def test_a_rate_of_the_program_counts_at_once_without_an_order(
    connectus: AsyncConnectus, ledger: Ledger
):
    """And not against one."""
    async with connectus.bulk(ledger=ledger, rate=1_000) as bulk:
        await bulk.load(messages(3))
        bulk.pause()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bulk.run)
            await heard(bulk)
            bulk.set_rate(500)
            await until(lambda: bulk.progress().rate_limit == 500)
            await order(ledger, rate=20.0)
            await until(lambda: bulk.progress().rate_limit == 20)
            bulk.set_rate(700)
            await heard(bulk)
            assert bulk.progress().rate_limit == 20
            await order(ledger, rate=None)
            await until(lambda: bulk.progress().rate_limit == 700)
            bulk.resume()
    assert bulk.summary.accepted == 3


@asyncio_only
async def test_an_exhausted_balance_stops_all_who_send(
    connectus: AsyncConnectus, emulator: Emulator, postgres_ledger: str
):
    """With the same reason, though one of them has not met it itself."""
    emulator.fault(Fault.status(402), route="sms.send")
    async with AsyncExitStack() as stack:
        poor, other = [
            await stack.enter_async_context(connectus.bulk(ledger=postgres_ledger, concurrency=1))
            for _ in range(2)
        ]
        await poor.load(messages(9))
        other.pause()
        running = asyncio.create_task(other.run(messages(3, first=100)))
        await until(lambda: other._run)
        with pytest.raises(PaymentRequiredError) as first:
            await poor.run()
        with pytest.raises(CampaignStoppedError) as second:
            await running

    assert str(second.value) == str(first.value)
    assert emulator.requests["sms.send"] == 1


@asyncio_only
async def test_a_429_pauses_all_who_send(
    connectus: AsyncConnectus, emulator: Emulator, postgres_ledger: str
):
    """For as long as the API wants."""
    async with AsyncExitStack() as stack:
        throttled, other = [
            await stack.enter_async_context(connectus.bulk(ledger=postgres_ledger, concurrency=1))
            for _ in range(2)
        ]
        other.pause()
        running = asyncio.create_task(other.run(messages(3, first=100)))
        await heard(other)
        assert other._pacer.paused_until is None
        emulator.fault(Fault.too_many(50), route="sms.send")
        waiting = asyncio.create_task(throttled.run(messages(3)))
        await until(lambda: other._pacer.paused_until)
        assert throttled._pacer.paused_until
        for bulk in (throttled, other):
            bulk.cancel()
        await asyncio.gather(waiting, running)

    assert emulator.requests["sms.send"] == 1


@asyncio_only
async def test_without_instructions_nothing_is_sent(
    connectus: AsyncConnectus, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A fault of whoever gives them ends the campaign with its error."""

    async def attend(*_: object) -> Instructions:
        raise LookupError("no instructions")

    monkeypatch.setattr(SqliteLedger, "attend", attend)
    async with connectus.bulk(ledger=tmp_path / "campaign.db") as bulk:
        with pytest.raises(LookupError, match="no instructions"):
            await bulk.run(messages(3))
    assert emulator.requests["sms.send"] == 0
