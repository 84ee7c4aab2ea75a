"""Formats of numbers and dates in a text, with the separators and the names of a country.

A format is written as in Python: ``,.2f`` for a number, ``%d-%m-%Y`` for a date. Its separators and
names are those of a locale: ``15.000`` in Chile, ``15,000`` in Mexico. A half is rounded away from
zero, as spreadsheets do.
"""

import datetime as dt
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from importlib import import_module
from importlib.util import find_spec
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final

from connectus_async.errors import InvalidArgumentError
from connectus_async.extras import library
from connectus_async.recipients.cells import format_cell, is_blank, without_tail

if TYPE_CHECKING:
    from babel import Locale

Write = Callable[[str, object], str]
"""Writes a cell as a text. Its first argument is the column, for error messages."""

MAX_NUMBER: Final = 10**18
MAX_DECIMALS: Final = 30
LONGEST_NUMBER: Final = 40
LONGEST_FORMAT: Final = 100

ANY_LOCALE: Final = "en_US"
"""The locale of formats that every country writes alike."""

NEEDS_LOCALE: Final = (
    "has a format whose separators or names differ between countries; choose them with a locale,"
    " such as --locale es_CL"
)
ROUNDING: Final = Context(prec=MAX_DECIMALS + 20, rounding=ROUND_HALF_UP)

NO_DATE: Final = "has no date in this row"
NO_TIME: Final = "has no time of day in this row"

_SPACES: Final = {0xA0: " ", 0x202F: " "}
"""Spaces that do not break, which an SMS pays for as for an emoji."""

_NUMBER: Final = re.compile(r"(\+?)((?:0[1-9]\d?)?)(,?)((?:\.\d\d?)?)([df%]?)", re.ASCII)
_CODE: Final = re.compile(r"%(-?.)")
_DATES: Final = {
    "d": "dd",
    "-d": "d",
    "m": "MM",
    "-m": "M",
    "b": "MMM",
    "B": "MMMM",
    "y": "yy",
    "Y": "yyyy",
    "a": "EEE",
    "A": "EEEE",
    "j": "DDD",
    "H": "HH",
    "-H": "H",
    "I": "hh",
    "-I": "h",
    "M": "mm",
    "S": "ss",
    "p": "a",
    "%": "'%'",
}
"""The pattern of Babel for each code of ``strftime``."""

_NAMES: Final = frozenset("abABp")
"""The codes that write words."""

_WHOLE: Final = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?\d*[.,]\d+", re.ASCII)
_GROUPED: Final = {
    mark: re.compile(
        rf"[+-]?[1-9]\d{{0,2}}(?:{re.escape(mark)}\d{{3}})+(?:{re.escape(other)}\d+)?", re.ASCII
    )
    for mark, other in (".,", ",.")
}
_EITHER: Final = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)


def locale_of(tag: str) -> "Locale":
    """Find a locale.

    Args:
        tag: Its tag, such as ``es_CL`` or ``pt-BR``; ``und_CL`` for that of most people in Chile.

    Raises:
        InvalidArgumentError: There is no such locale.
        ConfigurationError: Babel is not installed.
    """
    babel = library("locale", "babel", extra="formats")
    try:
        locale: Locale = babel.Locale.parse(tag.replace("-", "_"))
    except (ValueError, babel.UnknownLocaleError):
        raise InvalidArgumentError(
            "locale", "is not a language and its country, such as es_CL"
        ) from None
    len(locale.number_symbols)  # which reads its file, and only once
    return locale


def prepare(locale: str | None) -> None:
    """Read from disk what formats need, so that `parse_format` does not. Blocks.

    Raises:
        InvalidArgumentError: There is no such locale.
    """
    if find_spec("babel") is None:
        return  # perhaps there is no format: a column may have a colon in its name
    locale_of(locale or ANY_LOCALE)
    for name in ("babel.dates", "babel.numbers"):
        import_module(name)


def parse_format(field: str, text: str, locale: str | None) -> Write:
    """Parse a format.

    Args:
        field: The name for error messages.
        text: The format, of a number or of a date.
        locale: The locale that chooses separators and names.

    Raises:
        InvalidArgumentError: It is neither, or what it writes depends on the country and no locale
            is given.
        ConfigurationError: Babel is not installed.
    """
    if not is_format(text):
        raise InvalidArgumentError(
            field,
            "has a placeholder with an unknown format; write one such as ,.0f for a number, and"
            " one such as %H:%M for a date or a time",
        )
    if number := _NUMBER.fullmatch(text):
        return _number_format(field, *number.groups(), locale=locale)
    return _date_format(field, _CODE.split(text), locale)


def is_format(text: str) -> bool:
    """Tell whether a text is a format of a number or of a date."""
    if not 0 < len(text) <= LONGEST_FORMAT:
        return False
    codes = _CODE.findall(text)
    is_date = bool(codes) and _DATES.keys() >= {*codes}
    return is_date or _NUMBER.fullmatch(text) is not None


