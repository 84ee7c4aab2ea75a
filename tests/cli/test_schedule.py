"""A start at a later time is recorded, and whoever sends the campaign waits for it."""

import datetime as dt
import json
import time
import zoneinfo
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import run_sync
from click.testing import Result

from connectus_async.bulk import attendance
from connectus_async.cli.ledgers import typed
from connectus_async.emulator import Emulator
from connectus_async.ledger import open_store
from connectus_async.ledger.records import Orders
from connectus_async.ledger.sqlite.ledger import SqliteLedger

Run = Callable[..., Result]
Ledger = Path | str

SANTIAGO = ("--zone", "America/Santiago")
LATER = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0) + dt.timedelta(days=9)


@pytest.fixture
def ledger(ledger_of: Callable[[str], Ledger]) -> Ledger:
    return ledger_of("campaign")


def send(recipients: Path, ledger: Ledger, *options: object) -> tuple[object, ...]:
    return "bulk", "send", recipients, "--text", "Hola", "--ledger", ledger, *options


def orders(ledger: Ledger) -> Orders:
    return open_store(ledger).control().orders()


def at(start: dt.datetime) -> tuple[str, str]:
    return "--at", start.isoformat()


def status(run: Run, ledger: Ledger) -> tuple[int, dict[str, Any]]:
    found = run("bulk", "status", ledger, "--json")
    return found.exit_code, json.loads(found.stdout)


def test_a_campaign_that_does_not_wait_for_its_start_ends(
    run: Run, server: Emulator, recipients: Path, ledger: Ledger
):
    """All is loaded, nothing is sent, and each command says when it starts."""
    sent = run(*send(recipients, ledger, *at(LATER), *SANTIAGO, "--no-wait"))
    assert (sent.exit_code, server.received) == (7, []), sent.output
    begins = f"starts {LATER.astimezone(orders_zone(ledger)):%Y-%m-%d %H:%M} America/Santiago, in "
    assert sent.stdout.count(begins) == 2
    assert "stopped: it starts later, and --no-wait ends it" in sent.stderr
    assert orders(ledger).starts_at == LATER.timestamp()

    shown = run("bulk", "status", ledger).stdout
    assert begins in shown
    nobody = "no command waits for the start: connectus bulk resume"
    assert (nobody in shown) is isinstance(ledger, Path)  # workers may wait for that of a database
    code, found = status(run, ledger)
    assert (code, found["starts_at"]) == (7, LATER.isoformat())
    assert found["counts"]["queued"] == 3

    again = run("bulk", "resume", ledger, "--no-wait")
    assert (again.exit_code, server.received) == (7, [])
    assert begins in again.stdout
    continued = run("bulk", "continue", ledger)
    assert begins in continued.stdout
    assert orders(ledger).starts_at == LATER.timestamp()

    now = run("bulk", "resume", ledger, "--at", "now", "--no-wait")
    assert (now.exit_code, len(server.received)) == (0, 3), now.output
    assert status(run, ledger)[1]["starts_at"] is None


def orders_zone(ledger: Ledger) -> Any:
    zone = orders(ledger).starts_zone
    assert zone == "America/Santiago"
    return zoneinfo.ZoneInfo(zone)


AtAsk = Callable[[int, Callable[[], object]], object]


@pytest.fixture
def at_ask(monkeypatch: pytest.MonkeyPatch) -> AtAsk:
    """Do something once a sender has asked for instructions so often; it asks at once again."""
    monkeypatch.setattr(attendance, "SECONDS", 0.01)
    then: dict[int, Callable[[], object]] = {}
    numbers = count(1)
    attend = SqliteLedger.attend

    async def counted(ledger: SqliteLedger, *report: Any) -> Any:
        found = await attend(ledger, *report)
        if do := then.get(next(numbers)):
            await run_sync(do)
        return found

    monkeypatch.setattr(SqliteLedger, "attend", counted)
    return then.__setitem__


def test_a_campaign_waits_for_its_start_and_then_sends(
    run: Run, server: Emulator, recipients: Path, at_ask: AtAsk
):
    """Nothing leaves before; the clock decides, or another order of the start."""
    ledger = recipients.with_name("campaign.db")
    early: list[int] = []

    def arrive() -> None:
        early.append(len(server.received))
        open_store(ledger).control().change(starts_at=time.time() - 1)

    at_ask(5, arrive)
    sent = run(*send(recipients, ledger, *at(LATER)))
    assert (sent.exit_code, early, len(server.received)) == (0, [0], 3), sent.output


