"""Dataframes: pandas, polars, pyarrow and DuckDB give the same rows, lazy ones too."""

import datetime as dt
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from itertools import islice
from uuid import UUID

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.io.plugins import register_io_source

from connectus_async import ConfigurationError, InvalidArgumentError
from connectus_async.recipients.cells import format_cell, is_blank
from connectus_async.recipients.sources import Line, Source, from_dataframe

MAKERS = [pd.DataFrame, pl.DataFrame, pa.table]
IDS = ["pandas", "polars", "pyarrow"]


def relation(table: pa.Table) -> duckdb.DuckDBPyRelation:
    return duckdb.connect().from_arrow(table)


def lazy_pandas(table: pa.Table) -> object:
    """A lazy frame that narwhals can only collect."""
    return nw.from_native(table.to_pandas()).lazy()


LAZY = pytest.mark.parametrize(
    "lazy",
    [lambda table: pl.from_arrow(table).lazy(), relation, lazy_pandas],
    ids=["polars", "duckdb", "only collected"],
)
EVERY = pytest.mark.parametrize(
    "made",
    [pa.Table.to_pandas, pl.from_arrow, lambda table: table, relation],
    ids=["pandas", "polars", "pyarrow", "duckdb"],
)


async def lines_of(source: Source) -> list[Line]:
    return [line async for batch in source.batches() for line in batch]


@pytest.mark.parametrize("make", MAKERS, ids=IDS)
async def test_rows_are_numbered_by_their_place(make: Callable[..., object]):
    """The numbers are plain Python numbers, of whatever kind the frame has them."""
    columns = {
        "dst_number": [56987688060, 56987688061],
        "name": ["José", "Eva"],
        "score": [1.5, 2.5],
        "vip": [True, False],
        "day": [dt.datetime(2026, 7, 31), dt.datetime(2026, 8, 1)],
    }

    source = from_dataframe(make(columns), name="clientes")
    lines = await lines_of(source)

    assert (source.name, source.length, list(source.columns)) == ("clientes", 2, list(columns))
    assert lines == [
        Line(place + 1, {name: cells[place] for name, cells in columns.items()})
        for place in range(2)
    ]
    assert isinstance(lines[0].cells, dict)
    assert type(lines[0].cells["dst_number"]) is int
    assert type(lines[0].cells["vip"]) is bool


@pytest.mark.parametrize("make", MAKERS, ids=IDS)
async def test_a_frame_is_read_in_slices(make: Callable[..., object]):
    """Every row comes once, in order."""
    lines = await lines_of(from_dataframe(make({"a": list(range(1_234))})))

    assert [line.number for line in lines] == list(range(1, 1_235))
    assert [line.cells for line in lines] == [{"a": value} for value in range(1_234)]


async def test_what_pandas_has_for_no_value_is_none():
    """NaN stays as it is, which is empty too; a number beside one became a float."""
    frame = pd.DataFrame(
        {
            "dst_number": [56987688060, None],
            "nullable": pd.array([56987688060, None], "Int64"),
            "text": pd.array(["Ana", None], "string"),
            "day": [pd.Timestamp(2026, 7, 31), None],
        }
    )

    first, second = await lines_of(from_dataframe(frame))

    assert type(first.cells["dst_number"]) is float
    assert first.cells["nullable"] == 56987688060
    assert (second.cells["nullable"], second.cells["text"], second.cells["day"]) == (None,) * 3


@LAZY
async def test_a_lazy_frame_is_read_as_often_as_it_is_asked_for(lazy: Callable[..., object]):
    """Its rows come in its own order, each time; their number is not known before."""
    source = from_dataframe(lazy(pa.table({"a": list(range(12_345)), "b": ["x"] * 12_345})))
    first, second = await lines_of(source), await lines_of(source)

    assert (source.length, list(source.columns)) == (None, ["a", "b"])
    assert first == [Line(place + 1, {"a": place, "b": "x"}) for place in range(12_345)]
    assert second == first
    assert await source.count() == 12_345


@LAZY
def test_a_lazy_frame_is_given_up_half_way_and_read_again(lazy: Callable[..., object]):
    """The library lets go of what the first reading held."""
    source = from_dataframe(lazy(pa.table({"a": list(range(12_345))})))
    with closing(source.lines()) as lines:
        begun = list(islice(lines, 3))

    assert list(islice(source.lines(), 3)) == begun


def test_a_lazy_frame_of_polars_is_not_collected():
    """It is computed only a little further than it is read."""
    made = []

    def batches(*_: object) -> Iterator[pl.DataFrame]:
        for place in range(1_000):
            made.append(place)
            yield pl.DataFrame({"a": [place] * 10_000})

    lazy = register_io_source(batches, schema={"a": pl.Int64})
    with closing(from_dataframe(lazy).lines()) as lines:
        next(lines)

    assert len(made) < 1_000


async def test_a_lazy_query_that_fails_half_way_says_nothing_of_its_values():
    """The libraries quote the value that they could not convert."""
    numbers = ["56987688060"] * 3 + ["+56 9 8768 8060"]
    lazy = pl.LazyFrame({"a": numbers}).with_columns(pl.col("a").cast(pl.Int64))

    with pytest.raises(InvalidArgumentError, match=r"dataframe: cannot be read.*Error") as raised:
        await lines_of(from_dataframe(lazy))

    assert "8060" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_lazy_query_that_cannot_begin_is_refused():
    """Its columns are asked for when the source is made."""
    lazy = pl.LazyFrame({"a": [1]}).select("nope")

    with pytest.raises(InvalidArgumentError, match=r"dataframe: cannot be read: .*ColumnNotFound"):
        from_dataframe(lazy)


