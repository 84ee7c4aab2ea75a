"""Doors of a ledger. Nothing behind them needs to be a file, or on this machine.

A store has one campaign. There are four ways to it: the holder, which sends; beside it, the writer
of delivery statuses and the giver of orders; and readers. A store may allow several holders at a
time if it never gives a message to two of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, Unpack

from connectus_async.ledger.records import (
    EARLY_SECONDS,
    Accepted,
    Again,
    Attendance,
    Claim,
    Corrects,
    Entry,
    Frequency,
    Instructions,
    Latency,
    Loaded,
    Loading,
    MessageRow,
    NewOrders,
    OpenSms,
    Orders,
    Policy,
    Recorded,
    Report,
    Resolution,
    Sender,
    TimeGrid,
    Total,
    Unreleased,
    Unresolved,
    Waiting,
    Witnesses,
)
from connectus_async.ledger.states import Edited, SkipReason, State
from connectus_async.products.sms_statuses import SmsStatus


class SendingLedger(ABC):
    """Part of a ledger that sending needs: all that a sender has without a store of its own."""

    @abstractmethod
    async def open(self, policy: Policy) -> None:
        """Become a holder. Messages that an earlier one left in flight are unknown from here on.

        Raises:
            LedgerError: The store allows no further holder, it is of another campaign, or it cannot
                be written.
        """

    @abstractmethod
    async def close(self) -> None:
        """Write everything that was recorded, then release the ledger. Repeating it is harmless."""

    @abstractmethod
    def begin(self, entry: Entry, number: int | None) -> Claim | Awaitable[Claim]:
        """Record that a message is about to be sent. The claim is durable once it is returned.

        Args:
            entry: The message.
            number: The number of its entry, if it has one.
        """

    @abstractmethod
    def finish(
        self,
        entry: Entry,
        number: int,
        state: State,
        reason: str | None,
        provider_id: str | None,
        *,
        is_kept: bool = False,
    ) -> None:
        """Record the outcome of an attempt. It is written before any later `begin` returns.

        Args:
            entry: The message.
            number: The number of its entry.
            state: Its new state.
            reason: The reason, as a sentence.
            provider_id: The API's identifier of the message.
            is_kept: The caller begins the queued message again, or gives it up by `put`; until
                then nobody else begins it.
        """

    @abstractmethod
    def put(
        self,
        entry: Entry,
        number: int | None,
        skipped: SkipReason | None = None,
        reason: str | None = None,
    ) -> None:
        """Record that a message is skipped, or waits. A message that is known stays as it is.

        Args:
            entry: The message.
            number: The number of its entry, if it has one.
            skipped: The reason to skip it; ``None`` if it waits.
            reason: The reason, as a sentence.
        """

    @abstractmethod
    async def flush(self) -> None:
        """Wait until everything that was recorded is written.

        Raises:
            LedgerError: Something could not be written.
        """

    @abstractmethod
    async def queued(self, after: int, limit: int) -> Sequence[tuple[int, Entry]]:
        """Read messages that wait to be sent, in order; none that another holder sends.

        Args:
            after: The last number of the call before; 0 at first.
            limit: Maximum number of messages.
        """

    @abstractmethod
    async def counts(self) -> Mapping[State, int]:
        """Count the messages by state; states without any are left out."""

    @abstractmethod
    async def spent(self) -> int:
        """Add up what the messages that were or may have been sent take from the balance."""

    @abstractmethod
    async def metadata(self) -> Mapping[str, str]:
        """Read the metadata of the campaign."""

    @abstractmethod
    async def set_metadata(self, **values: str) -> None:
        """Write metadata of the campaign; values under other names stay."""

    @abstractmethod
    async def attend(self, attendance: Attendance) -> Instructions:
        """Report how sending goes, and get the orders of the user and of all other holders.

        Args:
            attendance: The report.
        """


class Ledger(SendingLedger):
    """Memory of a campaign, for its holder. It belongs to the event loop that opens it."""

    @abstractmethod
    def begin_known(self, numbers: Sequence[int]) -> Awaitable[object]:
        """Record that messages of `queued` are about to be sent; all of them, once it returns.

        Args:
            numbers: The numbers of their entries; at least one. Nobody else can begin them.
        """

    @abstractmethod
    async def begin_load(self, *, corrects: Corrects | None = None) -> int:
        """Begin a load, and return its number. Rows of earlier loads that are no message go.

        Args:
            corrects: It adds messages to what was loaded, and is no new version of that: everything
                that the ledger has stays as it is. `end_load` queues them, and skips the messages
                that they correct, if these reached nobody, and their lines have one of them that
                is not skipped; their last attempts are kept, as by `queue_again`. Until then, what
                was added is skipped as superseded.
        """

    @abstractmethod
    async def load(
        self, items: Sequence[Loading], load_number: int, *, tells_left_out: bool = False
    ) -> Sequence[Loaded]:
        """Record messages as queued, or as skipped, in one transaction.

        A message that is known by its key stays as it is if it may have been sent. Otherwise it
        takes the content that it has now, and if that is another one, it waits again. One
        that waits, and is skipped as too often now, waits no longer until a load does not say so.

        Args:
            items: The messages.
            load_number: The number of the load that they belong to.
            tells_left_out: Report a message as skipped that an earlier load left out, since
                `end_load` leaves it out again, unless the person has nothing yet.

        Returns:
            The result for each message.
        """

    @abstractmethod
    async def end_load(
        self,
        load_number: int,
        *,
        replaces: bool,
        edited: Edited = Edited.EVERYONE,
        releases: bool = True,
    ) -> Mapping[int, int]:
        """Record that a source was loaded to its end.

        Args:
            load_number: The number of the load.
            replaces: Skip the queued messages that were not in it, but for the corrections of rows
                that were.
            edited: Treatment of people who may have got another text. If that is to abort, the
                source does not count as loaded, so that nobody resumes it.
            releases: Let all holders send its messages. If not, this holder has to release them,
                and until somebody does, no holder begins them, even after this one is gone. A load
                that replaces others takes what they left unreleased. A store that has one holder at
                a time keeps nothing back: there is nobody else who could send it.

        Returns:
            The number of people who were left out, by the load that their last other message is of.
        """

    @abstractmethod
    async def queue_again(self, choice: Again) -> int:
        """Queue messages that reached nobody for another attempt, and keep their last one.

        Messages whose content was forgotten stay as they are.

        Args:
            choice: The messages.

        Returns:
            Their number.
        """

    @abstractmethod
    async def skip_too_often(self, numbers: Sequence[int]) -> int:
        """Skip messages that wait, since their recipients got enough by other campaigns.

        A load of their source that does not say so queues them again.

        Args:
            numbers: The numbers of their entries; those that do not wait any more stay as they are.

        Returns:
            The number of messages that are skipped.
        """

    @abstractmethod
    async def left_out(self, after: int, limit: int) -> Sequence[tuple[int, Entry]]:
        """Read the messages of the last load that `end_load` left out, in the way of `queued`."""

    @abstractmethod
    async def take_unreleased(self) -> None:
        """Have to release from now on what holders left unreleased that are gone."""

    @abstractmethod
    async def release(self, *, to_all: bool = True) -> None:
        """Let holders send the messages that this one has to release.

        Args:
            to_all: Let all holders send them. If not, only this one does, and those that it does
                not send stay unreleased.

        Raises:
            LedgerError: Another load has taken some of them since `take_unreleased`. None is
                released then.
        """

    @abstractmethod
    async def waiting(self) -> Mapping[str, Waiting]:
        """Add up the messages that wait to be sent, by kind.

        Those that another holder has to release are left out.
        """

    @abstractmethod
    async def unresolved(self) -> Sequence[Unresolved]:
        """Read the messages that may have been sent, in order."""

    @abstractmethod
    async def witnesses(
        self, report: Report, group: Sequence[Unresolved], *, near: float, about: float, sample: int
    ) -> Witnesses:
        """Find accepted messages, with their identifiers, that a report of others must show.

        Args:
            report: The report.
            group: Messages in question that it is to show; at least one.
            near: Seconds from a message within which its neighbours are looked for.
            about: Seconds around the group from which the sample is taken.
            sample: Maximum number of further witnesses.
        """

    @abstractmethod
    async def accepted_ids(self, ids: Collection[str]) -> Collection[str]:
        """Choose, of some of the API's identifiers, those of accepted messages."""

    @abstractmethod
    async def accepted_to(self, recipients: Collection[str]) -> Sequence[Accepted]:
        """Read the accepted messages to some recipients, each in the spelling of the entry."""

    @abstractmethod
    async def resolve(self, resolutions: Sequence[Resolution]) -> None:
        """Record new states of messages that may have been sent; others stay as they are."""


