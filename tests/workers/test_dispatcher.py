"""One ledger, and several senders that reach it over sockets: what each gets, and what is lost."""

import asyncio
import datetime as dt
import marshal
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from connectus_async import CampaignStoppedError, ConnectionLostError, LedgerError, State
from connectus_async.bulk.circuit_breaker import UNKNOWN_IN_A_ROW, CircuitBreaker
from connectus_async.bulk.guards import Guards, Refusal
from connectus_async.bulk.options import BulkOptions
from connectus_async.bulk.outcomes import BulkSummary
from connectus_async.bulk.progress import Delay, DelayCause, Progress
from connectus_async.ledger.records import (
    Attendance,
    Claim,
    Entry,
    Instructions,
    Loading,
    Policy,
    Throttling,
)
from connectus_async.ledger.sqlite.ledger import SqliteLedger
from connectus_async.ledger.states import OnUnknown, SkipReason
from connectus_async.workers import frames as frames_module
from connectus_async.workers.dispatcher import (
    ALL_ENDED,
    ENDED,
    MAX_ASSIGNED_CHARACTERS,
    Dispatcher,
    Failure,
)
from connectus_async.workers.frames import HEAD, MAX_BYTES, FrameProtocol
from connectus_async.workers.remote_ledger import RemoteLedger

pytestmark = pytest.mark.both("either loop carries the frames between processes")

LIMIT = 500
LOOPS = [False, *([True] if find_spec("uvloop") else [])]
JOB = {"api_key": "secret-key"}


def entries(count: int, body: str = '{"sms_content":"Hola"}') -> list[Entry]:
    return [Entry(f"{index}", index + 1, "sms", "56987688060", body, 1) for index in range(count)]


@attrs.define
class Campaign:
    """A ledger, its dispatcher, and the senders that it has."""

    ledger: SqliteLedger
    dispatcher: Dispatcher
    remotes: list[RemoteLedger] = attrs.field(factory=list)
    lost: list[RemoteLedger] = attrs.field(factory=list)

    async def add_sender(self) -> RemoteLedger:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        remote = RemoteLedger(lambda: self.lost.append(remote))
        self.remotes.append(remote)
        protocol = self.dispatcher.add_sender(JOB)
        await loop.create_unix_connection(lambda: remote.protocol, sock=theirs)
        await loop.create_unix_connection(lambda: protocol, sock=ours)
        assert await remote.job() == JOB
        return remote

    async def close(self) -> None:
        for remote in self.remotes:
            remote.protocol.close()
        await self.dispatcher.ended()
        await self.ledger.close()

    async def counts(self) -> dict[State, int]:
        return dict(await self.ledger.counts())


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable]:
    """Load a campaign; it is closed when the test ends."""
    campaigns = []

    async def start(
        count: int,
        *,
        budget: int | None = None,
        body: str = '{"sms_content":"Hola"}',
        **options: Any,
    ) -> Campaign:
        ledger = SqliteLedger(tmp_path / "campaign.db")
        await ledger.open(Policy("", "message", OnUnknown.HOLD, forgets_content=False))
        reading = await ledger.begin_load()
        await ledger.load([Loading(entry) for entry in entries(count, body)], reading)
        dispatcher = Dispatcher(
            ledger,
            waiting=count,
            guards=Guards(BulkOptions(budget=budget), 0),
            circuit_breaker=CircuitBreaker(60, 8, 60),
            **options,
        )
        campaigns.append(Campaign(ledger, dispatcher))
        return campaigns[-1]

    yield start
    for campaign in campaigns:
        await campaign.close()


async def all_of(remote: RemoteLedger) -> list[tuple[int, Entry]]:
    rows = []
    while batch := await remote.queued(0, LIMIT):
        rows += batch
    return rows


async def heard(dispatcher: Dispatcher) -> list[Failure]:
    return [failure async for failure in dispatcher.failures()]


def vanish(remote: RemoteLedger) -> None:
    """Lose a sender as if it had been killed."""
    remote.protocol._transport.abort()


async def test_each_message_is_assigned_to_one(start):
    """Three that take turns get all of the ledger together, and nothing twice."""
    campaign = await start(2_500)
    remotes = [await campaign.add_sender() for _ in range(3)]
    assigned = await asyncio.gather(*map(all_of, remotes))

    numbers = [number for rows in assigned for number, _ in rows]
    assert sorted(numbers) == list(range(1, 2_501))
    assert all(assigned)
    by_number = {number: entry for rows in assigned for number, entry in rows}
    assert [by_number[number] for number in sorted(by_number)] == entries(2_500)


