"""Ledgers of a folder."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from connectus_async.errors import LedgerError
from connectus_async.ledger.places import LEDGER_SUFFIX
from connectus_async.ledger.sqlite.problems import NO_CAMPAIGN
from connectus_async.ledger.sqlite.reader import open_for_reading
from connectus_async.ledger.sqlite.schema import APPLICATION_ID

SUFFIX: Final = ".db"
"""End of the name of a file that must be readable, since it may be a ledger."""

LOG_SUFFIX: Final = "-wal"
MAGIC: Final = b"SQLite format 3\0"
ID_AT: Final = 68
HEAD_BYTES: Final = ID_AT + 4


def ledgers_in(folder: Path) -> list[Path]:
    """Find the ledgers of a folder, and the files that may be ledgers but cannot be read."""
    return [file for file in _files(folder) if _may_be_ledger(file)]


def _may_be_ledger(file: Path) -> bool:
    try:
        return file.name.endswith(LEDGER_SUFFIX) or _is_ledger(file)
    except FileNotFoundError:  # somebody has just deleted it
        return False
    except LedgerError:
        return True


def others(path: Path, since: float) -> Iterator[Path]:
    """Find the ledgers of the folder of a file, without itself. See `LedgerStore.others`."""
    known = set(_identity(path))
    for file in _files(path.absolute().parent):
        with suppress(FileNotFoundError):  # somebody has just deleted it
            if known.issuperset(_identity(file)):
                continue
            known.update(_identity(file))
            if _changed_at(file) >= since and _is_ledger(file):
                yield file


def _files(folder: Path) -> list[Path]:
    """List the files of a folder; nothing if there is no folder yet."""
    try:
        return sorted(file for file in folder.iterdir() if file.is_file())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LedgerError(
            folder.name, f"is a folder that cannot be listed: {error.strerror}"
        ) from None


def _identity(file: Path) -> Iterator[tuple[int, int]]:
    """Identify a file, which may have several names."""
    with suppress(FileNotFoundError):
        found = file.stat()
        yield found.st_dev, found.st_ino


def _changed_at(file: Path) -> float:
    """Find when a file or its log was written last."""
    times = [file.stat().st_mtime]
    with suppress(FileNotFoundError):
        times.append(_log_of(file).stat().st_mtime)
    return max(times)


def _is_ledger(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        if file.name.endswith(SUFFIX):
            raise LedgerError(file.name, error.strerror or "cannot be read") from None
        return False
    if head.startswith(MAGIC):
        found = int.from_bytes(head[ID_AT:])
        if found == APPLICATION_ID or (not found and _is_new_ledger(file)):
            return True
    if head and file.name.endswith(LEDGER_SUFFIX):
        raise LedgerError(file.name, NO_CAMPAIGN)
    return False


def _is_new_ledger(file: Path) -> bool:
    """Tell whether a file is a ledger of which the log still has the beginning."""
    if not _log_of(file).exists():
        return False
    try:
        open_for_reading(file).close()
    except LedgerError as error:
        if error.problem != NO_CAMPAIGN:
            raise
        return False
    return True


def _log_of(file: Path) -> Path:
    return file.with_name(os.fspath(file.name) + LOG_SUFFIX)
