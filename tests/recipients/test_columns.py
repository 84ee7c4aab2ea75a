"""A column that a file does not have: what the error says of those that it has."""

import pytest

from connectus_async.recipients.columns import listed, missing_column, nearest


@pytest.mark.parametrize(
    ("name", "columns", "meant"),
    [
        ("dst_number", ["id", "Teléfono"], "Teléfono"),
        ("dst_number", ["numero de cuenta", "Celular"], "Celular"),
        ("dst_number", ["dst number", "phone"], "dst number"),
        ("dst_email", ["Correo electrónico", "e-mail"], "e-mail"),
        ("nombre", ["Nombre", "NOMBRE"], "Nombre"),
        ("name", ["last_name", "city"], "last_name"),
        ("name", ["id", "city"], None),
        ("dst_number", [], None),
    ],
)
def test_the_nearest_column_is_the_one_that_is_meant(name, columns, meant):
    """By its letters first, then by what people call such a column."""
    assert nearest(name, columns) == meant


@pytest.mark.parametrize("cell", ["56987688060", "+56 9 8768 8060", "ana@example.com"])
def test_a_row_of_data_is_not_quoted(cell):
    """A file without names has a recipient in its first line."""
    problem = missing_column("dst_number", ["Ana", cell])

    assert "looks like a row of data" in problem
    assert cell not in problem
    assert "Ana" not in problem


def test_the_columns_of_a_large_table_are_cut_off():
    """The error stays one sentence."""
    assert listed([f"c{place}" for place in range(30)]).endswith("c19, …")
    assert listed(["x" * 100, "a\nb"]) == "x" * 40 + "…, a?b"


def test_one_column_may_be_many():
    """With another delimiter."""
    problem = missing_column("dst_number", ["dst_number;name"])

    assert problem.endswith("the file has only one, 'dst_number;name', so its delimiter is another")
