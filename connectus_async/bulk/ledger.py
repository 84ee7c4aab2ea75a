"""What a campaign has to remember, as the sender sees it, and the memory of one that needs none."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from connectus_async.bulk.states import OnUnknown, SkipReason, State

INVALID: Final = "invalid"
"""The kind of an entry that stands for a row that is no message."""


class Entry(NamedTuple):
    """A message as a ledger keeps it.

    Attributes:
        key: What tells it from the other messages of the campaign, without control characters;
            ``None`` if nothing does.
        line: The line of the file that it came from, where it came from one.
        kind: ``"sms"``, ``"email"`` or ``"whatsapp"``; ``"invalid"`` for a row that is no message.
        recipient: Who gets it, as it goes on the wire; empty for what is no message.
        body: The message's other fields as a JSON object; empty for what is no message.
        billed: What it takes from the balance.
    """

    key: str | None
    line: int | None
    kind: str
    recipient: str
    body: str
    billed: int


class Claim(NamedTuple):
    """The answer to the wish to send a message.

    Attributes:
        number: The number of its entry.
        found: The state in which it was there already; ``None`` if it is now in flight.
    """

    number: int
    found: State | None = None


class Loading(NamedTuple):
    """A message that is to be put down before it is sent.

    Attributes:
        entry: The message.
        skipped: Why it is not going to be sent, if it is not.
        reason: The sentence for that.
    """

    entry: Entry
    skipped: SkipReason | None = None
    reason: str | None = None


class Loaded(NamedTuple):
    """What became of a message that was put down.

    Attributes:
        skipped: Why it is not going to be sent, if it is not.
        known: Its state, if the ledger had it from an earlier reading of its source. It comes
            with `skipped` where its recipient may have got another text.
        first_line: For a duplicate, the line of the message that it repeats.
    """

    skipped: SkipReason | None
    known: State | None = None
    first_line: int | None = None


class Unresolved(NamedTuple):
    """A message that may have been sent.

    Attributes:
        number: The number of its entry.
        kind: As in `Entry`.
        recipient: As in `Entry`.
        body: As in `Entry`.
        started_at: When its last attempt began, in Unix seconds.
        ended_at: When its outcome was known, in Unix seconds.
    """

    number: int
    kind: str
    recipient: str
    body: str
    started_at: float
    ended_at: float


class Policy(NamedTuple):
    """What the ledger has to know to take up a campaign.

    Attributes:
        campaign: The campaign's name.
        identity: What makes two messages the same: ``"message"`` or ``"recipient"``.
        on_unknown: What is to become of messages that may have been sent.
        forgets_content: Whether only a hash of the content is kept of what was accepted.
    """

    campaign: str
    identity: str
    on_unknown: OnUnknown
    forgets_content: bool


class Ledger(Protocol):
    """The memory of a campaign. One sender at a time holds it."""

    async def open(self, policy: Policy) -> None:
        """Take hold of it. What another sender left in flight is unknown from here on."""
        ...

    async def close(self) -> None:
        """Let go of it, after everything that was put down has been written."""
        ...

    def begin(self, entry: Entry, number: int | None) -> Claim | Awaitable[Claim]:
        """Put down that a message is about to be sent; what this gives is durable.

        Args:
            entry: The message.
            number: The number of its entry, if it has one.
        """
        ...

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
        """Put down what became of an attempt. It is written before any later `begin` is given.

        Args:
            entry: The message.
            number: The number of its entry.
            state: What it is now.
            reason: The sentence for that.
            provider_id: The identifier that the API gave it.
            is_kept: Whether who queues it is going to begin it again, or to give it up by `put`:
                until then nobody else begins it.
        """

    def put(
        self,
        entry: Entry,
        number: int | None,
        skipped: SkipReason | None = None,
        reason: str | None = None,
    ) -> None:
        """Put down that a message is not going to be sent, or waits; what is known stays as it is.

        Args:
            entry: The message.
            number: The number of its entry, if it has one.
            skipped: Why it is not going to be sent; ``None`` if it waits.
            reason: The sentence for that.
        """

    async def flush(self) -> None:
        """Wait until everything that was put down is written."""
        ...

    async def queued(self, after: int, limit: int) -> Sequence[tuple[int, Entry]]:
        """Read messages that wait to be sent, in order, with numbers above `after`."""
        ...

    async def counts(self) -> Mapping[State, int]:
        """Count the messages by state."""
        ...

    async def spent(self) -> int:
        """Add up what the messages that were or may have been sent take from the balance."""
        ...

    async def facts(self) -> Mapping[str, str]:
        """Read what is on record of the campaign itself."""
        ...

    async def note(self, **facts: str) -> None:
        """Put facts of the campaign on record."""
        ...


class Forgetful:
    """The memory of a campaign without a ledger: none. After a crash nobody knows who was reached.

    It lets every message through, equal ones included.
    """

    async def open(self, policy: Policy) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    def begin(self, entry: Entry, number: int | None) -> Claim:  # noqa: ARG002
        """Let the message through."""
        return _LET_THROUGH

    def finish(self, *_: Any, **__: Any) -> None:
        """Forget it."""

    def put(self, *_: Any, **__: Any) -> None:
        """Forget it."""

    async def flush(self) -> None:
        """Do nothing."""

    async def queued(self, after: int, limit: int) -> Sequence[tuple[int, Entry]]:  # noqa: ARG002
        """Nothing waits: there is nowhere to."""
        return ()

    async def counts(self) -> Mapping[State, int]:
        """Nothing is counted."""
        return {}

    async def spent(self) -> int:
        """Nothing was spent before."""
        return 0

    async def facts(self) -> Mapping[str, str]:
        """Nothing is on record."""
        return {}

    async def note(self, **facts: str) -> None:
        """Forget it."""


_LET_THROUGH = Claim(0)
