"""Campaigns of the command line: send, resume, reconcile and status."""

import datetime as dt
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import click
from anyio.to_thread import run_sync

from connectus_async.arguments import ToDigits
from connectus_async.bulk.feed import ROWS_A_READ
from connectus_async.bulk.sender import Bulk
from connectus_async.cli import edits
from connectus_async.cli.accounts import (
    account_to_check,
    account_to_record,
    check_account,
    present_profile,
)
from connectus_async.cli.at_most import CampaignCap, skip_too_often
from connectus_async.cli.campaign_delivery import (
    Planned,
    announce_delivery,
    check_resumed,
    join,
    plan_delivery,
)
from connectus_async.cli.campaign_display import CampaignDisplay, Manner
from connectus_async.cli.campaigns import (
    STOPPED,
    campaign_sender,
    client_for,
    note_stop,
    recorded,
    standing_after,
)
from connectus_async.cli.composition import Composition
from connectus_async.cli.confirmation import check_confirmable
from connectus_async.cli.corrections import check_no_export
from connectus_async.cli.delays import load
from connectus_async.cli.dry_run import dry_run_of
from connectus_async.cli.exit_codes import ExitCode
from connectus_async.cli.finishing import end_campaign, share_to_record
from connectus_async.cli.first_message import TEST_STOPPED, send_test
from connectus_async.cli.handing_out import check_workers, hand_out
from connectus_async.cli.language import current
from connectus_async.cli.language import gettext as _
from connectus_async.cli.ledgers import Place, check_source, command
from connectus_async.cli.loading import load_source
from connectus_async.cli.log import campaign_log
from connectus_async.cli.orders import is_paused, order_rate
from connectus_async.cli.origins import Recorded, origin_of
from connectus_async.cli.parameters import reading
from connectus_async.cli.plan import Planner, StoppedError
from connectus_async.cli.recipient_column import with_recipient
from connectus_async.cli.releasing import is_released, tell_unreleased
from connectus_async.cli.runner import at_work, echo, errors_reported, run
from connectus_async.cli.schedule import (
    Start,
    announce_start,
    check_start,
    order_start,
    planned_start,
)
from connectus_async.client import AsyncConnectus
from connectus_async.errors import InvalidArgumentError, LedgerError
from connectus_async.ledger import (
    metadata_names,
    name_of,
    open_store,
    with_campaign,
)
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.records import Entry
from connectus_async.ledger.states import Edited, State
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.frequency import FrequencyCap
from connectus_async.recipients.phone_numbers import checker
from connectus_async.recipients.sources import Source
from connectus_async.workers.campaign_options import CampaignOptions, Settings

DEFAULT_MANNER: Final = Manner()
NOTHING_RECORDED: Final = {metadata_names.SOURCE_FILE: "", metadata_names.SOURCE_QUERY: ""}
NOTHING_SENT: Final = "interrupted; nothing was sent: run the same command again"


