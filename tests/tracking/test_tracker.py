"""From send to delivered: by webhooks, by asking, and by both."""

import asyncio
import copy
import gc
import pickle
import weakref
from contextlib import closing

import attrs
import pytest
from anyio.to_thread import run_sync
from trackers import client_of, receiving

from connectus_async import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    Connectus,
    DeliveryTimeoutError,
    InvalidArgumentError,
    PermissionDeniedError,
    SmsReceipt,
    SmsStatus,
    tracking,
)
from connectus_async.emulator import Emulator, Fault
from connectus_async.tracking import Tracker
from connectus_async.webhooks import IncomingSms, StatusUpdate, UnknownEvent

NUMBER = "56987688060"
UNDELIVERABLE = "56987680000"
INVALID = "56987680001"
ENDLESS = "56987680002"
SOON = {"poll_after": 0.01, "poll_after_silence": 0.01, "longest_pause": 0.02}
NEVER = {"poll_after": 3_600.0, "poll_after_silence": 3_600.0, "longest_pause": 3_600.0}


def update(id_sms, word):
    return StatusUpdate(id_sms=id_sms, status=SmsStatus(word))


async def test_a_receipt_waits_by_asking_where_there_is_no_tracker(connectus, clock):
    """It tells whether the SMS was delivered."""
    good, bad = [await connectus.sms.send(to, "Hola") for to in (NUMBER, UNDELIVERABLE)]
    clock.advance(seconds=5)

    waiting = good.delivered(timeout=20), bad.delivered(timeout=20)

    assert await asyncio.gather(*waiting) == [True, False]


async def test_a_receipt_waits_no_longer_than_it_is_told(connectus):
    """The SMS was accepted, and may still be delivered."""
    receipt = await connectus.sms.send_otp(ENDLESS, "Hola")

    with pytest.raises(DeliveryTimeoutError, match=r"within 0\.01 s"):
        await receipt.delivered(timeout=0.01)


async def test_a_receipt_is_still_a_value(connectus):
    """Its client is neither compared, nor shown, nor copied, nor pickled."""
    receipt = await connectus.sms.send(NUMBER, "Hola")
    same = SmsReceipt(id=receipt.id, status=receipt.status)

    assert receipt == same
    assert hash(receipt) == hash(same)
    assert repr(receipt) == repr(same)
    assert attrs.asdict(receipt).keys() == attrs.asdict(same).keys()
    for twin in (pickle.loads(pickle.dumps(receipt)), copy.copy(receipt), attrs.evolve(receipt)):
        assert twin == receipt
        with pytest.raises(ConfigurationError, match="receipt: cannot be awaited here"):
            twin.delivered()


async def test_a_receipt_without_an_identifier_cannot_be_followed():
    """The API may accept an SMS without naming it."""
    with pytest.raises(InvalidArgumentError, match="the API gave this SMS none"):
        SmsReceipt().delivered()


async def test_a_receipt_of_the_blocking_client_waits_no_longer_than_it_is_told(emulator):
    """As that of the async one; and a copy does not know whom to ask."""

    def send():
        with blocking_client_of(emulator) as connectus:
            receipt = connectus.sms.send(ENDLESS, "Hola")
            with pytest.raises(DeliveryTimeoutError, match=r"within 0\.01 s"):
                receipt.delivered(timeout=0.01)
            for twin in (pickle.loads(pickle.dumps(receipt)), copy.copy(receipt)):
                assert twin == receipt == SmsReceipt(id=receipt.id, status=receipt.status)
                with pytest.raises(ConfigurationError, match="receipt: cannot be awaited here"):
                    twin.delivered()
        with pytest.raises(ClientClosedError):
            receipt.delivered()

    await run_sync(send)


async def test_a_receipt_keeps_its_blocking_client_and_not_the_other_way_round(emulator):
    """A client that nobody has any more ends its thread, whatever it sent."""

    def send():
        receipt = blocking_client_of(emulator).sms.send(ENDLESS, "Hola")
        client = weakref.ref(receipt._wait.__self__)
        with pytest.raises(DeliveryTimeoutError):
            receipt.delivered(timeout=0.01)
        del receipt
        gc.collect()
        return client

    assert (await run_sync(send))() is None


def blocking_client_of(emulator):
    return Connectus(emulator.api_user, emulator.api_key, base_url=emulator.base_url)


async def test_a_webhook_tells_without_a_single_question(connectus, emulator, clock):
    """Delivered or not; an SMS is followed by its receipt."""
    async with (
        Tracker(connectus, **NEVER) as tracker,
        receiving(tracker) as url,
        Emulator(clock=clock, status_webhook=url) as platform,
        client_of(platform) as sender,
    ):
        good, bad = [await sender.sms.send(to, "Hola") for to in (NUMBER, INVALID)]
        tracked = tracker.track(bad)
        waiting = asyncio.create_task(tracker.delivered(good))
        clock.advance(seconds=5)
        assert await waiting
        assert not await tracked.delivered()
        assert tracked.status is SmsStatus.NUMERO_INVALIDO
        assert platform.requests["sms.status"] == 0


