"""Messages that the end of a load skips: what its source replaces, and people it leaves out."""

import time
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import compress
from typing import Any, Final, LiteralString, TypeAlias

from connectus_async.ledger import metadata_names
from connectus_async.ledger.compact_map import CompactMap
from connectus_async.ledger.keys import recipient_key
from connectus_async.ledger.postgres import again, schema, sending
from connectus_async.ledger.postgres.connection import AsyncConnection
from connectus_async.ledger.postgres.schema import CHUNK, DONE, RECALLED
from connectus_async.ledger.records import INVALID, Corrects, Entry
from connectus_async.ledger.states import (
    CORRECTED_BECAUSE,
    LEFT_OUT_BECAUSE,
    MAY_BE_SENT,
    REPLACED_BECAUSE,
    SkipReason,
)

Scope: TypeAlias = Mapping[str, Any]
"""Parameters of the statements here: ``campaign``, ``worker``, the number of the load, the chunks
that it made, those in which it has seen messages of earlier loads again, a bit for each of these
messages, and the time."""

ROWS: Final = 5_000
"""Read or written at a time."""

_WITHIN: Final = f"BETWEEN chunk.id * {CHUNK} AND chunk.id * {CHUNK} + {CHUNK - 1}"

MESSAGES: Final = f"""
FROM chunk
LEFT JOIN unnest(%(chunks)s::bigint[], %(masks)s::bytea[]) AS seen (chunk, mask)
    ON seen.chunk = chunk.id
CROSS JOIN LATERAL (
    SELECT entry.id, line, recipient, outcome.state, reading, reading = %(load)s
        OR mask IS NOT NULL AND get_bit(mask, (entry.id - chunk.id * {CHUNK})::integer) = 1
        AS is_loaded
    FROM entry LEFT JOIN outcome ON outcome.id = entry.id AND outcome.id {_WITHIN}
    WHERE entry.id {_WITHIN}
    OFFSET 0
) AS it
WHERE chunk.campaign = %(campaign)s
"""
"""Chunk by chunk, whatever statistics the server has."""

QUEUED: Final = f"""
{MESSAGES} AND chunk.state <> {DONE}
AND (owner IS NULL OR owner = %(worker)s OR chunk.state = {RECALLED})
AND (it.state = 'queued' OR it.state IS NULL AND it.id > begun)
"""
"""Nobody begins these meanwhile: their chunks are locked, and have no other owner any more."""

OF_OTHERS: Final = "NOT is_loaded AND chunk.id NOT IN (SELECT unnest(%(made)s::bigint[]))"

SKIP: Final = """
INSERT INTO outcome (id, state, attempts, ended_at, reason)
SELECT id, 'skipped', 0, %(now)s, %(reason)s FROM ({numbers}) AS it (id)
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, ended_at = excluded.ended_at, reason = excluded.reason
WHERE outcome.state = 'queued'
"""
CORRECTED_LINES: Final = f"""
SELECT entry.line FROM outcome JOIN entry USING (id)
JOIN unnest(%(chunks)s::bigint[], %(masks)s::bytea[]) AS seen (chunk, mask)
    ON seen.chunk = outcome.id / {CHUNK}
WHERE outcome.{schema.CHANGEABLE} AND outcome.state = 'skipped' AND outcome.reason = %(corrected)s
    AND entry.campaign = %(campaign)s AND get_bit(mask, (outcome.id %% {CHUNK})::integer) = 1
"""
REPLACE: Final = SKIP.format(
    numbers=f"""
    SELECT it.id {QUEUED} AND {OF_OTHERS} AND (it.line IN ({CORRECTED_LINES})) IS NOT TRUE
    """
)
"""A row that waits with its correction keeps that."""
LEAVE_OUT: Final = SKIP.format(numbers="SELECT unnest(%(numbers)s::bigint[])")
SKIP_KNOWN: Final = SKIP.format(
    numbers=f"SELECT it.id {QUEUED} AND it.id = ANY(%(numbers)s::bigint[])"
)
MARK: Final = """
UPDATE entry SET reading = %(load)s
WHERE id = ANY(%(numbers)s::bigint[]) AND reading <> %(load)s
"""
"""So that they are found after the load: it has seen them again."""

HAVE_ANOTHER: Final = f"""
SELECT recipient, reading {MESSAGES} AND {OF_OTHERS} AND (
    it.state IN ({", ".join(f"'{state}'" for state in sorted(MAY_BE_SENT))})
    OR it.state IS NULL AND it.id <= begun
)
"""
"""People who got, or may have got, something that the source does not have any more."""

MAY_BE_LEFT_OUT: Final = f"SELECT it.id, recipient {QUEUED} AND is_loaded"

