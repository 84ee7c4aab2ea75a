"""Workbooks of Excel until 2003 (.xls), through xlrd."""

import io
from collections.abc import Generator, Mapping
from typing import Any, Final

from connectus_async.extras import library
from connectus_async.recipients.cells import Cell
from connectus_async.recipients.sources.workbooks.number_formats import (
    BUILT_IN,
    GENERAL,
    OF_SYSTEM,
    NumberFormats,
    ToCell,
)
from connectus_async.recipients.sources.workbooks.parts import DamagedError
from connectus_async.recipients.sources.workbooks.workbook import (
    Layout,
    Merge,
    SheetRow,
    Workbook,
    error_cell,
)

_NUMBERS: Final = frozenset({2, 3})
_TEXT: Final = 1
_BOOLEAN: Final = 4
_ERROR: Final = 5
"""Types of cells, by their numbers in xlrd; a date is a number."""


class Xls(Workbook):
    """A workbook in the binary format.

    Args:
        content: Its bytes.
        region: The country whose conventions it follows, if it is known.
        file: Its name, for error messages.
    """

    def __init__(self, content: bytes, region: str | None, file: str) -> None:
        xlrd = library(file, "xlrd", extra="excel")
        _check_short_streams(xlrd.compdoc.CompDoc(content, logfile=io.StringIO()))
        self._book = xlrd.open_workbook(
            file_contents=content,
            logfile=io.StringIO(),  # else it writes to standard output
            formatting_info=True,
            ragged_rows=True,
        )
        self._errors: Mapping[int, str] = xlrd.error_text_from_code
        self._formats = NumberFormats(region, file, since_1904=self._book.datemode == 1)
        self._written = {it.format_key: it.format_str for it in self._book.format_list}
        self._to_cells: dict[int, ToCell] = {}

    @property
    def sheets(self) -> Mapping[str, bool]:
        """Names of its sheets, each with whether it is visible."""
        return {sheet.name: sheet.visibility == 0 for sheet in self._book.sheets()}

    def layout(self, sheet: str) -> Layout:
        """Tell what a sheet has besides its rows."""
        found = self._book.sheet_by_name(sheet)
        return Layout(
            merges=[
                Merge(top + 1, left + 1, bottom, right)
                for top, bottom, left, right in found.merged_cells
            ],
            hidden_columns={
                place + 1
                for place, column in found.colinfo_map.items()
                if column.hidden and place < found.ncols
            },
            may_hide_rows=any(row.hidden for row in found.rowinfo_map.values()),
        )

    def rows(self, sheet: str) -> Generator[SheetRow, None, None]:
        """Read the rows of a sheet."""
        found = self._book.sheet_by_name(sheet)
        for place in range(found.nrows):
            row = found.rowinfo_map.get(place)
            cells = [self._cell(it, column) for column, it in enumerate(found.row(place), 1)]
            yield SheetRow(place + 1, cells, row is not None and bool(row.hidden))

    def _cell(self, cell: Any, column: int) -> Cell:
        kind = cell.ctype
        if kind == _TEXT:
            return str(cell.value).replace("\r\n", "\n")
        if kind in _NUMBERS:
            return self._to_cell(cell.xf_index)(cell.value, column)
        if kind == _BOOLEAN:
            return bool(cell.value)
        return error_cell(self._errors.get(cell.value, "")) if kind == _ERROR else None

    def _to_cell(self, style: int) -> ToCell:
        if (found := self._to_cells.get(style)) is None:
            key = self._book.xf_list[style].format_key
            code = BUILT_IN.get(key) or self._written.get(key, OF_SYSTEM) or GENERAL
            found = self._to_cells[style] = self._formats.to_cell(code)
        return found


def _check_short_streams(document: Any) -> None:
    """Refuse a file whose short streams are damaged: xlrd takes them as they are."""
    chain_of: dict[int, int] = {}
    for chain, stream in enumerate(document.dirlist):
        sector = stream.first_SID if stream.tot_size < document.min_size_std_stream else -1
        while 0 <= sector < len(document.SSAT) and sector not in chain_of:
            chain_of[sector] = chain
            sector = document.SSAT[sector]
        if chain_of.get(sector) == chain:
            raise DamagedError
