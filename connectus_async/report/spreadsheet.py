"""Protection of text from being evaluated as a formula by a spreadsheet. Pure."""

import re
from collections.abc import Sequence
from typing import Any, Final

_BLANK: Final = "\\s\\x00-\\x1f\\x7f-\\xa0\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff"
_QUOTES: Final = "\"'`\u00b4\u2018-\u201f\uff02\uff07"
_SIGNS: Final = "=+\\-@\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b\u2212"

_FORMULA: Final = f"(?=[{_BLANK}{_QUOTES}]*[{_SIGNS}]|[\\t\\r\\n\\0])"
_SPLIT: Final = "(?<=[;|\\t\\r\\n])"
_FORMULA_AFTER: Final = f"(?=(?:[{_QUOTES}]|[^\\S\\t\\r\\n])*[{_SIGNS}])"
_BEGINS_A_FORMULA: Final = re.compile(f"^{_FORMULA}|{_SPLIT}{_FORMULA_AFTER}")
_GUARD: Final = re.compile(f"^'{_FORMULA}|{_SPLIT}'{_FORMULA_AFTER}")
_SPLITS_CELLS: Final = ";|\t\r\n"
_PHONE_NUMBER: Final = re.compile(r"\+[0-9]+")


def guarded(cell: Any) -> Any:
    r"""Put an apostrophe before text that a spreadsheet might take for a formula.

    A formula begins with an equals sign, a plus, a minus or an at sign, in any width, after any
    number of blanks and quotes; or with a tab or a line break. It may begin at the start of the
    cell, or after a semicolon, bar, tab or line break, at which some spreadsheets split cells:
    Excel does in most of Latin America.

    Args:
        cell: Any value. Only text is guarded, and not a phone number of a plus and digits.

    >>> guarded("=1+1"), guarded("+56987688060"), guarded(-5), guarded("ok;=1+1")
    ("'=1+1", '+56987688060', -5, "ok;'=1+1")
    """
    if not isinstance(cell, str) or _PHONE_NUMBER.fullmatch(cell):
        return cell
    return _BEGINS_A_FORMULA.sub("'", cell)


def unguarded(cell: Any) -> Any:
    r"""Take away the apostrophes that `guarded` put into a cell.

    >>> unguarded("'=1+1"), unguarded("ok;'=1+1"), unguarded("D'Angelo"), unguarded(-5)
    ('=1+1', 'ok;=1+1', "D'Angelo", -5)
    """
    return _GUARD.sub("", cell) if isinstance(cell, str) else cell


def guarded_column(cells: Sequence[Any]) -> Sequence[Any]:
    """Guard the cells of a column: few columns of a table have any that needs it.

    Args:
        cells: The values, each as `guarded` takes it.

    >>> guarded_column(["ok", None, "=1+1"])
    ['ok', None, "'=1+1"]
    """
    texts = [cell for cell in cells if isinstance(cell, str)]
    return cells if _are_harmless(texts) else [guarded(cell) for cell in cells]


def _are_harmless(texts: Sequence[str]) -> bool:
    """Tell quickly whether texts surely have no formula: a table has millions of cells."""
    together = "".join(texts)
    if any(separator in together for separator in _SPLITS_CELLS):
        return False
    return all(first.isalnum() for first in {text[:1] for text in texts if text})
