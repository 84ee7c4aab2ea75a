"""The cells of a row, of the type that their file gives them, and how a text shows them."""

import datetime as dt
import math
from decimal import Decimal
from typing import Any, Final

from connectus_async.errors import InvalidArgumentError

Cell = str | int | float | bool | Decimal | dt.date | dt.time | list[Any] | dict[str, Any] | None
"""A value as its file gives it: text in CSV, anything of JSON in JSON Lines, and so on. A
``datetime`` is a ``date`` too; a type that is not among these is kept, and refused where it is
used."""

_MIDNIGHT: Final = dt.time()


def is_blank(cell: object) -> bool:
    """Tell whether a cell has nothing in it: no value, NaN, or only white space.

    >>> is_blank(None), is_blank("  "), is_blank(float("nan")), is_blank(0)
    (True, True, True, False)
    """
    if isinstance(cell, str):
        return not cell or cell.isspace()
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def written(column: str, cell: object) -> str:
    """Write a cell as a text shows it.

    A whole number has no decimals even where its file made it a float, a date is written as
    ``YYYY-MM-DD``, and white space around a text goes.

    Args:
        column: What an error is to call it.
        cell: The cell.

    Raises:
        InvalidArgumentError: It is empty, or nothing that has one way to be written.

    >>> written("name", " Ana "), written("points", 120.0), written("price", 9.5)
    ('Ana', '120', '9.5')
    """
    if is_blank(cell):
        raise InvalidArgumentError(column, "is empty in this row")
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bool):
        raise InvalidArgumentError(column, "is true or false; give the word that is to be read")
    if isinstance(cell, int | float | Decimal):
        return _number(column, cell)
    if isinstance(cell, dt.date | dt.time):
        return _date(cell)
    raise InvalidArgumentError(column, f"must be text or a number, not {type(cell).__name__}")


def _number(column: str, number: float | Decimal) -> str:
    text = f"{number:f}" if isinstance(number, Decimal) else repr(number)
    if not set(text) <= set("-.0123456789"):
        raise InvalidArgumentError(column, "is too large or too small a number to be written out")
    return text.removesuffix(".0")


def _date(date: dt.date | dt.time) -> str:
    if not isinstance(date, dt.datetime):
        return date.isoformat()
    if date.time() == _MIDNIGHT and date.tzinfo is None:  # what a spreadsheet makes of a day
        return date.date().isoformat()
    return date.isoformat(" ", "seconds")
