"""Rows that are fixed and sent again, and messages that get another attempt: nobody gets two."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import openpyxl
import pytest
from click.testing import Result

from connectus_async.cli.exit_codes import ExitCode
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger import open_store
from connectus_async.products.sms_statuses import SmsStatus

Run = Callable[..., Result]
SEND = ("--yes", "--text", "Hola {nombre}", "--to", "celular")
ANA, JOSE, EVA, LUZ = "56987688060", "56987688061", "56987688062", "56987688063"
ROWS = f"nombre;celular\nAna;{ANA}\nJosé;12\n=Eva;{EVA}\n;{LUZ}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clientes.csv"
    path.write_text(ROWS, "utf-8")
    return path


@pytest.fixture
def place(ledger_of: Callable[[str], Path | str]) -> Path | str:
    return ledger_of("clientes")


@pytest.fixture
def ledger(run: Run, server: Emulator, file: Path, place: Path | str) -> Path | str:
    """A campaign in which Ana has got hers, the third is rejected, and two rows are invalid."""

    async def refuse(number: int) -> None:
        if number == 1:
            server.fault(Fault.status(400), route="sms.send", times=1)

    server.fault(Fault.call(after=refuse), route="sms.send", times=1)
    sent = run("bulk", "send", file, *SEND, "--ledger", place, "--concurrency", 1)
    assert sent.exit_code == ExitCode.SOME_FAILED, sent.output
    assert reached(server) == {ANA: 1}
    return place


def reached(server: Emulator) -> Counter[str]:
    return Counter(message.recipient for message in server.received)


def export(run: Run, ledger: Path | str, target: Path, *options: object) -> None:
    done = run("bulk", "export", ledger, target, *(options or ("--to-fix",)))
    assert done.exit_code == 0, done.output


def fix(path: Path, **fixed: Sequence[str]) -> None:
    """Fix cells of a CSV: by name, that of the row and those of the cell before and after."""
    text = path.read_text("utf-8-sig")
    for before, after in fixed.values():
        assert before in text
        text = text.replace(before, after)
    path.write_text(text, "utf-8")


def counts(run: Run, ledger: Path | str) -> dict[str, int]:
    shown = json.loads(run("bulk", "status", ledger, "--json").stdout)
    return {state: count for state, count in shown["counts"].items() if count}


def test_only_the_rows_that_were_fixed_are_sent(
    run: Run, server: Emulator, ledger: Path | str, tmp_path: Path
):
    """However often the same file is sent; its campaign is complete then."""
    path = tmp_path / "por corregir.csv"
    export(run, ledger, path)
    fix(path, number=("José,12", f"José,{JOSE}"), rejected=(f"'=Eva,{EVA}", "Eva,56987688072"))

    for expected in (ExitCode.SOME_FAILED, ExitCode.SOME_FAILED):
        done = run("bulk", "retry", ledger, "--from", path, "--yes")
        assert done.exit_code == expected, done.output
        assert "3 of 4 accepted, 0 rejected, 0 unknown, 0 held, 1 skipped" in done.stdout

    assert reached(server) == {ANA: 1, JOSE: 1, "56987688072": 1}
    assert {message.content for message in server.received} == {"Hola Ana", "Hola José", "Hola Eva"}
    assert counts(run, ledger) == {"accepted": 3, "skipped": 3}

    export(run, ledger, path)
    with path.open(encoding="utf-8-sig", newline="") as exported:
        (left,) = csv.DictReader(exported)
    assert (left["nombre"], left["celular"]) == ("", LUZ)
    fix(path, name=(f",{LUZ}", f"Luz,{LUZ}"))
    done = run("bulk", "retry", ledger, "--from", path, "--yes")

    assert done.exit_code == ExitCode.DONE, done.output
    assert reached(server) == {ANA: 1, JOSE: 1, "56987688072": 1, LUZ: 1}
    assert run("bulk", "status", ledger).exit_code == ExitCode.DONE


def test_an_export_of_everybody_is_sent_to_nobody_who_has_it(
    run: Run, server: Emulator, ledger: Path | str, tmp_path: Path
):
    """A whole export may be fixed: what was sent is left alone, fixed or not."""
    path = tmp_path / "todos.csv"
    export(run, ledger, path, "--original")
    fix(path, number=("José,12", f"José,{JOSE}"), reached=(f"Ana,{ANA}", "Anita,56987688099"))

    done = run("bulk", "retry", ledger, "--from", path, "--yes")

    assert reached(server) == {ANA: 1, JOSE: 1}
    assert "1 row is of a message that was sent or waits" in done.stdout
    assert "1 row is as it was" in done.stdout


def test_a_fixed_row_for_somebody_who_has_a_message_is_not_sent(
    run: Run, server: Emulator, ledger: Path | str, tmp_path: Path
):
    """A number may be fixed to that of another row; that row stays to be fixed."""
    path = tmp_path / "por corregir.csv"
    export(run, ledger, path)
    fix(path, number=("José,12", f"José,{ANA}"))

    done = run("bulk", "retry", ledger, "--from", path, "--yes")

    assert reached(server) == {ANA: 1}
    assert "1 row is to somebody who may have got a message already: it is not sent" in done.stdout
    assert "waits already" not in done.stdout
    assert "wait already" not in done.stdout


def test_a_workbook_is_fixed_and_sent(
    run: Run, server: Emulator, ledger: Path | str, tmp_path: Path
):
    """Numbers may have become numbers of the spreadsheet."""
    path = tmp_path / "por corregir.xlsx"
    export(run, ledger, path)
    book = openpyxl.load_workbook(path)
    book.active["B2"] = int(JOSE)
    book.save(path)

    run("bulk", "retry", ledger, "--from", path, "--yes")

    assert reached(server) == {ANA: 1, JOSE: 1}


def test_a_campaign_that_goes_on_loses_nothing_by_a_correction(
    run: Run, server: Emulator, file: Path, place: Path | str, tmp_path: Path
):
    """What waits is sent with the corrected rows; the file may be sent again."""
    with server.fault(Fault.status(402), route="sms.send"):
        run("bulk", "send", file, *SEND, "--ledger", place)
    path = tmp_path / "por corregir.csv"
    export(run, place, path)
    fix(path, number=("José,12", f"José,{JOSE}"))

    done = run("bulk", "retry", place, "--from", path, "--yes")
    assert "messages that wait already are sent too" in done.stdout
    assert reached(server) == {ANA: 1, JOSE: 1, EVA: 1}
    run("bulk", "send", file, *SEND, "--ledger", place)
    assert reached(server) == {ANA: 1, JOSE: 1, EVA: 1}


@pytest.mark.parametrize("spoilt", ["no column", "no reference", "another campaign"])
def test_a_row_that_nobody_knows_is_refused(
    run: Run, server: Emulator, ledger: Path | str, tmp_path: Path, spoilt: str
):
    """Nothing of the file is sent."""
    path = tmp_path / "por corregir.csv"
    export(run, ledger, path)
    text = path.read_text("utf-8-sig").replace("José,12", f"José,{JOSE}")
    with path.open(encoding="utf-8-sig", newline="") as exported:
        reference = next(iter(csv.DictReader(exported)))["connectus_row"]
    changes = {
        "no column": ("connectus_row", "otra"),
        "no reference": (reference, ""),
        "another campaign": (reference, "r1-00c0ffee"),
    }
    path.write_text(text.replace(*changes[spoilt]), "utf-8")

    done = run("bulk", "retry", ledger, "--from", path, "--yes")

    assert done.exit_code == ExitCode.FAILED
    assert done.stderr.count("\n") == 1
    assert reached(server) == {ANA: 1}


def test_a_row_of_a_fixed_file_that_cannot_be_read_is_named(
    run: Run, server: Emulator, ledger: Path | str, tmp_path: Path
):
    """Whoever fixed it would believe that it is sent."""
    path = tmp_path / "por corregir.csv"
    export(run, ledger, path)
    fix(path, comma=("José,12", f"José,Soto,{JOSE}"))

    done = run("bulk", "retry", ledger, "--from", path, "--yes")

    assert done.exit_code == ExitCode.FAILED, done.output
    assert "por corregir.csv: line 2: it has 7 cells, but the header has 6" in done.stderr
    assert reached(server) == {ANA: 1}


def test_an_export_is_not_sent_as_a_new_campaign(
    run: Run, server: Emulator, ledger: Path | str, tmp_path: Path
):
    """All of its people would get the message again."""
    path = tmp_path / "todos.csv"
    export(run, ledger, path, "--original")

    done = run("bulk", "send", path, *SEND)

    assert done.exit_code == ExitCode.FAILED
    assert "bulk retry LEDGER --from FILE" in done.stderr
    assert reached(server) == {ANA: 1}


def test_rejected_messages_are_sent_again(run: Run, server: Emulator, ledger: Path | str):
    """Once for each time that it is asked for; the first outcome is kept."""
    none = run("bulk", "retry", ledger, "--rejected", "--reason", "sin saldo", "--yes")
    assert none.exit_code == ExitCode.NOTHING_TO_DO

    done = run("bulk", "retry", ledger, "--rejected", "--reason", "400", "--yes")
    assert done.exit_code == ExitCode.SOME_FAILED  # two rows are invalid
    assert reached(server) == {ANA: 1, EVA: 1}
    shown = json.loads(run("bulk", "status", ledger, "--json").stdout)
    assert shown["earlier_attempts"] == {"rejected": 1}
    assert shown["counts"]["rejected"] == 0

    again = run("bulk", "retry", ledger, "--rejected", "--yes")
    assert again.exit_code == ExitCode.NOTHING_TO_DO
    assert reached(server) == {ANA: 1, EVA: 1}


def test_undelivered_messages_are_sent_again(run: Run, server: Emulator, ledger: Path | str):
    """A late status of the first attempt says nothing of the second, which both take balance."""
    (first,) = server.received
    with open_store(ledger).deliveries() as log:
        log.record(first.id, SmsStatus.NO_ENTREGABLE).result()

    done = run("bulk", "retry", ledger, "--undelivered", "--yes")
    assert done.exit_code == ExitCode.SOME_FAILED
    assert reached(server) == {ANA: 2}

    with open_store(ledger).deliveries() as log:
        log.record(first.id, SmsStatus.NUMERO_INVALIDO).result()
        log.record(server.received[-1].id, SmsStatus.ENTREGADO).result()
    shown = json.loads(run("bulk", "status", ledger, "--json").stdout)
    assert shown["deliveries"] == {"ENTREGADO": 1}
    assert shown["earlier_attempts"] == {"accepted": 1}
    assert run("bulk", "retry", ledger, "--undelivered", "--yes").exit_code == 5


def test_what_may_have_been_sent_is_never_retried(
    run: Run, server: Emulator, file: Path, place: Path | str
):
    """It is looked for in the reports of the API first."""
    server.fault(Fault.reset_after(), route="sms.send", times=1)
    run("bulk", "send", file, *SEND, "--ledger", place)
    sent = reached(server)

    done = run("bulk", "retry", place, "--rejected", "--undelivered", "--yes")

    assert done.exit_code == ExitCode.NOTHING_TO_DO
    assert reached(server) == sent


def test_invalid_rows_are_fixed_in_an_export(run: Run, server: Emulator, ledger: Path | str):
    """There is nothing to send again; the command for it is given."""
    done = run("bulk", "retry", ledger, "--invalid", "--yes")

    assert done.exit_code == ExitCode.WRONG_USAGE
    assert "--to-fix, and pass that by --from" in " ".join(done.stderr.split())


def test_a_retry_asks_first(run: Run, ledger: Path | str, server: Emulator):
    """Without a terminal, it needs a flag."""
    done = run("bulk", "retry", ledger, "--rejected")

    assert done.exit_code == ExitCode.WRONG_USAGE
    assert "--yes" in done.stderr
    assert reached(server) == {ANA: 1}
