"""Pacing: as fast as the user and the server allow, in a time that passes when nobody can act."""

import asyncio
import math
import random
import selectors
from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectus_async import InvalidArgumentError
from connectus_async.bulk.pacing import Pacer, Signal
from connectus_async.emulator.faults import RateLimit

T = TypeVar("T")

MESSAGES = 10_000
WORKERS = 64
LATENCY = 0.005


class Leap(selectors.SelectSelector):
    """Passes the time at once instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None):
        if timeout is None:
            raise AssertionError("everybody waits, and nothing will come")
        self.now += max(0.0, timeout)
        return super().select(0)


class LeapingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leap = Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        return self._leap.now


def leaping(test: Callable[[], Awaitable[T]]) -> T:
    with asyncio.Runner(loop_factory=LeapingLoop, debug=False) as runner:
        return runner.run(test())


def clock() -> float:
    return asyncio.get_running_loop().time()


def pacer(most: int = WORKERS, rate: float | None = None) -> Pacer:
    return Pacer(max_concurrency=most, rate=rate, clock=asyncio.get_running_loop().time)


async def turns() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


# Servers: each tells the seconds to wait, or 0 to let a request pass.


@attrs.define
class DeepBucket:
    """A token bucket that holds more or less than the emulator's one second."""

    rate: float
    holds: float
    tokens: float = attrs.field(init=False)
    filled_at: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.tokens = self.holds

    def seconds_to_wait(self) -> int:
        self.tokens = min(self.holds, self.tokens + (clock() - self.filled_at) * self.rate)
        self.filled_at = clock()
        if self.tokens >= 1:
            self.tokens -= 1
            return 0
        return 1


@attrs.define
class FixedWindow:
    """So many each second of the clock."""

    rate: int
    second: int = -1
    passed: int = 0

    def seconds_to_wait(self) -> int:
        if self.second != int(clock()):
            self.second, self.passed = int(clock()), 0
        self.passed += 1
        return int(self.passed > self.rate)


@attrs.define
class Capricious:
    """Refuses a share of all requests, at whatever rate they come."""

    share: float
    dice: random.Random

    def seconds_to_wait(self) -> int:
        return int(self.dice.random() < self.share)


@attrs.define
class Campaign:
    """A campaign that queues again what was answered 429, and what it took."""

    left: int = MESSAGES
    requests: int = 0
    throttled: int = 0
    seconds: float = 0.0
    sent_at: list[float] = attrs.field(factory=list)

    @property
    def share_throttled(self) -> float:
        return self.throttled / self.requests

    async def run(self, pacer: Pacer, server, *, says_when: bool = True) -> "Campaign":
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WORKERS):
                tasks.create_task(self._work(pacer, server, says_when))
        assert pacer.in_flight == 0
        self.seconds = clock()
        return self

    async def _work(self, pacer: Pacer, server, says_when: bool) -> None:
        while self.left:
            self.left -= 1
            while not await self._is_sent(pacer, server, says_when):
                pass

    async def _is_sent(self, pacer: Pacer, server, says_when: bool) -> bool:
        if not pacer.try_acquire():
            await pacer.acquire()
        self.requests += 1
        self.sent_at.append(clock())
        await asyncio.sleep(LATENCY / 2)
        seconds = server.seconds_to_wait()
        await asyncio.sleep(LATENCY / 2)
        if not seconds:
            pacer.release(Signal.SUCCESS, latency=LATENCY)
            return True
        self.throttled += 1
        retry_after = seconds if says_when else None
        pacer.release(Signal.THROTTLED, latency=LATENCY, retry_after=retry_after)
        return False


# The rate.


@pytest.mark.parametrize("says_when", [True, False], ids=["Retry-After", "no Retry-After"])
@pytest.mark.parametrize("limit", [20, 200, 2_000])
def test_a_limit_that_nobody_told_is_found_and_used(limit: int, says_when: bool):
    """10,000 messages take at most 15 % more than the ideal time, with under 2 % of 429."""

    async def campaign() -> Campaign:
        server = RateLimit(limit, timer=clock)
        return await Campaign().run(pacer(), server, says_when=says_when)

    done = leaping(campaign)
    assert done.seconds <= 1.15 * MESSAGES / limit
    assert done.share_throttled < 0.02


