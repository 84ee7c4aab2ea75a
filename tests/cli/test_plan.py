"""Plan of a campaign on the terminal, and the checks that stop it."""

import datetime as dt
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from connectus_async.cli.plan import Balance, Plan, Planner
from connectus_async.cli.stops import unusual
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger.states import SkipReason, State
from connectus_async.products.email import Email
from connectus_async.products.messages import Row
from connectus_async.products.product import Product
from connectus_async.products.sms import Sms
from connectus_async.products.whatsapp import WhatsApp
from connectus_async.recipients.preflight import Need, Preflight, PreflightReport
from connectus_async.recipients.quiet_hours import QuietHours
from connectus_async.segmentation import segments
from connectus_async.transliteration import to_gsm7

CHILE, PERU, NOWHERE = "56987688060", "51987654321", "99987688060"
ADDRESS = "ana.soto@ejemplo.cl"


def full_report() -> PreflightReport:
    preflight = Preflight(
        quiet_hours=QuietHours.parse("21:00-08:00"),
        now=dt.datetime(2026, 7, 31, 12, 30, tzinfo=dt.UTC),
        budget=1_200,
        columns=["nombre"],
    )
    for line in range(1_002):
        preflight.add(Row(line, Sms(CHILE, "Sí, " + "a" * 70)))
    preflight.add(Row(1_002, Email(ADDRESS, "Hola", "<b>Hola</b>", src_email="yo@empresa.cl")))
    preflight.add(Row(1_003, WhatsApp(PERU, "Hola", src_number="56911112222")))
    preflight.add(Row(1_004, Sms(NOWHERE, "\x80" * 161)))
    preflight.add(Row(1_005, Sms(CHILE, "a" * 39_000)))
    preflight.add(Row(1_009, Sms("56223456789", "{Nombre}")))
    for line in (1_006, 1_007):
        preflight.add(Row(line, Sms(CHILE, "a")), SkipReason.DUPLICATE, None, 3)
    preflight.add(Row(1_008, Sms(CHILE, "b")), None, State.ACCEPTED)
    return preflight.report(rate=0.1)


def printed(plan: Plan, capsys: Any, **settings: bool) -> list[str]:
    anyio.run(Planner(**settings).show, plan)
    output: str = capsys.readouterr().out
    return output.splitlines()


def test_a_plan_is_read_in_the_terminal(capsys: pytest.CaptureFixture[str]):
    """All figures with separators, countries by name, and the balance of each need."""
    balances = [
        Balance(Need(None, Product.SMS, "CL", 1_003), 1_000),
        Balance(Need(None, Product.SMS, "PE", 5), 1_000),
        Balance(Need("da82la12", Product.EMAIL, None, 1), None),
    ]

    assert printed(Plan(report=full_report(), balances=balances), capsys) == [
        "1,010 rows, 1,006 messages to send",
        "  1 accepted in an earlier run",
        "  2 skipped: duplicate",
        "    2 lines (1006, 1007): the campaign already has the same message",
        "  1 skipped: over budget",
        "    line 1005: the budget does not cover it",
        "  SMS: 1,004; billed: 1,005; carrier parts: 2,008",
        "    1,003 need UCS-2, which costs 1,002 parts more than GSM-7",
        "      í (U+00ED LATIN SMALL LETTER I WITH ACUTE): in 1,002 SMS, 1,002 parts more",
        "  1 email",
        "  1 WhatsApp message",
        "  Chile: 1,003",
        "  Peru: 1",
        "  unknown country: 1",
        "  1 landline, which may receive no SMS",
        "  1 text with the name of a column in braces",
        "  1 now in quiet hours",
        "  1 not covered by the budget of 1,200",
        "  2 h 47 min to send at the given rate",
        "  Balance of the account for SMS to Chile: needs 1,003, has 1,000, lacks 3",
        "  Balance of sub-client da82la12 for email: needs 1; what it has is unknown",
        "  Balance of the account for SMS to Peru: needs 5, has 1,000",
    ]


