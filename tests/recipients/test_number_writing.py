"""Numbers as people type them: their digits are those that were written, in their order."""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async import InvalidArgumentError, Sms
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.number_writing import numbers_in
from connectus_async.recipients.phone_numbers import checker
from connectus_async.recipients.sources import Line
from connectus_async.recipients.templates import Template

MARKS = [
    *("\u200e", "\u200f", "\u202a", "\u202b", "\u202c", "\u202d", "\u2066", "\u2067", "\u2068"),
    *("\u2069", "\ufeff", "\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\u061c"),
]
BLANKS = [" ", "\t", "\u00a0", "\u2007", "\u2009", "\u202f", "\u3000"]
DASHES = ["-", "\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2212", "\uff0d"]


@pytest.mark.parametrize("region", [None, "CL"])
@pytest.mark.parametrize("sign", [*MARKS, *BLANKS, *DASHES], ids=ascii)
def test_what_stands_between_digits_is_taken_off(sign: str, region: str | None):
    """Seen or not; at both ends too, but for dashes."""
    end = "" if sign in DASHES else sign
    number = f"{end}+56{sign}9{sign}87688060{end}"

    assert checker(region)("phone", number) == "56987688060"


@pytest.mark.parametrize(
    "number",
    [
        *("(+56) 9 8768 8060", "+56 (9) 8768-8060", "[56] 9 8768 8060", "+56.9.8768.8060"),
        *("tel:+56-9-8768-8060", "TEL: +56 9 8768 8060", "'56987688060", "\uff0b56\uff0f987688060"),
        *("\uff15\uff16\uff19\uff18\uff17\uff16\uff18\uff18\uff10\uff16\uff10", "56/987688060"),
        "+\u0665\u0666\u0669\u0668\u0667\u0666\u0668\u0668\u0660\u0666\u0660",
        "+\u06f5\u06f6\u06f9\u06f8\u06f7\u06f6\u06f8\u06f8\u06f0\u06f6\u06f0",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("region", [None, "CL"])
def test_a_number_is_read_in_any_writing(number: str, region: str | None):
    """With brackets, dots, and the digits of any script."""
    assert checker(region)("phone", number) == "56987688060"


@pytest.mark.parametrize(
    ("region", "number", "digits"),
    [
        ("AR", "11/2345-6789", "541123456789"),
        ("AR", "(0341) / 456-7890", "543414567890"),
        ("CL", "2/2345 6789", "56223456789"),
        ("CL", "+56 2/2345 6789", "56223456789"),
    ],
)
def test_a_slash_may_follow_an_area_code(region: str, number: str, digits: str):
    """The rest is long enough to be no second number cut short."""
    assert checker(region)("phone", number) == digits


@pytest.mark.parametrize(
    "number",
    [
        *("22345678/9", "22345678/79", "2234567/8", "9/8768/8060", "12/11/2025", "98768/8060"),
        *("56987688060\n1", "+56\n987688060", "987688060 (Ana)", "cel 987688060", "98768_8060"),
        *(
            "98768+8060",
            "9876880\u00b60",
            "987688\u2070\u2076\u2070",
            "9\u20dd87688060",
            "9876880 6O",
        ),
        *(
            "22345678 (9)",
            "56987688060(1)",
            "2) 2345678",
            "1) 987688060",
            "987688060 (",
            "(987688060",
        ),
        *("987688060,", "987688060;phone-context=+56", "https://wa.me/56987688060"),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("region", [None, "CL", "MX"])
def test_what_may_be_another_number_is_refused(number: str, region: str | None):
    """Joined, its digits may be a stranger's number."""
    with pytest.raises(InvalidArgumentError):
        checker(region)("phone", number)


@pytest.mark.parametrize(
    "extension",
    [
        *(
            " ext. 12",
            " ext 12",
            "ext12",
            ";ext=12",
            " x12",
            " x 12",
            " anexo 3",
            " (anexo 3)",
            " #12",
        ),
        *(" interno 5", " int. 5", " ramal 21", " extensi\u00f3n 4", ", ext: 4", " EXT. 12", "#4"),
    ],
)
@pytest.mark.parametrize("number", ["+56223456789", "2 2345 6789", "(2) 2345 6789"])
def test_an_extension_is_refused_and_not_taken_off(number: str, extension: str):
    """The line of the whole office would get the message."""
    with pytest.raises(InvalidArgumentError, match="has an extension, which no message reaches"):
        checker("CL")("phone", number + extension)


@pytest.mark.parametrize(
    "between",
    [
        *(" ::: ", "/", " / ", ";", ",", ", ", " y ", " Y ", " o ", " e ", " and ", " or ", "\n"),
        *("\r\n", "\u2028", "|", " & ", "+", " +", "   ", " ", " - ", " -- ", "\t"),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("region", [None, "CL"])
def test_two_numbers_are_told(between: str, region: str | None):
    """Neither is chosen."""
    number = f"56987688060{between}56223456789"

    with pytest.raises(InvalidArgumentError, match="has 2 numbers; leave one, or let"):
        checker(region)("phone", number)
    assert numbers_in("phone", number) == [
        "56987688060",
        f"{between.strip()[:1] * (between.strip() == '+')}56223456789",
    ]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("+54 / 987688060 / 987688061", []),
        ("+54 987688060 987688061", ["+54 987688060 987688061"]),
        ("11/23456789/23456780", []),
        ("Ana, 987688060", []),
        ("987688060, Ana", []),
        ("987688060,", ["987688060"]),
        ("22345678/79/80", ["22345678"]),
        ("22345678 - 22345679", ["22345678", "22345679"]),
        ("+5021900 1112222", ["+5021900 1112222"]),
        ("9 8768 8060  9 8768 8061", ["9 8768 8060", "9 8768 8061"]),
        ("\u202a987688060\u202c\uff0f9\u00a08768\u00a08061", ["987688060", "9 8768 8061"]),
        ("9 8768 8060 9 8768 8061", ["9 8768 8060 9 8768 8061"]),
        ("987688060" + " " * 250 + "987688061", []),
        ("", []),
    ],
)
def test_a_part_that_belongs_to_the_next_is_not_left_out(text: str, numbers: list[str]):
    """Without its area or country a number is another's."""
    assert numbers_in("phone", text) == numbers


def test_a_cell_without_end_is_refused_at_once():
    """Whatever it has."""
    with pytest.raises(InvalidArgumentError, match="is too long for a phone number"):
        checker("CL")("phone", "9" + " " * 2**20 + "8")


def test_three_numbers_are_counted():
    """As the sentence says."""
    with pytest.raises(InvalidArgumentError, match="has 3 numbers"):
        checker("CL")("phone", "987688060 ::: 987688061 ::: 223456789")


@pytest.mark.parametrize(
    "number", ["-987688060", "(-987688060)", "\u2212987688060", "\u2013 987688060"], ids=ascii
)
@pytest.mark.parametrize("region", [None, "CL"])
def test_a_negative_number_is_refused(number: str, region: str | None):
    """A spreadsheet takes +56-987688060 for a sum: its result may be a stranger's number."""
    with pytest.raises(InvalidArgumentError, match="begins with a minus"):
        checker(region)("phone", number)


def test_digits_that_are_shown_in_another_order_are_refused():
    """Nobody knows which order was meant."""
    with pytest.raises(InvalidArgumentError, match="shows its digits in another order"):
        checker("CL")("phone", "\u202e060886789\u202c")


NOISE = [
    *MARKS,
    *BLANKS,
    *DASHES,
    *(
        "+",
        "00",
        "(",
        ")",
        "[",
        "]",
        ".",
        "..",
        "/",
        ",",
        ";",
        ":",
        ":::",
        "\n",
        "\r\n",
        "\u2028",
        "#",
        "x",
    ),
    *(
        "ext",
        "ext.",
        ";ext=",
        "anexo",
        "y",
        "o",
        " y ",
        "tel:",
        "e",
        "E",
        "_",
        "\u202e",
        "\u0664",
        "\uff15",
    ),
    *("\u00b2", "\u2460", "\u00bd", "\u0301", "0", "15", "1"),
]
REGIONS = [None, "CL", "MX", "AR", "BR", "PE", "CO", "EC", "US", "GT"]
SEEDS = [
    *("56987688060", "987688060", "223456789", "5512345678", "525512345678", "5215512345678"),
    *("1123456789", "5491123456789", "11987654321", "5511987654321", "987654321", "3001234567"),
    *("0987654321", "2015550123", "12015550123", "51234567", "50251234567", "0341456789"),
]


def digits_of(text: str) -> str:
    return "".join(str(unicodedata.decimal(sign)) for sign in text if sign.isdecimal())


@given(
    st.sampled_from(REGIONS),
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 13), st.sampled_from(NOISE)), max_size=5),
)
def test_the_digits_are_those_that_were_written(
    region: str | None, seed: str, noise: list[tuple[int, str]]
):
    """In their order, and nothing else, whatever stands between them."""
    text = seed
    for place, sign in noise:
        text = text[:place] + sign + text[place:]
    try:
        read = checker(region)("phone", text)
    except InvalidArgumentError:
        return

    assert_is_what_was_written(region, read, text)


@given(
    st.sampled_from(REGIONS),
    st.text(st.sampled_from(["0123456789", *NOISE]).flatmap(st.sampled_from), max_size=20),
)
def test_no_text_is_read_as_other_digits(region: str | None, text: str):
    """Not one that is put together at random either."""
    try:
        read = checker(region)("phone", text)
    except InvalidArgumentError:
        return

    assert_is_what_was_written(region, read, text)


@given(
    st.sampled_from(REGIONS),
    st.lists(
        st.sampled_from([*SEEDS, "123456", "4567890", "12", "+56", "549", "Ana", ""]),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([" ::: ", "/", ";", ", ", " y ", "\n", " - ", "  ", " "]),
)
def test_the_first_number_is_one_that_was_written(
    region: str | None, parts: list[str], between: str
):
    """The first that is valid, in one part of the cell or in parts that stand beside each other."""
    digits = checker(region)
    composer = Composer(
        kind="sms", sms_content=Template.parse("text", "Hola"), normalise=digits, first_number=True
    )
    content = composer.compose(Line(2, {"dst_number": between.join(parts)})).content

    valid = []
    for part in parts:
        with suppress(InvalidArgumentError):
            valid.append(digits("phone", part))
    if isinstance(content, Sms) and content.dst_number not in valid[:1]:
        together = ("".join(parts[first:end]) for first, end in combinations(range(5), 2))
        assert content.dst_number in [it for text in together for it in readings(region, text)]


def assert_is_what_was_written(region: str | None, read: str, text: str) -> None:
    """The bare digits say the same; (0) stands for a digit that is dialled at home alone."""
    assert re.fullmatch(r"\d{8,15}", read)
    bare = {digits_of(text), digits_of(text.replace("(0)", ""))}
    assert read in {it for digits in bare for it in (digits, *readings(region, digits))}


def readings(region: str | None, digits: str) -> Iterator[str]:
    for number in (digits, f"+{digits}"):
        with suppress(InvalidArgumentError):
            yield checker(region)("phone", number)
