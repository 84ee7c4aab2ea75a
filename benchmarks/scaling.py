"""Time and memory by the number of messages, and by the concurrency.

Each figure comes from a new process that sends messages from a generator to the fast sink, with and
without a ledger: time and CPU per message, peak resident memory, and the size of the ledger. A
large campaign pauses, with no request in progress, whenever it has sent as many messages as five of
the smallest campaigns, and five other processes send the smallest campaign. So a change of the
processor's speed affects both. Not every stretch has all kinds of work, so the report has tenths of
a campaign, with their ratios to the smallest campaigns beside them: the median, and the last tenth
alone, where the ledger is largest. It excludes opening and closing the ledger. Time and memory are
also measured with 1 to 1,000 concurrent messages. Then ledgers of these sizes, half sent, are
resumed: the time from the start of the process, and from opening the ledger, to the first response;
the first request is one exchange earlier. Run from the top of the repository; it takes ten minutes
or, with ``--quick``, three:

    python -m benchmarks.scaling [--quick] [--sizes 10000 100000 1000000]
        [--rounds 3] [--only send concurrency resume] [--out FOLDER]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
CONCURRENCY = 64
CONCURRENCIES = (1, 10, 100, 1_000)
SENT_AT_EACH = 10_000
SMALLEST_IN_A_STRETCH = 5
"""With one, the rests would show, for what a large campaign has in memory leaves the caches."""

PARTS_OF_A_CAMPAIGN = 10
ROUNDS = 3
MIB = 2**20
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
PER_MESSAGE = {"wall_us": "wall", "cpu_us": "cpu"}
MEMORY = {"before_mib": "before", "peak_mib": "peak"}
RATIOS = {"time per message": "wall_us", "CPU per message": "cpu_us"}

PROGRAM = [sys.executable, "-m", "benchmarks.one_campaign"]

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
        """Have a new process do something, and return what it tells.

        Args:
            do: What.
            job: What it has to know.
        """
        told = subprocess.run(  # noqa: S603 - what is run is this program
            PROGRAM, input=self._line(do, job), stdout=subprocess.PIPE, text=True, check=True
        )
        answer: Answer = json.loads(told.stdout)
        return answer

    @contextmanager
    def campaign(
        self, messages: int, mode: str, concurrency: int = CONCURRENCY, stretches: int = 1
    ) -> Iterator["Campaign"]:
        """Get a process ready to send, to a new ledger if there is to be one."""
        with TemporaryDirectory(dir=self.folder) as folder:
            ledger = Path(folder) / "campaign.db" if mode == "ledger" else None
            job = {
                "messages": messages,
                "concurrency": concurrency,
                "ledger": ledger and str(ledger),
                "stretches": stretches,
            }
            with subprocess.Popen(  # noqa: S603 - as above
                PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            ) as process:
                campaign = Campaign(process, messages, ledger)
                try:
                    campaign.tell(self._line("send", job))
                    yield campaign
                except BaseException:
                    process.kill()  # or it is waited for
                    raise

    def _line(self, do: str, job: Answer) -> str:
        job = {"do": do, "settings": self.settings, "concurrency": CONCURRENCY, **job}
        return json.dumps({**job, "began": time.time()}) + "\n"

    def send(self, messages: int, mode: str, concurrency: int = CONCURRENCY) -> "Sent":
        """Send from a generator in one stretch."""
        with self.campaign(messages, mode, concurrency) as campaign:
            campaign.go_on()
            return campaign.sent()


class Campaign:
    """A process that sends, one stretch after another.

    Args:
        process: The process.
        messages: How many it sends in all.
        ledger: The file of its ledger, if it has one.
    """

    def __init__(
        self, process: "subprocess.Popen[str]", messages: int, ledger: Path | None
    ) -> None:
        self._process = process
        self._messages = messages
        self._ledger = ledger
        self._told: list[Answer] = []

    def go_on(self) -> None:
        """Have it send the next stretch."""
        self._told.append(self.tell("\n"))

    def tell(self, line: str) -> Answer:
        """Tell it something, and wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line)
        answer: Answer = json.loads(self._process.stdout.readline())
        return answer

    def sent(self) -> "Sent":
        """Tell what all stretches took, after the last."""
        size = 0 if self._ledger is None else self._ledger.stat().st_size
        return Sent.of(self._messages, self._told, size)


@attrs.frozen
class Sent:
    """What a campaign took, or some of the same size.

    Attributes:
        messages: How many messages one had.
        wall_us: Time per message, of each stretch.
        cpu_us: CPU per message, of each stretch.
        before_mib: Resident memory before the first message.
        peak_mib: The most resident memory.
        ledger_mib: The size of the ledger.
    """

    messages: int
    wall_us: list[float]
    cpu_us: list[float]
    before_mib: list[float]
    peak_mib: list[float]
    ledger_mib: float

    @classmethod
    def of(cls, messages: int, told: Sequence[Answer], ledger: int) -> "Sent":
        """Take what a process told; of its memory, at its end."""
        each = {
            name: [answer[key] / answer["messages"] * 1e6 for answer in told]
            for name, key in PER_MESSAGE.items()
        }
        memory = {name: [told[-1][key] / MIB] for name, key in MEMORY.items()}
        return cls(messages, **each, **memory, ledger_mib=ledger / MIB)

    @classmethod
    def together(cls, several: Sequence["Sent"]) -> "Sent":
        """Put campaigns of one size together."""
        each = {
            name: [value for sent in several for value in getattr(sent, name)]
            for name in (*PER_MESSAGE, *MEMORY)
        }
        return cls(several[0].messages, **each, ledger_mib=several[0].ledger_mib)


