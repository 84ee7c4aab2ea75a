"""Checks of the way to the API: names, connection, TLS, key, clock."""

import datetime as dt
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from connectus_async import AsyncConnectus, proxies
from connectus_async.answer import Response, http_date
from connectus_async.cli.checks import LIMIT, Check, Level, within
from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import number, translated
from connectus_async.cli.runner import run, shown
from connectus_async.config import Config
from connectus_async.errors import ConfigurationError, ConnectusError

MAX_ADDRESSES: Final = 4
"""Addresses of a host that are tried."""

MAX_CLOCK_DIFFERENCE: Final = 2.0
"""Seconds by which clocks of several machines may differ, for a reconciliation."""


class Server(NamedTuple):
    """A server to connect to.

    Attributes:
        host: Name or address.
        port: Port.
        is_tls: Whether it speaks TLS.
    """

    host: str
    port: int
    is_tls: bool


Address = tuple[int, Any]


def check_network(config: Config, base_url: str) -> Iterator[Check]:
    """Check each step of the way to an API, up to the first that fails.

    Args:
        config: Settings of the client.
        base_url: URL of the API.
    """
    proxy = config.proxy_for(base_url)
    yield _proxy_check(proxy)
    server = _server(proxy or base_url)
    try:
        addresses = within(LIMIT, _resolved, server)
    except (OSError, UnicodeError) as error:  # a part of a name has at most 63 characters
        yield Check("DNS", Level.FAIL, _problem(server, error), _name_advice(proxy))
        return
    yield Check("DNS", Level.OK, _found(server, addresses))
    yield from _connection_checks(config, server, addresses, is_proxy=proxy is not None)


def check_key(settings: dict[str, Any], *, qr: bool) -> Iterator[Check]:
    """Check the credentials and the clock by one call that changes nothing.

    Args:
        settings: Settings of the client.
        qr: Whether they are for the host of WhatsApp QR.
    """
    limits = {"timeout": LIMIT, "connect_timeout": LIMIT, "max_retries": 0}

    async def command() -> tuple[str | None, Response | None, ConnectusError | None]:
        async with AsyncConnectus(**{**settings, **limits}) as client:
            try:
                if qr:
                    return None, (await client.whatsapp_qr.status()).response, None
                account = await client.account.get()
            except ConnectusError as error:
                return None, error.response, error
            return account.name, account.response, None

    before = time.time()
    account, response, error = run(command, when_interrupted="interrupted")
    if error is not None:
        yield Check(_("API key"), Level.FAIL, shown(error), _key_advice(error))
    elif account:
        yield Check(_("API key"), Level.OK, _("valid, of {account}").format(account=account))
    else:
        yield Check(_("API key"), Level.OK, _("valid"))
    yield _clock_check(response, before, time.time())


def _proxy_check(proxy: str | None) -> Check:
    if proxy is None:
        return Check(_("proxy"), Level.OK, _("none"))
    server = _server(proxy)
    return Check(_("proxy"), Level.OK, f"{server.host}:{server.port}")


def _server(url: str) -> Server:
    parts = urlsplit(url)
    port = parts.port or proxies.DEFAULT_PORTS[parts.scheme]
    return Server(parts.hostname or "", port, parts.scheme == "https")


def _resolved(server: Server) -> list[Address]:
    found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    addresses: list[Address] = [(family, address) for family, _, _, _, address in found]
    return addresses[:MAX_ADDRESSES]


def _found(server: Server, addresses: list[Address]) -> str:
    return f"{server.host}: {', '.join(str(address[0]) for _, address in addresses)}"


def _problem(server: Server, error: Exception) -> str:
    if isinstance(error, TimeoutError):
        seconds = _("no answer within {seconds} s").format(seconds=number(LIMIT))
        return f"{server.host}: {seconds}"
    reason = getattr(error, "strerror", None)
    return f"{server.host}: {translated(reason or str(error))}"


def _name_advice(proxy: str | None) -> str:
    if proxy is None:
        return _("Check the network, the DNS, and CONNECTUS_BASE_URL if you set it.")
    return _("Check the name of the proxy.")


def _connection_checks(
    config: Config, server: Server, addresses: list[Address], *, is_proxy: bool
) -> Iterator[Check]:
    started = time.perf_counter()
    try:
        connection = _connected(addresses)
    except OSError as error:
        yield Check(
            "TCP",
            Level.FAIL,
            _problem(server, error),
            _("Check that a firewall lets this machine connect to port {port}.").format(
                port=server.port
            ),
        )
        return
    with connection:
        taken = number((time.perf_counter() - started) * 1_000)
        yield Check("TCP", Level.OK, _("within {count} ms").format(count=taken))
        if server.is_tls and not is_proxy:
            yield _tls_check(config, server, connection)


def _connected(addresses: list[Address]) -> socket.socket:
    error: OSError = ConnectionError()
    for family, address in addresses:
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(LIMIT / len(addresses))
        try:
            connection.connect(address)
        except OSError as problem:
            connection.close()
            error = problem
        else:
            return connection
    raise error


def _tls_check(config: Config, server: Server, connection: socket.socket) -> Check:
    context = ssl.create_default_context()
    try:
        if config.ca_file is not None:
            context.load_verify_locations(config.ca_file)
        connection.settimeout(LIMIT)
        with context.wrap_socket(connection, server_hostname=server.host) as secured:
            return Check("TLS", Level.OK, secured.version() or "")
    except ssl.SSLCertVerificationError as error:
        return Check(
            "TLS",
            Level.FAIL,
            error.verify_message,
            _("If something here inspects TLS, give its certificates by --ca-file."),
        )
    except OSError as error:
        return Check("TLS", Level.FAIL, _problem(server, error), _name_advice(None))


def _key_advice(error: ConnectusError) -> str:
    match error:
        case ConfigurationError():
            return ""
        case _ if error.response is not None and error.response.status == 401:
            return _("Run `connectus login`, or correct the environment.")
        case _:
            return _("Try again later; if it stays so, ask Connectus.")


def _clock_check(response: Response | None, before: float, after: float) -> Check:
    date = None if response is None else http_date(response, "Date")
    if date is None:
        return Check(_("clock"), Level.WARN, _("not checked: no answer gives the time"))
    server = date.replace(tzinfo=dt.UTC).timestamp()
    difference = max(before - (server + 1), server - after, 0)  # the header has whole seconds
    if difference <= MAX_CLOCK_DIFFERENCE:
        return Check(_("clock"), Level.OK, _("agrees with the API's"))
    return Check(
        _("clock"),
        Level.WARN,
        _("differs from the API's by {seconds} s").format(seconds=number(difference)),
        _("Let the system set its clock by the network."),
    )
