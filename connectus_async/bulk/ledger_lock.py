"""A lock that one process at a time holds on a ledger, and that names its holder."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from connectus_async.errors import LedgerError

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _LOCKED_BYTE)


_LOCKED_BYTE: Final = 2**30
"""Past the process id, which others must be able to read."""

_held: Final[set[tuple[int, Path]]] = set()
"""This process's locks, by its id: the system gives a process the lock that it holds again."""


class LedgerLock:
    """The lock of one ledger. The system takes it from a process that ends, however it ends.

    Args:
        ledger: The ledger's path; the lock is a file beside it.
    """

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._path = ledger.with_name(ledger.name + ".lock")
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            LedgerError: Another sender holds it; the process is named. Or its file cannot be made.
        """
        name = self._ledger.name
        if self._mark in _held:
            raise LedgerError(name, f"is in use by this process ({os.getpid()}) already")
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise LedgerError(name, f"its lock cannot be made: {error.strerror}") from None
        try:
            _lock(descriptor)
        except OSError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise LedgerError(
                name, f"is in use by process {holder}: wait for it, or end it first"
            ) from None
        self._descriptor = descriptor
        _held.add(self._mark)
        self._write_holder(descriptor)

    def release(self) -> None:
        """Give the lock back, if it is held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            _held.discard(self._mark)
            os.close(descriptor)

    def _write_holder(self, descriptor: int) -> None:
        with suppress(OSError):  # on a full disk the lock holds all the same, namelessly
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())

    @property
    def _mark(self) -> tuple[int, Path]:
        return os.getpid(), self._path.resolve()