async def test_a_message_is_in_flight_before_it_may_leave(start):
    """What `begin` gives is on disk; what becomes of it is as well, in the order that it came."""
    campaign = await start(3)
    remote = await campaign.add_sender()
    (first, entry), (second, _), (third, _) = await all_of(remote)

    assert await asyncio.gather(remote.begin(entry, first), remote.begin(entry, second)) == [
        Claim(first),
        Claim(second),
    ]
    assert await campaign.counts() == {State.IN_FLIGHT: 2, State.QUEUED: 1}
    remote.finish(entry, first, State.ACCEPTED, None, "an id")
    remote.finish(entry, second, State.QUEUED, "429", None, is_kept=True)
    assert await remote.begin(entry, second) == Claim(second)
    remote.finish(entry, second, State.REJECTED, "400", None)
    remote.put(entry, third, SkipReason.SUPPRESSED)
    assert not await remote.done(None)
    counts = {State.ACCEPTED: 1, State.REJECTED: 1, State.SKIPPED: 1}
    assert await campaign.counts() == counts
    assert campaign.dispatcher.summary == BulkSummary(counts, {SkipReason.SUPPRESSED: 1})


async def test_a_sender_that_dies(start):
    """What it had begun is unknown and named; what it had not begun is assigned to the other."""
    campaign = await start(40)
    dying, other = await campaign.add_sender(), await campaign.add_sender()
    rows = await dying.queued(0, LIMIT)
    (first, entry), (second, _), *rest = rows
    await asyncio.gather(dying.begin(entry, first), dying.begin(entry, second))
    dying.finish(entry, first, State.ACCEPTED, None, None)
    mine = await all_of(other)
    waiting = asyncio.create_task(other.done(None))
    dying.protocol.close()  # what was sent before arrives

    assert await waiting
    assert {number for number, _ in rest} <= {number for number, _ in await all_of(other)}
    assert len(mine) < 39
    assert not await other.done(None)
    await other.leave()
    assert await heard(campaign.dispatcher) == [Failure(2, State.UNKNOWN, None, ENDED)]
    assert (await campaign.counts())[State.UNKNOWN] == 1
    assert (await campaign.counts())[State.ACCEPTED] == 1
    assert campaign.dispatcher.failure is None


async def test_all_senders_die(start):
    """With messages left the campaign has failed; they are queued."""
    campaign = await start(40)
    remotes = [await campaign.add_sender(), await campaign.add_sender()]
    for remote in remotes:
        await remote.queued(0, LIMIT)
        vanish(remote)
    assert await heard(campaign.dispatcher) == []
    await campaign.dispatcher.ended()
    assert str(campaign.dispatcher.failure) == ALL_ENDED
    assert await campaign.counts() == {State.QUEUED: 40}
    assert campaign.lost == remotes


async def test_the_budget_is_kept_for_all_together(start):
    """Whoever asks when nothing is left is refused; what was not sent after all is given back."""
    campaign = await start(8, budget=3)
    one, other = await campaign.add_sender(), await campaign.add_sender()
    rows = [*await all_of(one), *await all_of(other)]
    entry = rows[0][1]
    numbers = [number for number, _ in rows]
    await asyncio.gather(*(one.begin(entry, number) for number in numbers[:3]))
    with pytest.raises(Refusal, match="over_budget") as refused:
        await one.begin(entry, numbers[3])
    assert refused.value.skipped is SkipReason.OVER_BUDGET
    assert str(refused.value.error) == "the budget of 3 does not cover it"

    one.finish(entry, numbers[0], State.REJECTED, "400", None)
    one.finish(entry, numbers[1], State.UNKNOWN, "no answer", None)
    assert await one.begin(entry, numbers[3]) == Claim(numbers[3])
    with pytest.raises(Refusal):
        await one.begin(entry, numbers[4])


async def test_a_failure_of_one_stops_all(start):
    """The others are told to stop, are assigned nothing more, and leave."""
    campaign = await start(2_000)
    failing, other = await campaign.add_sender(), await campaign.add_sender()
    stopped = asyncio.Event()
    other.on_stop = stopped.set
    await failing.queued(0, LIMIT)
    leaving = asyncio.create_task(failing.done("401: wrong credentials"))
    await stopped.wait()

    assert await other.queued(0, LIMIT) == ()
    assert not await other.done(None)
    assert not await leaving
    for remote in (failing, other):
        await remote.leave()
    assert await heard(campaign.dispatcher) == []
    assert isinstance(campaign.dispatcher.failure, CampaignStoppedError)
    assert str(campaign.dispatcher.failure) == "401: wrong credentials"
    assert campaign.lost == []


