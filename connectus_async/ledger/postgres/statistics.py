"""Statistics of a campaign, from the tables of `schema`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from connectus_async.ledger.postgres.campaigns import OUTCOME_OF, Scope
from connectus_async.ledger.postgres.connection import Connection
from connectus_async.ledger.postgres.schema import CHANGEABLE
from connectus_async.ledger.records import Frequency, Latency, TimeGrid, Total
from connectus_async.ledger.states import ATTEMPTED, SkipReason, State
from connectus_async.redaction import scrubbed

_TOTALS: Final = """
SELECT state::text, count(*), sum(billed), min(started_at), max(ended_at),
       count(*) FILTER (WHERE kind = 'sms' AND coalesce(provider_id, '') = '')
FROM message WHERE campaign = %(campaign)s AND id BETWEEN %(first)s AND %(last)s GROUP BY state
"""

_IS_SKIPPED: Final = f"{OUTCOME_OF} AND {CHANGEABLE} AND state = 'skipped'"
_SKIP_REASON: Final = "split_part(reason, ':', 1)"
_SKIPPED: Final = f"""
SELECT coalesce({_SKIP_REASON}, 'not said'), count(*) FROM outcome WHERE {_IS_SKIPPED} GROUP BY 1
"""
INVALID: Final = f"""
SELECT 'skipped', ltrim(substr(reason, strpos(reason, ':') + 1)), count(*)
FROM outcome WHERE {_IS_SKIPPED} AND {_SKIP_REASON} = '{SkipReason.INVALID}' GROUP BY 2
"""
ERRORS: Final = f"""
SELECT state::text, reason, count(*) FROM outcome
WHERE {OUTCOME_OF} AND state NOT IN ('skipped', 'accepted') AND reason IS NOT NULL GROUP BY 1, 2
"""
DELIVERIES: Final = f"""
SELECT '', status, count(*) FROM delivery WHERE {OUTCOME_OF} GROUP BY 2
"""

_PART: Final = """
least(greatest(floor((ended_at - %(begin)s) / %(width)s), 0), %(parts)s - 1)::integer
"""
_ATTEMPTED: Final = ", ".join(f"'{state}'" for state in ATTEMPTED)
_OUTCOMES: Final = f"""
SELECT {_PART}, state::text, count(*) FROM outcome
WHERE {OUTCOME_OF} AND state IN ({_ATTEMPTED}) AND ended_at IS NOT NULL GROUP BY 1, 2
"""
_ENDED_SINCE: Final = f"""
SELECT count(*) FROM outcome
WHERE {OUTCOME_OF} AND state IN ({_ATTEMPTED}) AND ended_at > %(since)s
"""
_LATENCIES: Final = f"""
SELECT {_PART}, percentile_disc(ARRAY[0.5, 0.95, 0.99])
                WITHIN GROUP (ORDER BY greatest(ended_at - started_at, 0))
FROM outcome
WHERE {OUTCOME_OF} AND state IN ('accepted', 'rejected')
AND started_at IS NOT NULL AND ended_at IS NOT NULL GROUP BY 1
"""
"""Percentiles by nearest rank."""


def totals(connection: Connection, scope: Scope) -> Mapping[State, Total]:
    """Add up the messages by state. See `LedgerReader.totals`."""
    rows = sorted(connection.execute(_TOTALS, scope))
    return {State(state): Total(*sums) for state, *sums in rows}


def skipped(connection: Connection, scope: Scope) -> Mapping[str, int]:
    """Count the skipped messages by reason, the most frequent first."""
    rows = connection.execute(_SKIPPED, scope)
    return dict(sorted(rows, key=lambda row: (-row[1], row[0])))


def frequencies(
    connection: Connection, query: str, scope: Scope, limit: int
) -> Sequence[Frequency]:
    """Count messages by state and sentence, without personal data, the most frequent first.

    Args:
        connection: The connection.
        query: `INVALID`, `ERRORS` or `DELIVERIES`.
        scope: The scope.
        limit: Maximum number of sentences.
    """
    found: Counter[tuple[str, str]] = Counter()
    for state, sentence, messages in connection.cursor().stream(query, scope):
        found[state, scrubbed(sentence)] += messages
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [Frequency(*said, messages) for said, messages in ordered[:limit]]


def outcomes(connection: Connection, scope: Scope, grid: TimeGrid) -> Sequence[Mapping[State, int]]:
    """Count the outcomes in each part of a time by state."""
    parts: list[dict[State, int]] = [{} for _ in range(grid.parts)]
    for part, state, messages in connection.execute(_OUTCOMES, {**scope, **grid._asdict()}):
        parts[part][State(state)] = messages
    return parts


def ended_since(connection: Connection, scope: Scope, moment: float) -> int:
    """Count the messages whose outcome became known after a time, in Unix seconds."""
    ((count,),) = connection.execute(_ENDED_SINCE, {**scope, "since": moment})
    return int(count)


def latencies(connection: Connection, scope: Scope, grid: TimeGrid) -> Sequence[Latency | None]:
    """Measure the latency in each part of a time; ``None`` for a part without an answer."""
    parts: list[Latency | None] = [None] * grid.parts
    for part, seconds in connection.execute(_LATENCIES, {**scope, **grid._asdict()}):
        parts[part] = Latency(*seconds)
    return parts
