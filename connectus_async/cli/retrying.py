"""Another attempt for messages that reached nobody, and messages whose rows were corrected."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import click
from anyio.to_thread import run_sync

from connectus_async.bulk.feed import ROWS_A_READ
from connectus_async.bulk.sender import Bulk
from connectus_async.cli.accounts import account_to_check, check_account
from connectus_async.cli.at_most import CampaignCap, skip_too_often, tell_too_often
from connectus_async.cli.campaign_display import Manner
from connectus_async.cli.campaigns import (
    STOPPED,
    campaign_sender,
    client_for,
    is_loaded,
    recorded,
)
from connectus_async.cli.composition import Composition
from connectus_async.cli.confirmation import check_confirmable, is_confirmed
from connectus_async.cli.corrections import Corrections
from connectus_async.cli.exit_codes import ExitCode
from connectus_async.cli.finishing import end_campaign
from connectus_async.cli.handing_out import check_workers, hand_out
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import ngettext, number
from connectus_async.cli.ledgers import Place
from connectus_async.cli.ledgers import command as write
from connectus_async.cli.loading import load_into
from connectus_async.cli.metrics import check_metrics
from connectus_async.cli.orders import order_rate
from connectus_async.cli.parameters import reading
from connectus_async.cli.plan import Planner
from connectus_async.cli.releasing import count_waiting, is_released, tell_unreleased
from connectus_async.cli.runner import echo, print_json
from connectus_async.cli.schedule import (
    Start,
    announce_start,
    check_start,
    order_start,
    planned_start,
)
from connectus_async.cli.sending import (
    metadata_of,
    run_logged,
    send_queued,
)
from connectus_async.cli.source_files import SourceFile
from connectus_async.client import AsyncConnectus
from connectus_async.errors import LedgerError
from connectus_async.ledger import metadata_names, name_of, open_store, with_campaign
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.records import Again, Corrects
from connectus_async.ledger.states import Edited
from connectus_async.recipients.frequency import FrequencyCap, Reached
from connectus_async.recipients.preflight import DEFAULT_EXAMPLES, PreflightReport
from connectus_async.recipients.sources import open_source
from connectus_async.workers.campaign_options import CampaignOptions

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_LOADED: Final = "its file was not read to its end: run bulk send again"
NO_TEXTS: Final = (
    "does not know the texts of its messages: it was made by another version, or by a program"
)
OF_A_DELIVERY: Final = (
    "its messages are of a delivery of the API: send the corrected rows to another ledger"
)


def retry(
    ledger: Place,
    corrected: Path | None,
    rejected: bool,
    undelivered: bool,
    invalid: bool,
    reason: str | None,
    at_most: FrequencyCap | str | None,
    workers: int | None,
    yes: bool,
    at: Start,
    as_json: bool,
    **given: Any,
) -> None:
    """Send messages of LEDGER that reached nobody again, or corrected rows."""
    _check(ledger, corrected, again=rejected or undelivered, invalid=invalid, reason=reason)
    check_metrics(workers=workers)
    check_confirmable(yes=yes, as_json=as_json)
    said = reading()
    choice = Again(rejected, undelivered, reason)
    manner = Manner.of(given, start=at)
    planner = Planner.of(given, as_json=as_json)

    async def command() -> int:
        metadata, settings = await run_sync(recorded, ledger, given)
        await run_sync(check_account, ledger, account_to_check())
        if not is_loaded(metadata):
            raise LedgerError(name_of(ledger), NOT_LOADED)
        cap = await run_sync(CampaignCap.read, ledger, metadata, at_most)
        reached = await run_sync(cap.reached, ledger, at)
        chosen = await run_sync(cap.choose, ledger, at, reached, choice)
        total = await run_sync(_count, ledger, chosen)
        if chosen.but:
            tell_too_often(stays=len(chosen.but), as_json=as_json)
        if corrected is None and not total:
            return _nothing(as_json=as_json)
        place = with_campaign(ledger, settings.campaign)
        opened = open_store(place).ledger()
        options = await run_sync(partial(settings.options, place, wait=manner.wait))
        await run_sync(check_start, place, at, options.expires_at)
        check_workers(workers, options)
        read = attrs.evolve(said, region=options.region)
        source = None if corrected is None else await open_source(corrected, read)
        async with (
            client_for(settings) as client,
            campaign_sender(client, opened, options) as sender,
        ):
            await sender.note(**metadata_of(settings), **cap.metadata())
            await run_sync(order_rate, place, given["rate"])
            await run_sync(order_start, place, at)
            await announce_start(place, as_json=as_json)
            await skip_too_often(opened, place, reached, as_json=as_json)
            await tell_unreleased(place, replaces=False, as_json=as_json)
            await opened.take_unreleased()
            if source is not None:
                corrections = await run_sync(Corrections.of, source, place)
                starts_at = await run_sync(planned_start, place, at)
                scheduled = attrs.evolve(planner, starts_at=starts_at)
                await _add(client, sender, opened, corrections, options, scheduled, reached)
                if not await is_released(sender, opened, place, yes=yes):
                    return ExitCode.FAILED
            elif yes or await _is_agreed(opened, total):
                await opened.release()
                await opened.queue_again(chosen)
            else:
                return ExitCode.FAILED
            if workers:
                code, _accepted = await hand_out(opened, workers, place, as_json=as_json)
            else:
                code, _accepted = await send_queued(
                    sender, options, place, manner, None, as_json=as_json
                )
        return code

    end_campaign(
        lambda: run_logged(command, manner, as_json=as_json, when_interrupted=STOPPED), ledger
    )


def _check(
    ledger: Place, corrected: Path | None, *, again: bool, invalid: bool, reason: str | None
) -> None:
    """Check what was asked for.

    Raises:
        click.UsageError: It makes no sense.
    """
    if invalid:
        raise click.UsageError(
            _(
                "an invalid row has no message that could be sent again: fix it in the file of"
                " {export}, and pass that by --from"
            ).format(export=f"{write('export', ledger)} FILE.xlsx --to-fix")
        )
    if corrected is not None and (again or reason):
        raise click.UsageError(_("--from sends the rows of a file: leave out the other choices"))
    if corrected is None and not again:
        raise click.UsageError(_("choose --rejected, --undelivered or --from FILE"))


def _count(ledger: Place, choice: Again) -> int:
    with open_store(ledger).read() as reader:
        return reader.count_again(choice)


def _nothing(*, as_json: bool) -> ExitCode:
    if as_json:
        print_json({"type": "again", "again": 0})
    else:
        echo(_("no message is to be sent again"))
    return ExitCode.NOTHING_TO_DO


async def _is_agreed(opened: Ledger, total: int) -> bool:
    """Ask whether to send messages again; nothing was changed yet."""
    question = ngettext("Send {count} message again?", "Send {count} messages again?", total)
    if waiting := await count_waiting(opened):
        question = ngettext(
            "Send {count} message again, and {waiting} that wait?",
            "Send {count} messages again, and {waiting} that wait?",
            total,
        )
    if await is_confirmed(question.format(count=number(total), waiting=number(waiting))):
        return True
    echo(_("Nothing was sent, and nothing was changed."))
    return False


async def _add(
    client: AsyncConnectus,
    sender: Bulk,
    opened: Ledger,
    corrections: Corrections,
    options: CampaignOptions,
    planner: Planner,
    reached: Reached | None,
) -> None:
    """Queue the messages of corrected rows, in place of those that reached nobody."""
    metadata = await opened.metadata()
    composition = Composition.read(metadata)
    if composition is None:
        raise LedgerError(name_of(options.ledger or ""), NO_TEXTS)
    if metadata.get(metadata_names.DELIVERY):
        raise LedgerError(name_of(options.ledger or ""), OF_A_DELIVERY)
    # its own key would find the message that is corrected; people are compared all the same
    composer = attrs.evolve(composition.composer(options.region), key=None)
    composer.bound(corrections.columns)
    plan = await load_into(
        *(sender, corrections, composer, options, planner, DEFAULT_EXAMPLES, reached),
        edited=Edited.REMAINING,
        corrects=Corrects(corrections.numbers, SourceFile.read(metadata).load),
        payer=client,
    )
    left_out = await _left_out(opened)
    waited = await count_waiting(opened) - (plan.report.to_send - left_out)
    await planner.show(plan)
    _tell(corrections, plan.report, left_out, waited, as_json=planner.as_json)


async def _left_out(opened: Ledger) -> int:
    """Count the people who may have got another message of the campaign already."""
    last = total = 0
    while batch := await opened.left_out(last, ROWS_A_READ):
        last, _entry = batch[-1]
        total += len(batch)
    return total


def _tell(
    corrections: Corrections,
    report: PreflightReport,
    left_out: int,
    waited: int,
    *,
    as_json: bool,
) -> None:
    """Tell which rows are not sent, and why, and what else is sent."""
    unchanged = sum(report.known.values())
    if as_json:
        others = {str(state): count for state, count in corrections.others.items()}
        print_json(
            {
                "type": "corrections",
                "unchanged": unchanged,
                "left_out": left_out,
                "others": others,
                "waited": waited,
            }
        )
        return
    told: list[tuple[int, Callable[[int], str]]] = [
        (
            unchanged,
            lambda count: ngettext(
                "{count} row is as it was, or the campaign has its message: it is not sent",
                "{count} rows are as they were, or the campaign has their messages: they are not"
                " sent",
                count,
            ),
        ),
        (
            left_out,
            lambda count: ngettext(
                "{count} row is to somebody who may have got a message already: it is not sent",
                "{count} rows are to people who may have got a message already: they are not sent",
                count,
            ),
        ),
        (
            sum(corrections.others.values()),
            lambda count: ngettext(
                "{count} row is of a message that was sent or waits, or is there twice: it is not"
                " sent",
                "{count} rows are of messages that were sent or wait, or are there twice: they are"
                " not sent",
                count,
            ),
        ),
        (
            waited,
            lambda count: ngettext(
                "{count} message that waits already is sent too",
                "{count} messages that wait already are sent too",
                count,
            ),
        ),
    ]
    for count, sentence in told:
        if count:
            echo(sentence(count).format(count=number(count)))
