"""Names of campaigns on the command line, and the ledgers that they have beside their source."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

NAMES = ("2026-11-30", "Navidad ñandú", "a.b", ".", "..", "-", "%41", "it's")
TEXT = ("--text", "Hola {name}")


def ledgers(recipients: Path) -> list[str]:
    found = (path.name for path in recipients.parent.iterdir())
    return sorted(name for name in found if name.endswith(".ledger.db"))


@pytest.mark.parametrize("name", NAMES)
def test_each_campaign_of_a_file_has_a_ledger_of_its_own(run, server, recipients, name: str):
    """The next night has another name, and the same people get its messages."""
    send = ("bulk", "send", recipients, *TEXT)
    unnamed = run(*send)
    sent = [run(*send, f"--campaign={name}") for _ in range(2)]

    assert [end.exit_code for end in (unnamed, *sent)] == [0, 0, 0]
    assert len(server.received) == 6
    assert ledgers(recipients) == sorted(
        ["recipients.csv.ledger.db", f"recipients.csv.{name}.ledger.db"]
    )
    resumed = run("bulk", "status", recipients.with_name(f"recipients.csv.{name}.ledger.db"))
    assert resumed.exit_code == 0


@pytest.mark.parametrize(
    "name", ["a/b", "../b", "a\\b", "10:00", "a\nb", "a\tb", "what?", "ñ" * 120, "a\u202eb"]
)
def test_a_name_that_no_file_can_have_needs_a_ledger(run, server, recipients, name: str):
    """It is refused before anything is written; with a ledger it may be any."""
    send = ("bulk", "send", recipients, *TEXT, "--campaign", name)
    refused = run(*send)
    assert ledgers(recipients) == []
    sent = run(*send, "--ledger", recipients.with_name("night.ledger.db"))

    assert (refused.exit_code, sent.exit_code) == (2, 0)
    assert "Invalid value for '--campaign'" in refused.stderr
    assert "or name the file with --ledger" in refused.stderr
    assert len(server.received) == 3


def test_a_ledger_that_has_the_name_goes_on(run, server, recipients):
    """Earlier versions named none of them after their campaigns; nobody is reached twice."""
    ledger = recipients.with_name("recipients.csv.ledger.db")
    send = ("bulk", "send", recipients, *TEXT, "--campaign", "navidad")
    run(*send, "--ledger", ledger)
    again = run(*send)
    other = run(*send[:-1], "pascua")

    assert (again.exit_code, other.exit_code) == (0, 0)
    assert len(server.received) == 6
    assert ledgers(recipients) == ["recipients.csv.ledger.db", "recipients.csv.pascua.ledger.db"]


def test_a_name_that_was_forgotten_is_asked_for(run, server, recipients):
    """Without it all would be sent again, as a campaign without a name."""
    send = ("bulk", "send", recipients, *TEXT)
    run(*send, "--campaign", "2026-11-30")
    forgotten = run(*send)
    meant = run(*send, "--ledger", recipients.with_name("recipients.csv.ledger.db"))
    known = run(*send)

    assert (forgotten.exit_code, meant.exit_code, known.exit_code) == (2, 0, 0)
    assert "this file was sent as the campaign 2026-11-30: add --campaign" in forgotten.stderr
    assert len(server.received) == 6


def test_a_ledger_of_another_campaign_names_both(run, server, recipients):
    """And what to do."""
    ledger = recipients.with_name("night.db")
    send = ("bulk", "send", recipients, *TEXT, "--ledger", ledger)
    run(*send)
    named = run(*send, "--campaign", "2026-11-30")

    assert (named.exit_code, len(server.received)) == (1, 3)
    assert named.stderr == (
        "connectus: night.db: is the ledger of a campaign without a name, and this is the campaign"
        " '2026-11-30': give no name to go on with that campaign, or use another ledger for this"
        " one. Nothing was sent.\n"
    )


@pytest.mark.parametrize("written", [b"", b"not a ledger"])
def test_what_is_no_ledger_is_not_taken_for_one(run, server, recipients, written: bytes):
    """An empty file may be left by a crash; anything else is named, since nobody knows it."""
    recipients.with_name("recipients.csv.ledger.db").write_bytes(written)
    sent = run("bulk", "send", recipients, *TEXT, "--campaign", "navidad")

    assert sent.exit_code == (1 if written else 0)
    assert ("recipients.csv.ledger.db: is not a ledger" in sent.stderr) is bool(written)
    assert len(server.received) == (0 if written else 3)


def test_an_older_ledger_with_the_name_is_found(run, server, recipients):
    """By its metadata, whatever the version of its tables."""
    ledger = recipients.with_name("recipients.csv.ledger.db")
    send = ("bulk", "send", recipients, *TEXT, "--campaign", "navidad")
    run(*send, "--ledger", ledger)
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("PRAGMA user_version = 5")
    again = run(*send)

    assert again.exit_code == 0
    assert len(server.received) == 3
