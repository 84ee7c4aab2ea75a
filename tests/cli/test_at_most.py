"""``--at-most``: who got enough by the other ledgers is skipped, and named."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from connectus_async.emulator import Emulator

Run = Callable[..., Result]
Place = Callable[[str], object]


def send(file: Path, ledger: object, *options: object) -> tuple[object, ...]:
    return "bulk", "send", file, "--text", "Hola", "--ledger", ledger, *options


def of(*numbers: int) -> str:
    return "".join(["dst_number\n", *[f"5698768806{number}\n" for number in numbers]])


def test_who_got_enough_is_skipped(run: Run, server: Emulator, recipients: Path, ledger_of: Place):
    """In the plan, the status and the export; once they may get something, they get it."""
    for name, numbers in {"a": (0, 1), "b": (0, 2)}.items():
        recipients.write_text(of(*numbers), "utf-8")
        assert run(*send(recipients, ledger_of(name))).exit_code == 0
    recipients.write_text(of(0, 1, 5), "utf-8")
    mine = ledger_of("c")
    capped = send(recipients, mine, "--at-most", "2/7d")

    plan = run(*capped, "--dry-run", "--json")
    (skipped,) = [json.loads(line)["preflight"]["skipped"] for line in plan.stdout.splitlines()]
    assert skipped["too_often"]["count"] == 1
    before = len(server.received)
    sent = run(*capped)
    assert (sent.exit_code, len(server.received) - before) == (0, 2), sent.output
    assert "1 skipped: too often" in sent.stdout
    assert "line 2: the recipient got as many messages lately as are allowed" in sent.stdout
    status = json.loads(run("bulk", "status", mine, "--json").stdout)
    assert status["skipped"] == {"too_often": 1}
    export = run("bulk", "export", mine, "-", "--format", "csv", "--state", "skipped")
    assert [row["reason"] for row in csv.DictReader(io.StringIO(export.stdout))] == ["too_often"]

    assert run(*capped).exit_code == 0
    assert len(server.received) - before == 2
    assert run(*send(recipients, mine, "--at-most", "3/7d")).exit_code == 0
    assert len(server.received) - before == 3


def test_a_message_that_waits_is_checked_again(
    run: Run, server: Emulator, recipients: Path, ledger_of: Place
):
    """Its person may have got another one since it was loaded."""
    mine = ledger_of("c")
    waits = run(*send(recipients, mine, "--quiet-hours", "00:00-23:59", "--no-wait"))
    assert (waits.exit_code, server.received) == (7, []), waits.output
    assert run(*send(recipients, ledger_of("a"))).exit_code == 0
    sent = run(*send(recipients, mine, "--at-most", "1/1d"))
    assert (sent.exit_code, len(server.received)) == (5, 3), sent.output
    assert "3 skipped: too often" in sent.stdout


def test_a_ledger_that_cannot_be_read_is_named(run: Run, server: Emulator, recipients: Path):
    """Nobody knows whom it reached, so nobody gets anything."""
    recipients.with_name("old.ledger.db").write_text("damaged", "utf-8")
    mine = recipients.with_name("mine.db")
    refused = run(*send(recipients, mine, "--at-most", "1/1d"))
    assert (refused.exit_code, server.received) == (1, [])
    assert "old.ledger.db: " in refused.stderr
    assert "mend it, or move it elsewhere" in refused.stderr
    assert run(*send(recipients, mine)).exit_code == 0


def test_what_is_no_cap_is_wrong_usage(run: Run, recipients: Path):
    """The error has an example."""
    refused = run(*send(recipients, recipients.with_name("mine.db"), "--at-most", "often"))
    assert refused.exit_code == 2
    assert "2/7d" in refused.stderr
