"""Interface between the writer of delivery statuses, which all stores share, and a store.

A store has a `DeliveryConnection`, and a module with the functions of `DeliveryRows`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeVar, TypeVarTuple

from connectus_async.ledger.records import OpenSms
from connectus_async.products.sms_statuses import RANKS, UNKNOWN_RANK, SmsStatus, rank

MAX_EARLY: Final = 100_000
"""Maximum number of early statuses, of which the newest are kept: some 10 MB."""

MAX_ID: Final = 256
"""Maximum length of a provider id. The API's have 32 characters."""

PAGE: Final = 1_000
"""Early statuses that are moved to their SMS in one transaction."""

FINAL: Final = ", ".join(f"'{status}'" for status in RANKS if status.is_final)
"""The final statuses, as a list in SQL."""

Arguments = TypeVarTuple("Arguments")
Answer = TypeVar("Answer")
Connection = TypeVar("Connection")
Connection_contra = TypeVar("Connection_contra", contravariant=True)


class TimedStatus(NamedTuple):
    """A status of an SMS.

    Attributes:
        status: The status.
        at: Its time, in Unix seconds.
    """

    status: SmsStatus
    at: float


class EarlyStatus(NamedTuple):
    """A status that was kept for an SMS that the ledger did not have yet.

    Attributes:
        number: Its number: the later it was kept, the higher.
        id_sms: The provider id of its SMS, as `folded` spells it.
        status: The status and its time.
    """

    number: int
    id_sms: str
    status: TimedStatus


class Written(NamedTuple):
    """Result of recording statuses.

    Attributes:
        moved: SMS whose status changed.
        known: SMS that the ledger has.
        dropped: Number of early statuses that were dropped.
    """

    moved: set[str]
    known: set[str]
    dropped: int


class DeliveryRows(Protocol[Connection_contra]):
    """Functions that read and write delivery statuses. Each is one transaction."""

    def record(
        self, connection: Connection_contra, statuses: Mapping[str, TimedStatus], now: float, /
    ) -> Written:
        """Record statuses, and keep those whose SMS the ledger does not have yet.

        Recording the same again changes nothing.

        Args:
            connection: The ledger.
            statuses: The best status of each SMS, by provider id as `folded` spells it.
            now: The time, in Unix seconds.
        """
        ...

    def has_early(self, connection: Connection_contra, /) -> bool:
        """Tell whether there are early statuses."""
        ...

    def named(self, connection: Connection_contra, after: int, /) -> Sequence[EarlyStatus]:
        """Find early statuses whose SMS is recorded by now, in order, at most `PAGE` of them.

        Args:
            connection: The ledger.
            after: The last number of the page before; 0 at first.
        """
        ...

    def drop_old(self, connection: Connection_contra, before: float, /) -> int:
        """Drop early statuses that were kept before a time; return how many."""
        ...

    def changes(self, connection: Connection_contra, /) -> object:
        """Return a value that is another one if something was written to the ledger since."""
        ...

    def open_sms(
        self, connection: Connection_contra, since: float, until: float, after: int, limit: int, /
    ) -> list[OpenSms]:
        """Read accepted SMS that have no final status. See `DeliveryLog.open_sms`."""
        ...

    def count_open(self, connection: Connection_contra, since: float, until: float, /) -> int:
        """Count the SMS that `open_sms` reads."""
        ...

    def count_nameless(self, connection: Connection_contra, /) -> int:
        """Count the accepted SMS without a provider id."""
        ...


class DeliveryConnection(ABC, Generic[Connection]):
    """Connection of a writer to its ledger. It belongs to one thread, and is opened once.

    Attributes:
        name: The ledger, as messages name it.
        place: Where the ledger is: equal for the same one.
        rows: Functions that use the connection.
    """

    name: str
    place: object
    rows: DeliveryRows[Connection]

    @abstractmethod
    def open(self) -> None:
        """Open the ledger, and create the index that finds an SMS by its provider id.

        Raises:
            LedgerError: There is no such ledger, or it cannot be written.
        """

    @abstractmethod
    def close(self) -> None:
        """Close what is open."""

    @abstractmethod
    def run(
        self,
        function: Callable[[Connection, *Arguments], Answer],
        *args: *Arguments,
    ) -> Answer:
        """Run a function with the connection.

        Raises:
            LedgerError: The ledger cannot be used.
        """

    def rest(self) -> None:
        """Do what is due after some work. Nobody waits for it."""


def better(one: TimedStatus, other: TimedStatus) -> TimedStatus:
    """Choose the status of the higher rank; of equal ones, the first."""
    return other if rank(other.status) > rank(one.status) else one


def rank_of(column: str) -> str:
    """Write out the rank of the status in a column, in SQL. See `rank`."""
    places = (f"WHEN {column} = '{status}' THEN {place}" for status, place in RANKS.items())
    return f"CASE WHEN {column} IS NULL THEN 0 {' '.join(places)} ELSE {UNKNOWN_RANK} END"
