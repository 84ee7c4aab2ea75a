"""The column of the recipients: found by its name, asked about, and never guessed silently."""

import re
from pathlib import Path
from typing import Any

import pytest
from terminal import At

from connectus_async.emulator import Emulator

HEADER = "nombre,Celular,ciudad"
QUESTION = "Use the column 'Celular' for the recipients? [Y/n] "
SEND = "Send 2 SMS to 2 people? [y/N] "


def written(path: Path, header: str = HEADER) -> Path:
    path.write_text(
        f"{header}\nAna,56987688060,Talca\nLuz,56987688061,Arica\n", "utf-8", newline=""
    )
    return path


@pytest.fixture
def clients(tmp_path: Path) -> Path:
    """A file whose column of recipients has another name."""
    return written(tmp_path / "clients.csv")


def sending(file: Path, *options: object) -> tuple[object, ...]:
    return "bulk", "send", file, "--text", "Hola {nombre}", *options


def recipients_of(server: Emulator) -> list[str]:
    return [message.recipient for message in server.received]


@pytest.mark.parametrize("answer", ["\n", "y\n", "Yes\n"], ids=["enter", "y", "Yes"])
def test_a_likely_column_is_asked_about(
    at_terminal: At, server: Emulator, clients: Path, answer: str
):
    """Before anything else is."""
    terminal = at_terminal(*sending(clients))
    terminal.read_until(QUESTION)
    terminal.write(answer)
    terminal.read_until(SEND)
    assert not server.received
    terminal.write("y\n")

    assert terminal.ended() == 0
    assert sorted(recipients_of(server)) == ["56987688060", "56987688061"]


@pytest.mark.parametrize("answer", ["n\n", "No\n", "\x04"], ids=["n", "No", "end"])
def test_a_no_names_the_option(at_terminal: At, server: Emulator, clients: Path, answer: str):
    """And nothing is recorded."""
    terminal = at_terminal(*sending(clients))
    terminal.read_until(QUESTION)
    terminal.write(answer)

    assert terminal.ended() == 2
    assert "--to: there is no column 'dst_number'" in terminal.shown
    assert not server.requests
    assert [*clients.parent.iterdir()] == [clients]


def test_the_answer_holds_for_the_next_time(
    at_terminal: At, run: Any, server: Emulator, clients: Path
):
    """The same command again asks no more, with or without a terminal; another ledger does."""
    terminal = at_terminal(*sending(clients))
    terminal.read_until(QUESTION)
    terminal.write("y\n")
    terminal.read_until(SEND)
    terminal.write("n\n")
    terminal.ended()

    again = at_terminal(*sending(clients))
    assert QUESTION not in again.read_until(SEND)
    again.write("n\n")
    again.ended()
    assert run(*sending(clients)).exit_code == 0
    assert len(server.received) == 2
    assert run(*sending(clients, "--campaign", "other")).exit_code == 2


@pytest.mark.parametrize("options", [("--yes",), ("--yes", "--json"), ("--dry-run",)])
def test_without_an_answer_the_option_is_named(
    run: Any, server: Emulator, clients: Path, options: tuple[str, ...]
):
    """No flag stands for it, and a dry run would show the wrong people."""
    result = run(*sending(clients, *options))

    assert result.exit_code == 2
    assert "there is no column 'dst_number'; if 'Celular' is meant, add --to Celular" in (
        result.output
    )
    assert not server.requests


@pytest.mark.parametrize(
    ("header", "named", "option"),
    [
        ("nombre,Celular,Teléfono", "'Celular', 'Teléfono'", "--to Celular"),
        (
            "nombre,Phone 1 - Value,Phone 2 - Value",
            "'Phone 1 - Value', 'Phone 2 - Value'",
            "--to 'Phone 1 - Value'",
        ),
    ],
)
def test_of_two_none_is_chosen(
    at_terminal: At, server: Emulator, tmp_path: Path, header: str, named: str, option: str
):
    """Not even by a question."""
    terminal = at_terminal(*sending(written(tmp_path / "two.csv", header)))

    assert terminal.ended() == 2
    shown = re.sub(r"\s+", " ", terminal.shown)
    assert f"{named} may be meant: add the right one, such as {option}" in shown
    assert not server.requests


@pytest.mark.parametrize("to", ["Celular", "celular", " CELULAR "])
def test_the_option_takes_any_spelling_and_the_export_finds_the_column(
    run: Any, server: Emulator, clients: Path, tmp_path: Path, to: str
):
    """What is recorded is the name in the file."""
    assert run(*sending(clients, "--to", to)).exit_code == 0
    assert sorted(recipients_of(server)) == ["56987688060", "56987688061"]

    table = tmp_path / "outcomes.csv"
    result = run("bulk", "export", f"{clients}.ledger.db", table, "--original")

    assert result.exit_code == 0, result.output
    assert "Ana,56987688060,Talca" in table.read_text("utf-8")


def test_another_spelling_of_the_name_needs_no_question(run: Any, server: Emulator, tmp_path: Path):
    """It is the same name."""
    file = written(tmp_path / "clients.csv", "Nombre,DST Number,ciudad")

    assert run(*sending(file)).exit_code == 0
    assert len(server.received) == 2


def test_a_column_of_addresses_is_found_too(run: Any, tmp_path: Path):
    """For email it is another one."""
    file = tmp_path / "clients.csv"
    file.write_text("Teléfono,Correo electrónico\n56987688060,ana@example.com\n", "utf-8")
    html = tmp_path / "body.html"
    html.write_text("<p>Hola</p>", "utf-8")

    result = run(
        *("bulk", "send", file, "--kind", "email", "--subject", "Hola", "--html", html),
        *("--src-email", "a@example.com"),
    )

    assert "no column 'dst_email'; if 'Correo electrónico' is meant, add --to 'Correo" in (
        result.output
    )
