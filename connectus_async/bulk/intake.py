"""Where the messages of a run come from, one at a time for many workers."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import Final

import attrs

from connectus_async.bulk.channels import Channel
from connectus_async.bulk.ledger import Entry, Ledger
from connectus_async.bulk.outcomes import Message, Row

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
    """

    index: int
    line: int | None
    content: Message | Exception
    key: str | None = None
    entry: Entry | None = None
    number: int | None = None
    weight: int = 1

    @property
    def message(self) -> Message | None:
        """The message, if there is one."""
        return None if isinstance(self.content, Exception) else self.content


class Intake:
    """The messages that are still to be sent. It is pulled as workers are free, never ahead.

    Attributes:
        failure: What stopped it before its end.
        is_stopped: Whether nothing more is to be sent, not even what it gave.
        is_exhausted: Whether its source gives no more: what it gave is still to be sent.
    """

    def __init__(
        self, items: "Iterator[Message | Row] | AsyncIterator[Message | Row | Job]"
    ) -> None:
        self.failure: Exception | None = None
        self.is_stopped = self.is_exhausted = False
        self._items = items
        self._is_async = isinstance(items, AsyncIterator)
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
        if self._is_async:
            async with self._lock:
                item = None if self.is_stopped or self.is_exhausted else await self._next()
        else:
            item = None if self.is_stopped or self.is_exhausted else self._next_at_once()
        if item is None:
            return None
        index = self._pulled
        self._pulled += 1
        if isinstance(item, Job):
            item.index = index
            return item
        if isinstance(item, Row):
            return Job(index, item.line, item.content, item.key)
        return Job(index, None, item)

    def _next_at_once(self) -> Message | Row | None:
        try:
            return next(self._items)  # type: ignore[arg-type]
        except StopIteration:
            self._end()
        except (asyncio.CancelledError, GeneratorExit):  # of what it waited for, not of ours
            self._end(RuntimeError(CANCELLED))
        except Exception as error:  # noqa: BLE001 - raised again when all outcomes are known
            self._end(error)
        return None

    async def _next(self) -> Message | Row | Job | None:
        task = self._pulling = asyncio.current_task()
        try:
            return await anext(self._items)  # type: ignore[arg-type]
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

    def _end(self, failure: Exception | None = None) -> None:
        self.is_exhausted = True
        self.failure = self.failure or failure


def from_messages(messages: Messages) -> Intake:
    """Take what a caller gives."""
    if isinstance(messages, AsyncIterable):
        return Intake(aiter(messages))
    return Intake(iter(messages))


def from_ledger(ledger: Ledger, channels: Mapping[str, Channel]) -> Intake:
    """Take what waits in a ledger, as far as it waits there now."""
    return Intake(_queued(ledger, channels))


async def _queued(ledger: Ledger, channels: Mapping[str, Channel]) -> AsyncIterator[Job]:
    last = 0
    while batch := await ledger.queued(last, QUEUED_A_READ):
        for number, entry in batch:
            message = channels[entry.kind].restored(entry)
            yield Job(0, entry.line, message, entry=entry, number=number)
        last = batch[-1][0]
