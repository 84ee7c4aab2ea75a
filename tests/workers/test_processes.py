"""How a campaign is divided among processes, and what becomes of them if it cannot begin."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from connectus_async.cli import senders as module
from connectus_async.cli.sender_process import _take_part
from connectus_async.cli.senders import Senders, parts
from connectus_async.cli.settings import Settings
from connectus_async.errors import ConfigurationError
from connectus_async.ledger.records import Policy
from connectus_async.ledger.sqlite.ledger import SqliteLedger
from connectus_async.ledger.states import OnUnknown

pytestmark = pytest.mark.both("either loop carries the frames between processes")


@pytest.mark.parametrize(("concurrency", "processes"), [(64, 2), (64, 3), (5, 5), (400, 7)])
def test_the_limits_are_shared(concurrency, processes):
    """All have them together; what they are not to decide, they are not told."""
    settings = Settings(
        concurrency=concurrency,
        processes=processes,
        rate=10,
        rate_unit="segments",
        suppress="stop.txt",
        budget=7,
        on_unknown="resend",
        forget_content=True,
    )
    shares = parts(settings)

    assert len(shares) == processes
    assert sum(share.concurrency for share in shares) == concurrency
    assert max(share.concurrency for share in shares) - concurrency // processes in {0, 1}
    assert sum(share.rate for share in shares) == pytest.approx(10)
    for share in shares:
        assert (share.processes, share.budget, share.forget_content) == (1, None, False)
        assert (share.on_unknown, share.rate_unit, share.suppress) == (
            "hold",
            "segments",
            "stop.txt",
        )


def test_without_a_rate_there_is_none_to_share():
    """Each process then sends as fast as the API takes it."""
    assert [share.rate for share in parts(Settings(processes=2))] == [None, None]


async def test_a_sender_of_another_version():
    """It was installed while the command ran: it does not take part."""
    with pytest.raises(ConfigurationError, match="was installed meanwhile"):
        await _take_part({"version": "0.0"}, None)


def test_more_processes_than_cores_are_no_error_but_more_than_messages_at_a_time_are():
    """Each needs at least one message of its own to send."""
    Settings(processes=64).options(None)
    with pytest.raises(ConfigurationError, match="must be at most the concurrency, which is 64"):
        Settings(processes=65).options(None)


@pytest.fixture(autouse=True)
def no_blocking() -> Iterator[None]:
    """Fail a test in which our code blocks the loop, but where it starts a process, in no time."""
    with blockbuster_ctx("connectus_async") as watched:
        for function in watched.functions.values():
            function.can_block_in("connectus_async/cli/senders.py", "_start_one")
        yield


@pytest.fixture
async def senders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Senders]:
    """Three that have nothing to send."""
    monkeypatch.setenv("CONNECTUS_API_USER", "user")
    monkeypatch.setenv("CONNECTUS_API_KEY", "key")
    ledger = SqliteLedger(tmp_path / "campaign.db")
    await ledger.open(Policy("", "message", OnUnknown.HOLD, forgets_content=False))
    yield Senders(ledger, waiting=0, spent=0, settings=Settings(processes=3))
    await ledger.close()


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
