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


@pytest.mark.parametrize("text", ["{", "}", "{name", "{}", "{ }", "{name!r}", "{name:>9}"])
def test_a_malformed_placeholder_is_refused(text: str):
    """The error comes before any row is read, and names the option."""
    with pytest.raises(InvalidArgumentError) as caught:
        Template.parse("text", text)

    assert caught.value.field == "text"


@pytest.mark.parametrize("text", ["{name.__class__}", "{name[0]}"])
def test_a_placeholder_reaches_no_attribute_and_no_index(text: str):
    """A template from outside cannot look into our objects."""
    with pytest.raises(InvalidArgumentError, match="just the name of a column"):
        Template.parse("text", text)


@pytest.mark.parametrize("engine", ["plain", "jinja"])
def test_the_columns_are_named_where_one_is_missing(engine: str):
    """The error of a misspelt placeholder lists the columns."""
    form = {"plain": "Hola {nombre}", "jinja": "Hola {{ nombre }}"}[engine]
    template = parse_template("text", form, engine=engine)

    template.check(["nombre", "dst_number"])
    with pytest.raises(
        InvalidArgumentError, match=r"no column 'nombre'; did you mean 'name'\? The columns are dst"
    ):
        template.check(["dst_number", "name"])


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
