"""Readers and reconciliations of a campaign in a database that has others too."""

import itertools
import random
import time
from collections.abc import Iterator, Sequence

import psycopg
import pytest
from databases import Database
from doors import Holder, begin, bring, entry, fields_of, finish, held, opened, resolve, rows_now

from connectus_async import LedgerError
from connectus_async.ledger.abc import LedgerReader
from connectus_async.ledger.postgres import reader as postgres_reader
from connectus_async.ledger.postgres.store import PostgresStore
from connectus_async.ledger.records import Report, TimeGrid, Unresolved
from connectus_async.ledger.states import State
from connectus_async.postgres_server import PostgresServer

SMS = Report("sms", (None, None, None))

END_READERS = """
SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE state = 'idle in transaction'
"""
SET_TIMES = """
UPDATE connectus.outcome SET started_at = it.started_at, ended_at = it.ended_at
FROM unnest(%s::bigint[], %s::float8[], %s::float8[]) AS it (id, started_at, ended_at)
WHERE outcome.id = it.id
"""


@pytest.fixture
def other(database: Database, store: PostgresStore) -> PostgresStore:
    """The store of another campaign of the same database."""
    return PostgresStore(database.address("pascua"))


@pytest.fixture
def nameless(postgres: PostgresServer, store: PostgresStore) -> PostgresStore:
    """The store of an address without a campaign."""
    return PostgresStore(postgres.address())


@pytest.fixture
def administrator(postgres: PostgresServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.address(), autocommit=True) as connection:
        yield connection


def everything(reader: LedgerReader) -> list[object]:
    now = TimeGrid(time.time() - 100, 1_000, 1)
    return [
        *(reader.metadata(), reader.totals(), reader.skipped(), fields_of(reader)),
        *(reader.invalid(5), reader.errors(5), reader.deliveries(5)),
        *(reader.outcomes(now), reader.latencies(now)),
    ]


def test_a_campaign_that_is_not_there_is_not_taken_for_another(
    store: PostgresStore, other: PostgresStore
):
    """Nor is it made."""
    with held(store):
        pass
    for _ in range(2):
        with pytest.raises(LedgerError, match="there is no such campaign"), other.read():
            pass


def test_the_only_campaign_need_not_be_named(
    store: PostgresStore, other: PostgresStore, nameless: PostgresStore
):
    """If there are several, the error names them."""
    with pytest.raises(LedgerError, match="there is no such campaign"), nameless.read():
        pass
    with held(store) as holder:
        holder.finish(entry("a"))
    assert rows_now(nameless, "key") == ["a"]
    with held(other, campaign="pascua"):
        pass
    with pytest.raises(LedgerError, match="one of navidad, pascua"), nameless.read():
        pass


def test_tables_of_a_newer_version_are_not_read(
    store: PostgresStore, administrator: psycopg.Connection
):
    """They may mean something else."""
    administrator.execute("UPDATE connectus.version SET number = number + 1")
    try:
        with pytest.raises(LedgerError, match="made by a newer connectus-async"), store.read():
            pass
    finally:
        administrator.execute("UPDATE connectus.version SET number = number - 1")


def test_a_reader_sees_nothing_of_other_campaigns(store: PostgresStore, other: PostgresStore):
    """Though their messages have numbers before, between and after its own."""
    with held(other, campaign="pascua") as before:
        bring_all(before, "a")
    with held(store) as holder:
        bring_all(holder, "b")
        with store.read() as reader:
            alone = everything(reader)
        with held(other, campaign="pascua") as after:
            bring_all(after, "c")
            with store.read() as reader:
                assert everything(reader) == alone
            with other.read() as reader:
                assert sum(it.messages for it in reader.totals().values()) == 2 * len(State)
                assert reader.skipped() == {"suppressed": 2}


def bring_all(holder: Holder, name: str) -> None:
    """Bring a message to each state."""
    for state in State:
        holder.run(bring(holder.ledger, entry(f"{state} {name}"), state))
    holder.run(holder.ledger.flush())


