"""Sandboxed Jinja: enough for a message, with limits on access, time and output."""

import datetime as dt
import sys

import pytest

from connectus_async import ConfigurationError, InvalidArgumentError
from connectus_async.recipients.cells import Cell
from connectus_async.recipients.templates import JinjaTemplate

ROW: dict[str, Cell] = {
    "name": " Ana ",
    "empty": " ",
    "price": 12990.0,
    "vip": True,
    "day": dt.datetime(2026, 7, 31),
    "tags": ["a", "b"],
    "items": [{"what": "té", "price": 2}, {"what": "pan", "price": 3}],
}


def fill(text: str, **options: bool) -> str:
    return JinjaTemplate.parse("text", text, **options).fill(ROW)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Hola {{ name }}\n", "Hola Ana\n"),
        ("{{ name|upper }} {{ name.lower() }}", "ANA ana"),
        ("{% if vip %}VIP{% else %}-{% endif %}", "VIP"),
        ("{% if empty %}E{% else %}-{% endif %}{{ empty == 'x' or 'no' }}", "-no"),
        ("{{ empty|default('amiga') }} {{ 'si' if empty is defined else 'no' }}", "amiga no"),
        ("{{ price }} {{ price * 2 }} {{ price // 1000 + 1 }}", "12990 25980 13"),
        ("{{ (price / 7)|round(2) }}", "1855.71"),
        ("{{ day }} {{ day.strftime('%d-%m-%Y') }}", "2026-07-31 31-07-2026"),
        ("{{ tags|join(', ') }} {{ tags|first }} {{ tags|length }}", "a, b a 2"),
        ("{{ items|map(attribute='what')|join('+') }}", "té+pan"),
        ("{{ items|sum(attribute='price') }}", "5"),
        ("{% for i in items %}{{ loop.index }}.{{ i.what }} {% endfor %}", "1.té 2.pan "),
        ("{% for i in items if i.price > 2 %}{{ i.what }}{% else %}-{% endfor %}", "pan"),
        ("{% for k, v in items[0].items() %}{{ k }}={{ v }} {% endfor %}", "what=té price=2 "),
        ("{% for i in range(3) %}{{ i }}{{ loop.cycle('a', 'b') }}{% endfor %}", "0a1b2a"),
        ("{% set who = name ~ '!' %}{{ who }}", "Ana!"),
        ("{{ name|replace('a', 'o') }} {{ 'x' in ['x', 'y'] and name }}", "Ano Ana"),
        ("{# not seen #}{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
    ],
)
def test_what_a_message_needs_is_there(text: str, filled: str):
    """Values are written as plain templates write them."""
    assert fill(text) == filled


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("{{ empty }}", "empty"),
        ("{{ empty|upper }}", "empty"),
        ("{{ empty ~ 'x' }}", "empty"),
        ("{{ empty + 1 }}", "empty"),
        ("{{ empty.x }}", "empty"),
        ("{{ [1]|join(empty) }}", "empty"),
        ("{% for x in empty %}{% endfor %}", "empty"),
        ("{% set x = empty %}{{ x }}", "empty"),
        ("{{ absent }}", "absent"),
    ],
)
def test_an_empty_value_that_is_written_out_names_its_column(text: str, column: str):
    """No recipient is greeted with a hole."""
    with pytest.raises(InvalidArgumentError, match=f"^{column}: is empty in this row"):
        fill(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ debt }}",
        "{% if debt %}Debe{% else %}Al día{% endif %}",
        "{{ debt ~ 'x' }}{{ debt|upper }}",
        "{{ 'si' if debt == 'NA' else 'no' }}",
        "{% set x = debt %}{{ x }}",
    ],
)
def test_the_sign_of_a_missing_value_is_an_error_wherever_it_is_used(text: str):
    """A branch that it decides would tell people what nobody knows."""
    template = JinjaTemplate.parse("text", text).bound(["debt"])

    with pytest.raises(InvalidArgumentError, match=r"^debt: is #N/D in this row"):
        template.fill({"debt": " #N/D"})
    assert JinjaTemplate.parse("text", "{{ debt|default('-') }}").fill({"debt": "nan"}) == "-"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ vip }}", "is a boolean"),
        ("{{ tags }}", "must be text or a number, not list"),
        ("{{ none }}", "is empty in this row"),
        ("{{ name.upper }}", "must be text or a number"),
        ("{{ items[0].nothing }}", "uses a value that this row does not have"),
        ("{{ items[0][name] }}", "uses a value that this row does not have"),
        ("{{ price / 0 }}", r"cannot be filled from this row \(ZeroDivisionError\)"),
        ("{{ name + 'x' }}", r"cannot be filled from this row \(TypeError\)"),
        ("{{ name['__class__'] }}", r"cannot be filled from this row \(SecurityError\)"),
        ("{% set x = tags %}", r"cannot be filled from this row \(TypeError\)"),
        ("{{ [2 * 9000000000000000000, 5] }}", "uses List on line 1"),
        ("{{ 9000000000000000000 * 9000000000000000000 }}", r"\(OverflowError\)"),
    ],
)
def test_a_template_that_fails_on_a_row_is_the_rows_error(text: str, problem: str):
    """It names the field, and shows nothing of the row."""
    with pytest.raises(InvalidArgumentError, match=f"^text: .*{problem}") as caught:
        fill(text)

    assert "Ana" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ name",
        "{% if %}",
        "{{ name|nothing }}",
        "{{ name is nothing }}",
        "{{ name|attr('x') }}",
        "{{ name|center(10) }}",
        "{{ 1" + "0" * 5_000 + " }}",
        "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
        "{% for a in tags %}" * 30 + "{% endfor %}" * 30,
        "{% if x %}{% endif %}" * 50_000,
    ],
    ids=range(10),
)
def test_what_is_no_template_is_refused_before_any_row(text: str):
    """The text itself is not shown."""
    with pytest.raises(
        InvalidArgumentError, match=r"^text: is (not a valid Jinja|nested|too long)"
    ) as e:
        JinjaTemplate.parse("text", text)

    assert len(str(e.value)) < 80


