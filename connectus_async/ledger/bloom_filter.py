"""Bloom filter: a set of texts in a fixed amount of memory, with false positives."""

from collections.abc import Iterable
from itertools import combinations
from typing import Final

_PAIRS: Final = [1 << one | 1 << other for one, other in combinations(range(8), 2)]
_PAIR: Final = 32
"""Bits of a hash before those that choose the pair."""


class BloomFilter:
    """Set of texts that recognises most new ones as new, and never an old one.

    A text sets two bits, both in one byte: one look-up is enough, and false positives are twice as
    frequent as if the bits could be anywhere.

    Args:
        size: Its size in bytes, a power of two.

    Example:
        >>> names = BloomFilter(1 << 10)
        >>> names.add(["Ana", "Ana"])
        ['Ana']
    """

    def __init__(self, size: int) -> None:
        self._bits = bytearray(size)
        self._last = size - 1

    def add(self, texts: Iterable[str]) -> list[str]:
        """Add texts to the set.

        Returns:
            Those that may have been there; all others are new.
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
