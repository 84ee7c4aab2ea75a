"""What a hostile caller, disk or moment can do to a campaign: nothing that is not said."""

import asyncio
import shutil
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from unittest.mock import AsyncMock

import anyio
import attrs
import pytest
from anyio.to_thread import run_sync

from connectus_async import (
    AsyncConnectus,
    AuthenticationError,
    CampaignStoppedError,
    ConfigurationError,
    Connectus,
    InvalidArgumentError,
    LedgerError,
    QuietHours,
    Row,
    SkipReason,
    Sms,
    State,
    SuppressionList,
)
from connectus_async.emulator import Fault
from connectus_async.ledger.records import Claim, Entry, Instructions
from connectus_async.ledger.sqlite.lock import LedgerLock

FIRST = 56_960_000_000
PATIENCE = 100
"""Seconds after which something hangs; nothing here takes one."""


@pytest.fixture
async def connectus(settings) -> AsyncIterator[AsyncConnectus]:
    async with AsyncConnectus(**settings) as connectus:
        yield connectus


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "campaign.db"


def messages(count: int, text: str = "Hola") -> list[Sms]:
    return [Sms(FIRST + index, text) for index in range(count)]


def states(ledger: Path) -> list[str]:
    with closing(sqlite3.connect(ledger)) as connection:
        rows = connection.execute("SELECT state FROM message ORDER BY id").fetchall()
    return [state for (state,) in rows]


def writers() -> list[str]:
    return [each.name for each in threading.enumerate() if "connectus ledger" in each.name]


# Opening


@pytest.mark.parametrize(
    "options",
    [
        {"campaign": "half a pair \ud800"},
        {"campaign": 5},
        {"ledger": "a\0b.db"},
        {"ledger": "half a pair \ud800.db"},
    ],
)
async def test_a_name_that_no_file_can_hold_is_refused(connectus, ledger, options):
    """The setting is named; nothing waits for an answer that never comes."""
    with anyio.fail_after(PATIENCE), pytest.raises((ConfigurationError, LedgerError)):
        async with connectus.bulk(**{"ledger": ledger, **options}):
            pass
    assert writers() == []


@pytest.mark.parametrize("turns", range(9))
async def test_a_cancelled_opening_lets_go_of_the_ledger(connectus, ledger, turns):
    """However far it came, the next sender gets in."""
    bulk = connectus.bulk(ledger=ledger)
    entering = asyncio.create_task(bulk.__aenter__())
    for _ in range(turns):
        await asyncio.sleep(0)
    entering.cancel()
    try:
        await entering
    except asyncio.CancelledError:
        pass
    else:  # while this task had to wait for a processor, the opening came to its end
        await bulk.__aexit__(None, None, None)
    assert writers() == []
    async with connectus.bulk(ledger=ledger) as bulk:
        assert (await bulk.run(messages(1))).accepted == 1


async def test_an_opening_that_fails_late_lets_go_of_the_ledger(connectus, ledger, monkeypatch):
    """The quiet hours need a library that turns out to be broken."""

    def load(_: object) -> None:
        raise ConfigurationError("quiet_hours", "cannot be used here")

    quiet_hours = QuietHours.parse("03:00-03:01")
    monkeypatch.setattr(QuietHours, "load", load)
    with pytest.raises(ConfigurationError, match="quiet_hours"):
        await connectus.bulk(ledger=ledger, quiet_hours=quiet_hours).__aenter__()
    assert writers() == []


async def test_a_sender_is_entered_once_at_a_time(connectus, emulator, ledger):
    """The second entry is refused, and takes nothing from the first."""
    bulk = connectus.bulk(ledger=ledger)
    async with bulk:
        with pytest.raises(ConfigurationError, match="entered"):
            await bulk.__aenter__()
        with pytest.raises(LedgerError, match="in use by this process"):
            await connectus.bulk(ledger=ledger).__aenter__()
        assert (await bulk.run(messages(3))).accepted == 3
    async with bulk:
        assert (await bulk.run(messages(4))).accepted == 4
    assert len(emulator.received) == 4


async def test_a_blocking_sender_is_entered_once_at_a_time(settings):
    """As the async one."""

    def enter_twice() -> None:
        with Connectus(**settings) as connectus, connectus.bulk() as bulk:
            with pytest.raises(ConfigurationError, match="entered"):
                bulk.__enter__()
            assert bulk.run(messages(3)).accepted == 3

    await run_sync(enter_twice)


