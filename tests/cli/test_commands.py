"""Every command: what it prints, its exit code, and one sentence where it fails."""

import json
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from click.testing import Result

from connectus_async.cli.runner import MAX_SENTENCE_CHARACTERS, sentence
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger.metadata_names import ONE_SPELLING

pytestmark = pytest.mark.both("commands run on either loop")

NUMBER = "56987688060"
ADDRESS = "ana@example.com"
TEXT = "Feliz navidad"
SMS = ("sms", "send", NUMBER, TEXT)
EMAIL = ("email", "send", ADDRESS, "--subject", "Aviso", "--src-email", "contacto@example.com")
PERSONAL = (NUMBER, "56987688061", "56987688062", ADDRESS, TEXT, "Ana", "José")


def json_of(result: Result) -> list[dict[str, object]]:
    """Every line of standard output must be a JSON document."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def assert_one_sentence(result: Result, code: int, problem: str) -> None:
    assert result.exit_code == code
    assert result.stderr.startswith("connectus: ")
    assert result.stderr.count("\n") == 1
    assert problem in result.stderr
    assert not any(value in result.output for value in PERSONAL)


@pytest.mark.parametrize("args", [[], ["bulk"], ["nonsense"], ["sms", "send"], ["--nonsense"]])
def test_wrong_usage_is_exit_code_2(run, args):
    """Click says how the command is to be used; nothing goes to standard output."""
    result = run(*args)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: " in result.stderr


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["bulk", "send", "--help"], ["--version"]])
def test_help_goes_to_standard_output(run, args):
    """Asked for, it is a result."""
    result = run(*args)

    assert (result.exit_code, result.stderr) == (0, "")
    assert "connectus" in result.stdout


def test_an_sms_is_sent(run, server):
    """The identifier is the one that the phone's copy has."""
    result = run(*SMS)

    (message,) = server.received
    assert (result.exit_code, result.stdout) == (0, f"accepted, id {message.id}\n")
    assert (message.recipient, message.content) == (NUMBER, TEXT)


def test_an_sms_from_a_number_of_the_account(run, server):
    """The option reaches the wire."""
    assert run(*SMS, "--src-number", "56442341000").exit_code == 0
    assert server.received[0].src == "56442341000"


def test_an_email_is_sent(run, server, tmp_path):
    """A byte order mark does not become part of the message."""
    body = tmp_path / "body.html"
    body.write_bytes(b"\xef\xbb\xbf<b>se\xc3\xb1or</b>")

    result = run(*EMAIL, body, "--json")

    (message,) = server.received
    assert json_of(result) == [{"outcome": "accepted", "id": message.id, "status": None}]
    assert (message.recipient, message.subject, message.content) == (
        ADDRESS,
        "Aviso",
        "<b>señor</b>",
    )


def test_an_email_comes_from_standard_input(run, server):
    """The sign - stands for it, as everywhere."""
    assert run(*EMAIL, "-", stdin=b"<b>hola</b>").exit_code == 0
    assert server.received[0].content == "<b>hola</b>"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "EMAIL_CONTENT: is empty"),
        (b" \n", "EMAIL_CONTENT: is empty"),
        (b"se\xf1or", "EMAIL_CONTENT: is not UTF-8 text; save it as UTF-8"),
        (b"GIF89a\0\0", "EMAIL_CONTENT: is not text"),
        (b"a" * (10 * 2**20 + 5), "EMAIL_CONTENT: has 10485761 characters; at most 10485760"),
    ],
    ids=["empty", "blank", "latin-1", "binary", "too long"],
)
def test_an_email_that_is_no_text_is_refused(run, server, body, problem):
    """Neither the wrong file nor an endless one is sent."""
    assert_one_sentence(run(*EMAIL, "-", stdin=body), 2, problem)
    assert not server.requests


@pytest.mark.parametrize("name", ["missing.html", "."])
def test_an_email_file_that_cannot_be_opened_is_wrong_usage(run, name):
    """Click names the file."""
    result = run(*EMAIL, name)

    assert result.exit_code == 2
    assert f"'{name}'" in result.stderr


