"""What is seen of a campaign while it runs: its log, its status and the list of campaigns."""

import datetime as dt
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from anyio.from_thread import start_blocking_portal
from anyio.to_thread import run_sync
from click.testing import Result

from connectus_async import Delay, DelayCause, State
from connectus_async.cli import campaign_display, status
from connectus_async.cli.campaign_state import CampaignState, Snapshot, read_snapshot
from connectus_async.cli.campaign_table import state_of
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger import open_store
from connectus_async.ledger.records import Entry, Loading, Orders, Policy, Sender, Total
from connectus_async.ledger.states import OnUnknown

Run = Callable[..., Result]

SEND = ("--text", "Hola", "--yes")
NOW = 1_800_000_000.0


@pytest.fixture
def ledger(recipients: Path) -> Path:
    return recipients.with_name("campaign.ledger.db")


def send(recipients: Path, ledger: Path, *options: object) -> tuple[object, ...]:
    return "bulk", "send", recipients, *SEND, "--ledger", ledger, *options


def quiet_now() -> str:
    """Quiet hours in Chile that it is in the middle of."""
    now, hour = dt.datetime.now(ZoneInfo("America/Santiago")), dt.timedelta(hours=2)
    return f"{now - hour:%H:%M}-{now + hour:%H:%M}"


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@contextmanager
def held(ledger: Path, *, is_loading: bool = False) -> Iterator[Callable[[], None]]:
    """Let this process have a ledger open, and perhaps load it; the function closes it."""
    holder = open_store(ledger).ledger()
    policy = Policy("", "message", OnUnknown.HOLD, forgets_content=False)
    with start_blocking_portal("asyncio") as portal:
        portal.call(holder.open, policy)
        if is_loading:
            number = portal.call(holder.begin_load)
            entry = Entry("another", 9, "sms", "56987688069", '{"sms_content":"Hola"}', 1)
            portal.call(holder.load, [Loading(entry)], number)
        try:
            yield lambda: portal.call(holder.close)
        finally:
            portal.call(holder.close)


@pytest.mark.parametrize("processes", [1, 2])
def test_no_wait_ends_before_the_end_of_quiet_hours(
    run: Run, server: Emulator, recipients: Path, ledger: Path, processes: int
):
    """With exit code 7; what waits is said, and for what."""
    options = ("--quiet-hours", quiet_now(), "--no-wait", "--processes", processes)
    result = run(*send(recipients, ledger, *options))

    assert (result.exit_code, server.received) == (7, [])
    assert "connectus: stopped: it is quiet hours where the rest goes" in result.stderr
    assert " in Chile, 3 wait\n" in result.stderr
    assert "3 are still queued" in result.stdout


def test_no_wait_ends_at_a_pause(run: Run, server: Emulator, recipients: Path, ledger: Path):
    """So does a campaign that is paused when it starts."""
    server.fault(Fault.status(402), route="sms.send", times=1)
    run(*send(recipients, ledger, "--concurrency", 1))
    run("bulk", "pause", ledger)

    result = run("bulk", "resume", ledger, "--yes", "--no-wait")

    assert (result.exit_code, server.received) == (7, [])
    assert "connectus: stopped: it is paused, and --no-wait ends it\n" in result.stderr
    command = f"connectus bulk {{}} {ledger}"
    assert (
        f"3 are still queued, and paused: go on with {command.format('continue')}, then"
        f" {command.format('resume')}\n"
    ) in result.stdout


def test_a_pause_is_a_line_of_the_log_and_its_end_another(
    run: Run, server: Emulator, recipients: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch
):
    """By default it is waited for. The status shows who paused and who waits."""
    monkeypatch.setattr(campaign_display, "REFRESH_SECONDS", 0.02)
    control = open_store(ledger).control()
    found: list[dict[str, Any]] = []

    async def pause(_: int) -> None:
        def pause() -> None:
            control.change(paused_until=float("inf"), paused_by="ana@host7")
            while not (noted := read_snapshot(ledger)).delays:
                pass
            found.append(noted.as_dict())
            control.change(paused_until=None, paused_by=None)

        await run_sync(pause)

    async def wait(_: int) -> None:
        def wait() -> None:
            while read_snapshot(ledger).delays:
                pass

        await run_sync(wait)

    server.fault(Fault.call(before=wait), route="sms.send", times=2)
    server.fault(Fault.call(before=pause), route="sms.send", times=1)
    result = run(*send(recipients, ledger, "--concurrency", 1))

    assert result.exit_code == 0
    assert " paused by ana@host7\n" in result.stderr
    assert " sending goes on\n" in result.stderr
    assert result.stderr.count("\n") == 2
    assert found[0]["state"] == "paused"
    assert found[0]["delays"] == [{"cause": "pause", "by": "ana@host7"}]


