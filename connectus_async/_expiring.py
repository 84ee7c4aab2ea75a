"""Bounded memory of values by key, each for a limited time."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class ExpiringDict(Generic[KeyT, ValueT]):
    """Mapping that forgets the oldest entries, for any number of threads.

    Args:
        size: Maximum number of entries.
        seconds: Age at which an entry is forgotten. Setting it again makes it new.
        clock: Returns the present in seconds.
    """

    def __init__(
        self, size: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._size = size
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[KeyT, tuple[ValueT, float]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: KeyT) -> ValueT | None:
        """Return the value of a key; ``None`` if there is none or it is too old."""
        entry = self._entries.get(key)
        return None if entry is None or self._is_old(entry) else entry[0]

    def __setitem__(self, key: KeyT, value: ValueT) -> None:
        with self._lock:
            self._entries[key] = value, self._clock()
            self._entries.move_to_end(key)
            while len(self._entries) > self._size or self._is_old(self._oldest()):
                self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)

    def after_fork(self) -> None:
        """Replace the lock, which a thread of the parent process may hold; keep the entries."""
        self._lock = threading.Lock()

    def _oldest(self) -> tuple[ValueT, float]:
        return next(iter(self._entries.values()))

    def _is_old(self, entry: tuple[ValueT, float]) -> bool:
        return entry[1] <= self._clock() - self._seconds
