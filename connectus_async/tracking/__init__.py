"""SMS from send to delivered.

A `Tracker` waits for the final status of an SMS, polls the API if no webhook comes, and records
statuses in a campaign's ledger. A `LedgerHandler` only records them, and needs no event loop. Both
are handlers for a receiver of webhooks of any kind.
"""

from typing import TYPE_CHECKING

from connectus_async._lazy import lazily

if TYPE_CHECKING:
    from connectus_async.tracking.ledger_handler import LedgerHandler as LedgerHandler
    from connectus_async.tracking.tracker import Tracked as Tracked
    from connectus_async.tracking.tracker import Tracker as Tracker
else:
    __all__, __getattr__, __dir__ = lazily(__name__)
