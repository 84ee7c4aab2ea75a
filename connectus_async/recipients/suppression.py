"""Suppression list of numbers and addresses, from a file that may change while a campaign runs.

A file that another program is writing looks like a shorter list. So additions count at once, but
removals only after the file has not changed for a while.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable
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

SETTLED_AFTER: Final = 60.0
"""Seconds without a change before removals count. It is long, since a late removal harms nobody:
the message goes out with a later campaign."""

FIRST_READ_INTERVAL: Final = 0.25
QUIET_BEFORE_FIRST_USE: Final = 3.0
"""Seconds without a change before a first read counts. A program that writes page after page of an
API pauses in between."""

MAX_FIRST_READS: Final = 40
"""A first read needs two reads that agree: there is no older list to fall back on."""

UNSETTLED: Final = "keeps changing; wait until it is written"
EMPTY: Final = (
    "is empty, as if it were about to be written; for an empty list, add a comment line such as "
    "# nobody"
)

MAX_WRONG_LINES: Final = 1_000
"""Reading stops there: it is another kind of file."""

Recipient = int | str
"""The key of a recipient: an int for a number."""

_ON_THE_WIRE: Final = re.compile(r"[1-9][0-9]{7,14}")


class SuppressionList:
    """Recipients that must not be contacted.

    Spelling does not matter: numbers of Argentina, Brazil and Mexico match with or without their
    mobile digit, addresses match in any case, with their domain in Unicode or in punycode. `read`
    makes a list from a file, and `refresh` follows the file.

    Args:
        recipients: Numbers, in any form that a message accepts, and email addresses.
        to_digits: The parser of numbers; required if some have no country code. By default they are
            checked with the extra ``phone``, if it is installed, so that a number without its
            country code is an error and not a stranger's.

    Raises:
        InvalidArgumentError: An entry is neither; the error names its place.

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
        self._has_own_digits = to_digits is not None
        self._to_digits = to_digits = to_digits or checker(None)
        self._path: Path | None = None
        self._stamp: _Stamp | None = None
        self._next: _Entries | None = None  # the file's content, until it has settled
        self._settled_at = 0.0
        self._entries = _entries_of(
            comparable(f"recipients[{place}]", recipient, to_digits)
            for place, recipient in enumerate(recipients)
        )

    @classmethod
    def read(cls, path: Path | str, *, to_digits: ToDigits | None = None) -> Self:
        """Read a list from a file, blocking.

        The file is text with one number or email address per line, or any file of recipients that
        `open_source` reads. In a list, empty lines are ignored, and so are comments: text after a
        ``#`` at the start of a line or after white space. In a table, all columns count that are of
        numbers or addresses by their names, such as ``dst_number``, ``Celular`` or ``Email``: each
        of their cells must be empty or a recipient, and each row must have one.

        The file is read twice, a quarter of a second apart. A file that changed within the last
        three seconds, or is empty, may be half written: it is read again until it has been
        unchanged for that long, for ten seconds at most.

        Args:
            path: The path of the file.
            to_digits: As for the class.

        Raises:
            InvalidArgumentError: The file cannot be read, keeps changing, is empty, does not tell
                which column counts, or a line is neither number nor address; the error names the
                file and the line.
            ConfigurationError: The library for its format is not installed.
        """
        suppressed = cls(to_digits=to_digits)
        suppressed._path = Path(path)
        suppressed._read_first(suppressed._path)
        return suppressed

    @property
    def count(self) -> int:
        """Number of distinct recipients."""
        return self._entries.count

    @property
    def _file(self) -> str | None:
        """The file from which `read` makes the same list in another process, if there is one."""
        if self._path is None or self._has_own_digits:
            return None
        return str(self._path.absolute())

    @property
    def _is_empty(self) -> bool:
        return self._stamp is not None and not self._stamp.size

    def refresh(self) -> bool:
        """Read the file again if it has changed, blocking. A list without a file does not change.

        If the file has not changed, this only checks its size, its times and its inode. Other
        threads may use the list meanwhile. Additions count at once. Removals count only when a call
        a minute later finds the file unchanged. To update the file safely, write a new one and
        rename it over the old one.

        Returns:
            Whether the file was read.

        Raises:
            InvalidArgumentError: The file is gone, cannot be read, has lost all its entries, or has
                a line that is neither number nor address. The list keeps its entries, adds those
                that could be read, and every further call raises until the file is fixed.
        """
        if self._path is None:
            return False
        stamp = _stamp(self._path)  # before reading, so that the next call sees a change meanwhile
        is_same = stamp == self._stamp
        if is_same and (self._next is None or monotonic() < self._settled_at):
            return False
        found = self._read_entries(self._path)
        if is_same and found == self._next:
            self._entries, self._next = found, None
        else:
            self._next, self._settled_at = found, monotonic() + SETTLED_AFTER
        self._stamp = stamp
        return True

    def _read_first(self, path: Path) -> None:
        self.refresh()
        settled_at = monotonic() + QUIET_BEFORE_FIRST_USE - _age(path)
        for _ in range(MAX_FIRST_READS):
            sleep(FIRST_READ_INTERVAL)
            if self.refresh():
                settled_at = monotonic() + QUIET_BEFORE_FIRST_USE
            elif monotonic() >= settled_at and not self._is_empty:
                break
        else:
            raise InvalidArgumentError(path.name, EMPTY if self._is_empty else UNSETTLED)
        if self._entries == self._next:
            self._next = None

    def _read_entries(self, path: Path) -> "_Entries":
        """Read the file, and add its entries to the list."""
        from connectus_async.recipients.suppression_file import recipients_in  # noqa: PLC0415 - the readers of files are slow to import

        collector = _Collector()
        try:
            collector.add(recipients_in(path, self._to_digits))
        finally:
            entries = collector.entries()
            self._entries = self._entries.with_those_of(entries)
        if collector.wrong:
            raise _bad_lines(path, collector.wrong)
        if self._entries.count and not entries.count:
            raise InvalidArgumentError(
                path.name, f"is now empty; it had {self._entries.count:,} entries before"
            )
        return entries

    def __contains__(self, recipient: object) -> bool:
        if isinstance(recipient, str) and _ON_THE_WIRE.fullmatch(recipient):
            return int(recipient_key(recipient)) in self._entries
        try:
            return comparable("recipient", recipient, arguments.phone_number) in self._entries
        except InvalidArgumentError:  # no message can go to it anyway
            return False

    def __repr__(self) -> str:
        return f"<SuppressionList of {self.count:,}>"


