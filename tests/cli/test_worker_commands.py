"""Commands that hand a campaign out, and the worker that takes it."""

import json

import psycopg
import pytest

from connectus_async.emulator import Fault
from connectus_async.ledger import with_campaign


@pytest.fixture
def send(run, recipients, queue):
    """Send a file as the campaign navidad of a database, with further options."""

    def send(*options, ledger=queue):
        command = ("bulk", "send", recipients, "--text", "Hola", "--campaign", "navidad")
        return run(*command, "--ledger", ledger, *options)

    return send


def tickets(queue):
    with psycopg.connect(queue) as connection:
        return [args for (args,) in connection.execute("SELECT args FROM procrastinate_jobs")]


def test_a_campaign_is_handed_out(run, send, server, queue):
    """The command sends nothing; a worker sends everything, and says so in its log."""
    sent = send("--workers", 2)
    assert (sent.exit_code, sent.stderr) == (0, "")
    assert "3 messages wait for the workers" in sent.stdout
    assert "connectus bulk status" in sent.stdout
    assert tickets(queue) == 2 * [{"campaign": "navidad"}]
    assert not server.received

    worker = run("workers", "run", queue, "--until-empty")
    assert (worker.exit_code, worker.stdout) == (0, "")
    assert "connectus:send[" in worker.stderr
    assert "3 accepted" in worker.stderr
    assert len(server.received) == 3
    again = send("--workers", 2)
    assert again.stdout.endswith("nothing is to be sent\n")
    assert len(tickets(queue)) == 2


def test_more_workers_are_asked_for_where_the_file_is_not(run, send, server, queue):
    """They have the options of the command that was given last."""
    send("--workers", 1)
    resumed = run(
        *("bulk", "resume", with_campaign(queue, "navidad")),
        *("--workers", 1, "--budget", 2, "--json"),
    )
    assert json.loads(resumed.stdout) == {"type": "tickets", "tickets": 1, "queued": 3}

    run("workers", "run", queue, "--until-empty")
    assert len(server.received) == 2


def test_another_attempt_is_handed_out(run, send, server, queue):
    """Nothing is sent from here; whoever got a message gets no other."""
    server.fault(Fault.status(400), route="sms.send", times=2)
    send("--concurrency", 1)
    ledger = with_campaign(queue, "navidad")
    assert len(server.received) == 1

    handed = run("bulk", "retry", ledger, "--rejected", "--workers", 2, "--yes")
    assert (handed.exit_code, handed.stderr) == (0, "")
    assert "2 messages wait for the workers" in handed.stdout
    assert (len(tickets(queue)), len(server.received)) == (2, 1)
    run("workers", "run", queue, "--until-empty")
    assert len({message.recipient for message in server.received}) == len(server.received) == 3


def test_corrected_rows_are_handed_out(run, send, server, queue, recipients):
    """As those of the first file."""
    recipients.write_text(recipients.read_text("utf-8") + "12,Luz\n", "utf-8")
    send()
    ledger, to_fix = with_campaign(queue, "navidad"), recipients.with_name("to-fix.csv")
    run("bulk", "export", ledger, to_fix, "--to-fix")
    to_fix.write_text(to_fix.read_text("utf-8-sig").replace("12,Luz", "56987688063,Luz"), "utf-8")

    handed = run("bulk", "retry", ledger, "--from", to_fix, "--workers", 1, "--yes")
    assert "1 message waits for the workers" in handed.stdout
    assert len(server.received) == 3
    run("workers", "run", queue, "--until-empty")
    assert len(server.received) == 4


def test_a_campaign_that_no_worker_can_send(run, send, server, queue, tmp_path):
    """Nothing is loaded, and nothing is handed out."""
    of_a_file = send("--workers", 2, ledger=tmp_path / "campaign.db")
    of_processes = send("--workers", 2, "--processes", 2)
    of_no_wait = send("--workers", 2, "--no-wait")
    sent = tmp_path / "sent.db"
    server.fault(Fault.status(400), route="sms.send", times=1)
    send(ledger=sent)
    again = run("bulk", "retry", sent, "--rejected", "--workers", 2, "--yes")

    assert of_a_file.exit_code == of_processes.exit_code == again.exit_code == 2
    assert "--workers: needs a ledger in a database" in again.stderr
    assert "--workers: needs a ledger in a database" in of_a_file.stderr
    assert "--processes: is of one machine" in of_processes.stderr
    assert (of_no_wait.exit_code, tickets(queue)) == (2, [])
    assert "--no-wait: is of a command that sends: workers wait" in of_no_wait.stderr
    assert not (tmp_path / "campaign.db").exists()
    assert tickets(queue) == []


def test_a_dry_run_hands_nothing_out(send, queue):
    """It shows what the workers would send."""
    assert "3 messages to send" in send("--workers", 2, "--dry-run").stdout
    assert tickets(queue) == []


def test_a_worker_that_cannot_begin(run, queue):
    """It ends with one sentence."""
    no_credentials = run("workers", "run", queue, CONNECTUS_API_KEY=None)
    no_address = run("workers", "run", "campaign.db")

    assert (no_credentials.exit_code, no_address.exit_code) == (1, 2)
    assert "CONNECTUS_API_KEY: is missing: set it" in no_credentials.stderr
    assert "Invalid value for 'ADDRESS'" in no_address.stderr


def test_a_ticket_that_fails_is_one_line_of_the_log(run, send, queue):
    """What went wrong is said without a traceback."""
    send("--workers", 1)
    worker = run("workers", "run", queue, "--until-empty", CONNECTUS_API_KEY="wrong")

    assert worker.exit_code == 0
    (line,) = [line for line in worker.stderr.splitlines() if "401" in line]
    assert "ended with status: Error" in line
    assert "Traceback" not in worker.stderr
