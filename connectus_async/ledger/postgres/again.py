"""Other attempts for messages that reached nobody; the earlier ones are kept."""

from collections.abc import Mapping
from typing import Final

from connectus_async.ledger.content import HASH
from connectus_async.ledger.postgres.campaigns import Scope
from connectus_async.ledger.postgres.connection import AsyncConnection, Connection
from connectus_async.ledger.postgres.schema import REOPEN
from connectus_async.ledger.records import Again
from connectus_async.ledger.states import State
from connectus_async.products.sms_statuses import UNDELIVERED

_COLUMNS: Final = """
outcome.id, attempts, state, started_at, ended_at, provider_id, reason, delivery.status,
delivery.delivered_at
"""
UNDELIVERED_STATUSES: Final = ", ".join(f"'{status}'" for status in sorted(UNDELIVERED))
_CHOSEN: Final = f"""
FROM outcome JOIN entry USING (id) LEFT JOIN delivery USING (id)
WHERE entry.campaign = %(campaign)s AND (
        %(rejected)s AND state = 'rejected'
        OR %(undelivered)s AND state = 'accepted' AND delivery.status IN ({UNDELIVERED_STATUSES})
    )
    AND (%(reason)s::text IS NULL
        OR strpos(lower(coalesce(reason, delivery.status, '')), lower(%(reason)s::text)) > 0)
    AND strpos(body, '"{HASH}":') = 0
    AND outcome.id NOT IN (SELECT unnest(%(but)s::bigint[]))
"""
COUNT: Final = f"SELECT count(*) {_CHOSEN}"
CHOSEN: Final = f"SELECT outcome.id, recipient {_CHOSEN}"
HOLD: Final = "SELECT FROM chunk WHERE campaign = %(campaign)s ORDER BY id FOR KEY SHARE"
"""As in `reconciling`."""

KEEP: Final = f"""
forgotten AS (DELETE FROM delivery USING chosen WHERE delivery.id = chosen.id),
kept AS (
    INSERT INTO earlier_attempt SELECT {_COLUMNS}
    FROM outcome JOIN chosen USING (id) LEFT JOIN delivery ON delivery.id = outcome.id
    WHERE state IN ('accepted', 'rejected')
)
"""
"""Keeps the last attempts of the ``chosen``."""

QUEUE: Final = f"""
WITH chosen AS MATERIALIZED (SELECT outcome.id {_CHOSEN} ORDER BY id FOR UPDATE OF outcome),
{KEEP}
UPDATE outcome SET state = 'queued', started_at = NULL, ended_at = NULL, provider_id = NULL,
    reason = NULL
FROM chosen WHERE outcome.id = chosen.id
"""
EARLIER: Final = """
SELECT state::text, count(*) FROM earlier_attempt JOIN entry USING (id)
WHERE entry.campaign = %(campaign)s GROUP BY 1 ORDER BY 1
"""


def count(connection: Connection, scope: Scope, choice: Again) -> int:
    """Count the messages that `queue` queues."""
    ((total,),) = connection.execute(COUNT, {**scope, **values_of(choice)})
    return int(total)


def values_of(choice: Again) -> dict[str, object]:
    """Give the parameters of a choice."""
    return {**choice._asdict(), "but": [*choice.but]}


async def queue(connection: AsyncConnection, campaign: int, *, choice: Again) -> int:
    """Queue messages for another attempt. See `Ledger.queue_again`."""
    values = {"campaign": campaign, **values_of(choice)}
    async with connection.transaction():
        await connection.execute(HOLD, values)
        queued = (await connection.execute(QUEUE, values)).rowcount
        await connection.execute(REOPEN, values)
    return queued


def earlier(connection: Connection, scope: Scope) -> Mapping[State, int]:
    """Count the earlier attempts by their outcome."""
    return {State(state): total for state, total in connection.execute(EARLIER, scope)}
