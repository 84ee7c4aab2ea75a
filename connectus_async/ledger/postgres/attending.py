"""Attendance of holders: the orders of the user, their shares of one rate, and what they tell.

All of it is one row of a campaign, and one statement for each report. A share is a rate that its
holder may use for `SHARE_SECONDS`, by the server's clock, and all shares that are in use are never
more than the rate together. So the share of a holder that died is unused until then, and a new
holder waits until the others have made room, which they do with their next report.

Shares are as equal as the demand allows: none is above a level, and who has use for less leaves the
rest to the others. What nobody has use for is shared out as well, for it may be needed before the
next report.
"""

import math
from typing import Final

from connectus_async.ledger.postgres import sending
from connectus_async.ledger.postgres.connection import AsyncConnection
from connectus_async.ledger.records import Attendance, Instructions, Orders, Throttling
from connectus_async.ledger.texts import storable

SHARE_SECONDS: Final = 2.0

_NOW: Final = "extract(epoch FROM clock_timestamp())::double precision"
_TOTAL: Final = "coalesce(control.rate, %(rate)s::double precision)"

_SHARES: Final = f"""
WITH other AS (
    SELECT key AS worker, value AS share, (value->>'rate')::double precision AS rate,
        (value->>'demand')::double precision AS demand
    FROM jsonb_each(control.shares)
    WHERE key <> %(worker)s::text AND (value->>'until')::double precision > {_NOW}
),
wanted AS (
    SELECT least(demand, {_TOTAL}) AS rate
    FROM (SELECT demand FROM other UNION ALL SELECT %(demand)s::double precision) AS it
    WHERE demand IS DISTINCT FROM 0
),
level AS (
    SELECT max(({_TOTAL} - smaller) / takers) AS rate FROM (
        SELECT coalesce(sum(rate) OVER (
                ORDER BY rate ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ), 0) AS smaller,
            count(*) OVER (ORDER BY rate ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS takers
        FROM wanted
    ) AS it
),
surplus AS (
    SELECT ({_TOTAL} - sum(least(wanted.rate, level.rate))) / count(*) AS rate FROM wanted, level
),
mine AS (
    SELECT CASE WHEN {_TOTAL} IS NULL THEN NULL WHEN %(demand)s::double precision = 0 THEN 0
        ELSE greatest(0, least(
            least(%(demand)s::double precision, level.rate) + surplus.rate,
            {_TOTAL} - (SELECT coalesce(sum(rate), 0) FROM other)
        )) END AS rate
    FROM level, surplus
)
SELECT jsonb_object_agg(worker, share) FROM (
    SELECT worker, share FROM other
    UNION ALL SELECT %(worker)s::text, jsonb_build_object(
        'rate', rate, 'demand', %(demand)s::double precision, 'until', {_NOW} + {SHARE_SECONDS}
    ) FROM mine
) AS it
"""
"""The shares after a report. Sub-queries read nothing but the row that is updated, so that they see
the last change of it, also if the statement had to wait for that."""

STOP: Final = "SELECT stopped FROM control WHERE campaign = %s"

_IS_ENDED: Final = "%(is_start)s AND stopped = %(stop_heard)s"

ORDERED: Final = ("paused_until", "paused_by", "stopped", "starts_at", "starts_zone")
"""Orders that count for all holders alike."""

ATTEND: Final = f"""
UPDATE control SET
    stopped = CASE WHEN {_IS_ENDED} THEN NULL ELSE coalesce(stopped, %(stopped)s) END,
    throttled_at = greatest(throttled_at, {_NOW} - %(age)s::double precision),
    waits_until = CASE WHEN {_IS_ENDED} THEN NULL
        ELSE greatest(waits_until, {_NOW} + %(retry_after)s::double precision) END,
    taken = CASE WHEN %(reserves)s THEN taken END,
    shares = ({_SHARES})
WHERE campaign = %(campaign)s
RETURNING {_NOW}, (shares->%(worker)s::text->>'rate')::double precision,
    throttled_at, waits_until, {", ".join(ORDERED)}
"""


class Attending:
    """Attendance of one holder.

    Args:
        worker: Its number.
        stop_heard: The reason to stop that it found when it joined.
    """

    def __init__(self, worker: int, stop_heard: str | None) -> None:
        self._worker = worker
        self._stop_heard = stop_heard
        self._heard: tuple[float | None, float | None] | None = None

    async def report(
        self, connection: AsyncConnection, campaign: int, attendance: Attendance
    ) -> Instructions:
        """Make a report. See `SendingLedger.attend`."""
        age, retry_after = attendance.throttling or (None, None)
        values = {
            "campaign": campaign,
            "worker": self._worker,
            "is_start": attendance.is_start,
            "stop_heard": self._stop_heard,
            "rate": attendance.rate,
            "demand": attendance.demand,
            "age": age,
            "retry_after": retry_after,
            "reserves": attendance.reserves,
            "stopped": None if attendance.stopped is None else storable(attendance.stopped),
        }
        row = await sending.one(connection, ATTEND, values)
        now, rate, throttled_at, waits_until, *ordered = row
        orders = Orders(**dict(zip(ORDERED, ordered, strict=True)))
        self._stop_heard = orders.stopped
        heard, self._heard = self._heard, (throttled_at, waits_until)
        is_new = heard != self._heard if heard else (waits_until or 0.0) > now
        throttling = None
        if is_new and throttled_at is not None and attendance.throttling is None:
            throttling = Throttling(now - throttled_at, max(0.0, (waits_until or 0.0) - now))
        return Instructions(
            rate=rate,
            lasts=math.inf if rate is None else SHARE_SECONDS,
            paused_for=orders.paused_for(now),
            paused_by=orders.paused_by,
            stopped=orders.stopped,
            throttling=throttling,
            starts_in=orders.starts_in(now),
            starts_zone=orders.starts_zone,
        )
