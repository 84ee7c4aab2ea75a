"""Conformance of stores: readers beside the holder, and ledgers of dry runs."""

import time

import pytest
from doors import (
    begin,
    bring,
    entry,
    fields_of,
    finish,
    held,
    load,
    opened,
    policy,
    rows,
    rows_now,
)
from stores import every_variant

from connectus_async import LedgerError
from connectus_async.ledger.abc import Ledger, LedgerStore
from connectus_async.ledger.records import INVALID, Entry, Frequency, MessageRow, TimeGrid, Total
from connectus_async.ledger.states import ATTEMPTED, SkipReason, State


def test_a_ledger_that_is_not_there_cannot_be_read(store: LedgerStore):
    """It is named, and reading it creates nothing."""
    for _ in range(2):
        with pytest.raises(LedgerError) as refused, store.read():
            pass
        assert str(refused.value).startswith(f"{refused.value.ledger}: ")


def test_a_reader_does_not_see_what_is_written_later(store: LedgerStore):
    """Nor does it hold the holder up; the next reader sees it."""
    with held(store) as holder:
        holder.finish(entry("a"), State.REJECTED, "400")
        with store.read() as reader:
            before = [reader.totals(), fields_of(reader), reader.errors(5), reader.metadata()]
            holder.finish(entry("b"), State.REJECTED, "400")
            holder.run(holder.ledger.set_metadata(source="a.csv"))
            later = [reader.totals(), fields_of(reader), reader.errors(5), reader.metadata()]
            assert later == before
        assert rows_now(store, "key") == ["a", "b"]
    with store.read() as reader:
        assert reader.metadata()["source"] == "a.csv"
        assert reader.totals()[State.REJECTED].messages == 2


def test_messages_are_counted_that_ended_lately(store: LedgerStore):
    """Those whose outcome is known; neither what waits nor what was skipped."""
    before = time.time() - 1
    with held(store) as holder:
        holder.run(load(holder.ledger, entry("c")))
        holder.finish(entry("a"), State.ACCEPTED, None, "id-a")
        holder.finish(entry("b"), State.REJECTED, "400")
    with store.read() as reader:
        assert reader.ended_since(before) == 2
        assert reader.ended_since(time.time() + 1) == 0


@every_variant
def test_an_empty_ledger_can_be_read(store: LedgerStore):
    """Its campaign has a name, and no message."""
    with held(store):
        pass
    with store.read() as reader:
        assert reader.metadata()["name"] == "navidad"
        assert (reader.totals(), reader.skipped(), reader.deliveries(5)) == ({}, {}, {})
        assert (reader.invalid(5), reader.errors(5), list(reader.messages())) == ([], [], [])
        assert reader.outcomes(TimeGrid(0, 1, 2)) == [{}, {}]
        assert reader.latencies(TimeGrid(0, 1, 2)) == [None, None]


def test_messages_add_up_by_state(store: LedgerStore):
    """With what they take from the balance, the times, and those without an identifier."""
    began = time.time()
    with held(store) as holder:
        holder.finish(entry("a", billed=2), State.ACCEPTED, None, "id-a")
        holder.finish(entry("b", billed=3), State.ACCEPTED)
        holder.finish(entry("c", kind="email", billed=5), State.ACCEPTED)
        holder.run(bring(holder.ledger, entry("d", billed=7), State.SKIPPED))
        holder.run(bring(holder.ledger, entry("e", billed=11), State.IN_FLIGHT))
        with store.read() as reader:
            totals = reader.totals()

    accepted, skipped, in_flight = (
        totals[state] for state in (State.ACCEPTED, State.SKIPPED, State.IN_FLIGHT)
    )
    assert len(totals) == 3
    assert (accepted.messages, accepted.billed, accepted.nameless) == (3, 10, 1)
    assert accepted.began is not None
    assert accepted.ended is not None
    assert began <= accepted.began <= accepted.ended <= time.time()
    assert (skipped.messages, skipped.billed, skipped.began) == (1, 7, None)
    assert in_flight == Total(1, 11, in_flight.began, None, 1)
    assert in_flight.began is not None
    assert accepted.ended <= in_flight.began


