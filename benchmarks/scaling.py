"""How time and memory grow with the number of messages, and with how many are sent at a time.

Each figure is of a process of its own that sends messages from a generator to the fast sink, with a
ledger and without: the time and the CPU per message, the peak of resident memory, and the size of
the ledger. The sizes are interleaved, small ones measured more often; the figures are medians, and
ratios are to the size before. Then ledgers of these sizes, half sent, are taken up: the time from
the start of the process, and from the opening of the ledger, to the first answer; so the first
request is earlier by one exchange. Run from the top of the repository, for ten minutes or, with
``--quick``, two:

    python -m benchmarks.scaling [--quick] [--sizes 10000 100000 1000000] [--rounds 3]
        [--only send concurrency resume] [--out FOLDER]
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
from anyio.from_thread import start_blocking_portal

from benchmarks import figures
from benchmarks.figures import Spread
from benchmarks.sink import sink

SIZES = (10_000, 100_000, 1_000_000)
QUICK_SIZES = (10_000, 100_000)
LARGE = 1_000_000  # from here on, once is enough
CONCURRENCY = 64
CONCURRENCIES = (1, 10, 100, 1_000)
SENT_AT_EACH = 10_000
ROUNDS = 3
MIB = 2**20
LIMIT = 1_200
MODES = ("ledger", "no ledger")
PARTS = ("send", "concurrency", "resume")

Answer = dict[str, Any]


@attrs.frozen
class Campaigns:
    """Starts the processes.

    Attributes:
        settings: ``base_url``, ``api_user`` and ``api_key`` of the server.
        folder: Where the ledgers are, for as long as they are needed.
    """

    settings: dict[str, str]
    folder: Path

    def ask(self, do: str, **job: Any) -> Answer:
        """Have a new process do something, and return what it tells."""
        job = {"do": do, "settings": self.settings, "concurrency": CONCURRENCY, **job}
        ran = subprocess.run(
            [sys.executable, "-m", "benchmarks.one_campaign"],
            input=json.dumps({**job, "began": time.time()}),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=LIMIT,
        )
        answer: Answer = json.loads(ran.stdout)
        return answer

    def send(self, messages: int, mode: str, concurrency: int = CONCURRENCY) -> Answer:
        """Send from a generator, to a new ledger if there is to be one."""
        with TemporaryDirectory(dir=self.folder) as folder:
            path = Path(folder) / "campaign.db"
            ledger = str(path) if mode == "ledger" else None
            sent = self.ask("send", messages=messages, ledger=ledger, concurrency=concurrency)
            return {**sent, "ledger": path.stat().st_size if ledger else 0}


@attrs.frozen
class Sent:
    """What some rounds of one size took."""

    messages: int
    wall_us: Spread
    cpu_us: Spread
    before_mib: Spread
    peak_mib: Spread
    ledger_mib: float

    @classmethod
    def of(cls, messages: int, rounds: Sequence[Answer]) -> "Sent":
        """Take the medians."""

        def spread(name: str, unit: float) -> Spread:
            return Spread.of(each[name] / unit for each in rounds)

        each = messages / 1e6
        return cls(
            messages,
            spread("wall", each),
            spread("cpu", each),
            spread("before", MIB),
            spread("peak", MIB),
            rounds[0]["ledger"] / MIB,
        )


def turns(sizes: Sequence[int], rounds: int) -> Iterator[int]:
    """Say what to measure next: large sizes once, small ones before and after."""
    for turn in range(rounds):
        yield from (size for size in sizes if size < LARGE or turn == rounds // 2)


def measure_sizes(campaigns: Campaigns, sizes: Sequence[int], rounds: int) -> dict[str, list[Sent]]:
    """Send each size."""
    measured: dict[str, dict[int, list[Answer]]] = {
        mode: {size: [] for size in sizes} for mode in MODES
    }
    for size in turns(sizes, rounds):
        for mode in MODES:
            measured[mode][size].append(campaigns.send(size, mode))
    return {
        mode: [Sent.of(size, answers) for size, answers in by_size.items()]
        for mode, by_size in measured.items()
    }


def report_sizes(results: dict[str, list[Sent]]) -> None:
    """Print each size, and how it compares with the one before."""
    for mode, sizes in results.items():
        print(f"\n{mode:>9}  us/message   us CPU  peak MiB  ledger MiB")
        for sent in sizes:
            print(
                f"{sent.messages:>9,}  {sent.wall_us.median:10.0f} {sent.cpu_us.median:8.0f}"
                f" {sent.peak_mib.median:9.1f} {sent.ledger_mib:11.1f}"
            )
        for before, after in pairwise(sizes):
            wall, cpu, peak = (
                getattr(after, name).median / getattr(before, name).median
                for name in ("wall_us", "cpu_us", "peak_mib")
            )
            print(
                f"{after.messages:,} / {before.messages:,}: time per message {wall:.2f},"
                f" CPU per message {cpu:.2f}, peak memory {peak:.2f}"
            )


def measure_concurrencies(campaigns: Campaigns, rounds: int) -> dict[int, Sent]:
    """Send with few and with many at a time, with a ledger."""
    measured: dict[int, list[Answer]] = {number: [] for number in CONCURRENCIES}
    for _ in range(rounds):
        for number, answers in measured.items():
            answers.append(campaigns.send(SENT_AT_EACH, "ledger", number))
    return {number: Sent.of(SENT_AT_EACH, answers) for number, answers in measured.items()}


def report_concurrencies(results: dict[int, Sent]) -> None:
    """Print each."""
    print("\nat a time  us/message   us CPU  peak MiB   (with ledger)")
    for number, sent in results.items():
        print(
            f"{number:>9,}  {sent.wall_us.median:10.0f} {sent.cpu_us.median:8.0f}"
            f" {sent.peak_mib.median:9.1f}"
        )


def measure_resume(campaigns: Campaigns, size: int, rounds: int) -> Answer:
    """Make a ledger, and take it up again and again."""
    with TemporaryDirectory(dir=campaigns.folder) as folder:
        path = Path(folder) / "campaign.db"
        loaded = campaigns.ask("load", messages=size, ledger=str(path))
        resumed = [campaigns.ask("resume", ledger=str(path)) for _ in range(rounds)]
        ledger = path.stat().st_size / MIB
    return {
        "rows": size,
        "load_us_per_row": loaded["wall"] / size * 1e6,
        "load_peak_mib": loaded["peak"] / MIB,
        "ledger_mib": ledger,
        **{name: Spread.of(each[name] for each in resumed) for name in resumed[0]},
    }


def report_resume(results: Iterable[Answer]) -> None:
    """Print each ledger."""
    print("\n  rows in ledger   us to load one   s from process start   s from entering")
    for each in results:
        print(
            f"{each['rows']:>16,} {each['load_us_per_row']:>16.0f} {each['from_start']!s:>22}"
            f" {each['from_entering']!s:>17}"
        )


def draw(path: Path, results: dict[str, list[Sent]]) -> None:
    """Draw time and memory over the size."""
    panels = "time per message (µs)", "CPU per message (µs)", "peak of resident memory (MiB)"
    with figures.plot(path, "As a campaign grows", 8, *panels) as axes:
        for panel, name in zip(axes, ("wall_us", "cpu_us", "peak_mib"), strict=True):
            for mode, sizes in results.items():
                panel.plot(
                    [sent.messages for sent in sizes],
                    [getattr(sent, name).median for sent in sizes],
                    marker="o",
                    label=mode,
                )
            panel.set_ylim(0, 1.1 * panel.get_ylim()[1])
        axes[0].legend()
        axes[-1].set_xscale("log")
        axes[-1].xaxis.set_major_formatter("{x:,.0f}")
        axes[-1].set_xlabel("messages (log scale)")


def measure_all(options: argparse.Namespace) -> None:
    """Measure, print, and write the result."""
    sizes = sorted(options.sizes or (QUICK_SIZES if options.quick else SIZES))
    result: dict[str, Any] = {"environment": figures.environment(options.out)}
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(sink("fast")) as server,
    ):
        campaigns = Campaigns(server.settings, options.out)
        if "send" in options.only:
            print(f"{CONCURRENCY} at a time, {options.rounds} rounds, medians", flush=True)
            result["send"] = measure_sizes(campaigns, sizes, options.rounds)
            report_sizes(result["send"])
        if "concurrency" in options.only:
            result["concurrency"] = measure_concurrencies(campaigns, options.rounds)
            report_concurrencies(result["concurrency"])
        if "resume" in options.only:
            result["resume"] = [measure_resume(campaigns, size, options.rounds) for size in sizes]
            report_resume(result["resume"])
    figures.write(options.out, "scaling", result)
    if "send" in options.only:
        draw(options.out / "scaling.png", result["send"])


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10,000 and 100,000 messages only")
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    figures.add_out(parser)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    measure_all(options)


if __name__ == "__main__":
    main()