LEFT_OUT: Final = f"""
SELECT it.* FROM outcome CROSS JOIN LATERAL (
    SELECT id, {", ".join(Entry._fields)} FROM entry
    WHERE entry.id = outcome.id AND campaign = %(campaign)s AND reading = %(load)s OFFSET 0
) AS it
WHERE {schema.CHANGEABLE} AND state = 'skipped' AND reason = %(reason)s AND outcome.id > %(after)s
ORDER BY outcome.id LIMIT %(limit)s
"""
SUPERSEDE: Final = f"""
WITH correction AS MATERIALIZED (
    SELECT line, max(reading) AS reading FROM message
    WHERE campaign = %(campaign)s AND reading > %(load)s AND state <> 'skipped' GROUP BY line
),
chosen AS MATERIALIZED (
    SELECT outcome.id FROM outcome
    JOIN entry ON entry.id = outcome.id JOIN correction USING (line)
    LEFT JOIN delivery ON delivery.id = outcome.id
    WHERE outcome.id = ANY(%(numbers)s)
        AND entry.campaign = %(campaign)s AND entry.reading < correction.reading
        AND (outcome.state = 'rejected' OR outcome.state = 'skipped' AND kind = '{INVALID}'
            OR outcome.state = 'accepted' AND delivery.status IN ({again.UNDELIVERED_STATUSES}))
    ORDER BY outcome.id FOR UPDATE OF outcome
),
{again.KEEP}
UPDATE outcome SET state = 'skipped', reason = %(reason)s, ended_at = %(now)s, started_at = NULL,
    provider_id = NULL
FROM chosen WHERE outcome.id = chosen.id
"""
IN_ORDER: Final = "SELECT set_config('enable_sort', 'off', true)"
"""Reads as much as a page needs, not everything to sort it, whatever statistics the server has."""


async def replace(connection: AsyncConnection, scope: Scope) -> None:
    """Skip the queued messages that are not in the load."""
    values = {**scope, "reason": REPLACED_BECAUSE, "corrected": CORRECTED_BECAUSE}
    await connection.execute(REPLACE, values)


async def skip_too_often(connection: AsyncConnection, scope: Scope, numbers: Sequence[int]) -> int:
    """Skip those of some messages that still wait; return their number."""
    skipped = 0
    for place in range(0, len(numbers), ROWS):
        some = sending.array(numbers[place : place + ROWS])
        values = {**scope, "numbers": some, "reason": SkipReason.TOO_OFTEN.value}
        skipped += (await connection.execute(SKIP_KNOWN, values)).rowcount
    return skipped


async def leave_out(connection: AsyncConnection, scope: Scope) -> Mapping[int, int]:
    """Skip messages to people who may have got another text; count them as `Load.end` does."""
    have_another = CompactMap()
    others = array("q")
    async for rows in _batches(connection, HAVE_ANOTHER, scope):
        _add(have_another, others, rows)
    if not others:
        return {}
    is_left_out = bytearray(len(others))
    numbers = array("q")
    async for rows in _batches(connection, MAY_BE_LEFT_OUT, scope):
        for number, recipient in rows:
            person = have_another.get(recipient_key(recipient))
            if person is not None:
                is_left_out[person] = True
                numbers.append(number)
    for place in range(0, len(numbers), ROWS):
        some = {"numbers": numbers[place : place + ROWS].tolist(), "reason": LEFT_OUT_BECAUSE}
        await connection.execute(LEAVE_OUT, {**scope, **some})
        await connection.execute(MARK, {**scope, **some})
    return Counter(compress(others, is_left_out))


async def supersede(connection: AsyncConnection, campaign: int, corrects: Corrects) -> None:
    """Skip messages whose rows were corrected."""
    values = {
        "campaign": campaign,
        "numbers": [*corrects.numbers],
        "load": corrects.load,
        "reason": CORRECTED_BECAUSE,
        "now": time.time(),
    }
    await connection.execute(SUPERSEDE, values)


async def left_out(
    connection: AsyncConnection, campaign: int, *, after: int, limit: int
) -> Sequence[tuple[int, Entry]]:
    """Read the messages of the last load that its end left out."""
    load = await load_number(connection, campaign)
    values = {"campaign": campaign, "load": load, "after": after, "limit": limit}
    async with connection.transaction(), connection.pipeline():
        await connection.execute(IN_ORDER)
        cursor = await connection.execute(LEFT_OUT, {**values, "reason": LEFT_OUT_BECAUSE})
    return [(number, Entry(*columns)) async for number, *columns in cursor]


async def load_number(connection: AsyncConnection, campaign: int) -> int:
    """Read the number of the last load; 0 if there was none."""
    return int((await sending.metadata(connection, campaign)).get(metadata_names.LOAD, 0))


def _add(people: CompactMap, loads: "array[int]", rows: Iterable[tuple[str, int]]) -> None:
    """Note some people, and for each the last of the loads that have a message to them."""
    for recipient, load in rows:
        person = recipient_key(recipient)
        place = people.get(person)
        if place is None:
            people.put([(person, len(people))])
            loads.append(load)
        else:
            loads[place] = max(load, loads[place])


async def _batches(
    connection: AsyncConnection, query: LiteralString, values: Scope
) -> AsyncIterator[Sequence[Any]]:
    """Read rows within a transaction, some at a time."""
    async with connection.cursor(name="messages") as cursor:
        await cursor.execute(query, values)
        while rows := await cursor.fetchmany(ROWS):
            yield rows
