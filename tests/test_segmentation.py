"""How texts are counted: the carriers' parts and what Connectus bills."""

import doctest
import importlib
import itertools
import operator
import pickle

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectus_async.segmentation import Encoding, Segments, segments

# The tables of 3GPP TS 23.038 by septet, written as code points so that they are no copy of the
# string under test.
SEPTETS_0X00 = (
    *(0x40, 0xA3, 0x24, 0xA5, 0xE8, 0xE9, 0xF9, 0xEC, 0xF2, 0xC7, 0x0A, 0xD8, 0xF8, 0x0D, 0xC5),
    *(0xE5, 0x394, 0x5F, 0x3A6, 0x393, 0x39B, 0x3A9, 0x3A0, 0x3A8, 0x3A3, 0x398, 0x39E),
)
SEPTETS_0X1C = (0xC6, 0xE6, 0xDF, 0xC9)
SEPTETS_0X20 = (*range(0x20, 0x24), 0xA4, *range(0x25, 0x40))
SEPTETS_0X40 = (0xA1, *range(0x41, 0x5B), 0xC4, 0xD6, 0xD1, 0xDC, 0xA7)
SEPTETS_0X60 = (0xBF, *range(0x61, 0x7B), 0xE4, 0xF6, 0xF1, 0xFC, 0xE0)
ESCAPE = 0x1B
EXTENSION_SEPTETS = (0x0A, 0x14, 0x28, 0x29, 0x2F, 0x3C, 0x3D, 0x3E, 0x40, 0x65)
EXTENSION_CODE_POINTS = (0x0C, 0x5E, 0x7B, 0x7D, 0x5C, 0x5B, 0x7E, 0x5D, 0x7C, 0x20AC)
TO_CHARACTER = {
    (septet,): chr(code_point)
    for start, column in [
        (0x00, SEPTETS_0X00),
        (0x1C, SEPTETS_0X1C),
        (0x20, SEPTETS_0X20),
        (0x40, SEPTETS_0X40),
        (0x60, SEPTETS_0X60),
    ]
    for septet, code_point in enumerate(column, start)
} | {
    (ESCAPE, septet): chr(code_point)
    for septet, code_point in zip(EXTENSION_SEPTETS, EXTENSION_CODE_POINTS, strict=True)
}
TO_SEPTETS = {character: septets for septets, character in TO_CHARACTER.items()}


def runs_of(characters):
    """Texts long enough to be cut: a few runs, each of one character."""
    run = st.builds(operator.mul, st.sampled_from(characters), st.integers(1, 170))
    return st.lists(run, max_size=8).map("".join)


GSM_7_TEXT = runs_of(sorted(TO_SEPTETS)) | runs_of("a€")
UCS_2_TEXT = runs_of("aç漢€😀\U00010000\U0010ffff").map("ç".__add__)
ANY_TEXT = st.text() | GSM_7_TEXT | UCS_2_TEXT
WITH_SURROGATES = st.text(st.characters(codec=None, categories=["Cs", "Lu", "So"]), max_size=200)


def encode(character, encoding):
    """The units of one character."""
    if encoding is Encoding.GSM_7:
        return TO_SEPTETS[character]
    octets = character.encode("utf-16-be", "surrogatepass")
    return tuple(zip(octets[::2], octets[1::2], strict=True))


def decode(units, encoding):
    """The text that a phone reads out of the units of one part."""
    if encoding is Encoding.UCS_2:
        octets = bytes(itertools.chain.from_iterable(units))
        return octets.decode("utf-16-be")
    septets = iter(units)
    return "".join(
        TO_CHARACTER[(septet, next(septets)) if septet == ESCAPE else (septet,)]
        for septet in septets
    )


def split(text, encoding):
    """Fill one part after the other, a character at a time."""
    single, joined = {Encoding.GSM_7: (160, 153), Encoding.UCS_2: (70, 67)}[encoding]
    encoded = [encode(character, encoding) for character in text]
    everything = list(itertools.chain.from_iterable(encoded))
    if len(everything) <= single:
        return [everything] if everything else []
    parts = [[]]
    for units in encoded:
        if len(parts[-1]) + len(units) > joined:
            parts.append([])
        parts[-1].extend(units)
    return parts


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts", "billed"),
    [
        pytest.param("a" * 161, Encoding.GSM_7, 161, 2, 2, id="161 a"),
        pytest.param("€" * 81, Encoding.GSM_7, 162, 2, 1, id="81 euro signs"),
        pytest.param(
            "a" * 152 + "€" + "a" * 152, Encoding.GSM_7, 306, 3, 2, id="escape pair on the edge"
        ),
        pytest.param(
            "€" + "a" * 150 + "€" + "a" * 152, Encoding.GSM_7, 306, 3, 2, id="pair after a pair"
        ),
        pytest.param("ça", Encoding.UCS_2, 2, 1, 1, id="small c cedilla"),
        pytest.param("Ça", Encoding.GSM_7, 2, 1, 1, id="capital c cedilla"),
        pytest.param("😀" * 36, Encoding.UCS_2, 72, 2, 1, id="36 emoji"),
        pytest.param("\uffff", Encoding.UCS_2, 1, 1, 1, id="last of the BMP"),
        pytest.param("\U00010000", Encoding.UCS_2, 2, 1, 1, id="first beyond the BMP"),
        pytest.param("", Encoding.GSM_7, 0, 0, 0, id="empty"),
    ],
)
def test_known_texts(text, encoding, units, parts, billed):
    """Texts whose count was worked out by hand."""
    counted = segments(text)

    assert (encoding, units, parts, billed) == (
        counted.encoding,
        counted.units,
        counted.parts,
        counted.billed,
    )


