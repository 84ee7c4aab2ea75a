"""Rows of messages as they are bound to a statement, and the names of their places.

No ``None`` is bound: sqlite3 looks for an adapter of it each time. With `NOTHING` in its place, the
two changes of a message take half the CPU and, beside a busy loop, a third of the time.
"""

import time
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from connectus_async.ledger.records import Entry
from connectus_async.ledger.states import SkipReason, State

Row: TypeAlias = tuple[Any, ...]

CHANGED: Final = ("state", "reason", "attempts", "provider_id", "started_at", "ended_at")
"""The columns that a change of a message writes; a new message has those of `Entry` as well."""

COLUMNS: Final = ("id", *Entry._fields, *CHANGED)
NEVER_NULL: Final = frozenset({"id", "billed", "state", "attempts"})
ID, KEY, STATE = map(COLUMNS.index, ("id", "key", "state"))

NOTHING: Final = 0
"""Stands for NULL in a row."""

NO_ROW: Final = (NOTHING,) * len(COLUMNS)
UNCHANGED: Final = Entry(NOTHING, NOTHING, "", "", NOTHING, 0)  # type: ignore[arg-type]
"""Stands for a message that is there: only a new row takes it."""


def change(
    number: int,
    message: Row,
    state: str,
    *,
    reason: str | int = NOTHING,
    attempts: int = 0,
    provider_id: str | int = NOTHING,
    started_at: float = NOTHING,
    ended_at: float = NOTHING,
) -> Row:
    """Make the row that changes a message, in the order of `COLUMNS`."""
    return (number, *message, state, reason, attempts, provider_id, started_at, ended_at)


def bound(entry: Entry) -> Row:
    """Make the columns of a new message."""
    key, line, kind, recipient, body, billed = entry
    return (key or NOTHING, line or NOTHING, kind, recipient, body, billed)


def at_rest(skipped: SkipReason | None, reason: str | None) -> tuple[str, str | int, float]:
    """Give the state of a message that is not being sent, its reason, and the time of its end."""
    if skipped is None:
        return State.QUEUED.value, NOTHING, NOTHING
    text = storable(skip_reason(skipped, reason)) if reason else skipped.value
    return State.SKIPPED.value, text, time.time()


def skip_reason(skipped: SkipReason, sentence: str) -> str:
    """Write the reason of a skipped message, as the statistics take it apart."""
    return f"{skipped}: {sentence}"


def listed(states: Iterable[State]) -> str:
    """Write states as a list of SQL."""
    return ", ".join(f"'{state}'" for state in sorted(states))


def storable(text: str) -> str:
    """Remove from a text of the wire what SQLite cannot hold or would end at."""
    if text.isascii() and text.isprintable():
        return text
    return text.replace("\0", "").encode(errors="replace").decode()
