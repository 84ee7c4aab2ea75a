"""Place of a ledger in a database."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from copy import copy

import attrs

from connectus_async.ledger.abc import (
    DeliveryLog,
    Ledger,
    LedgerControl,
    LedgerReader,
    LedgerStore,
)
from connectus_async.ledger.postgres import address, reader
from connectus_async.ledger.postgres.control import PostgresControl
from connectus_async.ledger.postgres.delivery import PostgresDeliveryLog
from connectus_async.ledger.postgres.holding import LEASE
from connectus_async.ledger.postgres.ledger import PostgresLedger
from connectus_async.ledger.postgres.reader import read
from connectus_async.ledger.postgres.trial import TrialLedger
from connectus_async.ledger.records import EARLY_SECONDS


class PostgresStore(LedgerStore):
    """A campaign of a database, which need not be there. It may have several holders at a time.

    Args:
        where: The address. See `address.parse`.
        lease: Seconds after which a holder that nothing was heard of is given up.

    Raises:
        ConfigurationError: It is no address.
    """

    def __init__(self, where: str, *, lease: float = LEASE) -> None:
        self._address = address.parse(where)
        self._lease = lease

    def ledger(self) -> Ledger:
        """Make a ledger to send with. See `LedgerStore.ledger`."""
        return PostgresLedger(self._address, lease=self._lease)

    def trial(self) -> Ledger:
        """Make a ledger for a dry run. See `LedgerStore.trial`."""
        return TrialLedger(self._address)

    def deliveries(self, *, early_seconds: float = EARLY_SECONDS) -> DeliveryLog:
        """Make a writer of delivery statuses. See `LedgerStore.deliveries`."""
        return PostgresDeliveryLog(self._address, early_seconds=early_seconds)

    def control(self) -> LedgerControl:
        """Make a giver of orders. See `LedgerStore.control`."""
        return PostgresControl(self._address)

    def others(self, since: float) -> Iterator[LedgerStore]:  # noqa: ARG002 - all are read
        """Find the other campaigns of the database. See `LedgerStore.others`."""
        for name in reader.names(self._address):
            if name != self._address.campaign:
                other = copy(self)
                other._address = attrs.evolve(self._address, campaign=name)  # noqa: SLF001 - its own
                yield other

    def read(self) -> AbstractContextManager[LedgerReader]:
        """Open the ledger to read it as it is at this moment. See `LedgerStore.read`."""
        return read(self._address)
