"""A server on loopback that reads requests properly and then does whatever a test wants.

It is raw asyncio on purpose: a web framework would refuse to answer as badly as the tests need.
"""

import asyncio
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Self

import attrs

Reply = Callable[["Exchange"], Awaitable[None]]

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@attrs.frozen
class Exchange:
    """One request that was read, and the connection to answer it on."""

    target: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def write(self, answer: bytes) -> None:
        self.writer.write(answer)
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


async def close(exchange: Exchange) -> None:
    """Close without an answer."""
    exchange.close()


async def reset(exchange: Exchange) -> None:
    """Reset without an answer."""
    exchange.reset()


def in_turn(*replies: Reply) -> Reply:
    """Answer each request with the next reply, and all further ones with the last."""
    waiting = list(replies)

    async def reply(exchange: Exchange) -> None:
        await (waiting.pop(0) if len(waiting) > 1 else waiting[0])(exchange)

    return reply


def http(
    status: int | str = 200, body: bytes = b"{}", headers: dict[str, str] | None = None
) -> bytes:
    """Write an HTTP answer whose length is right."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in (fields | (headers or {})).items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode("latin-1") + body


class HostileServer:
    """Counts the whole requests that it reads, and answers each with `reply`.

    Attributes:
        reply: What is done about a request, once it has been read to its end.
        on_connect: What is done before a request is read; what it returns decides about reading.
        requests: How many requests were read to their end, by method.
        connections: How many connections were accepted.
    """

    def __init__(self, reply: Reply = close, tls: ssl.SSLContext | None = None) -> None:
        self.reply = reply
        self.resets_on_connect = False
        self.requests: Counter[str] = Counter()
        self.targets: list[str] = []
        self.connections = 0
        self.unexpected: list[BaseException] = []
        self.read = asyncio.Event()
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        port = self._server.sockets[0].getsockname()[1]
        return f"{scheme}://127.0.0.1:{port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        assert self.unexpected == []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went, or the test is over
        except BaseException as error:  # noqa: BLE001 - the test is to see it
            self.unexpected.append(error)
        finally:
            self._tasks.discard(task)
            writer.transport.abort() if writer.is_closing() is False else None

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.resets_on_connect:
            Exchange("", reader, writer).reset()
        while not writer.is_closing():
            exchange = await self._read(reader, writer)
            await self.reply(exchange)

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Exchange:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        start, *fields = head.rstrip().split("\r\n")
        method, target, _ = start.split(" ")
        lengths = [
            int(value)
            for name, _, value in (field.partition(":") for field in fields)
            if name.lower() == "content-length"
        ]
        await reader.readexactly(sum(lengths))
        self.requests[method] += 1
        self.targets.append(target)
        self.read.set()
        return Exchange(target, reader, writer)