@pytest.mark.parametrize(
    "text",
    [
        "{{ name.__class__ }}",
        "{{ name.format(1) }}",
        "{{ name.ljust(1000000000) }}",
        "{{ name['format'](1) }}",
        "{{ ('x').zfill(1000000000) }}",
        "{{ 10**10 }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{{ lipsum() }}",
        "{{ namespace(x=1) }}",
        "{{ dict(x=1) }}",
        "{{ [name, name] }}",
        "{{ (name, name) }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% call f() %}{% endcall %}",
        "{% filter upper %}x{% endfilter %}",
        "{% set x %}x{% endset %}",
        "{% for i in items recursive %}{{ loop(items) }}{% endfor %}",
        "{% include 'x' %}",
        "{% import 'x' as x %}",
        "{% extends 'x' %}",
        "{% block x %}{% endblock %}",
    ],
)
def test_what_a_message_does_not_need_is_refused_before_any_row(text: str):
    """The line is named."""
    with pytest.raises(InvalidArgumentError, match=r"^text: uses [A-Z]\w+ on line 1"):
        JinjaTemplate.parse("text", text)


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(1000000000) %}x{% endfor %}",
        "{% for i in range(10000000000000000000000) %}x{% endfor %}",
        "{% for a in range(999) %}{% for b in range(999) %}{% endfor %}{% endfor %}",
        "{% for a in range(999) %}{% for b in range(999) %}{{ 'x' }}{% endfor %}{% endfor %}",
        "{% for a in range(999) %}" * 9 + "{% endfor %}" * 9,
        "{% set x = 'aaaaaaaaaa' %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}",
        "{% set x = 'aaaa' %}" + "{% set x = x|replace('a', x) %}" * 9 + "{{ x }}",
        "{% set x = 'aaaa' %}" + "{% set x = x|join(x) %}" * 9 + "{{ x }}",
        "{% set x = 9 %}" + "{% set x = x * x %}" * 40 + "{{ x }}",
        "{{ 'a' * 1000000000 }}",
        "{{ [1] * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 1|round(-1000000000) }}",
        "{{ 1|round(1000000000, 'ceil') }}",
        "{% for a in range(90) %}" + "x" * 200_000 + "{% endfor %}",
    ],
    ids=range(15),
)
def test_a_template_neither_hangs_nor_floods(text: str):
    """Each fails at once with an error of the row, instead of running for hours."""
    template = JinjaTemplate.parse("text", text)

    with pytest.raises(
        InvalidArgumentError, match=r"^text: (runs for too long or writes|cannot be filled)"
    ):
        template.fill(ROW)