@pytest.mark.parametrize("says_when", [True, False], ids=["Retry-After", "no Retry-After"])
@pytest.mark.parametrize(
    "server",
    [
        lambda: DeepBucket(200, holds=2_000),
        lambda: DeepBucket(200, holds=1),
        lambda: FixedWindow(200),
    ],
    ids=["ten seconds saved up", "nothing saved up", "by the second of the clock"],
)
def test_servers_that_count_otherwise_are_paced_too(server, says_when: bool):
    """They cost some time, and neither storms of 429 nor a crawl."""

    async def campaign() -> Campaign:
        return await Campaign(left=5_000).run(pacer(), server(), says_when=says_when)

    done = leaping(campaign)
    assert done.seconds <= 1.6 * 5_000 / 200
    assert done.share_throttled < 0.03


@attrs.define
class Shared:
    """What several senders tell each other twice a second of the last 429."""

    sent_at: float = -math.inf
    until: float = -math.inf

    async def attend(self, pacer: Pacer, first_after: float) -> None:
        heard = -math.inf
        await asyncio.sleep(first_after)
        while True:
            if (own := pacer.take_throttling()) is not None:
                age, retry_after = own
                self.sent_at = max(self.sent_at, clock() - age)
                self.until = max(self.until, clock() + retry_after)
            elif self.sent_at > heard:
                pacer.slow_down(clock() - self.sent_at, max(0.0, self.until - clock()))
            heard = self.sent_at
            await asyncio.sleep(0.5)


@pytest.mark.parametrize("says_when", [True, False], ids=["Retry-After", "no Retry-After"])
@pytest.mark.parametrize(
    "server",
    [lambda: RateLimit(200, timer=clock), lambda: FixedWindow(200)],
    ids=["a bucket", "by the second of the clock"],
)
def test_several_who_tell_each_other_of_429_get_no_more_and_lose_little(server, says_when: bool):
    """Each slows down at once and once, and all come back together."""

    async def campaigns(*, tell: bool) -> list[Campaign]:
        shared, served = Shared(), server()
        pacers = [pacer() for _ in range(4)]
        attending = [
            asyncio.create_task(shared.attend(one, place / 10))
            for place, one in enumerate(pacers if tell else ())
        ]
        done = await asyncio.gather(
            *(Campaign(left=1_500).run(one, served, says_when=says_when) for one in pacers)
        )
        for task in attending:
            task.cancel()
        await asyncio.gather(*attending, return_exceptions=True)
        return done

    alone, together = (leaping(lambda tell=tell: campaigns(tell=tell)) for tell in (False, True))
    throttled = [sum(one.throttled for one in done) for done in (alone, together)]
    assert throttled[1] <= 1.1 * throttled[0]
    assert max(one.seconds for one in together) <= 1.8 * 6_000 / 200


def test_a_429_of_somebody_else_cuts_the_rate_once():
    """The same, and what was sent before the cut was over, belong to that cut."""

    async def campaign() -> None:
        paced = pacer()
        for _ in range(100):
            await paced.acquire()
            await asyncio.sleep(0.01)
            paced.release(Signal.SUCCESS, latency=0.01)
        assert paced.rate is None
        paced.slow_down(0.2, 0.0)
        first = paced.rate
        assert first == pytest.approx(70, rel=0.1)
        paced.slow_down(0.2, 0.0)
        assert paced.rate == first
        await paced.acquire()
        await asyncio.sleep(0.01)
        paced.release(Signal.SUCCESS, latency=0.005)
        paced.slow_down(0.1, 0.0)
        assert paced.rate >= first
        await asyncio.sleep(1)
        before = paced.rate
        paced.slow_down(0.1, 0.0)
        assert paced.rate < before

    leaping(campaign)


def test_all_wait_for_as_long_as_somebody_else_was_told_to():
    """Nothing leaves until then, and then a probe."""

    async def campaign() -> None:
        paced = pacer()
        paced.slow_down(0.0, 30.0)
        assert paced.paused_until == 30
        await paced.acquire()
        assert clock() == 30
        assert not paced.try_acquire()
        paced.release(Signal.SUCCESS, latency=0.0)

    leaping(campaign)


