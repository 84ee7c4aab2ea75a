"""``connectus bulk send`` of a CSV file as a whole process, compared with a script by hand.

The process starts, reads and checks the file, loads the ledger, prints the preflight report, sends,
and prints the summary. The script, ``by_hand.py``, does nothing but read and send. Both post to the
fast sink, in a process of its own, 64 at a time, with asyncio's own loop and the standard library's
JSON. Wall time and CPU are those of the process from start to exit. Rounds are interleaved; figures
are medians, and ratios are of the same round.

``loading`` is a dry run, which composes, checks and loads every row and sends nothing; from it that
of a file of one row is taken off. Without ``--region`` the numbers of the file have their country
code, with it they have none.

With ``--with``, the package of another checkout is measured in the same rounds. With ``--pin``, the
sender has one core, and the server another. Run from the top of the repository:

    python -m benchmarks.file_to_phone [--rows 100000] [--rounds 3] [--only send loading]
        [--regions none CL] [--pin] [--speed] [--with CHECKOUT] [--out FOLDER]
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
from anyio.from_thread import start_blocking_portal

from benchmarks import figures
from benchmarks.figures import Round, quotient, spread
from benchmarks.sink import sink
from connectus_async.config import ENVIRONMENT

ROWS = 100_000
ROUNDS = 3
CONCURRENCY = 64
HERE = Path(__file__).parent.parent
BY_HAND = "by hand"
NAMES = (
    *("Ana", "Pedro", "María", "José", "Camila", "Andrés", "Sofía", "Juan", "Begoña", "Carla"),
    *("Luis", "Paz", "Valentina", "Diego", "Tomás", "Rosa", "Iván", "Elena", "Hugo", "Mónica"),
)
TEXT = "Hola {name}, tu pedido {order} va en camino."
COUNTRY_CODE = "56"
FIRST_NUMBER = 980_000_000
STEP, NUMBERS = 7_919, 10_000_000
SETTINGS = ("base_url", "api_user", "api_key")

STOCK = "import sys; sys.modules['uvloop'] = sys.modules['orjson'] = None; "
"""Keeps the extra ``speed`` out of a program."""

COMMAND = "from connectus_async.cli import main; main()"


@attrs.frozen
class Contestant:
    """A program that is measured.

    Attributes:
        checkout: The folder whose package it runs; ``None`` for the script by hand.
        only_loads: Whether it sends nothing.
    """

    checkout: Path | None
    only_loads: bool = False


@attrs.frozen
class Campaigns:
    """Runs the programs of the rounds.

    Attributes:
        environment: Their environment, with the address of the server.
        folder: The folder of files and ledgers.
        program: What begins each of our programs.
        cores: The cores for a program; any if empty.
    """

    environment: Mapping[str, str]
    folder: Path
    program: str
    cores: frozenset[int]

    def run(self, contestant: Contestant, rows: int, region: str | None) -> Round:
        """Measure one process over a file of so many rows."""
        with TemporaryDirectory(dir=self.folder) as folder:
            file = Path(folder, "recipients.csv")
            code = "" if region else COUNTRY_CODE
            file.write_text("".join(_lines(rows, code)), "utf-8")
            if contestant.checkout is None:
                argv = [str(HERE / "benchmarks/by_hand.py"), str(file), COUNTRY_CODE[len(code) :]]
                return self._process(argv, rows)
            package = f"import sys; sys.path.insert(0, {str(contestant.checkout)!r}); "
            argv = [
                "-c",
                package + self.program + COMMAND,
                "bulk",
                "send",
                str(file),
                "--text",
                TEXT,
            ]
            argv += ["--concurrency", str(CONCURRENCY)]
            argv += ["--region", region] if region else []
            if contestant.only_loads:
                argv.append("--dry-run")
            elif _asks(contestant.checkout):
                argv.append("--yes")
            return self._process(argv, rows)

    def _process(self, argv: Sequence[str], rows: int) -> Round:
        output = os.open(os.devnull, os.O_WRONLY)
        started = time.perf_counter()
        with _on(self.cores):
            process = os.posix_spawn(
                sys.executable,
                [sys.executable, *argv],
                self.environment,
                file_actions=[(os.POSIX_SPAWN_DUP2, output, 1)],
            )
        os.close(output)
        _, status, used = os.wait4(process, 0)
        wall = time.perf_counter() - started
        assert os.waitstatus_to_exitcode(status) == 0, argv
        return Round(rows, wall, used.ru_utime + used.ru_stime)


def _asks(checkout: Path) -> bool:
    """Tell whether a version asks before it sends; older ones do not know the answer."""
    return (checkout / "connectus_async/cli/confirmation.py").exists()


def _lines(rows: int, code: str) -> Iterator[str]:
    """Make a file whose numbers are all valid mobiles of Chile, in no order."""
    yield "dst_number,name,order\n"
    for index in range(rows):
        number = FIRST_NUMBER + index * STEP % NUMBERS
        yield f"{code}{number},{NAMES[index % len(NAMES)]},{index}\n"


@contextmanager
def _on(cores: frozenset[int]) -> Iterator[None]:
    """Give the processes that the block starts some cores only."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def contestants(options: argparse.Namespace) -> dict[str, Contestant]:
    """Name all that is measured."""
    found = {}
    if "send" in options.only:
        found[BY_HAND] = Contestant(None)
    for checkout in (HERE, *options.checkouts):
        label = "" if checkout == HERE else f" of {checkout.parent.name}/{checkout.name}"
        if "send" in options.only:
            found[f"bulk send{label}"] = Contestant(checkout)
        if "loading" in options.only:
            found[f"loading{label}"] = Contestant(checkout, only_loads=True)
    return found


