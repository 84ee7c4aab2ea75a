"""Proxies: the choice of the proxy, and the outcome of requests that it does not forward."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest
import trustme
from hostile import HostileServer, http, keep_alive
from loop_time import LIMIT, pass_time

from connectus_async import (
    AsyncConnectus,
    ConfigurationError,
    ConnectError,
    Outcome,
    ProxyAuthenticationError,
    ProxyError,
    Sms,
)
from connectus_async.config import Config
from connectus_async.emulator import Emulator

pytestmark = pytest.mark.both("aiohttp finds hosts in another way")

CREDENTIALS = {"api_user": "user", "api_key": "key"}


class Proxy:
    """A proxy on loopback, which tunnels to wherever it is asked to, or refuses.

    Attributes:
        reply: What it answers instead of a tunnel.
        heads: The heads of the requests that came.
        asked: Set when a request came.
    """

    def __init__(self, reply: bytes | None = None) -> None:
        self.reply = reply
        self.heads: list[str] = []
        self.asked = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                self.asked.set()
                if self.reply is None:
                    await self._tunnel(head.split()[1], reader, writer)
                else:
                    writer.write(self.reply)
                    await reader.read()
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _tunnel(
        self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there_reader, there_writer = await asyncio.open_connection(*target.split(":"))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
        finally:
            there_writer.transport.abort()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(2**16):
        target.write(data)
    target.write_eof() if target.can_write_eof() else target.close()


def refusing(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 5\r\nX-Key: secret\r\n\r\nsorry".encode()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
async def server(authority: trustme.CA) -> AsyncIterator[HostileServer]:
    """An API that speaks TLS, so that a proxy has to be asked for a tunnel."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with HostileServer(keep_alive(http(body=b'{"id": "c79"}')), tls=context) as server:
        yield server


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    async with Proxy() as proxy:
        yield proxy


Client = Callable[..., AsyncConnectus]


@pytest.fixture
def client(server: HostileServer, ca_file: Path) -> Client:
    """Make a client of the server, and of the proxy that is given."""

    def make(proxy: str, **options: Any) -> AsyncConnectus:
        given = {"ca_file": ca_file, "backoff_base": 0, "connect_timeout": LIMIT} | options
        return AsyncConnectus("user", "key", base_url=server.url, proxy=proxy, **given)

    return make


def post(connectus: AsyncConnectus) -> Awaitable[Any]:
    return connectus.sms.send("56987688060", "Hola")


async def failure(call: Awaitable[object], kind: type[ConnectError]) -> ConnectError:
    with pytest.raises(ConnectError) as caught:
        await call
    assert type(caught.value) is kind
    assert caught.value.outcome is Outcome.NOT_SENT
    return caught.value


# Through it


async def test_a_message_goes_through_a_tunnel(server: HostileServer, proxy: Proxy, client: Client):
    """The proxy sees the host and nothing of what is said to it; the file vouches for the API."""
    async with client(proxy.url) as connectus:
        assert (await post(connectus)).id == "c79"
        assert (await post(connectus)).id == "c79"

    assert server.requests == {"POST": 2}
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT {server.url.removeprefix('https://')} HTTP/1.1\r\n")
    assert "uthorization" not in head


async def test_the_credentials_of_a_proxy_go_to_it_alone(
    server: HostileServer, proxy: Proxy, client: Client
):
    """Percent-encoded in its URL, as they have to be."""
    async with client(f"http://ana:p%C3%A4ss%3A@{proxy.address}") as connectus:
        await post(connectus)

    assert "\r\nProxy-Authorization: Basic YW5hOnDkc3M6\r\n" in proxy.heads[0]
    assert server.requests == {"POST": 1}


async def test_an_authority_that_is_not_named_is_not_trusted(
    server: HostileServer, proxy: Proxy, client: Client
):
    """Nor is it for a proxy that looks into what goes through it."""
    async with client(proxy.url, ca_file=None, max_retries=0) as connectus:
        error = await failure(post(connectus), ProxyError)

    assert "no connection through the proxy: TLS: " in str(error)
    assert not server.requests