def test_a_429_is_told_once():
    """With its age, and for how long the server wants nothing more."""

    async def campaign() -> None:
        paced = pacer()
        assert paced.take_throttling() is None
        await paced.acquire()
        paced.release(Signal.THROTTLED, latency=2.0, retry_after=30.0)
        await asyncio.sleep(1)
        assert paced.take_throttling() == (3.0, 29.0)
        assert paced.take_throttling() is None

    leaping(campaign)


def test_the_demand_is_all_or_about_what_was_delivered():
    """All, if nothing but the rate of the user holds messages back."""

    async def campaign() -> None:
        paced = pacer(most=1, rate=10)
        assert paced.demand == 1
        for _ in range(30):
            await paced.acquire()
            await asyncio.sleep(0.2)
            paced.release(Signal.SUCCESS, latency=0.2)
        assert 10 < paced.demand < 13
        await paced.acquire()
        waiting = asyncio.create_task(paced.acquire())
        await turns()
        assert paced.demand is not None
        paced.set_max_concurrency(2)
        paced.set_rate(0.01)
        waiting.cancel()
        waiting = asyncio.create_task(paced.acquire(5))
        await turns()
        assert paced.demand is None
        waiting.cancel()
        paced.release(Signal.NOTHING, latency=0)

    leaping(campaign)


@pytest.mark.parametrize("seed", range(4))
def test_throttling_that_is_not_about_the_rate_does_not_stop_the_campaign(seed: int):
    """One of twenty is refused at any rate, and slowing down would only make it last longer."""

    async def campaign() -> Campaign:
        server = Capricious(0.05, random.Random(seed))
        return await Campaign(left=5_000).run(pacer(), server, says_when=False)

    assert leaping(campaign).seconds < 20


def test_the_users_rate_is_kept():
    """No second sees more than the rate and the burst of a tenth of it."""

    async def campaign() -> Campaign:
        return await Campaign(left=1_000).run(pacer(rate=100), DeepBucket(1e6, holds=1e6))

    done = leaping(campaign)
    assert 9.9 <= done.seconds <= 10.1
    for index in range(len(done.sent_at) - 111):
        assert done.sent_at[index + 111] - done.sent_at[index] >= 1


def test_the_users_rate_is_kept_after_a_429_too():
    """The search for what the server allows ends at what the user allows."""

    async def campaign() -> list[float]:
        slow = pacer(rate=100)
        await Campaign(left=500).run(slow, RateLimit(50, timer=clock))
        campaign = await Campaign(left=5_000).run(slow, DeepBucket(1e6, holds=1e6))
        assert slow.rate == 100
        return campaign.sent_at

    sent_at = leaping(campaign)
    for index in range(len(sent_at) - 111):
        assert sent_at[index + 111] - sent_at[index] >= 1


def test_the_rate_can_be_changed_under_those_who_wait():
    """A lower or higher rate, or none, counts at once."""

    async def test() -> None:
        paced = pacer(rate=0.01)
        await paced.acquire()
        first, second = (asyncio.create_task(paced.acquire()) for _ in range(2))
        await turns()
        paced.set_rate(2)
        await first
        assert clock() == pytest.approx(0.5)
        paced.set_rate(None)
        await second
        assert clock() == pytest.approx(0.5)
        assert paced.rate is None
        paced.set_rate(5)
        assert paced.rate == 5

    leaping(test)


def test_what_was_saved_up_for_a_high_rate_is_not_spent_at_a_low_one():
    """Neither is it when there was no rate before."""

    async def test() -> None:
        for before in (1_000, None):
            paced = pacer(most=100, rate=before)
            await asyncio.sleep(10)
            paced.set_rate(10)
            assert sum(paced.try_acquire() for _ in range(100)) == 1

    leaping(test)


def test_messages_that_cost_nothing_are_paced_by_pauses_alone():
    """There is no rate to cut."""

    async def test() -> None:
        paced = pacer()
        for _ in range(3):
            await paced.acquire(cost=0)
            await asyncio.sleep(0.01)
            paced.release(Signal.SUCCESS, latency=0.01, cost=0)
            await paced.acquire(cost=0)
            await asyncio.sleep(0.01)
            paced.release(Signal.THROTTLED, latency=0.01, cost=0, retry_after=2)
        assert paced.rate is None
        assert clock() == pytest.approx(4.06)

    leaping(test)


