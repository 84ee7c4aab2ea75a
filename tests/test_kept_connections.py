"""Kept connections: which one is reused, its check through the kernel, and how it closes."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec

import aiohttp
import pytest
import trustme
from hostile import Exchange, HostileServer, http
from ways import WAYS

from connectus_async import (
    AsyncConnectus,
    BadRequestError,
    ConnectError,
    ConnectionLostError,
    ContentTooLargeError,
    Outcome,
)
from connectus_async._fast_exchange import _Connection

pytestmark = pytest.mark.both("aiohttp alone keeps the connections")

NUMBER = "56987688060"
LIMIT = 60
LOOPS = [False, *([True] if find_spec("uvloop") else [])]
Answer = Callable[[bytes], None]


@pytest.fixture(autouse=True)
def no_blocking() -> None:
    """Let the tests block the loop: that is what they are about."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    WAYS[request.param](monkeypatch)
    return request.param


@pytest.fixture(params=["fast", "public"])
def keeping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    WAYS[request.param](monkeypatch)
    return request.param


@pytest.fixture(
    params=[("asyncio", {"use_uvloop": use_uvloop}) for use_uvloop in LOOPS],
    ids=lambda backend: "uvloop" if backend[1]["use_uvloop"] else "asyncio",
)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    return request.param


def client(url: str, **options: object) -> AsyncConnectus:
    return AsyncConnectus("user", "key", base_url=url, **({"max_retries": 0} | options))


