"""Structuring of JSON answers: typed where possible, and never an error."""

import copy
import datetime as dt
import enum
import gc
import importlib
import pickle
import pkgutil
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectus_async import SmppStatus, SmsStatus, products
from connectus_async.answer import Answer, Record, Response, from_keys
from connectus_async.converter import fits, is_documented, structure
from connectus_async.products.account import Account, Purchase, User
from connectus_async.products.clients import BalanceChange, ClientBalance, SubClient, SubClients
from connectus_async.products.deliveries import Delivery
from connectus_async.products.email import EmailBalance, EmailReceipt
from connectus_async.products.short_links import LinkEvents, ShortLink
from connectus_async.products.sms import SmsReceipt, SmsReport, SmsStatusReport
from connectus_async.products.whatsapp import WhatsAppConversation, WhatsAppReceipt

RESPONSE = Response(200, {}, b"")


def read(answer: type[Any], body: Any) -> Any:
    structured = structure(answer, body, RESPONSE)
    assert structured.raw is body
    assert structured.response is RESPONSE
    return structured


def every(kind: type) -> list[type]:
    """List a class and all that inherit from it, in every module of the products."""
    for module in pkgutil.iter_modules(products.__path__, f"{products.__name__}."):
        importlib.import_module(module.name)
    gc.collect()  # attrs makes a class anew to give it slots
    found = [kind]
    for subclass in kind.__subclasses__():
        found += every(subclass)
    return [each for each in dict.fromkeys(found) if each.__module__.startswith("connectus_async")]


ANSWERS = every(Answer)
RECORDS = every(Record)
NAMES = sorted({field.name for record in RECORDS for field in attrs.fields(record)})


# Dates

NINE_HOURS = dt.timezone(dt.timedelta(hours=9))
SANTIAGO_SUMMER = dt.timezone(dt.timedelta(hours=-3))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            "Mon, 09 Jan 2023 13:30:07.000000000 -03 -03:00",
            dt.datetime(2023, 1, 9, 13, 30, 7, tzinfo=SANTIAGO_SUMMER),
        ),
        (
            "Mon, 09 Jan 2023 13:30:07 -03 -03:00",
            dt.datetime(2023, 1, 9, 13, 30, 7, tzinfo=SANTIAGO_SUMMER),
        ),
        (
            "Thu, 29 Feb 2024 23:59:59.123456789 JST +09:00",
            dt.datetime(2024, 2, 29, 23, 59, 59, tzinfo=NINE_HOURS),
        ),
        (
            "Mon, 09 Jan 2023 13:30:07.000000000 UTC +00:00",
            dt.datetime(2023, 1, 9, 13, 30, 7, tzinfo=dt.UTC),
        ),
        ("29-05-19 15:32:08", dt.datetime(2019, 5, 29, 15, 32, 8)),
        ("24-11-19 12:25:30", dt.datetime(2019, 11, 24, 12, 25, 30)),
        (
            "2023-01-09T13:30:07.000-03:00",
            dt.datetime(2023, 1, 9, 13, 30, 7, tzinfo=SANTIAGO_SUMMER),
        ),
        ("2023-01-09T13:30:07Z", dt.datetime(2023, 1, 9, 13, 30, 7, tzinfo=dt.UTC)),
        ("2024-07-20 12:00:00", dt.datetime(2024, 7, 20, 12)),
    ],
)
def test_dates_of_every_form_are_read(written: str, expected: dt.datetime):
    """Spelt out, short and ISO; the ones without an offset stay naive."""
    for answer, name in ((SubClient, "created_at"), (Delivery, "deliver_at")):
        moment = getattr(read(answer, {name: written}), name)
        assert moment == expected
        assert moment.utcoffset() == expected.utcoffset()
    (purchase,) = read(Account, {"purchases": [{"datetime": written}]}).purchases
    assert purchase.datetime == expected


