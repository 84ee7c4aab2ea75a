"""How a ledger's file is opened, and by whom its log is moved into it."""

import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import run_sync
from click.testing import CliRunner
from report_ledgers import message, write_ledger

import connectus_async
from connectus_async import AsyncConnectus, LedgerError, Sms, SmsStatus
from connectus_async.cli.commands import connectus as command_line
from connectus_async.emulator import Emulator
from connectus_async.errors import ConfigurationError
from connectus_async.ledger.sqlite import connection as ledger_file
from connectus_async.ledger.sqlite.connection import (
    CHECKPOINT,
    FIRST_CHANGES,
    LAST_CHECKPOINT,
    NO_CHECKPOINTS,
    PAGES,
    Checkpoints,
    connect,
)
from connectus_async.ledger.sqlite.delivery import SqliteDeliveryLog
from connectus_async.ledger.sqlite.lock import LedgerLock
from connectus_async.ledger.sqlite.reader import snapshot
from connectus_async.ledger.sqlite.trial import _copy
from connectus_async.ledger.states import State

FIRST = 56_960_000_000
SOURCES = Path(connectus_async.__file__).parent
PAGE = 4_096
PAGES_OF_A_TEST = 20
WORDS = SmsStatus.EN_COLA, SmsStatus.ENVIADO_A_CARRIER


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
async def client(settings: dict[str, Any]) -> Any:
    async with AsyncConnectus(**settings) as client:
        yield client


class Recorder:
    """What each connection was asked, and whether the write lock was held at each checkpoint."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.checkpoints: list[tuple[str, bool]] = []


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    plain = sqlite3.connect

    class Recorded(sqlite3.Connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.asked: list[str] = []
            recorder.asked.append(self.asked)

        def execute(self, query: str, *args: Any) -> sqlite3.Cursor:
            self.asked.append(query)
            if "wal_checkpoint" in query:
                recorder.checkpoints.append((query, is_locked(self)))
            return super().execute(query, *args)

    def is_locked(connection: sqlite3.Connection) -> bool:
        (_, _, file), *_ = sqlite3.Connection.execute(connection, "PRAGMA database_list")
        with closing(plain(file, timeout=0, isolation_level=None)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            other.execute("ROLLBACK")
            return False

    monkeypatch.setattr(sqlite3, "connect", partial(plain, factory=Recorded))
    return recorder


@pytest.fixture
def _few_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_file, "PAGES", PAGES_OF_A_TEST)
    monkeypatch.setattr(ledger_file, "FIRST_CHANGES", 16)
    monkeypatch.setattr(ledger_file, "FEWEST_CHANGES", 4)


def messages(total: int) -> Iterator[Sms]:
    return (Sms(FIRST + index, "Hola") for index in range(total))


def log_of(path: Path) -> int:
    """The size of the log, in pages."""
    return int(os.stat(f"{path}-wal").st_size) // PAGE  # noqa: PTH116 - it blocks, and may here


def test_one_function_opens_all_connections():
    """So what it says of them is true of each."""
    found = {
        file.relative_to(SOURCES).as_posix()
        for file in SOURCES.joinpath("ledger").rglob("*.py")
        if re.search(r"sqlite3\.connect|sqlite3 import", file.read_text("utf-8"))
    }
    assert found == {"ledger/sqlite/connection.py"}


@pytest.mark.usefixtures("_few_pages")
async def test_no_connection_makes_a_checkpoint_by_itself(
    client: AsyncConnectus, emulator: Emulator, path: Path, recorder: Recorder
):
    """Neither the sender's, nor a tracker's, a reader's, or a dry run's copy of a ledger."""
    async with client.bulk(ledger=path) as bulk:
        await bulk.run(messages(60))
        await run_sync(tracked, path, emulator)
    await run_sync(tracked, path, emulator)
    await run_sync(_copy, path, path.with_name("copy.db"))

    assert len(recorder.asked) > 5
    assert {asked[0] for asked in recorder.asked} == {NO_CHECKPOINTS}


def tracked(path: Path, emulator: Emulator) -> None:
    """Write every status of all SMS, beside a reader."""
    with SqliteDeliveryLog(path) as delivery, snapshot(path):
        told(delivery, [sms.id for sms in emulator.received])


def told(delivery: SqliteDeliveryLog, ids: list[str]) -> None:
    """Write every status of some SMS, each in a transaction of its own."""
    for word in WORDS:
        for id_sms in ids:
            delivery.record(id_sms, word).result()


@pytest.mark.usefixtures("_few_pages")
async def test_a_checkpoint_is_made_while_nobody_can_write(
    client: AsyncConnectus, emulator: Emulator, path: Path, recorder: Recorder
):
    """With the write lock held by the sender; at its end alone the mode takes it itself."""
    async with client.bulk(ledger=path, concurrency=4) as bulk:
        await bulk.run(messages(80))
    await run_sync(tracked, path, emulator)

    assert {found for found in recorder.checkpoints if found[0] != LAST_CHECKPOINT} == {
        (CHECKPOINT, True)
    }
    assert [query for query, _ in recorder.checkpoints].count(LAST_CHECKPOINT) == 1
    assert len(recorder.checkpoints) > 6


@pytest.mark.usefixtures("_few_pages")
async def test_a_tracker_beside_a_sender_leaves_the_checkpoints_to_it(
    client: AsyncConnectus, emulator: Emulator, path: Path, recorder: Recorder
):
    """Two that make them are what SQLite's fault needs."""
    async with client.bulk(ledger=path) as bulk:
        await bulk.run(messages(60))
        before = len(recorder.checkpoints)
        await run_sync(tracked, path, emulator)
        assert len(recorder.checkpoints) == before


