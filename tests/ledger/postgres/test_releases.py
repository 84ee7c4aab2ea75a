"""Loads that ask first: no holder begins their messages before a yes."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import psycopg
import pytest
from doors import begin, entry, finish, load, opened, policy, rows, unreleased
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores import MakeStore

from connectus_async import LedgerError
from connectus_async.ledger.abc import Ledger, LedgerStore
from connectus_async.ledger.postgres.address import parse
from connectus_async.ledger.postgres.schema import CHUNK, DONE
from connectus_async.ledger.postgres.store import PostgresStore
from connectus_async.ledger.records import Corrects, Loading, Waiting
from connectus_async.ledger.states import Edited, State

ANA, LUIS = "56960000001", "56960000002"
GONE = "UPDATE connectus.worker SET left_at = clock_timestamp() WHERE id = %s"

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


async def asked(ledger: Ledger, *keys: str, **options: Any) -> None:
    """Load messages, and leave them unreleased."""
    await load(ledger, *map(entry, keys), **{"replaces": True, "releases": False, **options})


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
    await ledger.flush()
    return sent


async def answer(ledger: Ledger, **options: Any) -> None:
    """Say yes to the question of a holder."""
    await ledger.take_unreleased()
    await ledger.release(**options)


async def test_others_send_a_load_after_its_release(store: PostgresStore):
    """Until then nobody begins it, by its key or as it comes, not even its loader."""
    async with opened(store) as loader, opened(store) as sender:
        await asked(loader, "a", "b")
        for ledger in (loader, sender):
            assert list(await ledger.queued(0, 10)) == []
            assert (await begin(ledger, entry("a"))).found is State.QUEUED
        await answer(loader)
        assert await send(sender) == ["a", "b"]


async def test_what_was_released_before_goes_on_being_sent(store: PostgresStore):
    """The rows that were added wait for their own yes."""
    async with opened(store) as loader, opened(store) as sender:
        await load(sender, *map(entry, "ab"))
        (number, first), (other, second) = await sender.queued(0, 10)
        assert (await begin(sender, first, number)).found is None
        await asked(loader, *"abc")
        assert (await begin(sender, second, other)).found is State.QUEUED  # its chunk was recalled
        sender.finish(first, number, State.ACCEPTED, None, None)
        assert await send(sender) == ["b"]
        assert await loader.waiting() == {"sms": Waiting(1, 1, 1)}
        assert await sender.waiting() == {}
        await answer(loader)
        assert await send(sender) == ["c"]


async def test_without_a_yes_it_stays_unreleased_when_its_loader_is_gone(store: PostgresStore):
    """The next one who asks releases it."""
    async with opened(store) as loader:
        await asked(loader, "a")
        assert await unreleased(store) == [(1, True)]
    assert await unreleased(store) == [(1, False)]
    async with opened(store) as one, opened(store) as other:
        assert list(await one.queued(0, 10)) == []
        assert await one.waiting() == {}
        await one.take_unreleased()
        assert await one.waiting() == {"sms": Waiting(1, 1, 1)}
        assert await other.waiting() == {}
        await one.release()
        assert await unreleased(store) == []
        assert await send(other) == ["a"]


async def test_who_is_gone_without_a_word_asks_nobody(store: PostgresStore, observer: Connection):
    """A killed process says nothing; others give it up, and may ask in its place."""
    async with opened(store) as loader, opened(store) as other:
        await asked(loader, "a")
        await other.take_unreleased()
        assert await other.waiting() == {}
        worker = loader._holding.worker  # type: ignore[attr-defined]
        await observer.execute(GONE, (worker,))
        await answer(other)
        assert await send(other) == ["a"]


async def test_nobody_releases_what_another_holder_asks_about(store: PostgresStore):
    """A yes releases what it was asked about, and nothing else."""
    async with opened(store) as one, opened(store) as other:
        await asked(one, "a", replaces=False)
        await asked(other, "b", replaces=False)
        assert await unreleased(store) == [(2, True)]
        await other.take_unreleased()
        assert await other.waiting() == {"sms": Waiting(1, 1, 1)}
        await other.release()
        assert await send(other) == ["b"]
        await answer(one)
        assert await send(other) == ["a"]


async def test_what_is_left_after_the_question_is_not_released_by_its_yes(store: PostgresStore):
    """Nobody saw its count."""
    async with opened(store) as one:
        await one.take_unreleased()
        async with opened(store) as other:
            await asked(other, "a", replaces=False)
        await one.release()
        assert list(await one.queued(0, 10)) == []
        assert await unreleased(store) == [(1, False)]


async def test_a_new_version_takes_the_place_of_one_that_was_asked_about(store: PostgresStore):
    """The earlier yes comes too late; nothing is doubled, and what is not in the new one goes."""
    async with opened(store) as one, opened(store) as other:
        await asked(one, *"ab")
        await one.take_unreleased()
        await asked(other, *"bc")
        with pytest.raises(LedgerError, match="loaded again by somebody else"):
            await one.release()
        assert await other.waiting() == {"sms": Waiting(2, 2, 1)}
        assert list(await one.queued(0, 10)) == []
        await answer(other)
        assert await send(one) == ["b", "c"]

    assert await rows(store, "key", "state") == [
        ("a", "skipped"),
        ("b", "accepted"),
        ("c", "accepted"),
    ]


@pytest.mark.parametrize("is_gone", [True, False])
async def test_the_same_again_takes_the_place_of_one_that_was_broken_off(
    store: PostgresStore, is_gone: bool
):
    """While it was loading, or later: nothing of it is sent before a yes, and nothing twice."""
    async with AsyncExitStack() as loaders, opened(store) as other:
        first = await loaders.enter_async_context(opened(store))
        number = await first.begin_load()
        await first.load([Loading(entry("a"))], number)
        if is_gone:
            await loaders.aclose()
        await asked(other, *"ab")
        assert list(await other.queued(0, 10)) == []
        await answer(other)
        assert await send(other) == ["a", "b"]


@pytest.mark.parametrize("replaces", [True, False])
async def test_a_load_that_asks_nobody_releases_what_it_has(store: PostgresStore, replaces: bool):
    """And of others only what is in it, once nobody asks about that."""
    async with opened(store) as loader:
        await asked(loader, *"ab")
    async with opened(store) as loader, opened(store) as other:
        await asked(loader, "c", replaces=False)
        await load(other, *map(entry, "abd"), replaces=replaces)
        assert await send(other) == ["a", "b", "d"]
        assert await unreleased(store) == ([] if replaces else [(1, True)])


@pytest.mark.parametrize("text", ["Hola", "Adiós"])
async def test_a_load_that_asks_nobody_leaves_what_it_does_not_have(
    store: PostgresStore, text: str
):
    """Rows that were loaded together are released together, so none of them is."""
    async with opened(store) as loader:
        await asked(loader, *"ab")
    async with opened(store) as service:
        await load(service, entry("a", text=text), entry("c"))
        assert await send(service) == ["c"]
        assert await unreleased(store) == [(2, False)]


async def test_a_load_that_adds_leaves_a_broken_off_one_as_it_is(store: PostgresStore):
    """It has nothing of it: somebody has to say yes, or to load that again."""
    async with opened(store) as loader:
        number = await loader.begin_load()
        await loader.load([Loading(entry("a"))], number)
    async with opened(store) as service:
        await load(service, entry("b"))
        assert await send(service) == ["b"]
        assert await unreleased(store) == [(1, False)]
        await answer(service)
        assert await send(service) == ["a"]


@pytest.mark.parametrize("text", ["Hola", "Adiós"])
async def test_what_returns_or_changes_waits_for_the_yes(store: PostgresStore, text: str):
    """Though its chunk was somebody else's, who has a message of it in flight."""
    async with opened(store) as loader, opened(store) as sender:
        await load(sender, *map(entry, "abc"))
        await load(sender, *map(entry, "ab"), replaces=True)
        (number, first), (other, second) = await sender.queued(0, 10)
        assert (await begin(sender, first, number)).found is None
        number_of_load = await loader.begin_load()
        again = [entry(key, text=text) for key in "abc"]
        await loader.load([Loading(one) for one in again], number_of_load)
        await loader.end_load(number_of_load, replaces=True, releases=False)
        assert (await begin(sender, second, other)).found is State.QUEUED
        sender.finish(first, number, State.ACCEPTED, None, None)
        assert await send(sender) == []
        await answer(loader)
        assert await send(sender) == ["b", "c"]


