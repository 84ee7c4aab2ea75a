"""Moments at which holders, loads and broken connections meet: nothing is begun twice, or lost."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from doors import begin, claims, entry, finish, load, opened, policy, rows, settled

from connectus_async import LedgerError
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.postgres import connection, loading
from connectus_async.ledger.postgres.address import parse
from connectus_async.ledger.postgres.holding import Holding
from connectus_async.ledger.postgres.schema import CHUNK
from connectus_async.ledger.postgres.session import Session
from connectus_async.ledger.postgres.store import PostgresStore
from connectus_async.ledger.postgres.writer import Writer
from connectus_async.ledger.records import Claim, Loading, Resolution
from connectus_async.ledger.states import OnUnknown, SkipReason, State

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

WAITING_FOR_LOCKS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


def messages(count: int) -> list[Any]:
    return [entry(str(index)) for index in range(count)]


async def send(ledger: Ledger, *queued: Any) -> list[Claim]:
    """Begin messages that were read, and finish those that may be sent."""
    answers = await settled(*[ledger.begin(one, number) for number, one in queued])
    for (_, one), claim in zip(queued, answers, strict=True):
        if claim.found is None:
            ledger.finish(one, claim.number, State.ACCEPTED, None, None)
    await ledger.flush()
    return answers


async def everything(ledger: Ledger) -> list[int]:
    """Read and begin what is queued until nothing is."""
    begun: list[int] = []
    last = 0
    while batch := await ledger.queued(last, 100):
        last = batch[-1][0]
        begun += [claim.number for claim in await send(ledger, *batch) if claim.found is None]
    return begun


async def done_or_blocked(task: "asyncio.Future[Any]", observer: Connection) -> None:
    """Wait until a task has ended, or waits for a lock of the server."""
    while not task.done():
        ((waiting,),) = await (await observer.execute(WAITING_FOR_LOCKS)).fetchall()
        if waiting:
            return
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("skipped", [None, SkipReason.EXPIRED])
async def test_who_puts_aside_what_others_are_sending_changes_nothing(
    store: PostgresStore, skipped: SkipReason | None
):
    """A load took it away, and another holder has begun it: its outcome is what counts."""
    async with opened(store) as loader, opened(store) as one, opened(store) as other:
        await load(loader, *messages(3))
        queued = await one.queued(0, 3)
        await load(loader, *messages(3), replaces=True)
        assert await other.queued(0, 3) == queued
        await settled(*[other.begin(it, number) for number, it in queued])
        for number, it in queued:
            one.put(it, number, skipped)
        await one.flush()
        for number, it in queued:
            other.finish(it, number, State.ACCEPTED, None, None)

    assert await rows(store, "state", "attempts") == [("accepted", 1)] * 3


@pytest.mark.parametrize("skipped", [None, SkipReason.EXPIRED])
async def test_who_puts_aside_what_a_load_has_replaced_changes_nothing(
    store: PostgresStore, skipped: SkipReason | None
):
    async with opened(store) as loader, opened(store) as sender:
        await load(loader, *messages(3))
        queued = await sender.queued(0, 3)
        await load(loader, entry("other"), replaces=True)
        for number, it in queued:
            sender.put(it, number, skipped)
        assert len(await everything(sender)) == 1

    assert await rows(store, "state") == [*["skipped"] * 3, "accepted"]


async def test_a_load_takes_back_what_its_holder_is_about_to_begin(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
):
    """A holder that sends loads another source: what it begins meanwhile is refused."""
    original = loading.replace
    asked: list[Any] = []

    async with opened(store) as ledger:
        await load(ledger, *messages(5))
        queued = await ledger.queued(0, 5)

        async def replace(*args: Any) -> None:
            asked.append(asyncio.ensure_future(send(ledger, *queued)))
            await asyncio.sleep(0)
            await original(*args)

        monkeypatch.setattr(loading, "replace", replace)
        await load(ledger, entry("other"), replaces=True)
        (answers,) = await asyncio.gather(*asked)
        assert [claim.found for claim in answers] == [State.SKIPPED] * 5
        assert len(await everything(ledger)) == 1


async def test_nothing_is_read_again_that_the_reader_is_still_to_begin(store: PostgresStore):
    """Its chunk was recalled and claimed again; the reader's copy of it is still there."""
    async with opened(store) as loader, opened(store) as sender:
        await load(loader, *messages(20))
        queued = await sender.queued(0, 6)
        await load(loader, *messages(20), replaces=True)
        assert [it.found for it in await send(sender, *queued[:2])] == [State.QUEUED] * 2
        again = await sender.queued(queued[-1][0], 100)
        assert {number for number, _ in again}.isdisjoint(number for number, _ in queued[2:])
        found = [it.found for it in await send(sender, *queued[2:], *again)]
        assert found == [None] * 20

    assert await rows(store, "state", "attempts") == [("accepted", 1)] * 20


