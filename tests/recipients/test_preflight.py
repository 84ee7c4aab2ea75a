"""Preflight of a campaign: counted row by row, compared with the balance, printed."""

import datetime as dt
import doctest
import importlib
import json
import sys
import tracemalloc
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from typing import Any

import attrs
import pytest

from connectus_async import (
    AsyncConnectus,
    Email,
    InvalidArgumentError,
    PaymentRequiredError,
    Row,
    Sms,
    WhatsApp,
)
from connectus_async.answer import Response
from connectus_async.converter import structure
from connectus_async.emulator import Emulator
from connectus_async.ledger.records import Entry, Loaded
from connectus_async.ledger.states import SkipReason, State
from connectus_async.products.clients import CountryBalance, SubClient, SubClients
from connectus_async.products.product import Product
from connectus_async.recipients.plain_sms import PlainSms
from connectus_async.recipients.preflight import (
    COUNTRY_NAMES,
    CharacterCost,
    Need,
    Preflight,
    PreflightReport,
    Samples,
    Shortfall,
    SkippedAlike,
    compare_balance,
)
from connectus_async.recipients.preflight import balances as balances_of
from connectus_async.recipients.quiet_hours import QuietHours
from connectus_async.segmentation import segments
from connectus_async.transliteration import to_gsm7

ANSWERS = json.loads((Path(__file__).parents[1] / "contract/answers.json").read_text("utf-8"))

CHILE, PERU, SPAIN, NOWHERE = "56987688060", "51987654321", "34612345678", "99987688060"
NUMBERS = {
    "CL": CHILE,
    "MX": "525512345678",
    "PE": PERU,
    "EC": "593987654321",
    "US": "13105550123",
    "CO": "573101234567",
    "AR": "5491123456789",
    "BR": "5511987654321",
    "CR": "50688887777",
    "UY": "59894123456",
    "PY": "595981123456",
    "BO": "59171234567",
    "GT": "50251234567",
}
ADDRESS = "ana.soto@ejemplo.cl"
SECRET_TEXT = "Tu clave es 493021"


def email(**fields: Any) -> Email:
    return Email(ADDRESS, "Hola", "<b>Hola</b>", src_email="yo@empresa.cl", **fields)


def whatsapp(number: str = CHILE, **fields: Any) -> WhatsApp:
    return WhatsApp(number, "Hola", src_number="56911112222", **fields)


def report_of(messages: Iterable[Any], **settings: Any) -> PreflightReport:
    preflight = Preflight(**settings)
    for line, message in enumerate(messages, 2):
        preflight.add(Row(line, message))
    return preflight.report()


def test_an_empty_campaign_is_nothing():
    """There is a report of no rows, too."""
    report = Preflight().report()

    assert (report.rows, report.to_send, report.needs) == (0, 0, ())


def test_messages_are_counted_by_product():
    """SMS as they are billed and as carriers split them, the others one by one."""
    report = report_of(
        [Sms(CHILE, "a" * 161), Sms(CHILE, "é" * 160), Sms(CHILE, "í" * 71), email(), whatsapp()]
    )

    assert (report.rows, report.to_send, report.already_sent) == (5, 5, 0)
    assert (report.sms, report.emails, report.whatsapp) == (3, 1, 1)
    assert (report.billed_sms, report.parts) == (4, 5)
    assert report.skipped == {}


def test_rows_that_are_not_sent_cost_nothing():
    """Skipped messages and those sent before are in no other figure."""
    preflight = Preflight()
    sms = Sms(CHILE, "ça va")
    for reason in SkipReason:
        preflight.add(Row(2, sms), reason)
    for state in State:
        preflight.add(Row(3, sms), None, state)
    report = preflight.report(rate=1)

    assert report.rows == len(SkipReason) + len(State)
    assert report.to_send == 1  # what an earlier run left queued
    assert report.already_sent == len(State) - 2
    assert report.known == dict.fromkeys(set(State) - {State.QUEUED}, 1)
    assert {reason: skipped.count for reason, skipped in report.skipped.items()} == dict.fromkeys(
        SkipReason, 1
    )
    assert (report.sms, report.billed_sms, report.parts, report.ucs2) == (1, 1, 1, 1)
    assert report.by_country == {"CL": 1}
    assert report.needs == (Need(None, Product.SMS, "CL", 1),)
    assert report.seconds == 1


