"""Cells of a row: their Python types, and their form in a text."""

import datetime as dt
import math
from decimal import Decimal
from typing import Any, Final

from connectus_async.errors import InvalidArgumentError

Cell = str | int | float | bool | Decimal | dt.date | dt.time | list[Any] | dict[str, Any] | None
"""A value as its file gives it: text in CSV, any JSON type in JSON Lines, and so on. A
``datetime`` is also a ``date``. Other types are kept, and refused where they are used."""

_MIDNIGHT: Final = dt.time()


def is_blank(cell: object) -> bool:
    """Tell whether a cell is empty: no value, NaN, or only white space.

    >>> is_blank(None), is_blank("  "), is_blank(float("nan")), is_blank(0)
    (True, True, True, False)
    """
    if isinstance(cell, str):
        return not cell or cell.isspace()
    if isinstance(cell, Decimal):
        return cell.is_nan()
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def format_cell(column: str, cell: object) -> str:
    """Format a cell for a text.

    A whole number has no decimals, even if its file stored it as a float. A date is written as
    ``YYYY-MM-DD``. White space around a text is removed.

    Args:
        column: The name for error messages.
        cell: The cell.

    Raises:
        InvalidArgumentError: It is empty, or its type has no single written form.

    >>> format_cell("name", " Ana "), format_cell("points", 120.0), format_cell("price", 9.5)
    ('Ana', '120', '9.5')
    """
    if is_blank(cell):
        raise InvalidArgumentError(column, "is empty in this row")
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bool):
        raise InvalidArgumentError(column, "is a boolean; use a text column with the word to show")
    if isinstance(cell, int | float | Decimal):
        return _number(column, cell)
    if isinstance(cell, dt.date | dt.time):
        return _date(cell)
    raise InvalidArgumentError(column, f"must be text or a number, not {type(cell).__name__}")


def _number(column: str, number: float | Decimal) -> str:
    text = f"{number:f}" if isinstance(number, Decimal) else repr(number)
    if not set(text) <= set("-.0123456789"):
        raise InvalidArgumentError(column, "is a number too large or too small to write out")
    return text.removesuffix(".0")


def _date(date: dt.date | dt.time) -> str:
    if not isinstance(date, dt.datetime):
        return date.isoformat()
    if date.time() == _MIDNIGHT and date.tzinfo is None:  # a spreadsheet stores a date so
        return date.date().isoformat()
    return date.isoformat(" ", "seconds")
