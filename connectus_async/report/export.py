"""A campaign's messages as a table, one row each: CSV, JSON lines or Parquet."""

import csv
import io
import sqlite3
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TextIO

from connectus_async._json import dumps
from connectus_async.errors import InvalidArgumentError
from connectus_async.extras import library
from connectus_async.ledger.sqlite.reading import reading
from connectus_async.ledger.states import State
from connectus_async.report._target import replacing
from connectus_async.report.spreadsheet import guarded

Format = Literal["csv", "jsonl", "parquet"]
Batches = Iterator[list[tuple[Any, ...]]]

FORMATS: Final[tuple[Format, ...]] = ("csv", "jsonl", "parquet")
TEXT_FORMATS: Final[tuple[Format, ...]] = ("csv", "jsonl")
ROWS_A_BATCH: Final = 20_000
"""What is in memory at once, and a row group of Parquet."""

PRIVATE: Final = 0o600
"""Recipients are for the ledger's owner, and so is an export of them."""

COLUMNS: Final = (
    "line",
    "key",
    "kind",
    "recipient",
    "state",
    "reason",
    "id",
    "attempts",
    "started_at",
    "ended_at",
    "delivery_status",
    "delivered_at",
    "billed",
)
MOMENTS: Final = frozenset({"started_at", "ended_at", "delivered_at"})
NUMBERS: Final = frozenset({"line", "attempts", "billed"})

TEXT_ROWS: Final = """
    SELECT line, key, kind, recipient, state, reason, provider_id, attempts,
           strftime('%Y-%m-%dT%H:%M:%fZ', round(started_at, 3), 'unixepoch'),
           strftime('%Y-%m-%dT%H:%M:%fZ', round(ended_at, 3), 'unixepoch'),
           delivery_status,
           strftime('%Y-%m-%dT%H:%M:%fZ', round(delivered_at, 3), 'unixepoch'), billed
    FROM message
    WHERE :states IS NULL OR state IN (SELECT value FROM json_each(:states))
    ORDER BY id
"""
"""In the order of `COLUMNS`, moments as ISO 8601. Both round alike, so that formats agree."""

PARQUET_ROWS: Final = """
    SELECT line, key, kind, recipient, state, reason, provider_id, attempts,
           CAST(round(round(started_at, 3) * 1000) AS INTEGER),
           CAST(round(round(ended_at, 3) * 1000) AS INTEGER), delivery_status,
           CAST(round(round(delivered_at, 3) * 1000) AS INTEGER), billed
    FROM message
    WHERE :states IS NULL OR state IN (SELECT value FROM json_each(:states))
    ORDER BY id
"""
"""In the order of `COLUMNS`, moments in Unix milliseconds."""


def export(
    ledger: Path,
    target: Path | TextIO,
    *,
    format: Format | None = None,
    states: Collection[State] | None = None,
) -> int:
    """Write a campaign's messages as a table, in the order of their arrival. Blocks.

    The columns are ``line``, ``key``, ``kind``, ``recipient``, ``state``, ``reason``, ``id`` (the
    API's), ``attempts``, ``started_at`` and ``ended_at`` of the last attempt,
    ``delivery_status``, ``delivered_at`` and ``billed``. What the messages say is not in it, the
    recipients are. Moments are in UTC, to the millisecond: ISO 8601 text, in Parquet timestamps.

    CSV has a byte order mark in front, without which Excel misreads accents; a stream gets none.
    Text in which a spreadsheet might see a formula gets an apostrophe before it (see `guarded`);
    the other formats have every text as it is.

    The ledger is read as it stands at this moment; a campaign may go on writing it.

    Args:
        ledger: The ledger.
        target: The file to write, which is replaced if it is there, but only when all is written,
            and which only its owner may read; or a text stream, for CSV opened with ``newline=""``.
        format: ``"csv"``, ``"jsonl"`` or ``"parquet"``; if left out, what the target's name ends
            in.
        states: Only messages in these states.

    Returns:
        The number of rows, the header of CSV not counted.

    Raises:
        LedgerError: The ledger cannot be read.
        InvalidArgumentError: The target or the format cannot be.
        ConfigurationError: Parquet needs ``pip install 'connectus-async[parquet]'``.
        OSError: The target cannot be written, and is as it was.

    Example:
        export(Path("navidad.db"), Path("navidad.csv"), states=[State.REJECTED, State.UNKNOWN])
    """
    chosen = _format(target, format)
    query = PARQUET_ROWS if chosen == "parquet" else TEXT_ROWS
    parameters = {"states": None if states is None else _json_array(states)}
    with reading(ledger) as connection:
        batches = _batches(connection.execute(query, parameters))
        if not isinstance(target, Path):
            return _TEXT_WRITERS[chosen](batches, target)
        write = _into_parquet if chosen == "parquet" else _into_text_file(chosen)
        with replacing(target, ledger, mode=PRIVATE) as file:
            return write(batches, file)


def _format(target: Path | TextIO, format: Format | None) -> Format:
    ending = target.suffix.lower().removeprefix(".") if isinstance(target, Path) else None
    allowed = TEXT_FORMATS if ending is None else FORMATS
    for known in allowed:
        if known == (format or ending):
            return known
    raise InvalidArgumentError("format", f"must be {', '.join(allowed[:-1])} or {allowed[-1]}")


def _json_array(states: Collection[State]) -> str:
    try:
        return dumps([State(state).value for state in states]).decode()
    except ValueError:
        raise InvalidArgumentError("states", f"must be some of {', '.join(State)}") from None


def _batches(cursor: sqlite3.Cursor) -> Batches:
    while batch := cursor.fetchmany(ROWS_A_BATCH):
        yield batch


def _write_csv(batches: Batches, file: TextIO) -> int:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(COLUMNS)
    count = 0
    for batch in batches:
        rows.writerows(map(guarded, row) for row in batch)
        count += len(batch)
    return count


def _write_jsonl(batches: Batches, file: TextIO) -> int:
    count = 0
    for batch in batches:
        file.writelines(
            f"{dumps(dict(zip(COLUMNS, row, strict=True))).decode()}\n" for row in batch
        )
        count += len(batch)
    return count


_TEXT_WRITERS: Final[dict[str, Callable[[Batches, TextIO], int]]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
}
_ENCODINGS: Final = {"csv": "utf-8-sig", "jsonl": "utf-8"}


def _into_text_file(chosen: Format) -> Callable[[Batches, BinaryIO], int]:
    def write(batches: Batches, file: BinaryIO) -> int:
        text = io.TextIOWrapper(file, encoding=_ENCODINGS[chosen], newline="")
        count = _TEXT_WRITERS[chosen](batches, text)
        text.detach()
        return count

    return write


def _into_parquet(batches: Batches, file: BinaryIO) -> int:
    pa = library("parquet", "pyarrow", extra="parquet")
    parquet = library("parquet", "pyarrow.parquet", extra="parquet")
    schema = pa.schema([(name, _parquet_type(pa, name)) for name in COLUMNS])
    count = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for batch in batches:
            columns = zip(zip(*batch, strict=True), schema.types, strict=True)
            arrays = [pa.array(values, kind) for values, kind in columns]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(batch)
    return count


def _parquet_type(pa: Any, name: str) -> Any:
    if name in MOMENTS:
        return pa.timestamp("ms", tz="UTC")
    return pa.int64() if name in NUMBERS else pa.string()
