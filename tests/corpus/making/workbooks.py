"""Workbooks by openpyxl and XlsxWriter."""

import datetime as dt
import io
import zipfile
from collections.abc import Callable, Iterable
from typing import Any, Final

import openpyxl
import xlsxwriter
from openpyxl.worksheet.worksheet import Worksheet
from people import CHILE, COLUMNS, FILES, digits

PESOS: Final = '"$"#,##0'
STRICT: Final = (
    (
        "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
        "http://purl.oclc.org/ooxml/spreadsheetml/main",
    ),
    (
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
        "http://purl.oclc.org/ooxml/officeDocument/relationships",
    ),
    (
        "http://schemas.openxmlformats.org/drawingml/2006/main",
        "http://purl.oclc.org/ooxml/drawingml/main",
    ),
)


def make() -> None:
    """Make all of them."""
    for name, fill in SHEETS.items():
        book = openpyxl.Workbook()
        fill(book.active)
        book.save(FILES / f"openpyxl-{name}.xlsx")
    _macros()
    _strict()
    _mac_dates()
    for name, (options, fill) in WRITTEN.items():
        with xlsxwriter.Workbook(FILES / f"xlsxwriter-{name}.xlsx", options) as book:
            fill(book)


def _rows(sheet: Worksheet, rows: Iterable[Iterable[Any]]) -> None:
    for row in rows:
        sheet.append(list(row))


def _people(sheet: Worksheet) -> None:
    _rows(sheet, [COLUMNS, *CHILE])
    for row in sheet.iter_rows(min_row=2):
        row[2].number_format = PESOS
        row[3].number_format = "dd-mm-yyyy"
        row[4].number_format = "hh:mm"
        row[5].number_format = "0.0%"


def _phone_formats(sheet: Worksheet) -> None:
    """Numbers, in the formats that people choose so that they look like numbers."""
    formats = (
        "General",
        "0",
        "@",
        "000000000",
        '"+56" 0 0000 0000',
        "0 0000 0000",
        "[<=99999999]0000-0000;0 0000-0000",
    )
    sheet.append(["Formato", "Celular"])
    for row, form in enumerate(formats, 2):
        sheet.append([form, 987650000 + row])
        sheet.cell(row, 2).number_format = form


def _hidden(sheet: Worksheet) -> None:
    _people(sheet)
    sheet.row_dimensions[3].hidden = True


def _filtered(sheet: Worksheet) -> None:
    _people(sheet)
    sheet.auto_filter.ref = "A1:F5"
    sheet.auto_filter.add_filter_column(0, ["José Muñoz", "Zoé Ñandú"])
    for row in (3, 4):
        sheet.row_dimensions[row].hidden = True


def _sheets(sheet: Worksheet) -> None:
    sheet.title = "Clientes"
    _people(sheet)
    other = sheet.parent.create_sheet("Bajas")
    _rows(other, [["Nombre", "Teléfono"], ["Luz", "+56 9 8765 0009"]])


def _hidden_sheet(sheet: Worksheet) -> None:
    _people(sheet)
    other = sheet.parent.create_sheet("Listas")
    other.sheet_state = "hidden"
    _rows(other, [["Sí"], ["No"]])


def _merged_header(sheet: Worksheet) -> None:
    """A row of groups above the names, as people merge them."""
    _rows(sheet, [["Cliente", None, "Deuda", None], ["Nombre", "Teléfono", "Monto", "Fecha"]])
    _rows(sheet, (person[:4] for person in CHILE))
    sheet.merge_cells("A1:B1")
    sheet.merge_cells("C1:D1")


def _title(sheet: Worksheet) -> None:
    _rows(sheet, [["Clientes con deuda al 30 de noviembre"], [], ["Nombre", "Teléfono", "Monto"]])
    _rows(sheet, (person[:3] for person in CHILE))
    sheet.merge_cells("A1:C1")


