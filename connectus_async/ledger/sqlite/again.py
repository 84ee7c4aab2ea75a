"""Other attempts for messages that reached nobody; the earlier ones are kept.

The table of earlier attempts is created by the first of them. A ledger without it is valid, and
older versions of this package ignore it.
"""

import sqlite3
from collections.abc import Mapping
from typing import Final

from connectus_async import _json
from connectus_async.ledger.content import HASH
from connectus_async.ledger.records import Again
from connectus_async.ledger.sqlite import codes
from connectus_async.ledger.states import State
from connectus_async.products.sms_statuses import UNDELIVERED

_COLUMNS: Final = """
id, attempts, state, started, took, provider_id, reason, delivery_status, delivered_at
"""
TABLE: Final = """
CREATE TABLE IF NOT EXISTS main.earlier_attempt (
    id INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    state INTEGER NOT NULL,
    started INTEGER,
    took INTEGER,
    provider_id,
    reason TEXT,
    delivery_status TEXT,
    delivered_at REAL,
    PRIMARY KEY (id, attempts)
) WITHOUT ROWID
"""
"""``attempts`` are those up to this one; everything else is as in ``outcome``."""

EXISTS: Final = "SELECT count(*) FROM main.sqlite_schema WHERE name = 'earlier_attempt'"
NONE: Final = """
CREATE TEMP VIEW earlier_attempt AS SELECT
    0 AS id, 0 AS attempts, 0 AS state, 0 AS started, 0 AS took, NULL AS provider_id,
    NULL AS reason, NULL AS delivery_status, NULL AS delivered_at
WHERE false
"""
"""Stands for the table until it is there."""
REAL: Final = "DROP VIEW IF EXISTS temp.earlier_attempt"

_UNDELIVERED: Final = ", ".join(f"'{status}'" for status in sorted(UNDELIVERED))
_CHOSEN: Final = f"""
(:rejected AND state = {codes.REJECTED}
    OR :undelivered AND state = {codes.ACCEPTED} AND delivery_status IN ({_UNDELIVERED}))
AND (:reason IS NULL
    OR instr(lower(coalesce(reason, delivery_status, '')), lower(:reason)) > 0)
AND outcome.id IN (SELECT entry.id FROM entry WHERE instr(body, '"{HASH}":') = 0)
AND outcome.id NOT IN (SELECT value FROM json_each(:but))
"""
COUNT: Final = f"SELECT count(*) FROM outcome WHERE {_CHOSEN}"
CHOSEN: Final = f"""
SELECT entry.id, {codes.recipient_text("recipient")}
FROM outcome CROSS JOIN entry ON entry.id = outcome.id WHERE {_CHOSEN}
"""
KEEP: Final = f"""
INSERT INTO main.earlier_attempt ({_COLUMNS}) SELECT {_COLUMNS} FROM outcome WHERE {_CHOSEN}
"""
KEEP_SOME: Final = f"""
INSERT INTO main.earlier_attempt ({_COLUMNS}) SELECT {_COLUMNS} FROM outcome
WHERE id IN (SELECT value FROM json_each(?)) AND state IN ({codes.ACCEPTED}, {codes.REJECTED})
"""
QUEUE: Final = f"""
UPDATE outcome SET state = {codes.QUEUED}, started = NULL, took = NULL, provider_id = NULL,
    reason = NULL, delivery_status = NULL, delivered_at = NULL
WHERE {_CHOSEN}
"""
EARLIER: Final = f"""
SELECT {codes.state_name("state")}, count(*) FROM earlier_attempt GROUP BY state ORDER BY state
"""


def count(connection: sqlite3.Connection, choice: Again) -> int:
    """Count the messages that `queue` queues."""
    ((total,),) = connection.execute(COUNT, _values(choice))
    return int(total)


def chosen(connection: sqlite3.Connection, choice: Again) -> sqlite3.Cursor:
    """Read the numbers and recipients of the messages that `queue` queues."""
    return connection.execute(CHOSEN, _values(choice))


def queue(connection: sqlite3.Connection, choice: Again) -> int:
    """Queue messages for another attempt. See `Ledger.queue_again`."""
    _create(connection)
    connection.execute(KEEP, _values(choice))
    return connection.execute(QUEUE, _values(choice)).rowcount


def keep(connection: sqlite3.Connection, numbers: str) -> None:
    """Keep the last attempts of some messages, given as a JSON list of their numbers."""
    _create(connection)
    connection.execute(KEEP_SOME, (numbers,))


def _values(choice: Again) -> dict[str, object]:
    return {**choice._asdict(), "but": _json.dumps([*choice.but]).decode()}


def _create(connection: sqlite3.Connection) -> None:
    connection.execute(REAL)
    connection.execute(TABLE)


def prepare(connection: sqlite3.Connection) -> None:
    """Let the table be read that may not be there."""
    ((exists,),) = connection.execute(EXISTS)
    if not exists:
        connection.execute(NONE)


def earlier(connection: sqlite3.Connection) -> Mapping[State, int]:
    """Count the earlier attempts by their outcome."""
    return {State(state): total for state, total in connection.execute(EARLIER)}
