"""Placeholders are plain column names, and every one must have a value."""

import html
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async import InvalidArgumentError
from connectus_async.recipients.templates import JinjaTemplate, Template, parse_template


def test_placeholders_are_filled_and_braces_can_be_written():
    """Doubled braces are braces, and blanks around a value go."""
    template = Template.parse("text", "{{Hola}} {name}, {name}!")

    assert template.fill({"name": " Ana "}) == "{Hola} Ana, Ana!"


def test_numbers_are_written_as_they_are_read():
    """A whole number has no decimals, even where pandas made it a float."""
    template = Template.parse("text", "{points} puntos, {price}")

    assert template.fill({"points": 120.0, "price": 9.5}) == "120 puntos, 9.5"


@pytest.mark.parametrize("text", ["{", "}", "{name", "name}", "{}", "{ }", "{a{b}}"])
def test_a_malformed_placeholder_is_refused(text: str):
    """The error comes before any row is read, and names the option."""
    with pytest.raises(InvalidArgumentError) as caught:
        Template.parse("text", text)

    assert caught.value.field == "text"


@pytest.mark.parametrize("text", ["{name.__class__}", "{name[0]}", "{name!r}", "{name:>9}"])
def test_a_placeholder_reaches_no_attribute_and_no_index(text: str):
    """A template from outside cannot look into our objects: it names columns, and no more."""
    with pytest.raises(InvalidArgumentError, match="text: "):
        Template.parse("text", text).bound(["name"])


@pytest.mark.parametrize(
    "name",
    [
        "Nro.",
        "N.º",
        "Nombre.completo",
        "Hora: inicio",
        "Phone 1 - Value",
        "x[0]",
        "a!b",
        "precio ($)",
    ],
)
@pytest.mark.parametrize("engine", ["plain", "jinja"])
def test_a_column_may_have_any_name(engine: str, name: str):
    """But for braces."""
    form = {"plain": f"<{{{name}}}>", "jinja": f"<{{{{ row[{name!r}] }}}}>"}[engine]
    row = {"Hora": "1", "Nombre": "2", "N": "3", "x": "4", "a": "5", name: "6"}

    assert parse_template("text", form, engine=engine).bound([*row]).fill(row) == "<6>"


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("nombre", "Nombre"),
        ("NOMBRE", "nombre"),
        ("telefono", "Teléfono"),
        ("Tel\u00e9fono", "Tele\u0301fono"),
        ("Fecha de pago", "fecha\N{NO-BREAK SPACE}de  pago "),
        ("nombre", "\N{ZERO WIDTH NO-BREAK SPACE}nombre\N{LEFT-TO-RIGHT MARK}"),
        ("nombre_completo", "Nombre completo"),
        ("straße", "STRASSE"),
    ],
)
@pytest.mark.parametrize("engine", ["plain", "jinja"])
def test_a_column_is_found_in_any_spelling(engine: str, name: str, column: str):
    """Case, accents, blanks and what is not seen make no difference."""
    form = {"plain": f"Hola {{{name}}}", "jinja": f"Hola {{{{ row[{name!r}] }}}}"}[engine]
    template = parse_template("text", form, engine=engine).bound(["dst_number", column])

    assert template.fill({"dst_number": "1", column: "Ana"}) == "Hola Ana"


@pytest.mark.parametrize("engine", ["plain", "jinja"])
def test_the_exact_name_comes_first_and_two_others_are_named(engine: str):
    """Nobody gets the value of the wrong one of two."""
    form = {"plain": "Hola {nombre}", "jinja": "Hola {{ nombre }}"}[engine]
    template = parse_template("text", form, engine=engine)

    bound = template.bound(["Nombre", "nombre", "NOMBRE"])
    assert bound.fill({"Nombre": "1", "nombre": "2", "NOMBRE": "3"}) == "Hola 2"
    with pytest.raises(
        InvalidArgumentError, match="text: 'nombre' may be any of the columns Nombre, NOMBRE;"
    ):
        template.bound(["Nombre", "NOMBRE", "n"])


@pytest.mark.parametrize("engine", ["plain", "jinja"])
def test_the_columns_are_named_where_one_is_missing(engine: str):
    """The error of a misspelt placeholder lists the columns."""
    form = {"plain": "Hola {nombre}", "jinja": "Hola {{ nombre }}"}[engine]
    template = parse_template("text", form, engine=engine)

    template.bound(["nombre", "dst_number"])
    with pytest.raises(
        InvalidArgumentError, match=r"no column 'nombre'; did you mean 'name'\? The columns are dst"
    ):
        template.bound(["dst_number", "name"])


@pytest.mark.parametrize("row", [{}, {"name": ""}, {"name": "  "}, {"name": None}])
def test_an_empty_value_is_an_error_that_names_the_column(row: dict[str, str | None]):
    """No recipient is greeted with a hole."""
    with pytest.raises(InvalidArgumentError, match="name: is empty in this row"):
        Template.parse("text", "Hola {name}").fill(row)


@pytest.mark.parametrize("engine", ["plain", "jinja"])
def test_a_value_is_escaped_in_html(engine: str):
    """A name from a file is not HTML; the template is."""
    form = {"plain": "<p>{name}</p>", "jinja": "<p>{{ name }}</p>"}[engine]
    row = {"name": '<b>Ana</b> & "Eva"'}

    as_html = parse_template("text", form, engine=engine, html=True)
    as_text = parse_template("text", form, engine=engine)

    assert html.unescape(as_html.fill(row)) == as_text.fill(row)
    assert "<b>" not in as_html.fill(row)
    assert "<b>Ana</b>" in as_text.fill(row)


def test_an_engine_is_one_of_two():
    """A misspelt one is not taken for the plain one."""
    with pytest.raises(InvalidArgumentError, match="engine: must be"):
        parse_template("text", "Hola", engine="mako")


def test_neither_template_shows_its_text():
    """It may contain personal text."""
    for template in (Template.parse("text", "Hola {name}"), JinjaTemplate.parse("text", "Hola")):
        assert "Hola" not in repr(template)


@pytest.mark.parametrize(
    "text", ["Hola", "{{Hola}} {name}, {name}!", "{a}{b}", "a{{b}}c {{{x}}} }}", "{{", "{x}}}", ""]
)
def test_the_parts_of_a_template_stay_as_earlier_versions_recorded_them(text: str):
    """A ledger tells an edited text by them."""
    parts = tuple((literal, name) for literal, name, _, _ in string.Formatter().parse(text))

    assert Template.parse("text", text).source == ("plain", parts, False)
    assert Template.parse("text", text).bound(["name", "A", "b", "x"]).source[1] == parts


NAMES = st.text(string.ascii_letters, min_size=1, max_size=8)
VALUES = st.text(min_size=1).filter(str.strip)


@given(st.lists(st.one_of(st.text(), NAMES.map(lambda name: (name,)))), st.data())
def test_a_text_is_what_stands_between_the_placeholders_and_in_them(
    pieces: list[str | tuple[str]], data: st.DataObject
):
    """Whatever the text and the values hold, braces included."""
    row = {piece[0]: data.draw(VALUES) for piece in pieces if isinstance(piece, tuple)}
    text = "".join(
        piece.replace("{", "{{").replace("}", "}}") if isinstance(piece, str) else f"{{{piece[0]}}}"
        for piece in pieces
    )

    filled = Template.parse("text", text).fill(row)

    assert filled == "".join(
        piece if isinstance(piece, str) else row[piece[0]].strip() for piece in pieces
    )
