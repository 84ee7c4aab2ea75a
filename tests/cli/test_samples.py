"""Before all get it: the first message to oneself, and a sample of the campaign."""

import json
from pathlib import Path
from typing import Any

import pytest

from connectus_async.cli.confirmation import question_of
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger.records import Waiting

ME = "56987688069"


def send(recipients: Path, *options: object) -> tuple[object, ...]:
    return "bulk", "send", recipients, "--text", "Hola {name}", *options


def sent(server: Emulator) -> list[tuple[str, str]]:
    return [(message.recipient, message.content) for message in server.received]


def test_the_first_message_is_sent_to_oneself(run: Any, server: Emulator, recipients: Path):
    """As the first good row makes it; nobody is asked, and no ledger remembers it."""
    recipients.write_text("dst_number,name\n56987688060,\n56987688061,Eva\n", "utf-8")

    result = run(*send(recipients, "--test-to", "+56 9 8768 8069"))

    assert result.exit_code == 0
    assert sent(server) == [(ME, "Hola Eva")]
    assert "Eva" not in result.output
    assert list(recipients.parent.iterdir()) == [recipients]
    assert run(*send(recipients)).exit_code in {0, 4}
    assert sent(server)[1:] == [("56987688061", "Hola Eva")]


def test_the_test_of_an_email_goes_to_an_address(run: Any, server: Emulator, tmp_path: Path):
    """With its subject."""
    page, rows = tmp_path / "page.html", tmp_path / "rows.csv"
    page.write_text("<b>Hola {name}</b>", "utf-8")
    rows.write_text("dst_email,name\nana@example.com,Ana\n", "utf-8")
    options = ("--kind", "email", "--subject", "Aviso", "--html", page, "--src-email", "a@b.cl")

    result = run("bulk", "send", rows, *options, "--test-to", "me@example.com", "--json")

    assert json.loads(result.stdout)["outcome"] == "accepted"
    assert [message.recipient for message in server.received] == ["me@example.com"]


@pytest.mark.parametrize(
    ("to", "options", "problem"),
    [
        ("1234", (), "--test-to: has 4 digits"),
        ("987688069", (), "--test-to: seems to lack its country code"),
        ("me@example.com", (), "--test-to: "),
    ],
)
def test_a_test_to_what_is_no_recipient_is_refused(
    run: Any, server: Emulator, recipients: Path, to: str, options: Any, problem: str
):
    """By the name of its option."""
    result = run(*send(recipients, "--test-to", to, *options))

    assert result.exit_code == 2
    assert result.stderr.startswith(f"connectus: {problem}")
    assert not server.received


def test_a_test_to_a_national_number_needs_its_region(run: Any, server: Emulator, recipients: Path):
    """As the rows do."""
    assert run(*send(recipients, "--test-to", "987688069", "--region", "CL")).exit_code == 0
    assert sent(server) == [(ME, "Hola Ana")]


def test_a_test_without_a_good_row_sends_nothing(run: Any, server: Emulator, recipients: Path):
    """There is no message to send."""
    recipients.write_text("dst_number,name\n1,Ana\n", "utf-8")

    result = run(*send(recipients, "--test-to", ME))

    assert (result.exit_code, len(server.received)) == (1, 0)
    assert "has no row that makes a message" in result.stderr


def test_a_test_that_may_have_been_sent_is_exit_code_3(
    run: Any, server: Emulator, recipients: Path
):
    """As any single message."""
    server.fault(Fault.reset_after())

    assert run(*send(recipients, "--test-to", ME)).exit_code == 3


def test_a_sample_counts_and_the_rest_waits(run: Any, server: Emulator, recipients: Path):
    """The exit code says that messages wait; the next command sends the rest, nobody twice."""
    first = run(*send(recipients, "--limit", 2))
    ledger = f"{recipients}.ledger.db"
    assert (first.exit_code, len(server.received)) == (7, 2)
    assert "1 is still queued" in first.stdout or "1 are still queued" in first.stdout

    assert run("bulk", "resume", ledger, "--limit", 5).exit_code == 0
    assert sorted(sent(server)) == [
        ("56987688060", "Hola Ana"),
        ("56987688061", "Hola José"),
        ("56987688062", "Hola Eva"),
    ]


def test_a_sample_is_sent_by_one_process(run: Any, server: Emulator, recipients: Path):
    """Of its size, whatever the campaign has."""
    result = run(*send(recipients, "--limit", 1, "--processes", 2))

    assert (result.exit_code, len(server.received)) == (7, 1)


def test_a_sample_of_many_is_exact(run: Any, server: Emulator, tmp_path: Path):
    """More than a read of the ledger, and fewer than are sent at a time."""
    rows = tmp_path / "rows.csv"
    numbers = range(56_987_000_000, 56_987_001_300)
    rows.write_text("dst_number\n" + "".join(f"{number}\n" for number in numbers), "utf-8")

    for limit, received in ((3, 3), (700, 703)):
        assert run("bulk", "send", rows, "--text", "Hola", "--limit", limit).exit_code == 7
        assert len(server.received) == received
    assert len({message.recipient for message in server.received}) == 703


def test_the_question_names_the_sample():
    """If it is less than all."""
    waiting = {"sms": Waiting(2_776, 2_800, 2_776)}

    assert question_of(waiting, 100) == "Send a sample of 100 messages? 2,776 wait."
    assert question_of(waiting, 3_000) == "Send 2,800 SMS to 2,776 people?"


@pytest.mark.parametrize(
    "options",
    [
        ("--limit", 1, "--test-to", ME),
        ("--dry-run", "--test-to", ME),
        ("--limit", 1, "--dry-run"),
        ("--limit", 1, "--workers", 1),
        ("--limit", 0),
    ],
)
def test_options_of_which_one_would_have_no_effect_are_wrong_usage(
    run: Any, server: Emulator, recipients: Path, options: Any
):
    """Nothing is sent."""
    assert run(*send(recipients, *options)).exit_code == 2
    assert not server.requests
