"""What the blocking client promises on top of what the tests of both clients show."""

import asyncio
import datetime as dt
import inspect
import re
import sqlite3
import subprocess
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hostile import Exchange, HostileServer, http, keep_alive, stall
from threads import begun_since

import connectus_async
from connectus_async import (
    AsyncConnectus,
    AuthenticationError,
    BlockingSmsReceipt,
    ClientClosedError,
    ConfigurationError,
    Connectus,
    InvalidArgumentError,
    Outcome,
    RequestTimeoutError,
    Sms,
    SmsReport,
    products,
)
from connectus_async._tools import generate_sync
from connectus_async.bulk.outcomes import MessageOutcome, Reconciliation
from connectus_async.bulk.progress import Progress
from connectus_async.bulk.sender import Bulk
from connectus_async.emulator import Emulator, Fault
from connectus_async.products import sms_polling
from connectus_async.products._service import Service
from connectus_async.sync import _generated

pytestmark = pytest.mark.both("the blocking client runs on either loop")

FIRST = 56_960_000_000
THREADS = 64
WAIT = 100
"""Seconds after which a test gives up; never waited for."""

OF_PYCARES = "_run_safe_shutdown_loop"
"""A thread that the library below aiodns starts once, with the first connection of a process."""

PACKAGE = Path(connectus_async.__file__).parent
CREDENTIALS = {"api_user": "the-user", "api_key": "the-key"}


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert not {thread for thread in begun_since(before) if OF_PYCARES not in thread.name}


@pytest.fixture
def portal(no_thread_left: None) -> Iterator[BlockingPortal]:
    """Run servers in a thread of their own: the tests block theirs."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def emulator(portal: BlockingPortal) -> Iterator[Emulator]:
    with portal.wrap_async_context_manager(Emulator()) as emulator:
        yield emulator


@pytest.fixture
def blocking(settings: dict[str, Any]) -> Iterator[Connectus]:
    with Connectus(**settings) as blocking:
        yield blocking


def messages(count: int) -> Iterator[Sms]:
    return (Sms(FIRST + index, f"Hola {index}") for index in range(count))


# The face


def test_the_generated_code_is_what_the_generator_writes():
    """Nobody edits it, and nobody forgets it."""
    assert generate_sync.TARGET.read_text("utf-8") == generate_sync.generated()


def services() -> list[type[Service]]:
    """Each service, and what a service has."""
    assert all(hasattr(products, name) for name in products.__all__)  # that imports them
    return Service.__subclasses__()


def pairs() -> Iterator[Any]:
    for owner in (Service, *services(), AsyncConnectus, Bulk):
        twin = getattr(_generated, owner.__name__.removeprefix("Async"))
        for name, method in inspect.getmembers(owner, inspect.isfunction):
            if not name.startswith("_"):
                yield pytest.param(method, getattr(twin, name), id=method.__qualname__)
    yield pytest.param(AsyncConnectus, Connectus, id="Connectus")


@pytest.mark.parametrize(("method", "twin"), [*pairs()])
def test_both_clients_take_the_same_arguments(method: Any, twin: Any):
    """Names, kinds and defaults."""
    wanted, found = (
        [
            (parameter.name, parameter.kind, parameter.default)
            for parameter in inspect.signature(each).parameters.values()
        ]
        for each in (method, twin)
    )
    assert wanted == found
    assert not inspect.iscoroutinefunction(twin)


BULK_RECEIPT = MessageOutcome, "receipt"


def given_out() -> set[type]:
    """All types of this package that the blocking client's methods and attributes lead to."""
    hints: list[Any] = [Connectus]
    found: set[type] = set()
    while hints:
        hint = hints.pop()
        hint = getattr(_generated, hint, None) if isinstance(hint, str) else hint
        hints += [each for each in get_args(hint) if not isinstance(each, str)]
        if not inspect.isclass(hint) or not hint.__module__.startswith("connectus_async"):
            continue
        if hint not in found:
            found.add(hint)
            fields = getattr(hint, "__attrs_attrs__", ())
            # A `BlockingOutcome` is one for type checkers alone: see the test of its receipt.
            hints += [each.type for each in fields if (hint, each.name) != BULK_RECEIPT]
            hints += [inspect.signature(method).return_annotation for method in public(hint)]
            if hint is Connectus:
                hints += [getattr(_generated, service.__name__) for service in services()]
    return found