def test_every_skipped_row_is_named_with_its_reason():
    """By its line, or else by its place; never by its content."""
    preflight = Preflight()
    preflight.add(Row(2, InvalidArgumentError("name", "is empty in this row")), SkipReason.INVALID)
    preflight.add(Row(3, InvalidArgumentError("name", "is empty in this row")))
    preflight.add(Row(4, Sms("123", SECRET_TEXT)))
    preflight.add(Row(None, ValueError(CHILE)))
    preflight.add(Row(6, Sms(CHILE, SECRET_TEXT)), SkipReason.DUPLICATE, None, 5)
    preflight.add(Row(7, Sms(CHILE, SECRET_TEXT)), SkipReason.DUPLICATE)
    preflight.add(Row(8, email()), SkipReason.SUPPRESSED)
    preflight.add(Row(9, "Hola"))
    skipped = preflight.report().skipped

    assert list(skipped) == [SkipReason.INVALID, SkipReason.DUPLICATE, SkipReason.SUPPRESSED]
    assert skipped[SkipReason.INVALID].count == 5
    assert skipped[SkipReason.INVALID].examples == (
        "line 2: name: is empty in this row",
        "line 3: name: is empty in this row",
        "line 4: dst_number: has 3 digits; with its country code a number has 8 to 15",
        "row 4: ValueError",
        "line 9: message: must be Sms, Email or WhatsApp, not str",
    )
    assert skipped[SkipReason.DUPLICATE].examples == (
        "line 6: the same message as on line 5",
        "line 7: the campaign already has the same message",
    )
    assert skipped[SkipReason.SUPPRESSED].examples == (
        "line 8: the recipient is on the suppression list",
    )


def test_examples_are_bounded_and_the_others_counted():
    """A million bad rows make a short report."""
    preflight = Preflight(examples=3)
    for line in range(2, 1002):
        preflight.add(Row(line, InvalidArgumentError("dst_number", "x\x1b[2J\n" * 1000)))
    report = preflight.report()

    assert report.skipped[SkipReason.INVALID].count == 1000
    assert len(report.skipped[SkipReason.INVALID].examples) == 3
    (group,) = report.skipped[SkipReason.INVALID].groups
    assert (group.count, group.lines) == (1000, (2, 3, 4, 5, 6))
    assert len(group.sentence) < 400
    assert "\x1b" not in group.sentence


def test_rows_are_grouped_by_what_is_wrong_with_them():
    """The most frequent first; what else is wrong is one group, however much that is."""
    preflight = Preflight()
    for line in range(2, 102):
        preflight.add(Row(line, InvalidArgumentError("name", f"is {line % 40}")))
        preflight.add(Row(None, InvalidArgumentError("name", "is empty")))
    preflight.add(Row(200, Sms(CHILE, "a")), SkipReason.DUPLICATE, None, 3)
    preflight.add(Row(201, Sms(CHILE, "a")), SkipReason.DUPLICATE, None, 4)
    skipped = preflight.report().skipped

    first, second, *_, others = skipped[SkipReason.INVALID].groups
    assert first == SkippedAlike("name: is empty", 100, ())
    assert second == SkippedAlike("name: is 2", 3, (2, 42, 82))
    assert others.sentence == ""
    assert sum(group.count for group in skipped[SkipReason.INVALID].groups) == 200
    (alike,) = skipped[SkipReason.DUPLICATE].groups
    assert alike.lines == (200, 201)


def test_memory_does_not_grow_with_the_rows():
    """Only counts are kept."""
    preflight = Preflight()

    def add(first: int, last: int) -> int:
        for line in range(first, last):
            sms = Sms(56_900_000_000 + line % 5000, f"Sí {line}")
            preflight.add(Row(line, sms), SkipReason.DUPLICATE if line % 3 else None, None, 1)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        warm = add(0, 6_000)
        assert add(6_000, 30_000) - warm < 50_000
    finally:
        tracemalloc.stop()


def test_numbers_of_all_countries_of_the_balances():
    """Each is recognised by its number, for SMS and WhatsApp alike."""
    messages = [Sms(number, "Hola") for number in NUMBERS.values()]
    report = report_of([*messages, *messages, whatsapp(SPAIN), Sms(NOWHERE, "Hola"), email()])

    assert report.by_country == {**dict.fromkeys(NUMBERS, 2), "ES": 1, "unknown": 1}
    assert set(NUMBERS) == set(COUNTRY_NAMES)


