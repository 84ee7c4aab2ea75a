"""One rate, one stop and one 429 for all holders of a campaign."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import psycopg
import pytest
from anyio.to_thread import run_sync
from doors import opened

from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.postgres.attending import SHARE_SECONDS
from connectus_async.ledger.postgres.store import PostgresStore
from connectus_async.ledger.records import Attendance, Instructions, Throttling
from connectus_async.postgres_server import PostgresServer

RATE = 120.0

SHARES = """
SELECT coalesce(sum((value->>'rate')::double precision), 0)
FROM connectus.control, jsonb_each(shares)
"""
READ_SHARES = "SELECT shares FROM connectus.control"
WRITE_SHARES = "UPDATE connectus.control SET shares = %s"

Holders = list[Ledger]


@pytest.fixture
async def holders(store: PostgresStore) -> AsyncIterator[Holders]:
    """Four holders of one campaign."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(opened(store)) for _ in range(4)]


@pytest.fixture
def pass_time(postgres: PostgresServer) -> Callable[[], None]:
    """Let all shares run out."""

    def pass_time() -> None:
        with psycopg.connect(postgres.address()) as connection:
            ((shares,),) = connection.execute(READ_SHARES)
            for share in shares.values():
                share["until"] -= SHARE_SECONDS
            connection.execute(WRITE_SHARES, [json.dumps(shares)])

    return pass_time


async def rates(*holders: Ledger, **attendance: object) -> list[float | None]:
    """Let holders report, one after the other."""
    return [(await holder.attend(Attendance(rate=RATE, **attendance))).rate for holder in holders]


async def settled(*holders: Ledger) -> list[float | None]:
    """Let holders report until each has heard of all."""
    await rates(*holders)
    await rates(*holders)
    return await rates(*holders)


async def test_holders_share_the_rate(holders: Holders):
    """Each has as much as the others, and it lasts for longer than until the next report."""
    assert await settled(*holders) == [RATE / 4] * 4
    found = await holders[0].attend(Attendance(rate=RATE))
    assert found == Instructions(rate=RATE / 4, lasts=SHARE_SECONDS)


async def test_who_comes_later_waits_until_the_others_have_made_room(holders: Holders):
    """At no moment are the shares in use more than the rate."""
    first, second, third, _ = holders
    assert await rates(first) == [RATE]
    assert await rates(second) == [0]
    assert await rates(first, second) == [RATE / 2, RATE / 2]
    assert await rates(third) == [0]
    assert await rates(second, third, first, third) == [RATE / 3, RATE / 6, RATE / 3, RATE / 3]


async def test_who_has_use_for_less_leaves_the_rest_to_others(holders: Holders):
    """All others have the same, and who has use for nothing has nothing."""
    first, second, third, fourth = holders
    await settled(*holders)
    assert await rates(first, demand=6.0) == [6]
    assert await rates(second, demand=0.0) == [0]
    assert await rates(third, fourth) == [57, 57]
    assert await rates(first, third, fourth, first) == [6, 40, 40, 40]
    assert await rates(second) == [0]


async def test_what_nobody_has_use_for_is_at_hand(holders: Holders):
    """Whoever comes to have use for it need not ask first; who has ended gets nothing."""
    first, second, third, _ = holders
    assert await rates(first, demand=1.0) == [RATE]
    await rates(second, demand=21.0)
    assert await rates(first, second, first, demand=21.0) == [RATE / 2] * 3
    await rates(third, demand=0.0)
    assert await rates(first, demand=1.0) == [(RATE - 22) / 2 + 1]


async def test_the_share_of_the_dead_is_unused_and_then_of_the_others(
    holders: Holders, pass_time: Callable[[], None]
):
    """Nobody else has it for as long as it may be in use."""
    assert await settled(*holders) == [RATE / 4] * 4
    *living, _ = holders
    assert await settled(*living) == [RATE / 4] * 3
    pass_time()
    assert await settled(*living) == [RATE / 3] * 3


