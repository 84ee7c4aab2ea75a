"""Placeholders are plain column names, and every one must have a value."""

import pytest

from connectus_async import InvalidArgumentError
from connectus_async.bulk.templates import Template


def test_placeholders_are_filled_and_braces_can_be_written():
    """Doubled braces are braces, and blanks around a value go."""
    template = Template.parse("text", "{{Hola}} {name}, {name}!")

    assert template.fill({"name": " Ana "}) == "{Hola} Ana, Ana!"


@pytest.mark.parametrize("text", ["{", "}", "{name", "{}", "{ }", "{name!r}", "{name:>9}"])
def test_a_malformed_placeholder_is_refused(text: str):
    """The error comes before any row is read, and names the option."""
    with pytest.raises(InvalidArgumentError) as caught:
        Template.parse("text", text)

    assert caught.value.field == "text"


@pytest.mark.parametrize("text", ["{name.__class__}", "{name[0]}"])
def test_a_placeholder_reaches_no_attribute_and_no_index(text: str):
    """A template from outside cannot look into our objects."""
    with pytest.raises(InvalidArgumentError, match="plain name of a column"):
        Template.parse("text", text)


def test_the_columns_are_named_where_one_is_missing():
    """A misspelt placeholder shows what could have been meant."""
    with pytest.raises(InvalidArgumentError, match=r"\{nombre\}; the columns are dst_number, name"):
        Template.parse("text", "Hola {nombre}").check(["dst_number", "name"])


@pytest.mark.parametrize("row", [{}, {"name": ""}, {"name": "  "}])
def test_an_empty_value_is_an_error_that_names_the_column(row: dict[str, str]):
    """No recipient is greeted with a hole."""
    with pytest.raises(InvalidArgumentError, match="name: is empty in this row"):
        Template.parse("text", "Hola {name}").fill(row)
