"""The ledger in a file: what it has on record is what may have left, and it survives a crash."""

import asyncio
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from connectus_async import AsyncConnectus, InvalidArgumentError, LedgerError, Sms
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger.content import content_hash
from connectus_async.ledger.records import Claim, Entry, Loading, Policy
from connectus_async.ledger.sqlite import key_index, resuming, writer
from connectus_async.ledger.sqlite.holder import HolderFile, Task
from connectus_async.ledger.sqlite.ledger import SqliteLedger
from connectus_async.ledger.sqlite.lock import LedgerLock
from connectus_async.ledger.states import OnUnknown, SkipReason, State
from connectus_async.products.messages import Row

LOOPS = ["asyncio", *(["uvloop"] if find_spec("uvloop") else [])]
FIRST = 56_960_000_000
SMS = Sms(FIRST, "Hola")


def policy(
    campaign: str = "",
    *,
    identity: str = "message",
    on_unknown: OnUnknown = OnUnknown.HOLD,
    forgets_content: bool = False,
) -> Policy:
    return Policy(campaign, identity, on_unknown, forgets_content)


def entry(key: str | None = "a", *, text: str = "Hola", line: int | None = None) -> Entry:
    body = json.dumps({"sms_content": text}, ensure_ascii=False)
    return Entry(key, line, "sms", "56987688060", body, 1)


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[SqliteLedger]:
    ledger = SqliteLedger(path)
    await ledger.open(policy(**options))
    try:
        yield ledger
    finally:
        await ledger.close()