@EVERY
async def test_a_float_has_the_digits_of_its_own_type(made: Callable[..., object]):
    """A float of 32 bits is 0.1, not the 0.10000000149011612 of the float of 64 bits beside it."""
    texts = ["0.1", "1234.56", "16777216", "3.4028235e+38", "-2.5", "0"]
    values = [float(text) for text in texts]
    table = pa.table({"single": pa.array(values, pa.float32()), "double": values})

    lines = await lines_of(from_dataframe(made(table)))

    assert [line.cells for line in lines] == [{"single": it, "double": it} for it in values]


@EVERY
async def test_a_missing_value_is_blank(made: Callable[..., object]):
    """Whatever its library writes for it."""
    kinds = [pa.string(), pa.int64(), pa.float32(), pa.float64(), pa.bool_(), pa.date32()]
    kinds += [pa.timestamp("us"), pa.decimal128(9, 2), pa.time64("us"), pa.duration("us")]
    table = pa.table({str(kind): pa.array([None, None], kind) for kind in kinds})

    for line in await lines_of(from_dataframe(made(table))):
        assert all(map(is_blank, line.cells.values())), line.cells


@EVERY
async def test_a_cell_is_what_its_column_shows(made: Callable[..., object]):
    """Decimals keep their digits, and categories are their words."""
    table = pa.table(
        {
            "price": pa.array([Decimal("1.10")]),
            "kind": pa.array(["oro"]).dictionary_encode(),
            "day": pa.array([dt.date(2026, 12, 24)]),
            "hour": pa.array([dt.time(15, 30)]),
            "moment": pa.array([dt.datetime(2026, 12, 24, 15, 30)]),
        }
    )

    (line,) = await lines_of(from_dataframe(made(table)))

    shown = {name: format_cell(name, cell) for name, cell in line.cells.items()}
    assert shown == {
        "price": "1.10",
        "kind": "oro",
        "day": "2026-12-24",
        "hour": "15:30:00",
        "moment": "2026-12-24 15:30:00",
    }


@EVERY
async def test_a_nested_cell_is_refused_with_its_column_where_it_is_used(
    made: Callable[..., object],
):
    """It does not stop the rows around it."""
    nested = {"list": [[1, 2]], "struct": [{"x": 1}], "bytes": [b"x"], "span": [dt.timedelta(1)]}

    (line,) = await lines_of(from_dataframe(made(pa.table(nested))))

    for name in nested:
        with pytest.raises(InvalidArgumentError, match=f"{name}: must be text or a number, not"):
            format_cell(name, line.cells[name])


@pytest.mark.parametrize(
    "make", [pl.from_arrow, lambda table: table, relation], ids=["polars", "pyarrow", "duckdb"]
)
async def test_a_date_beyond_the_calendar_is_an_error_of_its_row(make: Callable[..., object]):
    """The rows around it stay."""
    days = pa.array([0, 10_000_000, 1], pa.int32()).cast(pa.date32())

    lines = await lines_of(from_dataframe(make(pa.table({"day": days, "a": ["x", "y", "z"]}))))

    good, bad, last = (line.cells for line in lines)
    assert (good, last) == (
        {"day": dt.date(1970, 1, 1), "a": "x"},
        {"day": dt.date(1970, 1, 2), "a": "z"},
    )
    assert isinstance(bad, InvalidArgumentError)
    assert "day: has a value in this row that cannot be read" in str(bad)


async def test_the_values_of_numpy_and_python_in_an_object_column_are_plain():
    """A datetime64 is a time, and not the number of nanoseconds since 1970 that it is made of."""
    values = [
        np.datetime64("2026-12-24T15:30", "ns"),
        np.datetime64("NaT"),
        np.float32(0.1),
        np.int64(5),
        np.str_("Ana"),
        np.array([1, 2]),
        UUID(int=7),
        pd.NA,
        Decimal("NaN"),
        np.timedelta64(5, "ns"),
        np.datetime64("20000-01-01", "us"),
    ]
    lines = await lines_of(from_dataframe(pd.DataFrame({"a": pd.Series(values, dtype=object)})))

    cells = [line.cells["a"] for line in lines]
    assert cells[0] == dt.datetime(2026, 12, 24, 15, 30)
    assert cells[2:6] == [0.1, 5, "Ana", [1, 2]]
    assert type(cells[3]) is int
    assert cells[6] == str(UUID(int=7))
    assert [is_blank(cell) for cell in cells] == [
        *(False, True, *[False] * 5, True, True),
        *(False, False),
    ]
    assert type(cells[9]) is dt.timedelta
    assert cells[10] == "20000-01-01T00:00:00.000000"


async def test_an_index_is_no_column():
    """The rows are numbered from 1, whatever pandas calls them."""
    frame = pd.DataFrame({"a": [1, 2]}, index=[56987688060, 56987688061])

    assert await lines_of(from_dataframe(frame)) == [Line(1, {"a": 1}), Line(2, {"a": 2})]


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        ([{"a": 1}], "must be a dataframe, not list"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "gives two columns the same name"),
        (pl.DataFrame(), "is empty"),
    ],
    ids=["list", "doubled column", "empty"],
)
def test_what_is_no_table_is_refused(frame: object, problem: str):
    """The error names the actual type."""
    with pytest.raises(InvalidArgumentError, match=f"dataframe: .*{problem}"):
        from_dataframe(frame)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "narwhals", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'connectus-async\[dataframes\]'"):
        from_dataframe(pl.DataFrame({"a": [1]}))
