"""Concurrency limit: the number of requests in flight that the server bears."""

import math
from typing import Final


class Aimd:
    """Concurrency limit by additive increase and multiplicative decrease.

    A window is as many successes as the limit, so about one latency long. The limit rises by one
    after a good window and is cut after a slow one. A window is slow if its median latency is above
    SLOW and above TOLERANCE times the usual one. Without SLOW, our own queue would look like a slow
    server: where each request takes 150 µs, 64 at a time take 10 ms, and fewer would gain nothing.

    A cut counts once for all requests sent before it. Latency alone never cuts below an eighth of
    the maximum: where fewer requests do not make the answers faster, the server is far or slow, and
    its latency becomes the usual one.

    Attributes:
        limit: The present limit, from 1 to `most`.
        most: The maximum that the user allows.
    """

    BACKOFF: Final = 0.7
    SLOW: Final = 0.25
    """Seconds."""

    TOLERANCE: Final = 2.0
    SHORTEST_WINDOW: Final = 8

    def __init__(self, most: int) -> None:
        self.limit = self.most = most
        self._usual = math.inf
        self._latencies: list[float] = []
        self._failures_in_a_row = 0
        self._cut_at = -math.inf

    def set_most(self, most: int) -> None:
        """Change the maximum; a limit that was at the maximum stays there."""
        self.limit = most if self.limit == self.most else min(self.limit, most)
        self.most = most

    def success(self, now: float, latency: float) -> bool:
        """Record an answer.

        Returns:
            Whether the limit may have changed.
        """
        self._failures_in_a_row = 0
        if now - latency <= self._cut_at:
            return False
        latencies = self._latencies
        latencies.append(latency)
        if len(latencies) < self.limit or len(latencies) < self.SHORTEST_WINDOW:
            return False
        self._judge(now, sorted(latencies)[len(latencies) // 2])
        latencies.clear()
        return True

    def _judge(self, now: float, median: float) -> None:
        self._usual = min(self._usual, median)
        least = max(1, self.most // 8)
        if median <= max(self.SLOW, self.TOLERANCE * self._usual):
            self.limit = min(self.limit + 1, self.most)
        elif self.limit > least:
            self._cut(now, least)
        else:
            self._usual = median

    def failure(self, now: float, latency: float) -> bool:
        """Record a failure.

        Returns:
            Whether a whole window has failed: the limit is 1, and a pause is called for.
        """
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= max(self.limit, self.SHORTEST_WINDOW):
            self.limit = 1
            return True
        if now - latency > self._cut_at:
            self._cut(now, 1)
        return False

    def _cut(self, now: float, least: int) -> None:
        self.limit = max(least, int(self.limit * self.BACKOFF))
        self._cut_at = now
        self._latencies.clear()
