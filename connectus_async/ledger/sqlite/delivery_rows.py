"""Statements that record delivery statuses, and their use.

A status may come before the response to its send: then the ledger has no such SMS yet. A table of
its own keeps the status until the holder records the SMS, so that a restart loses nothing. The
first writer of a status creates that table. A ledger without it is valid, and older versions of
this package ignore it.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from connectus_async import _json
from connectus_async.ledger.delivery_connection import (
    FINAL,
    MAX_EARLY,
    MAX_ID,
    PAGE,
    EarlyStatus,
    TimedStatus,
    Written,
    better,
    rank_of,
)
from connectus_async.ledger.records import OpenSms
from connectus_async.ledger.sqlite import codes
from connectus_async.ledger.sqlite.schema import is_old
from connectus_async.products.sms_ids import folded, is_number
from connectus_async.products.sms_statuses import SmsStatus, rank

EARLY_TABLE: Final = """
CREATE TABLE IF NOT EXISTS early_status (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    is_number INTEGER NOT NULL,
    status TEXT NOT NULL,
    said_at REAL NOT NULL,
    kept_at REAL NOT NULL
)
"""


RANK: Final = rank_of("delivery_status")


class Statements(NamedTuple):
    """Statements about sent SMS, for the tables of one version of the schema.

    Attributes:
        create_index: Creates the index that finds an SMS by its provider id.
        record: Records statuses, many in one statement, for the reason that `sending` gives.
        known: Finds those of some provider ids that the ledger has.
        named: Finds early statuses whose SMS is there.
        open: Reads SMS that have no final status.
        count_open: Counts them, without the index: SQLite would fetch each row on its own.
    """

    create_index: str
    record: str
    known: str
    named: str
    open: str
    count_open: str


def _statements(
    table: str, *, provider_id: str, is_sms: str, is_accepted: str, ended_at: str, source: str
) -> Statements:
    def is_the_sms(id_sms: str, is_number: str) -> str:
        return (
            f"{table}.provider_id IS NOT NULL AND {provider_id} = {id_sms} COLLATE NOCASE"
            f" AND ({is_number} OR {provider_id} = {id_sms}) AND {is_sms}"
        )

    indexed = f"{table} INDEXED BY message_provider_id_nocase"
    followed = f"""
        {is_sms} AND {is_accepted} AND {table}.provider_id <> ''
        AND coalesce(delivery_status, '') NOT IN ({FINAL}) AND {ended_at} BETWEEN ? AND ?
    """
    return Statements(
        create_index=f"""
            CREATE INDEX IF NOT EXISTS message_provider_id_nocase
            ON {table} ({provider_id.replace(f"{table}.", "")} COLLATE NOCASE)
            WHERE provider_id IS NOT NULL
        """,
        record=f"""
            UPDATE {indexed}
            SET delivery_status = news.status,
                delivered_at = coalesce(news.delivered_at, {table}.delivered_at)
            FROM (
                SELECT value->>0 AS id, value->>1 AS is_number, value->>2 AS status,
                       value->>3 AS place, value->>4 AS delivered_at
                FROM json_each(?)
            ) AS news
            WHERE {is_the_sms("news.id", "news.is_number")} AND {RANK} < news.place
            RETURNING {provider_id}
        """,
        known=f"""
            SELECT asked.id
            FROM (SELECT value->>0 AS id, value->>1 AS is_number FROM json_each(?)) AS asked
            WHERE EXISTS (
                SELECT 1 FROM {indexed} WHERE {is_the_sms("asked.id", "asked.is_number")}
            )
        """,
        named=f"""
            SELECT early.number, early.id, early.status, early.said_at FROM early_status AS early
            WHERE early.number > ? AND EXISTS (
                SELECT 1 FROM {indexed} WHERE {is_the_sms("early.id", "early.is_number")}
            )
            ORDER BY early.number LIMIT ?
        """,
        open=f"""
            SELECT {table}.id, {provider_id}, {ended_at} FROM {source}
            WHERE {followed} AND {table}.id > ? ORDER BY {table}.id LIMIT ?
        """,
        count_open=f"SELECT count(*) FROM {source} WHERE {followed}",
    )


OLD: Final = _statements(
    "message",
    provider_id="message.provider_id",
    is_sms="message.kind = 'sms'",
    is_accepted="message.state = 'accepted'",
    ended_at="coalesce(message.ended_at, 0)",
    source="message NOT INDEXED",
)
"""For a ledger up to version 4. It stays one until a sender opens it."""

PRESENT: Final = _statements(
    "outcome",
    provider_id=codes.id_text("outcome.provider_id"),
    is_sms=(f"(SELECT kind FROM entry WHERE entry.id = outcome.id) = {codes.KIND_CODES['sms']}"),
    is_accepted=f"outcome.state = {codes.ACCEPTED}",
    ended_at=f"coalesce({codes.moment('coalesce(started, 0) + took')}, 0)",
    source="outcome NOT INDEXED",
)

HAS_EARLY: Final = "SELECT EXISTS (SELECT 1 FROM early_status)"

EARLIER: Final = """
SELECT id, status, said_at FROM early_status WHERE id IN (SELECT value FROM json_each(?))
"""

KEEP: Final = f"""
INSERT INTO early_status (id, is_number, status, said_at, kept_at)
SELECT value->>0, value->>1, value->>2, value->>3, ? FROM json_each(?) WHERE true
ON CONFLICT (id) DO UPDATE SET status = excluded.status, said_at = excluded.said_at
WHERE {rank_of("early_status.status")} < {rank_of("excluded.status")}
"""

DROP_SURPLUS: Final = """
DELETE FROM early_status WHERE number <= (SELECT max(number) FROM early_status) - ?
"""

DROP_OLD: Final = "DELETE FROM early_status WHERE kept_at < ?"
TAKE: Final = "DELETE FROM early_status WHERE id IN (SELECT value FROM json_each(?))"

CHANGED: Final = "PRAGMA data_version"

COUNT_NAMELESS: Final = """
SELECT count(*) FROM message
WHERE kind = 'sms' AND state = 'accepted' AND coalesce(provider_id, '') = ''
"""


def prepare(connection: sqlite3.Connection) -> None:
    """Create the index by provider id and the table of early statuses."""
    _prepared(connection)
    connection.execute(EARLY_TABLE)


def _prepared(connection: sqlite3.Connection) -> Statements:
    """Choose the statements, with their index: a sender may have brought the tables up to date."""
    statements = _of(connection)
    connection.execute(statements.create_index)
    return statements


def _of(connection: sqlite3.Connection) -> Statements:
    return OLD if is_old(connection) else PRESENT


def record(
    connection: sqlite3.Connection, statuses: Mapping[str, TimedStatus], now: float
) -> Written:
    """Record statuses. See `DeliveryRows.record`.

    It is one transaction, since the holder may record an SMS between two statements.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        of_sms = _prepared(connection)
        best, earlier = dict(statuses), _earlier(connection, statuses)
        for id_sms, status in earlier.items():
            best[id_sms] = better(status, best[id_sms])
        rows = [_row(id_sms, *status) for id_sms, status in best.items()]
        moved = {
            folded(id_sms) for (id_sms,) in connection.execute(of_sms.record, (_document(rows),))
        }
        rest = [(id_sms, is_number(id_sms)) for id_sms in best if id_sms not in moved]
        known = moved | {
            id_sms for (id_sms,) in connection.execute(of_sms.known, (_document(rest),))
        }
        if taken := known & earlier.keys():
            connection.execute(TAKE, (_document(list(taken)),))
        dropped = _keep(connection, {it: best[it] for it in best if it not in known}, now)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise
    # where an early status was better, the new one is no news
    return Written({it for it in moved if best[it] == statuses[it]}, known, dropped)


