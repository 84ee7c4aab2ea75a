"""Place of the header among the first rows of a sheet or a CSV file. Pure."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final

from connectus_async.recipients.cells import Cell, is_blank
from connectus_async.redaction import looks_personal

_RECIPIENT: Final = re.compile(r"\S+@\S+|\+?(?:[\s().-]*\d){9,}")
"""A date has eight digits."""

ROWS_LOOKED_AT: Final = 20
"""Number of rows at the top of a file that tell where its header is."""


def header_place(rows: Sequence[Sequence[Cell]]) -> int:
    """Find the header below rows of a title.

    A row is the header if it names every column that a row below it has, all its cells are names,
    and each row above has at most half as many cells, none of them a recipient. In doubt, it is the
    first row that is not empty.

    Args:
        rows: The first rows of the file, `ROWS_LOOKED_AT` of them; empty ones count.

    Returns:
        The index of the header in ``rows``; 0 if all of them are empty.

    >>> header_place([["Clientes de mayo"], [], ["dst_number", "name"], ["56987688060", "Ana"]])
    2
    >>> header_place([["dst_number", "name"], ["56987688060", "Ana"]])
    0
    """
    columns = [{at for at, cell in enumerate(row) if not is_blank(cell)} for row in rows]
    filled = [place for place, found in enumerate(columns) if found]
    first = filled[0] if filled else 0
    for place in filled:
        if columns[place] >= set().union(*columns[place + 1 :]):
            above = max((len(columns[title]) for title in range(place)), default=0)
            is_found = (
                2 * above <= len(columns[place])
                and _are_names(rows[place])
                and not any(map(_is_recipient, chain.from_iterable(rows[:place])))
            )
            return place if is_found else first
    return first


def _are_names(row: Sequence[Cell]) -> bool:
    return all(is_blank(cell) or _is_name(cell) for cell in row)


def _is_recipient(cell: Cell) -> bool:
    return _RECIPIENT.fullmatch(str(cell).strip()) is not None


def _is_name(cell: Cell) -> bool:
    if not isinstance(cell, str) or looks_personal(cell):
        return False
    return any(map(str.isalpha, cell)) or not any(map(str.isdigit, cell))


def grouped_names(
    groups: Sequence[str], spans: Mapping[int, int], names: Sequence[str]
) -> list[str]:
    """Name columns by two rows, the first of which has groups of columns.

    A column has the name in the second row. If it has none, or another column has the same, that of
    its group is put in front.

    Args:
        groups: The names in the first row.
        spans: The last column of each group, by its first one; columns count from 1.
        names: The names in the second row.

    >>> grouped_names(["Contacto", "", "Deuda"], {1: 2}, ["dst_number", "name", "amount"])
    ['dst_number', 'name', 'amount']
    >>> grouped_names(["dst_number", "Mayo", "", "Junio", ""], {2: 3, 4: 5}, ["", *"abab"])
    ['dst_number', 'Mayo a', 'Mayo b', 'Junio a', 'Junio b']
    """
    width = max(len(groups), len(names))
    above = [*groups, *[""] * (width - len(groups))]
    for first, last in spans.items():
        above[first - 1 : last] = [above[first - 1]] * (min(last, width) - first + 1)
    below = [*names, *[""] * (width - len(names))]
    count = Counter(below)
    return [
        name if name and count[name] == 1 else f"{group} {name}".strip()
        for group, name in zip(above, below, strict=True)
    ]
