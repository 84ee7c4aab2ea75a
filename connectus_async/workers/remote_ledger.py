"""Ledger of a campaign as a sender process sees it: by questions to the dispatcher."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import attrs

from connectus_async.bulk.guards import Refusal
from connectus_async.bulk.progress import Progress
from connectus_async.errors import CampaignStoppedError, LedgerError
from connectus_async.ledger.null import NullLedger
from connectus_async.ledger.records import Attendance, Claim, Entry, Instructions, Throttling
from connectus_async.ledger.states import SkipReason, State
from connectus_async.workers.frames import FrameProtocol, Item

Rows = Sequence[tuple[int, Entry]]
ValueT = TypeVar("ValueT")


@attrs.frozen
class Private(Generic[ValueT]):
    """Value of a future, hidden from the log of a debugged event loop."""

    value: ValueT = attrs.field(repr=False)


class RemoteLedger(NullLedger):
    """Asks the dispatcher for messages and for permission to send them, and reports the outcomes.

    It knows only the messages that `queued` has returned.

    Args:
        lost: Called when the dispatcher has gone: no outcome can be recorded any more.

    Attributes:
        protocol: The connection to the dispatcher.
        on_stop: Called when nothing more is to be sent.
    """

    def __init__(self, lost: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        self.protocol = FrameProtocol(self._receive, self._end)
        self.on_stop: Callable[[], object] = _nothing
        self._loop = loop
        self._job: asyncio.Future[Private[Mapping[str, Any]]] = loop.create_future()
        self._lost = lost
        self._left: asyncio.Future[None] | None = None
        self._is_stopped = False
        self._claims: dict[int, asyncio.Future[Claim]] = {}
        self._assigned: asyncio.Future[Private[Rows]] | None = None
        self._continues: asyncio.Future[bool] | None = None
        self._instructed: asyncio.Future[Instructions] | None = None
        self._handlers: Final[Mapping[str, Callable[..., None]]] = {
            "job": self._receive_job,
            "assigned": self._receive_assigned,
            "grant": self._grant,
            "refuse": self._refuse,
            "fail": self._fail,
            "instruct": self._instruct,
            "stop": self._stop,
            "continue": lambda: self._continue(on=True),
            "leave": lambda: self._continue(on=False),
        }

    async def job(self) -> Mapping[str, Any]:
        """Wait for the job."""
        return (await self._job).value

    def begin(
        self,
        entry: Entry,  # noqa: ARG002
        number: int | None,
    ) -> Awaitable[Claim]:
        """Ask for permission to send a message. See `Ledger.begin`.

        Raises:
            Refusal: When awaited: the dispatcher refuses.
        """
        claim: asyncio.Future[Claim] = self._loop.create_future()
        self._claims[_known(number)] = claim
        self.protocol.send("begin", number)
        return claim

    def finish(
        self,
        entry: Entry,  # noqa: ARG002
        number: int,
        state: State,
        reason: str | None,
        provider_id: str | None,
        *,
        is_kept: bool = False,
    ) -> None:
        """Report the outcome of an attempt. See `Ledger.finish`."""
        self.protocol.send("finish", number, state._value_, reason, provider_id, is_kept)

    def put(
        self,
        entry: Entry,  # noqa: ARG002
        number: int | None,
        skipped: SkipReason | None = None,
        reason: str | None = None,
    ) -> None:
        """Report that a message is skipped, or stays queued. See `Ledger.put`."""
        self.protocol.send("put", _known(number), skipped and skipped.value, reason)

    async def queued(self, after: int, limit: int) -> Rows:  # noqa: ARG002 - the dispatcher knows
        """Get messages that are assigned to nobody else. See `Ledger.queued`.

        The next ones are requested at once, so that they are here when they are needed.
        """
        if self._is_stopped:
            return ()
        rows = (await (self._assigned or self._ask(limit))).value
        self._assigned = self._ask(limit) if rows else None
        return () if self._is_stopped else rows

    async def attend(self, attendance: Attendance) -> Instructions:
        """Report to the dispatcher, and get its instructions. See `Ledger.attend`."""
        _, _, demand, throttling, stopped, _ = attendance
        self.protocol.send("attend", demand, throttling and tuple(throttling), stopped)
        if self._is_stopped:
            return _NOTHING_MORE
        self._instructed = self._loop.create_future()
        return await self._instructed

    async def done(self, failure: str | None) -> bool:
        """Report that all assigned messages are sent, or the reason why not.

        Args:
            failure: The error that every further message would meet too.

        Returns:
            Whether there are more messages to send.
        """
        self._continues = self._loop.create_future()
        self.protocol.send("done", failure)
        return await self._continues

    async def leave(self) -> None:
        """Close the connection to the dispatcher."""
        self._left = self._loop.create_future()
        self.protocol.close()
        await self._left

    def tell(self, line: int | None, state: State, skipped: SkipReason | None, error: str) -> None:
        """Name a message that was not accepted."""
        self.protocol.send("tell", line, state.value, skipped and skipped.value, error)

    def tell_progress(self, progress: Progress) -> None:
        """Report the pace of this sender."""
        limits = progress.rate_limit, progress.concurrency_limit
        delays = [delay.as_dict() for delay in progress.delays]
        self.protocol.send("pace", progress.rate, *limits, progress.is_paused, delays)

    def _ask(self, limit: int) -> "asyncio.Future[Private[Rows]]":
        self._assigned = self._loop.create_future()
        self.protocol.send("assign", limit)
        return self._assigned

    def _end(self) -> None:
        if self._left is None:
            self._lost()
        else:
            self._left.set_result(None)

    def _receive(self, items: Sequence[Item]) -> None:
        for name, *values in items:
            self._handlers[name](*values)

    def _receive_job(self, job: Mapping[str, Any]) -> None:
        self._job.set_result(Private(job))

    def _receive_assigned(self, rows: Sequence[tuple[Any, ...]]) -> None:
        if self._assigned is not None and not self._assigned.done():
            entries = [(number, Entry(*columns)) for number, *columns in rows]
            self._assigned.set_result(Private(entries))

    def _grant(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            claim = self._claims.pop(number)
            if not claim.done():
                claim.set_result(Claim(number))

    def _refuse(self, number: int, skipped: str | None, sentence: str) -> None:
        reason = None if skipped is None else SkipReason(skipped)
        self._deny(number, Refusal(reason, CampaignStoppedError(sentence)))

    def _fail(self, number: int, ledger: str, problem: str) -> None:
        self._deny(number, LedgerError(ledger, problem))

    def _deny(self, number: int, error: Exception) -> None:
        claim = self._claims.pop(number)
        if not claim.done():
            claim.set_exception(error)

    def _instruct(
        self,
        rate: float | None,
        lasts: float,
        paused_for: float,
        paused_by: str | None,
        throttling: tuple[float, float] | None,
        *start: Any,
    ) -> None:
        heard = throttling and Throttling(*throttling)
        self._follow(Instructions(rate, lasts, paused_for, paused_by, None, heard, *start))

    def _follow(self, instructions: Instructions) -> None:
        if self._instructed is not None and not self._instructed.done():
            self._instructed.set_result(instructions)

    def _stop(self) -> None:
        self._is_stopped = True
        self._follow(_NOTHING_MORE)
        self.on_stop()

    def _continue(self, *, on: bool) -> None:
        if self._continues is not None:
            self._continues.set_result(on)


def _known(number: int | None) -> int:
    if number is None:
        raise ValueError("only the dispatcher records new messages")
    return number


def _nothing() -> None:
    """Do nothing: no message is under way yet."""


_NOTHING_MORE: Final = Instructions(rate=0.0)
