"""Number formats: whatever they are, no wrong digit is taken for a phone number."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async.recipients.cells import ErrorCell, Shown, ShownDigits, ShownInt, format_cell
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.sources import Line
from connectus_async.recipients.sources.workbooks.number_formats import NumberFormats
from connectus_async.recipients.sources.workbooks.shown_digits import shown_number
from connectus_async.recipients.templates import parse_template

SIGNS = [*"0#?.,%@/;-+() $", "0000", "#,##0", '"+56 "', '"N° "', r"\-", "_)", "* ", "General"]
OTHERS = ["E+00", "[Red]", "[h]", "[<9]", "[$$-340A]", "d", "mm", "yyyy", "hh", "ss", "AM/PM", '"']
PIECES = st.sampled_from(SIGNS + OTHERS)
FORMATS = st.lists(PIECES, max_size=8).map("".join)
NUMBERS = st.one_of(
    st.integers(10**7, 10**13).map(float),
    st.integers(-(10**16), 10**16).map(float),
    st.floats(-1e300, 1e300),
)


def digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


def recipient_of(cell: object) -> str | None:
    text = parse_template("sms_content", "Hola")
    composer = Composer(kind="sms", to="n", sms_content=text)
    content = composer.compose(Line(2, {"n": cell})).content  # type: ignore[dict-item]
    return getattr(content, "dst_number", None)


@given(form=FORMATS, number=NUMBERS, region=st.sampled_from(["CL", "MX", None]))
def test_a_phone_number_has_the_digits_of_its_cell(form: str, number: float, region: str | None):
    """They end with those of the value, which is whole; what comes before them is shown, too."""
    cell = NumberFormats(region, "a.xlsx", since_1904=False).to_cell(form)(number, 1)

    found = recipient_of(cell)

    if found is not None:
        assert number == int(number) > 0
        assert found.endswith(str(int(number)))
        shown = cell.shown if isinstance(cell, Shown) else str(cell)
        assert shown is not None
        assert found in {digits(shown), str(int(number))}
        if found != str(int(number)):
            assert isinstance(cell, ShownDigits)


@given(number=NUMBERS, text=st.text(alphabet="0123456789 +-().,%E'", max_size=20))
def test_a_number_that_says_what_it_shows_is_a_phone_number_only_if_both_agree(
    number: float, text: str
):
    """The text of a document may be anything."""
    found = recipient_of(shown_number(number, text))

    if found is not None:
        assert found.endswith(str(int(number)))
        assert number == int(number)
        assert digits(text).lstrip("0").startswith(found[: -len(str(int(number)))])


@given(number=st.integers(-(10**14), 10**14), places=st.integers(0, 4))
def test_decimals_are_rounded_as_a_sheet_does(number: int, places: int):
    """Halves go away from zero, as the 15 digits that a sheet keeps show them."""
    value = number / 10**3
    form = "#,##0" + "." * (places > 0) + "0" * places
    cell = NumberFormats("CL", "a.xlsx", since_1904=False).to_cell(form)(value, 1)

    expected = Decimal(f"{value:.15g}").quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    written = format_cell("c", cell).replace(".", "").replace(",", ".")
    assert Decimal(written) == expected


@given(form=FORMATS, number=NUMBERS, region=st.sampled_from(["CL", None]))
def test_every_format_makes_a_cell_or_is_named(form: str, number: float, region: str | None):
    """None of them is an error of the file."""
    formats = NumberFormats(region, "a.xlsx", since_1904=False)
    cell = formats.to_cell(form)(number, 7)

    if isinstance(cell, Shown) or cell is None or isinstance(cell, ErrorCell | ShownInt):
        assert not isinstance(cell, Shown) or cell.shown != ""
    else:
        is_named = 7 in formats.unknown or 7 in formats.without_country
        assert is_named or cell == number


@pytest.mark.parametrize("form", ["0" * 300, '"' * 3, "[" * 50, "\\", "_", "*", ";" * 20])
def test_a_form_that_is_broken_is_not_known(form: str):
    """Its cells keep their value."""
    formats = NumberFormats("CL", "a.xlsx", since_1904=False)

    assert formats.to_cell(form)(5.0, 1) in {5.0, None}
