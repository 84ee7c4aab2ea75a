"""Cells of workbooks: a text has them as the sheet shows them, a calculation their value."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import openpyxl
import pytest

from connectus_async import InvalidArgumentError
from connectus_async.products.sms import Sms
from connectus_async.recipients.cells import Cell, format_cell
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.phone_numbers import normaliser
from connectus_async.recipients.sources import Line, Reading, Source, open_source
from connectus_async.recipients.templates import parse_template

MONEY = '_-"$"* #,##0_-;-"$"* #,##0_-;_-"$"* "-"_-;_-@_-'
CHRISTMAS = dt.datetime(2026, 12, 24, 15, 30, 5)

IN_CHILE = [
    (0.15, "0%", "15%"),
    (0.1234, "0.00%", "12,34%"),
    (15000, '"$" #,##0', "$ 15.000"),
    (15000, "[$$-340A]#,##0", "$15.000"),
    (15000, "[$$-409]#,##0.00", "$15,000.00"),
    (-15000, MONEY, "-$ 15.000"),
    (15000, MONEY, "$ 15.000"),
    (0, MONEY, "$ -"),
    (1234.5, "#,##0.00", "1.234,50"),
    (1234.5, "General", "1234,5"),
    (434.9999999999999, "General", "435"),
    (1 / 3, "General", "0,333333333"),
    (12345678901.25, "General", "12345678901"),
    (-5, "General", "-5"),
    (2.675, "0.00", "2,68"),
    (1.5, "0.0#", "1,5"),
    (0.5, "#.##", ",5"),
    (12_345_678, '#,##0.0,,"M"', "12,3M"),
    (12345678, "#,##0,", "12.346"),
    (7, "000", "007"),
    (7, "0,000", "0.007"),
    (123456785, r"##\.###\.###\-#", "12.345.678-5"),
    (1234567, "(###) ###-####", "() 123-4567"),
    (3, '0 "unidades"', "3 unidades"),
    (30, 'General" años"', "30 años"),
    (1, '"Sí";;"No"', "Sí"),
    (0, '"Sí";;"No"', "No"),
    (-4, "0;(0)", "(4)"),
    (5, "[Red]0;[Blue]-0", "5"),
    (5, "[<=9]00;0", "05"),
    (10, "[<=9]00;0", "10"),
    (10, '[=1]"uno";[<>2]0" más";"dos"', "10 más"),
    (dt.datetime(2026, 12, 24), "dd-mm-yyyy", "24-12-2026"),
    (CHRISTMAS, "dd/mm/yyyy hh:mm", "24-12-2026 15:30"),
    (CHRISTMAS, "d-mmm-yy h:mm:ss AM/PM", "24-dic-26 3:30:05 p. m."),
    (CHRISTMAS, '[$-340A]dddd d "de" mmmm "de" yyyy;@', "jueves 24 de diciembre de 2026"),
    (CHRISTMAS, "[$-409]mmmm d, yyyy", "December 24, 2026"),
    (CHRISTMAS, r"[$-F800]dddd\,\ mmmm\ dd\,\ yyyy", "jueves, 24 de diciembre de 2026"),
    (CHRISTMAS, "[$-F400]h:mm:ss AM/PM", "15:30:05"),
    (CHRISTMAS, "mm-dd-yy", "24-12-2026"),
    (CHRISTMAS, "mmm/yy", "dic-26"),
    (CHRISTMAS, r"mm\/yy", "12/26"),
    (CHRISTMAS, "ddd d", "jue 24"),
    (dt.time(15, 30), "h:mm", "15:30"),
    (dt.time(9, 5), "hh:mm", "09:05"),
    (0.6458333333, "h:mm", "15:30"),
    (dt.timedelta(hours=26, minutes=30), "[h]:mm", "26:30"),
    (dt.timedelta(minutes=90, seconds=5), "[mm]:ss", "90:05"),
    (dt.timedelta(hours=26, minutes=30, seconds=5), "[h]:mm:ss", "26:30:05"),
]
"""Values, their number formats, and what a cell shows where Chile is the country."""

ELSEWHERE = [
    ("MX", 1234.5, "#,##0.00", "1,234.50"),
    ("MX", CHRISTMAS, "mm-dd-yy", "24/12/2026"),
    ("MX", CHRISTMAS, "dd/mm/yyyy hh:mm", "24/12/2026 15:30"),
    ("PE", 1234.5, '"S/" #,##0.00', "S/ 1,234.50"),
    ("BR", CHRISTMAS, "d/mmm", "24/dez."),
    ("PY", CHRISTMAS, "mmmm", "diciembre"),
    ("US", CHRISTMAS, "mm-dd-yy", "12/24/2026"),
    ("CR", 1234.5, "#,##0.00", "1 234,50"),
]


async def written(path: Path, cells: Mapping[str, tuple[object, str]], **said: str) -> Source:
    """Write a workbook with a row of cells, each with its number format."""
    book = openpyxl.Workbook()
    sheet = book.active
    for column, (name, (value, form)) in enumerate(cells.items(), 1):
        sheet.cell(1, column, name)
        sheet.cell(2, column, value).number_format = form
    book.save(path)
    return await open_source(path, Reading(**said))  # type: ignore[arg-type]


async def row_of(source: Source) -> Mapping[str, Cell]:
    ((line,),) = [batch async for batch in source.batches()]
    assert not isinstance(line.cells, InvalidArgumentError)
    return line.cells


async def test_a_text_has_a_cell_as_the_sheet_shows_it(tmp_path: Path):
    """The country gives the separators and names; a format may name another one."""
    cells = {f"c{place}": (value, form) for place, (value, form, _) in enumerate(IN_CHILE)}
    source = await written(tmp_path / "a.xlsx", cells, region="CL")
    row = await row_of(source)

    shown = [
        (value, form, format_cell("", row[f"c{at}"]))
        for at, (value, form, _) in enumerate(IN_CHILE)
    ]
    assert shown == IN_CHILE
    assert source.notes() == ()


@pytest.mark.parametrize(("region", "value", "form", "shown"), ELSEWHERE)
async def test_the_country_decides_how_a_cell_is_shown(
    tmp_path: Path, region: str, value: object, form: str, shown: str
):
    """Excel takes the conventions of the system, which the workbook does not name."""
    source = await written(tmp_path / "a.xlsx", {"c": (value, form)}, region=region)

    assert format_cell("c", (await row_of(source))["c"]) == shown


async def test_without_a_country_only_what_needs_none_is_shown(tmp_path: Path):
    """A separator or the name of a month is not guessed; the plan says so."""
    cells: dict[str, tuple[object, str]] = {
        "share": (0.15, "0%"),
        "day": (CHRISTMAS, "dd-mm-yyyy"),
        "money": (15000, '"$"#,##0'),
        "price": (1234.5, "General"),
        "month": (CHRISTMAS.replace(hour=0, minute=0, second=0), "mmmm"),
        "count": (1500, "#,##0"),
    }
    source = await written(tmp_path / "a.xlsx", cells)
    row = await row_of(source)

    assert {name: format_cell(name, row[name]) for name in cells} == {
        "share": "15%",
        "day": "24-12-2026",
        "money": "15000",
        "price": "1234.5",
        "month": "2026-12-24",
        "count": "1500",
    }
    (note,) = source.notes()
    assert note == (
        "the country is not known: texts get numbers and dates as their values, like 1234.5 for"
        " 1.234,50, unless you give --region, in columns: money, price, month, count"
    )


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        (12345678, "0.00E+00", "12345678"),
        (0.5, "# ?/?", "0.5"),
        (-5, "[<=9]0;00", "-5"),
        (5, "[<=9]0;[>9]00", "5"),
        (5, "0;[>9]00;0", "5"),
        (CHRISTMAS, "hh:mm:ss.000", "2026-12-24 15:30:05"),
        (CHRISTMAS, "d_-d", "2026-12-24 15:30:05"),
        (5, "[DBNum1]0", "5"),
        (5, '"a', "5"),
        (5, "*x0", "5"),
        (5, "0" * 256, "5"),
    ],
)
async def test_a_format_that_is_not_known_is_not_guessed(
    tmp_path: Path, value: object, form: str, shown: str
):
    """The value is sent, and the plan warns with an example."""
    source = await written(tmp_path / "a.xlsx", {"c": (value, form)}, region="CL")

    assert format_cell("c", (await row_of(source))["c"]) == shown
    (note,) = source.notes()
    assert note.startswith("the number format ")
    assert note.endswith(
        "is not known: texts get the values of such cells, like 0.15 for 15%, in column c"
    )


@pytest.mark.parametrize("form", [";;;", "0;;", "#"])
async def test_a_cell_that_shows_nothing_is_empty(tmp_path: Path, form: str):
    """Nobody gets the zero that its author took off the sheet."""
    source = await written(tmp_path / "a.xlsx", {"a": ("x", "@"), "c": (0, form)}, region="CL")

    assert await row_of(source) == {"a": "x", "c": None}


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [(0, "dd-mm-yyyy", "00-01-1900"), (-1, "dd-mm-yyyy", "########"), (1e9, "h:mm", "########")],
)
async def test_a_number_that_is_no_date_is_the_error_that_the_cell_shows(
    tmp_path: Path, value: float, form: str, shown: str
):
    """It is an error of the rows that use it."""
    source = await written(tmp_path / "a.xlsx", {"c": (value, form)}, region="CL")

    with pytest.raises(InvalidArgumentError, match=f"c: has the error {shown} in this row"):
        format_cell("c", (await row_of(source))["c"])


async def test_jinja_calculates_with_values_and_writes_what_is_shown(tmp_path: Path):
    """A result has no format of its own."""
    cells: dict[str, tuple[object, str]] = {
        "amount": (15000, '"$" #,##0'),
        "share": (0.15, "0%"),
        "day": (CHRISTMAS, "dd-mm-yyyy"),
        "code": (7, "000"),
    }
    source = await written(tmp_path / "a.xlsx", cells, region="CL")
    text = (
        "{{ amount }} {{ amount * 2 }} {{ amount|int }} {{ share }} {{ share < 0.2 }} {{ day }} "
        "{{ day.strftime('%Y') }} {{ code }} {{ code + 1 }} {{ amount|string }} {{ amount ~ '!' }}"
    ).replace("{{ share < 0.2 }}", "{% if share < 0.2 %}low{% endif %}")

    assert parse_template("sms_content", text, engine="jinja").fill(await row_of(source)) == (
        "$ 15.000 30000 15000 15% low 24-12-2026 2026 007 8 $ 15.000 $ 15.000!"
    )


@pytest.mark.parametrize(
    ("value", "form", "digits"),
    [
        (987688060, "000000000", "56987688060"),
        (987688060, "0 0000 0000", "56987688060"),
        (987688060, "0-0000-0000", "56987688060"),
        (987688060, "0000000000", "0987688060 is read"),
        (987688060, '"+56" 0 0000 0000', "56987688060"),
        (987688060, "+56 0 0000 0000", "56987688060"),
        (88060, '"+56 9 876 "00000', "56987688060"),
        (987688060, "(+56) 0 0000 0000", "56987688060"),
        (56987688060, '"+"0', "56987688060"),
        (987688060, "#,##0", "56987688060"),
        (987688060, "[<=9999999]###-####;(###) ###-####", "56987688060"),
        (987688060, "0_);(0)", "56987688060"),
        (987688060, "@", "56987688060"),
        (51987654321, '"+"0', "51987654321"),
        (87654321, '"+51 9"00000000', "51987654321"),
    ],
)
async def test_a_format_that_groups_or_pads_digits_shows_a_phone_number(
    tmp_path: Path, value: int, form: str, digits: str
):
    """The digits that it shows count: a literal country code, and a zero in front."""
    row = Line(
        2, await row_of(await written(tmp_path / "a.xlsx", {"n": (value, form)}, region="CL"))
    )
    content = compose(row)

    if digits.isdigit():
        assert isinstance(content, Sms)
        assert content.dst_number == digits
    else:
        as_text = Line(2, {"n": digits.partition(" ")[0]})
        assert str(content) == str(compose(as_text))


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (987688060, "0.00E+00"),
        (987688060, "0%"),
        (987688060, '"$" #,##0'),
        (987688060, '"N° "0'),
        (987688060, '0" (2)"'),
        (987688060, '"1) "0'),
        (987688060, "0,"),
        (987688060, "dd-mm-yyyy"),
        (987688060.4, "0"),
        (1234567890123456, "0"),
        (-987688060, "0"),
        (-987688060, "0_);(0)"),
        (-987688060, "000000000;(000000000)"),
        (56987688060.25, "General"),
    ],
)
async def test_any_other_format_shows_no_phone_number(tmp_path: Path, value: float, form: str):
    """What the cell shows is not certainly the number of a person."""
    row = await row_of(await written(tmp_path / "a.xlsx", {"n": (value, form)}, region="CL"))

    assert isinstance(compose(Line(2, row)), InvalidArgumentError)


def compose(line: Line) -> object:
    text = parse_template("sms_content", "Hola")
    composer = Composer(kind="sms", to="n", sms_content=text, normalise=normaliser("CL"))
    return composer.compose(line).content


@pytest.mark.parametrize(
    ("value", "form", "key"), [(7, "000", "007"), (7000, "#,##0", "7000"), (7, "General", "7")]
)
async def test_a_key_has_the_digits_that_its_cell_shows(
    tmp_path: Path, value: int, form: str, key: str
):
    """A code of customers is padded by its format; separators are no part of it."""
    row = await row_of(await written(tmp_path / "a.xlsx", {"k": (value, form)}, region="CL"))
    composer = Composer(
        kind="sms", to="n", sms_content=parse_template("sms_content", "Hola"), key="k"
    )

    assert composer.key_of(row) == key


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (434.9999999999999, "435"),
        (0.1 + 0.2, "0.3"),
        (0.10000000149011612, "0.1"),
        (15.300000190734863, "15.3"),
        (1000000.0625, "1000000.0625"),
        (1234567890123456.0, "1234567890123456"),
    ],
)
def test_a_number_has_no_tail_of_its_binary_form(value: float, text: str):
    """Neither that of arithmetic nor that of single precision, whatever file it comes from."""
    assert format_cell("c", value) == text