class ThreadedServer:
    """Serves one connection after the other in a thread, so that a blocked loop does not stop it.

    Attributes:
        has_read: Set by the server when it has a request.
        go: Set by the test when the server is to go on.
        done: Set by the server when it has.
    """

    def __init__(self, *conversations: Callable, tls: ssl.SSLContext | None = None) -> None:
        self.has_read = threading.Event()
        self.go = threading.Event()
        self.done = threading.Event()
        self._conversations = conversations
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(LIMIT)
        self._thread = threading.Thread(target=self._serve)
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        for converse in self._conversations:
            accepted, _ = self._listener.accept()
            if self._tls is not None:
                accepted = self._tls.wrap_socket(accepted, server_side=True)
            with accepted:
                converse(self, accepted)

    @contextmanager
    def serving(self) -> Iterator["ThreadedServer"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._thread.join(LIMIT)
            self._listener.close()

    def block_the_loop(self) -> None:
        """Let the server go on while nothing else runs here, as amid pandas or in a debugger."""
        self.go.set()
        assert self.done.wait(LIMIT)


def read(peer: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"}"):
        received = peer.recv(2**16)
        assert received
        data += received
    return data


def goes_on(*, then: Callable[[socket.socket], None]) -> Callable:
    """Answer a request, and do something more when the loop of the client is blocked."""

    def converse(server: ThreadedServer, peer: socket.socket) -> None:
        read(peer)
        peer.sendall(http(200, b'{"id": "first"}'))
        assert server.go.wait(LIMIT)
        with suppress(OSError):  # where connections are not kept, this one is closed
            then(peer)
        server.done.set()
        ending_of(peer)

    return converse


def refuses(_: ThreadedServer, peer: socket.socket) -> None:
    read(peer)
    peer.sendall(http(400, b'{"error": "no such number"}'))


ENDS: dict[str, Callable[[socket.socket], None]] = {
    "closed": lambda peer: peer.shutdown(socket.SHUT_RDWR),
    "spoke": lambda peer: peer.sendall(http(200, b'{"id": "stale"}')),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_the_kernel_is_asked_before_a_kept_connection_is_lent(end: Callable, way: str):
    """What came while the loop was blocked is neither the next answer nor a needless unknown."""
    server = ThreadedServer(goes_on(then=end), refuses)
    with server.serving():
        async with client(server.url) as connectus:
            assert (await connectus.sms.send(NUMBER, "Hola")).id == "first"
            server.block_the_loop()
            with pytest.raises(BadRequestError) as caught:
                await connectus.sms.send(NUMBER, "Hola")

    assert caught.value.outcome is Outcome.REJECTED


async def test_the_connection_that_was_used_last_is_lent(keeping: str):
    """The longer one is idle, the sooner its server closes it."""
    used: list[object] = []
    both = asyncio.Event()

    async def note(exchange: Exchange) -> None:
        used.append(exchange.writer)
        if len(used) == 2:
            both.set()
        await both.wait()
        await exchange.write(http())

    async with HostileServer(note) as server, client(server.url) as connectus:
        first = asyncio.create_task(connectus.sms.send(NUMBER, "Hola"))
        await server.have_come(1)
        second = asyncio.create_task(connectus.sms.send(NUMBER, "Hola"))
        await asyncio.gather(first, second)
        for _ in range(3):
            await connectus.sms.send(NUMBER, "Hola")
        kept = [each for queue in connections(connectus) for each, _ in queue]

    assert len(kept) == 2
    assert len(set(used[2:])) == 1


def connections(connectus: AsyncConnectus) -> list:
    return list(connectus._transport._pool._session.connector._conns.values())


@pytest.mark.parametrize("reason", ["closed", "spoke"])
async def test_a_new_connection_that_is_of_no_use_is_not_sent(
    reason: str, way: str, monkeypatch: pytest.MonkeyPatch
):
    """The server closed it, or spoke unasked, before the first byte was written."""
    connect = aiohttp.TCPConnector.connect

    async def connect_late(*arguments: object, **options: object) -> object:
        loan = await connect(*arguments, **options)
        while not (loan.closed or loan.protocol.should_close):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)
        return loan

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reason == "spoke":
            writer.write(http(200, b'{"id": "of nobody"}'))
            await writer.drain()
            await reader.read()
        writer.close()

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", connect_late)
    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener, client(url) as connectus:
        with pytest.raises(ConnectError) as caught:
            await connectus.sms.send(NUMBER, "Hola")

    assert caught.value.outcome is Outcome.NOT_SENT


async def test_a_time_that_ran_out_while_the_loop_was_blocked_is_not_the_servers(way: str):
    """The server took the connection at once: the message leaves, and no try is lost."""
    async with HostileServer() as server, client(server.url, connect_timeout=0.1) as connectus:
        sending = asyncio.create_task(connectus.sms.send(NUMBER, "Hola"))
        await asyncio.sleep(0)
        time.sleep(0.6)  # noqa: ASYNC251 - what is tested: nobody is there when the time runs out
        await sending

    assert server.requests == {"POST": 1}


async def test_an_answer_that_came_while_the_loop_was_blocked_came_in_time(way: str):
    """Or it would be unknown what became of a message that the server accepted at once."""

    def accept(server: ThreadedServer, peer: socket.socket) -> None:
        read(peer)
        server.has_read.set()
        assert server.go.wait(LIMIT)
        peer.sendall(http(200, b'{"id": "c79"}'))
        server.done.set()
        ending_of(peer)

    server = ThreadedServer(accept)
    with server.serving():
        async with client(server.url, timeout=0.5) as connectus:
            sending = asyncio.create_task(connectus.sms.send(NUMBER, "Hola"))
            assert await asyncio.to_thread(server.has_read.wait, LIMIT)
            server.block_the_loop()
            time.sleep(0.6)  # noqa: ASYNC251 - what is tested: nobody is there when it comes
            assert (await sending).id == "c79"


# Large bodies


async def test_a_large_body_is_not_written_on_when_its_answer_has_come(
    monkeypatch: pytest.MonkeyPatch,
):
    """A server that refuses it closes: to write on would fail, and the refusal be lost by that."""
    pieces = []
    can_write = _Connection._can_write

    async def refused_amid(connection: _Connection, *rest: object) -> None:
        pieces.append(connection)
        if len(pieces) == 3:
            server.block_the_loop()
        await can_write(connection, *rest)

    def refuse(server: ThreadedServer, peer: socket.socket) -> None:
        assert peer.recv(1000)
        assert server.go.wait(LIMIT)
        peer.sendall(http(413, headers={"Connection": "close"}))
        peer.close()
        server.done.set()

    monkeypatch.setattr(_Connection, "_can_write", refused_amid)
    server = ThreadedServer(refuse)
    with server.serving():
        async with client(server.url) as connectus:
            with pytest.raises(ContentTooLargeError):
                await connectus.email.send("a@b.cl", "Hola", "x" * 2**22, src_email="c@d.cl")

    assert len(pieces) == 3


async def test_a_success_before_a_large_body_was_written_is_none(way: str):
    """No more is written once it came, so whoever answered has no whole message to act on."""

    def answer_early(server: ThreadedServer, peer: socket.socket) -> None:
        assert peer.recv(1000)
        peer.sendall(http(200, b'{"id": "early"}'))
        assert server.go.wait(LIMIT)

    server = ThreadedServer(answer_early)
    with server.serving():
        async with client(server.url) as connectus:
            with pytest.raises(ConnectionLostError, match="before the whole request was sent"):
                await connectus.email.send("a@b.cl", "Hola", "x" * 2**23, src_email="c@d.cl")
        server.go.set()


async def test_a_large_body_waits_for_a_server_that_reads_slowly(keeping: str):
    """It is written as the server reads it, and the connection is kept."""

    def accept(server: ThreadedServer, peer: socket.socket) -> None:
        assert server.go.wait(LIMIT)
        for number in range(2):
            read(peer)
            peer.sendall(http(200, b'{"id": "%d"}' % number))
        server.done.set()

    server = ThreadedServer(accept)
    with server.serving():
        async with client(server.url) as connectus:
            text = "x" * 2**23
            sending = asyncio.create_task(
                connectus.email.send("a@b.cl", "Hola", text, src_email="c@d.cl")
            )
            for _ in range(1000):
                await asyncio.sleep(0)
            assert not sending.done()
            server.go.set()
            assert (await sending).id == "0"
            assert (await connectus.sms.send(NUMBER, "Hola")).id == "1"


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.post_handshake_auth = True
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.post_handshake_auth = True
    return context


def ask(peer: ssl.SSLSocket) -> None:
    """Ask a client for its certificate, unless it has not answered the last time yet."""
    with suppress(ssl.SSLError):
        peer.verify_client_post_handshake()
    peer.do_handshake()


async def test_what_tls_has_to_say_takes_no_connection_away(authority: trustme.CA, keeping: str):
    """Not each byte is the server's: a session ticket comes when it likes; here it is a question.

    Nor is it a reason to make a connection for each message.
    """

    def converse(server: ThreadedServer, peer: ssl.SSLSocket) -> None:
        for number in range(3):
            read(peer)
            peer.sendall(http(200, b'{"id": "%d"}' % number))
            assert server.go.wait(LIMIT)
            server.go.clear()
            peer.verify_client_post_handshake()
            peer.do_handshake()
            server.done.set()

    server = ThreadedServer(converse, tls=serving(authority))
    with server.serving():
        async with client(server.url, ssl_context=trusting(authority)) as connectus:
            for number in range(3):
                receipt = await connectus.sms.send(NUMBER, "Hola")
                assert receipt.id == str(number)
                server.done.clear()
                server.block_the_loop()


# How it closes


def ending_of(peer: socket.socket) -> str:
    """Tell whether the other side ended by a FIN or by a reset."""
    try:
        while peer.recv(2**16):
            pass
    except ConnectionResetError:
        return "reset"
    return "FIN"


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
async def test_an_idle_connection_closes_in_order(authority: trustme.CA, way: str, is_tls: bool):
    """By a FIN: what was given up is reset, and servers count resets as faults."""
    endings = []

    def converse(_: ThreadedServer, peer: socket.socket) -> None:
        read(peer)
        peer.sendall(http())
        endings.append(ending_of(peer))

    server = ThreadedServer(converse, tls=serving(authority) if is_tls else None)
    with server.serving():
        async with client(server.url, ssl_context=trusting(authority)) as connectus:
            await connectus.sms.send(NUMBER, "Hola")

    assert endings == ["FIN"]
