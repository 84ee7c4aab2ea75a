"""Campaigns of the command line: send, resume, reconcile and status."""

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, Final

from anyio.to_thread import run_sync
from rich.console import Console

from connectus_async.arguments import ToDigits
from connectus_async.bulk.feed import ROWS_A_READ
from connectus_async.bulk.loading import EditedError
from connectus_async.bulk.sender import Bulk
from connectus_async.cli import edits
from connectus_async.cli.campaign_display import CampaignDisplay, progress_bar
from connectus_async.cli.campaigns import (
    STOPPED,
    campaign_sender,
    client_for,
    note_stop,
    recorded,
    standing_after,
)
from connectus_async.cli.composition import Composition
from connectus_async.cli.confirmation import NOT_CONFIRMED, check_confirmable, is_confirmed
from connectus_async.cli.corrections import check_no_export
from connectus_async.cli.edits import Edit
from connectus_async.cli.exit_codes import ExitCode
from connectus_async.cli.finishing import end_campaign, share_to_record
from connectus_async.cli.language import ngettext, number
from connectus_async.cli.ledgers import Place, typed
from connectus_async.cli.orders import order_rate
from connectus_async.cli.parameters import LEDGER_SUFFIX
from connectus_async.cli.plan import print_plan, shortfalls_of
from connectus_async.cli.runner import echo, errors_reported, print_json, run
from connectus_async.cli.source_files import SourceFile
from connectus_async.client import AsyncConnectus, sender_over
from connectus_async.errors import (
    ConfigurationError,
    InvalidArgumentError,
    LedgerError,
)
from connectus_async.ledger import is_address, metadata_names, name_of, open_store, with_campaign
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.keys import KeyMaker
from connectus_async.ledger.records import Entry, Loaded
from connectus_async.ledger.states import Edited, State
from connectus_async.products.messages import Row
from connectus_async.products.sms import Sms
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.composing import composed
from connectus_async.recipients.phone_numbers import NationalNumbers, checker
from connectus_async.recipients.plain_sms import Composed
from connectus_async.recipients.preflight import (
    DEFAULT_EXAMPLES,
    Preflight,
    PreflightReport,
)
from connectus_async.recipients.sources import Source, open_source
from connectus_async.workers.campaign_options import CampaignOptions, Settings
from connectus_async.workers.tickets import defer_tickets

ROWS_NAMED: Final = 10_000
"""For each reason, in a dry run: it leaves no ledger to look them up in."""


NOTHING_SENT: Final = "interrupted; nothing was sent: run the same command again"


