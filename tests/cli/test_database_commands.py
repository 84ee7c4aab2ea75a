"""Commands on a ledger in a PostgreSQL database."""

import json
import shlex
import sys
from collections.abc import Sequence
from itertools import chain, repeat
from pathlib import Path

import pytest

from connectus_async.emulator import Fault

PASSWORD = "geheim"
TEXT = "Feliz navidad {name}"


@pytest.fixture
def address(postgres_ledger: str) -> str:
    """An address without a campaign, with a password that is not needed."""
    return postgres_ledger.partition("&campaign=")[0] + f"&password={PASSWORD}"


@pytest.fixture
def ledger(address: str) -> str:
    return f"{address}&campaign=navidad"


def printed(line: str) -> list[str]:
    """Take apart the command at the end of a line; its address must have no password."""
    assert PASSWORD not in line
    words = shlex.split(line[line.index("connectus ") :])
    return words[1:]


def test_tables_are_made_once(run, address: str):
    """Those of ledgers are there already."""
    first, second = run("ledger", "init", address), run("ledger", "init", address)

    assert (first.exit_code, first.stderr) == (second.exit_code, second.stderr) == (0, "")
    assert second.stdout == "the tables are there already, and up to date\n"


def test_a_campaign_is_sent_and_read(run, server, recipients: Path, address: str, tmp_path: Path):
    """The name is given once; what is printed can be typed."""
    send = ("bulk", "send", recipients, "--text", TEXT, "--ledger", address)
    sent = run(*send, "--campaign", "navidad")
    again = run(*send, "--campaign", "navidad")
    other = run(*send, "--campaign", "pascua")
    status = run("bulk", "status", f"{address}&campaign=navidad", "--json")
    table = run("bulk", "export", f"{address}&campaign=navidad", "-", "--format", "jsonl")
    page = tmp_path / "page.html"
    report = run("bulk", "report", f"{address}&campaign=navidad", "--to", page)

    assert (sent.exit_code, sent.stderr) == (0, "")
    assert sent.stdout.endswith(
        "3 of 3 accepted, 0 rejected, 0 unknown, 0 held, 0 skipped, 0 queued\n"
    )
    assert again.exit_code == other.exit_code == 0
    assert len(server.received) == 6
    assert json.loads(status.stdout)["campaign"] == "navidad"
    assert [json.loads(row)["state"] for row in table.stdout.splitlines()] == ["accepted"] * 3
    assert report.exit_code == 0
    assert "navidad" in page.read_text("utf-8")
    for result in (sent, again, other, status, table, report):
        assert PASSWORD not in result.output


def test_a_campaign_goes_on_by_the_commands_that_are_printed(run, server, recipients, address):
    """They name the campaign, and leave the password to the environment."""
    options = ("--ledger", address, "--campaign", "navidad", "--concurrency", "1")
    whole = recipients.read_text("utf-8")
    recipients.write_text("".join(whole.splitlines(keepends=True)[:2]), "utf-8")
    assert run("bulk", "send", recipients, "--text", TEXT, *options).exit_code == 0
    recipients.write_text(whole, "utf-8")
    faults = chain([Fault.reset_after()], repeat(Fault.status(402)))
    server.fault(
        Fault("one after the other", lambda *args: next(faults).run(*args)), route="sms.send"
    )
    stopped = run("bulk", "send", recipients, "--text", TEXT, *options)
    server.clear_faults()
    reconcile, resume = map(printed, stopped.stdout.splitlines()[-2:])
    resumed = run(*resume)
    found = run(*reconcile, "--settle", "0.1")
    status = run("bulk", "status", reconcile[-1], "--json")

    assert (reconcile[1], resume[1]) == ("reconcile", "resume")
    assert resumed.exit_code == 3
    assert found.stdout == "1 had been sent, 0 are queued again, 0 held, 0 still unknown\n"
    assert json.loads(status.stdout)["counts"]["accepted"] == 3
    assert sorted(message.recipient[-1] for message in server.received) == ["0", "1", "2"]


def test_delivery_statuses_are_asked_for(run, server, recipients, ledger: str):
    """As with a file."""
    run("bulk", "send", recipients, "--text", TEXT, "--ledger", ledger)

    tracked = run("bulk", "track", ledger)

    assert tracked.exit_code == 0
    assert "3 checked" in tracked.stdout
    assert PASSWORD not in tracked.output


def test_a_dry_run_leaves_nothing(run, server, recipients, ledger: str):
    """Not even the campaign."""
    tried = run("bulk", "send", recipients, "--text", TEXT, "--ledger", ledger, "--dry-run")
    status = run("bulk", "status", ledger)

    assert tried.exit_code == 0
    assert not server.received
    assert status.exit_code == 1
    assert status.stderr.startswith("connectus: postgresql://?host=")
    assert "there is no such campaign" in status.stderr


def test_the_only_campaign_of_a_database_needs_no_name(run, server, recipients, address: str):
    """With a second one it does, and both are named."""
    send = ("bulk", "send", recipients, "--text", TEXT, "--ledger", address)
    run(*send, "--campaign", "navidad")
    alone = run("bulk", "resume", address, "--json")
    run(*send, "--campaign", "pascua")
    ambiguous = run("bulk", "status", address)

    assert alone.exit_code == 0
    assert ambiguous.exit_code == 1
    assert "add ?campaign=NAME" in ambiguous.stderr
    assert "navidad" in ambiguous.stderr
    assert "pascua" in ambiguous.stderr
    assert PASSWORD not in alone.output + ambiguous.output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("status", "mysql://ana:geheim@h/d"), "must be a path, or an address postgresql://"),
        (("status", "postgresql://ana:geheim/@h/d"), "has one of @ / ? #"),
        (("report", "postgresql://ana:geheim@h/d"), "--to is needed"),
    ],
)
def test_a_place_that_makes_no_sense_is_wrong_usage(run, arguments: Sequence[str], problem: str):
    """It is not shown: it may have a password."""
    result = run("bulk", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert PASSWORD not in result.stderr


def test_a_campaign_of_a_database_needs_a_name(run, server, recipients: Path, address: str):
    """Or the messages of two files would be one campaign."""
    result = run("bulk", "send", recipients, "--text", TEXT, "--ledger", address)

    assert result.exit_code == 2
    assert "campaign: is needed, or ?campaign=… in the ledger's address" in result.stderr
    assert not server.requests


@pytest.mark.parametrize(
    ("command", "argument"),
    [
        (("ledger", "init"), "ADDRESS"),
        (("bulk", "status"), "LEDGER"),
    ],
)
def test_without_the_extra_a_command_says_what_to_install(
    run, monkeypatch: pytest.MonkeyPatch, command: Sequence[str], argument: str
):
    """In one sentence."""
    monkeypatch.setitem(sys.modules, "psycopg", None)

    result = run(*command, "postgresql://h/d?campaign=a")

    assert result.exit_code == 1
    assert result.stderr == (
        f"connectus: {argument}: needs psycopg: pip install 'connectus-async[postgres]'\n"
    )