def test_without_the_extra_there_are_no_countries(monkeypatch: pytest.MonkeyPatch):
    """The need is one number for all countries."""
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    report = report_of([Sms(CHILE, "Hola"), Sms(PERU, "Hola")])

    assert report.by_country is None
    assert report.needs == (Need(None, Product.SMS, None, 2),)


@pytest.mark.parametrize(("messages", "missing"), [(3, []), (4, [1])])
def test_without_the_extra_the_balance_is_compared_as_a_whole(
    monkeypatch: pytest.MonkeyPatch, messages: int, missing: list[int]
):
    """That says when it cannot be enough."""
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    report = report_of([Sms(CHILE, "Hola"), *[Sms(PERU, "Hola")] * (messages - 1)])
    chile, peru, other = (
        CountryBalance(country_name=name, balance=balance)
        for name, balance in (("Chile", 1), ("Peru", 2), ("Brasil", None))
    )
    answer = SubClients(free_sms_balance_by_country=(chile, peru, other))

    assert [lack.missing for lack in compare_balance(report, answer)] == missing
    assert [has for _, has in balances_of(report, answer)] == [3]


def test_a_balance_that_the_api_does_not_tell_is_no_balance_of_all(
    monkeypatch: pytest.MonkeyPatch,
):
    """Also without the extra: a balance missing in the list is unknown."""
    monkeypatch.setitem(sys.modules, "phonenumbers", None)

    (shortfall,) = compare_balance(report_of([Sms(CHILE, "Hola")]), SubClients())

    assert (shortfall.balance, shortfall.missing) == (None, None)


def test_the_characters_that_force_ucs_2_are_named_with_their_cost():
    """A character that has a GSM-7 form costs the parts that the form would spare."""
    accented = "Sí, á " + "a" * 90  # 2 parts, and 1 in GSM-7
    emoji = "í 😀 " + "a" * 90  # 2 parts, in every form
    report = report_of([Sms(CHILE, accented)] * 3 + [Sms(CHILE, emoji), Sms(CHILE, "¡Año!")])

    assert (report.ucs2, report.parts, report.extra_parts) == (4, 9, 3)
    assert report.ucs2_characters == (
        CharacterCost("í", 4, 3),
        CharacterCost("á", 3, 3),
        CharacterCost("😀", 1, 0),
    )


def test_the_most_frequent_ten_characters_are_named():
    """However many there are."""
    report = report_of(Sms(CHILE, "".join(map(chr, range(0x4E00, 0x4E00 + n)))) for n in range(30))

    assert len(report.ucs2_characters) == 10
    assert report.ucs2_characters[0].character == "\u4e00"


def test_the_budget_covers_messages_in_their_order():
    """A long SMS may not fit where a short one still does."""
    long, short = Sms(CHILE, "a" * 640), Sms(CHILE, "a")
    report = report_of([short, long, short, email(), short, whatsapp()], budget=5, spent=1)

    assert report.to_send == 4
    assert (report.over_budget, report.billed_sms) == (2, 3)
    assert report.skipped[SkipReason.OVER_BUDGET].examples == (
        "line 3: the budget does not cover it",
        "line 7: the budget does not cover it",
    )
    assert report_of([short]).over_budget is None
    assert report_of([short], budget=1).over_budget == 0


def test_quiet_hours_are_counted_by_the_recipients_clock():
    """At half past eight in Santiago, Lima is still asleep."""
    now = dt.datetime(2026, 7, 31, 12, 30, tzinfo=dt.UTC)
    messages = [Sms(CHILE, "Hola"), Sms(PERU, "Hola"), whatsapp(PERU), email()]

    quiet = report_of(messages, quiet_hours=QuietHours.parse("21:00-08:00"), now=now)

    assert quiet.in_quiet_hours == 2
    assert report_of(messages).in_quiet_hours is None


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({}, None),
        ({"rate": 2}, 1.5),
        ({"rate": 2, "rate_unit": "messages"}, 1.5),
        ({"rate": 2, "rate_unit": "segments"}, 2.5),
    ],
)
def test_the_duration_follows_from_the_rate(options: dict[str, Any], seconds: float | None):
    """By messages, or by billed SMS."""
    preflight = Preflight()
    for message in (Sms(CHILE, "a" * 321), email(), whatsapp()):
        preflight.add(Row(None, message))

    assert preflight.report(**options).seconds == seconds


