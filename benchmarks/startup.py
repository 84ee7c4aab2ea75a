"""Start of our package, of its clients and of its command line, beside others.

Each figure comes from a new Python interpreter: wall time and CPU from start to exit, minus those
of an interpreter that imports nothing. The first round compiles, and does not count; the others are
interleaved, and figures are medians. There are three parts:

- imports, with clients that are ready to send; ratios are to ``import aiohttp`` in the same round;
- the same up to the first response: imports, client, connection, one POST to the fast sink;
- the command line, up to what needs no command: ratios are to ``import click``.

With ``--with``, another checkout, such as the commit before, is measured in the same rounds; then
the ratio of each program to the same one there is printed too. Run from the top of the repository:

    python -m benchmarks.startup [--rounds 15] [--with PATH] [--only imports first_calls commands]
        [--out FOLDER]
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from anyio.from_thread import start_blocking_portal

from benchmarks import figures
from benchmarks.figures import Spread
from benchmarks.sink import sink

ROUNDS = 15
AIM = 0.35
NOTHING = "nothing"
OURS = "ours"
BEFORE = "before"
KEEPS_COMPILED = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
HERE = Path(__file__).parents[1]

IMPORTS = {
    NOTHING: "pass",
    "aiohttp": "import aiohttp",
    "ours": "import connectus_async",
    "ours, AsyncConnectus": "from connectus_async import AsyncConnectus",
    "ours, Connectus": "from connectus_async import Connectus",
    "ours, async ready": "from connectus_async import AsyncConnectus; AsyncConnectus('u', 'k')",
    "ours, blocking ready": "from connectus_async import Connectus; client = Connectus('u', 'k');"
    " client._bridge.runner.owned",
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

COMMAND = "import os, sys; sys.argv[0] = 'connectus'; "
MAIN = "from connectus_async.cli import main; main()"


def _completion(words: str) -> str:
    """Write a program that completes the last word of a line, as bash asks for it."""
    variables = {
        "_CONNECTUS_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    return f"{COMMAND}os.environ.update({variables}); {MAIN}"


COMMANDS = {
    NOTHING: "pass",
    "click": "import click",
    "ours, --version": f"{COMMAND}sys.argv[1:] = ['--version']; {MAIN}",
    "ours, --help": f"{COMMAND}sys.argv[1:] = ['--help']; {MAIN}",
    "ours, tab": _completion("connectus "),
    "ours, tab of options": _completion("connectus bulk send --"),
}
PARTS = {
    "imports": (IMPORTS, "aiohttp"),
    "first_calls": (FIRST_CALLS, "aiohttp"),
    "commands": (COMMANDS, "click"),
}
"""Programs of each part, and the one to compare with."""


@attrs.frozen
class Program:
    """A program, and the checkout of the package that it imports."""

    code: str
    checkout: Path = HERE

    @property
    def whole(self) -> str:
        """Code that imports the checkout, whatever is installed."""
        return f"import sys; sys.path.insert(0, {str(self.checkout)!r}); {self.code}"


@attrs.frozen
class Start:
    """What one interpreter took, in milliseconds: of the clock, and of CPU."""

    wall: float
    cpu: float

    @classmethod
    def of(cls, program: Program, settings: str) -> "Start":
        """Run a program, and drop its output."""
        command = [sys.executable, "-c", program.whole, settings]
        silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        started = time.perf_counter()
        child = os.posix_spawn(sys.executable, command, KEEPS_COMPILED, file_actions=silent)
        _, status, used = os.wait4(child, 0)
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
    wall_over_reference: Spread
    cpu_over_reference: Spread
    cpu_over_before: Spread | None = None


def with_another(programs: Mapping[str, str], checkout: Path | None) -> dict[str, Program]:
    """Add our programs once more, to import another checkout."""
    here = {name: Program(code) for name, code in programs.items()}
    if checkout is None:
        return here
    ours = {name: code for name, code in programs.items() if name.startswith(OURS)}
    return here | {
        name.replace(OURS, BEFORE): Program(code, checkout.resolve()) for name, code in ours.items()
    }


def measure(
    programs: Mapping[str, Program], reference: str, rounds: int, settings: str
) -> dict[str, Waited]:
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
    return {
        name: _waited(
            starts, net[reference], net.get(name.replace(OURS, BEFORE)) if OURS in name else None
        )
        for name, starts in net.items()
    }


def _waited(
    starts: Sequence[Start], reference: Sequence[Start], before: Sequence[Start] | None
) -> Waited:
    return Waited(
        figures.spread(starts, "wall"),
        figures.spread(starts, "cpu"),
        figures.quotient(starts, reference, "wall"),
        figures.quotient(starts, reference, "cpu"),
        before and figures.quotient(starts, before, "cpu"),
    )


def report(title: str, reference: str, measured: Mapping[str, Waited]) -> None:
    """Print the medians, and the ratios with their spread."""
    columns = (f"time / {reference}", f"CPU / {reference}", f"CPU / {BEFORE}")
    print(f"\n{title:>24}      ms   ms CPU  {'  '.join(f'{each:19}' for each in columns)}")
    for name, waited in measured.items():
        ratios = (waited.wall_over_reference, waited.cpu_over_reference, waited.cpu_over_before)
        print(
            f"{name:>24} {waited.wall_ms.median:7.1f} {waited.cpu_ms.median:8.1f}"
            f"  {'  '.join(f'{each or str()!s:19}' for each in ratios)}".rstrip()
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
        for part in options.only:
            programs, reference = PARTS[part]
            measured = result[part] = measure(
                with_another(programs, options.another), reference, options.rounds, settings
            )
            report(part, reference, measured)
    figures.write(options.out, "startup", result)
    if "imports" in result:
        draw(options, result)


def draw(options: argparse.Namespace, result: Mapping[str, Any]) -> None:
    """Draw the imports."""
    ours = result["imports"]["ours"].wall_over_reference.median
    print(f"ours: {ours:.2f} of aiohttp's own; the aim is at most {AIM}")
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
    parser.add_argument(
        "--with", dest="another", type=Path, help="another checkout to measure as well"
    )
    parser.add_argument("--only", nargs="+", choices=[*PARTS], default=[*PARTS])
    options = figures.parse(parser)
    measure_all(options)


if __name__ == "__main__":
    main()
