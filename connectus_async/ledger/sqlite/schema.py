"""Schema of a ledger's file, and the upgrade of older ones.

A message is a row of ``entry``, which is written once. Its state is derived:

- it has a row in ``outcome``: the state of that row;
- it has none, and its number is not above the watermark, the highest ``upto`` of ``begun``: it is
  in flight;
- it has none, and its number is above the watermark: it is queued.

So a message that is begun in the order of the numbers changes no row of its own, and its outcome is
one insert of a few bytes. Everything else is a row of ``outcome`` that is there already: messages
that are skipped, wait again, were begun out of order, or are left by a crash.

``message`` shows the messages with their states, as the table of that name did up to version 4, and
takes changes by hand.
"""

import sqlite3
import time
from pathlib import Path
from typing import Final

from connectus_async.errors import LedgerError
from connectus_async.ledger import metadata_names
from connectus_async.ledger.sqlite import codes, key_index, metadata
from connectus_async.ledger.states import (
    HAS_ANOTHER,
    LEFT_OUT_BECAUSE,
    REPLACED,
    REPLACED_BECAUSE,
    SkipReason,
    skip_reason,
)

APPLICATION_ID: Final = 0x436E6374
"""Tells our files from other SQLite files."""

SCHEMA_VERSION: Final = 7
"""Up to 6, messages to people who may have got another text were called duplicates. Up to 5,
superseded messages were called expired. In 5 ``message`` became a view. Since 4 there
may be the metadata `ONE_SPELLING`: a version that does not know it would make other keys. In 1,
each key went into an index of the table at once. In 1 and 2 there were indexes of open messages and
of those over the budget, in 2 metadata with the number up to which the keys are in their table."""

WATERMARK: Final = "(SELECT max(upto) FROM begun)"
SETTLED: Final = "(SELECT min(upto) FROM begun)"
"""Every message up to this number has an outcome."""

BEGUN_AT: Final = "(SELECT at FROM begun WHERE upto >= {number} ORDER BY upto LIMIT 1)"
"""The time at which a message was begun that has no outcome."""

CHANGEABLE: Final = f"state > {codes.ANSWERED}"
"""The condition of the index ``changeable``: a query uses it if it has the same words."""

TABLES: Final = f"""
CREATE TABLE entry (
    id INTEGER PRIMARY KEY,
    key TEXT,
    line INTEGER,
    kind NOT NULL,
    recipient,
    body TEXT,
    billed INTEGER NOT NULL,
    reading INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE outcome (
    id INTEGER PRIMARY KEY,
    state INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    started INTEGER,
    took INTEGER,
    provider_id,
    reason TEXT,
    delivery_status TEXT,
    delivered_at REAL
);
CREATE INDEX changeable ON outcome (state) WHERE {CHANGEABLE};
CREATE TABLE begun (upto INTEGER PRIMARY KEY, at INTEGER NOT NULL);
"""
"""``started`` and ``at`` are times in ticks, ``took`` the ticks from ``started`` to the end. An end
without a start is a time, too. See `codes` for the short forms."""

STATE: Final = f"""
CASE WHEN outcome.id IS NOT NULL THEN {codes.state_name("outcome.state")}
     WHEN entry.id <= {WATERMARK} THEN 'in_flight' ELSE 'queued' END
"""
STARTED: Final = f"""
CASE WHEN outcome.id IS NOT NULL THEN outcome.started
     WHEN entry.id <= {WATERMARK} THEN {BEGUN_AT.format(number="entry.id")} END
"""

VIEW: Final = f"""
CREATE VIEW message AS SELECT
    entry.id AS id, key, line, {codes.kind_name("kind")} AS kind,
    {codes.recipient_text("recipient")} AS recipient,
    {codes.body_text("kind", "body")} AS body, billed, {STATE} AS state, reason,
    coalesce(attempts, entry.id <= {WATERMARK}) AS attempts,
    {codes.id_text("provider_id")} AS provider_id, {codes.moment(STARTED)} AS started_at,
    {codes.moment("coalesce(started, 0) + took")} AS ended_at,
    delivery_status, delivered_at, reading
FROM entry LEFT JOIN outcome ON outcome.id = entry.id;
"""

_OUTCOME: Final = f"""
INSERT INTO outcome SELECT
    {{number}}, {codes.state_code("new.state")}, coalesce(new.attempts, 0),
    {codes.tick_count("new.started_at")},
    {codes.tick_count("new.ended_at")} - coalesce({codes.tick_count("new.started_at")}, 0),
    new.provider_id, new.reason,
    new.delivery_status, new.delivered_at
"""
_OF_OUTCOME: Final = (
    *("state", "attempts", "started_at", "ended_at", "provider_id", "reason"),
    *("delivery_status", "delivered_at"),
)
_COLUMNS: Final = (
    *("state", "attempts", "started", "took", "provider_id", "reason"),
    *("delivery_status", "delivered_at"),
)
_OF_ENTRY: Final = ("line", "kind", "recipient", "body", "billed", "reading")


def _all(names: tuple[str, ...], side: str) -> str:
    return f"({', '.join(f'{side}.{name}' for name in names)})"


