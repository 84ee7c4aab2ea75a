"""Place of a ledger in a SQLite file."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from connectus_async.ledger.abc import (
    DeliveryLog,
    Ledger,
    LedgerControl,
    LedgerReader,
    LedgerStore,
)
from connectus_async.ledger.records import EARLY_SECONDS
from connectus_async.ledger.sqlite import folder
from connectus_async.ledger.sqlite.control import SqliteControl
from connectus_async.ledger.sqlite.delivery import SqliteDeliveryLog
from connectus_async.ledger.sqlite.ledger import SqliteLedger
from connectus_async.ledger.sqlite.reader import read
from connectus_async.ledger.sqlite.trial import TrialLedger


class SqliteStore(LedgerStore):
    """The file of a ledger, which need not be there.

    Args:
        path: Its path.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def ledger(self) -> Ledger:
        """Make a ledger to send with. See `LedgerStore.ledger`."""
        return SqliteLedger(self._path)

    def trial(self) -> Ledger:
        """Make a ledger for a dry run. See `LedgerStore.trial`."""
        return TrialLedger(self._path)

    def deliveries(self, *, early_seconds: float = EARLY_SECONDS) -> DeliveryLog:
        """Make a writer of delivery statuses. See `LedgerStore.deliveries`."""
        return SqliteDeliveryLog(self._path, early_seconds=early_seconds)

    def control(self) -> LedgerControl:
        """Make a giver of orders. See `LedgerStore.control`."""
        return SqliteControl(self._path)

    def others(self, since: float) -> Iterator[LedgerStore]:
        """Find the other ledgers of the folder. See `LedgerStore.others`."""
        return map(SqliteStore, folder.others(self._path, since))

    def read(self) -> AbstractContextManager[LedgerReader]:
        """Open the ledger to read it. See `LedgerStore.read`."""
        return read(self._path)