def test_a_pause_from_another_terminal_does_not_move_the_start(
    run: Run, server: Emulator, recipients: Path, at_ask: AtAsk
):
    """Nor does who continues it start it early; a stop ends the command that waits."""
    ledger = recipients.with_name("campaign.db")
    control = open_store(ledger).control()
    at_ask(2, lambda: control.change(paused_until=time.time() + 1_000, paused_by="ana"))
    at_ask(4, lambda: control.change(paused_until=None, paused_by=None))
    at_ask(6, lambda: control.change(stopped="ana stopped it"))
    sent = run(*send(recipients, ledger, *at(LATER)))
    assert (sent.exit_code, server.received) == (6, []), sent.output
    assert "stopped: ana stopped it" in sent.stderr
    assert "starts " in sent.stdout
    assert control.orders().starts_at == LATER.timestamp()


@pytest.mark.parametrize("hours", [0, 6])
@pytest.mark.usefixtures("server")
def test_the_plan_counts_who_is_in_quiet_hours_at_the_start(
    run: Run, recipients: Path, ledger: Ledger, hours: int
):
    """Not who is so now; a later command goes by the start that is recorded."""
    start = LATER + dt.timedelta(hours=6)
    hour = dt.timedelta(hours=1)
    middle = (LATER + dt.timedelta(hours=hours)).astimezone(zoneinfo.ZoneInfo(SANTIAGO[1]))
    options = ("--quiet-hours", f"{middle - hour:%H:%M}-{middle + 2 * hour:%H:%M}")
    said = f"  {3 if hours else 0} in quiet hours at the start\n"

    tried = run(*send(recipients, ledger, *options, *at(start), "--dry-run"))
    sent = run(*send(recipients, ledger, *options, *at(start), "--no-wait"))
    again = run(*send(recipients, ledger, *options, "--no-wait"))
    now = run(*send(recipients, ledger, *options, "--at", "now", "--no-wait", "--dry-run"))

    assert [said in it.stdout for it in (tried, sent, again)] == [True] * 3
    assert f"  {0 if hours else 3} now in quiet hours\n" in now.stdout


@pytest.mark.usefixtures("server")
def test_a_start_in_the_past_is_refused(run: Run, recipients: Path, ledger: Ledger):
    """Unless the campaign has it already: then the same command resumes it."""
    past = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    refused = run(*send(recipients, ledger, *at(past)))
    assert refused.exit_code == 2
    assert "--at: is in the past; --at now sends at once" in refused.stderr
    if isinstance(ledger, Path):
        assert not ledger.exists()

    run(*send(recipients, ledger, *at(LATER), "--no-wait"))
    open_store(ledger).control().change(starts_at=past.timestamp())
    assert run(*send(recipients, ledger, *at(past))).exit_code == 0


@pytest.mark.parametrize(
    ("options", "code", "problem"),
    [
        (("--at", "2126-12-24T10:00"), 2, "is more than a year ahead"),
        (("--at", "2026-12-24"), 2, "must be a date and a time"),
        (("--at", "tomorrow 10:00"), 2, "must be a date and a time"),
        (("--at", "2027-04-03 23:30", *SANTIAGO), 2, "say which it is with its offset"),
        (("--at", "2027-09-05 00:30", *SANTIAGO), 2, "say which it is with its offset"),
        (("--at", "2026-12-24 10:00", "--zone", "Santiago"), 2, "--zone"),
        (SANTIAGO, 2, "--zone needs a time"),
        ((*at(LATER), "--expires-at", LATER.isoformat()), 2, "is not before --expires-at"),
    ],
)
def test_what_is_no_start_is_refused(
    run: Run, server: Emulator, recipients: Path, options: tuple[str, ...], code: int, problem: str
):
    """The error says why; nothing was loaded."""
    ledger = recipients.with_name("campaign.db")
    refused = run(*send(recipients, ledger, *options))
    assert (refused.exit_code, server.received) == (code, [])
    assert problem in " ".join(refused.stderr.split())
    assert not ledger.exists()


def test_json_has_the_start(run: Run, server: Emulator, recipients: Path):
    """Once before it waits, and once after it ended early."""
    ledger = recipients.with_name("campaign.db")
    sent = run(*send(recipients, ledger, *at(LATER), "--no-wait", "--json"))
    lines = [json.loads(line) for line in sent.stdout.splitlines()]
    start = {"type": "schedule", "starts_at": LATER.isoformat(), "zone": None}
    assert lines.count(start) == 2
    assert (sent.exit_code, server.received) == (7, [])


def test_the_workers_of_a_process_wait(run: Run, server: Emulator, recipients: Path):
    """Several processes hear of the start as one does."""
    ledger = recipients.with_name("campaign.db")
    sent = run(*send(recipients, ledger, *at(LATER), "--no-wait", "--processes", "2"))
    assert (sent.exit_code, server.received) == (7, []), sent.output
    assert typed(ledger) in sent.stdout
