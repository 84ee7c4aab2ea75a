"""A column that a file does not have: what the error says of those that it has."""

from itertools import product

import pytest

from connectus_async import InvalidArgumentError
from connectus_async.recipients.columns import (
    VAGUE_WORDS_FOR,
    WORDS_BESIDE,
    WORDS_FOR,
    column_of,
    find_column,
    listed,
    missing_column,
    nearest,
    recipient_columns,
)


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


@pytest.mark.parametrize(
    "rule", ["color:red", "font-family: Arial;", "\n  color: red;\n  margin: 0\n", "a:b"]
)
def test_a_rule_of_a_style_sheet_is_told_from_a_column(rule: str):
    """Its braces are to be doubled."""
    problem = missing_column(rule, ["name", "color"])

    assert "write {{ and }} for braces that stay. The columns are name, color" in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("name", "columns", "found"),
    [
        ("nombre", ["Nombre", "nombre"], "nombre"),
        ("NÓMBRE", ["nombre"], "nombre"),
        ("dst_number", ["DST Number"], "DST Number"),
        ("Fecha\u00a0de pago", ["fecha de pago"], "fecha de pago"),
        ("n", ["ñ"], "ñ"),
        ("nombre", ["nombres"], None),
        ("", ["_", "a"], None),
        ("_", ["__"], None),
    ],
)
def test_a_column_is_found_by_its_name(name: str, columns: list[str], found: str | None):
    """As it is written, or in another spelling; never another name."""
    assert find_column("to", name, columns) == found


def test_of_several_columns_none_is_taken():
    """They are named."""
    with pytest.raises(InvalidArgumentError, match="to: 'a' may be any of the columns A, Á; write"):
        column_of("to", "a", ["A", "Á", "b"])


NUMBERS = [
    *("Teléfono", "Celular", "Móvil", "WhatsApp", "Phone 1 - Value", "Numero de telefono", "fono"),
    *(
        "cel.",
        "tel",
        "Número",
        "N.º de celular",
        "Nº celular",
        "Celular (WhatsApp)",
        "Mobile Phone",
    ),
    *("Phone Number", "phoneNumber", "numero_telefono", "Tel. 2", "Telefone celular", "Telemóvel"),
    *("Telefone do cliente", "Nro. Tel", "Número de contacto", "Nro.", "MOBILE NO."),
]
ADDRESSES = [
    *("e-mail", "E-mail 1 - Value", "Correo", "Correo electrónico", "Email Address", "EMAIL"),
    *("Dirección de correo", "mail", "E-mail pessoal", "Endereço de e-mail", "email_cliente"),
]
OTHERS = [
    *("Teléfono fijo", "Phone 1 - Type", "Phone 1 - Label", "Numero de cuenta", "hotel", "cartel"),
    *("número de documento", "nextel", "Contacto", "Código de país", "Cliente", "id", "N.º", "no"),
    *("email opt out", "Email Type", "Dirección", "WhatsApp opt-in", "telefono_emergencia", ""),
    *("Fecha de celular", "Celular " * 9, "56987688060", "ana@example.com"),
]


@pytest.mark.parametrize("column", NUMBERS)
def test_a_column_of_numbers_is_known_by_its_name(column: str):
    """In three languages."""
    assert recipient_columns("dst_number", ["nombre", *OTHERS, column]) == [column]


@pytest.mark.parametrize("column", ADDRESSES)
def test_a_column_of_addresses_is_known_by_its_name(column: str):
    """As above."""
    assert recipient_columns("dst_email", ["nombre", *OTHERS, column]) == [column]


def test_a_vague_name_counts_where_no_other_is_telling():
    """A number may be that of a house."""
    assert recipient_columns("dst_number", ["Número", "Celular", "Fono"]) == ["Celular", "Fono"]
    assert recipient_columns("dst_number", ["Número", "Nro."]) == ["Número", "Nro."]


def test_a_name_has_one_reading():
    """So that none takes long to read, whoever wrote the file."""
    telling = {word for words in WORDS_FOR.values() for some in words for word in some}
    words = telling | {it for some in VAGUE_WORDS_FOR.values() for it in some} | {*WORDS_BESIDE}
    together = {one + other for one, other in product(words, repeat=2)}

    assert not words & together
