"""Questions and changes of a reconciliation: unknown messages, and accepted ones beside them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from connectus_async import _json
from connectus_async.ledger import neighbours
from connectus_async.ledger.content import ROUTE, hashed
from connectus_async.ledger.postgres import campaigns
from connectus_async.ledger.postgres.chunks import chunk_of
from connectus_async.ledger.postgres.connection import AsyncConnection
from connectus_async.ledger.postgres.schema import CHANGEABLE, REOPEN
from connectus_async.ledger.postgres.sending import one
from connectus_async.ledger.records import Accepted, Report, Resolution, Unresolved, Witnesses
from connectus_async.ledger.states import State
from connectus_async.ledger.texts import storable

UNRESOLVED: Final = f"""
SELECT id, kind, recipient, body, started_at, greatest(ended_at, started_at)
FROM outcome JOIN entry USING (id)
WHERE {CHANGEABLE} AND state = 'unknown' AND campaign = %(campaign)s ORDER BY id
"""
"""In the order of `Unresolved`."""

ACCEPTED: Final = f"""
SELECT id, {", ".join(Accepted._fields[1:])} FROM outcome JOIN entry USING (id)
WHERE state = 'accepted' AND campaign = %(campaign)s AND id BETWEEN %(first)s AND %(last)s
"""
BY_NUMBER: Final = f"{ACCEPTED} AND id = ANY(%(numbers)s::bigint[])"
_ACCEPTED_EARLIER: Final = ACCEPTED.replace("outcome", "earlier_attempt")
BY_RECIPIENT: Final = f"""
{ACCEPTED} AND recipient = ANY(%(recipients)s::text[])
UNION ALL {_ACCEPTED_EARLIER} AND recipient = ANY(%(recipients)s::text[])
"""
KNOWN_IDS: Final = f"""
SELECT provider_id FROM outcome
WHERE state = 'accepted' AND provider_id = ANY(%(ids)s::text[]) AND {campaigns.OUTCOME_OF}
UNION SELECT provider_id FROM earlier_attempt
WHERE state = 'accepted' AND provider_id = ANY(%(ids)s::text[]) AND {campaigns.OUTCOME_OF}
"""

_VALUE: Final = r'\s*:\s*("(?:[^"\\]|\\.)*"|[^",}\s]+)'
_SAME_ROUTE: Final = " AND ".join(
    f"""CASE WHEN strpos(body, '"{name}"') > 0
             THEN coalesce(substring(body FROM '"{name}"{_VALUE}'), 'null') ELSE 'null' END
        = %({name})s"""
    for name in ROUTE
)
"""Compares JSON as text: the server refuses to parse a document with an escaped zero byte."""

IN_REPORT: Final = f"""
FROM outcome JOIN entry USING (id)
WHERE state = 'accepted' AND provider_id IS NOT NULL AND campaign = %(campaign)s
AND id BETWEEN %(first)s AND %(last)s
AND CASE WHEN kind = %(kind)s THEN recipient = coalesce(%(recipient)s, recipient) AND {_SAME_ROUTE}
    END
