"""Common parts of the benchmarks: rounds, medians, ratios with their spread, and results.

A result is a JSON file with the figures and the machine, with plots beside it.
"""

import gc
import json
import os
import platform
import statistics
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("aiohttp", "httpx", "openai", "orjson", "requests", "twilio", "uvloop", "vonage")
SYNCS = 20

RoundT = TypeVar("RoundT")


@attrs.frozen
class Round:
    """What one round took.

    Attributes:
        messages: How many messages were sent.
        wall: Seconds of the clock.
        cpu: Seconds of CPU of this process, all threads included.
    """

    messages: int
    wall: float
    cpu: float

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.wall

    @property
    def cost(self) -> float:
        """Microseconds of CPU per message."""
        return self.cpu / self.messages * 1e6


@attrs.frozen
class Spread:
    """A median, and how far the rounds lie apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Take the median of the rounds."""
        values = sorted(values)
        return cls(statistics.median(values), values[0], values[-1])

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


def timed(send: Callable[[], object], messages: int) -> Round:
    """Take the time of something that sends so many messages."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    send()
    return Round(messages, time.perf_counter() - wall, time.process_time() - cpu)


def interleaved(
    names: Sequence[str], rounds: int, one: Callable[[str], RoundT]
) -> dict[str, list[RoundT]]:
    """Measure all, round by round; another one begins each time.

    Args:
        names: What to measure.
        rounds: How often.
        one: Measures one round of one of them.
    """
    measured: dict[str, list[RoundT]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in [*names[first:], *names[:first]]:
            measured[name].append(one(name))
    return measured


def rates(rounds: Iterable[Round]) -> Spread:
    """Messages a second."""
    return Spread.of(each.rate for each in rounds)


def costs(rounds: Iterable[Round]) -> Spread:
    """Microseconds of CPU per message."""
    return Spread.of(each.cost for each in rounds)


def ratio(mine: Iterable[Round], theirs: Iterable[Round]) -> Spread:
    """How many times their rate ours is, round by round."""
    return Spread.of(a.rate / b.rate for a, b in zip(mine, theirs, strict=True))


def spread(rounds: Iterable[object], field: str) -> Spread:
    """Take the median of one figure of the rounds."""
    return Spread.of(getattr(each, field) for each in rounds)


def quotient(mine: Iterable[object], theirs: Iterable[object], field: str) -> Spread:
    """How many times their figure ours is, round by round."""
    pairs = zip(mine, theirs, strict=True)
    return Spread.of(getattr(a, field) / getattr(b, field) for a, b in pairs)


def headroom(served: Mapping[str, Any], rate: float) -> str:
    """Say how busy a server was.

    Args:
        served: What it told at its end.
        rate: The highest rate at which it was sent to.
    """
    cost = served["cpu_seconds"] / served["received"]
    return (
        f"the server: {cost * 1e6:.0f} us CPU per message, so {1 / cost:,.0f} a second at most;"
        f" busy for {cost * rate:.0%} of the time at the highest rate above"
    )


def environment(folder: Path) -> dict[str, object]:
    """Tell what the figures were measured on; `folder` is where the ledgers are."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_average_before": round(os.getloadavg()[0], 2),
        "sync_ms": round(sync_seconds(folder) * 1e3, 3),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def sync_seconds(folder: Path) -> float:
    """Measure how long the disk of a folder takes to make one small write durable."""
    taken = []
    with NamedTemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            file.write(b"x" * 4096)
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def parse(parser: ArgumentParser) -> Namespace:
    """Parse the options, with one that says where the results go; make that folder."""
    parser.add_argument(
        "--out", type=Path, default=RESULTS, help="folder for results and ledgers, on a real disk"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def write(folder: Path, name: str, figures: Mapping[str, Any]) -> None:
    """Write a result, and say where."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps(figures, indent=1, default=attrs.asdict) + "\n")
    print(f"figures: {path}")


@contextmanager
def plot(path: Path, title: str, height: float, *panels: str, aside: bool = False) -> Iterator[Any]:
    """Draw a plot, write it, and say where.

    Args:
        path: The PNG file.
        title: What it shows.
        height: Inches; the width is 10.
        panels: The title of each panel.
        aside: Whether the panels lie side by side, rather than above each other over one x-axis.

    Yields:
        The axes of the panels.
    """
    import matplotlib as mpl  # noqa: PLC0415 - heavy, and the last thing a benchmark needs

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    shape = (1, len(panels)) if aside else (len(panels), 1)
    figure, grid = plt.subplots(
        *shape, figsize=(10, height), sharex=not aside, squeeze=False, layout="constrained"
    )
    figure.suptitle(title, fontweight="bold")
    axes: list[Axes] = list(grid.flat)
    for panel, text in zip(axes, panels, strict=True):
        panel.set_title(text, loc="left", fontsize="medium")
        panel.grid(visible=True, alpha=0.3)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    yield axes
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(f"plot: {path}")


def bars(path: Path, title: str, panels: Mapping[str, Mapping[str, Mapping[str, Spread]]]) -> None:
    """Draw panels of bars side by side; a line across the end of a bar is the spread.

    Args:
        path: The PNG file.
        title: What it shows.
        panels: Panel by its title, series by its label, median by its name. All have the same names
            in the same order.
    """
    series = next(iter(panels.values()))
    names = list(next(iter(series.values())))
    height = 1.5 + 0.2 * len(names) * (len(series) + 1)
    with plot(path, title, height, *panels, aside=True) as all_axes:
        for axes, by_label in zip(all_axes, panels.values(), strict=True):
            _draw_bars(axes, by_label)
            axes.set_yticks(range(len(names)), names if axes is all_axes[0] else [""] * len(names))
            if len(by_label) > 1:
                axes.legend(fontsize="small")


def _draw_bars(axes: "Axes", by_label: Mapping[str, Mapping[str, Spread]]) -> None:
    thickness = 0.8 / len(by_label)
    for place, (label, spreads) in enumerate(by_label.items()):
        offset = (place - (len(by_label) - 1) / 2) * thickness
        values = list(spreads.values())
        axes.barh(
            [row + offset for row in range(len(values))],
            [each.median for each in values],
            height=thickness,
            label=label,
            xerr=(
                [each.median - each.low for each in values],
                [each.high - each.median for each in values],
            ),
            error_kw={"elinewidth": 0.8, "ecolor": "0.3"},
        )
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=6)
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