async def test_a_ledger_has_one_lock_by_whatever_name_it_is_opened(connectus, ledger):
    """A symbolic link is the same campaign."""
    link = ledger.with_name("link.db")
    async with connectus.bulk(ledger=ledger):
        link.symlink_to(ledger)
        with pytest.raises(LedgerError, match="in use"):
            await connectus.bulk(ledger=link).__aenter__()


def test_two_threads_never_get_one_lock(ledger):
    """The system would give it to both, for they are one process."""
    for _ in range(200):
        barrier = threading.Barrier(8)
        got = []

        def take(barrier=barrier, got=got) -> None:
            lock = LedgerLock(ledger)
            barrier.wait()
            try:
                lock.acquire()
            except LedgerError:
                return
            got.append(lock)

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 1
        got[0].release()


# The file


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
async def test_a_ledger_that_goes_amid_a_campaign_stops_it(connectus, emulator, ledger, how):
    """What nobody would remember is not sent: the same command would send it again."""

    def go() -> None:
        if how == "deleted":
            ledger.unlink()
        else:
            ledger.rename(ledger.with_name("elsewhere.db"))
        if how == "replaced":
            shutil.copy(ledger.with_name("elsewhere.db"), ledger)

    async def source() -> AsyncIterator[Sms]:
        for index, message in enumerate(messages(50)):
            if index == 10:
                await run_sync(go)
            yield message

    with pytest.raises(LedgerError, match="moved or deleted"):
        async with connectus.bulk(ledger=ledger, concurrency=1) as bulk:
            await bulk.run(source())
    assert len(emulator.received) == 10


