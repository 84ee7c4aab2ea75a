"""Parquet files, with typed cells."""

import datetime as dt
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from connectus_async import ConfigurationError, InvalidArgumentError
from connectus_async.recipients.sources import Line, open_source


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recipients.parquet"


async def lines_of(path: Path) -> list[Line]:
    source = await open_source(path)
    return [line async for batch in source.batches() for line in batch]


async def test_cells_keep_their_types(path: Path):
    """A number that the file has as a float stays one, so that it can be refused."""
    table = pa.table(
        {
            "dst_number": pa.array([56987688060, None], pa.int64()),
            "as_float": [56987688060.0, 1.5],
            "name": ["José", ""],
            "price": [Decimal("9.50"), Decimal("12990.00")],
            "day": [dt.date(2026, 7, 31), None],
        }
    )
    parquet.write_table(table, path)

    first, second = await lines_of(path)

    assert first == Line(
        1,
        {
            "dst_number": 56987688060,
            "as_float": 56987688060.0,
            "name": "José",
            "price": Decimal("9.50"),
            "day": dt.date(2026, 7, 31),
        },
    )
    assert isinstance(first.cells, Mapping)
    assert isinstance(first.cells["as_float"], float)
    assert second.number == 2


async def test_a_float_has_the_digits_of_its_own_type(path: Path):
    """A float of 32 bits is 0.1, not the 0.10000000149011612 of one of 64 bits."""
    values = [0.1, 1234.56, None]
    parquet.write_table(pa.table({"single": pa.array(values, pa.float32())}), path)

    assert [line.cells for line in await lines_of(path)] == [{"single": it} for it in values]


async def test_the_number_of_rows_is_known_at_once(path: Path):
    """The file says it; rows are numbered across its batches and row groups."""
    parquet.write_table(pa.table({"a": range(1_234)}), path, row_group_size=700)

    source = await open_source(path)
    lines = await lines_of(path)

    assert (source.length, await source.count(), list(source.columns)) == (1_234, 1_234, ["a"])
    assert [line.number for line in lines] == list(range(1, 1_235))
    assert [line.cells for line in lines] == [{"a": value} for value in range(1_234)]


async def test_a_cell_that_python_cannot_have_is_its_rows_error(path: Path):
    """The column is named, and the rows around it are not touched."""
    days = pa.array([0, 2**31 - 1, 1], pa.int32()).cast(pa.date32())
    parquet.write_table(pa.table({"name": ["Ana", "Eva", "José"], "day": days}), path)

    first, bad, last = await lines_of(path)

    assert first.cells == {"name": "Ana", "day": dt.date(1970, 1, 1)}
    assert str(bad.cells) == "day: has a value in this row that cannot be read"
    assert last.cells == {"name": "José", "day": dt.date(1970, 1, 2)}


@pytest.mark.parametrize("written", [b"", b"dst_number,name\n", b"PAR1" + b"\0" * 64 + b"PAR1"])
async def test_a_file_that_is_no_parquet_is_refused(path: Path, written: bytes):
    """One sentence, whatever the library says of it."""
    path.write_bytes(written)

    with pytest.raises(InvalidArgumentError) as caught:
        await open_source(path)

    problem = "cannot be read: it is not a Parquet file, or is incomplete"
    assert str(caught.value) == f"recipients.parquet: {problem}"


async def test_a_file_that_is_not_whole_is_refused(path: Path):
    """Its end is where its columns are described."""
    parquet.write_table(pa.table({"a": range(10_000)}), path)
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(InvalidArgumentError, match="not a Parquet file, or is incomplete"):
        await open_source(path)


async def test_a_file_that_is_damaged_further_down_is_refused(path: Path):
    """A page that cannot be decompressed has no rows."""
    parquet.write_table(pa.table({"a": [f"{n:x}" for n in range(10_000)]}), path)
    written = bytearray(path.read_bytes())
    written[4:2_000] = b"\xff" * 1_996
    path.write_bytes(written)

    with pytest.raises(InvalidArgumentError, match=r"recipients\.parquet: cannot be read"):
        await lines_of(path)


async def test_two_columns_of_one_name_are_refused(path: Path):
    """A placeholder would not say which."""
    parquet.write_table(pa.table([[1], [2]], names=["a", "a"]), path)

    with pytest.raises(InvalidArgumentError, match="gives columns 1 and 2 the same name"):
        await open_source(path)


async def test_a_file_that_is_not_there_is_named(path: Path):
    """The file system's reason is passed on."""
    with pytest.raises(InvalidArgumentError, match="cannot be read: No such file"):
        await open_source(path)


async def test_a_missing_library_is_named(path: Path, monkeypatch: pytest.MonkeyPatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ConfigurationError) as caught:
        await open_source(path)

    assert str(caught.value) == (
        "recipients.parquet: needs pyarrow: pip install 'connectus-async[parquet]'"
    )


async def test_a_column_whose_name_is_not_text_is_refused(path: Path):
    """pyarrow fails on it with an error of its own kind."""
    parquet.write_table(pa.table({"columna": ["x"]}), path)
    path.write_bytes(path.read_bytes().replace(b"columna", b"c\xbflumna"))

    with pytest.raises(InvalidArgumentError, match="it is not a Parquet file, or is incomplete"):
        await open_source(path)
