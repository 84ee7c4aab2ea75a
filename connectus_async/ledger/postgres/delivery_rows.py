"""Statements that record delivery statuses, and their use. See `DeliveryRows`.

Several writers may record statuses of the same SMS at a time, beside holders. So each change is one
statement, which is one transaction that waits for no client: a writer that is stopped keeps no
locks. Where another writer changed a row meanwhile, PostgreSQL looks at its condition again, and
the status that says most stays.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from connectus_async.ledger.delivery_connection import (
    FINAL,
    MAX_EARLY,
    MAX_ID,
    PAGE,
    EarlyStatus,
    TimedStatus,
    Written,
    rank_of,
)
from connectus_async.ledger.postgres.connection import Connection
from connectus_async.ledger.postgres.delivery_index import FOLDED
from connectus_async.ledger.postgres.schema import CHUNK
from connectus_async.ledger.records import OpenSms
from connectus_async.products.sms_ids import is_number
from connectus_async.products.sms_statuses import SmsStatus, rank

_IS_THE_SMS: Final = f"""
    {FOLDED.format("provider_id")} = {FOLDED.format("it.id")} AND provider_id IS NOT NULL
    AND (it.is_number OR provider_id = it.id)
    AND (SELECT campaign FROM entry WHERE entry.id = outcome.id AND kind = 'sms') = %(campaign)s
"""
"""Condition on ``outcome``, for a subquery with ``OFFSET 0``: so it is looked up by its index, row
by row, and as a subquery ``entry`` too. Otherwise PostgreSQL may read the table for each row."""

RECORD: Final = f"""
WITH told AS (
    SELECT * FROM unnest(
        %(id)s::text[], %(is_number)s::boolean[], %(status)s::text[], %(place)s::integer[],
        %(said_at)s::double precision[]
    ) AS told (id, is_number, status, place, said_at)
),
best AS MATERIALIZED (
    SELECT told.id, is_number, it.* FROM told CROSS JOIN LATERAL (
        SELECT true AS is_new, told.status, told.place, told.said_at
        UNION ALL
        SELECT false, status, {rank_of("status")}, said_at FROM early_status
        WHERE campaign = %(campaign)s AND id = told.id
        ORDER BY place DESC, is_new LIMIT 1
    ) AS it
    ORDER BY told.id
),
sms AS MATERIALIZED (
    SELECT it.*, outcome.id AS number,
        (SELECT number FROM early_status WHERE campaign = %(campaign)s AND id = it.id) AS early
    FROM best AS it
    CROSS JOIN LATERAL (SELECT id FROM outcome WHERE {_IS_THE_SMS} OFFSET 0) AS outcome
),
moved AS (
    INSERT INTO delivery AS it (id, status, delivered_at)
    SELECT number, status, CASE status WHEN '{SmsStatus.ENTREGADO}' THEN said_at END FROM sms
    ON CONFLICT (id) DO UPDATE
    SET status = excluded.status, delivered_at = coalesce(excluded.delivered_at, it.delivered_at)
    WHERE {rank_of("it.status")} < {rank_of("excluded.status")}
    RETURNING it.id AS number
),
taken AS (
    DELETE FROM early_status AS kept USING sms AS it
    WHERE kept.number = it.early AND {rank_of("kept.status")} <= it.place
),
kept AS (
    INSERT INTO early_status AS early (campaign, id, is_number, status, said_at, kept_at)
    SELECT %(campaign)s, id, is_number, status, said_at, %(now)s FROM best
    WHERE is_new AND id NOT IN (SELECT id FROM sms) AND length(id) <= {MAX_ID}
    ON CONFLICT (campaign, id) DO UPDATE SET status = excluded.status, said_at = excluded.said_at
    WHERE {rank_of("early.status")} < {rank_of("excluded.status")}
)
SELECT number, NULL AS id, NULL AS is_new FROM moved UNION ALL SELECT number, id, is_new FROM sms
"""
"""The SMS that moved, by number, and all SMS: the caller joins them, faster than a nested loop."""

HAS_EARLY: Final = "SELECT EXISTS (SELECT 1 FROM early_status WHERE campaign = %(campaign)s)"

NAMED: Final = f"""
SELECT number, id, status, said_at FROM early_status AS it
WHERE campaign = %(campaign)s AND number > %(after)s
    AND EXISTS (SELECT 1 FROM outcome WHERE {_IS_THE_SMS} OFFSET 0)
