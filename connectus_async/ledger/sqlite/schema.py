"""Schema of a ledger's file, and the upgrade of older ones."""

import sqlite3
import time
from pathlib import Path
from typing import Final

from connectus_async.errors import LedgerError
from connectus_async.ledger import metadata_names
from connectus_async.ledger.sqlite import key_index, metadata

APPLICATION_ID: Final = 0x436E6374
"""Tells our files from other SQLite files."""

SCHEMA_VERSION: Final = 4
"""Since 4 there may be the metadata `ONE_SPELLING`: a version that does not know it would make
other keys. In 1, each key went into an index of the table at once; such a ledger keeps that index.
In 1 and 2 there were indexes of open messages and of those over the budget, in 2 metadata with the
number up to which the keys are in their table."""

SCHEMA: Final = f"""
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    key TEXT,
    line INTEGER,
    kind TEXT NOT NULL,
    recipient TEXT,
    body TEXT,
    billed INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    provider_id TEXT,
    started_at REAL,
    ended_at REAL,
    delivery_status TEXT,
    delivered_at REAL,
    reading INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE campaign (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
"""

UPGRADE: Final = f"""
{key_index.SCHEMA}
DROP INDEX IF EXISTS open_message;
DROP INDEX IF EXISTS over_budget;
DELETE FROM campaign WHERE name = 'keys_merged_to';
PRAGMA user_version = {SCHEMA_VERSION};
"""
"""No index has the state of a message: it would change three times with each, which took as much as
all the rest of its two changes. Queued messages are read by number, each batch after the last."""


def application_and_version(connection: sqlite3.Connection) -> tuple[int, int]:
    """Read from a file its application id and the version of its schema."""
    ((application,),) = connection.execute("PRAGMA application_id")
    ((version,),) = connection.execute("PRAGMA user_version")
    return int(application), int(version)


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
        connection.executescript(f"BEGIN; {UPGRADE} COMMIT;")
