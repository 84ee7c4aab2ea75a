"""An answer that repeats an earlier one is read as if it were parsed, whatever a server does."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectus_async._exchange import RawResponse
from connectus_async._repeated import MOST_VAIN, RepeatedAnswers
from connectus_async.call import Call, Host
from connectus_async.products.email import EmailReceipt
from connectus_async.products.sms import SmsReceipt
from connectus_async.products.whatsapp import WhatsAppReceipt
from connectus_async.transport import _received, _result

pytestmark = pytest.mark.both("orjson reads JSON in another way than the standard library")

LIMIT = 10_000
TYPES = (SmsReceipt, EmailReceipt, WhatsAppReceipt)
CALL = Call("POST", "/sms/send_individual", Host.PLATFORM, {}, {}, None)
NAMES = ["id_sms", "id", "message_id", "status", "error", "code", "success", "x"]
IDENTIFIERS = ["0", "1", "00", "abc", "a-b_c", "EN_COLA", "401", "error", "", "ñ", 'a"b', "a\\b"]
ESCAPED = ['"\\u0061bc"', '"\\u0030"', '"a\\u0062c"']
VALUES = st.sampled_from(
    [json.dumps(text, ensure_ascii=False) for text in IDENTIFIERS]
    + ESCAPED
    + ["0", "1", "500", "-1", "1.5", "NaN", "null", "true", "false", "[]", "{}", '{"id":"1"}']
    + ["18446744073709551617"]
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw objects with few names and values, so that they repeat, and that may be broken."""
    members = draw(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), min_size=1, max_size=4))
    text = ",".join(f'"{name}":{value}' for name, value in members)
    form = draw(
        st.sampled_from(["{%s}", "{%s}", "{%s}", '{"data":{%s}}', "[{%s}]", "{%s", " {%s}"])
    )
    return (form % text).encode(draw(st.sampled_from(["utf-8", "utf-8", "latin-1", "utf-16-le"])))


def parsed(kind: type, raw: RawResponse) -> Any:
    return _result(CALL, _received(raw, LIMIT), kind, None)


def seen(reading: Callable[[type, RawResponse], Any], kind: type, raw: RawResponse) -> Any:
    """Return all that a caller can see, with the order of the members and the types."""
    try:
        answer = reading(kind, raw)
    except Exception as error:  # noqa: BLE001 - a body that may have been cut off
        return type(error), str(error), getattr(error, "response", None)
    return type(answer), repr(answer.raw), answer, answer.response


def read(memory: RepeatedAnswers, kind: type, raw: RawResponse) -> Any:
    """Read an answer as the transport does."""
    result = memory.read(kind, raw)
    if result is None:
        result = parsed(kind, raw)
        memory.learn(raw, result, lambda other: parsed(kind, other))
    return result


def raw_of(body: bytes, status: int = 200, kind: str = "application/json") -> RawResponse:
    return RawResponse(status, {"Content-Length": str(len(body)), "Content-Type": kind}, body)


@given(
    st.lists(bodies(), min_size=1, max_size=4),
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from(TYPES),
            st.sampled_from([200, 201]),
            st.sampled_from(["application/json", "application/json; charset=iso-8859-1"]),
        )
    ),
    st.lists(st.sampled_from(IDENTIFIERS), min_size=1, max_size=3),
)
@settings(max_examples=1500)
def test_an_answer_is_read_as_if_it_were_the_first(texts, order, identifiers):
    """In any order, with any other identifier in its place, and for any type."""
    memory = RepeatedAnswers()
    for index, kind, status, content_type in order:
        body = texts[index % len(texts)]
        for identifier in (None, *identifiers):
            changed = body if identifier is None else body.replace(b"abc", identifier.encode())
            raw = raw_of(changed, status, content_type)
            expected = seen(parsed, kind, raw)
            assert expected == seen(partial(read, memory), kind, raw)


def test_an_answer_that_only_its_headers_made_readable_is_not_remembered():
    """The next one may have others."""
    memory = RepeatedAnswers()
    body = '{"status":"ñ","id_sms":"abc"}'.encode("latin-1")
    read(memory, SmsReceipt, raw_of(body, kind="application/json; charset=iso-8859-1"))

    assert memory.read(SmsReceipt, raw_of(body)) is None


@pytest.mark.parametrize("kind", TYPES)
def test_an_answer_with_another_identifier_is_not_parsed_again(kind):
    """Its result has a JSON object of its own."""
    memory = RepeatedAnswers()
    first = read(memory, kind, raw_of(b'{"status":"EN_COLA","id_sms":"0f"}'))
    second = memory.read(kind, raw_of(b'{"status":"EN_COLA","id_sms":"1e-2"}'))

    assert second is not None
    assert second.id == "1e-2"
    assert {"status": "EN_COLA", "id_sms": "1e-2"} == second.raw
    second.raw["status"] = None
    third = memory.read(kind, raw_of(b'{"status":"EN_COLA","id_sms":"0"}'))
    assert third is not None
    assert first.raw["status"] == third.raw["status"] == "EN_COLA"


@pytest.mark.parametrize(
    "body",
    [
        b'{"status":"EN_COLA","id_sms":"0f" }',
        b'{"status":"EN_COLA","id_sms":""}',
        b'{"status":"EN_COLA","id_sms":"\\u0030"}',
        b'{"status":"EN_COLA","id_sms":"a","error":"no"}',
        b'{"status":"RECHAZADO","id_sms":"0f"}',
    ],
)
def test_an_answer_that_differs_in_anything_else_is_parsed(body):
    """Be it a blank."""
    memory = RepeatedAnswers()
    read(memory, SmsReceipt, raw_of(b'{"status":"EN_COLA","id_sms":"0f"}'))

    assert memory.read(SmsReceipt, raw_of(body)) is None


def test_answers_that_never_repeat_are_not_learned_for_ever():
    """Each would be parsed twice."""
    memory = RepeatedAnswers()
    parses = []

    def parse(raw: RawResponse) -> SmsReceipt:
        parses.append(raw)
        return parsed(SmsReceipt, raw)

    for count in range(4 * MOST_VAIN):
        raw = raw_of(b'{"id_sms":"a","left":%d}' % count)
        memory.learn(raw, parsed(SmsReceipt, raw), parse)

    assert len(parses) <= MOST_VAIN + 1