@pytest.mark.parametrize(
    ("character", "length", "parts"),
    [
        *[("a", 1, 1), ("a", 160, 1), ("a", 161, 2), ("a", 306, 2), ("a", 307, 3)],
        *[("a", 153 * 9, 9), ("a", 153 * 9 + 1, 10)],
        *[("€", 80, 1), ("€", 81, 2), ("€", 76 * 2, 2), ("€", 76 * 2 + 1, 3)],
        *[("ç", 70, 1), ("ç", 71, 2), ("ç", 134, 2), ("ç", 135, 3)],
        *[("ç", 67 * 9, 9), ("ç", 67 * 9 + 1, 10)],
        *[("😀", 35, 1), ("😀", 36, 2), ("😀", 33 * 2, 2), ("😀", 33 * 2 + 1, 3)],
    ],
)
def test_edges_of_parts(character, length, parts):
    """A joined text fills parts of 153 septets or 67 code units, less where a pair would break."""
    assert parts == segments(character * length).parts


@pytest.mark.parametrize("character", ["a", "€", "ç", "😀"])
@pytest.mark.parametrize(("length", "billed"), [(1, 1), (160, 1), (161, 2), (320, 2), (321, 3)])
def test_billed_by_characters(character, length, billed):
    """Connectus bills each started 160 characters, whatever their encoding."""
    assert billed == segments(character * length).billed


def test_gsm_7_is_exactly_the_two_tables():
    """Every character of the tables is GSM-7, and no other one of the BMP is."""
    gsm_7 = {
        character
        for character in map(chr, range(0x10000))
        if segments(character).encoding is Encoding.GSM_7
    }

    assert set(TO_SEPTETS) == gsm_7
    assert len(gsm_7) == 127 + 10


@pytest.mark.parametrize("character", TO_SEPTETS)
def test_septets_of_a_character(character):
    """A character of the extension table takes an escape more."""
    assert len(TO_SEPTETS[character]) == segments(character).units


def test_ucs2_only_in_order_of_appearance():
    """Each forcing character is named once, and characters that GSM-7 has are not."""
    assert segments("¡Sí, ça va! 😀 Sí").ucs2_only == ("í", "ç", "😀")


def test_gsm_7_has_no_forcing_character():
    """Nothing is named for a text that GSM-7 can carry."""
    assert segments("¿Ñandu? 5 €").ucs2_only == ()


def test_the_escape_code_is_no_character_of_gsm_7():
    """The escape is a code of the alphabet, not a character of it."""
    assert segments("\x1b").ucs2_only == ("\x1b",)


def test_repr_shows_no_text():
    """Nothing of the text can be read from a log of the result."""
    assert repr(segments("ça 😀")) == (
        "Segments(encoding=<Encoding.UCS_2: 'UCS-2'>, units=5, parts=1, billed=1)"
    )


def test_is_a_value():
    """Results compare, hash, pickle and do not change."""
    counted = segments("ça")

    assert counted == pickle.loads(pickle.dumps(counted))
    assert hash(counted) == hash(segments("ça"))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        counted.parts = 2


def test_encoding_reads_as_its_name():
    """The encoding can be printed and compared as text."""
    assert [str(encoding) for encoding in Encoding] == ["GSM-7", "UCS-2"]


@given(text=ANY_TEXT)
@example(text="a" * 152 + "€" + "a" * 152)
@example(text="ç" * 66 + "😀" + "ç" * 66)
@example(text="a" * 159 + "€")
@example(text="ç" * 69 + "😀")
def test_parts_match_a_character_by_character_split(text):
    """Greedy parts, whole pairs, and every part decodes on its own into its piece of the text."""
    counted = segments(text)
    parts = split(text, counted.encoding)

    assert len(parts) == counted.parts
    assert sum(map(len, parts)) == counted.units
    assert text == "".join(decode(part, counted.encoding) for part in parts)


@given(text=ANY_TEXT)
def test_encoding_is_the_smallest_that_fits(text):
    """UCS-2 exactly if a character is in neither table, and those characters are the ones named."""
    counted = segments(text)
    missing = [character for character in text if character not in TO_SEPTETS]

    assert (Encoding.UCS_2 if missing else Encoding.GSM_7) is counted.encoding
    assert tuple(dict.fromkeys(missing)) == counted.ucs2_only


@given(text=ANY_TEXT, more=ANY_TEXT)
def test_more_text_never_costs_less(text, more):
    """Appending never lowers the units, the parts or the bill."""
    before, after = segments(text), segments(text + more)

    assert before.parts <= after.parts
    assert before.billed <= after.billed
    assert before.units <= after.units or before.encoding is not after.encoding


@given(text=WITH_SURROGATES)
@example(text="\ud83d")
@example(text="\ude00\ud83d")
@example(text="\ud83d" * 71)
def test_lone_surrogates_count_as_one_unit(text):
    """A text that no encoder accepts is still counted, one unit for each lone surrogate."""
    counted = segments(text)

    assert isinstance(counted, Segments)
    assert len(text) + sum(character > "\uffff" for character in text) == counted.units


def test_docstring_examples_hold():
    """The examples of the documentation are true."""
    module = importlib.import_module("connectus_async.segmentation")

    assert doctest.testmod(module) == doctest.TestResults(failed=0, attempted=5)