def test_characters_are_named_only_where_they_cost_parts(capsys: pytest.CaptureFixture[str]):
    """And one that cannot be printed, by its code point."""
    free, costly = Preflight(), Preflight()
    free.add(Row(2, Sms(CHILE, "a\u00a0")))
    costly.add(Row(2, Sms(CHILE, "a" * 100 + "\u00a0")))

    shown = "".join(printed(Plan(report=free.report(), balances=None), capsys))
    assert "UCS-2" not in shown
    assert "U+00A0" not in shown
    assert "      U+00A0 NO-BREAK SPACE: in 1 SMS, 1 part more" in printed(
        Plan(report=costly.report(), balances=None), capsys
    )


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\u0301", "U+0301 COMBINING ACUTE ACCENT"),
        ("\u200b", "U+200B ZERO WIDTH SPACE"),
        ("\u2028", "U+2028 LINE SEPARATOR"),
        ("\ufeff", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
        ("\u202a", "U+202A LEFT-TO-RIGHT EMBEDDING"),
        ("“", "“ (U+201C LEFT DOUBLE QUOTATION MARK)"),
    ],
    ids=ascii,
)
def test_what_makes_a_text_dearer_is_named_though_nobody_sees_it(
    character: str, name: str, capsys: pytest.CaptureFixture[str]
):
    """And transliteration takes it out."""
    text = "a" * 100 + character
    preflight = Preflight()
    preflight.add(Row(2, Sms(CHILE, text)))

    shown = printed(Plan(report=preflight.report(), balances=None), capsys)

    assert f"      {name}: in 1 SMS, 1 part more" in shown
    assert segments(to_gsm7(text)).encoding == "GSM-7"


def test_a_landline_may_have_no_whatsapp(run: Any, tmp_path: Path):
    """It is told in other words than for SMS."""
    file = tmp_path / "recipients.csv"
    file.write_text("dst_number\n56223456789\n56223456780\n56987688060\n", "utf-8")
    command = ("bulk", "send", file, "--kind", "whatsapp", "--text", "Hola", "--src-number", CHILE)

    spanish = run(*command, "--dry-run", CONNECTUS_LANG="es")
    english = run(*command, "--dry-run")  # the last: the language is that of the process

    assert "2 landlines, which may have no WhatsApp" in english.output
    assert "2 teléfonos fijos, que quizá no tienen WhatsApp" in spanish.output


def test_messages_are_shown_as_the_phone_shows_them(capsys: pytest.CaptureFixture[str]):
    """The first three, the longest, and one for each warning; nothing controls the terminal."""
    preflight = Preflight(columns=["nombre"])
    texts = ["Hola\nAna", "b", "c", "d", "e" * 700, "\x1b[2J {nombre}", "“" * 71]
    for line, text in enumerate(texts, 2):
        preflight.add(Row(line, Sms("56223456789" if text == "d" else CHILE, text)))
    shown = printed(Plan(report=preflight.report(), balances=None), capsys, shows_messages=True)

    titles = [line for line in shown if "+56" in line]
    assert titles == [
        "Message 1: +56987688060 (line 2)",
        "Message 2: +56987688060 (line 3)",
        "Message 3: +56987688060 (line 4)",
        "The longest message: +56987688060 (line 6)",
        "A character makes it longer: +56987688060 (line 8)",
        "To a landline: +56223456789 (line 5)",
        "With the name of a column in braces: +56987688060 (line 7)",
    ]
    place = shown.index(titles[0])
    assert shown[place + 1 : place + 4] == [
        "  │ Hola",
        "  │ Ana",
        "  └ GSM-7; SMS billed: 1; carrier parts: 1",
    ]
    assert "  │ ?[2J {nombre}" in shown
    assert "\x1b" not in "".join(shown)
    assert "e" * 601 not in "".join(line.removeprefix("  │ ") for line in shown)


