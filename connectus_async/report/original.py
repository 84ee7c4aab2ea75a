"""Columns of the source of a campaign, for a table of its messages; and references of its rows."""

import hashlib
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Final, NamedTuple

import attrs

from connectus_async.ledger import metadata_names
from connectus_async.ledger.records import MessageRow

REFERENCE: Final = "connectus_row"
"""Name of the column with the references of rows."""

MARK_BYTES: Final = 4
FEWEST_DIGITS: Final = 6
"""Of a number, with or without its country code."""
_REFERENCE: Final = re.compile(r"r([0-9]{1,18})-([0-9a-f]{8})")

Cells = Sequence[str | None]


class Reference(NamedTuple):
    """Reference of a row of a table, by which its message is found again.

    Attributes:
        number: The number of its entry in the ledger.
        mark: The mark of the campaign, so that no other campaign's row is taken for it.
    """

    number: int
    mark: str

    def __str__(self) -> str:
        """Write it so that no spreadsheet takes it for a number or a date."""
        return f"r{self.number}-{self.mark}"

    @classmethod
    def parse(cls, text: object) -> "Reference | None":
        """Read a reference; ``None`` if a cell has none.

        >>> Reference.parse(" r17-00c0ffee "), Reference.parse("17")
        (Reference(number=17, mark='00c0ffee'), None)
        """
        found = _REFERENCE.fullmatch(text.strip()) if isinstance(text, str) else None
        return None if found is None else cls(int(found[1]), found[2])


def mark_of(metadata: Mapping[str, str]) -> str:
    """Make the mark of a campaign from its metadata."""
    names = (metadata_names.NAME, metadata_names.CREATED_AT)
    document = "\0".join(metadata.get(name, "") for name in names)
    return hashlib.blake2b(document.encode(), digest_size=MARK_BYTES).hexdigest()


@attrs.frozen
class Original:
    """Source of a campaign, as it was when it was loaded.

    Attributes:
        columns: Names of its columns.
        rows: Reads its rows: the line of each, and its cells in the order of the columns.
        recipient: Place of the column of the recipient.
        load: Number of its load. Messages of earlier loads may have lines of another source.
    """

    columns: Sequence[str]
    rows: Callable[[], Generator[tuple[int, Cells], None, None]]
    recipient: int
    load: int

    def joined(
        self, batches: Iterable[Sequence[MessageRow]]
    ) -> Iterator[tuple[Sequence[MessageRow], list[Cells]]]:
        """Add the cells of the row of each message, which have to come in the order of lines.

        A message whose row is not in the source has empty cells.
        """
        nothing: Cells = (None,) * len(self.columns)
        with closing(self.rows()) as rows:
            line, cells = next(rows, _END)
            for batch in batches:
                found = []
                for row in batch:
                    while row.line is not None and line < row.line:
                        line, cells = next(rows, _END)
                    found.append(cells if line == row.line and self._is_of(row, cells) else nothing)
                yield batch, found

    def _is_of(self, row: MessageRow, cells: Cells) -> bool:
        """Tell whether cells are those of a message. A store may not note that it saw it again."""
        if row.load >= self.load:
            return True
        cell, recipient = cells[self.recipient] or "", row.recipient or ""
        if "@" in recipient:
            return cell.strip().casefold() == recipient.casefold()
        digits = "".join(filter(str.isdigit, cell)).lstrip("0")
        return len(digits) >= FEWEST_DIGITS and recipient.endswith(digits)


_END: Final[tuple[Any, Cells]] = (float("inf"), ())
