"""What every store promises to readers and to writers of delivery statuses, beside its holder.

It asks through the doors alone, so that a new store is one more parameter.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from inspect import isawaitable
from itertools import count
from typing import TypeVar

import pytest
from anyio.to_thread import run_sync

from connectus_async.errors import LedgerError
from connectus_async.ledger import open_store
from connectus_async.ledger.abc import DeliveryLog, Ledger, LedgerReader, LedgerStore
from connectus_async.ledger.records import (
    Entry,
    Frequency,
    MessageRow,
    Policy,
    Recorded,
    TimeGrid,
)
from connectus_async.ledger.states import OnUnknown, SkipReason, State
from connectus_async.products.sms_statuses import SmsStatus

T = TypeVar("T")

POLICY = Policy("Navidad", "message", OnUnknown.HOLD, forgets_content=False)
ALWAYS = TimeGrid(begin=0.0, width=1.0, parts=3)
SECRET = "tu clave es 493021"

keys = count()


@pytest.fixture(params=["sqlite"])
def store(request, tmp_path) -> LedgerStore:
    return {"sqlite": lambda: open_store(tmp_path / "navidad.db")}[request.param]()


@asynccontextmanager
async def holding(store: LedgerStore) -> AsyncIterator[Ledger]:
    ledger = store.ledger()
    await ledger.open(POLICY)
    try:
        yield ledger
    finally:
        await ledger.close()


def entry(kind: str = "sms", *, billed: int = 1, line: int | None = None) -> Entry:
    return Entry(
        f"key-{next(keys)}", line, kind, "56987688060", f'{{"sms_content":"{SECRET}"}}', billed
    )


async def sent(
    ledger: Ledger,
    id_sms: str | None = None,
    state: State = State.ACCEPTED,
    reason: str | None = None,
    message: Entry | None = None,
) -> None:
    message = message or entry()
    claim = ledger.begin(message, None)
    if isawaitable(claim):
        claim = await claim
    ledger.finish(message, claim.number, state, reason, id_sms)
    await ledger.flush()


async def read(store: LedgerStore, question: Callable[[LedgerReader], T]) -> T:
    def ask() -> T:
        with store.read() as reader:
            return question(reader)

    return await run_sync(ask)


async def tell(store: LedgerStore, work: Callable[[DeliveryLog], T]) -> T:
    def tell_it() -> T:
        with store.deliveries() as deliveries:
            return work(deliveries)

    return await run_sync(tell_it)


async def test_totals_are_by_state(store):
    """A state without messages is left out."""
    async with holding(store) as ledger:
        await sent(ledger, "a", message=entry(billed=2))
        await sent(ledger, None, message=entry(billed=3))
        await sent(ledger, None, State.REJECTED, "400: no", message=entry("email"))
        ledger.put(entry(), None)
        await ledger.flush()

    totals = await read(store, lambda reader: reader.totals())

    assert {
        state: (each.messages, each.billed, each.nameless) for state, each in totals.items()
    } == {
        State.ACCEPTED: (2, 5, 1),
        State.REJECTED: (1, 1, 0),
        State.QUEUED: (1, 1, 1),
    }
    assert totals[State.ACCEPTED].began <= totals[State.ACCEPTED].ended
    assert totals[State.QUEUED].began is totals[State.QUEUED].ended is None


async def test_a_reader_has_the_ledger_of_one_moment(store):
    """The holder is not held up, and nothing of what it writes shows."""
    async with holding(store) as ledger:
        await sent(ledger)

        def counts(reader: LedgerReader) -> list[int]:
            return [reader.totals()[State.ACCEPTED].messages]

        snapshot = store.read()
        reader = await run_sync(snapshot.__enter__)
        try:
            before = await run_sync(counts, reader)
            await sent(ledger)
            assert await run_sync(counts, reader) == before == [1]
        finally:
            await run_sync(snapshot.__exit__, None, None, None)
    assert await read(store, counts) == [2]


async def test_metadata_is_read_as_the_holder_wrote_it(store):
    """With the name of the campaign."""
    async with holding(store) as ledger:
        await ledger.set_metadata(source="clientes.csv")

    metadata = await read(store, lambda reader: reader.metadata())

    assert (metadata["name"], metadata["source"]) == ("Navidad", "clientes.csv")


async def test_sentences_are_counted_without_anybodys_number(store):
    """Those that differ in it alone are one; no more are given than were asked for."""
    async with holding(store) as ledger:
        for number in ("56987688060", "56911112222"):
            await sent(ledger, None, State.REJECTED, f"400: {number} is closed")
        await sent(ledger, None, State.UNKNOWN, "no answer")
        for reason in (SkipReason.EXPIRED, SkipReason.DUPLICATE, SkipReason.DUPLICATE):
            ledger.put(entry(), None, reason, "of line 2")
        for name in ("56987688060", "56911112222"):
            ledger.put(entry(), None, SkipReason.INVALID, f"{name}: is too long")
        await ledger.flush()

    closed = Frequency("rejected", "400: … is closed", 2)
    assert await read(store, lambda reader: reader.errors(1)) == [closed]
    assert len(await read(store, lambda reader: reader.errors(9))) == 2
    assert await read(store, lambda reader: reader.invalid(9)) == [
        Frequency("skipped", "…: is too long", 2)
    ]
    skipped = await read(store, lambda reader: reader.skipped())
    assert list(skipped.items()) == [("duplicate", 2), ("invalid", 2), ("expired", 1)]


async def test_outcomes_and_latencies_are_by_the_parts_of_a_time(store):
    """What is outside of all parts is in the nearest one; what is skipped or queued has none."""
    async with holding(store) as ledger:
        await sent(ledger, "a")
        await sent(ledger, None, State.UNKNOWN, "no answer")
        ledger.put(entry(), None, SkipReason.EXPIRED)
        ledger.put(entry(), None)
        await ledger.flush()

    assert await read(store, lambda reader: reader.outcomes(ALWAYS)) == [
        {},
        {},
        {State.ACCEPTED: 1, State.UNKNOWN: 1},
    ]
    *before, latency = await read(store, lambda reader: reader.latencies(ALWAYS))
    assert before == [None, None]
    assert 0 <= latency.p50 == latency.p95 == latency.p99


async def test_messages_are_read_in_the_order_of_their_arrival(store):
    """Without their content; all of them, or those in some states."""
    async with holding(store) as ledger:
        await sent(ledger, "a", message=entry(line=2))
        await sent(ledger, None, State.REJECTED, "400: no", message=entry(line=3))
        ledger.put(entry(line=4), None)
        await ledger.flush()

    def rows(*states: State) -> Callable[[LedgerReader], list[MessageRow]]:
        return lambda reader: [row for batch in reader.messages(states or None) for row in batch]

    first, second, third = await read(store, rows())
    assert (first.line, first.state, first.provider_id, first.attempts) == (2, "accepted", "a", 1)
    assert first.started_at <= first.ended_at == round(first.ended_at, 3)
    assert (second.line, second.state, second.reason) == (3, "rejected", "400: no")
    assert (third.line, third.state, third.started_at, third.attempts) == (4, "queued", None, 0)
    assert not any(SECRET in str(row) for row in (first, second, third))
    assert await read(store, rows(State.QUEUED, State.REJECTED)) == [second, third]


async def test_what_is_not_there_is_neither_read_nor_written(store):
    """Nor made: a slip of the pen is no campaign."""
    for _ in range(2):
        with pytest.raises(LedgerError):
            await read(store, lambda reader: reader.metadata())
        with pytest.raises(LedgerError):
            await tell(store, lambda deliveries: deliveries.count_open())


async def test_the_status_that_says_most_stays(store):
    """Whatever comes late or twice."""
    async with holding(store) as ledger:
        await sent(ledger, "a")

        def record(deliveries: DeliveryLog) -> list[Recorded]:
            statuses = [SmsStatus.EN_COLA, SmsStatus.ENTREGADO, SmsStatus.EN_COLA]
            return [deliveries.record("a", status).result() for status in statuses]

        assert await tell(store, record) == [Recorded.NEWS, Recorded.NEWS, Recorded.OLD]
    assert await read(store, lambda reader: reader.deliveries(9)) == {"ENTREGADO": 1}


async def test_a_status_waits_for_its_sms_across_writers(store):
    """It is on disk once it is recorded, and found by a later writer."""
    async with holding(store) as ledger:
        early = await tell(
            store, lambda deliveries: deliveries.record("b", SmsStatus.ENTREGADO, 1e9).result()
        )
        await sent(ledger, "b")
        open_now = await tell(store, lambda deliveries: deliveries.count_open().result())
    assert (early, open_now) == (Recorded.EARLY, 0)
    ((row,),) = await read(store, lambda reader: list(reader.messages()))
    assert (row.delivery_status, row.delivered_at) == ("ENTREGADO", 1e9)


async def test_open_sms_are_read_page_by_page(store):
    """Accepted SMS with an identifier and no final status."""
    async with holding(store) as ledger:
        for id_sms in ("a", "b", "c", None):
            await sent(ledger, id_sms)
        await sent(ledger, "d", message=entry("email"))

    def look(deliveries: DeliveryLog) -> None:
        deliveries.record("b", SmsStatus.NO_ENTREGABLE).result()
        (first,) = deliveries.open_sms(0, 1).result()
        (second,) = deliveries.open_sms(first.number, 9).result()
        assert (first.id, second.id) == ("a", "c")
        assert deliveries.open_sms(0, 9, since=second.accepted_at + 60).result() == []
        assert deliveries.open_sms(0, 9, until=first.accepted_at - 60).result() == []
        assert deliveries.count_open().result() == 2
        assert deliveries.count_nameless().result() == 1

    await tell(store, look)


async def test_a_delivery_log_that_is_not_open_records_nothing(store):
    """Neither before it was opened nor after it was closed."""
    async with holding(store) as ledger:
        await sent(ledger, "a")
    deliveries = store.deliveries()
    for _ in range(2):
        with pytest.raises(LedgerError, match="is not open"):
            deliveries.record("a", SmsStatus.ENTREGADO)
        await run_sync(deliveries.open)
        await run_sync(deliveries.close)
    assert await read(store, lambda reader: reader.deliveries(9)) == {}
