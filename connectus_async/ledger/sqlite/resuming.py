"""Opening of a campaign: checks, and new states for messages that an earlier holder left."""

import sqlite3
import time
from pathlib import Path
from typing import Final

from connectus_async.errors import LedgerError
from connectus_async.ledger import metadata_names
from connectus_async.ledger.records import Policy
from connectus_async.ledger.same_campaign import difference
from connectus_async.ledger.sqlite import codes, metadata
from connectus_async.ledger.sqlite.connection import check_whole
from connectus_async.ledger.sqlite.schema import BEGUN_AT, CHANGEABLE, SETTLED, WATERMARK
from connectus_async.ledger.states import ABSENT, INTERRUPTED, OnUnknown, SkipReason

OVER_BUDGET: Final = f"state = {codes.SKIPPED} AND reason = '{SkipReason.OVER_BUDGET}'"
WAITS_AGAIN: Final = {
    OnUnknown.HOLD: OVER_BUDGET,
    OnUnknown.RESEND: (
        f"state IN ({codes.IN_FLIGHT}, {codes.UNKNOWN}, {codes.HELD}) OR {OVER_BUDGET}"
    ),
    OnUnknown.RESEND_IF_ABSENT: f"state = {codes.HELD} AND reason = :absent OR {OVER_BUDGET}",
}
"""Messages of an earlier run that are sent, by the treatment of the unknown ones."""

LEFT: Final = f"""
INSERT INTO outcome (id, state, attempts, started)
SELECT id, {codes.IN_FLIGHT}, 1, {BEGUN_AT.format(number="entry.id")} FROM entry
WHERE id > {SETTLED} AND id <= {WATERMARK} AND id NOT IN (SELECT id FROM outcome)
"""
ALL_SETTLED: Final = f"DELETE FROM begun WHERE upto < {WATERMARK}"

RESUME: Final = f"""
UPDATE outcome SET
    state = CASE WHEN {{waits_again}} THEN {codes.QUEUED} ELSE {codes.UNKNOWN} END,
    reason = CASE WHEN state = {codes.IN_FLIGHT} THEN :interrupted
                  WHEN {OVER_BUDGET} THEN NULL
                  ELSE reason END,
    took = CASE WHEN state = {codes.IN_FLIGHT} THEN :now - coalesce(started, 0) ELSE took END
WHERE {CHANGEABLE} AND (state = {codes.IN_FLIGHT} OR {{waits_again}})
"""
"""Messages in flight have ended by now: their sender was the holder, and is it no more."""


def check_campaign(connection: sqlite3.Connection, path: Path, policy: Policy) -> None:
    """Check that a ledger is whole and of this campaign; a new one is of it from now on.

    Raises:
        LedgerError: It is not.
    """
    found = metadata.read(connection)
    check_whole(found, path)
    wanted = {metadata_names.NAME: policy.campaign, metadata_names.IDENTITY: policy.identity}
    if problem := difference(found, wanted):
        raise LedgerError(path.name, problem)
    metadata.write(connection, wanted)


def resume(connection: sqlite3.Connection, policy: Policy) -> None:
    """Give the messages that are left the states that the policy wants, in one transaction."""
    statement = RESUME.format(waits_again=WAITS_AGAIN[policy.on_unknown])
    now = codes.ticks(time.time())
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(LEFT)
    connection.execute(ALL_SETTLED)
    connection.execute(statement, {"absent": ABSENT, "interrupted": INTERRUPTED, "now": now})
    connection.execute("COMMIT")
