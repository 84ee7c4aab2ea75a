"""Outcomes of a load: one for each row that will not be sent. `loading` does the load itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from connectus_async.bulk.channels import Channel
from connectus_async.bulk.feed import ROWS_A_READ
from connectus_async.bulk.outcomes import MessageOutcome
from connectus_async.errors import InvalidArgumentError, Outcome
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.records import Loaded
from connectus_async.ledger.states import HAS_ANOTHER, SkipReason, State
from connectus_async.products.messages import Row

OnRow = Callable[[Row, Loaded], Awaitable[None]]


async def outcomes_of_load(
    load: Callable[[OnRow], Awaitable[object]],
    ledger: Ledger,
    channels: Mapping[str, Channel],
    limit: int,
) -> AsyncIterator[MessageOutcome]:
    """Load a source to its end, and yield the outcome of each row that will not be sent.

    Args:
        load: Loads the source, and calls its argument with each row and its result.
        ledger: The ledger.
        channels: Channel of each kind of message.
        limit: Maximum number of outcomes that wait to be taken.
    """
    found: asyncio.Queue[MessageOutcome | None] = asyncio.Queue(limit)
    index = 0

    async def record(row: Row, loaded: Loaded) -> None:
        nonlocal index
        comes_later = loaded.skipped is not None and loaded.known is not None
        will_be_sent = loaded.skipped is None and loaded.known in (None, State.QUEUED)
        if not (comes_later or will_be_sent):
            await found.put(_skipped(index, row, loaded))
        index += 1

    async def load_all() -> None:
        try:
            await load(record)
        finally:
            await found.put(None)

    loading = asyncio.create_task(load_all())
    try:
        while (outcome := await found.get()) is not None:
            yield outcome
        await loading
    finally:
        loading.cancel()
        await asyncio.wait([loading])
    last = 0
    while rows := await ledger.left_out(last, ROWS_A_READ):
        last = rows[-1][0]
        for _, entry in rows:
            row = Row(entry.line, channels[entry.kind].restored(entry))
            yield _skipped(index, row, Loaded(SkipReason.HAS_ANOTHER), HAS_ANOTHER)
            index += 1


def _skipped(index: int, row: Row, loaded: Loaded, why: str | None = None) -> MessageOutcome:
    error = row.content if isinstance(row.content, Exception) else None
    known = loaded.known or "an earlier row"
    reason = why or str(loaded.skipped or f"the campaign has it already: {known}")
    return MessageOutcome(
        index=index,
        line=row.line,
        message=None if isinstance(row.content, Exception) else row.content,
        state=State.SKIPPED,
        outcome=Outcome.NOT_SENT,
        skipped=loaded.skipped or SkipReason.DUPLICATE,
        error=error or InvalidArgumentError("message", reason),
    )
