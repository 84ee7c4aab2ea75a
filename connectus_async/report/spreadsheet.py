"""Protection of text from being evaluated as a formula by a spreadsheet. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

_BLANK: Final = "\\s\\x00-\\x1f\\x7f-\\xa0\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff"
_QUOTES: Final = "\"'`\u00b4\u2018-\u201f\uff02\uff07"
_SIGNS: Final = "=+\\-@\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b\u2212"

_FIRST: Final = f"^(?=[{_BLANK}{_QUOTES}]*[{_SIGNS}]|[\\t\\r\\n\\0])"
_LATER: Final = f"(?<=[;|\\t\\r\\n])(?=(?:[{_QUOTES}]|[^\\S\\t\\r\\n])*[{_SIGNS}])"
_BEGINS_A_FORMULA: Final = re.compile(f"{_FIRST}|{_LATER}")
_SPLITS_CELLS: Final = re.compile(r"[;|\t\r\n]")
_MAY_BE_ONE: Final = re.compile(f"(?<![0-9A-Za-z+/])[{_SIGNS}]|[;|\\t\\r\\0]|\\n\\n")
"""In cells that are joined by line breaks: a sign at a begin, or anything else that may be one."""
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
    if not isinstance(cell, str) or _is_harmless(cell):
        return cell
    return _BEGINS_A_FORMULA.sub("'", cell)


def guarded_column(cells: Sequence[Any]) -> Iterable[Any]:
    """Guard many cells: one search tells of most columns that no cell needs it.

    >>> list(guarded_column(["56987688060", None, "ok"])), list(guarded_column(["a", "=1+1"]))
    (['56987688060', None, 'ok'], ['a', "'=1+1"])
    """
    texts = [cell for cell in cells if isinstance(cell, str)]
    return map(guarded, cells) if _MAY_BE_ONE.search("\n".join(["", *texts, ""])) else cells


def _is_harmless(cell: str) -> bool:
    """Tell quickly whether a cell surely has no formula: a table has millions of cells."""
    if cell[:1].isalnum():
        return not _SPLITS_CELLS.search(cell)
    return bool(_PHONE_NUMBER.fullmatch(cell))
