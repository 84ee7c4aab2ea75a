"""The place of the header in a file with a title above its table."""

import pytest

from connectus_async.recipients.cells import Cell
from connectus_async.recipients.sources.header import header_place

NAMES = ["dst_number", "name", "city"]
ANA = ["56987688060", "Ana", "Lima"]
LUZ = ["56987688061", "Luz", ""]


@pytest.mark.parametrize(
    ("above", "place"),
    [
        ([], 0),
        ([["Clientes de mayo"]], 1),
        ([[], ["Clientes de mayo", "", ""], []], 3),
        ([["", "Clientes"], ["Fecha: 24-12-2026"]], 2),
    ],
)
def test_a_title_above_the_header_is_left_out(above: list[list[Cell]], place: int):
    """A title has few cells, and the header names all columns below it."""
    assert header_place([*above, NAMES, ANA, LUZ]) == place
    assert header_place([*above, NAMES]) == place


@pytest.mark.parametrize(
    "rows",
    [
        [["dst_number"], ["56987688060"]],
        [["Clientes"], ["dst_number"], ["56987688060"]],
        [["dst_number", "name"], ANA],
        [["dst_number"], ANA],
        [["dst_number"], ["name", 7, 8], ["Ana", 9, 10]],
        [["Fecha", "24-12-2026"], NAMES, ANA],
        [NAMES, ["", "", ""], ANA],
        [NAMES, [*ANA, "a remark"]],
        [["+56 9 8768 8060"], NAMES, ANA],
        [["ana@example.com"], NAMES, ANA],
        [[56987688060], NAMES, ANA],
    ],
    ids=[
        *("one column", "a title and one column", "a column without name", "a row of data"),
        *("numbers", "a title of two cells", "an empty row below", "a remark"),
        *("a number above", "an address above", "a number of a workbook above"),
    ],
)
def test_in_doubt_the_first_row_is_the_header(rows: list[list[Cell]]):
    """No row of data is taken for the header."""
    assert header_place(rows) == 0
    assert header_place([[], *rows]) == 1


def test_without_any_cell_there_is_no_place_to_find():
    """The reader then says that the file is empty."""
    assert header_place([]) == header_place([[], ["", None]]) == 0