def test_a_message_may_cost_more_than_a_burst():
    """Segments count: ten messages of five at ten a second take the time of fifty."""

    async def test() -> None:
        paced = pacer(rate=10)
        for _ in range(10):
            await paced.acquire(cost=5)
            paced.release(Signal.SUCCESS, latency=0, cost=5)
        await paced.acquire(cost=1)
        assert clock() == pytest.approx(5, abs=0.2)

    leaping(test)


def test_time_in_which_nothing_is_sent_proves_nothing():
    """A night between two halves of a campaign neither raises nor lowers the rate."""

    async def test() -> None:
        paced = pacer()
        await Campaign(left=2_000).run(paced, RateLimit(200, timer=clock))
        before = paced.rate
        await asyncio.sleep(30_000)
        await Campaign(left=1).run(paced, RateLimit(200, timer=clock))
        assert paced.rate == pytest.approx(before, rel=0.1)
        half = await Campaign(left=2_000).run(paced, RateLimit(200, timer=clock))
        assert half.share_throttled < 0.02
        assert paced.rate >= 100

    leaping(test)


def test_the_delivered_rate_is_measured():
    """It is that of the last second or two, and falls when nothing comes any more."""

    async def test() -> None:
        paced = pacer(rate=100)
        assert paced.measured_rate == 0
        await Campaign(left=1_000).run(paced, DeepBucket(1e6, holds=1e6))
        assert paced.measured_rate == pytest.approx(100, rel=0.05)
        await asyncio.sleep(100)
        assert paced.measured_rate < 2

    leaping(test)


# Pauses.


def test_all_wait_for_as_long_as_the_server_asks():
    """The pause is shared, and ends with one probe: the others follow when it has succeeded."""

    async def test() -> None:
        paced = pacer(most=8)
        for _ in range(4):
            assert paced.try_acquire()
        await asyncio.sleep(1)
        paced.release(Signal.SUCCESS, latency=1)
        paced.release(Signal.THROTTLED, latency=1, retry_after=3)
        assert (paced.paused_until, paced.is_paused) == (4, False)
        assert not paced.try_acquire()
        paced.release(Signal.NOTHING, latency=1)
        paced.release(Signal.NOTHING, latency=1)

        await paced.acquire()
        assert clock() == pytest.approx(4)
        assert paced.paused_until is None
        await asyncio.sleep(10)
        assert not paced.try_acquire()
        paced.release(Signal.SUCCESS, latency=10)
        assert paced.try_acquire()

    leaping(test)


def test_an_unreachable_server_is_probed_ever_more_rarely():
    """0.1 s, doubling to 5 s, one request at a time; a success ends it."""

    async def test() -> None:
        paced = pacer()
        began, waited = [], []
        for _ in range(8):
            began.append(clock())
            await paced.acquire()
            waited.append(round(clock() - began[-1], 3))
            assert not paced.try_acquire() or len(waited) == 1
            await asyncio.sleep(0.01)
            if len(waited) == 1:
                paced.release(Signal.UNREACHABLE, latency=0.01)
            paced.release(Signal.UNREACHABLE, latency=0.01)
        assert waited == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5]

        await paced.acquire()
        await asyncio.sleep(0.01)
        paced.release(Signal.SUCCESS, latency=0.01)
        assert sum(paced.try_acquire() for _ in range(100)) == WORKERS
        await asyncio.sleep(0.01)
        paced.release(Signal.UNREACHABLE, latency=0.01)
        assert paced.paused_until == pytest.approx(clock() + 0.1)

    leaping(test)


@pytest.mark.parametrize("retry_after", [1e6, math.inf])
def test_a_pause_of_days_is_borne(retry_after: float):
    """What the server asks for is done, up to a month: the user sees it and may give up."""

    async def test() -> None:
        paced = pacer()
        await Campaign(left=500).run(paced, RateLimit(200, timer=clock))
        await paced.acquire()
        began = clock()
        paced.release(Signal.THROTTLED, latency=0.1, retry_after=retry_after)
        waiting = asyncio.create_task(paced.acquire())
        await asyncio.sleep(9e5)
        assert not waiting.done()
        assert paced.paused_until == pytest.approx(began + min(retry_after, 30 * 86_400))
        rate = paced.rate
        await waiting
        assert clock() == pytest.approx(began + min(retry_after, 30 * 86_400))
        assert paced.rate == pytest.approx(rate)

    leaping(test)