@pytest.fixture(autouse=True, params=["keys in memory", "keys in the table", "keys in both"])
def keys(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a key is found makes no difference."""
    most = {"keys in the table": 1, "keys in both": 3}
    monkeypatch.setattr(
        key_index, "MOST_IN_MEMORY", most.get(request.param, key_index.MOST_IN_MEMORY)
    )


@pytest.fixture
async def client(settings: dict[str, Any]) -> AsyncIterator[AsyncConnectus]:
    async with AsyncConnectus(**settings) as client:
        yield client


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[SqliteLedger]:
    async with opened(path) as ledger:
        yield ledger


def rows(path: Path, columns: str = "*", order: str = "id") -> list[Any]:
    """Read a ledger as another program sees it."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        found = connection.execute(f"SELECT {columns} FROM message ORDER BY {order}").fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


@asynccontextmanager
async def held_up(ledger: SqliteLedger) -> AsyncIterator[None]:
    """Keep the writer busy, so that what is put down meanwhile becomes one group."""
    is_to_go_on = threading.Event()
    waiting = asyncio.ensure_future(ledger.ask(lambda _: is_to_go_on.wait(100)))
    await asyncio.sleep(0)
    yield
    is_to_go_on.set()
    await waiting


def copy(path: Path, to: Path) -> Path:
    """Take from a ledger that is open what the disk would have after a kill."""
    to.parent.mkdir(exist_ok=True)
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{path}{suffix}", f"{to}{suffix}")
    return to


async def crashed(ledger: SqliteLedger, to: Path) -> Path:
    return await asyncio.to_thread(copy, ledger.path, to)


@pytest.mark.parametrize("keys", ["keys in memory"], indirect=True)
async def test_many_at_once_are_one_transaction(ledger: SqliteLedger, path: Path):
    """A thousand messages that begin together cost four waits for the disk.

    A new key may look like an earlier one to the filter, and is looked up then: once in 100 runs.
    """
    statements: list[str] = []
    async with held_up(ledger):
        tracing = asyncio.ensure_future(
            ledger.ask(lambda connection: connection.set_trace_callback(statements.append))
        )
        await asyncio.sleep(0)
        begun = [ledger.begin(entry(str(index)), None) for index in range(1_000)]
    claims = await asyncio.gather(*begun)
    await tracing

    assert [claim.number for claim in claims] == list(range(1, 1_001))
    assert rows(path, "state") == ["in_flight"] * 1_000
    assert [statement.split()[0] for statement in statements].count("COMMIT") == 1 + 4


TEXTS = [
    "nul \0 in the middle",
    "quotes ' \" and \\ and \n and ;--",
    "emoji 😀👩‍👩‍👧 and ñandú and \u2028",
    "{{ name }} %s {0} \ufeff",
    "x" * 100_000,
]


@pytest.mark.parametrize("text", [*TEXTS[:4], TEXTS[4][:30_000]])
async def test_any_text_is_sent_after_a_restart_as_it_was_given(
    emulator: Emulator, client: AsyncConnectus, path: Path, text: str
):
    """Through all layers, from the loading to the phone."""
    async with client.bulk(ledger=path) as bulk:
        await bulk.load([Sms(FIRST, text)])
    async with client.bulk(ledger=path) as bulk:
        await bulk.run()
        await bulk.run([Sms(FIRST, text)])

    assert [message.content for message in emulator.received] == [text]


async def test_an_error_that_no_file_can_hold_stops_nobody(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """Half a surrogate pair in the name of a column, or a line beyond all numbers."""
    rows_ = [
        Row(7, InvalidArgumentError("nombre\udc80", "is empty")),
        Row(8, InvalidArgumentError("nombre\0", "is empty")),
        Row(9, Sms(FIRST, "Hola")),
    ]
    async with client.bulk(ledger=path) as bulk:
        summary = await bulk.run(rows_)
        await bulk.load(rows_)

    assert (summary.accepted, summary.skipped) == (1, 2)
    assert len(emulator.received) == 1


async def test_a_change_that_cannot_be_written_stops_the_campaign(ledger: SqliteLedger):
    """Whatever is wrong with it, who waits is told, and nothing more is begun."""
    bad = entry(line=2**70)

    with pytest.raises(LedgerError, match=r"^a\.db: "):
        await ledger.begin(bad, None)
    with pytest.raises(LedgerError, match=r"^a\.db: "):
        await ledger.begin(entry(), None)


async def test_forgotten_content_is_in_no_byte_of_the_file(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """Neither in the tables nor in the log nor in what was freed, short texts and long ones."""
    source = [
        Sms(FIRST + index, f"secreto-{index} " + "clave " * (index % 40) ** 2)
        for index in range(300)
    ]
    async with client.bulk(ledger=path, forget_content=True) as bulk:
        await bulk.load(source)
        assert b"secreto-" in Path(f"{path}-wal").read_bytes()
        await bulk.run()
        assert await bulk.counts() == {State.ACCEPTED: 300}

    left = b"".join(file.read_bytes() for file in path.parent.glob("a.db*"))
    assert b"secreto-" not in left
    assert b"clave" not in left
    assert {len(body) for body in rows(path, "body")} == {len('{"hash":""}') + 32}


async def test_what_is_found_to_be_accepted_is_forgotten_too(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """It makes no difference whether the answer or the report says so."""
    emulator.fault(Fault.reset_after(), route="sms.send", times=1)
    async with client.bulk(ledger=path, forget_content=True) as bulk:
        await bulk.run([Sms(FIRST, "secreto")])
        assert (await bulk.reconcile(settle=0.001)).accepted == 1

    left = b"".join(file.read_bytes() for file in path.parent.glob("a.db*"))
    assert b"secreto" not in left


async def test_a_forgotten_message_is_known_again(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """The same file sent again sends nothing, though the texts are gone."""
    for _ in range(2):
        async with client.bulk(ledger=path, forget_content=True) as bulk:
            await bulk.run([SMS])

    assert len(emulator.received) == 1
    assert content_hash('{"sms_content":"Hola"}') in rows(path, "body")[0]


async def test_only_the_owner_may_read_it(path: Path):
    """Numbers and texts of everybody are in it, in the log beside it as well."""
    before = os.umask(0)
    try:
        async with opened(path) as ledger:
            await ledger.begin(entry(), None)
            modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    finally:
        os.umask(before)

    assert modes == dict.fromkeys(("a.db", "a.db-wal", "a.db-shm", "a.db.lock"), 0o600)


async def test_what_a_crash_leaves_in_flight_is_unknown(ledger: SqliteLedger, tmp_path: Path):
    """It may have been sent; what was finished is as it was."""
    for key in "abc":
        await ledger.begin(entry(key), None)
    ledger.finish(entry("a"), 1, State.ACCEPTED, None, "id-a")
    ledger.finish(entry("b"), 2, State.QUEUED, "429", None)
    await ledger.flush()
    copied = await crashed(ledger, tmp_path / "b.db")

    async with opened(copied):
        found = rows(copied, "key, state, reason, attempts")

    assert found == [
        ("a", "accepted", None, 1),
        ("b", "queued", "429", 1),
        ("c", "unknown", "the sender ended before the answer came", 1),
    ]


class PromptQueue(SimpleQueue[object]):
    """Lets the writer do what it is given before the loop goes on, as threads may switch there."""

    def __init__(self) -> None:
        self._put = self._asked = 0

    def put(self, item: object) -> None:
        self._put += 1
        super().put(item)
        while item is not None and self._asked <= self._put:
            pass

    def get(self) -> object:
        self._asked += 1
        return super().get()


@pytest.fixture
def full_after_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand two rows over at once, and have them written before anything else happens."""
    monkeypatch.setattr(writer, "MOST_ROWS", 2)
    monkeypatch.setattr(writer, "SimpleQueue", PromptQueue)


async def test_who_waits_for_the_last_row_of_a_full_group_is_told(full_after_two: None, path: Path):
    """The group is the writer's as soon as it is full."""
    async with opened(path) as ledger:
        claims = [ledger.begin(entry(key), None) for key in "ab"]
        await ledger.flush()

        assert [claim.done() for claim in claims] == [True, True]


async def test_what_is_tried_again_is_nobody_elses_in_a_full_group_either(
    full_after_two: None, path: Path
):
    """Or an equal message would be sent in its place, and then it as well."""
    async with opened(path) as ledger:
        first, second = await asyncio.gather(*(ledger.begin(entry(key), None) for key in "ab"))
        ledger.finish(entry("a"), first.number, State.ACCEPTED, None, "id")
        ledger.finish(entry("b"), second.number, State.QUEUED, "429", None, is_kept=True)
        again = ledger.begin(entry("b"), None)
        await ledger.flush()

        assert (await again).found is State.QUEUED


async def test_closing_leaves_one_file(path: Path):
    """The log is taken into it, so that it can be copied and sent by itself."""
    async with opened(path) as ledger:
        await ledger.begin(entry(), None)

    assert sorted(file.name for file in path.parent.iterdir()) == ["a.db", "a.db.lock"]


async def test_after_a_failure_nothing_is_given_any_more(ledger: SqliteLedger, path: Path):
    """A ledger that failed once never says again that something is written."""
    await ledger.begin(entry("a"), None)
    with pytest.raises(LedgerError):
        await ledger.ask(lambda connection: connection.execute("SELECT * FROM nowhere"))

    ledger.finish(entry("a"), 1, State.ACCEPTED, None, "id")
    with pytest.raises(LedgerError):
        await ledger.begin(entry("b"), None)
    for ask in (ledger.flush, ledger.counts, ledger.metadata, ledger.unresolved):
        with pytest.raises(LedgerError):
            await ask()
    assert rows(path, "key, state") == [("a", "in_flight")]


async def test_a_failure_reaches_all_who_wait(ledger: SqliteLedger):
    """Nobody is left waiting for an answer that does not come."""
    failing = asyncio.ensure_future(
        ledger.ask(lambda connection: connection.execute("SELECT * FROM nowhere"))
    )
    await asyncio.sleep(0)
    waiting = [ledger.begin(entry(str(index)), None) for index in range(3)]

    results = await asyncio.gather(failing, *waiting, ledger.flush(), return_exceptions=True)

    assert {type(result) for result in results} == {LedgerError}


async def test_an_error_of_the_one_who_asks_is_his_own(ledger: SqliteLedger, path: Path):
    """A mistake in a question changes nothing and fails nothing else."""

    def ask(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM message")
        raise LookupError("my mistake")

    await ledger.begin(entry(), None)
    with pytest.raises(LookupError, match="my mistake"):
        await ledger.ask(ask)

    assert rows(path, "key") == ["a"]
    assert (await ledger.begin(entry("b"), None)).found is None


async def test_a_row_that_somebody_else_changes_fails_loudly(ledger: SqliteLedger, path: Path):
    """The ledger no longer says what became of whom, so nothing more leaves."""
    await ledger.begin(entry(), None)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE message SET state = 'accepted'")
    ledger.finish(entry(), 1, State.UNKNOWN, None, None)

    with pytest.raises(LedgerError, match="changed by somebody else"):
        await ledger.flush()


async def test_an_outcome_of_a_message_that_somebody_deleted_fails_loudly(
    ledger: SqliteLedger, path: Path
):
    """It would count as accepted, and no export would show it."""
    await ledger.begin(entry(), None)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DELETE FROM message")
    ledger.finish(entry(), 1, State.ACCEPTED, None, None)

    with pytest.raises(LedgerError, match="changed by somebody else"):
        await ledger.flush()
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM outcome").fetchone() == (0,)


@pytest.mark.parametrize("way", ["all before it wait", "the first one waits"])
async def test_a_begin_reads_few_of_the_messages_before_it(ledger: SqliteLedger, way: str):
    """Or each message that is streamed beside loaded ones reads all that wait."""
    load_number = await ledger.begin_load()
    await ledger.load([Loading(entry(f"{key}")) for key in range(2_000)], load_number)
    if way == "the first one waits":
        await ledger.begin_known(range(2, 2_001))
    work = []

    def count(connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(lambda: work.append(1), 100)

    await ledger.ask(count)
    await ledger.begin(entry("streamed"), None)
    assert len(work) < 50


async def test_a_loading_that_was_taken_back_leaves_its_keys_free(ledger: SqliteLedger, path: Path):
    """Or its messages would be known without being there, and nobody would send them."""
    reading = await ledger.begin_load()
    with pytest.raises(UnicodeEncodeError):
        await ledger.load(
            [Loading(entry("a")), Loading(entry("b", line=2, text="\ud800"))], reading
        )
    assert rows(path) == []

    assert (await ledger.begin(entry("a"), None)).found is None
    (loaded,) = await ledger.load([Loading(entry("b"))], reading)
    assert (loaded.skipped, loaded.known) == (None, None)
    assert rows(path, "key, state") == [("a", "in_flight"), ("b", "queued")]


async def test_a_message_that_was_deleted_by_hand_is_new(path: Path):
    """That is what somebody does who wants it sent again."""
    async with opened(path) as ledger:
        await asyncio.gather(*(ledger.begin(entry(key), None) for key in "ab"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DELETE FROM message WHERE key = 'b'")

    async with opened(path) as ledger:
        claims = await asyncio.gather(*(ledger.begin(entry(key), None) for key in "ab"))
        assert [claim.found for claim in claims] == [State.UNKNOWN, None]


@pytest.mark.parametrize("how", ["begin", "put", "load"])
async def test_a_message_that_somebody_deletes_amid_the_campaign_fails_loudly(
    ledger: SqliteLedger, path: Path, how: str
):
    """The key alone does not say what became of it; and nothing is left out without a word."""
    await ledger.begin(entry(), None)
    await ledger.flush()  # and what the writer does with its key is done
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DROP TRIGGER forget_key")
        other.execute("DELETE FROM message")

    with pytest.raises(LedgerError, match="changed by somebody else"):
        if how == "begin":
            await ledger.begin(entry(), None)
        elif how == "put":
            ledger.put(entry(), None)
            await ledger.flush()
        else:
            await ledger.load([Loading(entry())], 1)


BY_HAND = {
    "inserted": """DELETE FROM message WHERE key IN ('b', 'c');
        INSERT INTO message (key, kind, billed, state) VALUES ('z', 'sms', 1, 'accepted')""",
    "put back": """CREATE TEMP TABLE copy AS SELECT * FROM message WHERE key = 'b';
        DELETE FROM message WHERE key = 'b'; INSERT INTO message SELECT * FROM copy""",
    "given another key": "UPDATE message SET key = 'z' WHERE key = 'b'",
    "forgotten": "DELETE FROM known_key",
}


@pytest.mark.parametrize("how", BY_HAND)
async def test_what_somebody_changed_by_hand_is_known_as_it_is(path: Path, how: str):
    """Between two campaigns the ledger is a file that anybody may repair."""
    for _ in range(2):  # the second time, all keys are where they stay
        async with opened(path) as ledger:
            await asyncio.gather(*(ledger.begin(entry(key), None) for key in "abc"))
    with closing(sqlite3.connect(path)) as other:
        other.executescript(BY_HAND[how])
    there = set(rows(path, "key"))

    async with opened(path) as ledger:
        claims = await asyncio.gather(*(ledger.begin(entry(key), None) for key in "abcz"))
    assert {key for key, claim in zip("abcz", claims, strict=True) if claim.found} == there


async def is_refused(wish: Awaitable[Any]) -> bool:
    """Tell whether it fails, or finds the message begun: one whose key is in the table is found."""
    try:
        found: State | None = (await wish).found
    except LedgerError as error:
        return "changed by somebody else" in error.problem
    return found is State.IN_FLIGHT


@pytest.mark.parametrize("keys", ["keys in the table"], indirect=True)
async def test_keys_are_not_merged_by_two(path: Path, monkeypatch: pytest.MonkeyPatch):
    """Who opened the ledger later has merged them; the first one stops, and says why."""
    is_to_merge = threading.Event()
    monkeypatch.setattr(LedgerLock, "acquire", lambda _: None)
    monkeypatch.setattr(LedgerLock, "release", lambda _: None)
    async with opened(path) as first:
        arrange_keys = first._writer._arrange_keys

        def merge_later(file: HolderFile, task: Task) -> None:
            is_to_merge.wait(100)
            arrange_keys(file, task)

        monkeypatch.setattr(first._writer, "_arrange_keys", merge_later)
        await first.begin(entry("a"), None)
        async with opened(path) as second:
            is_to_merge.set()
            with pytest.raises(LedgerError, match="changed by somebody else"):
                await first.begin(entry("b"), None)
            assert (await second.begin(entry("a"), None)).found is State.UNKNOWN


@pytest.mark.parametrize("how", ["a new message", "a queued message", "its number", "load"])
async def test_two_that_hold_one_ledger_do_not_both_send(
    path: Path, monkeypatch: pytest.MonkeyPatch, how: str
):
    """Whoever deletes the file of the lock can open it twice: the first one stops."""
    monkeypatch.setattr(LedgerLock, "acquire", lambda _: None)
    monkeypatch.setattr(LedgerLock, "release", lambda _: None)
    async with opened(path) as first:
        await first.load([Loading(entry("a")), Loading(entry("b"))], await first.begin_load())
        async with opened(path) as second:
            for key in "bc":
                assert (await second.begin(entry(key), None)).found is None
            wishes = {
                "a new message": lambda: first.begin(entry("c"), None),
                "a queued message": lambda: first.begin(entry("a"), None),
                "its number": lambda: first.begin(entry("b"), 2),
                "load": lambda: first.load([Loading(entry("d"))], 1),
            }
            assert await is_refused(wishes[how]())
            assert [(await second.begin(entry(key), None)).found for key in "abcd"] == [
                *(None, State.IN_FLIGHT),
                *(State.IN_FLIGHT, None),
            ]
    assert sorted(rows(path, "key")) == list("abcd")


async def test_who_takes_a_ledger_over_looks_at_it_when_the_other_is_shut_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Else what the other begins meanwhile would be seen by neither."""
    monkeypatch.setattr(LedgerLock, "acquire", lambda _: None)
    monkeypatch.setattr(LedgerLock, "release", lambda _: None)
    loop, look, refused = asyncio.get_running_loop(), resuming.resume, []

    async def try_to_begin() -> bool:
        return await is_refused(first.begin(entry("a"), None))

    def look_late(*args: Any) -> None:
        refused.append(asyncio.run_coroutine_threadsafe(try_to_begin(), loop).result(60))
        look(*args)

    async with opened(path) as first:
        monkeypatch.setattr(resuming, "resume", look_late)
        async with opened(path) as second:
            assert (await second.begin(entry("a"), None)).found is None
    assert refused == [True]


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if "ledger" in thread.name}


async def test_no_thread_is_left_behind(path: Path, tmp_path: Path):
    """Neither after use, nor after a failure, nor where opening was refused."""
    async with opened(path) as ledger:
        await ledger.begin(entry(), None)
        assert threads() == {"connectus ledger a.db"}
        second = SqliteLedger(path)
        with pytest.raises(LedgerError):
            await second.open(policy())
        await second.close()
        with pytest.raises(LedgerError):
            await ledger.ask(lambda connection: connection.execute("SELECT * FROM nowhere"))
    third = SqliteLedger(tmp_path / "nowhere" / "a.db")
    with pytest.raises(LedgerError):
        await third.open(policy())
    await third.close()

    assert threads() == set()


async def test_opening_that_is_given_up_leaves_nothing_behind(path: Path):
    """Closed as always, it is free for the next one."""
    ledger = SqliteLedger(path)
    opening = asyncio.ensure_future(ledger.open(policy()))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await ledger.close()

    assert threads() == set()
    async with opened(path):
        pass


async def test_a_campaign_that_is_given_up_at_the_door_leaves_nothing_behind(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """At whichever of its first turns it is cancelled; it may have entered by the last of them."""
    given_up = 0
    for turns in range(8):
        bulk = client.bulk(ledger=path)
        entering = asyncio.ensure_future(bulk.__aenter__())
        for _ in range(turns):
            await asyncio.sleep(0)
        entering.cancel()
        try:
            await entering
        except asyncio.CancelledError:
            given_up += 1
        else:
            await bulk.__aexit__(None, None, None)
        assert threads() == set()

    assert given_up > 0


@pytest.mark.parametrize("loop", LOOPS)
def test_it_works_on_every_loop(path: Path, loop: str):
    """On uvloop, where it is installed, and on asyncio's own."""
    loop_factory: Callable[[], Any] = import_module(loop).new_event_loop

    async def campaign() -> list[Claim]:
        async with opened(path) as ledger:
            claims = await asyncio.gather(
                *(ledger.begin(entry(str(index)), None) for index in range(50))
            )
            for claim in claims:
                ledger.finish(entry(), claim.number, State.ACCEPTED, None, "id")
            await ledger.flush()
            return claims

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        claims = runner.run(campaign())

    assert [claim.found for claim in claims] == [None] * 50
    assert rows(path, "state") == ["accepted"] * 50


def test_a_loop_that_ends_amid_a_campaign_loses_no_record(path: Path):
    """What was begun is in flight, and the file is free as soon as the process has ended."""
    ledger = SqliteLedger(path)

    async def campaign() -> None:
        await ledger.open(policy())
        await ledger.begin(entry("a"), None)
        ledger.put(entry("b"), None, SkipReason.EXPIRED, None)

    asyncio.run(campaign())
    asyncio.run(_closed(ledger))

    assert rows(path, "key, state") == [("a", "in_flight"), ("b", "skipped")]


async def _closed(ledger: SqliteLedger) -> None:
    ledger._writer._loop = asyncio.get_running_loop()
    await ledger.close()


async def test_a_message_has_one_row_however_it_came(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """Loaded, streamed, streamed again, and loaded again: it is the same message."""
    async with client.bulk(ledger=path) as bulk:
        await bulk.load([SMS, SMS])
        await bulk.run([SMS, SMS])
        await bulk.run()
        await bulk.load([SMS])
        await bulk.run([SMS])

    assert len(emulator.received) == 1
    assert rows(path, "state", "state") == ["accepted"]


async def test_twins_of_which_one_was_throttled_are_sent_once(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """While the first waits for its next try, the second comes by: nothing fails."""
    emulator.fault(Fault.too_many(0), route="sms.send", times=1)
    async with client.bulk(ledger=path, concurrency=3) as bulk:
        bulk.set_concurrency(1)  # the twins stand in line already when the first comes back to it
        summary = await bulk.run([SMS, SMS, SMS])

    assert (summary.accepted, summary.skipped) == (1, 2)
    assert len(emulator.received) == 1


async def test_the_last_messages_are_tried_again_like_all_others(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """429 at the end of the source: a campaign that ends has nothing left that could be sent."""
    emulator.fault(Fault.too_many(0), route="sms.send", times=3)
    async with client.bulk(ledger=path, concurrency=8) as bulk:
        summary = await bulk.run([Sms(FIRST + index, "Hola") for index in range(4)])
        assert await bulk.counts() == {State.ACCEPTED: 4}

    assert summary.accepted == summary.total == 4


async def test_a_message_that_was_pulled_is_on_record(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """A campaign that is cancelled amid a stream knows every message that it took."""
    pulled = []

    def source() -> Any:
        for index in range(100):
            pulled.append(str(FIRST + index))
            yield Sms(FIRST + index, "Hola")

    async with client.bulk(ledger=path, concurrency=8, rate=0.001) as bulk:
        async for _ in bulk.stream(source()):
            bulk.cancel()

    assert sorted(rows(path, "recipient")) == pulled
    assert set(rows(path, "state")) == {"accepted", "queued"}
    assert rows(path, "state").count("accepted") == len(emulator.received) == 1