def test_needs_are_by_who_pays_for_what_and_where():
    """SMS by country and as they are billed, the others by product."""
    report = report_of(
        [
            Sms(CHILE, "a" * 161),
            Sms(CHILE, "a"),
            Sms(PERU, "a"),
            Sms(CHILE, "a", id_client="da82la12"),
            email(id_client="da82la12"),
            whatsapp(),
            whatsapp(PERU),
        ]
    )

    assert set(report.needs) == {
        Need(None, Product.SMS, "CL", 3),
        Need(None, Product.SMS, "PE", 1),
        Need("da82la12", Product.SMS, "CL", 1),
        Need("da82la12", Product.EMAIL, None, 1),
        Need(None, Product.WHATSAPP, None, 2),
    }


@pytest.fixture
def balances() -> SubClients:
    """The example of the API's documentation."""
    (example,) = (
        answer
        for answer in ANSWERS
        if (answer["method_name"], answer["status"]) == ("clients.list", 200)
    )
    return structure(SubClients, example["body"], Response(200, {}, b""))


def test_what_the_balance_covers_is_no_shortfall(balances: SubClients):
    """The account's unassigned balance and a sub-client's own."""
    report = report_of(
        [Sms(CHILE, "a"), Sms(NUMBERS["US"], "a"), Sms(CHILE, "a", id_client="da82la12"), email()]
    )

    assert compare_balance(report, balances) == []
    assert compare_balance(Preflight().report(), SubClients()) == []


def test_what_the_balance_lacks_is_told_by_its_country(balances: SubClients):
    """Of the payer, the product and the country that the balance is for."""
    report = report_of(
        [
            *[Sms(NUMBERS["PY"], "a" * 161)] * 4,
            *[Sms(NUMBERS["BR"], "a")] * 2,
            *[Sms(CHILE, "a", id_client="da82la12")] * 79,
            whatsapp(),
            email(id_client="da82la12"),
        ]
    )

    assert compare_balance(report, balances) == [
        Shortfall(Need("da82la12", Product.SMS, "CL", 79), 78),
        Shortfall(Need(None, Product.SMS, "PY", 8), 5),
        Shortfall(Need(None, Product.SMS, "BR", 2), 0),
        Shortfall(Need(None, Product.WHATSAPP, None, 1), 0),
        Shortfall(Need("da82la12", Product.EMAIL, None, 1), 0),
    ]
    assert [lack.missing for lack in compare_balance(report, balances)] == [1, 3, 2, 1, 1]


@pytest.mark.parametrize(
    "message",
    [
        Sms(SPAIN, "a"),
        Sms(NOWHERE, "a"),
        Sms(CHILE, "a", id_client="nobody"),
        email(id_client="nobody"),
        whatsapp(id_client="nobody"),
    ],
    ids=["a country without balance", "no country", "sub-client", "its email", "its WhatsApp"],
)
def test_what_cannot_be_told_is_never_enough(balances: SubClients, message: Any):
    """A balance that is not in the list may be anything."""
    (shortfall,) = compare_balance(report_of([message]), balances)

    assert (shortfall.balance, shortfall.missing) == (None, None)
    assert str(shortfall).endswith("needs 1, balance unknown")


@pytest.mark.parametrize("balance", [None, 12])
def test_a_balance_of_another_form_cannot_be_told(balance: int | None):
    """The API shows one number where it shows a single client."""
    answer = SubClients(clients=(SubClient(id_unique="da82la12", balance=balance),))
    report = report_of([Sms(CHILE, "a", id_client="da82la12"), Sms(CHILE, "a"), email()])

    assert [lack.balance for lack in compare_balance(report, answer)] == [None, None, None]


@pytest.mark.parametrize("name", ["México", " MEXICO ", "mexico"])
def test_accents_and_capitals_of_a_country_do_not_matter(name: str):
    """The API may learn to write them."""
    answer = SubClients(free_sms_balance_by_country=(CountryBalance(country_name=name, balance=1),))
    report = report_of([Sms(NUMBERS["MX"], "Hola")])

    assert compare_balance(report, answer) == []


