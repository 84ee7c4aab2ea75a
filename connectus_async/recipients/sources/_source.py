"""Base of all sources."""

import abc
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

import attrs

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.cells import Cell
from connectus_async.recipients.sources.interrupting import interruptible
from connectus_async.redaction import masked

LINES_A_BATCH: Final = 500
MAX_ROW_CHARACTERS: Final = 2**20
"""Maximum length of a row of a text file; it bounds memory, whatever the file contains."""


@attrs.frozen
class Line:
    """A row of a source.

    Attributes:
        number: Its number, from 1: the last line of the row in a text file, the sheet's own row
            number in a workbook, else the place of the row.
        cells: Its cells by column name, or the error of the row.
    """

    number: int
    cells: Mapping[str, Cell] | InvalidArgumentError = attrs.field(repr=masked)


@attrs.frozen(kw_only=True)
class Source(abc.ABC):
    """A table whose rows become messages. It can be read more than once.

    Attributes:
        name: The name of its file, or the name that the caller gave it.
        columns: The names of its columns.
        length: Its number of rows, if known without reading them.
    """

    name: str
    columns: Sequence[str] = attrs.field(repr=False)
    length: int | None = None

    @abc.abstractmethod
    def lines(self) -> Generator[Line, None, None]:
        """Read the rows that are not empty, one at a time. Blocking: for worker threads.

        Raises:
            InvalidArgumentError: The source cannot be read further; the error names it.
        """

    def notes(self) -> Sequence[str]:
        """Tell what the reader found and decided, a sentence each, for whoever sends.

        None of them has personal data. Some are known only when all rows were read.
        """
        return ()

    def interrupt(self) -> None:  # noqa: B027 - most have nothing that takes long
        """Make a reading in another thread end soon, with an error. Blocking."""

    async def batches(self) -> AsyncIterator[Sequence[Line]]:
        """Read the rows in worker threads, in batches of some hundred, and never ahead.

        Raises:
            InvalidArgumentError: The source cannot be read further; the error names it.
        """
        lines = self.lines()
        try:
            while batch := await interruptible(self.interrupt, _batch, lines):
                yield batch
        finally:
            with suppress(ValueError):  # its thread still reads: Ctrl-C does not wait for it
                lines.close()

    async def count(self) -> int:
        """Count the rows; where their number is unknown, read to the end.

        Raises:
            InvalidArgumentError: The source cannot be read to its end; the error names it.
        """
        if self.length is not None:
            return self.length
        return sum([len(batch) async for batch in self.batches()])


def _batch(lines: Iterator[Line]) -> list[Line]:
    return list(islice(lines, LINES_A_BATCH))


def check_columns(file: str, columns: Sequence[str]) -> None:
    """Check that a header names columns, and each only once. A blank name is no column.

    Raises:
        InvalidArgumentError: The header is blank, or repeats a name.
    """
    first_place: dict[str, int] = {}
    for place, name in enumerate(columns, 1):
        if name and first_place.setdefault(name, place) != place:
            raise InvalidArgumentError(
                file, f"gives columns {first_place[name]} and {place} the same name"
            )
    if not first_place:
        raise InvalidArgumentError(file, "is empty; its first line must name the columns")


def by_column(header: Iterable[str], cells: Iterable[Cell]) -> dict[str, Cell]:
    """Map column names to the cells of a row, without columns that have a blank name."""
    row = dict(zip(header, cells, strict=False))
    row.pop("", None)
    return row


def too_many_cells(cells: Sequence[Cell], header: Sequence[str]) -> InvalidArgumentError:
    """Make the error for a row that is longer than the header."""
    return InvalidArgumentError("row", f"has {len(cells)} cells, but the header has {len(header)}")