def test_skipped_messages_are_counted_by_reason(store: LedgerStore):
    """The most frequent first, whatever its sentence; invalid rows by what is wrong with them."""
    sentences = ["dst_number: is empty", "text: is empty", "dst_number: is empty"]
    with held(store) as holder:
        for line, sentence in enumerate(sentences):
            row = Entry(None, line, INVALID, "", "", 0)
            holder.ledger.put(row, None, SkipReason.INVALID, sentence)
        holder.ledger.put(entry("a"), None, SkipReason.SUPPRESSED)
        for key in "bc":
            holder.ledger.put(entry(key), None, SkipReason.EXPIRED, f"it is after {key}")
    with store.read() as reader:
        assert list(reader.skipped().items()) == [("invalid", 3), ("expired", 2), ("suppressed", 1)]
        assert reader.invalid(5) == [
            Frequency("skipped", "dst_number: is empty", 2),
            Frequency("skipped", "text: is empty", 1),
        ]
        assert len(reader.invalid(1)) == 1
        assert reader.errors(5) == []


def test_sentences_are_counted_without_personal_data(store: LedgerStore):
    """A server may repeat what it was sent; sentences that differ in it alone are one."""
    with held(store) as holder:
        for key, number in (("a", "56987688060"), ("b", "56960000001")):
            sentence = f"400: {number} cannot get it"
            holder.finish(entry(key), State.REJECTED, sentence)
            holder.ledger.put(
                Entry(None, 1, INVALID, "", "", 0), None, SkipReason.INVALID, sentence
            )
        holder.finish(entry("c"), State.UNKNOWN, "no answer for ana@example.com")
        holder.finish(entry("d"), State.ACCEPTED, "not shown")
    with store.read() as reader:
        errors, invalid = reader.errors(5), reader.invalid(5)
        assert len(reader.errors(1)) == 1

    assert errors == [
        Frequency("rejected", "400: … cannot get it", 2),
        Frequency("unknown", "no answer for …", 1),
    ]
    assert invalid == [Frequency("skipped", "400: … cannot get it", 2)]


def test_outcomes_are_counted_in_parts_of_a_time(store: LedgerStore):
    """What is outside belongs to the first or the last part; what has no outcome is in none."""
    began = time.time()
    with held(store) as holder:
        for state in State:
            holder.run(bring(holder.ledger, entry(state), state))
        with store.read() as reader:
            within = reader.outcomes(TimeGrid(began - 1_000, 1_500, 2))
            before = reader.outcomes(TimeGrid(began + 1_000, 10, 3))
            after = reader.outcomes(TimeGrid(began - 1_000, 1, 3))

    once = dict.fromkeys(ATTEMPTED, 1)
    assert within == [once, {}]
    assert before == [once, {}, {}]
    assert after == [{}, {}, once]


def test_latencies_are_those_of_answers(store: LedgerStore):
    """Of accepted and rejected messages; a part of the time without any has none."""
    began = time.time()
    with held(store) as holder:
        holder.finish(entry("e"), State.UNKNOWN, "no answer")
        with store.read() as reader:
            assert reader.latencies(TimeGrid(0, 1, 2)) == [None, None]
        for key in "abc":
            holder.finish(entry(key), State.ACCEPTED)
        holder.finish(entry("d"), State.REJECTED, "400")
        took = time.time() - began
    with store.read() as reader:
        none, some = reader.latencies(TimeGrid(began - 10, 10, 2))
        assert reader.latencies(TimeGrid(0, 1, 3)) == [None, None, some]

    assert none is None
    assert some is not None
    assert 0 <= some.p50 <= some.p95 <= some.p99 <= took


