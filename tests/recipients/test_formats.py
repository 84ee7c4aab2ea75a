"""Numbers and dates in a text are written as its country writes them."""

import datetime as dt
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async import ConfigurationError, InvalidArgumentError
from connectus_async.recipients.cells import Cell
from connectus_async.recipients.formats import number_of
from connectus_async.recipients.templates import parse_template

DAY = dt.date(2026, 12, 24)
MOMENT = dt.datetime(2026, 12, 24, 15, 5)


def fill(text: str, value: Cell, locale: str | None = "es_CL", engine: str = "plain") -> str:
    template = parse_template("text", text, engine=engine, locale=locale)
    return template.bound(["x"]).fill({"x": value})


@pytest.mark.parametrize(
    ("form", "value", "locale", "written"),
    [
        (",.0f", 15000, "es_CL", "15.000"),
        (",.0f", 15000.0, "es-MX", "15,000"),
        (",.2f", Decimal("1234567.5"), "pt_BR", "1.234.567,50"),
        (",.0f", 15000, "und_CL", "15.000"),
        (",", 2500.5, "es_CL", "2.500,5"),
        (".2f", 0.1 + 0.2, "es_CL", "0,30"),
        (".0f", 434.9999999999999, None, "435"),
        (".0f", 2500.5, None, "2501"),
        (".2f", 2.675, "es_MX", "2.68"),
        (".0f", -0.4, None, "0"),
        ("d", 15000.0, None, "15000"),
        ("06d", 7, None, "000007"),
        ("+,d", 1500, "es_CL", "+1.500"),
        (".0%", 0.15, None, "15%"),
        (".1%", 0.125, "es_CL", "12,5%"),
        (",.0f", "15000", "es_CL", "15.000"),
        (",.0f", " 1.234,50 ", "es_CL", "1.235"),
        (",.0f", 1500, "fr_FR", "1 500"),
    ],
)
def test_a_number_is_written_with_the_separators_of_a_country(
    form: str, value: Cell, locale: str | None, written: str
):
    """A format is Python's own; halves are rounded as spreadsheets round them."""
    assert fill(f"{{x:{form}}}", value, locale) == written


@pytest.mark.parametrize(
    ("form", "value", "written"),
    [
        ("%d-%m-%Y", DAY, "24-12-2026"),
        ("%d/%m/%y", MOMENT, "24/12/26"),
        ("%-d de %B", DAY, "24 de diciembre"),
        ("%A %d de %b", DAY, "jueves 24 de dic"),
        ("%H:%M", MOMENT, "15:05"),
        ("%-I:%M %p", dt.time(15, 5), "3:05 p. m."),
        ("%d-%m-%Y", "2026-12-24", "24-12-2026"),
        ("%H:%M:%S", "2026-12-24 15:05", "15:05:00"),
        ("%H h", "15:05", "15 h"),
        ("'%d' %% 100", DAY, "'24' % 100"),
    ],
)
def test_a_date_is_written_with_the_names_of_a_language(form: str, value: Cell, written: str):
    """A format is that of ``strftime``; every space is one that an SMS has."""
    assert fill(f"{{x:{form}}}", value) == written


@pytest.mark.parametrize(
    "text", ["15000", "+15000", "15000,0", "15000.00", "15.000,00", "15,000.0"]
)
def test_a_number_is_read_from_text_where_it_can_be_only_one(text: str):
    """A point and a comma may both be either, but not both the same."""
    assert number_of("x", text) == 15000


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.123", "0.123"),
        ("1234.567", "1234.567"),
        ("1.234.567", "1234567"),
        ("-1,5", "-1.5"),
        (",5", "0.5"),
    ],
)
def test_three_digits_after_a_separator_are_not_always_two_numbers(text: str, number: str):
    """Nobody groups the digits of 0.123 or 1234.567."""
    assert number_of("x", text) == Decimal(number)


@pytest.mark.parametrize("text", ["1.234", "1,234", "-15.000", "999,999"])
@pytest.mark.parametrize("engine", ["plain", "jinja"])
def test_a_text_that_may_be_two_numbers_is_refused(text: str, engine: str):
    """Fifteen pesos are not fifteen thousand, and the file does not say which."""
    form = {"plain": "{x:,.0f}", "jinja": "{{ x|format_decimal }}"}[engine]

    with pytest.raises(InvalidArgumentError, match=r"^x: is ambiguous in this row") as caught:
        fill(form, text, engine=engine)

    assert text not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "quince",
        "$ 15.000",
        "1e5",
        "inf",
        "1.2.3",
        "1,2,3",
        "٣",
        "1_000",
        "9" * 100,
        DAY,
    ],
)
def test_what_is_no_number_is_the_error_of_its_row(value: Cell):
    """The column is named, and the value is not shown."""
    with pytest.raises(InvalidArgumentError, match=r"^x: is not a number in this row$"):
        fill("{x:.0f}", value)


