"""JSON Lines: one object per line."""

import json
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any, NoReturn

import attrs

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.cells import is_blank
from connectus_async.recipients.sources._source import Line, Source, check_columns
from connectus_async.recipients.sources._text import TextLines
from connectus_async.recipients.sources.encodings import find_encoding
from connectus_async.recipients.sources.packed import PackedFile
from connectus_async.recipients.sources.reading import Reading


@attrs.frozen(kw_only=True)
class JsonLinesFile(Source):
    """A file of JSON Lines.

    Its columns are the keys of its first object. Keys that a later object lacks are empty cells;
    additional keys are ignored.

    Attributes:
        file: The file.
        encoding: Its encoding.
        found: What was assumed about it, a sentence each.
    """

    file: PackedFile
    encoding: str
    found: Sequence[str] = ()

    @classmethod
    def open(cls, file: PackedFile, reading: Reading) -> "JsonLinesFile":
        """Read the first object of a file. Blocking.

        Raises:
            InvalidArgumentError: The file cannot be read, or does not begin with an object.
        """
        name = file.path.name
        encoding = find_encoding(file, reading.encoding)
        with closing(_rows(file, encoding.name)) as rows:
            number, text = next(rows, (0, ""))
        if not text:
            raise InvalidArgumentError(name, "is empty; each line must be a JSON object")
        try:
            columns = list(_object(text))
        except InvalidArgumentError as error:
            raise InvalidArgumentError(
                name, f"is not valid JSON Lines: line {number} {error.problem}"
            ) from None
        check_columns(name, columns)
        return cls(
            name=name, columns=columns, file=file, encoding=encoding.name, found=encoding.notes
        )

    def notes(self) -> Sequence[str]:
        """Tell what was assumed about the file."""
        return self.found

    def lines(self) -> Generator[Line, None, None]:
        """Read the objects. Blocking."""
        with closing(_rows(self.file, self.encoding)) as rows:
            for number, text in rows:
                try:
                    yield Line(number, _object(text))
                except InvalidArgumentError as error:
                    yield Line(number, error)


def _rows(file: PackedFile, encoding: str) -> Generator[tuple[int, str], None, None]:
    text = TextLines(file, encoding)
    with closing(iter(text)) as lines:
        for line in lines:
            if not is_blank(line):
                yield text.number, line
            text.begin_row()


def _object(text: str) -> dict[str, Any]:
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise InvalidArgumentError("row", "is not valid JSON") from None
    if not isinstance(value, dict):
        raise InvalidArgumentError("row", "is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError
    return value


def _refuse(_: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
