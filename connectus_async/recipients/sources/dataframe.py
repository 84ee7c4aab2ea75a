"""Dataframes of any library that narwhals knows."""

from collections.abc import Generator
from typing import Any

import attrs

from connectus_async.errors import InvalidArgumentError
from connectus_async.extras import library
from connectus_async.recipients.cells import Cell
from connectus_async.recipients.sources._source import LINES_A_BATCH, Line, Source, check_columns


@attrs.frozen(kw_only=True)
class DataFrame(Source):
    """A dataframe in memory; `from_dataframe` makes it. A row is known by its place, from 1.

    Attributes:
        frame: The dataframe, as narwhals wraps it.
    """

    frame: Any = attrs.field(repr=False)

    def lines(self) -> Generator[Line, None, None]:
        """Read the rows. It blocks."""
        for start in range(0, len(self.frame), LINES_A_BATCH):
            rows = self.frame[start : start + LINES_A_BATCH].iter_rows()
            for number, row in enumerate(rows, start + 1):
                yield Line(number, dict(zip(self.columns, map(_cell, row), strict=True)))


def from_dataframe(frame: Any, *, name: str = "dataframe") -> DataFrame:
    """Make a source of a dataframe: pandas, polars, pyarrow, or any that narwhals knows.

    It is read in slices and not copied as a whole. A column of whole numbers that pandas made
    floats, because one was missing, is refused as phone numbers: make it text first.

    Args:
        frame: The dataframe. A lazy one has to be collected, or written to Parquet, which is read
            without ever being in memory as a whole.
        name: What errors are to call it.

    Raises:
        InvalidArgumentError: It is no dataframe, or is lazy, or its columns cannot be told apart.
        ConfigurationError: narwhals is not installed.
    """
    narwhals = library(name, "narwhals", extra="dataframes")
    try:
        wrapped = narwhals.from_native(frame)
    except TypeError:
        raise InvalidArgumentError(
            name, f"must be a dataframe, not {type(frame).__name__}"
        ) from None
    except ValueError:  # pandas lets two columns have one name, narwhals does not
        raise InvalidArgumentError(name, "names two of its columns the same") from None
    if isinstance(wrapped, narwhals.LazyFrame):
        raise InvalidArgumentError(
            name, "is lazy: collect it, or write it to Parquet and send the file"
        )
    columns = [str(column) for column in wrapped.columns]
    check_columns(name, columns)
    return DataFrame(name=name, columns=columns, length=len(wrapped), frame=wrapped)


def _cell(value: Any) -> Cell:
    if type(value).__name__ in {"NAType", "NaTType"}:  # what pandas has for no value
        return None
    if type(value).__module__ == "numpy":
        value = value.item()
    return value  # type: ignore[no-any-return]
