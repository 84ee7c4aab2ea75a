"""Ledger for a campaign that keeps no record."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Final

from connectus_async.ledger.abc import SendingLedger
from connectus_async.ledger.records import Attendance, Claim, Entry, Instructions, Policy
from connectus_async.ledger.states import SkipReason, State


class NullLedger(SendingLedger):
    """No memory at all: after a crash nobody knows who was reached.

    It lets every message through, duplicates included.
    """

    async def open(self, policy: Policy) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    def begin(self, entry: Entry, number: int | None) -> Claim | Awaitable[Claim]:  # noqa: ARG002
        """Let the message through."""
        return _LET_THROUGH

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
        """Forget it."""

    def put(
        self,
        entry: Entry,
        number: int | None,
        skipped: SkipReason | None = None,
        reason: str | None = None,
    ) -> None:
        """Forget it."""

    async def flush(self) -> None:
        """Do nothing."""

    async def queued(self, after: int, limit: int) -> Sequence[tuple[int, Entry]]:  # noqa: ARG002
        """Return nothing: there is nowhere to wait."""
        return ()

    async def counts(self) -> Mapping[State, int]:
        """Return nothing."""
        return {}

    async def spent(self) -> int:
        """Return 0."""
        return 0

    async def metadata(self) -> Mapping[str, str]:
        """Return nothing."""
        return {}

    async def set_metadata(self, **values: str) -> None:
        """Forget it."""

    async def attend(self, attendance: Attendance) -> Instructions:
        """Let the holder go on: nobody else has a say."""
        return Instructions(rate=attendance.rate)


_LET_THROUGH: Final = Claim(0)
