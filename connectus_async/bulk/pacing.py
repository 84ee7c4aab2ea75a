"""How fast, and how many at a time: what the user allows, and what the server shows it can bear.

Two controllers that know nothing of each other: the rate answers to 429, the concurrency to
failures and to latency.
"""

import asyncio
import enum
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import attrs

from connectus_async.errors import InvalidArgumentError


class Signal(enum.Enum):
    """What the end of a request says about the server."""

    SUCCESS = "success"
    """A definite answer, be it yes or no: the server works."""

    THROTTLED = "throttled"
    """429: the rate is above what the server allows."""

    OVERLOADED = "overloaded"
    """A timeout, a 5xx or a lost connection: there may be more on its way than the server bears."""

    UNREACHABLE = "unreachable"
    """No connection could be had."""

    NOTHING = "nothing"
    """The request was given up, or never made."""


class TokenBucket:
    """Lets a rate pass, and a short burst above it.

    What costs more than the bucket holds passes when it is full, and leaves a debt.

    Attributes:
        rate: Tokens a second.
        tokens: What may pass at once; a debt if below 0.
    """

    BURST: Final = 0.1
    """Seconds of the rate that it holds: a timer may be late by milliseconds, not the rate."""

    ROUNDING: Final = 1e-6

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self.tokens = self.capacity
        self._filled_at = now

    @property
    def capacity(self) -> float:
        """What it holds; at least 1, which is what a message costs."""
        return max(1.0, self.rate * self.BURST)

    def fill(self, now: float) -> float:
        """Add what has come until now.

        Returns:
            The seconds for which it was full, for nobody asked for the rate.
        """
        elapsed = max(0.0, now - self._filled_at)
        self._filled_at += elapsed
        tokens = self.tokens + elapsed * self.rate
        self.tokens = min(tokens, self.capacity)
        return (tokens - self.tokens) / self.rate

    def set_rate(self, rate: float) -> None:
        """Change the rate; what had been saved up for a higher one is lost."""
        self.rate = rate
        self.tokens = min(self.tokens, self.capacity)

    def hold(self, until: float) -> None:
        """Let no more come until a moment than the one message that is sent after a pause."""
        comes = max(0.0, until - self._filled_at) * self.rate
        self.tokens = max(self.tokens, min(1.0, self.tokens + comes))
        self._filled_at = max(until, self._filled_at)

    def empty(self) -> None:
        """Let go of what has come, but not of a debt."""
        self.tokens = min(0.0, self.tokens)

    def wait(self, cost: float) -> float:
        """Tell in how many seconds a cost may pass; 0 if it may now."""
        missing = min(cost, self.capacity) - self.tokens
        return missing / self.rate if missing > self.ROUNDING else 0.0

    def take(self, cost: float) -> None:
        """Let a cost pass."""
        self.tokens -= cost

    def give_back(self, cost: float) -> None:
        """Undo a `take` of which nothing came."""
        self.tokens = min(self.tokens + cost, self.capacity)


class Meter:
    """How much is delivered a second, looking back over one to two seconds."""

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
        """What is delivered a second."""
        since, total = self._earlier_mark
        return (self._total - total) / (now - since) if now > since else 0.0


