"""A campaign in a database that others send: they get nothing of what nobody has said yes to."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from click.testing import Result
from terminal import At

from connectus_async.cli.exit_codes import ExitCode
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger import open_store
from connectus_async.ledger.records import Policy
from connectus_async.ledger.states import OnUnknown

Run = Callable[..., Result]
Queued = Callable[[], int]

SEND = ("--text", "Hola {name}", "--campaign", "navidad")
QUESTION = "Send 3 SMS to 3 people? [y/N] "
ANSWERS = {
    "asking, a yes": ("y\n", "was loaded again by somebody else"),
    "asking, a no": ("n\n", "Nothing was sent from here."),
}
NO_BALANCE = {"free_sms_balance_by_country": [{"country_name": "Chile", "balance": 0}]}


@pytest.fixture
def ledger(postgres_ledger: str) -> str:
    return postgres_ledger


@pytest.fixture
def send(recipients: Path, ledger: str) -> tuple[object, ...]:
    """The command that sends the file."""
    return "bulk", "send", recipients, *SEND, "--ledger", ledger


@pytest.fixture
def others_get(ledger: str) -> Iterator[Queued]:
    """Count what another process that sends the campaign would send now."""
    holder = open_store(ledger).ledger()
    with start_blocking_portal("asyncio") as portal:
        portal.call(holder.open, Policy("navidad", "message", OnUnknown.HOLD, False))
        yield lambda: len(portal.call(holder.queued, 0, 10))
        portal.call(holder.close)


def state_of(run: Run, ledger: str) -> str:
    """Read the first line of the status, without the name of the campaign."""
    return run("bulk", "status", ledger).stdout.splitlines()[0].partition(": ")[2]


def test_a_campaign_waits_for_its_yes(
    at_terminal: At, run: Run, server: Emulator, ledger: str, send, others_get: Queued
):
    """Before the answer, and after a no; then bulk resume asks."""
    terminal = at_terminal(*send)
    terminal.read_until(QUESTION)
    assert others_get() == 0
    assert state_of(run, ledger).startswith("3 wait for a yes at ")
    (listed,) = map(
        json.loads,
        run("bulk", "list", ledger.partition("&campaign=")[0], "--json").stdout.splitlines(),
    )
    assert (listed["state"], listed["unreleased"][0]["messages"]) == ("unconfirmed", 3)
    terminal.write("n\n")
    assert terminal.ended() == ExitCode.FAILED
    assert others_get() == 0
    assert "3 wait for a yes: run bulk resume" in state_of(run, ledger)

    terminal = at_terminal("bulk", "resume", ledger)
    terminal.read_until(QUESTION)
    assert "3 messages were loaded before, and nobody said yes to them" in terminal.shown
    assert others_get() == 0
    terminal.write("y\n")
    assert terminal.ended() == 0
    assert len(server.received) == 3


def test_others_help_after_the_yes(
    run: Run, server: Emulator, recipients: Path, ledger: str, send, others_get: Queued
):
    """They get what this process does not send."""
    server.fault(Fault.status(402), route="sms.send")
    assert run(*send, "--concurrency", 1).exit_code == ExitCode.STOPPED
    assert others_get() > 0


def test_what_a_balance_stops_is_sent_by_nobody(
    run: Run, server: Emulator, ledger: str, send, others_get: Queued
):
    """Until the same command gets by."""
    with server.fault(Fault.status(200, NO_BALANCE), route="clients.list"):
        assert run(*send).exit_code == ExitCode.FAILED
    assert others_get() == 0
    shown = run("bulk", "status", ledger).stdout
    assert "; 3 wait for a yes\n" in shown
    assert run("bulk", "resume", ledger).exit_code == ExitCode.FAILED
    sent = run(*send)
    assert (
        "3 messages were loaded before, and nobody said yes to them: this file decides about them\n"
    ) in sent.stdout
    assert (sent.exit_code, len(server.received)) == (0, 3)


@pytest.mark.parametrize("how", ["killed", "interrupted", *ANSWERS])
def test_the_same_command_takes_the_place_of_the_last_one(
    at_terminal: At, run: Run, server: Emulator, send, others_get: Queued, how: str
):
    """Nothing is doubled; the answer to a question that was asked before comes too late."""
    first = at_terminal(*send)
    first.read_until(QUESTION)
    if how == "killed":
        first.kill()
    elif how == "interrupted":
        first.interrupt()
        assert first.ended() == ExitCode.INTERRUPTED
    assert others_get() == 0
    sent = run(*send)
    assert (sent.exit_code, len(server.received)) == (0, 3)
    assert "this file decides about them" in sent.stdout
    if how.startswith("asking"):
        answer, said = ANSWERS[how]
        first.write(answer)
        assert first.ended() == ExitCode.FAILED
        assert said in first.shown
    assert len(server.received) == 3


def test_a_resume_sends_nothing_that_somebody_else_is_asked_about(
    at_terminal: At, run: Run, server: Emulator, ledger: str, send, others_get: Queued
):
    """It says so, and where the question is; nor does a reconciliation."""
    terminal = at_terminal(*send)
    terminal.read_until(QUESTION)
    resumed = run("bulk", "resume", ledger)
    as_json = run("bulk", "resume", ledger, "--json").stdout.splitlines()
    run("bulk", "reconcile", ledger, "--settle", "0.1")
    assert "3 messages wait for a yes at " in resumed.stdout
    assert "they are not sent from here" in resumed.stdout
    assert (resumed.exit_code, server.received) == (ExitCode.WAITING, [])
    assert json.loads(as_json[0])["messages"] == 3
    assert others_get() == 0
    terminal.write("y\n")
    assert terminal.ended() == 0
    assert len(server.received) == 3


def test_corrected_rows_wait_for_their_yes(
    at_terminal: At,
    run: Run,
    server: Emulator,
    recipients: Path,
    ledger: str,
    send,
    others_get: Queued,
    tmp_path: Path,
):
    """A no leaves them waiting; the same correction again asks about them, and doubles nothing."""
    with server.fault(Fault.status(400), route="sms.send", times=1):
        assert run(*send, "--concurrency", 1).exit_code == ExitCode.SOME_FAILED
    path = tmp_path / "fix.csv"
    assert run("bulk", "export", ledger, path, "--to-fix").exit_code == 0
    path.write_text(path.read_text("utf-8-sig").replace("56987688060", "56987688070"), "utf-8")
    for answer, received in (("n\n", 2), ("y\n", 3)):
        terminal = at_terminal("bulk", "retry", ledger, "--from", path)
        terminal.read_until("Send 1 SMS to 1 person? [y/N] ")
        assert others_get() == 0
        terminal.write(answer)
        terminal.ended()
        assert others_get() == 0
        assert len(server.received) == received
    assert server.received[-1].recipient == "56987688070"


def test_a_retry_asks_about_what_waits_too(
    at_terminal: At, run: Run, server: Emulator, recipients: Path, ledger: str, send
):
    """What nobody said yes to is in the count, and a yes sends it."""
    with server.fault(Fault.status(400), route="sms.send", times=1):
        run(*send, "--concurrency", 1)
    recipients.write_text(recipients.read_text("utf-8") + "56987688063,Luz\n", "utf-8")
    asked = at_terminal(*send)
    asked.read_until("Send 1 SMS to 1 person? [y/N] ")
    asked.write("n\n")
    asked.ended()
    retry = at_terminal("bulk", "retry", ledger, "--rejected")
    retry.read_until("Send 1 message again, and 1 that wait? [y/N] ")
    retry.write("y\n")
    assert retry.ended() == 0
    assert len(server.received) == 4


def test_a_sample_is_all_that_is_sent(
    run: Run, server: Emulator, ledger: str, send, others_get: Queued
):
    """Others do not send the rest; that waits for a yes of its own."""
    assert run(*send, "--limit", 1).exit_code == ExitCode.WAITING
    assert (others_get(), len(server.received)) == (0, 1)
    assert run("bulk", "resume", ledger).exit_code == 0
    assert len(server.received) == 3
