"""The parts in which carriers send an SMS. Pure."""

from __future__ import annotations

from typing import Any, Final

# 3GPP TS 23.038, section 6.2.1. The emulator keeps its own table, to check that of the client.
_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
_GSM_7: Final = ("GSM-7", 160, 153)
_UCS_2: Final = ("UCS-2", 70, 67)
_LAST_OF_ONE_UNIT: Final = 0xFFFF


def sms_parts(text: str) -> dict[str, Any]:
    """Split a text as a carrier does.

    Returns:
        ``encoding`` (GSM-7 or UCS-2), ``units`` (septets or UTF-16 code units), and ``parts``: the
        text of each SMS. A character of two units is not split.
    """
    in_gsm = _BASIC.union(_EXTENDED).issuperset(text)
    encoding, alone, joined = _GSM_7 if in_gsm else _UCS_2
    sizes = [_units(character, in_gsm=in_gsm) for character in text]
    units = sum(sizes)
    parts = [text] if units <= alone else _split(text, sizes, joined)
    return {"encoding": encoding, "units": units, "parts": parts}


def _units(character: str, *, in_gsm: bool) -> int:
    wide = character in _EXTENDED if in_gsm else ord(character) > _LAST_OF_ONE_UNIT
    return 2 if wide else 1


def _split(text: str, sizes: list[int], most: int) -> list[str]:
    parts, begin, used = list[str](), 0, 0
    for place, size in enumerate(sizes):
        if used + size > most:
            parts.append(text[begin:place])
            begin, used = place, 0
        used += size
    return [*parts, text[begin:]]
