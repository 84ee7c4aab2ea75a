"""Binary workbooks of Excel since 2007 (.xlsb), whose parts are records.

No library that is kept gives their number formats and hidden rows. Names and fields of records are
those of [MS-XLSB].
"""

import io
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from functools import cached_property
from struct import unpack_from
from typing import IO, Any, Final, cast

from connectus_async.recipients.cells import Cell
from connectus_async.recipients.sources.workbooks.number_formats import (
    BUILT_IN,
    OF_SYSTEM,
    NumberFormats,
    ToCells,
)
from connectus_async.recipients.sources.workbooks.package import STYLES, TEXTS, Package
from connectus_async.recipients.sources.workbooks.parts import PIECE, DamagedError
from connectus_async.recipients.sources.workbooks.workbook import (
    MAX_COLUMNS,
    MAX_MERGES,
    Layout,
    Merge,
    SheetRow,
    Workbook,
    error_cell,
)

MAX_RECORD: Final = 2**20
"""Maximum bytes of a record that is read; a cell has at most 32,767 characters."""

ROW: Final = 0
RK: Final = 2
ERROR: Final = 3
BOOLEAN: Final = 4
REAL: Final = 5
TEXT: Final = 6
SHARED: Final = 7
FORMULA: Final = {8: TEXT, 9: REAL, 10: BOOLEAN, 11: ERROR}
"""Formulas, which have their result as a cell has its value."""

SHORT: Final = dict(zip(range(12, 19), range(1, 8), strict=True))
"""Cells that do not say their column, as it is the next one."""

RICH_TEXT: Final = 62
SHARED_TEXT: Final = 19
FORMAT: Final = 44
STYLE: Final = 47
COLUMN: Final = 60
SHEET_DATA_END: Final = 146
WORKBOOK: Final = 153
SHEET: Final = 156
MERGE: Final = 176
STYLES_BEGIN: Final = 617
STYLES_END: Final = 618

_CELLS: Final = frozenset({*range(1, 19), RICH_TEXT})
_ERRORS: Final = {
    0x00: "#NULL!",
    0x07: "#DIV/0!",
    0x0F: "#VALUE!",
    0x17: "#REF!",
    0x1D: "#NAME?",
    0x24: "#NUM!",
    0x2A: "#N/A",
    0x2B: "#GETTING_DATA",
}


