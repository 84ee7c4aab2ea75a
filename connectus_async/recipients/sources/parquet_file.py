"""Parquet files, through pyarrow."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from connectus_async.errors import InvalidArgumentError
from connectus_async.extras import library
from connectus_async.recipients.sources._source import LINES_A_BATCH, Line, Source, check_columns
from connectus_async.recipients.sources._values import Row, plain_rows, readable_row


@attrs.frozen(kw_only=True)
class ParquetFile(Source):
    """A Parquet file. Rows are numbered from 1.

    The largest row group bounds memory; writers commonly limit row groups to a million rows.

    Attributes:
        path: The path of the file.
    """

    path: Path

    @classmethod
    def open(cls, path: Path) -> "ParquetFile":
        """Read the metadata of a file. Blocking.

        Raises:
            InvalidArgumentError: It cannot be read; the error names it.
            ConfigurationError: pyarrow is not installed.
        """
        with _opened(path) as file:
            columns = [str(name) for name in file.schema_arrow.names]
            length = int(file.metadata.num_rows)
        check_columns(path.name, columns)
        return cls(name=path.name, columns=columns, length=length, path=path)

    def lines(self) -> Generator[Line, None, None]:
        """Read the rows. Blocking."""
        number = 0
        with _opened(self.path) as file:
            for batch in file.iter_batches(LINES_A_BATCH, use_threads=False):
                for cells in _rows(batch):
                    number += 1
                    yield Line(number, cells)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    pyarrow = library(path.name, "pyarrow", extra="parquet")
    parquet = library(path.name, "pyarrow.parquet", extra="parquet")
    try:
        with path.open("rb") as file:
            yield parquet.ParquetFile(file, pre_buffer=False)
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
        reason = getattr(error, "strerror", None) or "it is not a Parquet file, or is incomplete"
        raise InvalidArgumentError(path.name, f"cannot be read: {reason}") from None


def _rows(batch: Any) -> Sequence[Row]:
    names = batch.schema.names
    singles = [field.name for field in batch.schema if str(field.type) == "float"]
    try:
        columns = [column.to_pylist() for column in batch.columns]
    except (ValueError, OverflowError):  # a date out of Python's range, or text that is not UTF-8
        ones = (batch.slice(place, 1).columns for place in range(batch.num_rows))
        return [readable_row(names, [column.to_pylist for column in one], singles) for one in ones]
    return plain_rows(names, zip(*columns, strict=True), singles)
