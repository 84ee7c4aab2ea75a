"""A set of texts in a fixed amount of memory: it may take a text for another, but forgets none."""

from collections.abc import Iterable
from typing import Final

_SECOND: Final = 32
"""Bits of a hash before those that its second place is made of."""


class BloomFilter:
    """Tells of most texts that they are new, and needs neither them nor much memory for it.

    Args:
        size: Its bytes, a power of two.

    Example:
        >>> names = BloomFilter(1 << 10)
        >>> names.add(["Ana", "Luis"])
        []
        >>> names.add(["Eva", "Luis"])
        ['Luis']
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
            one, bit = place >> 3 & last, 1 << (place & 7)
            place >>= _SECOND
            other, other_bit = place >> 3 & last, 1 << (place & 7)
            if bits[one] & bit and bits[other] & other_bit:
                found.append(text)
            else:
                bits[one] |= bit
                bits[other] |= other_bit
        return found
