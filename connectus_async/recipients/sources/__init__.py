"""Where the messages of a campaign come from: tables, read lazily and off the event loop."""

from pathlib import Path
from typing import Final

import anyio.to_thread

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.cells import Cell
from connectus_async.recipients.sources._source import MAX_ROW_CHARACTERS, Line, Source
from connectus_async.recipients.sources._text import UTF_8
from connectus_async.recipients.sources.csv_file import CsvFile
from connectus_async.recipients.sources.dataframe import DataFrame, from_dataframe
from connectus_async.recipients.sources.excel_file import ExcelFile
from connectus_async.recipients.sources.jsonl_file import JsonLinesFile
from connectus_async.recipients.sources.parquet_file import ParquetFile

CSV: Final = frozenset({".csv", ".tsv", ".txt"})
JSON_LINES: Final = frozenset({".jsonl", ".ndjson"})
PARQUET: Final = frozenset({".parquet"})
EXCEL: Final = frozenset({".xlsx", ".xlsm"})
OLD_SPREADSHEETS: Final = frozenset({".xls", ".xlsb", ".ods"})
"""Formats whose readers do not tell how a cell shows its number."""

__all__ = [
    "MAX_ROW_CHARACTERS",
    "UTF_8",
    "Cell",
    "CsvFile",
    "DataFrame",
    "ExcelFile",
    "JsonLinesFile",
    "Line",
    "ParquetFile",
    "Source",
    "from_dataframe",
    "open_source",
]


async def open_source(
    path: Path, *, encoding: str = UTF_8, delimiter: str | None = None, sheet: str | None = None
) -> Source:
    """Open a file of recipients, and read its header. What its name ends with says what it is.

    | ends with | is read as | needs |
    |---|---|---|
    | ``.csv``, ``.tsv``, ``.txt`` | CSV | |
    | ``.jsonl``, ``.ndjson`` | JSON Lines | |
    | ``.parquet`` | Parquet | ``connectus-async[parquet]`` |
    | ``.xlsx``, ``.xlsm`` | Excel | ``connectus-async[excel]`` |

    Args:
        path: Where it is.
        encoding: How the text of CSV or JSON Lines is encoded; UTF-8 with or without byte order
            mark if left out.
        delimiter: What stands between two cells of CSV; if left out, the one of comma, semicolon,
            tab and bar that the header has most of.
        sheet: The name of the sheet of a workbook; may be left out where there is only one.

    Returns:
        The source. Its rows are read as they are asked for, and what is wrong further down is known
        when they are.

    Raises:
        InvalidArgumentError: The file cannot be read; it is named, with the line.
        ConfigurationError: The library for its format is not installed.
    """
    return await anyio.to_thread.run_sync(
        _open, path, encoding, delimiter, sheet, abandon_on_cancel=True
    )


def _open(path: Path, encoding: str, delimiter: str | None, sheet: str | None) -> Source:
    suffix = path.suffix.casefold()
    is_encoded = encoding != UTF_8
    if suffix in CSV:
        _refuse(path, sheet=sheet is not None)
        return CsvFile.open(path, encoding, delimiter)
    if suffix in JSON_LINES:
        _refuse(path, delimiter=delimiter is not None, sheet=sheet is not None)
        return JsonLinesFile.open(path, encoding)
    if suffix in PARQUET:
        _refuse(path, encoding=is_encoded, delimiter=delimiter is not None, sheet=sheet is not None)
        return ParquetFile.open(path)
    if suffix in EXCEL:
        _refuse(path, encoding=is_encoded, delimiter=delimiter is not None)
        return ExcelFile.open(path, sheet)
    raise _not_read(path, suffix)


def _refuse(path: Path, **given: bool) -> None:
    for name, is_given in given.items():
        if is_given:
            raise InvalidArgumentError(name, f"means nothing for a {path.suffix} file")


def _not_read(path: Path, suffix: str) -> InvalidArgumentError:
    if suffix in OLD_SPREADSHEETS:
        return InvalidArgumentError(path.name, f"is {suffix}, which is not read; save it as .xlsx")
    known = ", ".join(sorted(CSV | JSON_LINES | PARQUET | EXCEL))
    return InvalidArgumentError(path.name, f"does not end with one of {known}")
