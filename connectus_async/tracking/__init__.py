"""From sent to delivered.

A `Tracker` waits for the final status of an SMS, asks the API where no webhook comes, and writes
into a campaign's ledger. A `LedgerHandler` only writes, where there is no event loop. Both are
handlers of webhooks, for a receiver of any kind.
"""

from typing import TYPE_CHECKING

from connectus_async._lazy import lazily

if TYPE_CHECKING:
    from connectus_async.tracking.ledger_handler import LedgerHandler
    from connectus_async.tracking.tracker import Tracked, Tracker

_HOMES = {
    "ledger_handler": ("LedgerHandler",),
    "tracker": ("Tracked", "Tracker"),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)

__all__ = ["LedgerHandler", "Tracked", "Tracker"]
