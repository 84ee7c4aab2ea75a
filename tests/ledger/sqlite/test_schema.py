"""Ledgers of older versions become present ones, and a watermark says what was begun."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from doors import begin, entry, finish, load, opened, policy, rows
from old_schemas import SCHEMAS

from connectus_async import LedgerError
from connectus_async.ledger import open_store
from connectus_async.ledger.sqlite import schema
from connectus_async.ledger.states import (
    HAS_ANOTHER,
    LEFT_OUT_BECAUSE,
    REPLACED,
    REPLACED_BECAUSE,
    State,
)

ROWS = """
INSERT INTO campaign VALUES ('name', 'navidad'), ('identity', 'message');
INSERT INTO message VALUES
    (1, 'a', 2, 'sms', '56987688060', '{"sms_content":"Hola"}', 1, 'accepted', NULL, 1,
     'c7925e64955445bbbe0ae39339b9514c', 1793973600.25, 1793973600.75, 'ENTREGADO', 1793973700.5,
     1),
    (2, 'b', 3, 'email', 'a@b.cl', '{"email_content":"Hola"}', 1, 'rejected', '400: no', 2,
     NULL, 1793973600.25, 1793973601.25, NULL, NULL, 1),
    (3, 'c', 4, 'sms', '+56987688061', '{"src_number":"1","sms_content":"H"}', 2, 'held', 'lost', 1,
     'X-1', 1793973600.25, 1793973601.25, NULL, NULL, 1),
    (5, 'd', 5, 'sms', '056987688062', '{"sms_content":"Hola"}', 1, 'queued', NULL, 0,
     NULL, NULL, NULL, NULL, NULL, 1),
    (6, NULL, 6, 'invalid', '', '', 0, 'skipped', 'invalid: dst_number: is empty', 0,
     NULL, NULL, 1793973599.5, NULL, NULL, 1),
    (7, 'e', 7, 'whatsapp', '56987688063', '{"whatsapp_content":"Hola"}', 1, 'queued', '429', 1,
     NULL, 1793973600.25, 1793973601.25, NULL, NULL, 1);
"""


@pytest.fixture(params=SCHEMAS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMAS[request.param] + ROWS)
    return path


def raw(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


async def test_an_old_ledger_says_the_same_before_and_after(path: Path):
    """A reader shows it as it is; the next sender brings it up to date, and nothing is lost."""
    store, query = open_store(path), "SELECT * FROM message ORDER BY id"
    before, raw_before = await rows(store), raw(path, query)
    async with opened(store) as ledger:
        assert [one.key for _, one in await ledger.queued(0, 10)] == ["d", "e"]

    assert await rows(store) == before
    assert raw(path, query) == raw_before
    assert raw(path, "PRAGMA user_version") == [(schema.SCHEMA_VERSION,)]
    assert raw(path, "PRAGMA integrity_check") == [("ok",)]


async def test_what_was_superseded_is_called_so(path: Path):
    """Versions up to 5 called it expired; it waits again once its source has it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "UPDATE message SET state = 'skipped', reason = ?, reading = 0 WHERE key = 'd'",
            (f"expired: {REPLACED}",),
        )
        connection.commit()
    store = open_store(path)
    async with opened(store) as ledger:
        (reason,) = [reason for key, reason in await rows(store, "key", "reason") if key == "d"]
        await load(ledger, entry("d"))
        waits = [one.key for _, one in await ledger.queued(0, 10)]

    assert reason == REPLACED_BECAUSE == f"superseded: {REPLACED}"
    assert waits == ["d", "e"]


