"""Tables of the ledgers of a database, all in one schema; they are made by `create` alone.

A message is a row of ``entry``, which is never changed after it was loaded, and of ``outcome``,
which is inserted once in most cases. A chunk is `CHUNK` consecutive numbers. It has one owner at a
time, and a watermark: its messages up to ``chunk.begun`` are begun. So the state of a message is

- that of its row in ``outcome``, if it has one;
- else in flight, if its number is not above the watermark of its chunk;
- else queued.

A worker is one opening of a ledger. Its number is never used again, so a chunk's owner tells which
of them may begin its messages. The view ``message`` shows everything in one row.
"""

from typing import Final

from connectus_async.ledger.states import State

NAME: Final = "connectus"
VERSION: Final = 1

CHUNK: Final = 512
"""Numbers of a chunk: message ``id`` is of chunk ``id / CHUNK``."""

WAITING, OWNED, STREAMED, LOADING, RECALLED, DONE = range(6)
"""States of a chunk. Waiting: it has queued messages, and no owner. Owned: its owner begins its
messages in their order. Streamed: its owner fills it with messages as they come. Loading: its
source was not loaded to its end yet, or nobody has released it. Recalled: its owner may begin
nothing more of it, but has messages of it in flight. Done: nothing of it is queued, and it has no
owner. An unreleased chunk names the holder that is to release it."""

CHANGEABLE: Final = "state NOT IN ('accepted', 'rejected')"
"""Condition of an index on ``outcome``: of the rows that can still change."""

_STATES: Final = ", ".join(f"'{state}'" for state in State)

TABLES: Final = f"""
CREATE TYPE state AS ENUM ({_STATES});
CREATE TABLE campaign (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);
CREATE TABLE metadata (
    campaign integer NOT NULL REFERENCES campaign ON DELETE CASCADE,
    name text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (campaign, name)
);
CREATE TABLE control (
    campaign integer PRIMARY KEY REFERENCES campaign ON DELETE CASCADE,
    paused_until double precision,
    paused_by text,
    stopped text,
    rate double precision,
    starts_at double precision,
    starts_zone text,
    throttled_at double precision,
    waits_until double precision,
    shares jsonb NOT NULL DEFAULT '{{}}',
    taken bigint DEFAULT 0,
    reserved bigint
) WITH (fillfactor = 20);
CREATE TABLE worker (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign integer NOT NULL REFERENCES campaign ON DELETE CASCADE,
    place text NOT NULL,
    lease double precision NOT NULL,
    joined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    left_at timestamptz
) WITH (fillfactor = 20);
CREATE INDEX present_worker ON worker (campaign) WHERE left_at IS NULL;
CREATE TABLE chunk (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign integer NOT NULL REFERENCES campaign ON DELETE CASCADE,
    state smallint NOT NULL,
    begun bigint NOT NULL,
    owner bigint,
    releaser bigint
) WITH (fillfactor = 20);
CREATE INDEX open_chunk ON chunk (campaign, id) WHERE state <> {DONE};
CREATE TABLE entry (
    id bigint PRIMARY KEY,
    campaign integer NOT NULL,
    key text COLLATE "C",
    line integer,
    kind text NOT NULL,
    recipient text NOT NULL,
    body text NOT NULL,
    billed integer NOT NULL,
    reading integer NOT NULL DEFAULT 0,
    UNIQUE (campaign, key)
);
CREATE TABLE outcome (
    id bigint PRIMARY KEY,
    started_at double precision,
    ended_at double precision,
    state state NOT NULL,
    attempts smallint NOT NULL,
    provider_id text,
    reason text
);
CREATE TABLE earlier_attempt (
    id bigint NOT NULL,
    attempts smallint NOT NULL,
    state state NOT NULL,
    started_at double precision,
    ended_at double precision,
    provider_id text,
    reason text,
    delivery_status text,
    delivered_at double precision,
    PRIMARY KEY (id, attempts)
);
CREATE INDEX changeable_outcome ON outcome (id) WHERE {CHANGEABLE};
CREATE TABLE delivery (
    id bigint PRIMARY KEY,
    delivered_at double precision,
    status text NOT NULL
);
CREATE TABLE begun (
    chunk bigint NOT NULL,
    upto bigint NOT NULL,
    at double precision NOT NULL
);
CREATE INDEX begun_in_order ON begun (chunk, upto);
CREATE TABLE early_status (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign integer NOT NULL REFERENCES campaign ON DELETE CASCADE,
    id text NOT NULL,
    is_number boolean NOT NULL,
    status text NOT NULL,
    said_at double precision NOT NULL,
    kept_at double precision NOT NULL,
    UNIQUE (campaign, id)
);
"""
"""``entry`` does not refer to ``campaign``: that would take a third of the time of a load.

``outcome`` has eight columns at most: with a ninth, each row that has nulls is eight bytes longer.
``delivery`` has the delivery statuses, so that a status does not write an outcome anew.
``earlier_attempt`` has the outcomes of attempts that were followed by another by the user's word;
``attempts`` are those up to it.
``begun`` has the times of messages that have no row of their own; those of a chunk go with it.
``control`` has a row for each campaign: see `attending` and `budgets`. Times are in Unix seconds by
the clock of the machine that sends, but for those of ``worker`` and ``control``, which are the
server's."""

