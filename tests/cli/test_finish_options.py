"""The end of a command about a campaign: who asked for it is told, and failures are tolerated."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from connectus_async.cli.exit_codes import ExitCode
from connectus_async.emulator import Emulator, Fault

Run = Callable[..., Result]
SEND = ("--yes", "--text", "Hola {name}")


@contextmanager
def hook(status: int = 200) -> Iterator[tuple[str, list[Any]]]:
    """Receive what is posted."""
    posted: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((self.headers["Content-Type"], json.loads(body)))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/services/secret", posted
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def ledger(recipients: Path) -> Path:
    return recipients.with_name(recipients.name + ".ledger.db")


@pytest.mark.parametrize("command", ["send", "resume", "retry"])
def test_a_command_gets_the_summary(
    run: Run, server: Emulator, recipients: Path, ledger: Path, command: str
):
    """As JSON on its standard input; it has no recipient."""
    target = recipients.with_name("summary.json")
    option = ("--on-finish", f"cat > '{target}'")
    server.fault(Fault.status(400), route="sms.send", times=1)
    if command == "send":
        done = run("bulk", "send", recipients, *SEND, *option)
    else:
        run("bulk", "send", recipients, *SEND)
        more = ("--rejected",) * (command == "retry")
        done = run("bulk", command, ledger, "--yes", *more, *option)

    rejected = command != "retry"
    told = json.loads(target.read_text("utf-8"))
    assert told["exit_code"] == done.exit_code == (4 if rejected else 0)
    assert (told["type"], told["ledger"], told["stopped_by"]) == ("summary", ledger.name, None)
    assert (told["counts"]["accepted"], told["counts"]["rejected"]) == (3 - rejected, rejected)
    assert "569" not in target.read_text("utf-8")


def test_a_summary_is_posted(run: Run, server: Emulator, recipients: Path):
    """Also of a campaign that was stopped."""
    server.fault(Fault.status(402), route="sms.send")
    with hook() as (url, posted):
        done = run("bulk", "send", recipients, *SEND, "--webhook-on-finish", url)

    ((kind, told),) = posted
    assert kind == "application/json"
    assert (told["exit_code"], done.exit_code) == (ExitCode.STOPPED, ExitCode.STOPPED)
    assert "402" in told["stopped_by"]
    assert told["counts"]["queued"] == 3


def test_a_command_that_fails_before_it_sends_is_told_of(run: Run, recipients: Path):
    """A nightly job is to be heard of in any case."""
    with hook() as (url, posted):
        done = run(
            *("bulk", "send", recipients, *SEND, "--webhook-on-finish", url),
            CONNECTUS_API_KEY="mistyped",
        )

    ((_, told),) = posted
    assert told["exit_code"] == done.exit_code == ExitCode.STOPPED


def test_who_cannot_be_told_changes_no_code(run: Run, server: Emulator, recipients: Path):
    """It is said, without the URL and the command, which may have a secret."""
    with socket.socket() as closed, hook(500) as (url, _):
        closed.bind(("127.0.0.1", 0))
        places = [url, f"http://127.0.0.1:{closed.getsockname()[1]}/secret"]
        told = [
            run("bulk", "send", recipients, *SEND, *option)
            for option in (
                *(("--webhook-on-finish", place) for place in places),
                ("--on-finish", "cat >/dev/null; : secret; exit 7"),
            )
        ]

    assert [done.exit_code for done in told] == [0, 0, 0]
    assert "--webhook-on-finish failed: Internal Server Error" in told[0].stderr
    assert "--webhook-on-finish failed: " in told[1].stderr
    assert "--on-finish failed: it ended with code 7" in told[2].stderr
    assert not any("secret" in done.output for done in told)
    assert len(server.received) == 3


@pytest.mark.parametrize(
    ("share", "code"), [("33%", ExitCode.SOME_FAILED), ("34", 0), ("0%", ExitCode.SOME_FAILED)]
)
def test_some_failures_are_tolerated(
    run: Run, server: Emulator, recipients: Path, ledger: Path, share: str, code: int
):
    """The ledger remembers how many: its status tolerates as much."""
    server.fault(Fault.status(400), route="sms.send", times=1)

    done = run("bulk", "send", recipients, *SEND, "--fail-above", share)

    assert done.exit_code == code
    assert run("bulk", "status", ledger).exit_code == code


@pytest.mark.parametrize("share", ["two", "-1%", "101%", "nan"])
def test_a_share_that_is_none_is_wrong_usage(run: Run, recipients: Path, share: str):
    done = run("bulk", "send", recipients, *SEND, "--fail-above", share)

    assert done.exit_code == ExitCode.WRONG_USAGE
    assert "must be a percentage such as 2%" in done.stderr
