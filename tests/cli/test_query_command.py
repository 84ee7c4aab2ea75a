"""Campaigns to the rows of a query."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from connectus_async.cli.exit_codes import ExitCode
from connectus_async.ledger import metadata_names, open_store
from connectus_async.postgres_server import PostgresServer

TEXT = "Hola {name}"
QUERY = "SELECT dst_number, name FROM people WHERE name <> 'Nobody 56987688069' ORDER BY name"
PASSWORD = "correct-horse"
PEOPLE = """
CREATE TABLE people AS SELECT '56987688060' AS dst_number, 'Ana' AS name
UNION ALL SELECT '56987688061', 'José' UNION ALL SELECT '123', 'Eva'
"""


@pytest.fixture
def crm(tmp_path: Path) -> Path:
    path = tmp_path / "crm.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(PEOPLE)
    return path


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "navidad.ledger.db"


@pytest.fixture
def send(crm: Path, ledger: Path) -> tuple[object, ...]:
    """The arguments of a campaign to the people of a database."""
    where = ("--query", QUERY, "--from", f"sqlite:///{crm}")
    return ("bulk", "send", *where, "--text", TEXT, "--ledger", ledger)


def metadata_of(ledger: Path) -> dict[str, str]:
    with open_store(ledger).read() as reader:
        return dict(reader.metadata())


def test_the_rows_of_a_query_are_sent_once(run, server, send, ledger: Path):
    """The same command again sends what the database has since then."""
    first, again = run(*send), run(*send)

    assert first.exit_code == ExitCode.SOME_FAILED, first.output
    assert "2 of 3 accepted" in first.output
    assert "not-sent.xlsx --state rejected --state skipped" in first.output
    assert again.exit_code == ExitCode.SOME_FAILED
    assert sorted(sms.recipient for sms in server.received) == [
        "56987688060",
        "56987688061",
    ]


def test_rows_that_come_in_another_order_are_not_sent_again(run, server, send, crm: Path):
    """A ledger knows a message by whom it reaches and what it says, not by its place."""
    unsorted = [QUERY.partition(" ORDER")[0] if it == QUERY else it for it in send]
    run(*unsorted, "--limit", "1")
    with closing(sqlite3.connect(crm)) as connection, connection:
        connection.execute("CREATE TABLE other AS SELECT * FROM people ORDER BY name DESC")
        connection.execute("DROP TABLE people")
        connection.execute("ALTER TABLE other RENAME TO people")
    run(*unsorted)

    assert sorted(sms.recipient for sms in server.received) == ["56987688060", "56987688061"]


def test_a_row_that_was_corrected_in_the_database_is_sent(run, server, send, crm: Path):
    """The others are not sent again."""
    run(*send)
    with closing(sqlite3.connect(crm)) as connection, connection:
        connection.execute("UPDATE people SET dst_number = '56987688062' WHERE name = 'Eva'")

    assert run(*send).exit_code == 0
    assert len(server.received) == 3


def test_resume_needs_neither_the_query_nor_the_database(run, server, send, crm, ledger: Path):
    """The ledger has the messages."""
    sample = run(*send, "--limit", "1")
    crm.unlink()
    resumed = run("bulk", "resume", ledger)

    assert sample.exit_code == ExitCode.WAITING
    assert resumed.exit_code == ExitCode.SOME_FAILED
    assert len(server.received) == 2


def test_the_ledger_records_the_query_and_the_place(run, send, crm: Path, ledger: Path):
    """The place is absolute."""
    run(*send)

    recorded = json.loads(metadata_of(ledger)[metadata_names.SOURCE_QUERY])
    assert recorded == {"query": QUERY, "database": f"sqlite:///{crm}"}


def test_another_query_does_not_take_the_place_of_what_waits(run, server, send, ledger: Path):
    """As with another file: what waits would be left out."""
    run(*send, "--limit", "1")
    other = [QUERY.replace("name <>", "name >") if it == QUERY else it for it in send]
    refused = run(*other)

    assert refused.exit_code == ExitCode.FAILED
    assert "messages still wait" in refused.output
    assert len(server.received) == 1


@pytest.mark.parametrize("choice", ["--original", "--to-fix"])
def test_an_export_with_the_columns_of_a_query_says_why_it_cannot(
    run, send, tmp_path: Path, ledger: Path, choice: str
):
    """No ledger keeps rows, and a query may give others by now."""
    run(*send)
    refused = run("bulk", "export", ledger, tmp_path / "all.csv", choice)
    plain = run("bulk", "export", ledger, tmp_path / "all.csv")

    assert refused.exit_code == ExitCode.FAILED
    assert "came from a query" in refused.output
    assert plain.exit_code == 0


def test_a_dry_run_sends_nothing(run, server, send, ledger: Path):
    """It reads the rows, and leaves no ledger."""
    tried = run(*send, "--dry-run", "--show-messages")

    assert tried.exit_code == 0, tried.output
    assert "Hola Ana" in tried.output
    assert not server.received
    assert not ledger.exists()


def test_a_file_after_a_query_can_be_exported_with_its_columns(
    run, send, recipients, ledger, tmp_path
):
    """The ledger knows where its last recipients came from."""
    run(*send)
    run(
        "bulk",
        "send",
        recipients,
        "--text",
        "Chao {name}",
        "--ledger",
        ledger,
        "--edited",
        "everyone",
    )

    exported = run("bulk", "export", ledger, tmp_path / "all.csv", "--original")
    assert exported.exit_code == 0, exported.output


@pytest.mark.parametrize(
    ("left_out", "added", "problem"),
    [
        ("--query", (), "give a FILE, or --query with the --from"),
        ("--from", (), "give a FILE, or --query with the --from"),
        ("--ledger", (), "name one with --ledger"),
        (None, ("--delimiter", ";"), "are of a FILE"),
        (None, ("FILE",), "not both"),
    ],
)
def test_half_a_query_or_too_much_is_refused(
    run, server, send, recipients: Path, left_out: str | None, added, problem: str
):
    """The error says what to give."""
    place = send.index(left_out) if left_out else len(send)
    given = (*send[:place], *send[place + 2 :], *added)
    refused = run(*(recipients if it == "FILE" else it for it in given))

    assert refused.exit_code == 2
    assert problem in " ".join(refused.output.split())
    assert not server.received


def test_neither_a_file_nor_a_query_is_refused(run):
    """The error names both."""
    refused = run("bulk", "send", "--text", TEXT)

    assert refused.exit_code == 2
    assert "give a FILE, or --query with the --from" in " ".join(refused.output.split())


def test_a_statement_that_writes_changes_nothing(run, send, crm: Path, ledger: Path):
    """Nothing is sent, and no ledger is made."""
    refused = run(*("DELETE FROM people RETURNING *" if it == QUERY else it for it in send))

    assert refused.exit_code == ExitCode.FAILED
    assert "one query that reads" in refused.output
    assert not ledger.exists()
    with closing(sqlite3.connect(crm)) as connection:
        assert connection.execute("SELECT count(*) FROM people").fetchone() == (3,)


def test_a_password_on_the_command_line_is_nowhere(
    run, server, postgres: PostgresServer, ledger: Path, tmp_path: Path
):
    """Neither in what is printed, nor in the log, nor in the ledger."""
    address, log = postgres.address(password=PASSWORD), tmp_path / "log"
    with psycopg.connect(postgres.address(), autocommit=True) as connection:
        connection.execute(PEOPLE)
        try:
            where = ("--query", QUERY, "--from", address, "--ledger", ledger, "--log-file", log)
            sent = run("bulk", "send", *where, "--text", TEXT)
            wrong = run("bulk", "send", *where, "--text", "{nope}")
        finally:
            connection.execute("DROP TABLE people")
    run("bulk", "status", ledger)

    assert (sent.exit_code, len(server.received)) == (ExitCode.SOME_FAILED, 2), sent.output
    written = [sent.output, wrong.output, log.read_text("utf-8")]
    written += [path.read_bytes().decode("latin-1") for path in tmp_path.glob("navidad*")]
    assert not any(PASSWORD in text for text in written)
    assert not any("Nobody" in text for text in written[:3])
    recorded = json.loads(metadata_of(ledger)[metadata_names.SOURCE_QUERY])
    assert recorded["database"] == postgres.address()
