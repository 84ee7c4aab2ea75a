"""Workbooks of Excel since 2007 (.xlsx, .xlsm), in their usual and their strict form.

The XML of a sheet is read row by row, by the parser of Python's own library.
"""

import datetime as dt
from collections.abc import Generator, Mapping, Sequence
from functools import cached_property
from typing import Final
from xml.etree.ElementTree import Element

from connectus_async.recipients.cells import NOT_COMPUTED, Cell
from connectus_async.recipients.sources.workbooks.number_formats import (
    BUILT_IN,
    GENERAL,
    OF_SYSTEM,
    NumberFormats,
    ToCells,
)
from connectus_async.recipients.sources.workbooks.package import STYLES, TEXTS, Package
from connectus_async.recipients.sources.workbooks.parts import (
    DamagedError,
    children,
    contains,
    elements,
    local,
)
from connectus_async.recipients.sources.workbooks.texts import shared_texts, text_of, unescaped
from connectus_async.recipients.sources.workbooks.workbook import (
    MAX_COLUMNS,
    MAX_MERGES,
    Layout,
    Merge,
    SheetRow,
    Workbook,
    error_cell,
)

EPOCH: Final = dt.datetime(1899, 12, 30)  # noqa: DTZ001 - a date of a workbook has no zone
EPOCH_1904: Final = dt.datetime(1904, 1, 1)  # noqa: DTZ001 - as above
_DAY: Final = dt.timedelta(days=1)
_TRUE: Final = frozenset({"1", "true"})
_DIGITS: Final = "0123456789"
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LAYOUT_WORDS: Final = (b"hidden", b"mergeCell", b'ht="0"', b"ht='0'")


class Xlsx(Workbook):
    """A workbook of XML parts.

    Args:
        package: Its parts.
        region: The country whose conventions it follows, if it is known.
        file: Its name, for error messages.
    """

    def __init__(self, package: Package, region: str | None, file: str) -> None:
        self._package = package
        self._archive = package.archive
        self._sheets: dict[str, tuple[str, bool]] = {}
        since_1904 = self._read_workbook()
        self._epoch = EPOCH_1904 if since_1904 else EPOCH
        self._formats = NumberFormats(region, file, since_1904=since_1904)

    @property
    def sheets(self) -> Mapping[str, bool]:
        """Names of its sheets with cells, each with whether it is visible."""
        return {name: is_visible for name, (_, is_visible) in self._sheets.items()}

    def layout(self, sheet: str) -> Layout:
        """Read what a sheet has besides its rows."""
        path, _ = self._sheets[sheet]
        if not contains(self._archive, path, _LAYOUT_WORDS):
            return Layout(may_hide_rows=False)
        merges: list[Merge] = []
        columns: set[int] = set()
        hides_rows = False
        for name, given in elements(self._archive, path):
            if name == "mergeCell" and len(merges) < MAX_MERGES:
                merges.append(_merge(given.get("ref", "")))
            elif name == "col" and _is_hidden(given):
                first, last = int(given["min"]), int(given["max"])
                columns.update(range(first, min(last, MAX_COLUMNS) + 1))
            elif name == "row":
                hides_rows = hides_rows or _is_hidden(given)
        return Layout(merges=merges, hidden_columns=columns, may_hide_rows=hides_rows)

    def rows(self, sheet: str) -> Generator[SheetRow, None, None]:
        """Read the rows that a sheet stores."""
        read = _RowReader(self._texts, ToCells(self._codes, self._formats), self._epoch).row
        for rows in children(self._archive, self._sheets[sheet][0], "sheetData"):
            yield from map(read, rows)

    def _read_workbook(self) -> bool:
        targets = self._package.sheets()
        since_1904 = False
        for name, given in elements(self._archive, self._package.main):
            if name == "workbookPr":
                since_1904 = given.get("date1904") in _TRUE
            elif name == "sheet":
                named = {local(key): value for key, value in given.items()}
                if (path := targets.get(named["id"])) is not None:
                    is_visible = named.get("state", "visible") == "visible"
                    self._sheets[named["name"]] = (path, is_visible)
        return since_1904

    @cached_property
    def _texts(self) -> Sequence[str]:
        part = self._package.part(TEXTS)
        return () if part is None else shared_texts(self._archive, part)

    @cached_property
    def _codes(self) -> Sequence[str]:
        """The number format of each style of cells."""
        part = self._package.part(STYLES)
        written: dict[int, str] = {}
        codes: list[str] = []
        is_cells = False
        for name, given in () if part is None else elements(self._archive, part):
            if name == "numFmt":
                written[int(given["numFmtId"])] = given.get("formatCode", GENERAL)
            elif name in {"cellXfs", "cellStyleXfs", "cellStyles", "dxfs"}:
                is_cells = name == "cellXfs"
            elif name == "xf" and is_cells:
                number = int(given.get("numFmtId", 0))
                codes.append(written.get(number) or BUILT_IN.get(number, OF_SYSTEM))
        return codes


