"""The way of the outcomes from the workers to one reader: none is lost, and few are waiting."""

import asyncio

import pytest

from connectus_async import Outcome
from connectus_async.bulk.outcome_queue import OutcomeQueue
from connectus_async.bulk.outcomes import MessageOutcome
from connectus_async.ledger.states import State

TURNS = 10


def outcome(index: int) -> MessageOutcome:
    return MessageOutcome(
        index=index, line=None, message=None, state=State.ACCEPTED, outcome=Outcome.ACCEPTED
    )


async def turns() -> None:
    """Let everything run that can run without anybody's doing."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def write(queue: OutcomeQueue, *indexes: int) -> None:
    for index in indexes:
        turn = queue.add(outcome(index))
        if turn is not None:
            await turn


async def test_outcomes_come_in_the_order_in_which_they_were_put():
    """The oldest is read first."""
    queue = OutcomeQueue(10)
    await write(queue, *range(5))
    queue.finish()

    taken = []
    while (item := await queue.take()) is not None:
        taken.append(item.index)

    assert taken == [0, 1, 2, 3, 4]


async def test_a_reader_waits_for_the_next_outcome():
    """An empty queue that is not finished holds the reader up."""
    queue = OutcomeQueue(10)
    reader = asyncio.create_task(queue.take())
    await turns()
    assert not reader.done()

    await write(queue, 7)

    item = await reader
    assert item is not None
    assert item.index == 7


async def test_a_slow_reader_holds_the_writers_up():
    """So memory is flat: no more than the limit waits, and one writer goes on for each taken."""
    queue = OutcomeQueue(2)
    writers = [asyncio.create_task(write(queue, index)) for index in range(4)]
    await turns()
    assert sum(writer.done() for writer in writers) == 1

    await queue.take()
    await turns()
    assert sum(writer.done() for writer in writers) == 2

    for _ in range(3):
        await queue.take()
    await turns()
    assert all(writer.done() for writer in writers)


async def test_what_was_put_before_the_end_is_read_before_it():
    """The end says that no more comes, not that what came is dropped."""
    queue = OutcomeQueue(10)
    await write(queue, 1)
    queue.finish()

    first = await queue.take()
    assert first is not None
    assert first.index == 1
    assert await queue.take() is None
    assert await queue.take() is None


async def test_the_end_wakes_a_reader_that_waits():
    """A reader of an empty queue learns of the end."""
    queue = OutcomeQueue(10)
    reader = asyncio.create_task(queue.take())
    await turns()

    queue.finish()

    assert await reader is None


async def test_writers_go_on_when_nobody_reads_any_more():
    """Workers that have outcomes to name are let go, those who wait and those who come later."""
    queue = OutcomeQueue(1)
    writers = [asyncio.create_task(write(queue, index)) for index in range(3)]
    await turns()
    assert not any(writer.done() for writer in writers)

    queue.abandon()
    await asyncio.gather(*writers)
    await write(queue, 8, 9)

    queue.finish()
    assert await queue.take() is None


async def test_a_reader_that_gave_up_takes_no_outcome_with_it():
    """A cancelled read loses nothing: the next one gets it."""
    queue = OutcomeQueue(10)
    reader = asyncio.create_task(queue.take())
    await turns()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader

    await write(queue, 3)

    item = await queue.take()
    assert item is not None
    assert item.index == 3


async def test_a_writer_that_gave_up_stands_in_nobodys_way():
    """Its outcome is read all the same, and the others are woken in their turn."""
    queue = OutcomeQueue(1)
    writers = [asyncio.create_task(write(queue, index)) for index in range(3)]
    await turns()
    writers[0].cancel()
    await turns()

    taken = [await queue.take() for _ in range(3)]
    await turns()

    assert [item.index for item in taken if item is not None] == [0, 1, 2]
    assert [writer.done() for writer in writers] == [True, True, True]
