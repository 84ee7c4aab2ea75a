"""Excel workbooks, through openpyxl: it reads row by row, and gives a cell's number format."""

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

import attrs

from connectus_async.errors import ConnectusError, InvalidArgumentError
from connectus_async.extras import library
from connectus_async.recipients.cells import Cell, is_blank
from connectus_async.recipients.sources._source import (
    Line,
    Source,
    by_column,
    check_columns,
    too_many_cells,
)
from connectus_async.recipients.sources.reading import Reading

MAX_ROWS: Final = 2**20
"""Excel's own limit."""

MAX_EXACT: Final = 10**15
"""Excel keeps 15 digits of a number and replaces the rest with zeros."""

MAX_SHARED_TEXT: Final = 256 * 2**20
"""Maximum bytes of the shared strings, which openpyxl keeps in memory."""

MAX_PACKED: Final = 500
"""Maximum compression ratio of a large part; Excel's own parts have about 10."""

NO_WORKBOOK: Final = "it is not an Excel workbook, is damaged, or has a password"
LARGE: Final = 64 * 2**20

_IGNORED: Final = re.compile(r"_.|\[[^\]]*\]")
_PLAIN: Final = re.compile(r"General|@|[#, ]*0?(\.0+)?", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class ExcelFile(Source):
    """A sheet of a workbook (.xlsx, .xlsm). Rows keep the number they have in the sheet.

    A workbook stores every number as a float. It becomes an ``int`` only if the cell shows exactly
    its digits: it is whole, has at most 15 digits, and its format is general or plain digits. In
    any other format, above all the scientific one, it becomes a ``float``, which is refused as a
    phone number. A formula has the value that Excel last computed. A cell with an error such as
    #N/A is empty.

    Attributes:
        path: The path of the workbook.
        sheet: The name of the sheet.
        header: The names in its first row that is not empty, including blank ones.
    """

    path: Path
    sheet: str
    header: Sequence[str] = attrs.field(repr=False)

    @classmethod
    def open(cls, path: Path, reading: Reading) -> "ExcelFile":
        """Read the header of a sheet. Blocking.

        Args:
            path: The path of the workbook.
            reading: What is said of it; its sheet is optional if only one is visible.

        Raises:
            InvalidArgumentError: The workbook cannot be read, or has no such sheet.
            ConfigurationError: openpyxl is not installed.
        """
        with _opened(path) as workbook:
            sheet = _sheet(path, workbook, reading.sheet)
            with closing(_rows(path, workbook[sheet])) as rows:
                _, cells = next(rows, (0, []))
        header = ["" if is_blank(cell) else str(cell).strip() for cell in cells]
        check_columns(path.name, header)
        columns = [name for name in header if name]
        return cls(name=path.name, columns=columns, path=path, sheet=sheet, header=header)

    def lines(self) -> Generator[Line, None, None]:
        """Read the rows below the header that are not empty. Blocking."""
        with (
            _opened(self.path) as workbook,
            closing(_rows(self.path, workbook[self.sheet])) as rows,
        ):
            next(rows, None)
            for number, cells in rows:
                missing = len(self.header) - len(cells)
                if missing < 0 and not all(map(is_blank, cells[missing:])):
                    yield Line(number, too_many_cells(cells, self.header))
                else:
                    yield Line(number, by_column(self.header, chain(cells, [None] * missing)))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    openpyxl = library(path.name, "openpyxl", extra="excel")
    try:
        with path.open("rb") as file:
            _refuse_a_bomb(path, file)
            workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
            with closing(workbook):
                yield workbook
    except (ConnectusError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - openpyxl has no error for a damaged file
        reason = getattr(error, "strerror", None) or NO_WORKBOOK
        raise InvalidArgumentError(path.name, f"cannot be read: {reason}") from None


def _refuse_a_bomb(path: Path, file: Any) -> None:
    for part in ZipFile(file).infolist():
        is_bomb = part.file_size > LARGE and part.file_size > MAX_PACKED * part.compress_size
        is_kept = part.filename.casefold().endswith("sharedstrings.xml")
        if is_bomb or (is_kept and part.file_size > MAX_SHARED_TEXT):
            raise InvalidArgumentError(
                path.name, "is too large when unpacked; save the sheet as CSV"
            )
    file.seek(0)


def _sheet(path: Path, workbook: Any, name: str | None) -> str:
    shown = [sheet.title for sheet in workbook.worksheets if sheet.sheet_state == "visible"]
    if name is None and len(shown) == 1:
        return str(shown[0])
    if name is not None and name in {sheet.title for sheet in workbook.worksheets}:
        return name
    problem = "has several sheets; choose one" if name is None else f"has no sheet {name!r}"
    raise InvalidArgumentError(path.name, f"{problem}: {', '.join(shown)}")


def _rows(path: Path, sheet: Any) -> Generator[tuple[int, list[Cell]], None, None]:
    """Read the rows that are not empty, the header first."""
    sheet.reset_dimensions()  # some programs write wrong ones, which would cut off rows
    for number, row in enumerate(sheet.rows, 1):
        if number > MAX_ROWS:
            raise InvalidArgumentError(path.name, f"has more than {MAX_ROWS:,} rows")
        cells = [_cell(cell) for cell in row]
        if not all(map(is_blank, cells)):
            yield number, cells


def _cell(cell: Any) -> Cell:
    if cell.data_type == "e":
        return None
    value: Cell = cell.value
    if cell.data_type != "n" or not isinstance(value, int | float):
        return value
    return _number(value, shows_digits=_shows_digits(cell.number_format))


def _number(value: float, *, shows_digits: bool) -> int | float:
    if shows_digits and abs(value) < MAX_EXACT and value == int(value):
        return int(value)
    return float(value)


@lru_cache
def _shows_digits(form: str) -> bool:
    """Tell whether a number format shows a whole number as its plain digits."""
    positive = form.partition(";")[0]
    return _PLAIN.fullmatch(_IGNORED.sub("", positive).strip()) is not None
