"""Large messages in a campaign: as many at a time as there is room for."""

import asyncio
from typing import Any

import pytest
from hostile import HostileServer, http, keep_alive

from connectus_async import AsyncConnectus, Email, State
from connectus_async.bulk.channels import LARGE
from connectus_async.bulk.weighted_semaphore import WeightedSemaphore

COUNT = 12


def emails(size: int) -> list[Email]:
    return [
        Email(f"a{number}@example.com", "Hola", "x" * size, src_email="b@example.com")
        for number in range(COUNT)
    ]


async def connections_of(messages: list[Email]) -> int:
    """Send them at once, and count the connections that it took."""
    async with (
        HostileServer(keep_alive(http())) as server,
        AsyncConnectus("user", "key", base_url=server.url) as connectus,
        connectus.bulk(ledger=None, concurrency=COUNT) as bulk,
    ):
        summary = await bulk.run(messages)
    assert summary.accepted == COUNT
    return server.connections


async def test_large_messages_go_as_many_at_a_time_as_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
):
    """Each is in memory several times while it is sent: 32 of 4 MB took 840 MB."""
    monkeypatch.setattr("connectus_async.bulk.run.LARGE_CHARACTERS", 3 * LARGE)

    assert await connections_of(emails(LARGE)) == 3
    assert await connections_of(emails(9 * LARGE)) == 1
    assert await connections_of(emails(LARGE - 1)) > 3


async def test_room_is_given_on_whatever_becomes_of_who_had_it_or_waits_for_it():
    """A message that fails, or whose worker is cancelled, keeps no other from being sent."""
    semaphore = WeightedSemaphore(10)
    entered = []

    async def stay(size: int) -> None:
        async with semaphore.taken(size):
            entered.append(size)
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(stay(size)) for size in (20, 4, 5, 6)]
    for _ in range(3):
        await asyncio.sleep(0)
    assert entered == [20]
    tasks[1].cancel()
    tasks[0].cancel()
    await asyncio.wait(tasks[:2])
    for _ in range(3):
        await asyncio.sleep(0)
    assert entered == [20, 5]
    tasks[2].cancel()
    await asyncio.wait(tasks[2:3])
    for _ in range(3):
        await asyncio.sleep(0)
    assert entered == [20, 5, 6]
    tasks[3].cancel()
    await asyncio.wait(tasks)


async def test_an_email_whose_content_is_no_text_is_invalid():
    """Its size cannot be told, and what comes after it is sent."""
    wrong: Any = None
    messages = [
        Email("ana@example.com", "S", wrong, src_email="a@example.cl"),
        Email("eva@example.com", "S", "Hola", src_email="a@example.cl"),
    ]
    async with (
        HostileServer(keep_alive(http())) as server,
        AsyncConnectus("user", "key", base_url=server.url) as connectus,
        connectus.bulk(concurrency=1) as bulk,
    ):
        outcomes = [outcome.state async for outcome in bulk.stream(messages)]

    assert outcomes == [State.SKIPPED, State.ACCEPTED]