async def test_nothing_is_begun_once_it_was_stopped(start):
    """A sender that has not heard of it yet is refused; the message stays queued."""
    campaign = await start(2)
    remote = await campaign.add_sender()
    (first, entry), (second, _) = await all_of(remote)
    claims = [remote.begin(entry, number) for number in (first, second)]
    campaign.dispatcher.stop()  # before the frame with them comes
    for claim in claims:
        with pytest.raises(Refusal) as refused:
            await claim
        assert (refused.value.state, refused.value.skipped) == (State.QUEUED, None)
    remote.put(entry, first)
    remote.put(entry, second)
    assert not await remote.done(None)
    assert await campaign.counts() == {State.QUEUED: 2}
    assert campaign.dispatcher.summary.queued == 2


async def test_unknown_outcomes_in_a_row_are_counted_over_all(start):
    """Two senders have fewer each than it takes to stop one; together they stop the campaign."""
    campaign = await start(UNKNOWN_IN_A_ROW + 1)
    remotes = [await campaign.add_sender(), await campaign.add_sender()]
    assigned = await asyncio.gather(*map(all_of, remotes))
    assert all(assigned)
    number, entry = assigned[0].pop(0)
    await remotes[0].begin(entry, number)
    remotes[0].finish(entry, number, State.ACCEPTED, None, None)
    lost = str(ConnectionLostError("POST /sms/send_individual", "connection reset by peer"))
    for remote, rows in zip(remotes, assigned, strict=True):
        for number, entry in rows:
            await remote.begin(entry, number)
            remote.finish(entry, number, State.UNKNOWN, lost, None)
    await asyncio.gather(*(remote.done(None) for remote in remotes))

    assert str(campaign.dispatcher.failure) == (
        "the last 100 messages may or may not have been sent "
        "(POST /sms/send_individual: connection reset by peer): stopped to spare the rest"
    )


async def test_a_ledger_that_fails(start, tmp_path):
    """Who asked hears it, the campaign stops with it, and nothing is in flight."""
    campaign = await start(10)
    remote = await campaign.add_sender()
    (number, entry), *_ = await all_of(remote)
    (tmp_path / "campaign.db").rename(tmp_path / "moved.db")
    with pytest.raises(LedgerError, match="was moved or deleted amid the campaign"):
        await remote.begin(entry, number)
    remote.put(entry, number)
    assert not await remote.done(None)
    assert isinstance(campaign.dispatcher.failure, LedgerError)


async def test_a_ledger_that_holds_what_cannot_be(start, tmp_path):
    """No sender waits for ever for rows that cannot be read: the campaign stops, and says so."""
    campaign = await start(10)
    remote = await campaign.add_sender()
    with closing(sqlite3.connect(tmp_path / "campaign.db")) as connection:
        connection.execute("UPDATE message SET body = NULL")
        connection.commit()
    assert await all_of(remote) == []
    assert not await remote.done(None)
    assert isinstance(campaign.dispatcher.failure, TypeError)


async def test_what_is_assigned_is_not_shown(start):
    """A debugged loop logs what its callbacks and futures hold: no key, no person, no text."""
    campaign = await start(3)
    remote = await campaign.add_sender()
    assigned = remote._ask(LIMIT)
    (number, entry), *_ = (await assigned).value
    await remote.begin(entry, number)
    (sender,) = campaign.dispatcher._senders
    assert (len(sender.assigned), len(sender.begun)) == (2, 1)
    shown = repr([sender, assigned, remote._job])
    for secret in (*JOB.values(), entry.recipient, entry.body):
        assert secret not in shown


async def test_a_frame_that_cannot_be(start, monkeypatch):
    """Who would send it gives up the way, or the other end would wait for it for ever."""
    monkeypatch.setattr(frames_module, "MAX_BYTES", 1_000)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    campaign = await start(1)
    remote = await campaign.add_sender()
    remote.tell(1, State.REJECTED, None, "x" * 1_000)
    await campaign.dispatcher.ended()
    assert campaign.lost == [remote]