@pytest.mark.usefixtures("_few_pages")
@pytest.mark.parametrize("loads", [False, True])
async def test_the_log_of_a_campaign_stays_small(
    client: AsyncConnectus, path: Path, *, loads: bool
):
    """However long it goes on; also while somebody else has the ledger open."""
    largest, turns = 0, count()

    async def look(*_: object) -> None:
        nonlocal largest
        if next(turns) % 50 == 0:
            largest = max(largest, await run_sync(log_of, path))

    async with client.bulk(ledger=path, concurrency=4) as bulk:
        beside = SqliteDeliveryLog(path)
        await run_sync(beside.open)
        if loads:
            await bulk.load(messages(5_000), on_row=look)
        else:
            await bulk.run(messages(1_000), on_outcome=look)
        await run_sync(beside.close)
    assert 0 < largest < (80 if loads else 400)


def test_a_checkpoint_is_due_after_as_many_rows_as_fill_its_pages(path: Path):
    """The last one tells how many pages the rows took: here each takes one."""
    write_ledger(path, [])
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE filler (text)")
        checkpoints = Checkpoints(path, connection, is_holder=True)
        for rows in (2_000, 500):
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO filler VALUES (?)", [("x" * 3_000,)] * rows)
            connection.execute("COMMIT")
            checkpoints.make()

            wait = checkpoints.due_at - connection.total_changes
            assert wait == pytest.approx(PAGES, rel=0.1)


@pytest.mark.parametrize("is_holder", [True, False])
def test_a_checkpoint_that_another_writer_prevents_is_due_after_as_many_rows_again(
    path: Path, *, is_holder: bool
):
    """It tells nothing of their pages."""
    write_ledger(path, [])
    with closing(connect(path, timeout=0)) as connection, closing(connect(path)) as other:
        connection.execute("CREATE TABLE filler (text)")
        checkpoints = Checkpoints(path, connection, is_holder=is_holder)
        connection.execute("INSERT INTO filler VALUES ('x')")
        other.execute("BEGIN IMMEDIATE")
        checkpoints.make()

        assert checkpoints.due_at - connection.total_changes == FIRST_CHANGES


@pytest.mark.usefixtures("_few_pages")
@pytest.mark.parametrize("others", [0, 2])
def test_the_log_of_a_finished_campaign_stays_small(path: Path, others: int):
    """Webhooks come for days, in several processes, and no sender moves the log."""
    write_ledger(path, [message(provider_id=str(number)) for number in range(100)])
    beside = [SqliteDeliveryLog(path) for _ in range(others)]
    for ledger in beside:
        ledger.open()
    with SqliteDeliveryLog(path) as delivery:
        largest = []
        for word in WORDS:
            for number in range(100):
                delivery.record(str(number), word).result()
                largest.append(log_of(path))
    for ledger in beside:
        ledger.close()

    assert 0 < max(largest) < 150


