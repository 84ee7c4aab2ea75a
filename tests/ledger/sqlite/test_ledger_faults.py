"""Ledgers that cannot be used: one clear sentence, and nothing is sent that is not on record."""

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import run_sync

from connectus_async import AsyncConnectus, LedgerError, Sms
from connectus_async.emulator import Emulator
from connectus_async.ledger import campaigns_in
from connectus_async.ledger.sqlite.schema import SCHEMA_VERSION
from connectus_async.ledger.states import State
from connectus_async.products.messages import Row

FIRST = 56_960_000_000
PAGE = 4_096
NOBODY = 65_534


@pytest.fixture
async def client(settings: dict[str, Any]) -> AsyncIterator[AsyncConnectus]:
    async with AsyncConnectus(**settings) as client:
        yield client


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


def messages(count: int, first: int = 0) -> Iterator[Sms]:
    return (Sms(FIRST + index, f"Hola {index}") for index in range(first, first + count))


async def make_ledger(client: AsyncConnectus, path: Path, *, sent: int, queued: int) -> None:
    async with client.bulk(ledger=path) as bulk:
        await bulk.run(messages(sent))
        await bulk.load(messages(queued, sent))


def on_record(path: Path) -> Counter[str]:
    """Count the attempts by recipient, as the file has them."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT recipient, attempts FROM message WHERE state NOT IN ('queued', 'skipped')"
        )
        return Counter(dict(rows.fetchall()))


def assert_that_all_is_on_record(emulator: Emulator, path: Path) -> None:
    reached = Counter(message.recipient for message in emulator.received)
    assert set(reached.values()) <= {1}
    assert reached <= on_record(path)


async def refusal(client: AsyncConnectus, path: Path, **options: Any) -> LedgerError:
    """Enter a campaign twice: the second time is refused in the same words."""
    errors = []
    for _ in range(2):
        with pytest.raises(LedgerError) as caught:
            async with client.bulk(ledger=path, **options):
                pass
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1])
    assert "\n" not in str(errors[0])
    assert (errors[0].ledger, str(errors[0])) == (path.name, f"{path.name}: {errors[0].problem}")
    return errors[0]


CAMPAIGN_ON_A_SMALL_DISK = """
import asyncio, resource, signal, sys
from connectus_async import AsyncConnectus, LedgerError, Sms

async def campaign(url, path, limit):
    async with AsyncConnectus("emulator", "emulator-key", base_url=url) as client:
        try:
            async with client.bulk(ledger=path, concurrency=8) as bulk:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
                source = (Sms(56_960_000_000 + index, "Hola " * 20) for index in range(5_000))
                await bulk.run(source)
        except LedgerError as error:
            print(error)

