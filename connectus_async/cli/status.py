"""Status of a campaign."""

import asyncio
import datetime as dt
import json
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from typing import Final

import attrs
from anyio.to_thread import run_sync
from rich.console import Console
from rich.live import Live

from connectus_async.cli.campaign_delivery import Recorded, delivery_lines, recorded_delivery
from connectus_async.cli.campaign_display import print_deliveries, to_fix
from connectus_async.cli.campaign_state import Snapshot, read_snapshot, snapshot_of
from connectus_async.cli.campaign_table import figures_of, senders_of, state_of, watched
from connectus_async.cli.campaigns import Standing, standing_of
from connectus_async.cli.exit_codes import ExitCode
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import moment, number, translated
from connectus_async.cli.ledgers import Place, command
from connectus_async.cli.orders import orders_as_dict, print_orders
from connectus_async.cli.runner import echo, print_json, run
from connectus_async.cli.state_counts import counted
from connectus_async.ledger import open_store
from connectus_async.report.figures import Figures, read_figures

WATCH_SECONDS: Final = 2.0
REST: Final = 9
"""Times as long as a look took, at least, before the next one: a large ledger takes a while."""

NOT_WATCHED: Final = "the campaign goes on; it is not watched any more"


def show_status(ledger: Place, watch: bool, as_json: bool) -> None:
    """Show the progress of LEDGER, whose campaign may be running."""
    if watch:
        run(partial(_watch, ledger, as_json=as_json), as_json=as_json, when_interrupted=NOT_WATCHED)

    def read() -> tuple[Figures, Standing, Snapshot, Recorded | None]:
        store = open_store(ledger)
        with store.read() as reader:
            figures, standing = read_figures(reader), standing_of(reader)
            campaign = snapshot_of(ledger, reader)
            delivery = recorded_delivery(reader.metadata())
        control = store.control()
        orders, senders = control.orders(), control.senders()
        campaign = attrs.evolve(campaign, orders=orders, senders=senders)
        return figures, standing, campaign, delivery

    found = run(partial(run_sync, read), as_json=as_json, when_interrupted="interrupted")
    figures, standing, campaign, delivery = found
    _print_status(figures, standing, campaign, delivery, as_json=as_json)
    sys.exit(_code(standing, campaign))


async def _watch(ledger: Place, *, as_json: bool) -> None:
    """Show a campaign again and again until nobody sends it any more."""
    console = Console()
    is_drawn = sys.stdout.isatty() and not as_json
    live = Live(console=console, auto_refresh=False, transient=True) if is_drawn else nullcontext()
    with live as screen:
        last = None
        began = time.monotonic()
        while (campaign := await run_sync(read_snapshot, ledger)).senders:
            took = time.monotonic() - began
            if screen is not None:
                screen.update(watched(campaign), refresh=True)
            elif (said := _said(campaign, as_json=as_json)) != last:
                echo(said)
                last = said
            await asyncio.sleep(max(WATCH_SECONDS, REST * took))
            began = time.monotonic()


def _said(campaign: Snapshot, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"type": "status", "campaign": campaign.name, **campaign.as_dict()})
    return f"{state_of(campaign)}: {figures_of(campaign).sentence()}"


def _code(standing: Standing, campaign: Snapshot) -> ExitCode:
    """Return the exit code that whoever sends the campaign ends with, or would end with now."""
    if campaign.senders:
        return attrs.evolve(standing, stopped=None).code(is_waiting=True)
    if campaign.orders.stopped is not None:
        return attrs.evolve(standing, stopped=ExitCode.STOPPED).code()
    return standing.code(is_waiting=campaign.is_paused or campaign.is_scheduled)


def _print_status(
    figures: Figures,
    standing: Standing,
    campaign: Snapshot,
    delivery: Recorded | None,
    *,
    as_json: bool,
) -> None:
    counts = {str(state): count for state, count in figures.counts.items()}
    if as_json:
        print_json(
            {
                "type": "status",
                "campaign": figures.name,
                "source": figures.source,
                "is_loaded": figures.is_loaded,
                "is_finished": figures.is_finished,
                "counts": counts,
                "skipped": dict(figures.skipped),
                "billed": figures.billed,
                "deliveries": dict(figures.deliveries),
                "without_id": figures.nameless,
                "delivery": delivery and delivery.as_dict(),
                "earlier_attempts": {str(state): it for state, it in standing.earlier.items()},
                **campaign.as_dict(),
                **orders_as_dict(campaign.orders, campaign.senders),
            }
        )
        return
    echo(f"{campaign.name}: {state_of(campaign)}")
    for line in (*_pace(campaign), *senders_of(campaign)):
        echo(line)
    for state, count in figures.states.items():
        if count:
            echo(counted(state, count, width=12))
    for reason, count in figures.skipped.items():
        echo(
            _("{count} skipped: {reason}").format(
                count=f"{number(count):>12}", reason=translated(reason)
            )
        )
    for state, count in standing.earlier.items():
        told = {"count": f"{number(count):>12}", "state": translated(state)}
        echo(_("{count} earlier attempts: {state}").format(**told))
    print_deliveries(figures)
    if not figures.is_loaded and not campaign.senders:
        echo(_("its file was not read to the end: run bulk send again"))
    for line in _hints(figures, campaign, delivery):
        echo(line)
    print_orders(campaign.orders, campaign.place, campaign.profile)


def _hints(figures: Figures, campaign: Snapshot, delivery: Recorded | None) -> Iterator[str]:
    """Write what can be done next."""
    if campaign.is_abandoned:
        yield _("no command waits for the start: {command} does").format(
            command=command("resume", campaign.place, campaign.profile)
        )
    if figures.to_fix:
        yield to_fix(figures.to_fix, command("export", campaign.place))
    if delivery is not None:
        yield from delivery_lines(delivery, campaign.place, campaign.profile)


def _pace(campaign: Snapshot) -> Iterator[str]:
    if campaign.since is None:
        return
    since = moment(dt.datetime.fromtimestamp(campaign.since, dt.UTC).astimezone())
    figures = figures_of(campaign)
    yield _("sent since {time}: {sent}").format(
        sent=", ".join((figures.counts(), *figures.pace())), time=since
    )
