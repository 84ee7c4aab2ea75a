"""What all sources share."""

import abc
from collections.abc import AsyncIterator, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

import anyio.to_thread
import attrs

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.cells import Cell
from connectus_async.redaction import masked

LINES_A_BATCH: Final = 500
MAX_ROW_CHARACTERS: Final = 2**20
"""The longest row of a text file: memory is bounded by it, whatever the file holds."""


@attrs.frozen
class Line:
    """A row of a source.

    Attributes:
        number: Its number: in a text file that of its last line, in a sheet that of its row, else
            that of the row; from 1.
        cells: Its cells by the name of their column, or the error that the row has instead.
    """

    number: int
    cells: Mapping[str, Cell] | InvalidArgumentError = attrs.field(repr=masked)


@attrs.frozen(kw_only=True)
class Source(abc.ABC):
    """A table whose rows become messages. It can be read more than once.

    Attributes:
        name: The name of its file, or what the caller calls it.
        columns: The names of its columns.
        length: How many rows it has, where that is known without reading them.
    """

    name: str
    columns: Sequence[str] = attrs.field(repr=False)
    length: int | None = None

    @abc.abstractmethod
    def lines(self) -> Generator[Line, None, None]:
        """Read the rows that are not empty, one at a time. It blocks: it is for worker threads.

        Raises:
            InvalidArgumentError: The source cannot be read any further; it is named.
        """

    async def batches(self) -> AsyncIterator[Sequence[Line]]:
        """Read the rows in worker threads, some hundreds at a time, and never ahead.

        Raises:
            InvalidArgumentError: The source cannot be read any further; it is named.
        """
        lines = self.lines()
        try:
            while batch := await anyio.to_thread.run_sync(list, islice(lines, LINES_A_BATCH)):
                yield batch
        finally:
            with suppress(ValueError):  # its thread still reads: Ctrl-C is not held up by anyio
                lines.close()

    async def count(self) -> int:
        """Count the rows, by reading to the end where their number is not known.

        Raises:
            InvalidArgumentError: The source cannot be read to its end; it is named.
        """
        if self.length is not None:
            return self.length
        return sum([len(batch) async for batch in self.batches()])


def check_columns(file: str, columns: Sequence[str]) -> None:
    """Check that a header names columns, and no two the same. Blank names are of no column.

    Raises:
        InvalidArgumentError: It does not.
    """
    first_place: dict[str, int] = {}
    for place, name in enumerate(columns, 1):
        if name and first_place.setdefault(name, place) != place:
            raise InvalidArgumentError(
                file, f"names columns {first_place[name]} and {place} the same"
            )
    if not first_place:
        raise InvalidArgumentError(file, "is empty; its first line must name the columns")


def named(header: Iterable[str], cells: Iterable[Cell]) -> dict[str, Cell]:
    """Put the cells of a row under their names; a cell under a blank name goes."""
    row = dict(zip(header, cells, strict=False))
    row.pop("", None)
    return row


def surplus(cells: Sequence[Cell], header: Sequence[str]) -> InvalidArgumentError:
    """Make the error of a row that is longer than the header."""
    return InvalidArgumentError("row", f"has {len(cells)} cells, but the header has {len(header)}")
