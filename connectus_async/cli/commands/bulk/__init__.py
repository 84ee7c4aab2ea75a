"""Commands of a campaign: send, resume, orders to its senders, and what became of it."""

import click

from connectus_async.cli import exit_codes
from connectus_async.cli.commands.bulk.orders import (
    bulk_continue,
    bulk_pause,
    bulk_set_rate,
    bulk_stop,
)
from connectus_async.cli.commands.bulk.results import (
    bulk_export,
    bulk_list,
    bulk_reconcile,
    bulk_report,
    bulk_status,
    bulk_track,
)
from connectus_async.cli.commands.bulk.send import bulk_resume, bulk_retry, bulk_send
from connectus_async.cli.help_layout import Listing


@click.group(
    cls=Listing,
    commands=[
        bulk_send,
        bulk_resume,
        bulk_retry,
        bulk_pause,
        bulk_continue,
        bulk_stop,
        bulk_set_rate,
        bulk_reconcile,
        bulk_status,
        bulk_list,
        bulk_report,
        bulk_export,
        bulk_track,
    ],
    epilog=exit_codes.table(),
)
def bulk() -> None:
    """Send a message to every row of a file, and record each in a ledger.

    A ledger is a file, or in a PostgreSQL database: postgresql://USER@HOST/DATABASE?campaign=NAME
    with any further parameters of libpq. Its password better comes from PGPASSWORD, ~/.pgpass or a
    service file, since other users see the arguments of a command.
    """
