"""Plain records that go through the doors of a ledger. They do nothing, and know no store."""

import enum
import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypedDict

from connectus_async.ledger.states import OnUnknown, SkipReason, State

EARLY_SECONDS: Final = 3 * 86_400.0
"""Seconds for which a delivery status waits for its SMS: as long as an SMS is asked for, since
reconciling finds the identifiers of some SMS days after they were sent."""

ROWS_A_TRANSACTION: Final = 500
CHARACTERS_A_TRANSACTION: Final = 4 * 2**20
"""Maximum of what one call of a load records: an email may have ten million characters."""

INVALID: Final = "invalid"
"""The kind of the entry for a row that is no message."""


class Entry(NamedTuple):
    """A message as a ledger keeps it.

    Attributes:
        key: The key that duplicates have in common, without control characters; ``None`` for a
            message that has no duplicates.
        line: The line of the file that it came from, if it came from one.
        kind: ``"sms"``, ``"email"`` or ``"whatsapp"``; ``"invalid"`` for a row that is no message.
        recipient: The recipient, as it goes on the wire; empty for a row that is no message.
        body: The message's other fields as a JSON object; empty for a row that is no message.
        billed: Units that it takes from the balance.
    """

    key: str | None
    line: int | None
    kind: str
    recipient: str
    body: str
    billed: int


def no_message(line: int | None, key: str | None = None) -> Entry:
    """Make the entry for a row that is no message."""
    return Entry(key, line, INVALID, "", "", 0)


class Claim(NamedTuple):
    """Answer to the request to send a message.

    Attributes:
        number: The number of its entry.
        found: The state that it had already; ``None`` if it is now in flight.
    """

    number: int
    found: State | None = None


class Corrects(NamedTuple):
    """Says of a load that it adds corrected rows to what was loaded, and of what.

    Attributes:
        numbers: Numbers of the messages, and rows that are none, whose rows were corrected.
        load: Number of the load of their source; corrections are of later ones.
    """

    numbers: Sequence[int] = ()
    load: int = 0


class Loading(NamedTuple):
    """A message to record before it is sent.

    Attributes:
        entry: The message.
        skipped: The reason to skip it, if there is one.
        reason: The reason, as a sentence.
    """

    entry: Entry
    skipped: SkipReason | None = None
    reason: str | None = None

    def is_too_often(self, state: str, reason: str | None) -> bool:
        """Tell whether this skips a message that the ledger has, which waits or is skipped so."""
        if self.skipped is not SkipReason.TOO_OFTEN:
            return False
        return state == State.QUEUED or reason == SkipReason.TOO_OFTEN


class Loaded(NamedTuple):
    """Result of loading a message.

    Attributes:
        skipped: The reason for which it is skipped, if it is.
        known: Its state, if the ledger had it from an earlier load. It comes with `skipped` where
            its recipient may have got another text.
        first_line: For a duplicate, the line of the message that it repeats.
    """

    skipped: SkipReason | None
    known: State | None = None
    first_line: int | None = None


class Again(NamedTuple):
    """Choice of messages that reached nobody, to be sent again.

    Attributes:
        rejected: Messages that the API refused.
        undelivered: Accepted SMS with a final delivery status other than delivered.
        reason: Only those with this in their reason, or else in their delivery status, in capitals
            or not.
        but: Numbers of messages that stay as they are.
    """

    rejected: bool = False
    undelivered: bool = False
    reason: str | None = None
    but: Sequence[int] = ()


class Unresolved(NamedTuple):
    """A message that may have been sent.

    Attributes:
        number: The number of its entry.
        kind: As in `Entry`.
        recipient: As in `Entry`.
        body: As in `Entry`.
        started_at: Begin of its last attempt, in Unix seconds.
        ended_at: Time at which its outcome was known, in Unix seconds.
    """

    number: int
    kind: str
    recipient: str
    body: str
    started_at: float
    ended_at: float


class Report(NamedTuple):
    """A report of the API, identified by the fields that its messages share.

    Attributes:
        kind: As in `Entry`.
        route: Their values for the fields of `content.ROUTE`.
        recipient: The recipient, where a report is of one.
    """

    kind: str
    route: tuple[str | None, ...]
    recipient: str | None = None