@pytest.mark.parametrize("as_json", [True, False])
def test_the_log_goes_to_a_file(
    run: Run, server: Emulator, recipients: Path, ledger: Path, as_json: bool
):
    """With the failures by reason, and the summary last; each line of JSON has a type."""
    server.fault(Fault.status(400, {"error": "no"}), route="sms.send", times=2)
    log = ledger.with_name("campaign.log")
    log.write_text("before\n")
    result = run(*send(recipients, ledger, "--log-file", log, *["--json"] * as_json))

    before, *logged = log.read_text().splitlines()
    assert (result.exit_code, before) == (4, "before")
    if as_json:
        assert [line["type"] for line in lines("\n".join(logged))] == ["log", "summary"]
        assert lines(logged[-1])[0]["rejected"] == 2
        assert [line["type"] for line in lines(result.stdout)] == [
            *["plan", "failure", "failure", "summary"]
        ]
    else:
        assert "2 rejected (lines " in logged[0]
        assert logged[1].endswith(
            "1 of 3 accepted, 2 rejected, 0 unknown, 0 held, 0 skipped, 0 queued"
        )


def test_a_log_that_cannot_be_written_is_said_before_anything_is_sent(
    run: Run, server: Emulator, recipients: Path, ledger: Path, tmp_path: Path
):
    result = run(*send(recipients, ledger, "--log-file", tmp_path / "none" / "campaign.log"))
    assert (result.exit_code, server.received) == (2, [])
    assert "--log-file: cannot be written: No such file or directory" in result.stderr


@pytest.mark.parametrize("option", ["-v", None])
def test_failures_are_counted_by_reason_or_named(
    run: Run, server: Emulator, recipients: Path, ledger: Path, option: str | None
):
    """A line each is too many in a log, unless it is asked for."""
    server.fault(Fault.status(400, {"error": "no"}), route="sms.send")
    result = run(*send(recipients, ledger, *filter(None, [option])))
    assert result.exit_code == 4
    if option:
        assert result.stderr.count(": rejected: ") == 3
        assert " line 2: rejected: " in result.stderr
    else:
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith("3 rejected (lines 2, 3, 4): ") or "3 rejected (lines" in (
            result.stderr
        )


def test_while_it_is_loaded_the_status_says_so(run: Run, recipients: Path, ledger: Path):
    """With the number of rows so far; it does not tell to run it again."""
    run(*send(recipients, ledger))
    with held(ledger, is_loading=True):
        shown = run("bulk", "status", ledger).stdout
        found = json.loads(run("bulk", "status", ledger, "--json").stdout)
    assert shown.startswith("recipients.csv: loading: 4 rows so far\nsent since ")
    assert f"PID {os.getpid()} since " in shown
    assert "run bulk send again" not in shown
    assert (found["type"], found["state"], found["total"]) == ("status", "loading", 4)
    assert "its file was not read to the end: run bulk send again" in (
        run("bulk", "status", ledger).stdout
    )


@pytest.mark.parametrize("as_json", [True, False])
def test_the_status_is_watched_until_nobody_sends(
    run: Run,
    server: Emulator,
    recipients: Path,
    ledger: Path,
    monkeypatch: pytest.MonkeyPatch,
    as_json: bool,
):
    """Then the whole status follows, with its exit code."""
    monkeypatch.setattr(status, "WATCH_SECONDS", 0.0)
    with server.fault(Fault.status(402), route="sms.send"):
        run(*send(recipients, ledger))
    looks = 0
    with held(ledger) as close:

        def look(place: Path) -> Snapshot:
            nonlocal looks
            looks += 1
            if looks == 3:
                close()
            return read_snapshot(place)

        monkeypatch.setattr(status, "read_snapshot", look)
        result = run("bulk", "status", ledger, "--watch", *["--json"] * as_json)

    assert looks == 3
    if as_json:
        first, last = lines(result.stdout)
        assert (first["state"], last["state"]) == ("sending", "stopped")
    else:
        assert result.stdout.startswith("sending: 0 of 3\nrecipients.csv: stopped: ")


