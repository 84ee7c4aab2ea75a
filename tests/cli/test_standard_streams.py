"""Standard streams that are closed, full, narrow or a terminal: no traceback, nothing lost."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest

from connectus_async.emulator import Fault

COMMAND = (sys.executable, "-m", "connectus_async")
SMS = (*COMMAND, "sms", "send", "56987688060", "Hola", "--json")
SEND = ("bulk", "send", "--yes", "--text", "Hola")
TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def environment(environment: Mapping[str, str]) -> dict[str, str]:
    """That of this process too, but for what changes how Python prints."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**own, **environment}


@pytest.fixture
def unread() -> int:
    """A pipe that nobody reads any more, as after ``| head``."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.both("either loop gets signals")
def test_an_interruption_while_the_process_ends_is_none(environment):
    """All was done, and said; the exit code stays what it is."""
    interrupted = "import atexit, os, runpy; atexit.register(os.kill, os.getpid(), 2)"
    program = f"{interrupted}; runpy.run_module('connectus_async', run_name='__main__')"
    done = subprocess.run(
        (sys.executable, "-c", program, *SMS[3:]),
        capture_output=True,
        env=environment,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_receipt_that_nobody_reads_is_on_standard_error(environment, server, unread):
    """The message was accepted: the exit code says so, and its identifier is not lost."""
    done = subprocess.run(SMS, stdout=unread, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(unread)

    assert done.returncode == 0
    assert json.loads(done.stderr)["id"] == server.received[0].id


def test_a_receipt_that_cannot_go_anywhere_is_no_failure(environment, server, unread):
    """A failure would invite to send the message again."""
    done = subprocess.run(SMS, stdout=unread, stderr=unread, env=environment, check=False)
    os.close(unread)

    assert (done.returncode, len(server.received)) == (0, 1)


def test_rows_that_nobody_reads_are_on_standard_error(environment, recipients, server, unread):
    """The campaign goes on, and every failed row is still named."""
    server.fault(Fault.status(400))
    done = subprocess.run(
        [*COMMAND, *SEND, recipients, "--json"],
        stdout=unread,
        stderr=subprocess.PIPE,
        env=environment,
        check=False,
    )
    os.close(unread)

    _, *failures, summary = map(json.loads, done.stderr.splitlines())
    assert done.returncode == 4
    assert sorted(failure["line"] for failure in failures) == [2, 3, 4]
    assert summary["rejected"] == 3


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_campaign_whose_failures_nobody_can_read_stops(
    environment, recipients, server, unread, options
):
    """Nobody would learn what became of the messages."""
    done = subprocess.run(
        [*COMMAND, *SEND, recipients, "--concurrency", "2", *options],
        stdout=unread,
        stderr=unread,
        env=environment,
        check=False,
    )
    os.close(unread)

    assert done.returncode == 1
    assert not server.received


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_no_harm(environment, recipients, server, closed):
    """No socket takes the place of standard output."""
    send = (*SEND, recipients)
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *COMMAND, *send],
        capture_output=True,
        env=environment,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert len(server.received) == 3


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_terminal_without_unicode_shows_an_escape(environment, recipients, encoding, as_json):
    """A character that cannot be shown is no reason to fail otherwise."""
    done = subprocess.run(
        [*COMMAND, *SEND, recipients, "--text", "{€}", *["--json"] * as_json],
        capture_output=True,
        env={**environment, "PYTHONIOENCODING": encoding},
        check=False,
    )

    assert done.returncode == 2
    assert b"there is no column" in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr


def test_a_terminal_gets_a_progress_bar(environment: Mapping[str, str]):
    """With the rate and the remaining time; standard output has the summary alone."""
    terminal, side = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "demo", "--recipients", "200"],
        stdout=subprocess.PIPE,
        stderr=side,
        env={**environment, "TERM": "xterm", "COLUMNS": "100"},
    ) as process:
        os.close(side)
        shown = TERMINAL_CODES.sub("", read_all(terminal))
        printed = process.stdout.read().decode()

    assert process.returncode == 0
    assert re.search(r"200 of 200  [\d.,]+/s", shown)
    assert "200 of 200 accepted" in printed
    assert "/s" not in printed


def test_no_terminal_gets_no_progress_bar(environment: Mapping[str, str]):
    """Not even where colours are forced, as some build servers do."""
    done = subprocess.run(
        [*COMMAND, "demo", "--recipients", "5"],
        capture_output=True,
        env={**environment, "FORCE_COLOR": "1"},
        check=True,
    )

    assert done.stderr == b""


def read_all(terminal: int) -> str:
    """Read until the other side is closed, which Linux reports as an error."""
    chunks = []
    try:
        while chunk := os.read(terminal, 65_536):
            chunks.append(chunk)
    except OSError:
        pass
    os.close(terminal)
    return b"".join(chunks).decode()