class _RowReader:
    """Reads the rows of a sheet in order.

    Args:
        texts: The texts that cells share.
        to_cells: Makes cells of numbers, by style.
        epoch: The day from which the workbook counts.
    """

    def __init__(self, texts: Sequence[str], to_cells: ToCells, epoch: dt.datetime) -> None:
        self._texts = texts
        self._to_cells = to_cells
        self._epoch = epoch
        self._columns: dict[str, int] = {}
        self._number = 0

    def row(self, row: Element) -> SheetRow:
        """Read a row."""
        cells: list[Cell] = []
        value_tag = row.tag[: -len("row")] + "v"
        for cell in row:
            given = cell.attrib
            place = given.get("r", "").rstrip(_DIGITS)
            column = self._columns.get(place) or self._column(place, cells)
            value = self._value(cell, value_tag, given, column) if len(cell) else None
            if (missing := column - 1 - len(cells)) >= 0:
                if missing:
                    cells += [None] * missing
                cells.append(value)
            else:
                cells[column - 1] = value
        self._number = int(row.get("r", self._number + 1))
        return SheetRow(self._number, cells, _is_hidden(row.attrib))

    def _column(self, place: str, cells: Sequence[Cell]) -> int:
        """Return the place of a column, from 1; a cell that names none is the next."""
        if not place:
            column = len(cells) + 1
        else:
            column = self._columns[place] = column_of(place)
        if column > MAX_COLUMNS:
            raise DamagedError
        return column

    def _value(self, cell: Element, tag: str, given: Mapping[str, str], column: int) -> Cell:
        kind = given.get("t")
        last = cell[-1]
        text = last.text
        if last.tag != tag:
            if kind == "inlineStr":
                return text_of(last)
            text = cell.findtext(tag)
        if not text:
            is_computed = kind == "str" or all(local(it.tag) != "f" for it in cell)
            return None if is_computed else NOT_COMPUTED
        if kind is None or kind == "n":
            return self._to_cells[given.get("s")](float(text), column)
        if kind == "s" and text.isdecimal():
            return self._texts[int(text)]
        return self._other(cell, kind, text, column)

    def _other(self, cell: Element, kind: str, text: str, column: int) -> Cell:
        if kind == "str":
            return unescaped(text)
        if kind == "b":
            return text in _TRUE
        if kind == "e":
            return error_cell(text)
        if kind == "d":
            days = (_moment(text, self._epoch) - self._epoch) / _DAY
            return self._to_cells[cell.get("s")](days, column)
        raise DamagedError


def column_of(letters: str) -> int:
    """Return the place of a column by its letters.

    >>> column_of("A"), column_of("AB")
    (1, 28)
    """
    column = 0
    for letter in letters:
        if not "A" <= letter <= "Z":
            raise DamagedError
        column = column * 26 + ord(letter) - ord("A") + 1
    return column


def _merge(area: str) -> Merge:
    corners = [(corner.rstrip(_DIGITS), corner.lstrip(_LETTERS)) for corner in area.split(":")]
    (first_column, first_row), (last_column, last_row) = corners[0], corners[-1]
    return Merge(int(first_row), column_of(first_column), int(last_row), column_of(last_column))


def _is_hidden(given: Mapping[str, str]) -> bool:
    return given.get("hidden") in _TRUE or given.get("ht") == "0"


def _moment(text: str, epoch: dt.datetime) -> dt.datetime:
    """Read a date and time of a strict workbook; a time alone is on the first day."""
    text = text.removesuffix("Z")
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return dt.datetime.combine(epoch, dt.time.fromisoformat(text))