def test_the_user_can_pause():
    """Nobody gets leave until it is resumed, and then all who waited do, in their order."""

    async def test() -> None:
        paced = pacer(most=2)
        paced.pause()
        assert paced.is_paused
        assert not paced.try_acquire()
        waiting = [asyncio.create_task(paced.acquire()) for _ in range(3)]
        await asyncio.sleep(100)
        assert paced.in_flight == 0
        paced.resume()
        await turns()
        assert [task.done() for task in waiting] == [True, True, False]
        paced.release(Signal.NOTHING, latency=0)
        await waiting[2]

    leaping(test)


# The concurrency.


async def concurrency_over(seconds: int, paced: Pacer, latency: Callable[[], float]) -> list[int]:
    """Send all the time, and look at the limit each second."""

    async def work() -> None:
        while True:
            if not paced.try_acquire():
                await paced.acquire()
            seconds = latency()
            await asyncio.sleep(seconds)
            paced.release(Signal.SUCCESS, latency=seconds)

    workers = [asyncio.create_task(work()) for _ in range(WORKERS)]
    seen = []
    for _ in range(seconds):
        await asyncio.sleep(1)
        seen.append(paced.concurrency)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    return seen


@attrs.define
class Queue:
    """A server that does one request after the other."""

    seconds_each: Callable[[], float]
    free_at: float = 0.0

    def latency(self) -> float:
        self.free_at = max(self.free_at, clock()) + self.seconds_each()
        return self.free_at - clock()


def test_the_concurrency_follows_a_server_that_slows_down_and_recovers():
    """Sixty-four at a time take 20 ms, then 2 s, then 20 ms again."""

    async def test() -> list[int]:
        queue = Queue(lambda: 2 / WORKERS if 5 <= clock() < 45 else 0.02 / WORKERS)
        return await concurrency_over(60, pacer(), queue.latency)

    seen = leaping(test)
    assert set(seen[:5]) == {WORKERS}
    assert all(limit < WORKERS / 2 for limit in seen[20:45])
    assert min(seen) >= WORKERS // 8
    assert set(seen[50:]) == {WORKERS}


def test_a_server_that_is_merely_far_away_is_not_punished_for_ever():
    """Where fewer at a time are not answered faster, the latency is taken for the usual one."""

    async def test() -> list[int]:
        return await concurrency_over(200, pacer(), lambda: 1.0 if clock() >= 5 else 0.02)

    seen = leaping(test)
    assert min(seen) == WORKERS // 8
    assert seen[-1] == WORKERS


def test_a_fast_server_gets_all_that_is_allowed():
    """Our own queue in front of it, 10 ms here, is no reason for fewer."""

    async def test() -> list[int]:
        queue = Queue(lambda: 150e-6)
        return await concurrency_over(5, pacer(), queue.latency)

    assert set(leaping(test)) == {WORKERS}


def test_failures_of_one_window_count_once():
    """What was sent before a cut says nothing about it."""

    async def test() -> None:
        paced = pacer()
        for _ in range(20):
            paced.try_acquire()
        await asyncio.sleep(1)
        for _ in range(5):
            paced.release(Signal.OVERLOADED, latency=1)
        assert paced.concurrency == int(WORKERS * 0.7)
        paced.release(Signal.SUCCESS, latency=1)
        await asyncio.sleep(1)
        paced.release(Signal.OVERLOADED, latency=0.5)
        assert paced.concurrency == int(int(WORKERS * 0.7) * 0.7)

    leaping(test)


def test_a_server_that_fails_now_and_then_is_not_left_alone():
    """As long as there are answers between the failures, fewer at a time are enough."""

    async def test() -> None:
        paced = pacer()
        for _ in range(100):
            for signal in (Signal.OVERLOADED, Signal.SUCCESS):
                assert paced.try_acquire()
                await asyncio.sleep(0.01)
                paced.release(signal, latency=0.005)
        assert paced.concurrency == 1

    leaping(test)


