"""A server on loopback that reads requests properly, and responds as badly as a test wants.

It is plain asyncio on purpose: a web framework would prevent such responses.
"""

import asyncio
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Self

import attrs

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@attrs.frozen
class Exchange:
    """A request that was read to its end, and the connection to answer it on."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def write(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def until_the_client_goes(self) -> None:
        await self.reader.read()

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Close with an RST; an ordinary close would send a FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.writer.transport.abort()


Reply = Callable[[Exchange], Awaitable[None]]


def http(
    status: int | str = 200, body: bytes = b"{}", headers: dict[str, str] | None = None
) -> bytes:
    """Write an HTTP response whose length is right."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in (fields | (headers or {})).items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + body


def answer(raw: bytes) -> Reply:
    """Write these bytes and close."""

    async def reply(exchange: Exchange) -> None:
        await exchange.write(raw)
        exchange.close()

    return reply


def keep_alive(raw: bytes) -> Reply:
    """Write these bytes and wait for the next request."""

    async def reply(exchange: Exchange) -> None:
        await exchange.write(raw)

    return reply


def stall(raw: bytes = b"") -> Reply:
    """Write these bytes, then nothing until the client goes."""

    async def reply(exchange: Exchange) -> None:
        await exchange.write(raw)
        await exchange.until_the_client_goes()

    return reply


def reset_after(raw: bytes = b"") -> Reply:
    """Write these bytes and reset."""

    async def reply(exchange: Exchange) -> None:
        await exchange.write(raw)
        exchange.reset()

    return reply


def in_turn(*replies: Reply) -> Reply:
    """Answer each request with the next reply, and all further ones with the last."""
    waiting = list(replies)

    async def reply(exchange: Exchange) -> None:
        await (waiting.pop(0) if len(waiting) > 1 else waiting[0])(exchange)

    return reply


class HostileServer:
    """Counts the requests that it read to their end, and answers each with `reply`.

    Attributes:
        reply: What is done about a request; an empty success if left out.
        resets_unread: Whether connections are reset before anything is read.
        requests: How many requests were read to their end, by method.
        targets: The target of each, as it was on the wire.
        heads: The head of each: its first line and its header fields.
        connections: How many connections there were.
        asked: Set when a request was read.
    """

    def __init__(self, reply: Reply | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.reply = reply or keep_alive(http())
        self.resets_unread = False
        self.requests: Counter[str] = Counter()
        self.targets: list[str] = []
        self.heads: list[str] = []
        self.connections = 0
        self.asked = asyncio.Event()
        self._tls = tls
        self._conversations: set[asyncio.Task[None]] = set()
        self._bugs: list[Exception] = []

    @property
    def url(self) -> str:
        port = self._server.sockets[0].getsockname()[1]
        return f"http{'s' if self._tls else ''}://127.0.0.1:{port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        assert self._bugs == []

    async def have_come(self, requests: int) -> None:
        """Wait until so many requests were read to their end, of whatever method."""
        while self.requests.total() < requests:
            self.asked.clear()
            await self.asked.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        conversation = asyncio.current_task()
        self._conversations.add(conversation)
        try:
            if self._tls:
                await writer.start_tls(self._tls)
            await self._converse(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()  # the client went, or the test is over
        except Exception as bug:  # noqa: BLE001 - the test is to fail of it, not the loop
            self._bugs.append(bug)
        finally:
            self._conversations.discard(conversation)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        exchange = Exchange(reader, writer)
        if self.resets_unread:
            exchange.reset()
        while not writer.is_closing():
            await self._read(reader)
            await self.reply(exchange)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split(" ", 2)
        _, has_body, rest = head.lower().partition("\r\ncontent-length:")
        await reader.readexactly(int(rest.partition("\r\n")[0]) if has_body else 0)
        self.requests[method] += 1
        self.targets.append(target)
        self.heads.append(head)
        self.asked.set()