class SharedLedger(Ledger):
    """Ledger that may have several holders, which share the budget of its campaign.

    A holder with a budget reserves a part of it before it sends. What it reserved and did not use
    counts as used until it is given back, or until a holder counts that has the ledger alone. Once
    a holder has attended that does not reserve what it sends, nobody can reserve any more until
    then.

    Attributes:
        lease: Seconds for which a holder that nothing is heard of may still send what it has begun.
    """

    lease: float

    @abstractmethod
    async def count_budget(self, kept: int = 0) -> None:
        """Count what the messages took, or may have taken, if no other holder has the ledger.

        Args:
            kept: Units that this holder has reserved and not used. It may send nothing meanwhile.
        """

    @abstractmethod
    async def reserve(self, budget: int, least: int, most: int) -> int:
        """Reserve units of a budget.

        Args:
            budget: The budget of all holders together.
            least: Units that are needed.
            most: Units that there is use for; fewer are given of a budget that is nearly used.

        Returns:
            The number of units; 0 if those that are needed are not left.

        Raises:
            LedgerError: Another holder does not reserve what it sends.
        """

    @abstractmethod
    async def give_back(self, units: int) -> None:
        """Give units back that were reserved and not used."""

    @abstractmethod
    async def hand_out(self, defer: Callable[[Any, str], Awaitable[object]]) -> None:
        """Let a function defer tickets for the campaign, in a transaction of the database.

        Args:
            defer: It gets the connection and the campaign's name. If it raises, nothing was done.

        Raises:
            ConfigurationError: It is the copy of a dry run.
            LedgerError: The source was not loaded to its end, or the database cannot be used.
        """


