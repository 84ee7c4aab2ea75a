"""Time of a check of a one-time password: a right code, a wrong one, and one for nobody.

Somebody who measures checks should learn nothing. The three are interleaved, and each is compared
with the wrong one. Run from the top of the repository:

    python -m benchmarks.otp [CHECKS]
"""

import argparse
import asyncio
import statistics
import time

from connectus_async import AsyncConnectus
from connectus_async.emulator import Emulator
from connectus_async.otp import OtpCheck, OtpLimit

ORDERS = (("wrong", "nobody", "right"), ("nobody", "wrong", "right"))
"""The right code is the last: it is accepted once."""

FIRST, BEFORE = 56_987_688_000, "56987689999"


async def measure(checks: int) -> dict[str, list[int]]:
    """Measure each kind of check, in nanoseconds."""
    times: dict[str, list[int]] = {"wrong": [], "right": [], "nobody": []}
    async with (
        Emulator() as emulator,
        AsyncConnectus(
            emulator.api_user, emulator.api_key, base_url=emulator.base_url
        ) as connectus,
    ):
        otp = connectus.otp(
            text="{code}", resend_after=0, per_recipient=OtpLimit(5, 1), per_prefix=None
        )
        for place in range(checks):
            ana, nobody = FIRST + 2 * place % 1_000, FIRST + 2 * place % 1_000 + 1
            await otp.send_sms(ana)
            code = emulator.received[-1].content
            wrong = code[:-1] + str((int(code[-1]) + 1) % 10)
            await otp.verify(nobody, "0")  # its number is as well known as the other
            kinds = {"wrong": (ana, wrong), "nobody": (nobody, code), "right": (ana, code)}
            for kind in ORDERS[place % len(ORDERS)]:
                for _ in range(3):  # the same before each
                    await otp.verify(BEFORE, "0")
                begun = time.perf_counter_ns()
                result = await otp.verify(*kinds[kind])
                times[kind].append(time.perf_counter_ns() - begun)
                assert bool(result) is (kind == "right"), result
                assert (kind == "nobody") is (result is OtpCheck.EXPIRED)
    return times


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checks", nargs="?", type=int, default=1_000)
    times = asyncio.run(measure(parser.parse_args().checks))
    wrong = statistics.median(times["wrong"])
    for kind, taken in times.items():
        low, *_, high = statistics.quantiles(taken, n=10)
        median = statistics.median(taken)
        print(
            f"{kind:7} {median / 1_000:6.1f} us ({low / 1_000:.1f} to {high / 1_000:.1f}),"
            f" {median / wrong:.2f} of wrong"
        )


if __name__ == "__main__":
    main()