def test_the_account_is_shown(run, server):
    """It is what the user asked for, so numbers and addresses show."""
    result = run("account")

    assert result.exit_code == 0
    assert "\nid_account: " in result.stdout
    assert "\nsrc_number: 56442341000 (Chile, default)" in result.stdout
    assert "\nsrc_email: contacto@example.com (verified)" in result.stdout


def test_the_account_as_json_is_the_answer_as_it_came(run):
    """A machine gets every field, those that we do not know included."""
    (account,) = json_of(run("account", "--json"))

    assert {"id_account", "name", "purchases", "users", "src_numbers"} <= account.keys()


@pytest.mark.parametrize(
    ("args", "variables", "code", "problem"),
    [
        (("sms", "send", "5698", TEXT), {}, 2, "DST_NUMBER: has 4 digits"),
        (("sms", "send", "abc", TEXT), {}, 2, "DST_NUMBER: has something other than digits"),
        (("sms", "send", NUMBER, ""), {}, 2, "SMS_CONTENT: is empty"),
        (("sms", "send", NUMBER, "\udcff"), {}, 2, "SMS_CONTENT: has half a surrogate pair"),
        ((*SMS, "--src-number", "x"), {}, 2, "--src-number: has something other than digits"),
        (SMS, {"CONNECTUS_API_KEY": "mistyped"}, 6, "401 Unauthorized"),
        (SMS, {"CONNECTUS_API_KEY": None}, 1, "CONNECTUS_API_KEY: is missing: set it"),
        (
            SMS,
            {"CONNECTUS_API_KEY": None, "CONNECTUS_API_USER": None},
            1,
            "credentials: are missing: run",
        ),
        (SMS, {"CONNECTUS_BASE_URL": "nonsense"}, 1, "must begin with https://"),
        (SMS, {"CONNECTUS_BASE_URL": "http://example.com"}, 1, "use https"),
        (("account",), {"CONNECTUS_API_KEY": "mistyped"}, 6, "401 Unauthorized"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_failure_is_one_sentence(run, server, args, variables, code, problem, as_json):
    """It says what to do, on standard error; --json has it on standard output too.

    A person reads the names of options, a machine those of the library.
    """
    result = run(*args, *["--json"] * as_json, **variables)

    assert_one_sentence(result, code, problem)
    assert len(json_of(result)) == as_json
    for failure in json_of(result):
        assert failure["outcome"] in {"not_sent", "rejected"}
        assert problem.rpartition(": ")[2] in failure["error"]
    assert not server.received


def test_a_closed_port_is_one_sentence(run):
    """Nothing was sent, and the base URL may be wrong."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        result = run(*SMS, "--json", CONNECTUS_BASE_URL=url)

    assert_one_sentence(result, 1, "connection refused (nothing was sent; check the base URL")
    assert [line["outcome"] for line in json_of(result)] == ["not_sent"]


@pytest.mark.parametrize("args", [SMS, (*EMAIL, "-")])
def test_a_message_that_may_have_been_sent_is_exit_code_3(run, server, args):
    """It arrived and the answer was lost: a script must not send it again."""
    server.fault(Fault.reset_after())

    result = run(*args, "--json", stdin=b"<b>hola</b>")

    assert_one_sentence(result, 3, "check before sending it again")
    assert [line["outcome"] for line in json_of(result)] == ["unknown"]
    assert len(server.received) == 1


def test_a_file_is_sent(run, server, recipients):
    """Every row arrives once, with its own text."""
    result = run("bulk", "send", recipients, "--text", "Hola {name}")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("3 rows, 3 messages to send\n")
    assert result.stdout.endswith(
        "3 of 3 accepted, 0 rejected, 0 unknown, 0 held, 0 skipped, 0 queued\n"
    )
    assert sorted((message.recipient, message.content) for message in server.received) == [
        ("56987688060", "Hola Ana"),
        ("56987688061", "Hola José"),
        ("56987688062", "Hola Eva"),
    ]


@pytest.mark.parametrize(
    ("written", "options"),
    [
        (b"\xef\xbb\xbfdst_number;name\r\n56987688060;Jos\xc3\xa9\r\n;;\r\n\r\n", ()),
        (b"dst_number;name\r\n56987688060;Jos\xe9\r\n", ("--encoding", "latin-1")),
        (b"dst_number:name\n56987688060:Jos\xc3\xa9\n", ("--delimiter", ":")),
        (b"dst_number\tname\n56987688060\tJos\xc3\xa9\n", ("--delimiter", r"\t")),
        (b"name,phone\nJos\xc3\xa9,+56 9 8768-8060\n", ("--to", "phone")),
    ],
    ids=["spreadsheet", "latin-1", "colon", "tab", "another column"],
)
def test_files_of_all_kinds_are_sent(run, server, recipients, written, options):
    """The options say how the file is to be read."""
    recipients.write_bytes(written)

    assert run("bulk", "send", recipients, "--text", "Hola {name}", *options).exit_code == 0
    assert [(message.recipient, message.content) for message in server.received] == [
        (NUMBER, "Hola José")
    ]


def test_failed_rows_are_named_by_their_line(run, server, recipients):
    """The others are sent; what is wrong is said without showing the row."""
    recipients.write_text(
        "dst_number,name\n5.69877E+10,Ana\n56987688061,\n56987688062,Eva\n", "utf-8"
    )

    result = run("bulk", "send", recipients, "--text", "Hola {name}")

    assert result.exit_code == 4
    assert "1 of 3 accepted, 0 rejected, 0 unknown, 0 held, 2 skipped, 0 queued" in result.stdout
    assert "line 2: dst_number: is in scientific notation" in result.stdout
    assert "line 3: name: is empty in this row" in result.stdout
    assert not any(value in result.output for value in PERSONAL)
    assert len(server.received) == 1


def test_emails_are_sent_to_every_row(run, server, tmp_path):
    """No number is looked for in them."""
    page, rows = tmp_path / "aviso.html", tmp_path / "people.csv"
    page.write_text("<b>Hola {name}</b>", "utf-8")
    rows.write_text(f"dst_email,name\n{ADDRESS},Ana\nluz@example.com,Luz\n", "utf-8")

    result = run(
        *("bulk", "send", rows, "--kind", "email", "--subject", "Aviso", "--html", page),
        *("--src-email", "contacto@example.com"),
    )

    assert result.exit_code == 0
    assert sorted(message.recipient for message in server.received) == [ADDRESS, "luz@example.com"]


NATIONAL = "dst_number\n987688060\n5512345678\n3001234567\n56987688060\n"


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_file_of_national_numbers_is_refused_and_the_flag_named(run, server, recipients, options):
    """Not one message leaves: the one that can be read abroad would reach a stranger."""
    recipients.write_text(NATIONAL, "utf-8")

    result = run("bulk", "send", recipients, "--text", TEXT, *options)

    assert_one_sentence(
        result, 1, "3 of its 4 rows have a number that seems to lack its country code"
    )
    assert "Set the country with --region (most numbers fit MX)" in (result.stderr)
    assert server.received == []
    if not options:
        resumed = run("bulk", "resume", f"{recipients}.ledger.db")
        assert_one_sentence(resumed, 1, "was not read to its end: run bulk send again")


def test_every_country_that_most_of_the_numbers_fit_is_named(run, server, recipients):
    """Mobile numbers of Chile fit Peru too: to name one alone would lead to strangers."""
    recipients.write_text(
        "dst_number\n987688060\n987688061\n987688062\n970335400\n5512345678\n", "utf-8"
    )

    result = run("bulk", "send", recipients, "--text", TEXT)

    assert_one_sentence(result, 1, "(most numbers fit PE, CL, EC, PY)")
    assert server.received == []


def test_a_file_of_another_country_than_its_region_is_refused(run, server, recipients):
    """Peruvian numbers, and the flag of Mexico: the one that is Mexican too is a stranger's."""
    recipients.write_text("dst_number\n987654321\n987654322\n5512345678\n", "utf-8")

    result = run("bulk", "send", recipients, "--text", TEXT, "--region", "MX")

    assert_one_sentence(result, 1, "2 of its 3 rows have a number that is not valid in MX")
    assert server.received == []


def test_a_refused_file_is_sent_with_its_region(run, server, recipients):
    """The same command, and the flag that it asked for."""
    recipients.write_text("dst_number\n987688060\n987688061\n+5491123456789\n", "utf-8")

    assert run("bulk", "send", recipients, "--text", TEXT).exit_code == 1
    assert run("bulk", "send", recipients, "--text", TEXT, "--region", "CL").exit_code == 0
    assert sorted(message.recipient for message in server.received) == [
        *["5491123456789", "56987688060", "56987688061"]
    ]


def test_national_numbers_that_wait_in_an_older_ledger_are_refused(run, server, recipients):
    """They were put down as they stood: what waits would go to strangers."""
    ledger = f"{recipients}.ledger.db"
    recipients.write_text("dst_number\n56987688060\n56987688061\n", "utf-8")
    run("bulk", "send", recipients, "--text", TEXT, "--budget", 1)
    with closing(sqlite3.connect(ledger)) as older, older:
        older.execute("DELETE FROM campaign WHERE name = ?", (ONE_SPELLING,))
        older.execute("UPDATE message SET recipient = substr(recipient, 3) WHERE state = 'skipped'")

    resumed = run("bulk", "resume", ledger, "--budget", 9)

    assert_one_sentence(resumed, 1, "1 of the numbers that wait in it are not valid with a country")
    assert [message.recipient for message in server.received] == ["56987688060"]


def test_a_national_number_in_an_international_file_is_named_by_its_line(run, server, recipients):
    """The others are sent."""
    recipients.write_text("dst_number\n56987688060\n987688061\n+56987688062\n", "utf-8")

    result = run("bulk", "send", recipients, "--text", TEXT)

    assert result.exit_code == 4
    assert "line 3: dst_number: seems to lack its country code" in result.stdout
    assert sorted(message.recipient for message in server.received) == [
        *["56987688060", "56987688062"]
    ]


@pytest.mark.parametrize("options", [(), ("--region", "CL")])
def test_a_decimal_number_is_refused_by_its_line(run, server, recipients, options):
    """pandas writes a column with a gap so: without the point it is a stranger's."""
    recipients.write_text('dst_number\n98768806.0\n""\n+56987688060\n', "utf-8")

    result = run("bulk", "send", recipients, "--text", TEXT, *options)

    assert "line 2: dst_number: is a decimal number" in result.stdout
    assert [message.recipient for message in server.received] == ["56987688060"]


def test_without_the_extra_it_is_said_that_numbers_were_not_checked(
    run, server, recipients, monkeypatch
):
    """They are sent as they stand, as before."""
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    recipients.write_text("dst_number\n987688060\n", "utf-8")

    result = run("bulk", "send", recipients, "--text", TEXT, "--dry-run")

    assert result.exit_code == 0
    assert result.stdout.startswith("1 row, 1 message to send\n")
    assert "Phone numbers were not checked" in result.stdout


@pytest.mark.parametrize(
    ("line", "options"),
    [
        *[("987688060", ()), ("98768806.0", ("--region", "CL"))],
        *[("569876880600", ()), ("5491123456789", ("--region", "CL"))],
    ],
)
def test_a_suppressed_number_that_is_none_stops_before_the_first_message(
    run, server, recipients, tmp_path, line, options
):
    """By its line, and read with the region of the rows: an opt-out is never passed over."""
    listed = tmp_path / "opt-outs.txt"
    listed.write_text(f"# since May\n{line}\n", "utf-8")

    result = run("bulk", "send", recipients, "--text", TEXT, "--suppress", listed, *options)

    assert_one_sentence(result, 1, "opt-outs.txt: line 2 is not a valid number or email address")
    assert server.received == []


def test_who_opted_out_gets_nothing_in_another_spelling(run, server, recipients, tmp_path):
    """Argentina with its 9, Mexico without its 1, Brazil with its ninth digit, and at home."""
    listed = tmp_path / "opt-outs.txt"
    listed.write_text("987688060\n+541123456789\n+5215512345678\n+551187654321\n", "utf-8")
    numbers = "56987688060\n+5491123456789\n+525512345678\n+5511987654321\n+56987688061\n"
    recipients.write_text(f"dst_number\n{numbers}", "utf-8")

    result = run(
        *("bulk", "send", recipients, "--text", TEXT, "--suppress", listed, "--region", "CL")
    )

    assert "4 skipped: suppressed" in result.stdout
    assert [message.recipient for message in server.received] == ["56987688061"]


@pytest.mark.parametrize(
    ("number", "options", "problem"),
    [
        ("987688060", (), "seems to lack its country code"),
        ("569876880600", (), "is not a valid CL number"),
        ("98768806.0", ("--region", "CL"), "is a decimal number"),
        ("5491123456789", ("--region", "CL"), "write foreign numbers with"),
        ("987688060", ("--region", "Chile"), "region: must be a country"),
    ],
)
def test_an_sms_to_what_may_be_a_stranger_is_refused(run, server, number, options, problem):
    """As a row of a file is."""
    result = run("sms", "send", number, TEXT, *options)

    assert_one_sentence(result, 2, problem)
    assert not server.requests


def test_an_sms_to_a_national_number_needs_its_region(run, server):
    """As a file does."""
    assert run("sms", "send", "9 8768 8060", TEXT, "--region", "CL").exit_code == 0
    assert [message.recipient for message in server.received] == [NUMBER]


def test_failed_rows_as_json_are_a_line_each(run, server, recipients):
    """The summary comes last; standard error has no copy of it."""
    server.fault(Fault.reset_after(), route="sms.send", times=1)

    result = run("bulk", "send", recipients, "--text", TEXT, "--json", "--concurrency", "1")

    preflight, failure, summary = json_of(result)
    assert result.exit_code == 3
    assert result.stderr == ""
    assert preflight["preflight"]["to_send"] == 3
    assert (failure["line"], failure["state"]) == (2, "unknown")
    assert [line["type"] for line in json_of(result)] == ["plan", "failure", "summary"]
    assert summary == {
        "type": "summary",
        "queued": 0,
        "in_flight": 0,
        "accepted": 2,
        "rejected": 0,
        "unknown": 1,
        "held": 0,
        "skipped": 0,
        "skipped_by": {},
        "accepted_now": 2,
        "stopped_by": None,
    }


def test_every_failed_row_is_named(run, recipients):
    """The first of them at once, and all of them by the ledger."""
    recipients.write_text("dst_number\n" + "1\n" * 200, "utf-8")

    result = run("bulk", "send", recipients, "--text", TEXT)
    ledger = f"{recipients}.ledger.db"
    exported = run("bulk", "export", ledger, "-", "--format", "jsonl", "--state", "skipped")

    assert "200 skipped: invalid" in result.stdout
    assert f"bulk export {ledger} -" in result.stdout
    assert [line["line"] for line in json_of(exported)] == list(range(2, 202))


def test_a_dry_run_counts_failed_rows_and_leaves_nothing(run, recipients, server):
    """Nothing is sent, asked of nobody without credentials, and put down nowhere."""
    recipients.write_text("dst_number\n" + "1\n" * 200 + "56987688060\n", "utf-8")

    result = run(
        *("bulk", "send", recipients, "--text", TEXT, "--dry-run"),
        CONNECTUS_API_USER=None,
        CONNECTUS_API_KEY=None,
    )

    assert result.exit_code == 0
    assert result.stdout.startswith("201 rows, 1 message to send\n")
    assert "200 lines (2, 3, 4, 5, 6, …): dst_number: has 1 digits" in result.stdout
    assert list(recipients.parent.iterdir()) == [recipients]
    assert not server.requests


def test_wrong_credentials_stop_a_campaign(run, server, recipients):
    """They show before the first message; all of them stay queued."""
    recipients.write_text("dst_number\n56987688060\n56987688061\n", "utf-8")

    result = run("bulk", "send", recipients, "--text", TEXT, "--json", CONNECTUS_API_KEY="wrong")
    status = run("bulk", "status", f"{recipients}.ledger.db", "--json")

    assert_one_sentence(result, 6, "401 Unauthorized")
    assert status.exit_code == 6
    assert [line["counts"]["queued"] for line in json_of(status)] == [2]
    assert not server.received


def page_of(run, ledger: str, *options: str, **variables: str) -> str:
    assert run("bulk", "report", ledger, *options, **variables).exit_code == 0
    return Path(f"{ledger}.html").read_text("utf-8")


def stop_of(page: str) -> str:
    return page.partition("<strong>Stopped:</strong>")[2].partition("</p>")[0]


def test_the_page_says_why_a_campaign_stopped_until_it_goes_on(run, server, recipients):
    """Whether it stopped before its first message or amid them."""
    ledger = f"{recipients}.ledger.db"
    run("bulk", "send", recipients, "--text", TEXT, CONNECTUS_API_KEY="wrong")
    before = page_of(run, ledger)
    with server.fault(Fault.status(402), route="sms.send"):
        run("bulk", "resume", ledger)
    amid = page_of(run, ledger)

    assert ": 401 Unauthorized" in stop_of(before)
    assert ": 402 Payment Required" in stop_of(amid)
    assert "<code>connectus bulk resume recipients.csv.ledger.db</code>" in amid
    run("bulk", "resume", ledger)
    assert "Stopped" not in page_of(run, ledger)
    assert len(server.received) == 3


def test_the_page_shows_times_in_a_zone(run, recipients):
    """The API's own, if no other is asked for; one that is not known is named."""
    run("bulk", "send", recipients, "--text", TEXT)
    ledger = f"{recipients}.ledger.db"

    assert "times are those of America/Santiago" in page_of(run, ledger)
    lima = {"CONNECTUS_TIME_ZONE": "America/Lima"}
    assert "times are those of America/Lima" in page_of(run, ledger, **lima)
    assert "times are those of UTC" in page_of(run, ledger, "--time-zone", "UTC", **lima)
    wrong = run("bulk", "report", ledger, "--time-zone", "America/Santiagoo")
    assert_one_sentence(wrong, 2, "--time-zone: 'America/Santiagoo' is unknown here")


def test_a_corrected_text_takes_the_place_of_one_that_was_not_sent(run, server, recipients):
    """Nobody gets both."""
    run("bulk", "send", recipients, "--text", "Hla {name}", CONNECTUS_API_KEY="wrong")
    run("bulk", "send", recipients, "--text", "Hola {name}")
    status = run("bulk", "status", f"{recipients}.ledger.db", "--json")

    assert sorted(message.content for message in server.received) == [
        "Hola Ana",
        "Hola Eva",
        "Hola José",
    ]
    assert [line["skipped"] for line in json_of(status)] == [{"superseded": 3}]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (b"", "is empty; its first line must name the columns"),
        (
            b"dst_number;name\n56987688060;Jos\xe9\n56987688061;Jos\xc3\xa9\n",
            "is UTF-8 on line 3 but not on line 2",
        ),
        (b"\x89PNG\r\n\x1a\n\0\0\xff", "has a null byte; it is not text"),
        (b"dst_number,name,name\n", "gives columns 2 and 3 the same name"),
        (b'dst_number,name\n56987688060,"Ana\n', "cannot be read after line 1"),
    ],
    ids=["empty", "two encodings", "binary", "doubled column", "truncated"],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_file_that_cannot_be_read_is_one_sentence(
    run, server, recipients, written, problem, as_json
):
    """Nothing of it is sent."""
    recipients.write_bytes(written)

    result = run("bulk", "send", recipients, "--text", "Hola {name}", *["--json"] * as_json)

    assert_one_sentence(result, 1, problem)
    assert [line["outcome"] for line in json_of(result)] == ["not_sent"] * as_json
    assert not server.requests


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--text", TEXT, "--to", "phone"), "no column 'phone'; the columns are dst_number, name"),
        (
            ("--text", "{nombre}"),
            "no column 'nombre'; did you mean 'name'? The columns",
        ),
        (("--text", TEXT, "--delimiter", "|"), "no column 'dst_number'"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_missing_column_stops_before_the_first_row(
    run, server, recipients, options, problem, as_json
):
    """All rows are left, and the columns that there are get named."""
    result = run("bulk", "send", recipients, *options, *["--json"] * as_json)

    assert_one_sentence(result, 2, problem)
    assert not server.requests


def test_a_missing_column_of_an_empty_file_is_a_failure(run, recipients):
    """No row is left over, and still something is wrong."""
    recipients.write_bytes(b"\0" * 5_000)

    result = run("bulk", "send", recipients, "--text", TEXT)

    assert result.exit_code == 1
    assert len(result.stderr) < MAX_SENTENCE_CHARACTERS + 50
    assert "\0" not in result.output


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--concurrency", "0"), "0 is not in the range"),
        (("--concurrency", "9" * 20), "is not in the range"),
        (("--delimiter", "::"), "must be one character"),
        (("--delimiter", ""), "must be one character"),
        (("--delimiter", '"'), "must be one character, and no quote"),
    ],
)
def test_an_option_that_makes_no_sense_is_wrong_usage(run, recipients, options, problem):
    """It is named, whatever the rest of the command is."""
    result = run("bulk", "send", recipients, "--text", TEXT, *options)

    assert (result.exit_code, result.stdout) == (2, "")
    assert options[0] in result.stderr
    assert problem in result.stderr


@pytest.mark.parametrize("path", [Path(), Path("/dev/null")])
def test_a_file_must_be_a_regular_one(run, path):
    """A directory has no rows, and a pipe cannot be read twice."""
    result = run("bulk", "send", path, "--text", TEXT)

    assert result.exit_code == 2
    assert "is not a regular file" in result.stderr


def test_a_file_that_is_not_there_is_named(run):
    """Before anything is read."""
    result = run("bulk", "send", "missing.csv", "--text", TEXT)

    assert result.exit_code == 2
    assert "there is no file missing.csv" in result.stderr


@pytest.fixture
def taken_port() -> Iterator[int]:
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(Emulator()) as emulator,
    ):
        yield emulator.port


