"""Entries of a suppression list, from a text file with one a line, or from any table of recipients.

An opt-out that is overlooked is worse than a stop, so everything that cannot be read is an error.
"""

import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Final

from connectus_async.arguments import ToDigits
from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.cells import Cell, is_blank, written_value
from connectus_async.recipients.columns import WORDS_FOR, folded, recipient_columns
from connectus_async.recipients.sources import (
    AS_FOUND,
    EXCEL,
    JSON_LINES,
    VCARD,
    CsvFile,
    Reading,
    Source,
    opened,
)
from connectus_async.recipients.sources._text import TextLines
from connectus_async.recipients.sources.content import suffix_of
from connectus_async.recipients.sources.delimiters import DELIMITERS, separator
from connectus_async.recipients.sources.encodings import find_encoding
from connectus_async.recipients.sources.packed import PackedFile
from connectus_async.recipients.sources.vcard_file import BETWEEN
from connectus_async.recipients.suppression import Recipient, comparable
from connectus_async.redaction import looks_personal

MAX_ENTRY_CHARACTERS: Final = 1_024

_NAMES: Final = frozenset(map(folded, ("dst_number", "dst_email", "recipient", "destinatario")))
_WORDS: Final = [word for groups in WORDS_FOR.values() for words in groups for word in words]
_TEXT: Final = frozenset({".csv", ".csv.gz", ".zip"})
_COMMENT: Final = re.compile(r"(?:^|[ \t])#.*")
_NO_HEADER: Final = (
    "has several columns, and no line above them names them: name that of the numbers dst_number,"
    " that of the addresses dst_email"
)
_NO_COLUMN: Final = (
    "has no column of numbers or addresses: name that of the numbers dst_number, that of the"
    " addresses dst_email"
)


def recipients_in(
    path: Path, to_digits: ToDigits
) -> Generator[Recipient | InvalidArgumentError, None, None]:
    """Read the entries of a file. Blocking.

    Args:
        path: The path of the file.
        to_digits: The parser of numbers.

    Yields:
        The key of each recipient, or the error of a line that is neither number nor address.

    Raises:
        InvalidArgumentError: The file cannot be read, or does not tell which column counts.
        ConfigurationError: The library for its format is not installed.
    """
    try:
        kind = suffix_of(path)
    except OSError as error:
        raise InvalidArgumentError(path.name, f"cannot be read: {error.strerror}") from None
    file = PackedFile.at(path)
    if kind not in _TEXT or file.suffix in JSON_LINES | VCARD:
        is_workbook = file.suffix in EXCEL
        reading = Reading(hidden_rows="send") if is_workbook else AS_FOUND  # who opted out, counts
        yield from _of_table(opened(path, reading), to_digits)
        return
    text = TextLines(file, find_encoding(file, None).name)
    if _is_table(text):
        yield from _of_table(CsvFile.open(file, AS_FOUND), to_digits)
    else:
        yield from _of_list(TextLines(file, text.encoding), to_digits)


def _is_table(text: TextLines) -> bool:
    """Tell by its first entry whether a file may have several columns, or cells in quotes."""
    with closing(_entries(text)) as entries:
        first = next((entry for _number, entry in entries), "")
    return separator(first) is not None or any(it in first for it in (*DELIMITERS, '"'))


def _entries(text: TextLines) -> Generator[tuple[int, str], None, None]:
    """Read the lines that are not empty, without comments."""
    with closing(iter(text)) as lines:
        for line in lines:
            entry = line.strip()
            if "#" in entry:
                entry = _COMMENT.sub("", entry).strip()
            if entry:
                yield text.number, entry
            text.begin_row()


def _of_list(
    text: TextLines, to_digits: ToDigits
) -> Generator[Recipient | InvalidArgumentError, None, None]:
    with closing(_entries(text)) as entries:
        for number, entry in islice(entries, 1):
            if looks_personal(entry) or not _named([entry]):
                yield _entry(text.file.path, number, entry, to_digits)
        for number, entry in entries:
            yield _entry(text.file.path, number, entry, to_digits)


def _of_table(
    source: Source, to_digits: ToDigits
) -> Generator[Recipient | InvalidArgumentError, None, None]:
    path, columns = Path(source.name), list(source.columns)
    has_header = not any(map(looks_personal, columns))
    if not has_header and len(columns) > 1:
        raise InvalidArgumentError(source.name, _NO_HEADER)
    names = _named(columns) if has_header else columns
    others = _likely(columns) if has_header else []
    if not (names or others):
        raise InvalidArgumentError(source.name, _NO_COLUMN)
    if not has_header:
        yield _entry(path, 1, columns[0], to_digits)
    with closing(source.lines()) as lines:
        for line in lines:
            if isinstance(line.cells, InvalidArgumentError):
                yield _bad_line(path, line.number, line.cells.problem)
                continue
            found = [*_cells(line.cells, names)]
            found += [it for it in _cells(line.cells, others) if _is_entry(it, to_digits)]
            if not found:
                yield _bad_line(path, line.number, "has no number and no address")
            for cell in found:
                yield _entry(path, line.number, cell, to_digits)


def _named(columns: Sequence[str]) -> list[str]:
    """List the columns that are of numbers or addresses by their names."""
    by_words = {it for name in WORDS_FOR for it in recipient_columns(name, columns)}
    return [it for it in columns if it in by_words or folded(it) in _NAMES]


def _likely(columns: Sequence[str]) -> list[str]:
    """List the other columns that may have some: what cannot be read in them is left out."""
    named = {*_named(columns)}
    return [it for it in columns if it not in named and any(word in folded(it) for word in _WORDS)]


def _cells(cells: Mapping[str, Cell], names: Iterable[str]) -> Generator[Cell, None, None]:
    """Give the entries in the cells of some columns; a contact may have several in one."""
    for name in names:
        cell = cells.get(name)
        for part in cell.split(BETWEEN) if isinstance(cell, str) else [cell]:
            if not is_blank(part):
                yield part


def _is_entry(cell: Any, to_digits: ToDigits) -> bool:
    try:
        comparable("cell", cell, to_digits)
    except InvalidArgumentError:
        return False
    return True


def _entry(
    path: Path, number: int, entry: Cell, to_digits: ToDigits
) -> Recipient | InvalidArgumentError:
    if isinstance(entry, str) and len(entry) >= MAX_ENTRY_CHARACTERS:
        return _bad_line(path, number, f"has {MAX_ENTRY_CHARACTERS:,} or more characters")
    try:
        return comparable("line", written_value("line", entry), to_digits)
    except InvalidArgumentError as error:
        return _bad_line(path, number, error.problem)


def _bad_line(path: Path, number: int, problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        path.name,
        f"line {number} is not a valid number or email address: it {problem}",
    )
