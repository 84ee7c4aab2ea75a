"""What a campaign comes to, in figures: added up in SQL, so that its size does not matter."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Final, NamedTuple

import attrs

from connectus_async.ledger.states import State
from connectus_async.redaction import scrubbed

MAX_BUCKETS: Final = 96
MESSAGES_A_BUCKET: Final = 10
"""On average, at least: a small campaign has few buckets rather than empty ones."""
MOST_FREQUENT: Final = 10

ATTEMPTED: Final = (State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.HELD)
"""The states of messages of which an attempt has an outcome."""

FACTS: Final = "SELECT name, value FROM campaign"
TOTALS: Final = """
    SELECT state, COUNT(*), SUM(billed), MIN(started_at), MAX(ended_at),
           SUM(kind = 'sms' AND COALESCE(provider_id, '') = '')
    FROM message GROUP BY state
"""
SKIPPED: Final = """
    SELECT COALESCE(substr(reason, 1, instr(reason || ':', ':') - 1), 'not said'), COUNT(*)
    FROM message WHERE state = 'skipped' GROUP BY 1 ORDER BY 2 DESC, 1
"""
INVALID: Final = """
    SELECT 'skipped', shareable(sentence), SUM(messages) FROM (
        SELECT ltrim(substr(reason, instr(reason, ':') + 1)) AS sentence, COUNT(*) AS messages
        FROM message WHERE state = 'skipped' AND reason LIKE 'invalid:%' GROUP BY 1
    ) GROUP BY 2 ORDER BY 3 DESC, 2 LIMIT :limit
"""
ERRORS: Final = """
    SELECT state, shareable(reason), SUM(messages) FROM (
        SELECT state, reason, COUNT(*) AS messages FROM message
        WHERE state NOT IN ('skipped', 'accepted') AND reason IS NOT NULL GROUP BY 1, 2
    ) GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT :limit
"""
DELIVERIES: Final = """
    SELECT shareable(delivery_status), SUM(messages) FROM (
        SELECT delivery_status, COUNT(*) AS messages FROM message
        WHERE delivery_status IS NOT NULL GROUP BY 1
    ) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT :limit
"""
OUTCOMES_BY_TIME: Final = """
    SELECT MAX(MIN(CAST((ended_at - :begin) / :width AS INTEGER), :last), 0), state, COUNT(*)
    FROM message
    WHERE state IN ('accepted', 'rejected', 'unknown', 'held') AND ended_at IS NOT NULL
    GROUP BY 1, 2
"""
LATENCY_BY_TIME: Final = """
    WITH answered AS (
        SELECT MAX(MIN(CAST((ended_at - :begin) / :width AS INTEGER), :last), 0) AS bucket,
               MAX(ended_at - started_at, 0) AS latency
        FROM message
        WHERE state IN ('accepted', 'rejected')
              AND started_at IS NOT NULL AND ended_at IS NOT NULL
    ), ranked AS (
        SELECT bucket, latency,
               CUME_DIST() OVER (PARTITION BY bucket ORDER BY latency) AS share
        FROM answered
    )
    SELECT bucket, MIN(latency) FILTER (WHERE share >= 0.5),
           MIN(latency) FILTER (WHERE share >= 0.95), MIN(latency) FILTER (WHERE share >= 0.99)
    FROM ranked GROUP BY 1
