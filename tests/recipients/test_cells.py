"""Formatting of cells: one written form, or an error."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async import InvalidArgumentError
from connectus_async.recipients.cells import format_cell, is_blank


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (" Ana ", "Ana"),
        ("Na", "Na"),
        ("Nan", "Nan"),
        ("Null", "Null"),
        ("#VIVA!", "#VIVA!"),
        (0, "0"),
        (-12990, "-12990"),
        (12990.0, "12990"),
        (9.5, "9.5"),
        (Decimal("9.50"), "9.50"),
        (Decimal("1E+3"), "1000"),
        (dt.date(2026, 7, 31), "2026-07-31"),
        (dt.datetime(2026, 7, 31), "2026-07-31"),
        (dt.datetime(2026, 7, 31, 9, 30, 0, 5), "2026-07-31 09:30:00"),
        (dt.datetime(2026, 7, 31, tzinfo=dt.UTC), "2026-07-31 00:00:00+00:00"),
        (dt.time(9, 30), "09:30:00"),
    ],
)
def test_a_cell_is_written_without_its_type(cell: object, text: str):
    """A whole number has no decimals, and a day no time."""
    assert format_cell("name", cell) == text


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (None, "is empty in this row"),
        ("", "is empty in this row"),
        (" \n", "is empty in this row"),
        (float("nan"), "is empty in this row"),
        (True, "is a boolean"),
        (float("inf"), "is a number too large or too small"),
        (1e300, "is a number too large or too small"),
        (1e-300, "is a number too large or too small"),
        (Decimal("Infinity"), "is a number too large or too small"),
        ([1], "must be text or a number, not list"),
        ({"a": 1}, "must be text or a number, not dict"),
        (b"Ana", "must be text or a number, not bytes"),
        (" #N/D ", "is #N/D in this row, which programs write where there is no value"),
        ("#¡REF!", "is #¡REF! in this row"),
        ("########", "is ######## in this row"),
        ("Err:522", "is Err:522 in this row"),
        ("NA", "is NA in this row"),
        ("nan", "is nan in this row"),
        (r"\N", r"is \\N in this row"),
        ("<NA>", "is <NA> in this row"),
        (dt.timedelta(1), "must be text or a number, not timedelta"),
    ],
)
def test_a_cell_that_has_no_one_way_to_be_written_is_refused(cell: object, problem: str):
    """The column is named, and the value shown only if it is a sign of a missing one."""
    with pytest.raises(InvalidArgumentError, match=f"name: {problem}"):
        format_cell("name", cell)


@given(st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.decimals()))
def test_a_cell_is_blank_or_written_without_blanks(cell: float | str | Decimal | None):
    """The result is never empty, and parses as the same number."""
    if is_blank(cell):
        return
    try:
        text = format_cell("name", cell)
    except InvalidArgumentError:
        assert isinstance(cell, int | float | Decimal)
        return
    assert text
    assert text == text.strip()
    if isinstance(cell, int | float | Decimal):
        assert type(cell)(text) == cell