def measure(
    campaigns: Campaigns, options: argparse.Namespace, region: str | None
) -> dict[str, list[Round]]:
    """Measure all in one region."""
    programs = contestants(options)

    def one(name: str) -> Round:
        program = programs[name]
        whole = campaigns.run(program, options.rows, region)
        if not program.only_loads:
            return whole
        start = campaigns.run(program, 1, region)
        return Round(options.rows, whole.wall - start.wall, whole.cpu - start.cpu)

    for program in programs.values():  # compiles
        campaigns.run(program, 1, region)
    return figures.interleaved(list(programs), options.rounds, one)


def ratios(measured: Mapping[str, Sequence[Round]]) -> dict[str, dict[str, Any]]:
    """Compare sending with the script, and this package's loading with that of others."""
    return {
        name: {
            "cpu_us_per_row": spread(rounds, "cost"),
            "seconds": spread(rounds, "wall"),
            "over": other,
            "cpu_ratio": quotient(rounds, measured[other], "cpu"),
            "wall_ratio": quotient(rounds, measured[other], "wall"),
        }
        for name, rounds in measured.items()
        for other in [name if name.startswith("loading") or BY_HAND not in measured else BY_HAND]
    }


def report(measured: Mapping[str, Sequence[Round]]) -> dict[str, dict[str, Any]]:
    """Print the medians, and ratios."""
    found = ratios(measured)
    if (ours := measured.get("loading")) is not None:
        for name, rounds in measured.items():
            if name.startswith("loading "):
                found["loading"] |= {
                    "over": name,
                    "cpu_ratio": quotient(ours, rounds, "cpu"),
                    "wall_ratio": quotient(ours, rounds, "wall"),
                }
    print(f"{'':30} us CPU a row  seconds  CPU / other        time / other")
    for name, figure in found.items():
        print(
            f"{name:30} {figure['cpu_us_per_row'].median:12.1f} {figure['seconds'].median:8.2f}"
            f"  {figure['cpu_ratio']!s:18} {figure['wall_ratio']!s:18} {figure['over']}"
        )
    return found


def measure_all(options: argparse.Namespace) -> None:
    """Measure, print, and write the result."""
    where = figures.environment(options.out)
    loop = "uvloop and orjson for ours" if options.speed else "asyncio's own loop"
    print(f"{options.rows:,} rows, {options.rounds} interleaved rounds, medians; {loop}")
    results = {}
    with (
        TemporaryDirectory(dir=options.out) as folder,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(sink("fast")) as server,
    ):
        settings = {ENVIRONMENT[name]: server.settings[name] for name in SETTINGS}
        environment = {**os.environ, **settings, "PYTHONPYCACHEPREFIX": str(Path(folder, "cache"))}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        first, *others = sorted(os.sched_getaffinity(0)) if options.pin else (0,)
        if options.pin:
            assert others, "one core for the sender and one for the server are needed"
            os.sched_setaffinity(server.pid, others)
        campaigns = Campaigns(
            environment,
            Path(folder),
            "" if options.speed else STOCK,
            frozenset({first} if options.pin else ()),
        )
        for region in options.regions:
            print(f"\n{f'--region {region}' if region else 'no region'}", flush=True)
            results[region or "none"] = report(measure(campaigns, options, region))
    figures.write(
        options.out,
        f"file-to-phone{'-speed' * options.speed}{'-pinned' * options.pin}",
        {
            "environment": where,
            "rows": options.rows,
            "rounds": options.rounds,
            "loop": loop,
            "is_pinned": options.pin,
            "by_region": results,
        },
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--only", nargs="+", choices=["send", "loading"], default=["send", "loading"]
    )
    parser.add_argument(
        "--regions",
        nargs="+",
        type=lambda name: None if name == "none" else name,
        default=[None, "CL"],
        metavar="REGION",
        help="none, or CL",
    )
    parser.add_argument("--pin", action="store_true", help="one core for the sender; Linux only")
    parser.add_argument("--speed", action="store_true", help="the extra speed for ours")
    parser.add_argument(
        "--with",
        dest="checkouts",
        type=lambda path: Path(path).resolve(),
        nargs="+",
        default=[],
        metavar="CHECKOUT",
        help="folder of another checkout, to measure beside this one",
    )
    options = figures.parse(parser)
    measure_all(options)


if __name__ == "__main__":
    main()