@pytest.mark.parametrize(
    "written",
    [
        *["", "yesterday", "99-99-99 99:99:99", "Mon, 99 Foo 2023 13:30:07.0 -03 -03:00"],
        *["Mon, 09 Jan 2023 13:30:07 -03 -99:99", "Mon, 09 Jan 0000 13:30:07 -03 -03:00"],
        *["2023-13-01T00:00:00", 0, 1673281807, 1e99, True, None, [], {}, "\ud800", "9" * 5000],
    ],
    ids=lambda written: ascii(written)[:30],
)
def test_a_date_that_cannot_be_read_is_left_out(written: Any):
    """It is in `raw`, whatever it is."""
    client = read(SubClient, {"created_at": written, "name": "Colegio"})

    assert client.created_at is None
    assert client.name == "Colegio"


# Numbers, words and flags


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (56990324203, "56990324203"),
        ("56990324203", "56990324203"),
        ("+56 9 9032 4203", "+56 9 9032 4203"),
        *[(value, None) for value in (None, True, 1.5, 56990324203.0, float("nan"), [], {})],
    ],
)
def test_a_phone_is_text_however_it_comes(value: Any, expected: str | None):
    """The API gives it as a number here and as a string there."""
    account = read(Account, {"phone": value, "users": [{"phone": value}]})

    assert account.phone == expected
    assert account.users == (User(phone=expected),)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[(value, True) for value in ("T", "t", "true", "True", "1", 1, True)],
        *[(value, False) for value in ("F", "f", "false", "False", "0", 0, False)],
        *[(value, None) for value in (None, "", "yes", "N", 2, -1, 1.0, [], {}, "\ud800")],
    ],
    ids=repr,
)
def test_flags_come_as_letters_and_as_booleans(value: Any, expected: bool | None):
    """A flag that says neither says nothing."""
    assert read(SubClient, {"deleted": value}).deleted is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[(2312, 2312), ("2312", 2312), (2312.0, 2312), (-1, -1), (0, 0), (2**70, 2**70)],
        *[(value, None) for value in (None, True, "", "many", 0.5, float("inf"), float("nan"))],
        *[(2.0**53, 2**53), (-(2.0**53), -(2**53)), (2.0**54, None), (1e300, None)],
        *[([], None), ({}, None), ("9" * 5000, None)],
    ],
    ids=lambda value: repr(value)[:30],
)
def test_whole_numbers_come_as_numbers_and_as_text(value: Any, expected: int | None):
    """A balance that is not a number is not zero."""
    assert read(EmailBalance, {"balance": value}).balance == expected


def test_a_price_is_a_number_of_any_kind():
    """With and without cents, as a number and as text."""
    purchases = [{"price": 1621365}, {"price": 12.5}, {"price": "12.5"}, {"price": True}]

    assert read(Account, {"purchases": purchases}).purchases == (
        Purchase(price=1621365.0),
        Purchase(price=12.5),
        Purchase(price=12.5),
        Purchase(),
    )


def test_a_balance_is_a_number_here_and_an_object_there():
    """The list of sub-clients gives an object, the single one a number."""
    sms = {"id_country": 1, "country_name": "Chile", "balance": "20"}
    by_country = {"sms_balance": [sms], "email_balance": 5}

    assert read(SubClient, {"balance": 12}).balance == 12
    balance = read(SubClients, {"clients": [{"balance": by_country}]}).clients[0].balance
    assert isinstance(balance, ClientBalance)
    assert balance.email_balance == 5
    assert balance.sms_balance[0].balance == 20
    assert balance.sms_balance[0].raw is sms
    for odd in (None, True, [], "many", [1]):
        assert read(SubClient, {"balance": odd}).balance is None


# Identifiers and envelopes


@pytest.mark.parametrize("receipt", [SmsReceipt, EmailReceipt, WhatsAppReceipt])
@pytest.mark.parametrize("key", ["id_sms", "id", "message_id"])
@pytest.mark.parametrize("value", ["c79", 79])
def test_the_identifier_of_a_message_has_three_names(receipt: type, key: str, value: Any):
    """The API's examples and webhooks disagree."""
    assert read(receipt, {key: value}).id == str(value)
    assert read(receipt, {"data": {key: value}}).id == str(value)


def test_the_first_name_with_a_usable_value_counts():
    """A null or an object under one name does not hide the identifier under another."""
    assert read(SmsReceipt, {"id_sms": "a", "id": "b"}).id == "a"
    assert read(SmsReceipt, {"id_sms": None, "id": "b"}).id == "b"
    assert read(SmsReceipt, {"id_sms": {}, "id": [], "message_id": "c"}).id == "c"