def send(
    file: Path | None,
    query: str | None,
    database: str | None,
    region: str | None,
    ledger: Place | None,
    edited: str | None,
    at_most: FrequencyCap | None,
    delivery_at: dt.datetime | None,
    workers: int | None,
    dry_run: bool,
    yes: bool,
    at: Start,
    test_to: str | None,
    limit: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Send a message to every row of FILE, or of a query.

    The same command again resumes the campaign: a message in the ledger is not sent twice.
    """
    _check_combination(dry_run=dry_run, workers=workers, test_to=test_to, limit=limit)
    said = attrs.evolve(reading(), region=region)
    origin = origin_of(file, query, database, said)
    if not dry_run and test_to is None:
        check_confirmable(yes=yes, as_json=as_json)
    manner = Manner.of(given, start=at)
    planner = Planner.of(given, is_trial=dry_run, as_json=as_json)
    with errors_reported(as_json=as_json, when_interrupted=NOTHING_SENT):
        composition = Composition.of(given)
        composition.composer(region)  # its errors come first
        settings = Settings(region=region, **given)
        place = ledger or origin.ledger(settings.campaign)
    place = with_campaign(place, settings.campaign)
    who = Edited(edited) if edited else None

    async def command() -> int:
        source = await origin.open()
        check_no_export(source)
        chosen = await with_recipient(composition, source.columns, place, asks=not (yes or as_json))
        composer = chosen.composer(region).bound(source.columns)
        starts_at = await run_sync(planned_start, place, at)
        scheduled = attrs.evolve(planner, starts_at=starts_at)
        delivery = await run_sync(plan_delivery, place, delivery_at, composer, starts_at)
        if delivery is not None:
            given["expires_at"] = delivery.expiry(given["expires_at"])
        settings = Settings(region=region, **given)
        if test_to is not None:
            async with client_for(settings) as client:
                return await send_test(
                    client, source, composer, test_to, region=region, as_json=as_json
                )
        await run_sync(check_source, place, source.name)
        if dry_run:
            cap = await run_sync(CampaignCap.of, place, at_most)
            reached = await run_sync(cap.reached, place, at)
            return await dry_run_of(
                *(source, composer, settings, place),
                edited=who,
                reached=reached,
                planner=scheduled,
                as_json=as_json,
            )
        recorded = await origin.recorded()
        async with client_for(settings) as client:
            code, _accepted = await send_source(
                client,
                source,
                composer,
                settings,
                place,
                edited=who,
                at_most=at_most,
                delivery=delivery,
                rate=given["rate"],
                workers=workers,
                yes=yes,
                planner=scheduled,
                manner=manner,
                limit=limit,
                as_json=as_json,
                recorded=(recorded, chosen),
            )
        return code

    when_interrupted = TEST_STOPPED if test_to is not None else STOPPED
    if dry_run:
        when_interrupted = "interrupted; nothing was sent"
    if dry_run or test_to is not None:
        sys.exit(run_logged(command, manner, as_json=as_json, when_interrupted=when_interrupted))
    end_campaign(
        lambda: run_logged(command, manner, as_json=as_json, when_interrupted=when_interrupted),
        place,
    )


def resume(
    ledger: Place,
    at_most: FrequencyCap | str | None,
    workers: int | None,
    yes: bool,
    at: Start,
    limit: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Send the queued messages of LEDGER, with the options of `bulk send` or new ones."""
    _check_combination(workers=workers, limit=limit)
    check_confirmable(yes=yes, as_json=as_json)
    manner = Manner.of(given, start=at)

    async def command() -> int:
        metadata, settings = await run_sync(recorded, ledger, given)
        if metadata.get(metadata_names.LOADED) != "1":
            source = metadata.get(metadata_names.SOURCE) or "its file"
            raise LedgerError(
                name_of(ledger), f"{source} was not read to its end: run bulk send again"
            )
        place = with_campaign(ledger, settings.campaign)
        await run_sync(check_account, place, account_to_check())
        opened = open_store(place).ledger()
        options = await run_sync(partial(settings.options, place, wait=manner.wait))
        await run_sync(check_start, place, at, options.expires_at)
        with at_work():
            await run_sync(check_resumed, place, options.expires_at)
        check_workers(workers, options)
        cap = await run_sync(CampaignCap.read, place, metadata, at_most)
        reached = await run_sync(cap.reached, place, at)
        async with (
            client_for(settings) as client,
            campaign_sender(client, opened, options) as sender,
        ):
            await _check_unchecked(opened, name_of(place))
            await sender.note(**metadata_of(settings), **cap.metadata())
            await run_sync(order_rate, place, given["rate"])
            await run_sync(order_start, place, at)
            await announce_start(place, as_json=as_json)
            await skip_too_often(opened, place, reached, as_json=as_json)
            await tell_unreleased(place, replaces=False, as_json=as_json)
            if not await is_released(sender, opened, place, limit, yes=yes):
                return ExitCode.FAILED
            if workers:
                code, _accepted = await hand_out(opened, workers, place, as_json=as_json)
            else:
                code, _accepted = await send_queued(
                    sender, options, place, manner, limit, as_json=as_json
                )
        return code

    end_campaign(
        lambda: run_logged(command, manner, as_json=as_json, when_interrupted=STOPPED), ledger
    )


def run_logged(
    command: Callable[[], Awaitable[int]], manner: Manner, *, as_json: bool, when_interrupted: str
) -> int:
    """Run a command with its log."""
    with (
        errors_reported(as_json=as_json, when_interrupted=NOTHING_SENT),
        campaign_log(manner.log_file, as_json=as_json),
    ):
        return run(command, as_json=as_json, when_interrupted=when_interrupted)


def _check_combination(
    *,
    workers: int | None,
    limit: int | None,
    dry_run: bool = False,
    test_to: str | None = None,
) -> None:
    """Refuse options of which one would be without effect.

    Raises:
        click.UsageError: There are such options.
    """
    given = {"--test-to": test_to, "--dry-run": dry_run, "--workers": workers, "--limit": limit}
    named = [name for name, value in given.items() if value]
    if len(named) > 1 and named != ["--dry-run", "--workers"]:
        raise click.UsageError(_("{options} do not go together").format(options=", ".join(named)))


async def _check_unchecked(ledger: Ledger, name: str) -> None:
    """Refuse an older ledger with numbers that `bulk send` would refuse today.

    Earlier versions recorded national numbers as they were written; these would reach strangers.
    """
    if metadata_names.ONE_SPELLING in await ledger.metadata():
        return
    to_digits = checker(None)
    last = wrong = 0
    while batch := await ledger.queued(last, ROWS_A_READ):
        last, _ = batch[-1]
        wrong += await run_sync(_count_wrong, [entry for _, entry in batch], to_digits)
    if wrong:
        raise LedgerError(
            name,
            f"{wrong:,} of the numbers that wait in it are not valid with a country code, so "
            "nothing is sent: run bulk send again, with --region if its file has national numbers",
        )


def _count_wrong(entries: Sequence[Entry], to_digits: ToDigits) -> int:
    wrong = 0
    for entry in entries:
        if entry.kind != "email":
            try:
                to_digits("recipient", entry.recipient)
            except InvalidArgumentError:
                wrong += 1
    return wrong


async def send_source(
    client: AsyncConnectus,
    source: Source,
    composer: Composer,
    settings: Settings,
    ledger: Place,
    *,
    edited: Edited | None = None,
    at_most: FrequencyCap | None = None,
    delivery: Planned | None = None,
    rate: float | None = None,
    workers: int | None = None,
    yes: bool,
    planner: Planner,
    manner: Manner = DEFAULT_MANNER,
    limit: int | None = None,
    as_json: bool,
    recorded: tuple[Recorded, Composition] | None = None,
) -> tuple[int, int]:
    """Load a source, print what would be sent, and once that is confirmed, send it.

    Args:
        client: The client.
        source: The source.
        composer: The composer of its messages.
        settings: The options of the campaign.
        ledger: The ledger.
        edited: Treatment of recipients who may have received another text of the ledger; if it is
            left out, a person is asked.
        at_most: Maximum of messages to a person, with those of the other ledgers.
        delivery: Delivery of the API for the messages.
        rate: The rate, if the user has just given one.
        workers: Number of workers to ask for help, instead of sending from here.
        yes: Whether it is confirmed already; if not, it is asked for at the terminal.
        planner: The planner of what is sent.
        manner: The manner of sending.
        limit: The size of a sample to send; the rest stays queued.
        as_json: Whether to print JSON.
        recorded: The origin of the recipients and the message options, for the ledger to remember.

    Returns:
        The exit code, and the number of accepted messages in the ledger.

    Raises:
        ConfigurationError: Something stops it, or recipients may have received another text of the
            same ledger, and nobody chose who gets this one.
    """
    await run_sync(check_account, ledger, account_to_check())
    options = await run_sync(partial(settings.options, ledger, wait=manner.wait))
    await run_sync(check_start, ledger, manner.start, options.expires_at)
    cap = await run_sync(CampaignCap.of, ledger, at_most)
    reached = await run_sync(cap.reached, ledger, manner.start)
    check_workers(workers, options)
    opened = open_store(ledger).ledger()
    async with campaign_sender(client, opened, options) as sender:
        names = {metadata_names.SOURCE: source.name, **NOTHING_RECORDED}
        await sender.note(**metadata_of(settings), **names, **cap.metadata())
        await run_sync(order_rate, ledger, rate)
        await run_sync(order_start, ledger, manner.start)
        if delivery is not None:
            composer = await join(client, sender, opened, composer, delivery)
        await tell_unreleased(ledger, replaces=True, as_json=as_json)
        choose = partial(edits.choose, given=edited, asks=not (yes or as_json), as_json=as_json)
        report = await load_source(sender, source, composer, options, choose, planner, reached)
        if recorded is not None:
            origin, composition = recorded
            loaded = origin.loaded(await opened.metadata())
            await sender.note(**loaded, **{metadata_names.COMPOSITION: composition.written()})
        plan = await planner.plan(report, client, region=options.region)
        await planner.show(plan)
        if plan.stops:
            await sender.note(**{metadata_names.LOADED: "0"})  # so that nobody resumes it
            raise StoppedError(plan)
        if report.skipped and not as_json:
            filters = ("-", "--format", "csv", "--state", "skipped")
            skipped = " ".join((command("export", ledger), *filters))
            echo(_("All skipped rows: {command}").format(command=skipped))
        if delivery is not None:
            announce_delivery(delivery, as_json=as_json)
        await announce_start(ledger, as_json=as_json)
        if not await is_released(sender, opened, ledger, limit, yes=yes):
            return ExitCode.FAILED, (await sender.counts()).get(State.ACCEPTED, 0)
        if workers:
            return await hand_out(opened, workers, ledger, as_json=as_json)
        return await send_queued(sender, options, ledger, manner, limit, as_json=as_json)


async def send_queued(
    sender: Bulk,
    options: CampaignOptions,
    ledger: Place,
    manner: Manner,
    limit: int | None,
    *,
    as_json: bool,
) -> tuple[int, int]:
    """Send what is queued; return the exit code, and the number of accepted messages."""
    waiting = (await sender.counts()).get(State.QUEUED, 0)
    if limit is not None:
        sender._send_at_most(limit)  # noqa: SLF001 - no matter of the users of a sender
        waiting = min(waiting, limit)
    how = partial(command, ledger=ledger, profile=present_profile())
    display = CampaignDisplay(waiting, as_json, how, manner, partial(_note_delays, sender))
    await _note_delays(sender, "")
    if options.quiet_hours is not None or not current().is_english:
        await run_sync(load)
    try:
        if options.processes > 1 and waiting and limit is None:
            from connectus_async.workers.processes import SenderProcesses  # noqa: PLC0415 - rare

            async with SenderProcesses(sender, processes=options.processes) as processes:
                await display.send(processes)
        else:
            await display.send(sender)
    finally:
        if display.stopped_by and display.code:
            await note_stop(sender, display.stopped_by, display.code)
    standing = await run_sync(standing_after, ledger, display.summary, display.code)
    paused = await run_sync(is_paused, ledger)
    display.finish(standing.counts, standing.skipped, is_paused=paused, has_file=standing.has_file)
    if standing.counts.get(State.QUEUED):
        with suppress(LedgerError):  # the summary was printed
            await announce_start(ledger, as_json=as_json)
    is_sample = limit is not None and not standing.counts.get(State.IN_FLIGHT)
    return standing.code(is_waiting=is_sample), standing.counts.get(State.ACCEPTED, 0)


async def _note_delays(sender: Bulk, delays: str) -> None:
    with suppress(LedgerError):  # then the campaign stops by itself
        await sender.note(**{metadata_names.DELAYS: delays})


def metadata_of(settings: Settings) -> dict[str, str]:
    """Make the metadata of a campaign that goes on with these options."""
    return {
        metadata_names.SETTINGS: settings.written(),
        metadata_names.STOPPED: "",
        **share_to_record(),
        **account_to_record(),
    }
