"""Our bulk sender beside the loop that people write by hand, against the same server.

The server is the emulator in a process of its own. The rounds of the two are interleaved, and the
figures are medians. Run from the top of the repository:

    python -m benchmarks.bulk [MESSAGES]
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

import aiohttp

from benchmarks.sink import sink
from connectus_async import AsyncConnectus, Sms

CONCURRENCY = 64
ROUNDS = 5
DEFAULT_MESSAGES = 5_000
FIRST_NUMBER = 56_960_000_000
TEXT = "Hola, tu pedido va en camino."

Settings = dict[str, str]
Sender = Callable[[Settings, int], Awaitable[None]]


async def ours(settings: Settings, messages: int) -> None:
    """Typed messages, checks, retries, one typed outcome each."""
    connectus = AsyncConnectus(**settings)
    async with connectus, connectus.bulk(concurrency=CONCURRENCY) as bulk:
        summary = await bulk.run(Sms(FIRST_NUMBER + index, TEXT) for index in range(messages))
    assert summary.accepted == messages


async def by_hand(settings: Settings, messages: int) -> None:
    """``gather``, a semaphore and a session: no checks, no retries, an error ends it all."""
    auth = aiohttp.encode_basic_auth(settings["api_user"], settings["api_key"])
    url = settings["base_url"] + "/sms/send_individual"
    semaphore = asyncio.Semaphore(CONCURRENCY)

    async def send(session: aiohttp.ClientSession, number: int) -> None:
        async with semaphore:
            body = {"dst_number": number, "sms_content": TEXT}
            async with session.post(url, json=body) as response:
                response.raise_for_status()
                await response.json()

    async with aiohttp.ClientSession(headers={"Authorization": auth}) as session:
        await asyncio.gather(*(send(session, FIRST_NUMBER + index) for index in range(messages)))


async def timed(sender: Sender, settings: Settings, messages: int) -> tuple[float, float]:
    """Return messages a second, and microseconds of CPU per message."""
    wall, cpu = time.perf_counter(), time.process_time()
    await sender(settings, messages)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return messages / wall, cpu / messages * 1e6


async def measure(messages: int) -> None:
    """Print the medians, and the ratio of the two with its spread."""
    senders: dict[str, Sender] = {"ours": ours, "by hand": by_hand}
    rates: dict[str, list[float]] = {name: [] for name in senders}
    costs: dict[str, list[float]] = {name: [] for name in senders}
    async with sink() as server:
        for sender in senders.values():
            await sender(server.settings, messages // 5)
        for _ in range(ROUNDS):
            for name, sender in senders.items():
                rate, cost = await timed(sender, server.settings, messages)
                rates[name].append(rate)
                costs[name].append(cost)
    print(f"{messages:,} messages, {CONCURRENCY} at a time, {ROUNDS} interleaved rounds, medians")
    for name in senders:
        rate, cost = statistics.median(rates[name]), statistics.median(costs[name])
        print(f"{name:>8}: {rate:8,.0f} messages/s {cost:6.0f} us CPU per message")
    ratios = sorted(mine / theirs for mine, theirs in zip(*rates.values(), strict=True))
    print(
        f"rate, ours / by hand: {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("messages", nargs="?", type=int, default=DEFAULT_MESSAGES)
    asyncio.run(measure(parser.parse_args().messages))


if __name__ == "__main__":
    main()
