"""Loads of a campaign that others are sending or loading, and dry runs of it."""

import asyncio
from collections.abc import Iterator

import psycopg
import pytest
from doors import begin, entry, finish, load, opened, policy, rows

from connectus_async import ConfigurationError, LedgerError
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.postgres import replacing
from connectus_async.ledger.postgres.schema import CHUNK
from connectus_async.ledger.postgres.store import PostgresStore
from connectus_async.ledger.records import Entry, Loaded, Loading
from connectus_async.ledger.states import HAS_ANOTHER, REPLACED, Edited, State
from connectus_async.postgres_server import PostgresServer

ANA, LUIS, EVA = "56960000001", "56960000002", "56960000003"
DISCONNECT = """
SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND application_name = 'connectus-async'
"""


@pytest.fixture
def administrator(postgres: PostgresServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.address(), autocommit=True) as connection:
        yield connection


async def give(ledger: Ledger, number: int, *entries: Entry) -> list[Loaded]:
    """Give messages to a load."""
    return list(await ledger.load([Loading(one) for one in entries], number))


async def send(ledger: Ledger) -> list[str | None]:
    """Send what is queued, and return its keys."""
    sent: list[str | None] = []
    last = 0
    while batch := await ledger.queued(last, 100):
        last = batch[-1][0]
        for number, one in batch:
            assert (await begin(ledger, one, number)).found is None
            ledger.finish(one, number, State.ACCEPTED, None, None)
            sent.append(one.key)
    return sent


async def test_others_begin_nothing_of_a_source_before_its_end(store: PostgresStore):
    """Neither what is queued, nor what they have themselves."""
    async with opened(store) as loader, opened(store) as sender:
        number = await loader.begin_load()
        await give(loader, number, entry("a"), entry("b"))
        assert list(await sender.queued(0, 10)) == []
        assert (await begin(sender, entry("a"))).found is State.QUEUED
        await loader.end_load(number, replaces=False)
        assert await send(sender) == ["a", "b"]


async def test_others_begin_nothing_of_a_source_that_is_refused(store: PostgresStore):
    """Until it is loaded again by somebody who wants it."""
    new = [entry(who, recipient=who, text="Adiós") for who in (ANA, LUIS)]
    async with opened(store) as loader, opened(store) as sender:
        await finish(loader, entry("old", recipient=ANA))
        number = await loader.begin_load()
        await give(loader, number, *new)
        assert await loader.end_load(number, replaces=True, edited=Edited.ABORT) == {0: 1}
        assert list(await sender.queued(0, 10)) == []
        await load(loader, *new, edited=Edited.REMAINING)
        assert await send(sender) == [LUIS]


async def test_numbers_are_taken_chunk_by_chunk(store: PostgresStore):
    """However many messages a call has, and with duplicates among them."""
    keys = [str(index) for index in range(2 * CHUNK + 2)]
    async with opened(store) as loader:
        number = await loader.begin_load()
        for first, last in ((0, 2), (2, CHUNK), (CHUNK, len(keys))):
            await give(loader, number, entry("0"), *map(entry, keys[first:last]))
        await loader.end_load(number, replaces=True)
        assert await send(loader) == keys

    assert len(await rows(store)) == len(keys) + 3


async def test_the_last_of_two_loads_decides(store: PostgresStore):
    """The first one replaces nothing that both have, or that the second has alone."""
    async with opened(store) as one, opened(store) as other, opened(store) as sender:
        first = await one.begin_load()
        await give(one, first, entry("a"), entry("b"))
        second = await other.begin_load()
        known = await give(other, second, entry("b"), entry("c"))
        await one.end_load(first, replaces=True)
        assert [it.key for _, it in await sender.queued(0, 10)] == ["a", "b"]
        assert (await one.metadata())["loaded"] == "0"
        await other.end_load(second, replaces=True)
        assert (await one.metadata())["loaded"] == "1"
        assert await send(sender) == ["b", "c"]

    assert known == [Loaded(None, State.QUEUED), Loaded(None)]
    assert await rows(store, "key", "reason") == [
        ("a", f"superseded: {REPLACED}"),
        ("b", None),
        ("c", None),
    ]


