"""The table of a campaign's messages: columns of the file that was sent, and what was chosen."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from click.testing import Result

from connectus_async.emulator import Emulator, Fault

Run = Callable[..., Result]
SEND = ("--yes", "--text", "Hola {nombre}", "--to", "celular")
ROWS = "nombre;celular;state\nAna;56987688060;RM\nJosé;12;V\n;56987688062;IX\n"


@pytest.fixture
def ledger(ledger_of: Callable[[str], Path | str], run: Run, file: Path) -> Path | str:
    """A campaign of three rows, of which the first can be sent."""
    found = ledger_of("clientes")
    assert run("bulk", "send", file, *SEND, "--ledger", found).exit_code == 4
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clientes.csv"
    path.write_text(ROWS, "utf-8")
    return path


def table(run: Run, ledger: Path | str, *options: object) -> list[dict[str, str]]:
    done = run("bulk", "export", ledger, "-", "--format", "csv", *options)
    assert done.exit_code == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_the_columns_of_the_file_come_first(run: Run, ledger: Path | str):
    """A name that both have is the file's."""
    rows = table(run, ledger, "--original")

    assert [*rows[0]][:4] == ["nombre", "celular", "state", "connectus_row"]
    assert [(it["nombre"], it["celular"], it["state"]) for it in rows] == [
        *[("Ana", "56987688060", "RM"), ("José", "12", "V"), ("", "56987688062", "IX")]
    ]
    assert [it["connectus_state"] for it in rows] == ["accepted", "skipped", "skipped"]
    assert len({it["connectus_row"] for it in rows}) == 3


def test_what_is_to_be_fixed_is_a_workbook_with_the_reasons(
    run: Run, ledger: Path | str, tmp_path: Path
):
    """Texts stay texts; the next command is on standard error."""
    target = tmp_path / "por corregir.xlsx"

    done = run("bulk", "export", ledger, target, "--to-fix")

    header, *rows = openpyxl.load_workbook(target).active.iter_rows(values_only=True)
    assert header == (
        *("nombre", "celular", "state", "connectus_row"),
        *("line", "connectus_state", "explanation"),
    )
    found = [dict(zip(header, row, strict=True)) for row in rows]
    assert [(it["nombre"], it["celular"]) for it in found] == [
        ("José", "12"),
        (None, "56987688062"),
    ]
    assert (
        found[1]["explanation"] == "the row cannot become a message: nombre: is empty in this row"
    )
    assert "--from '" in done.stderr


def test_a_file_that_was_changed_or_moved_is_not_joined(
    run: Run, ledger: Path | str, file: Path, tmp_path: Path
):
    """Its lines would be of other messages; it says what to do."""
    moved = file.rename(tmp_path / "otra.csv")
    gone = run("bulk", "export", ledger, tmp_path / "a.csv", "--original")
    assert gone.exit_code == 1
    assert "clientes.csv is not at its place any more: pass it by --source" in gone.stderr
    assert table(run, ledger, "--source", moved)[0]["nombre"] == "Ana"

    moved.write_text(ROWS.replace("Ana", "Eva"), "utf-8")
    changed = run("bulk", "export", ledger, tmp_path / "a.csv", "--source", moved)
    assert changed.exit_code == 1
    assert "otra.csv is not the file that was sent any more" in changed.stderr
    assert not (tmp_path / "a.csv").exists()


def test_a_file_that_was_sent_again_is_joined(run: Run, ledger: Path | str, file: Path):
    """As it was, and with more rows, in another order."""
    run("bulk", "send", file, *SEND, "--ledger", ledger)
    assert [it["nombre"] for it in table(run, ledger, "--original")] == ["Ana", "José", ""]

    header, *rows = ROWS.splitlines()
    file.write_text("\n".join([header, "Luz;56987688063;RM", *reversed(rows), ""]), "utf-8")
    run("bulk", "send", file, *SEND, "--ledger", ledger)
    found = table(run, ledger, "--original")
    assert [it["nombre"] for it in found] == ["Luz", "", "José", "Ana"]
    assert [it["recipient"] for it in found] == ["56987688063", "", "", "56987688060"]


