"""Export of a campaign's messages as a table: CSV, JSON Lines or Parquet."""

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TextIO

from connectus_async._json import dumps
from connectus_async.errors import InvalidArgumentError
from connectus_async.extras import library
from connectus_async.ledger import open_store
from connectus_async.ledger.records import MOMENTS, MessageRow
from connectus_async.ledger.states import State
from connectus_async.report._target import replacing
from connectus_async.report.spreadsheet import guarded_column

Format = Literal["csv", "jsonl", "parquet"]
Batches = Iterator[list[tuple[Any, ...]]]

FORMATS: Final[tuple[Format, ...]] = ("csv", "jsonl", "parquet")
TEXT_FORMATS: Final[tuple[Format, ...]] = ("csv", "jsonl")

PRIVATE: Final = 0o600
"""Only the owner of the ledger may see the recipients, here too."""

COLUMNS: Final = tuple("id" if name == "provider_id" else name for name in MessageRow._fields)
NUMBERS: Final = frozenset({"line", "attempts", "billed"})
SAFE: Final = NUMBERS | MOMENTS
"""What no spreadsheet takes for a formula."""

EPOCH: Final = datetime.fromtimestamp(0, UTC)
EARLIEST: Final = datetime.min.replace(tzinfo=UTC).timestamp()
LATEST: Final = datetime.max.replace(tzinfo=UTC).timestamp()
"""Other times, of a clock that is wrong, are left out: not every format can have them."""


def export(
    ledger: str | PathLike[str],
    target: Path | TextIO,
    *,
    format: Format | None = None,
    states: Collection[State] | None = None,
) -> int:
    """Write a campaign's messages as a table, in order of arrival. Blocks.

    The columns are ``line``, ``key``, ``kind``, ``recipient``, ``state``, ``reason``, ``id`` (the
    API's), ``attempts``, ``started_at`` and ``ended_at`` of the last attempt,
    ``delivery_status``, ``delivered_at`` and ``billed``. The table has the recipients, but not the
    content of the messages. Times are in UTC, to the millisecond: as text in ISO 8601, in Parquet
    as timestamps.

    A CSV file begins with a byte order mark, without which Excel misreads accents; a stream does
    not. In CSV, text that a spreadsheet might take for a formula gets an apostrophe before it (see
    `guarded`). The other formats leave text as it is.

    The export shows the ledger as it is at this moment. A campaign may keep writing to it.

    Args:
        ledger: The ledger: the path of its file, or its address.
        target: The file to write, or a text stream, for CSV opened with ``newline=""``. A file is
            replaced only when all is written, and only its owner may read it.
        format: ``"csv"``, ``"jsonl"`` or ``"parquet"``; by default, the target's extension.
        states: Export only messages in these states.

    Returns:
        The number of rows, without the header of CSV.

    Raises:
        LedgerError: The ledger cannot be read.
        InvalidArgumentError: The target or the format is not valid.
        ConfigurationError: Parquet needs ``pip install 'connectus-async[parquet]'``.
        OSError: The target cannot be written. It is unchanged.

    Example:
        export(Path("navidad.db"), Path("navidad.csv"), states=[State.REJECTED, State.UNKNOWN])
    """
    chosen = _format(target, format)
    wanted = _checked(states)
    with open_store(ledger).read() as reader:
        rows = reader.messages(wanted)
        if not isinstance(target, Path):
            return _TEXT_WRITERS[chosen](_converted(rows, _texts), target)
        with replacing(target, ledger, mode=PRIVATE) as file:
            if chosen == "parquet":
                return _write_parquet(_converted(rows, _timestamps), file)
            return _write_text_file(chosen, _converted(rows, _texts), file)


def _format(target: Path | TextIO, format: Format | None) -> Format:
    ending = target.suffix.lower().removeprefix(".") if isinstance(target, Path) else None
    allowed = TEXT_FORMATS if ending is None else FORMATS
    for known in allowed:
        if known == (format or ending):
            return known
    raise InvalidArgumentError("format", f"must be {', '.join(allowed[:-1])} or {allowed[-1]}")


def _checked(states: Collection[State] | None) -> list[State] | None:
    try:
        return None if states is None else [State(state) for state in states]
    except ValueError:
        raise InvalidArgumentError("states", f"must be some of {', '.join(State)}") from None


def _converted(
    batches: Iterable[Sequence[MessageRow]],
    convert: Callable[[Iterable[float | None]], Iterable[object]],
) -> Batches:
    """Convert the times, a column at a time: a table may have millions of rows."""
    for batch in batches:
        columns = [
            convert(column) if name in MOMENTS else column
            for name, column in zip(COLUMNS, zip(*batch, strict=True), strict=True)
        ]
        yield list(zip(*columns, strict=True))


def _timestamps(moments: Iterable[float | None]) -> Iterable[int | None]:
    return map(_milliseconds, moments)


def _milliseconds(moment: float | None) -> int | None:
    return None if moment is None or not EARLIEST <= moment < LATEST else round(moment * 1000)


def _texts(moments: Iterable[float | None]) -> Iterable[str | None]:
    """Write times as text. Most are within some seconds of the one before.

    >>> list(_texts([1_793_973_600.25, None]))
    ['2026-11-06T14:00:00.250Z', None]
    """
    for moment in moments:
        if (milliseconds := _milliseconds(moment)) is None:
            yield None
        else:
            second, rest = divmod(milliseconds, 1000)
            yield _second(second) + _FRACTIONS[rest]


_FRACTIONS: Final = [f".{rest:03}Z" for rest in range(1000)]


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return f"{EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}"


def _write_csv(batches: Batches, file: TextIO) -> int:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(COLUMNS)
    count = 0
    for batch in batches:
        columns = zip(COLUMNS, zip(*batch, strict=True), strict=True)
        safe = [cells if name in SAFE else guarded_column(cells) for name, cells in columns]
        rows.writerows(zip(*safe, strict=True))
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


def _write_text_file(chosen: Format, batches: Batches, file: BinaryIO) -> int:
    text = io.TextIOWrapper(file, encoding=_ENCODINGS[chosen], newline="")
    count = _TEXT_WRITERS[chosen](batches, text)
    text.detach()
    return count


def _write_parquet(batches: Batches, file: BinaryIO) -> int:
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