"""
"""Percentiles by nearest rank, in seconds."""


class Latency(NamedTuple):
    """How long the API took to answer, in seconds.

    Attributes:
        p50: Half of the messages were answered within this time.
        p95: 95 % were.
        p99: 99 % were.
    """

    p50: float
    p95: float
    p99: float


class Frequency(NamedTuple):
    """How many messages have the same sentence.

    Attributes:
        state: Where they are.
        sentence: What they have on record, without what may be a number or an address.
        messages: How many.
    """

    state: str
    sentence: str
    messages: int


@attrs.frozen
class Bucket:
    """A part of the time that a campaign took.

    Attributes:
        begin: When it begins.
        outcomes: The messages whose outcome became known in it, by state.
        latency: Of those that were answered in it; ``None`` if none was.
    """

    begin: datetime
    outcomes: Mapping[State, int]
    latency: Latency | None


@attrs.frozen
class Timeline:
    """The time that a campaign took, in equal parts.

    Attributes:
        width: The length of a part, in seconds.
        buckets: The parts, at most `MAX_BUCKETS`.
    """

    width: float
    buckets: Sequence[Bucket]

    @property
    def has_latency(self) -> bool:
        """Whether any message was answered."""
        return any(bucket.latency is not None for bucket in self.buckets)


@attrs.frozen(kw_only=True)
class Figures:
    """What there is to say of a campaign without naming anybody.

    Attributes:
        name: The campaign's name.
        source: The name of the file that it came from, if it is known.
        created_at: When its ledger was made, if that is known.
        is_loaded: Whether its source was read to the end; ``None`` if that is not on record.
        stopped: Why it stopped last, if that is on record and it has not gone on since.
        counts: The messages by state, every state named.
        billed: What the accepted messages took from the balance.
        nameless: The SMS that were accepted without an id: nothing tells what became of them.
        began_at: When its first attempt began, as far as is on record.
        ended_at: When the last outcome was known.
        skipped: The skipped messages by reason.
        invalid: What was wrong with those that could not become messages.
        errors: The most frequent errors of the others.
        deliveries: The messages by the status that came back for them.
        timeline: Outcomes and latency over time; ``None`` before the first outcome.
    """

    name: str
    source: str | None
    created_at: datetime | None
    is_loaded: bool | None
    stopped: str | None
    counts: Mapping[State, int]
    billed: int
    nameless: int
    began_at: datetime | None
    ended_at: datetime | None
    skipped: Mapping[str, int]
    invalid: Sequence[Frequency]
    errors: Sequence[Frequency]
    deliveries: Mapping[str, int]
    timeline: Timeline | None

    @property
    def total(self) -> int:
        """All messages, and the rows that never became one."""
        return sum(self.counts.values())

    @property
    def attempted(self) -> int:
        """The messages of which an attempt has an outcome."""
        return sum(self.counts[state] for state in ATTEMPTED)

    @property
    def reported(self) -> int:
        """The messages for which a status came back."""
        return sum(self.deliveries.values())

    @property
    def seconds(self) -> float | None:
        """From the beginning of the first attempt to the last outcome, by clocks on the wall."""
        if self.began_at is None or self.ended_at is None:
            return None
        return max(0.0, (self.ended_at - self.began_at).total_seconds())

    @property
    def is_done(self) -> bool:
        """Whether of what is on record nothing is left to send, to wait for or to ask about."""
        left = (State.QUEUED, State.IN_FLIGHT, State.UNKNOWN)
        return not any(self.counts[state] for state in left)

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left at all: never so while it is not known."""
        return self.is_done and self.is_loaded is True


class _Total(NamedTuple):
    messages: int
    billed: int
    began: float | None
    ended: float | None
    nameless: int


def read_figures(connection: sqlite3.Connection) -> Figures:
    """Add up a ledger, in one transaction if the connection is in one.

    Args:
        connection: The ledger, as `open_for_reading` opens it.
    """
    connection.create_function("shareable", 1, _shareable, deterministic=True)
    facts = dict(connection.execute(FACTS))
    totals = {State(state): _Total(*total) for state, *total in connection.execute(TOTALS)}
    began, ended = _span(totals)
    limit = {"limit": MOST_FREQUENT}
    return Figures(
        name=facts.get("name") or "Campaign",
        source=PurePath(facts["source"]).name if facts.get("source") else None,
        created_at=_moment(float(facts["created_at"])) if facts.get("created_at") else None,
        is_loaded=facts["loaded"] == "1" if "loaded" in facts else None,
        stopped=_shareable(facts["stopped"]) if facts.get("stopped") else None,
        counts={state: totals[state].messages if state in totals else 0 for state in State},
        billed=totals[State.ACCEPTED].billed if State.ACCEPTED in totals else 0,
        nameless=totals[State.ACCEPTED].nameless if State.ACCEPTED in totals else 0,
        began_at=_moment(began),
        ended_at=_moment(ended),
        skipped=dict(connection.execute(SKIPPED)),
        invalid=[Frequency(*row) for row in connection.execute(INVALID, limit)],
        errors=[Frequency(*row) for row in connection.execute(ERRORS, limit)],
        deliveries=dict(connection.execute(DELIVERIES, limit)),
        timeline=_timeline(connection, totals),
    )


def _shareable(sentence: str) -> str:
    return scrubbed(sentence)


def _span(totals: Mapping[State, _Total]) -> tuple[float | None, float | None]:
    sent = [total for state, total in totals.items() if state is not State.SKIPPED]
    began = min((total.began for total in sent if total.began is not None), default=None)
    outcomes = [totals[state].ended for state in ATTEMPTED if state in totals]
    return began, max((ended for ended in outcomes if ended is not None), default=None)


def _timeline(connection: sqlite3.Connection, totals: Mapping[State, _Total]) -> Timeline | None:
    begin, end = _span(totals)
    if begin is None or end is None:
        return None
    count = sum(totals[state].messages for state in ATTEMPTED if state in totals)
    parts = max(1, min(MAX_BUCKETS, count // MESSAGES_A_BUCKET))
    width = max(end - begin, 1e-3) / parts
    outcomes: list[dict[State, int]] = [{} for _ in range(parts)]
    latencies: list[Latency | None] = [None] * parts
    grid = {"begin": begin, "width": width, "last": parts - 1}
    for bucket, state, messages in connection.execute(OUTCOMES_BY_TIME, grid):
        outcomes[bucket][State(state)] = messages
    for bucket, *percentiles in connection.execute(LATENCY_BY_TIME, grid):
        latencies[bucket] = Latency(*percentiles)
    begins = (datetime.fromtimestamp(begin + width * part, UTC) for part in range(parts))
    buckets = map(Bucket, begins, outcomes, latencies)
    return Timeline(width, list(buckets))


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
