"""One budget for all holders of a campaign: never exceeded, whatever becomes of them."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from doors import begin, entry, finish, opened, policy

from connectus_async import LedgerError, Sms, State
from connectus_async.bulk import guards
from connectus_async.client import AsyncConnectus
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger.abc import Ledger, SharedLedger
from connectus_async.ledger.postgres.budgets import SHARED_OUT
from connectus_async.ledger.postgres.store import PostgresStore
from connectus_async.ledger.records import Attendance
from connectus_async.ledger.states import SkipReason

FIRST = 56_960_000_000
LONG = "x" * 161


@pytest.fixture
async def holders(store: PostgresStore) -> AsyncIterator[list[SharedLedger]]:
    """Three holders of one campaign."""
    async with AsyncExitStack() as stack:
        found = [await stack.enter_async_context(opened(store)) for _ in range(3)]
        yield [shared(ledger) for ledger in found]


def shared(ledger: Ledger) -> SharedLedger:
    assert isinstance(ledger, SharedLedger)
    return ledger


async def test_a_budget_is_reserved_to_its_last_unit_and_not_further(
    holders: list[SharedLedger],
):
    """Parts become smaller, so that nobody has much of the last of it; what is needed is given."""
    first, second, third = holders
    assert await first.reserve(800, 1, 100) == 100
    assert await second.reserve(800, 1, 100) == (800 - 100) // SHARED_OUT
    assert await third.reserve(800, 500, 500) == 500
    assert await first.reserve(800, 114, 200) == 0
    assert await first.reserve(800, 113, 200) == 113
    assert await second.reserve(800, 1, 100) == 0
    await first.give_back(3)
    assert await second.reserve(800, 3, 100) == 3


async def test_what_is_reserved_at_the_same_moment_is_never_more_than_the_budget(
    holders: list[SharedLedger],
):
    """Units that are given back go to others, and in the end nothing is left."""
    dice = random.Random(7)
    most = total = 0

    async def use(ledger: SharedLedger) -> None:
        nonlocal most, total
        while units := await ledger.reserve(500, 1, dice.randint(1, 50)):
            total += units
            most = max(most, total)
            unused = dice.randint(0, units // 2)
            total -= unused
            await ledger.give_back(unused)

    await asyncio.gather(*map(use, holders))
    assert (total, most) == (500, 500)


async def test_a_holder_that_is_alone_counts_what_was_taken(store: PostgresStore):
    """What an earlier one reserved and did not use, as it died, is free again."""
    async with opened(store) as ledger:
        await shared(ledger).reserve(100, 50, 50)
        for key, state in (("a", State.ACCEPTED), ("b", State.UNKNOWN), ("c", State.REJECTED)):
            await finish(ledger, entry(key, billed=10), state, "because")
        await begin(ledger, entry("d", billed=10))
    async with opened(store) as ledger:
        assert await shared(ledger).reserve(100, 51, 51) == 0
        await shared(ledger).count_budget()
        assert await shared(ledger).reserve(100, 71, 71) == 0
        assert await shared(ledger).reserve(100, 70, 70) == 70
        await shared(ledger).count_budget(kept=20)
        assert await shared(ledger).reserve(100, 50, 50) == 50


async def test_beside_another_holder_nobody_counts(holders: list[SharedLedger]):
    """It may have reserved what no message has taken yet."""
    first, second, _ = holders
    assert await first.reserve(100, 60, 60) == 60
    await second.count_budget()
    assert await second.reserve(100, 41, 41) == 0


async def test_beside_one_who_does_not_reserve_there_is_no_budget(store: PostgresStore):
    """Nobody knows what that one sends; alone, one can count it."""
    async with opened(store) as ledger, opened(store) as other:
        assert await shared(ledger).reserve(100, 1, 8) == 8
        await other.attend(Attendance(reserves=False))
        await shared(ledger).count_budget()
        with pytest.raises(LedgerError, match="without a budget by somebody else"):
            await shared(ledger).reserve(100, 1, 8)
        await finish(other, entry("a", billed=90))
    async with opened(store) as ledger:
        await shared(ledger).count_budget()
        assert await shared(ledger).reserve(100, 11, 11) == 0
        assert await shared(ledger).reserve(100, 10, 10) == 10


async def test_a_dry_run_takes_nothing_of_the_budget(store: PostgresStore):
    """It counts in its copy."""
    async with opened(store) as ledger:
        await finish(ledger, entry("a", billed=90))
    trial = store.trial()
    await trial.open(policy())
    await shared(trial).count_budget()
    assert await shared(trial).reserve(100, 10, 10) == 10
    await trial.close()
    async with opened(store) as ledger:
        await shared(ledger).count_budget()
        assert await shared(ledger).reserve(100, 10, 10) == 10


async def test_all_who_send_share_a_budget(
    emulator: Emulator, settings: dict, postgres_ledger: str, monkeypatch: pytest.MonkeyPatch
):
    """Many at a time, refused ones and long ones among them, take no unit too many."""
    monkeypatch.setattr(guards, "PORTION", 7)
    emulator.fault(Fault.status(400), route="sms.send", share=0.3)
    emulator.fault(Fault.reset_after(), route="sms.send", share=0.2)
    source = [Sms(FIRST + index, LONG if index % 3 else "Hola") for index in range(120)]
    options = {"ledger": postgres_ledger, "concurrency": 8, "budget": 60}
    async with AsyncConnectus(**settings) as client, client.bulk(**options) as first:
        await first.load(source)
        async with client.bulk(**options) as second:
            summaries = await asyncio.gather(first.run(), second.run())
        spent = await first.spent()

    skipped = sum(summary.skipped_by[SkipReason.OVER_BUDGET] for summary in summaries)
    assert spent == sum(-(-len(message.content) // 160) for message in emulator.received)
    assert 50 < spent <= 60
    assert skipped > 0
    assert sum(summary.total for summary in summaries) == 120


async def test_what_was_not_used_is_there_for_the_next_run(
    emulator: Emulator, settings: dict, postgres_ledger: str
):
    """A run gives back what it reserved, and a larger budget takes up what a smaller one left."""
    messages = [Sms(FIRST + index, "Hola") for index in range(10)]
    async with AsyncConnectus(**settings) as client:
        for budget, accepted, source in ((4, 4, messages), (6, 2, None), (50, 4, None)):
            async with client.bulk(ledger=postgres_ledger, budget=budget) as bulk:
                assert (await bulk.run(source)).accepted == accepted
        async with client.bulk(ledger=postgres_ledger, budget=12) as bulk:
            more = [Sms(FIRST + 10 + index, "Hola") for index in range(3)]
            assert (await bulk.run(more)).accepted == 2
    assert len(emulator.received) == 12
