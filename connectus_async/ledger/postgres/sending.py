"""Statements that write the changes of messages that are being sent, a group at a time.

Nearly every group is one statement, `FAST`: it moves watermarks and inserts outcomes. It is the
fence as well: if a chunk is not ours any more, it writes nothing. All other groups are a
transaction of several statements.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from types import NoneType
from typing import Any, Final, LiteralString, TypeAlias

from connectus_async.ledger.postgres import campaigns
from connectus_async.ledger.postgres.connection import AsyncConnection
from connectus_async.ledger.postgres.schema import LOADING, OWNED, RECALLED
from connectus_async.ledger.states import INTERRUPTED, MAY_BE_SENT, State

Row: TypeAlias = tuple[Any, ...]

_ENDED: Final = """
unnest(%(id)s::bigint[], %(state)s::state[], %(started_at)s::double precision[],
       %(ended_at)s::double precision[], %(provider_id)s::text[], %(reason)s::text[])
AS it (id, state, started_at, ended_at, provider_id, reason)
"""
ENDED: Final = ("id", "state", "started_at", "ended_at", "provider_id", "reason")

FAST: Final = f"""
WITH mark AS (SELECT * FROM unnest(%(chunks)s::bigint[], %(uptos)s::bigint[]) AS it (id, upto)),
own AS (
    UPDATE chunk SET begun = greatest(begun, mark.upto) FROM mark
    WHERE chunk.id = mark.id AND chunk.owner = %(worker)s AND chunk.state <> {RECALLED}
    RETURNING chunk.id
),
is_ours AS (SELECT count(*) = %(count)s AS answer FROM own),
timed AS (
    INSERT INTO begun SELECT mark.id, upto, %(now)s FROM mark, is_ours WHERE answer AND upto > 0
),
ended AS (
    INSERT INTO outcome (id, state, attempts, started_at, ended_at, provider_id, reason)
    SELECT it.id, state, 1, started_at, ended_at, provider_id, reason FROM {_ENDED}, is_ours
    WHERE answer
)
SELECT answer FROM is_ours
"""
"""A row that is there already is an error of the whole statement: with ``ON CONFLICT`` each row
would be logged in two steps."""

IS_PRESENT: Final = "SELECT left_at IS NULL FROM worker WHERE id = %s FOR SHARE"
"""Whoever gives a worker up waits until its transaction has ended."""

OWN: Final = f"""
SELECT id FROM chunk WHERE id = ANY(%s) AND owner = %s AND state <> {RECALLED}
ORDER BY id FOR UPDATE
"""
NEW_CHUNK: Final = """
INSERT INTO chunk (campaign, state, begun, owner) VALUES (%s, %s, 0, %s) RETURNING id
"""
INSERT: Final = """
INSERT INTO entry (campaign, id, key, line, kind, recipient, body, billed)
SELECT %(campaign)s, * FROM unnest(
    %(id)s::bigint[], %(key)s::text[], %(line)s::integer[], %(kind)s::text[],
    %(recipient)s::text[], %(body)s::text[], %(billed)s::integer[])
ON CONFLICT DO NOTHING
"""
INSERTED: Final = "SELECT id FROM entry WHERE id = ANY(%s)"
"""Of a group that is written again, since the connection broke, the rows may be there already."""

END: Final = f"""
INSERT INTO outcome (id, state, attempts, started_at, ended_at, provider_id, reason)
SELECT it.id, state, 1, started_at, ended_at, provider_id, reason FROM {_ENDED}
ON CONFLICT DO NOTHING
"""
END_AGAIN: Final = f"""
UPDATE outcome SET state = it.state, ended_at = it.ended_at, reason = it.reason,
    provider_id = coalesce(it.provider_id, outcome.provider_id)
FROM {_ENDED}
WHERE outcome.id = it.id
    AND (outcome.state = 'in_flight' OR outcome.state = 'queued' AND it.state = 'queued')
"""
END_LATE: Final = f"""
UPDATE outcome SET state = it.state, ended_at = it.ended_at, reason = NULL,
    provider_id = coalesce(it.provider_id, outcome.provider_id)
FROM {_ENDED}
WHERE outcome.id = it.id AND outcome.state = 'unknown' AND outcome.reason = '{INTERRUPTED}'
    AND it.state = 'accepted'
"""
"""An answer that came after its sender was given up: the message was accepted all the same."""

_AT_REST: Final = """
unnest(%(id)s::bigint[], %(state)s::state[], %(ended_at)s::double precision[], %(reason)s::text[])
AS it (id, state, ended_at, reason)
"""
AT_REST: Final = ("id", "state", "ended_at", "reason")

REST: Final = f"""
INSERT INTO outcome (id, state, attempts, ended_at, reason)
SELECT it.id, it.state, 0, it.ended_at, it.reason FROM {_AT_REST}
WHERE EXISTS (SELECT 1 FROM entry WHERE entry.id = it.id) ON CONFLICT DO NOTHING
"""
"""A new message that turned out to be a duplicate is not there."""

REST_AGAIN: Final = f"""
UPDATE outcome SET state = it.state, ended_at = it.ended_at, reason = it.reason FROM {_AT_REST}
WHERE outcome.id = it.id AND outcome.state = 'queued'
"""
BEGIN_APART: Final = """
INSERT INTO outcome (id, state, attempts, started_at)
SELECT id, 'in_flight', 1, %s FROM unnest(%s::bigint[]) AS it (id) ON CONFLICT DO NOTHING
"""
BEGIN_AGAIN: Final = """
UPDATE outcome SET state = 'in_flight', attempts = attempts + 1, started_at = %s,
    ended_at = NULL, reason = NULL
