"""The budget of a campaign, of which each holder reserves parts.

``control.taken`` has the units that were reserved, whether they were used or not. It is ``NULL``
once somebody has sent who reserves nothing: see `attending`.
"""

from typing import Final

from connectus_async.errors import LedgerError
from connectus_async.ledger.postgres import problems, sending
from connectus_async.ledger.postgres.connection import AsyncConnection

SHARED_OUT: Final = 8
"""Part of what is left that one holder reserves at a time, unless it needs more."""

COUNT: Final = f"""
UPDATE control SET taken = coalesce(control.taken - before.taken, 0) + before.spent + %(kept)s
FROM (
    SELECT taken, ({sending.SPENT}) AS spent FROM control
    WHERE campaign = %(campaign)s AND NOT EXISTS (
        SELECT 1 FROM worker
        WHERE campaign = %(campaign)s AND id <> %(worker)s AND left_at IS NULL
    )
) AS before
WHERE control.campaign = %(campaign)s
"""
"""Holders that come meanwhile do not count, and what they reserve is kept."""

_PART: Final = f"""
CASE WHEN taken IS NULL THEN NULL WHEN taken + %(least)s > %(budget)s THEN 0
    ELSE greatest(%(least)s, least(%(most)s, (%(budget)s - taken) / {SHARED_OUT})) END
"""
RESERVE: Final = f"""
UPDATE control SET reserved = {_PART}, taken = taken + {_PART} WHERE campaign = %(campaign)s
RETURNING reserved
"""
GIVE_BACK: Final = "UPDATE control SET taken = taken - %s WHERE campaign = %s"


async def count(connection: AsyncConnection, campaign: int, *, worker: int, kept: int) -> None:
    """Count what was taken. See `SharedLedger.count_budget`."""
    await connection.execute(COUNT, {"campaign": campaign, "worker": worker, "kept": kept})


async def reserve(
    connection: AsyncConnection, campaign: int, *, name: str, budget: int, least: int, most: int
) -> int:
    """Reserve units of a budget. See `SharedLedger.reserve`."""
    values = {"campaign": campaign, "budget": budget, "least": least, "most": most}
    (units,) = await sending.one(connection, RESERVE, values)
    if units is None:
        raise LedgerError(name, problems.NO_BUDGET)
    return int(units)


async def give_back(connection: AsyncConnection, campaign: int, *, units: int) -> None:
    """Give units back."""
    await connection.execute(GIVE_BACK, (units, campaign))
