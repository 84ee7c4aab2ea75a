"""Stores that the conformance suite runs on. The tests know them by the doors of `abc` alone.

A further kind of store is a further entry of `STORES`.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from doors import opened
from old_schemas import SCHEMAS

from connectus_async.ledger import open_store
from connectus_async.ledger.abc import Ledger, LedgerStore
from connectus_async.ledger.sqlite import key_index

MakeStore = Callable[[], LedgerStore]


def _new_files(folder: Path, patch: pytest.MonkeyPatch, keys: int | None) -> MakeStore:
    if keys is not None:
        patch.setattr(key_index, "MOST_IN_MEMORY", keys)
    numbers = count()
    return lambda: open_store(folder / f"{next(numbers)}.db")


def _old_files(folder: Path, patch: pytest.MonkeyPatch, keys: int, schema: int) -> MakeStore:
    patch.setattr(key_index, "MOST_IN_MEMORY", keys)
    numbers = count()

    def make() -> LedgerStore:
        path = folder / f"{next(numbers)}.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(SCHEMAS[schema])
        return open_store(path)

    return make


NEW: Final = {"SQLite": lambda folder, patch: _new_files(folder, patch, None)}
"""Stores that have no campaign yet."""

OTHER: Final = {
    "SQLite, keys in the table": lambda folder, patch: _new_files(folder, patch, 1),
    "SQLite of schema 1": lambda folder, patch: _old_files(folder, patch, 3, 1),
    "SQLite of schema 2": lambda folder, patch: _old_files(folder, patch, 3, 2),
    "SQLite of schema 3": lambda folder, patch: _old_files(folder, patch, 1, 3),
}
"""Stores whose tables are others, or are used in another way. The keys of few messages are in
memory alone, so those of most are in the table here."""

STORES: Final = {**NEW, **OTHER}


@pytest.fixture(params=STORES)
def make_store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> MakeStore:
    """Give a function that makes a store without messages, another one each time."""
    return STORES[request.param](tmp_path, monkeypatch)


@pytest.fixture
def store(make_store: MakeStore) -> LedgerStore:
    """Give a store without messages."""
    return make_store()


@pytest.fixture
async def ledger(store: LedgerStore) -> AsyncIterator[Ledger]:
    """Give a ledger of the store that is open to send."""
    async with opened(store) as ledger:
        yield ledger
