"""A table that any program writes is read back as what it shows."""

import csv
import re
import string
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import duckdb
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet
import pytest
import xlsxwriter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectus_async.recipients.cells import NO_VALUES, format_cell
from connectus_async.recipients.formats import number_of
from connectus_async.recipients.sources import Reading, open_source

Table = tuple[list[str], list[list[Any]]]
"""The names of the columns, and the rows: a text that tells it apart, a text, a number, a text."""

EXAMPLES = settings(max_examples=10)

WORDS = st.text("aáñÑçüÍ¿€\u00a0,;|\t'\"=+- .0#_x{}%\n&<>", max_size=12)
ANY_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=12
)
NUMBERS = st.one_of(
    st.integers(-(10**6), 10**6),
    st.decimals(-(10**6), 10**6, places=2, allow_nan=False).map(float),
)


ESCAPE = re.compile("_x[0-9a-fA-F]{4}_")


def is_plain(text: str) -> bool:
    """Tell whether a text means only itself: no formula, no guard of one, no sign of no value."""
    is_guarded = text.strip()[:1] in {"=", "'"} or ESCAPE.search(text)
    return text.strip() not in NO_VALUES and not is_guarded


TEXTS = st.one_of(WORDS, ANY_TEXT).filter(is_plain)
NAMES = st.lists(
    st.text(string.ascii_letters + "áñÚ", min_size=3, max_size=8),
    min_size=4,
    max_size=4,
    unique=True,
)
ROWS = st.lists(st.tuples(TEXTS, NUMBERS, TEXTS).map(list), min_size=1, max_size=6)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    return draw(NAMES), [[f"fila {place}", *row] for place, row in enumerate(draw(ROWS), 1)]


async def rows_of(path: Path, reading: Reading) -> list[list[object]]:
    source = await open_source(path, reading)
    lines = await anyio.to_thread.run_sync(lambda: [*source.lines()])
    return [list(line.cells.values()) for line in lines]


def shown(row: list[object]) -> list[object]:
    """Write the cells of a row; a number is compared as one, since 2.50 and 2.5 are the same."""
    first, text, number, other = row
    return [text_of(first), text_of(text), float(number_of("x", number)), text_of(other)]


def text_of(cell: object) -> str:
    if cell is None or not str(cell).strip():
        return ""
    return format_cell("x", cell).replace("\r\n", "\n").replace("\r", "\n")


def check(path: Path, table: Table, **reading: str) -> None:
    _, rows = table
    found = anyio.run(rows_of, path, Reading(**reading))

    assert list(map(shown, found)) == list(map(shown, rows))


