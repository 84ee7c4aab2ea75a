"""Corrected rows, put together with stops, other runs and edits: none gets two, none is lost."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from connectus_async.cli.exit_codes import ExitCode
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger import open_store
from connectus_async.ledger.postgres.ledger import PostgresLedger
from connectus_async.ledger.sqlite.ledger import SqliteLedger
from connectus_async.products.sms_statuses import SmsStatus

Run = Callable[..., Result]
Ledger = Path | str
SEND = ("--text", "Hola {nombre}", "--to", "celular", "--concurrency", 1)
ANA, JOSE, EVA = "56987688060", "56987688061", "56987688062"
FIXED, MEXICAN = "56987688072", "5215512345678"
ROWS = f"nombre,celular,cliente\nAna,{ANA},1\nJosé,12,2\nEva,{EVA},3\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clientes.csv"
    path.write_text(ROWS, "utf-8")
    return path


@pytest.fixture
def ledger(ledger_of: Callable[[str], Ledger]) -> Ledger:
    return ledger_of("clientes")


Send = Callable[..., Result]


@pytest.fixture
def send(run: Run, file: Path, ledger: Ledger) -> Send:
    """Send the file, or what it has become."""
    return lambda *options: run("bulk", "send", file, *SEND, "--ledger", ledger, *options)


def send_refused(server: Emulator, send: Send, *options: object) -> None:
    """Send to Ana; José is invalid, and Eva is rejected."""

    async def refuse(number: int) -> None:
        if number == 1:
            server.fault(Fault.status(400), route="sms.send", times=1)

    server.fault(Fault.call(after=refuse), route="sms.send", times=1)
    assert send(*options).exit_code == ExitCode.SOME_FAILED
    assert reached(server) == {ANA: 1}


def reached(server: Emulator) -> Counter[str]:
    return Counter(message.recipient for message in server.received)


Fix = Callable[..., Path]


@pytest.fixture
def fix(run: Run, ledger: Ledger, tmp_path: Path) -> Fix:
    """Export rows, and give some of them another number."""

    def fix(*options: str, **numbers: str) -> Path:
        path = tmp_path / "por corregir.csv"
        assert run("bulk", "export", ledger, path, *(options or ["--to-fix"])).exit_code == 0
        text = path.read_text("utf-8-sig")
        for name, number in numbers.items():
            before = {"José": "José,12", "Eva": f"Eva,{EVA}"}[name]
            assert before in text
            text = text.replace(before, f"{name},{number}")
        path.write_text(text, "utf-8")
        return path

    return fix


@pytest.fixture
def retry(run: Run, ledger: Ledger) -> Send:
    return lambda *options: run("bulk", "retry", ledger, *options, "--yes")


def test_stopped_corrections_are_sent_by_nobody(
    run: Run, server: Emulator, send: Send, ledger: Ledger, fix: Fix, retry: Send
):
    """One for somebody who has a message is left out even then, once the flag is given."""
    send_refused(server, send)
    path = fix(José=ANA, Eva=MEXICAN)

    stopped = retry("--from", path, "--allow-countries", "CL")
    assert stopped.exit_code == ExitCode.FAILED
    assert "Mexico (1); nothing was sent" in stopped.stderr
    run("bulk", "resume", ledger)
    assert reached(server) == {ANA: 1}

    for _ in range(2):
        retry("--from", path, "--allow-countries", "any")
        assert reached(server) == {ANA: 1, MEXICAN: 1}


def test_corrections_that_no_balance_covers_are_sent_by_nobody(
    run: Run, server: Emulator, send: Send, ledger: Ledger, fix: Fix, retry: Send
):
    """They are sent once it does."""
    send_refused(server, send)
    path = fix(José=ANA, Eva=FIXED)
    no_balance = {"free_sms_balance_by_country": [{"country_name": "Chile", "balance": 0}]}

    with server.fault(Fault.status(200, no_balance), route="clients.list"):
        stopped = retry("--from", path)
    assert "--ignore-balance: the balance does not cover it" in stopped.stderr
    assert "Balance of the account for SMS to Chile: needs 2, has 0, lacks 2" in stopped.stdout
    run("bulk", "resume", ledger)
    assert reached(server) == {ANA: 1}

    for _ in range(2):
        retry("--from", path)
        assert reached(server) == {ANA: 1, FIXED: 1}


def test_rows_with_keys_of_their_own_are_corrected(
    server: Emulator, send: Send, file: Path, fix: Fix, retry: Send
):
    """The fixed file may be sent as well; people who have a message get no other."""
    send_refused(server, send, "--key", "cliente")
    assert retry("--from", fix(José=JOSE, Eva=FIXED)).exit_code == ExitCode.DONE
    assert reached(server) == {ANA: 1, JOSE: 1, FIXED: 1}

    file.write_text(ROWS.replace("José,12", f"José,{JOSE}").replace(EVA, FIXED), "utf-8")
    send("--key", "cliente", "--edited", "remaining")
    assert reached(server) == {ANA: 1, JOSE: 1, FIXED: 1}


def test_an_undelivered_message_that_was_corrected_is_not_retried(
    run: Run, server: Emulator, send: Send, ledger: Ledger, fix: Fix, retry: Send
):
    """Its number was a wrong one; both messages count against a balance."""
    send()
    assert reached(server) == {ANA: 1, EVA: 1}
    with open_store(ledger).deliveries() as log:
        log.record(server.received[-1].id, SmsStatus.NUMERO_INVALIDO).result()
    path = fix("--original", Eva=FIXED)

    retry("--from", path)
    assert reached(server) == {ANA: 1, EVA: 1, FIXED: 1}
    retry("--from", path)
    assert retry("--undelivered").exit_code == ExitCode.NOTHING_TO_DO
    send()
    assert reached(server) == {ANA: 1, EVA: 1, FIXED: 1}
    assert '"earlier_attempts": {"accepted": 1}' in run("bulk", "status", ledger, "--json").stdout


def test_corrections_that_wait_outlast_their_old_file(
    server: Emulator, send: Send, fix: Fix, retry: Send
):
    """A refused row waits with its correction; one that is invalid again is fixed again."""
    send_refused(server, send)
    path = fix(José=JOSE, Eva=FIXED)
    with server.fault(Fault.status(402), route="sms.send"):
        retry("--from", path)
    assert reached(server) == {ANA: 1}

    send()
    assert reached(server) == {ANA: 1, FIXED: 1}
    retry("--from", fix(José=JOSE))
    assert reached(server) == {ANA: 1, JOSE: 1, FIXED: 1}


def test_corrections_that_wait_are_replaced_by_a_file_that_was_fixed(
    server: Emulator, send: Send, file: Path, fix: Fix, retry: Send
):
    """Nobody gets both."""
    send_refused(server, send)
    with server.fault(Fault.status(402), route="sms.send"):
        retry("--from", fix(Eva=MEXICAN), "--allow-countries", "any")

    file.write_text(ROWS.replace(EVA, FIXED), "utf-8")
    send()
    assert reached(server) == {ANA: 1, FIXED: 1}


@pytest.mark.parametrize("when", ["load", "end_load", "left_out"])
def test_a_retry_that_is_killed_can_be_repeated(
    run: Run,
    server: Emulator,
    send: Send,
    ledger: Ledger,
    fix: Fix,
    retry: Send,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
):
    """Before the end of its load it has added nothing, and then all of it."""

    async def die(*_: object, **__: object) -> None:
        raise SystemExit

    send_refused(server, send)
    path = fix(José=ANA, Eva=FIXED)
    with monkeypatch.context() as killing:
        for store in (SqliteLedger, PostgresLedger):
            killing.setattr(store, when, die)
        retry("--from", path)
    run("bulk", "resume", ledger)
    assert reached(server) == ({ANA: 1, FIXED: 1} if when == "left_out" else {ANA: 1})

    retry("--from", path)
    retry("--rejected")
    assert reached(server) == {ANA: 1, FIXED: 1}
