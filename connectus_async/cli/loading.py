"""Loads a file of recipients into a ledger, and plans what is to be sent."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from rich.console import Console

from connectus_async.bulk.loading import EditedError
from connectus_async.bulk.sender import Bulk
from connectus_async.cli.campaign_display import progress_bar
from connectus_async.cli.edits import Edit
from connectus_async.cli.language import gettext as _
from connectus_async.cli.plan import Plan, Planner, StoppedError
from connectus_async.client import AsyncConnectus
from connectus_async.ledger.keys import KeyMaker
from connectus_async.ledger.records import Corrects, Entry, Loaded
from connectus_async.ledger.states import Edited, State
from connectus_async.products.messages import Row
from connectus_async.products.sms import Sms
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.composing import composed
from connectus_async.recipients.frequency import Reached
from connectus_async.recipients.phone_numbers import NationalNumbers
from connectus_async.recipients.plain_sms import Composed
from connectus_async.recipients.preflight import (
    DEFAULT_EXAMPLES,
    Preflight,
    PreflightReport,
)
from connectus_async.recipients.sources import Source
from connectus_async.workers.campaign_options import CampaignOptions


async def load_source(
    sender: Bulk,
    source: Source,
    composer: Composer,
    options: CampaignOptions,
    choose: Callable[[Edit], Awaitable[Edited]],
    planner: Planner,
    reached: Reached | None,
    *,
    examples: int = DEFAULT_EXAMPLES,
) -> PreflightReport:
    """Load a source: a second time with the choice, if people may have got another text.

    Args:
        sender: The sender.
        source: The source.
        composer: The composer of its messages.
        options: The options of the campaign.
        choose: Chooses who gets the new text.
        planner: The planner, which may stop it before it counts as loaded.
        reached: What people got by other campaigns, if that counts.
        examples: As in `Preflight`.
    """
    load = partial(load_into, sender, source, composer, options, planner, examples, reached)
    try:
        return (await load(Edited.ABORT)).report
    except EditedError as error:
        others = (await sender.counts()).get(State.QUEUED, 0)
        edit = Edit(error.people, error.corrected, others)
    return (await load(await choose(edit))).report


async def load_into(
    sender: Bulk,
    source: Source,
    composer: Composer,
    options: CampaignOptions,
    planner: Planner,
    examples: int,
    reached: Reached | None,
    edited: Edited,
    *,
    corrects: Corrects | None = None,
    payer: AsyncConnectus | None = None,
) -> Plan:
    """Load a source once; see `load_source`, and `Ledger.begin_load` for ``corrects``.

    Balances of ``payer`` that do not cover it stop it before anything of it is queued.
    """
    plan = None
    preflight = Preflight(
        examples=examples,
        quiet_hours=options.quiet_hours,
        now=planner.start,
        budget=options.budget,
        spent=await sender.spent() if options.budget else 0,
        columns=source.columns,
        notes=source.notes,
    )
    forecast = partial(preflight.report, rate=options.rate, rate_unit=options.rate_unit)

    async def compose(*given: Any) -> AsyncGenerator[Sequence[Composed], None]:
        batches = _composed(source, composer, options.region, *given)
        async with aclosing(batches):
            async for batch in batches:
                yield batch
        nonlocal plan
        plan = await planner.check(forecast(), payer, region=options.region)

    with progress_bar(Console(stderr=True)) as progress:
        task = progress.add_task(_("reading"), total=source.length)

        def add(batch: Sequence[Composed], loaded: Sequence[Loaded]) -> None:
            preflight.add_batch(batch, loaded)
            progress.advance(task, len(batch))

        try:
            await sender._load_composed(  # noqa: SLF001 - no matter of the users of a sender
                compose,
                add,
                edited=edited,
                template=composer.template,
                reached=reached,
                corrects=corrects,
            )
        except StoppedError as error:
            progress.stop()
            await planner.show(error.plan)
            raise
    return plan or Plan(report=forecast())


async def _composed(
    source: Source,
    composer: Composer,
    region: str | None,
    entry_of: Callable[[Sms], Entry],
    key_maker: KeyMaker,
) -> AsyncGenerator[Sequence[Composed], None]:
    numbers = NationalNumbers(region)
    async with aclosing(composed(source, composer, entry_of, key_maker)) as batches:
        async for batch in batches:
            for item in batch:
                if isinstance(item, Row):
                    numbers.add(item.content)
                else:
                    numbers.add_valid(item.entry.recipient)
            yield batch
    numbers.check(source.name)
