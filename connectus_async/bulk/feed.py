"""Where the messages of a run come from, one at a time for many workers."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Final

import attrs

from connectus_async.bulk.channels import Channel
from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.records import Entry
from connectus_async.products.messages import Message, Row

Messages = Iterable[Message | Row] | AsyncIterable[Message | Row]

QUEUED_A_READ: Final = 500
GRACE: Final = 5.0
"""Seconds for a source to hand over what it is about to, once the campaign has failed."""

CANCELLED: Final = "the source of the messages was cancelled"


@attrs.define
class Job:
    """A message on its way through the sender.

    Attributes:
        index: Its place in the source, from 0.
        line: The line of the file that it came from, where it came from one.
        content: The message, or the error that stands in its place.
        key: The user's key for it.
        entry: Its entry, once it is checked.
        number: The number of its entry, once it is in the ledger.
        weight: How much of the rate it takes.
        doubts: How often it was refused by what need not be the API.
    """

    index: int
    line: int | None
    content: Message | Exception
    key: str | None = None
    entry: Entry | None = None
    number: int | None = None
    weight: int = 1
    doubts: int = 0

    @property
    def message(self) -> Message | None:
        """The message, if there is one."""
        return None if isinstance(self.content, Exception) else self.content


Item = Message | Row | Job


class Feed:
    """The messages that are still to be sent. It is pulled as workers are free, never ahead.

    Args:
        items: What there is at once.
        more: Called when that is at its end, for what has to be waited for.

    Attributes:
        failure: What stopped it before its end.
        is_stopped: Whether nothing more is to be sent, not even what it gave.
        is_exhausted: Whether its source gives no more: what it gave is still to be sent.
    """

    def __init__(
        self, items: Iterator[Item], more: Callable[[], Awaitable[Iterator[Item]]] | None = None
    ) -> None:
        self.failure: Exception | None = None
        self.is_stopped = self.is_exhausted = False
        self._items = items
        self._more = more
        self._lock = asyncio.Lock()
        self._pulling: asyncio.Task[object] | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._pulled = 0

    def stop(self, failure: Exception | None = None) -> None:
        """Give no more.

        What is being waited for is still given if there is a failure, for a message that the source
        is about to hand over would be lost; but it may be one that waits for messages all day.
        Without a failure, nobody wants it any more.
        """
        self.is_stopped = True
        self.failure = self.failure or failure
        if self._pulling is None:
            return
        if failure is None:
            self._pulling.cancel()
        elif self._grace is None:
            self._grace = self._pulling.get_loop().call_later(GRACE, self._pulling.cancel)

    async def pull(self) -> Job | None:
        """Take the next message, or ``None`` where there are no more."""
        job = self._next_at_once()
        if job is None and self._more is not None:
            async with self._lock:
                job = self._next_at_once() or await self._next(self._more)
        return job

    def _next_at_once(self) -> Job | None:
        if self.is_stopped or self.is_exhausted:
            return None
        try:
            return self._job(next(self._items))
        except StopIteration:
            if self._more is None:
                self._end()
        except (asyncio.CancelledError, GeneratorExit):  # of what it waited for, not of ours
            self._end(RuntimeError(CANCELLED))
        except Exception as error:  # noqa: BLE001 - raised again when all outcomes are known
            self._end(error)
        return None

    async def _next(self, more: Callable[[], Awaitable[Iterator[Item]]]) -> Job | None:
        if self.is_stopped or self.is_exhausted:
            return None
        task = self._pulling = asyncio.current_task()
        try:
            self._items = await more()
            return self._job(next(self._items))
        except StopAsyncIteration:
            self._end()
        except asyncio.CancelledError:
            if self.is_stopped and task is not None:
                task.uncancel()  # it was `stop` that cancelled it
            elif task is not None and task.cancelling():
                raise
            else:
                self._end(RuntimeError(CANCELLED))
        except GeneratorExit:
            self._end(RuntimeError(CANCELLED))
        except Exception as error:  # noqa: BLE001 - raised again when all outcomes are known
            self._end(error)
        finally:
            self._pulling = None
            if self._grace is not None:
                self._grace.cancel()
        return None

    def _job(self, item: Item) -> Job:
        index = self._pulled
        self._pulled += 1
        if isinstance(item, Job):
            item.index = index
            return item
        if isinstance(item, Row):
            return Job(index, item.line, item.content, item.key)
        return Job(index, None, item)

    def _end(self, failure: Exception | None = None) -> None:
        self.is_exhausted = True
        self.failure = self.failure or failure


def from_messages(messages: Messages) -> Feed:
    """Take what a caller gives."""
    if not isinstance(messages, AsyncIterable):
        return Feed(iter(messages))
    source = aiter(messages)

    async def more() -> Iterator[Item]:
        return iter((await anext(source),))

    return Feed(iter(()), more)


def from_ledger(ledger: Ledger, channels: Mapping[str, Channel]) -> Feed:
    """Take what waits in a ledger, as far as it waits there now."""
    last = 0

    def job(row: tuple[int, Entry]) -> Job:
        number, entry = row
        message = channels[entry.kind].restored(entry)
        return Job(0, entry.line, message, entry=entry, number=number)

    async def more() -> Iterator[Item]:
        nonlocal last
        batch = await ledger.queued(last, QUEUED_A_READ)
        if not batch:
            raise StopAsyncIteration
        last = batch[-1][0]
        return map(job, batch)

    return Feed(iter(()), more)
