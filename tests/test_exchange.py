"""The two kinds of exchange: they agree, when each is used, and the private API that one needs."""

import asyncio
import hashlib
import inspect
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from operator import attrgetter
from unittest.mock import patch

import aiohttp
import pytest
import trustme
from aiohttp.client_proto import ResponseHandler
from hostile import Exchange, HostileServer, answer, http, keep_alive, stall
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_time import LIMIT, all_has_arrived, pass_time, run_out_after
from ways import WAYS

from connectus_async import AsyncConnectus, ConnectionLostError, RequestTimeoutError
from connectus_async._exchange import (
    LARGE_BODY,
    MAX_HEADS,
    READ_SIZE,
    OneTimeExchange,
    RawResponse,
)
from connectus_async._fast_exchange import FastExchange, SimpleParser, knows_aiohttp
from connectus_async.transport import _warn_of_unknown_aiohttp

pytestmark = pytest.mark.both("aiohttp alone makes the connections")

NUMBER = "56987688060"
SHORT = 0.25

KEEPING = ["fast", "public"]
"""The ways that keep connections."""
LOOPS = [False, *([True] if find_spec("uvloop") else [])]


def client(url: str, **options: object) -> AsyncConnectus:
    settings = {"qr_token": "token", "qr_base_url": f"{url}/qr", "max_retries": 0}
    return AsyncConnectus("user", "key", base_url=f"{url}/api_v3", **(settings | options))