def _number_format(
    field: str, sign: str, width: str, group: str, digits: str, kind: str, *, locale: str | None
) -> Write:
    if locale is None and (group or not (kind == "d" or digits == ".0")):
        raise InvalidArgumentError(field, NEEDS_LOCALE)
    places = ".0" if kind == "d" else digits
    form = f"{sign}z{width}{group}{places}{'%' if kind == '%' else 'f'}"
    marks = {} if locale is None else _marks(locale)

    def write(column: str, cell: object) -> str:
        number = number_of(column, cell)
        if kind == "d" and number != int(number):
            raise InvalidArgumentError(column, "is not a whole number in this row")
        with localcontext(ROUNDING):
            return format(number, form).translate(marks)

    return write


def _marks(tag: str) -> dict[int, str]:
    """Map the separators of Python to those of a locale."""
    from babel.numbers import get_decimal_symbol, get_group_symbol  # noqa: PLC0415 - slow to import

    locale = locale_of(tag)
    marks = {".": get_decimal_symbol(locale), ",": get_group_symbol(locale)}
    return str.maketrans({mark: with_plain_spaces(symbol) for mark, symbol in marks.items()})


def _date_format(field: str, pieces: list[str], locale: str | None) -> Write:
    """Make a format of the literals in a format of ``strftime``, and the codes between them."""
    if locale is None and not _NAMES.isdisjoint(pieces[1::2]):
        raise InvalidArgumentError(field, NEEDS_LOCALE)
    chosen = locale_of(locale or ANY_LOCALE)
    from babel.dates import parse_pattern  # noqa: PLC0415 - slow to import

    literals = pieces[0::2]
    patterns = [parse_pattern(_DATES[code]) for code in pieces[1::2]]

    def write(column: str, cell: object) -> str:
        moment = moment_of(column, cell)
        try:
            values = [with_plain_spaces(it.apply(moment, chosen)) for it in patterns]
        except AttributeError:
            raise InvalidArgumentError(
                column, NO_TIME if isinstance(moment, dt.date) else NO_DATE
            ) from None
        return "".join(chain.from_iterable(zip_longest(literals, values, fillvalue="")))

    return write


def number_of(column: str, cell: object) -> Decimal:
    """Read a number, which may be written as text.

    Text has a decimal point or a decimal comma. One separator before three digits may be either
    that or group digits, so it is refused.

    Args:
        column: The name for error messages.
        cell: The cell.

    Raises:
        InvalidArgumentError: It is not a number, or may be two; the error names the column.

    >>> number_of("monto", "1.234,50"), number_of("monto", 15000.0)
    (Decimal('1234.50'), Decimal('15000.0'))
    """
    if isinstance(cell, float) and not is_blank(cell):
        number = Decimal(repr(float(without_tail(cell))))
    elif isinstance(cell, int | Decimal) and not isinstance(cell, bool):
        number = Decimal(cell)
    else:
        number = _typed(column, format_cell(column, cell), is_text=isinstance(cell, str))
    if not (
        number.is_finite() and number.copy_abs() <= MAX_NUMBER and _decimals(number) <= MAX_DECIMALS
    ):
        raise InvalidArgumentError(column, "is a number too large or too small to write out")
    return number


def _decimals(number: Decimal) -> int:
    return -int(number.as_tuple().exponent)


def moment_of(column: str, cell: object) -> dt.date | dt.time:
    """Read a date, a time of day, or both, which may be text in the form of ISO 8601.

    Args:
        column: The name for error messages.
        cell: The cell.

    Raises:
        InvalidArgumentError: It is neither; the error names the column.

    >>> moment_of("fecha", "2026-12-24")
    datetime.date(2026, 12, 24)
    """
    if isinstance(cell, dt.date | dt.time):
        return cell
    text = format_cell(column, cell)
    if isinstance(cell, str):
        for kind in (dt.date, dt.datetime, dt.time):
            try:
                return kind.fromisoformat(text)
            except ValueError:
                continue
    raise InvalidArgumentError(column, "is not a date in this row; write it as 2026-12-24")


def with_plain_spaces(text: str) -> str:
    """Replace the spaces of Babel that are not in the alphabet of SMS."""
    return text.translate(_SPACES)


def _typed(column: str, text: str, *, is_text: bool) -> Decimal:
    if not is_text or len(text) > LONGEST_NUMBER:
        raise InvalidArgumentError(column, "is not a number in this row")
    if _EITHER.fullmatch(text):
        raise InvalidArgumentError(
            column,
            "is ambiguous in this row: its separator may be of thousands or of decimals; write"
            " the number without separators, or with both",
        )
    for mark, form in _GROUPED.items():
        if form.fullmatch(text):
            text = text.replace(mark, "")
    if not (_WHOLE.fullmatch(text) or _DECIMAL.fullmatch(text)):
        raise InvalidArgumentError(column, "is not a number in this row")
    return Decimal(text.replace(",", "."))
