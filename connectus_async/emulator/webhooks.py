"""What the platform POSTs to the account's webhooks."""

from __future__ import annotations

import asyncio
import heapq
import logging
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from attrs import define, field

from connectus_async.emulator.messages import next_change

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from connectus_async.emulator.messages import Received
    from connectus_async.emulator.state import State

_log: Final = logging.getLogger(__name__)
_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)
_AT_ONCE: Final = 32
_LOOK_AGAIN: Final = 0.02
"""The clock may be one that a test moves: no single sleep can wait for it."""


@define(repr=False, eq=False)
class StatusWebhook:
    """POSTs each change of an SMS's status, in order for each SMS, once and without repetition."""

    _url: str
    _state: State
    _session: aiohttp.ClientSession
    _told: dict[str, str | None] = field(factory=dict[str, str | None])
    _due: list[tuple[datetime, int, Received]] = field(
        factory=list[tuple["datetime", int, "Received"]]
    )
    _serial: Iterator[int] = field(factory=count)

    def watch(self, message: Received) -> None:
        """Tell of the message's status now and from now on."""
        self._told.setdefault(message.id, None)
        heapq.heappush(self._due, (self._state.clock(), next(self._serial), message))

    async def run(self) -> None:
        """Send what is due, for ever."""
        while True:
            batch = list(islice(self._pop_due(), _AT_ONCE))
            if batch:
                await asyncio.gather(*map(self._tell, batch))
            else:
                await asyncio.sleep(_LOOK_AGAIN)

    def _pop_due(self) -> Iterator[Received]:
        now = self._state.clock()
        while self._due and self._due[0][0] <= now:
            yield heapq.heappop(self._due)[2]

    async def _tell(self, message: Received) -> None:
        if message.id not in self._told:
            return
        now, due = self._state.clock(), self._state.due(message)
        word = self._state.status(message)
        if self._told[message.id] != word:
            self._told[message.id] = word
            await post(self._session, self._url, {"status": word, "id_sms": message.id})
        change = next_change(message.recipient, due, now)
        if change is None:
            self._told.pop(message.id, None)
        else:
            heapq.heappush(self._due, (change, next(self._serial), message))


async def post(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> int | None:
    """The status of the answer, or None when there was none."""
    try:
        async with session.post(url, json=body, timeout=_TIMEOUT) as response:
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