async def test_a_load_goes_on_after_the_end_of_a_later_one(store: PostgresStore):
    """What it has loaded may be begun by then: the rest gets numbers of its own."""
    async with opened(store) as one, opened(store) as other, opened(store) as sender:
        first = await one.begin_load()
        await give(one, first, entry("a"))
        await load(other, entry("a"), entry("b"), replaces=True)
        assert await send(sender) == ["a", "b"]
        assert await give(one, first, entry("c"), entry("b")) == [
            Loaded(None),
            Loaded(None, State.ACCEPTED),
        ]
        assert list(await sender.queued(0, 10)) == []
        await one.end_load(first, replaces=True)
        assert await send(sender) == ["c"]


async def test_loads_of_the_same_messages_at_once_record_each_once(store: PostgresStore):
    """In whatever order they come: one of the loaders has the new one, the other knows it."""
    keys = [str(index) for index in range(200)]

    async def load_by_ten(ledger: Ledger, keys: list[str]) -> list[Loaded]:
        number = await ledger.begin_load()
        parts = [keys[place : place + 10] for place in range(0, len(keys), 10)]
        loaded = [it for part in parts for it in await give(ledger, number, *map(entry, part))]
        await ledger.end_load(number, replaces=False)
        return loaded

    async with opened(store) as one, opened(store) as other:
        loads = await asyncio.gather(load_by_ten(one, keys), load_by_ten(other, keys[::-1]))

    assert sorted(it.known or "new" for part in loads for it in part) == (
        [*["new"] * len(keys), *[State.QUEUED] * len(keys)]
    )
    assert sorted(await rows(store, "key")) == sorted(keys)


async def test_a_message_that_is_begun_while_its_source_is_loaded_is_known(store: PostgresStore):
    """Though the loader has not heard of it: its keys are its own."""
    async with opened(store) as loader, opened(store) as sender:
        number = await loader.begin_load()
        await begin(sender, entry("a"))
        loaded = await give(loader, number, entry("b"), entry("a"))

    assert loaded == [Loaded(None), Loaded(None, State.IN_FLIGHT)]


async def test_a_load_does_not_go_on_with_another_connection(
    store: PostgresStore, administrator: psycopg.Connection
):
    """A crash of the server may have lost what it had recorded; a new one has all of it."""
    async with opened(store) as loader:
        number = await loader.begin_load()
        await give(loader, number, entry("a"))
        administrator.execute(DISCONNECT)
        with pytest.raises(LedgerError):
            await give(loader, number, entry("b"))
        with pytest.raises(LedgerError, match="load it again"):
            await loader.end_load(number, replaces=False)
        loaded = await load(loader, entry("a"), entry("b"))

    assert loaded == [Loaded(None, State.QUEUED), Loaded(None)]


async def test_a_message_that_returns_waits_until_the_end_for_those_who_send(
    store: PostgresStore,
):
    """Its chunk is somebody else's, who begins others of it meanwhile."""
    async with opened(store) as loader, opened(store) as sender:
        await load(loader, *map(entry, "abc"))
        await load(loader, *map(entry, "ab"), replaces=True)
        (number, first), *_ = await sender.queued(0, 10)
        load_number = await loader.begin_load()
        loaded = await give(loader, load_number, *map(entry, "abc"))
        assert loaded == [Loaded(None, State.QUEUED)] * 3
        assert (await rows(store, "state"))[2] == "skipped"
        assert (await begin(sender, first, number)).found is None
        await loader.end_load(load_number, replaces=False)
        assert await send(sender) == ["b", "c"]


