"""The doors of a ledger."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol

from connectus_async.ledger.records import Claim, Entry, Policy
from connectus_async.ledger.states import SkipReason, State


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