@EXAMPLES
@given(
    tables(),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["\r\n", "\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_csv_of_any_dialect(
    tmp_path_factory: pytest.TempPathFactory,
    table: Table,
    delimiter: str,
    quoting: Any,
    end: str,
    encoding: str,
):
    """Every quoting, line end and encoding, with the delimiter said."""
    path = tmp_path_factory.getbasetemp() / "table.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator=end)
        writer.writerows([table[0], *table[1]])

    check(path, table, delimiter=delimiter)


@EXAMPLES
@given(tables(), st.sampled_from([",", ";", "\t", "|"]), st.booleans())
def test_the_delimiter_of_csv_is_found(
    tmp_path_factory: pytest.TempPathFactory, table: Table, delimiter: str, has_comma: bool
):
    """Where no text has another one; a decimal comma is none."""
    names, rows = table
    path = tmp_path_factory.getbasetemp() / "table.csv"
    table = (
        names,
        [
            [cell if isinstance(cell, float | int) else without(cell) for cell in row]
            for row in rows
        ],
    )
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(names)
        for row in table[1]:
            writer.writerow(
                [
                    str(it).replace(".", ",") if has_comma and isinstance(it, float) else it
                    for it in row
                ]
            )

    check(path, table)


def without(text: str) -> str:
    return text.translate(dict.fromkeys(map(ord, ',;|\t"')))


def write_openpyxl(path: Path, table: Table) -> None:
    book = openpyxl.Workbook()
    for row in [table[0], *table[1]]:
        book.active.append(row)
    for row in book.active.iter_rows():
        for cell in row:
            cell.data_type = "n" if isinstance(cell.value, int | float) else "s"
    book.save(path)


def write_xlsxwriter(path: Path, table: Table, *, constant_memory: bool) -> None:
    with xlsxwriter.Workbook(path, {"constant_memory": constant_memory}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate([table[0], *table[1]]):
            for place, cell in enumerate(row):
                write = sheet.write_string if isinstance(cell, str) else sheet.write_number
                write(number, place, cell)


def pandas_of(table: Table) -> pd.DataFrame:
    return pd.DataFrame(table[1], columns=table[0])


def polars_of(table: Table) -> pl.DataFrame:
    rows = [[first, text, float(number), other] for first, text, number, other in table[1]]
    return pl.DataFrame(rows, schema=table[0], orient="row")


def arrow_of(table: Table) -> pa.Table:
    return polars_of(table).to_arrow()


DUCKDB = duckdb.connect()


def write_duckdb(path: Path, table: Table, *, options: str) -> None:
    names = ", ".join(
        f'"{name}" {kind}'
        for name, kind in zip(table[0], ("text", "text", "double", "text"), strict=True)
    )
    DUCKDB.execute(f"CREATE OR REPLACE TABLE rows ({names})")
    DUCKDB.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", table[1])
    DUCKDB.execute(f"COPY rows TO '{path}' ({options})")


WRITERS: dict[str, tuple[str, Callable[[Path, Table], object]]] = {
    "openpyxl": ("xlsx", write_openpyxl),
    "XlsxWriter": ("xlsx", partial(write_xlsxwriter, constant_memory=False)),
    "XlsxWriter in constant memory": ("xlsx", partial(write_xlsxwriter, constant_memory=True)),
    "pandas, csv": ("csv", lambda path, table: pandas_of(table).to_csv(path, index=False)),
    "pandas, semicolon": (
        "csv",
        lambda path, table: pandas_of(table).to_csv(path, index=False, sep=";", decimal=","),
    ),
    "pandas, xlsx": ("xlsx", lambda path, table: pandas_of(table).to_excel(path, index=False)),
    "pandas, jsonl": (
        "jsonl",
        lambda path, table: pandas_of(table).to_json(path, orient="records", lines=True),
    ),
    "pandas, parquet": ("parquet", lambda path, table: pandas_of(table).to_parquet(path)),
    "polars, csv": ("csv", lambda path, table: polars_of(table).write_csv(path)),
    "polars, tsv": (
        "tsv",
        lambda path, table: polars_of(table).write_csv(path, separator="\t", quote_style="always"),
    ),
    "polars, ndjson": ("ndjson", lambda path, table: polars_of(table).write_ndjson(path)),
    "polars, parquet": ("parquet", lambda path, table: polars_of(table).write_parquet(path)),
    "pyarrow, csv": ("csv", lambda path, table: arrow_csv.write_csv(arrow_of(table), path)),
    "pyarrow, parquet": (
        "parquet",
        lambda path, table: arrow_parquet.write_table(arrow_of(table), path),
    ),
    "DuckDB, csv": ("csv", partial(write_duckdb, options="HEADER, DELIMITER ',', FORMAT csv")),
    "DuckDB, json": ("ndjson", partial(write_duckdb, options="FORMAT json")),
    "DuckDB, parquet": ("parquet", partial(write_duckdb, options="FORMAT parquet")),
}


@pytest.mark.parametrize("writer", WRITERS)
@EXAMPLES
@given(tables())
@example((["uno", "dos", "tres", "cuatro"], [["fila 1", "", 10**6, " a\nb\tc "]]))
def test_what_a_library_writes_is_read_as_it_shows_it(
    tmp_path_factory: pytest.TempPathFactory, writer: str, table: Table
):
    """Texts, whole numbers and decimals, whatever the format."""
    suffix, write = WRITERS[writer]
    path = tmp_path_factory.getbasetemp() / f"table.{suffix}"
    write(path, table)
    said = {"delimiter": ","} if suffix == "csv" and "semicolon" not in writer else {}
    if "semicolon" in writer:
        said = {"delimiter": ";"}

    check(path, table, **said)


@pytest.mark.parametrize("text", ["_x000D_", "a _x0041_ b", "_x005F_", "_X000d_"])
def test_what_looks_like_an_escape_of_excel_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, text: str
):
    """XlsxWriter escapes it as Excel does."""
    path = tmp_path_factory.getbasetemp() / "table.xlsx"
    table: Table = (["uno", "dos", "tres", "cuatro"], [["fila 1", text, 0.1, f"<{text}>"]])
    for constant_memory in (True, False):
        write_xlsxwriter(path, table, constant_memory=constant_memory)

        check(path, table)


@EXAMPLES
@given(st.decimals(-(10**9), 10**9, places=4, allow_nan=False))
def test_a_decimal_of_parquet_keeps_its_digits(
    tmp_path_factory: pytest.TempPathFactory, number: Decimal
):
    """No float is in between."""
    path = tmp_path_factory.getbasetemp() / "table.parquet"
    table = pa.table({"monto": pa.array([number], pa.decimal128(20, 4))})
    arrow_parquet.write_table(table, path)

    ((found,),) = anyio.run(rows_of, path, Reading())

    assert format_cell("x", found) == format_cell("x", number)