async def test_what_returns_where_others_stream_waits_for_the_yes(store: PostgresStore):
    """They go on streaming there."""
    async with opened(store) as loader, opened(store) as sender:
        await finish(sender, entry("a"))
        await finish(sender, entry("b"), State.REJECTED, "400")
        await sender.flush()
        number = await loader.begin_load()
        await loader.load([Loading(entry("b", text="Adiós"))], number)
        await loader.end_load(number, replaces=True, releases=False)
        assert await send(sender) == []
        assert (await begin(sender, entry("b"))).found is State.QUEUED
        await finish(sender, entry("c"))
        await answer(loader)
        assert await send(sender) == ["b"]

    assert await rows(store, "key", "state") == [(key, "accepted") for key in "abc"]


async def test_a_refused_source_releases_nothing_that_it_brought_back(store: PostgresStore):
    """A person is asked who gets the new text; until then it waits."""
    async with opened(store) as loader, opened(store) as sender:
        await finish(loader, entry("old", recipient=ANA))
        await load(sender, entry("b", recipient=LUIS), entry("c", recipient=LUIS))
        await load(sender, entry("c", recipient=LUIS), replaces=True)
        (number, one), *_ = await sender.queued(0, 10)
        assert (await begin(sender, one, number)).found is None
        source = [entry("new", recipient=ANA), *(entry(it, recipient=LUIS) for it in "bc")]
        number_of_load = await loader.begin_load()
        await loader.load([Loading(it) for it in source], number_of_load)
        people = await loader.end_load(
            number_of_load, replaces=True, edited=Edited.ABORT, releases=False
        )
        assert people == {0: 1}
        sender.finish(one, number, State.ACCEPTED, None, None)
        assert await send(sender) == []