async def test_receipts_of_the_trackers_client_wait_through_it(connectus):
    """Until it is left: then they ask by themselves again."""
    receipt = await connectus.sms.send(NUMBER, "Hola")
    async with Tracker(connectus, **NEVER) as tracker:
        waiting = asyncio.create_task(receipt.delivered())
        await asyncio.sleep(0)
        await tracker.handle(update(receipt.id, "ENTREGADO"))
        assert await waiting
    with pytest.raises(DeliveryTimeoutError):
        await receipt.delivered(timeout=0.01)


async def test_an_event_that_is_faster_than_the_receipt_is_not_lost(connectus):
    """It is there when the SMS is followed."""
    async with Tracker(connectus, **NEVER) as tracker:
        await tracker.handle(update("a", "ENTREGADO"))
        assert await tracker.delivered("a", timeout=1)


async def test_a_number_in_hexadecimal_digits_is_the_same_in_capitals(connectus, emulator):
    """Whether the receipt has it or the webhook, and whichever came first."""
    low, high = "c7925e64955445bbbe0ae39339b9514c", "C7925E64955445BBBE0AE39339B9514C"
    for known, told in [(low, high), (high, low)]:
        async with Tracker(connectus, **NEVER) as tracker:
            tracked = tracker.track(known)
            assert tracker.track(told) is tracked
            assert tracked.id == known
            await tracker.handle(update(told, "ENTREGADO"))
            assert await tracked.delivered(timeout=1)
        async with Tracker(connectus, **NEVER) as tracker:
            await tracker.handle(update(told, "ENTREGADO"))
            assert await tracker.delivered(known, timeout=1)
            tracker.track("abc")
            await tracker.handle(update("ABC", "ENTREGADO"))
            assert tracker.track("abc").status is None


async def test_out_of_order_and_twice_it_ends_with_the_same_status(connectus):
    """And only news is passed on."""
    words = ["ESPERANDO_RESPUESTA", "EN_COLA", "NO_ENTREGABLE", "ENTREGADO", "NO_ENTREGABLE"]
    async with Tracker(connectus, **NEVER) as tracker:
        tracked = tracker.track("a")
        events = tracker.events()
        first = asyncio.create_task(anext(events))
        await asyncio.sleep(0)
        for word in words:
            for _ in range(2):
                await tracker.handle(update("a", word))
                await tracker.handle(update("b", word))
        told = [await first, *[await anext(events) for _ in range(5)]]
        assert tracked.status is SmsStatus.ENTREGADO
        assert repr(tracked) == "<Tracked <SmsStatus 'ENTREGADO'>>"
    assert [event async for event in events] == []
    for id_sms in ("a", "b"):
        mine = [event.status.value for event in told if event.id_sms == id_sms]
        assert mine == ["ESPERANDO_RESPUESTA", "NO_ENTREGABLE", "ENTREGADO"]


async def test_what_is_no_status_is_passed_on_as_it_is(connectus):
    """Replies, events without an id, and events of a kind that is new."""
    sent = [IncomingSms(id_sms="a"), UnknownEvent(), StatusUpdate(id_sms="a"), update(None, "X")]
    async with Tracker(connectus, **NEVER) as tracker:
        events = tracker.events()
        first = asyncio.create_task(anext(events))
        await asyncio.sleep(0)
        for event in sent:
            await tracker.handle(event)
        assert [await first, *[await anext(events) for _ in sent[1:]]] == sent


async def test_who_stops_reading_events_holds_up_nobody(connectus):
    """What was not read is dropped with the iterator."""
    async with Tracker(connectus, **NEVER) as tracker:
        events = tracker.events()
        first = asyncio.create_task(anext(events))
        await asyncio.sleep(0)
        await tracker.handle(update("a", "EN_COLA"))
        await first
        await events.aclose()
        await tracker.handle(update("a", "ENTREGADO"))
        assert await tracker.delivered("a")


async def test_where_no_webhook_comes_the_api_is_asked(connectus, emulator, clock):
    """What the poll finds is an event too, and the polls end with it."""
    asked_twice = asyncio.Event()
    after = Fault.call(after=lambda number: asked_twice.set() if number == 2 else None)
    emulator.fault(after, route="sms.status")
    receipt = await connectus.sms.send(NUMBER, "Hola")
    async with Tracker(connectus, **SOON) as tracker:
        event = asyncio.create_task(anext(tracker.events()))
        await asyncio.sleep(0)
        tracked = tracker.track(receipt)
        await asked_twice.wait()
        assert tracked.status is None
        clock.advance(seconds=5)
        assert await tracked.delivered(timeout=10)
        assert await event == update(receipt.id, "ENTREGADO")
        await tracker.until_final(timeout=10)
        asked = emulator.requests["sms.status"]
        assert await tracker.poll() == 0
        assert emulator.requests["sms.status"] == asked