async def test_it_agrees_with_what_the_api_takes(connectus: AsyncConnectus, emulator: Emulator):
    """The reported shortfall is exactly what the API refuses to send."""
    free = (await connectus.clients.list()).free_sms_balance_by_country[0].balance
    client = await connectus.clients.create("Colegio Darwin")
    await connectus.clients.add_balance(client.id_unique, free, Product.SMS, id_country=1)
    report = report_of([Sms(CHILE, "Hola"), Sms(CHILE, "Hola", id_client=client.id_unique)])

    (shortfall,) = compare_balance(report, await connectus.clients.list())

    assert shortfall == Shortfall(Need(None, Product.SMS, "CL", 1), 0)
    await connectus.sms.send(CHILE, "Hola", id_client=client.id_unique)
    with pytest.raises(PaymentRequiredError):
        await connectus.sms.send(CHILE, "Hola")


def full_report() -> PreflightReport:
    preflight = Preflight(
        examples=1,
        quiet_hours=QuietHours.parse("21:00-08:00"),
        now=dt.datetime(2026, 7, 31, 12, 30, tzinfo=dt.UTC),
        budget=1_200,
    )
    for line in range(1_002):
        preflight.add(Row(line, Sms(CHILE, f"Sí, {SECRET_TEXT}" + "a" * 60)))
    preflight.add(Row(1_002, email()))
    preflight.add(Row(1_003, whatsapp(PERU)))
    preflight.add(Row(1_004, Sms(NOWHERE, "\u200d" * 161)))
    preflight.add(Row(1_005, Sms(CHILE, "a" * 39_000)))
    for line in (1_006, 1_007):
        preflight.add(Row(line, Sms(CHILE, "a")), SkipReason.DUPLICATE, None, 3)
    preflight.add(Row(1_008, Sms(CHILE, "b")), None, State.ACCEPTED)
    return preflight.report(rate=0.1)


def test_a_report_is_json():
    """With the names of the report, and the same restraint."""
    written = json.dumps(full_report().as_dict(), ensure_ascii=False)
    read = json.loads(written)

    fields = {field.name for field in attrs.fields(PreflightReport)}
    assert set(read) == fields - {"samples"} | {"already_sent", "over_budget"}
    assert read["known"] == {"accepted": 1}
    assert read["skipped"]["duplicate"] == {
        "count": 2,
        "examples": ["line 1006: the same message as on line 3"],
        "groups": [
            {
                "sentence": "the campaign already has the same message",
                "count": 2,
                "lines": [1006, 1007],
            }
        ],
    }
    assert read["by_country"] == {"CL": 1002, "PE": 1, "unknown": 1}
    assert read["needs"][0] == {
        "id_client": None,
        "product": "sms",
        "country": "CL",
        "amount": 1002,
    }
    assert read["ucs2_characters"][0] == {"character": "í", "messages": 1002, "extra_parts": 1002}
    assert Shortfall(full_report().needs[0], 2).as_dict() == {
        **read["needs"][0],
        "balance": 2,
        "missing": 1000,
    }


def test_nothing_personal_is_in_a_report():
    """Not in its repr or its JSON."""
    preflight = Preflight()
    for message in (Sms("123", SECRET_TEXT), Sms(CHILE, SECRET_TEXT), email(), ValueError(CHILE)):
        preflight.add(Row(2, message))
        preflight.add(Row(3, message), SkipReason.INVALID)
    report = preflight.report()
    shown = repr(report) + json.dumps(report.as_dict()) + repr(preflight)

    assert not [secret for secret in (CHILE, ADDRESS, SECRET_TEXT, "493021") if secret in shown]
    assert "í" not in repr(full_report())


def test_docstring_examples_hold():
    """The examples of the documentation are true."""
    module = importlib.import_module("connectus_async.recipients.preflight")

    assert doctest.testmod(module) == doctest.TestResults(failed=0, attempted=3)