ORDER BY number LIMIT {PAGE}
"""

DROP_SURPLUS: Final = """
DELETE FROM early_status WHERE campaign = %(campaign)s AND number <= (
    SELECT number FROM early_status WHERE campaign = %(campaign)s
    ORDER BY number DESC OFFSET %(most)s LIMIT 1
)
"""
DROP_OLD: Final = "DELETE FROM early_status WHERE campaign = %(campaign)s AND kept_at < %(before)s"

CHANGES: Final = "SELECT pg_current_snapshot()::text"
"""It tells which transactions had ended."""


def _sent(condition: str) -> str:
    """Write out the accepted SMS of a campaign that meet a condition.

    Its chunks tell where they are, among those of other campaigns. OFFSET 0 has PostgreSQL look at
    the rows of one chunk after the other; by its estimate of a condition it may read all outcomes
    for each chunk.
    """
    return f"""
        FROM chunk CROSS JOIN LATERAL (
            SELECT id, provider_id, coalesce(ended_at, 0) AS accepted_at FROM outcome
            WHERE id BETWEEN chunk.id * {CHUNK} AND chunk.id * {CHUNK} + {CHUNK - 1}
                AND state = 'accepted' AND {condition} OFFSET 0
        ) AS sent
        WHERE chunk.campaign = %(campaign)s
            AND (SELECT kind FROM entry WHERE entry.id = sent.id) = 'sms'
    """


_IS_FINAL: Final = f"""
EXISTS (SELECT 1 FROM delivery WHERE delivery.id = outcome.id AND status IN ({FINAL}))
"""
_FOLLOWED: Final = f"""
{_sent(f"provider_id <> '' AND NOT {_IS_FINAL}")}
AND accepted_at BETWEEN %(since)s AND %(until)s
"""
OPEN: Final = f"""
SELECT sent.id, provider_id, accepted_at {_FOLLOWED}
AND chunk.id >= %(after)s / {CHUNK} AND sent.id > %(after)s
ORDER BY chunk.id, sent.id LIMIT %(limit)s
"""
COUNT_OPEN: Final = f"SELECT count(*) {_FOLLOWED}"
_NAMELESS: Final = "coalesce(provider_id, '') = ''"
COUNT_NAMELESS: Final = f"SELECT count(*) {_sent(_NAMELESS)}"


@attrs.define
class CampaignConnection:
    """A connection for the statuses of one campaign.

    Attributes:
        connection: The connection.
        campaign: The number of the campaign.
        kept: Early statuses that were kept since the last look for those that are too many.
    """

    connection: Connection
    campaign: int
    kept: int = 0

    def ask(self, query: str, **values: Any) -> Sequence[tuple[Any, ...]]:
        """Run a query about the campaign."""
        return self.connection.execute(query, {"campaign": self.campaign, **values}).fetchall()

    def drop(self, statement: str, **values: Any) -> int:
        """Run a statement about the campaign that deletes rows; return how many."""
        return self.connection.execute(statement, {"campaign": self.campaign, **values}).rowcount


def record(it: CampaignConnection, statuses: Mapping[str, TimedStatus], now: float) -> Written:
    """Record statuses. See `DeliveryRows.record`."""
    rows = it.ask(
        RECORD,
        now=now,
        id=[*statuses],
        is_number=[is_number(id_sms) for id_sms in statuses],
        status=[status.value for status, _ in statuses.values()],
        place=[rank(status) for status, _ in statuses.values()],
        said_at=[at for _, at in statuses.values()],
    )
    moved = {number for number, id_sms, _ in rows if id_sms is None}
    sms = [row for row in rows if row[1] is not None]
    known = {id_sms for _, id_sms, _ in sms}
    early = [id_sms for id_sms in statuses if id_sms not in known]
    too_long = sum(len(id_sms) > MAX_ID for id_sms in early)
    dropped = too_long + _drop_surplus(it, len(early) - too_long)
    # where an early status was better, the new one is no news
    news = {id_sms for number, id_sms, is_new in sms if is_new and number in moved}
    return Written(news, known, dropped)


def _drop_surplus(it: CampaignConnection, kept: int) -> int:
    """Drop the oldest early statuses if there are too many: a look now and then is enough."""
    it.kept += kept
    if it.kept * 100 < MAX_EARLY:
        return 0
    it.kept = 0
    return it.drop(DROP_SURPLUS, most=MAX_EARLY)


def has_early(it: CampaignConnection) -> bool:
    """Tell whether there are early statuses."""
    ((answer,),) = it.ask(HAS_EARLY)
    return bool(answer)


def named(it: CampaignConnection, after: int) -> list[EarlyStatus]:
    """Find early statuses whose SMS is recorded. See `DeliveryRows.named`."""
    return [
        EarlyStatus(number, id_sms, TimedStatus(SmsStatus(status), said_at))
        for number, id_sms, status, said_at in it.ask(NAMED, after=after)
    ]


def drop_old(it: CampaignConnection, before: float) -> int:
    """Drop early statuses that were kept before a time; return how many."""
    return it.drop(DROP_OLD, before=before)


def changes(it: CampaignConnection) -> str:
    """Return a text that changes when somebody writes to the server."""
    ((snapshot,),) = it.ask(CHANGES)
    return str(snapshot)


def open_sms(
    it: CampaignConnection, since: float, until: float, after: int, limit: int
) -> list[OpenSms]:
    """Read accepted SMS that have no final status. See `DeliveryLog.open_sms`."""
    return list(
        map(OpenSms._make, it.ask(OPEN, since=since, until=until, after=after, limit=limit))
    )


def count_open(it: CampaignConnection, since: float, until: float) -> int:
    """Count the SMS that `open_sms` reads."""
    ((total,),) = it.ask(COUNT_OPEN, since=since, until=until)
    return int(total)


def count_nameless(it: CampaignConnection) -> int:
    """Count the accepted SMS without a provider id."""
    ((total,),) = it.ask(COUNT_NAMELESS)
    return int(total)
