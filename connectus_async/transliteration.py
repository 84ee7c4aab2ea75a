"""Transliteration of texts to GSM-7, in which an SMS has more room than in UCS-2."""

# ruff: noqa: RUF001 - signs that look like others are what the table is about

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from connectus_async.segmentation import GSM_7_CHARACTERS, segments

_FORMS: Final[Mapping[str, str]] = {
    # blanks, line ends and invisible characters
    **dict.fromkeys("\t\x1c\x1d\x1e\x1f\u1680\u2800", " "),
    **dict.fromkeys("\x0b\x85\u2028\u2029", "\n"),
    # quotation marks
    **dict.fromkeys("“”„‟«»″¨", '"'),
    **dict.fromkeys("‘’‚‛‹›′´`ʹʼ", "'"),
    # dashes and bullets
    **dict.fromkeys("‐‑‒–—―−⁃·•∙‣◦▪●", "-"),
    # signs
    "…": "...",
    "°": "o",
    "¦": "|",
    "¸": ",",
    "ˆ": "^",
    "˜": "~",
    "∼": "~",
    "⁄": "/",
    "∕": "/",
    "×": "x",
    "÷": "/",
    "±": "+/-",
    "≤": "<=",
    "≥": ">=",
    "←": "<-",
    "→": "->",
    "¢": "c",
    "©": "(c)",
    "®": "(R)",
    "µ": "u",
    # letters that Unicode does not decompose
    "Ð": "D",
    "ð": "d",
    "Đ": "D",
    "đ": "d",
    "Ħ": "H",
    "ħ": "h",
    "ı": "i",
    "Ł": "L",
    "ł": "l",
    "Ŋ": "N",
    "ŋ": "n",
    "Œ": "OE",
    "œ": "oe",
    "Þ": "Th",
    "þ": "th",
    "Ŧ": "T",
    "ŧ": "t",
    "ẞ": "ß",
    # Greek capitals that phones draw as Latin ones: GSM-7 has only the others
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True)),
}

_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""Control characters, and what Unicode lets a phone leave out (Default_Ignorable_Code_Point). Those
from 80 to 9F stay: they are letters of a text that was read in the wrong encoding."""

_MARKS: Final = "\u0300-\u036f\u20d0-\u20ff\ufe00-\ufe0f\U000e0020-\U000e007f"
_JOINER: Final = "\u200d"
_FROM_SYMBOLS: Final = "\u2190-\U0010ffff"
_NEGATION: Final = "\u0338"
_NOT_TAKEN_APART: Final = ("<fraction>", "<circle>")

_GSM_7: Final = frozenset(GSM_7_CHARACTERS)
_IN_NEED: Final = re.compile(
    f"[^{re.escape(GSM_7_CHARACTERS)}][{_MARKS}]*(?:{_JOINER}[{_FROM_SYMBOLS}][{_MARKS}]*)*"
    f"|[{re.escape(GSM_7_CHARACTERS)}][{_MARKS}]+"
)


def to_gsm7(text: str) -> str:
    """Replace the characters of a text that GSM-7 lacks by the closest ones that it has.

    Characters of GSM-7 stay, such as ``é``, ``ñ``, ``ü``, ``¿`` and ``¡``. Other letters lose their
    accents; quotation marks and dashes become plain ones. A character without a replacement, such
    as an emoji, stays, and `segments` names it. A text that would take more SMS than before, sent
    or billed, is returned unchanged.

    Args:
        text: Text of the SMS.

    Returns:
        The text. It takes at most as many SMS as the original.

    Example:
        >>> to_gsm7("“Mañana” será otro día… ¡à bientôt!")
        '"Mañana" sera otro dia... ¡à bientot!'
        >>> to_gsm7("Año 2026 🎄")
        'Año 2026 🎄'
    """
    if not _IN_NEED.search(text):
        return text
    written = _IN_NEED.sub(_replacement, text)
    before, after = segments(text), segments(written)
    costs_no_more = after.parts <= before.parts and after.billed <= before.billed
    return written if costs_no_more else text


def _replacement(match: re.Match[str]) -> str:
    cluster = match[0]
    form = _form(cluster)
    before = match.string[max(match.start() - 1, 0) : match.start()]
    if form[:1].isdecimal() and _is_raised(cluster) and _ends_in_digit(before):
        return cluster  # 10² is not 102
    return form


def _is_raised(cluster: str) -> bool:
    return unicodedata.decomposition(cluster[0]).startswith(("<super>", "<sub>"))


def _ends_in_digit(sign: str) -> bool:
    return unicodedata.normalize("NFKD", sign)[-1:].isdecimal()


@lru_cache(maxsize=4096)
def _form(cluster: str) -> str:
    """Return the closest form of a character and its marks, or the character itself."""
    composed = unicodedata.normalize("NFC", cluster)
    if _GSM_7.issuperset(composed):
        return composed
    if composed in _FORMS:
        return _FORMS[composed]
    if any(unicodedata.decomposition(it).startswith(_NOT_TAKEN_APART) for it in cluster):
        return cluster
    pieces = unicodedata.normalize("NFKD", cluster)
    bare = [sign for sign in pieces if not unicodedata.combining(sign)]
    forms = [sign if sign in _GSM_7 else _form_of(sign) for sign in bare]
    known = [form for form in forms if form is not None]
    is_lost = len(known) < len(forms) or not forms or _NEGATION in pieces
    form = "".join(known)
    return cluster if is_lost or form.isspace() > cluster[0].isspace() else form


def _form_of(sign: str) -> str | None:
    form = _FORMS.get(sign)
    return "" if form is None and _UNSEEN.fullmatch(sign) else form
