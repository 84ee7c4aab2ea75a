"""Reader of a ledger's file. It works beside the holder and never writes."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from connectus_async import _json
from connectus_async.errors import LedgerError
from connectus_async.ledger.abc import LedgerReader
from connectus_async.ledger.records import (
    Again,
    Frequency,
    Latency,
    MessageRow,
    TimeGrid,
    Total,
    Unreleased,
)
from connectus_async.ledger.sqlite import again, codes, metadata, statistics
from connectus_async.ledger.sqlite.connection import check_whole, connect
from connectus_async.ledger.sqlite.problems import NO_CAMPAIGN, reading_failed
from connectus_async.ledger.sqlite.schema import (
    APPLICATION_ID,
    AS_NOW,
    BEGUN_AT,
    SCHEMA_VERSION,
    STARTED,
    STATE,
    WATERMARK,
    application_and_version,
    is_old,
)
from connectus_async.ledger.states import State
from connectus_async.redaction import scrubbed

LOCK_TIMEOUT: Final = 5.0
"""Seconds to wait for a lock that another program has on the file."""

_NAMES: Final = {"number": "id", "load": "reading"}
MESSAGES: Final = f"""
SELECT {", ".join(_NAMES.get(it, it) for it in MessageRow._fields)} FROM message LIMIT 0
"""
"""The columns of every version of the schema."""


def _millisecond(ticks: str) -> str:
    """Write out a time to the millisecond; to round to digits takes SQLite much longer."""
    return f"({codes.EPOCH}000 + round(({ticks}) / {codes.TICKS // 1_000}.0)) / 1000.0"


_SHOWN: Final = {
    "kind": codes.kind_name("kind"),
    "recipient": codes.recipient_text("recipient"),
    "state": STATE,
    "provider_id": codes.id_text("provider_id"),
    "attempts": f"coalesce(attempts, entry.id <= {WATERMARK})",
    "started_at": _millisecond(STARTED),
    "ended_at": _millisecond("coalesce(started, 0) + took"),
    "delivered_at": "round(delivered_at, 3)",
    "number": "entry.id",
    "load": "reading",
    "body": f"CASE WHEN :has_bodies THEN {codes.body_text('kind', 'body')} END",
}
_ROWS: Final = f"""
SELECT {", ".join(_SHOWN.get(it, it) for it in MessageRow._fields)}
FROM entry LEFT JOIN outcome ON outcome.id = entry.id
"""
NUMBERED: Final = f"""
{_ROWS} WHERE entry.id IN (SELECT value FROM json_each(:numbers)) ORDER BY entry.id
"""
ROWS: Final = f"""
{_ROWS} WHERE :states IS NULL OR {STATE} IN (SELECT value FROM json_each(:states))
"""
REACHED: Final = f"""
SELECT {codes.recipient_text("recipient")}
FROM entry LEFT JOIN outcome ON outcome.id = entry.id
WHERE CASE WHEN outcome.id IS NULL
    THEN entry.id <= {WATERMARK} AND {BEGUN_AT.format(number="entry.id")} >= :since
    ELSE outcome.state IN ({codes.SENT_OR_MAYBE})
        AND coalesce(coalesce(started, 0) + took, started) >= :since
END
"""
IN_ORDER: Final = "ORDER BY entry.id"
BY_LINE: Final = "ORDER BY line, entry.id"
ROWS_A_BATCH: Final = 20_000
"""Rows of an export in memory at a time."""


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a snapshot of a ledger's file: it does not show later changes.

    Args:
        path: The file.

    Returns:
        A connection that cannot write, in a transaction. The caller closes it.

    Raises:
        LedgerError: The file is missing, is no ledger, lacks its log, or cannot be read.
    """
    if not path.is_file():
        raise LedgerError(path.name, "there is no such file")
    with _problems_named(path):
        connection = connect(path, "ro", LOCK_TIMEOUT)
        try:
            connection.execute("BEGIN")
            _check_kind(connection, path)
            connection.execute(MESSAGES)
            check_whole(metadata.read(connection), path)
        except BaseException:
            connection.close()
            raise
    return connection


def _check_kind(connection: sqlite3.Connection, path: Path) -> None:
    application, version = application_and_version(connection)
    if application != APPLICATION_ID:
        raise LedgerError(path.name, NO_CAMPAIGN)
    if version > SCHEMA_VERSION:
        raise LedgerError(path.name, "was made by a newer connectus-async: upgrade to read it")


@contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a snapshot for a block. An error of SQLite in the block becomes a `LedgerError`."""
    with closing(open_for_reading(path)) as connection, _problems_named(path):
        yield connection


@contextmanager
def read(path: Path) -> Iterator["SqliteReader"]:
    """Open a snapshot for a block. See `LedgerStore.read`."""
    with snapshot(path) as connection:
        yield SqliteReader(connection)


class SqliteReader(LedgerReader):
    """Snapshot of a ledger's file. See `LedgerReader`.

    Args:
        connection: The snapshot, from `open_for_reading`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        if is_old(connection):
            for view in AS_NOW:
                connection.execute(view)
        again.prepare(connection)
        connection.create_function(statistics.SHAREABLE, 1, _shareable, deterministic=True)

    def metadata(self) -> Mapping[str, str]:
        """Read the metadata of the campaign."""
        return metadata.read(self._connection)

    def totals(self) -> Mapping[State, Total]:
        """Add up the messages by state. A state without messages is left out."""
        return statistics.totals(self._connection)

    def skipped(self) -> Mapping[str, int]:
        """Count the skipped messages by reason, the most frequent first."""
        return dict(self._connection.execute(statistics.SKIPPED))

    def invalid(self, limit: int) -> Sequence[Frequency]:
        """Count the invalid rows by what is wrong with them, the most frequent first."""
        return self._frequencies(statistics.INVALID, limit)

    def errors(self, limit: int) -> Sequence[Frequency]:
        """Count the messages that were not accepted, by state and reason."""
        return self._frequencies(statistics.ERRORS, limit)

    def deliveries(self, limit: int) -> Mapping[str, int]:
        """Count the messages by delivery status, the most frequent first."""
        return dict(self._connection.execute(statistics.DELIVERIES, (limit,)))

    def outcomes(self, grid: TimeGrid) -> Sequence[Mapping[State, int]]:
        """Count the outcomes in each part of a time by state."""
        return statistics.outcomes(self._connection, grid)

    def ended_since(self, moment: float) -> int:
        """Count the messages whose outcome became known after a time."""
        return statistics.ended_since(self._connection, moment)

    def latencies(self, grid: TimeGrid) -> Sequence[Latency | None]:
        """Measure the latency in each part of a time; ``None`` for a part without an answer."""
        return statistics.latencies(self._connection, grid)

    def messages(
        self,
        states: Collection[State] | None = None,
        *,
        has_bodies: bool = False,
        is_by_line: bool = False,
    ) -> Iterator[Sequence[MessageRow]]:
        """Read the messages in order, in batches. See `LedgerReader.messages`."""
        wanted = None if states is None else _json.dumps(list(states)).decode()
        values = {"states": wanted, "has_bodies": has_bodies}
        order = BY_LINE if is_by_line else IN_ORDER
        cursor = self._connection.execute(f"{ROWS} {order}", values)
        while batch := cursor.fetchmany(ROWS_A_BATCH):
            yield list(map(MessageRow._make, batch))

    def reached(self, since: float) -> Iterator[Sequence[str]]:
        """Read the recipients of messages that were or may have been sent."""
        cursor = self._connection.execute(REACHED, {"since": codes.ticks(since)})
        while batch := cursor.fetchmany(ROWS_A_BATCH):
            yield [recipient for (recipient,) in batch]

    def count_again(self, choice: Again) -> int:
        """Count messages that can be sent again. See `LedgerReader.count_again`."""
        return again.count(self._connection, choice)

    def again(self, choice: Again) -> Iterator[Sequence[tuple[int, str]]]:
        """Read messages that can be sent again. See `LedgerReader.again`."""
        cursor = again.chosen(self._connection, choice)
        while batch := cursor.fetchmany(ROWS_A_BATCH):
            yield batch

    def unreleased(self) -> Sequence[Unreleased]:
        """Return nothing: a file has one holder, who keeps nothing from others."""
        return ()

    def earlier_attempts(self) -> Mapping[State, int]:
        """Count the earlier attempts by their outcome. See `LedgerReader.earlier_attempts`."""
        return again.earlier(self._connection)

    def numbered(self, numbers: Sequence[int]) -> Sequence[MessageRow]:
        """Read the messages with some numbers. See `LedgerReader.numbered`."""
        values = {"numbers": _json.dumps([*numbers]).decode(), "has_bodies": False}
        return [*map(MessageRow._make, self._connection.execute(NUMBERED, values))]

    def _frequencies(self, query: str, limit: int) -> Sequence[Frequency]:
        return [Frequency(*row) for row in self._connection.execute(query, (limit,))]


def _shareable(sentence: str) -> str:
    return scrubbed(sentence)


@contextmanager
def _problems_named(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise reading_failed(path, error) from error
