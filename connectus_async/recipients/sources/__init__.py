"""Sources of recipients: tables, read lazily and off the event loop."""

from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio.to_thread

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.cells import Cell
from connectus_async.recipients.sources._source import MAX_ROW_CHARACTERS, Line, Source
from connectus_async.recipients.sources.content import suffix_of
from connectus_async.recipients.sources.csv_file import CsvFile
from connectus_async.recipients.sources.dataframe import DataFrame, from_dataframe
from connectus_async.recipients.sources.excel_file import ExcelFile
from connectus_async.recipients.sources.jsonl_file import JsonLinesFile
from connectus_async.recipients.sources.packed import PACKED, PackedFile
from connectus_async.recipients.sources.parquet_file import ParquetFile
from connectus_async.recipients.sources.query import Query, from_query
from connectus_async.recipients.sources.reading import AS_FOUND, Reading
from connectus_async.recipients.sources.vcard_file import VCardFile

CSV: Final = frozenset({".csv", ".tsv", ".txt"})
JSON_LINES: Final = frozenset({".jsonl", ".ndjson"})
VCARD: Final = frozenset({".vcf"})
PARQUET: Final = frozenset({".parquet"})
EXCEL: Final = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"})

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
    "VCardFile",
    "from_dataframe",
    "from_query",
    "open_source",
    "opened",
]


async def open_source(path: Path, reading: Reading = AS_FOUND) -> Source:
    """Open a file of recipients, and read its header. Its extension gives its format.

    | extension | format | requires |
    |---|---|---|
    | ``.csv``, ``.tsv``, ``.txt`` | CSV | |
    | ``.jsonl``, ``.ndjson`` | JSON Lines | |
    | ``.vcf`` | contacts | |
    | ``.csv.gz`` and so on | one of these, packed by gzip | |
    | ``.zip`` | one of these, alone in an archive | |
    | ``.parquet`` | Parquet | ``connectus-async[parquet]`` |
    | ``.xlsx``, ``.xlsm``, ``.xlsb``, ``.xls`` | Excel | ``connectus-async[excel]`` |
    | ``.ods`` | OpenDocument | ``connectus-async[excel]`` |

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


def opened(path: Path, reading: Reading = AS_FOUND) -> Source:
    """Open a file as `open_source` does. Blocking: for worker threads."""
    return _open(path, reading)


def _open(path: Path, reading: Reading) -> Source:
    file = PackedFile.at(path)
    if path.suffix.casefold() in CSV | JSON_LINES | VCARD:
        _check_is_text(path)
    if file.suffix in CSV:
        reading.check(file.suffix, {"encoding", "delimiter", "header_row"})
        return CsvFile.open(file, reading)
    if file.suffix in JSON_LINES:
        reading.check(file.suffix, {"encoding"})
        return JsonLinesFile.open(file, reading)
    if file.suffix in VCARD:
        reading.check(file.suffix, {"encoding"})
        return VCardFile.open(file, reading)
    if path.suffix.casefold() in PACKED:
        raise _not_unpacked(file)
    if file.suffix in PARQUET:
        reading.check(file.suffix, ())
        return ParquetFile.open(path)
    if file.suffix in EXCEL:
        reading.check(file.suffix, {"sheet", "header_row", "hidden_rows"})
        return ExcelFile.open(path, reading)
    known = ", ".join(sorted(CSV | JSON_LINES | VCARD | PARQUET | EXCEL))
    raise InvalidArgumentError(path.name, f"has no supported extension; use one of {known}")


def _check_is_text(path: Path) -> None:
    """Refuse a file that was renamed: it would be read as text that means nothing."""
    with suppress(OSError):  # told when it is read
        kind = suffix_of(path)
        if kind not in CSV | JSON_LINES | VCARD:
            raise InvalidArgumentError(
                path.name, f"is not text but a {kind} file by its content; rename it"
            )


def _not_unpacked(file: PackedFile) -> InvalidArgumentError:
    known = ", ".join(sorted(CSV | JSON_LINES | VCARD))
    return InvalidArgumentError(
        file.path.name, f"must hold a text file, {known}, such as recipients.csv.gz; unpack it"
    )