def public(owner: type) -> Iterator[Callable[..., Any]]:
    for name, member in inspect.getmembers(owner):
        function = member.fget if isinstance(member, property) else member
        is_ours = (getattr(function, "__module__", None) or "").startswith("connectus_async")
        if is_ours and not name.startswith("_") and inspect.isroutine(function):
            yield function


def test_nothing_that_the_client_gives_out_is_to_be_awaited():
    """A coroutine where one expects an answer is true, whatever the answer is."""
    found = given_out()

    assert {Connectus, _generated.Bulk, _generated.SmsService, BlockingSmsReceipt} <= found
    assert {MessageOutcome, SmsReport, Progress, Reconciliation} <= found
    for owner in found:
        for method in public(owner):
            returned = str(inspect.signature(method).return_annotation)
            assert not inspect.iscoroutinefunction(method), method
            assert not inspect.isasyncgenfunction(method), method
            assert not re.search(r"Coroutine|Awaitable|Async", returned), method


def test_a_bad_setting_is_refused_when_the_client_is_made():
    """Not with the first call, which may come much later and in another process."""
    with pytest.raises(ConfigurationError) as caught:
        Connectus(**CREDENTIALS, timeout=-1)

    assert caught.value.setting == "timeout"


def test_the_environment_counts_when_the_client_is_made(
    emulator: Emulator, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    """A later change does not reach into a client that has not connected yet."""
    monkeypatch.setenv("CONNECTUS_API_KEY", emulator.api_key)
    with Connectus(**(settings | {"api_key": None})) as blocking:
        monkeypatch.setenv("CONNECTUS_API_KEY", "another")

        assert blocking.account.get().name


def test_a_bad_option_of_a_copy_is_refused_when_the_copy_is_made():
    """As it is by the async client, and without a thread."""
    blocking = Connectus(**CREDENTIALS)

    with pytest.raises(ConfigurationError):
        blocking.with_options(timeout=0)


def test_nothing_starts_before_the_first_call():
    """A client can be made at import, before a server forks: `no_thread_left` is looking."""
    blocking = Connectus(**CREDENTIALS)

    assert blocking.sms is not None
    assert blocking.with_options(timeout=1).sms is not None


def test_a_client_shows_no_secret():
    """Its address is what tells two clients apart."""
    blocking = Connectus(**CREDENTIALS, base_url="https://api.example.com")

    assert repr(blocking) == "<Connectus https://api.example.com>"


def test_options_add_up_over_copies(portal: BlockingPortal):
    """The copy of a copy has the options of both; the original keeps its own."""
    with (
        portal.wrap_async_context_manager(HostileServer()) as server,
        Connectus(**CREDENTIALS, base_url=server.url, max_retries=2) as blocking,
    ):
        blocking.account.get()  # or the limit could run out before there is a connection
        server.reply = stall()
        copy = blocking.with_options(timeout=0.3).with_options(max_retries=0)
        with pytest.raises(RequestTimeoutError):
            copy.account.get()
        portal.call(server.have_come, 2)
        server.reply = keep_alive(http())
        blocking.account.get()

        assert server.requests == {"GET": 3}


# Threads and loops


def test_64_threads_share_a_client(emulator: Emulator, settings: dict[str, Any]):
    """Each gets the answer to its own call, and no thread is left after `close`."""
    barrier = threading.Barrier(THREADS)
    before = set(threading.enumerate())

    with Connectus(**settings) as blocking:

        def send(index: int) -> list[str | None]:
            barrier.wait(WAIT)
            return [blocking.sms.send(FIRST + index, f"{index}-{turn}").id for turn in range(4)]

        with ThreadPoolExecutor(THREADS) as threads:
            ids = list(threads.map(send, range(THREADS)))

    assert {sms.id: sms.content for sms in emulator.received} == {
        name: f"{index}-{turn}" for index, row in enumerate(ids) for turn, name in enumerate(row)
    }
    assert not begun_since(before)


def test_use_after_close_is_refused(blocking: Connectus, emulator: Emulator):
    """Of the client, of its copies and of its bulk senders, with nothing sent."""
    copy = blocking.with_options(timeout=1)
    bulk = blocking.bulk()
    blocking.close()
    blocking.close()

    for use in (blocking.account.get, copy.account.get, bulk.__enter__, blocking.bulk().__enter__):
        with pytest.raises(ClientClosedError) as caught:
            use()
        assert caught.value.outcome is Outcome.NOT_SENT
    assert emulator.requests.total() == 0


def test_a_client_that_was_never_used_can_be_closed():
    """There is no loop to stop then."""
    blocking = Connectus(**CREDENTIALS)
    blocking.close()

    with pytest.raises(ClientClosedError):
        blocking.account.get()


def test_a_call_on_the_clients_own_loop_is_refused(blocking: Connectus):
    """An async source runs there; a blocking call in it would deadlock."""

    async def source() -> AsyncIterator[Sms]:
        yield Sms(FIRST, blocking.account.get().name)

    with blocking.bulk() as bulk, pytest.raises(RuntimeError, match="own thread"):
        bulk.run(source())


def test_it_works_inside_a_running_loop(blocking: Connectus):
    """As in a notebook, whose cells run in a loop."""

    async def cell() -> str | None:
        return blocking.account.get().name

    assert asyncio.run(cell())


@pytest.mark.parametrize("place", ["a plain thread", "a running loop"])
def test_a_receipt_blocks_until_its_sms_is_delivered_or_not(
    portal: BlockingPortal, monkeypatch: pytest.MonkeyPatch, place: str
):
    """That of a copy and of a bulk sender as well, and in a notebook's cell: it returns a bool."""
    now = [dt.datetime(2026, 11, 30, tzinfo=dt.UTC)]
    monkeypatch.setattr(sms_polling, "PollSchedule", partial(sms_polling.PollSchedule, first=0.01))

    def send(blocking: Connectus) -> list[Any]:
        good, bad = FIRST + 1234, FIRST  # whose last digits are 0000
        receipts = [blocking.sms.send(to, "Hola") for to in (good, bad)]
        receipts.append(blocking.with_options(timeout=9).sms.send_otp(bad, "1"))
        with blocking.bulk() as bulk:
            [outcome] = bulk.stream([Sms(bad, "Hola again")])
        now[0] += dt.timedelta(seconds=5)
        told = [receipt.delivered(timeout=WAIT) for receipt in [*receipts, outcome.receipt]]
        assert told == [receipt.delivered() for receipt in [*receipts, outcome.receipt]]
        return told

    async def cell(blocking: Connectus) -> list[Any]:
        return send(blocking)

    with (
        portal.wrap_async_context_manager(Emulator(clock=lambda: now[0])) as emulator,
        Connectus(emulator.api_user, emulator.api_key, base_url=emulator.base_url) as blocking,
    ):
        is_plain = place == "a plain thread"
        told = send(blocking) if is_plain else asyncio.run(cell(blocking))

    assert [*map(repr, told)] == ["True", "False", "False", "False"]


# Bulk


def test_a_source_that_blocks_does_not_block_the_loop(blocking: Connectus, emulator: Emulator):
    """While it makes up its mind, calls of other threads go on."""

    def source() -> Iterator[Sms]:
        for message in messages(3):
            with ThreadPoolExecutor(1) as other:
                assert other.submit(blocking.account.get).result(WAIT).name
            yield message

    with blocking.bulk() as bulk:
        assert bulk.run(source()).accepted == 3
    assert emulator.requests["account.get"] == 3


@pytest.mark.parametrize("way", ["stream", "run"])
def test_a_source_may_be_bound_to_the_thread_that_waits(blocking: Connectus, way: str):
    """As a database cursor is."""
    database = sqlite3.connect(":memory:")
    database.execute("create table people (number)")
    database.executemany("insert into people values (?)", [(FIRST + i,) for i in range(20)])
    rows = database.execute("select number from people")

    with blocking.bulk(concurrency=4) as bulk:
        if way == "stream":
            assert len(list(bulk.stream(Sms(number, "Hola") for (number,) in rows))) == 20
        else:
            assert bulk.run(Sms(number, "Hola") for (number,) in rows).accepted == 20
    database.close()


def test_a_break_finishes_what_is_under_way(blocking: Connectus, emulator: Emulator):
    """What was pulled is counted, and the rest stays in the source."""
    source = messages(1000)
    with blocking.bulk(concurrency=8) as bulk:
        for outcome in bulk.stream(source):
            assert outcome.outcome is Outcome.ACCEPTED
            break

    left = len(list(source))
    assert bulk.summary.accepted == bulk.summary.total == len(emulator.received) == 1000 - left


def test_an_error_in_the_block_comes_out_as_itself(blocking: Connectus, emulator: Emulator):
    """After what is under way has ended."""
    with pytest.raises(LookupError, match="mine"), blocking.bulk(concurrency=8) as bulk:
        for _ in bulk.stream(messages(1000)):
            raise LookupError("mine")

    assert bulk.summary.accepted == bulk.summary.total == len(emulator.received) < 1000


def test_a_callback_may_use_the_client(blocking: Connectus, emulator: Emulator):
    """It runs in the thread that called `run`."""
    seen: list[tuple[MessageOutcome, str | None, threading.Thread]] = []

    def note(outcome: MessageOutcome) -> None:
        status = blocking.sms.status(outcome.id).status
        seen.append((outcome, status, threading.current_thread()))

    with blocking.bulk(concurrency=4) as bulk:
        summary = bulk.run(messages(20), on_outcome=note)

    assert summary.accepted == len(seen) == 20
    assert all(status for _, status, _ in seen)
    assert {thread for *_, thread in seen} == {threading.current_thread()}
    assert emulator.requests["sms.status"] == 20


def test_an_error_of_a_callback_ends_the_run(blocking: Connectus):
    """It comes out as itself."""

    def note(_: MessageOutcome) -> None:
        raise LookupError("mine")

    with blocking.bulk(concurrency=4) as bulk, pytest.raises(LookupError, match="mine"):
        bulk.run(messages(100), on_outcome=note)

    assert bulk.summary.total < 100


def test_a_sender_counts_over_several_blocks(blocking: Connectus):
    """As the async one does."""
    bulk = blocking.bulk()
    summary = bulk.summary
    for count in (2, 3):
        with bulk:
            bulk.run(messages(count))

    assert bulk.summary is summary
    assert summary.accepted == 5
    with pytest.raises(ConfigurationError, match="must be entered first"):
        bulk.run(messages(1))


# Between calls, and when a call fails


def test_no_message_is_lost_to_a_connection_that_the_server_closed(portal: BlockingPortal):
    """The loop runs on between calls, so that it sees connections go before it uses them."""
    closed = threading.Semaphore(0)

    async def close_after_the_answer(exchange: Exchange) -> None:
        await exchange.write(http(body=b'{"id": "c79"}'))
        exchange.writer.write_eof()
        await exchange.until_the_client_goes()
        exchange.close()
        closed.release()

    with portal.wrap_async_context_manager(HostileServer(close_after_the_answer)) as server:
        with Connectus(**CREDENTIALS, base_url=server.url, max_retries=0) as blocking:
            for _ in range(100):
                assert blocking.sms.send(FIRST, "Hola").id == "c79"
                assert closed.acquire(timeout=WAIT)

        assert server.requests == {"POST": 100}
        assert server.connections == 100


def send(blocking: Connectus) -> None:
    blocking.sms.send(FIRST, "Hola")


def send_to_nobody(blocking: Connectus) -> None:
    blocking.sms.send(1, "Hola")


def iterate(blocking: Connectus) -> None:
    with blocking.bulk() as bulk:
        for _ in bulk.stream(messages(1)):
            pass


def run(blocking: Connectus) -> None:
    with blocking.bulk() as bulk:
        bulk.run(messages(1))


def use_after_close(blocking: Connectus) -> None:
    blocking.close()
    blocking.with_options(timeout=1).account.get()


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (send, AuthenticationError),
        (send_to_nobody, InvalidArgumentError),
        (iterate, AuthenticationError),
        (run, AuthenticationError),
        (use_after_close, ClientClosedError),
    ],
)
def test_a_traceback_is_short(
    use: Callable[[Connectus], None],
    error: type[Exception],
    blocking: Connectus,
    emulator: Emulator,
):
    """The user's line, and below it at most four frames of ours and none of anybody else."""
    emulator.fault(Fault.status(401), route="sms.send")

    with pytest.raises(error) as caught:
        use(blocking)

    _, line, *rest = traceback.extract_tb(caught.tb)
    assert line.name == use.__name__
    assert 0 < len(rest) <= 4
    assert all(Path(frame.filename).is_relative_to(PACKAGE) for frame in rest)


