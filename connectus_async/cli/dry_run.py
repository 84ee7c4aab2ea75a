"""A dry run: all of `bulk send` but for sending."""

from functools import partial
from typing import Final

from anyio.to_thread import run_sync

from connectus_async.cli import credentials, edits
from connectus_async.cli.campaigns import client_for
from connectus_async.cli.ledgers import Place
from connectus_async.cli.loading import load_source
from connectus_async.cli.plan import Planner
from connectus_async.cli.runner import at_work
from connectus_async.client import AsyncConnectus, sender_over
from connectus_async.errors import ConfigurationError
from connectus_async.ledger import open_store
from connectus_async.ledger.states import Edited
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.frequency import Reached
from connectus_async.recipients.sources import Source
from connectus_async.workers.campaign_options import Settings

ROWS_NAMED: Final = 10_000
"""For each reason: a dry run leaves no ledger to look them up in."""


async def dry_run_of(
    source: Source,
    composer: Composer,
    settings: Settings,
    ledger: Place,
    *,
    edited: Edited | None,
    reached: Reached | None,
    planner: Planner,
    as_json: bool,
) -> int:
    """Load a source into a copy of the ledger, which knows earlier messages, and send nothing."""
    options = await run_sync(settings.options, ledger)
    choose = partial(edits.foresee, given=edited, as_json=as_json)
    client, has_credentials = _client(settings)
    async with client, sender_over(client, open_store(ledger).trial(), options) as sender:
        with at_work():
            report = await load_source(
                sender, source, composer, options, choose, planner, reached, examples=ROWS_NAMED
            )
        asked = client if has_credentials else None
        plan = await planner.plan(report, asked, region=options.region)
    await planner.show(plan)
    return 0


def _client(settings: Settings) -> tuple[AsyncConnectus, bool]:
    """Make a client, and tell whether it has credentials: without, it makes no request."""
    try:
        return client_for(settings), True
    except ConfigurationError as error:
        if error.setting != credentials.MISSING:
            raise
        return AsyncConnectus("nobody", "nothing", max_connections=settings.concurrency), False
