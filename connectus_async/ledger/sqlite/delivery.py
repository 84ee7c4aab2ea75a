"""Delivery statuses, recorded beside a holder that may be sending.

Only the holder changes states. The delivery log writes the two columns that the holder never
touches, and keeps statuses that came before the holder recorded their SMS. Both write short
transactions, and each waits for the other.
"""

import sqlite3
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from connectus_async.errors import LedgerError
from connectus_async.ledger.abc import DeliveryLog
from connectus_async.ledger.records import EARLY_SECONDS, OpenSms, Recorded
from connectus_async.ledger.sqlite import delivery_rows
from connectus_async.ledger.sqlite.connection import Task
from connectus_async.ledger.sqlite.delivery_rows import TimedStatus
from connectus_async.ledger.sqlite.delivery_writer import DeliveryWriter, NewStatus, Question
from connectus_async.ledger.sqlite.fork_guard import fork_guard
from connectus_async.products.sms_ids import folded
from connectus_async.products.sms_statuses import SmsStatus

MAX_STATUS: Final = 64
"""Characters of a status. The API's have at most 19."""


class SqliteDeliveryLog(DeliveryLog):
    """Writer of delivery statuses into a ledger's file. See `DeliveryLog`.

    Args:
        path: The file, which must exist.
        early_seconds: How long a status is kept for an SMS that the ledger does not have yet.
    """

    def __init__(self, path: Path, *, early_seconds: float = EARLY_SECONDS) -> None:
        self._path = path
        self._early_seconds = early_seconds
        self._writer: DeliveryWriter | None = None
        self._is_open = False

    def open(self) -> None:
        """Open the file, and create the index that finds an SMS by its provider id.

        Raises:
            LedgerError: The file is missing, is no ledger, or cannot be written.
        """
        with fork_guard.lock:
            writer = self._usable_writer()
            self._is_open = True
        try:
            writer.opened.result()
        except LedgerError:
            self.close()
            raise

    def close(self) -> None:
        """Write everything that was recorded, then close the file."""
        with fork_guard.lock:
            writer, self._writer = self._writer, None
            self._is_open = False
            if writer is None or not writer.is_of_this_process():
                return
            writer.end()
        writer.join()

    def record(self, id_sms: str, status: SmsStatus, at: float | None = None) -> Future[Recorded]:
        """Record a status. See `DeliveryLog.record`."""
        future: Future[Recorded] = Future()
        short = SmsStatus(status[:MAX_STATUS].replace("\0", ""))
        timed = TimedStatus(short, time.time() if at is None else at)
        self._put(NewStatus(folded(id_sms.replace("\0", "")), timed, future))
        return future

    def open_sms(
        self, after: int, limit: int, since: float = 0, until: float = float("inf")
    ) -> Future[list[OpenSms]]:
        """Read accepted SMS that have no final status. See `DeliveryLog.open_sms`."""

        def read(connection: sqlite3.Connection) -> list[OpenSms]:
            return delivery_rows.open_sms(connection, since, until, after, limit)

        return self._ask(read)

    def count_open(self, since: float = 0, until: float = float("inf")) -> Future[int]:
        """Count the SMS that `open_sms` reads, with all statuses that have come."""

        def count(connection: sqlite3.Connection) -> int:
            return delivery_rows.count_open(connection, since, until)

        return self._ask(count, needs_all=True)

    def count_nameless(self) -> Future[int]:
        """Count the SMS that the API accepted without giving them an identifier."""
        return self._ask(delivery_rows.count_nameless)

    def _ask(self, task: Task, *, needs_all: bool = False) -> Future[Any]:
        future: Future[Any] = Future()
        self._put(Question(task, future, needs_all))
        return future

    def _put(self, item: NewStatus | Question) -> None:
        with fork_guard.lock:
            if not self._is_open:
                raise LedgerError(self._path.name, "is not open for delivery statuses")
            self._usable_writer().queue.put(item)

    def _usable_writer(self) -> DeliveryWriter:
        """Return this process's writer; start one if necessary. Needs the guard's lock."""
        writer = self._writer
        if writer is not None and writer.is_usable():
            return writer
        if writer is not None and writer.is_of_this_process():
            writer.end()
        writer = DeliveryWriter(self._path, self._early_seconds)
        writer.start()
        self._writer = writer
        return writer
