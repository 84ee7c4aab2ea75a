"""The ledger of a campaign that keeps none."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from connectus_async.ledger.records import Claim, Entry, Policy
from connectus_async.ledger.states import State


class NullLedger:
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


_LET_THROUGH: Final = Claim(0)
