"""Sheets of workbooks, with each cell as it is shown."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import Final

import attrs

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.cells import Cell, ErrorCell, is_blank
from connectus_async.recipients.columns import LONGEST_NAME, MOST_LISTED, folded, listed
from connectus_async.recipients.sources._source import (
    Line,
    Source,
    by_column,
    check_columns,
    too_many_cells,
)
from connectus_async.recipients.sources.header import (
    ROWS_LOOKED_AT,
    grouped_names,
    header_place,
)
from connectus_async.recipients.sources.reading import Reading
from connectus_async.recipients.sources.workbooks.opening import opened
from connectus_async.recipients.sources.workbooks.workbook import (
    MAX_ROWS,
    Layout,
    SheetRow,
    Workbook,
)
from connectus_async.redaction import one_line

MAX_COUNTED: Final = 100_000
"""Rows that are counted in each sheet, to choose one."""


@attrs.frozen
class _Header:
    """The header of a sheet.

    Attributes:
        names: The names of the columns, including blank ones.
        first_row: The number of its first row.
        last_row: The number of its last row.
        top: The number of the first row that is not empty.
    """

    names: Sequence[str]
    first_row: int
    last_row: int
    top: int


@attrs.frozen(kw_only=True)
class ExcelFile(Source):
    """A sheet of a workbook (.xlsx, .xlsm). Rows keep the number they have in the sheet.

    A cell has its value, and the text in which the sheet shows it. A workbook stores every number
    as a float. It becomes an ``int`` only if the cell shows exactly its digits: it is whole, has at
    most 15 digits, and its format only pads or groups digits. In any other format, above all the
    scientific one, it becomes a ``float``, which is refused as a phone number. A formula has the
    value that was last computed.

    Attributes:
        path: The path of the workbook.
        sheet: The name of the sheet.
        header: The names in its header, including blank ones.
        header_row: The number of the last row of the header.
        reading: What is said of it.
    """

    path: Path
    sheet: str
    header: Sequence[str] = attrs.field(repr=False)
    header_row: int
    reading: Reading
    _notes: dict[str, None] = attrs.field(factory=dict, repr=False, eq=False)

    @classmethod
    def open(cls, path: Path, reading: Reading) -> "ExcelFile":
        """Read the header of a sheet. Blocking.

        Args:
            path: The path of the workbook.
            reading: What is said of it; its sheet is optional if only one is visible.

        Raises:
            InvalidArgumentError: The workbook cannot be read, has no such sheet, or has hidden
                rows and nothing is said of them.
            ConfigurationError: The library for its format is not installed.
        """
        with opened(path, reading.region) as book:
            sheet = _sheet(path, book, reading.sheet)
            layout = book.layout(sheet)
            header = _header(path, book, sheet, layout, reading.header_row)
            check_columns(path.name, header.names)
            if layout.may_hide_rows and reading.hidden_rows is None:
                _refuse_hidden_rows(path, book, sheet, header)
        source = cls(
            name=path.name,
            columns=[name for name in header.names if name],
            path=path,
            sheet=sheet,
            header=header.names,
            header_row=header.last_row,
            reading=reading,
        )
        source._note_layout(header, layout)
        return source

    def notes(self) -> Sequence[str]:
        """Tell what was found and decided; all of it is known when all rows were read."""
        return tuple(self._notes)

    def lines(self) -> Generator[Line, None, None]:
        """Read the rows below the header that are not empty. Blocking."""
        skips = self.reading.hidden_rows == "skip"
        width = len(self.header)
        hidden = 0
        with opened(self.path, self.reading.region) as book:
            with closing(_filled(self.path, book, self.sheet)) as rows:
                for number, cells, is_hidden in rows:
                    if number <= self.header_row:
                        continue
                    hidden += is_hidden
                    if is_hidden and skips:
                        continue
                    missing = width - len(cells)
                    if missing < 0 and not all(map(is_blank, cells[missing:])):
                        yield Line(number, too_many_cells(cells, self.header))
                        continue
                    all_cells = chain(cells, [None] * missing) if missing > 0 else cells
                    yield Line(number, by_column(self.header, all_cells))
            self._note_rows(book, hidden, skips=skips)

    def _note(self, sentence: str) -> None:
        self._notes[sentence] = None

    def _note_layout(self, header: _Header, layout: Layout) -> None:
        if header.first_row > header.top and self.reading.header_row is None:
            self._note(f"the header is row {header.first_row}; the rows above it are left out")
        if header.last_row > header.first_row:
            self._note(
                f"the header is row {header.last_row}; its columns are grouped by merged cells in"
                f" row {header.first_row}"
            )
        hidden = self._named(place for place in layout.hidden_columns)
        if hidden:
            self._note(f"the sheet hides columns, which are read all the same: {hidden}")

    def _note_rows(self, book: Workbook, hidden: int, *, skips: bool) -> None:
        if hidden and skips:
            self._note(f"hidden rows, which are left out: {hidden:,}")
        elif hidden:
            self._note(f"hidden rows, which are sent, too: {hidden:,}")
        for place, code in book.unknown_formats.items():
            if name := self._named([place]):
                self._note(
                    f"the number format {one_line(code, LONGEST_NAME)!r} is not known: texts get"
                    f" the values of such cells, like 0.15 for 15%, in column {name}"
                )
        if name := self._named(book.without_country):
            self._note(
                "the country is not known: texts get numbers and dates as their values, like 1234.5"
                f" for 1.234,50, unless you give --region, in columns: {name}"
            )

    def _named(self, places: Iterable[int]) -> str:
        header = dict(enumerate(self.header, 1))
        return listed([name for place in sorted(places) if (name := header.get(place))])


def _sheet(path: Path, book: Workbook, name: str | None) -> str:
    shown = [sheet for sheet, is_visible in book.sheets.items() if is_visible]
    if name is None and len(shown) == 1:
        return shown[0]
    if name is not None and name in book.sheets:
        return name
    wanted = folded(name or "")
    alike = [sheet for sheet in book.sheets if wanted and folded(sheet) == wanted]
    if len(alike) == 1:
        return alike[0]
    if not shown:
        raise InvalidArgumentError(path.name, "has no visible sheet; choose one with --sheet")
    if name is not None:
        problem = f"has no sheet {name!r}"
        names = [one_line(sheet, LONGEST_NAME) for sheet in shown[:MOST_LISTED]]
    else:
        problem = "has several sheets; choose one with --sheet, here with their rows"
        names = [
            f"{one_line(sheet, LONGEST_NAME)} ({_count(path, book, sheet)})"
            for sheet in shown[:MOST_LISTED]
        ]
    rest = ["…"] if len(shown) > MOST_LISTED else []
    raise InvalidArgumentError(path.name, f"{problem}: {', '.join(names + rest)}")


def _count(path: Path, book: Workbook, sheet: str) -> str:
    """Count the rows of a sheet that are not empty, without its first one."""
    with closing(_filled(path, book, sheet)) as rows:
        count = sum(1 for _ in islice(rows, MAX_COUNTED + 2)) - 1
    return f"> {MAX_COUNTED:,}" if count > MAX_COUNTED else f"{max(count, 0):,}"


def _filled(path: Path, book: Workbook, sheet: str) -> Generator[SheetRow, None, None]:
    """Read the rows that are not empty."""
    for row in book.rows(sheet):
        if row.number > MAX_ROWS:
            raise InvalidArgumentError(path.name, f"has more than {MAX_ROWS:,} rows")
        if not all(map(is_blank, row.cells)):
            yield row


def _header(path: Path, book: Workbook, sheet: str, layout: Layout, said: int | None) -> _Header:
    """Find the header, in one row, or in two if merged cells group its columns."""
    with closing(_filled(path, book, sheet)) as rows:
        head = dict(_head(rows, said or 1))
    if said is not None and said not in head:
        raise InvalidArgumentError(path.name, f"has nothing in row {said} (--header-row)")
    if not head:
        return _Header([], 0, 0, 0)
    top = min(head)
    first = said or top + header_place([head.get(row, []) for row in range(top, max(head) + 1)])
    names = list(map(_name, head[first]))
    groups = {
        merge.first_column: merge.last_column
        for merge in layout.merges
        if merge.first_row == first and merge.last_column > merge.first_column
    }
    is_title = len(list(filter(None, names))) == 1
    if not groups or is_title or said is not None or first + 1 not in head:
        return _Header(names, first, first, top)
    return _Header(
        grouped_names(names, groups, list(map(_name, head[first + 1]))), first, first + 1, top
    )


def _head(rows: Iterator[SheetRow], least: int) -> Iterator[tuple[int, list[Cell]]]:
    """Read the rows among which the header is."""
    top = None
    for number, cells, _ in rows:
        if number >= least:
            top = top or number
            if number >= top + ROWS_LOOKED_AT:
                return
            yield number, cells


def _refuse_hidden_rows(path: Path, book: Workbook, sheet: str, header: _Header) -> None:
    hidden = total = 0
    with closing(_filled(path, book, sheet)) as rows:
        for number, _, is_hidden in rows:
            if number > header.last_row:
                total += 1
                hidden += is_hidden
    if hidden:
        raise InvalidArgumentError(
            path.name,
            f"hides {hidden:,} of its {total:,} rows, by a filter or by hand; leave them out with "
            "--hidden-rows skip, or send them, too, with --hidden-rows send",
        )


def _name(cell: Cell) -> str:
    if isinstance(cell, ErrorCell):
        return cell.error
    return "" if is_blank(cell) else str(cell).strip()
