"""Confirmation: a campaign is sent once somebody says yes, at a terminal or by a flag."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from terminal import At

from connectus_async.cli.commands import connectus as command_line
from connectus_async.cli.confirmation import question_of
from connectus_async.emulator import Emulator
from connectus_async.ledger.records import Waiting


def sending(recipients: Path, *options: object) -> tuple[object, ...]:
    return "bulk", "send", recipients, "--text", "Hola {name}", *options


QUESTION = "Send 3 SMS to 3 people? [y/N] "


@pytest.mark.parametrize("answer", ["y", "Yes", " y "])
def test_a_yes_sends(at_terminal: At, server: Emulator, recipients: Path, answer: str):
    """Nothing was sent before it."""
    terminal = at_terminal(*sending(recipients))
    terminal.read_until(QUESTION)
    assert not server.received
    terminal.write(f"{answer}\n")

    assert terminal.ended() == 0
    assert len(server.received) == 3


@pytest.mark.parametrize("answer", ["n\n", "No\n", "\n", "\x04"], ids=["n", "No", "enter", "end"])
def test_anything_like_a_no_sends_nothing(
    at_terminal: At, server: Emulator, recipients: Path, answer: str
):
    """And the command says so."""
    terminal = at_terminal(*sending(recipients))
    terminal.read_until(QUESTION)
    terminal.write(answer)

    assert terminal.ended() == 1
    assert "Nothing was sent. 3 messages wait; this asks again: connectus bulk " in terminal.shown
    assert not server.received


def test_after_a_no_both_commands_ask_again(
    at_terminal: At, server: Emulator, recipients: Path, run: Any
):
    """Until then the report of the campaign says why it stopped."""
    terminal = at_terminal(*sending(recipients))
    terminal.read_until(QUESTION)
    terminal.write("n\n")
    assert terminal.ended() == 1
    ledger = f"{recipients}.ledger.db"
    assert run("bulk", "report", ledger).exit_code == 0
    assert "nobody confirmed it" in Path(f"{ledger}.html").read_text("utf-8")
    for command in (("bulk", "resume", ledger), sending(recipients)):
        again = at_terminal(*command)
        again.read_until(QUESTION)
        again.write("n\n")
        assert again.ended() == 1
    assert not server.received


def test_what_is_neither_is_asked_again(at_terminal: At, server: Emulator, recipients: Path):
    """A mistyped answer is none."""
    terminal = at_terminal(*sending(recipients))
    terminal.read_until(QUESTION)
    terminal.write("yy\n")
    terminal.read_until(QUESTION + "yy\n" + QUESTION)
    terminal.write("y\n")

    assert terminal.ended() == 0
    assert len(server.received) == 3


def test_ctrl_c_at_the_question_ends_it_at_once(
    at_terminal: At, server: Emulator, recipients: Path
):
    """The first one; nothing was sent."""
    terminal = at_terminal(*sending(recipients))
    terminal.read_until(QUESTION)
    terminal.interrupt()

    assert terminal.ended() == 130
    assert not server.received


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize("command", ["send", "resume"])
def test_without_a_terminal_the_flag_is_needed(
    environment: dict[str, str],
    server: Emulator,
    recipients: Path,
    command: str,
    options: tuple[str, ...],
):
    """A script says beforehand that it means it; nothing was sent, and nothing recorded."""
    ledger = recipients.with_name(f"{recipients.name}.ledger.db")
    if command == "resume":
        ledger.touch()
    words = sending(recipients) if command == "send" else ("bulk", "resume", ledger)
    result = CliRunner(env=environment).invoke(command_line, [*map(str, words), *options])

    assert (result.exit_code, result.stdout) == (2, "")
    assert "add --yes to send" in result.stderr
    assert not server.requests
    assert not (ledger.exists() and ledger.stat().st_size)


def test_json_needs_the_flag_at_a_terminal_too(at_terminal: At, server: Emulator, recipients: Path):
    """Who reads JSON answers no question."""
    terminal = at_terminal(*sending(recipients, "--json"))

    assert terminal.ended() == 2
    assert "--json asks no question" in terminal.shown
    assert not server.requests


@pytest.mark.parametrize("options", [("-y",), ("--dry-run",)])
def test_no_question_is_asked_where_none_is_needed(
    at_terminal: At, recipients: Path, options: tuple[str, ...]
):
    """With the flag, and where nothing would be sent."""
    terminal = at_terminal(*sending(recipients, *options))

    assert terminal.ended() == 0
    assert "[y/N]" not in terminal.shown


@pytest.mark.parametrize(
    ("waiting", "question"),
    [
        ({"sms": Waiting(2_776, 2_800, 2_700)}, "Send 2,800 SMS to 2,700 people?"),
        ({"sms": Waiting(1, 2, 1)}, "Send 2 SMS to 1 person?"),
        ({"email": Waiting(3, 3, 2)}, "Send 3 emails to 2 people?"),
        ({"whatsapp": Waiting(1, 1, 1)}, "Send 1 WhatsApp message to 1 person?"),
        (
            {"sms": Waiting(2, 4, 2), "email": Waiting(1, 1, 1)},
            "Send 3 messages to 3 people?",
        ),
    ],
)
def test_the_question_says_what_is_sent_to_how_many(waiting: Mapping[str, Waiting], question: str):
    """SMS as they are billed: a long text is several."""
    assert question_of(waiting) == question


def test_a_campaign_that_is_done_asks_nothing(at_terminal: At, run: Any, recipients: Path):
    """There is nothing to send."""
    assert run(*sending(recipients)).exit_code == 0

    terminal = at_terminal(*sending(recipients))

    assert terminal.ended() == 0
    assert "[y/N]" not in terminal.shown


def test_who_gets_an_edited_text_is_asked_before(
    at_terminal: At, server: Emulator, run: Any, recipients: Path
):
    """Then whether to send; a no to the second question sends nothing either."""
    assert run(*sending(recipients)).exit_code == 0
    edited = ("bulk", "send", recipients, "--text", "Hola, {name}")
    for answer, received in (("n\n", 3), ("y\n", 6)):
        terminal = at_terminal(*edited)
        terminal.read_until("Choose 1, 2 or 3 [1]: ")
        terminal.write("2\n")
        terminal.read_until(QUESTION)
        terminal.write(answer)
        terminal.ended()
        assert len(server.received) == received


def test_ctrl_c_at_the_question_of_an_edited_text_ends_it_at_once(
    at_terminal: At, server: Emulator, run: Any, recipients: Path
):
    """Nothing was sent."""
    assert run(*sending(recipients)).exit_code == 0
    terminal = at_terminal("bulk", "send", recipients, "--text", "Hola, {name}")
    terminal.read_until("Choose 1, 2 or 3 [1]: ")
    terminal.interrupt()

    assert terminal.ended() == 130
    assert len(server.received) == 3