def test_campaigns_of_a_folder_are_listed(
    run: Run, server: Emulator, recipients: Path, ledger: Path
):
    """With what cannot be read, after the others."""
    run(*send(recipients, ledger))
    second = ledger.with_name("second.ledger.db")
    with server.fault(Fault.status(402), route="sms.send"):
        run(*send(recipients, second))
    ledger.with_name("third.ledger.db").write_text("a,b\n")
    ledger.with_name("other.db").write_text("a,b\n")

    shown = run("bulk", "list", ledger.parent).stdout.splitlines()
    found = lines(run("bulk", "list", ledger.parent, "--json").stdout)

    assert shown[0].split() == ["campaign", "state", "sent", "by", "since", "sent", "rate", "left"]
    assert shown[1].startswith("campaign  finished ")
    assert "3 of 3" in shown[1]
    assert shown[2].startswith("second    stopped: POST /sms/")
    assert shown[-1] == "third.ledger.db: is not a ledger: it is no SQLite file"
    assert [it["type"] for it in found] == ["campaign"] * 3
    assert [it.get("state") for it in found] == ["finished", "stopped", None]
    assert found[0]["senders"] == []


def test_campaigns_of_a_database_are_listed(run: Run, recipients: Path, postgres_ledger: str):
    """The oldest first, by their names."""
    database = postgres_ledger.partition("campaign=")[0].rstrip("?&")
    for name in ("navidad", "año nuevo"):
        sent = run("bulk", "send", recipients, *SEND, "--ledger", database, "--campaign", name)
        assert sent.exit_code == 0, sent.output
    found = lines(run("bulk", "list", database, "--json").stdout)
    assert [(it["campaign"], it["sent"]) for it in found] == [("navidad", 3), ("año nuevo", 3)]
    assert "año nuevo" in run("bulk", "list", database).stdout


def test_a_folder_without_campaigns(run: Run, tmp_path: Path):
    """So one that is not there is wrong usage."""
    result = run("bulk", "list", tmp_path)
    assert (result.exit_code, result.stdout) == (0, f"no campaigns in {tmp_path.name}\n")
    assert run("bulk", "list", tmp_path / "none").exit_code == 2


def snapshot(**changes: Any) -> Snapshot:
    """Make a snapshot; totals are given by state."""
    counts = {name: changes.pop(name) for name in [*changes] if name in {*State}}
    totals = {State(name): Total(count, count, NOW - 60, NOW, 0) for name, count in counts.items()}
    found = Snapshot(
        place=Path("a.ledger.db"),
        name="a",
        source=None,
        is_loaded=True,
        totals=totals,
        stopped=None,
        orders=Orders(),
        senders=(),
        delays=(),
        recent=0,
        at=NOW,
    )
    return attrs.evolve(found, **changes)


SENDERS = (Sender("host7 PID 7", NOW - 10),)
QUIET = Delay(cause=DelayCause.QUIET_HOURS, messages=5)
PAUSED = Orders(paused_until=NOW + 60, paused_by="ana")


@pytest.mark.parametrize(
    ("changes", "state", "said"),
    [
        ({"is_loaded": False, "senders": SENDERS, "queued": 7}, "loading", "7 rows so far"),
        ({"is_loaded": False, "queued": 7}, "unsent", "run bulk send again"),
        ({"senders": SENDERS, "queued": 5}, "sending", "sending"),
        ({"senders": SENDERS, "queued": 5, "orders": PAUSED}, "paused", "paused by ana until"),
        ({"queued": 5, "orders": PAUSED}, "paused", "paused by ana until"),
        ({"senders": SENDERS, "queued": 5, "delays": (QUIET,)}, "quiet_hours", ", 5 wait"),
        (
            {"senders": SENDERS, "queued": 5, "delays": (QUIET,), "recent": 9},
            "sending",
            "sending; quiet hours until",
        ),
        ({"queued": 5, "delays": (QUIET,)}, "unsent", "5 wait, and nobody sends them"),
        ({"queued": 5, "stopped": "402: no balance"}, "stopped", "stopped: 402: no balance"),
        ({"queued": 5, "orders": Orders(stopped="ana stopped it")}, "stopped", "ana stopped it"),
        ({"accepted": 5, "stopped": "interrupted"}, "finished", "finished"),
        ({"accepted": 5, "senders": SENDERS}, "finished", "finished"),
        ({"accepted": 5, "unknown": 2}, "unclear", "2 may have been sent"),
    ],
)
def test_each_state_is_known_and_said(changes, state, said):
    found = snapshot(**changes)
    assert (found.state, said in state_of(found)) == (CampaignState(state), True)


def test_the_rate_is_that_of_the_last_seconds_of_who_sends():
    """And the rest takes as long as that says."""
    found = snapshot(senders=SENDERS, queued=50, accepted=50, recent=50)
    assert (found.rate, found.seconds_left, found.sent, found.total) == (5.0, 10.0, 50, 100)
    assert snapshot(queued=50, recent=50).rate is None