@attrs.frozen
class Growth:
    """Campaigns of some sizes, all with a ledger or all without.

    Attributes:
        sizes: The smallest first.
        over_smallest: How many times the time and the CPU per message of the smallest each larger
            one took, by its size: for each tenth of it.
    """

    sizes: list[Sent] = attrs.field(factory=list)
    over_smallest: dict[int, dict[str, list[float]]] = attrs.field(factory=dict)


def measure_sizes(campaigns: Campaigns, sizes: Sequence[int]) -> dict[str, Growth]:
    """Send each size, and the smallest between."""
    return {mode: measure_growth(campaigns, sizes, mode) for mode in MODES}


def measure_growth(campaigns: Campaigns, sizes: Sequence[int], mode: str) -> Growth:
    """Send each size in one mode."""
    smallest, *larger = sizes
    growth = Growth()
    smallest_ones = []
    for size in larger:
        beside = []
        count = max(size // (SMALLEST_IN_A_STRETCH * smallest), 1)
        with campaigns.campaign(size, mode, stretches=count) as large:
            for _ in range(count):
                large.go_on()
                beside.append(
                    Sent.together(
                        [campaigns.send(smallest, mode) for _ in range(SMALLEST_IN_A_STRETCH)]
                    )
                )
            sent = large.sent()
        growth.sizes.append(sent)
        growth.over_smallest[size] = {name: quotients(sent, beside, name) for name in PER_MESSAGE}
        smallest_ones += beside
    growth.sizes.insert(0, Sent.together(smallest_ones or [campaigns.send(smallest, mode)]))
    return growth


def quotients(large: Sent, beside: Sequence[Sent], name: str) -> list[float]:
    """Divide one figure of each tenth by that of what was sent after its stretches."""
    theirs = tenths([statistics.fmean(getattr(each, name)) for each in beside])
    return [a / b for a, b in zip(tenths(getattr(large, name)), theirs, strict=True)]


def tenths(values: Sequence[float]) -> list[float]:
    """Make one mean of each part of a campaign; of few values, each is a part."""
    size = max(len(values) // PARTS_OF_A_CAMPAIGN, 1)
    return [statistics.fmean(values[at : at + size]) for at in range(0, len(values), size)]


def report_sizes(results: Mapping[str, Growth]) -> None:
    """Print each size, and how it compares with the smallest."""
    for mode, growth in results.items():
        print(f"\n{mode:>9}  us/message   us CPU  peak MiB  ledger MiB")
        for sent in growth.sizes:
            print(row(sent), f"{sent.ledger_mib:11.1f}")
        for size, ratios in growth.over_smallest.items():
            print(f"{size:,} / {growth.sizes[0].messages:,}:")
            for label, name in RATIOS.items():
                each = ratios[name]
                print(f"  {label} {Spread.of(each)}, in the last tenth {each[-1]:.2f}")
    print(f"the aim for time and CPU per message: at most {AIM}")


def row(sent: Sent) -> str:
    """Write the medians of a size in columns, but for its ledger."""
    wall, cpu, peak = (statistics.median(tenths(getattr(sent, name))) for name in PANELS.values())
    return f"{sent.messages:>9,}  {wall:10.0f} {cpu:8.0f} {peak:9.1f}"


def measure_concurrencies(campaigns: Campaigns, rounds: int) -> dict[int, Sent]:
    """Send with few and with many at a time, with a ledger."""
    by_name = {f"{number}": number for number in CONCURRENCIES}
    measured = figures.interleaved(
        list(by_name), rounds, lambda name: campaigns.send(SENT_AT_EACH, "ledger", by_name[name])
    )
    return {by_name[name]: Sent.together(each) for name, each in measured.items()}


def report_concurrencies(results: dict[int, Sent]) -> None:
    """Print each."""
    print("\nat a time  us/message   us CPU  peak MiB   (with ledger)")
    for number, sent in results.items():
        print(row(attrs.evolve(sent, messages=number)))


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


def draw_sizes(path: Path, results: Mapping[str, Growth]) -> None:
    """Draw time and memory over the size, and how far they may grow."""
    with figures.plot(path, "As a campaign grows", 8, *PANELS) as axes:
        for panel, name in zip(axes, PANELS.values(), strict=True):
            for mode, growth in results.items():
                line(panel, {sent.messages: getattr(sent, name) for sent in growth.sizes}, mode)
            if name in PER_MESSAGE:
                for number, growth in enumerate(results.values()):
                    most = statistics.median(tenths(getattr(growth.sizes[0], name))) * AIM
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


def line(panel: Any, values: Mapping[int, Sequence[float]], label: str) -> None:
    """Draw medians with their spread."""
    spreads = {x: Spread.of(tenths(each)) for x, each in values.items()}
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
            print(f"{CONCURRENCY} at a time, medians of the tenths of a campaign", flush=True)
            result["send"] = measure_sizes(campaigns, sizes)
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
    options = figures.parse(parser)
    measure_all(options)


if __name__ == "__main__":
    main()