class DeliveryLog(ABC):
    """Writer of delivery statuses, from any thread, beside a holder that may be sending.

    Statuses may come twice and in any order: the one that says most stays. After a fork, parent and
    child go on by themselves.
    """

    @abstractmethod
    def open(self) -> None:
        """Open the ledger; once is enough.

        Raises:
            LedgerError: There is no such ledger, or it cannot be written.
        """

    @abstractmethod
    def close(self) -> None:
        """Write everything that was recorded, then release the ledger."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def record(self, id_sms: str, status: SmsStatus, at: float | None = None) -> Future[Recorded]:
        """Record a status.

        Args:
            id_sms: The API's identifier of the SMS, not empty. A number in hexadecimal digits may
                be in another case than the API's.
            status: The status.
            at: Its time, in Unix seconds; now if left out.

        Returns:
            The result, once it is durable. It raises `LedgerError` if it cannot be written.
        """

    @abstractmethod
    def open_sms(
        self, after: int, limit: int, since: float = 0, until: float = float("inf")
    ) -> Future[list[OpenSms]]:
        """Read accepted SMS that have no final status, in order.

        Args:
            after: The number after which to begin.
            limit: Maximum number of SMS.
            since: Earliest time of acceptance, in Unix seconds.
            until: Latest time of acceptance, in Unix seconds.
        """

    @abstractmethod
    def count_open(self, since: float = 0, until: float = float("inf")) -> Future[int]:
        """Count the SMS that `open_sms` reads, with all statuses that have come."""

    @abstractmethod
    def count_nameless(self) -> Future[int]:
        """Count the SMS that the API accepted without giving them an identifier."""


class LedgerReader(ABC):
    """Snapshot of a ledger. Its methods block, and it belongs to one thread.

    Sentences are given without anything in them that may be a number or an address.
    """

    @abstractmethod
    def metadata(self) -> Mapping[str, str]:
        """Read the metadata of the campaign."""

    @abstractmethod
    def totals(self) -> Mapping[State, Total]:
        """Add up the messages by state; states without any are left out."""

    @abstractmethod
    def skipped(self) -> Mapping[str, int]:
        """Count the skipped messages by reason, the most frequent first."""

    @abstractmethod
    def invalid(self, limit: int) -> Sequence[Frequency]:
        """Count the sentences about rows that could not become messages, most frequent first."""

    @abstractmethod
    def errors(self, limit: int) -> Sequence[Frequency]:
        """Count the sentences about messages that were not accepted, most frequent first."""

    @abstractmethod
    def deliveries(self, limit: int) -> Mapping[str, int]:
        """Count the messages by delivery status, the most frequent first."""

    @abstractmethod
    def outcomes(self, grid: TimeGrid) -> Sequence[Mapping[State, int]]:
        """Count the messages whose outcome became known, for each part of a time."""

    @abstractmethod
    def ended_since(self, moment: float) -> int:
        """Count the messages whose outcome became known after a time, in Unix seconds."""

    @abstractmethod
    def latencies(self, grid: TimeGrid) -> Sequence[Latency | None]:
        """Measure how long the API took to answer, for each part of a time."""

    @abstractmethod
    def messages(
        self,
        states: Collection[State] | None = None,
        *,
        has_bodies: bool = False,
        is_by_line: bool = False,
    ) -> Iterator[Sequence[MessageRow]]:
        """Read messages in order, some at a time.

        Args:
            states: Read only messages in these states.
            has_bodies: Read their bodies too.
            is_by_line: In the order of their lines, those without one first.
        """

    @abstractmethod
    def reached(self, since: float) -> Iterator[Sequence[str]]:
        """Read the recipients of messages that were or may have been sent, some at a time.

        Args:
            since: Earliest time of their outcome, or of an attempt without one, in Unix seconds.

        Yields:
            A recipient for each message, in the spelling of the entry.
        """

    @abstractmethod
    def count_again(self, choice: Again) -> int:
        """Count the messages that `Ledger.queue_again` queues."""

    @abstractmethod
    def again(self, choice: Again) -> Iterator[Sequence[tuple[int, str]]]:
        """Read the numbers and recipients of the messages that `Ledger.queue_again` queues."""

    @abstractmethod
    def unreleased(self) -> Sequence[Unreleased]:
        """Count the messages that nobody has released yet, by who is to release them."""

    @abstractmethod
    def earlier_attempts(self) -> Mapping[State, int]:
        """Count the attempts that were followed by another by the user's word, by their outcome."""

    @abstractmethod
    def numbered(self, numbers: Sequence[int]) -> Sequence[MessageRow]:
        """Read the messages with some numbers, in order.

        Args:
            numbers: The numbers of their entries; those that are not there are left out.
        """