async def test_a_program_may_change_its_folder(connectus, emulator, tmp_path, monkeypatch):
    """A relative path is that of the moment at which the ledger was opened."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    async with connectus.bulk(ledger="campaign.db") as bulk:
        monkeypatch.chdir(tmp_path / "other")
        assert (await bulk.run(messages(3))).accepted == 3
    assert states(tmp_path / "campaign.db") == ["accepted"] * 3


async def test_a_row_whose_error_no_text_can_hold_stops_nothing(connectus, ledger):
    """The name of a JSON field may be half a surrogate pair."""
    bad = InvalidArgumentError("half a pair \ud800\0", "is empty in this row")
    async with connectus.bulk(ledger=ledger) as bulk:
        assert (await bulk.run([Row(1, bad), *messages(2)])).accepted == 2
        await bulk.load([Row(1, bad), Row(2, messages(3)[2])])
        await bulk.note(source="half a pair \ud800")
        assert (await bulk.run()).accepted == 3
        assert await bulk.counts() == {State.SKIPPED: 1, State.ACCEPTED: 3}


# Streams


async def test_a_campaign_can_go_on_after_one_that_was_given_up(connectus, emulator, ledger):
    """A time limit around ``run`` ends it whole: nothing is sent behind its back."""
    emulator.fault(Fault.delay(0.05), route="sms.send")
    async with connectus.bulk(ledger=ledger, concurrency=2) as bulk:
        for seconds in (0.0, 0.001, 0.08):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(bulk.run(messages(60)), seconds)
        with anyio.fail_after(PATIENCE):
            await bulk.run(messages(60))
    assert sorted(states(ledger)) == ["accepted"] * 60
    assert len(emulator.received) == 60


async def test_a_callback_that_raises_ends_the_run(connectus, emulator, ledger):
    """While its error is looked at, nothing more leaves."""

    def callback(_: object) -> None:
        raise LookupError

    source = iter(messages(500))
    async with connectus.bulk(ledger=ledger, concurrency=4) as bulk:
        with pytest.raises(LookupError) as raised:
            await bulk.run(source, on_outcome=callback)
        assert raised.value.__traceback__ is not None
        with anyio.fail_after(PATIENCE):
            await bulk.run(messages(10))
    assert len(emulator.received) < 30


async def test_a_source_that_waits_all_day_does_not_hold_up_a_failure(
    connectus, emulator, ledger, monkeypatch
):
    """A queue that nothing more comes from: the campaign says soon that the credentials are wrong.

    One that hands a message over soon loses none.
    """
    emulator.fault(Fault.status(401), route="sms.send")

    async def source(seconds: float) -> AsyncIterator[Sms]:
        yield messages(1)[0]
        await asyncio.sleep(seconds)
        yield messages(2)[1]

    for grace, seconds, known in ((0.05, 3600, 1), (3600, 0.01, 2)):
        monkeypatch.setattr("connectus_async.bulk.feed.GRACE", grace)
        with anyio.fail_after(PATIENCE):
            async with connectus.bulk(ledger=ledger, concurrency=2) as bulk:
                with pytest.raises(AuthenticationError):
                    await bulk.run(source(seconds))
        assert states(ledger) == ["queued"] * known


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit])
@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_source_that_ends_oddly_does_not_look_finished(
    connectus, ledger, error, concurrency, is_async
):
    """It gives no more, and that is said."""

    class Odd:
        def __init__(self) -> None:
            self.left = iter(messages(5))

        def __iter__(self) -> "Odd":
            return self

        def __next__(self) -> Sms:
            for message in self.left:
                return message
            raise error

    class AsyncOdd(Odd):
        __iter__ = None

        def __aiter__(self) -> "AsyncOdd":
            return self

        async def __anext__(self) -> Sms:
            return self.__next__()

    with anyio.fail_after(PATIENCE):
        async with connectus.bulk(ledger=ledger, concurrency=concurrency) as bulk:
            with pytest.raises(RuntimeError):
                await bulk.run((AsyncOdd if is_async else Odd)())
            assert bulk.summary.accepted == 5
            with pytest.raises(RuntimeError):
                await bulk.load((AsyncOdd if is_async else Odd)())


async def test_workers_that_somebody_cancels_do_not_look_finished(connectus, emulator, ledger):
    """A program that cancels all tasks when it shuts down hears that the campaign was cut short."""

    def cancel_all(_: int) -> None:
        for task in asyncio.all_tasks():
            if "bulk worker" in task.get_name():
                task.cancel()

    emulator.fault(Fault.call(after=cancel_all), route="sms.send", times=1)
    with anyio.fail_after(PATIENCE):
        async with connectus.bulk(ledger=ledger, concurrency=4) as bulk:
            with pytest.raises(CampaignStoppedError):
                await bulk.run(messages(20))


async def test_workers_that_somebody_cancels_while_the_ledger_writes_leave_nothing_unnamed(
    connectus, emulator, ledger
):
    """What the ledger has as begun is counted as unknown, as the next start finds it."""
    written = threading.Event()
    async with connectus.bulk(ledger=ledger, concurrency=3) as bulk:
        bulk._ledger.attend = AsyncMock(return_value=Instructions())
        writing = asyncio.create_task(bulk._ledger.ask(lambda _: written.wait(PATIENCE)))
        sending = asyncio.create_task(bulk.run(messages(20)))
        await anyio.wait_all_tasks_blocked()
        for task in asyncio.all_tasks():
            if "bulk worker" in task.get_name():
                task.cancel()
        written.set()
        await writing
        with pytest.raises(CampaignStoppedError):
            await sending
        assert bulk.summary.counts == {State.UNKNOWN: 3}
    async with connectus.bulk(ledger=ledger) as bulk:
        assert await bulk.counts() == {State.UNKNOWN: 3}
    assert emulator.received == []


async def test_a_guard_that_fails_stops_the_campaign_and_loses_nobody(connectus, emulator, ledger):
    """Who cannot be checked is not reached, and is named."""

    class Broken(SuppressionList):
        def __contains__(self, _: object) -> bool:
            raise ConfigurationError("suppression", "cannot be asked")

    outcomes = []
    async with connectus.bulk(ledger=ledger, concurrency=2, suppression=Broken()) as bulk:
        with pytest.raises(ConfigurationError, match="cannot be asked"):
            await bulk.run(messages(5), on_outcome=outcomes.append)
    assert emulator.received == []
    assert len(outcomes) == len(states(ledger)) >= 1
    assert set(states(ledger)) == {"queued"}


@pytest.mark.parametrize("ends", ["accepted", "cancelled"])
async def test_twins_of_which_one_is_tried_again_are_one_message(connectus, emulator, ledger, ends):
    """The second never takes what the first is still about to send, nor changes what is sent."""
    emulator.fault(Fault.too_many(0), route="sms.send", times=1)
    twins = [Row(line, messages(1)[0]) for line in range(1, 30)]
    async with connectus.bulk(ledger=ledger, concurrency=4, rate=200) as bulk:
        outcomes = []
        async for outcome in bulk.stream(twins):
            outcomes.append(outcome)
            if ends == "cancelled":
                bulk.cancel()
        if ends == "cancelled":
            await bulk.run(twins)
    assert len(emulator.received) == 1
    assert states(ledger) == ["accepted"]
    assert {outcome.state for outcome in outcomes} <= {State.ACCEPTED, State.SKIPPED, State.QUEUED}


async def test_what_is_on_its_way_is_not_queued_or_skipped_by_its_twin(connectus, ledger):
    """A crash would send it again, or leave it out."""
    async with connectus.bulk(ledger=ledger) as bulk:
        book = bulk._ledger
        entry = Entry("key", None, "sms", "56987688060", "{}", 1)
        first = await book.begin(entry, None)
        book.finish(entry, first.number, State.QUEUED, None, None, is_kept=True)
        second = await book.begin(entry, None)
        assert second.found is State.QUEUED
        book.put(entry, first.number)
        third = await book.begin(entry, None)
        assert third == Claim(first.number)
        assert await bulk.counts() == {State.IN_FLIGHT: 1}
        book.put(entry, first.number, SkipReason.EXPIRED)
        with pytest.raises(LedgerError):
            await book.flush()
    assert states(ledger) == ["in_flight"]


# What is loaded


async def test_a_text_that_comes_back_is_sent(connectus, emulator, ledger):
    """A correction that is taken back leaves nobody out."""
    async with connectus.bulk(ledger=ledger) as bulk:
        await bulk.load(messages(2, "Hola"), replaces=True)
        await bulk.load(messages(2, "Hla"), replaces=True)
        await bulk.load(messages(2, "Hola"), replaces=True)
        await bulk.run()
    assert [message.content for message in emulator.received] == ["Hola", "Hola"]


async def test_a_row_that_was_suppressed_when_it_was_loaded_stays_so(connectus, emulator, ledger):
    """Only what its source had taken back comes back with it."""
    suppression = SuppressionList([FIRST])
    async with connectus.bulk(ledger=ledger, suppression=suppression) as bulk:
        await bulk.load(messages(1), replaces=True)
    async with connectus.bulk(ledger=ledger) as bulk:
        await bulk.load(messages(1), replaces=True)
        await bulk.run()
    assert emulator.received == []


# Reconciling


async def test_reconciling_waits_for_the_end_of_a_stream(connectus, ledger):
    """What is on its way has no identifier yet, and would be taken for what is unknown."""
    async with connectus.bulk(ledger=ledger, concurrency=1) as bulk:
        stream = bulk.stream(messages(5))
        await anext(stream)
        with pytest.raises(ConfigurationError, match="stream under way"):
            await bulk.reconcile(settle=0.01)
        await stream.aclose()


async def test_a_stream_waits_for_the_end_of_reconciling(connectus, emulator, ledger):
    """The other way round."""
    emulator.fault(Fault.reset_after(), route="sms.send", times=1)
    async with connectus.bulk(ledger=ledger) as bulk:
        await bulk.run(messages(1))
        reconciling = asyncio.create_task(bulk.reconcile(settle=0.2))
        await asyncio.sleep(0)
        with pytest.raises(ConfigurationError, match="reconcil"):
            await bulk.run(messages(2))
        assert (await reconciling).accepted == 1
        assert (await bulk.run(messages(2))).accepted == 1


async def test_reconciling_gives_the_budget_back(connectus, emulator, ledger):
    """What turned out not to have been sent is paid once."""
    options = {"ledger": ledger, "budget": 4, "on_unknown": "resend_if_absent", "concurrency": 1}
    async with connectus.bulk(**options) as bulk:
        await bulk.run(messages(1))
        emulator.fault(Fault.status(502), route="sms.send", times=2)
        await bulk.run(messages(4))
        assert (await bulk.reconcile(settle=0.01)).queued == 2
        await bulk.run()
        assert await bulk.counts() == {State.ACCEPTED: 4}


async def test_a_clock_that_was_put_back_does_not_make_reconciling_wait_for_days(
    connectus, emulator, ledger
):
    """It waits for the time to settle, not for the moment in the future."""
    emulator.fault(Fault.reset_after(), route="sms.send", times=1)
    async with connectus.bulk(ledger=ledger) as bulk:
        await bulk.run(messages(1))
        await bulk._ledger.ask(
            lambda connection: (
                connection.execute("UPDATE message SET ended_at = ended_at + 86400") and None
            )
        )
        with anyio.fail_after(PATIENCE):
            await bulk.reconcile(settle=0.01)


async def test_a_message_that_a_report_calls_otherwise_is_no_second_one(
    connectus, emulator, ledger, monkeypatch
):
    """Of two equal texts one was accepted and one never arrived: the report's one row is the first.

    Its identifier in the report is another than in the answer to the send, as the documentation
    leaves open.
    """
    by_date = type(connectus.sms).by_date

    async def renamed(*args: object):
        report = await by_date(*args)
        rows = [attrs.evolve(row, id=f"row {row.id}") for row in report.messages]
        return attrs.evolve(report, messages=tuple(rows))

    monkeypatch.setattr(type(connectus.sms), "by_date", renamed)
    rows = [Row(line, messages(1)[0], key=f"row {line}") for line in (1, 2)]
    emulator.fault(Fault.status(502), route="sms.send", times=1)
    async with connectus.bulk(ledger=ledger, concurrency=1) as bulk:
        await bulk.run(rows)
        found = await bulk.reconcile(settle=0.01)
    assert len(emulator.received) == 1
    assert (found.accepted, found.unknown) == (0, 1)


@pytest.mark.parametrize(
    ("change", "accepted", "held"),
    [({"dst_number": f"+{FIRST}"}, 1, 0), ({"sms_content": "Hola, nino"}, 0, 1)],
)
async def test_a_report_that_writes_otherwise_shows_nobody_absent(
    connectus, emulator, ledger, monkeypatch, change, accepted, held
):
    """Where no message was accepted, nothing tells how the reports write what they show."""
    by_date = type(connectus.sms).by_date

    async def altered(*args: object):
        report = await by_date(*args)
        rows = [attrs.evolve(row, **change) for row in report.messages]
        return attrs.evolve(report, messages=tuple(rows))

    monkeypatch.setattr(type(connectus.sms), "by_date", altered)
    emulator.fault(Fault.reset_after(), route="sms.send")
    async with connectus.bulk(ledger=ledger, on_unknown="resend_if_absent") as bulk:
        await bulk.run(messages(1, "Hola, niño"))
        found = await bulk.reconcile(settle=0.01)
    assert (found.accepted, found.held, found.queued) == (accepted, held, 0)


async def test_what_turns_out_accepted_is_forgotten_too(connectus, emulator, ledger):
    """The text of what was accepted is not kept, however that became known."""
    emulator.fault(Fault.reset_after(), route="sms.send", times=1)
    async with connectus.bulk(ledger=ledger, forget_content=True) as bulk:
        await bulk.run(messages(1, "the secret of Ana"))
        assert (await bulk.reconcile(settle=0.01)).accepted == 1
    everything = b"".join(path.read_bytes() for path in ledger.parent.iterdir())
    assert b"the secret of Ana" not in everything


async def test_time_going_backwards_sends_nothing_twice(connectus, emulator, ledger, monkeypatch):
    """The order of the ledger is not that of the clock."""
    now = [time.time()]

    def backwards() -> float:
        now[0] -= 3600
        return now[0]

    monkeypatch.setattr(time, "time", backwards)
    for _ in range(3):
        async with connectus.bulk(ledger=ledger) as bulk:
            await bulk.run(messages(20))
    assert len(emulator.received) == 20
    assert states(ledger) == ["accepted"] * 20


async def test_equal_keys_and_odd_keys(connectus, emulator, ledger):
    """A key of the user's never is a digest, and what cannot be a key is that row's error."""
    sms = messages(3)
    first = await rerun(connectus, ledger, [Row(1, sms[0])])
    with closing(sqlite3.connect(ledger)) as connection:
        ((digest,),) = connection.execute("SELECT key FROM message").fetchall()
    keys = [digest, "line 2", f"key: {digest}", "ñandú 😀", "a\0b", "\ud800", "", "x" * 300, "x"]
    rows = [Row(number, Sms(FIRST + number, "x"), key=key) for number, key in enumerate(keys)]
    again = await rerun(connectus, ledger, [*rows, Row(2, ValueError()), Row(9, sms[1], key="x")])
    assert first.accepted == 1
    assert again.accepted == 5
    assert again.skipped_by == {SkipReason.INVALID: 5, SkipReason.DUPLICATE: 1}
    assert len(emulator.received) == 6


async def rerun(connectus: AsyncConnectus, ledger: Path, rows: list[Row]):
    async with connectus.bulk(ledger=ledger) as bulk:
        return await bulk.run(rows)
