"""Export of a campaign's messages as a table: CSV, JSON Lines, Parquet or a workbook."""

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple, TextIO

import attrs

from connectus_async._json import dumps
from connectus_async.errors import InvalidArgumentError
from connectus_async.extras import library
from connectus_async.ledger import open_store
from connectus_async.ledger.records import MOMENTS, MessageRow
from connectus_async.ledger.states import SkipReason, State
from connectus_async.report._target import replacing
from connectus_async.report.explanations import explained, header, text_of
from connectus_async.report.original import REFERENCE, Original, Reference, mark_of
from connectus_async.report.spreadsheet import guarded_column
from connectus_async.translation import ENGLISH, Language
from connectus_async.translation import language as language_of

Format = Literal["csv", "jsonl", "parquet", "xlsx"]
Batches = Iterator[list[tuple[Any, ...]]]

FORMATS: Final[tuple[Format, ...]] = ("csv", "jsonl", "parquet", "xlsx")
TEXT_FORMATS: Final[tuple[Format, ...]] = ("csv", "jsonl")

PRIVATE: Final = 0o600
"""Only the owner of the ledger may see the recipients, here too."""

_FIELDS: Final = tuple("id" if name == "provider_id" else name for name in MessageRow._fields)
COLUMNS: Final = tuple(name for name in _FIELDS if name not in {"number", "load", "body"})
NUMBERS: Final = frozenset({"line", "attempts", "billed"})
SAFE: Final = NUMBERS | MOMENTS
"""What no spreadsheet takes for a formula."""

EXPLANATION: Final = "explanation"
TEXT: Final = "text"
MAX_SHEET_ROWS: Final = 2**20 - 1
"""Rows of a sheet, without its header."""

EPOCH: Final = datetime.fromtimestamp(0, UTC)
EARLIEST: Final = datetime.min.replace(tzinfo=UTC).timestamp()
LATEST: Final = datetime.max.replace(tzinfo=UTC).timestamp()
"""Other times, of a clock that is wrong, are left out: not every format can have them."""


class Column(NamedTuple):
    """Column of an export: its name, and its name among ours if it is one of ours."""

    name: str
    ours: str = ""


@attrs.frozen(kw_only=True)
class Choice:
    """Choice of messages for an export. All of its conditions have to hold.

    Attributes:
        states: Messages in these states.
        reason: Messages with this in their reason, in capitals or not.
        delivery_statuses: Messages with one of these delivery statuses, in capitals or not.
        skipped: Skipped messages for one of these reasons; others need not be.
    """

    states: Collection[State] | None = None
    reason: str | None = None
    delivery_statuses: Collection[str] | None = None
    skipped: Collection[SkipReason] | None = None

    def has(self, row: MessageRow) -> bool:
        """Tell whether it has a message, whose state it has."""
        reason = row.reason or ""
        if self.reason is not None and self.reason.casefold() not in reason.casefold():
            return False
        if self.skipped is not None and row.state == State.SKIPPED:
            return reason.partition(":")[0] in self.skipped
        wanted = self.delivery_statuses
        return wanted is None or (row.delivery_status or "").casefold() in {
            status.casefold() for status in wanted
        }

    @property
    def is_by_state(self) -> bool:
        """``True`` if it looks at nothing but states."""
        return self.reason is self.delivery_statuses is self.skipped is None


TO_FIX_COLUMNS: Final = ("line", "state", "explanation")
TO_FIX: Final = Choice(states=[State.REJECTED, State.SKIPPED], skipped=[SkipReason.INVALID])
"""Messages that the API refused, and rows that could not become a message."""