WHERE id = ANY(%s::bigint[]) AND state = 'queued'
"""
MOVE: Final = """
WITH mark AS (SELECT * FROM unnest(%s::bigint[], %s::bigint[]) AS it (id, upto) WHERE upto > 0),
moved AS (
    UPDATE chunk SET begun = greatest(begun, mark.upto) FROM mark WHERE chunk.id = mark.id
)
INSERT INTO begun SELECT id, upto, %s FROM mark
"""
REPLACE_BODIES: Final = """
UPDATE entry SET body = it.body FROM unnest(%s::bigint[], %s::text[]) AS it (id, body)
WHERE entry.id = it.id
"""

TAKE_CHUNK: Final = f"""
WITH before AS (SELECT id, owner FROM chunk WHERE id = %s FOR UPDATE)
UPDATE chunk SET owner = %s,
    state = CASE WHEN chunk.owner IS NULL THEN {OWNED} ELSE chunk.state END
FROM before
WHERE chunk.id = before.id
    AND (chunk.owner IS NULL AND state <> {LOADING} OR chunk.owner = %s AND state <> {RECALLED}
        AND coalesce(releaser, chunk.owner) = chunk.owner)
RETURNING before.owner IS NULL, begun
"""

STATES: Final = "SELECT id, state FROM message WHERE campaign = %s AND id = ANY(%s)"

COUNTS: Final = "SELECT state, count(*) FROM message WHERE campaign = %s GROUP BY state"
_SENT_OR_MAYBE: Final = ", ".join(f"'{it}'" for it in sorted(MAY_BE_SENT))
SPENT: Final = f"""
SELECT (
    SELECT coalesce(sum(billed), 0)::bigint FROM message
    WHERE campaign = %(campaign)s AND state IN ({_SENT_OR_MAYBE})
) + (
    SELECT coalesce(sum(billed), 0)::bigint FROM earlier_attempt JOIN entry USING (id)
    WHERE entry.campaign = %(campaign)s AND state IN ({_SENT_OR_MAYBE})
)
"""


def known(columns: str) -> str:
    """Write a statement that reads columns of the messages with some keys.

    Each key by itself: so the server uses the index, whatever statistics it has.
    """
    return f"""
    SELECT asked.key, it.* FROM
        (SELECT %s::integer AS campaign, unnest(%s::text[]) AS key) AS asked
    CROSS JOIN LATERAL (
        SELECT {columns} FROM message
        WHERE message.campaign = asked.campaign AND message.key = asked.key LIMIT 1
    ) AS it
    """


KNOWN: Final = known("id, state")


def columns(names: Sequence[str], rows: Iterable[Row]) -> dict[str, str]:
    """Turn rows into parameters, an array for each column."""
    arrays = [array(values) for values in zip(*rows, strict=True)] or [array(()) for _ in names]
    return dict(zip(names, arrays, strict=True))


def array(values: Iterable[object]) -> str:
    r"""Write an array as PostgreSQL reads it; psycopg takes several times as long.

    >>> print(array([1, None, "a b", "null", 'say "no"']))
    {1,NULL,"a b","null","say \"no\""}
    """
    some: list[Any] = [*values]
    items: Iterable[str]
    kinds = {*map(type, some)}
    if kinds in ({int}, {float}):
        items = map(repr, some)
    elif kinds == {NoneType}:
        items = repeat("NULL", len(some))
    elif kinds in ({str}, {State}) and _are_plain(some):
        items = some
    else:
        items = map(_item, some)
    return f"{{{','.join(items)}}}"


def _are_plain(texts: Sequence[str]) -> bool:
    """Tell whether texts are arrays' items as they are; a few that are seem not to be."""
    together = "".join(texts)
    return together.isalnum() and all(texts) and "null" not in together.lower()


def _item(value: object) -> str:
    if value is None:
        return "NULL"
    if not isinstance(value, str):
        return repr(value)
    if _are_plain([value]):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


async def one(
    connection: AsyncConnection, query: LiteralString, values: Sequence[Any] | Mapping[str, Any]
) -> Row:
    """Run a query of one row."""
    cursor = await connection.execute(query, values)
    row = await cursor.fetchone()
    if row is None:
        raise AssertionError  # all such queries have a row
    return row


async def counts(connection: AsyncConnection, campaign: int) -> Mapping[State, int]:
    """Count the messages by state; states without any are left out."""
    cursor = await connection.execute(COUNTS, (campaign,))
    found = {State(state): count async for state, count in cursor}
    return {state: found[state] for state in State if state in found}


async def spent(connection: AsyncConnection, campaign: int) -> int:
    """Add up the amounts that were or may have been taken from the balance."""
    (total,) = await one(connection, SPENT, {"campaign": campaign})
    return int(total)


async def metadata(connection: AsyncConnection, campaign: int) -> Mapping[str, str]:
    """Read the metadata of a campaign."""
    cursor = await connection.execute(campaigns.READ, (campaign,))
    return {name: value async for name, value in cursor}


async def set_metadata(
    connection: AsyncConnection, campaign: int, *, values: Mapping[str, str]
) -> None:
    """Write metadata of a campaign; values under other names stay."""
    await connection.execute(campaigns.WRITE, campaigns.to_write(campaign, values))