def test_the_names_of_a_template_are_its_columns():
    """Its own variables are not columns."""
    loop = "{% for y in b %}{{ x }}{{ y }}{{ loop.index }}{{ range(3)|length }}{% endfor %}"

    assert JinjaTemplate.parse("text", "{% set x = a %}" + loop).columns.keys() == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("<p>{{ name }}</p>", "<p>&lt;Ana&gt;</p>"),
        ("{{ name|e }}", "&lt;Ana&gt;"),
        ("{{ name|safe }}", "<Ana>"),
        ("{{ '<i>' ~ name }}", "&lt;i&gt;&lt;Ana&gt;"),
        ("{{ '<i>'|safe ~ name }}", "<i>&lt;Ana&gt;"),
        ("{{ [1, 2]|join('<br>'|safe) }}", "1<br>2"),
        ("{{ name|replace('A', '<') }}", "&lt;&lt;na&gt;"),
    ],
)
def test_html_is_escaped_once(text: str, filled: str):
    """Only what the template calls safe stays as it is."""
    assert JinjaTemplate.parse("text", text, html=True).fill({"name": "<Ana>"}) == filled


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ('{{ row["Hora: inicio"] }}', "9:30"),
        ("{{ row['hora: INICIO']|upper }}", "9:30"),
        ("{{ self }} {{ self|upper }} {{ row['self'] }}", "yo YO yo"),
        ('{% if row["N.º"] %}sí{% endif %}', "sí"),
        ('{% for x in [1, 2] %}{{ x }}{{ row["N.º"] }}{% endfor %}', "1727"),
        ('{{ row["N.º"] }} {{ row["N.º"] }} {{ nombre }} {{ row }}', "7 7 Ana 3"),
        ('{% for row in filas %}{{ row["N.º"] }}{% endfor %}', "89"),
    ],
)
def test_a_column_that_is_no_identifier_is_one_of_its_row(text: str, filled: str):
    """Found in any spelling, unless the template has a variable of that name."""
    cells: dict[str, Cell] = {
        "Hora: inicio": "9:30",
        "N.º": 7,
        "Nombre": "Ana",
        "row": 3,
        "self": "yo",
    }
    cells["filas"] = [{"N.º": 8}, {"N.º": 9}]

    assert JinjaTemplate.parse("text", text).bound([*cells]).fill(cells) == filled


@pytest.mark.parametrize("text", ['{{ row["b"] }}', '{{ row["a"] }}{{ row[a] }}', "{{ row.a }}"])
def test_a_column_of_the_row_that_is_not_there_is_told_before_any_row(text: str):
    """As any other name."""
    with pytest.raises(InvalidArgumentError, match=r"text: there is no column '(b|row)'"):
        JinjaTemplate.parse("text", text).bound(["a"])


def test_an_empty_cell_of_the_row_is_named():
    """By the name that the file gives its column."""
    template = JinjaTemplate.parse("text", 'Hola {{ row["n.º"] }}').bound(["N.º"])

    with pytest.raises(InvalidArgumentError, match=r"N\.º: is empty in this row"):
        template.fill({"N.º": ""})


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "jinja2", None)

    with pytest.raises(ConfigurationError) as caught:
        JinjaTemplate.parse("text", "Hola")

    assert str(caught.value) == "text: needs jinja2: pip install 'connectus-async[jinja]'"
