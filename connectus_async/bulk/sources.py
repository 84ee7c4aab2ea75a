"""Where the messages of a campaign come from: files, read lazily and off the event loop."""

import csv
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import anyio.to_thread
import attrs

from connectus_async.bulk.outcomes import Row
from connectus_async.bulk.templates import Template
from connectus_async.errors import InvalidArgumentError
from connectus_async.products.sms import Sms

DELIMITERS: Final = (",", ";", "\t", "|")
LINES_A_READ: Final = 500
UTF_8: Final = "utf-8-sig"
"""UTF-8, with or without the byte order mark that spreadsheets put in front."""


@attrs.frozen
class Line:
    """A row of a CSV file.

    Attributes:
        number: The number of its last line in the file, from 1.
        cells: Its cells, in the order of the header.
    """

    number: int
    cells: Sequence[str] = attrs.field(repr=False)


@attrs.frozen
class CsvFile:
    """A CSV file with a header, as spreadsheets and databases write it.

    Attributes:
        path: Where it is.
        encoding: How its text is encoded.
        delimiter: What stands between two cells; found out from the first line if ``None``.
        columns: The names in its header.
        length: How many rows it has below the header.
    """

    path: Path
    encoding: str
    delimiter: str | None
    columns: Sequence[str] = attrs.field(repr=False)
    length: int

    @classmethod
    async def open(
        cls, path: Path, *, encoding: str = UTF_8, delimiter: str | None = None
    ) -> "CsvFile":
        """Read a file once to its end, so that what cannot be read is known before the first send.

        Args:
            path: Where it is.
            encoding: How its text is encoded; UTF-8 with or without byte order mark if left out.
            delimiter: What stands between two cells; if left out, the one of comma, semicolon,
                tab and bar that its first line has most of.

        Raises:
            InvalidArgumentError: The file cannot be read; it is named, with the line.
        """
        return await anyio.to_thread.run_sync(
            _inspect, path, encoding, delimiter, abandon_on_cancel=True
        )

    async def rows(
        self, to: str, text: Template, *, src_number: str | None = None
    ) -> AsyncIterator[Row]:
        """Make an SMS of each row; a row that cannot become one becomes its error.

        Args:
            to: The column of the number that gets it.
            text: The text.
            src_number: One of the account's numbers to send from.

        Raises:
            InvalidArgumentError: The file has no such column.
        """
        if to not in self.columns:
            raise self._no_column(to)
        text.check(self.columns)
        async for line in self._lines():
            try:
                row = self._by_column(line)
                sms = Sms(row[to], text.fill(row), src_number=src_number)
                yield Row(line.number, sms)
            except InvalidArgumentError as error:
                yield Row(line.number, error)

    def _no_column(self, name: str) -> InvalidArgumentError:
        return InvalidArgumentError(
            self.path.name,
            f"has no column {name!r} among the {len(self.columns)} that its first line names; "
            "say which one has the numbers",  # not which there are: it may be a recipient's line
        )

    async def _lines(self) -> AsyncIterator[Line]:
        lines = _read(self.path, self.encoding, self.delimiter)
        try:
            await anyio.to_thread.run_sync(next, lines)  # the header
            while batch := await anyio.to_thread.run_sync(list, islice(lines, LINES_A_READ)):
                for line in batch:
                    yield line
        finally:
            lines.close()

    def _by_column(self, line: Line) -> Mapping[str, str]:
        surplus = line.cells[len(self.columns) :]
        if any(surplus):
            raise InvalidArgumentError(
                "row", f"has {len(line.cells)} cells, but the header has {len(self.columns)}"
            )
        missing = len(self.columns) - len(line.cells)
        return dict(zip(self.columns, [*line.cells, *[""] * missing], strict=False))


def _inspect(path: Path, encoding: str, delimiter: str | None) -> CsvFile:
    lines = _read(path, encoding, delimiter)
    header = next(lines, None)
    if header is None:
        raise InvalidArgumentError(path.name, "is empty; its first line must name the columns")
    columns = [name.strip() for name in header.cells]
    for place, name in enumerate(columns, 1):
        first = columns.index(name) + 1
        if first != place:
            raise InvalidArgumentError(path.name, f"names columns {first} and {place} the same")
    return CsvFile(path, encoding, delimiter, columns, length=sum(1 for _ in lines))


def _read(path: Path, encoding: str, delimiter: str | None) -> Generator[Line, None, None]:
    """Read the lines that are not empty, the header first."""
    number = 0
    try:
        with path.open(encoding=encoding, newline="") as file:
            delimiter = delimiter or _most_frequent(DELIMITERS, file.readline())
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for cells in reader:
                number = reader.line_num
                if any(cell.strip() for cell in cells):
                    yield Line(number, cells)
    except OSError as error:
        raise InvalidArgumentError(path.name, f"cannot be read: {error.strerror}") from None
    except LookupError:
        raise InvalidArgumentError("encoding", f"{encoding!r} is not known") from None
    except UnicodeError:
        raise InvalidArgumentError(
            path.name,
            f"is not {encoding.removesuffix('-sig')} after line {number}; name its encoding, "
            "which from a spreadsheet is often latin-1 or cp1252",
        ) from None
    except csv.Error as error:
        raise InvalidArgumentError(
            path.name, f"cannot be read after line {number}: {error}"
        ) from None


def _most_frequent(signs: Sequence[str], text: str) -> str:
    return max(signs, key=text.count)
