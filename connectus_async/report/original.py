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
        load: Number of its load. Messages of earlier loads have lines of another source.
    """

    columns: Sequence[str]
    rows: Callable[[], Generator[tuple[int, Cells], None, None]]
    load: int

    def joined(self, batches: Iterable[Sequence[MessageRow]]) -> Iterator[list[Cells]]:
        """Give the cells of the row of each message, which have to come in the order of lines.

        A message whose row is not in the source has empty cells.
        """
        nothing: Cells = (None,) * len(self.columns)
        with closing(self.rows()) as rows:
            line, cells = next(rows, _END)
            for batch in batches:
                found = []
                for row in batch:
                    wanted = row.line if row.load >= self.load else None
                    while wanted is not None and line < wanted:
                        line, cells = next(rows, _END)
                    found.append(cells if line == wanted else nothing)
                yield found


_END: Final[tuple[Any, Cells]] = (float("inf"), ())