@pytest.mark.parametrize(
    "value",
    [10**30, 10**5000, float("inf"), 1e300, Decimal("1e-1000000"), Decimal("NaN"), Decimal("sNaN")],
    ids=range(7),
)
def test_a_number_without_bounds_is_refused(value: Cell):
    """It would fill the memory with zeros."""
    with pytest.raises(InvalidArgumentError, match=r"^x: is a number too large or too small"):
        fill("{x:.0f}", value)


@pytest.mark.parametrize(
    ("form", "value", "problem"),
    [
        ("%d-%m-%Y", "24-12-2026", "is not a date in this row; write it as 2026-12-24"),
        ("%d", 46000, "is not a date"),
        ("%H:%M", DAY, "has no time of day in this row"),
        ("%d", dt.time(15, 5), "has no date in this row"),
        ("d", 1.5, "is not a whole number in this row"),
        (".0f", "", "is empty in this row"),
        ("%d", None, "is empty in this row"),
    ],
)
def test_a_cell_that_does_not_fit_its_format_is_the_error_of_its_row(
    form: str, value: Cell, problem: str
):
    """It names the column."""
    with pytest.raises(InvalidArgumentError, match=f"^x: {problem}"):
        fill(f"{{x:{form}}}", value)


@pytest.mark.parametrize(
    "form", ["1000000000d", ">9", "x", "s", ".999f", "%Q", "50% %d", "e", "0100d", "%d" * 99, "{x}"]
)
def test_an_unknown_format_is_refused_before_any_row(form: str):
    """So is one that would write a million digits."""
    with pytest.raises(InvalidArgumentError, match=r"^text: has (a placeholder|an unmatched)"):
        fill(f"{{x:{form}}}", 1)


@pytest.mark.parametrize("text", ["{x:,.0f}", "{x:.2f}", "{x:,}", "{x:%B}", "{x:%A %d}"])
def test_a_format_that_differs_between_countries_needs_one(text: str):
    """No country is guessed."""
    with pytest.raises(InvalidArgumentError, match=r"^text: .*such as --locale es_CL$"):
        fill(text, 1, None)


@pytest.mark.parametrize("locale", ["xx_XX", "", "chile", "es_CL/../x"])
def test_an_unknown_locale_is_refused(locale: str):
    """It is not taken for another."""
    with pytest.raises(InvalidArgumentError, match=r"^locale: is not a language and its country"):
        fill("{x:,.0f}", 1, locale)


def test_a_column_whose_name_looks_like_a_format_is_a_column():
    """The longest name comes first."""
    template = parse_template("text", "{x:d} {Hora: inicio} {Hora: inicio:%H}", locale="es_CL")
    row = {"x": 7, "x:d": "columna", "Hora: inicio": dt.time(15, 5)}

    assert template.bound([*row]).fill(row) == "columna 15:05:00 15"


def test_a_missing_column_is_named_without_its_format():
    """The nearest one is found."""
    with pytest.raises(InvalidArgumentError, match="no column 'mnto'; did you mean 'Monto'"):
        parse_template("text", "{mnto:,.0f}", locale="es_CL").bound(["Monto"])


@pytest.mark.parametrize("engine", ["plain", "jinja"])
def test_only_texts_with_formats_are_others_in_another_locale(engine: str):
    """A campaign without formats goes on, whatever its locale is called."""
    plain = {"plain": "Hola {x}", "jinja": "Hola {{ x }}"}[engine]
    with_format = {"plain": "{x:,.0f}", "jinja": "{{ x|format_decimal }}"}[engine]

    def source(text: str, locale: str) -> object:
        return parse_template("text", text, engine=engine, locale=locale).source

    assert source(plain, "es_CL") == source(plain, "es_MX")
    assert source(with_format, "es_CL") != source(with_format, "es_MX")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "babel", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'connectus-async\[formats\]'"):
        fill("{x:,.0f}", 1)


@given(
    st.decimals(-(10**12), 10**12, allow_nan=False, places=2), st.sampled_from(["es_CL", "es_MX"])
)
def test_what_is_written_with_cents_is_read_as_the_same_number(number: Decimal, locale: str):
    """A file that was written so can be sent."""
    assert number_of("x", fill("{x:,.2f}", number, locale)) == number


