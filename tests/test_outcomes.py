"""Outcomes: for each way a request can fail, the error, its outcome, and a single POST.

"Nothing is sent twice, nothing is lost without being named." The server here counts the requests
that it read to their end; a client that repeats a POST it must not repeat is seen at once.
"""

import asyncio
import copy
import datetime as dt
import errno
import gzip
import importlib
import itertools
import json
import os
import pickle
import re
import socket
import ssl
import sys
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from email.utils import format_datetime
from importlib.util import find_spec

import aiohttp
import pytest
import trustme
from hostile import (
    HostileServer,
    Reply,
    answer,
    http,
    in_turn,
    keep_alive,
    reset_after,
    stall,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loop_time import LIMIT, pass_time, run_out_after
from ways import WAYS

from connectus_async import (
    AsyncConnectus,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConflictError,
    ConnectError,
    ConnectionLostError,
    ConnectusError,
    ContentTooLargeError,
    NotFoundError,
    NotSentError,
    Outcome,
    PaymentRequiredError,
    PermissionDeniedError,
    ProxyAuthenticationError,
    RateLimitError,
    RejectedError,
    RequestError,
    RequestTimeoutError,
    ServerError,
    TooManyOpenFilesError,
    UnexpectedStatusError,
    UnprocessableContentError,
    UnreadableAnswerError,
    _json,
)
from connectus_async.emulator import Emulator, Fault

pytestmark = pytest.mark.both("either library reads the JSON; aiohttp finds hosts in another way")

RETRIES = 2
MOST_BYTES = 1024
SHORT = 0.05
"""Seconds that are waited for what cannot come, however long that is."""

Send = Callable[[AsyncConnectus], Awaitable[object]]


def post(connectus: AsyncConnectus) -> Awaitable[object]:
    return connectus.sms.send("56987688060", "Hola")


def patch(connectus: AsyncConnectus) -> Awaitable[object]:
    return connectus.clients.update("a1476f56", "Colegio")


def get(connectus: AsyncConnectus) -> Awaitable[object]:
    return connectus.account.get()


METHODS: dict[str, Send] = {"POST": post, "PATCH": patch, "GET": get}


def client(url: str, **options: object) -> AsyncConnectus:
    defaults = {
        "backoff_base": 0,
        "connect_timeout": LIMIT,
        "max_retries": RETRIES,
        "max_response_bytes": MOST_BYTES,
    }
    return AsyncConnectus("user", "key", base_url=url, **(defaults | options))


@pytest.fixture(autouse=True, params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make every exchange in each way, the last being for aiohttp of an unknown version."""
    way, _, missing = request.param.partition(", without ")
    WAYS[way](monkeypatch)
    with without(missing) if missing else nullcontext():
        yield way


@contextmanager
def without(json_library: str) -> Iterator[None]:
    """Read and write JSON as if a library were not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, json_library, None)
        importlib.reload(_json)
        yield
    importlib.reload(_json)


in_one_way = pytest.mark.parametrize("way", ["fast"], indirect=True)
"""For a test of what a body says: that is decided once it has come, in whichever way."""

READERS = [*WAYS, *(["fast, without orjson"] if find_spec("orjson") else [])]
of_each_reader = pytest.mark.parametrize("way", READERS, indirect=True)
"""For a test of how a body is read, with each JSON library that may be installed as well."""

of_each_json_library = pytest.mark.parametrize(
    "way", [reader for reader in READERS if "fast" in reader], indirect=True
)


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    async with HostileServer() as server:
        yield server


@pytest.fixture
async def connectus(server: HostileServer) -> AsyncIterator[AsyncConnectus]:
    async with client(server.url) as connectus:
        yield connectus


async def failure(call: Awaitable[object], kind: type[RequestError]) -> RequestError:
    """Await a call that fails, and check what holds for every failure."""
    with pytest.raises(RequestError) as caught:
        await call
    error = caught.value
    assert type(error) is kind
    for link in chain(error):
        assert not type(link).__module__.startswith("aiohttp")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert twin.outcome is error.outcome
        assert twin.response == error.response
    return error


def chain(error: BaseException | None) -> Iterator[BaseException]:
    if error is not None:
        yield error
        yield from chain(error.__cause__)
        yield from chain(error.__context__)


def expected_tries(method: str, outcome: Outcome) -> int:
    """Count the tries that are allowed: a POST is repeated only where it was never acted upon."""
    may_repeat = outcome is Outcome.NOT_SENT or (outcome is Outcome.UNKNOWN and method == "GET")
    return 1 + RETRIES if may_repeat else 1


# Answers that decide nothing, so that the outcome stays unknown, whatever the method

HUGE_HEADER = b"HTTP/1.1 200 OK\r\nX-Huge: " + b"x" * 2**17 + b"\r\n\r\n"
MANY_HEADERS = b"HTTP/1.1 200 OK\r\n" + b"X-Many: x\r\n" * 2**15 + b"\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HALF_BODY = b'HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{"id": "'

LOST: dict[str, Reply] = {
    "closed": answer(b""),
    "reset": reset_after(),
    "half a status line": answer(b"HTTP/1.1 20"),
    "half a status line, reset": reset_after(b"HTTP/1.1 20"),
    "half the headers": answer(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "half a body": answer(HALF_BODY),
    "half a body, reset": reset_after(HALF_BODY),
    "half a body of no given length": answer(b'HTTP/1.1 200 OK\r\n\r\n{"error": "no bal'),
    "half a body, HTTP/1.0": answer(b'HTTP/1.0 200 OK\r\n\r\n{"error": "no bal'),
    "half a chunk": answer(CHUNKED + b'1e\r\n{"id": "'),
    "no last chunk": answer(CHUNKED + b"2\r\n{}\r\n"),
    "a bad chunk size": answer(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"),
    "a negative length": answer(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"),
    "two lengths": answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} "),
    "a length and chunks": answer(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "a huge header": answer(HUGE_HEADER),
    "too many headers": answer(MANY_HEADERS),
    "a bad header name": answer(b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n{}"),
    "no HTTP": answer(b"220 smtp.example.com ESMTP\r\n"),
    "HTTP/0.9": answer(b'{"id": "1"}'),
    "TLS": answer(b"\x15\x03\x01\x00\x02\x02\x16"),
    "zero bytes": answer(b"\0" * 64),
    "only an interim answer": answer(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "a status of two digits": answer(b"HTTP/1.1 20 OK\r\n\r\n{}"),
    "a status of four digits": answer(b"HTTP/1.1 2000 OK\r\n\r\n{}"),
}


@pytest.mark.parametrize("reply", LOST.values(), ids=LOST)
async def test_an_answer_that_breaks_off_leaves_it_open(
    reply: Reply, server: HostileServer, connectus: AsyncConnectus
):
    """The server may have acted; a GET is tried again, a POST and a PATCH never."""
    server.reply = reply

    for method, send in METHODS.items():
        server.requests.clear()
        error = await failure(send(connectus), ConnectionLostError)

        assert error.outcome is Outcome.UNKNOWN
        assert error.response is None
        assert server.requests == {method: expected_tries(method, Outcome.UNKNOWN)}


STALLED: dict[str, Reply] = {
    "no answer": stall(),
    "half a status line": stall(b"HTTP/1.1 20"),
    "half the headers": stall(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "half a body": stall(HALF_BODY),
    "half a chunk": stall(CHUNKED + b'1e\r\n{"id": "'),
    "only an interim answer": stall(b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("reply", STALLED.values(), ids=STALLED)
async def test_an_answer_that_does_not_come_in_time_leaves_it_open(
    reply: Reply, server: HostileServer
):
    """The time limit is on the whole exchange, to the last byte of the answer."""
    server.reply = reply
    async with client(server.url, timeout=LIMIT, max_retries=1) as connectus:
        calls = asyncio.gather(
            *(failure(send(connectus), RequestTimeoutError) for send in METHODS.values())
        )
        await run_out_after(server, 3)
        await run_out_after(server, 4)
        errors = await calls

    assert {error.outcome for error in errors} == {Outcome.UNKNOWN}
    assert server.requests == {"POST": 1, "PATCH": 1, "GET": 2}


@of_each_json_library
async def test_an_error_behind_a_byte_order_mark_is_an_error(
    server: HostileServer, connectus: AsyncConnectus
):
    """Some servers write one before their JSON."""
    server.reply = keep_alive(http(200, b'\xef\xbb\xbf{"error": "no balance"}'))

    error = await failure(post(connectus), RejectedError)

    assert error.outcome is Outcome.REJECTED


async def everything(peer: socket.socket) -> int:
    """Count the bytes that come until the other side ends, in whichever way."""
    loop = asyncio.get_running_loop()
    received = 0
    with suppress(ConnectionError):
        while data := await loop.sock_recv(peer, 65_536):
            received += len(data)
    return received


def small_buffers(connectus: AsyncConnectus) -> None:
    """Have the system take little of a request that the server does not read."""

    def small(address: tuple[int, int, int, str, object]) -> socket.socket:
        made = socket.socket(*address[:3])
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        made.setblocking(False)
        return made

    pool = connectus._transport._pool
    pool.exchange()
    pool._session.connector._socket_factory = small


@pytest.mark.parametrize("size", [2**20 - 1000, 2**21])
async def test_a_request_that_was_given_up_does_not_reach_the_server_later(size: int):
    """What has not been written when its time is up is never written."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with client(url, timeout=LIMIT, max_retries=0) as connectus:
            small_buffers(connectus)
            text = "x" * size
            email = connectus.email.send("a@example.com", "Hola", text, src_email="b@example.com")
            sending = asyncio.create_task(failure(email, RequestTimeoutError))
            loop = asyncio.get_running_loop()
            peer, _ = await loop.sock_accept(listener)
            with peer:
                assert await loop.sock_recv(peer, 4)
                pass_time()
                error = await sending
                received = await everything(peer)

    assert error.outcome is Outcome.UNKNOWN
    assert received < len(text)


async def test_a_reset_before_anything_was_read_leaves_it_open(
    server: HostileServer, connectus: AsyncConnectus
):
    """The client cannot know that its bytes were thrown away."""
    server.resets_unread = True

    error = await failure(post(connectus), ConnectionLostError)

    assert error.outcome is Outcome.UNKNOWN
    assert server.connections == 1
    assert server.requests == {}


# No connection, so nothing was sent


@pytest.mark.parametrize("send", METHODS.values(), ids=METHODS)
async def test_a_refused_connection_is_not_sent(send: Send, unused_url: str):
    """Nobody listens: the error says so, and the call may be made again."""
    async with client(unused_url) as connectus:
        error = await failure(send(connectus), ConnectError)

    assert error.outcome is Outcome.NOT_SENT
    assert "connection refused" in str(error)


async def test_a_refused_post_is_sent_once_the_server_is_there(emulator: Emulator):
    """What was not sent is tried again, and then reaches the phone once."""
    async with AsyncConnectus(
        emulator.api_user, emulator.api_key, base_url=emulator.base_url, backoff_base=0
    ) as connectus:
        async with emulator.refusing():
            await failure(post(connectus), ConnectError)
        await post(connectus)

    assert len(emulator.received) == 1


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Take note of the names that a name server which knows nothing is asked for."""
    asked: list[str] = []

    class NoNames(aiohttp.abc.AbstractResolver):
        async def resolve(
            self, host: str, *_: object, **__: object
        ) -> list[aiohttp.abc.ResolveResult]:
            asked.append(host)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        async def close(self) -> None:
            pass

    monkeypatch.setattr("aiohttp.connector.DefaultResolver", lambda **_: NoNames())
    return asked


async def test_a_name_that_cannot_be_resolved_is_not_sent(lookups: list[str]):
    """A name server that knows nothing stands in for the network."""
    async with client("https://connectus.invalid") as connectus:
        error = await failure(post(connectus), ConnectError)

    assert error.outcome is Outcome.NOT_SENT
    assert "connectus.invalid cannot be resolved" in str(error)
    assert lookups == ["connectus.invalid"] * (1 + RETRIES)


async def test_a_connection_that_nobody_accepts_is_not_sent():
    """A listener whose queue is full lets the handshake run into the connect timeout."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        queue = [socket.socket() for _ in range(4)]
        for waiting in queue:
            waiting.setblocking(False)
            waiting.connect_ex(address)
        url = f"http://127.0.0.1:{address[1]}"
        async with client(url, connect_timeout=SHORT, max_retries=0) as connectus:
            error = await failure(post(connectus), ConnectError)
        for waiting in queue:
            waiting.close()

    assert error.outcome is Outcome.NOT_SENT
    assert f"no connection within {SHORT} s" in str(error)


@pytest.mark.parametrize("limit", ["connect_timeout", "timeout"])
async def test_a_tls_handshake_that_is_not_answered_is_not_sent(limit: str):
    """Whichever of the two limits comes first, no byte of the request has left."""
    greeted = asyncio.Event()

    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeted.set()
        while await reader.read(2**16):
            pass
        writer.close()

    listener = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    limits = {"timeout": 9 * LIMIT, "connect_timeout": 9 * LIMIT} | {limit: LIMIT}
    async with listener, client(url, **limits, max_retries=0) as connectus:
        call = asyncio.create_task(failure(post(connectus), ConnectError))
        await greeted.wait()
        pass_time()
        error = await call

    assert error.outcome is Outcome.NOT_SENT


async def test_no_free_connection_in_time_is_not_sent(server: HostileServer):
    """The second call waits for the only connection; it never got one, so it was never sent."""
    server.reply = stall()
    async with client(server.url, max_connections=1, max_retries=0) as connectus:
        first = asyncio.create_task(failure(post(connectus), ConnectionLostError))
        await server.asked.wait()

        error = await failure(post(connectus.with_options(timeout=SHORT)), ConnectError)
        assert error.outcome is Outcome.NOT_SENT
        assert server.requests == {"POST": 1}

    assert (await first).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize("host", ["127.0.0.1", "connectus.invalid"])
@pytest.mark.usefixtures("lookups")
async def test_too_many_open_files_are_named(
    number: int, host: str, monkeypatch: pytest.MonkeyPatch
):
    """Neither base URL nor network is at fault, though a look-up fails as of a wrong name."""

    class Exhausted(socket.socket):
        def __init__(self, *_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

    async with client(f"https://{host}:9", max_retries=0) as connectus:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", Exhausted)
            error = await failure(post(connectus), TooManyOpenFilesError)

    assert error.outcome is Outcome.NOT_SENT
    assert "no connection: too many open files (nothing was sent; raise the limit" in str(error)
    assert "base URL" not in str(error)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_server(certificate: trustme.LeafCert) -> HostileServer:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return HostileServer(tls=context)


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_private_authority_is_trusted_where_it_is_named(authority: trustme.CA):
    """The SSL context of the client is the one that counts."""
    async with (
        tls_server(authority.issue_cert("127.0.0.1")) as server,
        client(server.url, ssl_context=trusting(authority)) as connectus,
    ):
        await post(connectus)

    assert server.requests == {"POST": 1}


LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
UNTRUSTED: dict[str, tuple[Callable[[trustme.CA], trustme.LeafCert], bool, str]] = {
    "an unknown authority": (
        lambda authority: authority.issue_cert("127.0.0.1"),
        False,
        "local issuer certificate",
    ),
    "another host": (lambda authority: authority.issue_cert("example.org"), True, "mismatch"),
    "expired": (
        lambda authority: authority.issue_cert("127.0.0.1", not_after=LONG_AGO),
        True,
        "expired",
    ),
}


@pytest.mark.parametrize(("issue", "trusted", "reason"), UNTRUSTED.values(), ids=UNTRUSTED)
async def test_a_wrong_certificate_is_refused_before_anything_is_sent(
    issue: Callable[[trustme.CA], trustme.LeafCert],
    trusted: bool,
    reason: str,
    authority: trustme.CA,
):
    """Credentials go to nobody who cannot say who they are; the error says what is wrong."""
    context = trusting(authority) if trusted else None
    async with (
        tls_server(issue(authority)) as server,
        client(server.url, ssl_context=context) as connectus,
    ):
        error = await failure(post(connectus), ConnectError)

    assert error.outcome is Outcome.NOT_SENT
    assert re.search(f"TLS: .*{reason}", str(error))
    assert server.requests == {}


async def test_a_server_without_tls_is_named_as_such():
    """The reason is OpenSSL's, and nothing was sent."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp.example.com ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        async with client(f"https://127.0.0.1:{port}") as connectus:
            error = await failure(post(connectus), ConnectError)

    assert error.outcome is Outcome.NOT_SENT
    assert "TLS: " in str(error)
    assert "handshake failed" not in str(error)


# Whole answers

ERRORS = {
    400: BadRequestError,
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    407: ProxyAuthenticationError,
    409: ConflictError,
    413: ContentTooLargeError,
    422: UnprocessableContentError,
    429: RateLimitError,
    **dict.fromkeys([405, 410, 414, 415, 428, 451], RejectedError),
    **dict.fromkeys([411, 421, 425, 426, 431, 505, 511], NotSentError),
}
ONCE = frozenset({407})
"""What is not asked again though it was not acted upon."""


def error_of(status: int) -> type[RequestError]:
    return ERRORS.get(status) or (ServerError if status >= 500 else UnexpectedStatusError)


@pytest.mark.parametrize("method", METHODS)
async def test_every_status_decides(method: str, server: HostileServer, connectus: AsyncConnectus):
    """2xx is accepted, by the table some were refused or not acted upon, all others are open."""
    for status in (*range(200, 600), 600, 777, 999):
        server.requests.clear()
        body = b"" if status in (204, 304) else b'{"error": null}'
        server.reply = keep_alive(http(status, body))
        call = METHODS[method](connectus)

        if 200 <= status < 300 and (body or method != "GET"):
            assert (await call).response.status == status
            assert server.requests == {method: 1}
            continue

        kind = UnreadableAnswerError if status == 204 else error_of(status)
        error = await failure(call, kind)
        assert error.response.status == status
        tries = 1 if status in ONCE else expected_tries(method, error.outcome)
        assert server.requests == {method: tries}

    assert ServerError.outcome is UnexpectedStatusError.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("method", METHODS)
async def test_an_answer_that_switches_protocols_leaves_it_open(
    method: str, server: HostileServer, connectus: AsyncConnectus
):
    """Nobody asked for it."""
    server.reply = answer(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx")

    error = await failure(METHODS[method](connectus), UnexpectedStatusError)

    assert server.requests == {method: expected_tries(method, error.outcome)}


@pytest.mark.parametrize("status", [400, 429, 500])
@pytest.mark.parametrize("ending", [answer, reset_after])
async def test_a_status_line_decides_though_its_body_breaks_off(
    status: int,
    ending: Callable[[bytes], Reply],
    server: HostileServer,
    connectus: AsyncConnectus,
):
    """The server said what it did; the sentence that is missing does not change it."""
    server.reply = ending(f"HTTP/1.1 {status} No\r\nContent-Length: 99\r\n\r\n{{".encode())

    error = await failure(post(connectus), error_of(status))

    assert error.response.status == status
    assert server.requests == {"POST": expected_tries("POST", error.outcome)}


async def test_a_status_line_decides_though_its_body_never_ends(server: HostileServer):
    """A refusal is a refusal after the time limit as well."""
    server.reply = stall(b"HTTP/1.1 402 No\r\nContent-Length: 99\r\n\r\n{")
    async with client(server.url, timeout=LIMIT) as connectus:
        call = asyncio.create_task(failure(post(connectus), PaymentRequiredError))
        await run_out_after(server, 1)
        error = await call

    assert error.outcome is Outcome.REJECTED


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(
    status: int, server: HostileServer, connectus: AsyncConnectus
):
    """A redirected POST would be sent a second time, to who knows whom."""
    server.reply = keep_alive(http(status, headers={"Location": "/api_v3/elsewhere"}))

    for send in (post, patch):
        await failure(send(connectus), UnexpectedStatusError)

    assert server.requests == {"POST": 1, "PATCH": 1}
    assert "/api_v3/elsewhere" not in server.targets


@pytest.mark.parametrize("status", [401, 421])
async def test_a_long_header_hides_no_status(
    status: int, server: HostileServer, connectus: AsyncConnectus
):
    """A policy or a cookie of 40 KiB beside a no, which aiohttp by itself takes for no HTTP."""
    server.reply = keep_alive(http(status, headers={"X-Policy": "x" * 40_960}))

    error = await failure(post(connectus), error_of(status))

    assert error.response.status == status


ERROR_BODIES = [
    {"errors": ["no balance"]},
    {"errors": {"dst_number": ["is invalid"]}},
    {"Error": "no balance"},
    {"ERROR": "no balance"},
    {"error_code": 17},
    {"errorMessage": "no balance"},
    {"success": False},
    {"success": "false", "message": "no balance"},
    {"ok": False},
    {"error": "no balance", "id": True},
    {"error": "no balance", "id": -1},
    {"error": "You must submit an API key"},
    {"error": {"dst_number": ["is invalid"]}},
    {"error": ["no balance"]},
    {"error": True},
    {"error": "no balance", "id": None},
    {"error": "no balance", "id_sms": ""},
]


@in_one_way
@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("body", ERROR_BODIES, ids=json.dumps)
async def test_a_success_that_says_error_is_rejected(
    status: int, body: object, server: HostileServer, connectus: AsyncConnectus
):
    """The status is not the whole answer."""
    server.reply = keep_alive(http(status, json.dumps(body).encode()))

    for method, send in METHODS.items():
        error = await failure(send(connectus), RejectedError)
        assert error.response.status == status
        assert server.requests[method] == 1


SEND_ERROR_BODIES = [
    {"status": "error"},
    {"status": "ERROR", "message": "no balance"},
    {"status": "failed"},
    {"status": False, "message": "no balance"},
    {"status": 400},
    {"statusCode": 403, "message": "Forbidden"},
    {"code": "401"},
    [{"error": "no balance"}],
    [{"id": "1"}, {"error": "no balance"}],
    {"data": {"error": "no balance"}},
    {"response": {"success": False, "message": "no balance"}},
]


@in_one_way
@pytest.mark.parametrize("body", SEND_ERROR_BODIES, ids=json.dumps)
async def test_a_success_that_says_error_in_another_way_is_rejected(
    body: object, server: HostileServer, connectus: AsyncConnectus
):
    """As far as it answers a send: to a question, it may be about a message that failed."""
    server.reply = keep_alive(http(200, json.dumps(body).encode()))

    for send in (post, patch):
        assert (await failure(send(connectus), RejectedError)).response.status == 200


@in_one_way
@pytest.mark.parametrize("body", [{"status": 500}, {"error": "x", "statusCode": 502}], ids=str)
async def test_a_success_that_says_that_the_server_failed_leaves_it_open(
    body: object, server: HostileServer, connectus: AsyncConnectus
):
    """As the status itself would: it may have acted before."""
    server.reply = keep_alive(http(200, json.dumps(body).encode()))

    assert (await failure(post(connectus), ServerError)).outcome is Outcome.UNKNOWN


NO_ERRORS = [
    *[{"status": word} for word in ("EN_COLA", "PROGRAMADO", "ESME_ROK", "ok", "sent", True, 0)],
    *[{"status": word} for word in ("NUMERO_INVALIDO", "NO_ENTREGABLE", "UNDELIV", 200)],
    *[{"error": word} for word in ("", None, False, 0, "0", "false", "none", [], {})],
    {"errors": {"dst_number": []}},
    {"error_code": "000"},
    {"success": True},
    {"success": "error"},
    {"code": 0},
    {"code": 131_026},
    {"message": "Balance added successfully"},
    {"data": {"status": "EN_COLA"}},
    {"data": [{"error": None}]},
    {},
]


@in_one_way
@pytest.mark.parametrize("body", NO_ERRORS, ids=json.dumps)
async def test_a_success_that_says_no_error_is_accepted(
    body: object, server: HostileServer, connectus: AsyncConnectus
):
    """The statuses that the API documents are about the delivery, and come later."""
    server.reply = keep_alive(http(200, json.dumps(body).encode()))

    assert (await post(connectus)).response.status == 200


async def test_what_became_of_a_message_is_no_error_of_the_question(
    server: HostileServer, connectus: AsyncConnectus
):
    """A status, and the errors of somebody's message, are what was asked for."""
    body = b'{"id": "c79", "status": "failed", "errors": [{"code": 131026}]}'
    server.reply = keep_alive(http(200, body))

    assert (await connectus.whatsapp.status("c79")).status == "failed"


@of_each_json_library
@pytest.mark.parametrize("digits", ["18446744073709551617", "-9223372036854775809", "9" * 60])
async def test_a_long_number_is_an_identifier_to_its_last_digit(
    digits: str, server: HostileServer, connectus: AsyncConnectus
):
    """Or what a webhook says of it would never be joined with it."""
    server.reply = keep_alive(http(200, f'{{"id_sms": {digits}}}'.encode()))

    assert (await post(connectus)).id == digits


@of_each_json_library
@pytest.mark.parametrize("number", ["1.5", "7.0", "1e3", "1.8446744073709552e19"])
async def test_a_float_is_no_identifier(
    number: str, server: HostileServer, connectus: AsyncConnectus
):
    """Nobody knows of which number it was made."""
    server.reply = keep_alive(http(200, f'{{"id_sms": {number}, "id": "c79"}}'.encode()))

    assert (await post(connectus)).id == "c79"


@in_one_way
@pytest.mark.parametrize("key", ["id", "id_sms", "message_id"])
async def test_a_message_with_an_identifier_was_accepted_whatever_else_it_says(
    key: str, server: HostileServer, connectus: AsyncConnectus
):
    """Calling it rejected would invite to send it again."""
    server.reply = keep_alive(http(200, json.dumps({key: "c79", "error": "slow"}).encode()))

    assert (await post(connectus)).id == "c79"


def encoded(body: bytes, encoding: str = "gzip") -> bytes:
    return http(200, body, {"Content-Encoding": encoding})


PACKED = gzip.compress(b'{"id": "c79"}')
DEEP = b"[" * 500 + b"]" * 500
VERY_DEEP = b"[" * 100_000 + b"]" * 100_000

PAGE = b"<!DOCTYPE html><title>Checking your browser</title><p>Ray 1"
EMPTY: dict[str, bytes] = {
    "empty": http(200, b""),
    "no content": http(204, b""),
    "a blank": http(200, b" "),
    "a line": http(200, b"\r\n"),
    "in no chunks": CHUNKED + b"0\r\n\r\n",
    "empty and called gzip": encoded(b""),
    "empty gzip": encoded(gzip.compress(b"")),
}
UNREADABLE: dict[str, bytes] = {
    "a page": http(200, PAGE, {"Content-Type": "text/html"}),
    "a page called JSON": http(200, PAGE),
    "a warning of PHP": http(200, b'<br />\n<b>Warning</b>: mail() in a.php\n{"id": "c79"}'),
    "a warning without tags": http(200, b'Notice: undefined index\n{"id": "c79"}'),
    "a comment behind": http(200, b'{"id": "c79"} <!-- 0.2 s -->'),
    "another comment behind": http(200, b'{"id": "c79"} // served by web3'),
    "a script before": http(200, b")]}',\n{}"),
    "half JSON": http(200, b'{"id": '),
    "a second value": http(200, b"{} {}"),
    "not UTF-8": http(200, b'{"id": "\xff"}'),
    "an unknown charset": http(200, b'{"id": "\xff"}', {"Content-Type": "x/y; charset=rot13"}),
    "signs made of letters": http(
        200, b"+AHsAIg-id+ACI-:1+AH0-", {"Content-Type": "a/b; charset=utf-7"}
    ),
    "UTF-16": http(200, '{"id": "1"}'.encode("utf-16-le").replace(b"\0", b"\0 ")),
    "null": http(200, b"null"),
    "a list": http(200, b'[{"id": "1"}]'),
    "text": http(200, b'"accepted"'),
    "a word": http(200, b"OK"),
    "a number": http(200, b"1"),
    "true": http(200, b"true"),
    "a huge number": http(200, b"9" * 900),
    "nested deep": http(200, DEEP),
    "larger than the limit": http(200, json.dumps({"id": "x" * MOST_BYTES}).encode()),
    "larger in chunks": CHUNKED + b"400\r\n" + b" " * MOST_BYTES + b"\r\n2\r\n{}\r\n0\r\n\r\n",
    "larger without a length": b"HTTP/1.1 200 OK\r\n\r\n" + b" " * MOST_BYTES + b"{}",
    "nested very deep": http(200, VERY_DEEP),
    "a gzip bomb": encoded(gzip.compress(b" " * 2**20)),
    "a gzip bomb in a gzip": encoded(gzip.compress(gzip.compress(b" " * 2**24)), "gzip, gzip"),
    "a deflate bomb": encoded(zlib.compress(b" " * 2**18), "deflate"),
    "a bomb of members": encoded(gzip.compress(b"") * 10_000),
    "members above the limit": encoded(gzip.compress(b" " * 600) * 2),
    "corrupt gzip": encoded(PACKED[:12] + b"\xff\xff" + PACKED[14:]),
    "gzip with a wrong checksum": encoded(PACKED[:-8] + b"\0" * 8),
    "half a gzip": encoded(PACKED[:-9]),
    "half a second gzip": encoded(PACKED + PACKED[:-9]),
    "something behind a gzip": encoded(PACKED + b"and more"),
    "no gzip at all": encoded(b"{}"),
    "no deflate at all": encoded(b"{}", "deflate"),
    "an unknown encoding": encoded(b"{}", "br"),
    "an encoding of nonsense": encoded(b"{}", "x" * 999),
    "an encoding without end": encoded(PACKED, ", ".join(["gzip"] * 99)),
}


@pytest.mark.parametrize("send", [post, patch])
@pytest.mark.parametrize("raw", EMPTY.values(), ids=EMPTY)
async def test_an_empty_success_is_accepted_without_an_identifier(
    raw: bytes, send: Send, server: HostileServer, connectus: AsyncConnectus
):
    """It says so by its status, and nothing against it."""
    server.reply = answer(raw)

    receipt = await send(connectus)

    assert receipt.id is None
    assert server.requests.total() == 1


@of_each_reader
@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_success_that_cannot_be_read_leaves_it_open(
    raw: bytes, server: HostileServer, connectus: AsyncConnectus
):
    """A gateway may have answered in place of the API: 1,000 counted as accepted, 0 were received.

    A whole 2xx counted as accepted whatever it held, so as not to invite to send it again; unknown
    does not invite to it either.
    """
    server.reply = answer(raw)

    for send in (post, patch):
        server.requests.clear()
        error = await failure(send(connectus), UnreadableAnswerError)

        assert error.outcome is Outcome.UNKNOWN
        assert error.may_have_acted
        assert error.response.status == 200
        assert "check before sending it again" in str(error)
        assert server.requests.total() == 1


async def test_a_page_is_described_and_names_nobody(
    server: HostileServer, connectus: AsyncConnectus
):
    """Its type and its title, without what may be somebody's and what the request said."""
    title = "Espera 190.12.34.56&#44; ana&#64;example.com, +56 9 8768 8060, Hola " + "y " * 99
    page = f"<html><head><title>{title}</title></head><p>{'texto ' * 9}".encode()
    server.reply = keep_alive(http(200, page, {"Content-Type": "text/html; charset=utf-8"}))

    error = await failure(post(connectus), UnreadableAnswerError)

    assert str(error).startswith(
        "POST /sms/send_individual: 200, but the answer cannot be read: it is not JSON "
        "(text/html, 357 bytes, titled “Espera …, … …, … y y y "
    )
    assert len(str(error)) < 300


async def test_a_text_without_a_title_is_not_quoted(
    server: HostileServer, connectus: AsyncConnectus
):
    """It may be the message to somebody else, or a code."""
    server.reply = keep_alive(http(200, b"Su codigo es 4930", {"Content-Type": "text/plain"}))

    error = await failure(post(connectus), UnreadableAnswerError)

    assert "not JSON (text/plain, 17 bytes)" in str(error)


async def test_a_code_in_a_title_is_not_quoted(server: HostileServer, connectus: AsyncConnectus):
    """Three digits may be a status; more may be a code."""
    server.reply = keep_alive(http(200, b"<title>502: 4930</title>"))

    error = await failure(post(connectus), UnreadableAnswerError)

    assert "titled “502: …”" in str(error)


PLAIN_ANSWERS: dict[str, bytes] = {
    "a word": http(200, b"OK"),
    "a sentence": http(200, "Grupo «Vecinos» creado con éxito".encode()),
    "a text called HTML, as Express has it": http(200, b"done", {"Content-Type": "text/html"}),
    "a number": http(200, b"1"),
    "a list": http(200, b"[1]"),
    "JSON": http(200, b'{"anything": 1}'),
    "nothing": http(200, b""),
}
NO_PLAIN_ANSWERS: dict[str, bytes] = {
    "a page": http(200, PAGE, {"Content-Type": "text/html"}),
    "a page called plain": http(200, b"\n <html>", {"Content-Type": "text/plain"}),
    "half JSON": http(200, b'{"id": '),
    "a long text": http(200, b"x" * 501),
    "letters of no language": http(200, b"\xff\xfe\xfd"),
    "a packet": encoded(b"{}", "br"),
    "an error": http(200, b"Error: no session"),
}


def group(connectus: AsyncConnectus) -> Awaitable[object]:
    return connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])


@pytest.mark.parametrize("raw", PLAIN_ANSWERS.values(), ids=PLAIN_ANSWERS)
async def test_where_answers_are_not_documented_a_short_text_is_one(
    raw: bytes, server: HostileServer
):
    """The host of the WhatsApp QR calls documents none."""
    server.reply = answer(raw)
    async with client(server.url, qr_token="token", qr_base_url=server.url) as connectus:
        assert (await group(connectus)).response.status == 200


@pytest.mark.parametrize("raw", NO_PLAIN_ANSWERS.values(), ids=NO_PLAIN_ANSWERS)
async def test_where_answers_are_not_documented_a_page_is_none(raw: bytes, server: HostileServer):
    """Nor is what cannot be read, or names an error."""
    server.reply = answer(raw)
    async with client(server.url, qr_token="token", qr_base_url=server.url) as connectus:
        error = await failure(group(connectus), UnreadableAnswerError)

    assert error.outcome is Outcome.UNKNOWN


EMPTY_TO_A_QUESTION = {name: raw for name, raw in EMPTY.items() if b" 204 " not in raw}


@of_each_reader
@pytest.mark.parametrize(
    "raw", (UNREADABLE | EMPTY_TO_A_QUESTION).values(), ids=UNREADABLE | EMPTY_TO_A_QUESTION
)
async def test_an_unreadable_answer_to_a_question_is_an_error(
    raw: bytes, server: HostileServer, connectus: AsyncConnectus
):
    """A GET is for its answer; an empty result in its place would be a lie."""
    server.reply = answer(raw)

    error = await failure(get(connectus), UnreadableAnswerError)

    assert error.outcome is Outcome.UNKNOWN
    assert error.response.status == 200
    assert server.requests == {"GET": 1 + RETRIES}


READABLE: dict[str, bytes] = {
    "plain": http(200, b'{"id": "c79"}'),
    "gzip": encoded(PACKED),
    "GZIP": encoded(PACKED, "GZIP"),
    "deflate": encoded(zlib.compress(b'{"id": "c79"}'), "deflate"),
    "identity": encoded(b'{"id": "c79"}', "identity"),
    "exactly the limit": http(200, b'{"id": "c79"}'.ljust(MOST_BYTES)),
    "unpacked exactly the limit": encoded(gzip.compress(b'{"id": "c79"}'.ljust(MOST_BYTES))),
    "another type": http(200, b'{"id": "c79"}', {"Content-Type": "text/html; charset=utf-16"}),
    "x-gzip": encoded(PACKED, "x-gzip"),
    "raw deflate": encoded(zlib.compress(b'{"id": "c79"}', wbits=-15), "deflate"),
    "two gzip members": encoded(gzip.compress(b'{"id": ') + gzip.compress(b'"c79"}')),
    "gzip filled up with zeros": encoded(PACKED + b"\0" * 512),
    "gzip twice": encoded(gzip.compress(PACKED), "gzip, gzip"),
    "UTF-8 with a mark": http(200, b'\xef\xbb\xbf{"id": "c79"}'),
    "UTF-16 with a mark": http(200, '{"id": "c79"}'.encode("utf-16")),
    "UTF-16 without one": http(200, '{"id": "c79"}'.encode("utf-16-le")),
    "UTF-32 with a mark": http(200, '{"id": "c79"}'.encode("utf-32")),
    "ISO-8859-1": http(
        200,
        '{"id": "c79", "message": "envío"}'.encode("latin-1"),
        {"Content-Type": "application/json; charset=ISO-8859-1"},
    ),
    "Windows-1252 in quotes": http(
        200,
        '{"id": "c79", "message": "envío €"}'.encode("cp1252"),
        {"Content-Type": 'application/json; Charset="windows-1252"'},
    ),
    "NaN beside it": http(200, b'{"id": "c79", "balance": NaN}'),
    "half a surrogate pair beside it": http(200, b'{"id": "c79", "message": "\\ud83d"}'),
    "in chunks": CHUNKED + b'6\r\n{"id":\r\n7\r\n "c79"}\r\n0\r\n\r\n',
    "without a length": b'HTTP/1.1 200 OK\r\n\r\n{"id": "c79"}',
    "after interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + http(200, b'{"id": "c79"}'),
    "an odd field beside it": http(200, b'{"id": "c79", "status": {"a": [1]}, "balance": 1e99}'),
    "HTTP/1.0": http(200, b'{"id": "c79"}').replace(b"/1.1", b"/1.0"),
}


@of_each_reader
@pytest.mark.parametrize("raw", READABLE.values(), ids=READABLE)
async def test_a_readable_success_is_read(
    raw: bytes, server: HostileServer, connectus: AsyncConnectus
):
    """The identifier is not lost to a detail of how the answer is written."""
    server.reply = answer(raw)

    assert (await post(connectus)).id == "c79"
    assert server.requests == {"POST": 1}


async def test_a_large_answer_is_not_read_to_its_end(server: HostileServer):
    """The connection is given up at the limit, so an endless answer costs no memory."""
    written = asyncio.Event()

    async def reply(exchange) -> None:
        await exchange.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with pytest.raises(ConnectionError):
            while True:
                await exchange.write(b" " * 2**16)
        written.set()
        exchange.close()

    server.reply = reply
    async with client(server.url) as connectus:
        await failure(post(connectus), UnreadableAnswerError)
        await written.wait()


async def test_a_bomb_is_not_unpacked(server: HostileServer):
    """What is unpacked is bounded as well, not only what is read."""
    server.reply = keep_alive(encoded(gzip.compress(b" " * 2**26)))
    async with client(server.url, max_response_bytes=2**20) as connectus:
        await failure(post(connectus), UnreadableAnswerError)
        tracemalloc.start()
        await failure(post(connectus), UnreadableAnswerError)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 2**23


async def test_a_large_request_arrives_once(server: HostileServer, connectus: AsyncConnectus):
    """A body that is sent as a stream is still one POST."""
    content = "<p>" + "ñ" * 2**20

    await connectus.email.send("ana@example.com", "Hola", content, src_email="hola@example.com")

    assert server.requests == {"POST": 1}


# Trying again


async def test_a_get_gets_its_answer_on_a_later_try(
    server: HostileServer, connectus: AsyncConnectus
):
    """Two failures of different kinds, then the answer."""
    server.reply = in_turn(reset_after(), keep_alive(http(503)), keep_alive(http(200)))

    assert (await get(connectus)).response.status == 200
    assert server.requests == {"GET": 3}


async def test_without_retries_there_is_one_try(server: HostileServer, connectus: AsyncConnectus):
    """Zero means zero, for what could be repeated as well."""
    server.reply = keep_alive(http(429))
    once = connectus.with_options(max_retries=0)

    for send in METHODS.values():
        await failure(send(once), RateLimitError)

    assert server.requests == {"GET": 1, "POST": 1, "PATCH": 1}


async def test_a_kept_connection_that_drops_is_not_tried_again_unasked(server: HostileServer):
    """aiohttp would repeat a GET of its own accord: the tries that we count are all there are."""
    server.reply = in_turn(keep_alive(http()), reset_after())
    async with client(server.url, max_retries=0) as connectus:
        await get(connectus)
        await failure(get(connectus), ConnectionLostError)

    assert server.requests == {"GET": 2}


async def test_too_many_requests_are_sent_again_until_they_pass(emulator: Emulator):
    """429 is the one answer after which a POST is repeated: it was not acted upon."""
    emulator.fault(Fault.too_many(retry_after=0), route="sms.send", times=2)
    async with AsyncConnectus(
        emulator.api_user, emulator.api_key, base_url=emulator.base_url, backoff_base=0
    ) as connectus:
        await post(connectus)

    assert emulator.requests["sms.send"] == 3
    assert len(emulator.received) == 1


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Take note of the pauses instead of making them."""
    made: list[float] = []
    sleep = asyncio.sleep

    async def take_note(seconds: float) -> None:
        made.append(seconds)
        await sleep(0)

    monkeypatch.setattr("connectus_async.transport.asyncio.sleep", take_note)
    return made


def in_an_hour() -> str:
    return format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1), usegmt=True)


async def test_retry_after_is_waited_for(server: HostileServer, pauses: list[float]):
    """In seconds and as a date; a date that has passed is no pause at all."""
    server.reply = in_turn(
        keep_alive(http(429, headers={"Retry-After": "7"})),
        keep_alive(http(429, headers={"Retry-After": in_an_hour()})),
        keep_alive(http(429, headers={"Retry-After": "Mon, 09 Jan 2023 13:30:07 GMT"})),
        keep_alive(http(429, headers={"Retry-After": "Mon, 09 Jan 2023 13:30:07 -0000"})),
        keep_alive(http(429, headers={"Retry-After": "0"})),
        keep_alive(http(200)),
    )
    async with client(server.url, max_retries=9, retry_after_cap=3600) as connectus:
        await post(connectus)

    seconds, date, *zeros = pauses
    assert seconds == 7
    assert 3500 < date <= 3600
    assert zeros == [0, 0, 0]


def at(seconds: float) -> str:
    """Write the moment that is so many seconds ahead of our clock."""
    return format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds), usegmt=True)


@in_one_way
@pytest.mark.parametrize("ahead", [0, 90, 3600, -3600, -86_400])
async def test_a_date_to_retry_after_is_read_by_the_clock_of_the_answer(
    ahead: float, server: HostileServer, pauses: list[float]
):
    """By ours, a server that is an hour ahead would want an hour."""
    headers = {"Date": at(ahead), "Retry-After": at(ahead + 20)}
    server.reply = keep_alive(http(429, headers=headers))
    async with client(server.url, max_retries=1) as connectus:
        error = await failure(post(connectus), RateLimitError)

    assert 19 <= error.retry_after <= 21
    assert pauses == [error.retry_after]


@in_one_way
@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Jan 2023 99:00:00 GMT"])
async def test_without_a_date_of_the_answer_our_clock_is_what_there_is(
    date: str, server: HostileServer
):
    """The field may be missing or say nothing."""
    server.reply = keep_alive(http(429, headers={"Date": date, "Retry-After": in_an_hour()}))
    async with client(server.url) as connectus:
        error = await failure(post(connectus), RateLimitError)

    assert 3500 < error.retry_after <= 3600


async def test_a_pause_that_is_asked_for_is_finite(
    server: HostileServer, connectus: AsyncConnectus
):
    """Whatever the server writes, there can be reckoned with it."""
    for wanted in ("9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT"):
        server.reply = keep_alive(http(429, headers={"Retry-After": wanted}))
        error = await failure(post(connectus), RateLimitError)
        assert 86_400 * 365 <= error.retry_after <= 86_400 * 366


@in_one_way
@pytest.mark.parametrize(
    "wanted", ["61", "9" * 5000, in_an_hour()], ids=["a minute", "for ever", "a date"]
)
async def test_a_retry_after_above_the_cap_fails_at_once(
    wanted: str, server: HostileServer, pauses: list[float]
):
    """Sooner than asked would be rude, later would hang; the caller is told how long."""
    server.reply = keep_alive(http(429, headers={"Retry-After": wanted}))
    async with client(server.url, retry_after_cap=60) as connectus:
        error = await failure(post(connectus), RateLimitError)

    assert error.retry_after > 60
    assert pauses == []
    assert server.requests == {"POST": 1}


@in_one_way
@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "nan",
        "inf",
        "1e9",
        "0x10",
        "Mon, 99 Jan 2023 99:00:00 GMT",
        "Mon, 09 Jan 2023 13:30:07 +99999999999999",
        "Mon, 09 Jan 99999999999999999999 13:30:07 GMT",
        "\N{ARABIC-INDIC DIGIT THREE}",
        "\N{SUPERSCRIPT TWO}",
    ],
)
async def test_a_retry_after_of_nonsense_is_ignored(
    nonsense: str, server: HostileServer, pauses: list[float]
):
    """The usual pause is made instead."""
    server.reply = keep_alive(http(429, headers={"Retry-After": nonsense}))
    async with client(server.url) as connectus:
        error = await failure(post(connectus), RateLimitError)

    assert error.retry_after is None
    assert pauses == [0, 0]


async def test_pauses_grow_up_to_their_cap(server: HostileServer, pauses: list[float]):
    """Each is drawn from zero to a bound that doubles."""
    server.reply = keep_alive(http(503))
    async with client(server.url, backoff_base=1, backoff_cap=4, max_retries=40) as connectus:
        await failure(get(connectus), ServerError)

    bounds = itertools.chain([1, 2], itertools.repeat(4))
    assert all(0 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=False))
    assert len(pauses) == 40
    assert max(pauses) > 2


async def test_a_retry_after_on_a_failed_get_is_honoured(
    server: HostileServer, pauses: list[float]
):
    """A 503 may ask for a pause as well; for a POST nothing follows from it."""
    server.reply = keep_alive(http(503, headers={"Retry-After": "9"}))
    async with client(server.url) as connectus:
        await failure(get(connectus), ServerError)
        await failure(post(connectus), ServerError)

    assert pauses == [9, 9]
    assert server.requests == {"GET": 3, "POST": 1}


# Giving up


async def test_a_cancelled_call_is_not_repeated(server: HostileServer, connectus: AsyncConnectus):
    """It ends as cancelled, at once, and the server saw it once."""
    server.reply = stall()
    call = asyncio.create_task(post(connectus))
    await server.asked.wait()

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    server.reply = keep_alive(http())
    await get(connectus)
    assert server.requests == {"POST": 1, "GET": 1}


async def test_a_call_cancelled_while_it_waits_for_a_connection_is_never_sent(
    server: HostileServer,
):
    """The connection that it waited for goes to the next in line."""
    server.reply = stall()
    async with client(server.url, max_connections=1) as connectus:
        first = asyncio.create_task(post(connectus))
        await server.asked.wait()
        second = asyncio.create_task(patch(connectus))
        await asyncio.sleep(0)

        second.cancel()
        first.cancel()
        results = await asyncio.gather(first, second, return_exceptions=True)
        server.reply = keep_alive(http())
        await get(connectus)

    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    assert server.requests == {"POST": 1, "GET": 1}


async def test_a_call_cancelled_in_a_pause_ends_there(server: HostileServer):
    """No further try is made."""
    server.reply = keep_alive(http(429, headers={"Retry-After": "60"}))
    async with client(server.url) as connectus:
        call = asyncio.create_task(post(connectus))
        await server.asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    assert server.requests == {"POST": 1}


async def test_a_call_that_waits_for_a_connection_is_named_when_the_client_closes(
    server: HostileServer,
):
    """It was not sent; the one that has the connection may have been."""
    server.reply = stall()
    async with client(server.url, max_connections=1) as connectus:
        first = asyncio.create_task(post(connectus))
        await server.asked.wait()
        second = asyncio.create_task(post(connectus))
        await asyncio.sleep(0)
        await connectus.close()

    assert await failure(first, ConnectionLostError)
    with pytest.raises(ClientClosedError):
        await second
    assert server.requests == {"POST": 1}


async def test_an_identifier_excuses_an_error_only_in_the_answer_to_a_message(
    server: HostileServer, connectus: AsyncConnectus
):
    """A sub-client has an ``id`` too; an accepted message must never look like a failure."""
    server.reply = keep_alive(http(body=b'{"error": "not found", "id": 5}'))

    await failure(connectus.clients.update("5", "Colegio"), RejectedError)
    assert (await connectus.sms.send("56987688060", "Hola")).id == "5"


async def test_the_time_limit_of_the_caller_is_the_callers(
    server: HostileServer, connectus: AsyncConnectus
):
    """`asyncio.timeout` around a call ends it with the caller's own TimeoutError."""
    server.reply = stall()
    patient = connectus.with_options(timeout=9 * LIMIT)
    running_out = asyncio.create_task(run_out_after(server, 1))

    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(LIMIT):
            await post(patient)

    await running_out
    assert not isinstance(caught.value, ConnectusError)
    assert server.requests == {"POST": 1}


async def test_closing_the_client_leaves_a_call_under_way_open(server: HostileServer):
    """The message may have been sent, and the error says so."""
    server.reply = stall()
    async with client(server.url) as connectus:
        call = asyncio.create_task(failure(post(connectus), ConnectionLostError))
        await server.asked.wait()

    assert (await call).outcome is Outcome.UNKNOWN


# Kept connections


async def another_round_trip(server: HostileServer) -> None:
    """Let the loop see everything that had reached its sockets before."""
    reader, writer = await asyncio.open_connection(*server.url.removeprefix("http://").split(":"))
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await reader.readexactly(len(http()))
    writer.close()
    await writer.wait_closed()


async def test_a_connection_that_the_server_closed_is_not_used_again(
    server: HostileServer, connectus: AsyncConnectus
):
    """Ten POSTs, the connection closed after each: none is lost."""
    for _ in range(10):
        server.reply = answer(http(200, b'{"id": "c79"}'))
        assert (await post(connectus)).id == "c79"
        server.reply = keep_alive(http())
        await another_round_trip(server)

    assert server.requests["POST"] == 10


async def test_a_connection_is_kept(server: HostileServer, connectus: AsyncConnectus, way: str):
    """A campaign does not open a connection for each message, where aiohttp is known."""
    for _ in range(10):
        await post(connectus)

    assert server.connections == (10 if way == "unknown" else 1)


async def test_a_late_answer_is_never_given_to_the_next_call(server: HostileServer):
    """What was given up takes its connection with it."""
    given_up = asyncio.Event()

    async def late(exchange) -> None:
        await given_up.wait()
        await exchange.write(http(200, b'{"id": "of the first"}'))

    server.reply = in_turn(late, keep_alive(http(200, b'{"id": "of the second"}')))
    async with client(server.url, timeout=LIMIT) as connectus:
        call = asyncio.create_task(failure(post(connectus), RequestTimeoutError))
        await run_out_after(server, 1)
        await call
        given_up.set()

        assert (await post(connectus)).id == "of the second"

    assert server.requests == {"POST": 2}


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "when idle"])
async def test_an_answer_that_nobody_asked_for_is_never_given_to_the_next_call(
    at_once: bool, server: HostileServer, connectus: AsyncConnectus
):
    """Or a message would count as accepted by an answer to another."""
    go_on, gone_on = asyncio.Event(), asyncio.Event()

    async def twice(exchange) -> None:
        await exchange.write(http(200, b'{"id": "first"}') + (stray if at_once else b""))
        await go_on.wait()
        await exchange.write(b"" if at_once else stray)
        gone_on.set()

    stray = http(200, b'{"id": "stray"}')
    server.reply = twice
    assert (await post(connectus)).id == "first"
    server.reply = keep_alive(http())
    go_on.set()
    await gone_on.wait()
    await another_round_trip(server)

    server.reply = keep_alive(http(200, b'{"id": "second"}'))
    assert (await post(connectus)).id == "second"

    assert server.requests["POST"] == 2


# Anything at all

HEADS = st.sampled_from(
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 429 No\r\n",
        b"HTTP/1.1 500 No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 400 No\r\nContent-Encoding: deflate\r\n\r\n",
        b"HTTP/1.1 402 No\r\nRetry-After: ",
        CHUNKED,
    ]
)


@of_each_reader
@settings(
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(head=HEADS, rest=st.binary(max_size=200))
async def test_whatever_the_server_writes_is_an_answer_or_one_of_our_errors(
    head: bytes, rest: bytes, server: HostileServer, connectus: AsyncConnectus
):
    """One POST, and nothing but a `ConnectusError`; only a 429 is sent again."""
    server.requests.clear()
    server.reply = answer(head + rest)
    try:
        await post(connectus)
    except ConnectusError as error:
        tries = expected_tries("POST", error.outcome)
    else:
        tries = 1

    assert server.requests == {"POST": tries}


async def test_a_campaign_through_every_fault_sends_nothing_twice(emulator: Emulator):
    """Of 400 messages each is accounted for: accepted at the phone, not sent never there."""
    faults = [
        Fault.reset_before(),
        Fault.reset_after(),
        Fault.half_answer(),
        Fault.status(500),
        Fault.status(502, acted=True),
        Fault.status(400),
        Fault.too_many(retry_after=0),
        Fault.garbage(),
    ]
    for fault in faults:
        emulator.fault(fault, route="sms.send", share=0.1)
    numbers = [str(56_900_000_000 + index) for index in range(400)]
    outcomes: dict[str, Outcome] = {}

    async with AsyncConnectus(
        emulator.api_user, emulator.api_key, base_url=emulator.base_url, max_retries=0
    ) as connectus:

        async def send(number: str) -> None:
            try:
                await connectus.sms.send(number, "Hola")
                outcomes[number] = Outcome.ACCEPTED
            except RequestError as error:
                outcomes[number] = error.outcome

        await asyncio.gather(*map(send, numbers))

    phones = [message.recipient for message in emulator.received]
    assert len(phones) == len(set(phones))
    assert len(outcomes) == 400
    assert {outcomes[phone] for phone in phones} == {Outcome.ACCEPTED, Outcome.UNKNOWN}
    assert {number for number in numbers if outcomes[number] is Outcome.ACCEPTED} <= set(phones)
    assert set(outcomes.values()) == set(Outcome)
