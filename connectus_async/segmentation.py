"""Number of SMS of a text, as carriers send it and as Connectus bills it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import attrs

__all__ = ["Encoding", "Segments", "segments"]

_BILLED_CHARACTERS: Final = 160

# 3GPP TS 23.038, section 6.2.1: the default alphabet and its extension table.
_DEFAULT_ALPHABET: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION_TABLE: Final = "\f^{}\\[~]|€"

GSM_7_CHARACTERS: Final = _DEFAULT_ALPHABET + _EXTENSION_TABLE

_NOT_IN_GSM_7: Final = re.compile(f"[^{re.escape(GSM_7_CHARACTERS)}]")
_IN_GSM_7: Final = re.compile(f"[{re.escape(GSM_7_CHARACTERS)}]")
_NOT_ONE_SEPTET: Final = re.compile(f"[^{re.escape(_DEFAULT_ALPHABET)}]")


class Encoding(StrEnum):
    """Encoding of a text on its way to the phone."""

    GSM_7 = "GSM-7"
    """Septets of the GSM default alphabet; a character of its extension table takes two."""

    UCS_2 = "UCS-2"
    """UTF-16 code units; a character outside the basic multilingual plane takes two."""


@attrs.frozen
class Segments:
    """Result of `segments`.

    Attributes:
        encoding: GSM-7 if it has every character of the text, else UCS-2.
        units: Length in the encoding, in septets or UTF-16 code units.
        parts: Number of SMS that the carrier sends: one of up to 160 septets (70 code units), or
            several of up to 153 (67) that the phone joins. A character of two units is never split.
        billed: Number of SMS that Connectus bills: one for every 160 characters or part of them,
            in any encoding.
        ucs2_only: Characters that force UCS-2, each once, in order of appearance; empty for GSM-7.
            They are not in the repr, which could reveal a short text.
    """

    encoding: Encoding
    units: int
    parts: int
    billed: int
    ucs2_only: tuple[str, ...] = attrs.field(repr=False)


@attrs.frozen
class _Carriage:
    encoding: Encoding
    two_units: re.Pattern[str]
    single_part: int
    joined_part: int


_GSM_7: Final = _Carriage(
    Encoding.GSM_7,
    re.compile(f"[{re.escape(_EXTENSION_TABLE)}]"),
    single_part=160,
    joined_part=153,
)
_UCS_2: Final = _Carriage(
    Encoding.UCS_2,
    re.compile("[\U00010000-\U0010ffff]"),
    single_part=70,
    joined_part=67,
)


def segments(text: str) -> Segments:
    r"""Count the SMS of a text. No request is made.

    The carrier's count depends on the alphabet; the bill depends only on the number of characters.
    An empty text has 0 parts and 0 billed SMS.

    Args:
        text: Text of the SMS. A lone surrogate counts as one code unit.

    Returns:
        Encoding, length, number of parts and number of billed SMS.

    Example:
        >>> segments("€" * 81)
        Segments(encoding=<Encoding.GSM_7: 'GSM-7'>, units=162, parts=2, billed=1)

        One character can more than double the carrier's parts:

        >>> segments("Si" * 40).parts
        1
        >>> accented = segments("Sí" * 40)
        >>> accented.parts, accented.ucs2_only
        (2, ('í',))
    """
    if is_one_sms(text):
        return Segments(Encoding.GSM_7, len(text), 1, 1, ())
    ucs2_only = tuple(dict.fromkeys(_NOT_IN_GSM_7.findall(text)))
    carriage = _UCS_2 if ucs2_only else _GSM_7
    pair_starts = _pair_starts(text, carriage.two_units)
    units = len(text) + len(pair_starts)
    return Segments(
        encoding=carriage.encoding,
        units=units,
        parts=_parts(units, pair_starts, carriage),
        billed=billed_segments(text),
        ucs2_only=ucs2_only,
    )


def is_one_sms(text: str) -> bool:
    """Tell whether a text is certainly one SMS: it has one septet of GSM-7 for each character."""
    return 0 < len(text) <= _GSM_7.single_part and not _NOT_ONE_SEPTET.search(text)


def has_gsm7(text: str) -> bool:
    """Tell whether some character of a text is in GSM-7."""
    return _IN_GSM_7.search(text) is not None


def billed_segments(text: str) -> int:
    """Count the SMS that Connectus bills for a text. Faster than `segments`.

    >>> billed_segments("€" * 161)
    2
    """
    return -(-len(text) // _BILLED_CHARACTERS)


def _pair_starts(text: str, two_units: re.Pattern[str]) -> frozenset[int]:
    """Return the offsets, in units, of characters that take two units."""
    if not two_units.search(text):
        return frozenset()
    pairs = enumerate(two_units.finditer(text))
    return frozenset(pair.start() + pairs_before for pairs_before, pair in pairs)


def _parts(units: int, pair_starts: frozenset[int], carriage: _Carriage) -> int:
    if units <= carriage.single_part:
        return min(units, 1)
    parts = end = 0
    while end < units:
        end += carriage.joined_part
        if end - 1 in pair_starts:
            end -= 1
        parts += 1
    return parts