FORK_WARNING = "ignore:This process (pid:DeprecationWarning"
"""Python 3.12 warns of every fork with threads; what comes of it is what is tested here."""

FORK = """
import os
from connectus_async import Connectus, Sms

connectus = Connectus()
copy = connectus.with_options(timeout=20)
bulk = connectus.bulk()

def send(name):
    connectus.sms.send(56987688060, name)
    copy.sms.send(56987688060, name + " by a copy")

send("parent")
with bulk:
    bulk.run([Sms(56987688060, "parent in bulk")])
    child = os.fork()
    if not child:
        try:
            bulk.run([Sms(56987688060, "lost")])
        except Exception as error:
            connectus.sms.send(56987688060, f"child {type(error).__name__}")
        send("child")
        with bulk:
            bulk.run([Sms(56987688060, "child in bulk")])
        connectus.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    send("parent again")
    bulk.run([Sms(56987688060, "parent in bulk again")])
"""


def test_a_forked_child_has_connections_of_its_own(
    emulator: Emulator, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    """Clients, copies and senders that were made before the fork work after it, on both sides."""
    for name in ("api_user", "api_key", "base_url"):
        monkeypatch.setenv(f"CONNECTUS_{name.upper()}", settings[name])

    program = [sys.executable, "-W", "error", "-W", FORK_WARNING, "-c", FORK]
    run = subprocess.run(
        program, capture_output=True, text=True, timeout=WAIT, cwd=PACKAGE.parent, check=False
    )

    assert (run.returncode, run.stderr) == (0, "")
    assert [sms.content for sms in emulator.received] == [
        "parent",
        "parent by a copy",
        "parent in bulk",
        "child ConfigurationError",
        "child",
        "child by a copy",
        "child in bulk",
        "parent again",
        "parent again by a copy",
        "parent in bulk again",
    ]


def test_an_async_callback_is_refused(blocking: Connectus, emulator: Emulator):
    """Nobody would await it; the async client takes one."""

    async def note(_: object) -> None:
        raise AssertionError

    with blocking.bulk() as bulk, pytest.raises(InvalidArgumentError, match="on_outcome"):
        bulk.run([Sms(FIRST, "Hola")], on_outcome=note)

    assert not emulator.requests


def test_a_bulk_sender_that_is_not_entered_starts_no_thread(blocking: Connectus):
    """gunicorn may make one before it forks."""
    threads = threading.active_count()
    blocking.bulk()

    assert threading.active_count() == threads
