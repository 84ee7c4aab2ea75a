"""Lines of a text file, read one at a time, with a limit on their length."""

import io
from collections.abc import Generator

import attrs

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.sources._source import MAX_ROW_CHARACTERS
from connectus_async.recipients.sources.packed import PackedFile


@attrs.define
class TextLines:
    """Iterates over the lines of a file, with their line breaks.

    Attributes:
        file: The file.
        encoding: Its encoding.
        number: The number of the last line read.
        row: The number of the first line of the current row.
        is_complete: Whether the last line read ends with a line break.
    """

    file: PackedFile
    encoding: str
    number: int = 0
    row: int = 1
    is_complete: bool = True
    _length: int = 0

    def begin_row(self) -> None:
        """Begin a new row at the next line."""
        self.row = self.number + 1
        self._length = 0

    def __iter__(self) -> Generator[str, None, None]:
        """Read the lines.

        Raises:
            InvalidArgumentError: The file cannot be read further; the error names it and the line.
        """
        try:
            yield from self._read()
        except OSError as error:
            raise InvalidArgumentError(
                self.file.path.name, f"cannot be read: {error.strerror}"
            ) from None
        except LookupError:
            raise InvalidArgumentError(
                "encoding", f"{self.encoding!r} is not a known encoding"
            ) from None
        except UnicodeError:
            raise self._wrong_encoding(f"after line {self.number}") from None

    def _read(self) -> Generator[str, None, None]:
        # surrogateescape, since a strict decoder does not tell the line of a wrong byte
        with (
            self.file.opened() as content,
            io.TextIOWrapper(content, self.encoding, "surrogateescape", newline="") as text,
        ):
            while line := text.readline(MAX_ROW_CHARACTERS + 1 - self._length):
                self.number += 1
                self.is_complete = line[-1] in "\r\n"
                self._length += len(line)
                if self._length > MAX_ROW_CHARACTERS:
                    raise self._too_long()
                if not (line.isascii() or _can_be_encoded(line)):
                    raise self._wrong_encoding(f"on line {self.number}")
                yield line

    def _too_long(self) -> InvalidArgumentError:
        return InvalidArgumentError(
            self.file.path.name,
            f"has a row of more than {MAX_ROW_CHARACTERS:,} characters, which begins on line "
            f"{self.row}; a quote may be unclosed, or it is not a text file",
        )

    def _wrong_encoding(self, where: str) -> InvalidArgumentError:
        return InvalidArgumentError(
            self.file.path.name,
            f"is not {self.encoding.removesuffix('-sig')} {where}; specify its encoding, "
            "such as --encoding cp1252 of many spreadsheets",
        )


def _can_be_encoded(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