@pytest.mark.parametrize("budget", [20, None])
def test_a_batch_counts_as_its_rows_do(budget: int | None):
    """With what the load says of each: new, known, duplicate, suppressed."""
    texts = ["Hola", "10 €", "í" * 71, "a" * 161, "\u200b", "mañana", "“¡Sí!”"]
    loaded = [
        Loaded(None),
        Loaded(None, State.QUEUED),
        Loaded(None, State.ACCEPTED),
        Loaded(SkipReason.DUPLICATE, None, 2),
        Loaded(SkipReason.SUPPRESSED),
    ]
    one_by_one, together = Preflight(budget=budget), Preflight(budget=budget)
    batch, results = [], []
    numbers = cycle([*NUMBERS.values(), SPAIN, NOWHERE])
    rows = [(text, result, next(numbers)) for text in texts for result in loaded]
    for line, (text, result, number) in enumerate(rows, 2):
        entry = Entry("key", line, "sms", number, "{}", 1)
        batch.append(PlainSms(entry, text, "7b8d"))
        results.append(result)
        one_by_one.add(Row(line, Sms(number, text, id_client="7b8d")), *result)
    wrong = Row(2, InvalidArgumentError("name", "is empty in this row"))
    one_by_one.add(wrong, SkipReason.INVALID)
    together.add_batch([*batch, wrong], [*results, Loaded(SkipReason.INVALID)])

    assert together.report(rate=5) == one_by_one.report(rate=5)


def test_the_first_and_the_longest_message_are_kept():
    """As they would be sent, and the first to each country, whichever way they come."""
    texts = ["a", "b" * 9, "c", "d" * 200, "e", "f" * 200]
    report = report_of([Sms(CHILE if text < "e" else PERU, text) for text in texts])

    samples = report.samples
    assert [row.line for row in samples.first] == [2, 3, 4]
    assert samples.longest == Row(5, Sms(CHILE, "d" * 200))
    assert {country: row.line for country, row in samples.countries.items()} == {"CL": 2, "PE": 6}
    assert Preflight().report().samples == Samples()


@pytest.mark.parametrize(
    ("message", "findings"),
    [
        (Sms(CHILE, "Hola"), []),
        (Sms("56223456789", "Hola"), ["landline"]),
        (Sms("5112345678", "Hola"), ["landline"]),
        (Sms("541123456789", "Hola"), ["landline"]),
        (Sms("5491123456789", "Hola"), []),
        (Sms("56800123456", "Hola"), ["toll_free"]),
        (Sms("56800123456", "“" * 71), ["more_parts", "toll_free"]),
        (whatsapp("56223456789"), ["landline"]),
        (whatsapp("56800123456"), ["toll_free"]),
        (whatsapp(CHILE), []),
        (Sms(CHILE, "Hola {Nombre}"), ["braces"]),
        (Sms(CHILE, "Hola {{ nombre }}"), ["braces"]),
        (Sms(CHILE, "Hola {primer nombre}"), ["braces"]),
        (Sms(CHILE, "Hola {PRIMER\u00a0nómbre}"), ["braces"]),
        (Sms(CHILE, "Hola {{ nombre|title }}"), ["braces"]),
        (Sms(CHILE, "Hola {x} {}"), []),
        (Sms(CHILE, "Hola {x:nombre}"), []),
        (Sms(CHILE, "Hola nombre"), []),
        (Email(ADDRESS, "Hola {nombre}", "<style>a{b:c}</style>", src_email="a@b.cl"), ["braces"]),
        (Email(ADDRESS, "Hola", "<style>nombre{b:c}</style>", src_email="a@b.cl"), []),
    ],
)
def test_what_the_sender_would_want_to_know_is_found(message: Any, findings: list[str]):
    """Each with its count and the first message that has it."""
    report = report_of([message, message], columns=["dst_number", "Nombre", "Primer nombre"])

    assert {str(name): count for name, count in report.findings.items()} == dict.fromkeys(
        findings, 2
    )
    assert {str(name): row.line for name, row in report.samples.findings.items()} == dict.fromkeys(
        findings, 2
    )


@pytest.mark.parametrize(
    "text", ["í", "\u200b", "\u200b\u200b", "ía", "í" * 71, "🎄", "🎄 paz", "\u200bí", "a\u0301"]
)
def test_extra_parts_are_those_beyond_the_closest_text(text: str):
    """Also where nothing has to be compared: no text takes fewer than one, but an empty one."""
    expected = segments(text).parts - segments(to_gsm7(text)).parts
    assert expected == report_of([Sms(CHILE, text)]).extra_parts
