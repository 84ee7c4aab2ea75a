"""What the platform POSTs to the account's webhooks."""

from __future__ import annotations

import asyncio
import heapq
import json
import logging
from collections import Counter, deque
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
_AT_ONCE: Final = 32
_LOOK_AGAIN: Final = 0.02
"""The clock may be one that a test moves: no single sleep can wait for it."""


@define(eq=False)
class Post:
    """One body for one URL, which may take some tries."""

    id: str
    url: str
    body: bytes = field(repr=False)
    retries: int = 0

    @classmethod
    def of(cls, url: str, body: dict[str, Any]) -> Post:
        """`body` as JSON; its message's id is what it is ordered by."""
        return cls(body["id_sms"], url, json.dumps(body).encode())


@define(repr=False, eq=False)
class _Followed:
    """A message whose status still changes, the so-manyth that is followed."""

    number: int
    next: datetime
    word: str | None = None
    changes: int = 0
    held: list[Post] = field(factory=list[Post])
    """Swapped: to be posted after the next change, the youngest change first."""


@define(kw_only=True, repr=False, eq=False)
class Webhooks:
    """POSTs each change of an SMS's status, in order for each SMS unless disorder is on order.

    Every change is told of, even where the clock jumps over several. `disorder` and
    `retry_pauses` are asked anew for each change and each failure.
    """

    state: State
    session: aiohttp.ClientSession
    status_url: str
    seed: int
    disorder: Callable[[], WebhookDisorder]
    retry_pauses: Callable[[], Sequence[float]]
    counts: Counter[str]
    _followed: dict[str, _Followed] = field(factory=dict[str, _Followed])
    _numbers: Iterator[int] = field(factory=lambda: count(1))
    _planned: list[tuple[datetime, int, Callable[[], None]]] = field(
        factory=list[tuple["datetime", int, "Callable[[], None]"]]
    )
    _serial: Iterator[int] = field(factory=count)
    _lanes: dict[str, deque[Post]] = field(factory=dict[str, deque[Post]])
    _ready: asyncio.Queue[deque[Post]] = field(factory=asyncio.Queue[deque[Post]])
    _idle: asyncio.Event = field(factory=asyncio.Event)

    def watch(self, message: Received) -> None:
        """Tell of the message's status now and from now on."""
        now = self.state.clock()
        followed = self._followed.get(message.id)
        if followed is None:
            followed = self._followed[message.id] = _Followed(next(self._numbers), now)
        self._look_at(message, followed, now)

    async def run(self) -> None:
        """Post what is due, until cancelled, and then drop the rest."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(self._work())
                while True:
                    self._take_due()
                    await asyncio.sleep(_LOOK_AGAIN)
        finally:
            self._planned.clear()
            self._lanes.clear()
            self._idle.set()

    async def settled(self) -> None:
        """Wait until all that is due was posted and answered."""
        self._take_due()
        while self._lanes:
            self._idle.clear()
            await self._idle.wait()
            self._take_due()

    async def post(self, post: Post) -> int | None:
        """Try once, and plan the next try where that failed and there is to be one.

        Returns:
            The status of the answer, or None when there was none.
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

    def _take_due(self) -> None:
        now = self.state.clock()
        while self._planned and self._planned[0][0] <= now:
            heapq.heappop(self._planned)[2]()

    def _look_at(self, message: Received, followed: _Followed, moment: datetime) -> None:
        followed.next = moment
        self._plan(moment, partial(self._look, message, followed, moment))

    def _look(self, message: Received, followed: _Followed, moment: datetime) -> None:
        if moment != followed.next or message.id not in self._followed:
            return  # the delivery was moved, and another look took the place of this one
        due = self.state.due(message)
        word = status(message.recipient, due, moment)
        change = next_change(message.recipient, due, moment)
        if word != followed.word:
            followed.word = word
            self._tell(message.id, followed, moment, last=change is None)
        if change is None:
            del self._followed[message.id]
        else:
            self._look_at(message, followed, change)

    def _tell(self, id_sms: str, followed: _Followed, moment: datetime, *, last: bool) -> None:
        struck = self._strikes(followed, last=last)
        self.counts.update(struck)
        post = Post.of(self.status_url, {"status": followed.word, "id_sms": id_sms})
        posts = [] if "lost" in struck else [post]
        if "duplicated" in struck:
            posts.append(evolve(post))
        posts += followed.held
        followed.held = []
        if "swapped" in struck:
            followed.held = posts
        elif "late" in struck:
            late = timedelta(seconds=self.disorder().late_by)
            self._plan(moment + late, partial(self._queue, posts))
        else:
            self._queue(posts)

    def _strikes(self, followed: _Followed, *, last: bool) -> set[str]:
        followed.changes += 1
        disorder = self.disorder()
        if disorder == NO_DISORDER:
            return set()
        return disorder.strikes(self.seed, followed.number, followed.changes, last=last)

    def _queue(self, posts: list[Post]) -> None:
        for post in posts:
            lane = self._lanes.setdefault(post.id, deque())
            lane.append(post)
            if len(lane) == 1:
                self._ready.put_nowait(lane)

    async def _work(self) -> None:
        while True:
            lane = await self._ready.get()
            await self.post(lane[0])
            self._next_in(lane)

    def _next_in(self, lane: deque[Post]) -> None:
        post = lane.popleft()
        if lane:
            self._ready.put_nowait(lane)
            return
        del self._lanes[post.id]
        if not self._lanes:
            self._idle.set()

    def _retry(self, post: Post) -> None:
        pauses = self.retry_pauses()
        if post.retries < len(pauses):
            pause = timedelta(seconds=pauses[post.retries])
            self._plan(self.state.clock() + pause, partial(self._queue, [post]))
            post.retries += 1

    async def _try(self, post: Post) -> int | None:
        request = self.session.post(
            post.url, data=post.body, headers=_JSON, timeout=_TIMEOUT, allow_redirects=False
        )
        try:
            async with request as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("a webhook did not answer: %s", type(error).__name__)
            return None


def incoming_sms(id_sms: str, src_number: str, dst_number: str, sms_content: str) -> dict[str, Any]:
    """The body that reports a reply."""
    return {
        "src_provider": "Emulator",
        "id_sms": id_sms,
        "src_number": src_number,
        "dst_number": dst_number,
        "sms_content": sms_content,
        "sms_content_binary": sms_content.encode(errors="surrogatepass").hex(),
    }
