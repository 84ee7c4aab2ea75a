"""The ledger of a campaign as a sender sees it whose process does not own it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import attrs

from connectus_async.bulk.guards import Refusal
from connectus_async.bulk.progress import Progress
from connectus_async.errors import CampaignStoppedError, LedgerError
from connectus_async.ledger.null import NullLedger
from connectus_async.ledger.records import Claim, Entry
from connectus_async.ledger.states import SkipReason, State
from connectus_async.workers.frames import Item, Link

Rows = Sequence[tuple[int, Entry]]
ValueT = TypeVar("ValueT")


@attrs.frozen
class Private(Generic[ValueT]):
    """What a future is to hold that a debugged loop may log."""

    value: ValueT = attrs.field(repr=False)


class RemoteLedger(NullLedger):
    """Asks the owner, and tells it; what a sender does not need to send is the owner's alone.

    It knows only what was handed out by `queued`.

    Args:
        lost: Called when the owner has gone: nothing can be put down any more.

    Attributes:
        link: The way to the owner.
        on_stop: Called when nothing more is to be sent.
    """

    def __init__(self, lost: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        self.link = Link(self._receive, self._end)
        self.on_stop: Callable[[], object] = _nothing
        self._loop = loop
        self._job: asyncio.Future[Private[Mapping[str, Any]]] = loop.create_future()
        self._lost = lost
        self._left: asyncio.Future[None] | None = None
        self._is_stopped = False
        self._begun: dict[int, asyncio.Future[Claim]] = {}
        self._handed: asyncio.Future[Private[Rows]] | None = None
        self._asked: asyncio.Future[bool] | None = None
        self._answers: Final[Mapping[str, Callable[..., None]]] = {
            "job": self._take_job,
            "rows": self._take,
            "grant": self._grant,
            "refuse": self._refuse,
            "fail": self._fail,
            "stop": self._stop,
            "go on": lambda: self._go(on=True),
            "leave": lambda: self._go(on=False),
        }

    async def job(self) -> Mapping[str, Any]:
        """Wait for what the owner wants to be done."""
        return (await self._job).value

    def begin(
        self,
        entry: Entry,  # noqa: ARG002
        number: int | None,
    ) -> Awaitable[Claim]:
        """Ask whether a message may leave. See `Ledger.begin`.

        Raises:
            Refusal: When awaited: the owner knows why it may not.
        """
        claim: asyncio.Future[Claim] = self._loop.create_future()
        self._begun[_known(number)] = claim
        self.link.send("begin", number)
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
        """Tell what became of an attempt. See `Ledger.finish`."""
        self.link.send("finish", number, state._value_, reason, provider_id, is_kept)

    def put(
        self,
        entry: Entry,  # noqa: ARG002
        number: int | None,
        skipped: SkipReason | None = None,
        reason: str | None = None,
    ) -> None:
        """Tell that a message is not going to be sent, or waits. See `Ledger.put`."""
        self.link.send("put", _known(number), skipped and skipped.value, reason)

    async def queued(self, after: int, limit: int) -> Rows:  # noqa: ARG002 - the owner knows
        """Take messages that nobody else is handed. See `Ledger.queued`.

        The next ones are asked for at once, for they are needed before they could have come.
        """
        if self._is_stopped:
            return ()
        rows = (await (self._handed or self._ask(limit))).value
        self._handed = self._ask(limit) if rows else None
        return () if self._is_stopped else rows

    async def done(self, failure: str | None) -> bool:
        """Tell that all is sent, or why not; wait for the word whether there is more.

        Args:
            failure: What every further message would meet too.
        """
        self._asked = self._loop.create_future()
        self.link.send("done", failure)
        return await self._asked

    async def leave(self) -> None:
        """Let go of the way to the owner."""
        self._left = self._loop.create_future()
        self.link.close()
        await self._left

    def tell(self, line: int | None, state: State, skipped: SkipReason | None, error: str) -> None:
        """Name a message that was not accepted."""
        self.link.send("tell", line, state.value, skipped and skipped.value, error)

    def tell_pace(self, now: Progress) -> None:
        """Tell how the sender is paced."""
        limits = now.rate_limit, now.concurrency_limit, now.is_paused
        self.link.send("pace", now.rate, *limits)

    def _ask(self, limit: int) -> "asyncio.Future[Private[Rows]]":
        self._handed = self._loop.create_future()
        self.link.send("hand out", limit)
        return self._handed

    def _end(self) -> None:
        if self._left is None:
            self._lost()
        else:
            self._left.set_result(None)

    def _receive(self, items: Sequence[Item]) -> None:
        for word, *rest in items:
            self._answers[word](*rest)

    def _take_job(self, job: Mapping[str, Any]) -> None:
        self._job.set_result(Private(job))

    def _take(self, rows: Sequence[tuple[Any, ...]]) -> None:
        if self._handed is not None and not self._handed.done():
            entries = [(number, Entry(*columns)) for number, *columns in rows]
            self._handed.set_result(Private(entries))

    def _grant(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            claim = self._begun.pop(number)
            if not claim.done():
                claim.set_result(Claim(number))

    def _refuse(self, number: int, skipped: str | None, sentence: str) -> None:
        reason = None if skipped is None else SkipReason(skipped)
        self._deny(number, Refusal(reason, CampaignStoppedError(sentence)))

    def _fail(self, number: int, ledger: str, problem: str) -> None:
        self._deny(number, LedgerError(ledger, problem))

    def _deny(self, number: int, error: Exception) -> None:
        claim = self._begun.pop(number)
        if not claim.done():
            claim.set_exception(error)

    def _stop(self) -> None:
        self._is_stopped = True
        self.on_stop()

    def _go(self, *, on: bool) -> None:
        if self._asked is not None:
            self._asked.set_result(on)


def _known(number: int | None) -> int:
    if number is None:
        raise ValueError("only the owner of a ledger puts new messages down")
    return number


def _nothing() -> None:
    """Nothing is under way yet."""
