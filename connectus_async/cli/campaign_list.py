"""List of the campaigns of a folder or a database."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
from anyio.to_thread import run_sync
from rich.console import Console

from connectus_async.cli.campaign_state import Snapshot, read_snapshot
from connectus_async.cli.campaign_table import blocks, table
from connectus_async.cli.language import gettext as _
from connectus_async.cli.ledgers import Place
from connectus_async.cli.orders import orders_as_dict
from connectus_async.cli.runner import echo, print_json, run, sentence, shown
from connectus_async.errors import LedgerError
from connectus_async.ledger import campaigns_in, name_of

NARROW: Final = 76
"""Columns below which each campaign gets lines of its own."""

WIDE: Final = 120
"""Columns where the output goes to no terminal."""


@attrs.frozen
class Unreadable:
    """A ledger that cannot be read.

    Attributes:
        place: Its place.
        error: The reason.
    """

    place: Place
    error: LedgerError


def list_campaigns(where: str, as_json: bool) -> None:
    """List the campaigns of a folder or a database."""

    def read() -> Sequence[Snapshot | Unreadable]:
        return [_read(place) for place in campaigns_in(where)]

    async def command() -> Sequence[Snapshot | Unreadable]:
        return await run_sync(read)

    found = run(command, as_json=as_json, when_interrupted="interrupted")
    if as_json:
        for campaign in found:
            print_json(_as_dict(campaign))
        return
    campaigns = [it for it in found if isinstance(it, Snapshot)]
    if not found:
        shown_place = Path(where).resolve().name if "://" not in where else name_of(where)
        echo(_("no campaigns in {place}").format(place=shown_place))
    if campaigns:
        console = Console(width=None if sys.stdout.isatty() else WIDE)
        console.print((table if console.width >= NARROW else blocks)(campaigns))
    for one in found:
        if isinstance(one, Unreadable):
            echo(shown(one.error))


def _read(place: Place) -> Snapshot | Unreadable:
    try:
        return read_snapshot(place)
    except LedgerError as error:
        return Unreadable(place, error)


def _as_dict(campaign: Snapshot | Unreadable) -> dict[str, object]:
    name = {"type": "campaign", "ledger": name_of(campaign.place)}
    if isinstance(campaign, Unreadable):
        return {**name, "error": sentence(campaign.error)}
    return {
        **name,
        "campaign": campaign.name,
        "source": campaign.source,
        **campaign.as_dict(),
        **orders_as_dict(campaign.orders, campaign.senders),
    }
