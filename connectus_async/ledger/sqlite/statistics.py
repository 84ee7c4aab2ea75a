"""SQL of a campaign's statistics. SQLite adds up, so that no message is read into Python.

`SHAREABLE` is a function of the connection that removes personal data from a sentence.
"""

from typing import Final

from connectus_async.ledger.sqlite.rows import listed
from connectus_async.ledger.states import ATTEMPTED, SkipReason

SHAREABLE: Final = "shareable"

TOTALS: Final = """
    SELECT state, COUNT(*), SUM(billed), MIN(started_at), MAX(ended_at),
           SUM(kind = 'sms' AND COALESCE(provider_id, '') = '')
    FROM message GROUP BY state
"""
SKIPPED: Final = """
    SELECT COALESCE(substr(reason, 1, instr(reason || ':', ':') - 1), 'not said'), COUNT(*)
    FROM message WHERE state = 'skipped' GROUP BY 1 ORDER BY 2 DESC, 1
"""
INVALID: Final = f"""
    SELECT 'skipped', {SHAREABLE}(sentence), SUM(messages) FROM (
        SELECT ltrim(substr(reason, instr(reason, ':') + 1)) AS sentence, COUNT(*) AS messages
        FROM message WHERE state = 'skipped' AND reason LIKE '{SkipReason.INVALID}:%' GROUP BY 1
    ) GROUP BY 2 ORDER BY 3 DESC, 2 LIMIT ?
"""
ERRORS: Final = f"""
    SELECT state, {SHAREABLE}(reason), SUM(messages) FROM (
        SELECT state, reason, COUNT(*) AS messages FROM message
        WHERE state NOT IN ('skipped', 'accepted') AND reason IS NOT NULL GROUP BY 1, 2
    ) GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT ?
"""
DELIVERIES: Final = f"""
    SELECT {SHAREABLE}(delivery_status), SUM(messages) FROM (
        SELECT delivery_status, COUNT(*) AS messages FROM message
        WHERE delivery_status IS NOT NULL GROUP BY 1
    ) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?
"""

_PART: Final = "MAX(MIN(CAST((ended_at - :begin) / :width AS INTEGER), :parts - 1), 0)"

OUTCOMES: Final = f"""
    SELECT {_PART}, state, COUNT(*)
    FROM message
    WHERE state IN ({listed(ATTEMPTED)}) AND ended_at IS NOT NULL
    GROUP BY 1, 2
"""
LATENCIES: Final = f"""
    WITH answered AS (
        SELECT {_PART} AS part, MAX(ended_at - started_at, 0) AS latency
        FROM message
        WHERE state IN ('accepted', 'rejected')
              AND started_at IS NOT NULL AND ended_at IS NOT NULL
    ), ranked AS (
        SELECT part, latency,
               CUME_DIST() OVER (PARTITION BY part ORDER BY latency) AS share
        FROM answered
    )
    SELECT part, MIN(latency) FILTER (WHERE share >= 0.5),
           MIN(latency) FILTER (WHERE share >= 0.95), MIN(latency) FILTER (WHERE share >= 0.99)
    FROM ranked GROUP BY 1
"""
"""Percentiles by nearest rank, in seconds."""
