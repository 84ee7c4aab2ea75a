"""Writer of delivery statuses, for every store: it hands them to a thread, one in each process."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from connectus_async.errors import LedgerError
from connectus_async.ledger.abc import DeliveryLog
from connectus_async.ledger.delivery_connection import DeliveryConnection, TimedStatus
from connectus_async.ledger.delivery_writer import DeliveryWriter, NewStatus, Question
from connectus_async.ledger.fork_guard import fork_guard
from connectus_async.ledger.records import OpenSms, Recorded
from connectus_async.products.sms_ids import folded
from connectus_async.products.sms_statuses import SmsStatus

MAX_STATUS: Final = 64
"""Characters of a status. The API's have at most 19."""


class ThreadedDeliveryLog(DeliveryLog):
    """Writer of delivery statuses that has a thread. See `DeliveryLog`.

    Args:
        connect: Makes a connection to the ledger, not open yet.
        early_seconds: How long a status is kept for an SMS that the ledger does not have yet.
    """

    def __init__(
        self, connect: Callable[[], DeliveryConnection[Any]], *, early_seconds: float
    ) -> None:
        self._connect = connect
        self._early_seconds = early_seconds
        self._writer: DeliveryWriter | None = None
        self._is_open = False

    def open(self) -> None:
        """Open the ledger, and create the index that finds an SMS by its provider id.

        Raises:
            LedgerError: There is no such ledger, or it cannot be written.
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
        """Write everything that was recorded, then close the ledger."""
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
        return self._ask(lambda it: it.run(it.rows.open_sms, since, until, after, limit))

    def count_open(self, since: float = 0, until: float = float("inf")) -> Future[int]:
        """Count the SMS that `open_sms` reads, with all statuses that have come."""
        return self._ask(lambda it: it.run(it.rows.count_open, since, until), needs_all=True)

    def count_nameless(self) -> Future[int]:
        """Count the SMS that the API accepted without giving them an identifier."""
        return self._ask(lambda it: it.run(it.rows.count_nameless))

    def _ask(
        self, task: Callable[[DeliveryConnection[Any]], Any], *, needs_all: bool = False
    ) -> Future[Any]:
        future: Future[Any] = Future()
        self._put(Question(task, future, needs_all))
        return future

    def _put(self, item: NewStatus | Question) -> None:
        with fork_guard.lock:
            if not self._is_open:
                raise LedgerError(self._connect().name, "is not open for delivery statuses")
            self._usable_writer().queue.put(item)

    def _usable_writer(self) -> DeliveryWriter:
        """Return this process's writer; start one if necessary. Needs the guard's lock."""
        writer = self._writer
        if writer is not None and writer.is_usable():
            return writer
        if writer is not None and writer.is_of_this_process():
            writer.end()
        writer = DeliveryWriter(self._connect(), self._early_seconds)
        writer.start()
        self._writer = writer
        return writer
