"""Release of loaded messages: no holder begins them before.

A load that ends without a release leaves its chunks as they were while it was loading, and names
in each the holder that is to release it. That holder asks somebody meanwhile; once it is gone,
another one may take its place. So those who send have nothing to look at but the state of a chunk.

A chunk that others have messages of in flight is recalled, and is as one that is loading when they
give it back. One that another holder fills as messages come stays with it: it begins only those.
"""

from collections.abc import Mapping
from typing import Any, Final

from connectus_async.errors import LedgerError
from connectus_async.ledger.postgres import problems, schema
from connectus_async.ledger.postgres.campaigns import Scope
from connectus_async.ledger.postgres.connection import AsyncConnection, Connection
from connectus_async.ledger.postgres.schema import (
    CHUNK,
    DONE,
    LOADING,
    OWNED,
    RECALLED,
    STREAMED,
    WAITING,
)
from connectus_async.ledger.records import Unreleased, Waiting

LOCK: Final = "SELECT FROM campaign WHERE id = %s FOR NO KEY UPDATE"
"""One holder at a time loads something, ends a load, or releases it."""

IS_OTHERS: Final = """
EXISTS (
    SELECT 1 FROM worker
    WHERE worker.id = chunk.releaser AND worker.id <> %(worker)s AND left_at IS NULL
)
"""
"""Condition on a chunk: another holder, which is present, is to release it."""

IS_UNRELEASED: Final = f"(releaser IS NOT NULL OR chunk.state = {LOADING} AND owner IS NULL)"
"""Condition on a chunk: it waits for a release, or is of a load that was broken off."""

HOLD: Final = f"""
SELECT count(*) FROM (
    SELECT FROM chunk WHERE campaign = %(campaign)s
        AND (state = {LOADING} OR state <> {DONE} AND %(takes)s OR id = ANY(%(touched)s))
    ORDER BY id FOR UPDATE
) AS it
"""
RECALL: Final = f"""
UPDATE chunk SET state = {RECALLED}
WHERE campaign = %(campaign)s AND owner <> %(worker)s AND state = {OWNED}
"""
BREAK_OFF: Final = f"""
UPDATE chunk SET state = {RECALLED}
WHERE campaign = %(campaign)s AND owner <> %(worker)s AND state = {LOADING}
    AND (%(replaces)s OR id = ANY(%(chunks)s))
RETURNING id
"""
"""For the newest load, which decides about those that go on as well."""

_HAS_OTHERS: Final = f"""
EXISTS (
    SELECT 1 FROM entry
    LEFT JOIN outcome ON outcome.id = entry.id AND outcome.id {schema.IN_CHUNK}
    WHERE entry.id {schema.IN_CHUNK} AND {schema.IS_QUEUED} AND reading <> %(load)s
        AND (mask IS NULL OR get_bit(mask, (entry.id - chunk.id * {CHUNK})::integer) = 0)
)
"""
"""It has queued messages that the load did not have."""

_IS_OURS: Final = f"""
CASE WHEN %(is_newest)s AND %(replaces)s
    THEN state = {LOADING} OR releaser IS NOT NULL OR id = ANY(%(touched)s)
WHEN releaser IS NULL THEN id = ANY(%(touched)s) OR state = {LOADING} AND (
    owner = %(worker)s AND id = ANY(%(made)s) OR %(is_newest)s AND id = ANY(%(chunks)s)
)
ELSE %(is_newest)s AND id = ANY(%(chunks)s) AND NOT {IS_OTHERS} AND NOT {_HAS_OTHERS} END
"""
"""The load decides whether it is released. Of what somebody is asked about, or was without a yes,
only a load that has all of it does."""

SETTLE: Final = f"""
WITH settled AS (
    UPDATE chunk SET owner = CASE WHEN stays THEN owner END, releaser = new_releaser,
        state = CASE WHEN is_streamed THEN {STREAMED}
        WHEN stays AND (new_releaser IS NOT NULL OR owner <> %(worker)s OR state = {RECALLED})
            THEN {RECALLED}
        WHEN stays THEN {OWNED} WHEN new_releaser IS NOT NULL THEN {LOADING}
        WHEN {schema.HAS_QUEUED} THEN {WAITING} ELSE {DONE} END
    FROM (
        SELECT *, is_streamed OR is_used AS stays, CASE
            WHEN NOT is_ours THEN releaser WHEN NOT %(releases)s THEN %(worker)s END AS new_releaser
        FROM (
            SELECT id AS place, releaser, {_IS_OURS} AS is_ours,
                owner IS NOT NULL AND {schema.HAS_IN_FLIGHT} AS is_used,
                state = {STREAMED} AND owner <> %(worker)s AS is_streamed
            FROM chunk
            LEFT JOIN unnest(%(chunks)s::bigint[], %(masks)s::bytea[]) AS seen (of_chunk, mask)
                ON of_chunk = id
            WHERE campaign = %(campaign)s AND (
                state IN ({WAITING}, {RECALLED}) AND %(takes)s
                OR state = {LOADING} AND %(is_loaded)s
                    AND (owner = %(worker)s AND releaser IS NOT NULL OR {_IS_OURS})
                OR state IN ({OWNED}, {STREAMED}) AND (
                    releaser IS NOT NULL AND %(takes)s
                    OR NOT %(releases)s AND id = ANY(%(touched)s)
                )
            )
            OFFSET 0
        ) AS it
    ) AS it
    WHERE id = place
    RETURNING id, stays
)
DELETE FROM begun USING settled WHERE begun.chunk = settled.id AND NOT stays
"""
"""A chunk with messages in flight stays its owner's, so that somebody is there who gives them up if
the owner dies."""

