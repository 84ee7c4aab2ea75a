"""Webhooks: the platform's POSTs to the account's URLs."""

from __future__ import annotations

import asyncio
import heapq
import json
import logging
from collections import Counter, deque
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from attrs import define, evolve, field

from connectus_async.emulator.disorder import NO_DISORDER, WebhookDisorder
from connectus_async.emulator.messages import next_change, status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from connectus_async.emulator.messages import Received
    from connectus_async.emulator.state import State

_log: Final = logging.getLogger(__name__)
_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)
_JSON: Final = {"Content-Type": "application/json"}
_WORKERS: Final = 32
_ANSWER_BYTES: Final = 1_024
_POLL_SECONDS: Final = 0.02
"""Poll interval: a test may move the clock, so no single sleep can wait for it."""


@define(eq=False)
class Post:
    """A body for a URL, with its retries."""

    id: str
    url: str
    body: bytes = field(repr=False)
    retries: int = 0

    @classmethod
    def of(cls, url: str, body: dict[str, Any]) -> Post:
        """Make a post of `body` as JSON; posts with the same ``id_sms`` stay in order."""
        return cls(body["id_sms"], url, json.dumps(body).encode())


@define(repr=False, eq=False)
class _Tracked:
    """A message whose status still changes; `number` counts them."""

    number: int
    next: datetime
    status_name: str | None = None
    changes: int = 0
    swapped: list[Post] = field(factory=list[Post])
    """Swapped posts, which follow the next change, newest first."""