class Accepted(NamedTuple):
    """A message that the API accepted.

    Attributes:
        number: The number of its entry.
        provider_id: The API's identifier, if it gave one.
        recipient: As in `Entry`.
        body: As in `Entry`.
        started_at: Begin of its last attempt, in Unix seconds.
        ended_at: Time at which its outcome was known, in Unix seconds.
    """

    number: int
    provider_id: str | None
    recipient: str
    body: str
    started_at: float
    ended_at: float


class Witnesses(NamedTuple):
    """Accepted messages that a report must show if it is complete.

    Attributes:
        all: All of them.
        around: By the number of each message in question, the numbers of the last witness that had
            ended before it, and of the first that was begun after it, where there are any.
    """

    all: tuple[Accepted, ...]
    around: Mapping[int, tuple[int | None, int | None]]


class Resolution(NamedTuple):
    """A new state for a message that may have been sent.

    Attributes:
        message: The message.
        state: Its new state, which may be unknown as before.
        reason: The reason, as a sentence.
        provider_id: The API's identifier, if it was found.
    """

    message: Unresolved
    state: State
    reason: str | None = None
    provider_id: str | None = None


class Recorded(enum.Enum):
    """Result of recording a delivery status."""

    NEWS = "news"
    """The ledger has it."""

    OLD = "old"
    """The ledger has it already, or one that says more."""

    EARLY = "early"
    """The ledger has no such SMS yet: the status is kept, in case the SMS comes."""


class OpenSms(NamedTuple):
    """An accepted SMS that has no final status.

    Attributes:
        number: The number of its entry.
        id: The API's identifier.
        accepted_at: Time of acceptance, in Unix seconds.
    """

    number: int
    id: str
    accepted_at: float


class Total(NamedTuple):
    """Sums over the messages of one state.

    Attributes:
        messages: Number of messages.
        billed: What they take from the balance.
        began: Begin of the first attempt, in Unix seconds, if there was any.
        ended: Time of the last outcome, in Unix seconds, if there was any.
        nameless: Number of SMS without an identifier of the API.
    """

    messages: int
    billed: int
    began: float | None
    ended: float | None
    nameless: int


class Waiting(NamedTuple):
    """Sums over the messages of one kind that wait to be sent.

    Attributes:
        messages: Number of messages.
        billed: What they take from the balance.
        people: Number of different recipients.
    """

    messages: int
    billed: int
    people: int


class Frequency(NamedTuple):
    """Number of messages with the same sentence.

    Attributes:
        state: Their state.
        sentence: The sentence, without what may be a number or an address.
        messages: Number of messages.
    """

    state: str
    sentence: str
    messages: int


class Latency(NamedTuple):
    """Time that the API took to answer, in seconds.

    Attributes:
        p50: Half of the messages were answered within this time.
        p95: 95 % were.
        p99: 99 % were.
    """

    p50: float
    p95: float
    p99: float


class TimeGrid(NamedTuple):
    """A time in equal parts.

    Attributes:
        begin: Its begin, in Unix seconds.
        width: Length of a part, in seconds.
        parts: Number of parts. What is outside belongs to the first or the last one.
    """

    begin: float
    width: float
    parts: int


class MessageRow(NamedTuple):
    """A message in an export. Its times are in Unix seconds, to the millisecond.

    Attributes:
        number: The number of its entry.
        load: The number of the last load that had it; 0 if none did.
        body: As in `Entry`, if it was asked for.
    """

    line: int | None
    key: str | None
    kind: str
    recipient: str | None
    state: str
    reason: str | None
    provider_id: str | None
    attempts: int
    started_at: float | None
    ended_at: float | None
    delivery_status: str | None
    delivered_at: float | None
    billed: int
    number: int = 0
    load: int = 0
    body: str | None = None


MOMENTS: Final = frozenset({"started_at", "ended_at", "delivered_at"})
"""The fields of `MessageRow` that are times."""