@pytest.mark.usefixtures("_few_pages")
def test_a_log_that_is_read_is_moved_later(path: Path):
    """A reader is not waited for; what it still reads stays."""
    write_ledger(path, [message(provider_id=str(number)) for number in range(100)])
    with SqliteDeliveryLog(path) as delivery:
        with snapshot(path) as old:
            told(delivery, [str(number) for number in range(100)])
            query = "SELECT count(delivery_status) FROM message"
            assert old.execute(query).fetchone() == (0,)
            held = log_of(path)
        for number in range(100):
            delivery.record(str(number), SmsStatus.ENTREGADO).result()
        assert log_of(path) < held + PAGES_OF_A_TEST


async def test_a_sender_waits_for_whoever_has_the_lock_for_a_moment(
    client: AsyncConnectus, path: Path
):
    """Another sender is not waited for."""
    lock = LedgerLock(path)
    take = partial(lock.acquire, for_a_moment=True)
    await run_sync(take)
    threading.Timer(0.05, lock.release).start()
    async with client.bulk(ledger=path) as bulk:
        assert await bulk.counts() == {}
        with pytest.raises(LedgerError, match="is in use by this process"):
            await run_sync(take)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_sender_waits_for_another_process_that_has_it_for_a_moment(path: Path):
    """The lock's file says so."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        LedgerLock(path).acquire(for_a_moment=True)
        os.write(writer, b".")
        threading.Event().wait(0.05)
        os._exit(0)
    os.read(reader, 1)
    lock = LedgerLock(path)
    lock.acquire()
    os.waitpid(child, 0)
    lock.release()
    os.close(reader)
    os.close(writer)


def left(path: Path, folder: Path, *, with_log: bool) -> Path:
    """Copy a ledger as a kill leaves it, or without the file that belongs to it."""
    folder.mkdir()
    copy = folder / path.name
    copy.write_bytes(path.read_bytes())
    if with_log:
        (folder / "a.db-wal").write_bytes(path.with_name("a.db-wal").read_bytes())
    return copy


OPEN = """
import asyncio, sys
from pathlib import Path
from connectus_async import LedgerError
from connectus_async.ledger.sqlite.delivery import SqliteDeliveryLog
from connectus_async.ledger.records import Policy
from connectus_async.ledger.sqlite.reader import open_for_reading
from connectus_async.ledger.sqlite.ledger import SqliteLedger
from connectus_async.ledger.states import OnUnknown

def tried(open_it):
    try:
        open_it()
    except LedgerError as error:
        print(error)
    else:
        print("open")

