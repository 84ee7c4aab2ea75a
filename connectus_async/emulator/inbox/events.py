"""Tells pages that something has changed, by server-sent events."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiohttp import web
from attrs import define, field

from connectus_async.emulator.inbox.access import HEADERS, InboxError

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST: Final = 32
_PAUSE_SECONDS: Final = 0.1
"""Between two events: a campaign changes something a thousand times a second."""
_ALIVE_SECONDS: Final = 15
_RETRY: Final = b"retry: 1000\n\n"


@define(eq=False, repr=False)
class Events:
    """The streams that are open.

    Args:
        messages: Returns the number of messages.
    """

    _messages: Callable[[], int]
    _changes: int = 0
    _streams: set[asyncio.Event] = field(factory=set[asyncio.Event])
    _closed: bool = False

    def changed(self) -> None:
        """Wake all streams."""
        self._changes += 1
        for stream in self._streams:
            stream.set()

    async def close(self, _: web.Application) -> None:
        """End all streams."""
        self._closed = True
        self.changed()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Answer with an event at once, and another soon after each change."""
        if len(self._streams) >= _MOST:
            raise InboxError(503, f"{_MOST} pages are open; close one")
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        woken = asyncio.Event()
        self._streams.add(woken)
        try:
            await response.prepare(request)
            await response.write(_RETRY)
            while not self._closed:
                woken.clear()
                await response.write(self._event())
                await self._wait(woken, response)
        except ConnectionError:
            pass  # the page was closed
        finally:
            self._streams.discard(woken)
        return response

    async def _wait(self, woken: asyncio.Event, response: web.StreamResponse) -> None:
        await asyncio.sleep(0 if self._closed else _PAUSE_SECONDS)
        while not woken.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), _ALIVE_SECONDS)
            if not woken.is_set():
                await response.write(b": alive\n\n")

    def _event(self) -> bytes:
        data = json.dumps({"changes": self._changes, "messages": self._messages()})
        return f"event: changed\ndata: {data}\n\n".encode()
