"""Stores that the conformance suite runs on. A further kind of store is a further entry here."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Final, TypeAlias

import pytest
from old_schemas import SCHEMAS

from connectus_async.ledger import open_store
from connectus_async.ledger.abc import LedgerStore
from connectus_async.ledger.sqlite import key_index

MakeStore: TypeAlias = Callable[[], LedgerStore]
"""Makes a store without messages; the last one that it made may be gone then."""

Kind: TypeAlias = Callable[[pytest.FixtureRequest], MakeStore]


def _in_files(folder: Path, prepare: Callable[[Path], None] = lambda _: None) -> MakeStore:
    numbers = count(1)

    def make() -> LedgerStore:
        path = folder / f"{next(numbers)}.db"
        prepare(path)
        return open_store(path)

    return make


def _new(request: pytest.FixtureRequest) -> MakeStore:
    return _in_files(request.getfixturevalue("tmp_path"))


def _in_a_database(request: pytest.FixtureRequest) -> MakeStore:
    database = request.getfixturevalue("database")

    def make() -> LedgerStore:
        database.empty()
        return open_store(database.address())

    return make


def _of_schema(version: int, *, most_in_memory: int) -> Kind:
    def write(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(f"PRAGMA synchronous = OFF; {SCHEMAS[version]}")

    def stores(request: pytest.FixtureRequest) -> MakeStore:
        patch = request.getfixturevalue("monkeypatch")
        patch.setattr(key_index, "MOST_IN_MEMORY", most_in_memory)
        return _in_files(request.getfixturevalue("tmp_path"), write)

    return stores


STORES: Final[dict[str, Kind]] = {"SQLite": _new, "PostgreSQL": _in_a_database}
"""Stores that have no campaign yet."""

VARIANTS: Final[dict[str, Kind]] = {
    "SQLite of schema 1, keys in memory and table": _of_schema(1, most_in_memory=3),
    "SQLite of schema 2, keys in memory and table": _of_schema(2, most_in_memory=3),
    "SQLite of schema 3, keys in the table": _of_schema(3, most_in_memory=1),
    "SQLite of schema 4, keys in the table": _of_schema(4, most_in_memory=1),
}
"""Old ledgers, which have other tables. Of as few messages as in a test, a new one has all keys in
memory; these have some or all of them in the table."""

every_variant: Final = pytest.mark.parametrize("make_store", [*STORES, *VARIANTS], indirect=True)
"""Run a test on the variants too: it is about keys, or about what an opening finds."""