asyncio.run(campaign(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


@pytest.mark.parametrize("kib", [48, 100, 333])
async def test_a_disk_that_takes_no_more_stops_the_campaign(
    emulator: Emulator, path: Path, kib: int
):
    """At whatever point it fills up, what left before is on record, and nothing leaves after."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CAMPAIGN_ON_A_SMALL_DISK),
        *(emulator.base_url, str(path), str(kib * 1024)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()

    assert said.decode() == (
        "a.db: the disk took no more: check that it has space and works, then resume\n"
    )
    assert complained == b""
    assert process.returncode == 0
    assert emulator.requests["sms.send"] < 5_000
    assert_that_all_is_on_record(emulator, path)


async def test_a_campaign_goes_on_when_there_is_room_again(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """A ledger that hit its limit is whole: nothing is lost, and nobody is reached twice."""
    async with client.bulk(ledger=path) as bulk:
        await bulk._ledger.ask(lambda connection: connection.execute("PRAGMA max_page_count = 9"))
        with pytest.raises(LedgerError, match=r"^a\.db: the disk is full: free some space, then"):
            await bulk.run(messages(200))
    assert 0 < len(emulator.received) < 200
    assert_that_all_is_on_record(emulator, path)

    async with client.bulk(ledger=path) as bulk:
        await bulk.run(messages(200))
        await bulk.reconcile(settle=0.001)
        await bulk.run()
        assert await bulk.counts() == {State.ACCEPTED: 200}
    assert_that_all_is_on_record(emulator, path)
    assert len(emulator.received) == 200


async def test_a_full_disk_ends_a_loading(emulator: Emulator, client: AsyncConnectus, path: Path):
    """Nothing of it is sent, and the ledger does not take the source for loaded."""
    async with client.bulk(ledger=path) as bulk:
        await bulk._ledger.ask(lambda connection: connection.execute("PRAGMA max_page_count = 40"))
        with pytest.raises(LedgerError, match="the disk is full"):
            await bulk.load(messages(5_000))
        with pytest.raises(LedgerError, match="the disk is full"):
            await bulk.run()

    async with client.bulk(ledger=path) as bulk:
        assert (await bulk._ledger.metadata())["loaded"] == "0"
    assert emulator.requests["sms.send"] == 0


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Be somebody whom permissions bind, and own the folder."""
    if os.geteuid():
        yield
        return
    for file in (folder, *folder.iterdir()):
        os.chown(file, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that anybody can get to: pytest's own are its user's alone."""
    folder = Path(tempfile.mkdtemp())
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


async def test_a_file_that_may_not_be_written_is_named(
    emulator: Emulator, client: AsyncConnectus, open_folder: Path
):
    """Before anything is sent."""
    path = open_folder / "a.db"
    await make_ledger(client, path, sent=1, queued=1)
    path.chmod(0o400)

    with unprivileged(open_folder):
        error = await refusal(client, path)

    assert error.problem == "may not be written: change its permissions, or choose another path"
    assert emulator.requests["sms.send"] == 1


async def test_a_file_that_may_not_be_read_is_named(client: AsyncConnectus, open_folder: Path):
    """The ledger of another user, for instance."""
    path = open_folder / "a.db"
    await make_ledger(client, path, sent=1, queued=0)
    path.chmod(0o000)

    with unprivileged(open_folder):
        error = await refusal(client, path)
        listed = await run_sync(campaigns_in, open_folder)

    assert error.problem == "cannot be opened: check that its folder is there and may be written"
    assert listed == [path]


@pytest.mark.parametrize("exists", [False, True])
async def test_a_folder_that_may_not_be_written_is_named(
    emulator: Emulator, client: AsyncConnectus, open_folder: Path, *, exists: bool
):
    """The lock and the log beside the ledger have to be made too."""
    path = open_folder / "a.db"
    if exists:
        await make_ledger(client, path, sent=1, queued=1)
        path.with_name("a.db.lock").unlink()
    open_folder.chmod(0o555)

    with unprivileged(open_folder):
        error = await refusal(client, path)

    assert error.problem == f"its lock cannot be made in {open_folder}: Permission denied"
    assert emulator.requests["sms.send"] == exists


HOLDER = """
import asyncio, sys
from connectus_async import AsyncConnectus

async def hold():
    async with AsyncConnectus("user", "key") as client, client.bulk(ledger=sys.argv[1]):
        print("held", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(hold())
"""


@contextmanager
def _ended(process: asyncio.subprocess.Process) -> Iterator[None]:
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()


HOLDER_OF_ANOTHER_VERSION = """
import fcntl, os, sys
file = os.open(f"{sys.argv[1]}.lock", os.O_RDWR | os.O_CREAT)
fcntl.lockf(file, fcntl.LOCK_EX, 1, 2**30)
os.write(file, f"{os.getpid()}\\n".encode())
print("held", flush=True)
sys.stdin.read()
"""


async def holder_of(path: Path, program: str = HOLDER) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(path)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"held\n"
    return process


async def test_a_ledger_that_another_process_holds_is_refused(
    emulator: Emulator, client: AsyncConnectus, path: Path, tmp_path: Path
):
    """The sentence names the process; when it has ended, however it ended, the ledger is free."""
    link = tmp_path / "link.db"
    link.symlink_to(path)
    process = await holder_of(path)
    with _ended(process):
        for name in (path, link):
            error = await refusal(client, name)
            assert error.problem == (
                f"is in use by process {process.pid}: wait for it, or end it first"
            )
        process.send_signal(signal.SIGKILL)
        await process.communicate()

    async with client.bulk(ledger=link) as bulk:
        assert (await bulk.run(messages(1))).accepted == 1
    assert emulator.requests["sms.send"] == 1


async def test_a_ledger_that_another_version_holds_is_refused(client: AsyncConnectus, path: Path):
    """All versions lock the same byte: an upgrade amid a campaign sends nothing twice."""
    process = await holder_of(path, HOLDER_OF_ANOTHER_VERSION)
    with _ended(process):
        error = await refusal(client, path)
        process.kill()
        await process.communicate()

    assert error.problem == f"is in use by process {process.pid}: wait for it, or end it first"


async def test_a_ledger_that_this_process_holds_is_refused(
    client: AsyncConnectus, path: Path, tmp_path: Path
):
    """Two senders of one program are two senders too, by whatever name they call it."""
    link = tmp_path / "link.db"
    link.symlink_to(path)
    roundabout = tmp_path / "folder" / ".." / "a.db"
    (tmp_path / "folder").mkdir()

    async with client.bulk(ledger=path) as bulk:
        for name in (path, link, roundabout):
            error = await refusal(client, name)
            assert error.problem == f"is in use by this process ({os.getpid()}) already"
        assert (await bulk.run(messages(1))).accepted == 1

    async with client.bulk(ledger=link):
        pass


async def test_a_program_that_locks_the_file_amid_a_campaign_stops_it(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """Whoever looks into the file with another tool is told to leave."""
    async with client.bulk(ledger=path) as bulk:
        await bulk.run(messages(1))
        await bulk._ledger.ask(lambda connection: connection.execute("PRAGMA busy_timeout = 1"))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerError, match="is in use by another program: close it first"):
                await bulk.run(messages(10, 1))

    assert emulator.requests["sms.send"] == 1


async def test_a_program_that_only_reads_disturbs_nobody(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """Reports are made while a campaign runs."""
    async with client.bulk(ledger=path) as bulk:
        await bulk.run(messages(1))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN")
            assert other.execute("SELECT count(*) FROM message").fetchone() == (1,)
            assert (await bulk.run(messages(10, 1))).accepted == 11
            assert other.execute("SELECT count(*) FROM message").fetchone() == (1,)


def _garbage(size: int) -> bytes:
    return random.Random(7).randbytes(size)


def _with_garbage(place: int, size: int) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(place)
            file.write(_garbage(size))

    return spoil


def _cut(size: int) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, size)


NO_LEDGER = "is not a ledger: choose another path"
DAMAGED = "is damaged: restore it from a copy, or ask the API who was reached"


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (_with_garbage(0, 16), NO_LEDGER),
        (_with_garbage(0, PAGE), NO_LEDGER),
        (lambda path: path.write_bytes(_garbage(10 * PAGE)), NO_LEDGER),
        (lambda path: path.write_text("dst_number;text\n56987688060;Hola\n"), NO_LEDGER),
        (_with_garbage(100, PAGE - 100), DAMAGED),
        (_with_garbage(PAGE, PAGE), DAMAGED),
        (_cut(PAGE), DAMAGED),
        (_cut(5 * PAGE), DAMAGED),
        (_cut(600), DAMAGED),
        (_cut(90), DAMAGED),
    ],
)
async def test_a_damaged_ledger_is_refused(
    emulator: Emulator,
    client: AsyncConnectus,
    path: Path,
    spoil: Callable[[Path], None],
    problem: str,
):
    """It is told from a file that never was one, and nothing is sent."""
    await make_ledger(client, path, sent=20, queued=200)
    spoil(path)

    assert (await refusal(client, path)).problem == problem
    assert emulator.requests["sms.send"] == 20


async def test_a_damaged_page_anywhere_sends_nothing_twice(
    emulator: Emulator, client: AsyncConnectus, path: Path, tmp_path: Path
):
    """Whether it is met on entering, on reading or on writing."""
    await make_ledger(client, path, sent=200, queued=200)
    pages = path.stat().st_size // PAGE
    assert pages > 15
    for page in range(1, pages):
        emulator.received[:] = emulator.received[:200]
        damaged = tmp_path / str(page) / "a.db"
        damaged.parent.mkdir()
        shutil.copyfile(path, damaged)
        _with_garbage(page * PAGE, PAGE)(damaged)
        with pytest.raises(LedgerError, match=r"^a\.db: is damaged: restore it from a copy, or"):
            await _campaign(client, damaged)
        reached = Counter(message.recipient for message in emulator.received)
        assert set(reached.values()) == {1}


async def _campaign(client: AsyncConnectus, path: Path) -> None:
    async with client.bulk(ledger=path) as bulk:
        await bulk.run(messages(400))
        await bulk.run()
        await bulk.counts()


async def test_an_empty_file_is_a_new_ledger(client: AsyncConnectus, path: Path):
    """As ``mktemp`` makes them, and as a crash in the first moment leaves one."""
    path.touch()
    async with client.bulk(ledger=path) as bulk:
        assert (await bulk.run(messages(1))).accepted == 1


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, state TEXT)")


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


async def test_a_database_of_another_program_is_left_alone(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """Not a byte of it changes."""
    _foreign(path)
    before = path.read_bytes()

    assert (await refusal(client, path)).problem == (
        "is a SQLite file but no ledger: choose another path"
    )
    assert path.read_bytes() == before


async def test_a_ledger_of_a_newer_version_is_left_alone(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """An old program would not know what it breaks."""
    await make_ledger(client, path, sent=1, queued=1)
    _newer(path)
    before = path.read_bytes()

    assert (await refusal(client, path)).problem == (
        f"was made by a newer connectus-async (its version is {SCHEMA_VERSION + 1}): upgrade"
    )
    assert path.read_bytes() == before
    assert emulator.requests["sms.send"] == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"campaign": "pascua"},
            (
                "is the ledger of the campaign 'navidad', and this is the campaign 'pascua': "
                "give that name to go on with that campaign, or use another ledger for this one"
            ),
        ),
        (
            {},
            (
                "is the ledger of the campaign 'navidad', and this is a campaign without a name: "
                "give that name to go on with that campaign, or use another ledger for this one"
            ),
        ),
        (
            {"campaign": "navidad", "identity": "recipient"},
            (
                "has the identity 'message', and this campaign 'recipient': "
                "give that identity to go on with that campaign, or use another ledger for this one"
            ),
        ),
    ],
)
async def test_a_ledger_of_another_campaign_is_left_alone(
    emulator: Emulator, client: AsyncConnectus, path: Path, options: Any, problem: str
):
    """The keys of its messages would not be those of this campaign: all would be sent again."""
    async with client.bulk(ledger=path, campaign="navidad") as bulk:
        await bulk.load(messages(1))

    error = await refusal(client, path, **options)

    assert error.problem == problem
    assert emulator.requests["sms.send"] == 0


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _in_no_folder(path: Path) -> Path:
    return path.parent / "nowhere" / path.name


def _in_a_file(path: Path) -> Path:
    (path.parent / "file").touch()
    return path.parent / "file" / path.name


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        (_folder, "is not a file: choose another path"),
        (_in_no_folder, "there is no folder {}: make it, or choose another path"),
        (_in_a_file, "{} is not a folder: choose another path"),
    ],
)
async def test_a_place_where_no_file_can_be_is_named(
    emulator: Emulator,
    client: AsyncConnectus,
    path: Path,
    place: Callable[[Path], Path],
    problem: str,
):
    """Before anything is sent, and nothing is made there."""
    chosen = place(path)
    error = await refusal(client, chosen)

    assert error.problem == problem.format(chosen.parent.resolve())
    assert not (path.parent / "nowhere").exists()


async def test_a_source_that_breaks_off_while_it_is_loaded_sends_nothing(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """The error is the source's own; loaded again, the same rows are not there twice."""

    def source() -> Iterator[Row]:
        for index, message in enumerate(messages(600)):
            yield Row(index + 2, message)
        raise EOFError("the file breaks off in line 602")

    async with client.bulk(ledger=path) as bulk:
        for _ in range(2):
            with pytest.raises(EOFError, match="line 602"):
                await bulk.load(source())
            assert (await bulk._ledger.metadata())["loaded"] == "0"
            assert await bulk.counts() == {State.QUEUED: 600}
        await bulk.load(messages(601))
        assert (await bulk._ledger.metadata())["loaded"] == "1"
        assert await bulk.counts() == {State.QUEUED: 601}

    assert emulator.requests["sms.send"] == 0
