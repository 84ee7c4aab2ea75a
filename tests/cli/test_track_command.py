"""``connectus bulk track``: what became of a campaign, asked for and written into its ledger."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from anyio.from_thread import start_blocking_portal

from connectus_async import SmsStatus
from connectus_async.emulator import Emulator, Fault
from connectus_async.tracking import LedgerHandler
from connectus_async.webhooks import StatusUpdate


class Clock:
    def __init__(self):
        self.now = datetime.now(UTC)

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server(clock):
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(Emulator(clock=clock)) as emulator,
    ):
        yield emulator


@pytest.fixture
def ledger(run, recipients):
    """Of a campaign to three people, one of whom cannot be reached at all."""
    recipients.write_text("dst_number\n56987688060\n56987680000\n56987680002\n", "utf-8")
    assert run("bulk", "send", recipients, "--text", "Hola").exit_code == 0
    return recipients.with_name(f"{recipients.name}.ledger.db")


def statuses(ledger):
    with closing(sqlite3.connect(ledger)) as connection:
        query = "SELECT delivery_status FROM message ORDER BY id"
        return [status for (status,) in connection.execute(query)]


def test_one_look_writes_what_is_final_and_says_what_is_not(run, ledger, clock):
    """`bulk status` shows it from then on."""
    clock.now += timedelta(seconds=5)

    result = run("bulk", "track", ledger)

    assert result.exit_code == 0
    assert "1 delivery: ENTREGADO" in result.stdout
    assert "3 checked; 1 have no final status yet" in result.stdout
    assert f"connectus bulk track {ledger} --until-final" in result.stdout
    assert statuses(ledger) == ["ENTREGADO", "NO_ENTREGABLE", None]
    assert "1 delivery: NO_ENTREGABLE" in run("bulk", "status", ledger).stdout


def test_until_final_goes_on_until_all_are(run, ledger, clock, server):
    """They are asked for again; of those that have it, nobody asks."""

    def pass_time(_):
        clock.now += timedelta(seconds=5)

    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE message SET delivery_status = 'ENTREGADO' WHERE id = 3")
    server.fault(Fault.call(after=pass_time), route="sms.status", times=1)

    result = run("bulk", "track", ledger, "--until-final", "--concurrency", "1", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "type": "track",
        "asked": 2,
        "left": 0,
        "deliveries": {"ENTREGADO": 2, "NO_ENTREGABLE": 1},
        "without_id": 0,
    }
    assert server.requests["sms.status"] == 3


def test_a_second_look_asks_for_the_rest_alone(run, ledger, clock, server):
    """Nothing is asked for twice that is known."""
    clock.now += timedelta(seconds=5)
    for _ in range(2):
        assert run("bulk", "track", ledger).exit_code == 0
    assert server.requests["sms.status"] == 3 + 1


def test_sms_without_an_id_are_counted_and_said(run, ledger, clock):
    """Nobody can ask for them; they are not among those that have no final status yet."""
    clock.now += timedelta(seconds=5)
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE message SET provider_id = NULL WHERE id > 1")

    tracked, shown = run("bulk", "track", ledger), run("bulk", "status", ledger)

    sentence = "2 SMS were accepted without an id: they cannot be followed"
    assert sentence in tracked.stdout
    assert "1 checked; 0 have no final status yet" in tracked.stdout
    assert sentence in shown.stdout
    for command in ("track", "status"):
        assert json.loads(run("bulk", command, ledger, "--json").stdout)["without_id"] == 2


def test_a_status_that_came_before_its_sms_counts(run, ledger, server):
    """It was on disk while nobody was there; what is final is not asked for."""
    handle = LedgerHandler(ledger)
    with closing(sqlite3.connect(ledger)) as connection:
        query = "SELECT provider_id FROM message WHERE id = 1"
        ((id_sms,),) = connection.execute(query).fetchall()
        with connection:
            connection.execute("UPDATE message SET provider_id = NULL WHERE id = 1")
        handle(StatusUpdate(id_sms=id_sms, status=SmsStatus.ENTREGADO))
        handle.close()
        with connection:
            connection.execute("UPDATE message SET provider_id = ? WHERE id = 1", (id_sms,))

    assert "2 checked" in run("bulk", "track", ledger).stdout
    assert statuses(ledger)[0] == "ENTREGADO"
    assert server.requests["sms.status"] == 2


def test_wrong_credentials_are_said_in_one_sentence(run, ledger):
    """With the exit code of a stop."""
    result = run("bulk", "track", ledger, CONNECTUS_API_KEY="wrong")

    assert result.exit_code == 6
    assert result.stderr.startswith("connectus: GET /sms/{id}: 401")
    assert len(result.stderr.splitlines()) == 1


def test_what_is_no_ledger_is_refused(run, recipients):
    """It is not touched."""
    before = recipients.read_bytes()

    result = run("bulk", "track", recipients)

    assert result.exit_code == 1
    assert "is not a ledger" in result.stderr
    assert recipients.read_bytes() == before