def _formulas(sheet: Worksheet) -> None:
    """Formulas that no spreadsheet has computed yet."""
    _rows(sheet, [["Nombre", "Código", "Celular", "Teléfono"]])
    for row, person in enumerate(CHILE, 2):
        sheet.append([person.name, 56, 987650000 + row, f"=B{row}&C{row}"])


def _errors(sheet: Worksheet) -> None:
    _rows(sheet, [["Nombre", "Teléfono"], ["José", "+56987650001"], ["#N/A", "+56987650002"]])
    _rows(sheet, [["Ana", "#REF!"], ["Luz", "+56987650004"]])


def _escapes(sheet: Worksheet) -> None:
    """Line breaks as Excel stores them, and a name that looks like one."""
    _rows(
        sheet,
        [
            ["Nombre", "Teléfono", "Saludo"],
            ["José", "+56987650001", "Hola_x000D_\nJosé"],
            ["Ana", "+56987650002", "Guion _x005F_x000D_ bajo"],
        ],
    )


def _floats(sheet: Worksheet) -> None:
    """Numbers that no cell shows with all the digits that are stored."""
    _rows(sheet, [["Teléfono", "Precio"]])
    _rows(
        sheet,
        zip(
            ("+56987650001", "+56987650002", "+56987650003"),
            (434.99999999999994, 0.1 + 0.2, 1.1 * 1.1),
            strict=True,
        ),
    )


def _scientific(sheet: Worksheet) -> None:
    """A number as a narrow column of a CSV makes it: the digits are there, the cell hides them."""
    _rows(sheet, [["Nombre", "Teléfono"], ["José", 56987650001], ["Ana", 5.69877e10]])
    for row in (2, 3):
        sheet.cell(row, 2).number_format = "0.00E+00"


def _gaps(sheet: Worksheet) -> None:
    """An empty first column, empty rows, and a total below."""
    _rows(sheet, [[], [None, "Nombre", None, "Teléfono"]])
    for person in CHILE[:2]:
        _rows(sheet, [[None, person.name, None, person.phone], []])
    sheet.append([None, None, "Total", None])


def _two_in_one(sheet: Worksheet) -> None:
    _rows(
        sheet,
        [
            ["Nombre", "Teléfono"],
            ["José", "+56987650001 / +56987650011"],
            ["Ana", "987650002; 987650012"],
            ["Luz", "+56987650003"],
        ],
    )


def _booleans(sheet: Worksheet) -> None:
    _rows(sheet, [["Teléfono", "Nombre", "VIP"], ["+56987650001", "José", True]])
    _rows(sheet, [["+56987650002", "Ana", False]])


def _dates(sheet: Worksheet) -> None:
    """A day, a moment, a duration of more than a day, and a text that only looks like a day."""
    _rows(
        sheet,
        [
            ["Teléfono", "Cuándo"],
            ["+56987650001", dt.date(2026, 12, 24)],
            ["+56987650002", dt.datetime(2026, 12, 24, 15, 30)],
            ["+56987650003", dt.timedelta(hours=26)],
            ["+56987650004", "24-12-2026"],
        ],
    )
    for row, form in ((2, "dd-mm-yyyy"), (3, "dd-mm-yyyy hh:mm"), (4, "[h]:mm")):
        sheet.cell(row, 2).number_format = form


SHEETS: Final[dict[str, Callable[[Worksheet], None]]] = {
    "people": _people,
    "phone-formats": _phone_formats,
    "hidden-row": _hidden,
    "filtered": _filtered,
    "two-sheets": _sheets,
    "hidden-sheet": _hidden_sheet,
    "merged-header": _merged_header,
    "title": _title,
    "formulas": _formulas,
    "errors": _errors,
    "escapes": _escapes,
    "floats": _floats,
    "scientific": _scientific,
    "gaps": _gaps,
    "two-in-one": _two_in_one,
    "booleans": _booleans,
    "dates": _dates,
    "empty": lambda sheet: _rows(sheet, []),
    "header-only": lambda sheet: sheet.append(["Nombre", "Teléfono"]),
    "same-name-twice": lambda sheet: _rows(
        sheet, [["Nombre", "Teléfono", "Teléfono"], ["José", "+56987650001", "+56987650002"]]
    ),
    "no-header": lambda sheet: _rows(sheet, [[person.name, person.phone] for person in CHILE]),
}


