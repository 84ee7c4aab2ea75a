"""Frequency cap: nobody gets more than so many messages of several campaigns in a time."""

import re
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Self

import attrs

from connectus_async.errors import ConfigurationError, LedgerError
from connectus_async.ledger.keys import recipient_key
from connectus_async.ledger.states import MAY_BE_SENT
from connectus_async.products.sms_statuses import UNDELIVERED

if TYPE_CHECKING:
    from connectus_async.ledger.abc import LedgerStore
    from connectus_async.ledger.records import MessageRow

SETTING: Final = "at_most"
HOUR: Final = 3_600.0
UNITS: Final = {"h": HOUR, "d": 24 * HOUR, "w": 7 * 24 * HOUR}
MAX_SECONDS: Final = 366 * 24 * HOUR
BUCKETS: Final = 1 << 8
_WRITTEN: Final = re.compile(r"([1-9]\d{0,3})/([1-9]\d{0,4})([hdw])", re.ASCII)


@attrs.frozen
class FrequencyCap:
    """Maximum number of messages to a person in a time.

    Attributes:
        most: Number of messages.
        seconds: The time, in seconds.
    """

    most: int
    seconds: float

    @classmethod
    def parse(cls, written: str) -> Self:
        """Read a cap such as ``2/7d``: two messages in seven days. Also ``h`` and ``w``.

        Raises:
            ConfigurationError: It is no cap, or of more than a year.

        >>> FrequencyCap.parse("2/7d")
        FrequencyCap(most=2, seconds=604800.0)
        """
        found = _WRITTEN.fullmatch(written)
        seconds = float(found[2]) * UNITS[found[3]] if found else 0.0
        if found is None or seconds > MAX_SECONDS:
            raise ConfigurationError(
                SETTING, "must be a number of messages in hours, days or weeks, such as 2/7d"
            )
        return cls(int(found[1]), seconds)

    def __str__(self) -> str:
        """Write it as `parse` reads it.

        >>> str(FrequencyCap.parse("1/1w")), str(FrequencyCap.parse("3/36h"))
        ('1/7d', '3/36h')
        """
        unit = "h" if self.seconds % UNITS["d"] else "d"
        return f"{self.most}/{self.seconds / UNITS[unit]:.0f}{unit}"


class Reached:
    """Number of messages that people got lately, of several ledgers.

    It keeps eight bytes for each message: a hash of the recipient. Among ten million people and ten
    million messages to others, two hashes are the same with a chance of five in a million.

    Args:
        most: Number of messages with which somebody gets no further one.

    Example:
        >>> reached = Reached(2)
        >>> reached.add(["56987688060", "56987688061", "56987688060"])
        >>> reached.end()
        >>> reached.is_too_often("56987688060"), reached.is_too_often("56987688061")
        (True, False)
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._buckets = [array("q") for _ in range(BUCKETS)]

    def add(self, recipients: Iterable[str]) -> None:
        """Count a message for each recipient, in any spelling."""
        buckets = self._buckets
        for recipient in recipients:
            number = hash(recipient_key(recipient))
            buckets[number % BUCKETS].append(number)

    def end(self) -> None:
        """Sort what was added. A bucket at a time, so that not all of it is there twice."""
        self._buckets = [array("q", sorted(bucket)) for bucket in self._buckets]

    def is_too_often(self, recipient: str) -> bool:
        """Tell whether a recipient got as many messages as are allowed."""
        return self.count(recipient) >= self._most

    def count(self, recipient: str) -> int:
        """Count the messages that a recipient got."""
        number = hash(recipient_key(recipient))
        bucket = self._buckets[number % BUCKETS]
        return bisect_right(bucket, number) - bisect_left(bucket, number)


def read_reached(
    store: "LedgerStore", cap: FrequencyCap, starts_at: float | None = None
) -> Reached:
    """Count what people got by the other ledgers of a folder or database. Blocks.

    Args:
        store: The ledger of a campaign, which is left out. It need not be there.
        cap: The cap.
        starts_at: Time at which the campaign starts, in Unix seconds; now if left out or past.

    Raises:
        LedgerError: One of them cannot be read, so that nobody knows what it sent.
    """
    since = _since(cap, starts_at)
    reached = Reached(cap.most)
    try:
        for other in store.others(since):
            with other.read() as reader:
                for recipients in reader.reached(since):
                    reached.add(recipients)
    except LedgerError as error:
        raise LedgerError(
            error.ledger,
            f"{error.problem}; nothing was sent, since it may have sent to the same people:"
            " mend it, or move it elsewhere",
        ) from None
    reached.end()
    return reached


def read_reached_by_itself(
    store: "LedgerStore", cap: FrequencyCap, starts_at: float | None = None
) -> Reached:
    """Count what people got by the ledger of a campaign itself. Blocks.

    What was refused, was not sent or has a final delivery status other than delivered does not
    count: it reached nobody.

    Args:
        store: The ledger.
        cap: The cap.
        starts_at: As in `read_reached`.

    Raises:
        LedgerError: It cannot be read.
    """
    since = _since(cap, starts_at)
    reached = Reached(cap.most)
    with store.read() as reader:
        for rows in reader.messages(MAY_BE_SENT):
            reached.add(row.recipient for row in rows if row.recipient and _counts(row, since))
    reached.end()
    return reached


def _since(cap: FrequencyCap, starts_at: float | None) -> float:
    return max(time.time(), starts_at or 0.0) - cap.seconds


def _counts(row: "MessageRow", since: float) -> bool:
    at = row.started_at if row.ended_at is None else row.ended_at
    return row.delivery_status not in UNDELIVERED and at is not None and at >= since
