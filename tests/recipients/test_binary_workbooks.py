"""Binary workbooks of Excel (.xlsb), whose parts are records of [MS-XLSB]."""

import datetime as dt
import struct
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from connectus_async import InvalidArgumentError
from connectus_async.recipients.cells import ErrorCell, format_cell
from connectus_async.recipients.sources import Line, Reading, open_source

KINDS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
FORMATS = ["General", '"$" #,##0', "dd-mm-yyyy", "0 0000 0000", "0.00E+00", "0%"]


def record(kind: int, content: bytes = b"") -> bytes:
    """Write a record: its kind and its size take seven bits a byte."""
    kinds = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size, sizes = len(content), b""
    while size > 0x7F:
        sizes += bytes([size & 0x7F | 0x80])
        size >>= 7
    return kinds + sizes + bytes([size]) + content


def text(value: str) -> bytes:
    written = value.encode("utf-16-le")
    return struct.pack("<I", len(written) // 2) + written


def row(number: int, *cells: bytes, hidden: bool = False) -> bytes:
    given = struct.pack("<2IH", number - 1, 0, 300) + bytes([0, 0x10 * hidden, 0, 0, 0, 0, 0])
    return record(0, given) + b"".join(cells)


def cell(kind: int, column: int, content: bytes = b"", style: int = 0) -> bytes:
    return record(kind, struct.pack("<2I", column, style) + content)


def shared(column: int, place: int) -> bytes:
    return cell(7, column, struct.pack("<I", place))


def real(column: int, value: float, style: int = 0) -> bytes:
    return cell(5, column, struct.pack("<d", value), style)


def packed(column: int, value: int, style: int = 0) -> bytes:
    return cell(2, column, struct.pack("<I", value), style)


def relations(*targets: tuple[str, str, str]) -> str:
    written = "".join(
        f'<Relationship Id="{name}" Type="{KINDS}/{kind}" Target="{target}"/>'
        for name, kind, target in targets
    )
    return f"<Relationships>{written}</Relationships>"


def write(
    path: Path, *sheet: bytes, texts: tuple[str, ...] = (), before: bytes = b"", after: bytes = b""
) -> Path:
    own = [
        record(44, struct.pack("<H", place) + text(form)) for place, form in enumerate(FORMATS, 164)
    ]
    styles = [
        record(47, struct.pack("<2H", 0, place) + bytes(12))
        for place in range(164, 164 + len(FORMATS))
    ]
    book = record(153, bytes(12))
    for state, name, identifier in ((0, "Uno", "rId1"), (1, "Oculta", "rId1")):
        book += record(156, struct.pack("<2I", state, 1) + text(identifier) + text(name))
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("_rels/.rels", relations(("a", "officeDocument", "xl/workbook.bin")))
        archive.writestr(
            "xl/_rels/workbook.bin.rels",
            relations(
                ("rId1", "worksheet", "worksheets/sheet1.bin"),
                ("b", "styles", "styles.bin"),
                ("c", "sharedStrings", "sharedStrings.bin"),
            ),
        )
        archive.writestr("xl/workbook.bin", book)
        archive.writestr(
            "xl/styles.bin",
            b"".join(own) + record(47, bytes(16)) + record(617) + b"".join(styles) + record(618),
        )
        found = b"".join(record(19, b"\0" + text(it)) for it in texts)
        archive.writestr("xl/sharedStrings.bin", found)
        archive.writestr("xl/worksheets/sheet1.bin", before + b"".join(sheet) + record(146) + after)
    return path


async def lines_of(path: Path, **said: Any) -> list[Line]:
    source = await open_source(path, Reading(region="CL", **said))
    return [line async for batch in source.batches() for line in batch]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.xlsb"


async def test_cells_of_all_kinds_are_read_as_shown(path: Path):
    """Numbers have a packed form, too, and formulas their last result."""
    names = ("dst_number", "name", "money", "day", "share", "vip", "error", "formula")
    header = row(1, *(shared(place, place) for place in range(len(names))))
    cells = row(
        3,
        real(0, 56987688060),
        cell(6, 1, text("Ana\r\nMaría")),
        packed(2, 15000 << 2 | 2, style=1),
        real(3, 46380, style=2),
        packed(4, 15 << 2 | 3, style=5),
        cell(4, 5, b"\1"),
        cell(11, 6, b"\x2a" + bytes(8)),
        cell(9, 7, struct.pack("<d", 2.5) + bytes(8)),
    )
    write(path, header, cells, texts=names)

    (line,) = await lines_of(path)

    assert line == Line(
        3,
        {
            "dst_number": 56987688060,
            "name": "Ana\nMaría",
            "money": 15000,
            "day": dt.datetime(2026, 12, 24),
            "share": 0.15,
            "vip": True,
            "error": ErrorCell("#N/A"),
            "formula": 2.5,
        },
    )
    shown = {name: format_cell(name, line.cells[name]) for name in ("money", "day", "share")}  # type: ignore[index]
    assert shown == {"money": "$ 15.000", "day": "24-12-2026", "share": "15%"}


async def test_a_number_keeps_its_digits_in_each_form(path: Path):
    """A packed number is an integer, or the first bits of a float; both may be in hundredths."""
    numbers = [
        real(0, 987688060, style=3),
        packed(1, struct.unpack("<I", struct.pack("<d", 1.5)[4:])[0]),
        packed(2, 2**32 - (5 << 2) | 2),
        packed(3, 98768806 << 2 | 2, style=4),
    ]
    header = row(1, *(cell(6, place, text(name)) for place, name in enumerate("abcd")))
    write(path, header, row(2, *numbers))

    (line,) = await lines_of(path)

    assert line.cells == {"a": 987688060, "b": 1.5, "c": -5, "d": 98768806.0}
    assert format_cell("a", line.cells["a"]) == "9 8768 8060"
    assert isinstance(line.cells["d"], float)


async def test_short_cells_follow_each_other_and_rich_text_is_text(path: Path):
    """A short cell does not say its column."""
    style = bytes(4)
    header = row(1, *(cell(6, place, text(name)) for place, name in enumerate("abcd")))
    cells = row(
        2,
        cell(62, 1, b"\1" + text("Ana") + bytes(8)),
        record(16, style + struct.pack("<d", 7)),
        record(17, style + text("Luz")),
    )
    write(path, header, cells)

    assert await lines_of(path) == [Line(2, {"a": None, "b": "Ana", "c": 7, "d": "Luz"})]


async def test_hidden_rows_columns_and_sheets_and_merged_cells_are_seen(path: Path):
    """As in any workbook."""
    columns = record(60, struct.pack("<4I", 1, 1, 0, 0) + b"\1\0")
    sheet = [
        row(1, cell(6, 0, text("Contacto"))),
        row(2, cell(6, 0, text("dst_number")), cell(6, 1, text("name"))),
        row(3, real(0, 1), hidden=True),
        row(4, real(0, 2)),
    ]
    write(path, *sheet, before=columns, after=record(176, struct.pack("<4I", 0, 0, 0, 1)))

    with pytest.raises(InvalidArgumentError, match="hides 1 of its 2 rows"):
        await lines_of(path)
    assert [line.number for line in await lines_of(path, hidden_rows="skip")] == [4]
    source = await open_source(path, Reading(hidden_rows="send"))
    assert "the sheet hides columns, which are read all the same: name" in source.notes()


@pytest.mark.parametrize(
    "sheet",
    [
        [row(1, shared(0, 5))],
        [row(1, cell(6, 0, struct.pack("<I", 9) + b"a"))],
        [row(1, real(0, 1, style=99))],
        [row(1, cell(6, 20_000, text("a")))],
        [row(1, cell(6, 1, text("a")), cell(6, 0, text("b")))],
        [cell(6, 0, text("a"))],
        [row(1), b"\x06\xff\xff\xff\x7f"],
        [row(1), b"\x06\x7f"],
        [row(1), b"\x86"],
    ],
    ids=[
        *("shared text", "length of text", "style", "column", "order", "no row"),
        *("too large", "cut in content", "cut in kind"),
    ],
)
async def test_a_damaged_part_is_refused(path: Path, sheet: list[bytes]):
    """Wherever the damage is."""
    write(path, row(1, cell(6, 0, text("a"))), *sheet)

    with pytest.raises(InvalidArgumentError, match=r"a\.xlsb: cannot be read"):
        await lines_of(path)
