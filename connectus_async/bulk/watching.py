"""Reports of a campaign to the user's hook: its messages, and twice a second its pace."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from connectus_async._watching import Guarded
from connectus_async.bulk.outcomes import MessageOutcome
from connectus_async.bulk.progress import Progress
from connectus_async.errors import Outcome
from connectus_async.instrumentation import (
    EventHook,
    MessageBegun,
    MessageEnded,
    Pace,
    RunEnded,
)
from connectus_async.ledger.abc import Ledger, SendingLedger, SharedLedger
from connectus_async.ledger.states import State

if TYPE_CHECKING:
    from connectus_async.bulk.run import Run

INTERVAL: Final = 0.5
"""Seconds between two reports of the pace."""


class Watcher:
    """Calls a hook for the events of a campaign.

    Args:
        hook: The hook.
        has_ledger: Whether messages are recorded before they are sent.
    """

    def __init__(self, hook: EventHook, *, has_ledger: bool) -> None:
        self._hook = Guarded("on_event", hook)
        self._has_ledger = has_ledger
        self._queued: int | None = None

    def begun(self, channel: str, ledger_seconds: float) -> None:
        """Report that a message is about to be sent."""
        seconds = ledger_seconds if self._has_ledger else None
        self._hook(MessageBegun(channel=channel, ledger_seconds=seconds))

    def ended(self, channel: str | None, outcome: MessageOutcome) -> None:
        """Report the outcome of a message."""
        if self._queued and outcome.state is not State.QUEUED:
            self._queued -= 1
        self._hook(
            MessageEnded(
                channel=channel,
                state=outcome.state,
                outcome=outcome.outcome,
                skipped=outcome.skipped,
                error=None if outcome.error is None else type(outcome.error).__name__,
            )
        )

    def given_up(self, channel: str, error: BaseException) -> None:
        """Report that somebody cancelled the sending of a message."""
        name = type(error).__name__
        self._hook(
            MessageEnded(channel=channel, state=State.UNKNOWN, outcome=Outcome.UNKNOWN, error=name)
        )

    async def count(self, ledger: SendingLedger, limit: int | None, *, has_source: bool) -> None:
        """Count the messages that a run will send, if that can be known.

        Args:
            ledger: The ledger. If others send its messages too, the number is not known.
            limit: Maximum number that the run sends.
            has_source: The run sends other messages than those of the ledger.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        self._queued = None
        if not has_source and isinstance(ledger, Ledger) and not isinstance(ledger, SharedLedger):
            queued = (await ledger.counts()).get(State.QUEUED, 0)
            self._queued = queued if limit is None else min(queued, limit)

    async def watch(self, run: "Run", progress: Callable[[], Progress]) -> None:
        """Report the pace of a run until its end, and its end.

        Args:
            run: The run.
            progress: Returns the present progress.
        """
        while not run.is_over:
            self._tell_pace(progress())
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL):
                    await run.ended()
        self._tell_pace(progress())
        failure = run.feed.failure
        self._hook(RunEnded(stopped_by=None if failure is None else type(failure).__name__))

    def _tell_pace(self, progress: Progress) -> None:
        self._hook(
            Pace(
                in_flight=progress.in_flight,
                queued=self._queued,
                rate=progress.rate,
                rate_limit=progress.rate_limit,
                concurrency_limit=progress.concurrency_limit,
                delays=tuple(delay.cause for delay in progress.delays),
            )
        )
