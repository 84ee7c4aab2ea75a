"""Texts in the closest form that GSM-7 has, never at a higher price."""

# ruff: noqa: RUF001 - signs that look like others are what is tested

import doctest
import importlib
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectus_async.segmentation import GSM_7_CHARACTERS, segments
from connectus_async.transliteration import to_gsm7

SPANISH = "¡Estimado apoderado! ¿Recibió la circular del día 5º? Mañana a las 8 será “pública”… "
MIXED_TEXT = st.text(
    st.sampled_from(
        "aé5 €[áíçÇÀ“’—…·ªº²³½①№ﬁ≠°😀漢＝\u00a0\u200b\u200d\u202a\ufe0f\u20e3\u0301\u0303\u0338"
    ),
    max_size=180,
)
ANY_TEXT = st.text() | MIXED_TEXT | st.text(st.characters(max_codepoint=0x24FF), max_size=200)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("áíóúÁÉÍÓÚ", "aiouAÉIOU"),
        ("àèìòùÀÈÌÒÙ", "àèìòùAEIOU"),
        ("âêîôûãõëïÿ", "aeiouaoeiy"),
        ("ç ã Ł ø œ ß þ", "c a L ø oe ß th"),
        ("“a” ‘b’ «c» „d‟ ´e`", '"a" \'b\' "c" "d" \'e\''),
        ("a–b—c‑d−e", "a-b-c-d-e"),
        ("…", "..."),
        ("a\u00a0b\u2009c\u202fd\u3000e\tf", "a b c d e f"),
        ("· uno • dos", "- uno - dos"),
        ("1ª 2º N° 3", "1a 2o No 3"),
        ("50 m², CO₂, ™", "50 m2, CO2, TM"),
        ("×÷±≤≥→", "x/+/-<=>=->"),
        ("ＡＢＣ ﬁn №", "ABC fin No"),
        ("ΑΒΓ Ω", "ABΓ Ω"),
        ("a\u00adb\u200bc\ufeff", "abc"),
        ("a\u2028b", "a\nb"),
        ("™\ufe0f", "TM"),
        ("á\u200dó", "ao"),
    ],
)
def test_the_closest_form(text: str, written: str):
    """Accents go, quotation marks and dashes become plain, and what is not seen disappears."""
    assert to_gsm7(text) == written


UNSEEN = [
    sign
    for sign in map(chr, range(0xFFFF))
    if unicodedata.category(sign) in {"Cc", "Cf", "Zs", "Zl", "Zp"}
    and unicodedata.bidirectional(sign) not in {"AN", "NSM"}  # Arabic has signs of this kind
    and sign not in "\u070f\u0890\u0891"
    and not "\x80" <= sign <= "\x9f"  # as cp1252 is seen through Latin-1
]


@pytest.mark.parametrize(
    "sign", [*UNSEEN, *"\u034f\u115f\u1160\u2800\u3164\uffa0\ufe0e\ufe0f\U000e0061"], ids=ascii
)
def test_nothing_that_is_not_seen_forces_ucs_2(sign: str):
    """It would make an SMS dearer, and nobody would know why."""
    written = to_gsm7(f"Hola{sign}Ana")

    assert segments(written).encoding == "GSM-7"
    assert written in {"HolaAna", "Hola Ana", "Hola\nAna", "Hola\rAna", "Hola\fAna"}


@pytest.mark.parametrize(
    "emoji",
    [
        "👨\u200d👩\u200d👧",
        "❤\ufe0f",
        "🏴\U000e0067\U000e0062\U000e007f",
        "1\ufe0f\u20e3",
        "👩🏽\u200d⚕\ufe0f",
    ],
    ids=ascii,
)
def test_an_emoji_keeps_what_joins_it(emoji: str):
    """It needs UCS-2 in any case, and would be another one without."""
    assert to_gsm7(f"Sí, mamá {emoji}, ya") == f"Si, mama {emoji}, ya"


def test_what_gsm_7_has_stays():
    """The letters of Spanish that GSM-7 has are kept as they are."""
    assert to_gsm7(GSM_7_CHARACTERS) == GSM_7_CHARACTERS
    assert to_gsm7("¿Ñandú? ¡Él, pingüino!") == "¿Ñandu? ¡Él, pingüino!"


@pytest.mark.parametrize("text", ["😀", "漢字", "привет", "½", "①", "≠", "α", "1️⃣", "\u0301a", "◌̀"])
def test_what_has_no_form_stays(text: str):
    """Nothing is lost: `segments` names what still forces UCS-2."""
    assert to_gsm7(text) == text


def test_the_rest_is_written_around_what_stays():
    """An emoji keeps no other character from its form."""
    assert to_gsm7("Sí, mamá 😀") == "Si, mama 😀"


@pytest.mark.parametrize(
    ("text", "written"), [("10²", "10²"), ("m²", "m2"), ("2½", "2½"), ("x⁵", "x5")]
)
def test_a_raised_digit_never_joins_a_number(text: str, written: str):
    """A square metre is m2, but ten squared is not 102."""
    assert to_gsm7(text) == written


@pytest.mark.parametrize("letter", "áéíóúñüàèìòùç")
def test_composed_and_decomposed_accents_are_the_same(letter: str):
    """A text from a Mac has its accents as characters of their own."""
    assert to_gsm7(unicodedata.normalize("NFD", letter)) == to_gsm7(letter)


def test_a_spanish_text_takes_half_the_parts():
    """One accent costs more than half of each part."""
    assert segments(SPANISH).parts == 2
    assert segments(to_gsm7(SPANISH)).parts == 1


@pytest.mark.parametrize("text", ["…" * 70, "a" * 158 + "…", "😀" + "…" * 68])
def test_a_text_that_would_cost_more_stays(text: str):
    """Three dots for one may need another part, or another SMS on the bill."""
    assert to_gsm7(text) == text


@given(text=ANY_TEXT)
@example("“" * 71)
@example("Ⅳ²½")
@example("2\u00ad²")
def test_again_changes_nothing(text: str):
    """What was written once is written."""
    once = to_gsm7(text)

    assert to_gsm7(once) == once


@given(text=ANY_TEXT)
@example("…" * 54)
@example("😀" * 20 + "…" * 20)
@example("é\u0301" * 80)
def test_it_never_costs_more(text: str):
    """Neither the carriers nor the bill count more SMS than before."""
    before, after = segments(text), segments(to_gsm7(text))

    assert after.parts <= before.parts
    assert after.billed <= before.billed


@given(text=st.text(st.sampled_from(GSM_7_CHARACTERS)))
def test_gsm_7_text_stays(text: str):
    """A text that needs nothing is left alone."""
    assert to_gsm7(text) == text


@given(text=ANY_TEXT)
def test_nothing_new_forces_ucs_2(text: str):
    """What remains outside GSM-7 was there before."""
    assert set(segments(to_gsm7(text)).ucs2_only) <= set(text)


def test_docstring_examples_hold():
    """The examples of the documentation are true."""
    module = importlib.import_module("connectus_async.transliteration")

    assert doctest.testmod(module) == doctest.TestResults(failed=0, attempted=2)
