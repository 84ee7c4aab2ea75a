"""A set of texts in a fixed amount of memory: it may take a text for another, but forgets none."""

from collections.abc import Iterable
from itertools import combinations
from typing import Final

_PAIRS: Final = [1 << one | 1 << other for one, other in combinations(range(8), 2)]
_PAIR: Final = 32
"""Bits of a hash before those that choose the pair."""


class BloomFilter:
    """Tells of most texts that they are new, and needs neither them nor much memory for it.

    A text sets two bits, both in one byte: that takes one look, and is wrong twice as often as if
    they could be anywhere.

    Args:
        size: Its bytes, a power of two.

    Example:
        >>> names = BloomFilter(1 << 10)
        >>> names.add(["Ana", "Ana"])
        ['Ana']
    """

    def __init__(self, size: int) -> None:
        self._bits = bytearray(size)
        self._last = size - 1

    def add(self, texts: Iterable[str]) -> list[str]:
        """Put texts into the set.

        Returns:
            Those that may have been there; all others were not.
        """
        bits, last = self._bits, self._last
        found = []
        for text in texts:
            place = hash(text)
            byte, pair = place & last, _PAIRS[(place >> _PAIR) % len(_PAIRS)]
            if bits[byte] & pair == pair:
                found.append(text)
            else:
                bits[byte] |= pair
        return found
