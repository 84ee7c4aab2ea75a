"""Handing a campaign out to the workers of its ledger's database."""

from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import ngettext, number
from connectus_async.cli.ledgers import Place, command
from connectus_async.cli.releasing import count_waiting
from connectus_async.cli.runner import echo, print_json
from connectus_async.errors import ConfigurationError
from connectus_async.ledger import is_address
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.states import State
from connectus_async.workers.campaign_options import CampaignOptions
from connectus_async.workers.tickets import defer_tickets


def check_workers(workers: int | None, options: CampaignOptions) -> None:
    """Check that workers can send a campaign, if they are to.

    Raises:
        ConfigurationError: Its ledger is a file, or there are options for sending from here.
    """
    if workers and not is_address(options.ledger):
        raise ConfigurationError("--workers", "needs a ledger in a database: postgresql://…")
    if workers and options.processes > 1:
        raise ConfigurationError("--processes", "is of one machine: start more workers instead")
    if workers and not options.wait:
        raise ConfigurationError("--no-wait", "is of a command that sends: workers wait")


async def hand_out(
    opened: Ledger, workers: int, ledger: Place, *, as_json: bool
) -> tuple[int, int]:
    """Hand out a ticket to each of some workers, which send what is queued.

    Returns:
        The exit code, and the number of accepted messages in the ledger.
    """
    waiting = await count_waiting(opened)
    tickets = workers if waiting else 0
    if tickets:
        await defer_tickets(opened, tickets)
    if as_json:
        print_json({"type": "tickets", "tickets": tickets, "queued": waiting})
    elif tickets:
        handed = ngettext(
            "{count} message waits for the workers; this shows the progress: {command}",
            "{count} messages wait for the workers; this shows the progress: {command}",
            waiting,
        )
        echo(handed.format(count=number(waiting), command=command("status", ledger)))
    else:
        echo(_("nothing is to be sent"))
    return 0, (await opened.counts()).get(State.ACCEPTED, 0)
