"""Workbooks of LibreOffice and of Excel until 2003.

The files in ``workbooks`` are one sheet that LibreOffice saved in three formats, with the language
of Chile: a title, seven columns, hidden cells, a hidden sheet, an error.
"""

import datetime as dt
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from connectus_async import ConfigurationError, InvalidArgumentError
from connectus_async.recipients.cells import Cell, ErrorCell, ShownDigits, ShownInt, format_cell
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.phone_numbers import normaliser
from connectus_async.recipients.sources import Line, Reading, open_source
from connectus_async.recipients.sources.workbooks.parts import DamagedError
from connectus_async.recipients.sources.workbooks.xls import _check_short_streams
from connectus_async.recipients.templates import parse_template

WORKBOOKS = Path(__file__).with_name("workbooks")
SAVED = sorted(path.name for path in WORKBOOKS.iterdir())
DOCUMENT = "urn:oasis:names:tc:opendocument:xmlns:"
CALC = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"


async def lines_of(path: Path, **said: Any) -> list[Line]:
    source = await open_source(path, Reading(**said))
    return [line async for batch in source.batches() for line in batch]


def cells_of(line: Line) -> Mapping[str, Cell]:
    assert not isinstance(line.cells, InvalidArgumentError)
    return line.cells


@pytest.mark.parametrize("name", SAVED)
async def test_a_saved_sheet_becomes_the_same_messages_in_each_format(name: str):
    """Texts have each cell as it is shown; a number that shows fewer digits is nobody's."""
    text = "{nombre}: {monto}, {cuota}, {vence} {hora}"
    composer = Composer(
        kind="sms", sms_content=parse_template("sms_content", text), normalise=normaliser("CL")
    )
    rows = [
        composer.compose(line)
        for line in await lines_of(WORKBOOKS / name, region="CL", hidden_rows="skip")
    ]

    sent = {row.line: row.content for row in rows}
    problem = str(sent.pop(6))
    assert problem.startswith("dst_number: is a decimal number, as a spreadsheet makes them")
    assert {
        line: (content.dst_number, content.sms_content)  # type: ignore[union-attr]
        for line, content in sent.items()
    } == {
        4: ("56987688060", "Ana\nMaría: $ 15.000, 15,0%, 24-12-2026 15:30"),
        5: ("56987688061", "Luz  Díaz: $ 30.000, 15,0%, 24-12-2026 15:30"),
        8: ("56987688064", "Pía: $ 75.000, 15,0%, 24-12-2026 15:30"),
        9: ("56987688065", "Sol: $ 90.000, 15,0%, 24-12-2026 15:30"),
    }


@pytest.mark.parametrize("name", SAVED)
async def test_values_errors_and_hidden_cells_are_found_in_each_format(name: str):
    """A hidden sheet does not count, and hidden rows are asked about."""
    with pytest.raises(InvalidArgumentError, match="hides 1 of its 6 rows"):
        await open_source(WORKBOOKS / name)
    source = await open_source(WORKBOOKS / name, Reading(region="CL", hidden_rows="send"))
    rows = {line.number: cells_of(line) async for batch in source.batches() for line in batch}

    assert rows[4]["dst_number"] == 56987688060
    assert rows[4]["monto"] == 15000
    assert rows[4]["vence"] == dt.datetime(2026, 12, 24)
    assert rows[4]["hora"] == dt.time(15, 30)
    assert rows[5]["nota"] == ErrorCell("#DIV/0!")
    assert list(rows) == [4, 5, 6, 7, 8, 9]
    assert list(source.notes())[:3] == [
        "the header is row 3; the rows above it are left out",
        "the sheet hides columns, which are read all the same: nota",
        "hidden rows, which are sent, too: 1",
    ]


@pytest.mark.parametrize("name", SAVED)
async def test_a_workbook_is_read_by_its_content(tmp_path: Path, name: str):
    """Programs write one format with the extension of another."""
    path = tmp_path / "a.xlsx"
    path.write_bytes((WORKBOOKS / name).read_bytes())

    assert len(await lines_of(path, hidden_rows="send")) == 6


async def test_a_missing_library_for_old_workbooks_is_named(monkeypatch: pytest.MonkeyPatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "xlrd", None)

    with pytest.raises(ConfigurationError, match=r"needs xlrd: pip install 'connectus-async\["):
        await open_source(WORKBOOKS / "chile.xls")


async def test_an_old_workbook_with_a_password_says_so(tmp_path: Path):
    """Its second record says that the others are encrypted."""
    content = bytearray((WORKBOOKS / "chile.xls").read_bytes())
    start = content.index(b"\x09\x08\x10\x00\x00\x06")
    content[start + 20 : start + 22] = b"\x2f\x00"
    path = tmp_path / "a.xls"
    path.write_bytes(content)

    with pytest.raises(InvalidArgumentError, match="it has a password; save it without one"):
        await open_source(path)


