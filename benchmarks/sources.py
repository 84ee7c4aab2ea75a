"""A dry run of a table of recipients, compared with pandas and polars by hand.

``connectus bulk send FILE --region CL --dry-run`` reads a file, checks every number, fills the
texts, finds duplicates, counts the SMS, and sends nothing. The script by hand
(``sources_by_hand.py``) reads, checks numbers with phonenumbers, and fills the texts. Each run is a
process of its own; figures are of its CPU time, all threads and the system's included, since other
work of a machine changes that less than the time of the clock. From each run, that of a file of one
row is taken off. Peak memory is that of the whole process. Rounds are interleaved; figures are
medians, and ratios are of the same round.

With ``--against``, the package of another checkout is measured in the same rounds, such as of

    git worktree add /tmp/older 3cdf879

Run from the top of the repository:

    python -m benchmarks.sources [--rows 100000] [--rounds 5] [--formats csv parquet xlsx]
        [--sizes 10000 100000 300000] [--against CHECKOUT] [--speed] [--out FOLDER]
"""

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs

from benchmarks import figures
from benchmarks.figures import quotient, spread
from benchmarks.file_to_phone import COMMAND, FIRST_NUMBER, NAMES, NUMBERS, STEP, STOCK, TEXT

ROWS = 100_000
ROUNDS = 5
SIZES = (10_000, 100_000, 300_000)
FORMATS = ("csv", "parquet", "xlsx")
REGION = "CL"
HEADER = ("dst_number", "name", "order")
HERE = Path(__file__).parent.parent
OURS = "bulk send"
OLDER = "older"
LIBRARIES = ("pandas", "polars")
CREDENTIALS = {"CONNECTUS_API_USER": "", "CONNECTUS_API_KEY": ""}


@attrs.frozen
class Run:
    """What one process took.

    Attributes:
        cpu: Seconds of CPU.
        wall: Seconds of the clock.
        peak: Peak memory in MiB.
    """

    cpu: float
    wall: float
    peak: float


@attrs.frozen
class Round:
    """What one round took, without what the start of the process takes.

    Attributes:
        rate: Rows a second of CPU.
        cost: Microseconds of CPU a row.
        peak: Peak memory in MiB.
    """

    rate: float
    cost: float
    peak: float


@attrs.frozen
class Programs:
    """Runs the programs of the rounds.

    Attributes:
        files: A file of each format and number of rows.
        older: The folder of an older checkout, if there is one.
        prefix: What begins each of our programs.
        environment: The environment of the programs.
    """

    files: "Files"
    older: Path | None
    prefix: str
    environment: Mapping[str, str]

    def measure(self, name: str, kind: str, rows: int) -> Round:
        """Measure one program over a file, and over one of a single row."""
        whole, start = (self.run(name, kind, count) for count in (rows, 1))
        cpu = whole.cpu - start.cpu
        return Round(rows / cpu, cpu / rows * 1e6, whole.peak)

    def run(self, name: str, kind: str, rows: int) -> Run:
        """Run one program over a file."""
        file = self.files.of(kind, rows)
        if name in LIBRARIES:
            return self._process(
                [str(HERE / "benchmarks/sources_by_hand.py"), name, str(file), REGION]
            )
        checkout = self.older if name == OLDER else HERE
        package = f"import sys; sys.path.insert(0, {str(checkout)!r}); "
        command = ["bulk", "send", str(file), "--text", TEXT, "--region", REGION, "--dry-run"]
        return self._process(["-c", package + self.prefix + COMMAND, *command])

    def _process(self, argv: Sequence[str]) -> Run:
        output = os.open(os.devnull, os.O_WRONLY)
        started = time.perf_counter()
        process = os.posix_spawn(
            sys.executable,
            [sys.executable, *argv],
            self.environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)],
        )
        os.close(output)
        _, status, used = os.wait4(process, 0)
        wall = time.perf_counter() - started
        assert os.waitstatus_to_exitcode(status) == 0, argv
        return Run(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024)


