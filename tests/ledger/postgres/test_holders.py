"""Several holders of one campaign: who gets what, who is given up, and what becomes of it."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import AsyncMock

import psycopg
import pytest
from anyio.to_thread import run_sync
from doors import begin, entry, finish, load, opened, policy, rows, rows_now, settled

from connectus_async import LedgerError
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.postgres.address import parse
from connectus_async.ledger.postgres.holding import BEATS, Holding
from connectus_async.ledger.postgres.init import create_tables
from connectus_async.ledger.postgres.schema import CHUNK, WAITING
from connectus_async.ledger.postgres.store import PostgresStore
from connectus_async.ledger.postgres.writer import TOO_OLD, Writer
from connectus_async.ledger.records import Claim
from connectus_async.ledger.states import INTERRUPTED, OnUnknown, State
from connectus_async.postgres_server import PostgresServer

SHORT = 0.5
"""Seconds of a lease."""


@pytest.fixture
def hasty(postgres_ledger: str) -> PostgresStore:
    """A store that gives holders up soon."""
    return PostgresStore(postgres_ledger, lease=SHORT)


INSERT = "INSERT INTO connectus.outcome (id, state, attempts)"
IS_SEEN_SINCE = """
SELECT seen_at > %s::timestamptz + %s * interval '1 second' FROM connectus.worker
ORDER BY id DESC LIMIT 1
"""
UNTIL_SOMEBODY_WAITS = """
DO $$ BEGIN
    WHILE NOT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted) LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$
