"""Excel workbooks: a number counts only if the cell shows its digits."""

import datetime as dt
import sys
from pathlib import Path
from typing import Any, Literal
from zipfile import ZIP_DEFLATED, ZipFile

import openpyxl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from openpyxl.worksheet.worksheet import Worksheet

from connectus_async import ConfigurationError, InvalidArgumentError
from connectus_async.recipients.cells import ErrorCell, format_cell
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.sources import Line, Reading, open_source
from connectus_async.recipients.sources.workbooks.conventions import conventions_of
from connectus_async.recipients.templates import Engine, parse_template

SHEET = "xl/worksheets/sheet1.xml"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "xl/_rels/workbook.xml.rels"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recipients.xlsx"


async def lines_of(path: Path, **options: Any) -> list[Line]:
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


def share(path: Path, texts: str) -> None:
    """Add the part with the texts that cells share."""
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
    relation = f'<Relationship Id="s" Type="{kind}" Target="sharedStrings.xml"/></Relationships>'
    rewrite(path, RELATIONS, "</Relationships>", relation)
    with ZipFile(path, "a") as book:
        book.writestr("xl/sharedStrings.xml", texts)


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
    rewrite(path, SHEET, "<v>56987688060</v>", f"<v>{written}</v>")

    (line,) = await lines_of(path)

    assert line.cells == {"dst_number": 56987688060}
    assert isinstance(line.cells["dst_number"], int)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (56987688060, "0.00E+00"),
        (56987688060, "##0.0E+0"),
        (56987688060, "0%"),
        (987688060, '"N° "0'),
        (987688060, '0" (2)"'),
        (987688060, '"1) "0'),
        (987688060, "# ?/?"),
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


async def test_a_formula_is_its_last_result(path: Path):
    """Nothing is computed."""
    write(path, ["a", "b", "c"], [1, "=A2+1", True])
    rewrite(path, SHEET, "<f>A2+1</f><v />", "<f>A2+1</f><v>2</v>")

    assert await lines_of(path) == [Line(2, {"a": 1, "b": 2, "c": True})]


@pytest.mark.parametrize("engine", ["plain", "jinja"])
async def test_an_error_is_the_error_of_rows_that_use_it(path: Path, engine: Engine):
    """Nobody is greeted as #N/A, and a column without use does no harm."""
    write(path, ["dst_number", "name", "other"], [56987688060, "#N/A", "#REF!"])
    braces = "{{ %s }}" if engine == "jinja" else "{%s}"
    (line,) = await lines_of(path)

    def fill(column: str) -> str:
        template = parse_template("sms_content", braces % column, engine=engine)
        return template.fill(line.cells)  # type: ignore[arg-type]

    with pytest.raises(InvalidArgumentError, match="name: has the error #N/A in this row"):
        fill("name")
    assert fill("dst_number") == "56987688060"
    composer = Composer(kind="sms", to="other", sms_content=parse_template("sms_content", "Hola"))
    assert str(composer.compose(line).content) == "other: has the error #REF! in this row"


async def test_an_error_shows_no_text_of_a_cell(path: Path):
    """A file may have anything in place of it."""
    write(path, ["a"], ["#N/A"])
    rewrite(path, SHEET, "#N/A", "56987688060")

    assert await lines_of(path) == [Line(2, {"a": ErrorCell("#ERROR!")})]


async def test_a_surplus_cell_is_the_rows_error(path: Path):
    """It stands under no name."""
    write(path, ["a", "b"], [1, 2, 3], [1, 2, None], formats={"C3": "0.00"})

    bad, good = await lines_of(path)

    assert str(bad.cells) == "row: has 3 cells, but the header has 2"
    assert good == Line(3, {"a": 1, "b": 2})


async def test_a_wrong_size_in_the_file_cuts_nothing_off(path: Path):
    """Programs write one cell for the whole sheet; the rows count."""
    write(path, ["a", "b"], [1, 2], [3, 4])
    rewrite(path, SHEET, '<dimension ref="A1:B3"', '<dimension ref="A1"')

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

    with pytest.raises(
        InvalidArgumentError,
        match=r"choose one with --sheet, here with their rows: Mayo \(1\), Junio \(1\)",
    ):
        await open_source(path)
    with pytest.raises(InvalidArgumentError, match="has no sheet 'Julio': Mayo, Junio"):
        await open_source(path, Reading(sheet="Julio"))
    assert await lines_of(path, sheet="Junio") == [Line(2, {"b": 2})]