async def test_a_message_that_somebody_else_has_read_keeps_the_content_that_is_sent(
    store: PostgresStore,
):
    """One that was refused, of the same chunk, takes its new content at the end of the load."""
    async with opened(store) as loader, opened(store) as sender:
        await load(loader, *map(entry, "abc"))
        (number, first), *_ = await sender.queued(0, 10)
        assert (await begin(sender, first, number)).found is None
        sender.finish(first, number, State.REJECTED, "400", None)
        await sender.flush()
        load_number = await loader.begin_load()
        new = [entry(key, text="Adiós", recipient=LUIS) for key in "abc"]
        loaded = await give(loader, load_number, *new)
        await loader.end_load(load_number, replaces=False)
        assert await send(sender) == ["a", "b", "c"]

    assert loaded == [Loaded(None, State.QUEUED)] * 3
    assert await rows(store, "recipient") == [LUIS, first.recipient, first.recipient]


async def test_what_another_sender_has_read_is_skipped_as_too_often(store: PostgresStore):
    """It begins nothing of that any more; the rest waits for whoever reads it next."""
    async with opened(store) as planner, opened(store) as sender:
        await load(planner, *map(entry, "abcd"))
        numbers = [number for number, _ in await sender.queued(0, 10)]
        assert (await begin(sender, entry("a"), numbers[0])).found is None
        assert await planner.skip_too_often(numbers[:3]) == 2
        rest = zip("bcd", numbers[1:], strict=True)
        found = [(await begin(sender, entry(key), number)).found for key, number in rest]
        assert found == [State.SKIPPED, State.SKIPPED, State.QUEUED]

    assert await rows(store, "state") == ["in_flight", "skipped", "skipped", "queued"]


async def test_people_are_left_out_however_many_they_are(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
):
    """They are read some at a time; a message that is left out again is found again."""
    monkeypatch.setattr(replacing, "ROWS", 2)
    people = (ANA, LUIS, EVA)
    new = [entry(who, recipient=who, text="Adiós") for who in people]
    async with opened(store) as loader:
        for who in people:
            await finish(loader, entry(f"old {who}", recipient=who))
        for _ in range(2):
            number = await loader.begin_load()
            await give(loader, number, *new)
            assert await loader.end_load(number, replaces=True, edited=Edited.REMAINING) == {0: 3}
            assert [it.recipient for _, it in await loader.left_out(0, 10)] == [*people]

    assert (await rows(store, "reason"))[3:] == [f"has_another: {HAS_ANOTHER}"] * 3


async def test_any_text_is_loaded_as_it_is(store: PostgresStore):
    """But for what a database cannot hold."""
    texts = ("\\", "\\N", "\\.", "\t\r\n", "ñ\u2028😀", "'\"{}%s")
    kept = [entry(f"key: {text}", text=text, recipient=f"{text}@example.com") for text in texts]
    lost = Entry("b", 1, "sms", "1\0", '{"sms_content": "\ud800"}', 1)
    async with opened(store) as loader:
        await load(loader, *kept, lost)
        assert [it for _, it in await loader.queued(0, 10)] == [
            *kept,
            lost._replace(recipient="1", body='{"sms_content": "?"}'),
        ]


async def test_a_dry_run_ends_with_its_connection(
    store: PostgresStore, administrator: psycopg.Connection
):
    """Its tables are gone then, and it never writes to those of the campaign."""
    trial = store.trial()
    await trial.open(policy())
    await load(trial, entry("a"))
    administrator.execute(DISCONNECT)
    with pytest.raises(LedgerError):
        await load(trial, entry("b"))
    with pytest.raises(LedgerError, match="begin it again"):
        await load(trial, entry("b"))
    with pytest.raises(LedgerError):
        await trial.close()
    async with opened(store) as ledger:
        assert await ledger.counts() == {}


async def test_a_dry_run_gives_out_no_tickets(store: PostgresStore):
    """Nobody else can see its messages."""

    async def defer(*_: object) -> None:
        raise AssertionError

    trial = store.trial()
    await trial.open(policy())
    with pytest.raises(ConfigurationError, match="dry run"):
        await trial.hand_out(defer)
    await trial.close()