BY_HAND: Final = f"""
CREATE TRIGGER forget_outcome AFTER DELETE ON entry
BEGIN DELETE FROM outcome WHERE id = old.id; END;
CREATE TRIGGER delete_message INSTEAD OF DELETE ON message
BEGIN DELETE FROM entry WHERE id = old.id; END;
CREATE TRIGGER insert_message INSTEAD OF INSERT ON message
BEGIN
    INSERT INTO entry VALUES (new.id, new.key, new.line, {codes.kind_code("new.kind")},
        new.recipient, new.body, new.billed, coalesce(new.reading, 0));
    {_OUTCOME.format(number="last_insert_rowid()")};
END;
CREATE TRIGGER update_message INSTEAD OF UPDATE ON message
BEGIN
    UPDATE entry SET key = new.key WHERE id = old.id AND key IS NOT new.key;
    UPDATE entry SET line = new.line, kind = {codes.kind_code("new.kind")},
        recipient = new.recipient, body = new.body, billed = new.billed, reading = new.reading
    WHERE id = old.id AND {_all(_OF_ENTRY, "new")} IS NOT {_all(_OF_ENTRY, "old")};
    {_OUTCOME.format(number="old.id")}
    WHERE {_all(_OF_OUTCOME, "new")} IS NOT {_all(_OF_OUTCOME, "old")}
    ON CONFLICT (id) DO UPDATE SET {", ".join(f"{it} = excluded.{it}" for it in _COLUMNS)};
END;
"""
"""A person repairs a ledger by changes of ``message``; the holder changes the tables."""

SCHEMA: Final = f"""
{TABLES} {VIEW} {BY_HAND}
INSERT INTO begun VALUES (0, 0);
CREATE TABLE campaign (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
"""

IS_OLD: Final = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'message'"
"""In the versions up to 4, ``message`` is a table."""

_ENTRY_OF_OLD: Final = (
    f"SELECT id, key, line, {codes.kind_code('kind')} AS kind, recipient, body, billed, reading"
)
_OUTCOME_OF_OLD: Final = f"""
SELECT
    id, {codes.state_code("state")} AS state, attempts, {codes.tick_count("started_at")} AS started,
    {codes.tick_count("ended_at")} - coalesce({codes.tick_count("started_at")}, 0) AS took,
    provider_id, reason, delivery_status, delivered_at
"""
_HAS_OUTCOME: Final = (
    "state <> 'queued' OR attempts > 0 OR reason IS NOT NULL OR ended_at IS NOT NULL"
)

AS_NOW: Final = (
    f"CREATE TEMP VIEW entry AS {_ENTRY_OF_OLD} FROM main.message",
    f"CREATE TEMP VIEW outcome AS {_OUTCOME_OF_OLD} FROM main.message WHERE {_HAS_OUTCOME}",
    "CREATE TEMP VIEW begun AS SELECT 0 AS upto, 0 AS at",
)
"""Shows a reader an old ledger as if it had the present tables."""

FROM_4: Final = f"""
DROP INDEX IF EXISTS open_message;
DROP INDEX IF EXISTS over_budget;
DROP INDEX IF EXISTS message_provider_id_nocase;
DROP TRIGGER IF EXISTS forget_key;
DROP TRIGGER IF EXISTS forget_old_key;
ALTER TABLE message RENAME TO old_message;
{TABLES}
INSERT INTO entry {_ENTRY_OF_OLD} FROM old_message ORDER BY id;
INSERT INTO outcome {_OUTCOME_OF_OLD} FROM old_message WHERE {_HAS_OUTCOME} ORDER BY id;
INSERT INTO begun SELECT
    coalesce((SELECT min(id) - 1 FROM entry WHERE id NOT IN (SELECT id FROM outcome)),
             (SELECT max(id) FROM entry), 0), 0;
DROP TABLE old_message;
{VIEW} {BY_HAND}
"""
"""One transaction, so a crash leaves the old tables. SQLite keeps what it does not write yet in the
log, not in memory."""

UPGRADE: Final = f"""
{key_index.SCHEMA}
UPDATE outcome SET reason = '{REPLACED_BECAUSE}'
WHERE {CHANGEABLE} AND state = {codes.SKIPPED}
    AND reason = '{skip_reason(SkipReason.EXPIRED, REPLACED)}';
UPDATE outcome SET reason = '{LEFT_OUT_BECAUSE}'
WHERE {CHANGEABLE} AND state = {codes.SKIPPED}
    AND reason = '{skip_reason(SkipReason.DUPLICATE, HAS_ANOTHER)}';
DELETE FROM campaign WHERE name = 'keys_merged_to';
PRAGMA user_version = {SCHEMA_VERSION};
"""
"""No index has the state of a message that is answered: it would change with each."""


def application_and_version(connection: sqlite3.Connection) -> tuple[int, int]:
    """Read from a file its application id and the version of its schema."""
    ((application,),) = connection.execute("PRAGMA application_id")
    ((version,),) = connection.execute("PRAGMA user_version")
    return int(application), int(version)


def is_old(connection: sqlite3.Connection) -> bool:
    """Tell whether a ledger has the table of the versions up to 4."""
    ((count,),) = connection.execute(IS_OLD)
    return bool(count)


def create(connection: sqlite3.Connection, path: Path) -> int:
    """Create the tables in a new file; return the version of the schema before `upgrade`.

    Raises:
        LedgerError: The file is no ledger, or was made by a newer version of this package.
    """
    application, version = application_and_version(connection)
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application != APPLICATION_ID:
        raise LedgerError(path.name, "is a SQLite file but no ledger: choose another path")
    if version > SCHEMA_VERSION:
        raise LedgerError(
            path.name, f"was made by a newer connectus-async (its version is {version}): upgrade"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    if not tables:
        connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        made = {
            metadata_names.CREATED_AT: f"{time.time():.3f}",
            metadata_names.ONE_SPELLING: "1",
        }
        metadata.write(connection, made)
    return version


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Bring the tables to the present version."""
    if version < SCHEMA_VERSION:
        move = FROM_4 if is_old(connection) else ""
        connection.executescript(f"BEGIN IMMEDIATE; {move} {UPGRADE} COMMIT;")
