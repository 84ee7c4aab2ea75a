"""Sources of recipients: tables, read lazily and off the event loop."""

from pathlib import Path
from typing import Final

import anyio.to_thread

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.cells import Cell
from connectus_async.recipients.encoding import UTF_8
from connectus_async.recipients.sources._source import MAX_ROW_CHARACTERS, Line, Source
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
"""Formats whose readers do not report the number format of a cell."""

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
    """Open a file of recipients, and read its header. Its extension gives its format.

    | extension | format | requires |
    |---|---|---|
    | ``.csv``, ``.tsv``, ``.txt`` | CSV | |
    | ``.jsonl``, ``.ndjson`` | JSON Lines | |
    | ``.parquet`` | Parquet | ``connectus-async[parquet]`` |
    | ``.xlsx``, ``.xlsm`` | Excel | ``connectus-async[excel]`` |

    Args:
        path: The path of the file.
        encoding: The encoding of CSV or JSON Lines; by default UTF-8, with or without byte order
            mark.
        delimiter: The delimiter of CSV; by default the most frequent one in the header of comma,
            semicolon, tab and vertical bar.
        sheet: The sheet of a workbook; optional if there is only one.

    Returns:
        The source. It reads rows on demand, so an error further down appears only then.

    Raises:
        InvalidArgumentError: The file cannot be read; the error names it, with the line.
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
            raise InvalidArgumentError(name, f"does not apply to a {path.suffix} file")


def _not_read(path: Path, suffix: str) -> InvalidArgumentError:
    if suffix in OLD_SPREADSHEETS:
        return InvalidArgumentError(
            path.name, f"is {suffix}, which is not supported; save it as .xlsx"
        )
    known = ", ".join(sorted(CSV | JSON_LINES | PARQUET | EXCEL))
    return InvalidArgumentError(path.name, f"has no supported extension; use one of {known}")
