"""Statistics of a campaign, from the tables of `schema`.

SQLite adds up and selects. It groups nothing of all messages, since it would sort them first, which
takes longer than all the rest: what is grouped by time is counted here, a number for each message.
"""

import sqlite3
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any, Final

from connectus_async.ledger.records import Latency, TimeGrid, Total, Waiting
from connectus_async.ledger.sqlite import codes
from connectus_async.ledger.sqlite.schema import BEGUN_AT, CHANGEABLE, SETTLED, WATERMARK
from connectus_async.ledger.states import ATTEMPTED, SkipReason, State

SHAREABLE: Final = "shareable"
"""Function of the connection that removes personal data from a sentence."""

_IS_SMS: Final = f"kind = {codes.KIND_CODES['sms']}"
_OF_STATE: Final = f"""
SELECT count(*), sum(billed), {codes.moment("min(started)")},
       {codes.moment("max(coalesce(started, 0) + took)")},
       sum({_IS_SMS} AND coalesce(provider_id, '') = '')
FROM outcome CROSS JOIN entry ON entry.id = outcome.id
WHERE state = ?
"""
_OF_CHANGEABLE: Final = f"{_OF_STATE} AND {CHANGEABLE}"
_ACCEPTED: Final = f"""
SELECT count(*), {codes.moment("min(started)")},
       {codes.moment("max(coalesce(started, 0) + took)")}
FROM outcome WHERE state = {codes.ACCEPTED}
"""
_NAMELESS: Final = f"""
SELECT count(*) FROM outcome CROSS JOIN entry ON entry.id = outcome.id
WHERE state = {codes.ACCEPTED} AND coalesce(provider_id, '') = '' AND {_IS_SMS}
"""
_WAITING_BY_KIND: Final = f"""
SELECT {codes.kind_name("kind")}, count(*), sum(billed), count(DISTINCT recipient)
FROM entry LEFT JOIN outcome USING (id)
WHERE coalesce(state = {codes.QUEUED}, id > {WATERMARK}) GROUP BY kind
"""
_BILLED: Final = "SELECT coalesce(sum(billed), 0) FROM entry"
_BEGUN: Final = f"""
SELECT count(*), sum(billed), {codes.moment(f"min({BEGUN_AT.format(number='id')})")}, NULL,
       sum({_IS_SMS})
FROM entry WHERE id > {SETTLED} AND id <= {WATERMARK} AND id NOT IN (SELECT id FROM outcome)
"""
_WAITING: Final = f"""
SELECT count(*), sum(billed), NULL, NULL, sum({_IS_SMS})
FROM entry WHERE id > {WATERMARK} AND id NOT IN (SELECT id FROM outcome)
"""
_DERIVED: Final = {State.IN_FLIGHT: _BEGUN, State.QUEUED: _WAITING}

_COUNT: Final = "SELECT count(*) FROM outcome"
_COUNT_REJECTED: Final = f"{_COUNT} WHERE state = {codes.REJECTED}"
_COUNT_CHANGEABLE: Final = f"SELECT state, count(*) FROM outcome WHERE {CHANGEABLE} GROUP BY state"

_IS_SKIPPED: Final = f"{CHANGEABLE} AND state = {codes.SKIPPED}"
SKIPPED: Final = f"""
    SELECT COALESCE(substr(reason, 1, instr(reason || ':', ':') - 1), 'not said'), COUNT(*)
    FROM outcome WHERE {_IS_SKIPPED} GROUP BY 1 ORDER BY 2 DESC, 1
"""
INVALID: Final = f"""
    SELECT 'skipped', {SHAREABLE}(sentence), SUM(messages) FROM (
        SELECT ltrim(substr(reason, instr(reason, ':') + 1)) AS sentence, COUNT(*) AS messages
        FROM outcome WHERE {_IS_SKIPPED} AND reason LIKE '{SkipReason.INVALID}:%' GROUP BY 1
    ) GROUP BY 2 ORDER BY 3 DESC, 2 LIMIT ?
"""
ERRORS: Final = f"""
    SELECT {codes.state_name("state")}, {SHAREABLE}(reason), SUM(messages) FROM (
        SELECT state, reason, COUNT(*) AS messages FROM outcome
        WHERE state NOT IN ({codes.SKIPPED}, {codes.ACCEPTED}) AND reason IS NOT NULL GROUP BY 1, 2
    ) GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT ?
"""
DELIVERIES: Final = f"""
    SELECT {SHAREABLE}(delivery_status), SUM(messages) FROM (
        SELECT delivery_status, COUNT(*) AS messages FROM outcome
        WHERE delivery_status IS NOT NULL GROUP BY 1
    ) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?
"""