class LedgerControl(ABC):
    """Giver of orders, beside holders that may be sending. Its methods block.

    All raise `LedgerError` if there is no such ledger, or it cannot be read or written.
    """

    @abstractmethod
    def orders(self) -> Orders:
        """Read the present orders."""

    @abstractmethod
    def change(self, **orders: Unpack[NewOrders]) -> None:
        """Give new orders; others stay. Holders that send follow them within a second.

        Args:
            orders: New values of fields of `Orders`.
        """

    @abstractmethod
    def senders(self) -> Sequence[Sender]:
        """Find the present holders."""


class LedgerStore(ABC):
    """Place of a campaign's ledger."""

    @abstractmethod
    def ledger(self) -> Ledger:
        """Make a ledger to send with, not open yet. Opening it creates a missing campaign."""

    @abstractmethod
    def trial(self) -> Ledger:
        """Make a ledger for a dry run, not open yet.

        Opening it copies what the store has, and creates nothing there; closing it deletes the
        copy.
        """

    @abstractmethod
    def deliveries(self, *, early_seconds: float = EARLY_SECONDS) -> DeliveryLog:
        """Make a writer of delivery statuses, not open yet. The store must have a campaign.

        Args:
            early_seconds: How long a status is kept for an SMS that the ledger does not have yet.
        """

    @abstractmethod
    def control(self) -> LedgerControl:
        """Make a giver of orders. The store must have a campaign once it is used."""

    @abstractmethod
    def others(self, since: float) -> "Iterator[LedgerStore]":
        """Find the other ledgers of the folder or database that may have sent. Blocks.

        Args:
            since: Ledgers that nobody wrote to since this time may be left out, in Unix seconds.

        Raises:
            LedgerError: A file that may be a ledger cannot be read.
        """

    @abstractmethod
    def read(self) -> AbstractContextManager[LedgerReader]:
        """Open the ledger to read it as it is at this moment. Blocks.

        Raises:
            LedgerError: There is no such ledger, or it cannot be read.
        """