async def test_reports_at_the_same_moment_never_share_out_more_than_the_rate(
    holders: Holders, postgres: PostgresServer
):
    """Each sees what the one before it took, though it waits for that one in the database."""
    dice = random.Random(7)

    async def report(holder: Ledger) -> None:
        for _ in range(25):
            demand = dice.choice([None, 0.0, 5.0, 50.0, 500.0])
            await holder.attend(Attendance(rate=RATE, demand=demand))

    reports = asyncio.gather(*map(report, holders))
    in_use: list[float] = []
    async with await psycopg.AsyncConnection.connect(
        postgres.address(), autocommit=True
    ) as connection:
        while not reports.done():
            cursor = await connection.execute(SHARES)
            in_use += [total async for (total,) in cursor]
    await reports

    assert len(set(in_use)) > 4
    assert max(in_use) <= RATE * 1.000_001


async def test_a_lower_rate_counts_at_once(holders: Holders, store: PostgresStore):
    """Nobody gets anything before the others have heard of it; then all have their part."""
    await settled(*holders)
    await run_sync(lambda: store.control().change(rate=RATE / 10))
    assert await rates(*holders[:3]) == [0, 0, 0]
    assert await settled(*holders) == [RATE / 40] * 4
    await run_sync(lambda: store.control().change(rate=RATE * 2))
    assert await settled(*holders) == [RATE / 2] * 4


async def test_without_a_rate_there_is_nothing_to_share(holders: Holders, store: PostgresStore):
    """Until there is an order of one."""
    unlimited = Attendance(rate=None)
    assert [await holder.attend(unlimited) for holder in holders] == [Instructions()] * 4
    await run_sync(lambda: store.control().change(rate=RATE))
    await settled(*holders)
    assert [(await holder.attend(unlimited)).rate for holder in holders] == [RATE / 4] * 4


async def test_a_reason_to_stop_is_the_reason_of_all(holders: Holders, postgres_ledger: str):
    """The first one, with the next report of each, and of whoever comes to help later."""
    first, second, *others = holders
    assert (await first.attend(Attendance(stopped="402: no balance"))).stopped == "402: no balance"
    await second.attend(Attendance(stopped="401: wrong key"))
    async with opened(PostgresStore(postgres_ledger)) as helper:
        for holder in (second, *others, helper):
            assert (await holder.attend(Attendance())).stopped == "402: no balance"
        assert (await helper.attend(Attendance(is_start=True))).stopped is None
    assert (await first.attend(Attendance())).stopped is None


async def test_a_429_slows_all_others_once(holders: Holders):
    """With its age, and for how long the API wants nothing more."""
    first, *others = holders
    for holder in holders:
        assert (await holder.attend(Attendance())).throttling is None
    told = Attendance(throttling=Throttling(age=2.0, retry_after=60.0))
    assert (await first.attend(told)).throttling is None

    for holder in others:
        throttling = (await holder.attend(Attendance())).throttling
        assert throttling is not None
        assert 2 <= throttling.age < 30
        assert 30 < throttling.retry_after <= 60
    for holder in holders:
        assert (await holder.attend(Attendance())).throttling is None


async def test_who_comes_while_the_api_wants_nothing_waits_as_well(
    holders: Holders, store: PostgresStore
):
    """Not so who comes after that, or after the user has started a campaign that was stopped."""
    first = holders[0]

    async def heard(**attendance: Any) -> Throttling | None:
        async with opened(store) as late:
            return (await late.attend(Attendance(**attendance))).throttling

    await first.attend(Attendance(throttling=Throttling(age=2.0, retry_after=0.0)))
    assert await heard() is None
    await first.attend(Attendance(throttling=Throttling(age=2.0, retry_after=60.0)))
    assert await heard() is not None
    assert await heard(is_start=True) is not None
    await first.attend(Attendance(stopped="429: too long"))
    assert await heard(is_start=True) is None


async def test_a_report_waits_for_no_question(holders: Holders):
    """A long one neither holds a holder back, nor makes it look dead."""
    first = holders[0]
    is_asked, goes_on = asyncio.Event(), asyncio.Event()

    async def question(*_: object) -> None:
        is_asked.set()
        await goes_on.wait()

    asking = asyncio.create_task(first.ask(question))  # type: ignore[attr-defined]
    await is_asked.wait()
    assert await rates(first) == [RATE]
    goes_on.set()
    await asking
