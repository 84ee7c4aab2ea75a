"""Feed of a run: messages of a source or a ledger, one at a time for many workers."""

import asyncio
import sys
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Final

import attrs

from connectus_async.bulk.channels import Channel
from connectus_async.bulk.quiet_messages import QuietMessages
from connectus_async.ledger.abc import SendingLedger
from connectus_async.ledger.records import Entry
from connectus_async.products.messages import Message, Row

Messages = Iterable[Message | Row] | AsyncIterable[Message | Row]

ROWS_A_READ: Final = 500
"""Messages that are read from a ledger at a time."""

GRACE: Final = 5.0
"""Seconds for a source to give a message that it is about to, after the campaign has failed."""

STOPPED: Final = "it was stopped before"
CANCELLED: Final = "the source of the messages was cancelled"


@attrs.define
class Job:
    """A message on its way through the sender.

    Attributes:
        index: Position in the source, from 0.
        line: Line of the file, if the source is a file.
        content: The message, or the error in its place.
        key: The user's key for the message.
        entry: Entry of the message, after it was checked.
        number: Number of the entry, after it is in the ledger.
        weight: Cost of the message for the rate.
        doubts: Number of refusals that need not be the API's.
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
    """Messages still to be sent. Workers pull it when they are free, never ahead.

    Args:
        items: Messages that can be had without waiting.
        more: Called when `items` is at its end, to wait for further ones.
        grace: Seconds for `more` to return after the campaign has failed.

    Attributes:
        failure: Failure that stopped it before its end.
        is_stopped: Whether nothing more is to be sent, not even a message already pulled.
        is_exhausted: Whether the source is at its end; messages already pulled are still sent.
    """

    def __init__(
        self,
        items: Iterator[Item],
        more: Callable[[], Awaitable[Iterator[Item]]] | None = None,
        *,
        grace: float = GRACE,
    ) -> None:
        self.failure: Exception | None = None
        self.is_stopped = self.is_exhausted = False
        self._items = items
        self._more = more
        self._grace_seconds = grace
        self._lock = asyncio.Lock()
        self._pulling: asyncio.Task[object] | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._pulled = 0

    def stop(self, failure: Exception | None = None) -> None:
        """Give no further message.

        After a failure a source that is being waited for has some seconds: a message that it is
        about to give would be lost. It has no more, for it may wait for messages all day. Without a
        failure it is cancelled at once.

        Args:
            failure: The failure, if there is one.
        """
        self.is_stopped = True
        self.failure = self.failure or failure
        if self._pulling is None:
            return
        if failure is None or not self._grace_seconds:
            self._pulling.cancel()
        elif self._grace is None:
            loop = self._pulling.get_loop()
            self._grace = loop.call_later(self._grace_seconds, self._pulling.cancel)

    def ask_again(self) -> None:
        """Wait for further messages once more, since one that it gave was taken back."""
        if self._more is not None and self.failure is None:
            self.is_exhausted = False

    async def pull(self) -> Job | None:
        """Wait for the next message; ``None`` at the end."""
        job = self.next()
        if job is None and self._more is not None:
            async with self._lock:
                job = self.next() or await self._next(self._more)
        return job

    def next(self) -> Job | None:
        """Take the next message if that needs no wait; ``None`` if it does, and at the end."""
        if self.is_stopped or self.is_exhausted:
            return None
        try:
            return self._job(next(self._items))
        except StopIteration:
            if self._more is None:
                self._end()
        except (asyncio.CancelledError, GeneratorExit):  # the source's own, not ours
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
    """Make a feed of the messages of a caller."""
    if not isinstance(messages, AsyncIterable):
        return Feed(iter(messages))
    source = aiter(messages)

    async def more() -> Iterator[Item]:
        return iter((await anext(source),))

    return Feed(iter(()), more)


def from_ledger(
    ledger: SendingLedger,
    channels: Mapping[str, Channel],
    quiet: QuietMessages | None = None,
    limit: int | None = None,
) -> Feed:
    """Make a feed of the messages that are queued in a ledger.

    Args:
        ledger: The ledger.
        channels: The channel of each kind of message.
        quiet: The messages that are refused in quiet hours, to give them again when these end;
            ``None`` to give each message once.
        limit: Maximum number of messages to give; without ``quiet``.
    """
    last = 0
    left = sys.maxsize if limit is None else limit

    def job(row: tuple[int, Entry]) -> Job:
        number, entry = row
        message = channels[entry.kind].restored(entry)
        return Job(0, entry.line, message, entry=entry, number=number)

    async def more() -> Iterator[Item]:
        nonlocal last, left
        while not left or not (batch := await ledger.queued(last, min(ROWS_A_READ, left))):
            if quiet is None or not await quiet.until_some_end():
                raise StopAsyncIteration
            last = 0
        last = batch[-1][0]
        left -= len(batch)
        return map(job, batch)

    return Feed(iter(()), more, grace=0)  # the ledger loses nothing
