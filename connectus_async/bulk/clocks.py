"""The API's clock beside ours: by how much it is ahead, as the ``Date`` of its answers tells."""

import math
import time
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from typing import Final

from connectus_async import _json
from connectus_async.answer import Response

OFFSETS: Final = "clock_offsets"
"""The fact of a campaign that says by how many seconds the API's clock was ahead of ours."""

WORTH_NOTING: Final = 300.0
"""Seconds; below, nothing depends on it."""

MOST_NOTED: Final = 16


def ahead(response: Response | None) -> float | None:
    """By how many seconds the API's clock is ahead of ours; ``None`` if the answer does not say.

    It has just been read, and its date is in whole seconds.
    """
    if response is None:
        return None
    try:
        return parsedate_to_datetime(response.headers["Date"]).timestamp() - time.time()
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None


def offsets_in(fact: str | None) -> set[float]:
    """Read what is on record; what cannot be read is left out."""
    try:
        found = _json.loads(fact.encode()) if fact else []
    except ValueError:
        return set()
    if not isinstance(found, list):
        return set()
    return {float(value) for value in found if _is_number(value)}


def with_offset(fact: str | None, offset: float) -> str | None:
    """Add an offset to what is on record; ``None`` if that says as much already."""
    known = offsets_in(fact)
    if abs(offset) < WORTH_NOTING or any(abs(offset - one) < WORTH_NOTING for one in known):
        return None
    return _written([*sorted(known, key=abs)[: MOST_NOTED - 1], offset])


def _written(offsets: Iterable[float]) -> str:
    return _json.dumps([round(offset) for offset in offsets]).decode()


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and abs(value) < 1e9  # type: ignore[arg-type]
