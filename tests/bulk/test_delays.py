"""Delays of a campaign: their causes in its progress, and quiet hours that it waits out."""

import asyncio
import datetime as dt
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync

from connectus_async import AsyncConnectus, ConfigurationError, Delay, DelayCause, QuietHours, Sms
from connectus_async.bulk.progress import _felt_rate, together
from connectus_async.bulk.sender import Bulk
from connectus_async.emulator import Emulator, Fault
from connectus_async.errors import CampaignStoppedError
from connectus_async.ledger import open_store
from connectus_async.ledger.states import State

CHILE, PERU = 56987688060, 51987654321
SOON = dt.timedelta(milliseconds=50)
LATER = dt.timedelta(hours=9)


class Night(QuietHours):
    """Quiet hours whose end a test sets, by the beginning of a number."""

    def until(self, recipient: str, now: dt.datetime) -> dt.datetime | None:
        end = ENDS.get(recipient[:2])
        return end if end is not None and end > now else None


ENDS: dict[str, dt.datetime] = {}


@pytest.fixture
def night() -> Iterator[Night]:
    yield Night(dt.time(21), dt.time(8))
    ENDS.clear()


@pytest.fixture
async def client(settings: dict[str, Any]) -> Any:
    async with AsyncConnectus(**settings) as client:
        yield client


def messages(first: int, count: int) -> Iterator[Sms]:
    return (Sms(first + index, "Hola") for index in range(count))


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await anyio.lowlevel.checkpoint()


def causes(bulk: Bulk) -> set[DelayCause]:
    return {delay.cause for delay in bulk.progress().delays}


async def test_a_campaign_waits_for_the_end_of_quiet_hours(
    client: AsyncConnectus, emulator: Emulator, ledger: Path | str, night: Night
):
    """Who is awake gets it at once; the others get it then, once, and have one outcome each."""
    async with client.bulk(ledger=ledger, quiet_hours=night, wait=True) as bulk:
        await bulk.load(messages(CHILE, 3))
        await bulk.load(messages(PERU, 2))
        ENDS["56"] = dt.datetime.now(dt.UTC) + LATER
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bulk.run)
            await until(lambda: bulk.summary.accepted == 2)
            await until(lambda: [delay.messages for delay in bulk.progress().delays] == [3])
            (delay,) = bulk.progress().delays
            assert (delay.cause, delay.country) == (DelayCause.QUIET_HOURS, "CL")
            assert (delay.until, bulk.progress().paused_by) == (ENDS["56"], ())
            tasks.cancel_scope.cancel()
    assert len(emulator.received) == 2

    async with client.bulk(ledger=ledger, quiet_hours=night, wait=True) as bulk:
        ENDS["56"] = dt.datetime.now(dt.UTC) + SOON
        outcomes = [outcome async for outcome in bulk.stream()]
        assert bulk.progress().delays == ()

    assert [outcome.state for outcome in outcomes] == [State.ACCEPTED] * 3
    assert len({message.recipient for message in emulator.received}) == len(emulator.received) == 5


async def test_without_waiting_the_rest_stays_queued(
    client: AsyncConnectus, ledger: Path | str, night: Night
):
    """The progress says for which time and where, also when the run has ended."""
    ENDS["56"] = dt.datetime.now(dt.UTC) + LATER
    async with client.bulk(ledger=ledger, quiet_hours=night) as bulk:
        await bulk.load(messages(CHILE, 3))
        assert (await bulk.run()).queued == 3
        assert bulk.progress().delays == (
            Delay(cause=DelayCause.QUIET_HOURS, until=ENDS["56"], messages=3, country="CL"),
        )


async def test_a_stop_ends_the_wait_at_once(
    client: AsyncConnectus, ledger: Path | str, night: Night
):
    """The order is followed in the quiet hours as well, and the messages stay queued."""
    ENDS["56"] = dt.datetime.now(dt.UTC) + LATER
    async with client.bulk(ledger=ledger, quiet_hours=night, wait=True) as bulk:
        await bulk.load(messages(CHILE, 3))
        running = asyncio.create_task(bulk.run())
        await until(lambda: causes(bulk) == {DelayCause.QUIET_HOURS})
        await run_sync(lambda: open_store(ledger).control().change(stopped="ana stopped it"))
        with pytest.raises(CampaignStoppedError, match="ana stopped it"):
            await asyncio.wait_for(running, 4)
        assert await bulk.counts() == {State.QUEUED: 3}


async def test_two_senders_wait_for_the_same_night(
    settings: dict[str, Any], emulator: Emulator, postgres_ledger: str, night: Night
):
    """Each message leaves once, from one of them."""
    ENDS["56"] = dt.datetime.now(dt.UTC) + 10 * SOON
    async with (
        AsyncConnectus(**settings) as connectus,
        connectus.bulk(ledger=postgres_ledger, quiet_hours=night, wait=True) as one,
        connectus.bulk(ledger=postgres_ledger, quiet_hours=night, wait=True) as other,
    ):
        await one.load(messages(CHILE, 9))
        await asyncio.gather(one.run(), other.run())
        assert await other.counts() == {State.ACCEPTED: 9}
    assert len({message.recipient for message in emulator.received}) == len(emulator.received) == 9


