"""Tables of ledgers that older versions of this package made, without a message."""

from typing import Final

from connectus_async.ledger.sqlite import key_index, schema

_MESSAGE: Final = """
CREATE TABLE message (
    id INTEGER PRIMARY KEY, key TEXT{unique}, line INTEGER, kind TEXT NOT NULL, recipient TEXT,
    body TEXT, billed INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT,
    attempts INTEGER NOT NULL DEFAULT 0, provider_id TEXT, started_at REAL, ended_at REAL,
    delivery_status TEXT, delivered_at REAL, reading INTEGER NOT NULL DEFAULT 0
);
"""
_INDEXES_OF_STATES: Final = """
CREATE INDEX open_message ON message (state, id)
    WHERE state IN ('queued', 'in_flight', 'unknown', 'held');
CREATE INDEX over_budget ON message (id) WHERE state = 'skipped' AND reason = 'over_budget';
"""
_KEYS: Final = """
CREATE TABLE known_key (key TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TRIGGER forget_key AFTER DELETE ON message WHEN old.key IS NOT NULL
BEGIN DELETE FROM known_key WHERE key = old.key; END;
CREATE TRIGGER forget_old_key AFTER UPDATE OF key ON message
BEGIN DELETE FROM known_key WHERE key = old.key; END;
"""
_CAMPAIGN: Final = """
CREATE TABLE campaign (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO campaign VALUES ('created_at', '1793973600.000');
PRAGMA application_id = 0x436E6374;
PRAGMA journal_mode = WAL;
"""
_MESSAGE_1: Final = _MESSAGE.format(unique=" UNIQUE")
_MESSAGE_2: Final = _MESSAGE.format(unique="")
_TABLES_5: Final = f"""
{schema.SCHEMA} {key_index.SCHEMA}
INSERT INTO campaign VALUES ('created_at', '1793973600.000'), ('one_spelling', '1');
PRAGMA journal_mode = WAL;
"""

SCHEMAS: Final = {
    1: f"{_MESSAGE_1} {_INDEXES_OF_STATES} {_CAMPAIGN} PRAGMA user_version = 1;",
    2: f"""{_MESSAGE_2} {_INDEXES_OF_STATES} {_KEYS} {_CAMPAIGN}
        INSERT INTO campaign VALUES ('keys_merged_to', '0'); PRAGMA user_version = 2;""",
    3: f"{_MESSAGE_2} {_KEYS} {_CAMPAIGN} PRAGMA user_version = 3;",
    4: f"""{_MESSAGE_2} {_KEYS} {_CAMPAIGN}
        INSERT INTO campaign VALUES ('one_spelling', '1'); PRAGMA user_version = 4;""",
    5: f"{_TABLES_5} PRAGMA user_version = 5;",
    6: f"{_TABLES_5} PRAGMA user_version = 6;",
}
