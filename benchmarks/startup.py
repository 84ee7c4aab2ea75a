"""Import time of our package and of others.

Each figure comes from a new Python interpreter: wall time and CPU from start to exit, minus those
of an interpreter that imports nothing. The first round compiles, and does not count; the others are
interleaved, and figures are medians; ratios are to ``import aiohttp`` in the same round. Then the
same up to the first response: imports, client, connection, one POST to the fast sink. Run from the
top of the repository:

    python -m benchmarks.startup [--rounds 15] [--out FOLDER]
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from anyio.from_thread import start_blocking_portal

from benchmarks import figures
from benchmarks.figures import Spread
from benchmarks.sink import sink

ROUNDS = 15
AIM = 0.35
NOTHING = "nothing"

IMPORTS = {
    NOTHING: "pass",
    "aiohttp": "import aiohttp",
    "ours": "import connectus_async",
    "ours, AsyncConnectus": "from connectus_async import AsyncConnectus",
    "ours, Connectus": "from connectus_async import Connectus",
    "ours, every name": "from connectus_async import *",
    "httpx": "import httpx",
    "twilio": "from twilio.rest import Client",
    "vonage": "from vonage import Vonage",
    "openai": "from openai import AsyncOpenAI",
}

SETTINGS = "import sys, json; settings = json.loads(sys.argv[1]); "
POSTED = '{"dst_number": 56960000000, "sms_content": "Hola"}'
FIRST_CALLS = {
    NOTHING: SETTINGS,
    "aiohttp": SETTINGS
    + f"""
import asyncio, aiohttp
async def main():
    auth = aiohttp.encode_basic_auth(settings["api_user"], settings["api_key"])
    url = settings["base_url"] + "/sms/send_individual"
    async with aiohttp.ClientSession(headers={{"Authorization": auth}}) as session:
        async with session.post(url, json={POSTED}) as answer:
            answer.raise_for_status()
            await answer.json()
asyncio.run(main())
""",
    "ours, AsyncConnectus": SETTINGS
    + """
import asyncio
from connectus_async import AsyncConnectus
async def main():
    async with AsyncConnectus(**settings) as connectus:
        await connectus.sms.send(56960000000, "Hola")
asyncio.run(main())
""",
    "ours, Connectus": SETTINGS
    + """
from connectus_async import Connectus
with Connectus(**settings) as connectus:
    connectus.sms.send(56960000000, "Hola")
""",
    "httpx": SETTINGS
    + f"""
import httpx
with httpx.Client(auth=(settings["api_user"], settings["api_key"])) as client:
    client.post(settings["base_url"] + "/sms/send_individual", json={POSTED}).raise_for_status()
""",
}


@attrs.frozen
class Start:
    """What one interpreter took, in milliseconds: of the clock, and of CPU."""

    wall: float
    cpu: float

    @classmethod
    def of(cls, program: str, settings: str) -> "Start":
        """Run a program."""
        command = [sys.executable, "-c", program, settings]
        started = time.perf_counter()
        _, status, used = os.wait4(os.posix_spawn(sys.executable, command, os.environ), 0)
        wall = time.perf_counter() - started
        assert os.waitstatus_to_exitcode(status) == 0, program
        return cls(wall * 1e3, (used.ru_utime + used.ru_stime) * 1e3)

    def less(self, other: "Start") -> "Start":
        """Take off what another one took."""
        return Start(self.wall - other.wall, self.cpu - other.cpu)


@attrs.frozen
class Waited:
    """What a program waits for, without the bare interpreter."""

    wall_ms: Spread
    cpu_ms: Spread
    wall_over_aiohttp: Spread
    cpu_over_aiohttp: Spread


def measure(programs: Mapping[str, str], rounds: int, settings: str) -> dict[str, Waited]:
    """Measure all programs."""
    for program in programs.values():
        Start.of(program, settings)
    measured = figures.interleaved(
        list(programs), rounds, lambda name: Start.of(programs[name], settings)
    )
    bare = measured.pop(NOTHING)
    net = {
        name: [start.less(nothing) for start, nothing in zip(starts, bare, strict=True)]
        for name, starts in measured.items()
    }
    return {name: _waited(starts, net["aiohttp"]) for name, starts in net.items()}


def _waited(starts: Sequence[Start], reference: Sequence[Start]) -> Waited:
    return Waited(
        figures.spread(starts, "wall"),
        figures.spread(starts, "cpu"),
        figures.quotient(starts, reference, "wall"),
        figures.quotient(starts, reference, "cpu"),
    )


def report(title: str, measured: Mapping[str, Waited]) -> None:
    """Print the medians, and the ratios to aiohttp with their spread."""
    print(f"\n{title:>20}      ms   ms CPU  time / aiohttp      CPU / aiohttp")
    for name, waited in measured.items():
        print(
            f"{name:>20} {waited.wall_ms.median:7.1f} {waited.cpu_ms.median:8.1f}"
            f"  {waited.wall_over_aiohttp!s:19} {waited.cpu_over_aiohttp}"
        )


def measure_all(options: argparse.Namespace) -> None:
    """Measure, print, and write the result."""
    result: dict[str, Any] = {
        "environment": figures.environment(options.out),
        "rounds": options.rounds,
    }
    print(f"{options.rounds} interleaved rounds, medians; the bare interpreter is taken off")
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(sink("fast")) as server,
    ):
        settings = json.dumps(server.settings)
        result["imports"] = measure(IMPORTS, options.rounds, settings)
        result["first_calls"] = measure(FIRST_CALLS, options.rounds, settings)
    report("import", result["imports"])
    ours = result["imports"]["ours"].wall_over_aiohttp.median
    print(f"ours: {ours:.2f} of aiohttp's own; the aim is at most {AIM}")
    report("first answer", result["first_calls"])
    figures.write(options.out, "startup", result)
    figures.bars(
        options.out / "startup.png",
        "Import, in a fresh interpreter",
        {
            "time (ms)": {
                "time": {name: waited.wall_ms for name, waited in result["imports"].items()}
            },
            "CPU (ms)": {
                "CPU": {name: waited.cpu_ms for name, waited in result["imports"].items()}
            },
        },
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    figures.add_out(parser)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    measure_all(options)


if __name__ == "__main__":
    main()