async def test_expired_messages_are_not_waited_for(
    client: AsyncConnectus, tmp_path: Path, night: Night
):
    """They are skipped once they have expired, and the campaign ends."""
    ENDS["56"] = dt.datetime.now(dt.UTC) + LATER
    options: dict[str, Any] = {"quiet_hours": night, "wait": True}
    expires_at = dt.datetime.now(dt.UTC) + 10 * SOON
    ledger = tmp_path / "a.db"
    async with client.bulk(ledger=ledger, expires_at=expires_at, **options) as bulk:
        await bulk.load(messages(CHILE, 2))
        assert (await bulk.run()).skipped == 2


def test_waiting_needs_a_ledger(night: Night):
    """Without one, a message would be forgotten."""
    client = AsyncConnectus("user", "key")
    with pytest.raises(ConfigurationError, match="wait: needs a ledger"):
        client.bulk(quiet_hours=night, wait=True)


@pytest.mark.parametrize("seconds", [math.inf, 60.0])
async def test_a_pause_says_by_whom_and_until_when(
    client: AsyncConnectus, ledger: Path | str, seconds: float
):
    """As far as that is known."""
    end = dt.datetime.now(dt.UTC).timestamp() + seconds
    async with client.bulk(ledger=ledger) as bulk:
        await bulk.load(messages(CHILE, 1))
        change = {"paused_until": end, "paused_by": "ana@host7"}
        await run_sync(lambda: open_store(ledger).control().change(**change))
        running = asyncio.create_task(bulk.run())
        await until(lambda: bulk.progress().delays)
        (delay,) = bulk.progress().delays
        bulk.cancel()
        await running
    assert (delay.cause, delay.by) == (DelayCause.PAUSE, "ana@host7")
    if delay.until is None:
        assert seconds == math.inf
    else:
        assert abs(delay.until.timestamp() - end) <= 1


async def test_a_429_is_told_as_the_word_of_the_api(client: AsyncConnectus, emulator: Emulator):
    """For as long as it slows the campaign down."""
    seen: list[Delay] = []

    def look(_: int) -> None:
        seen.extend(bulk.progress().delays)

    emulator.fault(Fault.call(before=look), route="sms.send")
    async with client.bulk(concurrency=1) as bulk:
        await bulk.run(messages(CHILE, 3))
        assert seen == []
        emulator.fault(Fault.too_many(0), route="sms.send", times=1)
        await bulk.run(messages(CHILE + 3, 2))

    assert {delay.cause for delay in seen} == {DelayCause.RATE_LIMIT}


@pytest.mark.parametrize(
    ("rate", "demand", "told"), [(40.0, 55.0, 40.0), (40.0, None, 40.0), (691.0, 55.0, None)]
)
def test_a_limit_far_above_what_is_sent_is_not_told(
    rate: float, demand: float | None, told: float | None
):
    """The search for a higher rate has gone on, and the limit is felt no more."""
    assert _felt_rate(SimpleNamespace(rate=rate, demand=demand)) == told


async def test_an_outage_is_told(client: AsyncConnectus, emulator: Emulator):
    """Until a message gets through."""
    seen: list[Delay] = []
    emulator.fault(
        Fault.call(before=lambda _: seen.extend(bulk.progress().delays)), route="sms.send"
    )
    emulator.fault(Fault.status(503), route="sms.send", times=9)
    async with client.bulk(concurrency=1) as bulk:
        await bulk.run(messages(CHILE, 11))
        assert bulk.progress().delays == ()
    assert Delay(cause=DelayCause.OUTAGE) in seen


def test_a_delay_is_written_and_read():
    """With what is known of it."""
    for delay in (
        Delay(cause=DelayCause.OUTAGE),
        Delay(cause=DelayCause.PAUSE, by="ana", until=dt.datetime(2026, 12, 24, 8, tzinfo=dt.UTC)),
        Delay(cause=DelayCause.QUIET_HOURS, messages=7, country="CL"),
    ):
        assert Delay.read(delay.as_dict()) == delay


def test_delays_of_several_senders_are_added_up():
    """Messages and rates; a pause is one for all of them."""
    quiet = Delay(cause=DelayCause.QUIET_HOURS, messages=7, country="CL")
    pause = Delay(cause=DelayCause.PAUSE, by="ana")
    slow = Delay(cause=DelayCause.RATE_LIMIT, rate=5.0)
    assert together([(quiet, pause, slow), (), (pause, quiet, slow)]) == (
        Delay(cause=DelayCause.QUIET_HOURS, messages=14, country="CL"),
        pause,
        Delay(cause=DelayCause.RATE_LIMIT, rate=10.0),
    )
