"""Commands of a campaign: send, resume, orders to its senders, and what became of it."""

from pathlib import Path
from typing import Any

import click

from connectus_async.bulk.options import DEFAULT_SETTLE
from connectus_async.cli.parameters import (
    LEDGER_SUFFIX,
    MAX_CONCURRENCY,
    LedgerPlace,
    Rate,
    campaign_option,
    campaign_options,
    chained,
    connection_options,
    json_option,
    moment,
    one_character,
    regular_file,
    src_number_option,
)
from connectus_async.defaults import DEFAULT_TIMEOUT, ENVIRONMENT, KERNEL_SENDS_FOR, TIME_ZONE
from connectus_async.ledger.states import Edited, OnUnknown, State
from connectus_async.recipients.encoding import UTF_8
from connectus_async.tracking.limits import CONCURRENCY

ledger_argument = click.argument("ledger", type=LedgerPlace(exists=True))


message_options = chained(
    click.option(
        "--kind",
        type=click.Choice(["sms", "email", "whatsapp"]),
        default="sms",
        show_default=True,
        help="Kind of messages.",
    ),
    click.option("--text", help="SMS or WhatsApp text; {name} stands for the column 'name'."),
    click.option("--subject", help="Subject of an email, with the same placeholders."),
    click.option(
        "--html",
        type=click.File(encoding=UTF_8),
        help="File with the HTML of an email, with the same placeholders.",
    ),
    click.option("--jinja", is_flag=True, help="Read the texts as Jinja templates."),
    click.option("--to", help="Column of the recipient.  [default: dst_number or dst_email]"),
    click.option("--key", help="Column that tells messages apart."),
    src_number_option,
    click.option("--src-email", help="Address of the account to send from."),
    click.option("--id-delivery", help="Delivery of the messages."),
    click.option("--id-client", help="Sub-client that pays."),
    click.option(
        "--transliterate",
        is_flag=True,
        help="Replace SMS characters that cost more: é stays, “á” becomes a.",
    ),
)

file_options = chained(
    click.option(
        "--delimiter",
        callback=one_character,
        help="Delimiter of CSV cells; detected in the first line if left out.",
    ),
    click.option("--encoding", default=UTF_8, show_default=True, help="Encoding of the file."),
    click.option("--sheet", help="Sheet of a workbook."),
)


workers_option = click.option(
    "--workers",
    type=click.IntRange(1),
    help="Let so many workers of the ledger's database send, and nothing from here. They are"
    " started by `connectus workers run`.",
)


@click.group()
def bulk() -> None:
    """Send a message to every row of a file, and record each in a ledger.

    A ledger is a file, or in a PostgreSQL database: postgresql://USER@HOST/DATABASE?campaign=NAME
    with any further parameters of libpq. Its password better comes from PGPASSWORD, ~/.pgpass or a
    service file, since other users see the arguments of a command.
    """


@bulk.command("send")
@click.argument("file", type=click.Path(path_type=Path), callback=regular_file)
@message_options
@file_options
@click.option(
    "--ledger",
    type=LedgerPlace(),
    help="File that records the campaign, or the address of a PostgreSQL database, with a"
    f" --campaign.  [default: FILE{LEDGER_SUFFIX}]",
)
@campaign_options()
@click.option(
    "--edited",
    type=click.Choice([Edited.REMAINING.value, Edited.EVERYONE.value]),
    help="After a change of text, send to recipients who have nothing yet, or to all again."
    "  [default: refuse to send]",
)
@workers_option
@click.option("--dry-run", is_flag=True, help="Show what would be sent, without sending it.")
@connection_options
@json_option
def bulk_send(**given: Any) -> None:
    """Send a message to every row of FILE: CSV, JSON Lines, Parquet or Excel.

    The same command again resumes the campaign: a message in the ledger is not sent twice.
    """
    from connectus_async.cli.bulk import send

    send(**given)


@bulk.command("resume")
@ledger_argument
@campaign_options(resumes=True)
@workers_option
@connection_options
@json_option
def bulk_resume(**given: Any) -> None:
    """Send the queued messages of LEDGER, with the options of `bulk send` or new ones."""
    from connectus_async.cli.bulk import resume

    resume(**given)


@bulk.command("pause")
@ledger_argument
@click.option(
    "--until", callback=moment, help="Time at which it goes on by itself, such as 2026-12-24T08:00."
)
@json_option
def bulk_pause(**given: Any) -> None:
    """Pause all commands and workers that send LEDGER, from any terminal.

    Messages under way are finished. Whoever starts to send it later waits as well.
    """
    from connectus_async.cli.orders import pause

    pause(**given)


@bulk.command("continue")
@ledger_argument
@json_option
def bulk_continue(**given: Any) -> None:
    """Let them go on that `bulk pause` paused. It starts nobody: see `bulk resume`."""
    from connectus_async.cli.orders import go_on

    go_on(**given)


@bulk.command("stop")
@ledger_argument
@json_option
def bulk_stop(**given: Any) -> None:
    """End all commands and workers that send LEDGER, from any terminal.

    Messages under way are finished, and the others stay queued. A command that is still loading
    ends as well, before it sends anything. `bulk resume` and `bulk send` start it again.
    """
    from connectus_async.cli.orders import stop

    stop(**given)


@bulk.command("set-rate")
@ledger_argument
@click.argument("rate", type=Rate())
@json_option
def bulk_set_rate(**given: Any) -> None:
    """Let all that send LEDGER together send at most RATE messages or segments a second.

    It counts for those who start later, too, until another --rate is given to them. RATE
    "as-started" ends the order.
    """
    from connectus_async.cli.orders import set_rate

    set_rate(**given)


@bulk.command("reconcile")
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
@connection_options
@json_option
def bulk_reconcile(**given: Any) -> None:
    """Ask the API for the unknown outcomes of LEDGER."""
    from connectus_async.cli.bulk import reconcile

    reconcile(**given)


@bulk.command("status")
@ledger_argument
@json_option
def bulk_status(**given: Any) -> None:
    """Show the progress of LEDGER, whose campaign may be running."""
    from connectus_async.cli.bulk import show_status

    show_status(**given)


@bulk.command("report")
@ledger_argument
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="[default: LEDGER.html, if that is a file]",
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


@bulk.command("export")
@ledger_argument
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option(
    "--state", "states", type=click.Choice([state.value for state in State]), multiple=True
)
@click.option("--format", type=click.Choice(["csv", "jsonl", "parquet"]), help="Format of TARGET.")
def bulk_export(**given: Any) -> None:
    """Write every message of LEDGER to TARGET, with its recipient; - is standard output."""
    from connectus_async.cli.reports import write_table

    write_table(**given)


@bulk.command("track")
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