"""


@pytest.fixture
def administrator(postgres: PostgresServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.address(), autocommit=True) as connection:
        yield connection


class Sleeper:
    """Holder whose process can be stopped: its loop runs during its calls alone."""

    def __init__(self, store: PostgresStore, **options: Any) -> None:
        self._runner = asyncio.Runner(debug=False)
        self._is_closed = False
        self.ledger = store.ledger()
        self.run(self.ledger.open(policy(**options)))

    def run(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self._runner.run(wait())

    def begin(self, *numbers: int) -> list[Claim]:
        async def ask() -> list[Claim]:
            return await settled(*[self.ledger.begin(entry(), number) for number in numbers])

        return self.run(ask())

    def queued(self, limit: int) -> list[int]:
        return [number for number, _ in self.run(self.ledger.queued(0, limit))]

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self.run(self.ledger.close())
            self._runner.close()


@pytest.fixture
def sleeper(hasty: PostgresStore) -> Iterator[Sleeper]:
    sleeper = Sleeper(hasty)
    yield sleeper
    sleeper.close()


def messages(count: int) -> list[Any]:
    return [entry(str(index)) for index in range(count)]


async def everything(ledger: Ledger) -> list[int]:
    """Read and begin what is queued until nothing is."""
    begun: list[int] = []
    last = 0
    while batch := await ledger.queued(last, 100):
        last = batch[-1][0]
        for number, one in batch:
            found = (await begin(ledger, one, number)).found
            if found is State.QUEUED:  # its chunk was given to whoever reads next
                last = 0
                break
            assert found is None
            ledger.finish(one, number, State.ACCEPTED, None, None)
            begun.append(number)
    return begun


async def test_each_message_is_given_to_one_of_many_holders(store: PostgresStore):
    """Chunk by chunk, however many of them ask at once."""
    async with opened(store) as loader:
        await load(loader, *messages(5 * CHUNK))
    async with opened(store) as one, opened(store) as other, opened(store) as third:
        begun = await asyncio.gather(*map(everything, (one, other, third)))

    numbers = [number for part in begun for number in part]
    assert len(numbers) == len({*numbers}) == 5 * CHUNK
    assert await rows(store, "state", "attempts") == [("accepted", 1)] * 5 * CHUNK


async def test_what_a_holder_leaves_is_given_to_the_next(store: PostgresStore):
    """Who waits for others gets it as soon as they close."""
    async with opened(store) as loader:
        await load(loader, *messages(10))
    async with opened(store) as one, opened(store) as other:
        taken = await one.queued(0, 3)
        await begin(one, taken[0][1], taken[0][0])
        one.finish(taken[0][1], taken[0][0], State.ACCEPTED, None, None)
        waiting = asyncio.ensure_future(everything(other))
        await one.close()
        begun = await waiting

    assert len(begun) == 9
    assert taken[0][0] not in begun


async def test_a_chunk_is_kept_while_its_last_message_is_being_begun(store, postgres_ledger):
    """If it were given back, nobody would find the message that is in flight."""
    async with opened(store) as ledger:
        await load(ledger, *messages(1))
        ((number, one),) = await ledger.queued(0, 10)
        writer = ledger._holding.writer
        async with await psycopg.AsyncConnection.connect(parse(postgres_ledger).conninfo) as other:
            await other.execute("SELECT FROM connectus.chunk FOR UPDATE")
            beginning = asyncio.ensure_future(begin(ledger, one, number))
            while writer._writing is None:  # noqa: ASYNC110 - it takes a few turns of the loop
                await asyncio.sleep(0)
            assert writer.is_in_use(number // CHUNK)
        assert await beginning == Claim(number)
        ledger.finish(one, number, State.ACCEPTED, None, None)


def test_a_holder_that_is_silent_for_a_lease_is_given_up(hasty: PostgresStore, sleeper: Sleeper):
    """What it had begun may have been sent; the rest is given to others, and it sends no more."""
    sleeper.run(load(sleeper.ledger, *messages(5)))
    numbers = sleeper.queued(5)
    sleeper.begin(*numbers[:2])

    other = Sleeper(hasty)
    assert other.run(everything(other.ledger)) == numbers[2:]
    other.close()

    with pytest.raises(LedgerError, match="gave this sender up"):
        sleeper.begin(numbers[2])
    assert rows_now(hasty, "state", "reason") == [
        *[("unknown", INTERRUPTED)] * 2,
        *[("accepted", None)] * 3,
    ]


def test_a_holder_is_given_up_after_its_own_lease(store, hasty, postgres_ledger):
    """Others may have a shorter one: by theirs it would be dead while it goes on sending."""
    patient = Sleeper(store)
    patient.run(load(patient.ledger, *messages(2)))
    first, second = patient.queued(2)
    patient.begin(first)
    with psycopg.connect(parse(postgres_ledger).conninfo) as connection:
        connection.execute("UPDATE connectus.worker SET seen_at = seen_at - interval '3 seconds'")
    Sleeper(hasty).close()

    assert patient.begin(second) == [Claim(second)]
    patient.close()


def test_who_was_silent_itself_gives_nobody_up(hasty: PostgresStore, sleeper: Sleeper):
    """Both may have waited for the server: each is seen before anybody is judged."""
    sleeper.run(load(sleeper.ledger, *messages(1)))
    numbers = sleeper.queued(1)
    other = Sleeper(hasty)
    time.sleep(1.5 * SHORT)
    other.run(asyncio.sleep(1.5 * SHORT / BEATS))

    assert sleeper.begin(*numbers) == [Claim(numbers[0])]
    other.close()


async def test_a_new_campaign_has_the_name_of_its_address(postgres_ledger: str):
    """Whoever calls it otherwise is refused, and makes nothing."""
    store = PostgresStore(postgres_ledger)
    with pytest.raises(LedgerError, match="or use another ledger for this one"):
        await store.ledger().open(policy("pascua"))
    with pytest.raises(LedgerError, match="no such campaign"), store.read():
        pass


def test_an_answer_that_comes_after_the_end_of_a_lease_is_not_lost(
    hasty: PostgresStore, sleeper: Sleeper
):
    """It was accepted, whoever was given up; any other answer leaves it unknown."""
    sleeper.run(load(sleeper.ledger, *messages(4)))
    *numbers, waiting = sleeper.queued(4)
    sleeper.begin(*numbers)
    other = Sleeper(hasty)
    assert other.run(everything(other.ledger)) == [waiting]
    other.close()

    for number, state in zip(numbers, (State.ACCEPTED, State.REJECTED, State.QUEUED), strict=True):
        sleeper.ledger.finish(entry(), number, state, None, f"id-{state}")
    with pytest.raises(LedgerError, match="gave this sender up"):
        sleeper.run(sleeper.ledger.flush())
    sleeper.close()
    assert rows_now(hasty, "state", "provider_id") == [
        ("accepted", "id-accepted"),
        *[("unknown", None)] * 2,
        ("accepted", None),
    ]


def test_a_holder_that_is_stopped_within_a_transaction_is_given_up(
    hasty: PostgresStore, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
):
    """Its locks do not keep the others waiting for as long as it is stopped."""
    sleeper.run(load(sleeper.ledger, *messages(5)))
    numbers = sleeper.queued(5)
    begin_some = Writer._begin
    stopped, continued = asyncio.Event(), asyncio.Event()

    async def stop(*args: Any) -> None:
        monkeypatch.setattr(Writer, "_begin", begin_some)
        stopped.set()
        await continued.wait()
        await begin_some(*args)

    monkeypatch.setattr(Writer, "_begin", stop)

    async def begin_out_of_order() -> None:
        sleeper.ledger.begin(entry(), numbers[3])
        await stopped.wait()

    sleeper.run(begin_out_of_order())
    other = Sleeper(hasty)
    assert other.run(asyncio.wait_for(everything(other.ledger), 30)) == numbers
    other.close()
    continued.set()
    with pytest.raises(LedgerError, match="gave this sender up"):
        sleeper.run(sleeper.ledger.flush())


def test_a_holder_that_is_stopped_while_it_takes_a_chunk_keeps_nobody_waiting(
    hasty: PostgresStore, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
):
    """Its lock of the chunk does not keep the others waiting for as long as it is stopped."""
    sleeper.run(load(sleeper.ledger, *messages(5)))
    read_waiting = Holding._waiting
    stopped, continued = asyncio.Event(), asyncio.Event()

    async def stop(*args: Any) -> Any:
        monkeypatch.setattr(Holding, "_waiting", read_waiting)
        stopped.set()
        await continued.wait()
        return await read_waiting(*args)

    monkeypatch.setattr(Holding, "_waiting", stop)

    async def read() -> "asyncio.Task[Any]":
        reading = asyncio.ensure_future(sleeper.ledger.queued(0, 5))
        await stopped.wait()
        return reading

    other = Sleeper(hasty)
    reading = sleeper.run(read())
    try:
        assert len(other.run(asyncio.wait_for(everything(other.ledger), 10))) == 5
    finally:
        continued.set()
    other.close()
    assert sleeper.run(asyncio.wait_for(reading, 30)) == []  # given up or not


async def until_seen_for_two_leases(administrator: psycopg.Connection) -> None:
    """Wait until the holder that joined last has been seen for so long."""
    (begin,) = administrator.execute("SELECT clock_timestamp()").fetchone() or ()
    seen = (begin, 2 * SHORT)
    while administrator.execute(IS_SEEN_SINCE, seen).fetchone() != (True,):  # noqa: ASYNC110 - it is another's
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("of_a_dead_one", [True, False])
def test_a_holder_that_waits_for_locks_is_seen_meanwhile(
    hasty: PostgresStore,
    sleeper: Sleeper,
    administrator: psycopg.Connection,
    *,
    of_a_dead_one: bool,
):
    """Those of chunks that it takes over, or gives back, while a load ends or somebody sleeps."""
    sleeper.run(load(sleeper.ledger, *messages(5)))
    other = Sleeper(hasty)
    assert (sleeper if of_a_dead_one else other).queued(1)
    other.ledger._holding.writer.recall()  # type: ignore[attr-defined]

    with administrator.transaction():
        administrator.execute("SELECT FROM connectus.chunk FOR UPDATE")
        other.run(asyncio.wait_for(until_seen_for_two_leases(administrator), 10))
    assert len(other.run(asyncio.wait_for(everything(other.ledger), 30))) == 5
    other.close()


def test_a_holder_is_seen_while_it_opens(hasty: PostgresStore, administrator: psycopg.Connection):
    """To go on where others stopped may take longer than a lease."""
    loader = Sleeper(hasty)
    loader.run(load(loader.ledger, *messages(5)))
    opening = hasty.ledger()

    async def open_while_locked() -> None:
        with administrator.transaction():
            administrator.execute("SELECT FROM connectus.chunk FOR UPDATE")
            task = asyncio.ensure_future(opening.open(policy()))
            await asyncio.wait_for(until_seen_for_two_leases(administrator), 10)
        await task
        assert len(await everything(opening)) == 5
        await opening.close()

    loader.run(open_while_locked())
    loader.close()


def test_a_holder_that_resends_sends_what_a_dead_one_had_begun(
    hasty: PostgresStore, sleeper: Sleeper
):
    """At least once, as it was told to."""
    sleeper.run(load(sleeper.ledger, *messages(3)))
    numbers = sleeper.queued(3)
    sleeper.begin(numbers[0])

    other = Sleeper(hasty, on_unknown=OnUnknown.RESEND)
    assert sorted(other.run(everything(other.ledger))) == numbers
    other.close()
    assert rows_now(hasty, "attempts") == [2, 1, 1]


def test_a_permission_that_is_too_old_is_not_used(hasty: PostgresStore, sleeper: Sleeper):
    """Who slept between it and its use sends nothing: the message waits again."""
    sleeper.run(load(sleeper.ledger, *messages(1)))
    (number,) = sleeper.queued(1)

    async def ask_and_sleep() -> Claim:
        claim = sleeper.ledger.begin(entry(), number)
        await sleeper.ledger.flush()
        time.sleep(SHORT)  # noqa: ASYNC251 - as a process that is stopped and continued
        (answer,) = await settled(claim)
        return answer

    assert sleeper.run(ask_and_sleep()).found is State.QUEUED
    sleeper.run(sleeper.ledger.flush())
    assert rows_now(hasty, "state", "reason") == [("queued", TOO_OLD)]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of the test alone, with the tables of ledgers."""
    with PostgresServer(syncs=False) as server:
        create_tables(parse(server.address()))
        yield server


