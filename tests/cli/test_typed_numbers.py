"""Numbers as people type them, from a file to the phone."""

from pathlib import Path
from typing import Any

import pytest

from connectus_async.emulator import Emulator

TWO = "56987688060 ::: 56987688061"


@pytest.fixture
def typed(tmp_path: Path) -> Path:
    """A file in which one cell has two numbers."""
    path = tmp_path / "typed.csv"
    path.write_text(
        "dst_number,name\n"
        f"{TWO},Ana\n"
        "\u202a+56 9 8768 8062\u202c,Luz\n"
        "+56 2 2345 6789 anexo 3,Eva\n"
        "+52 044 55 1234 5678,Sol\n",
        "utf-8",
    )
    return path


def sending(file: Path, *options: object) -> tuple[object, ...]:
    return "bulk", "send", file, "--text", "Hola {name}", *options


def test_what_is_no_single_number_is_told_by_its_line(run: Any, server: Emulator, typed: Path):
    """The plan has no number; the file to be fixed has the cell as it is, with both."""
    result = run(*sending(typed))

    assert [message.recipient for message in server.received] == ["56987688062"]
    assert (
        "line 2: dst_number: has 2 numbers; leave one, or let bulk send take the first valid"
        in result.stdout
    )
    assert "line 4: dst_number: has an extension, which no message reaches" in result.stdout
    assert "line 5: dst_number: has the old Mexican prefix 044" in result.stdout
    assert "56987688060" not in result.output

    to_fix = typed.with_name("to-fix.csv")
    assert run("bulk", "export", f"{typed}.ledger.db", to_fix, "--to-fix").exit_code == 0
    assert TWO in to_fix.read_text("utf-8-sig")


def test_in_spanish_too(run: Any, typed: Path):
    """Which is the language of those who type them."""
    shown = run(*sending(typed, "--dry-run"), CONNECTUS_LANG="es").stdout
    run("--version")  # the language is that of the process

    assert (
        "tiene 2 números; deja uno, o que bulk send tome el primero válido (--first-number)"
        in shown
    )
    assert "tiene un anexo, al que ningún mensaje llega" in shown
    assert "tiene el prefijo mexicano antiguo 044" in shown


def test_the_first_of_two_numbers_is_taken_where_that_was_asked_for(
    run: Any, server: Emulator, typed: Path
):
    """A corrected row is read as its file was."""
    run(*sending(typed, "--first-number"))
    assert sorted(it.recipient for it in server.received) == ["56987688060", "56987688062"]

    fixed = typed.with_name("fixed.csv")
    assert run("bulk", "export", f"{typed}.ledger.db", fixed, "--to-fix").exit_code == 0
    text = fixed.read_text("utf-8-sig")
    fixed.write_text(text.replace("+52 044 55 1234 5678", "525512345678 / 525512345679"), "utf-8")
    run("bulk", "retry", f"{typed}.ledger.db", "--from", fixed, "--yes")

    assert "525512345678" in [message.recipient for message in server.received]


@pytest.mark.parametrize("number", ["5215512345678", "+52 1 55 1234 5678", "525512345678"])
def test_whatsapp_takes_mexican_numbers_with_and_without_their_1(
    run: Any, server: Emulator, tmp_path: Path, number: str
):
    """WhatsApp itself writes them with it."""
    file = tmp_path / "mexico.csv"
    file.write_text(f"dst_number,name\n{number},Sol\n", "utf-8")

    run(*sending(file, "--kind", "whatsapp", "--src-number", "56999944837"))

    (message,) = server.received
    assert message.recipient == number.replace("+", "").replace(" ", "")


def test_an_address_is_not_taken_for_several_numbers(run: Any, recipients: Path):
    """The option is one of numbers."""
    html = recipients.with_name("body.html")
    html.write_text("<p>Hola</p>", "utf-8")

    result = run(
        *("bulk", "send", recipients, "--kind", "email", "--subject", "Hola", "--html", html),
        *("--src-email", "a@example.com", "--first-number"),
    )

    assert result.exit_code != 0
    assert "--first-number: does not apply when kind is email" in result.output
