"""Writes what became of sent SMS into their campaign's ledger, beside a sender that may be running.

The sender holds the ledger, and only it changes states; this writes the two columns that the sender
never touches. Both are in short transactions, and each waits for the other.
"""

import enum
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import closing
from os import PathLike
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from connectus_async import _json
from connectus_async.bulk.ledger_file import Checkpoints, connect
from connectus_async.bulk.report._reading import open_for_reading
from connectus_async.bulk.sqlite_ledger import _ledger_error
from connectus_async.errors import ConfigurationError, LedgerError
from connectus_async.products.sms import SmsStatus
from connectus_async.products.sms_statuses import RANKS, UNKNOWN_RANK, is_news, rank

EARLY_SECONDS: Final = 60.0
MAX_EARLY: Final = 100_000
RETRY_SECONDS: Final = 0.5
LOCK_TIMEOUT: Final = 30.0
MAX_WORD: Final = 64
MAX_ID: Final = 256

INDEX: Final = """
CREATE INDEX IF NOT EXISTS message_provider_id ON message (provider_id)
WHERE provider_id IS NOT NULL
"""

RANK: Final = " ".join(
    [
        "CASE WHEN delivery_status IS NULL THEN 0",
        *(f"WHEN delivery_status = '{status}' THEN {place}" for status, place in RANKS.items()),
        f"ELSE {UNKNOWN_RANK} END",
    ]
)

RECORD: Final = f"""
UPDATE message INDEXED BY message_provider_id
SET delivery_status = news.status, delivered_at = coalesce(news.delivered_at, message.delivered_at)
FROM (
    SELECT value->>0 AS id, value->>1 AS status, value->>2 AS place, value->>3 AS delivered_at
    FROM json_each(?)
) AS news
WHERE message.provider_id = news.id AND message.kind = 'sms' AND {RANK} < news.place
RETURNING provider_id
"""
"""One statement a group, as in ``sqlite_ledger``, and for the same reason."""

KNOWN: Final = """
SELECT provider_id FROM message INDEXED BY message_provider_id
WHERE provider_id IN (SELECT value FROM json_each(?)) AND kind = 'sms'
"""

FOLLOWED: Final = f"""
kind = 'sms' AND state = 'accepted' AND provider_id <> ''
AND {RANK} NOT IN ({", ".join(str(RANKS[status]) for status in RANKS if status.is_final)})
AND coalesce(ended_at, 0) >= ?
"""
OPEN: Final = f"""
SELECT id, provider_id, coalesce(ended_at, 0) FROM message
WHERE {FOLLOWED} AND id > ? ORDER BY id LIMIT ?
"""
COUNT_OPEN: Final = f"SELECT count(*) FROM message WHERE {FOLLOWED}"

Task = Callable[[sqlite3.Connection], Any]


class Recorded(enum.Enum):
    """What became of a status that was to be written."""

    NEWS = "news"
    """It is in the ledger, on disk."""

    OLD = "old"
    """The ledger has it, or one that says more."""

    EARLY = "early"
    """The ledger has no such SMS yet: it is kept for a while, in memory, in case it comes."""


class OpenSms(NamedTuple):
    """An SMS of a ledger that has no final status.

    Attributes:
        number: Its place in the ledger.
        id: What the API calls it.
        accepted_at: When the API took it, in Unix seconds.
    """

    number: int
    id: str
    accepted_at: float


