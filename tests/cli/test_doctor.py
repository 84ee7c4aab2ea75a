"""Doctor: what is wrong with the settings, the way to the API, or this machine."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from click.testing import Result

from connectus_async.cli import checks, network_checks
from connectus_async.emulator import Emulator

NOBODY = {"CONNECTUS_API_USER": None, "CONNECTUS_API_KEY": None}


def levels(result: Result) -> dict[str, str]:
    return {check["name"]: check["level"] for check in json.loads(result.stdout)["checks"]}


def advice(result: Result, name: str) -> str:
    found = json.loads(result.stdout)["checks"]
    return next(check["advice"] for check in found if check["name"] == name)


@contextmanager
def server_of(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that treats each connection as a test wants; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_all_is_well(run: Callable[..., Result], server: Emulator):
    """One line for each check; nothing is sent, and no secret is shown."""
    result = run("doctor")
    assert result.exit_code == 0, result.output
    assert "ok     API key        valid, of Emulated SpA\n" in result.stdout
    assert server.api_key not in result.output
    found = run("doctor", "--json")
    assert {*levels(found).values()} == {"ok"}
    assert json.loads(found.stdout)["ok"] is True
    assert [*levels(found)][:7] == [
        "program",
        "credentials",
        "proxy",
        "DNS",
        "TCP",
        "API key",
        "clock",
    ]
    assert "[excel]" in levels(found)
    assert server.requests == {"account.get": 2}


def test_a_wrong_key(run: Callable[..., Result]):
    """The clock is checked all the same."""
    result = run("doctor", "--json", CONNECTUS_API_KEY="mistyped")
    assert result.exit_code == 1
    assert levels(result)["API key"] == "fail"
    assert levels(result)["clock"] == "ok"
    assert advice(result, "API key") == "Run `connectus login`, or correct the environment."


def test_no_credentials(run: Callable[..., Result], server: Emulator):
    """The way to the API is checked without them."""
    result = run("doctor", "--json", **NOBODY)
    assert result.exit_code == 1
    assert levels(result)["credentials"] == "fail"
    assert levels(result)["TCP"] == "ok"
    assert "API key" not in levels(result)
    assert not server.requests


def test_no_such_host_and_no_open_port(run: Callable[..., Result], unused_url: str):
    """What would need the network is left out, and the rest is checked."""
    names = ("connectus.invalid", "a" * 64 + ".example")
    nameless = [run("doctor", "--json", CONNECTUS_BASE_URL=f"https://{name}") for name in names]
    assert all(levels(result)["DNS"] == "fail" for result in nameless)
    closed = run("doctor", "--json", CONNECTUS_BASE_URL=unused_url)
    assert levels(closed)["TCP"] == "fail"
    for result in (*nameless, closed):
        assert result.exit_code == 1
        assert not levels(result).keys() & {"TLS", "API key", "clock"}
        assert levels(result)["SQLite"] == "ok"


def test_the_proxy_is_named_without_its_password(run: Callable[..., Result], unused_url: str):
    """Its name and port are what is checked."""
    proxy = unused_url.replace("://", "://ana:word@")
    result = run("doctor", "--json", "--proxy", proxy)
    assert result.exit_code == 1
    assert unused_url.removeprefix("http://") in result.stdout
    assert "word" not in result.output


def test_settings_that_cannot_be(run: Callable[..., Result]):
    """They fail as one check among the others."""
    result = run("doctor", "--json", CONNECTUS_BASE_URL="nonsense")
    assert result.exit_code == 1
    assert levels(result)["settings"] == "fail"
    assert levels(result)["time zones"] == "ok"
    unknown = run("doctor", "--json", "--profile", "sandbox")
    assert levels(unknown)["credentials"] == "fail"


def test_a_certificate_that_nobody_trusts(run: Callable[..., Result], tmp_path: Path):
    """`--ca-file` is the way out, if it is the right one."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)

    def answer(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(65_536)
        except OSError:
            pass

    with server_of(answer) as port:
        url = {"CONNECTUS_BASE_URL": f"https://127.0.0.1:{port}"}
        refused = run("doctor", "--json", **url)
        trusted = run("doctor", "--json", "--ca-file", ca_file, **url)
    assert levels(refused)["TLS"] == "fail"
    assert "--ca-file" in advice(refused, "TLS")
    assert levels(trusted)["TLS"] == "ok"
    assert levels(trusted)["API key"] == "fail"


def test_a_server_that_never_answers_is_not_waited_for(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
):
    """Each step has a limit."""
    monkeypatch.setattr(network_checks, "LIMIT", 0.2)
    held: list[socket.socket] = []
    with server_of(lambda connection: held.append(connection.dup())) as port:
        for scheme, name in (("https", "TLS"), ("http", "API key")):
            url = {"CONNECTUS_BASE_URL": f"{scheme}://127.0.0.1:{port}"}
            assert levels(run("doctor", "--json", **url))[name] == "fail"
    for connection in held:
        connection.close()


def test_what_blocks_is_left_behind():
    """A name server, or a keyring that waits for somebody."""
    end = threading.Event()
    with pytest.raises(TimeoutError):
        checks.within(0.01, end.wait)
    end.set()


def test_a_database(run: Callable[..., Result], postgres_ledger: str):
    """It has the tables; or is not there, or no address at all."""
    assert levels(run("doctor", "--json", postgres_ledger))["PostgreSQL"] == "ok"
    away = run("doctor", "--json", "postgresql://ana:s3cr3t@127.0.0.1:9/ledgers")
    assert away.exit_code == 1
    assert levels(away)["PostgreSQL"] == "fail"
    assert "s3cr3t" not in away.output
    assert run("doctor", "recipients.csv").exit_code == 2
