"""Writes what became of sent SMS into their campaign's ledger, beside a sender that may be running.

The sender holds the ledger, and only it changes states; this writes the two columns that the sender
never touches, and the statuses that came before the sender named their SMS. Both are in short
transactions, and each waits for the other.

No connection of SQLite is open while the process is forked. What SQLite knows of the locks of a
file belongs to the process: a child that inherits it takes the parent's locks for its own, and then
another process may delete the log that the child is writing. So writers end before a fork, and with
the next status parent and child each begin their own.
"""

import enum
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from contextlib import closing
from os import PathLike
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from connectus_async.errors import ConfigurationError, LedgerError
from connectus_async.ledger.sqlite import delivery_rows as status_rows
from connectus_async.ledger.sqlite.connection import LOST, Checkpoints, connect
from connectus_async.ledger.sqlite.delivery_rows import OpenSms, Word, Written, better
from connectus_async.ledger.sqlite.ledger import _ledger_error
from connectus_async.ledger.sqlite.reading import open_for_reading
from connectus_async.ledger.steady_clock import SteadyClock
from connectus_async.products.sms import SmsStatus
from connectus_async.products.sms_ids import folded

EARLY_SECONDS: Final = 3 * 86_400.0
"""As long as an SMS is asked for: who reconciles names some SMS days after they were sent."""

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds between two looks at whether the sender named an SMS: they double while it does not."""

LOOKING_SHARE: Final = 0.1
"""Of the time, that may go into these looks."""

DROPPING_PAUSE: Final = 3_600.0
FORK_PATIENCE: Final = 5.0
LOCK_TIMEOUT: Final = 30.0
MAX_WORD: Final = 64

DROPPED: Final = (
    "delivery statuses let go: %d. The ledger never named their SMS; where the account sends beside"
    " this campaign, they may be of those SMS"
)

Task = Callable[[sqlite3.Connection], Any]

_log: Final = logging.getLogger("connectus_async")
_clock: Final = SteadyClock()


class Recorded(enum.Enum):
    """What became of a status that was to be written."""

    NEWS = "news"
    """It is in the ledger, on disk."""

    OLD = "old"
    """The ledger has it, or one that says more."""

    EARLY = "early"
    """The ledger has no such SMS yet: it is kept beside the SMS, on disk, in case it comes."""


class DeliveryLedger:
    """Writes delivery statuses into a ledger, from any thread.

    Statuses may come twice and in any order: the one that says most stays. Those that come together
    are one transaction. After a fork, parent and child go on by themselves.

    Args:
        path: The ledger, which must be there. Its sender may be running.
        early_seconds: For how long a status is kept whose SMS the ledger does not have yet.
    """

    def __init__(self, path: str | PathLike[str], *, early_seconds: float = EARLY_SECONDS) -> None:
        try:
            self._path = Path(path)
        except TypeError:
            raise ConfigurationError("ledger", "must be a path") from None
        self._early_seconds = early_seconds
        self._writer: _Writer | None = None
        self._is_open = False

    def open(self) -> None:
        """Open the ledger, and see to it that an SMS is quickly found in it; once is enough.

        Raises:
            LedgerError: It is not there, is no ledger, or cannot be written.
        """
        with _gate.lock:
            writer = self._usable_writer()
            self._is_open = True
        try:
            writer.opened.result()
        except LedgerError:
            self.close()
            raise

    def close(self) -> None:
        """Write what is still to be written, and close the ledger."""
        with _gate.lock:
            writer, self._writer = self._writer, None
            self._is_open = False
            if writer is None or not writer.is_of_this_process():
                return
            writer.end()
        writer.join()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def record(self, id_sms: str, status: SmsStatus, at: float | None = None) -> "Future[Recorded]":
        """Write a status down.

        Args:
            id_sms: Its identifier, not empty. A number in hexadecimal digits may be in another
                case than the API's.
            status: Its status.
            at: When that was, in Unix seconds; now if left out.

        Returns:
            What became of it, once it is on disk. It raises `LedgerError` if it cannot be written.
        """
        future: Future[Recorded] = Future()
        word = SmsStatus(status[:MAX_WORD].replace("\0", ""))
        moment = time.time() if at is None else at
        self._put(_Status(folded(id_sms.replace("\0", "")), word, moment, future))
        return future

    def open_sms(
        self, after: int, limit: int, since: float = 0, until: float = float("inf")
    ) -> "Future[list[OpenSms]]":
        """Read SMS that are accepted and have no final status, in order.

        Args:
            after: The number after which to begin.
            limit: How many at most.
            since: When the API took them, at the earliest, in Unix seconds.
            until: The same, at the latest.
        """

        def read(connection: sqlite3.Connection) -> list[OpenSms]:
            rows = connection.execute(status_rows.OPEN, (since, until, after, limit))
            return [OpenSms(*row) for row in rows]

        return self._ask(read)

    def count_open(self, since: float = 0, until: float = float("inf")) -> "Future[int]":
        """Count the SMS that `open_sms` reads, with all statuses that have come."""

        def count(connection: sqlite3.Connection) -> int:
            ((total,),) = connection.execute(status_rows.COUNT_OPEN, (since, until))
            return int(total)

        return self._ask(count, needs_all=True)

    def count_nameless(self) -> "Future[int]":
        """Count the SMS that the API took without giving them an identifier."""

        def count(connection: sqlite3.Connection) -> int:
            ((total,),) = connection.execute(status_rows.COUNT_NAMELESS)
            return int(total)

        return self._ask(count)

    def _ask(self, task: Task, *, needs_all: bool = False) -> "Future[Any]":
        future: Future[Any] = Future()
        self._put(_Question(task, future, needs_all))
        return future

    def _put(self, item: "_Status | _Question") -> None:
        with _gate.lock:
            if not self._is_open:
                raise LedgerError(self._path.name, "is not open for delivery statuses")
            self._usable_writer().queue.put(item)

    def _usable_writer(self) -> "_Writer":
        """Give the writer of this process, which may have to begin; the gate's lock is held."""
        writer = self._writer
        if writer is not None and writer.is_usable():
            return writer
        if writer is not None and writer.is_of_this_process():
            writer.end()
        writer = _Writer(self._path, self._early_seconds)
        writer.start()
        self._writer = writer
        return writer


