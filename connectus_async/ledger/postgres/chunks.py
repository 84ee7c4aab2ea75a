"""Chunks that a holder owns, and how far their watermarks can move. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from connectus_async.ledger.postgres.schema import CHUNK


def chunk_of(number: int) -> int:
    """Give the chunk of a message."""
    return number // CHUNK


class Begun(NamedTuple):
    """How messages of a chunk are begun.

    Attributes:
        upto: Number to which the watermark moves; 0 if it stays.
        apart: Messages above it, which need a row of their own.
    """

    upto: int
    apart: Sequence[int]


class Chunk:
    """A chunk that this holder owns.

    Args:
        waiting: Its queued messages without a row in ``outcome``, in order.
        waiting_apart: Its queued messages with one.
    """

    __slots__ = ("_waiting", "_waiting_apart")

    def __init__(self, waiting: Iterable[int] = (), waiting_apart: Iterable[int] = ()) -> None:
        self._waiting = dict.fromkeys(waiting)
        self._waiting_apart = {*waiting_apart}

    def __contains__(self, number: int) -> bool:
        return number in self._waiting

    @property
    def has_waiting(self) -> bool:
        """``True`` if a message waits here."""
        return bool(self._waiting or self._waiting_apart)

    def leave_out(self, number: int) -> None:
        """Note that a message is begun in a row of its own, or is not begun."""
        self._waiting.pop(number, None)
        self._waiting_apart.discard(number)

    def begin(self, numbers: Sequence[int]) -> Begun:
        """Begin messages that wait; the watermark stops before the first one that still waits.

        >>> chunk = Chunk([512, 513, 515, 516])
        >>> chunk.begin([512, 515])
        Begun(upto=512, apart=[515])
        >>> chunk.begin([513])
        Begun(upto=515, apart=[])
        """
        for number in numbers:
            del self._waiting[number]
        last = max(numbers)
        first_waiting = next(iter(self._waiting), None)
        upto = last if first_waiting is None else first_waiting - 1
        apart = sorted(number for number in numbers if number > upto)
        return Begun(upto if len(apart) < len(numbers) else 0, apart)
