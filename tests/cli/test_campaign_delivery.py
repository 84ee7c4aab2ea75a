"""``--delivery-at``: a campaign is handed over to one delivery of the API, which sends it later."""

import datetime as dt
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from click.testing import Result

from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger import metadata_names, open_store
from connectus_async.ledger.records import Policy
from connectus_async.ledger.states import OnUnknown

Run = Callable[..., Result]

LATER = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0) + dt.timedelta(days=9)
EARLIER = LATER - dt.timedelta(days=1)
PAST = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)


def send(file: Path, *options: object) -> tuple[object, ...]:
    return "bulk", "send", file, "--text", "Hola", *options


def at(moment: dt.datetime) -> tuple[str, str]:
    return "--delivery-at", moment.isoformat()


def ledger_of(file: Path) -> Path:
    return file.with_name(file.name + ".ledger.db")


def metadata(file: Path) -> dict[str, str]:
    with open_store(ledger_of(file)).read() as reader:
        return dict(reader.metadata())


def note(file: Path, **values: str) -> None:
    """Change the metadata of a campaign."""
    ledger = open_store(ledger_of(file)).ledger()
    policy = Policy("", "message", OnUnknown.HOLD, forgets_content=False)
    with start_blocking_portal("asyncio") as portal:
        portal.call(ledger.open, policy)
        try:
            portal.call(partial(ledger.set_metadata, **values))
        finally:
            portal.call(ledger.close)


def test_a_campaign_is_handed_over_to_a_delivery(run: Run, server: Emulator, recipients: Path):
    """All of its messages are in it, and the plan says when they go out."""
    sent = run(*send(recipients, *at(LATER), "--zone", "America/Santiago"))
    assert sent.exit_code == 0, sent.output
    assert "the API sends it 20" in sent.stdout
    assert " America/Santiago, in 8 days " in sent.stdout
    (id_delivery,) = {message.id_delivery for message in server.received}
    assert len(server.received) == 3
    found = metadata(recipients)
    assert found[metadata_names.DELIVERY] == id_delivery
    assert found[metadata_names.DELIVERY_AT] == LATER.isoformat()

    assert run(*send(recipients, *at(LATER))).exit_code == 0
    assert (len(server.received), server.requests["deliveries.create"]) == (3, 1)


def test_the_status_names_the_delivery(run: Run, server: Emulator, recipients: Path):
    """With what to do before it goes out, and after."""
    run(*send(recipients, *at(LATER)))
    ledger = ledger_of(recipients)
    status = ("bulk", "status", ledger)
    (id_delivery,) = {message.id_delivery for message in server.received}

    told = run(*status).stdout
    assert f"the delivery {id_delivery} of the API sends it {LATER.astimezone():%Y-%m-%d}" in told
    show = f"connectus deliveries show {id_delivery}"
    assert f"to see it: {show}; bulk send with another --delivery-at moves it\n" in told
    found = json.loads(run(*status, "--json").stdout)["delivery"]
    assert found == {"id": id_delivery, "deliver_at": LATER.isoformat()}

    note(recipients, **{metadata_names.DELIVERY_AT: PAST.isoformat(), "profile": "sandbox"})
    told = run(*status).stdout
    assert f"the delivery {id_delivery} of the API went out {PAST.astimezone():%Y-%m-%d}" in told
    track = f"connectus bulk track {ledger} --profile sandbox"
    assert f"{show} --profile sandbox; what became of its SMS: {track}\n" in told
    (_, *shown) = show.split()
    assert run(*shown).exit_code == 0


def test_the_status_of_other_campaigns_has_no_delivery(run: Run, recipients: Path):
    """In JSON, it is null."""
    run(*send(recipients))
    assert "deliver" not in run("bulk", "status", ledger_of(recipients)).stdout
    found = run("bulk", "status", ledger_of(recipients), "--json").stdout
    assert json.loads(found)["delivery"] is None


def test_a_dry_run_makes_no_delivery(run: Run, server: Emulator, recipients: Path):
    """It plans all the same."""
    planned = run(*send(recipients, *at(LATER), "--dry-run"))
    assert (planned.exit_code, server.requests["deliveries.create"]) == (0, 0)
    assert "3 messages to send" in planned.stdout


