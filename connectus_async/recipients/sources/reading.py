"""How a file of recipients is read."""

from collections.abc import Iterable
from typing import Literal

import attrs

from connectus_async.errors import InvalidArgumentError


@attrs.frozen(kw_only=True)
class Reading:
    """What the user says of a file. ``None`` leaves it to what the file itself shows.

    Attributes:
        encoding: The encoding of a text file; by default that of its byte order mark, else UTF-8 if
            all of it is UTF-8, else cp1252. latin-1 is read as cp1252, as browsers do.
        delimiter: The delimiter of CSV; by default the one of comma, semicolon, tab and vertical
            bar that divides the rows as it divides the header.
        sheet: The sheet of a workbook; optional if there is only one.
        header_row: The number of the row with the names of the columns, from 1; by default the
            first row, or the one below the rows of a title.
        hidden_rows: ``send`` or ``skip`` the rows that a sheet hides, by a filter or by hand; by
            default a sheet with hidden rows is refused.
        region: The country whose form of numbers and dates a workbook shows, such as ``CL``. It
            applies to any file, and changes nothing where there is no such form.
    """

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    header_row: int | None = None
    hidden_rows: Literal["send", "skip"] | None = None
    region: str | None = None

    def check(self, kind: str, known: Iterable[str]) -> None:
        """Refuse what does not apply to a kind of file.

        Args:
            kind: The kind, such as ``.csv``.
            known: The names of what applies to it.

        Raises:
            InvalidArgumentError: Something else was said.
        """
        for name, value in attrs.asdict(self).items():
            if value is not None and name not in {"region", *known}:
                raise InvalidArgumentError(name, f"does not apply to a {kind} file")


AS_FOUND = Reading()
"""Everything is left to what the file shows."""
