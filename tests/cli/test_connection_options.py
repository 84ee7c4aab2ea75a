"""The way to the API on the command line: `--proxy` and `--ca-file`.

The emulator stands in for a proxy: it takes a request that names the whole URL, as one does.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from blockbuster import blockbuster_ctx
from yarl import URL

from connectus_async.defaults import ENVIRONMENT

NOWHERE = {ENVIRONMENT["base_url"]: "http://127.0.0.1:9/api_v3"}
NUMBER = "56987688060"


@pytest.fixture(autouse=True)
def no_blocking() -> Iterator[None]:
    """Fail a test in which our code blocks the loop, but where it starts a process, in no time."""
    with blockbuster_ctx("connectus_async") as watched:
        for function in watched.functions.values():
            function.can_block_in("connectus_async/workers/processes.py", "_start_one")
        yield


@pytest.fixture
def proxy(server) -> str:
    return str(URL(server.base_url).origin())


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return path


def test_single_calls_go_through_a_proxy(run, server, proxy, tmp_path):
    """Without it there is no API at this address."""
    body = tmp_path / "body.html"
    body.write_text("<p>Hola", "utf-8")
    email = ("email", "send", "ana@example.com", body, "--subject", "Hola")
    commands = [
        ("sms", "send", NUMBER, "Hola"),
        (*email, "--src-email", "contacto@example.com"),
        ("account",),
    ]
    for command in commands:
        assert run(*command, **NOWHERE).exit_code == 1
        assert run(*command, "--proxy", proxy, **NOWHERE).exit_code == 0

    assert len(server.received) == 2


@pytest.mark.parametrize("processes", [1, 2])
def test_a_campaign_goes_through_a_proxy(run, server, proxy, ca_file, recipients, processes):
    """Its senders in other processes as well, and what is asked about it later."""
    ledger = recipients.with_name("a.db")
    way = ("--proxy", proxy, "--ca-file", ca_file)
    send = ("bulk", "send", recipients, "--text", "Hola {name}", "--ledger", ledger)
    result = run(*send, "--processes", processes, *way, **NOWHERE)
    assert result.exit_code == 0, result.output
    assert len(server.received) == 3
    for command in ("resume", "reconcile", "track"):
        assert run("bulk", command, ledger, *way, **NOWHERE).exit_code == 0


def test_a_proxy_is_a_word_for_one_time(run, server, proxy, recipients):
    """The ledger remembers how a campaign is sent, and not from where: its URL holds a password."""
    ledger = recipients.with_name("a.db")
    with_password = proxy.replace("://", "://ana:word@")
    send = ("bulk", "send", recipients, "--text", "Hola", "--ledger", ledger)
    assert run(*send, "--proxy", with_password, **NOWHERE).exit_code == 0

    assert b":word@" not in ledger.read_bytes()
    recipients.write_text("dst_number\n56987688063\n", "utf-8")
    assert run(*send, **NOWHERE).exit_code == 6
    assert run("bulk", "resume", ledger, **NOWHERE).exit_code == 6
    assert run("bulk", "resume", ledger, "--other-account").exit_code == 0
    assert len(server.received) == 4


def test_no_proxy_whatever_the_environment_says(run, server):
    """A word of its own."""
    variables = {"CONNECTUS_PROXY": "socks5://127.0.0.1:9"}
    sms = ("sms", "send", NUMBER, "Hola")
    elsewhere = {ENVIRONMENT["base_url"]: "https://connectus.invalid"}

    refused = run(*sms, **variables, **elsewhere)
    assert refused.exit_code == 1
    assert "proxy: CONNECTUS_PROXY: SOCKS proxies are not supported" in refused.stderr
    assert run(*sms, "--proxy", "none", **variables).exit_code == 0
    assert len(server.received) == 1


@pytest.mark.parametrize("value", ["socks5://ana:word@127.0.0.1:1", "http://ana:word@:1", "proxy"])
def test_what_is_no_proxy_is_refused_before_anything(run, server, recipients, value):
    """In a sentence that shows nothing of it."""
    for command in (("sms", "send", NUMBER, "Hola"), ("bulk", "send", recipients, "--text", "x")):
        result = run(*command, "--proxy", value)
        assert result.exit_code == 2
        assert result.stderr.startswith("connectus: --proxy: ")
        assert "word" not in result.output
    assert not server.received


def test_a_file_that_holds_no_certificates_is_refused(run, server, recipients):
    """Before anything is sent; a file that is not there is wrong usage."""
    result = run("sms", "send", NUMBER, "Hola", "--ca-file", recipients)

    assert (result.exit_code, result.stderr) == (
        2,
        "connectus: --ca-file: contains no PEM certificates. Nothing was sent.\n",
    )
    assert run("sms", "send", NUMBER, "Hola", "--ca-file", "/no/such").exit_code == 2
    assert not server.received
