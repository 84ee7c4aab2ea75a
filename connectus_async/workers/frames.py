"""Frames between the dispatcher and a sender process, over a socket.

All items of one turn of the event loop are one frame and one write, so a busy campaign writes
seldom. A frame is its length and a list of tuples in the format of `marshal`: both ends run one
version on one interpreter, and no other process has the socket.
"""

import asyncio
import marshal
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

Item = tuple[Any, ...]
"""Name of an item, followed by its values."""

HEAD: Final = struct.Struct("!I")
MAX_BYTES: Final = 2**28
"""Maximum frame size; the longest email is far below it."""


class FrameProtocol(asyncio.Protocol):
    """One end of the socket.

    Args:
        received: Called with the items that arrived, several at a time.
        lost: Called once when the connection has ended, from either end.
    """

    def __init__(
        self, received: Callable[[Sequence[Item]], object], lost: Callable[[], object]
    ) -> None:
        self._received = received
        self._lost = lost
        self._input = bytearray()
        self._output: list[Item] = []
        self._transport: asyncio.Transport | None = None
        self._is_lost = self._is_reading = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, and send the items that waited for it."""
        self._transport = cast("asyncio.Transport", transport)
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Read the rest, and report that the connection has ended."""
        if self._is_lost:
            return
        try:
            self._read()
        finally:
            self._transport, self._is_lost = None, True
            self._output.clear()
            self._lost()

    def data_received(self, data: bytes) -> None:
        """Read the data in a call of its own: uvloop drops a Ctrl-C that comes in this one."""
        if not self._is_reading:
            self._is_reading = True
            asyncio.get_running_loop().call_soon(self._read)
        self._input += data

    def _read(self) -> None:
        self._is_reading = False
        try:
            self._read_frames()
        except Exception:
            self._input.clear()
            if self._transport is not None:
                self._transport.abort()
            raise

    def _read_frames(self) -> None:
        while len(self._input) >= HEAD.size:
            (length,) = HEAD.unpack_from(self._input)
            _check(length)
            end = HEAD.size + length
            if len(self._input) < end:
                return
            frame = self._input[HEAD.size : end]
            del self._input[:end]  # before its items are handled, which Ctrl-C may interrupt
            self._received(marshal.loads(frame))  # noqa: S302 - see above

    def send(self, *item: Any) -> None:
        """Send an item with the next frame. It is dropped once the connection has ended."""
        if self._is_lost:
            return
        if not self._output:
            asyncio.get_running_loop().call_soon(self._write)
        self._output.append(item)

    def close(self) -> None:
        """Close the connection after all items are sent, or prevent it if there is none yet."""
        self._write()
        if self._transport is not None:
            self._transport.close()
        if self._transport is None or not self._transport.is_closing():
            self.connection_lost(None)  # uvloop does not, if connecting was interrupted

    def _write(self) -> None:
        if self._transport is None or not self._output:
            return  # the items wait for the connection
        items, self._output = self._output, []
        frame = marshal.dumps(items)
        try:
            _check(len(frame))
        except ValueError:
            self._transport.abort()  # or the other end would wait for the frame
            raise
        try:
            self._transport.write(HEAD.pack(len(frame)) + frame)
        except RuntimeError:  # uvloop again: the transport is closed, and only this says so
            self.connection_lost(None)


def _check(length: int) -> None:
    if length > MAX_BYTES:
        raise ValueError(f"a frame of {length:,} bytes")