def test_an_export_has_the_messages_of_the_wanted_states_in_order(store: LedgerStore):
    """All of them, or none; every field of each."""
    with held(store) as holder:
        for line, state in enumerate(State, 2):
            holder.run(bring(holder.ledger, entry(state, line=line, billed=line), state))
        with store.read() as reader:
            everything = [row for batch in reader.messages() for row in batch]
            wanted = [State.HELD, State.QUEUED]
            some = [row for batch in reader.messages(wanted) for row in batch]
            assert list(reader.messages([])) == []

    assert [row.state for row in everything] == list(State)
    assert some == [row for row in everything if row.state in wanted]
    accepted = everything[list(State).index(State.ACCEPTED)]
    times = {"started_at": accepted.started_at, "ended_at": accepted.ended_at}
    assert None not in times.values()
    assert [round(it or 0, 3) for it in times.values()] == list(times.values())
    assert accepted == MessageRow(
        line=4,
        key="accepted",
        kind="sms",
        recipient="56987688060",
        state="accepted",
        reason=None,
        provider_id=None,
        attempts=1,
        **times,
        delivery_status=None,
        delivered_at=None,
        billed=4,
        number=accepted.number,
    )
    assert len({row.number for row in everything}) == len(State)


async def test_a_trial_of_a_ledger_that_is_not_there_creates_nothing(store: LedgerStore):
    """It is a ledger as any other until it is closed."""
    trial = store.trial()
    await trial.open(policy())
    assert await load(trial, entry("a"), entry("a"))
    assert (await begin(trial, entry("b"))).found is None
    assert await trial.counts() == {State.QUEUED: 1, State.SKIPPED: 1, State.IN_FLIGHT: 1}
    await trial.close()
    await trial.close()

    with pytest.raises(LedgerError):
        await rows(store)
    async with opened(store) as ledger:
        assert await ledger.counts() == {}


@every_variant
async def test_a_trial_has_what_the_ledger_has_and_changes_nothing_of_it(store: LedgerStore):
    """It opens it as the next holder would."""
    async with opened(store) as ledger:
        await ledger.set_metadata(source="a.csv")
        for state in State:
            await bring(ledger, entry(state), state)
    before = await rows(store)
    trial = store.trial()
    await trial.open(policy())
    counts = await trial.counts()
    found = [(await begin(trial, entry(state))).found for state in State]
    assert (await trial.metadata())["source"] == "a.csv"
    await load(trial, entry("new"), replaces=True)
    await trial.close()

    left = {state: 1 for state in State if state is not State.IN_FLIGHT}
    assert counts == {**left, State.UNKNOWN: 2}
    assert found == [
        *(None, State.UNKNOWN, State.ACCEPTED, State.REJECTED),
        *(State.UNKNOWN, State.HELD, State.SKIPPED),
    ]
    assert await rows(store) == before


async def test_a_trial_goes_on_beside_a_holder(store: LedgerStore, ledger: Ledger):
    """It has what was written when it was opened, and neither sees the other after that."""
    await finish(ledger, entry("a"))
    await ledger.flush()
    trial = store.trial()
    await trial.open(policy())
    await finish(ledger, entry("b"))
    await finish(trial, entry("c"))

    assert await trial.counts() == {State.ACCEPTED: 2}
    await trial.close()
    await ledger.flush()
    assert await rows(store, "key") == ["a", "b"]


async def test_a_trial_of_another_campaign_is_refused(store: LedgerStore):
    """As sending it would be; it can be closed all the same."""
    async with opened(store):
        pass
    trial = store.trial()
    with pytest.raises(LedgerError, match="or use another ledger for this one"):
        await trial.open(policy("pascua"))
    await trial.close()


async def test_a_clock_that_was_wrong_is_shown_as_it_was(
    store: LedgerStore, monkeypatch: pytest.MonkeyPatch
):
    """A machine without a battery begins far in the past."""
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.25)
    async with opened(store) as ledger:
        await finish(ledger, entry())
    assert await rows(store, "started_at", "ended_at") == [(1_000_000_000.25, 1_000_000_000.25)]