_PART: Final = "CAST((coalesce(started, 0) + took - :begin) / :width AS INTEGER)"
_ATTEMPTED: Final = ", ".join(str(codes.CODES[state]) for state in ATTEMPTED)
_OUTCOMES: Final = f"""
SELECT {_PART}, state FROM outcome WHERE state IN ({_ATTEMPTED}) AND took IS NOT NULL
"""
_ENDED_SINCE: Final = f"""
SELECT count(*) FROM outcome
WHERE state IN ({_ATTEMPTED}) AND took IS NOT NULL AND coalesce(started, 0) + took > ?
"""
_LATENCIES: Final = f"""
SELECT {_PART}, took FROM outcome
WHERE state <= {codes.ANSWERED} AND started IS NOT NULL AND took IS NOT NULL
"""


def totals(connection: sqlite3.Connection) -> Mapping[State, Total]:
    """Add up the messages by state. See `LedgerReader.totals`."""
    found: dict[State, Total] = {}
    for state in codes.STATES[1:]:
        found[state] = _sums(connection, state)
    billed = sum(total.billed for total in found.values())
    found[codes.STATES[0]] = _accepted(connection, billed)
    return {state: found[state] for state in sorted(found) if found[state].messages}


def _sums(connection: sqlite3.Connection, state: State) -> Total:
    code = codes.CODES[state]
    query = _OF_CHANGEABLE if code > codes.ANSWERED else _OF_STATE
    sums = [*connection.execute(query, (code,))]
    if state in _DERIVED:
        sums += connection.execute(_DERIVED[state])
    return _total([each for each in sums if each[0]])


def _accepted(connection: sqlite3.Connection, billed_of_others: int) -> Total:
    """Add up the accepted messages, nearly all: only the nameless ones are looked up."""
    ((messages, began, ended),) = connection.execute(_ACCEPTED)
    ((billed,),) = connection.execute(_BILLED)
    ((nameless,),) = connection.execute(_NAMELESS)
    return Total(messages, billed - billed_of_others, began, ended, nameless)


def _total(sums: Sequence[Any]) -> Total:
    messages, billed, began, ended, nameless = zip(*sums, strict=True) if sums else [()] * 5
    return Total(
        sum(messages),
        sum(billed),
        min((it for it in began if it is not None), default=None),
        max((it for it in ended if it is not None), default=None),
        sum(nameless),
    )


def waiting(connection: sqlite3.Connection) -> Mapping[str, Waiting]:
    """Add up the messages that wait to be sent, by kind."""
    return {kind: Waiting(*sums) for kind, *sums in connection.execute(_WAITING_BY_KIND)}


def counts(connection: sqlite3.Connection) -> Mapping[State, int]:
    """Count the messages by state. See `Ledger.counts`."""
    found: Counter[State] = Counter()
    ((outcomes,),) = connection.execute(_COUNT)
    ((found[State.REJECTED],),) = connection.execute(_COUNT_REJECTED)
    for code, count in connection.execute(_COUNT_CHANGEABLE):
        found[codes.STATES[code]] = count
    found[State.ACCEPTED] = outcomes - found.total()
    for state, query in _DERIVED.items():
        ((count, *_),) = connection.execute(query)
        found[state] += count
    return +found


def outcomes(connection: sqlite3.Connection, grid: TimeGrid) -> Sequence[Mapping[State, int]]:
    """Count the outcomes in each part of a time by state."""
    parts: list[Counter[State]] = [Counter() for _ in range(grid.parts)]
    found = Counter(connection.execute(_OUTCOMES, _in_ticks(grid)))
    for (part, code), count in found.items():
        parts[max(min(part, grid.parts - 1), 0)][codes.STATES[code]] += count
    return parts


def ended_since(connection: sqlite3.Connection, moment: float) -> int:
    """Count the messages whose outcome became known after a time, in Unix seconds."""
    ticks = (moment - codes.EPOCH) * codes.TICKS
    ((count,),) = connection.execute(_ENDED_SINCE, (ticks,))
    return int(count)


def latencies(connection: sqlite3.Connection, grid: TimeGrid) -> Sequence[Latency | None]:
    """Measure the latency in each part of a time; eight bytes a message are in memory."""
    parts = [array("d") for _ in range(grid.parts)]
    last = grid.parts - 1
    for part, took in connection.execute(_LATENCIES, _in_ticks(grid)):
        parts[part if 0 <= part <= last else 0 if part < 0 else last].append(took)
    return [_latency(part) if part else None for part in parts]


def _in_ticks(grid: TimeGrid) -> Mapping[str, float]:
    return {
        "begin": (grid.begin - codes.EPOCH) * codes.TICKS,
        "width": float(grid.width * codes.TICKS),
    }


def _latency(took: Iterable[float]) -> Latency:
    """Take the percentiles by nearest rank, in seconds."""
    ordered = sorted(took)
    places = (ceil(share * len(ordered) / 100) - 1 for share in (50, 95, 99))
    return Latency(*(max(ordered[place], 0) / codes.TICKS for place in places))
