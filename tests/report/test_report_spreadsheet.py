"""No cell of an export is taken for a formula, and no phone number is spoilt."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async.report.spreadsheet import guarded, guarded_column

SIGNS = "=+-@＝＋－＠"  # noqa: RUF001 - in full width too
HOSTILE_TEXT = st.text(st.sampled_from(SIGNS + "\"' \t\r\n\0;|,a1\u200b\ufeff\xa0"))


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "@SUM(A1)",
        "+1+1",
        "-1",
        '=HYPERLINK("http://example.com")',
        "  =1+1",
        '"=1+1',
        "'=1+1",
        "\t=1+1",
        "\ttext",
        "\rtext",
        "\ntext",
        "＝1+1",  # noqa: RUF001
        "\ufeff=1+1",
        "+56 9 8768 8060",
        "+56987688060\n=1+1",
        "+٥٦",
    ],
)
def test_what_may_begin_a_formula_gets_an_apostrophe(cell: str):
    """Blanks, quotes and full-width signs hide nothing."""
    assert guarded(cell).startswith("'" + cell[:1])


@pytest.mark.parametrize("separator", [";", "|", "\t", "\n", "\r"])
def test_a_cell_that_another_separator_would_begin_is_guarded_too(separator: str):
    """Where the comma is the decimal sign, Excel splits at semicolons."""
    assert guarded(f'ok{separator} "=1+1') == f"ok{separator}' \"=1+1"


@pytest.mark.parametrize(
    "cell", ["+56987688060", "56987688060", "a-b", "ana@ejemplo.cl", "1, -2", "Ñandú", "", -5, None]
)
def test_everything_else_stays_as_it_is(cell: object):
    """A phone number is a plus and digits; a number is no text."""
    assert guarded(cell) == cell


@given(HOSTILE_TEXT)
def test_no_text_is_left_that_begins_a_formula(text: str):
    """Wherever a spreadsheet may split it; only apostrophes are put in."""
    safe = guarded(text)

    parts = re.split(r"[;|\t\r\n]", safe)
    assert safe == text or safe.replace("'", "") == text.replace("'", "")
    assert re.fullmatch(r"\+[0-9]+", safe) or not any(
        part.lstrip().startswith(tuple(SIGNS)) for part in parts
    )


@given(st.lists(st.none() | st.integers() | HOSTILE_TEXT))
def test_a_column_is_guarded_as_its_cells_are(cells: list[object]):
    """The quick look at all of them lets nothing through."""
    assert list(guarded_column(cells)) == [guarded(cell) for cell in cells]


def test_an_endless_cell_is_guarded_at_once():
    """What a row holds cannot hold up the export."""
    assert guarded("a" + "\n" * 500_000 + " " * 500_000 + "=").count("'") == 1