path = Path(sys.argv[1])
policy = Policy("", "message", OnUnknown.HOLD, forgets_content=False)
tried(lambda: asyncio.run(SqliteLedger(path).open(policy)))
tried(lambda: SqliteDeliveryLog(path).open())
tried(lambda: open_for_reading(path))
"""


def opened_elsewhere(path: Path) -> list[str]:
    """Let another process open a ledger: to send, to write delivery statuses, and to read it."""
    command = [sys.executable, "-c", OPEN, str(path)]
    done = subprocess.run(command, cwd=SOURCES.parent, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


async def test_a_ledger_under_a_second_name_is_refused_while_it_is_open(
    client: AsyncConnectus, emulator: Emulator, path: Path, tmp_path: Path
):
    """SQLite looks for its log beside that name: all since the last checkpoint would go again."""
    other = tmp_path / "link.db"
    people = [Sms(FIRST + index, "Hola") for index in range(10)]
    async with client.bulk(ledger=path) as bulk:
        other.hardlink_to(path)
        at_once = await run_sync(opened_elsewhere, other)
        await bulk.run(people)
        later = await run_sync(opened_elsewhere, other)
        assert await bulk.counts() == {State.ACCEPTED: 10}
    for said in [*at_once, *later]:
        assert said.startswith("link.db: is without its log, the file link.db-wal that was")
    async with client.bulk(ledger=other) as bulk:  # it is whole now
        await bulk.run(people)
    assert len(emulator.received) == 10


@pytest.mark.usefixtures("_few_pages")
@pytest.mark.parametrize("count", [0, 5, 100])
async def test_a_ledger_that_was_left_without_its_log_is_refused(
    client: AsyncConnectus, emulator: Emulator, path: Path, tmp_path: Path, count: int
):
    """As a kill leaves it, with or without checkpoints before; with its log it goes on."""
    people = [Sms(FIRST + index, "Hola") for index in range(count)]
    async with client.bulk(ledger=path) as bulk:
        await bulk.run(people)
        alone = left(path, tmp_path / "alone", with_log=False)
        whole = left(path, tmp_path / "whole", with_log=True)
        looked_at = left(path, tmp_path / "looked at", with_log=True)
    closed = left(path, tmp_path / "closed", with_log=False)

    with pytest.raises(LedgerError, match="is without its log"):
        await client.bulk(ledger=alone).__aenter__()
    with closing(sqlite3.connect(looked_at)) as connection:  # which takes the log in, at its end
        connection.execute("SELECT count(*) FROM message").fetchall()
    assert not looked_at.with_name("a.db-wal").exists()
    for ledger in (whole, looked_at, closed):
        async with client.bulk(ledger=ledger) as bulk:
            await bulk.run(people)
    assert len(emulator.received) == count


NAMES = [":memory:", "file:a.db", "FILE:a.db?mode=memory", "file::memory:?cache=shared", ""]
BLANKS = [" ", "a.db ", " a.db", "a.db\n", "folder/ a.db", "~/a.db", "~ana/a.db"]


@pytest.mark.parametrize("name", [*NAMES, *BLANKS])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_name_that_is_no_file_of_its_own_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    kind: Callable[[str], Any],
):
    """What SQLite forgets at the end, or a shell would have written out, and nothing is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"^ledger: "):
        AsyncConnectus("a", "b").bulk(ledger=kind(name))
    for option in ("--ledger", "--ledger="):
        (tmp_path / "people.csv").write_text("dst_number\n56960000000\n")
        given = [option, name] if option == "--ledger" else [option + name]
        arguments = ["bulk", "send", "people.csv", "--text", "Hola", "--yes", *given]
        user = {"CONNECTUS_API_USER": "a", "CONNECTUS_API_KEY": "b"}
        result = CliRunner(env=user).invoke(command_line, arguments)
        assert result.exit_code in {1, 2}
        assert [file.name for file in tmp_path.iterdir()] == ["people.csv"]


@pytest.mark.skipif(os.name != "posix", reason="devices have other names")
async def test_what_is_not_a_file_is_refused(client: AsyncConnectus, path: Path):
    """It would take everything, and remember nothing."""
    path.mkdir()
    for place in (path, "/dev/null"):
        with pytest.raises(LedgerError, match="is not a file"):
            await client.bulk(ledger=place).__aenter__()
    assert not path.with_name("a.db.lock").exists()


@pytest.mark.parametrize("name", ["a:memory:", "a%20b?mode=memory#x.db", "a;b'.db"])
async def test_odd_names_are_files(
    client: AsyncConnectus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
):
    """The same program twice sends once, whatever is read from the ledger between."""
    monkeypatch.chdir(tmp_path)

    def look() -> int:
        with snapshot(Path(name)) as connection, SqliteDeliveryLog(Path(name)) as delivery:
            ((rows,),) = connection.execute("SELECT count(*) FROM message")
            return min(rows, delivery.count_open().result())

    for _ in range(2):
        async with client.bulk(ledger=name) as bulk:
            await bulk.run(messages(2))
            assert await bulk.counts() == {State.ACCEPTED: 2}
        assert await run_sync(look) == 2
    assert (tmp_path / name).is_file()


def test_a_connection_is_to_the_file_of_that_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Even one with a name that SQLite has another use for."""
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "file:x.db"):
        with closing(connect(Path(name))) as connection:
            connection.execute("CREATE TABLE a (b)")
        for mode in ("ro", "rw"):
            with closing(connect(Path(name), mode)) as connection:
                assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("a",)]
