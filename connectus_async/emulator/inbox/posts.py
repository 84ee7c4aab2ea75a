"""Webhooks that were sent, with their answers, and replies: the newest, in bounded memory."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import define, field, frozen

if TYPE_CHECKING:
    from datetime import datetime

    from connectus_async.emulator.webhooks import Post

_POSTS: Final = 50_000
_REPLIES: Final = 10_000


@frozen(repr=False)
class SentWebhook:
    """One request of a webhook; `status` is None if there was no answer."""

    id_sms: str
    time: datetime
    url: str
    body: bytes
    retry: int
    status: int | None
    answer: bytes

    def shown(self) -> dict[str, Any]:
        """Return it as JSON, without the query and the user of its URL, which may be secret."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return {
            "time": self.time.isoformat(),
            "url": f"{parts.scheme}://{host}{parts.path}",
            "body": self.body.decode(),
            "retry": self.retry,
            "status": self.status,
            "answer": self.answer.decode(errors="replace"),
        }


@frozen(repr=False)
class Reply:
    """An SMS from a recipient to the account."""

    id: str
    time: datetime
    src: str
    dst: str
    text: str

    def shown(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "id": self.id,
            "time": self.time.isoformat(),
            "from": self.src,
            "to": self.dst,
            "text": self.text,
        }


@define(eq=False, repr=False)
class Posts:
    """The newest webhooks by the id of their SMS, and the newest replies."""

    _posts: deque[SentWebhook] = field(factory=deque[SentWebhook])
    _by_id: dict[str, list[SentWebhook]] = field(factory=dict[str, list[SentWebhook]])
    _replies: deque[Reply] = field(factory=lambda: deque[Reply](maxlen=_REPLIES))

    def add(self, post: Post, time: datetime, status: int | None, answer: bytes) -> None:
        """Record an attempt."""
        sent = SentWebhook(post.id, time, post.url, post.body, post.retries, status, answer)
        self._posts.append(sent)
        self._by_id.setdefault(post.id, []).append(sent)
        if len(self._posts) > _POSTS:
            oldest = self._posts.popleft().id_sms
            self._by_id[oldest].pop(0)
            if not self._by_id[oldest]:
                del self._by_id[oldest]

    def add_reply(self, reply: Reply) -> None:
        """Record a reply."""
        self._replies.append(reply)

    def of(self, id_sms: str) -> list[SentWebhook]:
        """Return the webhooks of an SMS, oldest first."""
        return self._by_id.get(id_sms, [])

    def replies_of(self, number: str) -> list[Reply]:
        """Return the replies of a number, oldest first."""
        return [reply for reply in self._replies if reply.src == number]

    def clear(self) -> None:
        """Forget all."""
        self._posts.clear()
        self._by_id.clear()
        self._replies.clear()
