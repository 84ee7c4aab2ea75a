"""The way between the owner of a ledger and a sender in another process: frames over a socket.

All that waits at the end of a turn of the loop is one frame and one write, so a busy campaign pays
for few of them. A frame is its length and a list of tuples, as `marshal` writes it: both ends are
of one version and one interpreter, and nobody else has the socket.
"""

import asyncio
import marshal
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

Item = tuple[Any, ...]
"""A word, which says what it is about, and what belongs to it."""

HEAD: Final = struct.Struct("!I")
MOST_BYTES: Final = 2**28
"""In one frame, which the longest email is far from."""


class Link(asyncio.Protocol):
    """One end of the way.

    Args:
        received: Called with what has come, many items at a time.
        lost: Called when the other end has gone, or this one was closed.
    """

    def __init__(
        self, received: Callable[[Sequence[Item]], object], lost: Callable[[], object]
    ) -> None:
        self._received = received
        self._lost = lost
        self._coming = bytearray()
        self._going: list[Item] = []
        self._transport: asyncio.Transport | None = None
        self._is_lost = self._is_reading = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take hold of the socket."""
        self._transport = cast("asyncio.Transport", transport)
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Tell that there is no way any more."""
        if self._is_lost:
            return
        try:
            self._read()
        finally:
            self._transport, self._is_lost = None, True
            self._going.clear()
            self._lost()

    def data_received(self, data: bytes) -> None:
        """Have what has come read in a call of its own: uvloop keeps a Ctrl-C here to itself."""
        if not self._is_reading:
            self._is_reading = True
            asyncio.get_running_loop().call_soon(self._read)
        self._coming += data

    def _read(self) -> None:
        self._is_reading = False
        try:
            self._read_frames()
        except Exception:
            self._coming.clear()
            if self._transport is not None:
                self._transport.abort()
            raise

    def _read_frames(self) -> None:
        while len(self._coming) >= HEAD.size:
            (length,) = HEAD.unpack_from(self._coming)
            _check(length)
            end = HEAD.size + length
            if len(self._coming) < end:
                return
            frame = self._coming[HEAD.size : end]
            del self._coming[:end]  # before it is acted upon, which Ctrl-C may cut off
            self._received(marshal.loads(frame))  # noqa: S302 - see above

    def send(self, *item: Any) -> None:
        """Send an item with the next frame; into nothing if the other end has gone."""
        if self._is_lost:
            return
        if not self._going:
            asyncio.get_running_loop().call_soon(self._write)
        self._going.append(item)

    def close(self) -> None:
        """Let go of the socket, once all has been sent; without one, there never will be any."""
        self._write()
        if self._transport is not None:
            self._transport.close()
        if self._transport is None or not self._transport.is_closing():
            self.connection_lost(None)  # uvloop tells nobody if it was cut off while it was made

    def _write(self) -> None:
        if self._transport is None or not self._going:
            return  # what is sent before there is a way waits for it
        items, self._going = self._going, []
        frame = marshal.dumps(items)
        try:
            _check(len(frame))
        except ValueError:
            self._transport.abort()  # or the other end would wait for it
            raise
        try:
            self._transport.write(HEAD.pack(len(frame)) + frame)
        except RuntimeError:  # the same: it is closed, which only this tells
            self.connection_lost(None)


def _check(length: int) -> None:
    if length > MOST_BYTES:
        raise ValueError(f"a frame of {length:,} bytes")
