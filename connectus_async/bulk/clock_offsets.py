"""The API's clock beside ours: by how much it is ahead, as the ``Date`` of its answers tells."""

import math
import time
from collections.abc import Iterable
from typing import Final

from connectus_async import _json
from connectus_async.answer import Response, http_date

OFFSETS: Final = "clock_offsets"
"""The fact of a campaign that says by how many seconds the API's clock was ahead of ours."""

CLOCK_SKEW: Final = 300.0
"""Seconds by which the API's clock and ours may differ; nothing depends on less."""

MOST_NOTED: Final = 16


def ahead(response: Response | None) -> float | None:
    """Seconds by which the API's clock is ahead of ours; ``None`` if the answer does not say.

    It has just been read, and its date is in whole seconds.
    """
    date = None if response is None else http_date(response, "Date")
    return None if date is None else date.timestamp() - time.time()


def offsets_in(fact: str | None) -> set[float]:
    """Read what is on record; what cannot be read is left out."""
    try:
        found = _json.loads(fact.encode()) if fact else []
    except ValueError:
        return set()
    if not isinstance(found, list):
        return set()
    return {float(value) for value in found if _is_number(value)}


def is_new(offset: float, known: Iterable[float]) -> bool:
    """Tell whether an offset is another than those that are known."""
    return all(abs(offset - one) > CLOCK_SKEW for one in known)


def with_offset(fact: str | None, offset: float) -> str | None:
    """Add an offset to what is on record; ``None`` if that says as much already."""
    known = offsets_in(fact)
    if not is_new(offset, {0.0, *known}):
        return None
    return _written([*sorted(known, key=abs)[: MOST_NOTED - 1], offset])


def _written(offsets: Iterable[float]) -> str:
    return _json.dumps([round(offset) for offset in offsets]).decode()


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and abs(value) < 1e9  # type: ignore[arg-type]
