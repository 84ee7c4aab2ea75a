"""Simulation of more cores than the machine has, each with a share of the speed.

The kernel limits each thread to that share of a core, per millisecond. It needs Linux with control
groups of version 1, and root.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path

QUOTA_US = 1_000
"""As short as the kernel has them."""

LOOK_SECONDS = 0.02
"""How often to look for new threads."""

TRIES_TO_REMOVE = 100


@contextmanager
def slow_cores(share: float) -> Iterator[Callable[[int], AbstractContextManager[None]]]:
    """Make cores of a part of the speed, for the length of the block.

    Args:
        share: What part of a core a thread gets at most, from 0.001 to 1.

    Yields:
        What, with the number of a process, has its threads and those of its children run on them
        for the length of another block.

    Raises:
        ValueError: The share is not in that range.
        OSError: Control groups of processor time cannot be made here.
    """
    if not 0.001 <= share <= 1:
        raise ValueError(f"a share of a core is from 0.001 to 1, not {share}")
    folder = _root() / f"slow-cores-{os.getpid()}"
    folder.mkdir()
    try:
        yield partial(_running, folder, round(QUOTA_US / share))
    finally:
        for group in (*(path for path in folder.iterdir() if path.is_dir()), folder):
            _remove(group)


@contextmanager
def _running(folder: Path, period: int, process: int) -> Iterator[None]:
    is_over = threading.Event()
    looking = threading.Thread(target=_look, args=(folder, period, process, is_over))
    looking.start()
    try:
        yield
    finally:
        is_over.set()
        looking.join()


def _look(folder: Path, period: int, process: int, is_over: threading.Event) -> None:
    known: set[int] = set()
    while True:
        for each in (process, *_children(process)):
            for thread in _threads(each) - known:
                with suppress(ProcessLookupError):  # it has ended meanwhile
                    _limit(folder / str(thread), period, thread)
                known.add(thread)
        if is_over.wait(LOOK_SECONDS):
            return


def _limit(group: Path, period: int, thread: int) -> None:
    group.mkdir(exist_ok=True)
    (group / "cpu.cfs_period_us").write_text(str(period))
    (group / "cpu.cfs_quota_us").write_text(str(QUOTA_US))
    (group / "tasks").write_text(str(thread))


def _root() -> Path:
    """Find where the groups of processor time are."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup" and "cpu" in options.split(","):
            return Path(place)
    raise OSError("there are no control groups of version 1 for processor time here")


def _children(process: int) -> list[int]:
    try:
        return [*map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())]
    except FileNotFoundError:
        return []


def _threads(process: int) -> set[int]:
    try:
        return {int(task.name) for task in Path(f"/proc/{process}/task").iterdir()}
    except FileNotFoundError:
        return set()


def _remove(group: Path) -> None:
    for _ in range(TRIES_TO_REMOVE):
        try:
            group.rmdir()
        except OSError:
            time.sleep(LOOK_SECONDS)  # its last process may not be gone altogether
        else:
            return