class Cubic:
    """Seeks the rate that the server allows as TCP CUBIC seeks a bandwidth.

    Cut by a 429, the rate comes back fast, lingers near the limit, and then looks for more, `t`
    seconds after the cut::

        rate(t) = limit · (1 + (1 - BETA) · (t / K - 1)³)        rate(0) = BETA · limit
        limit   = min(proven · HEADROOM, rate at the 429)        rate(K) = limit
        proven  = delivered from cut to cut / seconds from cut to cut, pauses included

    A server that counts with a token bucket has none left at either cut, so that `proven` is its
    own rate, whatever its bucket holds. One that lets nothing be saved up proves less than its
    rate, by the pauses; the headroom makes up for it.

    A 429 at a rate above `proven` is what the search looks for: the rate is cut. Below it there
    should be none. A few there are not about the rate, as when one machine of many refuses: cutting
    would not end them. So up to TOLERATED of the answers may be 429 there, and above it twice the
    share that was seen there, counted as a cumulative sum (CUSUM) that may reach PATIENCE.
    """

    BETA: Final = 0.7
    K: Final = 5.0
    """Seconds."""

    HEADROOM: Final = 1.2
    TOLERATED: Final = 0.1
    PATIENCE: Final = 4.0
    NOISE: Final = 0.01
    """The share of 429 below the proven rate from which on they are taken to come at any rate."""

    ENOUGH: Final = 100
    """Answers without which that share says little: fewer are taken for as many."""

    def __init__(self, proven: float, now: float) -> None:
        self._limit = proven
        self._paused_until = -math.inf
        self._begin(proven, now)

    def _begin(self, proven: float, now: float) -> None:
        self._proven = proven
        self._cut_at = self._counts_from = now
        self._grows_from = max(now, self._paused_until)
        self._delivered = self._excess = 0.0
        self._has_passed = False
        self._answers_below = self._throttled_below = 0

    def rate(self, now: float) -> float:
        """The present rate."""
        t = max(now, self._paused_until) - self._grows_from
        return self._limit * (1 + (1 - self.BETA) * (t / self.K - 1) ** 3)

    def idle(self, seconds: float) -> None:
        """Leave out a time in which the rate was not asked for: it proves nothing."""
        self._counts_from += seconds
        self._grows_from += seconds

    def pause(self, now: float, until: float) -> None:
        """Stay at the present rate while the server is left alone."""
        self._grows_from += max(0.0, until - max(now, self._paused_until))
        self._paused_until = max(until, self._paused_until)

    def delivered(self, cost: float, now: float, latency: float) -> None:
        """Take note of an answer other than 429."""
        self._delivered += cost
        if now - latency > self._cut_at:
            self._has_passed = self._delivered > 0
            self._count(now, throttled=False)

    def throttled(self, now: float, latency: float) -> bool:
        """Take note of a 429, and cut the rate if it is about the rate.

        Returns:
            Whether the server is to be left alone for a moment.
        """
        if now - latency <= self._cut_at or not self._has_passed:
            return True  # it still belongs to the last cut
        if not self._count(now, throttled=True):
            return False
        self._cut(now)
        return True

    def _count(self, now: float, *, throttled: bool) -> bool:
        if self.rate(now) < self._proven:
            self._answers_below += 1
            self._throttled_below += throttled
            tolerated, patience = self.TOLERATED, self.PATIENCE
        else:
            noise = self._throttled_below / max(self.ENOUGH, self._answers_below)
            tolerated, patience = 2 * noise, self.PATIENCE if noise > self.NOISE else 0.0
        self._excess = max(0.0, self._excess + throttled - tolerated)
        return self._excess > patience

    def _cut(self, now: float) -> None:
        seconds = max(now - self._counts_from, TokenBucket.ROUNDING)
        proven = min(self._delivered / seconds, self.rate(now))
        self._limit = min(proven * self.HEADROOM, self.rate(now))
        self._begin(proven, now)


class Aimd:
    """How many requests may be on their way: one more after a good window, a share fewer if not.

    A window is as many successes as there may be requests on their way, so about one latency. Its
    median says whether the server has become slow: it must be above SLOW, and TOLERANCE times the
    usual one. Without SLOW, our own queue would look like a slow server: where each request takes
    150 µs, 64 at a time take 10 ms, and fewer would gain nothing.

    A cut counts once for all that was sent before it. Latency alone never takes the last eighth of
    the most: where fewer requests do not make the answers faster, it is the server that is far or
    slow, not we who queue, and what is slow becomes the usual.

    Attributes:
        limit: The present number, from 1 to `most`.
        most: What the user allows.
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
        """Change what the user allows; a limit that was there stays there."""
        self.limit = most if self.limit == self.most else min(self.limit, most)
        self.most = most

    def success(self, now: float, latency: float) -> bool:
        """Take note of an answer; tell whether the limit may have changed."""
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
        """Take note of a failure.

        Returns:
            Whether a whole window has failed: the limit is 1, and the server is to be left alone.
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


class Backoff:
    """Pauses that double from one failure to the next, and end with a success.

    After a pause one request at a time goes out as a probe, until one succeeds.
    """

    FIRST: Final = 0.1
    LONGEST: Final = 5.0

    def __init__(self) -> None:
        self.probing = False
        self._seconds = self.FIRST
        self._began_at = -math.inf

    def counts(self, now: float, latency: float) -> bool:
        """Whether a request was sent since the last pause began."""
        return now - latency > self._began_at

    def next_pause(self) -> float:
        """How long the server is to be left alone after one more failure."""
        seconds, self._seconds = self._seconds, min(2 * self._seconds, self.LONGEST)
        return seconds

    def begin(self, now: float) -> None:
        """Begin a pause, and probe after it."""
        self.probing = True
        self._began_at = now

    def end(self) -> None:
        """Begin anew: the server answers again."""
        self.probing = False
        self._seconds = self.FIRST


@attrs.define(eq=False)
class _Waiter:
    turn: asyncio.Future[None]
    cost: float


