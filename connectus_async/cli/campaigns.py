"""Settings, figures and client of a campaign that a ledger records."""

from typing import Any, Final

from connectus_async.cli.ledgers import Place
from connectus_async.cli.parameters import connection
from connectus_async.client import AsyncConnectus
from connectus_async.ledger import open_store
from connectus_async.report.figures import Figures, read_figures
from connectus_async.workers.campaign_options import Settings

STOPPED: Final = "interrupted; `connectus bulk status` shows the state of the messages"


def client_for(settings: Settings) -> AsyncConnectus:
    """Make a client for a campaign with these settings."""
    return AsyncConnectus(max_connections=settings.concurrency, **connection())


def recorded(ledger: Place, given: dict[str, Any]) -> tuple[Figures, Settings]:
    """Read the figures of a ledger, and its settings with those that were just given."""
    with open_store(ledger).read() as reader:
        return read_figures(reader), Settings.read(ledger, reader.metadata(), **given)