VIEW: Final = f"""
CREATE VIEW message AS SELECT
    entry.campaign, entry.id, key, line, kind, recipient, body, billed, reading,
    CASE WHEN outcome.id IS NOT NULL THEN outcome.state
         WHEN entry.id <= chunk.begun THEN 'in_flight' ELSE 'queued' END AS state,
    outcome.reason,
    coalesce(outcome.attempts, (entry.id <= chunk.begun)::integer::smallint) AS attempts,
    outcome.provider_id,
    CASE WHEN outcome.id IS NOT NULL THEN outcome.started_at
         WHEN entry.id <= chunk.begun THEN (
             SELECT at FROM begun WHERE begun.chunk = chunk.id AND upto >= entry.id
             ORDER BY upto LIMIT 1
         ) END AS started_at,
    outcome.ended_at, delivery.status AS delivery_status, delivery.delivered_at
FROM entry
JOIN chunk ON chunk.id = entry.id / {CHUNK}
LEFT JOIN outcome ON outcome.id = entry.id
LEFT JOIN delivery ON delivery.id = entry.id;
"""

IN_CHUNK: Final = f"BETWEEN chunk.id * {CHUNK} AND chunk.id * {CHUNK} + {CHUNK - 1}"

IS_QUEUED: Final = """
(outcome.state = 'queued' OR outcome.id IS NULL AND entry.id > chunk.begun)
"""
HAS_QUEUED: Final = f"""
EXISTS (
    SELECT 1 FROM entry
    LEFT JOIN outcome ON outcome.id = entry.id AND outcome.id {IN_CHUNK}
    WHERE entry.id {IN_CHUNK} AND {IS_QUEUED}
)
"""
"""Condition on a chunk. Without a range for each table, one of them may be read to its end."""

HAS_IN_FLIGHT: Final = f"""
(
    EXISTS (
        SELECT 1 FROM outcome
        WHERE outcome.id {IN_CHUNK}
            AND outcome.{CHANGEABLE} AND outcome.state = 'in_flight'
    ) OR EXISTS (
        SELECT 1 FROM entry
        LEFT JOIN outcome ON outcome.id = entry.id AND outcome.id {IN_CHUNK}
        WHERE entry.id BETWEEN chunk.id * {CHUNK} AND chunk.begun AND outcome.id IS NULL
    )
)
"""
"""As `HAS_QUEUED`."""

REOPEN: Final = f"""
UPDATE chunk SET state = {WAITING}
WHERE campaign = %(campaign)s AND state = {DONE} AND EXISTS (
    SELECT 1 FROM outcome
    WHERE outcome.id {IN_CHUNK} AND outcome.{CHANGEABLE} AND outcome.state = 'queued'
)
"""
"""Needed after messages with an outcome were queued again."""

VERSION_TABLE: Final = f"""
CREATE TABLE version (number integer NOT NULL);
INSERT INTO version VALUES ({VERSION});
"""

CREATE: Final = f"""
CREATE SCHEMA {NAME};
SET LOCAL search_path = {NAME};
{VERSION_TABLE} {TABLES} {VIEW}
"""
"""One transaction."""

FIND_VERSION: Final = f"SELECT number FROM {NAME}.version"