class _Status(NamedTuple):
    """A status to write, and who waits for it."""

    id_sms: str
    status: SmsStatus
    at: float
    future: "Future[Recorded]"


class _Question(NamedTuple):
    """A function to run, who waits for its answer, and whether all must have been joined before."""

    task: Task
    future: "Future[Any]"
    needs_all: bool


class _Writer:
    """A thread with a connection to a ledger, from when it is started until it is told to end.

    Attributes:
        path: The ledger, from wherever the process looks.
        queue: The tasks, in order; ``None`` is the end. The gate's lock is held to put it.
        opened: Done once the ledger is open, or could not be opened.
    """

    def __init__(self, path: Path, early_seconds: float) -> None:
        self.queue: SimpleQueue[_Status | _Question | None] = SimpleQueue()
        self.opened: Future[None] = Future()
        self.path = path.resolve()
        self._path = path
        self._pid = os.getpid()
        self._early = _EarlyStatuses(early_seconds)
        self._has_failed = False
        self._is_ending = False
        self._thread = threading.Thread(
            target=self._run, name=f"connectus delivery {path.name}", daemon=True
        )

    def start(self) -> None:
        """Begin to open the ledger."""
        _gate.writers.add(self)
        try:
            self._thread.start()
        except BaseException:
            _gate.writers.discard(self)
            raise

    def end(self) -> None:
        """Have it end once it has done what it was told before."""
        self._is_ending = True
        self.queue.put(None)

    def join(self, seconds: float | None = None) -> bool:
        """Wait for its end; tell whether it has come."""
        if self._thread is threading.current_thread():
            return False
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def is_of_this_process(self) -> bool:
        """Tell whether its thread did not stay behind in the process that this was forked from."""
        return self._pid == os.getpid()

    def is_usable(self) -> bool:
        """Tell whether it does what it is told from now on."""
        return self.is_of_this_process() and not (self._is_ending or self._has_failed)

    def _run(self) -> None:
        try:
            self._work()
        finally:
            _gate.writers.discard(self)

    def _work(self) -> None:
        try:
            connection = _opened(self._path)
            self._early.take_up(connection)
        except (sqlite3.Error, LedgerError, OSError) as error:
            self._refuse(_ledger_error(self._path, error))
            return
        with closing(connection):
            self.opened.set_result(None)
            checkpoints = Checkpoints(self._path, connection, is_holder=False)
            while self._do_next(connection):
                if connection.total_changes >= checkpoints.due_at:
                    checkpoints.make()
        self._early.say_what_was_dropped()

    def _refuse(self, failure: LedgerError) -> None:
        """Answer what came while the ledger could not be opened; the next comer has another try."""
        self._has_failed = True
        self.opened.set_exception(failure)
        while (item := self.queue.get()) is not None:
            _settle(item.future, failure)

    def _do_next(self, connection: sqlite3.Connection) -> bool:
        """Do what has come by now; tell whether to go on."""
        statuses: list[_Status] = []
        for item in self._arrived():
            if isinstance(item, _Status):
                statuses.append(item)
                continue
            self._write(connection, statuses)
            statuses = []
            if item is None:
                self._join(connection, at_once=True)
                return False
            self._answer(connection, item)
        self._write(connection, statuses)
        self._join(connection)
        return True

    def _arrived(self) -> "Iterable[_Status | _Question | None]":
        try:
            yield self.queue.get(timeout=self._early.pause())
            while True:
                yield self.queue.get_nowait()
        except Empty:
            return

    def _write(self, connection: sqlite3.Connection, statuses: "Sequence[_Status]") -> None:
        """Write statuses in one transaction."""
        best: dict[str, Word] = {}
        for id_sms, status, at, _ in statuses:
            word = status, at
            best[id_sms] = better(best[id_sms], word) if id_sms in best else word
        if not best:
            return
        try:
            written = status_rows.record(connection, best, _clock.unix_now())
        except sqlite3.Error as error:
            failure = _ledger_error(self._path, error)
            for item in statuses:
                _settle(item.future, failure)
            return
        self._early.note(best.keys() - written.known, written.dropped)
        for item in statuses:
            _settle(item.future, _became(item, best, written))

    def _join(self, connection: sqlite3.Connection, *, at_once: bool = False) -> None:
        """Look for the SMS of statuses that came before; what fails is tried again."""
        try:
            self._early.join(connection, at_once=at_once)
        except sqlite3.Error as error:
            _log.warning("%s", _ledger_error(self._path, error))

    def _answer(self, connection: sqlite3.Connection, question: "_Question") -> None:
        if question.needs_all:
            self._join(connection, at_once=True)
        try:
            answer = question.task(connection)
        except sqlite3.Error as error:
            _settle(question.future, _ledger_error(self._path, error))
        else:
            _settle(question.future, answer)


