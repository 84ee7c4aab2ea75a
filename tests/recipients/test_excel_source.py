"""Excel workbooks: a number counts only if the cell shows its digits."""

import datetime as dt
import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from connectus_async import ConfigurationError, InvalidArgumentError
from connectus_async.recipients.sources import Line, Reading, open_source


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recipients.xlsx"


async def lines_of(path: Path, **options: str) -> list[Line]:
    source = await open_source(path, Reading(**options))
    return [line async for batch in source.batches() for line in batch]


def write(path: Path, *rows: list[object], formats: dict[str, str] | None = None) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in rows:
        sheet.append(row)
    for cell, form in (formats or {}).items():
        sheet[cell].number_format = form
    book.save(path)


def rewrite(path: Path, part: str, old: str, new: str) -> None:
    """Change a part of a workbook as another program might have written it."""
    with ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    assert old.encode() in parts[part]
    parts[part] = parts[part].replace(old.encode(), new.encode())
    with ZipFile(path, "w", ZIP_DEFLATED) as book:
        for name, content in parts.items():
            book.writestr(name, content)


async def test_a_sheet_is_read_with_its_row_numbers(path: Path):
    """Empty rows are left out, and the numbers are those that Excel shows."""
    write(
        path,
        [],
        [" dst_number ", "name", None, "day"],
        [56987688060, "José", None, dt.datetime(2026, 7, 31)],
        [None, "  "],
        ["+56 9 8768 8061"],
    )

    assert await lines_of(path) == [
        Line(3, {"dst_number": 56987688060, "name": "José", "day": dt.datetime(2026, 7, 31)}),
        Line(5, {"dst_number": "+56 9 8768 8061", "name": None, "day": None}),
    ]
    assert (await open_source(path)).length is None


@pytest.mark.parametrize(
    "form", ["General", "@", "0", "0.00", "#,##0", "#,##0_);(#,##0)", "0_ ;[Red]-0 ", "[$-340A]0"]
)
@pytest.mark.parametrize("written", ["56987688060", "5.698768806E10", "56987688060.0"])
async def test_a_whole_number_that_shows_its_digits_is_an_int(path: Path, form: str, written: str):
    """However the file says it: every number of a workbook is a float, and this one is exact."""
    write(path, ["dst_number"], [56987688060], formats={"A2": form})
    rewrite(path, "xl/worksheets/sheet1.xml", "<v>56987688060</v>", f"<v>{written}</v>")

    (line,) = await lines_of(path)

    assert line.cells == {"dst_number": 56987688060}
    assert isinstance(line.cells["dst_number"], int)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (56987688060, "0.00E+00"),
        (56987688060, "##0.0E+0"),
        (56987688060, '"+"0'),
        (56987688060, "0%"),
        (987688060, "00000000000"),
        (56987688060.5, "General"),
        (56987688060.5, "0"),
        (1234567890123456, "0"),
    ],
)
async def test_a_number_that_shows_something_else_stays_a_float(
    path: Path, value: float, form: str
):
    """Excel shows another value than the cell has, so it cannot be a phone number."""
    write(path, ["dst_number"], [value], formats={"A2": form})

    (line,) = await lines_of(path)

    assert isinstance(line.cells["dst_number"], float)


async def test_a_formula_is_its_last_result_and_an_error_is_empty(path: Path):
    """Nobody is greeted as #N/A."""
    write(path, ["a", "b", "c", "d"], [1, "=A2+1", "#N/A", True])
    rewrite(path, "xl/worksheets/sheet1.xml", "<f>A2+1</f><v />", "<f>A2+1</f><v>2</v>")

    assert await lines_of(path) == [Line(2, {"a": 1, "b": 2, "c": None, "d": True})]


async def test_a_surplus_cell_is_the_rows_error(path: Path):
    """It stands under no name."""
    write(path, ["a", "b"], [1, 2, 3], [1, 2, None], formats={"C3": "0.00"})

    bad, good = await lines_of(path)

    assert str(bad.cells) == "row: has 3 cells, but the header has 2"
    assert good == Line(3, {"a": 1, "b": 2})


async def test_a_wrong_size_in_the_file_cuts_nothing_off(path: Path):
    """Programs write one cell for the whole sheet; the rows count."""
    write(path, ["a", "b"], [1, 2], [3, 4])
    rewrite(path, "xl/worksheets/sheet1.xml", '<dimension ref="A1:B3"', '<dimension ref="A1"')

    assert await lines_of(path) == [Line(2, {"a": 1, "b": 2}), Line(3, {"a": 3, "b": 4})]