"""
"""The ``CASE`` is for the planner: it takes each comparison with an expression to hold for one
message in 200, so without it, it would expect next to none and look them up one by one."""

NEIGHBOURS: Final = f"""
SELECT max(ARRAY[ended_at, started_at, id]), min(ARRAY[started_at, ended_at, id]) {IN_REPORT}
AND ended_at >= %(from)s AND started_at <= %(until)s
GROUP BY width_bucket(-ended_at, %(starts)s::float8[]), width_bucket(started_at, %(ends)s::float8[])
"""
"""Of the messages between the same two in question, the last to end and the first to begin: nobody
else's neighbour can be there, however many there are. ``starts`` are negative, so that one that
ended as another was begun is before it."""

SAMPLE: Final = f"""
SELECT id {IN_REPORT} AND started_at BETWEEN %(from)s AND %(until)s ORDER BY random() LIMIT %(size)s
"""

HOLD: Final = "SELECT FROM chunk WHERE id = ANY(%(chunks)s::bigint[]) ORDER BY id FOR KEY SHARE"
"""Their messages go on being sent. Whoever gives one of these chunks back by locking it for an
update first, sees then what was queued."""

RESOLVE: Final = """
WITH resolved AS (
    UPDATE outcome SET state = it.state, reason = it.reason,
                       provider_id = coalesce(it.provider_id, outcome.provider_id)
    FROM unnest(%(numbers)s::bigint[], %(states)s::state[], %(reasons)s::text[],
                %(ids)s::text[], %(bodies)s::text[], %(starts)s::double precision[])
        AS it (id, state, reason, provider_id, body, started_at)
    WHERE outcome.id = it.id AND outcome.state = 'unknown'
        AND outcome.started_at IS NOT DISTINCT FROM it.started_at
    RETURNING it.id, it.body
)
UPDATE entry SET body = resolved.body FROM resolved
WHERE entry.id = resolved.id AND resolved.body IS NOT NULL
"""
"""Of the attempt that was looked for: others may have sent a message again, and not know either."""


async def unresolved(connection: AsyncConnection, campaign: int) -> Sequence[Unresolved]:
    """Read the messages that may have been sent, in order."""
    rows = await connection.execute(UNRESOLVED, {"campaign": campaign})
    return [Unresolved(*row) async for row in rows]


async def witnesses(
    connection: AsyncConnection,
    campaign: int,
    *,
    report: Report,
    group: Sequence[Unresolved],
    near: float,
    about: float,
    sample: int,
) -> Witnesses:
    """Find accepted messages that a report must show. See `Ledger.witnesses`."""
    begin = min(message.started_at for message in group)
    end = max(message.ended_at for message in group)
    values = {**await _scope(connection, campaign), **_shared(report)}
    places = {
        "starts": sorted(-message.started_at for message in group),
        "ends": sorted(message.ended_at for message in group),
    }
    within = {"from": begin - near, "until": end + near}
    rows = await connection.execute(NEIGHBOURS, values | within | places)
    around = neighbours.find(group, _times(await rows.fetchall()), near)
    within = {"from": begin - about, "until": end + about}
    more = await connection.execute(SAMPLE, values | within | {"size": sample})
    numbers = {number for pair in around.values() for number in pair if number is not None}
    numbers |= {number async for (number,) in more}
    found = await _accepted(connection, BY_NUMBER, campaign, numbers=numbers)
    return Witnesses(tuple(found), around)


async def accepted_ids(
    connection: AsyncConnection, campaign: int, *, ids: Collection[str]
) -> Collection[str]:
    """Choose, of some of the API's identifiers, those of accepted messages."""
    values = {**await _scope(connection, campaign), "ids": [*map(storable, ids)]}
    return {found async for (found,) in await connection.execute(KNOWN_IDS, values)}


async def accepted_to(
    connection: AsyncConnection, campaign: int, *, recipients: Collection[str]
) -> Sequence[Accepted]:
    """Read the accepted messages to some recipients."""
    return await _accepted(connection, BY_RECIPIENT, campaign, recipients=recipients)


async def resolve(
    connection: AsyncConnection,
    campaign: int,
    *,
    resolutions: Sequence[Resolution],
    forgets_content: bool,
) -> None:
    """Record new states of messages that may have been sent. See `Ledger.resolve`."""
    values = {
        "campaign": campaign,
        "chunks": [chunk_of(it.message.number) for it in resolutions],
        "numbers": [it.message.number for it in resolutions],
        "states": [it.state.value for it in resolutions],
        "starts": [it.message.started_at for it in resolutions],
        "reasons": [it.reason and storable(it.reason) for it in resolutions],
        "ids": [it.provider_id and storable(it.provider_id) for it in resolutions],
        "bodies": [
            hashed(it.message.body) if forgets_content and it.state is State.ACCEPTED else None
            for it in resolutions
        ],
    }
    async with connection.transaction():
        for statement in (HOLD, RESOLVE, REOPEN):
            await connection.execute(statement, values)


async def _scope(connection: AsyncConnection, campaign: int) -> campaigns.Scope:
    return campaigns.scope(campaign, await one(connection, campaigns.SPAN, (campaign,)))


def _shared(report: Report) -> Mapping[str, Any]:
    """Give the parameters for what a report shows.

    Nobody says whether a report shows the messages of another sub-client, or of a delivery that is
    still to come.
    """
    route = (_json.dumps(value).decode() for value in report.route)
    fields = zip(ROUTE, route, strict=True)
    return {"kind": report.kind, "recipient": report.recipient, **dict(fields)}


def _times(rows: Sequence[Any]) -> Iterator[tuple[int, float, float]]:
    """Give the number, begin and end of each message of `NEIGHBOURS`."""
    for (last_end, begin, last), (first_begin, end, first) in rows:
        yield int(last), begin, last_end
        yield int(first), first_begin, end


async def _accepted(
    connection: AsyncConnection, query: str, campaign: int, **values: Collection[Any]
) -> Sequence[Accepted]:
    lists = {name: [*some] for name, some in values.items()}
    rows = await connection.execute(query, {**await _scope(connection, campaign), **lists})
    return [Accepted(*row) async for row in rows]
