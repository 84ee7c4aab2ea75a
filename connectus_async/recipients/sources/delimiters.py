"""The delimiter of a CSV file: the one that divides its rows as it divides the header."""

import csv
import re
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Final

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.cells import is_blank
from connectus_async.recipients.sources._text import TextLines
from connectus_async.recipients.sources.header import ROWS_LOOKED_AT, header_place
from connectus_async.recipients.sources.packed import PackedFile

DELIMITERS: Final = (",", ";", "\t", "|")
SAMPLE_LINES: Final = 1_000
SAMPLE_CHARACTERS: Final = 2**18

NumberedRow = tuple[int, list[str]]
"""The number of a row's last line, and its cells."""

_NO_FIT: Final = (0, 0)
_SEPARATOR: Final = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)


def separator(line: str) -> str | None:
    r"""Read the first line of a file that tells Excel its delimiter; it is no row.

    >>> separator("sep=;\r\n"), separator("name;sep=;")
    (';', None)
    """
    match = _SEPARATOR.fullmatch(line)
    return None if match is None else match[1]


def header_of(rows: Sequence[NumberedRow], header_row: int | None) -> int | None:
    """Find the header among the first rows that are not empty.

    Args:
        rows: The rows, `ROWS_LOOKED_AT` of them or more.
        header_row: The line of the header, if the user says it.

    Returns:
        Its index; ``None`` if there is none.
    """
    if header_row is not None:
        return next((at for at, (line, _) in enumerate(rows) if line == header_row), None)
    return header_place([cells for _, cells in rows[:ROWS_LOOKED_AT]]) if rows else None


def find_delimiter(file: PackedFile, encoding: str, header_row: int | None) -> str:
    """Find the delimiter of a file by its first thousand lines. Blocking.

    It is the one that gives most rows as many cells as the header, or of several the one with most
    cells. A file of one column gets the comma.

    Args:
        file: The file.
        encoding: Its encoding.
        header_row: The line of the header, if the user says it.

    Raises:
        InvalidArgumentError: The file cannot be read, or several delimiters fit it alike.
    """
    lines = _sample(file, encoding)
    said = separator(lines[0]) if lines else None
    if said is not None:
        return said
    fits = {delimiter: _fit(lines, delimiter, header_row) for delimiter in DELIMITERS}
    best = max(fits.values())
    likely = [delimiter for delimiter in DELIMITERS if fits[delimiter] == best]
    if len(likely) == 1:
        return likely[0]
    if best > _NO_FIT:
        shown = " ".join({"\t": "\\t"}.get(it, it) for it in likely)
        raise InvalidArgumentError(
            file.path.name, f"may have one delimiter of several ({shown}): choose by --delimiter"
        )
    header = next((line for line in lines if not is_blank(line)), "")
    if header and header.count('"') % 2 == 0 and not any(_rows([header], it) for it in DELIMITERS):
        raise InvalidArgumentError(
            file.path.name,
            "has another delimiter than comma, semicolon, tab and bar: specify it with --delimiter",
        )
    return max(DELIMITERS, key=header.count)


def _fit(lines: Sequence[str], delimiter: str, header_row: int | None) -> tuple[int, int]:
    """Count the rows with as many cells as the header, and those cells; blank ones may follow."""
    rows = _rows(lines, delimiter)
    place = header_of(rows, header_row)
    if place is None:
        return _NO_FIT
    table = [cells for _, cells in rows[place:]]
    width = len(table[0])
    if width == 1:
        return _NO_FIT
    return sum(len(row) >= width and all(map(is_blank, row[width:])) for row in table), width


def _rows(lines: Sequence[str], delimiter: str) -> list[NumberedRow]:
    """Read the rows that are not empty, to the first that is malformed with this delimiter."""
    rows: list[NumberedRow] = []
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    with suppress(csv.Error):  # also at the end of the sample, amid a row
        rows.extend((reader.line_num, cells) for cells in reader if not all(map(is_blank, cells)))
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
