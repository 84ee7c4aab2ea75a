"""Sentences for what can be wrong with a ledger's file, with what to do about it."""

import sqlite3
from pathlib import Path
from typing import Final, NamedTuple

from connectus_async.errors import LedgerError

NO_CAMPAIGN: Final = "is not a ledger: it holds no campaign"


class Problem(NamedTuple):
    """Sentences for one error of SQLite: to the writer of a ledger and to its reader."""

    writing: str | None
    reading: str | None


_TWICE: Final = Problem(
    "has a message twice: restore it from a copy, or ask the API who was reached", None
)
_IN_USE: Final = Problem(
    "is in use by another program: close it first",
    "is locked by another program: try again when that has ended",
)

PROBLEMS: Final = {
    sqlite3.SQLITE_ERROR: Problem(None, NO_CAMPAIGN),
    sqlite3.SQLITE_FULL: Problem(
        "the disk is full: free some space, then resume",
        "cannot be read: the disk for temporary files is full",
    ),
    sqlite3.SQLITE_IOERR: Problem(
        "the disk took no more: check that it has space and works, then resume", None
    ),
    sqlite3.SQLITE_READONLY: Problem(
        "may not be written: change its permissions, or choose another path", None
    ),
    sqlite3.SQLITE_CANTOPEN: Problem(
        "cannot be opened: check that its folder is there and may be written",
        "cannot be opened: a ledger's folder must be writable to read it",
    ),
    sqlite3.SQLITE_NOTADB: Problem(
        "is not a ledger: choose another path", "is not a ledger: it is no SQLite file"
    ),
    sqlite3.SQLITE_CORRUPT: Problem(
        "is damaged: restore it from a copy, or ask the API who was reached",
        "is damaged and cannot be read to its end",
    ),
    sqlite3.SQLITE_BUSY: _IN_USE,
    sqlite3.SQLITE_LOCKED: _IN_USE,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: _TWICE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: _TWICE,
}


def writing_failed(path: Path, error: Exception) -> LedgerError:
    """Describe an error of a ledger that is being written, in one sentence."""
    if isinstance(error, LedgerError):
        return error
    sentence = _problem(error).writing
    if sentence is None:
        known = isinstance(error, (sqlite3.Error, OSError))  # others may quote a row
        sentence = f"cannot be used: {error if known else type(error).__name__}"
    return LedgerError(path.name, sentence)


def reading_failed(path: Path, error: sqlite3.Error) -> LedgerError:
    """Describe an error of a ledger that is being read, in one sentence."""
    return LedgerError(path.name, _problem(error).reading or f"cannot be read: {error}")


def _problem(error: Exception) -> Problem:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return Problem(None, None)
    return PROBLEMS.get(code) or PROBLEMS.get(code & 0xFF) or Problem(None, None)