@pytest.mark.parametrize("name", SAVED)
async def test_a_workbook_cut_short_is_refused(tmp_path: Path, name: str):
    """Nothing is sent of a half."""
    path = tmp_path / name
    content = (WORKBOOKS / name).read_bytes()
    path.write_bytes(content[: len(content) // 2])

    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        await lines_of(path, hidden_rows="send")


def write(path: Path, table: str, *, before: str = "", manifest: str = "") -> Path:
    """Write a workbook of OpenDocument with one sheet."""
    names = " ".join(
        f'xmlns:{name}="{DOCUMENT}{name}:1.0"' for name in ("office", "table", "text", "style")
    )
    content = (
        f'<office:document-content {names} xmlns:calcext="{CALC}">{before}<office:body>'
        f'<office:spreadsheet><table:table table:name="Uno">{table}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    with ZipFile(path, "w", ZIP_DEFLATED) as book:
        book.writestr("content.xml", content)
        if manifest:
            book.writestr("META-INF/manifest.xml", manifest)
    return path


def text_cell(*lines: str, given: str = "") -> str:
    paragraphs = "".join(f"<text:p>{line}</text:p>" for line in lines)
    kind = 'office:value-type="string"'
    return f"<table:table-cell {kind} {given}>{paragraphs}</table:table-cell>"


def row(*cells: str, given: str = "") -> str:
    return f"<table:table-row {given}>{''.join(cells)}</table:table-row>"


def number_cell(value: float, text: str | None) -> str:
    shown = "" if text is None else f"<text:p>{text}</text:p>"
    kind = f'office:value-type="float" office:value="{value}"'
    return f"<table:table-cell {kind}>{shown}</table:table-cell>"


async def read(path: Path, *cells: str, **said: Any) -> list[Cell]:
    """Write and read a row of cells."""
    header = row(*(text_cell(f"c{place}") for place in range(len(cells))))
    (line,) = await lines_of(write(path, header + row(*cells)), **said)
    return list(cells_of(line).values())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.ods"


async def test_a_text_has_its_blanks_and_lines_and_no_annotation(path: Path):
    """The file has signs of its own for them."""
    blanks = "a<text:s text:c='3'/>b<text:tab/>c<text:line-break/>d <text:span>e</text:span> f"
    note = "<office:annotation><text:p>56987688060</text:p></office:annotation>"
    cell = text_cell(blanks, "g").replace("<text:p>", note + "<text:p>", 1)

    assert await read(path, cell) == ["a   b\tc\nd e f\ng"]


async def test_cells_and_rows_that_repeat_are_all_read(path: Path):
    """The file writes them once; the empty ones at its end are none."""
    many = 'table:number-columns-repeated="2"'
    rest = '<table:table-cell table:number-columns-repeated="16000"/>'
    covered = "<table:covered-table-cell><text:p>x</text:p></table:covered-table-cell>"
    table = (
        row(text_cell("a"), text_cell("b"), text_cell("c"), text_cell("d"), rest)
        + row(text_cell("1", given=many), covered, text_cell("2"), rest)
        + row(rest, given='table:number-rows-repeated="3"')
        + row(text_cell("3"), given='table:number-rows-repeated="2"')
        + row(rest, given='table:number-rows-repeated="1048000"')
    )

    assert await lines_of(write(path, table)) == [
        Line(2, {"a": "1", "b": "1", "c": None, "d": "2"}),
        Line(6, {"a": "3", "b": None, "c": None, "d": None}),
        Line(7, {"a": "3", "b": None, "c": None, "d": None}),
    ]


async def test_rows_in_groups_are_read_in_order(path: Path):
    """Repeated headers and outlines are groups; a filter hides rows."""
    table = (
        f"<table:table-header-rows>{row(text_cell('a'))}</table:table-header-rows>"
        f"<table:table-row-group>{row(text_cell('1'))}<table:table-row-group>"
        f"{row(text_cell('2'), given='table:visibility=' + chr(34) + 'filter' + chr(34))}"
        f"</table:table-row-group></table:table-row-group>{row(text_cell('3'))}"
    )
    write(path, table)

    assert [line.number for line in await lines_of(path, hidden_rows="skip")] == [2, 4]
    assert [line.number for line in await lines_of(path, hidden_rows="send")] == [2, 3, 4]


@pytest.mark.parametrize(
    ("value", "text", "kind", "written"),
    [
        (56987688060, "56987688060", ShownInt, "56987688060"),
        (56987688060, "56.987.688.060", ShownInt, "56.987.688.060"),
        (56987688060, "56987688060,00", ShownInt, "56987688060,00"),
        (987688060, "9 8768 8060", ShownInt, "9 8768 8060"),
        (987688060, "0987688060", ShownDigits, "0987688060"),
        (987688060, "+56 987688060", ShownDigits, "+56 987688060"),
        (987688060, "5,70E+10", float, "5,70E+10"),
        (987688060, "1) 987688060", float, "1) 987688060"),
        (987688060, "987688060 (2)", float, "987688060 (2)"),
        (987688060, "98.768.806.000%", float, "98.768.806.000%"),
        (-987688060, "(987688060)", float, "(987688060)"),
        (1234567890123456, "1234567890123456", float, "1234567890123456"),
        (0.15, "15\N{NO-BREAK SPACE}%", float, "15 %"),
    ],
)
async def test_a_number_has_its_value_and_what_it_shows(
    path: Path, value: float, text: str, kind: type, written: str
):
    """Its digits are those of a phone number only if the text shows them and no others."""
    (cell,) = await read(path, number_cell(value, text))

    assert cell == value
    assert isinstance(cell, kind)
    assert format_cell("c", cell) == written


async def test_a_number_without_a_text_is_general(path: Path):
    """Some programs write no text beside the value."""
    cells = await read(path, number_cell(15, None), number_cell(1.5, None), region="CL")

    assert [format_cell("c", cell) for cell in cells] == ["15", "1,5"]
    assert type(cells[0]) is int


async def test_other_kinds_of_cells_are_read(path: Path):
    """Dates, times, durations, booleans, errors, and texts that are only in an attribute."""

    def cell(given: str, text: str = "") -> str:
        return f"<table:table-cell {given}>{text}</table:table-cell>"

    read_cells = await read(
        path,
        cell('office:value-type="date" office:date-value="2026-12-24"', "<text:p>24/12</text:p>"),
        cell('office:value-type="date" office:date-value="2026-12-24T15:30:00"'),
        cell('office:value-type="time" office:time-value="PT15H30M00S"', "<text:p>15:30</text:p>"),
        cell('office:value-type="time" office:time-value="PT26H30M00S"', "<text:p>26:30</text:p>"),
        cell('office:value-type="boolean" office:boolean-value="true"', "<text:p>SÍ</text:p>"),
        cell('calcext:value-type="error" office:value-type="string"', "<text:p>#N/D</text:p>"),
        cell('office:value-type="string" office:string-value="Ana"'),
        cell('office:value-type="float" office:value="0"', "<text:p></text:p>"),
    )

    assert read_cells == [
        dt.datetime(2026, 12, 24),
        dt.datetime(2026, 12, 24, 15, 30),
        dt.time(15, 30),
        pytest.approx(26.5 / 24),
        True,
        ErrorCell("#N/D"),
        "Ana",
        None,
    ]
    assert [format_cell("c", read_cells[place]) for place in (0, 1, 2, 3)] == [
        *("24/12", "2026-12-24 15:30:00", "15:30", "26:30"),
    ]


async def test_hidden_sheets_columns_and_merged_headers_are_seen(path: Path):
    """A style hides a sheet; an attribute hides a column; spans group columns."""
    style = (
        "<office:automatic-styles><style:style style:name='ta2'><style:table-properties "
        "table:display='false'/></style:style></office:automatic-styles>"
    )
    hidden = "</table:table><table:table table:name='Dos' table:style-name='ta2'>"
    columns = (
        "<table:table-column/><table:table-column table:visibility='collapse' "
        "table:number-columns-repeated='2'/>"
    )
    group = 'table:number-columns-spanned="2" table:number-rows-spanned="1"'
    table = (
        columns
        + row(text_cell("Contacto", given=group), "<table:covered-table-cell/>", text_cell("Deuda"))
        + row(text_cell("dst_number"), text_cell("name"), text_cell("amount"))
        + row(text_cell("56987688060"), text_cell("Ana"), number_cell(5, "5"))
        + hidden
        + row(text_cell("x"))
    )
    source = await open_source(write(path, table, before=style))

    assert source.columns == ["dst_number", "name", "amount"]
    assert list(source.notes()) == [
        "the header is row 2; its columns are grouped by merged cells in row 1",
        "the sheet hides columns, which are read all the same: name, amount",
    ]


async def test_a_document_with_a_password_says_so(path: Path):
    """Its manifest tells."""
    write(path, "", manifest="<manifest><encryption-data/></manifest>")

    with pytest.raises(InvalidArgumentError, match="it has a password; save it without one"):
        await open_source(path)


@pytest.mark.parametrize(
    "table",
    [
        row(text_cell("a")) + row(text_cell("1"), given='table:number-rows-repeated="2000000"'),
        row(text_cell("a"), text_cell("b", given='table:number-columns-repeated="20000"')),
        row(text_cell("a")) + row(text_cell("x") * 100_000),
        row(text_cell("a")) + row(text_cell("<text:s text:c='9999999'/>")),
        row(text_cell("a")) + "</table:table>",
    ],
    ids=["rows", "columns", "one row", "blanks", "XML"],
)
async def test_a_document_of_excessive_size_or_damaged_is_refused(path: Path, table: str):
    """It takes no memory, and no endless time."""
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        await lines_of(write(path, table))


@pytest.mark.parametrize(("first", "is_damaged"), [(0, False), (2, True), (-2, False), (9, False)])
def test_short_streams_of_an_xls_are_checked(first: int, is_damaged: bool):
    """Each sector names the next one; the last of a stream names none."""
    table = [1, -2, 3, 2]
    document = SimpleNamespace(
        SSAT=table,
        min_size_std_stream=4_096,
        dirlist=[
            SimpleNamespace(first_SID=first, tot_size=128),
            SimpleNamespace(first_SID=2, tot_size=9_000),  # of the other table
        ],
    )
    with pytest.raises(DamagedError) if is_damaged else nullcontext():
        _check_short_streams(document)
