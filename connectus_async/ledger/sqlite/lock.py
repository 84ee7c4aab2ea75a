"""Lock of a ledger, which one process has at a time. Its file names that process."""

import os
import sys
import time
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

MOMENT_SECONDS: Final = 10.0
"""Seconds to wait for a process that needs the lock for a moment."""

PAUSE: Final = 0.01
NEWLINE: Final = "\n"
BRIEFLY: Final = " for a moment\n"

_locks: Final[dict[tuple[int, Path], "LedgerLock"]] = {}
"""This process's locks, by its id: the system gives a process the lock that it has again."""


def was_open_in_fork(ledger: Path) -> bool:
    """Tell whether the process that this one was forked from was the holder of a ledger then.

    SQLite in this process takes the locks of that holder for its own, for as long as it lives.
    """
    ledger = ledger.resolve()
    lock = ledger.with_name(ledger.name + ".lock")
    return any(pid != os.getpid() and open_then == lock for pid, open_then in list(_locks))


def _not_made(folder: Path, error: OSError) -> str:
    if not folder.exists():
        return f"there is no folder {folder}: make it, or choose another path"
    if not folder.is_dir():
        return f"{folder} is not a folder: choose another path"
    return f"its lock cannot be made in {folder}: {error.strerror}"


class HeldError(LedgerError):
    """Another process has the lock, or this one.

    Attributes:
        process: Its id, or ``unknown``.
        since: Time at which it took the lock, in Unix seconds.
        is_brief: It has the lock for a moment.
    """

    def __init__(
        self, ledger: str, problem: str, process: str, since: float, *, is_brief: bool
    ) -> None:
        super().__init__(ledger, problem)
        self.process = process
        self.since = since
        self.is_brief = is_brief


class LedgerLock:
    """Lock of one ledger. The system releases it when its process ends, however it ends.

    Args:
        ledger: The ledger's path; the lock is a file beside it, or beside the target of a link.

    Attributes:
        is_brief: It is taken for a moment only.
        since: Time at which it was taken, in Unix seconds.
    """

    def __init__(self, ledger: Path) -> None:
        self.since = 0.0
        self._ledger = ledger
        self._descriptor: int | None = None
        self._mark: tuple[int, Path] | None = None
        self.is_brief = False

    def acquire(self, *, for_a_moment: bool = False) -> None:
        """Take the lock; wait for a process that has it for a moment.

        Args:
            for_a_moment: It is released at once, and nobody is waited for.

        Raises:
            LedgerError: Another process has it, which is named, or its file cannot be created.
        """
        self.is_brief = for_a_moment
        give_up_at = time.monotonic() + MOMENT_SECONDS
        while True:
            try:
                self._acquire()
            except HeldError as error:
                if not error.is_brief or for_a_moment or time.monotonic() > give_up_at:
                    raise
                time.sleep(PAUSE)
            else:
                return

    def _acquire(self) -> None:
        ledger = self._ledger.resolve()
        mark = os.getpid(), ledger.with_name(ledger.name + ".lock")
        found = _locks.setdefault(mark, self)  # in one step, for other threads come here too
        if found is not self or self._mark is not None:
            problem = f"is in use by this process ({mark[0]}) already"
            raise HeldError(
                self._ledger.name, problem, str(mark[0]), found.since, is_brief=found.is_brief
            )
        try:
            self._descriptor = self._locked(mark[1])
        except BaseException:
            del _locks[mark]
            raise
        self._mark, self.since = mark, time.time()
        self._write_holder(self._descriptor)

    def _locked(self, path: Path) -> int:
        name = self._ledger.name
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise LedgerError(name, _not_made(path.parent, error)) from None
        try:
            _lock(descriptor)
        except OSError:
            said = os.read(descriptor, 40).decode(errors="replace")
            since = os.fstat(descriptor).st_mtime
            os.close(descriptor)
            holder = said.removesuffix(BRIEFLY).strip() or "unknown"
            problem = f"is in use by process {holder}: wait for it, or end it first"
            is_brief = said.endswith(BRIEFLY)
            raise HeldError(name, problem, holder, since, is_brief=is_brief) from None
        return descriptor

    def release(self) -> None:
        """Release the lock, if it was taken."""
        descriptor, self._descriptor = self._descriptor, None
        mark, self._mark = self._mark, None
        if descriptor is not None and mark is not None:
            os.close(descriptor)
            _locks.pop(mark, None)

    def _write_holder(self, descriptor: int) -> None:
        with suppress(OSError):  # on a full disk the lock works too, without the name
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}{BRIEFLY if self.is_brief else NEWLINE}".encode())


def holder_of(ledger: Path) -> HeldError | None:
    """Find the process that has the lock of a ledger, and not for a moment only."""
    place = ledger.resolve()
    if not place.with_name(place.name + ".lock").exists():
        return None
    lock = LedgerLock(ledger)
    try:
        lock.acquire(for_a_moment=True)
    except HeldError as error:
        return None if error.is_brief else error
    except LedgerError:
        return None  # the lock cannot be opened: nobody sends from such a folder
    lock.release()
    return None