class Pacer:
    """Says when the next message may be sent, in order of asking. For one event loop.

    Whoever got leave by `try_acquire` or `acquire` gives it back by `release` and says how it went.

    Args:
        max_concurrency: How many messages may be on their way at a time.
        rate: How much may be sent a second, in units of cost; by default all that the server bears.
        clock: Seconds that never run backwards.

    Raises:
        InvalidArgumentError: The concurrency is below 1, or the rate is not above 0.
    """

    LONGEST_PAUSE: Final = 30 * 86_400.0
    """Seconds; a server may ask for more, even for infinity, with which nothing can be reckoned."""

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
        self._waiters: deque[_Waiter] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._refresh()

    @property
    def rate(self) -> float | None:
        """What may be sent a second now, or ``None`` for no limit."""
        allowed = self._allowed_rate(self._clock())
        return allowed if allowed < math.inf else None

    @property
    def measured_rate(self) -> float:
        """What was delivered a second, over the last one or two seconds."""
        return self._meter.rate(self._clock())

    @property
    def concurrency(self) -> int:
        """How many may be on their way now, pauses and the probe after them left aside."""
        return self._aimd.limit

    @property
    def in_flight(self) -> int:
        """How many are on their way."""
        return self._in_flight

    @property
    def is_paused(self) -> bool:
        """Whether the user has paused."""
        return self._paused_by_user

    @property
    def paused_until(self) -> float | None:
        """Until when by the clock the server is left alone, or ``None`` if it is not."""
        return self._paused_until if self._clock() < self._paused_until else None

    def try_acquire(self, cost: float = 1) -> bool:
        """Get leave to send a message of that cost, if it can be had at once.

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
        """Wait for leave to send a message of that cost, behind those who wait already."""
        if self.try_acquire(cost):
            return
        waiter = _Waiter(asyncio.get_running_loop().create_future(), cost)
        self._waiters.append(waiter)
        self._refresh()
        self._serve()
        try:
            await waiter.turn
        except BaseException:
            self._leave(waiter)
            raise

    def release(
        self, signal: Signal, *, latency: float, retry_after: float | None = None, cost: float = 1
    ) -> None:
        """Give leave back when a request has ended, and learn from how it ended.

        Args:
            signal: What the end says about the server.
            latency: Seconds since the request was sent.
            retry_after: Seconds for which the server asks to be left alone.
            cost: As it was acquired.
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
        """Give leave back as `release` does, when a request has ended well."""
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
        """Change what may be sent a second; ``None`` for all that the server bears.

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
            self._bucket.hold(self._paused_until)
        else:
            self._fill(self._bucket, now)
        self._reconsider()

    def set_max_concurrency(self, limit: int) -> None:
        """Change how many messages may be on their way at a time.

        Raises:
            InvalidArgumentError: The limit is below 1.
        """
        self._aimd.set_most(_checked_concurrency(limit))
        self._reconsider()

    def pause(self) -> None:
        """Give nobody leave until `resume`; what is on its way goes on."""
        self._paused_by_user = True
        self._refresh()

    def resume(self) -> None:
        """Undo `pause`."""
        self._paused_by_user = False
        self._reconsider()

    def _refresh(self) -> None:
        """Work out what `try_acquire` needs to know, so that it need not."""
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
        """Tell in how many seconds leave can be had: 0 for now, infinity for after a release."""
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

    def _leave(self, waiter: _Waiter) -> None:
        """Leave the queue, or give back what came too late."""
        if not waiter.turn.done() or waiter.turn.cancelled():
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        else:
            self._in_flight -= 1
            if self._bucket:
                self._bucket.give_back(waiter.cost)
        self._reconsider()

    def _reconsider(self) -> None:
        """Ask anew how long the head of the queue has to wait."""
        self._cancel_timer()
        self._refresh()
        self._serve()

    def _serve(self) -> None:
        """Give leave to those whose turn it is, and set the timer for the next."""
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
        pause = min(retry_after, self.LONGEST_PAUSE)
        if self._is_to_be_left_alone(signal, now, latency) and self._backoff.counts(now, latency):
            pause = max(pause, self._backoff.next_pause())
        if pause > 0:
            self._leave_alone(now, pause)
        self._refresh()

    def _is_to_be_left_alone(self, signal: Signal, now: float, latency: float) -> bool:
        if signal is Signal.THROTTLED:
            return self._throttled(now, latency)
        if signal is Signal.OVERLOADED:
            return self._aimd.failure(now, latency) or self._backoff.probing
        return True

    def _throttled(self, now: float, latency: float) -> bool:
        if self._cubic:
            to_be_left_alone = self._cubic.throttled(now, latency)
        else:
            self._begin_to_seek(now)
            to_be_left_alone = True
        if to_be_left_alone and self._bucket:
            self._fill(self._bucket, now)
            self._bucket.empty()
        return to_be_left_alone

    def _begin_to_seek(self, now: float) -> None:
        """Take what was delivered as the first guess: too high, if the server had saved up."""
        delivered = min(self._meter.rate(now), self._user_rate)
        if delivered > 0:
            self._cubic = Cubic(delivered, now)
            self._bucket = self._bucket or TokenBucket(self._cubic.rate(now), now)

    def _leave_alone(self, now: float, seconds: float) -> None:
        """Pause for everybody."""
        until = self._paused_until = max(self._paused_until, now + seconds)
        if self._bucket:
            self._fill(self._bucket, now)
            self._bucket.hold(until)
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
