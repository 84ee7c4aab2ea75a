"""Numbers of workbooks that store what a cell shows beside its value."""

import re
from typing import Final, TypeVar

from connectus_async.recipients.cells import (
    MAX_EXACT,
    Cell,
    Shown,
    ShownDigits,
    ShownFloat,
    ShownInt,
    without_tail,
)
from connectus_async.recipients.sources.workbooks.conventions import plain_blanks

Stamped = TypeVar("Stamped", bound=Shown)
_SEPARATORS: Final = re.compile("[ .,']")
_ZEROS: Final = re.compile("[.,]0+")
_PADDED: Final = re.compile(r"(?P<code>\(?\+)?[\d ().-]+")


def shown_number(value: float, text: str) -> Cell:
    """Make the cell of a number from its value and the text that it shows.

    >>> shown_number(987688060, "9 8768 8060"), shown_number(0.15, "15%")
    (987688060, 0.15)
    """
    whole = int(value)
    text = plain_blanks(text).strip()
    if not text:
        return None
    if whole != value or not -MAX_EXACT < value < MAX_EXACT:
        cell: ShownInt | ShownFloat = ShownFloat(without_tail(value))
    elif _is_plain(whole, text):
        cell = ShownInt(whole)
    elif whole > 0 and _is_padded(whole, text):
        cell = ShownDigits(whole)
    else:
        cell = ShownFloat(value)
    cell.shown = text
    return cell


def with_text(cell: Stamped, text: str | None) -> Stamped | None:
    """Give a date or a duration the text that it shows; ``None`` if that is empty."""
    if text is not None:
        cell.shown = plain_blanks(text).strip()
    return None if cell.shown == "" else cell


def _is_plain(whole: int, text: str) -> bool:
    """Tell whether a text has the digits of a whole number, with separators at most."""
    ends = _ZEROS.search(text, max(text.rfind("."), text.rfind(",")))
    texts = [text, text[: ends.start()]] if ends and ends.end() == len(text) else [text]
    return any(_SEPARATORS.sub("", it) == str(whole) for it in texts)


def _is_padded(whole: int, text: str) -> bool:
    """Tell whether a text has the digits of a whole number as those of a phone number are written.

    Zeros may be in front of them, or a country code with its sign.
    """
    found = _PADDED.fullmatch(text)
    digits = "".join(filter(str.isdigit, text))
    if found is None or not digits.endswith(str(whole)):
        return False
    return found["code"] is not None or not digits.removesuffix(str(whole)).strip("0")
