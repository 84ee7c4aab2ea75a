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

if TYPE_CHECKING:
    from connectus_async.ledger.abc import LedgerStore

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
        number = hash(recipient_key(recipient))
        bucket = self._buckets[number % BUCKETS]
        return bisect_right(bucket, number) - bisect_left(bucket, number) >= self._most


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
    since = max(time.time(), starts_at or 0.0) - cap.seconds
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
