"""Delivery statuses in a ledger: the statements, and their use.

A status may be faster than the answer to its send: then the ledger has no such SMS yet. It is kept
in a table of its own until the sender names the SMS, so that what was taken is on disk whoever
restarts. That table is made by who first writes a status: a ledger that has none is as good, and an
older version of this package does not see it.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from connectus_async import _json
from connectus_async.products.sms import SmsStatus
from connectus_async.products.sms_ids import folded, is_number
from connectus_async.products.sms_statuses import RANKS, UNKNOWN_RANK, rank

MAX_EARLY: Final = 100_000
"""Of the statuses that came too early, so many of the newest are kept: some 10 MB."""

MAX_ID: Final = 256
"""Characters of an identifier. Those of the API have 32."""

PAGE: Final = 1_000

INDEX: Final = """
CREATE INDEX IF NOT EXISTS message_provider_id_nocase ON message (provider_id COLLATE NOCASE)
WHERE provider_id IS NOT NULL
"""

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


def _rank_of(column: str) -> str:
    places = (f"WHEN {column} = '{status}' THEN {place}" for status, place in RANKS.items())
    return f"CASE WHEN {column} IS NULL THEN 0 {' '.join(places)} ELSE {UNKNOWN_RANK} END"


RANK: Final = _rank_of("delivery_status")


def _is(id_sms: str, is_number: str) -> str:
    """Make the condition that a message is the SMS of that identifier; the index finds it."""
    return (
        f"message.kind = 'sms' AND message.provider_id = {id_sms} COLLATE NOCASE"
        f" AND ({is_number} OR message.provider_id = {id_sms})"
    )


RECORD: Final = f"""
UPDATE message INDEXED BY message_provider_id_nocase
SET delivery_status = news.status, delivered_at = coalesce(news.delivered_at, message.delivered_at)
FROM (
    SELECT value->>0 AS id, value->>1 AS is_number, value->>2 AS status, value->>3 AS place,
           value->>4 AS delivered_at
    FROM json_each(?)
) AS news
WHERE {_is("news.id", "news.is_number")} AND {RANK} < news.place
RETURNING provider_id
"""
"""One statement a group, as in ``sqlite_ledger``, and for the same reason."""

KNOWN: Final = f"""
SELECT asked.id
FROM (SELECT value->>0 AS id, value->>1 AS is_number FROM json_each(?)) AS asked
WHERE EXISTS (
    SELECT 1 FROM message INDEXED BY message_provider_id_nocase
    WHERE {_is("asked.id", "asked.is_number")}
)
"""

HAS_EARLY: Final = "SELECT EXISTS (SELECT 1 FROM early_status)"

EARLIER: Final = """
SELECT id, status, said_at FROM early_status WHERE id IN (SELECT value FROM json_each(?))
"""

KEEP: Final = f"""
INSERT INTO early_status (id, is_number, status, said_at, kept_at)
SELECT value->>0, value->>1, value->>2, value->>3, ? FROM json_each(?) WHERE true
ON CONFLICT (id) DO UPDATE SET status = excluded.status, said_at = excluded.said_at
WHERE {_rank_of("early_status.status")} < {_rank_of("excluded.status")}
"""

DROP_SURPLUS: Final = """
DELETE FROM early_status WHERE number <= (SELECT max(number) FROM early_status) - ?
"""

DROP_OLD: Final = "DELETE FROM early_status WHERE kept_at < ?"
LET_GO: Final = "DELETE FROM early_status WHERE id IN (SELECT value FROM json_each(?))"

NAMED: Final = f"""
SELECT early.number, early.id, early.status, early.said_at FROM early_status AS early
WHERE early.number > ? AND EXISTS (
    SELECT 1 FROM message INDEXED BY message_provider_id_nocase
    WHERE {_is("early.id", "early.is_number")}
)
ORDER BY early.number LIMIT ?
"""

CHANGED: Final = "PRAGMA data_version"

FINAL: Final = ", ".join(f"'{status}'" for status in RANKS if status.is_final)
FOLLOWED: Final = f"""
kind = 'sms' AND state = 'accepted' AND provider_id <> ''
AND coalesce(delivery_status, '') NOT IN ({FINAL})
AND coalesce(ended_at, 0) BETWEEN ? AND ?
"""
OPEN: Final = f"""
SELECT id, provider_id, coalesce(ended_at, 0) FROM message
WHERE {FOLLOWED} AND id > ? ORDER BY id LIMIT ?
"""
COUNT_OPEN: Final = f"SELECT count(*) FROM message NOT INDEXED WHERE {FOLLOWED}"
"""In the order of the table: in that of the index, SQLite would look for each row on its own."""

COUNT_NAMELESS: Final = """
SELECT count(*) FROM message
WHERE kind = 'sms' AND state = 'accepted' AND coalesce(provider_id, '') = ''
"""

Word: TypeAlias = tuple[SmsStatus, float]
"""A status, and when it was said in Unix seconds."""


class OpenSms(NamedTuple):
    """An SMS of a ledger that has no final status.

    Attributes:
        number: Its place in the ledger.
        id: The API's identifier of it.
        accepted_at: The time at which the API took it, in Unix seconds.
    """

    number: int
    id: str
    accepted_at: float


class Written(NamedTuple):
    """Result of writing statuses.

    Attributes:
        moved: The SMS that took theirs.
        known: The SMS that the ledger has.
        dropped: The number of statuses that were let go before an SMS took them.
    """

    moved: set[str]
    known: set[str]
    dropped: int


def prepare(connection: sqlite3.Connection) -> None:
    """See to it that an SMS is quickly found, and that what comes too early has a place."""
    connection.execute(INDEX)
    connection.execute(EARLY_TABLE)


def record(connection: sqlite3.Connection, words: Mapping[str, Word], now: float) -> Written:
    """Write statuses, or keep those whose SMS the ledger does not have yet.

    In one transaction: the sender may be about to name an SMS between two questions.

    Args:
        connection: The ledger.
        words: By the SMS, as `folded` spells it, the one that says most.
        now: The time, in Unix seconds.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        best, earlier = dict(words), _earlier(connection, words)
        for id_sms, word in earlier.items():
            best[id_sms] = better(word, best[id_sms])
        rows = [_row(id_sms, *word) for id_sms, word in best.items()]
        moved = {folded(id_sms) for (id_sms,) in connection.execute(RECORD, (_document(rows),))}
        rest = [(id_sms, is_number(id_sms)) for id_sms in best if id_sms not in moved]
        known = moved | {id_sms for (id_sms,) in connection.execute(KNOWN, (_document(rest),))}
        if taken := known & earlier.keys():
            connection.execute(LET_GO, (_document(list(taken)),))
        dropped = _keep(connection, {it: best[it] for it in best if it not in known}, now)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise
    # what moved may be an earlier word: then the one that was to be written is no news
    return Written({it for it in moved if best[it] == words[it]}, known, dropped)


