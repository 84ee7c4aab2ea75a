"""Ages of events, whatever is done to the system's clock.

The clock of the system jumps: it is set, a time server corrects it, a laptop sleeps. What happened
in this process is measured by the monotonic clock. But a ledger has Unix times, written by the
system's clock as it was then: `SteadyClock` notes each jump, and so can say when that was.
"""

import math
import time
from time import monotonic
from typing import Final, NamedTuple

JUMP: Final = 1.0
"""Seconds by which the system's clock has to leave the monotonic one to have jumped."""

SLACK: Final = 2 * JUMP
"""Seconds by which a time may lie outside of the period that it is of: less is no jump."""

MAX_PERIODS: Final = 64


class _Period(NamedTuple):
    """A time in which the system's clock did not jump.

    Attributes:
        began: Its earliest possible begin: the last look that saw the period before.
        noted: The look that first saw it.
        ahead: Seconds by which the system's clock is ahead of the monotonic one in it.
    """

    began: float
    noted: float
    ahead: float


class SteadyClock:
    """Seconds that pass evenly, and what the Unix times of this machine are in them.

    It has to be asked now and then: of jumps in between, it sees what they come to.

    Attributes:
        made_at: The time at which it was made, in the seconds of `now`.
    """

    def __init__(self) -> None:
        self.made_at = self._looked_at = monotonic()
        self._periods = [_Period(-math.inf, self.made_at, time.time() - self.made_at)]

    def now(self) -> float:
        """Give the present, in seconds since some moment."""
        now = monotonic()
        ahead = time.time() - now
        if abs(ahead - self._periods[-1].ahead) > JUMP:
            self._periods.append(_Period(self._looked_at, now, ahead))
            del self._periods[1:-MAX_PERIODS]
        self._looked_at = now
        return now

    def unix_now(self) -> float:
        """Give the present as a Unix time that goes on from when this was made."""
        return self.now() + self._periods[0].ahead

    def moment(self, unix: float) -> float:
        """Tell when a Unix time was, in the seconds of `now`.

        An hour that the system's clock showed twice counts as the later one, so that nothing looks
        older than it is. A time that it never showed was when this was made.
        """
        now = end = self.now()
        for began, noted, ahead in reversed(self._periods):
            moment = unix - ahead
            if began - SLACK <= moment <= end + SLACK:
                return min(moment, now)
            end = noted
        return self.made_at

    def span(self, since: float) -> tuple[float, float]:
        """Give the earliest and the latest Unix time that were shown since a moment of `now`."""
        end = self.now()
        earliest, latest = math.inf, -math.inf
        for began, noted, ahead in reversed(self._periods):
            earliest = min(earliest, max(began, since) + ahead)
            latest = max(latest, end + ahead)
            if began <= since:
                break
            end = noted
        return earliest, latest + SLACK
