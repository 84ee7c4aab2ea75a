"""Backoff: the length of the pauses after failures. It does not wait."""

import math
from typing import Final


class Backoff:
    """Pauses that double from one failure to the next, and end with a success.

    After a pause one request at a time is sent as a probe, until one succeeds.
    """

    FIRST: Final = 0.1
    LONGEST: Final = 5.0

    def __init__(self) -> None:
        self.probing = False
        self._seconds = self.FIRST
        self._began_at = -math.inf

    def counts(self, now: float, latency: float) -> bool:
        """Tell whether a request was sent after the last pause began."""
        return now - latency > self._began_at

    def next_pause(self) -> float:
        """Return the seconds to pause after one more failure."""
        seconds, self._seconds = self._seconds, min(2 * self._seconds, self.LONGEST)
        return seconds

    def begin(self, now: float) -> None:
        """Begin a pause, and probe after it."""
        self.probing = True
        self._began_at = now

    def end(self) -> None:
        """Reset: the server answers again."""
        self.probing = False
        self._seconds = self.FIRST