def _macros() -> None:
    """A workbook with macros, but for the macros."""
    book = openpyxl.Workbook()
    _people(book.active)
    book.save(FILES / "openpyxl-macros.xlsm")
    _rewrite(
        "openpyxl-macros.xlsm",
        "openpyxl-macros.xlsm",
        (
            (
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
                "application/vnd.ms-excel.sheet.macroEnabled.main+xml",
            ),
        ),
    )


def _strict() -> None:
    """The names of "Strict Open XML Spreadsheet", as Excel saves it; openpyxl writes the other."""
    _rewrite("openpyxl-people.xlsx", "excel-strict.xlsx", STRICT)


def _mac_dates() -> None:
    """Days counted from 1904, as Excel for Mac counted them."""
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    _people(book.active)
    book.save(FILES / "openpyxl-1904.xlsx")


def _rewrite(name: str, new_name: str, changes: Iterable[tuple[str, str]]) -> None:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(FILES / name) as book,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for part in book.namelist():
            text = book.read(part).decode()
            for old, other in changes:
                text = text.replace(old, other)
            new.writestr(part, text)
    (FILES / new_name).write_bytes(out.getvalue())


def _table(book: xlsxwriter.Workbook) -> None:
    """A table with formats, as a report of a company's system has them."""
    sheet = book.add_worksheet("Clientes")
    formats = [
        None,
        None,
        *(book.add_format({"num_format": it}) for it in ("$ #,##0", "dd/mm/yyyy", "hh:mm", "0%")),
    ]
    sheet.add_table(0, 0, len(CHILE), 5, {"columns": [{"header": name} for name in COLUMNS]})
    for number, person in enumerate(CHILE, 1):
        for place, (value, form) in enumerate(zip(person, formats, strict=True)):
            sheet.write(number, place, value, form)


def _numbers(book: xlsxwriter.Workbook) -> None:
    """Numbers as numbers, without strings that are shared between cells."""
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["Nombre", "Teléfono"])
    for number, person in enumerate(CHILE, 1):
        sheet.write_row(number, 0, [person.name, digits(person)])


def _rich(book: xlsxwriter.Workbook) -> None:
    """Text with a bold part, a link, a note, and a phonetic guide's neighbour: two parts."""
    sheet = book.add_worksheet()
    bold = book.add_format({"bold": True})
    sheet.write_row(0, 0, ["Nombre", "Teléfono", "Enlace"])
    sheet.write_rich_string(1, 0, "José ", bold, "Muñoz")
    sheet.write_string(1, 1, "+56987650001")
    sheet.write_url(1, 2, "https://example.com/a?b=1&c=2", string="Pagar aquí")
    sheet.write_comment(1, 0, "Llamar antes")


def _computed(book: xlsxwriter.Workbook) -> None:
    """Formulas with the values that a spreadsheet last computed, one of them an error."""
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["Nombre", "Celular", "Teléfono"])
    sheet.write_row(1, 0, ["José", 987650001])
    sheet.write_formula(1, 2, '="+56"&B2', None, "+56987650001")
    sheet.write_row(2, 0, ["Ana", 987650002])
    sheet.write_formula(2, 2, "=VLOOKUP(A3,Z:Z,1,0)", None, "#N/A")


WRITTEN: Final[dict[str, tuple[dict[str, Any], Callable[[xlsxwriter.Workbook], None]]]] = {
    "table": ({"remove_timezone": True}, _table),
    "constant-memory": ({"constant_memory": True}, _numbers),
    "rich": ({}, _rich),
    "computed": ({}, _computed),
}