async def test_corrections_wait_for_the_yes(store: PostgresStore):
    """Others send the campaign meanwhile."""
    async with opened(store) as loader, opened(store) as sender:
        number = await finish(sender, entry("bad", line=2), State.REJECTED, "400")
        await sender.flush()
        load_number = await loader.begin_load(corrects=Corrects([number], 0))
        await loader.load([Loading(entry("good", line=2))], load_number)
        await loader.end_load(load_number, replaces=False, edited=Edited.REMAINING, releases=False)
        assert await send(sender) == []
        await answer(loader)
        assert await send(sender) == ["good"]


async def test_a_sample_is_sent_by_the_one_who_asked(store: PostgresStore):
    """The rest stays unreleased, and the next yes is about that."""
    async with opened(store) as loader, opened(store) as sender:
        await asked(loader, *"abc")
        await answer(loader, to_all=False)
        ((number, first),) = await loader.queued(0, 1)
        assert (await begin(sender, entry("b"))).found is State.QUEUED
        assert (await begin(loader, first, number)).found is None
        loader.finish(first, number, State.ACCEPTED, None, None)
    assert await unreleased(store) == [(2, False)]
    async with opened(store) as loader:
        assert list(await loader.queued(0, 10)) == []
        await answer(loader)
        assert await send(loader) == ["b", "c"]


async def test_a_release_is_of_all_chunks(store: PostgresStore, observer: Connection):
    """And those without a message that waits are done."""
    async with opened(store) as loader, opened(store) as other:
        await asked(loader, *map(str, range(2 * CHUNK + 1)))
        await asked(loader, *map(str, range(CHUNK, 2 * CHUNK + 1)))
        await answer(loader)
        assert len(await send(other)) == CHUNK + 1
    cursor = await observer.execute("SELECT DISTINCT state FROM connectus.chunk")
    assert await cursor.fetchall() == [(DONE,)]


