"""Phone numbers as people type them, reduced to a form in which their digits are certain. Pure.

Nothing is guessed: the digits of a number are those that were written, in their order. What may be
more than one number, or more than a number, is refused.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from connectus_async import arguments
from connectus_async.errors import InvalidArgumentError

SHORTEST: Final = 6
"""Fewer digits are no number of their own: 22345678/79 are two numbers, the second cut short."""

SHORTEST_DIVIDED: Final = 7
"""Digits of each of several numbers with no more than blanks or dashes between them."""

LONGEST_AREA: Final = 4
LONGEST: Final = 250
"""Characters of a cell that may have several numbers."""

_BEFORE: Final = re.compile(r"\s*(?:tel:|')", re.IGNORECASE)
"""The scheme of a link, or the sign that makes a cell of a spreadsheet text."""

_BRACKETS: Final = str.maketrans("[]{}", "()()")
_AREA: Final = re.compile(
    rf"(\(?(?:\+[\d\s().-]{{0,6}}\d|0)?[\s(]*\d{{1,{LONGEST_AREA}}}\)?)\s*/\s*(\d[\d\s.-]*\d)"
)
"""An area code and the number in it, with a slash between them."""

_EXTENSION: Final = re.compile(
    r"\d[\s).,;-]*\(?(?:ext(?:ensi[oó]n|ens[aã]o|n)?|anexo|anx|interno|int|ramal|x|#)"
    r"[\s.:=-]*\d{1,6}\s*\)?",
    re.IGNORECASE,
)
_SEPARATORS: Final = re.compile(
    r"[;,|/&\n\r\v\f\x1c-\x1e\x85\u2028\u2029]|:::|\s+(?:[yeou]|and|or|ou)\s+|(?<=\d)\s*(?=\+)",
    re.IGNORECASE,
)
_WIDE: Final = re.compile(r"\s+-+\s+|\s{2,}|\t")
_BLANKS: Final = re.compile(r"\s+")
_COUNTRY_CODE: Final = re.compile(r"\(\s*(\+[\d\s]*\d)\s*\)")
_PLAIN: Final = re.compile(r"[-\d\s().+]+", re.ASCII)
_ORDINARY: Final = re.compile(
    r"(?:\(\+?\d+\)[ .-]?|\+?\d+ ?\(\d+\)[ .-]?|\+?)\d+(?:[ .-]\d+)*", re.ASCII
)
_REMARK: Final = re.compile(r"\d\s*\([\d\s]*\)\Z|\A[^(]*\)|\([^)]*\Z")
"""A bracket at the end, or half of one: how many there are, or the place in a list."""

_MINUS: Final = "\N{MINUS SIGN}"


def written(field: str, value: str) -> str:
    """Reduce a number to ASCII digits, blanks, round brackets, dots, dashes and plus signs.

    Invisible characters, ``tel:`` and the sign for text in a spreadsheet are taken off. Digits of
    other scripts are replaced, and a slash between an area code and the rest.

    Args:
        field: The name for error messages.
        value: The number.

    Raises:
        InvalidArgumentError: It has more than one number, an extension, or something else.

    >>> written("to", "tel:[56] 9 8768 8060"), written("to", "0341/456-7890")
    ('(56) 9 8768 8060', '0341 456-7890')
    """
    if len(value.strip()) > LONGEST:
        raise InvalidArgumentError(field, "is too long for a phone number")
    text = _plain_signs(field, value)
    arguments.refuse_a_computed_number(field, text)
    if not (_ORDINARY.fullmatch(text) and _count_digits(text) in arguments.NUMBER_LENGTHS):
        text = _checked(field, text)
    return _COUNTRY_CODE.sub(r"\1 ", text, count=1) if text[0] == "(" else text


def _checked(field: str, text: str) -> str:
    """Check a number that is not written as most are."""
    if _EXTENSION.search(text):
        raise InvalidArgumentError(
            field, "has an extension, which no message reaches; write the number without it"
        )
    if (area := _AREA.fullmatch(text)) and _count_digits(area[2]) >= SHORTEST:
        text = f"{area[1]} {area[2]}"
    if (count := len(_numbers(text))) > 1:
        raise InvalidArgumentError(
            field,
            f"has {count} numbers; leave one, or let bulk send take the first valid one"
            " (--first-number)",
        )
    if not text:
        raise InvalidArgumentError(field, "is empty")
    if not _PLAIN.fullmatch(text) or _SEPARATORS.search(text) or _REMARK.search(text):
        raise InvalidArgumentError(
            field,
            "has something other than digits (+, blanks, brackets, dots and dashes are taken off)",
        )
    return text


def numbers_in(field: str, value: str) -> Sequence[str]:
    """Split a text that has several numbers.

    Returns:
        The numbers, without later parts that are too short for one. None, if the first part is: it
        may be the area or the country of the others.

    Raises:
        InvalidArgumentError: It has a mark that shows its digits in another order.

    >>> numbers_in("to", "987688060 / 987688061"), numbers_in("to", "22345678/79")
    (['987688060', '987688061'], ['22345678'])
    >>> numbers_in("to", "+54 / 22345678")
    []
    """
    return _numbers(_plain_signs(field, value)) if len(value.strip()) <= LONGEST else []


def _numbers(text: str) -> Sequence[str]:
    parts = [part.strip() for part in _SEPARATORS.split(text)]
    if len(parts) == 1:
        parts = _divided(text)
    if not all(map(_count_digits, filter(None, parts))) or _count_digits(parts[0]) < SHORTEST:
        return []
    return [part for part in parts if _count_digits(part) >= SHORTEST]


def _divided(text: str) -> list[str]:
    """Split digits that are too many for one number, if dashes or blanks make numbers of them."""
    for between in (_BLANKS, _WIDE) if _count_digits(text) > max(arguments.NUMBER_LENGTHS) else ():
        parts = between.split(text)
        if len(parts) > 1 and min(map(_count_digits, parts)) >= SHORTEST_DIVIDED:
            return parts
    return [text]


def _plain_signs(field: str, value: str) -> str:
    """Replace the signs of other scripts, and take off those that are not seen."""
    if not value.isascii():
        value = "".join(map(_plain_sign, arguments.without_marks(field, value)))
    return _BEFORE.sub("", value, count=1).strip().translate(_BRACKETS)


def _plain_sign(sign: str) -> str:
    if sign.isascii():
        return sign
    if sign.isdecimal():
        return str(unicodedata.decimal(sign))
    if unicodedata.category(sign) == "Pd" or sign == _MINUS:
        return "-"
    plain = unicodedata.normalize("NFKC", sign)  # of full width, or a blank of another width
    return plain if len(plain) == 1 and plain.isascii() and not plain.isalnum() else sign


def _count_digits(text: str) -> int:
    return sum(map(str.isdecimal, text))