def export(
    ledger: str | PathLike[str],
    target: Path | TextIO,
    *,
    format: Format | None = None,
    states: Collection[State] | None = None,
    choice: Choice | None = None,
    original: Original | None = None,
    columns: Collection[str] | None = None,
    has_texts: bool = False,
    delimiter: str | None = None,
    language: str = ENGLISH,
) -> int:
    """Write a campaign's messages as a table, in order of arrival. Blocks.

    The columns are ``line``, ``key``, ``kind``, ``recipient``, ``state``, ``reason``, ``id`` (the
    API's), ``attempts``, ``started_at`` and ``ended_at`` of the last attempt,
    ``delivery_status``, ``delivered_at`` and ``billed``, then ``explanation``, the reason in plain
    words. The table has the recipients, but not the content of the messages unless it is asked for.
    Times are in UTC, to the millisecond: as text in ISO 8601, in Parquet as timestamps.

    A CSV file begins with a byte order mark, without which Excel misreads accents; a stream does
    not. In CSV, text that a spreadsheet might take for a formula gets an apostrophe before it (see
    `guarded`). The other formats leave text as it is; in a workbook, all of it is text.

    The export shows the ledger as it is at this moment. A campaign may keep writing to it.

    Args:
        ledger: The ledger: the path of its file, or its address.
        target: The file to write, or a text stream, for CSV opened with ``newline=""``. A file is
            replaced only when all is written, and only its owner may read it.
        format: ``"csv"``, ``"jsonl"``, ``"parquet"`` or ``"xlsx"``; by default, the target's
            extension.
        states: Export only messages in these states.
        choice: Export only these messages.
        original: The source of the campaign. Its columns come first, then `REFERENCE`, and the rows
            are in the order of its lines. A column of ours with the name of one of its columns is
            called ``connectus_…``.
        columns: Write only these of our columns, and ``text`` if it is asked for.
        has_texts: Add ``text``, the text of the message, where the ledger still has it.
        delimiter: The delimiter of CSV. Default ``,``.
        language: The language of ``explanation``, such as ``es``, and in a workbook of the names of
            our columns. JSON Lines are the same in all.

    Returns:
        The number of rows, without the header of CSV.

    Raises:
        LedgerError: The ledger cannot be read.
        InvalidArgumentError: The target or the format is not valid, a delimiter is given for
            another format than CSV, or a sheet cannot have so many rows.
        ConfigurationError: Parquet needs ``pip install 'connectus-async[parquet]'``, a workbook
            ``pip install 'connectus-async[excel]'``.
        OSError: The target cannot be written. It is unchanged.

    Example:
        export(Path("navidad.db"), Path("navidad.csv"), states=[State.REJECTED, State.UNKNOWN])
    """
    chosen = _format(target, format)
    if delimiter is not None and chosen != "csv":
        raise InvalidArgumentError("delimiter", f"makes no sense for the format {chosen}")
    choice = choice or Choice(states=_checked(states))
    with open_store(ledger).read() as reader:
        mark = mark_of(reader.metadata())
        spoken = language_of(ENGLISH if chosen == "jsonl" else language)
        table = _Table(choice, original, columns, mark, spoken, has_texts=has_texts)
        rows = reader.messages(choice.states, has_bodies=has_texts, is_by_line=original is not None)
        if not isinstance(target, Path):
            return _write_text(
                chosen, table.batches(rows, _texts), table.columns, target, delimiter
            )
        with replacing(target, ledger, mode=PRIVATE) as file:
            if chosen == "parquet":
                return _write_parquet(table.batches(rows, _timestamps), table.columns, file)
            batches = table.batches(rows, _texts)
            if chosen == "xlsx":
                return _write_workbook(batches, table.columns, file, spoken)
            with _text_of(file, chosen) as text:
                return _write_text(chosen, batches, table.columns, text, delimiter)


def _format(target: Path | TextIO, format: Format | None) -> Format:
    ending = target.suffix.lower().removeprefix(".") if isinstance(target, Path) else None
    allowed = TEXT_FORMATS if ending is None else FORMATS
    for known in allowed:
        if known == (format or ending):
            return known
    if format is None and ending:
        endings = ", ".join(f".{it}" for it in allowed)
        raise InvalidArgumentError("target", f"has no supported extension; use one of {endings}")
    raise InvalidArgumentError("format", f"must be {', '.join(allowed[:-1])} or {allowed[-1]}")


def _checked(states: Collection[State] | None) -> list[State] | None:
    try:
        return None if states is None else [State(state) for state in states]
    except ValueError:
        raise InvalidArgumentError("states", f"must be some of {', '.join(State)}") from None


Convert = Callable[[Iterable[float | None]], Iterable[object]]


class _Table:
    """Columns of an export, and what is in them.

    Args:
        choice: The messages.
        original: As in `export`.
        columns: As in `export`.
        mark: The mark of the campaign.
        language: The language of explanations.
        has_texts: As in `export`.
    """

    def __init__(
        self,
        choice: Choice,
        original: Original | None,
        columns: Collection[str] | None,
        mark: str,
        language: Language,
        *,
        has_texts: bool,
    ) -> None:
        self._choice = choice
        self._original = original
        self._mark = mark
        self._language = language
        known = (*COLUMNS, EXPLANATION)
        ours = [name for name in known if columns is None or name in columns]
        ours += [TEXT] * has_texts
        self._ours = ours
        theirs = () if original is None else original.columns
        self.columns = [
            *(Column(name) for name in theirs),
            *[Column(REFERENCE)] * (original is not None),
            *(Column(f"connectus_{name}" if name in theirs else name, name) for name in ours),
        ]

    def batches(self, found: Iterable[Sequence[MessageRow]], convert: Convert) -> Batches:
        """Give the cells of the rows, some at a time."""
        chosen = found if self._choice.is_by_state else self._chosen(found)
        if self._original is None:
            for batch in chosen:
                yield [*zip(*self._columns_of(batch, convert), strict=True)]
            return
        for batch, cells in self._original.joined(chosen):
            references = (str(Reference(row.number, self._mark)) for row in batch)
            ours = zip(*self._columns_of(batch, convert), strict=True)
            yield [
                (*theirs, reference, *rest)
                for theirs, reference, rest in zip(cells, references, ours, strict=True)
            ]

    def _chosen(self, found: Iterable[Sequence[MessageRow]]) -> Iterator[Sequence[MessageRow]]:
        for batch in found:
            if chosen := [row for row in batch if self._choice.has(row)]:
                yield chosen

    def _columns_of(
        self, batch: Sequence[MessageRow], convert: Convert
    ) -> Iterator[Iterable[object]]:
        """Convert the times, a column at a time: a table may have millions of rows."""
        fields = dict(zip(_FIELDS, zip(*batch, strict=True), strict=True))
        for name in self._ours:
            if name == EXPLANATION:
                yield (self._explained(row) for row in batch)
            elif name == TEXT:
                yield (text_of(row.kind, row.body) for row in batch)
            else:
                yield convert(fields[name]) if name in MOMENTS else fields[name]

    def _explained(self, row: MessageRow) -> str | None:
        sentence = explained(row.state, row.reason)
        return sentence and self._language.sentence(sentence)


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


