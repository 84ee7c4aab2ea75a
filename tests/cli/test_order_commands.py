"""Orders from the command line: what each says, and what the campaign's status shows of them."""

import json
import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from anyio.to_thread import run_sync
from click.testing import Result

from connectus_async.cli.ledgers import typed
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger import open_store
from connectus_async.ledger.records import Orders, Policy
from connectus_async.ledger.states import OnUnknown

Run = Callable[..., Result]
Ledger = Path | str


@pytest.fixture
def ledger(
    ledger_of: Callable[[str], Ledger], run: Run, server: Emulator, recipients: Path
) -> Ledger:
    """A campaign of three messages that wait."""
    found = ledger_of("navidad")
    with server.fault(Fault.status(402), route="sms.send"):
        sent = run(*send(recipients, found))
    assert (sent.exit_code, server.received) == (6, []), sent.output
    return found


def send(recipients: Path, ledger: Ledger, *options: object) -> tuple[object, ...]:
    return "bulk", "send", recipients, "--text", "Hola", "--ledger", ledger, *options


@contextmanager
def opened(ledger: Ledger) -> Iterator[None]:
    """Let this process have a ledger open to send."""
    holder = open_store(ledger).ledger()
    name = "navidad" if isinstance(ledger, str) else ""
    policy = Policy(name, "message", OnUnknown.HOLD, forgets_content=False)
    with start_blocking_portal("asyncio") as portal:
        portal.call(holder.open, policy)
        try:
            yield
        finally:
            portal.call(holder.close)


def orders(ledger: Ledger) -> Orders:
    return open_store(ledger).control().orders()


def status(run: Run, ledger: Ledger) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("bulk", "status", ledger, "--json").stdout)
    return found


def test_a_campaign_is_paused_and_continued(run: Run, ledger: Ledger):
    """Each order says what it did, whom it concerns, and what comes next."""
    command = f"connectus bulk {{}} {typed(ledger)}"
    paused = run("bulk", "pause", ledger)
    assert paused.stdout.splitlines() == [
        "Paused. Messages under way are finished. To go on: " + command.format("continue"),
        "3 messages wait; nobody sends now.",
    ]
    assert orders(ledger).paused_until == math.inf
    shown = run("bulk", "status", ledger)
    assert f"to go on: {command.format('continue')}\n" in shown.stdout
    assert ": paused by " in shown.stdout
    assert (status(run, ledger)["paused"], status(run, ledger)["paused_until"]) == (True, None)

    with opened(ledger):
        continued = run("bulk", "continue", ledger)
    assert continued.stdout.splitlines() == [
        "Continued.",
        "3 messages wait; 1 sender is at work.",
    ]
    alone = run("bulk", "continue", ledger)
    assert alone.stdout.splitlines()[1] == (
        f"3 messages wait; nobody sends now: start with {command.format('resume')}"
    )
    assert orders(ledger).paused_until is None
    assert "paused" not in run("bulk", "status", ledger).stdout


def test_a_pause_may_have_an_end(run: Run, ledger: Ledger):
    """It is in the time zone of whoever asks, or in the one that is given."""
    paused = run("bulk", "pause", ledger, "--until", "2100-12-24T08:00:00+00:00")
    assert paused.stdout.startswith("Paused until 2100-12-24 ")
    found = status(run, ledger)
    assert (found["paused"], found["paused_until"]) == (True, "2100-12-24T08:00:00+00:00")
    assert run("bulk", "pause", ledger, "--until", "2001-12-24T08:00:00+00:00").exit_code == 0
    assert status(run, ledger)["paused"] is False
    assert run("bulk", "pause", ledger, "--until", "soon").exit_code == 2


def test_a_campaign_is_stopped_until_it_is_started_again(
    run: Run, server: Emulator, ledger: Ledger
):
    """By those who send it, with the name of whoever stopped it."""
    stopped = run("bulk", "stop", ledger, "--json")
    answer = json.loads(stopped.stdout)
    assert (answer["queued"], answer["senders"]) == (3, [])
    assert re.search(r" stopped it at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", answer["stopped"])
    assert f": stopped: {answer['stopped']}\n" in run("bulk", "status", ledger).stdout

    assert run("bulk", "resume", ledger).exit_code == 0
    assert len(server.received) == 3
    assert status(run, ledger)["stopped"] is None


def test_who_sends_ends_with_the_reason_of_a_stop(run: Run, server: Emulator, ledger: Ledger):
    """The rest stays queued."""
    control = open_store(ledger).control()

    async def stop(_: int) -> None:
        await run_sync(lambda: control.change(stopped="ana stopped it"))

    server.fault(Fault.call(before=stop), route="sms.send", times=1)
    result = run("bulk", "resume", ledger, "--concurrency", 1, "--rate", 0.5)

    assert result.exit_code == 6
    assert "connectus: stopped: ana stopped it\n" in result.stderr
    assert len(server.received) < 3


def test_a_rate_is_ordered_and_taken_back(run: Run, ledger: Ledger):
    """Both are shown."""
    assert run("bulk", "set-rate", ledger, 2.5).stdout.startswith("The rate is at most 2.5/s.\n")
    assert (orders(ledger).rate, status(run, ledger)["rate"]) == (2.5, 2.5)
    assert "at most 2.5/s by order; to end that: " in run("bulk", "status", ledger).stdout
    taken_back = run("bulk", "set-rate", ledger, "as-started")
    assert taken_back.stdout.startswith("The rate is the one that it was started with.\n")
    assert (orders(ledger).rate, status(run, ledger)["rate"]) == (None, None)


@pytest.mark.parametrize("rate", ["0", "inf", "nan", "fast"])
def test_a_rate_that_cannot_be(run: Run, tmp_path: Path, rate: str):
    (tmp_path / "campaign.db").touch()
    assert run("bulk", "set-rate", tmp_path / "campaign.db", rate).exit_code == 2


@pytest.mark.parametrize("command", ["send", "resume"])
def test_a_rate_that_is_given_at_the_start_takes_the_place_of_an_order(
    run: Run, ledger: Ledger, recipients: Path, command: str
):
    """The last word of the user counts; without one, the order stays."""
    start = send(recipients, ledger) if command == "send" else ("bulk", "resume", ledger)
    run("bulk", "set-rate", ledger, 400)
    assert run(*start).exit_code == 0
    assert orders(ledger).rate == 400
    assert run(*start, "--rate", 500).exit_code == 0
    assert orders(ledger).rate == 500
    run("bulk", "set-rate", ledger, "as-started")
    assert run(*start, "--rate", 600).exit_code == 0
    assert orders(ledger).rate is None


def test_the_status_shows_who_has_a_ledger_open(run: Run, ledger: Ledger):
    """And since when."""
    with opened(ledger):
        (sender,) = status(run, ledger)["senders"]
        shown = run("bulk", "status", ledger).stdout
    assert sender["place"].endswith(f" PID {os.getpid()}")
    assert f"sent by {sender['place']} since " in shown
    assert status(run, ledger)["senders"] == []


@pytest.mark.parametrize("command", ["pause", "continue", "stop", "set-rate"])
def test_an_order_for_what_is_no_ledger(run: Run, tmp_path: Path, command: str):
    """One sentence, and the file stays as it was."""
    path = tmp_path / "campaign.db"
    path.write_text("a,b\n")
    result = run("bulk", command, path, *(["5"] if command == "set-rate" else []))
    assert result.exit_code == 1
    assert result.stderr == "connectus: campaign.db: is not a ledger: it is no SQLite file\n"
    assert path.read_text() == "a,b\n"