def choose(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    WAYS[way](monkeypatch)


@pytest.fixture(params=KEEPING)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    choose(request.param, monkeypatch)
    return request.param


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    async with HostileServer() as server:
        yield server


# What the fast way rests on

RELIES_ON = {
    "connector.BaseConnector._get": "4795a63c99f266c8",
    "connector.BaseConnector._release": "105426e5b03d8213",
    "connector.BaseConnector._release_acquired": "12d4149c88356402",
    "connector.BaseConnector._release_waiter": "bbdfe8abaff81295",
    "connector.BaseConnector._cleanup": "c655c367f7df02e7",
    "connector.BaseConnector._close": "4429f928165692be",
    "connector.BaseConnector.connect": "b9fe1f4d3e57ad12",
    "connector.BaseConnector.__init__": "99db6b24033bb11d",
    "connector.Connection": "b87e0588fdd9526b",
    "client_reqrep.ClientRequest.__init__": "8636fdb3a4b93b5f",
    "client_reqrep.ClientRequest.connection_key": "0976f2a8d42abf05",
    "client_reqrep.ClientRequest.update_headers": "4443c95d4332a9a8",
    "client_reqrep.ClientRequest.send": "82b495aa06760c64",
    "client_reqrep.ClientResponse.start": "bcbf178da3660180",
    "client_proto.ResponseHandler": "da5da6215c0ef3a0",
    "base_protocol.BaseProtocol": "b8cbe831e85f09b9",
    "streams.DataQueue": "aefbcc09f06b5163",
    "streams.StreamReader": "64f76413d16e4765",
}
"""The parts of aiohttp that the fast way uses or does the work of, and the hash of each."""


def source_hash(name: str) -> str:
    part = attrgetter(name)(aiohttp)
    source = inspect.getsource(part.fget if isinstance(part, property) else part)
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def test_aiohttp_is_what_the_fast_way_was_written_for():
    """Its private parts may change with any version: this tells before users are slow or worse."""
    found = {name: source_hash(name) for name in RELIES_ON}

    assert (found, knows_aiohttp()) == (RELIES_ON, True), (
        f"aiohttp {aiohttp.__version__} is not what connectus_async/_fast_exchange.py was written "
        "for, so that calls go through its session. Read what changed in the parts that differ "
        "beside that module, run this file and test_outcomes.py with the version in "
        "KNOWN_VERSIONS, and record the hashes here."
    )


# When which is taken


async def exchange_of(connectus: AsyncConnectus) -> type:
    async with connectus:
        return type(connectus._transport._pool.exchange())


async def test_the_fast_way_is_taken_where_aiohttp_is_known(monkeypatch: pytest.MonkeyPatch):
    """Any other version goes through its public interface, which does not change so easily."""
    assert await exchange_of(AsyncConnectus("user", "key")) is FastExchange

    monkeypatch.setattr(aiohttp, "__version__", "3.99.0")
    assert await exchange_of(AsyncConnectus("user", "key")) is OneTimeExchange


async def test_an_aiohttp_that_is_not_known_is_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Who upgrades is told why messages take longer, and what to install."""
    _warn_of_unknown_aiohttp.cache_clear()
    monkeypatch.setattr(aiohttp, "__version__", "3.99.0")
    for _ in range(2):
        await exchange_of(AsyncConnectus("user", "key"))

    [warning] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "aiohttp 3.99.0" in warning.getMessage()
    assert "Install aiohttp 3.14.4 or 3.14.5" in warning.getMessage()


async def test_a_proxy_is_spoken_to_by_the_session(server: HostileServer):
    """It knows how; the request reaches the proxy whole, and its answer counts."""
    server.reply = keep_alive(http(200, b'{"id": "c79"}'))
    async with client("http://127.0.0.1:9", proxy=server.url) as connectus:
        receipt = await connectus.sms.send(NUMBER, "Hola")

    assert receipt.id == "c79"
    assert server.targets == ["http://127.0.0.1:9/api_v3/sms/send_individual"]


async def test_a_replaced_session_is_asked_instead_of_the_server(server: HostileServer):
    """So libraries for tests have it: what they are to answer reaches nobody, and costs nothing."""
    asked = []

    async def request(_: aiohttp.ClientSession, method: str, url: object, **__: object) -> None:
        asked.append(f"{method} {url}")
        raise aiohttp.ClientConnectionError

    async with client(server.url) as connectus:
        await connectus.sms.send(NUMBER, "Hola")
        with patch("aiohttp.client.ClientSession._request", request):
            with pytest.raises(ConnectionLostError):
                await connectus.sms.send(NUMBER, "Hola")
            async with client(server.url) as another:
                with pytest.raises(ConnectionLostError):
                    await another.sms.send(NUMBER, "Hola")
        await connectus.sms.send(NUMBER, "Hola")

    assert asked == [f"POST {server.url}/api_v3/sms/send_individual"] * 2
    assert server.requests == {"POST": 2}


# What is written

CALLS: dict[str, Callable[[AsyncConnectus], Awaitable[object]]] = {
    "POST": lambda connectus: connectus.sms.send(NUMBER, "Hola, señorita"),
    "PATCH": lambda connectus: connectus.clients.update("a1476f56", "Colegio"),
    "GET": lambda connectus: connectus.account.get(),
    "GET with a query": lambda connectus: connectus.sms.by_date("2026-07-01", "2026-07-31"),
    "GET with an identifier": lambda connectus: connectus.sms.status("a/b ñ?#%41"),
    "GET with a body": lambda connectus: connectus.whatsapp_qr.messages.last(NUMBER),
    "a large POST": lambda connectus: connectus.email.send(
        "ana@example.com", "Hola", "x" * 2**20, src_email="hola@example.com"
    ),
}


@asynccontextmanager
async def recorder(requests: list[tuple[str, dict[str, str], bytes]]) -> AsyncIterator[str]:
    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode():
            line, *fields = head.removesuffix("\r\n\r\n").split("\r\n")
            headers = dict(field.split(": ", 1) for field in fields)
            body = await reader.readexactly(int(headers.get("Content-Length", 0)))
            requests.append((line, headers, body))
            writer.write(http())

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await record(reader, writer)
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost"])
async def test_both_ways_write_the_same_request(
    host: str,
    call: Callable[[AsyncConnectus], Awaitable[object]],
    monkeypatch: pytest.MonkeyPatch,
):
    """Line, header fields and body; twice, for the second finds what the first has kept."""
    requests: list[tuple[str, dict[str, str], bytes]] = []
    async with recorder(requests) as url:
        for way in KEEPING:
            choose(way, monkeypatch)
            async with client(url.replace("127.0.0.1", host)) as connectus:
                await call(connectus)
                await call(connectus)

    assert requests == [requests[-1]] * 4


async def test_heads_are_not_kept_without_end(server: HostileServer):
    """Each identifier makes a head of its own; a service may ask for millions."""
    async with client(server.url) as connectus:
        for number in range(3 * MAX_HEADS):
            await connectus.sms.status(str(number))
        endpoint = connectus._transport._endpoints["platform"]

    assert len(endpoint._heads) <= MAX_HEADS
    assert server.targets[-1] == f"/api_v3/sms/{3 * MAX_HEADS - 1}"


# Time limits, of which one timer serves many


async def test_the_time_limit_of_a_call_is_not_that_of_the_call_before(
    way: str, server: HostileServer
):
    """Neither a shorter one before it nor a longer one, on the same connection."""

    async def later(exchange: Exchange) -> None:
        pass_time()
        await all_has_arrived()
        await exchange.write(http())

    async with client(server.url, timeout=9 * LIMIT) as connectus:
        impatient = connectus.with_options(timeout=LIMIT)
        await impatient.account.get()
        server.reply = later
        await connectus.account.get()
        server.reply = keep_alive(http())
        await connectus.account.get()
        assert server.connections == 1

        server.reply = stall()
        call = asyncio.create_task(impatient.account.get())
        await run_out_after(server, 4)
        with pytest.raises(RequestTimeoutError):
            await call


# A call that is cancelled


async def test_a_cancelled_call_gives_its_connection_up(way: str, server: HostileServer):
    """Or the next call on it would get the answer to this one."""
    server.reply = stall()
    async with client(server.url) as connectus:
        call = asyncio.create_task(connectus.sms.send(NUMBER, "Hola"))
        await server.asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        server.reply = keep_alive(http())
        await connectus.sms.send(NUMBER, "Hola")

    assert server.connections == 2


# Plain answers, which the fast way reads without aiohttp's parser

NAMES = st.sampled_from(
    ["Content-Type", "content-length", "Server", "X-1_2", "Set-Cookie", "Date", "Connection"]
) | st.text("ab-_ :\t\x7f", max_size=3)
VALUES = st.sampled_from(["application/json", "0", "2", "keep-alive", "close", "a b"]) | st.text(
    "a1 :,;\t\x00\x80é", max_size=4
)
LINES = st.sampled_from(
    [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 429 ",
        "HTTP/1.1 200",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 204 No Content",
    ]
) | st.integers(0, 1000).map(lambda status: f"HTTP/1.1 {status} Whatever")
EXTRAS = st.sampled_from(
    [("Transfer-Encoding", "chunked"), ("Upgrade", "h2c"), ("Content-Encoding", "gzip")]
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Draw answers, of which about half are plain, and the others nearly so."""
    body = draw(st.sampled_from([b"{}", b"", b'{"id": "1"}', b"2\r\n{}\r\n0\r\n\r\n"]))
    fields = draw(st.lists(st.tuples(NAMES, VALUES) | EXTRAS, max_size=3))
    if draw(st.integers(0, 7)):
        fields.append(
            ("Content-Length", str(len(body) + draw(st.sampled_from([0, 0, 0, 0, 1, -1]))))
        )
    separator = draw(st.sampled_from([": ", ": ", ":", " : "]))
    end = draw(st.sampled_from(["\r\n", "\r\n", "\r\n", "\n"]))
    lines = [draw(LINES), *(f"{name}{separator}{value}" for name, value in fields)]
    return "".join(line + end for line in [*lines, ""]).encode("latin-1") + body


async def parsed(raw: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """Read an answer as a connection of aiohttp reads it."""
    connection = ResponseHandler(asyncio.get_running_loop())
    connection.set_response_params(auto_decompress=False, read_until_eof=True)
    connection.data_received(raw)
    message, payload = await connection.read()
    body = payload.read_nowait()
    assert payload.is_eof()
    assert not connection.should_close
    return message.code, [*message.headers.items()], body


def parse_simple(raw: bytes, limit: int) -> RawResponse | None:
    return SimpleParser().parse(raw, limit)


def repeats_a_field(reply: RawResponse) -> bool:
    """Tell whether it has a field twice, which aiohttp refuses in Python's development mode."""
    return len({name.lower() for name in reply.headers}) < len(reply.headers)


@given(answers())
@settings(max_examples=1000)
async def test_a_plain_answer_is_what_the_parser_makes_of_it(raw: bytes):
    """The same status, header fields and body, on a connection that can be kept."""
    reply = parse_simple(raw, LARGE_BODY)

    if reply is not None and not (sys.flags.dev_mode and repeats_a_field(reply)):
        assert (reply.status, [*reply.headers.items()], reply.body) == await parsed(raw)


@pytest.mark.parametrize("length", [0, 1, 100])
def test_an_answer_is_plain_if_it_came_whole(length: int):
    """Neither a part of it, nor more than it, nor more than may be read."""
    raw = http(200, b"x" * length, {"Server": "nginx"})
    reply = parse_simple(raw, 100)

    assert reply is not None
    assert reply.headers["server"] == "nginx"
    assert {*reply.headers.values()} == {value for _, value in reply.headers.items()}
    assert reply.body == b"x" * length
    assert not any(parse_simple(raw[:end], 100) for end in range(len(raw)))
    assert parse_simple(raw + b"x", 100) is None
    assert parse_simple(raw, length - 1) is None


@given(st.lists(answers(), min_size=1, max_size=3), st.lists(st.integers(0, 2), max_size=8))
@settings(max_examples=1000)
def test_a_plain_answer_is_read_as_if_it_were_the_first(raws: list[bytes], order: list[int]):
    """Whatever answers the parser read before, and in whatever number of pieces they came."""
    parser = SimpleParser()
    for index in order:
        for raw in (raws[index % len(raws)], raws[index % len(raws)][:-1]):
            expected, reply = parse_simple(raw, 40), parser.parse(raw, 40)
            assert (expected is None) == (reply is None)
            if expected is not None:
                assert (expected.status, [*expected.headers.items()], expected.body) == (
                    reply.status,
                    [*reply.headers.items()],
                    reply.body,
                )


# Each loop


@pytest.mark.parametrize(
    "anyio_backend",
    [("asyncio", {"use_uvloop": use_uvloop}) for use_uvloop in LOOPS],
    ids=lambda backend: "uvloop" if backend[1]["use_uvloop"] else "asyncio",
)
async def test_each_loop_is_served(way: str):
    """TLS, kept connections, time limits and broken answers are not asyncio's alone."""
    authority = trustme.CA()
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async with (
        HostileServer(tls=serving) as server,
        client(server.url, ssl_context=trusting) as connectus,
    ):
        for _ in range(3):
            await connectus.sms.send(NUMBER, "Hola")
        assert server.connections == 1

        server.reply = stall()
        with pytest.raises(RequestTimeoutError):
            await connectus.with_options(timeout=SHORT).sms.send(NUMBER, "Hola")

        server.reply = answer(b"HTTP/1.1 200 OK\r\nContent-Le")
        with pytest.raises(ConnectionLostError):
            await connectus.sms.send(NUMBER, "Hola")


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": False})], ids=["asyncio"])
async def test_asyncio_makes_no_more_room_than_an_answer_may_take(
    way: str, server: HostileServer, monkeypatch: pytest.MonkeyPatch
):
    """It would map and unmap 256 KiB for each of them; this fails if it is told otherwise."""
    sizes = []
    parse = ResponseHandler.data_received

    def data_received(self: ResponseHandler, data: bytes) -> None:
        sizes.append(len(data))
        parse(self, data)

    monkeypatch.setattr(ResponseHandler, "data_received", data_received)
    server.reply = keep_alive(http(body=b" " * 2**20))
    async with client(server.url) as connectus:
        await connectus.sms.send(NUMBER, "Hola")
    assert sum(sizes) > 2**20
    assert max(sizes) <= READ_SIZE
