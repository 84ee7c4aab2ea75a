"""Figures of a campaign. The ledger adds them up, so that the campaign's size does not matter."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Final

import attrs

from connectus_async.ledger import metadata_names
from connectus_async.ledger.abc import LedgerReader
from connectus_async.ledger.records import Frequency, Latency, TimeGrid, Total
from connectus_async.ledger.states import ATTEMPTED, NOT_COUNTED, SkipReason, State, not_counted
from connectus_async.redaction import scrubbed

MAX_BUCKETS: Final = 96
MESSAGES_A_BUCKET: Final = 10
"""Average, at least: a small campaign has few buckets rather than empty ones."""
MOST_FREQUENT: Final = 10
FILE_TO_FIX: Final = "to-fix.xlsx"
"""File for the rows to correct, in the commands that people are shown."""


@attrs.frozen
class Bucket:
    """Part of the time that a campaign took.

    Attributes:
        begin: Its begin.
        outcomes: Messages whose outcome became known in it, by state.
        latency: Latency of the answers that came in it; ``None`` if none came.
    """

    begin: datetime
    outcomes: Mapping[State, int]
    latency: Latency | None


@attrs.frozen
class Timeline:
    """Time that a campaign took, in equal parts.

    Attributes:
        width: The length of a part, in seconds.
        buckets: The parts, at most `MAX_BUCKETS`.
    """

    width: float
    buckets: Sequence[Bucket]

    @property
    def has_latency(self) -> bool:
        """``True`` if any message was answered."""
        return any(bucket.latency is not None for bucket in self.buckets)


@attrs.frozen(kw_only=True)
class Figures:
    """Figures of a campaign, without personal data.

    Attributes:
        name: The campaign's name.
        source: The name of its source file, if known.
        created_at: The time at which its ledger was created, if known.
        is_loaded: Whether its source was loaded to the end; ``None`` if unknown.
        profile: The profile of the command line that sends it; empty if none has to be named.
        stopped: The reason why it stopped, if that is on record and it was not resumed since.
        counts: Messages and rows by state, with every state named.
        billed: Amount that the accepted messages took from the balance.
        nameless: Number of SMS that were accepted without a provider id. Nobody can ask for their
            status.
        began_at: Begin of the first attempt on record.
        ended_at: Time of the last outcome.
        skipped: Skipped messages by reason.
        to_fix: Rejected messages and invalid rows, if the ledger knows the file to correct them in.
        invalid: Most frequent faults of rows that could not become messages.
        errors: Most frequent errors of the other messages.
        deliveries: Messages by delivery status.
        timeline: Outcomes and latency over time; ``None`` before the first outcome.
    """

    name: str
    source: str | None
    created_at: datetime | None
    is_loaded: bool | None
    profile: str
    stopped: str | None
    counts: Mapping[State, int]
    billed: int
    nameless: int
    began_at: datetime | None
    ended_at: datetime | None
    skipped: Mapping[str, int]
    to_fix: int
    invalid: Sequence[Frequency]
    errors: Sequence[Frequency]
    deliveries: Mapping[str, int]
    timeline: Timeline | None

    @property
    def states(self) -> Mapping[State, int]:
        """Messages by state, with every state named; only those that are part of the total."""
        skipped = self.counts[State.SKIPPED] - not_counted(self.skipped)
        return {**self.counts, State.SKIPPED: skipped}

    @property
    def total(self) -> int:
        """All messages, and the rows that could not become one; see `NOT_COUNTED`."""
        return sum(self.states.values())

    @property
    def reasons(self) -> Mapping[str, int]:
        """Skipped messages of the total, by reason."""
        return {it: count for it, count in self.skipped.items() if it not in NOT_COUNTED}

    @property
    def others(self) -> Mapping[str, int]:
        """Skipped messages that are no part of the total, by reason."""
        return {it: count for it, count in self.skipped.items() if it in NOT_COUNTED}

    @property
    def attempted(self) -> int:
        """Messages whose last attempt has an outcome."""
        return sum(self.counts[state] for state in ATTEMPTED)

    @property
    def reported(self) -> int:
        """Messages with a delivery status."""
        return sum(self.deliveries.values())

    @property
    def seconds(self) -> float | None:
        """Seconds from the begin of the first attempt to the last outcome, by the wall clock."""
        if self.began_at is None or self.ended_at is None:
            return None
        return max(0.0, (self.ended_at - self.began_at).total_seconds())

    @property
    def is_done(self) -> bool:
        """``True`` if no recorded message is left to send, to wait for or to reconcile."""
        return not any(self.counts[state] for state in State if not state.is_final)

    @property
    def is_finished(self) -> bool:
        """``True`` if the source is known to be loaded and every message is done."""
        return self.is_done and self.is_loaded is True


def read_figures(reader: LedgerReader) -> Figures:
    """Read the figures of a campaign.

    Args:
        reader: A snapshot of its ledger.
    """
    metadata = reader.metadata()
    source = metadata.get(metadata_names.SOURCE)
    created_at = metadata.get(metadata_names.CREATED_AT)
    loaded = metadata.get(metadata_names.LOADED)
    stopped = metadata.get(metadata_names.STOPPED)
    totals = reader.totals()
    began, ended = _span(totals)
    accepted, rejected = totals.get(State.ACCEPTED), totals.get(State.REJECTED)
    skipped = reader.skipped()
    bad = (rejected.messages if rejected else 0) + skipped.get(SkipReason.INVALID, 0)
    return Figures(
        name=metadata.get(metadata_names.NAME) or (PurePath(source).name if source else "Campaign"),
        source=PurePath(source).name if source else None,
        created_at=_moment(float(created_at)) if created_at else None,
        is_loaded=None if loaded is None else loaded == "1",
        profile=metadata.get(metadata_names.PROFILE, ""),
        stopped=scrubbed(stopped) if stopped else None,
        counts={state: totals[state].messages if state in totals else 0 for state in State},
        billed=accepted.billed if accepted else 0,
        nameless=accepted.nameless if accepted else 0,
        began_at=_moment(began),
        ended_at=_moment(ended),
        skipped=skipped,
        to_fix=bad if metadata.get(metadata_names.SOURCE_FILE) else 0,
        invalid=reader.invalid(MOST_FREQUENT),
        errors=reader.errors(MOST_FREQUENT),
        deliveries=reader.deliveries(MOST_FREQUENT),
        timeline=_timeline(reader, totals),
    )


def _span(totals: Mapping[State, Total]) -> tuple[float | None, float | None]:
    sent = [total for state, total in totals.items() if state is not State.SKIPPED]
    began = min((total.began for total in sent if total.began is not None), default=None)
    outcomes = [totals[state].ended for state in ATTEMPTED if state in totals]
    return began, max((ended for ended in outcomes if ended is not None), default=None)


def _timeline(reader: LedgerReader, totals: Mapping[State, Total]) -> Timeline | None:
    begin, end = _span(totals)
    if begin is None or end is None:
        return None
    count = sum(totals[state].messages for state in ATTEMPTED if state in totals)
    parts = max(1, min(MAX_BUCKETS, count // MESSAGES_A_BUCKET))
    grid = TimeGrid(begin, max(end - begin, 1e-3) / parts, parts)
    begins = (datetime.fromtimestamp(begin + grid.width * part, UTC) for part in range(parts))
    buckets = map(Bucket, begins, reader.outcomes(grid), reader.latencies(grid))
    return Timeline(grid.width, list(buckets))


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
