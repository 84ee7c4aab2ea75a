"""``--at-most``: who got enough by the other ledgers is skipped, and named."""

import csv
import io
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger import open_store
from connectus_async.products.sms_statuses import SmsStatus

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


HELD_BACK = ("--quiet-hours", "00:00-23:59", "--no-wait")


def lines_of(result: Result, kind: str) -> list[dict[str, object]]:
    found = map(json.loads, result.stdout.splitlines())
    return [line for line in found if line["type"] == kind]


def states(run: Run, ledger: object) -> dict[str, int]:
    counts = json.loads(run("bulk", "status", ledger, "--json").stdout)["counts"]
    return {state: count for state, count in counts.items() if count}


def test_what_waits_is_checked_before_it_is_resumed(
    run: Run, server: Emulator, recipients: Path, ledger_of: Place
):
    """By the recorded cap, unless another one is given."""
    mine = ledger_of("c")
    waits = run(*send(recipients, mine, "--at-most", "1/1d", *HELD_BACK))
    assert (waits.exit_code, server.received) == (7, []), waits.output
    recipients.write_text(of(0), "utf-8")
    assert run(*send(recipients, ledger_of("a"))).exit_code == 0

    resume = ("bulk", "resume", mine, "--no-wait")
    held = run(*resume, "--json")
    assert lines_of(held, "too_often") == [{"type": "too_often", "skipped": 1, "not_again": 0}]
    recipients.write_text(of(1), "utf-8")
    assert run(*send(recipients, ledger_of("b"))).exit_code == 0
    more = run(*resume, "--at-most", "2/1d")
    assert "skipped:" not in more.stdout
    told = run(*resume, "--at-most", "1/1d")
    assert "1 message that waited is skipped: its recipient got as many" in told.stdout
    assert states(run, mine) == {"queued": 1, "skipped": 2}
    assert len(server.received) == 2


def test_a_recorded_cap_can_be_ended(
    run: Run, server: Emulator, recipients: Path, ledger_of: Place
):
    """For this resumption and all that follow."""
    mine = ledger_of("c")
    run(*send(recipients, mine, "--at-most", "1/1d", *HELD_BACK))
    run(*send(recipients, ledger_of("a")))
    for options in (("--at-most", "none"), ()):
        assert run("bulk", "resume", mine, "--no-wait", *options).exit_code == 7
        assert states(run, mine) == {"queued": 3}
    assert len(server.received) == 3


def refuse_all(run: Run, server: Emulator, recipients: Path, mine: object, *cap: str) -> None:
    with server.fault(Fault.status(400), route="sms.send"):
        assert run(*send(recipients, mine, *cap, "--concurrency", 1)).exit_code == 4


def test_who_got_enough_is_not_sent_again(
    run: Run, server: Emulator, recipients: Path, ledger_of: Place
):
    """The message stays rejected, so that it is found later; whoever got too little is sent to."""
    mine = ledger_of("c")
    refuse_all(run, server, recipients, mine, "--at-most", "1/1d")
    recipients.write_text(of(0), "utf-8")
    assert run(*send(recipients, ledger_of("a"))).exit_code == 0

    retry = ("bulk", "retry", mine, "--yes", "--rejected")
    done = run(*retry)
    assert "1 message is not sent again: its recipient got as many" in done.stdout
    assert states(run, mine) == {"accepted": 2, "rejected": 1}
    told = run(*retry, "--json")
    assert told.exit_code == 5
    assert lines_of(told, "too_often") == [{"type": "too_often", "skipped": 0, "not_again": 1}]
    assert run(*retry, "--at-most", "2/1d").exit_code == 0
    assert states(run, mine) == {"accepted": 3}
    assert Counter(sms.recipient for sms in server.received) == {
        "56987688060": 2,
        "56987688061": 1,
        "56987688062": 1,
    }


def test_what_reached_a_person_by_the_same_campaign_counts(
    run: Run, server: Emulator, recipients: Path, ledger_of: Place
):
    """A refusal does not, however often; a message that the API accepted does."""
    mine = ledger_of("c")
    cap = ("--at-most", "1/1d")
    recipients.write_text(of(0, 1), "utf-8")
    with server.fault(Fault.status(400), route="sms.send", times=1):
        run(*send(recipients, mine, *cap, "--concurrency", 1))
    with server.fault(Fault.status(400), route="sms.send"):
        edited = send(recipients, mine, *cap, "--edited", "everyone", "--text", "Otra")
        run(*edited)
        run("bulk", "retry", mine, "--yes", "--yes", "--rejected")
    assert len(server.received) == 1

    done = run("bulk", "retry", mine, "--yes", "--yes", "--rejected", "--reason", "400")
    assert "1 message is not sent again" in done.stdout
    assert Counter(sms.recipient for sms in server.received)["56987688061"] == 1


def test_an_undelivered_message_is_not_in_the_way_of_its_own_retry(
    run: Run, server: Emulator, recipients: Path, ledger_of: Place
):
    """It reached nobody, though it was accepted."""
    mine = ledger_of("c")
    recipients.write_text(of(0), "utf-8")
    run(*send(recipients, mine, "--at-most", "1/1d"))
    (sms,) = server.received
    with open_store(mine).deliveries() as log:
        log.record(sms.id, SmsStatus.NO_ENTREGABLE).result()

    assert run("bulk", "retry", mine, "--yes", "--undelivered").exit_code == 0
    assert len(server.received) == 2


def test_a_corrected_row_for_somebody_who_got_enough_stays_to_be_corrected(
    run: Run, server: Emulator, recipients: Path, ledger_of: Place, tmp_path: Path
):
    """The same file is sent later."""
    mine = ledger_of("c")
    recipients.write_text("dst_number\n12\n", "utf-8")
    run(*send(recipients, mine, "--at-most", "1/1d"))
    fixed = tmp_path / "fixed.csv"
    run("bulk", "export", mine, fixed, "--to-fix")
    fixed.write_text(fixed.read_text("utf-8-sig").replace("12", "56987688060", 1), "utf-8")
    recipients.write_text(of(0), "utf-8")
    run(*send(recipients, ledger_of("a")))

    retry = ("bulk", "retry", mine, "--yes", "--from", fixed)
    assert "1 skipped: too often" in run(*retry).stdout
    assert len(server.received) == 1
    assert run(*retry, "--at-most", "none").exit_code == 0
    assert len(server.received) == 2


def test_a_ledger_that_was_moved_counts_where_it_was(
    run: Run, server: Emulator, recipients: Path, tmp_path: Path
):
    """Once that folder is gone, nothing is sent until somebody says what counts."""
    folder, other = tmp_path / "here", tmp_path / "there"
    folder.mkdir()
    other.mkdir()
    run(*send(recipients, folder / "c.db", "--at-most", "1/1d", *HELD_BACK))
    run(*send(recipients, folder / "a.db"))
    moved = (folder / "c.db").rename(other / "c.db")

    resume = ("bulk", "resume", moved, "--no-wait")
    assert "3 messages that waited are skipped" in run(*resume).stdout
    shutil.rmtree(folder)
    gone = run(*resume)
    assert gone.exit_code == 1
    assert "which is not there any more; nothing was sent" in gone.stderr
    assert run(*resume, "--at-most", "1/1d").exit_code == 5
    assert len(server.received) == 3