class DeliveryLedger:
    """Writes delivery statuses into a ledger, from any thread.

    Statuses may come twice and in any order: the one that says most stays. Those that come together
    are one transaction.

    Args:
        path: The ledger, which must be there. Its sender may be running.
        early_seconds: For how long a status is kept whose SMS the ledger does not have yet.
    """

    def __init__(self, path: str | PathLike[str], *, early_seconds: float = EARLY_SECONDS) -> None:
        try:
            self._path = Path(path)
        except TypeError:
            raise ConfigurationError("ledger", "must be a path") from None
        self._queue: SimpleQueue[_Status | _Question | None] = SimpleQueue()
        self._early = _Early(early_seconds)
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Open the ledger, and see to it that an SMS is quickly found in it.

        Raises:
            LedgerError: It is not there, is no ledger, or cannot be written.
        """
        opened: Future[None] = Future()
        thread = threading.Thread(
            target=self._run,
            args=(opened,),
            name=f"connectus delivery {self._path.name}",
            daemon=True,
        )
        thread.start()
        try:
            opened.result()
        except LedgerError:
            thread.join()
            raise
        self._thread = thread

    def close(self) -> None:
        """Write what is still to be written, and close the ledger."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()

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
            id_sms: What the API calls the SMS.
            status: Its status.
            at: When that was, in Unix seconds; now if left out.

        Returns:
            What became of it, once it is on disk. It raises `LedgerError` if it cannot be written.
        """
        future: Future[Recorded] = Future()
        word = SmsStatus(status[:MAX_WORD].replace("\0", ""))
        moment = time.time() if at is None else at
        self._put(_Status(id_sms.replace("\0", ""), word, moment, future))
        return future

    def open_sms(self, after: int, limit: int, since: float = 0) -> "Future[list[OpenSms]]":
        """Read SMS that are accepted and have no final status, in order.

        Args:
            after: The number after which to begin.
            limit: How many at most.
            since: When the API took them, at the earliest, in Unix seconds.
        """

        def read(connection: sqlite3.Connection) -> list[OpenSms]:
            return [OpenSms(*row) for row in connection.execute(OPEN, (since, after, limit))]

        return self._ask(read)

    def count_open(self, since: float = 0) -> "Future[int]":
        """Count the SMS that `open_sms` reads."""

        def count(connection: sqlite3.Connection) -> int:
            ((total,),) = connection.execute(COUNT_OPEN, (since,))
            return int(total)

        return self._ask(count)

    def _ask(self, task: Task) -> "Future[Any]":
        future: Future[Any] = Future()
        self._put(_Question(task, future))
        return future

    def _put(self, item: "_Status | _Question") -> None:
        if self._thread is None:
            raise LedgerError(self._path.name, "is not open for delivery statuses")
        self._queue.put(item)

    def _run(self, opened: "Future[None]") -> None:
        try:
            connection = _opened(self._path)
        except (sqlite3.Error, LedgerError, OSError) as error:
            opened.set_exception(_ledger_error(self._path, error))
            return
        with closing(connection):
            opened.set_result(None)
            checkpoints = Checkpoints(self._path, connection, is_holder=False)
            while self._do_next(connection):
                if connection.total_changes >= checkpoints.due_at:
                    checkpoints.make()

    def _do_next(self, connection: sqlite3.Connection) -> bool:
        """Do what has come by now; tell whether to go on."""
        statuses: list[_Status] = []
        for item in self._arrived():
            if isinstance(item, _Status):
                statuses.append(item)
                continue
            self._write(connection, statuses, tries_all=True)
            statuses = []
            if item is None:
                return False
            self._answer(connection, item)
        self._write(connection, statuses)
        return True

    def _arrived(self) -> "Iterable[_Status | _Question | None]":
        try:
            yield self._queue.get(timeout=RETRY_SECONDS if self._early else None)
            while True:
                yield self._queue.get_nowait()
        except Empty:
            return

    def _write(
        self,
        connection: sqlite3.Connection,
        statuses: "Sequence[_Status]",
        *,
        tries_all: bool = False,
    ) -> None:
        """Write statuses, and now and then try those again that came too early."""
        best: dict[str, tuple[SmsStatus, float]] = {}
        early = self._early.due(at_once=tries_all)
        for id_sms, status, at in [*early, *(item.what for item in statuses)]:
            if id_sms not in best or rank(status) > rank(best[id_sms][0]):
                best[id_sms] = status, at
        if not best:
            return
        try:
            moved, known = _record(connection, best)
        except sqlite3.Error as error:
            failure = _ledger_error(self._path, error)
            for item in statuses:
                _settle(item.future, failure)
            return
        self._early.forget(known)
        for item in statuses:
            _settle(item.future, self._became(item, best, moved, known))

    def _became(
        self,
        item: "_Status",
        best: dict[str, tuple[SmsStatus, float]],
        moved: set[str],
        known: set[str],
    ) -> Recorded:
        if item.id_sms not in known:
            self._early.keep(item.id_sms, *best[item.id_sms])
            return Recorded.EARLY
        is_best = best[item.id_sms][0] == item.status
        return Recorded.NEWS if is_best and item.id_sms in moved else Recorded.OLD

    def _answer(self, connection: sqlite3.Connection, question: "_Question") -> None:
        try:
            answer = question.task(connection)
        except sqlite3.Error as error:
            _settle(question.future, _ledger_error(self._path, error))
        else:
            _settle(question.future, answer)


class _Status(NamedTuple):
    """A status to write, and who waits for it."""

    id_sms: str
    status: SmsStatus
    at: float
    future: "Future[Recorded]"

    @property
    def what(self) -> tuple[str, SmsStatus, float]:
        return self.id_sms, self.status, self.at


class _Question(NamedTuple):
    """A function to run, and who waits for its answer."""

    task: Task
    future: "Future[Any]"


class _Early:
    """Statuses of SMS that the ledger does not have yet: a number of them, and for a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next_try = 0.0
        self._kept: OrderedDict[str, tuple[SmsStatus, float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, id_sms: str, status: SmsStatus, at: float) -> None:
        """Keep a status; the time counts from the first one of an SMS."""
        if len(id_sms) > MAX_ID:
            return
        kept = self._kept.get(id_sms)
        if kept is None:
            self._kept[id_sms] = status, at, time.monotonic() + self._seconds
        elif is_news(status, kept[0]):
            self._kept[id_sms] = status, at, kept[2]
        if len(self._kept) > MAX_EARLY:
            self._kept.popitem(last=False)

    def due(self, *, at_once: bool) -> list[tuple[str, SmsStatus, float]]:
        """Give all that are kept, now and then; those whose time is over are given once more."""
        now = time.monotonic()
        if now < self._next_try and not at_once:
            return []
        self._next_try = now + RETRY_SECONDS
        given = [(id_sms, status, at) for id_sms, (status, at, _) in self._kept.items()]
        while self._kept and next(iter(self._kept.values()))[2] <= now:
            self._kept.popitem(last=False)
        return given

    def forget(self, ids: Iterable[str]) -> None:
        """Let go of those that the ledger has."""
        for id_sms in ids:
            self._kept.pop(id_sms, None)


def _opened(path: Path) -> sqlite3.Connection:
    open_for_reading(path).close()  # it says what is wrong with a file that is no ledger
    connection = connect(path, "rw", LOCK_TIMEOUT)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(INDEX)
    except BaseException:
        connection.close()
        raise
    return connection


def _record(
    connection: sqlite3.Connection, best: dict[str, tuple[SmsStatus, float]]
) -> tuple[set[str], set[str]]:
    """Write statuses; tell which SMS took theirs, and which are known at all.

    In one transaction: the sender may be about to name an SMS between the two questions.
    """
    rows = [
        (id_sms, status, rank(status), at if status is SmsStatus.ENTREGADO else None)
        for id_sms, (status, at) in best.items()
    ]
    document = _json.dumps(rows).decode()
    connection.execute("BEGIN IMMEDIATE")
    try:
        moved = {id_sms for (id_sms,) in connection.execute(RECORD, (document,))}
        rest = _json.dumps([id_sms for id_sms in best if id_sms not in moved]).decode()
        known = {id_sms for (id_sms,) in connection.execute(KNOWN, (rest,))}
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise
    return moved, moved | known


def _settle(future: "Future[Any]", result: object) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