BROKEN_OFF = "xy"
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["load", "ask", "ask", "yes", "send", "begin", "leave", "break off"]),
        st.integers(0, 2),
        st.booleans(),
        st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True),
    ),
    min_size=4,
    max_size=16,
)
ASKED_ABOUT = """
SELECT key FROM connectus.message JOIN connectus.chunk ON chunk.id = message.id / %s
WHERE releaser = %s AND message.state = 'queued'
"""


class Campaign:
    """A campaign with several holders.

    Attributes:
        allowed: Messages that were loaded without a question, or to which somebody has said yes.
    """

    def __init__(self, store: LedgerStore, observer: Connection) -> None:
        self.store = store
        self.allowed: set[str] = set()
        self._observer = observer
        self._holders: dict[int, Ledger] = {}

    async def holder(self, who: int) -> Ledger:
        if who not in self._holders:
            ledger = self.store.ledger()
            await ledger.open(policy())
            self._holders[who] = ledger
        return self._holders[who]

    async def leave(self, who: int) -> None:
        if who in self._holders:
            await self._holders.pop(who).close()

    async def take(self, step: str, who: int, keys: Sequence[str], *, replaces: bool) -> None:
        """Take a step."""
        ledger = await self.holder(who)
        if step == "load":
            await load(ledger, *map(entry, keys), replaces=replaces)
            self.allowed |= {*keys}
        elif step == "ask":
            await asked(ledger, *keys, replaces=replaces)
        elif step == "yes":
            await self.say_yes(ledger)
        elif step == "send":
            await self.send()
        elif step == "begin":
            for key in keys:
                self.allowed |= {key} - {*await rows(self.store, "key")}
                claim = await begin(ledger, entry(key))
                if claim.found is None:
                    assert key in self.allowed
                    ledger.finish(entry(key), claim.number, State.ACCEPTED, None, None)
            await ledger.flush()
        elif step == "break off":
            await ledger.load(
                [Loading(entry(key)) for key in BROKEN_OFF], await ledger.begin_load()
            )
        else:
            await self.leave(who)

    async def say_yes(self, ledger: Ledger) -> None:
        await ledger.take_unreleased()
        count = sum(it.messages for it in (await ledger.waiting()).values())
        worker = ledger._holding.worker  # type: ignore[attr-defined]
        cursor = await self._observer.execute(ASKED_ABOUT, (CHUNK, worker))
        self.allowed |= {key for (key,) in await cursor.fetchall()}
        assert count <= len(self.allowed & await self.queued())
        await ledger.release()

    async def send(self) -> None:
        async with opened(self.store) as sender:
            assert {*await send(sender)} <= self.allowed

    async def queued(self) -> set[str]:
        return {key for key, state in await rows(self.store, "key", "state") if state == "queued"}

    async def leave_all(self) -> None:
        for who in [*self._holders]:
            await self.leave(who)

    async def end(self) -> None:
        """Say the last yes, which is about all that is left."""
        async with opened(self.store) as last:
            await self.say_yes(last)
        await self.send()
        assert not await self.queued()


@pytest.mark.parametrize("make_store", ["PostgreSQL"], indirect=True)
@given(steps=STEPS)
@settings(
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_nothing_is_sent_without_a_yes_and_nothing_is_lost(
    make_store: MakeStore, postgres_ledger: str, steps: Sequence[tuple[str, int, bool, list[str]]]
):
    """Whoever loads, asks, answers, sends and leaves, in any order."""

    async def follow() -> None:
        async with await psycopg.AsyncConnection.connect(
            parse(postgres_ledger).conninfo, autocommit=True
        ) as observer:
            campaign = Campaign(store, observer)
            try:
                for step, who, replaces, keys in steps:
                    await campaign.take(step, who, keys, replaces=replaces)
            finally:
                await campaign.leave_all()
            await campaign.end()

    store = make_store()
    with asyncio.Runner(debug=False) as runner:
        runner.run(follow())
