"""A ledger is read as it stands at one moment, never changed, and what is none is named."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from report_ledgers import add, campaign, message, write_ledger

from connectus_async.errors import LedgerError
from connectus_async.ledger.sqlite import reader as _reader
from connectus_async.ledger.sqlite.reader import open_for_reading, snapshot
from connectus_async.ledger.sqlite.schema import SCHEMA_VERSION

COUNT = "SELECT COUNT(*) FROM message"


def count(connection: sqlite3.Connection) -> int:
    return connection.execute(COUNT).fetchone()[0]


def test_a_running_campaign_does_not_change_what_is_read(tmp_path: Path):
    """All figures of a report are of one moment, however long it takes."""
    path = write_ledger(tmp_path / "a.db", [message()])
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        add(writer, message())
        with closing(open_for_reading(path)) as connection:
            add(writer, message())

            assert count(connection) == 2
            assert count(writer) == 3


def test_the_reader_cannot_write(tmp_path: Path):
    """A report never touches the record of what was sent."""
    path = write_ledger(tmp_path / "a.db", [message()])

    with (
        pytest.raises(LedgerError, match=r"^a\.db: cannot be read: .*readonly"),
        snapshot(path) as connection,
    ):
        connection.execute("DELETE FROM message")


def test_any_file_name_will_do(tmp_path: Path):
    """Signs that mean something in an address are part of the name."""
    path = write_ledger(tmp_path / "año 100%25?mode=rwc#1.db", [message()])

    with closing(open_for_reading(path)) as connection:
        assert count(connection) == 1


def missing(path: Path) -> None:
    """Leave nothing there."""


def folder(path: Path) -> None:
    path.mkdir()


def text(path: Path) -> None:
    path.write_text("dst_number,name\n" * 100)


def empty(path: Path) -> None:
    path.touch()


def other_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE message (id INTEGER)")


def half_a_ledger(path: Path) -> None:
    write_ledger(path, [])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP VIEW message")


def newer(path: Path) -> None:
    write_ledger(path, [])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (missing, "there is no such file"),
        (folder, "there is no such file"),
        (text, "is not a ledger: it is no SQLite file"),
        (empty, "is not a ledger: it holds no campaign"),
        (other_tables, "is not a ledger: it holds no campaign"),
        (half_a_ledger, "is not a ledger: it holds no campaign"),
        (newer, "was made by a newer connectus-async: upgrade to read it"),
    ],
)
def test_what_is_no_ledger_is_refused_in_a_sentence(tmp_path: Path, make, problem: str):
    """The file is named, and nothing is made in its place."""
    path = tmp_path / "a.db"
    make(path)
    before = sorted(tmp_path.iterdir())

    with pytest.raises(LedgerError) as caught:
        open_for_reading(path)

    assert str(caught.value) == f"a.db: {problem}"
    assert [each for each in sorted(tmp_path.iterdir()) if each.suffix == ".db"] == before


def test_a_locked_ledger_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another program that has the file for itself is waited for, but not for ever."""
    monkeypatch.setattr(_reader, "LOCK_TIMEOUT", 0)
    path = write_ledger(tmp_path / "a.db", [message()])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")

        with pytest.raises(LedgerError, match="is locked by another program"):
            open_for_reading(path)


def damage(path: Path) -> Path:
    """Write over the second half of a ledger."""
    half = path.stat().st_size // 2
    with path.open("r+b") as file:
        file.seek(half)
        file.write(b"\xff" * half)
    return path


def test_a_damaged_ledger_is_named(tmp_path: Path):
    """It may open well, and break off in the middle."""
    path = damage(write_ledger(tmp_path / "a.db", campaign(2000)))

    with (
        pytest.raises(LedgerError, match=r"^a\.db: is damaged and cannot be read to its end$"),
        snapshot(path) as connection,
    ):
        connection.execute("SELECT SUM(length(body)) FROM message").fetchall()
