"""Cells from the values of other libraries."""

import datetime as dt
import struct
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any, Final
from uuid import UUID

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.cells import Cell

PLAIN: Final = frozenset(
    {str, int, float, bool, type(None), Decimal, dt.date, dt.datetime, dt.time}
)
"""Types of cells that need no conversion."""

SINGLE: Final = 6
"""Significant digits that every float of 32 bits keeps."""

DOUBLE: Final = 17

_MISSING: Final = frozenset({"NAType", "NaTType"})
"""Types of pandas' missing values."""

_TIMES: Final = {"M": "datetime64[us]", "m": "timedelta64[us]"}
"""Types of numpy's times of which it makes Python's: of nanoseconds it makes whole numbers."""

Row = dict[str, Cell] | InvalidArgumentError


def plain_rows(
    names: Sequence[str], rows: Iterable[Sequence[Any]], singles: Iterable[str]
) -> list[dict[str, Cell]]:
    """Make the cells of rows.

    Args:
        names: The names of the columns.
        rows: The values of each row.
        singles: The columns whose floats have 32 bits.
    """
    found = [
        dict(zip(names, [it if type(it) in PLAIN else plain(it) for it in row], strict=True))
        for row in rows
    ]
    for name in singles:
        for cells in found:
            cells[name] = shortest(cells[name])
    return found


def plain(value: Any) -> Any:
    """Make a cell of a value of pandas or numpy, or of an identifier; others stay.

    >>> plain(UUID(int=7))
    '00000000-0000-0000-0000-000000000007'
    """
    kind = type(value)
    if kind.__name__ in _MISSING:
        return None
    if kind.__module__ == "numpy":
        return _of_numpy(value)
    return str(value) if isinstance(value, UUID) else value


def shortest(value: Any) -> Any:
    """Make the float that has the shortest form of a float of 32 bits; others stay.

    >>> shortest(0.10000000149011612), shortest(float("nan")), shortest(None)
    (0.1, nan, None)
    """
    if not isinstance(value, float):
        return value
    for digits in range(SINGLE, DOUBLE):
        text = f"{value:.{digits}g}"
        if _rounded(float(text)) == value:
            return float(text)
    return value


def readable_row(
    names: Sequence[str], columns: Iterable[Callable[[], Sequence[Any]]], singles: Iterable[str]
) -> Row:
    """Read the columns of one row, one by one.

    Args:
        names: The names of the columns.
        columns: The readers of the columns, each of which gives one value.
        singles: As in `plain_rows`.

    Returns:
        The cells; or an error with the name of the column, such as of a date after the year 9999.
    """
    values = []
    for name, read in zip(names, columns, strict=True):
        try:
            values.append(read())
        except (ValueError, OverflowError):
            return InvalidArgumentError(name, "has a value in this row that cannot be read")
    (row,) = plain_rows(names, [list(chain.from_iterable(values))], singles)
    return row


def _of_numpy(value: Any) -> Any:
    kind = value.dtype.kind
    if kind == "f" and not value.shape:
        return float(str(value))
    if kind in _TIMES:
        found = value.astype(_TIMES[kind]).tolist()
        return str(value) if isinstance(found, int) else found  # beyond the calendar
    return value.tolist()


def _rounded(value: float) -> float:
    try:
        (rounded,) = struct.unpack("f", struct.pack("f", value))
    except OverflowError:
        return value
    return float(rounded)