def _earlier(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, TimedStatus]:
    rows = connection.execute(EARLIER, (_document(list(ids)),))
    return {id_sms: TimedStatus(SmsStatus(status), said_at) for id_sms, status, said_at in rows}


def _keep(connection: sqlite3.Connection, statuses: Mapping[str, TimedStatus], now: float) -> int:
    """Keep early statuses; return how many were dropped for it."""
    rows = [
        (id_sms, is_number(id_sms), status, said_at)
        for id_sms, (status, said_at) in statuses.items()
        if len(id_sms) <= MAX_ID
    ]
    dropped = len(statuses) - len(rows)
    if rows:
        connection.execute(KEEP, (now, _document(rows)))
        dropped += connection.execute(DROP_SURPLUS, (MAX_EARLY,)).rowcount
    return dropped


def has_early(connection: sqlite3.Connection) -> bool:
    """Tell whether there are early statuses."""
    ((answer,),) = connection.execute(HAS_EARLY)
    return bool(answer)


def named(connection: sqlite3.Connection, after: int) -> list[EarlyStatus]:
    """Find early statuses whose SMS is recorded. See `DeliveryRows.named`."""
    rows = connection.execute(_prepared(connection).named, (after, PAGE))
    return [
        EarlyStatus(number, id_sms, TimedStatus(SmsStatus(status), said_at))
        for number, id_sms, status, said_at in rows
    ]


def drop_old(connection: sqlite3.Connection, before: float) -> int:
    """Drop early statuses that were kept before a time; return how many."""
    return connection.execute(DROP_OLD, (before,)).rowcount


def changes(connection: sqlite3.Connection) -> int:
    """Return a number that changes when another connection writes to the ledger."""
    ((version,),) = connection.execute(CHANGED)
    return int(version)


def open_sms(
    connection: sqlite3.Connection, since: float, until: float, after: int, limit: int
) -> list[OpenSms]:
    """Read accepted SMS that have no final status. See `DeliveryLog.open_sms`."""
    rows = connection.execute(_of(connection).open, (since, until, after, limit))
    return list(map(OpenSms._make, rows))


def count_open(connection: sqlite3.Connection, since: float, until: float) -> int:
    """Count the SMS that `open_sms` reads."""
    ((total,),) = connection.execute(_of(connection).count_open, (since, until))
    return int(total)


def count_nameless(connection: sqlite3.Connection) -> int:
    """Count the accepted SMS without a provider id."""
    ((total,),) = connection.execute(COUNT_NAMELESS)
    return int(total)


def _row(id_sms: str, status: SmsStatus, at: float) -> tuple[object, ...]:
    delivered_at = at if status is SmsStatus.ENTREGADO else None
    return id_sms, is_number(id_sms), status, rank(status), delivered_at


def _document(rows: Sequence[object]) -> str:
    return _json.dumps(rows).decode()
