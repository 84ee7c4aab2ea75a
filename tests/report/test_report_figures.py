"""The figures of a campaign are those of its ledger, and an unfinished one never looks finished."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from report_ledgers import BEGIN, campaign, message, write_ledger

from connectus_async.ledger import open_store
from connectus_async.ledger.records import Frequency
from connectus_async.ledger.states import ATTEMPTED, State
from connectus_async.report.figures import (
    MAX_BUCKETS,
    MOST_FREQUENT,
    Figures,
    read_figures,
)

UNSENT = {"attempts": 0, "started_at": None, "ended_at": None}


def figures_of(tmp_path: Path, messages: Iterable[Mapping[str, Any]], **facts: str) -> Figures:
    with open_store(write_ledger(tmp_path / "a.db", messages, **facts)).read() as reader:
        return read_figures(reader)


def test_totals_are_by_state_and_every_state_is_named(tmp_path: Path):
    """A state without messages counts none."""
    messages = list(campaign(500))
    figures = figures_of(tmp_path, messages)

    counted = Counter(State(each["state"]) for each in messages)
    assert figures.counts == {state: counted[state] for state in State}
    assert figures.total == 500
    assert figures.billed == counted[State.ACCEPTED]


def test_sms_without_a_name_are_counted(tmp_path: Path):
    """Those that were accepted: nobody can ask what became of them. Of emails nobody does."""
    messages = [
        message(),
        message(provider_id=""),
        message(provider_id="a"),
        message(kind="email"),
        message(state="unknown"),
    ]
    assert figures_of(tmp_path, messages).nameless == 2


def test_the_facts_of_the_campaign(tmp_path: Path):
    """Of a path, only the name of the file: the page is passed on."""
    figures = figures_of(
        tmp_path,
        [message(started_at=BEGIN + 1, ended_at=BEGIN + 4), message(ended_at=BEGIN + 2)],
        source="/home/ana/clientes.csv",
        created_at=f"{BEGIN - 60:.3f}",
    )

    assert (figures.name, figures.source) == ("Navidad", "clientes.csv")
    assert figures.created_at == datetime(2026, 11, 6, 13, 59, tzinfo=UTC)
    assert figures.began_at == datetime(2026, 11, 6, 14, 0, tzinfo=UTC)
    assert figures.seconds == 4


def test_a_clock_that_was_put_back_makes_no_campaign_of_less_than_no_time(tmp_path: Path):
    """The ledger has the times that were shown."""
    figures = figures_of(tmp_path, [message(started_at=BEGIN, ended_at=BEGIN - 3600)])

    assert figures.seconds == 0


def test_skipping_is_no_outcome_of_an_attempt(tmp_path: Path):
    """What was skipped while the file was read does not make the campaign longer."""
    skipped = message(state="skipped", reason="expired", **UNSENT | {"ended_at": BEGIN + 900})
    figures = figures_of(tmp_path, [message(), skipped])

    assert figures.seconds == 0.25
    assert figures.attempted == 1


def test_the_timeline_loses_no_outcome(tmp_path: Path):
    """Each is in one part of the time, the last one too."""
    messages = list(campaign(3000, finished=False))
    figures = figures_of(tmp_path, messages)

    assert figures.timeline is not None
    assert len(figures.timeline.buckets) == MAX_BUCKETS
    total = sum((Counter(bucket.outcomes) for bucket in figures.timeline.buckets), Counter())
    assert total == {state: count for state in ATTEMPTED if (count := figures.counts[state])}
    assert figures.timeline.width * MAX_BUCKETS == pytest.approx(figures.seconds, abs=1e-3)


def test_percentiles_are_those_of_the_nearest_rank(tmp_path: Path):
    """Worked out in SQL, they are what sorting gives."""
    messages = list(campaign(1000))
    figures = figures_of(tmp_path, messages)

    assert figures.timeline is not None
    first = figures.timeline.buckets[0]
    latencies = sorted(
        each["ended_at"] - each["started_at"]
        for each in messages
        if each["state"] in {"accepted", "rejected"}
        and each["ended_at"] - BEGIN < figures.timeline.width
    )
    nearest = [latencies[math.ceil(share * len(latencies)) - 1] for share in (0.5, 0.95, 0.99)]
    assert first.latency == pytest.approx(nearest)


@pytest.mark.parametrize(("count", "buckets"), [(1, 1), (9, 1), (45, 4), (5000, MAX_BUCKETS)])
def test_a_small_campaign_has_few_parts(tmp_path: Path, count: int, buckets: int):
    """Ten messages in each, on average."""
    figures = figures_of(tmp_path, [message(ended_at=BEGIN + place + 1) for place in range(count)])

    assert figures.timeline is not None
    assert len(figures.timeline.buckets) == buckets


def test_a_clock_that_was_set_back_spoils_nothing(tmp_path: Path):
    """An answer from before its question took no time, and is counted."""
    figures = figures_of(
        tmp_path, [message(ended_at=BEGIN - 5), message(started_at=None, ended_at=BEGIN - 9)]
    )

    assert figures.timeline is not None
    (bucket,) = figures.timeline.buckets
    assert bucket.outcomes == {State.ACCEPTED: 2}
    assert bucket.latency == (0, 0, 0)


def test_without_an_outcome_there_is_no_timeline(tmp_path: Path):
    """Neither before the first attempt, nor amid it, nor after a crash amid it."""
    crashed = message(state="unknown", ended_at=None)
    for place, messages in enumerate([[], [message(state="queued", **UNSENT)], [crashed]]):
        folder = tmp_path / str(place)
        folder.mkdir()
        assert figures_of(folder, messages).timeline is None


def test_skipped_messages_are_counted_by_reason(tmp_path: Path):
    """The most frequent first; a sentence after the reason does not split it."""
    reasons = ["duplicate: of line 2", "duplicate: of line 9", "expired", "invalid: x", "expired"]
    figures = figures_of(
        tmp_path,
        [message(state="skipped", reason=reason, **UNSENT) for reason in [*reasons, "duplicate"]],
    )

    assert list(figures.skipped.items()) == [("duplicate", 3), ("expired", 2), ("invalid", 1)]


def test_what_is_wrong_with_rows_is_grouped_by_sentence(tmp_path: Path):
    """And by nothing else: duplicates name a line each."""
    reasons = ["invalid: name: is empty"] * 2 + ["invalid: dst_number: is empty", "duplicate: of 2"]
    figures = figures_of(
        tmp_path, [message(state="skipped", reason=reason, **UNSENT) for reason in reasons]
    )

    assert figures.invalid == [
        Frequency("skipped", "name: is empty", 2),
        Frequency("skipped", "dst_number: is empty", 1),
    ]


def test_the_most_frequent_errors_come_first_and_are_ten(tmp_path: Path):
    """By state and sentence, for a rejection is not a doubt."""
    messages = [
        message(state="rejected", reason=f"error {'x' * place}")
        for place in range(20)
        for _ in range(place + 1)
    ]
    figures = figures_of(tmp_path, [*messages, message(state="unknown", reason="error")])

    assert len(figures.errors) == MOST_FREQUENT
    assert figures.errors[0] == Frequency("rejected", f"error {'x' * 19}", 20)


def test_errors_that_differ_in_a_number_of_somebody_are_one(tmp_path: Path):
    """What may be a number or an address is taken out before they are counted."""
    reasons = ["400: 56987688060 is closed", "400: 56911112222 is closed", "400: a@b.cl is closed"]
    figures = figures_of(tmp_path, [message(state="rejected", reason=reason) for reason in reasons])

    assert figures.errors == [Frequency("rejected", "400: … is closed", 3)]


def test_deliveries_are_counted_by_status(tmp_path: Path):
    """Messages of which nothing came back are not among them."""
    statuses = ["ENTREGADO", "ENTREGADO", "NO ENTREGADO", None]
    figures = figures_of(tmp_path, [message(delivery_status=status) for status in statuses])

    assert figures.deliveries == {"ENTREGADO": 2, "NO ENTREGADO": 1}
    assert figures.reported == 3


@pytest.mark.parametrize("state", State)
def test_only_what_needs_nothing_more_is_finished(tmp_path: Path, state: State):
    """What is held waits for a person's word, not for the campaign."""
    figures = figures_of(tmp_path, [message(), message(state=state)])

    assert figures.is_finished is (state not in {State.QUEUED, State.IN_FLIGHT, State.UNKNOWN})


def test_a_source_that_was_not_read_to_its_end_is_not_finished(tmp_path: Path):
    """The rest of the file is not in the ledger yet."""
    assert not figures_of(tmp_path, [message()], loaded="0").is_finished
