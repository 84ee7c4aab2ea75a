"""A campaign goes on with the account that it was sent with, and commands to go on name it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

from connectus_async.cli import profiles
from connectus_async.emulator import Emulator, Fault
from connectus_async.report.page import write_page

Run = Callable[..., Result]
NOBODY: dict[str, str | None] = {"CONNECTUS_API_USER": None, "CONNECTUS_API_KEY": None}
WAITS = ("--quiet-hours", "00:00-23:59", "--no-wait")
SANDBOX = ("--profile", "sandbox")
ANY = "--other-account"


@pytest.fixture(autouse=True)
def stored(server: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two profiles of one account, and one of another account."""
    monkeypatch.setenv(profiles.FILE_VARIABLE, str(tmp_path / "settings" / "profiles.toml"))
    settings = {
        "api_user": server.api_user,
        "api_key": server.api_key,
        "base_url": server.base_url,
    }
    for name in ("sandbox", "second"):
        profiles.write(name, settings, uses_keyring=False)
    profiles.write("other", {**settings, "api_user": "somebody"}, uses_keyring=False)


@pytest.fixture
def ledger(recipients: Path) -> Path:
    return recipients.with_name("a.db")


@pytest.fixture
def send(recipients: Path, ledger: Path) -> tuple[object, ...]:
    return ("bulk", "send", recipients, "--text", "Hola", "--ledger", ledger)


def test_commands_to_go_on_name_the_profile(run: Run, send: tuple[object, ...], ledger: Path):
    """At the end of a command, in an order, in the status and on the page."""
    sent = run(*send, *WAITS, *SANDBOX, **NOBODY)
    resume = f"connectus bulk resume {ledger} --profile sandbox"

    assert f"3 are still queued: continue with {resume}\n" in sent.stdout
    assert f"To send them: {resume}\n" in run("bulk", "stop", ledger).stdout
    assert f"to send the rest: {resume}\n" in run("bulk", "status", ledger).stdout
    page = ledger.with_name("a.html")
    write_page(ledger, page)
    assert "connectus bulk resume a.db --profile sandbox" in page.read_text("utf-8")


def test_no_credential_is_recorded(run: Run, server: Emulator, send: tuple[object, ...]):
    """The name of the profile is, and a hash of the user."""
    run(*send, *SANDBOX, **NOBODY)
    *_, ledger = send
    with closing(sqlite3.connect(str(ledger))) as connection:
        recorded = dict(connection.execute("SELECT name, value FROM campaign"))

    assert recorded["profile"] == "sandbox"
    assert not [it for it in recorded.values() if server.api_user in it or server.api_key in it]


def test_the_default_profile_needs_no_name(
    run: Run, server: Emulator, send: tuple[object, ...], ledger: Path
):
    """Nor do credentials of the environment, which are of the same account."""
    settings = profiles.read("sandbox")
    assert settings
    profiles.write("default", settings, uses_keyring=False)
    sent = run(*send, *WAITS, **NOBODY)
    assert f"continue with connectus bulk resume {ledger}\n" in sent.stdout
    environment = {"CONNECTUS_API_USER": server.api_user, "CONNECTUS_API_KEY": server.api_key}
    assert run("bulk", "resume", ledger, "--no-wait", **environment).exit_code == 7


@pytest.mark.parametrize(
    "command",
    [
        ("bulk", "resume", "LEDGER", "--no-wait"),
        ("bulk", "retry", "LEDGER", "--rejected", "--yes", "--no-wait"),
        ("bulk", "reconcile", "LEDGER"),
        ("bulk", "send", "FILE", "--text", "Hola", "--ledger", "LEDGER", *WAITS),
    ],
    ids=lambda command: command[1],
)
def test_another_profile_or_account_stops_a_campaign(
    run: Run,
    server: Emulator,
    recipients: Path,
    send: tuple[object, ...],
    ledger: Path,
    command: tuple[str, ...],
):
    """Nothing is sent until the user says that it may be another one."""
    server.fault(Fault.status(400), route="sms.send", times=1)
    run(*send, *SANDBOX, "--concurrency", 1, **NOBODY)
    before = len(server.received)
    places = {"LEDGER": ledger, "FILE": recipients}
    again = [places.get(part, part) for part in command]

    for other in (("--profile", "second"), ("--profile", "other")):
        refused = run(*again, *other, **NOBODY)
        assert refused.exit_code == 2
        assert "was sent with --profile sandbox: add that" in refused.stderr
    environment = {"CONNECTUS_API_USER": "somebody"}
    assert "was sent with --profile sandbox: add that" in run(*again, **environment).stderr
    assert len(server.received) == before
    assert run(*again, *SANDBOX, **NOBODY).exit_code != 1
    assert run(*again, "--profile", "second", ANY, **NOBODY).exit_code != 1


def test_a_profile_that_has_another_account_now_stops_a_campaign(
    run: Run, server: Emulator, send: tuple[object, ...], ledger: Path
):
    """Somebody logged in anew meanwhile."""
    run(*send, *WAITS, *SANDBOX, **NOBODY)
    profiles.write("sandbox", {"api_user": "somebody"}, uses_keyring=False)
    refused = run("bulk", "resume", ledger, "--no-wait", *SANDBOX, **NOBODY)
    assert "was sent by another account than --profile sandbox has now" in refused.stderr
    assert server.received == []


def test_a_campaign_of_the_environment_is_not_sent_by_another_account(
    run: Run, server: Emulator, send: tuple[object, ...], ledger: Path
):
    """A profile of the same account goes on with it, and is named from then on."""
    run(*send, *WAITS)
    resume = ("bulk", "resume", ledger, "--no-wait")
    refused = run(*resume, "--profile", "other", **NOBODY)
    assert "was sent without --profile, by another account" in refused.stderr
    same = run(*resume, *SANDBOX, **NOBODY)
    assert f"resume {ledger} --profile sandbox" in same.stdout
    assert server.received == []


def test_a_wrong_user_is_corrected(run: Run, server: Emulator, send: tuple[object, ...]):
    """The API refused that one before the first message."""
    wrong = run(*send, CONNECTUS_API_USER="somebody")
    assert (wrong.exit_code, server.received) == (6, [])
    *_, ledger = send
    assert run("bulk", "resume", ledger).exit_code == 0


def test_a_ledger_that_does_not_know_its_account_goes_on(
    run: Run, send: tuple[object, ...], ledger: Path
):
    """It is of an earlier version, or of a program."""
    run(*send, *WAITS, *SANDBOX, **NOBODY)
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("DELETE FROM campaign WHERE name IN ('profile', 'account')")
        connection.commit()
    assert run("bulk", "resume", ledger, "--no-wait").exit_code == 7
