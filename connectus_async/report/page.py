"""A campaign on one page, to be passed on: it needs nothing else and names nobody."""

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

from connectus_async.extras import library
from connectus_async.ledger.sqlite.reading import reading
from connectus_async.ledger.states import State
from connectus_async.report import charts
from connectus_async.report._target import replacing
from connectus_async.report.figures import Figures, read_figures
from connectus_async.report.words import duration, moment, number, percent, title

LEFT: Final = {
    State.QUEUED: "still queued: running the campaign again sends them",
    State.IN_FLIGHT: "in flight: being sent, or cut off when their sender ended",
    State.UNKNOWN: "unknown: may have been sent; reconciling asks the API",
}
"""What is left to do, by state."""


def write_page(ledger: Path, target: Path) -> None:
    """Write a campaign's report as one HTML page, which is whole without a network. Blocks.

    It has the campaign's name, the name of its source, totals, throughput and latency over time,
    errors, what was skipped and what became of deliveries. No recipient, no key and no text of a
    message is on it. While something is left to do, it says so at the top. The ledger is read as
    it stands at this moment; a campaign may go on writing it.

    Args:
        ledger: The ledger.
        target: The file to write, which is replaced if it is there, but only when all is written.

    Raises:
        LedgerError: The ledger cannot be read.
        InvalidArgumentError: The target cannot be: it is the ledger itself, or no regular file.
        ConfigurationError: It needs ``pip install 'connectus-async[report]'``.
        OSError: The target cannot be written, and is as it was.

    Example:
        write_page(Path("navidad.db"), Path("navidad.html"))
    """
    with reading(ledger) as connection:
        figures = read_figures(connection)
    page = _render(figures, datetime.now(UTC))
    with replacing(target, ledger) as file:
        file.write(page.encode())


def _render(figures: Figures, now: datetime) -> str:
    jinja = library("report", "jinja2", extra="report")
    environment = jinja.Environment(
        autoescape=True, undefined=jinja.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "duration": duration,
        "moment": moment,
        "number": number,
        "title_of": title,
    }
    source = files("connectus_async.report").joinpath("page.html").read_text("utf-8")
    page: str = environment.from_string(source).render(
        figures=figures,
        charts=charts,
        left=[(figures.counts[state], said) for state, said in LEFT.items()],
        now=now,
        percent=percent,
        present={state: count for state, count in figures.counts.items() if count},
        share=lambda count, counts: round(100 * count / max(counts.values()), 2),
        State=State,
    )
    return page
