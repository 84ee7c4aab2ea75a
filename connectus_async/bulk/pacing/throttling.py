"""Throttling: the rate after a 429. It neither waits nor reads a clock."""

import math
from typing import Final

from connectus_async.bulk.pacing.token_bucket import TokenBucket


class Meter:
    """Measured rate of deliveries, over the last one to two seconds."""

    SECONDS: Final = 1.0

    def __init__(self) -> None:
        self._total = 0.0
        self._mark = self._earlier_mark = (-math.inf, 0.0)
        self._next_mark_at = -math.inf

    def add(self, cost: float, now: float, latency: float) -> None:
        """Count a delivery."""
        if now >= self._next_mark_at:
            self._set_mark(now, latency)
        self._total += cost

    def _set_mark(self, now: float, latency: float) -> None:
        if now - self._next_mark_at < self.SECONDS:
            self._earlier_mark, self._mark = self._mark, (now, self._total)
        else:  # the first delivery, or the first after a break
            self._earlier_mark = self._mark = (now - latency, self._total)
        self._next_mark_at = now + self.SECONDS

    def rate(self, now: float) -> float:
        """Return the deliveries per second."""
        since, total = self._earlier_mark
        return (self._total - total) / (now - since) if now > since else 0.0


class Cubic:
    """Search for the rate that the server allows, as TCP CUBIC searches for a bandwidth.

    A 429 cuts the rate. It comes back fast, lingers near the limit, and then probes for more, `t`
    seconds after the cut::

        rate(t) = limit · (1 + (1 - BETA) · (t / K - 1)³)        rate(0) = BETA · limit
        limit   = min(proven · HEADROOM, rate at the 429)        rate(K) = limit
        proven  = delivered from cut to cut / seconds from cut to cut, pauses included

    A server that counts with a token bucket has no tokens left at either cut, so `proven` is its
    own rate, whatever its bucket holds. A server without a bucket proves less than its rate, by the
    pauses; the headroom makes up for it.

    A 429 at a rate above `proven` is what the search looks for: the rate is cut. Below `proven`
    there should be none. A few there are not about the rate, as when one machine of many refuses: a
    cut would not end them. So up to TOLERATED of the answers may be 429 below `proven`, and above
    it twice the share seen below. Both are counted as a cumulative sum (CUSUM) that may reach
    THRESHOLD.
    """

    BETA: Final = 0.7
    K: Final = 5.0
    """Seconds."""

    HEADROOM: Final = 1.2
    TOLERATED: Final = 0.1
    THRESHOLD: Final = 4.0
    NOISE: Final = 0.01
    """Share of 429 below the proven rate from which on they are taken to come at any rate."""

    ENOUGH: Final = 100
    """Least number of answers by which that share is computed."""

    def __init__(self, proven: float, now: float) -> None:
        self._limit = proven
        self._paused_until = -math.inf
        self._start(proven, now)

    def _start(self, proven: float, now: float) -> None:
        self._proven = proven
        self._cut_at = self._counts_from = now
        self._grows_from = max(now, self._paused_until)
        self._delivered = self._excess = 0.0
        self._has_passed, self._passed_at = False, now
        self._answers_below = self._throttled_below = 0

    def rate(self, now: float) -> float:
        """Return the present rate."""
        t = max(now, self._paused_until) - self._grows_from
        return self._limit * (1 + (1 - self.BETA) * (t / self.K - 1) ** 3)

    def idle(self, seconds: float) -> None:
        """Leave out seconds in which the rate was not used: they prove nothing."""
        self._counts_from += seconds
        self._grows_from += seconds

    def pause(self, now: float, until: float) -> None:
        """Keep the present rate during a pause."""
        self._grows_from += max(0.0, until - max(now, self._paused_until))
        self._paused_until = max(until, self._paused_until)

    def delivered(self, cost: float, now: float, latency: float) -> None:
        """Record an answer other than 429."""
        self._delivered += cost
        if now - latency > self._cut_at:
            if not self._has_passed:
                self._has_passed, self._passed_at = self._delivered > 0, now
            self._count(now, throttled=False)

    def throttled(self, now: float, latency: float) -> bool:
        """Record a 429, and cut the rate if the 429 is about the rate.

        Returns:
            Whether the 429 calls for a pause.
        """
        if now - latency <= self._cut_at or not self._has_passed:
            return True  # it still belongs to the last cut
        if not self._count(now, throttled=True):
            return False
        self._cut(now)
        return True

    def cut(self, now: float, age: float) -> bool:
        """Cut the rate for a 429 of somebody else, unless it still belongs to the last cut.

        Returns:
            Whether the rate was cut.
        """
        if not self._has_passed or now - age <= self._passed_at:
            return False
        self._cut(now)
        return True

    def _count(self, now: float, *, throttled: bool) -> bool:
        if self.rate(now) < self._proven:
            self._answers_below += 1
            self._throttled_below += throttled
            tolerated, threshold = self.TOLERATED, self.THRESHOLD
        else:
            noise = self._throttled_below / max(self.ENOUGH, self._answers_below)
            tolerated, threshold = 2 * noise, self.THRESHOLD if noise > self.NOISE else 0.0
        self._excess = max(0.0, self._excess + throttled - tolerated)
        return self._excess > threshold

    def _cut(self, now: float) -> None:
        seconds = max(now - self._counts_from, TokenBucket.ROUNDING)
        proven = min(self._delivered / seconds, self.rate(now))
        self._limit = min(proven * self.HEADROOM, self.rate(now))
        self._start(proven, now)
