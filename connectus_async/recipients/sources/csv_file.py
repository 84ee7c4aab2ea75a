"""CSV files with a header, as spreadsheets and databases write them."""

import csv
import re
from collections.abc import Generator, Sequence
from contextlib import closing
from itertools import chain, islice
from typing import Final

import attrs

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.cells import Cell, is_blank
from connectus_async.recipients.sources._source import (
    Line,
    Source,
    by_column,
    check_columns,
    too_many_cells,
)
from connectus_async.recipients.sources._text import TextLines
from connectus_async.recipients.sources.delimiters import find_delimiter, header_of, separator
from connectus_async.recipients.sources.encodings import find_encoding
from connectus_async.recipients.sources.header import ROWS_LOOKED_AT
from connectus_async.recipients.sources.packed import PackedFile
from connectus_async.recipients.sources.reading import Reading

_GUARDED: Final = re.compile("""\\A(?:="([^"]*)"|'([=+@-][^']*))\\Z""")
"""Text that a program kept from becoming a number or a formula: ``="0123"`` and ``'+56``."""

Cells = tuple[int, list[str], bool]
"""The number of a row's last line, its cells, and whether it ends with a line break."""


@attrs.frozen(kw_only=True)
class CsvFile(Source):
    """A CSV file. A row that the end of the file cuts short is an error.

    Attributes:
        file: The file.
        encoding: Its encoding.
        delimiter: Its delimiter.
        header: The names in its header, including blank ones.
        header_line: The number of the header's last line.
        found: What was assumed about it, a sentence each.
    """

    file: PackedFile
    encoding: str
    delimiter: str
    header: Sequence[str] = attrs.field(repr=False)
    header_line: int
    found: Sequence[str] = ()

    @classmethod
    def open(cls, file: PackedFile, reading: Reading) -> "CsvFile":
        """Read the header of a file. Blocking.

        Args:
            file: The file.
            reading: What is said of it.

        Raises:
            InvalidArgumentError: It cannot be read; the error names it, with the line.
        """
        name = file.path.name
        encoding = find_encoding(file, reading.encoding)
        delimiter = reading.delimiter or find_delimiter(file, encoding.name, reading.header_row)
        header_line, cells = _header(file, encoding.name, delimiter, reading.header_row)
        header = [cell.strip() for cell in cells]
        if "\0" in "".join(header):
            raise InvalidArgumentError(
                name, "has a null byte in its header; it is not text, or has another encoding"
            )
        check_columns(name, header)
        return cls(
            name=name,
            columns=[cell for cell in header if cell],
            file=file,
            encoding=encoding.name,
            delimiter=delimiter,
            header=header,
            header_line=header_line,
            found=encoding.notes,
        )

    def notes(self) -> Sequence[str]:
        """Tell what was assumed about the file."""
        return self.found

    def lines(self) -> Generator[Line, None, None]:
        """Read the rows below the header that are not empty. Blocking."""
        with closing(_rows(self.file, self.encoding, self.delimiter)) as rows:
            for number, cells, is_complete in rows:
                if number <= self.header_line:
                    continue
                try:
                    yield Line(number, self._by_column(cells, is_complete=is_complete))
                except InvalidArgumentError as error:
                    yield Line(number, error)

    def _by_column(self, cells: list[str], *, is_complete: bool) -> dict[str, Cell]:
        missing = len(self.header) - len(cells)
        if missing < 0 and not all(map(is_blank, cells[missing:])):
            raise too_many_cells(cells, self.header)
        if missing > 0 and not is_complete:
            raise InvalidArgumentError(
                "row", "is cut off by the end of the file; the file may be incomplete"
            )
        joined = "".join(cells)
        if "\0" in joined:
            raise InvalidArgumentError("row", "has a null byte, which is not text")
        if "'" in joined or '="' in joined:
            cells = [_GUARDED.sub(r"\1\2", cell) for cell in cells]
        return by_column(self.header, chain(cells, [""] * missing) if missing > 0 else cells)


def _header(
    file: PackedFile, encoding: str, delimiter: str, header_row: int | None
) -> tuple[int, list[str]]:
    """Find the header, and the number of its last line."""
    wanted = ROWS_LOOKED_AT if header_row is None else header_row
    with closing(_rows(file, encoding, delimiter)) as rows:
        first = [(number, cells) for number, cells, _ in islice(rows, wanted)]
    place = header_of(first, header_row)
    if place is not None:
        return first[place]
    if header_row is None:
        return 0, []
    raise InvalidArgumentError("header_row", f"is {header_row}, and no row ends on that line")


def _rows(file: PackedFile, encoding: str, delimiter: str) -> Generator[Cells, None, None]:
    """Read the rows that are not empty, the header first."""
    text = TextLines(file, encoding)
    with closing(iter(text)) as lines:
        first = [line for line in islice(lines, 1) if separator(line) is None]
        reader = csv.reader(chain(first, lines), delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                if not all(map(is_blank, cells)):
                    yield text.number, cells, text.is_complete
                text.begin_row()
        except csv.Error as error:
            raise InvalidArgumentError(
                file.path.name, f"cannot be read after line {text.row - 1}: {_reason(error)}"
            ) from None


def _reason(error: csv.Error) -> str:
    if "unexpected end of data" in str(error):
        return "the next row has an unclosed quote; the file may be incomplete"
    if "expected after" in str(error):
        return "the next row has text after a closing quote; a quote within a cell must be doubled"
    if "field larger" in str(error):
        limit = csv.field_size_limit()  # a setting of the whole process: not ours to change
        return f"the next row has a cell of more than {limit:,} characters; a quote may be unclosed"
    return str(error)
