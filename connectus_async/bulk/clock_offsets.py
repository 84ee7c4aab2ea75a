"""Offsets of the API's clock from ours, by the ``Date`` of its answers, on record in a ledger."""

import logging
import math
import time
from collections.abc import Iterable
from typing import Final

from connectus_async import _json
from connectus_async.answer import Response, http_date
from connectus_async.ledger.abc import SendingLedger
from connectus_async.ledger.metadata_names import CLOCK_OFFSETS

CLOCK_SKEW: Final = 300.0
"""Largest offset, in seconds, on which nothing depends."""

MOST_RECORDED: Final = 16

_log: Final = logging.getLogger("connectus_async")


def ahead(response: Response | None) -> float | None:
    """Return the seconds by which the API's clock is ahead of ours.

    Args:
        response: An answer that has just been read.

    Returns:
        The offset, as exact as a date in whole seconds; ``None`` if the answer has no date.
    """
    date = None if response is None else http_date(response, "Date")
    return None if date is None else date.timestamp() - time.time()


def offsets_in(text: str | None) -> set[float]:
    """Parse recorded offsets; anything else in the text is left out."""
    try:
        found = _json.loads(text.encode()) if text else []
    except ValueError:
        return set()
    if not isinstance(found, list):
        return set()
    return {float(value) for value in found if _is_number(value)}


def is_new(offset: float, known: Iterable[float]) -> bool:
    """Tell whether an offset differs from those that are known."""
    return all(abs(offset - one) > CLOCK_SKEW for one in known)


async def record_offset(ledger: SendingLedger, response: Response | None) -> None:
    """Record the offset of an answer in the ledger: reports are in the days of the API's clock."""
    offset = ahead(response)
    if offset is None or not is_new(offset, {0.0}):
        return
    _log.warning(
        "this machine's clock is %+d s from the API's: times in the ledger are ours", -offset
    )
    text = with_offset((await ledger.metadata()).get(CLOCK_OFFSETS), offset)
    if text is not None:
        await ledger.set_metadata(**{CLOCK_OFFSETS: text})


def with_offset(text: str | None, offset: float) -> str | None:
    """Add an offset to recorded ones; return ``None`` if it is not new."""
    known = offsets_in(text)
    if not is_new(offset, {0.0, *known}):
        return None
    return _written([*sorted(known, key=abs)[: MOST_RECORDED - 1], offset])


def _written(offsets: Iterable[float]) -> str:
    return _json.dumps([round(offset) for offset in offsets]).decode()


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and abs(value) < 1e9  # type: ignore[arg-type]