@pytest.mark.parametrize("name", ["campana nunoa", "CAMPAÑA_ÑUÑOA", "Campaña Ñuñoa "])
async def test_a_sheet_is_found_in_another_spelling_of_its_name(path: Path, name: str):
    """As a column is: whoever types the name may leave out the accents."""
    first, _ = two_sheets(path)
    first.title = "Campaña Ñuñoa"
    first.parent.save(path)

    assert await lines_of(path, sheet=name) == [Line(2, {"a": 1})]


async def test_a_sheet_whose_spelling_fits_two_names_is_not_guessed(path: Path):
    """The exact name comes first."""
    first, second = two_sheets(path)
    first.title, second.title = "Año 1", "Ano 1"
    first.parent.save(path)

    with pytest.raises(InvalidArgumentError, match="has no sheet 'ANO 1': Año 1, Ano 1"):
        await open_source(path, Reading(sheet="ANO 1"))
    assert await lines_of(path, sheet="Ano 1") == [Line(2, {"b": 2})]


async def test_of_many_sheets_the_first_are_named(path: Path):
    """Counting the rows of all could take long."""
    book = openpyxl.Workbook()
    for number in range(30):
        book.create_sheet(f"Mes {number}").append(["a"])
    book.save(path)

    with pytest.raises(InvalidArgumentError, match=r"Mes 0 \(0\), .*Mes 18 \(0\), …$"):
        await open_source(path)


async def test_a_workbook_without_a_visible_sheet_is_refused(path: Path):
    """No hidden one is taken for it."""
    write(path, ["a"], [1])
    rewrite(path, "xl/workbook.xml", 'state="visible"', 'state="hidden"')

    with pytest.raises(InvalidArgumentError, match="has no visible sheet"):
        await open_source(path)
    assert len(await lines_of(path, sheet="Sheet")) == 1


async def test_days_may_be_counted_from_1904(path: Path):
    """Excel for the Macintosh did so."""
    book = openpyxl.Workbook()
    book.epoch = CALENDAR_MAC_1904
    book.active.append(["a", "b"])
    book.active.append([dt.datetime(2026, 12, 24, 15, 30), dt.time(9, 5)])
    book.save(path)

    assert await lines_of(path) == [
        Line(2, {"a": dt.datetime(2026, 12, 24, 15, 30), "b": dt.time(9, 5)})
    ]


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
    ("written", "problem"),
    [
        (b"", "it is not a workbook, or is damaged"),
        (b"\0\1\2\3", "it is not a workbook, or is damaged"),
        (b"PK\3\4", "it is not a workbook, or is damaged"),
        (b"\xef\xbb\xbfa,b\n1,2\n", "it is text with the name of a workbook; rename it to .csv"),
        (b" \n<html><table>", "it is a web page with the name of a workbook"),
    ],
    ids=["empty", "binary", "cut off", "CSV", "web page"],
)
async def test_a_file_that_is_no_workbook_is_named_as_what_it_is(
    path: Path, written: bytes, problem: str
):
    """Programs export CSV and web pages with the extension of a workbook."""
    path.write_bytes(written)

    with pytest.raises(InvalidArgumentError, match=f"cannot be read: {problem}"):
        await open_source(path)


async def test_a_workbook_with_a_password_says_so(path: Path):
    """It is a compound file that has the encrypted workbook as an entry."""
    header = bytearray(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504))
    header[30:32] = (9).to_bytes(2, "little")
    header[48:52] = (1).to_bytes(4, "little")
    directory = (
        "Root Entry".encode("utf-16-le") + bytes(108) + "EncryptedPackage".encode("utf-16-le")
    )
    path.write_bytes(bytes(header) + bytes(512) + directory)

    with pytest.raises(InvalidArgumentError, match="it has a password; save it without one"):
        await open_source(path)


@pytest.mark.parametrize(
    ("part", "old"),
    [
        ("xl/workbook.xml", "<sheets>"),
        (SHEET, "</row>"),
        (SHEET, "<v>1</v>"),
    ],
)
async def test_a_damaged_workbook_is_refused(path: Path, part: str, old: str):
    """Wherever the damage is."""
    write(path, ["a"], [1])
    rewrite(path, part, old, "<v>x</v>")

    with pytest.raises(InvalidArgumentError, match=r"recipients\.xlsx: cannot be read"):
        await lines_of(path)


