"""Workbooks of LibreOffice and others (.ods), which store what each cell shows."""

import datetime as dt
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import cached_property
from typing import Final
from xml.etree.ElementTree import Element
from zipfile import ZipFile

import attrs

from connectus_async.recipients.cells import Cell, ShownFloat, ShownMoment, ShownTime
from connectus_async.recipients.sources.workbooks.number_formats import GENERAL, NumberFormats
from connectus_async.recipients.sources.workbooks.parts import (
    BETWEEN,
    MAX_PIECES,
    DamagedError,
    elements,
    growing,
    local,
)
from connectus_async.recipients.sources.workbooks.shown_digits import shown_number, with_text
from connectus_async.recipients.sources.workbooks.workbook import (
    MAX_COLUMNS,
    MAX_MERGES,
    MAX_ROWS,
    Layout,
    Merge,
    SheetRow,
    Workbook,
    error_cell,
)

CONTENT: Final = "content.xml"
MAX_BLANKS: Final = 1024
"""Maximum blanks that one element stands for; it bounds memory."""

_OF_DOCUMENT: Final = "urn:oasis:names:tc:opendocument:xmlns:"
_OFFICE: Final = f"{_OF_DOCUMENT}office:1.0{BETWEEN}"
_TABLE: Final = f"{_OF_DOCUMENT}table:1.0{BETWEEN}"
_STYLE: Final = f"{_OF_DOCUMENT}style:1.0{BETWEEN}"
_KIND: Final = f"{{{_OFFICE}value-type"
_VALUE: Final = f"{{{_OFFICE}value"
_REPEATED: Final = f"{{{_TABLE}number-columns-repeated"
_BLANKS: Final = f"{{{_OF_DOCUMENT}text:1.0{BETWEEN}c"
_ERROR: Final = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}value-type"
_NUMBERS: Final = frozenset({"float", "percentage", "currency"})
_GROUPS: Final = frozenset({"table-header-rows", "table-rows", "table-row-group"})
_HIDDEN: Final = frozenset({"collapse", "filter"})
_SIGNS: Final = {"tab": "\t", "line-break": "\n"}
_NO_TEXT: Final = frozenset({"annotation", "shapes", "frame"})
_DURATION: Final = re.compile(
    r"P(?:(\d{1,9})D)?T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d+)?)S)?"
)
_UNITS: Final = (1.0, 1 / 24, 1 / 1440, 1 / 86_400)


@attrs.define
class _Sheet:
    """What the content says of a sheet besides its rows."""

    is_visible: bool
    hidden_columns: set[int] = attrs.field(factory=set)
    merges: list[Merge] = attrs.field(factory=list)
    hides_rows: bool = False


class Ods(Workbook):
    """A workbook in the format OpenDocument.

    Args:
        archive: Its parts.
        region: The country whose conventions it follows, if it is known.
        file: Its name, for error messages.
    """

    def __init__(self, archive: ZipFile, region: str | None, file: str) -> None:
        self._archive = archive
        self._formats = NumberFormats(region, file, since_1904=False)
        self._general = self._formats.to_cell(GENERAL)

    @cached_property
    def _sheets(self) -> Mapping[str, _Sheet]:
        return _Scan(self._archive).found

    @property
    def sheets(self) -> Mapping[str, bool]:
        """Names of its sheets, each with whether it is visible."""
        return {name: sheet.is_visible for name, sheet in self._sheets.items()}

    def layout(self, sheet: str) -> Layout:
        """Tell what a sheet has besides its rows."""
        found = self._sheets[sheet]
        return Layout(
            merges=found.merges,
            hidden_columns=found.hidden_columns,
            may_hide_rows=found.hides_rows,
        )

    def rows(self, sheet: str) -> Generator[SheetRow, None, None]:
        """Read the rows of a sheet."""
        number = 0
        for row in _rows(self._archive, sheet):
            count = int(row.get(f"{{{_TABLE}number-rows-repeated", 1))
            cells = self._cells(row)
            is_hidden = row.get(f"{{{_TABLE}visibility") in _HIDDEN
            if cells:
                if number + count > MAX_ROWS:
                    raise DamagedError
                for repeated in range(number + 1, number + 1 + count):
                    yield SheetRow(repeated, cells, is_hidden)
            number += count

    def _cells(self, row: Element) -> list[Cell]:
        cells: list[Cell] = []
        blank = 0
        for cell in row:
            name = local(cell.tag)
            if name not in {"table-cell", "covered-table-cell"}:
                continue
            count = int(cell.get(_REPEATED, 1))
            column = len(cells) + blank + 1
            value = self._cell(cell, column) if name == "table-cell" and len(cell.keys()) else None
            if value is None:
                blank += count
                continue
            if column + count - 1 > MAX_COLUMNS:
                raise DamagedError
            cells += [None] * blank + [value] * count
            blank = 0
        return cells

    def _cell(self, cell: Element, column: int) -> Cell:
        kind = cell.get(_KIND)
        if kind is None and not len(cell):
            return None
        text = _text(cell)
        if cell.get(_ERROR) == "error":
            return error_cell((text or "").strip())
        if kind in _NUMBERS:
            value = float(cell.get(_VALUE, ""))
            return self._general(value, column) if text is None else shown_number(value, text)
        if kind == "boolean":
            return cell.get(f"{{{_OFFICE}boolean-value") == "true"
        if kind in {"date", "time"}:
            return _moment(cell.get(f"{{{_OFFICE}{kind}-value", ""), text)
        return cell.get(f"{{{_OFFICE}string-value") if text is None else text


