"""Handing out of tickets: a queue in the same database gets them in a transaction of the ledger."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from connectus_async.errors import LedgerError
from connectus_async.ledger.metadata_names import LOADED
from connectus_async.ledger.postgres import problems
from connectus_async.ledger.postgres.connection import AsyncConnection

IS_LOADED: Final = f"""
SELECT campaign.name FROM campaign JOIN metadata ON metadata.campaign = campaign.id
WHERE campaign.id = %s AND metadata.name = '{LOADED}' AND value = '1' FOR SHARE OF metadata
"""
"""Whoever loads it again waits until the tickets are there."""

AS_OTHERS: Final = "SET LOCAL search_path TO DEFAULT"
"""The queue is where all programs of the user find it, outside our schema."""


async def hand_out(
    connection: AsyncConnection,
    campaign: int,
    *,
    place: str,
    defer: Callable[[Any, str], Awaitable[object]],
) -> None:
    """Let a function defer tickets for a campaign. See `SharedLedger.hand_out`."""
    async with connection.transaction():
        cursor = await connection.execute(IS_LOADED, (campaign,))
        row = await cursor.fetchone()
        if row is None:
            raise LedgerError(place, problems.NOT_LOADED)
        await connection.execute(AS_OTHERS)
        await defer(connection, *row)