async def test_a_crash_of_the_server_is_survived(server: PostgresServer):
    """What was being written is written again; each is begun once."""
    store = PostgresStore(server.address(campaign="navidad"))
    async with opened(store) as ledger:
        await load(ledger, *messages(20))
        queued = await ledger.queued(0, 20)
        for number, one in queued[:5]:
            await begin(ledger, one, number)
        await run_sync(server.crash)
        for number, one in queued[:5]:
            ledger.finish(one, number, State.ACCEPTED, None, None)
        claims = [ledger.begin(one, number) for number, one in queued[5:]]
        await run_sync(server.start)
        assert {claim.found for claim in await settled(*claims)} == {None}
        for number, one in queued[5:]:
            ledger.finish(one, number, State.ACCEPTED, None, None)

    assert await rows(store, "state", "attempts") == [("accepted", 1)] * 20


async def test_a_loader_takes_back_what_others_have_not_begun(store: PostgresStore):
    """A source that replaces another one: nobody gets a message that it does not have any more."""
    async with opened(store) as loader, opened(store) as sender:
        await load(loader, *messages(10))
        queued = await sender.queued(0, 10)
        await begin(sender, queued[0][1], queued[0][0])
        await load(loader, *messages(5), replaces=True)

        claims = await settled(*[sender.begin(one, number) for number, one in queued[1:]])
        assert [claim.found for claim in claims] == [State.QUEUED] * 4 + [State.SKIPPED] * 5
        sender.finish(queued[0][1], queued[0][0], State.ACCEPTED, None, None)
        assert len(await everything(sender)) == 4

    assert await rows(store, "state", "attempts") == [
        *[("accepted", 1)] * 5,
        *[("skipped", 0)] * 5,
    ]


