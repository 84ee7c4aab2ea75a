"""Questions and changes of a reconciliation: unknown messages, and accepted ones beside them."""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from connectus_async import _json
from connectus_async.ledger import neighbours
from connectus_async.ledger.content import ROUTE, hashed
from connectus_async.ledger.records import Accepted, Report, Resolution, Unresolved, Witnesses
from connectus_async.ledger.sqlite import codes
from connectus_async.ledger.states import State
from connectus_async.ledger.texts import storable

UNRESOLVED: Final = """
SELECT id, kind, recipient, body, started_at, max(coalesce(ended_at, started_at), started_at)
FROM message WHERE state = 'unknown' ORDER BY id
"""
"""In the order of `Unresolved`."""

ACCEPTED: Final = f"SELECT id, {', '.join(Accepted._fields[1:])} FROM message"
BY_NUMBER: Final = f"{ACCEPTED} WHERE id IN (SELECT value FROM json_each(?))"
_EARLIER: Final = f"""
SELECT entry.id, {codes.id_text("provider_id")} AS provider_id,
       {codes.recipient_text("recipient")} AS recipient, {codes.body_text("kind", "body")} AS body,
       {codes.moment("started")} AS started_at,
       {codes.moment("coalesce(started, 0) + took")} AS ended_at
FROM earlier_attempt JOIN entry USING (id) WHERE state = {codes.ACCEPTED}
"""
"""In the order of `Accepted`."""

KNOWN_IDS: Final = f"""
WITH asked AS (SELECT value FROM json_each(?))
SELECT provider_id FROM message WHERE provider_id IN (SELECT * FROM asked) AND state = 'accepted'
UNION SELECT provider_id FROM ({_EARLIER}) WHERE provider_id IN (SELECT * FROM asked)
"""

BY_RECIPIENT: Final = f"""
WITH asked AS (SELECT value FROM json_each(?))
{ACCEPTED} WHERE state = 'accepted' AND recipient IN (SELECT * FROM asked)
UNION ALL SELECT * FROM ({_EARLIER}) WHERE recipient IN (SELECT * FROM asked)
"""

SAME_ROUTE: Final = " AND ".join(f"json_extract(body, '$.{name}') IS ?" for name in ROUTE)
IN_REPORT: Final = f"""
state = 'accepted' AND provider_id IS NOT NULL AND kind = ? AND {SAME_ROUTE}
"""
TO_RECIPIENT: Final = "AND recipient = ?"
NEIGHBOURS: Final = """
SELECT id, started_at, ended_at FROM message
WHERE ended_at >= ? AND started_at <= ? AND {in_report}
"""
SAMPLE: Final = """
SELECT id FROM message
WHERE started_at BETWEEN ? AND ? AND {in_report} ORDER BY random() LIMIT ?
"""

RESOLVE: Final = """
UPDATE message SET state = ?, reason = ?, provider_id = coalesce(?, provider_id),
                   body = coalesce(?, body)
WHERE id = ? AND state = 'unknown'
"""


def unresolved(connection: sqlite3.Connection) -> Sequence[Unresolved]:
    """Read the messages that may have been sent, in order."""
    return [Unresolved(*row) for row in connection.execute(UNRESOLVED)]


def witnesses(
    connection: sqlite3.Connection,
    report: Report,
    group: Sequence[Unresolved],
    *,
    near: float,
    about: float,
    sample: int,
) -> Witnesses:
    """Find accepted messages that a report must show. See `Ledger.witnesses`."""
    begin = min(message.started_at for message in group)
    end = max(message.ended_at for message in group)
    in_report, values = _in_report(report)
    rows = connection.execute(
        NEIGHBOURS.format(in_report=in_report), (begin - near, end + near, *values)
    )
    around = neighbours.find(group, rows, near)
    more = connection.execute(
        SAMPLE.format(in_report=in_report), (begin - about, end + about, *values, sample)
    )
    numbers = {number for pair in around.values() for number in pair if number is not None}
    numbers |= {number for (number,) in more}
    found = connection.execute(BY_NUMBER, (_document(numbers),))
    return Witnesses(tuple(Accepted(*row) for row in found), around)


def accepted_ids(connection: sqlite3.Connection, ids: Collection[str]) -> Collection[str]:
    """Choose, of some of the API's identifiers, those of accepted messages."""
    return {found for (found,) in connection.execute(KNOWN_IDS, (_document(ids),))}


def accepted_to(connection: sqlite3.Connection, recipients: Collection[str]) -> Sequence[Accepted]:
    """Read the accepted messages to some recipients."""
    rows = connection.execute(BY_RECIPIENT, (_document(recipients),))
    return [Accepted(*row) for row in rows]


def resolve(
    connection: sqlite3.Connection, resolutions: Iterable[Resolution], *, forgets_content: bool
) -> None:
    """Record new states of messages that may have been sent. See `Ledger.resolve`."""

    def values(resolution: Resolution) -> tuple[Any, ...]:
        message, state, reason, provider_id = resolution
        is_forgotten = forgets_content and state is State.ACCEPTED
        body = hashed(message.body) if is_forgotten else None
        provider_id = provider_id and storable(provider_id)
        return state, reason, provider_id, body, message.number

    connection.executemany(RESOLVE, map(values, resolutions))


def _in_report(report: Report) -> tuple[str, tuple[str | None, ...]]:
    """Make the condition that a report shows a message, and its parameters.

    Nobody says whether a report shows the messages of another sub-client, or of a delivery that is
    still to come.
    """
    if report.recipient is None:
        return IN_REPORT, (report.kind, *report.route)
    return IN_REPORT + TO_RECIPIENT, (report.kind, *report.route, report.recipient)


def _document(values: Collection[Any]) -> str:
    return _json.dumps(list(values)).decode()