def _write_csv(batches: Batches, columns: Sequence[Column], file: TextIO, delimiter: str) -> int:
    rows = csv.writer(file, lineterminator="\n", delimiter=delimiter)
    rows.writerow(guarded_column([column.name for column in columns]))
    count = 0
    for batch in batches:
        named = zip(columns, zip(*batch, strict=True), strict=True)
        safe = [cells if ours in SAFE else guarded_column(cells) for (_, ours), cells in named]
        rows.writerows(zip(*safe, strict=True))
        count += len(batch)
    return count


def _write_jsonl(batches: Batches, columns: Sequence[Column], file: TextIO, _: str) -> int:
    names = [column.name for column in columns]
    count = 0
    for batch in batches:
        file.writelines(f"{dumps(dict(zip(names, row, strict=True))).decode()}\n" for row in batch)
        count += len(batch)
    return count


_TEXT_WRITERS: Final[dict[str, Callable[[Batches, Sequence[Column], TextIO, str], int]]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
}
_ENCODINGS: Final = {"csv": "utf-8-sig", "jsonl": "utf-8"}


def _write_text(
    chosen: Format, batches: Batches, columns: Sequence[Column], file: TextIO, delimiter: str | None
) -> int:
    return _TEXT_WRITERS[chosen](batches, columns, file, delimiter or ",")


@contextmanager
def _text_of(file: BinaryIO, chosen: Format) -> Iterator[TextIO]:
    text = io.TextIOWrapper(file, encoding=_ENCODINGS[chosen], newline="")
    yield text
    text.detach()


def _write_parquet(batches: Batches, columns: Sequence[Column], file: BinaryIO) -> int:
    pa = library("parquet", "pyarrow", extra="parquet")
    parquet = library("parquet", "pyarrow.parquet", extra="parquet")
    schema = pa.schema([(name, _parquet_type(pa, ours)) for name, ours in columns])
    count = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for batch in batches:
            typed = zip(zip(*batch, strict=True), schema.types, strict=True)
            arrays = [pa.array(values, kind) for values, kind in typed]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(batch)
    return count


def _named(column: Column, language: Language, theirs: Collection[str]) -> str:
    """Name a column of a workbook; one of ours has another name than those of the source."""
    if column.name != column.ours:
        return column.name
    name = header(column.name, language)
    return f"connectus_{name}" if name in theirs else name


def _write_workbook(
    batches: Batches, columns: Sequence[Column], file: BinaryIO, language: Language
) -> int:
    """Write a workbook with one sheet, row by row into a temporary file."""
    openpyxl = library("xlsx", "openpyxl", extra="excel")
    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet("connectus")
    sheet.freeze_panes = "A2"
    as_cell = _cell_maker(sheet)
    theirs = {it.name for it in columns if not it.ours}
    names = [_named(it, language, theirs) for it in columns]
    sheet.append([*map(as_cell, names)])
    count = 0
    try:
        for batch in batches:
            count += len(batch)
            _check_rows(count)
            for row in batch:
                sheet.append([*map(as_cell, row)])
    except BaseException:
        sheet.close()
        raise
    workbook.save(file)
    return count


def _check_rows(count: int) -> None:
    if count > MAX_SHEET_ROWS:
        problem = f"a sheet has at most {MAX_SHEET_ROWS:,} rows: export as csv"
        raise InvalidArgumentError("format", problem)


def _cell_maker(sheet: Any) -> Callable[[object], object]:
    """Make a function that makes cells: text is text, also if it looks like a formula."""
    cells = library("xlsx", "openpyxl.cell", extra="excel")
    illegal = library("xlsx", "openpyxl.cell.cell", extra="excel").ILLEGAL_CHARACTERS_RE

    def cell(value: object) -> object:
        if not isinstance(value, str) or (value.isalnum() and value.isascii()):
            return value
        made = cells.WriteOnlyCell(sheet, illegal.sub("\N{REPLACEMENT CHARACTER}", value))
        made.data_type = "s"
        return made

    return cell


def _parquet_type(pa: Any, name: str) -> Any:
    if name in MOMENTS:
        return pa.timestamp("ms", tz="UTC")
    return pa.int64() if name in NUMBERS else pa.string()