def test_what_is_in_flight_when_a_loader_takes_it_back_is_not_forgotten(
    hasty: PostgresStore, sleeper: Sleeper
):
    """It stays its sender's: if that one dies, it is unknown, and the rest is sent by others."""
    loader = Sleeper(hasty)
    loader.run(load(loader.ledger, *messages(3)))
    numbers = sleeper.queued(3)
    sleeper.begin(numbers[0])
    loader.run(load(loader.ledger, *messages(3), replaces=True))

    assert loader.run(everything(loader.ledger)) == numbers[1:]
    loader.close()
    assert rows_now(hasty, "state") == ["unknown", "accepted", "accepted"]


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (f"{INSERT} SELECT id, 'accepted', 1 FROM connectus.entry WHERE key = 'a'", "accepted"),
        (f"{INSERT} SELECT id, 'skipped', 0 FROM connectus.entry WHERE key = 'a'", "skipped"),
        (f"UPDATE connectus.chunk SET begun = id * {CHUNK} WHERE state = {WAITING}", "in_flight"),
    ],
)
async def test_a_message_is_not_begun_if_others_change_it_meanwhile(
    store: PostgresStore, administrator: psycopg.Connection, change: str, state: str
):
    """Between the look at it and the taking of its chunk, which nobody owns any more by then."""
    async with opened(store) as loader:
        await load(loader, entry("a"))
    async with opened(store) as sender:
        with administrator.transaction():
            administrator.execute("SELECT FROM connectus.chunk FOR UPDATE")
            begun = asyncio.ensure_future(begin(sender, entry("a")))
            await run_sync(administrator.execute, UNTIL_SOMEBODY_WAITS)
            administrator.execute(change)
        assert (await begun).found == state


async def test_who_streams_and_who_sends_the_queue_share_a_campaign(store: PostgresStore):
    """A message that one has loaded and the other gives again is begun once."""
    async with opened(store) as one, opened(store) as other:
        await load(one, entry("a"), entry("b"))
        number = await finish(other, entry("a"))
        assert (await begin(one, entry("a"))) == Claim(number, State.ACCEPTED)
        assert len(await everything(one)) == 1


async def test_a_chunk_whose_last_message_is_being_begun_is_not_given_back(store: PostgresStore):
    """It does not wait any more, and is not in flight yet: whoever reads on leaves it alone."""
    async with opened(store) as ledger:
        await load(ledger, entry("a"))
        ((number, message),) = await ledger.queued(0, 10)
        holding = ledger._holding  # type: ignore[attr-defined]
        holding.writer.written = AsyncMock()  # a message may be begun right after it
        async with holding._changes._lock:
            begun = asyncio.ensure_future(begin(ledger, message, number))
            await asyncio.sleep(0)
            assert await ledger.queued(number, 10) == []
        assert await begun == Claim(number)
