"""Exit codes: one for each end of a command, and the same for all commands about a campaign."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import Result

from connectus_async.cli.exit_codes import WORST_FIRST, ExitCode
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger import open_store
from connectus_async.ledger.states import State

Run = Callable[..., Result]

README = Path(__file__).parents[2] / "README.md"
SEND = ("--yes", "--text", "Hola {name}")


@pytest.fixture
def ledger(recipients: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(recipients.parent)
    return recipients.with_name(recipients.name + ".ledger.db")


def test_the_table_of_the_readme_has_the_codes_and_their_meanings():
    _, _, rest = README.read_text("utf-8").partition("| code | meaning |\n|---|---|\n")
    table, _, _ = rest.partition("\n\n")
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", table, re.MULTILINE)

    assert rows == [(str(code.value), code.meaning) for code in ExitCode]


@pytest.mark.parametrize("command", [("--help",), ("bulk", "--help")])
def test_the_help_has_the_codes_and_their_meanings(run: Run, command: Sequence[str]):
    shown = " ".join(run(*command).stdout.split())

    assert all(f"{code.value} {code.meaning}" in shown for code in ExitCode)


def test_each_code_but_that_of_wrong_usage_has_its_place_among_the_others():
    """A wrong usage never gets as far as a campaign."""
    assert {*WORST_FIRST} == {*ExitCode} - {ExitCode.WRONG_USAGE}


WRONG_VALUES = {
    "send": (
        ("--region", "cl"),
        ("--at", "2020-01-01 10:00"),
        ("--at", "2099-01-01 10:00"),
        ("--delivery-at", "2020-01-01 10:00"),
        ("--expires-at", "tomorrow"),
        ("--to", "phone"),
        ("--key", "id"),
        ("--text", "Hola {nombre}"),
        ("--text", "Hola {name"),
        ("--text", "Hola {{ name", "--jinja"),
        ("--kind", "email"),
        ("--src-email", "sales@example.com"),
        ("--quiet-hours", "21-8"),
        ("--quiet-hours", "21:00-21:00"),
        ("--rate", "inf"),
        ("--at-most", "2/week"),
        ("--processes", "9", "--concurrency", "2"),
        ("--workers", "2"),
        ("--encoding", "utf-9"),
        ("--sheet", "People"),
        ("--delimiter", ";;"),
        ("--campaign", "a/b"),
        ("--ledger", "nowhere/a.db"),
        ("--ledger", "mysql://localhost/ledgers"),
        ("--log-file", "nowhere/a.log"),
        ("--suppress", "nowhere.txt"),
        ("--test-to", "12"),
        ("--proxy", "proxy"),
        ("--profile", "nobody"),
        ("--webhook-on-finish", "example.com"),
    ),
    "resume": (
        ("--at", "2020-01-01 10:00"),
        ("--quiet-hours", "21-8"),
        ("--expires-at", "tomorrow"),
        ("--workers", "2"),
        ("--log-file", "nowhere/a.log"),
    ),
    "retry": (
        ("--rejected", "--at", "2020-01-01 10:00"),
        ("--rejected", "--quiet-hours", "21-8"),
        ("--from", "fixed.csv", "--encoding", "utf-9"),
        ("--from", "fixed.csv", "--sheet", "People"),
        ("--from", "nowhere.csv"),
    ),
    "pause": (("--until", "tomorrow"),),
    "set-rate": (("fast",),),
    "reconcile": (("--settle", "0"),),
    "report": (("--to", "nowhere/a.html"), ("--time-zone", "Chile")),
    "export": (("nowhere/a.csv",), ("a.pdf",), ("a.jsonl", "--delimiter", ";")),
    "track": (("--concurrency", "0"),),
}
"""Options with a wrong value, by the command of a campaign."""


@pytest.mark.parametrize("command", WRONG_VALUES)
def test_a_wrong_value_is_wrong_usage(
    run: Run, server: Emulator, recipients: Path, ledger: Path, command: str
):
    """Whoever finds it; nothing was done."""
    recipients.with_name("fixed.csv").write_text("dst_number\n", "utf-8")
    run("bulk", "send", recipients, *SEND)
    sent = len(server.received)
    stopped = run("bulk", "status", ledger).exit_code
    place = (recipients, "--yes", "--text", "Hola") if command == "send" else (ledger,)
    codes = {
        options: run("bulk", command, *place, *options).exit_code
        for options in WRONG_VALUES[command]
    }

    assert codes == dict.fromkeys(WRONG_VALUES[command], ExitCode.WRONG_USAGE)
    assert len(server.received) == sent
    assert run("bulk", "status", ledger).exit_code == stopped


WRONG_FILES = {
    "empty": b"",
    "another encoding": "dst_number,name\n56987688060,José Muñoz\n".encode("cp850"),
    "a quote left open": b'dst_number,name\n56987688060,"Ana\n',
    "numbers without a country": b"dst_number,name\n987688060,Ana\n",
    "an export": b"dst_number,name,connectus_row\n56987688060,Ana,1\n",
}


def test_a_file_with_a_wrong_content_is_no_wrong_usage(run: Run, recipients: Path):
    """The command is right; whoever wrote the file has to know."""
    codes = {}
    for wrong, content in WRONG_FILES.items():
        recipients.write_bytes(content)
        codes[wrong] = run("bulk", "send", recipients, *SEND, "--ledger", "a.db").exit_code

    assert codes == dict.fromkeys(WRONG_FILES, ExitCode.FAILED)


ENDS: list[tuple[str, ExitCode, Fault | None, tuple[object, ...], str]] = [
    ("all accepted", ExitCode.DONE, None, (), ""),
    ("one rejected", ExitCode.SOME_FAILED, Fault.status(400), (), ""),
    ("one row is invalid", ExitCode.SOME_FAILED, None, (), "12,Eva\n"),
    ("one may have been sent", ExitCode.MAYBE_SENT, Fault.reset_after(), (), ""),
    ("the balance is exhausted", ExitCode.STOPPED, Fault.status(402), (), ""),
    ("the budget is exhausted", ExitCode.STOPPED, None, ("--budget", 1), ""),
]


@pytest.mark.parametrize(
    ("code", "fault", "options", "row"), [end[1:] for end in ENDS], ids=[end[0] for end in ENDS]
)
def test_send_and_status_and_resume_end_with_the_same_code(
    run: Run,
    server: Emulator,
    recipients: Path,
    ledger: Path,
    code: ExitCode,
    fault: Fault | None,
    options: Sequence[object],
    row: str,
):
    """It depends on the ledger, not on the command."""
    recipients.write_text(recipients.read_text("utf-8") + row, "utf-8")
    if fault is not None:
        server.fault(fault, route="sms.send")

    sent = run("bulk", "send", recipients, *SEND, *options)
    shown = run("bulk", "status", ledger)
    resumed = run("bulk", "resume", ledger, "--yes")

    assert [sent.exit_code, shown.exit_code, resumed.exit_code] == [code] * 3


def test_a_file_without_a_message_leaves_nothing_to_do(run: Run, recipients: Path, ledger: Path):
    stop = recipients.with_name("stop.txt")
    stop.write_text("56987688060\n56987688061\n56987688062\n", "utf-8")

    sent = run("bulk", "send", recipients, *SEND, "--suppress", stop)

    assert sent.exit_code == ExitCode.NOTHING_TO_DO
    assert run("bulk", "status", ledger).exit_code == ExitCode.NOTHING_TO_DO


def test_a_stop_and_a_pause_show_while_messages_wait(
    run: Run, server: Emulator, recipients: Path, ledger: Path
):
    """Once all are sent, neither counts."""
    with server.fault(Fault.status(402), route="sms.send"):
        run("bulk", "send", recipients, *SEND)
    run("bulk", "pause", ledger)
    assert run("bulk", "status", ledger).exit_code == ExitCode.STOPPED
    open_store(ledger).control().change(paused_until=None)
    run("bulk", "stop", ledger)
    assert run("bulk", "status", ledger).exit_code == ExitCode.STOPPED

    assert run("bulk", "resume", ledger, "--yes").exit_code == ExitCode.DONE
    run("bulk", "stop", ledger)
    run("bulk", "pause", ledger)
    assert run("bulk", "status", ledger).exit_code == ExitCode.DONE


def test_a_source_that_was_not_loaded_to_its_end_is_a_failure(
    run: Run, recipients: Path, ledger: Path
):
    """Nobody knows what else is in it."""
    recipients.write_text("dst_number\n987688060\n987688061\n", "utf-8")

    assert run("bulk", "send", recipients, "--yes", "--text", "Hola").exit_code == ExitCode.FAILED
    assert run("bulk", "status", ledger).exit_code == ExitCode.FAILED


def test_messages_that_a_full_disk_could_not_record_may_have_been_sent(
    run: Run,
    server: Emulator,
    environment: dict[str, str],
    recipients: Path,
    ledger: Path,
):
    """They were begun: the ledger tells, and the command says how to check them."""
    rows = "".join(f"{56_960_000_000 + row},Ana\n" for row in range(3_000))
    recipients.write_text(f"dst_number,name\n{rows}", "utf-8")
    with server.fault(Fault.status(402), route="sms.send"):
        run("bulk", "send", recipients, *SEND)
    limit = ledger.stat().st_size // 1024 + 4
    command = ["-m", "connectus_async", "bulk", "resume", ledger, "--yes", "--concurrency", "8"]

    done = subprocess.run(
        ["bash", "-c", f'ulimit -f {limit}; exec "$@"', "-", sys.executable, *command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    shown = run("bulk", "status", ledger)

    with open_store(ledger).read() as reader:
        counts = {state: total.messages for state, total in reader.totals().items()}
    maybe = counts[State.IN_FLIGHT]
    assert done.returncode == ExitCode.MAYBE_SENT, done
    assert shown.exit_code == ExitCode.MAYBE_SENT
    assert "the disk took no more" in done.stderr
    assert f"\n{maybe:,} may have been sent: check with connectus bulk reconcile" in done.stdout
    assert len(server.received) <= counts[State.ACCEPTED] + maybe