class _Scan:
    """Finds the sheets of a content, and what they have besides their rows."""

    def __init__(self, archive: ZipFile) -> None:
        self.found: dict[str, _Sheet] = {}
        self._sheet = _Sheet(is_visible=False)
        self._hidden_styles: set[str | None] = set()
        self._style: str | None = None
        self._row = self._rows = self._column = 0
        ways: dict[str, Callable[[Mapping[str, str]], None]] = {
            "style": self._begin_style,
            "table-properties": self._look_at_style,
            "table": self._begin_sheet,
            "table-column": self._look_at_columns,
            "table-row": self._look_at_row,
            "table-cell": self._look_at_cell,
            "covered-table-cell": self._look_at_cell,
        }
        for name, given in elements(archive, CONTENT):
            if (way := ways.get(name)) is not None:
                way(given)

    def _begin_style(self, given: Mapping[str, str]) -> None:
        self._style = given.get(f"{_STYLE}name")

    def _look_at_style(self, given: Mapping[str, str]) -> None:
        if given.get(f"{_TABLE}display") == "false":
            self._hidden_styles.add(self._style)

    def _begin_sheet(self, given: Mapping[str, str]) -> None:
        is_visible = given.get(f"{_TABLE}style-name") not in self._hidden_styles
        self._sheet = _Sheet(is_visible=is_visible)
        if (name := given.get(f"{_TABLE}name")) is not None:
            self.found[name] = self._sheet
        self._row, self._rows, self._column = 0, 1, 0

    def _look_at_columns(self, given: Mapping[str, str]) -> None:
        last = min(
            self._column + int(given.get(f"{_TABLE}number-columns-repeated", 1)), MAX_COLUMNS
        )
        if given.get(f"{_TABLE}visibility") in _HIDDEN:
            self._sheet.hidden_columns.update(range(self._column + 1, last + 1))
        self._column = last

    def _look_at_row(self, given: Mapping[str, str]) -> None:
        self._row += self._rows
        self._rows = int(given.get(f"{_TABLE}number-rows-repeated", 1))
        self._column = 0
        if given.get(f"{_TABLE}visibility") in _HIDDEN:
            self._sheet.hides_rows = True

    def _look_at_cell(self, given: Mapping[str, str]) -> None:
        wide = int(given.get(f"{_TABLE}number-columns-spanned", 1))
        if wide > 1 and len(self._sheet.merges) < MAX_MERGES:
            high = int(given.get(f"{_TABLE}number-rows-spanned", 1))
            first = self._column + 1
            self._sheet.merges.append(
                Merge(self._row, first, self._row + high - 1, self._column + wide)
            )
        self._column += int(given.get(f"{_TABLE}number-columns-repeated", 1))


def _rows(archive: ZipFile, sheet: str) -> Iterator[Element]:
    """Read the elements of the rows of a sheet, and drop those of the others."""
    pieces_a_row = 0
    for top, is_complete in growing(archive, CONTENT):
        found = False
        for spreadsheet in top.iterfind("./*/*/*"):
            if local(spreadsheet.tag) != "spreadsheet":
                continue
            tables = list(spreadsheet)
            for place, table in enumerate(tables):
                is_wanted = table.get(f"{{{_TABLE}name") == sheet
                may_grow = not is_complete and place == len(tables) - 1
                for row in _taken(table, may_grow=may_grow):
                    found = True
                    if is_wanted and local(table.tag) == "table":
                        yield row
                if not may_grow:
                    spreadsheet.remove(table)
        pieces_a_row = 0 if found else pieces_a_row + 1
        if pieces_a_row > MAX_PIECES:
            raise DamagedError


def _taken(group: Element, *, may_grow: bool) -> Iterator[Element]:
    """Take out the rows of a table or a group of them; the last one may still grow."""
    members = group[:]
    for place, member in enumerate(members):
        grows = may_grow and place == len(members) - 1
        name = local(member.tag)
        if name in _GROUPS:
            yield from _taken(member, may_grow=grows)
        elif name == "table-row" and not grows:
            yield member
    del group[: len(members) - may_grow]


def _text(cell: Element) -> str | None:
    """Read the text of a cell, without its annotation; ``None`` if it has none."""
    lines = [_line(child) for child in cell if local(child.tag) == "p"]
    return "\n".join(lines) if lines else None


def _line(element: Element) -> str:
    """Read a line of text with all that is in it."""
    parts = [element.text or ""]
    for child in element:
        name = local(child.tag)
        if name == "s":
            parts.append(_blanks(int(child.get(_BLANKS, 1))))
        elif name not in _NO_TEXT:
            parts.append(_SIGNS.get(name) or _line(child))
        parts.append(child.tail or "")
    return "".join(parts)


def _blanks(count: int) -> str:
    if count > MAX_BLANKS:
        raise DamagedError
    return " " * count


def _moment(value: str, text: str | None) -> Cell:
    """Make the cell of a date, or of a time, which is a duration."""
    if (found := _DURATION.fullmatch(value)) is None:
        moment = dt.datetime.fromisoformat(value)
        return with_text(ShownMoment.combine(moment.date(), moment.time()), text)
    days = sum(float(part or 0) * unit for part, unit in zip(found.groups(), _UNITS, strict=True))
    if days >= 1:
        return with_text(ShownFloat(days), text)
    seconds = round(days * 86_400)
    return with_text(ShownTime(seconds // 3600 % 24, seconds // 60 % 60, seconds % 60), text)