def test_messages_of_another_file_have_no_columns_of_this_one(
    run: Run, ledger: Path | str, file: Path
):
    """Their lines are of the file that was sent before."""
    file.write_text("nombre;celular;state\nLuz;56987688063;RM\n", "utf-8")
    run("bulk", "send", file, *SEND, "--ledger", ledger)

    rows = table(run, ledger, "--original", "--state", "accepted")

    assert {it["recipient"]: it["nombre"] for it in rows} == {
        "56987688060": "",
        "56987688063": "Luz",
    }


def test_messages_are_chosen_with_their_texts(
    run: Run, ledger: Path | str, server: Emulator, file: Path
):
    """By reason, too."""
    assert [it["text"] for it in table(run, ledger, "--text")] == ["Hola Ana", "", ""]
    assert [it["line"] for it in table(run, ledger, "--reason", "EMPTY")] == ["4"]
    assert table(run, ledger, "--delivery-status", "ENTREGADO") == []


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "xlsx"])
def test_a_column_with_a_name_of_ours_is_text_as_any_other(
    run: Run, tmp_path: Path, server: Emulator, ending: str
):
    """Whatever is in it."""
    path = tmp_path / "clientes.csv"
    path.write_text("dst_number,line,billed,ended_at\n56987688060,=1+1,x,y\n", "utf-8")
    run("bulk", "send", path, "--yes", "--text", "Hola")

    done = run("bulk", "export", f"{path}.ledger.db", tmp_path / f"a.{ending}", "--original")

    assert done.exit_code == 0, done.stderr
    if ending == "csv":
        assert "56987688060,'=1+1,x,y," in (tmp_path / "a.csv").read_text("utf-8")


def test_a_workbook_is_joined_too(run: Run, tmp_path: Path, server: Emulator):
    """A number that a spreadsheet shortened stays one, so that nobody sends to it."""
    book = openpyxl.Workbook()
    for row in [("dst_number", "nombre"), (56987688060, "Ana"), (5.69876880615e10, "Eva")]:
        book.active.append(row)
    book.active["A3"].number_format = "0.00E+00"
    path = tmp_path / "clientes.xlsx"
    book.save(path)
    with server.fault(Fault.status(400), route="sms.send"):
        run("bulk", "send", path, "--yes", "--text", "Hola {nombre}")

    done = run(
        *("bulk", "export", f"{path}.ledger.db", "-", "--format", "jsonl", "--to-fix"),
    )

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["dst_number"] for row in rows] == ["56987688060", "56987688061.5"]


def test_a_workbook_is_exported_as_it_is_shown(run: Run, tmp_path: Path, server: Emulator):
    """But for the recipient, whose digits count; its hidden rows are left out again."""
    book = openpyxl.Workbook()
    sheet = book.active
    for row in [
        ("dst_number", "monto", "x"),
        (987688060, 15000, "=1/0"),
        (987688061, 15000, 1),
        (987688062.0, 7, 2),
        (987688063, 15000, 3),
    ]:
        sheet.append(row)
    forms = ["#,##0", '"+56 "0', '"$ "0', "0"]
    for place, form in enumerate(forms, 2):
        sheet.cell(place, 1).number_format = form
        sheet.cell(place, 2).number_format = '"$" #,##0'
    sheet.row_dimensions[5].hidden = True
    path = tmp_path / "clientes.xlsx"
    book.save(path)
    given = ("bulk", "send", path, "--yes", "--text", "Debes {monto}", "--region", "CL")

    refused = run(*given)
    run(*given, "--hidden-rows", "skip")
    done = run(
        "bulk", "export", f"{path}.ledger.db", "-", "--format", "jsonl", "--original", "--text"
    )

    assert refused.exit_code == 1
    assert "hides 1 of its 4 rows, by a filter or by hand" in refused.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(it["dst_number"], it["monto"], it["text"]) for it in rows] == [
        ("987688060", "$ 15.000", "Debes $ 15.000"),
        ("+56 987688061", "$ 15.000", "Debes $ 15.000"),
        ("987688062.0", "$ 7", None),
    ]
