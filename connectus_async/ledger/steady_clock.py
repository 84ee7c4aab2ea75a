"""Clock that measures ages correctly when the system's clock is changed.

The system's clock jumps: it is set, a time server corrects it, a laptop sleeps. Within a process,
the monotonic clock measures ages. But a ledger has Unix times by the system's clock of that time:
`SteadyClock` notes each jump, and can convert them.
"""

import math
import time
from time import monotonic
from typing import Final, NamedTuple

JUMP: Final = 1.0
"""Seconds by which the system's clock has to deviate from the monotonic one to have jumped."""

SLACK: Final = 2 * JUMP
"""Seconds by which a time may be outside its period: less is no jump."""

MAX_PERIODS: Final = 64


class _Period(NamedTuple):
    """Period in which the system's clock did not jump.

    Attributes:
        began: Its earliest possible begin: the last look in the period before.
        noted: The first look in it.
        ahead: Seconds by which the system's clock is ahead of the monotonic one in it.
    """

    began: float
    noted: float
    ahead: float


class SteadyClock:
    """Clock that never jumps, with a conversion from this machine's Unix times.

    It has to be read now and then: of several jumps in between, it sees the sum.

    Attributes:
        made_at: The time of its creation, in the seconds of `now`.
    """

    def __init__(self) -> None:
        self.made_at = self._looked_at = monotonic()
        self._periods = [_Period(-math.inf, self.made_at, time.time() - self.made_at)]

    def now(self) -> float:
        """Return the present, in seconds since some moment."""
        now = monotonic()
        ahead = time.time() - now
        if abs(ahead - self._periods[-1].ahead) > JUMP:
            self._periods.append(_Period(self._looked_at, now, ahead))
            del self._periods[1:-MAX_PERIODS]
        self._looked_at = now
        return now

    def unix_now(self) -> float:
        """Return the present as a Unix time that never jumped since this clock was created."""
        return self.now() + self._periods[0].ahead

    def moment(self, unix: float) -> float:
        """Convert a Unix time to the seconds of `now`.

        An hour that the system's clock showed twice counts as the later one, so that nothing looks
        older than it is. A time that it never showed becomes the time of this clock's creation.
        """
        now = end = self.now()
        for began, noted, ahead in reversed(self._periods):
            moment = unix - ahead
            if began - SLACK <= moment <= end + SLACK:
                return min(moment, now)
            end = noted
        return self.made_at

    def span(self, since: float) -> tuple[float, float]:
        """Return the earliest and the latest Unix time shown since a moment of `now`."""
        end = self.now()
        earliest, latest = math.inf, -math.inf
        for began, noted, ahead in reversed(self._periods):
            earliest = min(earliest, max(began, since) + ahead)
            latest = max(latest, end + ahead)
            if began <= since:
                break
            end = noted
        return earliest, latest + SLACK
