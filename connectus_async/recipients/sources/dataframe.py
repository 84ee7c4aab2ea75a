"""Dataframes of any library that narwhals supports."""

from collections.abc import Generator
from typing import Any

import attrs

from connectus_async.errors import InvalidArgumentError
from connectus_async.extras import library
from connectus_async.recipients.cells import Cell
from connectus_async.recipients.sources._source import LINES_A_BATCH, Line, Source, check_columns


@attrs.frozen(kw_only=True)
class DataFrame(Source):
    """A dataframe in memory; `from_dataframe` makes it. Rows are numbered from 1.

    Attributes:
        frame: The dataframe, wrapped by narwhals.
    """

    frame: Any = attrs.field(repr=False)

    def lines(self) -> Generator[Line, None, None]:
        """Read the rows. Blocking."""
        for start in range(0, len(self.frame), LINES_A_BATCH):
            rows = self.frame[start : start + LINES_A_BATCH].iter_rows()
            for number, row in enumerate(rows, start + 1):
                yield Line(number, dict(zip(self.columns, map(_cell, row), strict=True)))


def from_dataframe(frame: Any, *, name: str = "dataframe") -> DataFrame:
    """Make a source from a dataframe of pandas, polars, pyarrow, or any that narwhals supports.

    It is read in slices, never copied as a whole. pandas turns whole numbers into floats when one
    is missing; such a column is refused as phone numbers, so convert it to text first.

    Args:
        frame: The dataframe. Collect a lazy one, or write it to Parquet, which is read without
            loading the whole file into memory.
        name: The name for error messages.

    Raises:
        InvalidArgumentError: It is not a dataframe, is lazy, or repeats a column name.
        ConfigurationError: narwhals is not installed.
    """
    narwhals = library(name, "narwhals", extra="dataframes")
    try:
        wrapped = narwhals.from_native(frame)
    except TypeError:
        raise InvalidArgumentError(
            name, f"must be a dataframe, not {type(frame).__name__}"
        ) from None
    except ValueError:  # pandas allows repeated column names, narwhals does not
        raise InvalidArgumentError(name, "gives two columns the same name") from None
    if isinstance(wrapped, narwhals.LazyFrame):
        raise InvalidArgumentError(
            name, "is lazy; collect it, or write it to Parquet and send the file"
        )
    columns = [str(column) for column in wrapped.columns]
    check_columns(name, columns)
    return DataFrame(name=name, columns=columns, length=len(wrapped), frame=wrapped)


def _cell(value: Any) -> Cell:
    if type(value).__name__ in {"NAType", "NaTType"}:  # pandas' missing values
        return None
    if type(value).__module__ == "numpy":
        value = value.item()
    return value  # type: ignore[no-any-return]