@pytest.mark.parametrize("envelope", ["data", "sms", "result", "delivery", "response", "raw", ""])
def test_an_object_is_taken_out_of_its_envelope(envelope: str):
    """Under any name that is no field of the answer, even one that our own answers have."""
    assert read(SmsReceipt, {envelope: {"id": "c79", "status": "EN_COLA"}}).status == "EN_COLA"
    assert read(Delivery, {envelope: {"id": "c79"}}).id == "c79"


def test_a_field_is_no_envelope():
    """Nor is an object with two members, or one that holds no object."""
    assert read(SubClient, {"balance": {"name": "Colegio"}}).name is None
    assert read(SmsReceipt, {"data": {"id": "c79"}, "ok": True}).id is None
    assert read(SmsReceipt, {"status": "EN_COLA"}).status == "EN_COLA"


ROWS = [{"id": "c79", "dst_number": 56987688060, "sms_content": "Hola"}, {"id_sms": "c80"}]


@pytest.mark.parametrize(
    "body",
    [
        ROWS,
        {"messages": ROWS},
        {"data": ROWS},
        {"total": 2, "sms": ROWS},
        {"result": {"page": 1, "rows": ROWS}},
        {"errors": [], "warnings": ["slow"], "sms": ROWS},
    ],
    ids=lambda body: body if isinstance(body, str) else ",".join(body) if body is not ROWS else "-",
)
def test_the_rows_of_a_report_are_found_under_any_name(body: Any):
    """A report that is taken for empty would have messages sent again."""
    report = read(SmsReport, body)

    assert [row.id for row in report.messages] == ["c79", "c80"]
    assert report.messages[0].dst_number == "56987688060"
    assert report.messages[0].raw is ROWS[0]
    assert len(read(WhatsAppConversation, body).messages) == 2


@pytest.mark.parametrize("body", [[], {"messages": []}, {}, None, 1, "x", {"messages": None}])
def test_a_report_without_rows_is_empty(body: Any):
    """Nothing was sent, or nothing can be read; `raw` tells which."""
    assert read(SmsReport, body).messages == ()


def test_one_odd_row_does_not_hide_the_others():
    """It is kept as it came."""
    messages = read(SmsReport, [{"id": "c79"}, None, 1, {"id": {}}]).messages

    assert [(row.id, row.raw) for row in messages] == [
        ("c79", {"id": "c79"}),
        (None, None),
        (None, 1),
        (None, {"id": {}}),
    ]


def test_what_an_answer_is_made_of_is_known():
    """What decides whether a GET was answered at all."""
    assert not is_documented(Answer)
    assert all(
        map(
            is_documented,
            (
                answer
                for answer in ANSWERS
                if not answer.__name__.startswith("_") and answer is not Answer
            ),
        )
    )
    assert fits(SmsReport, [])
    assert fits(SmsReport, {})
    assert fits(Account, {})
    assert not fits(Account, [])
    assert not any(fits(answer, odd) for answer in ANSWERS for odd in (None, 1, "x", True))


# Words that may be new


@pytest.mark.parametrize("kind", [SmsStatus, SmppStatus])
def test_a_known_word_is_the_member_itself(kind: type[Any]):
    """Written as the API writes it."""
    for member in kind:
        assert kind(member.value) is member
        assert member == member.value == str(member)
        assert member.is_known
        assert pickle.loads(pickle.dumps(member)) is member


@pytest.mark.parametrize("kind", [SmsStatus, SmppStatus])
@pytest.mark.parametrize("word", ["REPROGRAMADO", "entregado", "", "name", "mro", "is_known", "ñ"])
def test_an_unknown_word_is_let_through(kind: type[Any], word: str):
    """It behaves like the known ones, and is not added to them."""
    before = list(kind)
    status = kind(word)

    assert isinstance(status, kind)
    assert status == word == status.value == str(status) == f"{status}"
    assert not status.is_known
    assert status == kind(word)
    assert {status: 1}[kind(word)] == 1
    assert word in repr(status)
    for twin in (pickle.loads(pickle.dumps(status)), copy.copy(status), copy.deepcopy(status)):
        assert type(twin) is kind
        assert twin == status
        assert not twin.is_known
    assert list(kind) == before


