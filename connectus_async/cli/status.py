"""Status of a campaign."""

import sys
from collections.abc import Sequence

import attrs
from anyio.to_thread import run_sync

from connectus_async.cli.campaign_display import print_deliveries
from connectus_async.cli.campaigns import Standing, standing_of
from connectus_async.cli.exit_codes import ExitCode
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import number
from connectus_async.cli.ledgers import Place
from connectus_async.cli.orders import is_paused, orders_as_dict, print_orders
from connectus_async.cli.runner import echo, print_json, run
from connectus_async.ledger import open_store
from connectus_async.ledger.records import Orders, Sender
from connectus_async.report.figures import Figures, read_figures


def show_status(ledger: Place, as_json: bool) -> None:
    """Show the progress of LEDGER, whose campaign may be running."""

    def read() -> tuple[Figures, Standing, Orders, Sequence[Sender]]:
        store = open_store(ledger)
        with store.read() as reader:
            figures, standing = read_figures(reader), standing_of(reader)
        control = store.control()
        return figures, standing, control.orders(), control.senders()

    async def command() -> tuple[Figures, Standing, Orders, Sequence[Sender]]:
        return await run_sync(read)

    figures, standing, orders, senders = run(
        command, as_json=as_json, when_interrupted="interrupted"
    )
    _print_status(figures, standing, orders, senders, ledger, as_json=as_json)
    sys.exit(_code(standing, orders, senders))


def _code(standing: Standing, orders: Orders, senders: Sequence[Sender]) -> ExitCode:
    """Return the exit code that whoever sends the campaign ends with, or would end with now."""
    if senders:
        return attrs.evolve(standing, stopped=None).code(is_waiting=True)
    if orders.stopped is not None:
        return attrs.evolve(standing, stopped=ExitCode.STOPPED).code()
    return standing.code(is_waiting=is_paused(orders))


def _print_status(
    figures: Figures,
    standing: Standing,
    orders: Orders,
    senders: Sequence[Sender],
    ledger: Place,
    *,
    as_json: bool,
) -> None:
    counts = {str(state): count for state, count in figures.counts.items()}
    if as_json:
        print_json(
            {
                "campaign": figures.name,
                "source": figures.source,
                "is_loaded": figures.is_loaded,
                "is_finished": figures.is_finished,
                "counts": counts,
                "skipped": dict(figures.skipped),
                "billed": figures.billed,
                "deliveries": dict(figures.deliveries),
                "without_id": figures.nameless,
                "earlier_attempts": {str(state): it for state, it in standing.earlier.items()},
                **orders_as_dict(orders, senders),
            }
        )
        return
    title = figures.name or figures.source or "campaign"
    echo(f"{title}: {'finished' if figures.is_finished else 'not finished'}")
    for state, count in counts.items():
        if count:
            echo(f"{count:>12,} {state}")
    for reason, count in figures.skipped.items():
        echo(f"{count:>12,} skipped: {reason}")
    for state, count in standing.earlier.items():
        echo(_("{count:>12} earlier attempts: {state}").format(count=number(count), state=state))
    print_deliveries(figures)
    if not figures.is_loaded:
        echo("its source was not read to the end: run bulk send again")
    print_orders(orders, senders, ledger)