def two_sheets(path: Path) -> tuple[Worksheet, Worksheet]:
    book = openpyxl.Workbook()
    first, second = book.active, book.create_sheet("Junio")
    first.title = "Mayo"
    first.append(["a"])
    first.append([1])
    second.append(["b"])
    second.append([2])
    book.save(path)
    return first, second


async def test_a_sheet_is_asked_for_by_its_name(path: Path):
    """With several, the first is not taken for the one that is meant."""
    two_sheets(path)

    with pytest.raises(InvalidArgumentError, match="has several sheets; choose one: Mayo, Junio"):
        await open_source(path)
    with pytest.raises(InvalidArgumentError, match="has no sheet 'Julio': Mayo, Junio"):
        await open_source(path, Reading(sheet="Julio"))
    assert await lines_of(path, sheet="Junio") == [Line(2, {"b": 2})]


async def test_a_hidden_sheet_does_not_count(path: Path):
    """Who opens the workbook sees one sheet only."""
    first, _ = two_sheets(path)
    first.sheet_state = "hidden"
    first.parent.active = 1
    first.parent.save(path)

    assert await lines_of(path) == [Line(2, {"b": 2})]


@pytest.mark.parametrize(
    "rows", [[], [[None, "  "]], [["a", "a"]]], ids=["empty", "blank", "doubled column"]
)
async def test_a_sheet_without_a_header_is_refused(path: Path, rows: list[list[object]]):
    """Its first row must name the columns."""
    write(path, *rows)

    with pytest.raises(InvalidArgumentError, match=r"recipients\.xlsx: (is empty|gives columns)"):
        await open_source(path)


@pytest.mark.parametrize(
    "written",
    [b"", b"a,b\n1,2\n", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512],
    ids=["empty", "text", "password"],
)
async def test_a_file_that_is_no_workbook_is_refused(path: Path, written: bytes):
    """One sentence, whatever the library says of it."""
    path.write_bytes(written)

    with pytest.raises(InvalidArgumentError, match="is not an Excel workbook, is damaged, or"):
        await open_source(path)


@pytest.mark.parametrize(
    ("part", "old"),
    [
        ("xl/workbook.xml", "<sheets>"),
        ("xl/worksheets/sheet1.xml", "</row>"),
        ("xl/worksheets/sheet1.xml", "<v>1</v>"),
    ],
)
async def test_a_damaged_workbook_is_refused(path: Path, part: str, old: str):
    """Wherever the damage is."""
    write(path, ["a"], [1])
    rewrite(path, part, old, "<v>x</v>")

    with pytest.raises(InvalidArgumentError, match=r"recipients\.xlsx: cannot be read"):
        await lines_of(path)


@pytest.mark.parametrize(
    ("name", "size"), [("xl/worksheets/sheet1.xml", 70), ("xl/sharedStrings.xml", 257)]
)
async def test_a_workbook_that_unpacks_into_too_much_is_refused(path: Path, name: str, size: int):
    """Before any of it is unpacked; the size is in mebibytes."""
    with ZipFile(path, "w", ZIP_DEFLATED) as book, book.open(name, "w") as part:
        for _ in range(size):
            part.write(bytes(2**20))

    with pytest.raises(InvalidArgumentError, match="is too large when unpacked"):
        await open_source(path)


async def test_a_sheet_with_more_rows_than_excel_has_is_refused(path: Path):
    """A row of a huge number is no reason to count up to it."""
    write(path, ["a"], [1])
    rewrite(path, "xl/worksheets/sheet1.xml", '<row r="2">', '<row r="4000000000">')

    with pytest.raises(InvalidArgumentError, match="has more than 1,048,576 rows"):
        await lines_of(path)


async def test_a_file_that_is_not_there_is_named(path: Path):
    """The file system's reason is passed on."""
    with pytest.raises(InvalidArgumentError, match="cannot be read: No such file"):
        await open_source(path)


async def test_a_missing_library_is_named(path: Path, monkeypatch: pytest.MonkeyPatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "openpyxl", None)

    with pytest.raises(ConfigurationError, match=r"needs openpyxl: pip install 'connectus-async\["):
        await open_source(path)
