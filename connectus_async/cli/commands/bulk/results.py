"""Commands that show or complete the results of a campaign."""

from pathlib import Path
from typing import Any

import click

from connectus_async.bulk.options import DEFAULT_SETTLE
from connectus_async.cli.parameters import (
    MAX_CONCURRENCY,
    campaign_option,
    connection_options,
    json_option,
    ledger_argument,
    one_character,
    other_account_option,
    place_of_ledgers,
)
from connectus_async.defaults import DEFAULT_TIMEOUT, ENVIRONMENT, KERNEL_SENDS_FOR, TIME_ZONE
from connectus_async.ledger.states import OnUnknown, State
from connectus_async.tracking.limits import CONCURRENCY


@click.command("reconcile")
@ledger_argument
@campaign_option(
    "on_unknown",
    resumes=True,
    choices=[OnUnknown.HOLD.value, OnUnknown.RESEND_IF_ABSENT.value],
)
@click.option(
    "--settle",
    type=click.FloatRange(0, min_open=True),
    default=DEFAULT_SETTLE,
    show_default=True,
    help="Seconds after which an API report is taken to be complete, and between two reports."
    f" Messages begun in the last {DEFAULT_TIMEOUT + KERNEL_SENDS_FOR:g} seconds are waited for.",
)
@other_account_option
@connection_options
@json_option
def bulk_reconcile(**given: Any) -> None:
    """Ask the API for the unknown outcomes of LEDGER."""
    from connectus_async.cli.reconciling import reconcile

    reconcile(**given)


@click.command("status")
@ledger_argument
@click.option(
    "--watch", is_flag=True, help="Show it again and again until nobody sends it any more."
)
@json_option
def bulk_status(**given: Any) -> None:
    """Show the progress of LEDGER, whose campaign may be running."""
    from connectus_async.cli.status import show_status

    show_status(**given)


@click.command("list")
@click.argument("where", metavar="[FOLDER|ADDRESS]", default=".", callback=place_of_ledgers)
@json_option
def bulk_list(**given: Any) -> None:
    """List the campaigns of a folder, or of a PostgreSQL database.

    Those of a folder are its files that end in .ledger.db. Without FOLDER it is the present one.
    """
    from connectus_async.cli.campaign_list import list_campaigns

    list_campaigns(**given)


@click.command("report")
@ledger_argument
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write.  [default: LEDGER.html, if that is a file]",
)
@click.option(
    "--time-zone",
    envvar=ENVIRONMENT["time_zone"],
    default=TIME_ZONE,
    show_default=True,
    show_envvar=True,
    help="The zone in which the page shows times.",
)
def bulk_report(**given: Any) -> None:
    """Write a page with the figures and charts of LEDGER; it names no recipient."""
    from connectus_async.cli.reports import write_report

    write_report(**given)


@click.command("export")
@ledger_argument
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option(
    "--state",
    "states",
    type=click.Choice([state.value for state in State]),
    multiple=True,
    help="Only messages in this state.",
)
@click.option("--reason", help="Only messages with this in their reason.")
@click.option(
    "--delivery-status",
    "delivery_statuses",
    multiple=True,
    help="Only messages with this delivery status, such as NO_ENTREGABLE.",
)
@click.option(
    "--to-fix",
    is_flag=True,
    help="Only rejected messages and invalid rows, with the columns of the file, to be fixed and"
    " sent by `bulk retry --from`.",
)
@click.option(
    "--original", is_flag=True, help="Add the columns of the file that was sent, if it is the same."
)
@click.option(
    "--source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="That file, if it was moved.",
)
@click.option("--text", is_flag=True, help="Add the texts of the messages.")
@click.option(
    "--delimiter",
    callback=one_character,
    help="Delimiter of CSV; Excel in Spanish wants a semicolon.  [default: ,]",
)
@click.option(
    "--format",
    type=click.Choice(["csv", "jsonl", "parquet", "xlsx"]),
    help="Format of TARGET.  [default: its extension]",
)
def bulk_export(**given: Any) -> None:
    """Write the messages of LEDGER to TARGET, with their recipients; - is standard output."""
    from connectus_async.cli.reports import write_table

    write_table(**given)


@click.command("track")
@ledger_argument
@click.option(
    "--until-final",
    is_flag=True,
    help="Ask until every SMS has a final status, for at most three days.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, MAX_CONCURRENCY),
    default=CONCURRENCY,
    show_default=True,
    help="Maximum concurrent requests.",
)
@connection_options
@json_option
def bulk_track(**given: Any) -> None:
    """Update the delivery statuses in LEDGER; its campaign may be running."""
    from connectus_async.cli.tracking import track

    track(**given)
