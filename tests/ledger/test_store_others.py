"""Conformance of stores: whom a campaign reached, and the other ledgers of a folder or database."""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from itertools import chain
from pathlib import Path

import pytest
from anyio.to_thread import run_sync
from doors import begin, bring, entry, finish, load, opened
from stores import MakeStore, every_variant

from connectus_async import LedgerError
from connectus_async.ledger import open_store
from connectus_async.ledger.abc import LedgerStore
from connectus_async.ledger.states import MAY_BE_SENT, State

HOUR = 3_600.0
Place = Callable[[str], str | Path]


def reached(store: LedgerStore, since: float) -> list[str]:
    with store.read() as reader:
        return sorted(chain.from_iterable(reader.reached(since)))


@every_variant
async def test_a_reader_knows_whom_a_campaign_reached(make_store: MakeStore):
    """Once for each message that was or may have been sent, also one that is under way."""
    store = make_store()
    recipients = {state: f"5696000000{place}" for place, state in enumerate(State)}
    async with opened(store) as ledger:
        for state, recipient in recipients.items():
            if state is not State.IN_FLIGHT:
                await bring(ledger, entry(state, recipient=recipient), state)
        await finish(ledger, entry("again", recipient=recipients[State.ACCEPTED]))
        await begin(ledger, entry("in_flight", recipient=recipients[State.IN_FLIGHT]))
        now = time.time()
        expected = sorted([*map(recipients.get, MAY_BE_SENT), recipients[State.ACCEPTED]])
        assert await run_sync(reached, store, now - HOUR) == expected
        assert await run_sync(reached, store, now + HOUR) == []


@pytest.mark.parametrize("forgets_content", [False, True])
async def test_a_campaign_that_forgets_texts_knows_whom_it_reached(
    store: LedgerStore, *, forgets_content: bool
):
    """Its messages are sent in the order of a load, which changes no row of their own."""
    async with opened(store, forgets_content=forgets_content) as ledger:
        await load(ledger, *[entry(key, recipient=f"5696000000{key}") for key in "123"])
        (first, one), (second, _), _ = await ledger.queued(0, 10)
        await ledger.begin_known([first, second])
        ledger.finish(one, first, State.ACCEPTED, None, "id")
        await ledger.flush()
        expected = ["56960000001", "56960000002"]
        assert await run_sync(reached, store, time.time() - HOUR) == expected


def people(store: LedgerStore, since: float) -> list[str]:
    """Whom the other ledgers of a store reached."""
    found = [reached(other, since) for other in store.others(since)]
    return sorted(chain.from_iterable(found))


async def test_a_ledger_finds_the_others_of_its_folder_or_database(ledger_of: Place):
    """Not itself; also those that somebody sends at the moment, and before it exists."""
    since = time.time() - HOUR
    mine = open_store(ledger_of("mine"))
    assert await run_sync(people, mine, since) == []
    for number, name in enumerate("abc"):
        async with opened(open_store(ledger_of(name)), name) as ledger:
            await finish(ledger, entry(recipient=f"5696000000{number}"))
            assert len(await run_sync(people, mine, since)) == number + 1
    async with opened(mine, "mine") as ledger:
        await finish(ledger, entry(recipient="56969999999"))
        found = await run_sync(people, mine, since)
    assert found == ["56960000000", "56960000001", "56960000002"]


async def sent(path: Path) -> None:
    async with opened(open_store(path)) as ledger:
        await finish(ledger, entry())


async def test_files_that_are_no_ledgers_are_no_ledgers(tmp_path: Path):
    """Nor is a second name of a file, or a ledger that nobody wrote to since."""
    mine, other, old = (tmp_path / f"{name}.db" for name in ("mine", "other", "old"))
    for path in (mine, other, old):
        await sent(path)
    os.link(mine, tmp_path / "mine again.db")
    (tmp_path / "other again.db").symlink_to(other)
    os.utime(old, (0, 0))
    (tmp_path / "recipients.csv").write_text("dst_number\n56987688060\n", "utf-8")
    (tmp_path / "empty.ledger.db").touch()
    (tmp_path / "folder.db").mkdir()
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE message (id)")
        since = time.time() - HOUR
        found = await run_sync(lambda: list(open_store(mine).others(since)))
        assert len(found) == 1
        assert await run_sync(people, open_store(mine), since) == ["56987688060"]


@pytest.mark.parametrize("content", [b"no ledger at all", b"SQLite format 3\0" + bytes(52)])
def test_a_file_with_the_name_of_a_ledger_must_be_one(tmp_path: Path, content: bytes):
    """It may be damaged, and nobody knows whom it reached."""
    (tmp_path / "old.ledger.db").write_bytes(content)
    with pytest.raises(LedgerError, match=r"^old\.ledger\.db: "):
        list(open_store(tmp_path / "mine.db").others(0))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_be_a_ledger_must_be_readable(tmp_path: Path):
    """Another file need not be."""
    for name in ("other.db", "recipients.csv"):
        path = tmp_path / name
        path.write_bytes(b"")
        path.chmod(0)
    with pytest.raises(LedgerError, match=r"^other\.db: "):
        list(open_store(tmp_path / "mine.db").others(0))
