"""Sources of recipients: tables, read lazily and off the event loop."""

from pathlib import Path
from typing import Final

import anyio.to_thread

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.cells import Cell
from connectus_async.recipients.sources._source import MAX_ROW_CHARACTERS, Line, Source
from connectus_async.recipients.sources.csv_file import CsvFile
from connectus_async.recipients.sources.dataframe import DataFrame, from_dataframe
from connectus_async.recipients.sources.excel_file import ExcelFile
from connectus_async.recipients.sources.jsonl_file import JsonLinesFile
from connectus_async.recipients.sources.parquet_file import ParquetFile
from connectus_async.recipients.sources.query import Query, from_query
from connectus_async.recipients.sources.reading import AS_FOUND, Reading

CSV: Final = frozenset({".csv", ".tsv", ".txt"})
JSON_LINES: Final = frozenset({".jsonl", ".ndjson"})
PARQUET: Final = frozenset({".parquet"})
EXCEL: Final = frozenset({".xlsx", ".xlsm"})
OLD_SPREADSHEETS: Final = frozenset({".xls", ".xlsb", ".ods"})
"""Formats whose readers do not report the number format of a cell."""

__all__ = [
    "AS_FOUND",
    "MAX_ROW_CHARACTERS",
    "Cell",
    "CsvFile",
    "DataFrame",
    "ExcelFile",
    "JsonLinesFile",
    "Line",
    "ParquetFile",
    "Query",
    "Reading",
    "Source",
    "from_dataframe",
    "from_query",
    "open_source",
]


async def open_source(path: Path, reading: Reading = AS_FOUND) -> Source:
    """Open a file of recipients, and read its header. Its extension gives its format.

    | extension | format | requires |
    |---|---|---|
    | ``.csv``, ``.tsv``, ``.txt`` | CSV | |
    | ``.jsonl``, ``.ndjson`` | JSON Lines | |
    | ``.parquet`` | Parquet | ``connectus-async[parquet]`` |
    | ``.xlsx``, ``.xlsm`` | Excel | ``connectus-async[excel]`` |

    Args:
        path: The path of the file.
        reading: What is said of the file.

    Returns:
        The source. It reads rows on demand, so an error further down appears only then.

    Raises:
        InvalidArgumentError: The file cannot be read; the error names it, with the line.
        ConfigurationError: The library for its format is not installed.
    """
    return await anyio.to_thread.run_sync(_open, path, reading, abandon_on_cancel=True)


def _open(path: Path, reading: Reading) -> Source:
    suffix = path.suffix.casefold()
    if suffix in CSV:
        reading.check(suffix, {"encoding", "delimiter"})
        return CsvFile.open(path, reading)
    if suffix in JSON_LINES:
        reading.check(suffix, {"encoding"})
        return JsonLinesFile.open(path, reading)
    if suffix in PARQUET:
        reading.check(suffix, ())
        return ParquetFile.open(path)
    if suffix in EXCEL:
        reading.check(suffix, {"sheet"})
        return ExcelFile.open(path, reading)
    raise _not_read(path, suffix)


def _not_read(path: Path, suffix: str) -> InvalidArgumentError:
    if suffix in OLD_SPREADSHEETS:
        return InvalidArgumentError(
            path.name, f"is {suffix}, which is not supported; save it as .xlsx"
        )
    known = ", ".join(sorted(CSV | JSON_LINES | PARQUET | EXCEL))
    return InvalidArgumentError(path.name, f"has no supported extension; use one of {known}")
