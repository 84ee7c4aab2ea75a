"""Cells of a row: their Python types, and their form in a text."""

import datetime as dt
import math
import struct
from decimal import Decimal
from typing import Any, Final

import attrs

from connectus_async.arguments import MAX_AMOUNT
from connectus_async.errors import InvalidArgumentError

MAX_EXACT: Final = 10**15
"""A spreadsheet keeps 15 digits of a number and replaces the rest with zeros."""

SINGLE_DIGITS: Final = 9
"""Significant digits that tell any two numbers of single precision apart."""

NO_VALUES: Final = frozenset(
    {
        *("#N/A", "#N/D", "#N/A N/A", "#NA", "#REF!", "#¡REF!", "#VALUE!", "#VALOR!", "#¡VALOR!"),
        *("#DIV/0!", "#¡DIV/0!", "#NAME?", "#NOME?", "#¿NOMBRE?", "#NULL!", "#NULO!", "#¡NULO!"),
        *("#NUM!", "#NÚM!", "#¡NUM!", "#SPILL!", "#DESPEJAR!", "#¡DESBORDAMIENTO!", "#CALC!"),
        *("#¡CALC!", "#FIELD!", "#CAMPO!", "#¡CAMPO!", "#GETTING_DATA", "#UNKNOWN!", "#BLOCKED!"),
        *("#ERROR!", "#¡ERROR!", "Loading...", "Cargando...", "Carregando..."),
        *(f"Err:{number}" for number in range(501, 541)),
        *("#" * width for width in range(3, 256)),
        *("NA", "N/A", "n/a", "<NA>", "NaN", "nan", "NaT", "NULL", "null", "None", "undefined"),
        r"\N",
    }
)
"""What programs write where there is no value, in exactly this spelling: the errors of spreadsheets
in English, Spanish and Portuguese, cells of Excel too narrow for their value, and the missing
values of pandas, R and databases. ``Na``, ``Nan`` and ``Null`` are names of people."""

_MIDNIGHT: Final = dt.time()


class Shown:
    """Base of values with the text in which their cell of a spreadsheet shows them.

    A text gets the text of the cell, and a calculation its value.

    Attributes:
        shown: The text; ``None`` for the result of a calculation.
    """

    shown: str | None = None

    def __str__(self) -> str:
        return super().__str__() if self.shown is None else self.shown


class ShownInt(Shown, int):
    """A whole number that shows its digits; separators may group them."""


class ShownDigits(ShownInt):
    """A whole number whose format pads or groups its digits, as those of phone numbers do.

    Where it is a number of a person or an identifier, the digits of its text count.
    """


class ShownFloat(Shown, float):
    """A number that shows something else than its digits, such as 15%."""


class ShownMoment(Shown, dt.datetime):
    """A day, perhaps with a time."""


class ShownTime(Shown, dt.time):
    """A time of day."""


@attrs.frozen
class ErrorCell:
    """An error of a spreadsheet in place of a value.

    Attributes:
        error: What the cell shows, such as ``#N/A``.
    """

    error: str


NOT_COMPUTED: Final = ErrorCell("=")
"""A formula that a program wrote, and that no spreadsheet has computed since."""

_Scalar = str | int | float | bool | Decimal | dt.date | dt.time
Cell = _Scalar | list[Any] | dict[str, Any] | ErrorCell | None
"""A value as its file gives it: text in CSV, any JSON type in JSON Lines, and so on. A
``datetime`` is also a ``date``. Other types are kept, and refused where they are used."""


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

    A cell of a spreadsheet is written as it is shown. Else a whole number has no decimals, even if
    its file stored it as a float, and a date is written as ``YYYY-MM-DD``. White space around a
    text is removed.

    Args:
        column: The name for error messages.
        cell: The cell.

    Raises:
        InvalidArgumentError: It is empty, is an error or a sign of a missing value, or its type has
            no single written form.

    >>> format_cell("name", " Ana "), format_cell("points", 120.0), format_cell("price", 9.5)
    ('Ana', '120', '9.5')
    """
    if is_blank(cell):
        raise InvalidArgumentError(column, "is empty in this row")
    value = cell.strip() if isinstance(cell, str) else cell
    refuse_an_error(column, value)
    if isinstance(value, str):
        return value
    if isinstance(cell, Shown) and cell.shown is not None:
        return cell.shown
    if isinstance(cell, bool):
        raise InvalidArgumentError(column, "is a boolean; use a text column with the word to show")
    if isinstance(cell, int | float | Decimal):
        return _number(column, cell)
    if isinstance(cell, dt.date | dt.time):
        return _date(cell)
    raise InvalidArgumentError(column, f"must be text or a number, not {type(cell).__name__}")


def refuse_an_error(column: str, cell: object) -> None:
    """Refuse the error of a spreadsheet, and the sign of a missing value.

    Args:
        column: The name for error messages.
        cell: The cell, without white space around it.

    Raises:
        InvalidArgumentError: It is one; the error shows it.
    """
    if cell is NOT_COMPUTED:
        raise InvalidArgumentError(
            column,
            "has a formula in this row that was never computed; open the file in a spreadsheet"
            " program, and save it",
        )
    if isinstance(cell, ErrorCell):
        raise InvalidArgumentError(column, f"has the error {cell.error} in this row")
    if isinstance(cell, str) and cell in NO_VALUES:
        raise InvalidArgumentError(
            column, f"is {cell} in this row, which programs write where there is no value"
        )


def written_value(column: str, cell: object) -> object:
    """Return a value for a number of a person or an identifier, whose digits are those shown.

    Args:
        column: The name for error messages.
        cell: The cell, which is not empty.

    Returns:
        The text of a text or of a whole number; any other value as it is.

    Raises:
        InvalidArgumentError: It is an error, or a sign of a missing value.

    >>> written_value("dst_number", " 56987688060"), written_value("dst_number", 56987688060)
    ('56987688060', '56987688060')
    """
    value = cell.strip() if isinstance(cell, str) else cell
    refuse_an_error(column, value)
    if isinstance(cell, ShownDigits) and cell.shown is not None:
        return cell.shown
    if isinstance(cell, int) and not isinstance(cell, bool):
        return int.__repr__(cell) if 0 <= cell <= MAX_AMOUNT else int(cell)
    return value


def without_tail(number: float) -> float:
    """Remove the digits of a number that come of its binary form.

    A spreadsheet shows 15 digits. A number of single precision has up to 9.

    >>> without_tail(434.9999999999999), without_tail(0.10000000149011612)
    (435.0, 0.1)
    """
    if not abs(number) < MAX_EXACT:
        return number
    rounded = float(f"{number:.15g}")
    if rounded == number or _single(number) != number:
        return rounded
    forms = (float(f"{number:.{digits}g}") for digits in range(1, SINGLE_DIGITS + 1))
    return next(form for form in forms if _single(form) == number)


def _single(number: float) -> float | None:
    try:
        return float(struct.unpack("f", struct.pack("f", number))[0])
    except OverflowError:
        return None


def _number(column: str, number: float | Decimal) -> str:
    if isinstance(number, float):
        number = without_tail(number)
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