async def test_a_netrc_file_takes_the_place_of_no_credentials(
    server: HostileServer,
    proxy: Proxy,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """aiohttp reads one where it reads the environment."""
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login stranger password word\n", "utf-8")
    monkeypatch.setenv("NETRC", str(path))
    async with client(proxy.url) as connectus:
        assert (await post(connectus)).id == "c79"

    assert "uthorization" not in proxy.heads[0]


# Refused by it


@pytest.mark.parametrize(
    "status", ["403 Forbidden", "502 Bad Gateway", "503 Unavailable", "504 Late", "301 Moved"]
)
async def test_a_tunnel_that_is_refused_is_the_proxys_no(
    status: str, server: HostileServer, proxy: Proxy, client: Client
):
    """Nothing was sent, so it is asked again; its own words are not shown."""
    proxy.reply = refusing(status)
    async with client(proxy.url) as connectus:
        error = await failure(post(connectus), ProxyError)

    assert f"the proxy refused: {status[:3]} " in str(error)
    assert "nothing was sent; check the proxy" in str(error)
    assert "secret" not in str(error)
    assert len(proxy.heads) == 3
    assert not server.requests


async def test_a_proxy_that_wants_credentials_is_asked_once(
    server: HostileServer, proxy: Proxy, client: Client
):
    """Three tries with a wrong password for each message lock an account."""
    proxy.reply = refusing("407 Proxy Authentication Required")
    async with client(f"http://ana:wrong@{proxy.address}") as connectus:
        for call in (post(connectus), connectus.account.get()):
            error = await failure(call, ProxyAuthenticationError)
            assert "the proxy refused: 407 Proxy Authentication Required" in str(error)
            assert "check the user and password" in str(error)
            assert "wrong" not in repr(error)

    assert len(proxy.heads) == 2
    assert not server.requests


async def test_a_campaign_stops_at_once_where_the_proxy_wants_credentials(
    proxy: Proxy, client: Client, tmp_path: Path
):
    """All messages stay queued."""
    proxy.reply = refusing("407 Proxy Authentication Required")
    async with (
        client(proxy.url) as connectus,
        connectus.bulk(ledger=tmp_path / "a.db", concurrency=1) as bulk,
    ):
        await bulk.load(Sms(f"5698768806{digit}", "Hola") for digit in range(10))
        with pytest.raises(ProxyAuthenticationError):
            await bulk.run()
        counts = await bulk.counts()

    assert counts == {"queued": 10}
    assert len(proxy.heads) == 1


@pytest.mark.parametrize("limit", ["connect_timeout", "timeout"])
async def test_the_time_to_connect_covers_the_proxys_answer(
    limit: str, server: HostileServer, proxy: Proxy, client: Client
):
    """A proxy that takes the request for a tunnel and says nothing is given up as a server is."""
    proxy.reply = b""
    limits = {"timeout": 9 * LIMIT, "connect_timeout": 9 * LIMIT} | {limit: LIMIT}
    async with client(proxy.url, **limits, max_retries=0) as connectus:
        call = asyncio.create_task(failure(post(connectus), ProxyError))
        await proxy.asked.wait()
        pass_time()
        error = await call

    assert f"no connection through the proxy within {LIMIT} s" in str(error)
    assert not server.requests


NO_PROXIES = {
    "no HTTP": b"\x05\xff" * 20,
    "TLS": b"\x15\x03\x01\x00\x02\x02\x16",
    "a long header": b"HTTP/1.1 502 No\r\nX: " + b"x" * 9000 + b"\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("reply", NO_PROXIES.values(), ids=NO_PROXIES)
async def test_what_is_no_proxy_let_nothing_through(
    reply: bytes, server: HostileServer, proxy: Proxy, client: Client
):
    """The error names the proxy, not the API."""
    proxy.reply = reply
    async with client(proxy.url, max_retries=0) as connectus:
        error = await failure(post(connectus), ProxyError)

    assert "no connection through the proxy: the answer is not HTTP" in str(error)


async def test_a_proxy_that_is_not_there_is_named(client: Client, unused_url: str):
    """By its kind; its URL may hold a password."""
    async with client(unused_url, max_retries=0) as connectus:
        error = await failure(post(connectus), ProxyError)

    assert "no connection through the proxy: connection refused" in str(error)
    assert unused_url.removeprefix("http://") not in str(error)


# The environment


API = "https://api.example.com/v3"


def proxy_in(monkeypatch: pytest.MonkeyPatch, url: str, **variables: str) -> str | None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Config(**CREDENTIALS, base_url=API).proxy_for(url)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://a:1"}, "http://a:1"),
        ({"https_proxy": "http://a:1"}, "http://a:1"),
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}, "http://a:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://b:1"}, None),
        ({"HTTPS_PROXY": "a:1"}, "http://a:1"),
        ({"HTTP_PROXY": "http://a:1"}, None),
        ({"ALL_PROXY": "http://a:1"}, "http://a:1"),
        ({"all_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}, "http://b:1"),
        ({"CONNECTUS_PROXY": "http://a:1", "https_proxy": "http://b:1"}, "http://a:1"),
        ({"CONNECTUS_PROXY": "none", "https_proxy": "http://b:1"}, None),
        ({"CONNECTUS_PROXY": "", "https_proxy": "http://b:1"}, "http://b:1"),
        ({"CONNECTUS_PROXY": "http://a:1", "NO_PROXY": "example.com"}, None),
    ],
    ids=str,
)
def test_the_environment_names_a_proxy(
    variables: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
):
    """Ours first, then that of the scheme, then that of all; small letters go before capitals."""
    assert proxy_in(monkeypatch, API, **variables) == expected