@pytest.mark.parametrize(("name", "size"), [(SHEET, 70), ("xl/sharedStrings.xml", 257)])
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
    rewrite(path, SHEET, '<row r="2">', '<row r="4000000000">')

    with pytest.raises(InvalidArgumentError, match="has more than 1,048,576 rows"):
        await lines_of(path)


async def test_a_file_that_is_not_there_is_named(path: Path):
    """The file system's reason is passed on."""
    with pytest.raises(InvalidArgumentError, match="cannot be read: No such file"):
        await open_source(path)


async def test_a_missing_library_is_named(path: Path, monkeypatch: pytest.MonkeyPatch):
    """The error says what to install."""
    write(path, ["a"], [1])
    monkeypatch.setitem(sys.modules, "babel.languages", None)
    conventions_of.cache_clear()

    with pytest.raises(ConfigurationError, match=r"needs babel: pip install 'connectus-async\["):
        await open_source(path, Reading(region="CL"))


async def test_a_part_with_definitions_of_entities_is_refused(path: Path):
    """They could expand without end, or name a file of the machine."""
    write(path, ["a"], [1])
    definitions = '<!DOCTYPE a [<!ENTITY b "c">]><worksheet'
    rewrite(path, SHEET, "<worksheet", definitions)

    with pytest.raises(InvalidArgumentError, match=r"recipients\.xlsx: cannot be read"):
        await lines_of(path)


async def test_a_row_without_end_is_refused(path: Path):
    """It is not kept in memory."""
    write(path, ["a"], [1])
    endless = "<c><v>1</v></c>" * 400_000
    rewrite(path, SHEET, "</sheetData>", f"<row>{endless}</row></sheetData>")

    with pytest.raises(InvalidArgumentError, match=r"recipients\.xlsx: cannot be read"):
        await lines_of(path)


async def test_nothing_reaches_standard_error(path: Path, capfd: pytest.CaptureFixture[str]):
    """A library wrote the number of a person there, since its cell had the format of a date."""
    write(path, ["dst_number"], [987688060], formats={"A2": "dd/mm/yyyy"})

    assert await lines_of(path) == [Line(2, {"dst_number": ErrorCell("########")})]
    assert capfd.readouterr().err == ""


async def test_escapes_of_a_text_are_decoded(path: Path):
    """Windows breaks a line within a cell by two characters, one of them an escape."""
    write(path, ["dir", "c"], ["Av. Uno 1_x000D_\nDepto 2", "_x005F_x0041_ _xD83D__xDE00_"])

    assert await lines_of(path) == [Line(2, {"dir": "Av. Uno 1\nDepto 2", "c": "_x0041_ 😀"})]


async def test_texts_that_cells_share_are_whole_and_without_notes(path: Path):
    """Parts of a text have formats of their own; a note says how to pronounce it."""
    write(path, ["a", "b"], ["x", "y"])
    parts = "<r><t>Ana </t></r><r><t>María_x000D_</t></r><rPh><t>m</t></rPh>"
    texts = f"<si><t>a</t></si><si>{parts}</si>"
    share(path, f'<sst xmlns="{MAIN}">{texts}</sst>')
    rewrite(path, SHEET, 't="inlineStr"><is><t>x</t></is>', 't="s"><v>1</v>')
    rewrite(path, SHEET, 't="inlineStr"><is><t>y</t></is>', 't="s"><v>0</v>')

    assert await lines_of(path) == [Line(2, {"a": "Ana María\r", "b": "a"})]


@pytest.mark.parametrize("place", ["2", "-1"])
async def test_a_text_that_is_not_there_is_damage(path: Path, place: str):
    """No other text takes its place."""
    write(path, ["a"], ["x"])
    share(path, f'<sst xmlns="{MAIN}"><si><t>a</t></si></sst>')
    rewrite(path, SHEET, 't="inlineStr"><is><t>x</t></is>', f't="s"><v>{place}</v>')

    with pytest.raises(InvalidArgumentError, match=r"recipients\.xlsx: cannot be read"):
        await lines_of(path)