@pytest.mark.parametrize("columns", [44, 80, 120])
def test_a_plan_fits_its_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """However narrow that is, with words left whole."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert shutil.get_terminal_size().columns == columns

    shown = printed(Plan(report=full_report(), balances=None), capsys)

    assert max(map(len, shown)) <= columns
    assert "UCS-2" in "\n".join(shown)


@pytest.mark.parametrize("options", [("--yes",), ("--dry-run",), ("--yes", "--json")])
def test_messages_are_shown_on_a_terminal_alone(run: Any, recipients: Path, options: Any):
    """A log would keep them; who wants them there can ask for it."""
    send = ("bulk", "send", recipients, "--text", "Hola {name}", *options)
    shown = run(*send)
    asked = run(*send, "--show-messages", "--ledger", f"{recipients}.another.db")

    assert "Hola" not in shown.output
    assert "Hola Ana" in asked.stdout
    assert "56987688060" in asked.stdout
    if "--json" in options:
        plan = json.loads(asked.stdout.splitlines()[0])
        assert [it["line"] for it in plan["messages"]] == [2, 3, 4]


@pytest.mark.parametrize(
    ("by_country", "region", "countries", "found"),
    [
        ({}, None, None, []),
        ({"CL": 1_000}, None, None, []),
        ({"CL": 1_000}, "CL", None, []),
        ({"CL": 950, "PE": 50}, "CL", None, []),
        ({"CL": 985, "PE": 15}, "CL", None, ["PE"]),
        ({"CL": 985, "PE": 15}, None, None, ["PE"]),
        ({"PE": 90, "CL": 10}, "CL", None, ["PE"]),
        ({"PE": 90, "CL": 10}, None, None, []),
        ({"CL": 90, "unknown": 10}, None, None, ["unknown"]),
        ({"CL": 985, "PE": 15}, "CL", ["CL", "PE"], []),
        ({"CL": 950, "PE": 50}, "CL", ["CL"], ["PE"]),
        ({"CL": 90, "unknown": 10}, None, ["any"], []),
    ],
)
def test_unusual_countries(
    by_country: Mapping[str, int], region: str | None, countries: Any, found: list[str]
):
    """Few messages to a country, most to another one than the region, or none that is allowed."""
    assert unusual(by_country, region, countries) == found


@pytest.fixture
def stopping(recipients: Path, server: Emulator) -> Mapping[str, tuple[str, ...]]:
    """Commands that a check stops, by the flag that lets them go on."""
    text = ("--text", "Hola")
    abroad = recipients.with_name("abroad.csv")
    numbers = [*range(56_987_688_000, 56_987_688_099), int(PERU)]
    abroad.write_text("dst_number\n" + "".join(f"{number}\n" for number in numbers), "utf-8")
    return {
        "--allow-braces": (str(recipients), "--text", "Hola {{Name}}"),
        "--allow-countries CL,PE": (str(abroad), *text),
        "--ignore-balance": (str(recipients), *text),
    }


PROBLEMS = {
    "--allow-braces": "3 texts have the name of a column in braces",
    "--allow-countries CL,PE": "it goes to unusual countries: Peru (1)",
    "--ignore-balance": "the balance does not cover it: 3 messages are lacking",
}


@pytest.mark.parametrize("flag", PROBLEMS)
def test_a_check_stops_a_campaign_until_its_flag_is_given(
    run: Any, server: Emulator, stopping: Mapping[str, tuple[str, ...]], flag: str
):
    """Even with a yes; what was loaded is not resumed either. A dry run says so."""
    send = ("bulk", "send", *stopping[flag])
    if flag == "--ignore-balance":
        no_balance = {"free_sms_balance_by_country": [{"country_name": "Chile", "balance": 0}]}
        server.fault(Fault.status(200, no_balance), route="clients.list")
    tried = run(*send, "--dry-run")
    stopped = run(*send)
    resumed = run("bulk", "resume", f"{stopping[flag][0]}.ledger.db")

    assert f"Not sent without {flag}: {PROBLEMS[flag]}" in tried.stdout
    assert (tried.exit_code, stopped.exit_code, resumed.exit_code) == (0, 1, 1)
    assert stopped.stderr.startswith(f"connectus: {flag}: {PROBLEMS[flag]}")
    assert stopped.stderr.endswith("; nothing was sent\n")
    assert not server.received
    assert run(*send, *flag.split()).exit_code == 0
    assert server.received


def test_countries_are_two_letters(run: Any, recipients: Path):
    """Or any."""
    send = ("bulk", "send", recipients, "--text", "Hola")

    assert run(*send, "--allow-countries", "Chile").exit_code == 2
    assert run(*send, "--allow-countries", "pe").exit_code == 1
    assert run(*send, "--allow-countries", "cl, pe").exit_code == 0


def test_a_balance_that_is_not_told_stops_nothing(run: Any, server: Emulator, recipients: Path):
    """It may be enough."""
    server.fault(Fault.status(500), route="clients.list")

    assert run("bulk", "send", recipients, "--text", "Hola").exit_code == 0


def test_the_checks_of_a_plan_are_in_its_json(run: Any, recipients: Path):
    """By their flags."""
    send = ("bulk", "send", recipients, "--text", "Hola {{name}}", "--dry-run", "--json")
    (plan,) = map(json.loads, run(*send).stdout.splitlines())

    assert plan["stopped_by"] == ["--allow-braces"]
    assert plan["shortfalls"] == []
    assert [it["country"] for it in plan["balances"]] == ["CL"]