@define(kw_only=True, repr=False, eq=False)
class Webhooks:
    """POSTs each change of an SMS's status, in order for each SMS apart from injected disorder.

    Every change is posted, even if the clock jumps over several. `disorder` and `retry_pauses` are
    called again for each change and each failure. `seen` is called with each post, the status of
    its answer and the beginning of the body.
    """

    state: State
    session: aiohttp.ClientSession
    status_url: str
    seed: int
    disorder: Callable[[], WebhookDisorder]
    retry_pauses: Callable[[], Sequence[float]]
    counts: Counter[str]
    seen: Callable[[Post, int | None, bytes], None] | None = None
    _tracked: dict[str, _Tracked] = field(factory=dict[str, _Tracked])
    _numbers: Iterator[int] = field(factory=lambda: count(1))
    _planned: list[tuple[datetime, int, Callable[[], None]]] = field(
        factory=list[tuple["datetime", int, "Callable[[], None]"]]
    )
    _serial: Iterator[int] = field(factory=count)
    _queues: dict[str, deque[Post]] = field(factory=dict[str, deque[Post]])
    _ready: asyncio.Queue[deque[Post]] = field(factory=asyncio.Queue[deque[Post]])
    _idle: asyncio.Event = field(factory=asyncio.Event)

    def watch(self, message: Received) -> None:
        """Post the message's status now and whenever it changes."""
        now = self.state.clock()
        tracked = self._tracked.get(message.id)
        if tracked is None:
            tracked = self._tracked[message.id] = _Tracked(next(self._numbers), now)
        self._schedule_check(message, tracked, now)

    async def run(self) -> None:
        """Post what is due until cancelled, then drop the rest."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_WORKERS):
                    group.create_task(self._work())
                while True:
                    self._run_due()
                    await asyncio.sleep(_POLL_SECONDS)
        finally:
            self._planned.clear()
            self._queues.clear()
            self._idle.set()

    async def settled(self) -> None:
        """Wait until every due webhook is posted and answered."""
        self._run_due()
        while self._queues:
            self._idle.clear()
            await self._idle.wait()
            self._run_due()

    async def post(self, post: Post) -> int | None:
        """Post once; after a failure, schedule the next retry, if any.

        Returns:
            The HTTP status of the response, or None without one.
        """
        self.counts["posted"] += 1
        if post.retries:
            self.counts["retried"] += 1
        answer = await self._try(post)
        if answer is None or not 200 <= answer < 300:
            self.counts["failed"] += 1
            self._retry(post)
        return answer

    def _plan(self, moment: datetime, act: Callable[[], None]) -> None:
        heapq.heappush(self._planned, (moment, next(self._serial), act))

    def _run_due(self) -> None:
        now = self.state.clock()
        while self._planned and self._planned[0][0] <= now:
            heapq.heappop(self._planned)[2]()

    def _schedule_check(self, message: Received, tracked: _Tracked, moment: datetime) -> None:
        tracked.next = moment
        self._plan(moment, partial(self._check, message, tracked, moment))

    def _check(self, message: Received, tracked: _Tracked, moment: datetime) -> None:
        if moment != tracked.next or message.id not in self._tracked:
            return  # the delivery was rescheduled, and a later check replaces this one
        due = self.state.due(message)
        status_name = status(message.recipient, due, moment)
        change = next_change(message.recipient, due, moment)
        if status_name != tracked.status_name:
            tracked.status_name = status_name
            self._announce(message.id, tracked, moment, last=change is None)
        if change is None:
            del self._tracked[message.id]
        else:
            self._schedule_check(message, tracked, change)

    def _announce(self, id_sms: str, tracked: _Tracked, moment: datetime, *, last: bool) -> None:
        affected = self._affects(tracked, last=last)
        self.counts.update(affected)
        post = Post.of(self.status_url, {"status": tracked.status_name, "id_sms": id_sms})
        posts = [] if "lost" in affected else [post]
        if "duplicated" in affected:
            posts.append(evolve(post))
        posts += tracked.swapped
        tracked.swapped = []
        if "swapped" in affected:
            tracked.swapped = posts
        elif "late" in affected:
            late = timedelta(seconds=self.disorder().late_by)
            self._plan(moment + late, partial(self._enqueue, posts))
        else:
            self._enqueue(posts)

    def _affects(self, tracked: _Tracked, *, last: bool) -> set[str]:
        tracked.changes += 1
        disorder = self.disorder()
        if disorder == NO_DISORDER:
            return set()
        return disorder.strikes(self.seed, tracked.number, tracked.changes, last=last)

    def _enqueue(self, posts: list[Post]) -> None:
        for post in posts:
            queue = self._queues.setdefault(post.id, deque())
            queue.append(post)
            if len(queue) == 1:
                self._ready.put_nowait(queue)

    async def _work(self) -> None:
        while True:
            queue = await self._ready.get()
            await self.post(queue[0])
            self._next_in(queue)

    def _next_in(self, queue: deque[Post]) -> None:
        post = queue.popleft()
        if queue:
            self._ready.put_nowait(queue)
            return
        del self._queues[post.id]
        if not self._queues:
            self._idle.set()

    def _retry(self, post: Post) -> None:
        pauses = self.retry_pauses()
        if post.retries < len(pauses):
            pause = timedelta(seconds=pauses[post.retries])
            self._plan(self.state.clock() + pause, partial(self._enqueue, [post]))
            post.retries += 1

    async def _try(self, post: Post) -> int | None:
        request = self.session.post(
            post.url, data=post.body, headers=_JSON, timeout=_TIMEOUT, allow_redirects=False
        )
        try:
            async with request as response:
                await self._show(post, response)
                return response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("a webhook did not respond: %s", type(error).__name__)
            if self.seen is not None:
                self.seen(post, None, b"")
            return None

    async def _show(self, post: Post, response: aiohttp.ClientResponse) -> None:
        if self.seen is None:
            return
        beginning = b""
        with suppress(aiohttp.ClientError, TimeoutError):  # the status is the answer
            beginning = await response.content.read(_ANSWER_BYTES)
        self.seen(post, response.status, beginning)


def incoming_sms(id_sms: str, src_number: str, dst_number: str, sms_content: str) -> dict[str, Any]:
    """Make the body of an incoming SMS."""
    return {
        "src_provider": "Emulator",
        "id_sms": id_sms,
        "src_number": src_number,
        "dst_number": dst_number,
        "sms_content": sms_content,
        "sms_content_binary": sms_content.encode(errors="surrogatepass").hex(),
    }
