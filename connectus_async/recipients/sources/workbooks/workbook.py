"""Interface of the readers of workbooks."""

import abc
import re
from collections.abc import Collection, Generator, Mapping, Sequence
from typing import Final, NamedTuple

import attrs

from connectus_async.recipients.cells import Cell, ErrorCell
from connectus_async.recipients.sources.workbooks.number_formats import NumberFormats

MAX_ROWS: Final = 2**20
MAX_COLUMNS: Final = 2**14
"""Excel's own limits."""

MAX_MERGES: Final = 2**16
"""Maximum merged cells that are kept of a sheet; those of its header come first."""

_ERROR: Final = re.compile("#[¡¿]?[A-ZÁÉÍÓÚÑ_/]+(/0)?[!?]?")


class SheetRow(NamedTuple):
    """Row of a sheet.

    Attributes:
        number: Its number in the sheet, from 1.
        cells: Its cells, up to the last one that the sheet stores.
        is_hidden: Whether the sheet hides it, by a filter or by hand.
    """

    number: int
    cells: list[Cell]
    is_hidden: bool


class Merge(NamedTuple):
    """Cells that are shown as one: rows and columns, from 1, with the last ones."""

    first_row: int
    first_column: int
    last_row: int
    last_column: int


@attrs.frozen(kw_only=True)
class Layout:
    """What a sheet has besides its rows.

    Attributes:
        merges: Its merged cells.
        hidden_columns: The places of its hidden columns, from 1.
        may_hide_rows: ``False`` if it certainly hides no row.
    """

    merges: Sequence[Merge] = ()
    hidden_columns: Collection[int] = ()
    may_hide_rows: bool = True


class Workbook(abc.ABC):
    """An open workbook."""

    _formats: NumberFormats
    """The formats of its cells, as far as its rows were read."""

    @property
    @abc.abstractmethod
    def sheets(self) -> Mapping[str, bool]:
        """Names of its sheets with cells, each with whether it is visible."""

    @abc.abstractmethod
    def layout(self, sheet: str) -> Layout:
        """Read what a sheet has besides its rows."""

    @abc.abstractmethod
    def rows(self, sheet: str) -> Generator[SheetRow, None, None]:
        """Read the rows that a sheet stores, in order; rows without cells may be left out.

        Raises:
            DamagedError: The sheet is not what it should be.
        """

    @property
    def unknown_formats(self) -> Mapping[int, str]:
        """By place of a column: a number format of its rows that is not rendered."""
        return self._formats.unknown

    @property
    def without_country(self) -> Collection[int]:
        """Places of columns whose rows depend on a country that is not known."""
        return self._formats.without_country


def error_cell(text: str) -> ErrorCell:
    """Make the cell of an error; another text than that of an error is not shown.

    >>> error_cell("#N/A"), error_cell("56987688060")
    (ErrorCell(error='#N/A'), ErrorCell(error='#ERROR!'))
    """
    return ErrorCell(text if _ERROR.fullmatch(text) else "#ERROR!")
