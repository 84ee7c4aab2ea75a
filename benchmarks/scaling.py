"""How time and memory grow with the number of messages, and with how many are sent at a time.

Each figure is of a process of its own that sends messages from a generator to the fast sink, with a
ledger and without: the time and the CPU per message, the peak of resident memory, and the size of
the ledger. The sizes are interleaved, a million sent once, between the others; the figures are
medians, and ratios are to the smallest size, with the spread over its rounds. The same is measured
with 1 to 1,000 messages at a time. Then ledgers of these sizes, half sent, are taken up: the time
from the start of the process, and from the opening of the ledger, to the first answer; so the first
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
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
AIM = 1.05
"""How many times the time and the CPU of the smallest size a message may take at the largest."""

SOON = 2.0
"""Seconds until a million rows are taken up."""

PANELS = {
    "time per message (µs)": "wall_us",
    "CPU per message (µs)": "cpu_us",
    "peak of resident memory (MiB)": "peak_mib",
}
UNITS = {
    "wall_us": ("wall", None),
    "cpu_us": ("cpu", None),
    "before_mib": ("before", MIB),
    "peak_mib": ("peak", MIB),
}
RATIOS = {"time per message": "wall_us", "CPU per message": "cpu_us", "peak memory": "peak_mib"}

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
            size = path.stat().st_size if ledger else 0
            return {**sent, "messages": messages, "ledger": size}


@attrs.frozen
class Sent:
    """What some rounds of one size took, and how often the figures of the smallest size that is."""

    messages: int
    wall_us: Spread
    cpu_us: Spread
    before_mib: Spread
    peak_mib: Spread
    ledger_mib: float
    over_smallest: dict[str, Spread]

    @classmethod
    def of(cls, messages: int, rounds: Sequence[Answer], smallest: Sequence[Answer] = ()) -> "Sent":
        """Take the medians."""
        each = {name: [per_message(answer, name) for answer in rounds] for name in UNITS}
        least = {name: [per_message(answer, name) for answer in smallest] for name in UNITS}
        return cls(
            messages,
            ledger_mib=rounds[0]["ledger"] / MIB,
            **{name: Spread.of(values) for name, values in each.items()},
            over_smallest={
                name: Spread.of(mine / theirs for mine in each[name] for theirs in least[name])
                for name in RATIOS.values()
                if smallest
            },
        )


def per_message(answer: Answer, name: str) -> float:
    """Return a figure in the unit of its name; times are divided by the messages."""
    key, unit = UNITS[name]
    value: float = answer[key] / (unit or answer["messages"] / 1e6)
    return value


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
        mode: [Sent.of(size, answers, by_size[sizes[0]]) for size, answers in by_size.items()]
        for mode, by_size in measured.items()
    }


def report_sizes(results: dict[str, list[Sent]]) -> None:
    """Print each size, and how it compares with the smallest."""
    for mode, sizes in results.items():
        print(f"\n{mode:>9}  us/message   us CPU  peak MiB  ledger MiB")
        for sent in sizes:
            print(
                f"{sent.messages:>9,}  {sent.wall_us.median:10.0f} {sent.cpu_us.median:8.0f}"
                f" {sent.peak_mib.median:9.1f} {sent.ledger_mib:11.1f}"
            )
        for sent in sizes[1:]:
            ratios = (f"{label} {sent.over_smallest[name]}" for label, name in RATIOS.items())
            print(f"{sent.messages:,} / {sizes[0].messages:,}: {', '.join(ratios)}")
    print(f"the aim for time and CPU per message: at most {AIM}")


def measure_concurrencies(campaigns: Campaigns, rounds: int) -> dict[int, Sent]:
    """Send with few and with many at a time, with a ledger."""
    by_name = {f"{number}": number for number in CONCURRENCIES}
    measured = figures.interleaved(
        list(by_name), rounds, lambda name: campaigns.send(SENT_AT_EACH, "ledger", by_name[name])
    )
    return {by_name[name]: Sent.of(SENT_AT_EACH, each) for name, each in measured.items()}


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
    print(f"the aim at a million rows: under {SOON:.0f} s")


def draw_sizes(path: Path, results: dict[str, list[Sent]]) -> None:
    """Draw time and memory over the size, and how far they may grow."""
    with figures.plot(path, "As a campaign grows", 8, *PANELS) as axes:
        for panel, name in zip(axes, PANELS.values(), strict=True):
            for mode, sizes in results.items():
                line(panel, {sent.messages: getattr(sent, name) for sent in sizes}, mode)
            if name != "peak_mib":
                for number, sizes in enumerate(results.values()):
                    most = getattr(sizes[0], name).median * AIM
                    panel.axhline(most, color=f"C{number}", linestyle=":", linewidth=1)
            panel.set_ylim(0, 1.1 * panel.get_ylim()[1])
        axes[0].legend(title=f"dotted: {AIM} times the smallest")
        log_axis(axes[-1], "messages (log scale)")


def draw_concurrencies(path: Path, results: dict[int, Sent]) -> None:
    """Draw time and memory over how many are sent at a time."""
    title = f"{SENT_AT_EACH:,} messages with a ledger, few or many at a time"
    with figures.plot(path, title, 8, *PANELS) as axes:
        for panel, name in zip(axes, PANELS.values(), strict=True):
            line(panel, {number: getattr(sent, name) for number, sent in results.items()}, "ledger")
            panel.set_ylim(0, 1.1 * panel.get_ylim()[1])
        log_axis(axes[-1], "messages at a time (log scale)")


def line(panel: Any, spreads: Mapping[int, Spread], label: str) -> None:
    """Draw medians with their spread."""
    medians = [each.median for each in spreads.values()]
    below = [each.median - each.low for each in spreads.values()]
    above = [each.high - each.median for each in spreads.values()]
    panel.errorbar(list(spreads), medians, (below, above), marker="o", capsize=3, label=label)


def log_axis(panel: Any, label: str) -> None:
    """Have the x-axis count in powers of ten."""
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.set_xlabel(label)


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
        draw_sizes(options.out / "scaling.png", result["send"])
    if "concurrency" in options.only:
        draw_concurrencies(options.out / "scaling-concurrency.png", result["concurrency"])


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
