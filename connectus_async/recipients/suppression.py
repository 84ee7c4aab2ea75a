"""Numbers and addresses that must get nothing, from a file that may grow while a campaign runs.

A file that another program is writing looks like a shorter list. So who was on the list stays on it
until the file was left alone for a while, and who is new on it counts at once.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Generator, Iterable
from itertools import chain, groupby
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from time import monotonic, sleep, time
from typing import Any, Final, NamedTuple, Self

import attrs

from connectus_async import arguments
from connectus_async.arguments import ToDigits
from connectus_async.errors import InvalidArgumentError
from connectus_async.ledger.keys import recipient_key
from connectus_async.recipients.phone_numbers import checker

MAX_LINE_CHARACTERS: Final = 1_024
UTF_8: Final = "utf-8-sig"
"""UTF-8, with or without the byte order mark that spreadsheets put in front."""

SETTLED_AFTER: Final = 60.0
"""Seconds without a change of the file until who is not on it any more is taken off the list. It is
long: nobody is harmed by a message that comes a campaign later."""

FIRST_LOOKS_APART: Final = 0.25
RESTED_FOR: Final = 3.0
"""Seconds that it must have been left alone then: a program that asks an API for page after page
rests in between."""

MOST_FIRST_LOOKS: Final = 40
"""Where a list is read for the first time, two looks have to agree: there is no older list."""

UNSETTLED: Final = "goes on changing: wait until it is written"
HOLLOW: Final = (
    "is empty, as a file is that is about to be written: a list of nobody needs a line, such as "
    "# nobody"
)

MOST_WRONG_LINES: Final = 1_000
"""Then it is another kind of file, and is not read to its end."""

_ON_THE_WIRE: Final = re.compile(r"[1-9][0-9]{7,14}")


class SuppressionList:
    """Recipients that must get nothing.

    People are compared, not spellings: a number of Argentina, Brazil or Mexico with its mobile
    digit or without, an address in small letters or capitals, its domain in letters or in punycode.
    `read` makes a list of a file, and `refresh` follows the file.

    Args:
        recipients: Numbers, in any form that a message takes them in, and email addresses.
        to_digits: How numbers are read; needed where some have no country code. If left out, they
            are checked with the extra ``phone`` where it is installed, so that one without its
            country code is an error and not a stranger's.

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
        to_digits: ToDigits | None = None,
    ) -> None:
        if isinstance(recipients, str | bytes) or not isinstance(recipients, Iterable):
            raise InvalidArgumentError("recipients", "must be a list of numbers and addresses")
        self._to_digits = to_digits = to_digits or checker(None)
        self._path: Path | None = None
        self._stamp: _Stamp | None = None
        self._next: _Entries | None = None  # what the file has, while that is not sure yet
        self._is_sure_at = 0.0
        self._entries = _entries_of(
            _comparable(f"recipients[{place}]", recipient, to_digits)
            for place, recipient in enumerate(recipients)
        )

    @classmethod
    def read(cls, path: Path | str, *, to_digits: ToDigits | None = None) -> Self:
        """Read a list from a text file, blocking.

        The file has one number or email address a line, in UTF-8. Empty lines do not count, and
        neither does what follows a ``#`` that begins a line or comes after a blank. It is not a
        CSV file: in a line with more on it, an opt-out could be overlooked.

        It is looked at twice, a quarter of a second apart. One that was changed within the last
        three seconds, or has nothing in it at all, may be half written: it is looked at again
        until it was left alone for so long, and for ten seconds at most.

        Args:
            path: Where it is.
            to_digits: As for the class.

        Raises:
            InvalidArgumentError: The file cannot be read, goes on changing, has not one byte, or
                a line is neither number nor address; the file and the line are named.
        """
        suppressed = cls(to_digits=to_digits)
        suppressed._path = Path(path)
        suppressed._read_first(suppressed._path)
        return suppressed

    @property
    def count(self) -> int:
        """How many different recipients it has."""
        return self._entries.count

    @property
    def _is_hollow(self) -> bool:
        return self._stamp is not None and not self._stamp.size

    def refresh(self) -> bool:
        """Read the file again if it has changed, blocking. A list without a file stays as it is.

        Unless the file has changed this only looks at its size, its times and its inode. Others may
        look recipients up meanwhile. Who is new in the file is on the list from here on. Who is not
        in it any more stays on the list until a look a minute later finds the same file with the
        same people. It is best to write a new file and to rename it over the old one.

        Returns:
            Whether it was read.

        Raises:
            InvalidArgumentError: The file has gone, cannot be read, has lost all its entries, or
                has a line that is neither number nor address. The list keeps what it had, takes
                what could be read, and every further call raises until the file is mended.
        """
        if self._path is None:
            return False
        stamp = _stamp(self._path)  # before reading: a change meanwhile is seen the next time
        is_same = stamp == self._stamp
        if is_same and (self._next is None or monotonic() < self._is_sure_at):
            return False
        found = self._found(self._path)
        if is_same and found == self._next:
            self._entries, self._next = found, None
        else:
            self._next, self._is_sure_at = found, monotonic() + SETTLED_AFTER
        self._stamp = stamp
        return True

    def _read_first(self, path: Path) -> None:
        self.refresh()
        rested_at = monotonic() + RESTED_FOR - _age(path)
        for _ in range(MOST_FIRST_LOOKS):
            sleep(FIRST_LOOKS_APART)
            if self.refresh():
                rested_at = monotonic() + RESTED_FOR
            elif monotonic() >= rested_at and not self._is_hollow:
                break
        else:
            raise InvalidArgumentError(path.name, HOLLOW if self._is_hollow else UNSETTLED)
        if self._entries == self._next:
            self._next = None

    def _found(self, path: Path) -> "_Entries":
        """Read all that is in the file, and put it on the list beside who was there."""
        gathered = _Gathered()
        try:
            gathered.add(_recipients_in(path, self._to_digits))
        finally:
            entries = gathered.entries()
            self._entries = self._entries.with_those_of(entries)
        if gathered.wrong:
            raise _bad_lines(path, gathered.wrong)
        if self._entries.count and not entries.count:
            raise InvalidArgumentError(
                path.name, f"is empty now, and had {self._entries.count:,} entries before"
            )
        return entries

    def __contains__(self, recipient: object) -> bool:
        if isinstance(recipient, str) and _ON_THE_WIRE.fullmatch(recipient):
            return int(recipient_key(recipient)) in self._entries
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

    def with_those_of(self, others: "_Entries") -> "_Entries":
        if not self.count:
            return others
        if not others.count:
            return self
        return _entries_of(chain(self.numbers, others.numbers, self.addresses, others.addresses))

    @property
    def count(self) -> int:
        return len(self.numbers) + len(self.addresses)

    def __contains__(self, recipient: int | str) -> bool:
        if isinstance(recipient, str):
            return recipient in self.addresses
        place = bisect_left(self.numbers, recipient)
        return place < len(self.numbers) and self.numbers[place] == recipient