async def test_long_texts_are_assigned_few_at_a_time(start):
    """A frame stays small; a message that is longer than that is assigned alone."""
    body = "x" * (MAX_ASSIGNED_CHARACTERS // 3)
    campaign = await start(9, body=body)
    remote = await campaign.add_sender()
    batches = []
    while batch := await remote.queued(0, LIMIT):
        batches.append(len(batch))
    assert batches == [4, 4, 1]


async def test_progress_is_that_of_all(start):
    """Limits are added up; it pauses if one does."""
    campaign = await start(10)
    one, other = await campaign.add_sender(), await campaign.add_sender()
    (number, entry), *_ = await one.queued(0, LIMIT)
    await one.begin(entry, number)
    summary = BulkSummary()
    for remote, is_paused in ((one, True), (other, False)):
        remote.tell_progress(
            Progress(
                summary=summary,
                in_flight=1,
                rate=5.0,
                rate_limit=10.0,
                concurrency_limit=4,
                is_paused=is_paused,
                delays=(Delay(cause=DelayCause.PAUSE, by="ana"),) if is_paused else (),
            )
        )
    one.tell(7, State.REJECTED, None, "400")
    assert await anext(aiter(campaign.dispatcher.failures())) == Failure(
        7, State.REJECTED, None, "400"
    )
    await other.queued(0, LIMIT)
    now = campaign.dispatcher.progress()
    assert (now.in_flight, now.rate, now.rate_limit) == (1, 10.0, 20.0)
    assert (now.concurrency_limit, now.is_paused, now.paused_by) == (8, True, ("ana",))


def quiet_progress(messages: int, until: dt.datetime) -> Progress:
    delay = Delay(cause=DelayCause.QUIET_HOURS, until=until, messages=messages)
    limits = {"rate_limit": None, "concurrency_limit": 4, "is_paused": False}
    return Progress(summary=BulkSummary(), in_flight=0, rate=0.0, **limits, delays=(delay,))


@pytest.mark.parametrize("waits", [True, False])
async def test_messages_in_quiet_hours_are_assigned_again_when_these_end(start, waits):
    """If that is waited for, and nobody leaves before; otherwise all leave, and they wait."""
    campaign = await start(3, wait=waits)
    remote = await campaign.add_sender()
    for number, entry in await all_of(remote):
        remote.put(entry, number)
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(milliseconds=50)
    remote.tell_progress(quiet_progress(3, soon))

    assert await remote.done(None) is waits
    if waits:
        assert len(await all_of(remote)) == 3
    else:
        assert campaign.dispatcher.summary.queued == 3
        await remote.leave()
        await campaign.dispatcher.ended()
        (delay,) = campaign.dispatcher.progress().delays
        assert (delay.until, delay.messages) == (soon, 3)


async def test_a_stop_ends_the_wait_for_the_end_of_quiet_hours(start):
    """All leave at once."""
    campaign = await start(3, wait=True)
    remote = await campaign.add_sender()
    for number, entry in await all_of(remote):
        remote.put(entry, number)
    morning = dt.datetime.now(dt.UTC) + dt.timedelta(hours=9)
    remote.tell_progress(quiet_progress(3, morning))
    done = asyncio.create_task(remote.done(None))
    while campaign.dispatcher._rest is None:
        await anyio.lowlevel.checkpoint()
    campaign.dispatcher.stop()
    assert await done is False


async def test_each_sender_gets_its_part_of_the_instructions(start):
    """Whoever asks before there are any waits for them; whoever asks later has them at once."""
    campaign = await start(1)
    one, other = await campaign.add_sender(), await campaign.add_sender()
    waiting = asyncio.gather(*(remote.attend(Attendance(demand=5.0)) for remote in (one, other)))
    for remote in (one, other):
        await remote.queued(0, LIMIT)  # whose answer comes after the dispatcher has heard of both
    assert campaign.dispatcher.attendance() == Attendance(demand=10.0, reserves=False)

    now = time.monotonic()
    campaign.dispatcher.follow(Instructions(30.0, 100.0, paused_for=7.0, paused_by="ana"), now)
    for found in (*await waiting, await one.attend(Attendance())):
        assert found == Instructions(15.0, found.lasts, 7.0, "ana")
        assert 50 < found.lasts <= 100
    assert campaign.dispatcher.attendance().demand is None
    campaign.dispatcher.follow(Instructions(), now)
    assert await one.attend(Attendance()) == Instructions()


async def test_a_429_of_one_sender_slows_the_others_once(start):
    """So does one of another holder of the ledger, which hears of theirs."""
    campaign = await start(1)
    one, other = await campaign.add_sender(), await campaign.add_sender()
    campaign.dispatcher.follow(Instructions(), time.monotonic())
    throttling = Throttling(age=2.0, retry_after=60.0)
    assert (await one.attend(Attendance(throttling=throttling))).throttling is None
    assert campaign.dispatcher.news.is_set()
    assert campaign.dispatcher.attendance().throttling == throttling
    assert campaign.dispatcher.attendance().throttling is None

    heard = (await other.attend(Attendance())).throttling
    assert heard is not None
    assert (round(heard.age) >= 2, heard.retry_after <= 60) == (True, True)
    for remote in (one, other):
        assert (await remote.attend(Attendance())).throttling is None
    campaign.dispatcher.follow(Instructions(throttling=throttling), time.monotonic())
    for remote in (one, other):
        assert (await remote.attend(Attendance())).throttling is not None
        assert (await remote.attend(Attendance())).throttling is None


async def test_a_reason_to_stop_of_one_sender_stops_all(start):
    """It is told to other holders of the ledger as well, once, as theirs is to the senders."""
    campaign = await start(1)
    one, other = await campaign.add_sender(), await campaign.add_sender()
    stopped = asyncio.Event()
    other.on_stop = stopped.set
    waiting = asyncio.create_task(other.attend(Attendance()))
    telling = asyncio.create_task(one.attend(Attendance(stopped="402: no balance")))
    await stopped.wait()
    for attending in (waiting, telling):
        assert (await attending).rate == 0
    assert str(campaign.dispatcher.failure) == "402: no balance"
    assert campaign.dispatcher.attendance().stopped == "402: no balance"
    assert campaign.dispatcher.attendance().stopped is None
    assert (await other.attend(Attendance())).rate == 0


async def test_an_order_to_stop_stops_all_senders(start):
    """It came from elsewhere, so nobody else is told."""
    campaign = await start(1)
    remote = await campaign.add_sender()
    stopped = asyncio.Event()
    remote.on_stop = stopped.set
    campaign.dispatcher.follow(Instructions(stopped="ana stopped it"), time.monotonic())
    await stopped.wait()
    assert str(campaign.dispatcher.failure) == "ana stopped it"
    assert campaign.dispatcher.attendance().stopped is None


async def test_only_what_is_in_the_ledger_is_sent(start):
    """A sender in another process records no new messages."""
    campaign = await start(1)
    remote = await campaign.add_sender()
    with pytest.raises(ValueError, match="only the dispatcher"):
        remote.begin(entries(1)[0], None)


def frames(*items: object) -> bytes:
    written = [marshal.dumps([item]) for item in items]
    return b"".join(HEAD.pack(len(frame)) + frame for frame in written)


async def test_frames_come_in_pieces():
    """However the socket cuts them, each item arrives once and in order."""
    items = [("item", number) for number in range(5)]
    data = frames(*items)
    for size in (1, 7, 1_000):
        heard = []
        protocol = FrameProtocol(heard.extend, heard.clear)
        for begin in range(0, len(data), size):
            protocol.data_received(data[begin : begin + size])
            await asyncio.sleep(0)
        assert heard == items


def test_a_way_that_was_cut_off_while_it_was_made():
    """Whoever closes it hears once that it is gone, on any loop, and what waited is for nobody."""
    complaints = []

    async def cut_off(turns: int) -> list[str]:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
        told = []
        protocol = FrameProtocol(list, lambda: told.append("lost"))
        protocol.send("job")
        ours, theirs = socket.socketpair()
        making = asyncio.ensure_future(
            asyncio.get_running_loop().create_unix_connection(lambda: protocol, sock=ours)
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        making.cancel()
        protocol.send("stop")
        with suppress(asyncio.CancelledError):
            await making
        protocol.send("stop")
        protocol.close()
        for _ in range(3):
            await asyncio.sleep(0)
        ours.close()
        theirs.close()
        return told

    for use_uvloop in LOOPS:
        for turns in range(4):
            options = {"use_uvloop": use_uvloop}
            assert anyio.run(cut_off, turns, backend_options=options) == ["lost"]
    assert complaints == []


async def test_a_length_that_cannot_be(start):
    """Garbage is not waited for to the end of memory: the sender is given up."""
    complaints = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context["exception"]))
    campaign = await start(1)
    remote = await campaign.add_sender()
    remote.protocol._transport.write(HEAD.pack(MAX_BYTES + 1))
    await campaign.dispatcher.ended()
    assert str(campaign.dispatcher.failure) == ALL_ENDED
    assert [str(complaint) for complaint in complaints] == ["a frame of 268,435,457 bytes"]


async def test_what_is_sent_to_nobody(start):
    """It is dropped: who has gone has its messages put down as unknown already."""
    campaign = await start(1)
    remote = await campaign.add_sender()
    vanish(remote)
    await campaign.dispatcher.ended()
    remote.tell(1, State.REJECTED, None, "400")
    assert await heard(campaign.dispatcher) == []
