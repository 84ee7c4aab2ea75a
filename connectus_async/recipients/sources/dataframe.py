"""Dataframes of any library that narwhals supports."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

import attrs

from connectus_async.errors import ConnectusError, InvalidArgumentError
from connectus_async.extras import library
from connectus_async.recipients.sources._source import LINES_A_BATCH, Line, Source, check_columns
from connectus_async.recipients.sources._values import Row, plain_rows, readable_row

ROWS_COMPUTED: Final = 20 * LINES_A_BATCH
"""Rows that a lazy frame computes at a time. They are in the library's own form, not Python's."""


@attrs.frozen(kw_only=True)
class DataFrame(Source):
    """A dataframe; `from_dataframe` makes it. Rows are numbered from 1.

    Attributes:
        frame: The dataframe, wrapped by narwhals.
    """

    frame: Any = attrs.field(repr=False)

    def lines(self) -> Generator[Line, None, None]:
        """Read the rows. Blocking."""
        number = 0
        with _errors_of(self.name), closing(_parts(self.frame)) as parts:
            for part in parts:
                for cells in _rows(part):
                    number += 1
                    yield Line(number, cells)


def from_dataframe(frame: Any, *, name: str = "dataframe") -> DataFrame:
    """Make a source from a dataframe of pandas, polars, pyarrow, or any that narwhals supports.

    A few hundred rows at a time become Python's. pandas turns whole numbers into floats when one
    is missing; such a column is refused as phone numbers, so convert it to text first.

    A lazy frame runs again each time it is read, so its rows may be others, or in another order,
    unless its query sorts them by a column without repeated values. Two readings are never mixed:
    a ledger takes all rows of a reading, knows a message by its key or its recipient and text
    rather than by its place, and leaves out what waits and is in the last reading no more. A lazy
    frame of polars, or a relation of DuckDB, is read in a stream; that of any other library is
    collected into memory at each reading. Do not use the connection of a relation meanwhile.

    Args:
        frame: The dataframe, or a lazy one.
        name: The name for error messages.

    Raises:
        InvalidArgumentError: It is not a dataframe, repeats a column name, or is a query that
            cannot begin.
        ConfigurationError: narwhals is not installed; or pyarrow, which a relation needs.
    """
    narwhals = _narwhals(name)
    try:
        wrapped = narwhals.from_native(frame)
    except TypeError:
        raise InvalidArgumentError(
            name, f"must be a dataframe, not {type(frame).__name__}"
        ) from None
    except ValueError:  # pandas allows repeated column names, narwhals does not
        raise InvalidArgumentError(name, "gives two columns the same name") from None
    is_lazy = isinstance(wrapped, narwhals.LazyFrame)
    if wrapped.implementation.is_duckdb():
        library(name, "pyarrow", extra="parquet")
    with _errors_of(name):
        columns = [str(column) for column in wrapped.collect_schema().names()]
    check_columns(name, columns)
    length = None if is_lazy else len(wrapped)
    return DataFrame(name=name, columns=columns, length=length, frame=wrapped)


def _narwhals(name: str = "dataframe") -> Any:
    return library(name, "narwhals", extra="dataframes")


def _parts(frame: Any) -> Generator[Any, None, None]:
    """Read a frame in parts of a few rows, each a dataframe of narwhals."""
    native = frame.to_native()
    if not isinstance(frame, _narwhals().LazyFrame):
        yield from _slices(frame)
    elif frame.implementation.is_duckdb() and hasattr(native, "to_arrow_reader"):
        yield from _of_duckdb(native)
    elif frame.implementation.is_polars() and hasattr(native, "collect_batches"):
        yield from _of_polars(native)
    else:
        yield from _slices(frame.collect())


def _slices(frame: Any) -> Iterator[Any]:
    for start in range(0, len(frame), LINES_A_BATCH):
        yield frame[start : start + LINES_A_BATCH]


def _of_polars(frame: Any) -> Iterator[Any]:
    computed = frame.collect_batches(chunk_size=ROWS_COMPUTED, maintain_order=True, lazy=True)
    for batch in computed:
        yield from _slices(_narwhals().from_native(batch, eager_only=True))


def _of_duckdb(relation: Any) -> Iterator[Any]:
    table = library("dataframe", "pyarrow", extra="parquet").Table
    with closing(relation.to_arrow_reader(ROWS_COMPUTED)) as reader:
        for batch in reader:
            yield from _slices(
                _narwhals().from_native(table.from_batches([batch]), eager_only=True)
            )


def _rows(part: Any) -> Sequence[Row]:
    schema, single = part.schema, _narwhals().Float32
    names = [str(name) for name in schema]
    singles = [str(name) for name in schema if schema[name] == single]
    try:
        values = list(part.iter_rows())
    except (ValueError, OverflowError):  # a date out of Python's range
        ones = (part[place : place + 1].iter_columns() for place in range(len(part)))
        return [readable_row(names, [column.to_list for column in one], singles) for one in ones]
    return plain_rows(names, values, singles)


@contextmanager
def _errors_of(name: str) -> Iterator[None]:
    """Replace the errors of a library, which may quote values."""
    try:
        yield
    except (ConnectusError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - each library has its own
        raise InvalidArgumentError(
            name, f"cannot be read: its library raised {type(error).__name__}; run the query alone"
        ) from None
