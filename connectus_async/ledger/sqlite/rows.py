"""Rows as they are bound to a statement.

No ``None`` is bound: sqlite3 looks for an adapter of it each time. With `NOTHING` in its place, the
two changes of a message take half the CPU and, beside a busy loop, a third of the time.
"""

import time
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from connectus_async.ledger.records import Entry
from connectus_async.ledger.sqlite import codes
from connectus_async.ledger.states import SkipReason, skip_reason
from connectus_async.ledger.texts import storable

Row: TypeAlias = tuple[Any, ...]

NOTHING: Final = 0
"""Stands for NULL in a row."""

ENTRY: Final = ("id", "key", "line", "kind", "recipient", "body", "billed")
ENDED: Final = ("id", "state", "ended", "provider_id", "reason")
PUT: Final = ("id", "state", "ended", "reason")

MOST_ROWS: Final = 256
"""In one statement."""


def bound(number: int, entry: Entry) -> Row:
    """Make the row of a new message, in the order of `ENTRY`."""
    key, line, kind, recipient, body, billed = entry
    return (
        number,
        key or NOTHING,
        line or NOTHING,
        codes.KIND_CODES.get(kind, kind),
        codes.short_recipient(recipient),
        codes.short_body(kind, body),
        billed,
    )


def at_rest(skipped: SkipReason | None, reason: str | None) -> tuple[int, int, str | int]:
    """Give the state of a message that is not being sent, the time of its end, and its reason."""
    if skipped is None:
        return codes.QUEUED, NOTHING, NOTHING
    return codes.SKIPPED, codes.ticks(time.time()), storable(skip_reason(skipped, reason))


def many(statement: str, columns: int) -> dict[int, str]:
    """Write a statement for groups of rows, by their number.

    There are few, so that SQLite compiles each but once; rows of `NOTHING` fill a group.
    """
    row = f"({', '.join('?' * columns)})"
    sizes = [1 << power for power in range(MOST_ROWS.bit_length())]
    return {size: statement.format(rows=", ".join([row] * size)) for size in sizes}


def filled(values: list[Any], columns: int) -> tuple[int, list[Any]]:
    """Fill a group of rows up to the next size that `many` has; return that size and the group."""
    count = len(values) // columns
    size = 1 << (count - 1).bit_length()
    return size, [*values, *[NOTHING] * ((size - count) * columns)]


def listed(states: Iterable[str]) -> str:
    """Write states as a list of SQL."""
    return ", ".join(f"'{state}'" for state in sorted(states))
