"""Thread that records delivery statuses. It writes all that wait in one transaction."""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import closing
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

from connectus_async.errors import LedgerError
from connectus_async.ledger.delivery_connection import (
    DeliveryConnection,
    TimedStatus,
    Written,
    better,
)
from connectus_async.ledger.early_statuses import EarlyStatuses
from connectus_async.ledger.fork_guard import fork_guard
from connectus_async.ledger.records import Recorded
from connectus_async.ledger.steady_clock import SteadyClock

_log: Final = logging.getLogger("connectus_async")
_clock: Final = SteadyClock()


class NewStatus(NamedTuple):
    """A status to record.

    Attributes:
        id_sms: The provider id of its SMS, as `folded` spells it.
        status: The status and its time.
        future: The future of the result.
    """

    id_sms: str
    status: TimedStatus
    future: Future[Recorded]


class Question(NamedTuple):
    """A function to run with the connection.

    Attributes:
        task: The function.
        future: The future of its result.
        needs_all: Move early statuses to their SMS first.
    """

    task: Callable[[DeliveryConnection[Any]], Any]
    future: Future[Any]
    needs_all: bool


class DeliveryWriter:
    """Thread with a connection to a ledger, until it is told to end.

    Attributes:
        place: Where the ledger is.
        queue: Its tasks in order; ``None`` is the end. Hold the lock of `fork_guard` to put one.
        opened: Done once the ledger is open or could not be opened.
    """

    def __init__(self, connection: DeliveryConnection[Any], early_seconds: float) -> None:
        self.queue: SimpleQueue[NewStatus | Question | None] = SimpleQueue()
        self.opened: Future[None] = Future()
        self.place = connection.place
        self._connection = connection
        self._pid = os.getpid()
        self._early = EarlyStatuses(_clock, early_seconds)
        self._has_failed = False
        self._is_ending = False
        self._thread = threading.Thread(
            target=self._run, name=f"connectus delivery {connection.name}", daemon=True
        )

    def start(self) -> None:
        """Start the thread, which opens the ledger."""
        fork_guard.writers.add(self)
        try:
            self._thread.start()
        except BaseException:
            fork_guard.writers.discard(self)
            raise

    def end(self) -> None:
        """Tell it to end once its earlier tasks are done."""
        self._is_ending = True
        self.queue.put(None)

    def join(self, seconds: float | None = None) -> bool:
        """Wait until it has ended, and tell whether it has."""
        if self._thread is threading.current_thread():
            return False
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def is_of_this_process(self) -> bool:
        """Tell whether this process started it, and not the one that it was forked from."""
        return self._pid == os.getpid()

    def is_usable(self) -> bool:
        """Tell whether it takes further tasks."""
        return self.is_of_this_process() and not (self._is_ending or self._has_failed)

    def _run(self) -> None:
        try:
            self._work()
        finally:
            fork_guard.writers.discard(self)

    def _work(self) -> None:
        with closing(self._connection):
            try:
                self._connection.open()
                self._early.resume(self._connection)
            except LedgerError as failure:
                self._refuse(failure)
                return
            self.opened.set_result(None)
            while self._do_next():
                self._connection.rest()
        self._early.warn()

    def _refuse(self, failure: LedgerError) -> None:
        """Fail all tasks of a ledger that could not be opened. The next status tries again."""
        self._has_failed = True
        self.opened.set_exception(failure)
        while (item := self.queue.get()) is not None:
            _settle(item.future, failure)

    def _do_next(self) -> bool:
        """Do all tasks that wait; tell whether to continue."""
        statuses: list[NewStatus] = []
        for item in self._arrived():
            if isinstance(item, NewStatus):
                statuses.append(item)
                continue
            self._record(statuses)
            statuses = []
            if item is None:
                self._join(at_once=True)
                return False
            self._answer(item)
        self._record(statuses)
        self._join()
        return True

    def _arrived(self) -> Iterable[NewStatus | Question | None]:
        try:
            yield self.queue.get(timeout=self._early.pause())
            while True:
                yield self.queue.get_nowait()
        except Empty:
            return

    def _record(self, statuses: Sequence[NewStatus]) -> None:
        """Record statuses in one transaction."""
        best: dict[str, TimedStatus] = {}
        for id_sms, status, _ in statuses:
            best[id_sms] = better(best[id_sms], status) if id_sms in best else status
        if not best:
            return
        run, rows = self._connection.run, self._connection.rows
        try:
            written = run(rows.record, best, _clock.unix_now())
        except LedgerError as failure:
            for item in statuses:
                _settle(item.future, failure)
            return
        self._early.add(best.keys() - written.known, written.dropped)
        for item in statuses:
            _settle(item.future, _result(item, best, written))

    def _join(self, *, at_once: bool = False) -> None:
        """Move early statuses to their SMS. A failure is logged and tried again."""
        try:
            self._early.join(self._connection, at_once=at_once)
        except LedgerError as failure:
            _log.warning("%s", failure)

    def _answer(self, question: Question) -> None:
        if question.needs_all:
            self._join(at_once=True)
        try:
            answer = question.task(self._connection)
        except LedgerError as failure:
            _settle(question.future, failure)
        else:
            _settle(question.future, answer)


def _result(item: NewStatus, best: dict[str, TimedStatus], written: Written) -> Recorded:
    if item.id_sms not in written.known:
        return Recorded.EARLY
    is_best = best[item.id_sms].status == item.status.status
    return Recorded.NEWS if is_best and item.id_sms in written.moved else Recorded.OLD


def _settle(future: Future[Any], result: object) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
