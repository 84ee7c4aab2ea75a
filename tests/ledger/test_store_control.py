"""Conformance of stores: orders from any terminal, and what becomes of them."""

import math
import os
import time

import pytest
from anyio.to_thread import run_sync
from doors import opened, policy
from stores import every_variant

from connectus_async import LedgerError
from connectus_async.ledger.abc import Ledger, LedgerStore
from connectus_async.ledger.records import Attendance, Instructions, NewOrders, Orders


async def order(store: LedgerStore, **orders: object) -> None:
    """Give orders as another terminal does."""
    await run_sync(lambda: store.control().change(**orders))


async def instructions(ledger: Ledger, **attendance: object) -> Instructions:
    return await ledger.attend(Attendance(**attendance))


def test_a_ledger_that_is_not_there_takes_no_orders(store: LedgerStore):
    """It is named, and nothing is created."""
    control = store.control()
    for use in (control.orders, lambda: control.change(rate=5.0)):
        for _ in range(2):
            with pytest.raises(LedgerError) as refused:
                use()
            assert str(refused.value).startswith(f"{refused.value.ledger}: ")


@every_variant
async def test_orders_stay_until_they_are_changed(store: LedgerStore):
    """Each by itself, whether somebody sends or not."""
    async with opened(store):
        assert await run_sync(store.control().orders) == Orders()
    given: list[NewOrders] = [
        {"paused_until": math.inf, "paused_by": "ana"},
        {"stopped": "that is enough: ñ"},
        {"rate": 2.5},
        {"starts_at": 1_900_000_000.0, "starts_zone": "America/Santiago"},
        {"paused_until": 1_800_000_000.25},
        {"rate": None, "stopped": None},
        {"paused_until": None, "paused_by": None},
    ]
    expected = Orders()
    for orders in given:
        await order(store, **orders)
        expected = expected._replace(**orders)
        assert await run_sync(store.control().orders) == expected
        async with opened(store):
            assert await run_sync(store.control().orders) == expected


async def test_without_orders_a_holder_sends_as_it_was_started(store: LedgerStore):
    """With its own rate, or without any."""
    async with opened(store) as ledger:
        for rate in (None, 7.0):
            assert (await instructions(ledger, is_start=True, rate=rate)).rate == rate
            found = await instructions(ledger, rate=rate)
            assert found == Instructions(rate=rate, lasts=found.lasts)


async def test_a_holder_that_sends_gets_new_orders(store: LedgerStore):
    """With its next report, and as often as it asks."""
    async with opened(store) as ledger:
        await instructions(ledger, is_start=True, rate=7.0)
        await order(store, paused_until=math.inf, paused_by="ana", rate=2.5, stopped="enough")
        for _ in range(2):
            found = await instructions(ledger, rate=7.0)
            assert (found.paused_for, found.paused_by) == (math.inf, "ana")
            assert (found.rate, found.stopped) == (2.5, "enough")
        await order(store, paused_until=None, rate=None, stopped=None)
        found = await instructions(ledger, rate=7.0)
        assert (found.paused_for, found.rate, found.stopped) == (0, 7.0, None)


async def test_a_pause_may_have_an_end(store: LedgerStore):
    """A holder is told for how long it lasts yet; one that is over is none."""
    async with opened(store) as ledger:
        await order(store, paused_until=time.time() + 1_000)
        assert 900 < (await instructions(ledger)).paused_for <= 1_000
        await order(store, paused_until=time.time() - 1)
        assert (await instructions(ledger)).paused_for == 0


async def test_a_start_may_be_scheduled(store: LedgerStore):
    """A pause does not move it, nor does a start by the user; once it has come, it is none."""
    async with opened(store) as ledger:
        later = time.time() + 1_000
        await order(store, starts_at=later, starts_zone="Asia/Tokyo", paused_until=time.time() + 9)
        await order(store, paused_until=None)
        found = await instructions(ledger, is_start=True)
        assert 900 < found.starts_in <= 1_000
        assert (found.starts_zone, found.paused_for) == ("Asia/Tokyo", 0)
        await order(store, starts_at=time.time() - 1)
        assert (await instructions(ledger)).starts_in == 0


async def test_a_start_by_the_user_ends_a_stop_and_nothing_else(store: LedgerStore):
    """Who only helps is stopped as well; a pause and a rate are for all who send from now on."""
    async with opened(store):
        await order(store, stopped="enough", paused_until=math.inf, rate=2.5)
    async with opened(store) as ledger:
        assert (await instructions(ledger, rate=7.0)).stopped == "enough"
        for is_start in (True, False):
            found = await instructions(ledger, rate=7.0, is_start=is_start)
            assert (found.stopped, found.paused_for, found.rate) == (None, math.inf, 2.5)


@pytest.mark.parametrize("earlier", [None, "enough"])
async def test_a_stop_that_is_ordered_while_a_start_opens_is_obeyed(
    store: LedgerStore, earlier: str | None
):
    """The start began before it, and may be loading for long. The next one ends it."""
    async with opened(store):
        await order(store, stopped=earlier)
    async with opened(store) as ledger:
        await order(store, stopped="no, really")
        assert (await instructions(ledger, is_start=True)).stopped == "no, really"
        assert (await instructions(ledger, is_start=True)).stopped is None


async def test_the_present_holder_is_known(store: LedgerStore):
    """By its machine and process, and since when."""
    before = time.time() - 1
    control = store.control()
    async with opened(store):
        (sender,) = await run_sync(control.senders)
        assert sender.place.endswith(f" PID {os.getpid()}")
        assert before <= sender.since <= time.time() + 1
    assert await run_sync(control.senders) == []


async def test_a_dry_run_changes_no_orders(store: LedgerStore):
    """It is no start of the campaign."""
    async with opened(store):
        await order(store, stopped="enough", rate=2.5)
    trial = store.trial()
    await trial.open(policy())
    await instructions(trial, is_start=True)
    await trial.close()

    assert await run_sync(store.control().orders) == Orders(stopped="enough", rate=2.5)
