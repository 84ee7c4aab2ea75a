"""A campaign on one page, to be passed on: it needs nothing else and names nobody."""

import shlex
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import partial
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Final

from connectus_async import translation
from connectus_async.extras import library
from connectus_async.ledger import name_of, open_store
from connectus_async.ledger.states import State
from connectus_async.report import charts
from connectus_async.report._target import replacing
from connectus_async.report.commands import command
from connectus_async.report.figures import FILE_TO_FIX, Figures, read_figures
from connectus_async.report.formats import duration, moment, number, percent, title
from connectus_async.translation import ENGLISH, Language

LEFT: Final = {
    State.QUEUED: "still queued: running the campaign again sends them",
    State.IN_FLIGHT: "in flight: being sent, or cut off when their sender ended",
    State.UNKNOWN: "unknown: may have been sent; reconciling asks the API",
}
"""Open tasks, by state."""


def write_page(
    ledger: str | PathLike[str], target: Path, *, zone: tzinfo = UTC, language: str = ENGLISH
) -> None:
    """Write a campaign's report as one HTML page, which is whole without a network. Blocks.

    It has the campaign's name, the name of its source, totals, throughput and latency over time,
    errors, skipped messages and delivery statuses. No recipient, no key and no text of a
    message is on it. While something is left to do, it says so at the top, with why the campaign
    stopped last, if that is on record, and the command to go on with. The ledger is read as it
    stands at this moment; a campaign may go on writing it.

    Args:
        ledger: The ledger: the path of its file, or its address.
        target: The file to write, which is replaced if it is there, but only when all is written.
        zone: The time zone in which the page shows times, and which it names.
        language: The tag of the page's language, such as ``es`` or ``es_CL``; English if it has no
            translation.

    Raises:
        LedgerError: The ledger cannot be read.
        InvalidArgumentError: The target cannot be: it is the ledger itself, or no regular file.
        ConfigurationError: It needs ``pip install 'connectus-async[report]'``.
        OSError: The target cannot be written, and is as it was.

    Example:
        write_page(Path("navidad.db"), Path("navidad.html"))
    """
    with open_store(ledger).read() as reader:
        figures = read_figures(reader)
    page = _render(
        figures, datetime.now(UTC), zone, name_of(ledger), translation.language(language)
    )
    with replacing(target, ledger) as file:
        file.write(page.encode(errors="replace"))


def commands(figures: Figures, ledger: str) -> list[str]:
    """Write the commands that go on with a campaign, for the shell.

    Args:
        figures: The campaign.
        ledger: The name of its ledger.
    """
    names = []
    if figures.counts[State.QUEUED] and figures.is_loaded:
        names.append("resume")
    if figures.counts[State.UNKNOWN] or figures.counts[State.IN_FLIGHT]:
        names.append("reconcile")
    return [command(name, _typed(ledger), figures.profile) for name in names]


def _typed(ledger: str) -> str:
    return shlex.quote(f"./{ledger}" if ledger.startswith("-") else ledger)


def _read(template: str) -> str:
    return files("connectus_async.report").joinpath(template).read_text("utf-8")


def _render(figures: Figures, now: datetime, zone: tzinfo, ledger: str, language: Language) -> str:
    jinja = library("report", "jinja2", extra="report")
    environment = jinja.Environment(
        autoescape=True,
        loader=jinja.FunctionLoader(_read),
        undefined=jinja.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": partial(duration, language=language),
        "moment": lambda at: moment(at.astimezone(zone), language),
        "number": partial(number, language=language),
        "offset": lambda at: str(timezone(at.astimezone(zone).utcoffset() or timedelta())),
        "sentence": language.sentence,
        "title_of": partial(title, language=language),
    }
    _ = language.gettext
    page: str = environment.get_template("page.html").render(
        _=_,
        figures=figures,
        charts=charts,
        commands=commands(figures, ledger),
        export=f"{command('export', _typed(ledger))} {FILE_TO_FIX} --to-fix",
        lang=language.tag.replace("_", "-"),
        language=language,
        left=[(figures.counts[state], _(said)) for state, said in LEFT.items()],
        ngettext=language.ngettext,
        now=now,
        percent=partial(percent, language=language),
        present={state: count for state, count in figures.states.items() if count},
        share=lambda count, counts: round(100 * count / max(counts.values()), 2),
        State=State,
        zone=zone,
        zone_name=str(zone),
    )
    return page