async def test_who_has_another_text_is_called_so(path: Path):
    """Versions up to 6 called such a message a duplicate; real duplicates stay what they are."""
    others = "SELECT * FROM message WHERE key <> 'd' OR key IS NULL ORDER BY id"
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            "UPDATE message SET state = 'skipped', reason = ?, reading = 0 WHERE key = ?",
            [(f"duplicate: {HAS_ANOTHER}", "d"), ("duplicate: of line 2", "e")],
        )
        connection.commit()
    store, before = open_store(path), raw(path, others)
    async with opened(store) as ledger:
        assert raw(path, others) == before
        reasons = {key: reason for key, reason in await rows(store, "key", "reason") if reason}
        await load(ledger, entry("d"))
        waits = [one.key for _, one in await ledger.queued(0, 10)]

    assert reasons["d"] == LEFT_OUT_BECAUSE == f"has_another: {HAS_ANOTHER}"
    assert reasons["e"] == "duplicate: of line 2"
    assert waits == ["d"]


async def test_an_upgrade_that_ends_early_leaves_the_old_ledger(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    """All of it is one transaction."""
    store = open_store(path)
    before = await rows(store)
    version = raw(path, "PRAGMA user_version")
    with monkeypatch.context() as patch:
        patch.setattr(schema, "UPGRADE", f"{schema.UPGRADE} SELECT * FROM nowhere;")
        with pytest.raises(LedgerError):
            await store.ledger().open(policy())
    assert raw(path, "PRAGMA user_version") == version
    assert await rows(store) == before
    async with opened(store):
        pass
    assert await rows(store) == before


async def test_what_is_begun_in_order_has_no_row_of_its_own(tmp_path: Path):
    """The watermark alone says so, before anything is sent."""
    path = tmp_path / "a.db"
    async with opened(open_store(path)) as ledger:
        await load(ledger, *(entry(key) for key in "abcd"))
        numbers = [number for number, _ in await ledger.queued(0, 10)]
        await ledger.begin_known(numbers[:2])
        assert raw(path, "SELECT max(upto) FROM begun") == [(numbers[1],)]
        assert raw(path, "SELECT * FROM outcome") == []
        assert await rows(open_store(path), "state") == [*["in_flight"] * 2, *["queued"] * 2]


async def test_what_is_begun_out_of_order_does_not_begin_others(tmp_path: Path):
    """It has a row; once those before it were begun, the watermark goes past it."""
    path = tmp_path / "a.db"
    async with opened(open_store(path)) as ledger:
        await load(ledger, *(entry(key) for key in "abcd"))
        numbers = [number for number, _ in await ledger.queued(0, 10)]
        await ledger.begin_known([numbers[0], numbers[2]])
        assert raw(path, "SELECT max(upto) FROM begun") == [(numbers[1] - 1,)]
        assert raw(path, "SELECT id FROM outcome") == [(numbers[2],)]
        assert [number for number, _ in await ledger.queued(0, 10)] == [numbers[1], numbers[3]]
        await ledger.begin_known([numbers[1]])
        await ledger.begin_known([numbers[3]])
        assert raw(path, "SELECT max(upto) FROM begun") == [(numbers[3],)]
        assert raw(path, "SELECT id FROM outcome") == [(numbers[2],)]


async def test_a_number_below_the_watermark_is_never_given_again(tmp_path: Path):
    """A new message with it would count as begun, and nobody would send it."""
    path = tmp_path / "a.db"
    async with opened(open_store(path)) as ledger:
        for key in "abc":
            await finish(ledger, entry(key), State.ACCEPTED)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM message WHERE key <> 'a'")
    async with opened(open_store(path)) as ledger:
        await load(ledger, entry("d"))
        ((number, _),) = await ledger.queued(0, 10)
        assert number > 3
        assert (await begin(ledger, entry("d"), number)).found is None


async def test_a_ledger_that_is_closed_keeps_one_watermark(tmp_path: Path):
    """Times of messages with an outcome of their own are not needed."""
    path = tmp_path / "a.db"
    async with opened(open_store(path)) as ledger:
        for key in "abcde":
            await finish(ledger, entry(key), State.ACCEPTED)
    assert raw(path, "SELECT upto FROM begun") == [(5,)]