def test_an_error_of_the_block_stays_what_it_is(store: PostgresStore):
    """A full disk of whoever writes an export is not a database that cannot be reached."""
    with held(store):
        pass
    with pytest.raises(OSError, match="disk is full"), store.read():
        raise OSError("disk is full")


def test_a_connection_that_breaks_while_reading_is_an_error_of_the_ledger(
    store: PostgresStore, administrator: psycopg.Connection
):
    """With what to do about it."""
    with held(store) as holder:
        holder.finish(entry("a"))
    with pytest.raises(LedgerError, match="cannot be reached"), store.read() as reader:
        administrator.execute(END_READERS)
        reader.totals()


def test_exports_are_read_in_batches(store: PostgresStore, monkeypatch: pytest.MonkeyPatch):
    """Two at once, of which one is not read to its end."""
    monkeypatch.setattr(postgres_reader, "ROWS_A_BATCH", 2)
    with held(store) as holder:
        for key in "abcde":
            holder.finish(entry(key))
    with store.read() as reader:
        some, everything = reader.messages(), reader.messages([State.ACCEPTED])
        batches = [[row.key for row in next(some)], *([row.key for row in it] for it in everything)]
        assert batches == [["a", "b"], ["a", "b"], ["c", "d"], ["e"]]


async def test_a_message_that_is_queued_again_is_for_whoever_comes(store: PostgresStore):
    """Though nothing of its chunk was left."""
    async with opened(store) as ledger:
        await finish(ledger, entry("a"), State.UNKNOWN, "no answer")
    async with opened(store) as ledger:
        await resolve(ledger, State.QUEUED)
        ((number, found),) = await ledger.queued(0, 10)
        assert found == entry("a")
        assert (await begin(ledger, found, number)).found is None


async def test_a_route_is_found_however_its_text_is_written(store: PostgresStore):
    """Texts may repeat the names of fields, and have signs that the server's JSON refuses."""
    texts = ['"id_client":"8"', "id_client", "\0", "\\", 'a\\"id_client":"8', "ñ", "{}"]
    async with opened(store) as ledger:
        await finish(ledger, entry("lost"), State.UNKNOWN, "no answer")
        (lost,) = await ledger.unresolved()
        expected: dict[str | None, set[str]] = {None: set(), "7": set(), '"\\': set()}
        for place, (text, client) in enumerate(itertools.product(texts, expected)):
            route = {} if client is None else {"id_client": client}
            message = entry(str(place), text=text, **route)
            await finish(ledger, message, State.ACCEPTED, None, str(place))
            expected[client].add(str(place))
        for client, ids in expected.items():
            report = Report("sms", (None, client, None))
            found = await ledger.witnesses(report, [lost], near=99, about=99, sample=99)
            assert {one.provider_id for one in found.all} == ids


async def test_neighbours_are_the_nearest_of_many(
    store: PostgresStore, administrator: psycopg.Connection
):
    """As a search one by one finds them, also where times are equal."""
    generator = random.Random(3)
    async with opened(store) as ledger:
        numbers = [await finish(ledger, entry(str(key)), provider_id="x") for key in range(60)]
        await ledger.flush()
        times = {number: _times(generator) for number in numbers}
        values = [[*times], *map(list, zip(*times.values(), strict=True))]
        administrator.execute(SET_TIMES, values)
        group = [Unresolved(-n, "sms", "", "{}", *_times(generator)) for n in range(1, 9)]
        found = await ledger.witnesses(SMS, group, near=9.0, about=0.0, sample=0)

    for message in group:
        before, after = found.around[message.number]
        ends = [end for _, end in times.values() if 0 <= message.started_at - end <= 9.0]
        starts = [begin for begin, _ in times.values() if 0 <= begin - message.ended_at <= 9.0]
        assert (before and times[before][1]) == max(ends, default=None)
        assert (after and times[after][0]) == min(starts, default=None)


def _times(generator: random.Random) -> Sequence[float]:
    """A begin and an end, of which many are equal to others."""
    begin = generator.randrange(40)
    return 1_000.0 + begin, 1_000.0 + begin + generator.randrange(4)