@pytest.mark.parametrize(
    ("exempt", "url", "is_direct"),
    [
        ("api.example.com", API, True),
        ("example.com", API, True),
        (".example.com", API, True),
        ("*.example.com", API, True),
        ("EXAMPLE.com", API, True),
        ("a.cl, example.com", API, True),
        ("a.cl example.com", API, True),
        ("*", API, True),
        ("api.example.com:443", API, True),
        ("api.example.com:8443", API, False),
        ("api.example.com:8443", "https://api.example.com:8443", True),
        ("ple.com", API, False),
        ("xample.com", API, False),
        ("v1.api.example.com", API, False),
        ("", API, False),
        (",", API, False),
        (".", API, False),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.1.2.3", "https://10.1.2.3", True),
        ("10.1.2.4", "https://10.1.2.3", False),
        ("10.1.2.3", API, False),
        ("2001:db8::/32", "https://[2001:db8::1]", True),
        ("[2001:db8::1]", "https://[2001:db8::1]", True),
    ],
)
def test_some_hosts_are_exempt(
    exempt: str, url: str, is_direct: bool, monkeypatch: pytest.MonkeyPatch
):
    """A name exempts itself and what is below it; addresses also go by network."""
    found = proxy_in(monkeypatch, url, HTTPS_PROXY="http://a:1", NO_PROXY=exempt)

    assert (found is None) == is_direct


def test_the_small_letters_of_no_proxy_go_first(monkeypatch: pytest.MonkeyPatch):
    """Empty ones as well."""
    variables = {"HTTPS_PROXY": "http://a:1", "no_proxy": "", "NO_PROXY": "*"}

    assert proxy_in(monkeypatch, API, **variables) == "http://a:1"


def test_a_strangers_header_names_no_proxy(monkeypatch: pytest.MonkeyPatch):
    """A web server gives a script the field ``Proxy`` of a request as HTTP_PROXY."""
    variables = {"HTTP_PROXY": "http://evil:1", "REQUEST_METHOD": "GET"}

    assert proxy_in(monkeypatch, "http://api.example.com", **variables) is None


@pytest.mark.parametrize("host", ["127.0.0.1:8037", "localhost", "[::1]:80", "127.9.9.9"])
@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "CONNECTUS_PROXY"])
def test_the_environment_has_no_say_for_this_machine(
    host: str, name: str, monkeypatch: pytest.MonkeyPatch
):
    """The emulator is there, and a proxy elsewhere would look for it on its own."""
    assert proxy_in(monkeypatch, f"http://{host}/api_v3", **{name: "http://a:1"}) is None


async def test_a_client_of_the_emulator_needs_no_exemption(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    """In a shell whose variables lead everything to a proxy."""
    for name in ("http_proxy", "HTTPS_PROXY", "CONNECTUS_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example.com:3128")
    async with AsyncConnectus(
        emulator.api_user, emulator.api_key, base_url=emulator.base_url
    ) as connectus:
        await post(connectus)

    assert len(emulator.received) == 1


def test_what_is_given_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch):
    """An argument, and the word for none."""
    monkeypatch.setenv("CONNECTUS_PROXY", "http://a:1")

    assert Config(**CREDENTIALS, proxy="http://b:1").proxy_for(API) == "http://b:1"
    assert Config(**CREDENTIALS, proxy="none").proxy_for(API) is None


@pytest.mark.parametrize("name", ["CONNECTUS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("value", ["socks5://user:word@127.0.0.1:1080", "ftp://word:1", "http://"])
def test_a_variable_that_names_no_proxy_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
):
    """When the client is made; it is not passed over, and nothing of it is shown."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"^proxy: {name}: ") as caught:
        AsyncConnectus("user", "key")

    assert "word" not in str(caught.value)


def test_a_file_of_certificates_may_be_named_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, ca_file: Path, tmp_path: Path
):
    """And is read when the client is made."""
    monkeypatch.setenv("CONNECTUS_CA_FILE", str(ca_file))
    assert AsyncConnectus("user", "key")._transport.config.ca_file == str(ca_file)
    monkeypatch.setenv("CONNECTUS_CA_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match="ca_file: cannot be read: no such file"):
        AsyncConnectus("user", "key")


def test_a_file_of_certificates_needs_settings_of_ours(ca_file: Path):
    """Both would leave open which counts."""
    with pytest.raises(ConfigurationError, match="cannot be combined with ssl_context"):
        AsyncConnectus("user", "key", ca_file=ca_file, ssl_context=ssl.create_default_context())