def _became(item: _Status, best: dict[str, Word], written: Written) -> Recorded:
    if item.id_sms not in written.known:
        return Recorded.EARLY
    is_best = best[item.id_sms][0] == item.status
    return Recorded.NEWS if is_best and item.id_sms in written.moved else Recorded.OLD


class _EarlyStatuses:
    """Schedule of looks for the SMS of early statuses, and of letting go of these.

    Args:
        seconds: For how long they are kept.

    Attributes:
        are_there: Whether there are any.
    """

    def __init__(self, seconds: float) -> None:
        self.are_there = False
        self._seconds = seconds
        self._pause = FIRST_PAUSE
        self._next_look = 0.0
        self._next_drop = 0.0
        self._seen_changes: int | None = None
        self._dropped = 0
        self._next_word = 0.0

    def take_up(self, connection: sqlite3.Connection) -> None:
        """Begin with what an earlier writer left."""
        self.are_there = status_rows.has_early(connection)
        self.join(connection, at_once=True)

    def note(self, ids: AbstractSet[str], dropped: int) -> None:
        """Take note of statuses that came too early, and of those that were dropped."""
        if ids:
            soon = time.monotonic() + FIRST_PAUSE
            self._next_look = min(self._next_look, soon) if self.are_there else soon
            self._pause = FIRST_PAUSE
            self.are_there = True
        self._drop(dropped)

    def pause(self) -> float | None:
        """Give the seconds until the next look; ``None`` if nothing is to be looked for."""
        return max(0.0, self._next_look - time.monotonic()) if self.are_there else None

    def join(self, connection: sqlite3.Connection, *, at_once: bool = False) -> None:
        """Join what can be, if it is time to look and the ledger has changed."""
        began = time.monotonic()
        if not self.are_there or (began < self._next_look and not at_once):
            return
        changes = status_rows.changes(connection)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._next_look = began + self._pause  # also if what follows fails
        if changes != self._seen_changes:
            status_rows.join(connection, _clock.unix_now())
            self._seen_changes = changes
        if began >= self._next_drop:
            self._next_drop = began + min(self._seconds, DROPPING_PAUSE)
            self._drop(status_rows.drop_old(connection, _clock.unix_now() - self._seconds))
        self.are_there = status_rows.has_early(connection)
        took = time.monotonic() - began
        self._next_look = max(self._next_look, began + took / LOOKING_SHARE)

    def say_what_was_dropped(self) -> None:
        """Put it into the log, as a number."""
        if self._dropped:
            _log.warning(DROPPED, self._dropped)
            self._dropped = 0

    def _drop(self, count: int) -> None:
        self._dropped += count
        if self._dropped and time.monotonic() >= self._next_word:
            self._next_word = time.monotonic() + DROPPING_PAUSE
            self.say_what_was_dropped()