async def test_a_strict_workbook_is_read(path: Path):
    """Excel saves one with other namespaces, and with dates as text."""
    write(path, ["dst_number", "day"], [56987688060, "x"], formats={"B2": "dd-mm-yyyy"})
    for part in ("xl/workbook.xml", SHEET):
        rewrite(path, part, MAIN, "http://purl.oclc.org/ooxml/spreadsheetml/main")
    rewrite(path, SHEET, 't="inlineStr"><is><t>x</t></is>', 't="d"><v>2026-12-24</v>')

    (line,) = await lines_of(path)

    assert line == Line(2, {"dst_number": 56987688060, "day": dt.datetime(2026, 12, 24)})
    assert format_cell("day", line.cells["day"]) == "24-12-2026"  # type: ignore[index]


async def test_cells_without_a_place_follow_each_other(path: Path):
    """Some programs write none."""
    write(path, ["a", "b"], [1, 2])
    for place in ("A1", "B1", "A2", "B2"):
        rewrite(path, SHEET, f' r="{place}"', "")

    assert await lines_of(path) == [Line(2, {"a": 1, "b": 2})]


def hide(path: Path, *rows: int) -> None:
    book = openpyxl.load_workbook(path)
    for row in rows:
        book.active.row_dimensions[row].hidden = True
    book.save(path)


async def test_hidden_rows_are_asked_about(path: Path):
    """Who filtered the sheet may or may not want them; empty ones are nobody."""
    write(path, ["a"], [1], [2], [None, " "], [3], [4])
    hide(path, 3, 4, 6)

    with pytest.raises(InvalidArgumentError) as refused:
        await open_source(path)
    assert refused.value.problem == (
        "hides 2 of its 4 rows, by a filter or by hand; leave them out with --hidden-rows skip, or "
        "send them, too, with --hidden-rows send"
    )


@pytest.mark.parametrize(
    ("said", "rows", "note"),
    [
        ("skip", [2, 5], "hidden rows, which are left out: 2"),
        ("send", [2, 3, 5, 6], "hidden rows, which are sent, too: 2"),
    ],
)
async def test_hidden_rows_are_sent_or_left_out_as_said(
    path: Path, said: Literal["send", "skip"], rows: list[int], note: str
):
    """The plan says how many there are."""
    write(path, ["a"], [1], [2], [None, " "], [3], [4])
    hide(path, 3, 4, 6)
    source = await open_source(path, Reading(hidden_rows=said))

    assert [line.number async for batch in source.batches() for line in batch] == rows
    assert list(source.notes()) == [note]


async def test_hidden_columns_are_named(path: Path):
    """They are read, since a sheet often hides what only a program needs."""
    write(path, ["dst_number", "name"], [1, "Ana"])
    book = openpyxl.load_workbook(path)
    book.active.column_dimensions["A"].hidden = True
    book.save(path)
    source = await open_source(path)

    assert source.columns == ["dst_number", "name"]
    assert list(source.notes()) == [
        "the sheet hides columns, which are read all the same: dst_number"
    ]


async def test_a_title_above_the_header_is_left_out_and_said(path: Path):
    """The numbers of rows stay those of the sheet."""
    write(path, [], ["Clientes de mayo"], [], ["dst_number", "name"], [56987688060, "Ana"])
    source = await open_source(path)

    assert list(source.notes()) == ["the header is row 4; the rows above it are left out"]
    assert await lines_of(path) == [Line(5, {"dst_number": 56987688060, "name": "Ana"})]


async def test_the_row_of_the_header_may_be_said(path: Path):
    """It is needed where the file is not clear."""
    write(path, ["Fecha", "hoy"], ["dst_number", "name"], [56987688060, "Ana"])

    assert (await open_source(path)).columns == ["Fecha", "hoy"]
    assert await lines_of(path, header_row=2) == [
        Line(3, {"dst_number": 56987688060, "name": "Ana"})
    ]
    with pytest.raises(InvalidArgumentError, match=r"has nothing in row 9 \(--header-row\)"):
        await open_source(path, Reading(header_row=9))


async def test_a_header_of_two_rows_is_joined(path: Path):
    """Merged cells above the names group them."""
    write(path, ["Contacto", None, "Deuda"], ["dst_number", "name", "amount"], [1, "Ana", 5])
    book = openpyxl.load_workbook(path)
    book.active.merge_cells("A1:B1")
    book.save(path)
    source = await open_source(path)

    assert source.columns == ["dst_number", "name", "amount"]
    assert list(source.notes()) == [
        "the header is row 2; its columns are grouped by merged cells in row 1"
    ]
    assert await lines_of(path) == [Line(3, {"dst_number": 1, "name": "Ana", "amount": 5})]