@attrs.frozen
class _Entries:
    """Compact set of recipients: eight bytes per number."""

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


class _Collector:
    """Recipients read so far."""

    def __init__(self) -> None:
        self.wrong: list[InvalidArgumentError] = []
        self._numbers, self._addresses = array("Q"), set[str]()

    def add(self, recipients: Iterable[Recipient | InvalidArgumentError]) -> None:
        for recipient in recipients:
            if isinstance(recipient, int):
                self._numbers.append(recipient)
            elif isinstance(recipient, str):
                self._addresses.add(recipient)
            else:
                self.wrong.append(recipient)
                if len(self.wrong) == MAX_WRONG_LINES:
                    break

    def entries(self) -> _Entries:
        distinct = (number for number, _ in groupby(sorted(self._numbers)))
        return _Entries(array("Q", distinct), frozenset(self._addresses))


def _entries_of(recipients: Iterable[Recipient]) -> _Entries:
    collector = _Collector()
    collector.add(recipients)
    return collector.entries()


def comparable(field: str, recipient: Any, to_digits: ToDigits) -> Recipient:
    """Make the key of a recipient.

    Raises:
        InvalidArgumentError: It is neither number nor address; the error names the field.
    """
    if isinstance(recipient, str) and "@" in recipient:
        return recipient_key(arguments.email_address(field, recipient))
    return int(recipient_key(to_digits(field, recipient)))


def _bad_lines(path: Path, wrong: list[InvalidArgumentError]) -> InvalidArgumentError:
    first, *others = wrong
    if not others:
        return first
    count = f"{len(others):,}{' or more' if len(wrong) == MAX_WRONG_LINES else ''}"
    return InvalidArgumentError(path.name, f"{first.problem}; {count} more lines are wrong")


class _Stamp(NamedTuple):
    """Attributes of a file that change with its content."""

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
    if not (S_ISREG(file.st_mode) or S_ISDIR(file.st_mode)):  # a pipe blocks, and reads only once
        raise InvalidArgumentError(path.name, "is not a regular file; save it as one first")
    return _Stamp(file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns, file.st_ctime_ns)


def _age(path: Path) -> float:
    """Return the seconds since a file was written; 0 for a time in the future."""
    try:
        return max(0.0, time() - path.stat().st_mtime)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> InvalidArgumentError:
    return InvalidArgumentError(path.name, f"cannot be read: {error.strerror}")
