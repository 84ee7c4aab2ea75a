"""The delimiter of a CSV file: the one that divides its rows as it divides the header."""

import csv
import re
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.cells import is_blank
from connectus_async.recipients.sources._text import TextLines
from connectus_async.recipients.sources.packed import PackedFile

DELIMITERS: Final = (",", ";", "\t", "|")
SAMPLE_LINES: Final = 1_000
SAMPLE_CHARACTERS: Final = 2**18

_SEPARATOR: Final = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)


def separator(line: str) -> str | None:
    r"""Read the first line of a file that tells Excel its delimiter; it is no row.

    >>> separator("sep=;\r\n"), separator("name;sep=;")
    (';', None)
    """
    match = _SEPARATOR.fullmatch(line)
    return None if match is None else match[1]


def find_delimiter(file: PackedFile, encoding: str) -> str:
    """Find the delimiter of a file by its first thousand lines. Blocking.

    It is the one that gives most rows as many cells as the header, or of several the one with most
    cells. A file of one column gets the comma.

    Raises:
        InvalidArgumentError: The file cannot be read, or several delimiters fit it alike.
    """
    lines = _sample(file, encoding)
    said = separator(lines[0]) if lines else None
    if said is not None:
        return said
    fits = {delimiter: _fit(lines, delimiter) for delimiter in DELIMITERS}
    best = max(fits.values())
    likely = [delimiter for delimiter in DELIMITERS if fits[delimiter] == best]
    if len(likely) == 1:
        return likely[0]
    if best > _NO_FIT:
        shown = " or ".join({"\t": "\\t"}.get(it, it) for it in likely)
        raise InvalidArgumentError(
            file.path.name, f"may have the delimiter {shown}: specify it with --delimiter"
        )
    header = next((line for line in lines if not is_blank(line)), "")
    return max(DELIMITERS, key=header.count)


_NO_FIT: Final = (0, 0)


def _fit(lines: Sequence[str], delimiter: str) -> tuple[int, int]:
    """Count the rows with as many cells as the header, and those cells; blank ones may follow."""
    rows = _rows(lines, delimiter)
    if not rows or len(rows[0]) < 2:
        return _NO_FIT
    width = len(rows[0])
    return sum(len(row) >= width and all(map(is_blank, row[width:])) for row in rows), width


def _rows(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Read the rows that are not empty, to the first that is malformed with this delimiter."""
    rows: list[list[str]] = []
    try:
        for cells in csv.reader(lines, delimiter=delimiter, strict=True):
            if not all(map(is_blank, cells)):
                rows.append(cells)
    except csv.Error:  # also at the end of the sample, amid a row
        pass
    return rows


def _sample(file: PackedFile, encoding: str) -> list[str]:
    text = TextLines(file, encoding)
    sample: list[str] = []
    characters = 0
    with closing(iter(text)) as lines:
        for line in lines:
            sample.append(line)
            characters += len(line)
            if len(sample) == SAMPLE_LINES or characters > SAMPLE_CHARACTERS:
                break
            text.begin_row()
    return sample
