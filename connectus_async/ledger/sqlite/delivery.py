"""Delivery statuses, recorded beside a holder that may be sending.

Only the holder changes states. The delivery log writes the two columns that the holder never
touches, and keeps statuses that came before the holder recorded their SMS. Both write short
transactions, and each waits for the other.
"""

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from connectus_async.errors import LedgerError
from connectus_async.ledger.delivery_connection import Answer, Arguments, DeliveryConnection
from connectus_async.ledger.delivery_log import ThreadedDeliveryLog
from connectus_async.ledger.fork_guard import fork_guard
from connectus_async.ledger.records import EARLY_SECONDS
from connectus_async.ledger.sqlite import delivery_rows
from connectus_async.ledger.sqlite.connection import LOST, Checkpoints, connect
from connectus_async.ledger.sqlite.problems import writing_failed
from connectus_async.ledger.sqlite.reader import open_for_reading

LOCK_TIMEOUT: Final = 30.0


class SqliteDeliveryLog(ThreadedDeliveryLog):
    """Writer of delivery statuses into a ledger's file. See `DeliveryLog`.

    Args:
        path: The file, which must exist.
        early_seconds: How long a status is kept for an SMS that the ledger does not have yet.
    """

    def __init__(self, path: Path, *, early_seconds: float = EARLY_SECONDS) -> None:
        super().__init__(lambda: _FileConnection(path), early_seconds=early_seconds)


class _FileConnection(DeliveryConnection[sqlite3.Connection]):
    rows = delivery_rows

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.place = path.resolve()
        self._path = path
        self._opened = ExitStack()

    def open(self) -> None:
        try:
            connection = self._opened.enter_context(closing(self._connected()))
            connection.execute("PRAGMA synchronous = FULL")
            delivery_rows.prepare(connection)
        except (sqlite3.Error, OSError) as error:
            raise writing_failed(self._path, error) from None
        self._connection = connection
        self._checkpoints = Checkpoints(self._path, connection, is_holder=False)

    def close(self) -> None:
        self._opened.close()

    def run(
        self,
        function: Callable[[sqlite3.Connection, *Arguments], Answer],
        *args: *Arguments,
    ) -> Answer:
        try:
            return function(self._connection, *args)
        except sqlite3.Error as error:
            raise writing_failed(self._path, error) from None

    def rest(self) -> None:
        if self._connection.total_changes >= self._checkpoints.due_at:
            self._checkpoints.make()

    def _connected(self) -> sqlite3.Connection:
        if fork_guard.was_open_in_fork(self.place):
            raise LedgerError(self.name, LOST)
        open_for_reading(self._path).close()  # raises the right error for a file that is no ledger
        return connect(self._path, "rw", LOCK_TIMEOUT)