async def test_what_the_reader_is_still_to_begin_may_be_skipped_before_its_chunk_is_claimed_again(
    store: PostgresStore,
):
    async with opened(store) as loader, opened(store) as sender:
        await load(loader, *messages(20))
        queued = await sender.queued(0, 6)
        await load(loader, *messages(20)[3:], replaces=True)
        assert [it.found for it in await send(sender, *queued[:1])] == [State.SKIPPED]
        again = await sender.queued(queued[-1][0], 100)
        sender.put(queued[1][1], queued[1][0], SkipReason.EXPIRED)
        assert [it.found for it in await send(sender, queued[2])] == [State.SKIPPED]
        assert [it.found for it in await send(sender, *queued[3:], *again)] == [None] * 17


async def test_a_chunk_that_others_had_meanwhile_is_not_begun_as_it_was_read(store: PostgresStore):
    """A holder that takes it again, for another message of it, has old news of the others."""
    async with opened(store) as loader, opened(store) as sender:
        await load(loader, *messages(3))
        queued = await sender.queued(0, 3)
        await load(loader, *messages(3), replaces=True)
        async with opened(store) as other:
            await send(other, *(await other.queued(0, 3))[:1])
        await finish(sender, entry("1"))
        answers = await send(sender, *queued)
        assert [it.found for it in answers] == [State.ACCEPTED, State.ACCEPTED, State.QUEUED]
        assert len(await everything(sender)) == 1


async def test_a_load_does_not_take_a_chunk_again_that_its_holder_has_read(store: PostgresStore):
    async with opened(store) as loader, opened(store) as sender:
        await load(loader, *messages(3))
        queued = await sender.queued(0, 3)
        await load(loader, *messages(2), replaces=True)
        async with opened(store) as other:
            await send(other, *(await other.queued(0, 3))[:1])
        number = await sender.begin_load()
        await sender.load([Loading(one) for one in messages(3)], number)
        answers = await send(sender, *queued)
        assert answers[0].found is State.ACCEPTED
        await sender.end_load(number, replaces=False)
        assert len(await everything(sender)) == 2


async def test_a_message_that_others_send_meanwhile_is_not_begun_by_its_key(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
):
    """It waited when it was looked up, and does not any more when its chunk is taken."""
    original = Writer._took
    async with opened(store) as one, opened(store) as other:
        await load(one, *messages(2))

        async def took(self: Writer, *args: Any) -> bool:
            monkeypatch.setattr(Writer, "_took", original)
            assert len(await everything(other)) == 2
            await other.close()
            return await original(self, *args)

        monkeypatch.setattr(Writer, "_took", took)
        answers = await claims(one, *messages(2))
        assert [claim.found for claim in answers] == [State.ACCEPTED] * 2

    assert await rows(store, "attempts") == [1, 1]


async def test_a_message_taken_by_its_key_stays_begun_if_it_is_written_twice(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
):
    """The connection breaks between the commit and the answer."""
    async with opened(store) as one:
        await load(one, *messages(2))
        await one.close()
    original = Session.run
    async with opened(store) as ledger:

        async def run(self: Session, work: Callable[..., Any], *, repeats: bool) -> Any:
            async def twice(connection: Connection) -> Any:
                await work(connection)
                return await work(connection)

            return await original(self, twice, repeats=repeats)

        monkeypatch.setattr(Session, "run", run)
        answers = await claims(ledger, *messages(3), entry(None))
        monkeypatch.setattr(Session, "run", original)
        assert [claim.found for claim in answers] == [None] * 4
        for claim in answers:
            ledger.finish(entry(), claim.number, State.ACCEPTED, None, None)

    assert await rows(store, "state", "attempts") == [("accepted", 1)] * 4


async def test_what_an_opening_queues_again_is_found_if_its_chunk_is_given_back_meanwhile(
    store: PostgresStore, observer: Connection, monkeypatch: pytest.MonkeyPatch
):
    original = Holding._free
    other = store.ledger()
    opening: list[Any] = []

    async def free(self: Holding, *args: Any) -> Any:
        monkeypatch.setattr(Holding, "_free", original)
        freed = await original(self, *args)
        opening.append(asyncio.ensure_future(other.open(policy(on_unknown=OnUnknown.RESEND))))
        await done_or_blocked(opening[0], observer)
        return freed

    async with opened(store) as one:
        await load(one, entry("a"))
        ((number, it),) = await one.queued(0, 1)
        await begin(one, it, number)
        one.finish(it, number, State.UNKNOWN, "no answer", None)
        monkeypatch.setattr(Holding, "_free", free)
    await asyncio.gather(*opening)
    assert await everything(other) == [number]
    await other.close()


async def test_a_stale_resolution_does_not_queue_a_later_attempt(store: PostgresStore):
    """Two reconcile at once: the message was sent again after the reports were read."""
    async with opened(store) as one, opened(store) as other:
        await finish(one, entry("a"), State.UNKNOWN, "no answer")
        await one.flush()
        (message,) = await other.unresolved()
        await one.resolve([Resolution(message, State.QUEUED)])
        await finish(one, entry("a"), State.UNKNOWN, "no answer")
        await one.flush()
        await other.resolve([Resolution(message, State.QUEUED)])
        assert (await begin(one, entry("a"))).found is State.UNKNOWN