def send(
    file: Path,
    region: str | None,
    delimiter: str | None,
    encoding: str,
    sheet: str | None,
    ledger: Place | None,
    edited: str | None,
    workers: int | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Send a message to every row of FILE: CSV, JSON Lines, Parquet or Excel.

    The same command again resumes the campaign: a message in the ledger is not sent twice.
    """
    if not dry_run:
        check_confirmable(yes=yes, as_json=as_json)
    with errors_reported(as_json=as_json, when_interrupted=NOTHING_SENT):
        composition = Composition.of(given)
        composer = composition.composer(region)
    settings = Settings(region=region, **given)
    place = with_campaign(ledger or file.with_name(file.name + LEDGER_SUFFIX), settings.campaign)
    who = Edited(edited) if edited else None

    async def command() -> int:
        source = await open_source(file, encoding=encoding, delimiter=delimiter, sheet=sheet)
        check_no_export(source)
        composer.check(source.columns)
        if dry_run:
            return await _dry_run(source, composer, settings, place, edited=who, as_json=as_json)
        source_file = await run_sync(SourceFile.of, file, encoding, delimiter, sheet)
        async with client_for(settings) as client:
            code, _accepted = await send_source(
                client,
                source,
                composer,
                settings,
                place,
                edited=who,
                rate=given["rate"],
                workers=workers,
                yes=yes,
                as_json=as_json,
                recorded=(source_file, composition),
            )
        return code

    when_interrupted = "interrupted; nothing was sent" if dry_run else STOPPED
    if dry_run:
        sys.exit(run(command, as_json=as_json, when_interrupted=when_interrupted))
    end_campaign(command, place, as_json=as_json, when_interrupted=when_interrupted)


def resume(ledger: Place, workers: int | None, yes: bool, as_json: bool, **given: Any) -> None:
    """Send the queued messages of LEDGER, with the options of `bulk send` or new ones."""
    check_confirmable(yes=yes, as_json=as_json)

    async def command() -> int:
        figures, settings = await run_sync(recorded, ledger, given)
        if not figures.is_loaded:
            raise LedgerError(
                name_of(ledger),
                f"{figures.source or 'its file'} was not read to its end: run bulk send again",
            )
        place = with_campaign(ledger, settings.campaign)
        opened = open_store(place).ledger()
        options = await run_sync(settings.options, place)
        _check_workers(workers, options)
        async with (
            client_for(settings) as client,
            campaign_sender(client, opened, options) as sender,
        ):
            await _check_unchecked(opened, name_of(place))
            await sender.note(**metadata_of(settings))
            await run_sync(order_rate, place, given["rate"])
            if not (yes or await is_send_confirmed(sender, place)):
                return ExitCode.FAILED
            if workers:
                code, _accepted = await _handed_out(opened, workers, place, as_json=as_json)
            else:
                code, _accepted = await send_queued(sender, options, place, as_json=as_json)
        return code

    end_campaign(command, ledger, as_json=as_json, when_interrupted=STOPPED)


def _check_workers(workers: int | None, options: CampaignOptions) -> None:
    if workers and not is_address(options.ledger):
        raise ConfigurationError("--workers", "needs a ledger in a database: postgresql://…")
    if workers and options.processes > 1:
        raise ConfigurationError("--processes", "is of one machine: start more workers instead")


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
    rate: float | None = None,
    workers: int | None = None,
    yes: bool,
    as_json: bool,
    recorded: tuple[SourceFile, Composition] | None = None,
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
        rate: The rate, if the user has just given one.
        workers: Number of workers to ask for help, instead of sending from here.
        yes: Whether it is confirmed already; if not, it is asked for at the terminal.
        as_json: Whether to print JSON.
        recorded: The file and the message options, for the ledger to remember.

    Returns:
        The exit code, and the number of accepted messages in the ledger.

    Raises:
        ConfigurationError: Recipients may have received another text of the same ledger, and nobody
            chose who gets this one.
    """
    options = await run_sync(settings.options, ledger)
    _check_workers(workers, options)
    opened = open_store(ledger).ledger()
    async with campaign_sender(client, opened, options) as sender:
        names = {metadata_names.SOURCE: source.name, metadata_names.SOURCE_FILE: ""}
        await sender.note(**metadata_of(settings), **names)
        await run_sync(order_rate, ledger, rate)
        choose = partial(edits.choose, given=edited, asks=not (yes or as_json), as_json=as_json)
        report = await _loaded(sender, source, composer, options, choose)
        if recorded is not None:
            source_file, composition = recorded
            loaded = source_file.loaded(await opened.metadata())
            await sender.note(**loaded, **{metadata_names.COMPOSITION: composition.written()})
        shortfalls = await shortfalls_of(client, report) if report.to_send else None
        print_plan(report, shortfalls, as_json=as_json)
        if report.skipped and not as_json:
            command = f"connectus bulk export {typed(ledger)} - --format csv"
            echo(f"all skipped rows: {command} --state skipped")
        if not (yes or await is_send_confirmed(sender, ledger)):
            return ExitCode.FAILED, (await sender.counts()).get(State.ACCEPTED, 0)
        if workers:
            return await _handed_out(opened, workers, ledger, as_json=as_json)
        return await send_queued(sender, options, ledger, as_json=as_json)


async def is_send_confirmed(sender: Bulk, ledger: Place) -> bool:
    """Ask whether to send what is queued; a no is put on record."""
    waiting = (await sender.counts()).get(State.QUEUED, 0)
    if not waiting:
        return True
    question = ngettext("Send {count} message?", "Send {count} messages?", waiting)
    if await is_confirmed(question.format(count=number(waiting))):
        return True
    await note_stop(sender, NOT_CONFIRMED, ExitCode.FAILED)
    echo(
        ngettext(
            "Nothing was sent. {count} message waits; this asks again: {command}",
            "Nothing was sent. {count} messages wait; this asks again: {command}",
            waiting,
        ).format(count=number(waiting), command=f"connectus bulk resume {typed(ledger)}")
    )
    return False


async def send_queued(
    sender: Bulk, options: CampaignOptions, ledger: Place, *, as_json: bool
) -> tuple[int, int]:
    """Send what is queued; return the exit code, and the number of accepted messages."""
    waiting = (await sender.counts()).get(State.QUEUED, 0)
    how = f"connectus bulk {{command}} {typed(ledger)}"
    display = CampaignDisplay(waiting, as_json, how)
    try:
        if options.processes > 1 and waiting:
            from connectus_async.workers.processes import SenderProcesses  # noqa: PLC0415 - rare

            async with SenderProcesses(sender, processes=options.processes) as processes:
                await display.send(processes)
        else:
            await display.send(sender)
    finally:
        if display.stopped_by and display.code:
            await note_stop(sender, display.stopped_by, display.code)
    standing = await run_sync(standing_after, ledger, display.summary, display.code)
    display.finish(standing.counts)
    return standing.code(), standing.counts.get(State.ACCEPTED, 0)


async def _handed_out(
    opened: Ledger, workers: int, ledger: Place, *, as_json: bool
) -> tuple[int, int]:
    """Hand out a ticket to each of some workers, which send what is queued."""
    counts = await opened.counts()
    waiting = counts.get(State.QUEUED, 0)
    tickets = workers if waiting else 0
    if tickets:
        await defer_tickets(opened, tickets)
    if as_json:
        print_json({"tickets": tickets, "queued": waiting})
    elif tickets:
        echo(f"{waiting:,} messages wait for {workers:,} workers; their progress is shown by")
        echo(f"connectus bulk status {typed(ledger)}")
    else:
        echo("nothing is to be sent")
    return 0, counts.get(State.ACCEPTED, 0)


def metadata_of(settings: Settings) -> dict[str, str]:
    """Make the metadata of a campaign that goes on with these options."""
    return {
        metadata_names.SETTINGS: settings.written(),
        metadata_names.STOPPED: "",
        **share_to_record(),
    }


async def _dry_run(
    source: Source,
    composer: Composer,
    settings: Settings,
    ledger: Place,
    *,
    edited: Edited | None,
    as_json: bool,
) -> int:
    """Load a source into a copy of the ledger, which knows earlier messages, and send nothing."""
    options = await run_sync(settings.options, ledger)
    choose = partial(edits.foresee, given=edited, as_json=as_json)
    client, has_credentials = _client_for_dry_run(settings)
    async with client, sender_over(client, open_store(ledger).trial(), options) as sender:
        report = await _loaded(sender, source, composer, options, choose, examples=ROWS_NAMED)
        asks = has_credentials and report.to_send
        shortfalls = await shortfalls_of(client, report) if asks else None
    print_plan(report, shortfalls, as_json=as_json)
    return 0


def _client_for_dry_run(settings: Settings) -> tuple[AsyncConnectus, bool]:
    """Make a client, and tell whether it has credentials: without, it makes no request."""
    try:
        return client_for(settings), True
    except ConfigurationError as error:
        if error.setting != "api_user":
            raise
        return AsyncConnectus("nobody", "nothing", max_connections=settings.concurrency), False


async def _loaded(
    sender: Bulk,
    source: Source,
    composer: Composer,
    options: CampaignOptions,
    choose: Callable[[Edit], Awaitable[Edited]],
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
        examples: As in `Preflight`.
    """
    load = partial(load_into, sender, source, composer, options, examples)
    try:
        return await load(Edited.ABORT)
    except EditedError as error:
        others = (await sender.counts()).get(State.QUEUED, 0)
        edit = Edit(error.people, error.corrected, others)
    return await load(await choose(edit))


async def load_into(
    sender: Bulk,
    source: Source,
    composer: Composer,
    options: CampaignOptions,
    examples: int,
    edited: Edited,
    *,
    adds: bool = False,
) -> PreflightReport:
    """Load a source once; see `_loaded`, and `Ledger.begin_load` for ``adds``."""
    preflight = Preflight(
        examples=examples,
        quiet_hours=options.quiet_hours,
        budget=options.budget,
        spent=await sender.spent() if options.budget else 0,
    )
    with progress_bar(Console(stderr=True)) as progress:
        task = progress.add_task("reading", total=source.length)

        def add(batch: Sequence[Composed], loaded: Sequence[Loaded]) -> None:
            preflight.add_batch(batch, loaded)
            progress.advance(task, len(batch))

        await sender._load_composed(  # noqa: SLF001 - no matter of the users of a sender
            partial(_composed, source, composer, options.region),
            add,
            edited=edited,
            template=composer.template,
            adds=adds,
        )
    return preflight.report(rate=options.rate, rate_unit=options.rate_unit)


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
