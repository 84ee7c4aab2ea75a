"""Pacer: lets workers send now or wait. The rate and the limits come from its controllers."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import attrs

from connectus_async.bulk.pacing.backoff import Backoff
from connectus_async.bulk.pacing.concurrency import Aimd
from connectus_async.bulk.pacing.signals import Signal
from connectus_async.bulk.pacing.throttling import Cubic, Meter
from connectus_async.bulk.pacing.token_bucket import TokenBucket
from connectus_async.errors import InvalidArgumentError


@attrs.define(eq=False)
class _Waiter:
    turn: asyncio.Future[None]
    cost: float


class Pacer:
    """Queue for permission to send: first come, first served, in one event loop.

    Pair every `try_acquire` that succeeds, and every `acquire`, with a `release` that reports the
    result.

    Args:
        max_concurrency: Maximum number of messages in flight.
        rate: Maximum cost per second; by default as much as the server bears.
        clock: Monotonic clock, in seconds.

    Raises:
        InvalidArgumentError: The concurrency is below 1, or the rate is not above 0.
    """

    LONGEST_PAUSE: Final = 30 * 86_400.0
    """Seconds; a server may ask for more, even for infinity, which no timer takes."""

    THROTTLED_SECONDS: Final = 30.0
    """Seconds after a 429 for which the lower rate is the API's: its search takes about 10."""

    GROWTH: Final = 2.0
    """Times the measured rate that there may be use for soon."""

    def __init__(
        self,
        *,
        max_concurrency: int,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._user_rate = _checked_rate(rate)
        self._bucket = TokenBucket(self._user_rate, clock()) if rate is not None else None
        self._cubic: Cubic | None = None
        self._aimd = Aimd(_checked_concurrency(max_concurrency))
        self._backoff = Backoff()
        self._meter = Meter()
        self._in_flight = 0
        self._paused_by_user = False
        self._paused_until = -math.inf
        self._pause_signal = Signal.NOTHING
        self._throttled_at = -math.inf
        self._last_throttling: tuple[float, float] | None = None
        self._waiters: deque[_Waiter] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._refresh()

    @property
    def rate(self) -> float | None:
        """Present rate limit, in cost per second; ``None`` for no limit."""
        allowed = self._allowed_rate(self._clock())
        return allowed if allowed < math.inf else None

    @property
    def user_rate(self) -> float | None:
        """The rate of `set_rate`."""
        return self._user_rate if self._user_rate < math.inf else None

    @property
    def measured_rate(self) -> float:
        """Deliveries per second, over the last one to two seconds."""
        return self._meter.rate(self._clock())

    @property
    def concurrency(self) -> int:
        """Present concurrency limit, apart from pauses and the probe after them."""
        return self._aimd.limit

    @property
    def in_flight(self) -> int:
        """Number of messages in flight."""
        return self._in_flight

    @property
    def is_paused(self) -> bool:
        """``True`` while `pause` stops all messages."""
        return self._paused_by_user

    @property
    def paused_until(self) -> float | None:
        """End of the present pause after a failure, by the clock; ``None`` if there is none."""
        return self._paused_until if self._clock() < self._paused_until else None

    @property
    def pause_for(self) -> tuple[Signal | None, float]:
        """Reason for the present pause, and the probe after it, and the seconds until it ends."""
        if not self._backoff.probing:
            return None, 0.0
        return self._pause_signal, max(0.0, self._paused_until - self._clock())

    @property
    def is_throttled(self) -> bool:
        """``True`` if 429s limit the rate, of which the last came a short while ago."""
        now = self._clock()
        is_recent = now - self._throttled_at < self.THROTTLED_SECONDS
        return is_recent and self._allowed_rate(now) < self._user_rate

    @property
    def demand(self) -> float | None:
        """Cost per second that there is use for; ``None`` if nothing but `set_rate` limits it."""
        is_of_user = self._allowed_rate(self._clock()) == self._user_rate
        if self._waiters and self._in_flight < self._limit and is_of_user:
            return None
        return self.GROWTH * self.measured_rate + 1

    def take_throttling(self) -> tuple[float, float] | None:
        """Return the last 429 that called for a pause, once.

        Returns:
            The seconds since its request was sent, and those for which the server wants no other.
        """
        found, self._last_throttling = self._last_throttling, None
        if found is None:
            return None
        (sent_at, until), now = found, self._clock()
        return now - sent_at, max(0.0, until - now)

    def slow_down(self, age: float, retry_after: float) -> None:
        """Slow down after a 429 that somebody else got, who shares the server's limit.

        Args:
            age: Seconds since its request was sent. A cut after that counts for it too.
            retry_after: Seconds for which the server wants no other request.
        """
        now = self._throttled_at = self._clock()
        if self._cubic is None:
            self._start_throttling(now)
        elif self._cubic.cut(now, age) and self._bucket:
            self._fill(self._bucket, now)
            self._bucket.empty()
        if retry_after > 0:
            self._pause_for(now, min(retry_after, self.LONGEST_PAUSE), Signal.THROTTLED)
        self._reconsider()

    def try_acquire(self, cost: float = 1) -> bool:
        """Take permission to send a message of that cost, if it is free at once.

        Args:
            cost: 1 for a rate of messages, the number of segments for a rate of segments.
        """
        if self._is_free and self._in_flight < self._limit:
            self._in_flight += 1
            return True
        if self._waiters or self._wait(cost):
            return False
        self._grant(cost)
        return True

    async def acquire(self, cost: float = 1) -> None:
        """Wait for permission to send a message of that cost, behind earlier waiters."""
        if self.try_acquire(cost):
            return
        waiter = _Waiter(asyncio.get_running_loop().create_future(), cost)
        self._waiters.append(waiter)
        self._refresh()
        self._serve()
        try:
            await waiter.turn
        except BaseException:
            self._withdraw(waiter)
            raise

    def release(
        self, signal: Signal, *, latency: float, retry_after: float | None = None, cost: float = 1
    ) -> None:
        """Return the permission after a request, and adapt to its result.

        Args:
            signal: What the end of the request says about the server.
            latency: Seconds since the request was sent.
            retry_after: Seconds that the server asks to wait.
            cost: The cost that was acquired.
        """
        if signal is Signal.SUCCESS:
            self.succeeded(latency, cost)
            return
        self._in_flight -= 1
        if signal is not Signal.NOTHING:
            self._failed(signal, self._clock(), latency, retry_after or 0.0)
        if self._waiters:
            self._serve()

    def succeeded(self, latency: float, cost: float) -> None:
        """Return the permission after a request that succeeded, as `release` does."""
        self._in_flight -= 1
        now = self._clock()
        self._meter.add(cost, now, latency)
        if self._cubic:
            self._cubic.delivered(cost, now, latency)
        answers_again = self._backoff.probing and self._backoff.counts(now, latency)
        if answers_again:
            self._backoff.end()
        if self._aimd.success(now, latency) or answers_again:
            self._refresh()
        if self._waiters:
            self._serve()

    def set_rate(self, rate: float | None) -> None:
        """Change the rate limit; ``None`` for as much as the server bears.

        Raises:
            InvalidArgumentError: The rate is not above 0.
        """
        self._user_rate = _checked_rate(rate)
        now = self._clock()
        allowed = self._allowed_rate(now)
        if allowed == math.inf:
            self._bucket = None
        elif self._bucket is None:
            self._bucket = TokenBucket(allowed, now)
            self._bucket.pause(self._paused_until)
        else:
            self._fill(self._bucket, now)
        self._reconsider()

    def set_max_concurrency(self, limit: int) -> None:
        """Change the maximum number of messages in flight.

        Raises:
            InvalidArgumentError: The limit is below 1.
        """
        self._aimd.set_most(_checked_concurrency(limit))
        self._reconsider()

    def pause(self) -> None:
        """Give no permission until `resume`; messages in flight continue."""
        self._paused_by_user = True
        self._refresh()

    def resume(self) -> None:
        """Undo `pause`."""
        self._paused_by_user = False
        self._reconsider()

    def _refresh(self) -> None:
        """Compute in advance what `try_acquire` needs, so that it stays fast."""
        self._limit = self._present_limit()
        self._is_free = (
            self._bucket is None and not self._waiters and self._paused_until == -math.inf
        )

    def _present_limit(self) -> int:
        if self._paused_by_user:
            return 0
        return 1 if self._backoff.probing else self._aimd.limit

    def _allowed_rate(self, now: float) -> float:
        return min(self._user_rate, self._cubic.rate(now)) if self._cubic else self._user_rate

    def _wait(self, cost: float) -> float:
        """Return the seconds until permission is free: 0 for now, infinity for after a release."""
        if self._in_flight >= self._limit:
            return math.inf
        now = self._clock()
        if now < self._paused_until:
            return self._paused_until - now
        self._paused_until = -math.inf
        if self._bucket is None:
            return 0.0
        self._fill(self._bucket, now)
        return self._bucket.wait(cost)

    def _fill(self, bucket: TokenBucket, now: float) -> None:
        idle = bucket.fill(now)
        if self._cubic:
            self._cubic.idle(idle)
        bucket.set_rate(self._allowed_rate(now))

    def _grant(self, cost: float) -> None:
        self._in_flight += 1
        if self._bucket:
            self._bucket.take(cost)

    def _withdraw(self, waiter: _Waiter) -> None:
        """Leave the queue, or return a permission that came too late."""
        if not waiter.turn.done() or waiter.turn.cancelled():
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        else:
            self._in_flight -= 1
            if self._bucket:
                self._bucket.give_back(waiter.cost)
        self._reconsider()

    def _reconsider(self) -> None:
        """Compute anew how long the head of the queue has to wait."""
        self._cancel_timer()
        self._refresh()
        self._serve()

    def _serve(self) -> None:
        """Give permission to those whose turn it is, and set the timer for the next."""
        while self._waiters:
            waiter = self._waiters[0]
            if not waiter.turn.done():
                wait = self._wait(waiter.cost)
                if wait:
                    self._set_timer(waiter, wait)
                    return
                self._grant(waiter.cost)
                waiter.turn.set_result(None)
            self._waiters.popleft()
        self._cancel_timer()
        self._refresh()

    def _set_timer(self, waiter: _Waiter, wait: float) -> None:
        if self._timer is None and wait < math.inf:
            self._timer = waiter.turn.get_loop().call_later(wait, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._serve()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _failed(self, signal: Signal, now: float, latency: float, retry_after: float) -> None:
        wanted = pause = min(retry_after, self.LONGEST_PAUSE)
        if self._calls_for_pause(signal, now, latency) and self._backoff.counts(now, latency):
            pause = max(pause, self._backoff.next_pause())
        if pause > 0:
            self._pause_for(now, pause, signal)
            if signal is Signal.THROTTLED:
                self._last_throttling = now - latency, now + wanted
        self._refresh()

    def _calls_for_pause(self, signal: Signal, now: float, latency: float) -> bool:
        if signal is Signal.THROTTLED:
            return self._throttled(now, latency)
        if signal is Signal.OVERLOADED:
            return self._aimd.failure(now, latency) or self._backoff.probing
        return True

    def _throttled(self, now: float, latency: float) -> bool:
        self._throttled_at = now
        if self._cubic:
            needs_pause = self._cubic.throttled(now, latency)
        else:
            self._start_throttling(now)
            needs_pause = True
        if needs_pause and self._bucket:
            self._fill(self._bucket, now)
            self._bucket.empty()
        return needs_pause

    def _start_throttling(self, now: float) -> None:
        """Take the measured rate as the first guess: too high if the server had a full bucket."""
        delivered = min(self._meter.rate(now), self._user_rate)
        if delivered > 0:
            self._cubic = Cubic(delivered, now)
            self._bucket = self._bucket or TokenBucket(self._cubic.rate(now), now)

    def _pause_for(self, now: float, seconds: float, signal: Signal) -> None:
        """Pause all messages."""
        self._pause_signal = signal
        until = self._paused_until = max(self._paused_until, now + seconds)
        if self._bucket:
            self._fill(self._bucket, now)
            self._bucket.pause(until)
        if self._cubic:
            self._cubic.pause(now, until)
        self._backoff.begin(now)


def _checked_rate(rate: float | None) -> float:
    if rate is None:
        return math.inf
    if not 0 < rate < math.inf:
        raise InvalidArgumentError("rate", "must be a number above 0, or None for no limit")
    return rate


def _checked_concurrency(limit: int) -> int:
    if limit < 1:
        raise InvalidArgumentError("max_concurrency", "must be at least 1")
    return limit