@pytest.mark.parametrize("value", [None, 0, 1.5, b"ENTREGADO", (), object()])
def test_a_word_is_text(value: object):
    """The code of a status is not its word."""
    with pytest.raises(ValueError, match="is not a valid"):
        SmppStatus(value)


def test_an_smpp_status_has_its_code():
    """The statuses of a receipt have none, and neither has one that is new."""
    assert SmppStatus.ESME_ROK.code == 0
    assert SmppStatus("ESME_RTHROTTLED").code == 0x58
    assert SmppStatus.DELIVRD.code is None
    assert SmppStatus("ESME_RNEW").code is None
    assert pickle.loads(pickle.dumps(SmppStatus("ESME_RNEW"))).code is None
    codes = [status.code for status in SmppStatus if status.code is not None]
    assert len(codes) == len(set(codes))


def test_the_status_of_an_sms_is_such_a_word():
    """An unknown one is no reason to lose the answer."""
    assert read(SmsStatusReport, {"status": "DELIVRD"}).status is SmppStatus.DELIVRD
    assert read(SmsStatusReport, {"status": "ESME_RNEW"}).status == "ESME_RNEW"
    assert read(SmsStatusReport, {"status": 0}).status is None


# Anything at all

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**301)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["F", "T", "29-05-19 15:32:08", "2023-01-09T13:30:07Z", "56987688060"])
    | st.from_regex(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \S [+-]\d\d:\d\d", fullmatch=True)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*NAMES, "data", ""]), inner, max_size=8)
    ),
    max_leaves=25,
)


@settings(max_examples=400)
@given(body=JSON)
def test_no_json_makes_an_answer_fail(body: Any):
    """Nothing that a server writes turns an accepted send into an error."""
    for answer in ANSWERS:
        structured = read(answer, body)
        fits(answer, body)
        repr(structured)
        assert_typed(structured)
        assert pickle.loads(pickle.dumps(attrs.evolve(structured, raw=None))) is not None


def assert_typed(record: Record) -> None:
    """Every field has a value of its own type, or none."""
    kinds = (str, int, float, bool, dt.datetime, enum.Enum, Record, type(None))
    for field in attrs.fields(type(record)):
        value = getattr(record, field.name)
        if field.name in {"raw", "response", "avatar"}:
            continue
        for each in value if isinstance(value, tuple) else [value]:
            assert isinstance(each, kinds)
            if isinstance(each, Record):
                assert_typed(each)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.__name__)
def test_an_answer_without_anything_has_defaults(answer: type[Answer]):
    """No field is required."""
    empty = read(answer, None)

    assert empty == answer()
    for field in attrs.fields(answer):
        if field.name != "response":
            assert getattr(empty, field.name) in (None, ())


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.__name__)
def test_an_answer_pickles(answer: type[Answer]):
    """It may be handed to another process."""
    structured = structure(answer, {"id": "c79", "nueva": [1]}, RESPONSE)
    twin = pickle.loads(pickle.dumps(structured))

    assert twin == structured
    assert twin.raw == structured.raw
    assert twin.response == structured.response


def test_unknown_fields_are_kept_at_every_level():
    """A new field can be used before this SDK knows it."""
    body = {"users": [{"name": "Ana", "nueva": {"x": 1}}], "otra": 2}
    account = read(Account, body)

    assert account.raw["otra"] == 2
    assert account.users[0].raw["nueva"] == {"x": 1}


def test_a_number_too_many_does_not_hide_its_neighbours():
    """Each field is read for itself."""
    events = read(LinkEvents, {"link": "https://a.cl", "clicks": "many"})

    assert (events.link, events.clicks) == ("https://a.cl", None)
    assert read(ShortLink, {"short_link": ["cnct.us/x"]}).short_link is None
    assert read(BalanceChange, {"message": "ok", "extra": 1}).message == "ok"


def test_fields_may_have_other_names_in_types_of_ones_own():
    """`from_keys` is how an answer says so."""

    @attrs.frozen(kw_only=True)
    class Own(Answer):
        key: str | None = from_keys("clave", "llave")

    assert read(Own, {"llave": 1}).key == "1"