def test_a_server_that_fails_all_is_left_alone_but_for_a_probe():
    """A broken server must not turn the whole campaign into unknowns."""

    async def test() -> int:
        paced = pacer()
        requests = 0
        while clock() < 60:
            await paced.acquire()
            requests += 1
            await asyncio.sleep(0.01)
            paced.release(Signal.OVERLOADED, latency=0.01)
        assert paced.concurrency == 1
        return requests

    assert leaping(test) < 30


def test_after_failures_the_limit_grows_back():
    """By one for each window that went well."""

    async def test() -> list[int]:
        paced = pacer()
        for _ in range(WORKERS):
            assert paced.try_acquire()
        await asyncio.sleep(1)
        for _ in range(WORKERS):
            paced.release(Signal.OVERLOADED, latency=1)
        assert paced.concurrency == 1
        return await concurrency_over(5, paced, lambda: 0.01)

    seen = leaping(test)
    assert seen == sorted(seen)
    assert seen[-1] == WORKERS


def test_the_most_can_be_changed():
    """More is used at once, by those who wait too; fewer as what is on its way ends."""

    async def test() -> None:
        paced = pacer(most=1)
        assert paced.try_acquire()
        waiting = asyncio.create_task(paced.acquire())
        await turns()
        assert not waiting.done()
        paced.set_max_concurrency(3)
        await waiting
        assert paced.try_acquire()
        paced.set_max_concurrency(2)
        assert (paced.concurrency, paced.in_flight) == (2, 3)
        paced.release(Signal.NOTHING, latency=0)
        assert not paced.try_acquire()
        paced.release(Signal.NOTHING, latency=0)
        assert paced.try_acquire()

    leaping(test)


# The queue.


def test_whoever_came_first_is_served_first():
    """Nobody overtakes those who wait, though leave be free for a moment."""

    async def test() -> None:
        paced = pacer(most=1)
        assert paced.try_acquire()
        waiting = [asyncio.create_task(paced.acquire()) for _ in range(3)]
        await turns()
        for task in waiting:
            paced.release(Signal.SUCCESS, latency=0)
            assert not paced.try_acquire()
            await task

    leaping(test)


def test_a_cheap_message_does_not_overtake_a_dear_one():
    """The dear one would never be sent while there are cheap ones."""

    async def test() -> None:
        paced = pacer(rate=100)
        await paced.acquire(cost=8)
        dear = asyncio.create_task(paced.acquire(cost=8))
        await turns()
        assert not paced.try_acquire(cost=1)
        await dear
        assert clock() == pytest.approx(0.06)
        assert paced.try_acquire(cost=0)

    leaping(test)


def test_a_cancelled_waiter_takes_nothing_with_it():
    """Neither one that waits, nor one that got leave in the moment of its cancellation."""

    async def test() -> None:
        paced = pacer(most=1, rate=1)
        await paced.acquire()
        first, second, third = (asyncio.create_task(paced.acquire()) for _ in range(3))
        await turns()
        first.cancel()
        await turns()
        await asyncio.sleep(5)
        paced.release(Signal.SUCCESS, latency=0)
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        assert first.cancelled()
        assert second.cancelled()
        await third
        assert clock() == 5
        assert paced.in_flight == 1

    leaping(test)


def test_no_timer_is_left_when_nobody_waits():
    """A pacer that is not used any more keeps no loop awake."""

    async def test() -> None:
        paced = pacer(rate=0.001)
        await paced.acquire()
        waiting = asyncio.create_task(paced.acquire())
        await turns()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert all(timer.cancelled() for timer in asyncio.get_running_loop()._scheduled)

    leaping(test)


@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf])
def test_a_rate_must_be_above_0(rate: float):
    """No rate at all is None."""
    with pytest.raises(InvalidArgumentError, match=r"^rate: must be a number above 0"):
        Pacer(max_concurrency=1, rate=rate)
    with pytest.raises(InvalidArgumentError, match=r"^rate: must be a number above 0"):
        Pacer(max_concurrency=1).set_rate(rate)