@pytest.mark.parametrize(
    ("text", "value", "written"),
    [
        ('{{ x|format_currency("CLP") }}', 15000.0, "$15.000"),
        ('{{ x|format_currency("CLP") }}', "15000", "$15.000"),
        ('{{ x|format_currency("USD") }}', 9.5, "US$9,50"),
        ('{{ x|format_currency(currency="CLP", format_type="name") }}', 1, "1 peso chileno"),
        ("{{ x|format_decimal }}", 1234.5, "1.234,5"),
        ('{{ x|format_decimal("#,##0.00") }}', "1234,5", "1.234,50"),
        ("{{ (x * 1.19)|format_decimal(format='#,##0') }}", 1000, "1.190"),
        ("{{ x|format_percent }}", 0.15, "15%"),
        ('{{ x|format_date("full") }}', DAY, "jueves, 24 de diciembre de 2026"),
        ("{{ x|format_date(\"EEEE d 'de' MMMM\") }}", "2026-12-24", "jueves 24 de diciembre"),
        ('{{ x|format_time("short") }}', MOMENT, "15:05"),
        ('{{ x|format_datetime("dd-MM-yyyy HH:mm") }}', MOMENT, "24-12-2026 15:05"),
        ("{% for it in [1500, 2500] %}{{ it|format_decimal }} {% endfor %}", 1, "1.500 2.500 "),
        ('{{ row["x"]|format_decimal }}', 1500, "1.500"),
    ],
)
def test_jinja_has_the_filters_of_babel(text: str, value: Cell, written: str):
    """By Babel's names, in the language of the country."""
    assert fill(text, value, engine="jinja") == written


@pytest.mark.parametrize(
    ("text", "value", "problem"),
    [
        ("{{ x|format_decimal }}", "mil", "x: is not a number"),
        ("{{ x|format_decimal }}", "", "x: is empty"),
        ("{{ x|format_decimal }}", "#N/D", "x: is #N/D in this row"),
        ("{{ x|format_date }}", "24-12-2026", "x: is not a date"),
        ("{{ x|format_date }}", dt.time(1), "x: has no date"),
        ("{{ x|format_time }}", DAY, "x: has no time of day"),
        ("{{ x|format_datetime }}", DAY, "x: has no time of day"),
        ("{{ row['x']|format_decimal }}", "1.234", "x: is ambiguous"),
        ("{{ x|format_currency(x) }}", "<b>", "text: needs the code of a currency"),
        ("{{ x|format_currency }}", 1, "text: needs the code of a currency"),
        ("{{ x|format_decimal }}{{ [1]|map('format_decimal', '', x)|list }}", 1, "text: cannot be"),
        (
            (
                "{% for a in range(999) %}{% for b in range(999) %}{{ x|format_decimal }}"
                "{% endfor %}{% endfor %}"
            ),
            1,
            "text: runs for too long",
        ),
    ],
)
def test_a_filter_that_fails_names_its_column(text: str, value: Cell, problem: str):
    """It shows nothing of the row, and takes a bounded time."""
    with pytest.raises(InvalidArgumentError, match=f"^{problem}"):
        fill(text, value, engine="jinja")


@pytest.mark.parametrize(
    "text",
    [
        "{{ x|format_decimal(x) }}",
        "{{ x|format_decimal('#', 'es') }}",
        "{{ x|format_decimal(locale='es') }}",
        "{{ x|format_decimal('" + "#" * 1000 + "') }}",
        "{{ x|format_date(format=x) }}",
        "{{ x|format_currency('CLP', x) }}",
        "{{ x|format_decimal(*x) }}",
        "{{ x|format_decimal(**x) }}",
    ],
)
def test_a_pattern_is_in_the_template(text: str):
    """Babel keeps every pattern that it ever parsed."""
    with pytest.raises(InvalidArgumentError, match=r"^text: gives format_\w+ on line 1"):
        fill(text, 1, engine="jinja")


def test_a_filter_needs_a_country():
    """No country is guessed."""
    with pytest.raises(InvalidArgumentError, match=r"^text: .*such as --locale es_CL$"):
        fill("{{ x|format_date }}", DAY, None, engine="jinja")


VALUES = st.one_of(
    st.integers(),
    st.floats(),
    st.decimals(),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.text("0123456789.,-+ ", max_size=50),
    st.sampled_from(["2026-12-24", "", None, True, [1]]),
)
PATTERNS = st.text("0123456789,.+-%dfYmBAHIpj'¤#@E;yMEahHk |\u00a0", min_size=1, max_size=110)


@given(PATTERNS, VALUES, st.sampled_from(["es_CL", "es_MX", "pt_BR", None]))
def test_any_format_writes_a_short_text_or_is_refused(form: str, value: Cell, locale: str | None):
    """No exception of a library, and no flood, whatever the format and the cell."""
    try:
        written = fill(f"{{x:{form}}}", value, locale)
    except InvalidArgumentError:
        return
    assert len(written) < 300


@given(
    PATTERNS,
    VALUES,
    st.sampled_from(
        ["format_decimal", "format_percent", "format_date", "format_time", "format_datetime"]
    ),
)
def test_any_pattern_of_babel_writes_a_short_text_or_is_refused(
    pattern: str, value: Cell, name: str
):
    """The same of the filters of Jinja."""
    quoted = pattern.replace("'", "\\'")
    try:
        written = fill(f"{{{{ x|{name}('{quoted}') }}}}", value, engine="jinja")
    except InvalidArgumentError:
        return
    assert len(written) < 3_000