class Xlsb(Workbook):
    """A workbook of binary parts.

    Args:
        package: Its parts.
        region: The country whose conventions it follows, if it is known.
        file: Its name, for error messages.
    """

    def __init__(self, package: Package, region: str | None, file: str) -> None:
        self._package = package
        self._sheets: dict[str, tuple[str, bool]] = {}
        since_1904 = self._read_workbook()
        self._formats = NumberFormats(region, file, since_1904=since_1904)

    @property
    def sheets(self) -> Mapping[str, bool]:
        """Names of its sheets with cells, each with whether it is visible."""
        return {name: is_visible for name, (_, is_visible) in self._sheets.items()}

    def layout(self, sheet: str) -> Layout:
        """Read what a sheet has besides its rows."""
        merges: list[Merge] = []
        columns: set[int] = set()
        hides_rows = False
        for kind, record in self._records(self._sheets[sheet][0], {ROW, COLUMN, MERGE}):
            if kind == ROW:
                hides_rows = hides_rows or _is_hidden(record)
            elif kind == MERGE and len(merges) < MAX_MERGES:
                top, bottom, left, right = unpack_from("<4I", record)
                merges.append(Merge(top + 1, left + 1, bottom + 1, right + 1))
            elif kind == COLUMN and record[16] & 1:
                first, last = unpack_from("<2I", record)
                columns.update(range(first + 1, min(last + 1, MAX_COLUMNS) + 1))
        return Layout(merges=merges, hidden_columns=columns, may_hide_rows=hides_rows)

    def rows(self, sheet: str) -> Generator[SheetRow, None, None]:
        """Read the rows that a sheet stores."""
        row: SheetRow | None = None
        to_cells = ToCells(self._codes, self._formats)
        wanted = {ROW, SHEET_DATA_END, *_CELLS}
        for kind, record in self._records(self._sheets[sheet][0], wanted):
            if kind in _CELLS:
                if row is None:
                    raise DamagedError
                self._add(row.cells, kind, record, to_cells)
                continue
            if row is not None:
                yield row
            if kind == SHEET_DATA_END:
                return
            row = SheetRow(unpack_from("<I", record)[0] + 1, [], _is_hidden(record))
        raise DamagedError

    def _add(self, cells: list[Cell], kind: int, record: bytes, to_cells: ToCells) -> None:
        if kind in SHORT:
            kind, column, start = SHORT[kind], len(cells), 4
            style = unpack_from("<I", record)[0]
        else:
            column, style = unpack_from("<2I", record)
            start = 8
        if not len(cells) <= column < MAX_COLUMNS:
            raise DamagedError
        cells += [None] * (column - len(cells))
        cells.append(
            self._cell(FORMULA.get(kind, kind), record[start:], style, to_cells, column + 1)
        )

    def _cell(self, kind: int, content: bytes, style: int, to_cells: ToCells, column: int) -> Cell:
        if kind in {RK, REAL}:
            number = _rk(content) if kind == RK else unpack_from("<d", content)[0]
            return to_cells[style & 0xFFFFFF](number, column)
        if kind == SHARED:
            place: int = unpack_from("<I", content)[0]
            return self._texts[place]
        if kind == TEXT:
            return _text(content, 0)
        if kind == RICH_TEXT:
            return _text(content, 1)
        if kind == BOOLEAN:
            return content[0] == 1
        return error_cell(_ERRORS.get(content[0], "")) if kind == ERROR else None

    def _read_workbook(self) -> bool:
        targets = self._package.sheets()
        since_1904 = False
        for kind, record in self._records(self._package.main, {WORKBOOK, SHEET}):
            if kind == WORKBOOK:
                since_1904 = bool(record[0] & 1)
                continue
            identifier = _text(record, 8)
            name = _text(record, 12 + 2 * unpack_from("<I", record, 8)[0])
            if (path := targets.get(identifier)) is not None:
                self._sheets[name] = (path, unpack_from("<I", record)[0] == 0)
        return since_1904

    @cached_property
    def _texts(self) -> Sequence[str]:
        part = self._package.part(TEXTS)
        found = () if part is None else self._records(part, {SHARED_TEXT})
        return [_text(record, 1) for _, record in found]

    @cached_property
    def _codes(self) -> Sequence[str]:
        """The number format of each style of cells."""
        part = self._package.part(STYLES)
        wanted = {FORMAT, STYLE, STYLES_BEGIN, STYLES_END}
        written: dict[int, str] = {}
        codes: list[str] = []
        is_cells = False
        for kind, record in () if part is None else self._records(part, wanted):
            if kind == FORMAT:
                written[unpack_from("<H", record)[0]] = _text(record, 2)
            elif kind == STYLE and is_cells:
                number = unpack_from("<H", record, 2)[0]
                codes.append(written.get(number) or BUILT_IN.get(number, OF_SYSTEM))
            else:
                is_cells = kind == STYLES_BEGIN
        return codes

    def _records(self, part: str, wanted: Collection[int]) -> Iterator[tuple[int, bytes]]:
        """Read the records of some kinds of a part, in order."""
        with (
            self._package.archive.open(part) as opened,
            io.BufferedReader(cast("Any", opened), PIECE) as file,
        ):
            while first := file.read(1):
                kind = first[0]
                if kind & 0x80:
                    kind = kind & 0x7F | _byte(file) << 7
                size = _size(file)
                if kind in wanted:
                    yield kind, _read(file, size)
                else:
                    _skip(file, size)


def _byte(file: IO[bytes]) -> int:
    return _read(file, 1)[0]


def _size(file: IO[bytes]) -> int:
    size = 0
    for shift in (0, 7, 14, 21):
        byte = _byte(file)
        size |= (byte & 0x7F) << shift
        if not byte & 0x80:
            break
    return size


def _read(file: IO[bytes], size: int) -> bytes:
    if size > MAX_RECORD:
        raise DamagedError
    found = file.read(size)
    if len(found) < size:
        raise DamagedError
    return found


def _skip(file: IO[bytes], size: int) -> None:
    while size > 0:
        size -= len(_read(file, min(size, PIECE)))


def _text(record: bytes, start: int) -> str:
    """Read a text, after the count of its characters."""
    count = unpack_from("<I", record, start)[0]
    end = start + 4 + 2 * count
    if end > len(record):
        raise DamagedError
    return record[start + 4 : end].decode("utf-16-le", "replace").replace("\r\n", "\n")


def _rk(content: bytes) -> float:
    """Read a number that was packed into four bytes."""
    packed = unpack_from("<i", content)[0]
    number: float = packed >> 2
    if not packed & 2:
        number = unpack_from("<d", bytes(4) + (packed & ~3 & 0xFFFFFFFF).to_bytes(4, "little"))[0]
    return number / 100 if packed & 1 else number


def _is_hidden(row: bytes) -> bool:
    return bool(row[11] & 0x10)