def test_another_time_moves_the_delivery(run: Run, server: Emulator, recipients: Path):
    """What is in it goes out with the rest, and nobody gets a second message."""
    rows = recipients.read_text("utf-8").splitlines(keepends=True)
    recipients.write_text("".join(rows[:2]), "utf-8")
    assert run(*send(recipients, *at(LATER))).exit_code == 0
    recipients.write_text("".join(rows), "utf-8")
    assert run(*send(recipients, *at(EARLIER))).exit_code == 0

    assert (len(server.received), len({one.id_delivery for one in server.received})) == (3, 1)
    calls = server.requests
    assert (calls["deliveries.create"], calls["deliveries.update"]) == (1, 1)
    assert metadata(recipients)[metadata_names.DELIVERY_AT] == EARLIER.isoformat()


def test_a_move_that_may_have_failed_hands_nothing_over(
    run: Run, server: Emulator, recipients: Path
):
    """The earlier time counts until the API has confirmed the later one."""
    with server.fault(Fault.status(402), route="sms.send"):
        run(*send(recipients, *at(EARLIER)))
    with server.fault(Fault.status(500), route="deliveries.update"):
        stopped = run(*send(recipients, *at(LATER)))
    assert (stopped.exit_code, server.received) == (6, [])
    assert metadata(recipients)[metadata_names.DELIVERY_AT] == EARLIER.isoformat()
    assert run("bulk", "resume", ledger_of(recipients)).exit_code == 1
    assert run(*send(recipients, *at(LATER))).exit_code == 0
    assert len(server.received) == 3


def test_messages_join_no_delivery_that_went_out(run: Run, server: Emulator, recipients: Path):
    """They stay queued, whoever sends them; the error says what to do."""
    with server.fault(Fault.status(402), route="sms.send"):
        run(*send(recipients, *at(LATER)))
    late = run("bulk", "resume", ledger_of(recipients), "--expires-at", "2099-01-01T00:00:00Z")
    assert "--expires-at: must not be after " in late.stderr

    note(recipients, **{metadata_names.DELIVERY_AT: PAST.isoformat()})
    for command in (send(recipients), ("bulk", "resume", ledger_of(recipients))):
        refused = run(*command)
        assert (refused.exit_code, server.received) == (1, [])
        assert "its delivery went out at " in refused.stderr


def test_a_delivery_that_may_not_be_there_gets_no_messages(
    run: Run, server: Emulator, recipients: Path
):
    """The same command makes one; an empty delivery reaches nobody."""
    with server.fault(Fault.status(500), route="deliveries.create"):
        stopped = run(*send(recipients, *at(LATER)))
    assert (stopped.exit_code, server.received) == (6, [])
    assert "run the same command again" in stopped.stderr
    assert run(*send(recipients, *at(LATER))).exit_code == 0
    assert len(server.received) == 3


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (at(PAST), "is in the past"),
        (at(LATER.replace(year=2099)), "is more than a year ahead"),
        ((*at(LATER), "--id-delivery", "x"), "leave --id-delivery out"),
        ((*at(EARLIER), "--at", LATER.isoformat()), "is not after --at"),
    ],
)
def test_what_cannot_be_in_one_delivery_is_refused(
    run: Run, server: Emulator, recipients: Path, options: tuple[str, ...], problem: str
):
    """Nothing is made, sent or loaded."""
    refused = run(*send(recipients, *options))
    assert (refused.exit_code, server.received) == (2, [])
    assert problem in refused.stderr
    assert not ledger_of(recipients).exists()


def test_messages_that_wait_without_a_delivery_stay_without(
    run: Run, server: Emulator, recipients: Path
):
    """They would go out at once."""
    with server.fault(Fault.status(402), route="sms.send"):
        run(*send(recipients))
    refused = run(*send(recipients, *at(LATER)))
    assert (refused.exit_code, server.received) == (2, [])
    assert "comes too late for messages that wait" in refused.stderr


def test_corrected_rows_do_not_leave_without_the_delivery(
    run: Run, server: Emulator, recipients: Path, tmp_path: Path
):
    """They would go out at once, long before the others."""
    recipients.write_text(recipients.read_text("utf-8") + "12\n", "utf-8")
    run(*send(recipients, *at(LATER)))
    to_fix = tmp_path / "to-fix.csv"
    run("bulk", "export", ledger_of(recipients), to_fix, "--to-fix")
    to_fix.write_text(to_fix.read_text("utf-8-sig").replace("12", "56987688077"), "utf-8")
    refused = run("bulk", "retry", ledger_of(recipients), "--from", to_fix, "--yes")

    assert refused.exit_code == 1
    assert "send the corrected rows to another ledger. Nothing was sent." in refused.stderr
    assert len(server.received) == 3