class _Gathered:
    """Recipients that are being read."""

    def __init__(self) -> None:
        self.wrong: list[InvalidArgumentError] = []
        self._numbers, self._addresses = array("Q"), set[str]()

    def add(self, recipients: Iterable[int | str | InvalidArgumentError]) -> None:
        for recipient in recipients:
            if isinstance(recipient, int):
                self._numbers.append(recipient)
            elif isinstance(recipient, str):
                self._addresses.add(recipient)
            else:
                self.wrong.append(recipient)
                if len(self.wrong) == MOST_WRONG_LINES:
                    break

    def entries(self) -> _Entries:
        distinct = (number for number, _ in groupby(sorted(self._numbers)))
        return _Entries(array("Q", distinct), frozenset(self._addresses))


def _entries_of(recipients: Iterable[int | str]) -> _Entries:
    gathered = _Gathered()
    gathered.add(recipients)
    return gathered.entries()


def _comparable(field: str, recipient: Any, to_digits: ToDigits) -> int | str:
    """The key of a recipient; that of a number as an int."""
    if isinstance(recipient, str) and "@" in recipient:
        return recipient_key(arguments.email_address(field, recipient))
    return int(recipient_key(to_digits(field, recipient)))


def _recipients_in(
    path: Path, to_digits: ToDigits
) -> Generator[int | str | InvalidArgumentError, None, None]:
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


def _entry(
    path: Path, number: int, entry: str, to_digits: ToDigits
) -> int | str | InvalidArgumentError:
    try:
        return _comparable("line", entry, to_digits)
    except InvalidArgumentError as error:
        return _bad_line(path, number, error.problem)


def _bad_lines(path: Path, wrong: list[InvalidArgumentError]) -> InvalidArgumentError:
    first, *others = wrong
    if not others:
        return first
    count = f"{len(others):,}{' or more' if len(wrong) == MOST_WRONG_LINES else ''}"
    return InvalidArgumentError(path.name, f"{first.problem}; {count} further lines are wrong too")


def _bad_line(path: Path, number: int, problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        path.name,
        f"line {number} is neither a number nor an email address, for it {problem}",
    )


class _Stamp(NamedTuple):
    """What of a file changes when its content does."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


def _stamp(path: Path) -> _Stamp:
    try:
        file = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    if not (S_ISREG(file.st_mode) or S_ISDIR(file.st_mode)):  # a pipe blocks, and is read once
        raise InvalidArgumentError(path.name, "is not a regular file; save it as one first")
    return _Stamp(file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns, file.st_ctime_ns)


def _age(path: Path) -> float:
    """Tell how long ago a file was written; no clock tells of one from the future."""
    try:
        return max(0.0, time() - path.stat().st_mtime)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> InvalidArgumentError:
    return InvalidArgumentError(path.name, f"cannot be read: {error.strerror}")
