"""Dataframes: pandas, polars and pyarrow give the same rows."""

import datetime as dt
import sys
from collections.abc import Callable

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from connectus_async import ConfigurationError, InvalidArgumentError
from connectus_async.recipients.sources import Line, Source, from_dataframe

MAKERS = [pd.DataFrame, pl.DataFrame, pa.table]
IDS = ["pandas", "polars", "pyarrow"]


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


async def test_an_index_is_no_column():
    """The rows are numbered from 1, whatever pandas calls them."""
    frame = pd.DataFrame({"a": [1, 2]}, index=[56987688060, 56987688061])

    assert await lines_of(from_dataframe(frame)) == [Line(1, {"a": 1}), Line(2, {"a": 2})]


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (pl.LazyFrame({"a": [1]}), "is lazy; collect it, or write it to Parquet"),
        ([{"a": 1}], "must be a dataframe, not list"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "gives two columns the same name"),
        (pl.DataFrame(), "is empty"),
    ],
    ids=["lazy", "list", "doubled column", "empty"],
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
