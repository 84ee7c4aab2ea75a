"""Adaptation of the bulk sender to the pace of a server, without a rate.

Two campaigns are sent, each to an emulator in its own process:

- ``throttled``: it allows 200 requests per second, and responds with 429 beyond that. The benchmark
  prints the time compared with the minimum, and the share of 429 responses.
- ``slowed``: it processes 16 requests at a time, 40 ms each; after 10 seconds they take 400 ms, and
  after 25 seconds 40 ms again. The benchmark prints how far the concurrency falls, the effect on
  the latency, and the time to recover.

The progress of the sender (`Bulk.watch`) and the load of the server are plotted over time. Run from
the top of the repository; it takes two minutes:

    python -m benchmarks.pacing [--only throttled slowed] [--messages 10000] [--rate 200]
        [--out FOLDER]
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs

from benchmarks import figures
from benchmarks.limited import Script, limited
from connectus_async import AsyncConnectus, Sms

CASES = ("throttled", "slowed")
MESSAGES = 10_000
RATE = 200
CONCURRENCY = 64
SAMPLE = 0.1
FIRST_NUMBER = 56_960_000_000
TEXT = "Hola, tu pedido va en camino."
USUAL, SLOW = 0.04, 0.4
SLOW_FROM, SLOW_UNTIL = 10.0, 25.0
SCRIPT: Script = ((0, USUAL), (SLOW_FROM, SLOW), (SLOW_UNTIL, USUAL))
SETTLED = 5.0
"""Seconds that a change of the server may take to show everywhere."""


@attrs.frozen
class Sample:
    """What the sender told at one moment.

    Attributes:
        at: Seconds after the first request.
        rate: Messages that were delivered a second.
        rate_limit: How many may be, or ``None``.
        concurrency: How many may be on their way.
        in_flight: How many are.
    """

    at: float
    rate: float
    rate_limit: float | None
    concurrency: int
    in_flight: int


@attrs.frozen
class Course:
    """One campaign.

    Attributes:
        messages: How many messages were sent.
        seconds: How long it took.
        samples: What the sender told.
        server: What the server saw; see `limited.Watch.seen`.
    """

    messages: int
    seconds: float
    samples: list[Sample]
    server: dict[str, Any]

    @property
    def throttled(self) -> int:
        """How many requests were answered 429: every other one was acted upon."""
        return int(self.server["requests"] - self.server["received"])

    def per_second(self) -> tuple[list[float], list[float], list[float]]:
        """Return times, and what the server took and refused a second, from count to count."""
        times, took, refused = [], [], []
        for (began, asked, received), (at, later_asked, later_received) in pairwise(
            self.server["counts"]
        ):
            taken = later_received - received
            times.append(at)
            took.append(taken / (at - began))
            refused.append((later_asked - asked - taken) / (at - began))
        return times, took, refused

    def latency(self, since: float, until: float) -> float:
        """Return the median latency of a time, in seconds."""
        return figures.Spread.of(
            latency for at, latency in self.server["latencies"] if since <= at < until
        ).median

    def concurrency(self, since: float, until: float) -> list[int]:
        """Return the limits of a time."""
        return [each.concurrency for each in self.samples if since <= each.at < until]

    def when(self, since: float, lowest: int, highest: int) -> float | None:
        """Return how long after a moment the limit came into a range; ``None`` for never."""
        for each in self.samples:
            if each.at >= since and lowest <= each.concurrency <= highest:
                return each.at - since
        return None


async def run(messages: int, rate: float | None, script: Script) -> Course:
    """Send a campaign to a server with limits."""
    async with limited(rate, script) as server:
        samples: list[tuple[float, Any]] = []

        async def watch() -> None:
            samples.extend([(time.time(), told) async for told in bulk.watch(SAMPLE)])

        async with (
            AsyncConnectus(**server.settings) as connectus,
            asyncio.TaskGroup() as group,
            connectus.bulk(concurrency=CONCURRENCY) as bulk,
        ):
            group.create_task(watch())
            started = time.perf_counter()
            await bulk.run(Sms(FIRST_NUMBER + index, TEXT) for index in range(messages))
            seconds = time.perf_counter() - started
        seen = await server.stop()
    assert bulk.summary.accepted == messages == seen["received"]
    told = [
        Sample(
            at - seen["origin"],
            progress.rate,
            progress.rate_limit,
            progress.concurrency_limit,
            progress.in_flight,
        )
        for at, progress in samples
    ]
    return Course(messages, seconds, told, seen)


def report_throttled(course: Course, rate: float) -> dict[str, float]:
    """Print and return how near it came to the rate of the server."""
    ideal = (course.messages - rate) / rate  # it starts with a second's worth saved up
    result = {
        "seconds": course.seconds,
        "ideal_seconds": ideal,
        "times_ideal": course.seconds / ideal,
        "share_of_429": course.throttled / course.server["requests"],
    }
    print(
        f"throttled: {course.messages:,} messages, {rate:g} a second allowed:"
        f" {course.seconds:.1f} s, {course.seconds / ideal:.3f} times the ideal {ideal:.1f} s;"
        f" {course.throttled} of {course.server['requests']:,} requests answered 429"
        f" ({result['share_of_429']:.2%})"
    )
    return result


def report_slowed(course: Course) -> dict[str, float | None]:
    """Print and return how the concurrency went."""
    before = course.concurrency(0, SLOW_FROM)[-1]
    least = min(course.concurrency(SLOW_FROM, SLOW_UNTIL + SETTLED))
    after = course.samples[-1].concurrency
    fall = course.when(SLOW_FROM, 0, before // 2)
    rise = course.when(SLOW_UNTIL + SETTLED / 10, int(before * 0.9), before)
    usual, full, relieved = (
        course.latency(*times)
        for times in (
            (SETTLED, SLOW_FROM),
            (SLOW_FROM, SLOW_FROM + SETTLED),
            (SLOW_UNTIL - SETTLED, SLOW_UNTIL),
        )
    )
    print(
        f"slowed: {course.messages:,} messages in {course.seconds:.1f} s;"
        f" concurrency {before} -> {least} -> {after};"
        f" half after {_seconds(fall)} of slowness, 90 % again {_seconds(rise)} after its end;"
        f" latency {usual * 1e3:.0f} ms, {full * 1e3:.0f} ms at first when slow,"
        f" {relieved * 1e3:.0f} ms at its end (of work alone: {SLOW * 1e3:.0f} ms)"
    )
    return {
        "concurrency_before": before,
        "concurrency_least": least,
        "concurrency_after": after,
        "seconds_to_half": fall,
        "seconds_to_recover": rise,
        "latency_before": usual,
        "latency_slow_first": full,
        "latency_slow_last": relieved,
    }


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def draw_throttled(path: Path, course: Course, rate: float) -> None:
    """Draw the rates over time."""
    panels = (
        "requests a second, as the server saw them",
        "messages a second, as the sender told them",
    )
    with figures.plot(path, f"A server that allows {rate:g} a second", 6.5, *panels) as (
        top,
        below,
    ):
        times, took, refused = course.per_second()
        top.plot(times, took, label="accepted", linewidth=1)
        top.fill_between(times, refused, step="pre", color="tab:red", label="answered 429")
        below.plot(*_over_time(course.samples, "rate"), label="delivered")
        below.plot(*_over_time(course.samples, "rate_limit"), label="limit that the sender set")
        for axes in (top, below):
            axes.axhline(rate, color="gray", linestyle="--", linewidth=1, label="allowed")
            axes.set_ylim(0, 2 * rate)
            axes.legend(loc="upper right", ncols=3)
        below.set_xlabel("seconds")


def draw_slowed(path: Path, course: Course) -> None:
    """Draw concurrency, rate and latency over time."""
    panels = "messages on their way", "messages a second", "latency at the server (ms)"
    title = f"A server that is ten times slower from {SLOW_FROM:g} s to {SLOW_UNTIL:g} s"
    with figures.plot(path, title, 8, *panels) as (top, middle, below):
        top.plot(*_over_time(course.samples, "concurrency"), label="limit that the sender set")
        top.plot(*_over_time(course.samples, "in_flight"), label="on their way", linewidth=1)
        times, took, _ = course.per_second()
        middle.plot(times, took, label="accepted by the server", linewidth=1)
        middle.plot(*_over_time(course.samples, "rate"), label="rate that the sender tells")
        below.plot(
            [at for at, _ in course.server["latencies"]],
            [latency * 1e3 for _, latency in course.server["latencies"]],
            label="median of each quarter of a second",
        )
        for axes in (top, middle, below):
            axes.axvspan(SLOW_FROM, SLOW_UNTIL, color="tab:orange", alpha=0.12)
            axes.set_ylim(bottom=0)
            axes.legend(loc="upper right" if axes is below else "lower right")
        below.set_xlabel("seconds")


def _over_time(samples: Sequence[Sample], name: str) -> tuple[list[float], list[float | None]]:
    return [each.at for each in samples], [getattr(each, name) for each in samples]


async def measure(options: argparse.Namespace) -> None:
    """Measure, print, and write the results."""
    where = figures.environment(options.out)
    if "throttled" in options.only:
        course = await run(options.messages, options.rate, ())
        result: dict[str, Any] = report_throttled(course, options.rate)
        figures.write(
            options.out, "pacing-throttled", {"environment": where, **result, "course": course}
        )
        draw_throttled(options.out / "pacing-throttled.png", course, options.rate)
    if "slowed" in options.only:
        course = await run(options.messages, None, SCRIPT)
        result = report_slowed(course)
        figures.write(
            options.out, "pacing-slowed", {"environment": where, **result, "course": course}
        )
        draw_slowed(options.out / "pacing-slowed.png", course)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second, if throttled")
    options = figures.parse(parser)
    asyncio.run(measure(options))


if __name__ == "__main__":
    main()
