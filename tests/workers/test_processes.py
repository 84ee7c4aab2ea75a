"""How a campaign is divided among processes, and what becomes of them if it cannot begin."""

import ast
import asyncio
import inspect
import math
import os
import pickle
import signal
import ssl
import subprocess
import textwrap
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import run_sync
from awaited import asyncio_only

import connectus_async
from connectus_async import (
    AsyncConnectus,
    CampaignStoppedError,
    QuietHours,
    Sms,
    State,
    SuppressionList,
)
from connectus_async.bulk.options import BulkOptions
from connectus_async.bulk.sender import Bulk
from connectus_async.emulator import Emulator, Fault
from connectus_async.errors import ConfigurationError
from connectus_async.ledger import open_store
from connectus_async.ledger.states import Edited, OnUnknown, SkipReason
from connectus_async.workers import Failure, SenderProcesses
from connectus_async.workers import processes as module
from connectus_async.workers.campaign_options import Settings
from connectus_async.workers.processes import shares
from connectus_async.workers.sender_process import _do

FIRST = 56_960_000_000

pytestmark = pytest.mark.both("either loop carries the frames between processes")


@pytest.mark.parametrize(("concurrency", "processes"), [(64, 2), (64, 3), (5, 5), (400, 7)])
def test_the_limits_are_shared(tmp_path, concurrency, processes):
    """All have them together; what they are not to decide, they are not told."""
    suppression = SuppressionList()
    options = BulkOptions(
        ledger=tmp_path / "campaign.db",
        concurrency=concurrency,
        rate=10,
        rate_unit="segments",
        suppression=suppression,
        budget=7,
        on_unknown="resend",
        edited="abort",
        forget_content=True,
        patience=30,
    )
    divided = list(shares(options, processes))

    assert len(divided) == processes
    assert sum(share.concurrency for share in divided) == concurrency
    assert max(share.concurrency for share in divided) - concurrency // processes in {0, 1}
    assert sum(share.rate for share in divided) == pytest.approx(10)
    for share in divided:
        assert (share.ledger, share.budget, share.forget_content) == (None, None, False)
        assert (share.on_unknown, share.edited) == (OnUnknown.HOLD, Edited.EVERYONE)
        assert (share.rate_unit, share.patience) == ("segments", 30)
        assert share.suppression is suppression


def test_without_a_rate_there_is_none_to_share():
    """Each process then sends as fast as the API takes it."""
    assert [share.rate for share in shares(BulkOptions(), 2)] == [None, None]


async def test_a_sender_of_another_version():
    """It was installed while the command ran: it does not take part."""
    with pytest.raises(ConfigurationError, match="was installed meanwhile"):
        await _do({"version": "0.0"}, None)


async def test_options_that_no_other_process_can_import():
    """A function of the user's own program is in none of its modules: that is named."""
    options = pickle.dumps(ord).replace(b"ord", b"???")
    with pytest.raises(ConfigurationError, match="to a module, which a process can import"):
        await _do({"version": connectus_async.__version__, "options": options}, None)


def test_more_processes_than_cores_are_no_error_but_more_than_messages_at_a_time_are(tmp_path):
    """Each needs at least one message of its own to send."""
    Settings(processes=64).options(tmp_path / "campaign.db")
    with pytest.raises(ConfigurationError, match="must be at most the concurrency, which is 64"):
        Settings(processes=65).options(tmp_path / "campaign.db")


@pytest.fixture
async def bulk(tmp_path: Path) -> AsyncIterator[Bulk]:
    """A campaign with nothing to send."""
    async with AsyncConnectus("user", "key").bulk(ledger=tmp_path / "campaign.db") as bulk:
        yield bulk


@pytest.fixture
def senders(bulk: Bulk) -> SenderProcesses:
    """Three of its processes."""
    return SenderProcesses(bulk, processes=3)


@pytest.fixture
def at_start(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], None]:
    """Have something done right before the n-th process is started."""

    def at_start(number: int, do: Callable[[], object]) -> None:
        started = []

        def start(*args: object, **options: object) -> subprocess.Popen[bytes]:
            if len(started) == number - 1:
                do()
            started.append(subprocess.Popen(*args, **options))
            return started[-1]

        monkeypatch.setattr(module, "Popen", start)

    return at_start


async def test_a_process_that_cannot_be_started(senders, at_start):
    """The error is the caller's, and those that were started before are ended."""

    def refuse() -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    at_start(2, refuse)
    with pytest.raises(BlockingIOError):
        await senders.__aenter__()
    assert [process.returncode for process in senders._processes] == [-signal.SIGKILL]