@pytest.mark.parametrize("as_json", [False, True])
def test_a_port_in_use_is_one_sentence(run, taken_port, as_json):
    """The sentence says which option changes it."""
    result = run("emulator", "--port", taken_port, *["--json"] * as_json)

    problem = "address already in use; choose another --port (0 takes a free one)"
    assert_one_sentence(result, 1, problem)
    assert len(json_of(result)) == as_json


@pytest.mark.parametrize("host", ["192.0.2.1", "a" * 300, "ñ..x"])
def test_a_host_of_another_machine_is_one_sentence(run, host):
    """What cannot be listened on is named, whether it has an address or not."""
    assert_one_sentence(run("emulator", "--port", 0, "--host", host), 2, host)


@pytest.mark.parametrize(
    "options",
    [
        ("--host", ""),
        ("--port", "65536"),
        ("--rate-limit", "0"),
        ("--rate-limit", "nan"),
        ("--status-webhook", "nonsense"),
        ("--incoming-webhook", "ftp://127.0.0.1"),
        ("--fault", "sms.sing=timeout"),
    ],
)
def test_an_emulator_that_makes_no_sense_is_wrong_usage(run, options):
    """An empty host in particular must not listen on every address."""
    result = run("emulator", "--port", "0", *options)

    assert result.exit_code == 2
    assert options[0] in result.stderr


def test_a_sentence_is_short_and_controls_no_terminal():
    """What a file holds can be anything."""
    assert sentence(ValueError("a\x1b[2Jb\n")) == "a?[2Jb?"
    assert len(sentence("a" * 10_000)) == MAX_SENTENCE_CHARACTERS + 1


def test_a_question_that_fails_is_not_said_to_have_sent_anything(server, run):
    """Exit code 3 is for messages."""
    server.fault(Fault.status(500), route="account.get")

    result = run("account")

    assert result.exit_code == 1
    assert result.stderr.startswith("connectus: GET /account: 500")