class _Gate:
    """Gate of all writers of a process, so that none has a connection open in a fork.

    Attributes:
        lock: Held while a writer begins or is told something, and while the process is forked.
        writers: Those whose thread has not ended. In a child they are also those of its parent that
            had a connection open in the fork all the same.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.writers: set[_Writer] = set()

    def close(self) -> None:
        """Let nothing begin, and have all writers end; one that hangs is not waited for long."""
        self.lock.acquire()
        deadline = time.monotonic() + FORK_PATIENCE
        writers = [writer for writer in list(self.writers) if writer.is_of_this_process()]
        for writer in writers:
            writer.end()
        for writer in writers:
            writer.join(max(0.0, deadline - time.monotonic()))

    def open_in_parent(self) -> None:
        """Let writers begin again."""
        self.lock.release()

    def open_in_child(self) -> None:
        """Leave the lock to the parent."""
        self.lock = threading.RLock()

    def is_lost(self, path: Path) -> bool:
        """Tell whether a ledger was open in the fork that made this process."""
        return any(
            writer.path == path.resolve() and not writer.is_of_this_process()
            for writer in list(self.writers)
        )


_gate: Final = _Gate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_gate.close,
        after_in_parent=_gate.open_in_parent,
        after_in_child=_gate.open_in_child,
    )


def _opened(path: Path) -> sqlite3.Connection:
    if _gate.is_lost(path):
        raise LedgerError(path.name, LOST)
    open_for_reading(path).close()  # it says what is wrong with a file that is no ledger
    connection = connect(path, "rw", LOCK_TIMEOUT)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        status_rows.prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _settle(future: "Future[Any]", result: object) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