def _earlier(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, Word]:
    rows = connection.execute(EARLIER, (_document(list(ids)),))
    return {id_sms: (SmsStatus(status), said_at) for id_sms, status, said_at in rows}


def _keep(connection: sqlite3.Connection, words: Mapping[str, Word], now: float) -> int:
    """Keep statuses that came too early; tell how many were dropped for it."""
    rows = [
        (id_sms, is_number(id_sms), status, said_at)
        for id_sms, (status, said_at) in words.items()
        if len(id_sms) <= MAX_ID
    ]
    dropped = len(words) - len(rows)
    if rows:
        connection.execute(KEEP, (now, _document(rows)))
        dropped += connection.execute(DROP_SURPLUS, (MAX_EARLY,)).rowcount
    return dropped


def has_early(connection: sqlite3.Connection) -> bool:
    """Tell whether there are statuses that wait for their SMS."""
    ((answer,),) = connection.execute(HAS_EARLY)
    return bool(answer)


def join(connection: sqlite3.Connection, now: float) -> None:
    """Give the SMS that the sender has named by now the statuses that came before."""
    for page in _named(connection):
        record(connection, page, now)


def _named(connection: sqlite3.Connection) -> Iterator[dict[str, Word]]:
    """Find statuses whose SMS is there, without holding up the sender."""
    after = 0
    while rows := connection.execute(NAMED, (after, PAGE)).fetchall():
        after = rows[-1][0]
        yield {id_sms: (SmsStatus(status), said_at) for _, id_sms, status, said_at in rows}


def drop_old(connection: sqlite3.Connection, before: float) -> int:
    """Let go of what has waited since before a time; tell how many those were."""
    return connection.execute(DROP_OLD, (before,)).rowcount


def changes(connection: sqlite3.Connection) -> int:
    """Give a number that is another one once anybody else has written into the ledger."""
    ((version,),) = connection.execute(CHANGED)
    return int(version)


def better(one: Word, other: Word) -> Word:
    """Choose the word that says more; of two that say the same, the first one."""
    return other if rank(other[0]) > rank(one[0]) else one


def _row(id_sms: str, status: SmsStatus, at: float) -> tuple[object, ...]:
    delivered_at = at if status is SmsStatus.ENTREGADO else None
    return id_sms, is_number(id_sms), status, rank(status), delivered_at


def _document(rows: Sequence[object]) -> str:
    return _json.dumps(rows).decode()