async def test_an_interruption_while_they_are_started(senders, at_start):
    """All are ended, though there is no way to them yet."""
    entering = asyncio.create_task(senders.__aenter__())
    at_start(3, entering.cancel)
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert [process.returncode for process in senders._processes] == 3 * [-signal.SIGKILL]
    assert [failure async for failure in senders.stream()] == []


async def test_an_interruption_while_they_are_waited_for(senders):
    """They are killed, and waited for no longer."""
    entered = asyncio.Event()

    async def use() -> None:
        async with senders:
            entered.set()

    using = asyncio.create_task(use())
    await entered.wait()
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert [process.returncode for process in senders._processes] == 3 * [-signal.SIGKILL]


@asyncio_only
async def test_the_example_runs(
    connectus: AsyncConnectus, emulator: Emulator, tmp_path, monkeypatch
):
    """As it stands in the docstring; both messages arrive."""
    monkeypatch.chdir(tmp_path)
    _, _, example = inspect.getdoc(SenderProcesses).partition("Example:\n")
    code = compile(
        textwrap.dedent(example), "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    names = {name: getattr(connectus_async, name) for name in connectus_async.__all__}
    found: dict[str, Any] = {**names, "SenderProcesses": SenderProcesses, "connectus": connectus}
    await eval(code, found)

    assert found["sending"].summary.counts == {State.ACCEPTED: 2}
    assert len(emulator.received) == 2


async def test_a_campaign_of_the_library_is_sent_by_processes(settings, emulator, tmp_path):
    """With its guards, of which none needs a file; each is reached once, and failures are named."""
    emulator.fault(Fault.status(400), route="sms.send", times=1)
    options = {
        "suppression": SuppressionList([FIRST]),
        "quiet_hours": QuietHours.parse("03:00-03:01"),
        "budget": 50,
        "concurrency": 8,
    }
    async with (
        AsyncConnectus(**settings) as connectus,
        connectus.bulk(ledger=tmp_path / "campaign.db") as loader,
    ):
        await loader.load(Sms(FIRST + index, "Hola") for index in range(60))
    async with (
        AsyncConnectus(**settings) as connectus,
        connectus.bulk(ledger=tmp_path / "campaign.db", **options) as bulk,
    ):
        async with SenderProcesses(bulk, processes=2) as sending:
            failures = [failure async for failure in sending.stream()]
            assert [failure async for failure in sending.stream()] == []
            assert sending.progress().summary == sending.summary
        later = await bulk.run(Sms(FIRST + 60 + index, "Hola") for index in range(2))
        counts = await bulk.counts()

    reasons = Counter(failure.skipped or failure.state for failure in failures)
    assert reasons == {SkipReason.SUPPRESSED: 1, SkipReason.OVER_BUDGET: 8, State.REJECTED: 1}
    assert all(isinstance(failure, Failure) for failure in failures)
    assert sending.summary.counts == {State.ACCEPTED: 50, State.REJECTED: 1, State.SKIPPED: 9}
    assert later.skipped_by == {SkipReason.OVER_BUDGET: 2}
    assert counts[State.ACCEPTED] == 50
    assert len({message.recipient for message in emulator.received}) == 50


async def test_a_suppression_list_that_cannot_be_read_when_processes_start(
    settings, emulator, tmp_path
):
    """They hold back too: who is new on it is reached by none of them."""
    listed = tmp_path / "suppressed.txt"
    listed.write_text(f"{FIRST}\n")
    os.utime(listed, (0, 0))
    suppression = await run_sync(SuppressionList.read, listed)
    async with (
        AsyncConnectus(**settings) as connectus,
        connectus.bulk(ledger=tmp_path / "campaign.db", suppression=suppression) as bulk,
    ):
        await bulk.load(Sms(FIRST + index, "Hola") for index in range(10))
        listed.write_text("nobody\n")
        async with SenderProcesses(bulk, processes=2) as sending:
            async for progress in sending.watch(0.05):
                if progress.is_paused or progress.summary.total == 9:
                    break
            listed.write_text("".join(f"{FIRST + index}\n" for index in range(10)))
            reasons = Counter([failure.skipped async for failure in sending.stream()])

    assert reasons == {SkipReason.SUPPRESSED: 9}
    assert emulator.received == []


async def paused(sending: SenderProcesses, by: str) -> None:
    """Wait until a process has heard that the campaign is paused."""
    async for progress in sending.watch(0.05):
        if progress.paused_by == (by,):
            return


async def test_orders_from_other_terminals_reach_all_processes(settings, emulator, tmp_path):
    """Nothing leaves while the campaign is paused, and it ends when it is stopped."""
    ledger = tmp_path / "campaign.db"
    control = open_store(ledger).control()
    async with AsyncConnectus(**settings) as connectus, connectus.bulk(ledger=ledger) as bulk:
        await bulk.load(Sms(FIRST + index, "Hola") for index in range(20))
        await run_sync(lambda: control.change(paused_until=math.inf, paused_by="ana"))
        async with SenderProcesses(bulk, processes=2) as sending:
            await paused(sending, "ana")
            assert emulator.received == []
            await run_sync(lambda: control.change(paused_until=None))
            assert [failure async for failure in sending.stream()] == []
        assert sending.summary.accepted == 20

        await bulk.load(Sms(FIRST + 20 + index, "Hola") for index in range(20))
        await run_sync(lambda: control.change(paused_until=math.inf))
        async with SenderProcesses(bulk, processes=2) as sending:
            await paused(sending, "ana")  # a start would take back what was ordered before it
            await run_sync(lambda: control.change(stopped="ana stopped it"))
            with pytest.raises(CampaignStoppedError, match="ana stopped it"):
                assert [failure async for failure in sending.stream()] == []
        assert await bulk.counts() == {State.ACCEPTED: 20, State.QUEUED: 20}
    assert len(emulator.received) == 20


async def test_one_sends_at_a_time(bulk: Bulk):
    """While processes send, the bulk sender does not, nor do others; afterwards it may."""
    async with SenderProcesses(bulk, processes=1):
        for use in (bulk.run, bulk.reconcile, lambda: bulk.load([])):
            with pytest.raises(ConfigurationError, match="has sender processes"):
                await use()
        with pytest.raises(ConfigurationError, match="has sender processes"):
            await SenderProcesses(bulk, processes=1).__aenter__()
    await bulk.load([])


async def test_processes_do_not_begin_amid_a_load(bulk: Bulk):
    """Its end may skip messages that a process was assigned."""
    senders = SenderProcesses(bulk, processes=1)

    async def source() -> AsyncIterator[Sms]:
        yield Sms(FIRST, "Hola")
        with pytest.raises(ConfigurationError, match="is loading"):
            await senders.__aenter__()

    await bulk.load(source())
    async with SenderProcesses(bulk, processes=1):
        pass


async def test_processes_do_not_begin_while_the_sender_is_paused(bulk: Bulk):
    """They would send, for no pause reaches them."""
    bulk.pause()
    with pytest.raises(ConfigurationError, match="is paused"):
        await SenderProcesses(bulk, processes=1).__aenter__()
    bulk.resume()
    async with SenderProcesses(bulk, processes=1):
        pass


async def test_processes_are_entered_once(senders: SenderProcesses):
    """Before it there is nothing to ask, and others are made for another time."""
    with pytest.raises(ConfigurationError, match="must be entered first"):
        senders.progress()
    async with senders:
        pass
    with pytest.raises(ConfigurationError, match="were started before"):
        await senders.__aenter__()
    assert [progress.in_flight async for progress in senders.watch()] == [0]


async def test_a_campaign_without_a_ledger_has_no_processes():
    """There would be nothing to send from."""
    async with AsyncConnectus("user", "key").bulk() as bulk:
        with pytest.raises(ConfigurationError, match="ledger: is needed"):
            await SenderProcesses(bulk, processes=2).__aenter__()


@pytest.mark.parametrize("processes", [0, -1, 65, 1.5, "2"])
async def test_a_number_of_processes_that_cannot_be(bulk: Bulk, processes: Any):
    """It is refused before any is started, and the bulk sender can send."""
    with pytest.raises(ConfigurationError, match="processes: must be"):
        await SenderProcesses(bulk, processes=processes).__aenter__()
    await bulk.load([])


async def test_what_cannot_be_handed_to_other_processes(tmp_path: Path):
    """It is named; nothing of it is shown."""
    context = ssl.create_default_context()
    async with AsyncConnectus("user", "key", ssl_context=context).bulk(
        ledger=tmp_path / "campaign.db"
    ) as bulk:
        with pytest.raises(ConfigurationError, match="ssl_context: cannot be handed to"):
            await SenderProcesses(bulk, processes=2).__aenter__()

    here = SuppressionList(to_digits=lambda _, value: str(value))
    async with AsyncConnectus("user", "key").bulk(
        ledger=tmp_path / "campaign.db", suppression=here
    ) as bulk:
        with pytest.raises(ConfigurationError, match="processes: cannot have this suppression"):
            await SenderProcesses(bulk, processes=2).__aenter__()