def test_one_message_must_be_allowed_at_a_time():
    """To send none there is pause."""
    with pytest.raises(InvalidArgumentError, match=r"^max_concurrency: must be at least 1"):
        Pacer(max_concurrency=0)
    with pytest.raises(InvalidArgumentError, match=r"^max_concurrency: must be at least 1"):
        Pacer(max_concurrency=1).set_max_concurrency(0)


# Whatever happens.

COSTS = st.sampled_from([1, 1, 2, 7])
WHICH = st.integers(0, 20)
STEPS = st.one_of(
    st.tuples(st.just("acquire"), COSTS),
    st.tuples(st.just("acquire"), COSTS),
    st.tuples(st.just("try_acquire"), COSTS),
    st.tuples(st.just("cancel"), WHICH),
    st.tuples(
        st.just("release"),
        WHICH,
        st.sampled_from([Signal.SUCCESS, *Signal]),
        st.sampled_from([None, None, 0, 1, 30]),
    ),
    st.tuples(st.just("pass_time"), st.floats(0, 10)),
    st.tuples(st.just("set_rate"), st.sampled_from([None, 0.5, 3, 100])),
    st.tuples(st.just("set_max_concurrency"), st.integers(1, 6)),
    st.tuples(st.just("pause")),
    st.tuples(st.just("resume")),
)


class WatchedPacer(Pacer):
    def _grant(self, cost: float) -> None:
        assert self.in_flight < self.concurrency
        assert not self.is_paused
        assert self.paused_until is None
        super()._grant(cost)
        assert self._bucket is None or self._bucket.tokens >= -cost


class Users:
    """Those who ask for leave, and what they know about it."""

    def __init__(self, most: int) -> None:
        self.pacer = WatchedPacer(max_concurrency=most, clock=asyncio.get_running_loop().time)
        self.asked: list[asyncio.Task[None]] = []
        self.waiting: list[asyncio.Task[None]] = []
        self.holding: list[tuple[float, float]] = []
        self.served: list[int] = []

    async def step(self, name: str, *arguments) -> None:
        await getattr(self, name, self._on_pacer(name))(*arguments)
        await turns()
        self.waiting = [task for task in self.waiting if not task.done()]
        assert self.pacer.in_flight == len(self.holding)
        assert self.served == sorted(self.served)
        assert self.pacer.rate is None or self.pacer.rate > 0

    def _on_pacer(self, name: str):
        async def call(*arguments) -> None:
            getattr(self.pacer, name)(*arguments)

        return call

    async def acquire(self, cost: float) -> None:
        task = asyncio.create_task(self._wait(len(self.asked), cost))
        self.asked.append(task)
        self.waiting.append(task)

    async def _wait(self, number: int, cost: float) -> None:
        await self.pacer.acquire(cost)
        self.served.append(number)
        self.holding.append((clock(), cost))

    async def try_acquire(self, cost: float) -> None:
        if self.pacer.try_acquire(cost):
            assert not self.waiting
            self.holding.append((clock(), cost))

    async def cancel(self, which: int) -> None:
        if self.waiting:
            self.waiting[which % len(self.waiting)].cancel()

    async def release(self, which: int, signal: Signal, retry_after: float | None) -> None:
        if self.holding:
            since, cost = self.holding.pop(which % len(self.holding))
            latency = clock() - since
            if self.waiting and which % 3 == 0:
                self.waiting[0].cancel()  # so that its turn comes before it has noticed
            self.pacer.release(signal, latency=latency, retry_after=retry_after, cost=cost)
            if self.waiting and which % 2:
                self.waiting[0].cancel()  # in the moment in which it may have got leave

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def end(self) -> None:
        await self.step("resume")
        while self.waiting or self.holding:
            for _ in range(len(self.holding)):
                await self.step("release", 0, Signal.SUCCESS, None)
            await self.step("pass_time", 1)


@settings(max_examples=150)
@given(most=st.integers(1, 6), steps=st.lists(STEPS, max_size=60))
def test_whatever_happens_leave_is_neither_lost_nor_given_twice(most: int, steps: list[tuple]):
    """The limits hold, those who wait are served in their order, and all of them in the end."""

    async def test() -> None:
        users = Users(most)
        for step in steps:
            await users.step(*step)
        await asyncio.wait_for(users.end(), 1e6)
        assert users.pacer.in_flight == 0
        assert all(task.done() for task in users.asked)

    leaping(test)
