"""A campaign's ledger, brought to the final status of every SMS by webhooks and by asking."""

import asyncio
import sqlite3
import time
from collections import Counter
from contextlib import closing

import pytest
from anyio.to_thread import run_sync
from report_ledgers import add, fill_disk, message, write_ledger
from trackers import client_of, receiving

from connectus_async import (
    AuthenticationError,
    DeliveryTimeoutError,
    LedgerError,
    Sms,
    SmsStatus,
)
from connectus_async.emulator import Emulator, Fault, WebhookDisorder
from connectus_async.ledger import open_store, steady_clock
from connectus_async.report.figures import read_figures
from connectus_async.tracking import LedgerHandler, Tracker
from connectus_async.webhooks import IncomingSms, StatusUpdate

SOON = {"poll_after": 0.05, "poll_after_silence": 0.05, "longest_pause": 0.1}
NEVER = {"poll_after": 3_600.0, "poll_after_silence": 3_600.0, "longest_pause": 3_600.0}
ENDINGS = ["8060", "0000", "0001"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "navidad.db"


def messages(count, *endings):
    endings = endings or ENDINGS
    for number in range(count):
        yield Sms(f"5698{number:04}{endings[number % len(endings)]}"[-12:], f"Hola {number}")


async def send(connectus, path, sms):
    async with connectus.bulk(ledger=path) as bulk:
        summary = await bulk.run(sms)
    return summary.accepted


def statuses(path):
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT provider_id, delivery_status FROM message"))


def held_by(emulator):
    """What the platform holds of each SMS."""
    return {sms.id: emulator.status_of(sms.id) for sms in emulator.received}


def deliveries(path):
    with open_store(path).read() as reader:
        return read_figures(reader).deliveries


async def test_a_campaign_ends_with_its_final_statuses_by_asking_alone(
    connectus, emulator, clock, path
):
    """After it was sent, in one loop; each SMS is asked for once when all are final."""
    assert await send(connectus, path, messages(300)) == 300
    clock.advance(seconds=5)
    async with Tracker(connectus, ledger=path, **SOON) as tracker:
        await tracker.until_final(timeout=30)
        assert tracker.left == 0
    assert statuses(path) == held_by(emulator)
    assert await run_sync(deliveries, path) == dict.fromkeys(
        ["ENTREGADO", "NO_ENTREGABLE", "NUMERO_INVALIDO"], 100
    )
    assert emulator.requests["sms.status"] == 300


async def test_an_sms_that_stays_on_its_way_is_asked_for_again(connectus, emulator, clock, path):
    """Ever less often; whether one has become final in the meantime is found."""
    twice = asyncio.Event()
    after = Fault.call(after=lambda number: twice.set() if number == 20 else None)
    emulator.fault(after, route="sms.status")
    await send(connectus, path, messages(10))
    async with Tracker(connectus, ledger=path, **SOON) as tracker:
        await twice.wait()
        with pytest.raises(DeliveryTimeoutError):
            await tracker.until_final(timeout=0.01)
        assert tracker.left == 10
        clock.advance(seconds=5)
        await tracker.until_final(timeout=30)


async def test_one_look_at_a_ledger_is_enough_where_all_are_final(connectus, clock, path):
    """What is not stays open, and is counted."""
    await send(connectus, path, messages(20, "8060", "0002"))
    clock.advance(seconds=5)
    async with Tracker(connectus, ledger=path, polls=False) as tracker:
        assert tracker.left == 20
        assert await tracker.poll() == 10
        assert tracker.left == 10


async def test_what_is_too_old_is_not_followed_any_more(connectus, emulator, path, monkeypatch):
    """Or an SMS that never gets a final status would be asked for for ever."""
    asked = asyncio.Event()
    emulator.fault(Fault.call(after=lambda _: asked.set()), route="sms.status")
    await send(connectus, path, messages(3, "0002"))
    async with Tracker(connectus, ledger=path, **SOON, patience=3_600) as tracker:
        await asked.wait()
        assert tracker.left == 3
        monkeypatch.setattr(steady_clock, "monotonic", shifted(time.monotonic, 3_601))
        monkeypatch.setattr(time, "time", shifted(time.time, 3_601))
        await tracker.until_final(timeout=30)


def shifted(clock, by):
    return lambda: clock() + by


@pytest.fixture
def polls(emulator):
    """Wait for so many more questions."""
    asked = asyncio.Semaphore(0)
    emulator.fault(Fault.call(after=lambda _: asked.release()), route="sms.status")

    async def wait(count):
        async with asyncio.timeout(10):
            for _ in range(count):
                await asked.acquire()

    return wait


@pytest.mark.parametrize("jump", [86_400, -86_400, 365 * 86_400], ids=["on", "back", "far on"])
async def test_a_clock_that_is_set_changes_nothing(
    connectus, emulator, clock, path, polls, monkeypatch, jump
):
    """What was sent before and after is asked for as ever, and not given up; nor is it at once."""
    await send(connectus, path, messages(3, "0002"))
    async with Tracker(connectus, ledger=path, **SOON) as tracker:
        await polls(3)
        monkeypatch.setattr(time, "time", shifted(time.time, jump))
        await polls(6)
        assert await send(connectus, path, [Sms("56987688060", "Hola")]) == 1
        clock.advance(seconds=5)
        while emulator.status_of(last := emulator.received[-1].id) != statuses(path)[last]:
            await polls(1)
        with pytest.raises(DeliveryTimeoutError):
            await tracker.until_final(timeout=0.01)
        assert tracker.left == 3


async def test_sms_that_were_sent_by_a_clock_that_was_ahead_are_asked_for(
    connectus, emulator, path, polls, monkeypatch
):
    """And given up in the end, though they are yet to be sent by the clock as it is now."""
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", shifted(time.time, 365 * 86_400))
        await send(connectus, path, messages(3, "0002"))
    async with Tracker(connectus, ledger=path, **SOON, patience=3_600) as tracker:
        await polls(6)
        assert tracker.left == 3
        monkeypatch.setattr(steady_clock, "monotonic", shifted(time.monotonic, 3_601))
        monkeypatch.setattr(time, "time", shifted(time.time, 3_601))
        await tracker.until_final(timeout=10)


async def test_an_event_that_is_faster_than_the_sender_survives_both_trackers(connectus, path):
    """The one that took it, and the one that was there meanwhile; who asks next finds it joined."""
    await run_sync(write_ledger, path, [message()])
    async with Tracker(connectus, ledger=path, **NEVER) as tracker:
        await tracker.handle(StatusUpdate(id_sms="a", status=SmsStatus.ENTREGADO))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE message SET provider_id = 'a'")
    async with Tracker(connectus, ledger=path, **NEVER) as tracker:
        assert tracker.left == 0
    assert statuses(path) == {"a": "ENTREGADO"}


async def test_an_event_without_an_identifier_is_passed_on_and_not_kept(connectus, path):
    """Nothing says whose it is."""
    await run_sync(write_ledger, path, [message(provider_id="")])
    event = StatusUpdate(id_sms="", status=SmsStatus.ENTREGADO)
    async with Tracker(connectus, ledger=path, **NEVER) as tracker:
        first = asyncio.create_task(anext(tracker.events()))
        await asyncio.sleep(0)
        await tracker.handle(event)
        assert await first == event
    handler = LedgerHandler(path)
    await run_sync(handler, event)
    await run_sync(handler.close)
    assert statuses(path) == {"": None}


async def test_sms_that_cannot_be_followed_are_counted_in_the_log(connectus, path, caplog):
    """Those of the sender that is still sending as well; each once."""
    await run_sync(write_ledger, path, [message(), message(provider_id=""), message(kind="email")])
    async with Tracker(connectus, ledger=path, **NEVER) as tracker:
        await tracker.until_final(timeout=30)
        with closing(sqlite3.connect(path)) as connection, connection:
            add(connection, message())
        await tracker.until_final(timeout=30)
    assert caplog.messages == [
        f"SMS that were accepted without an id, and cannot be followed: {count}" for count in (2, 3)
    ]


async def test_events_go_into_the_ledger_while_it_is_being_sent(connectus, emulator, clock, path):
    """Those that are faster than the sender included; what was written is passed on once."""
    await send(connectus, path, [])
    told = []
    async with Tracker(connectus, ledger=path, **NEVER) as tracker:
        async with connectus.bulk(ledger=path) as bulk:
            async for outcome in bulk.stream(messages(100)):
                for word in ("ENTREGADO", "EN_COLA", "ENTREGADO"):
                    event = StatusUpdate(id_sms=outcome.id, status=SmsStatus(word))
                    await tracker.handle(event)
                assert tracker.left == 0
        events = tracker.events()
        first = asyncio.create_task(anext(events))
        await asyncio.sleep(0)
        await tracker.handle(event)
        await tracker.handle(reply := IncomingSms(id_sms="a"))
        told.append(await first)
        await tracker.until_final(timeout=30)
    assert told == [reply]
    assert await run_sync(deliveries, path) == {"ENTREGADO": 100}
    assert emulator.requests["sms.status"] == 0


async def test_an_identifier_that_cannot_be_asked_for_holds_up_nobody(
    connectus, emulator, clock, path
):
    """Whatever a server once called an SMS."""
    receipt = await connectus.sms.send("56987688060", "Hola")
    clock.advance(seconds=5)
    rows = [message(provider_id="\n"), message(provider_id=receipt.id)]
    await run_sync(write_ledger, path, rows)
    async with Tracker(connectus, ledger=path, polls=False) as tracker:
        assert await tracker.poll() == 1
    assert statuses(path)[receipt.id] == "ENTREGADO"


async def test_an_api_that_refuses_to_be_asked_is_said(connectus, emulator, clock, path, caplog):
    """The wait ends; webhooks are still taken."""
    await send(connectus, path, messages(3))
    with emulator.fault(Fault.status(401), route="sms.status"):
        async with Tracker(connectus, ledger=path, **SOON) as tracker:
            with pytest.raises(AuthenticationError):
                await tracker.until_final(timeout=30)
            with pytest.raises(AuthenticationError):
                await tracker.poll()
            for id_sms in statuses(path):
                await tracker.handle(StatusUpdate(id_sms=id_sms, status=SmsStatus.ENTREGADO))
            await tracker.until_final(timeout=30)
    assert "delivery statuses are not polled any more" in caplog.text


async def test_an_event_that_cannot_be_written_is_not_taken(connectus, path):
    """So that the platform may post it again."""
    await run_sync(write_ledger, path, [message(provider_id="a")])
    fill_disk(path, "UPDATE ON outcome")
    event = StatusUpdate(id_sms="a", status=SmsStatus.ENTREGADO)
    async with Tracker(connectus, ledger=path, **NEVER) as tracker:
        events = tracker.events()
        first = asyncio.create_task(anext(events))
        with pytest.raises(LedgerError, match="the disk is full"):
            await tracker.handle(event)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DROP TRIGGER full")
        await tracker.handle(event)
        assert await first == event
    assert statuses(path) == {"a": "ENTREGADO"}


async def test_a_ledger_that_is_not_there_is_refused(connectus, path):
    """The tracker makes none."""
    with pytest.raises(LedgerError, match="no such file"):
        async with Tracker(connectus, ledger=path):
            pass
    assert not path.exists()


async def test_a_plain_handler_writes_into_a_ledger_too(path):
    """For Django, Flask and other WSGI; whatever else comes is no matter of it."""
    await run_sync(write_ledger, path, [message(provider_id="a")])
    handler = LedgerHandler(path)
    for word in ("EN_COLA", "ENTREGADO", "EN_COLA"):
        await run_sync(handler, StatusUpdate(id_sms="a", status=SmsStatus(word)))
    await run_sync(handler.close)
    await run_sync(handler, StatusUpdate(id_sms="a"))
    await run_sync(handler, IncomingSms(id_sms="a"))
    assert statuses(path) == {"a": "ENTREGADO"}
    await run_sync(handler, StatusUpdate(id_sms="a", status=SmsStatus.EN_COLA))
    await run_sync(handler.close)


class Hearing:
    """Has a handler before there is a tracker: the platform wants its URL first."""

    tracker: Tracker

    async def handle(self, event):
        await self.tracker.handle(event)


@pytest.mark.timeout(1_800)
async def test_a_campaign_ends_as_the_platform_holds_it_through_bad_webhooks(clock, path):
    """2,000 SMS; webhooks come twice, late or never: what they do not tell is found by asking."""
    asyncio.get_running_loop().set_debug(enabled=False)  # of 10,000 requests it makes minutes
    disorder = WebhookDisorder(duplicated=0.1, swapped=0.1, lost=0.05)
    hearing = Hearing()
    async with (
        receiving(hearing) as url,
        Emulator(clock=clock, status_webhook=url, webhook_disorder=disorder, seed=5) as platform,
        client_of(platform) as connectus,
    ):
        await send(connectus, path, [])
        async with Tracker(connectus, ledger=path, **NEVER) as tracker:
            hearing.tracker = tracker
            assert await send(connectus, path, messages(2_000)) == 2_000
            clock.advance(seconds=5)
            await platform.webhooks_settled()
            with pytest.raises(DeliveryTimeoutError):
                await tracker.until_final(timeout=0.01)
        async with Tracker(connectus, ledger=path, polls=False) as tracker:
            untold = tracker.left
        assert platform.requests["sms.status"] == 0
        async with Tracker(connectus, ledger=path, **SOON, concurrency=32) as tracker:
            await tracker.until_final(timeout=30)
        held = held_by(platform)

    assert platform.webhooks["duplicated"] > 400
    assert platform.webhooks["swapped"] > 400
    assert platform.webhooks["lost"] > 200
    assert 80 < untold == platform.requests["sms.status"] < 120
    assert statuses(path) == held
    assert await run_sync(deliveries, path) == Counter(held.values())