class Policy(NamedTuple):
    """Policy with which a ledger is opened.

    Attributes:
        campaign: The campaign's name.
        identity: How duplicates are recognised: ``"message"`` or ``"recipient"``.
        on_unknown: Treatment of messages that may have been sent.
        forgets_content: Keep only a hash of the content of accepted messages.
    """

    campaign: str
    identity: str
    on_unknown: OnUnknown
    forgets_content: bool


class Orders(NamedTuple):
    """Orders of the user to all who send a campaign. They stay until they are changed.

    Attributes:
        paused_until: Time until which nothing is sent, in Unix seconds; infinity if it has no end.
        paused_by: Who paused the campaign.
        stopped: The reason to stop it. It counts until the user starts the campaign again.
        rate: Maximum messages or segments a second of all together; ``None``: as they were started.
        starts_at: Time before which nothing is sent, whoever pauses or continues the campaign, in
            Unix seconds.
        starts_zone: Time zone in which the user gave it.
    """

    paused_until: float | None = None
    paused_by: str | None = None
    stopped: str | None = None
    rate: float | None = None
    starts_at: float | None = None
    starts_zone: str | None = None

    def paused_for(self, now: float) -> float:
        """Seconds for which it is still paused at a Unix time; 0 if it is not.

        >>> Orders(paused_until=9.0).paused_for(5.0), Orders(paused_until=9.0).paused_for(10.0)
        (4.0, 0.0)
        """
        return max(0.0, (self.paused_until or 0.0) - now)

    def starts_in(self, now: float) -> float:
        """Seconds from a Unix time to a scheduled start; 0 if there is none to come.

        >>> Orders(starts_at=9.0).starts_in(5.0), Orders().starts_in(5.0)
        (4.0, 0.0)
        """
        return max(0.0, (self.starts_at or 0.0) - now)


class NewOrders(TypedDict, total=False):
    """New values of fields of `Orders`."""

    paused_until: float | None
    paused_by: str | None
    stopped: str | None
    rate: float | None
    starts_at: float | None
    starts_zone: str | None


class Sender(NamedTuple):
    """A holder of a ledger.

    Attributes:
        place: Its machine and process, in words.
        since: Time at which it opened the ledger, in Unix seconds.
    """

    place: str
    since: float


class Unreleased(NamedTuple):
    """Queued messages that a load has left unreleased: no holder begins them.

    Attributes:
        messages: Their number.
        place: Machine and process, in words, of the holder that is to release them; ``None`` if it
            is gone.
    """

    messages: int
    place: str | None


class Throttling(NamedTuple):
    """A 429 that slowed a holder down.

    Attributes:
        age: Seconds since its request was sent.
        retry_after: Seconds for which the API wants no further request.
    """

    age: float
    retry_after: float


class Attendance(NamedTuple):
    """Report of a holder that sends, again and again.

    Attributes:
        is_start: The user starts the campaign: a reason to stop that this holder found when it
            opened the ledger, or has heard of since, does not count any more. A later one does.
        rate: Maximum messages or segments a second of all holders, as this one was started.
        demand: Messages or segments a second that it has use for; ``None`` for all that it can get.
        throttling: The last 429 since the report before.
        stopped: A reason for all holders to stop.
        reserves: It reserves in the budget what it sends.
    """

    is_start: bool = False
    rate: float | None = None
    demand: float | None = None
    throttling: Throttling | None = None
    stopped: str | None = None
    reserves: bool = True


class Instructions(NamedTuple):
    """Instructions to a holder that sends, until it reports again.

    Attributes:
        rate: Maximum messages or segments a second, which may be 0; ``None`` for no maximum.
        lasts: Seconds for which the rate may be used.
        paused_for: Seconds for which nothing is sent; infinity if nobody knows.
        paused_by: Who paused the campaign.
        stopped: The reason to stop.
        throttling: A 429 that another holder has got since the report before.
        starts_in: Seconds until the scheduled start, before which nothing is sent.
        starts_zone: Time zone in which the user gave it.
    """

    rate: float | None = None
    lasts: float = math.inf
    paused_for: float = 0.0
    paused_by: str | None = None
    stopped: str | None = None
    throttling: Throttling | None = None
    starts_in: float = 0.0
    starts_zone: str | None = None
