"""Reconciliation of the command line."""

import sys
from collections.abc import Mapping
from typing import Any

from anyio.to_thread import run_sync

from connectus_async.bulk.outcomes import Reconciliation
from connectus_async.bulk.reconcile import NO_LATER
from connectus_async.cli.accounts import account_to_check, check_account, present_profile
from connectus_async.cli.campaigns import STOPPED, client_for, recorded
from connectus_async.cli.exit_codes import ExitCode
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import ngettext, number, translated
from connectus_async.cli.ledgers import Place
from connectus_async.cli.ledgers import command as again
from connectus_async.cli.runner import echo, print_json, run
from connectus_async.client import sender_over
from connectus_async.ledger import metadata_names, open_store, with_campaign
from connectus_async.ledger.states import State


def reconcile(ledger: Place, settle: float, as_json: bool, **given: Any) -> None:
    """Ask the API for the unknown outcomes of LEDGER."""

    async def command() -> tuple[Reconciliation, Mapping[State, int], Place]:
        _, settings = await run_sync(recorded, ledger, given)
        place = with_campaign(ledger, settings.campaign)
        await run_sync(check_account, place, account_to_check())
        opened = open_store(place).ledger()
        options = await run_sync(settings.options, place)
        async with client_for(settings) as client, sender_over(client, opened, options) as sender:
            await sender.note(**{metadata_names.SETTINGS: settings.written()})
            found = await sender.reconcile(settle=settle)
            counts = await sender.counts()
        return found, counts, place

    found, counts, place = run(command, as_json=as_json, when_interrupted=STOPPED)
    _print_reconciliation(found, counts.get(State.QUEUED, 0), place, as_json=as_json)
    is_open = counts.get(State.UNKNOWN) or counts.get(State.HELD)
    sys.exit(ExitCode.MAYBE_SENT if is_open else ExitCode.DONE)


def _print_reconciliation(
    found: Reconciliation, queued: int, ledger: Place, *, as_json: bool
) -> None:
    if as_json:
        print_json(
            {
                "type": "reconciliation",
                "accepted": found.accepted,
                "queued": found.queued,
                "held": found.held,
                "unknown": found.unknown,
                "reasons": dict(found.reasons),
            }
        )
        return
    echo(
        _(
            "{accepted} had been sent, {queued} are queued again, {held} held, "
            "{unknown} still unknown"
        ).format(
            accepted=number(found.accepted),
            queued=number(found.queued),
            held=number(found.held),
            unknown=number(found.unknown),
        )
    )
    for reason, count in found.reasons.items():
        echo(f"{number(count)}: {translated(reason)}")
    if NO_LATER in found.reasons:
        how = _(
            "To prove it, send what still waits, or add a row with your own number to the file and"
            " give the same `bulk send` again; then {command}"
        )
        echo(how.format(command=again("reconcile", ledger, present_profile())))
    if queued:
        waiting = ngettext(
            "{count} message waits: send it with {command}",
            "{count} messages wait: send them with {command}",
            queued,
        )
        resume = again("resume", ledger, present_profile())
        echo(waiting.format(count=number(queued), command=resume))