async def test_a_poll_that_fails_is_survived(connectus, emulator, clock):
    """Not found, a server error, a reset connection, an answer that is none."""
    receipt = await connectus.sms.send(NUMBER, "Hola")
    clock.advance(seconds=5)
    faults = [Fault.status(404), Fault.status(503), Fault.reset_after(), Fault.garbage()]
    placed = [emulator.fault(fault, route="sms.status", times=1) for fault in faults]
    hasty = connectus.with_options(max_retries=0)
    async with Tracker(hasty, **SOON) as tracker:
        assert await tracker.delivered(receipt, timeout=10)
    assert [fault.fired for fault in placed] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthenticationError), (403, PermissionDeniedError)]
)
async def test_an_api_that_refuses_to_be_asked_ends_the_wait(connectus, emulator, status, kind):
    """The same question would get the same answer for ever."""
    receipt = await connectus.sms.send(NUMBER, "Hola")
    with emulator.fault(Fault.status(status), route="sms.status"):
        async with Tracker(connectus, **SOON) as tracker:
            with pytest.raises(kind):
                await tracker.delivered(receipt, timeout=10)
        async with Tracker(connectus, **NEVER) as tracker:
            tracker.track(receipt)
            with pytest.raises(kind):
                await tracker.poll()


async def test_an_sms_is_given_up_after_a_time(connectus, emulator):
    """It is not asked for any more; an event may still come."""
    receipt = await connectus.sms.send(ENDLESS, "Hola")
    async with Tracker(connectus, **SOON, patience=0.05) as tracker:
        tracked = tracker.track(receipt)
        with pytest.raises(DeliveryTimeoutError, match="within the tracking time"):
            await tracked.delivered()
        await tracker.until_final(timeout=1)
        await tracker.handle(update(receipt.id, "ENTREGADO"))
        assert await tracked.delivered()


async def test_there_are_so_many_polls_at_a_time_at_most(connectus, emulator, clock):
    """However many SMS are followed."""
    under_way, peak = 0, 0

    async def begin(_):
        nonlocal under_way, peak
        under_way += 1
        peak = max(peak, under_way)
        await asyncio.sleep(0)

    async def end(_):
        nonlocal under_way
        under_way -= 1

    receipts = [await connectus.sms.send(NUMBER, f"Hola {number}") for number in range(50)]
    clock.advance(seconds=5)
    emulator.fault(Fault.call(before=begin, after=end), route="sms.status")
    async with Tracker(connectus, **NEVER, concurrency=3) as tracker:
        tracked = [tracker.track(receipt) for receipt in receipts]
        assert await tracker.poll() == 0
        assert all([await sms.delivered() for sms in tracked])
    assert 1 < peak <= 3


async def test_polls_can_be_left_out(connectus, emulator, clock):
    """Then only webhooks tell, and `poll` on demand."""
    receipt = await connectus.sms.send(NUMBER, "Hola")
    clock.advance(seconds=5)
    async with Tracker(connectus, **SOON, polls=False) as tracker:
        with pytest.raises(DeliveryTimeoutError):
            await tracker.delivered(receipt, timeout=0.1)
        with pytest.raises(DeliveryTimeoutError):
            await tracker.until_final(timeout=0.01)
        assert emulator.requests["sms.status"] == 0
        assert await tracker.poll() == 0


async def test_leaving_ends_every_wait(connectus):
    """With a sentence, and without a task that stays behind."""
    before = asyncio.all_tasks()
    async with Tracker(connectus, **SOON) as tracker:
        tracked = tracker.track("a")
        waiting = asyncio.create_task(tracked.delivered())
        await asyncio.sleep(0)
    with pytest.raises(ConfigurationError, match="was left before there was a final status"):
        await waiting
    for use in (tracker.poll, tracker.until_final, lambda: tracker.handle(UnknownEvent())):
        with pytest.raises(ConfigurationError, match="must be entered first"):
            await use()
    with pytest.raises(ConfigurationError, match="was entered before"):
        await tracker.__aenter__()
    assert asyncio.all_tasks() == before


async def test_a_closed_client_ends_the_wait(emulator):
    """Nobody can ask any more."""
    connectus = client_of(emulator)
    async with Tracker(connectus, **SOON) as tracker:
        tracked = tracker.track("a")
        await connectus.close()
        with pytest.raises(ClientClosedError):
            await tracked.delivered(timeout=10)


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        ({"poll_after": 0}, "poll_after"),
        ({"poll_after_silence": -1}, "poll_after_silence"),
        ({"longest_pause": float("inf")}, "longest_pause"),
        ({"patience": True}, "patience"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 1.5}, "concurrency"),
        ({"ledger": 7}, "ledger"),
    ],
)
async def test_an_option_that_makes_no_sense_is_named(connectus, options, setting):
    """Before anything is asked."""
    with pytest.raises(ConfigurationError) as caught:
        Tracker(connectus, **options)
    assert caught.value.setting == setting


async def test_the_blocking_client_cannot_be_asked_by_a_tracker():
    """It would hold up the event loop."""
    with (
        closing(Connectus("user", "key")) as connectus,
        pytest.raises(ConfigurationError, match="connectus: must be an AsyncConnectus"),
    ):
        tracking.Tracker(connectus)