@attrs.define
class Files:
    """Files of recipients, each made when it is first asked for."""

    folder: Path

    def of(self, kind: str, rows: int) -> Path:
        """Give a file of so many rows."""
        path = self.folder / f"{rows}.{kind}"
        if not path.exists():
            write = {"csv": _write_csv, "parquet": _write_parquet, "xlsx": _write_xlsx}[kind]
            # Libraries stay out of this process: its memory counts as that of those it starts.
            process = get_context("spawn").Process(target=write, args=(path, rows))
            process.start()
            process.join()
            assert process.exitcode == 0
        return path


def _rows(rows: int) -> Iterator[tuple[int, str, int]]:
    """Make rows whose numbers are all valid mobiles of Chile, in no order, without country code."""
    for index in range(rows):
        yield FIRST_NUMBER + index * STEP % NUMBERS, NAMES[index % len(NAMES)], index


def _write_csv(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(_rows(rows))


def _write_parquet(path: Path, rows: int) -> None:
    import pyarrow as pa  # noqa: PLC0415 - one of the formats
    from pyarrow import parquet  # noqa: PLC0415 - as above

    columns = zip(*_rows(rows), strict=True)
    table = pa.table(dict(zip(HEADER, map(list, columns), strict=True)))
    parquet.write_table(table, path, row_group_size=50_000)


def _write_xlsx(path: Path, rows: int) -> None:
    import openpyxl  # noqa: PLC0415 - one of the formats

    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet()
    sheet.append(HEADER)
    for row in _rows(rows):
        sheet.append(row)
    workbook.save(path)


def compare(programs: Programs, kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure all programs over one format, and print how they compare."""
    names = [OURS, *([OLDER] if programs.older else []), *LIBRARIES]
    for name in names:  # compiles
        programs.measure(name, kind, 1)
    measured = figures.interleaved(
        names, options.rounds, lambda name: programs.measure(name, kind, options.rows)
    )
    print(f"\n{kind}: {options.rows:,} rows, {options.rounds} rounds", flush=True)
    print(f"{'':10} us CPU a row  rows a CPU second  peak MiB  rate of {OURS} / its rate")
    found = {}
    for name, rounds in measured.items():
        found[name] = {
            "cost": spread(rounds, "cost"),
            "rate": spread(rounds, "rate"),
            "peak": spread(rounds, "peak"),
            "ratio": quotient(measured[OURS], rounds, "rate"),
        }
        cost, rate, peak = (found[name][figure].median for figure in ("cost", "rate", "peak"))
        print(f"{name:10} {cost:12.1f} {rate:18,.0f} {peak:9.0f}  {found[name]['ratio']}")
    return found


def peaks(programs: Programs, kind: str, sizes: Sequence[int]) -> dict[str, dict[int, float]]:
    """Measure the memory of files of several sizes, once each, and print it."""
    names = [OURS, *([OLDER] if programs.older else []), *LIBRARIES]
    found = {name: {rows: programs.run(name, kind, rows).peak for rows in sizes} for name in names}
    print(f"\n{kind}: peak MiB of {', '.join(f'{rows:,}' for rows in sizes)} rows")
    for name, by_size in found.items():
        print(f"{name:10}" + "".join(f"{peak:8.0f}" for peak in by_size.values()), flush=True)
    return found


def main() -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES, help="for peak memory")
    parser.add_argument("--speed", action="store_true", help="the extra speed for ours")
    parser.add_argument(
        "--against",
        type=lambda path: Path(path).resolve(),
        metavar="CHECKOUT",
        help="folder of an older checkout, to measure beside this one",
    )
    options = figures.parse(parser)
    where = figures.environment(options.out)
    results = {}
    with TemporaryDirectory(dir=options.out) as folder:
        cache = str(Path(folder, "cache"))
        environment = {**os.environ, **CREDENTIALS, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        prefix = "" if options.speed else STOCK
        programs = Programs(Files(Path(folder)), options.against, prefix, environment)
        for kind in options.formats:
            results[kind] = compare(programs, kind, options)
            results[kind]["peaks"] = peaks(programs, kind, options.sizes)
    figures.write(
        options.out, "sources", {"environment": where, "rows": options.rows, "by_format": results}
    )


if __name__ == "__main__":
    main()