TAKE: Final = f"""
UPDATE chunk SET releaser = %(worker)s WHERE id IN (
    SELECT id FROM chunk
    WHERE campaign = %(campaign)s AND state <> {DONE} AND {IS_UNRELEASED} AND NOT {IS_OTHERS}
        AND (state <> {LOADING} OR owner IS NULL)
    ORDER BY id FOR UPDATE
)
"""
"""But for what somebody loads at the moment."""

TO_RELEASE: Final = f"""
SELECT id FROM chunk WHERE campaign = %(campaign)s AND state <> {DONE} AND releaser = %(worker)s
ORDER BY id FOR UPDATE
"""
RELEASE: Final = f"""
UPDATE chunk SET releaser = NULL, state = CASE WHEN state <> {LOADING} THEN state
    WHEN {schema.HAS_QUEUED} THEN {WAITING} ELSE {DONE} END
WHERE id = ANY(%(chunks)s)
"""
KEEP: Final = f"""
UPDATE chunk SET owner = %(worker)s, state = {OWNED}
WHERE id = ANY(%(chunks)s) AND state = {LOADING}
"""
"""Its releaser alone begins its messages, and gives back the rest unreleased."""

WAITS: Final = f"""
SELECT kind, count(*), sum(billed)::bigint, count(DISTINCT recipient) FROM message
WHERE campaign = %(campaign)s AND state = 'queued' AND id / {CHUNK} NOT IN (
    SELECT chunk.id FROM chunk WHERE chunk.campaign = %(campaign)s AND chunk.state <> {DONE}
        AND (releaser <> %(worker)s OR releaser IS NULL AND chunk.state = {LOADING})
)
GROUP BY kind
"""
UNRELEASED: Final = f"""
SELECT sum(messages)::bigint, place FROM (
    SELECT place, (
        SELECT count(*) FROM entry
        LEFT JOIN outcome ON outcome.id = entry.id AND outcome.id {schema.IN_CHUNK}
        WHERE entry.id {schema.IN_CHUNK} AND {schema.IS_QUEUED}
    ) AS messages
    FROM chunk LEFT JOIN worker ON worker.id = releaser AND left_at IS NULL
        AND seen_at > clock_timestamp() - lease * interval '1 second'
    WHERE chunk.campaign = %(campaign)s AND chunk.state <> {DONE} AND {IS_UNRELEASED}
) AS it
GROUP BY place HAVING sum(messages) > 0 ORDER BY place NULLS FIRST
"""


async def take(connection: AsyncConnection, campaign: int, *, worker: int) -> int:
    """Have to release what absent holders left. See `Ledger.take_unreleased`.

    Returns:
        The number of chunks that this holder has to release.
    """
    values = {"campaign": campaign, "worker": worker}
    async with connection.transaction():
        await connection.execute(LOCK, (campaign,))
        await connection.execute(TAKE, values)
        return len(await _to_release(connection, values))


async def release(
    connection: AsyncConnection, campaign: int, *, worker: int, name: str, least: int, to_all: bool
) -> None:
    """Release messages. See `Ledger.release`.

    Args:
        connection: The connection.
        campaign: The number of the campaign.
        worker: The number of this holder.
        name: The place's name, for messages.
        least: Number of chunks that this holder had to release when it asked.
        to_all: As in `Ledger.release`.
    """
    values: dict[str, Any] = {"campaign": campaign, "worker": worker}
    async with connection.transaction():
        await connection.execute(LOCK, (campaign,))
        values["chunks"] = await _to_release(connection, values)
        if len(values["chunks"]) < least:
            raise LedgerError(name, problems.LOADED_ANEW)
        await connection.execute(RELEASE if to_all else KEEP, values)


async def _to_release(connection: AsyncConnection, values: Mapping[str, Any]) -> list[int]:
    return [chunk async for (chunk,) in await connection.execute(TO_RELEASE, values)]


async def waiting(
    connection: AsyncConnection, campaign: int, *, worker: int
) -> Mapping[str, Waiting]:
    """Add up the messages that wait to be sent, by kind. See `Ledger.waiting`."""
    cursor = await connection.execute(WAITS, {"campaign": campaign, "worker": worker})
    return {kind: Waiting(*sums) async for kind, *sums in cursor}


def unreleased(connection: Connection, scope: Scope) -> list[Unreleased]:
    """Count the messages that nobody has released yet. See `LedgerReader.unreleased`."""
    return [Unreleased(count, place) for count, place in connection.execute(UNRELEASED, scope)]
