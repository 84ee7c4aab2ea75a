"""Corrected rows of a campaign: they were exported, fixed by hand, and are sent in its place."""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final

import attrs

from connectus_async.errors import InvalidArgumentError
from connectus_async.ledger import open_store
from connectus_async.ledger.records import INVALID, MessageRow
from connectus_async.ledger.states import State
from connectus_async.products.sms_statuses import UNDELIVERED
from connectus_async.recipients.sources import CsvFile, Line, Source
from connectus_async.report.original import REFERENCE, Reference, mark_of
from connectus_async.report.spreadsheet import unguarded

READ_AT_A_TIME: Final = 1_000


@attrs.frozen(kw_only=True)
class Corrections(Source):
    """The rows of a file that stand for messages which nobody got.

    Attributes:
        source: The file.
        rows: The message of each of these rows, by its line in the file.
        others: Number of the other rows by the state of their message: they are not sent.
    """

    source: Source
    rows: Mapping[int, MessageRow] = attrs.field(repr=False)
    others: Mapping[str, int]

    @classmethod
    def of(cls, source: Source, ledger: Path | str) -> "Corrections":
        """Find the messages of a file's rows by their references. Blocks.

        Raises:
            InvalidArgumentError: It has no references, or those of another campaign, or a row
                cannot be read.
            LedgerError: The ledger cannot be read.
        """
        if REFERENCE not in source.columns:
            raise InvalidArgumentError(
                source.name,
                f"has no column {REFERENCE}: fix a file that `bulk export --to-fix` has written",
            )
        rows: dict[int, MessageRow] = {}
        others: Counter[str] = Counter()
        with open_store(ledger).read() as reader, closing(source.lines()) as lines:
            mark = mark_of(reader.metadata())
            references = ((line.number, _number(source.name, line, mark)) for line in lines)
            seen: set[int] = set()
            for some in _in_batches(references):
                found = {row.number: row for row in reader.numbered([it for _, it in some])}
                for place, number in some:
                    row = found.get(number)
                    if number in seen:
                        others["repeated"] += 1
                    elif row is None:
                        others["unknown row"] += 1
                    elif _reached_nobody(row):
                        rows[place] = row
                    else:
                        others[row.state] += 1
                    seen.add(number)
        return cls(
            name=source.name,
            columns=source.columns,
            length=len(rows),
            source=source,
            rows=rows,
            others=others,
        )

    @property
    def numbers(self) -> Sequence[int]:
        """The numbers of the messages."""
        return [row.number for row in self.rows.values()]

    def lines(self) -> Generator[Line, None, None]:
        """Read the rows, each with its line in the file that was sent first."""
        is_guarded = isinstance(self.source, CsvFile)
        with closing(self.source.lines()) as lines:
            for line in lines:
                row = self.rows.get(line.number)
                if row is None or isinstance(line.cells, InvalidArgumentError):
                    continue
                cells = line.cells
                if is_guarded:
                    cells = {name: unguarded(cell) for name, cell in cells.items()}
                yield Line(row.line or 0, cells)


def check_no_export(source: Source) -> None:
    """Check that a file is not the export of a campaign, whose people would get it again.

    Raises:
        InvalidArgumentError: It is.
    """
    if REFERENCE in source.columns:
        raise InvalidArgumentError(
            source.name,
            "was exported from a campaign: send its corrected rows by connectus bulk retry LEDGER"
            f" --from FILE, or delete the column {REFERENCE}",
        )


def _number(file: str, line: Line, mark: str) -> int:
    """Read the number of a row's message."""
    if isinstance(line.cells, InvalidArgumentError):
        raise InvalidArgumentError(file, f"line {line.number}: it {line.cells.problem}")
    reference = Reference.parse(line.cells.get(REFERENCE))
    if reference is None:
        raise InvalidArgumentError(
            file, f"line {line.number} has no {REFERENCE}, so nobody knows whose row it is"
        )
    if reference.mark != mark:
        raise InvalidArgumentError(file, f"line {line.number} is of another campaign")
    return reference.number


def _reached_nobody(row: MessageRow) -> bool:
    if row.state == State.ACCEPTED:
        return row.delivery_status in UNDELIVERED
    return row.state == State.REJECTED or (row.state == State.SKIPPED and row.kind == INVALID)


def _in_batches(items: Iterable[tuple[int, int]]) -> Iterator[Sequence[tuple[int, int]]]:
    rest = iter(items)
    while batch := [*islice(rest, READ_AT_A_TIME)]:
        yield batch
