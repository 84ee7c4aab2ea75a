"""Atomic replacement of a file, so that half of it never looks whole."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from connectus_async.errors import InvalidArgumentError
from connectus_async.ledger import is_address

BELONGS_TO_A_LEDGER: Final = ("", "-wal", "-shm", "-journal", ".lock")


@contextmanager
def replacing(
    target: Path, ledger: str | os.PathLike[str], *, mode: int = 0o666
) -> Iterator[BinaryIO]:
    """Open a new file to write. It replaces the target when the block ends without an error.

    Args:
        target: The file to create or to replace. A symbolic link is followed.
        ledger: The ledger. If it is a file, it is never replaced, nor are the files beside it.
        mode: The permissions of the file, less the umask.

    Raises:
        InvalidArgumentError: The target is the ledger, is no regular file, or its folder is
            missing.
        OSError: The file cannot be written. The target is unchanged.
    """
    target = target.resolve()
    _check(target, ledger)
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with open(part, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _check(target: Path, ledger: str | os.PathLike[str]) -> None:
    files = () if is_address(ledger) else _files_of(Path(ledger).resolve())
    if any(_same(target, file) for file in files):
        raise InvalidArgumentError("target", "is the ledger itself: write to another file")
    if target.exists() and not target.is_file():
        raise InvalidArgumentError("target", f"{target.name} is there and is no regular file")
    if not target.parent.is_dir():
        raise InvalidArgumentError("target", f"there is no folder {target.parent.name}")


def _files_of(ledger: Path) -> Iterator[Path]:
    return (ledger.with_name(ledger.name + suffix) for suffix in BELONGS_TO_A_LEDGER)


def _same(one: Path, other: Path) -> bool:
    return one == other or (one.exists() and other.exists() and one.samefile(other))
