"""Following of the SMS of a ledger to their final status."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from anyio.to_thread import run_sync
from rich.console import Console

from connectus_async.cli.accounts import present_profile
from connectus_async.cli.campaign_display import REFRESH_SECONDS, print_deliveries, progress_bar
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import number
from connectus_async.cli.ledgers import Place
from connectus_async.cli.ledgers import command as again
from connectus_async.cli.parameters import connection
from connectus_async.cli.runner import echo, print_json, run
from connectus_async.client import AsyncConnectus
from connectus_async.ledger import open_store
from connectus_async.report.figures import Figures, read_figures
from connectus_async.tracking.tracker import Tracker

INTERRUPTED: Final = "interrupted; statuses so far are in the ledger: run the same command again"


def track(ledger: Place, until_final: bool, concurrency: int, as_json: bool) -> None:
    """Update the delivery statuses in LEDGER; its campaign may be running."""

    async def command() -> tuple[int, int]:
        async with AsyncConnectus(max_connections=concurrency, **connection()) as client:
            tracker = Tracker(client, ledger=ledger, polls=until_final, concurrency=concurrency)
            async with tracker:
                asked = tracker.left
                async with _shown(tracker):
                    await (tracker.until_final() if until_final else tracker.poll())
                return asked, tracker.left

    async def figures() -> Figures:
        return await run_sync(_figures, ledger)

    asked, left = run(command, as_json=as_json, when_interrupted=INTERRUPTED)
    found = run(figures, as_json=as_json, when_interrupted=INTERRUPTED)
    _print(asked, left, found, ledger, as_json=as_json)


@asynccontextmanager
async def _shown(tracker: Tracker) -> AsyncIterator[None]:
    with progress_bar(Console(stderr=True)) as progress:
        total = tracker.left
        task = progress.add_task(_("final"), total=total)

        async def show() -> None:
            while True:
                progress.update(task, completed=max(0, total - tracker.left))
                await asyncio.sleep(REFRESH_SECONDS)

        shower = asyncio.create_task(show())
        try:
            yield
        finally:
            shower.cancel()
            with suppress(asyncio.CancelledError):
                await shower
            progress.update(task, completed=max(0, total - tracker.left))


def _figures(ledger: Place) -> Figures:
    with open_store(ledger).read() as reader:
        return read_figures(reader)


def _print(asked: int, left: int, figures: Figures, ledger: Place, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "type": "track",
                "asked": asked,
                "left": left,
                "deliveries": dict(figures.deliveries),
                "without_id": figures.nameless,
            }
        )
        return
    print_deliveries(figures)
    checked = _("{asked} checked; {left} have no final status yet")
    echo(checked.format(asked=number(asked), left=number(left)))
    if left:
        track = f"{again('track', ledger, present_profile())} --until-final"
        echo(_("continue with {command}").format(command=track))
