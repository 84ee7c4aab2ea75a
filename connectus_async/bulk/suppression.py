"""Numbers and addresses that must get nothing, from a file that may grow while a campaign runs."""

import itertools
import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Self

import attrs

from connectus_async import arguments
from connectus_async.errors import InvalidArgumentError

MAX_LINE_CHARACTERS: Final = 1_024
UTF_8: Final = "utf-8-sig"
"""UTF-8, with or without the byte order mark that spreadsheets put in front."""

ToDigits = Callable[[str, str | int], str]
"""Reduces a number to its E.164 digits, as `arguments.phone_number` does."""

_ON_THE_WIRE: Final = re.compile(r"[1-9][0-9]{7,14}")


class SuppressionList:
    """Recipients that must get nothing.

    Numbers are compared by their digits, addresses without regard to case. `read` makes one of a
    file, and `refresh` follows the file.

    Args:
        recipients: Numbers, in any form that a message takes them in, and email addresses.
        to_digits: How numbers are read; needed where some have no country code.

    Raises:
        InvalidArgumentError: One is neither; its place is named.

    Example:
        >>> "56987688060" in SuppressionList(["+56 9 8768 8060", "ana@example.com"])
        True
    """

    def __init__(
        self,
        recipients: Iterable[str | int] = (),
        *,
        to_digits: ToDigits = arguments.phone_number,
    ) -> None:
        if isinstance(recipients, str | bytes) or not isinstance(recipients, Iterable):
            raise InvalidArgumentError("recipients", "must be a list of numbers and addresses")
        self._to_digits = to_digits
        self._path: Path | None = None
        self._stamp: object = None
        self._entries = _Entries.of(
            _comparable(f"recipients[{place}]", recipient, to_digits)
            for place, recipient in enumerate(recipients)
        )

    @classmethod
    def read(cls, path: Path | str, *, to_digits: ToDigits = arguments.phone_number) -> Self:
        """Read a list from a text file, blocking.

        The file has one number or email address a line, in UTF-8. Empty lines do not count, and
        neither does what follows a ``#`` that begins a line or comes after a blank. It is not a
        CSV file: in a line with more on it, an opt-out could be overlooked.

        Args:
            path: Where it is.
            to_digits: How numbers are read; needed where some have no country code.

        Raises:
            InvalidArgumentError: The file cannot be read, or a line is neither number nor address;
                the file and the line are named.
        """
        suppressed = cls(to_digits=to_digits)
        suppressed._path = Path(path)
        suppressed.refresh()
        return suppressed

    @property
    def count(self) -> int:
        """How many different recipients it has."""
        return self._entries.count

    def refresh(self) -> bool:
        """Read the file again if it has changed, blocking. A list without a file stays as it is.

        Unless the file has changed this only looks at its size, its times and its inode. Others may
        look recipients up meanwhile. Whoever changes the file does best to rename another over it:
        a half-written one may be read.

        Returns:
            Whether it was read.

        Raises:
            InvalidArgumentError: The file has gone, cannot be read, has lost all its entries, or
                has a line that is neither number nor address. The list keeps what it had, and every
                further call raises until the file is mended.
        """
        if self._path is None:
            return False
        stamp = _stamp(self._path)  # before reading: a change meanwhile is seen the next time
        if stamp == self._stamp:
            return False
        with closing(_recipients_in(self._path, self._to_digits)) as recipients:
            entries = _Entries.of(recipients)
        if self._entries.count and not entries.count:
            raise InvalidArgumentError(
                self._path.name, f"is empty now, and had {self._entries.count:,} entries before"
            )
        self._entries, self._stamp = entries, stamp
        return True

    def __contains__(self, recipient: object) -> bool:
        if isinstance(recipient, str) and _ON_THE_WIRE.fullmatch(recipient):
            return int(recipient) in self._entries
        try:
            return _comparable("recipient", recipient, arguments.phone_number) in self._entries
        except InvalidArgumentError:  # nothing can be sent to it anyway
            return False

    def __repr__(self) -> str:
        return f"<SuppressionList of {self.count:,}>"


@attrs.frozen
class _Entries:
    """Recipients in little room: a number takes eight bytes."""

    numbers: "array[int]"
    addresses: frozenset[str]

    @classmethod
    def of(cls, recipients: Iterable[int | str]) -> Self:
        numbers, addresses = array("Q"), set[str]()
        for recipient in recipients:
            if isinstance(recipient, int):
                numbers.append(recipient)
            else:
                addresses.add(recipient)
        distinct = (number for number, _ in itertools.groupby(sorted(numbers)))
        return cls(array("Q", distinct), frozenset(addresses))

    @property
    def count(self) -> int:
        return len(self.numbers) + len(self.addresses)

    def __contains__(self, recipient: int | str) -> bool:
        if isinstance(recipient, str):
            return recipient in self.addresses
        place = bisect_left(self.numbers, recipient)
        return place < len(self.numbers) and self.numbers[place] == recipient


def _comparable(field: str, recipient: Any, to_digits: ToDigits) -> int | str:
    """A number as an int, an address in lower case."""
    if isinstance(recipient, str) and "@" in recipient:
        return arguments.email_address(field, recipient).casefold()
    return int(to_digits(field, recipient))


def _recipients_in(path: Path, to_digits: ToDigits) -> Generator[int | str, None, None]:
    number = 0
    try:
        with path.open(encoding=UTF_8) as file:
            while line := file.readline(MAX_LINE_CHARACTERS):
                number += 1
                if len(line) == MAX_LINE_CHARACTERS:
                    raise _bad_line(path, number, f"has {MAX_LINE_CHARACTERS:,} characters or more")
                if entry := _without_comment(line):
                    yield _entry(path, number, entry, to_digits)
    except OSError as error:
        raise _unreadable(path, error) from None
    except UnicodeError:
        raise InvalidArgumentError(path.name, f"is not UTF-8 after line {number}") from None


def _without_comment(line: str) -> str:
    entry = line.strip()
    return "" if entry.startswith("#") else entry.partition(" #")[0].partition("\t#")[0].strip()


def _entry(path: Path, number: int, entry: str, to_digits: ToDigits) -> int | str:
    try:
        return _comparable("line", entry, to_digits)
    except InvalidArgumentError as error:
        raise _bad_line(path, number, error.problem) from None


def _bad_line(path: Path, number: int, problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        path.name,
        f"line {number} is neither a number nor an email address, for it {problem}",
    )


def _stamp(path: Path) -> object:
    """What of a file changes when its content does."""
    try:
        file = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    return file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns, file.st_ctime_ns


def _unreadable(path: Path, error: OSError) -> InvalidArgumentError:
    return InvalidArgumentError(path.name, f"cannot be read: {error.strerror}")