@pytest.mark.parametrize("has_read", [False, True])
async def test_chunks_that_somebody_has_locked_are_waited_for(
    store: PostgresStore, observer: Connection, *, has_read: bool
):
    """As the end of a load locks them, and who gives back what it has read before."""
    async with opened(store) as loader:
        await load(loader, *messages(3))
    async with opened(store) as sender:
        if has_read:
            await sender.queued(0, 10)
        transaction = observer.transaction()
        await transaction.__aenter__()
        await observer.execute("SELECT FROM connectus.chunk FOR UPDATE")
        waiting = asyncio.ensure_future(sender.queued(0, 10))
        await asyncio.wait([waiting], timeout=0.3)
        await transaction.__aexit__(None, None, None)
        assert len(await waiting) == 3


async def test_a_process_that_is_stopped_within_a_transaction_loses_its_locks(
    store: PostgresStore, postgres_ledger: str
):
    """Whoever gives it up would wait for them until it goes on."""
    async with opened(store) as loader:
        await load(loader, *messages(3))
    stopped = await connection.connect(parse(postgres_ledger), idle_seconds=0.2)
    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        async with stopped:
            await stopped.execute("BEGIN")
            await stopped.execute("SELECT FROM chunk FOR UPDATE")
            async with opened(store) as sender:
                assert len(await everything(sender)) == 3


async def test_nothing_that_was_read_is_lost_when_the_connection_breaks(
    store: PostgresStore, observer: Connection, monkeypatch: pytest.MonkeyPatch
):
    original = Holding._claim
    async with opened(store) as loader:
        await load(loader, *messages(10))

    async def claim(self: Holding, connection: Connection) -> bool:
        if await original(self, connection):
            return True
        monkeypatch.setattr(Holding, "_claim", original)
        await observer.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
        return False

    async with opened(store) as sender:
        monkeypatch.setattr(Holding, "_claim", claim)
        assert len(await everything(sender)) == 10


async def test_a_holder_goes_on_beating_while_it_closes(
    postgres_ledger: str, monkeypatch: pytest.MonkeyPatch
):
    """What is left may take long to write."""
    problems: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
    original_end, original_beat = Writer.end, Holding._seen
    beats = asyncio.Semaphore(0)

    async def end(self: Writer) -> None:
        for _ in range(3):
            await asyncio.wait_for(beats.acquire(), 30)
        await original_end(self)

    async def seen(self: Holding, *args: Any, **options: Any) -> bool:
        try:
            return await original_beat(self, *args, **options)
        finally:
            beats.release()

    monkeypatch.setattr(Writer, "end", end)
    monkeypatch.setattr(Holding, "_seen", seen)
    async with opened(PostgresStore(postgres_ledger, lease=2)):
        pass
    gc.collect()
    assert problems == []


async def test_a_chunk_is_not_given_back_while_its_last_messages_are_written(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
):
    """Whoever streams may read what is queued at the same time."""
    original = Writer._write_some
    async with opened(store) as ledger:
        for claim in await claims(ledger, *messages(CHUNK - 1)):
            ledger.finish(entry(), claim.number, State.ACCEPTED, None, None)
        await ledger.flush()
        place: Holding = ledger._holding  # type: ignore[attr-defined]

        async def write_some(self: Writer, *args: Any) -> None:
            monkeypatch.setattr(Writer, "_write_some", original)
            await place._next(10)
            await original(self, *args)

        monkeypatch.setattr(Writer, "_write_some", write_some)
        (claim,) = await claims(ledger, entry("last"))
        assert claim.found is None
        assert (await rows(store, "state"))[-1] == "in_flight"


async def test_a_message_kept_in_a_chunk_that_was_recalled_keeps_nobody_waiting(
    store: PostgresStore,
):
    async with opened(store) as loader, opened(store) as sender:
        await load(loader, *messages(3))
        (kept, flying, _) = await sender.queued(0, 3)
        await settled(*[sender.begin(it, number) for number, it in (kept, flying)])
        sender.finish(kept[1], kept[0], State.QUEUED, "refused", None, is_kept=True)
        await sender.flush()
        await load(loader, *messages(3), replaces=True)
        assert (await send(sender, kept))[0].found is State.QUEUED
        sender.finish(flying[1], flying[0], State.ACCEPTED, None, None)
        assert len(await asyncio.wait_for(everything(sender), 30)) == 2


async def test_messages_begun_together_are_begun_all_or_none(store: PostgresStore):
    """Whoever hands them to other processes learns that some were taken away."""
    async with opened(store) as loader, opened(store) as sender:
        await load(loader, *messages(3))
        queued = await sender.queued(0, 3)
        await load(loader, *messages(3)[:2], replaces=True)
        with pytest.raises(LedgerError):
            await sender.begin_known([number for number, _ in queued])
    async with opened(store) as sender:
        assert len(await everything(sender)) == 2
