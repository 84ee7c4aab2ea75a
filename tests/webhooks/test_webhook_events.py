"""Parsing of webhooks: any input becomes an event or a WebhookError."""

import json
import logging
import pickle
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async import ConnectusError, SmsStatus, WebhookError
from connectus_async.webhooks import IncomingSms, StatusUpdate, UnknownEvent, parse
from connectus_async.webhooks.events import MAX_DEPTH

ID = "c7925e64955445bbbe0ae39339b9514c"
NUMBER, OWN_NUMBER = "56990324203", "56442330001"
TEXT = "Hola, la clave es 493021"

STATUS = {"status": "ENTREGADO", "id_sms": ID}
INCOMING = {
    "src_provider": "Wom",
    "id_sms": "f73a185dc7614ea4bac7c59146a67e6d",
    "src_number": NUMBER,
    "dst_number": OWN_NUMBER,
    "sms_content": "Hello connectus!",
    "sms_content_binary": "486f6c6120636f6e6e656374757321",
}
"""As the documentation has it, where the two contents are not the same."""


def incoming(content: object, binary: object) -> IncomingSms:
    event = parse(INCOMING | {"sms_content": content, "sms_content_binary": binary})
    assert isinstance(event, IncomingSms)
    return event


@pytest.mark.parametrize("status", SmsStatus)
def test_a_status_of_the_documentation(status: SmsStatus):
    """The status is a member of the enumeration."""
    event = parse(json.dumps({"status": status, "id_sms": ID}))

    assert event == StatusUpdate(id_sms=ID, status=status)
    assert event.status is status


def test_an_incoming_sms_of_the_documentation():
    """The example has two contents that differ; both can be read."""
    event = parse(json.dumps(INCOMING).encode())

    assert event == IncomingSms(**INCOMING)
    assert event.content_bytes == b"Hola connectus!"
    assert event.content_agrees is False
    assert event.binary_content == "Hola connectus!"
    assert event.raw == INCOMING


@pytest.mark.parametrize("form", [json.dumps, lambda body: json.dumps(body).encode(), dict])
def test_text_bytes_and_mappings_are_the_same(form):
    """A framework may have read the body already."""
    assert parse(form(STATUS)) == StatusUpdate(id_sms=ID, status=SmsStatus.ENTREGADO)
    assert parse(MappingProxyType(STATUS)).raw == STATUS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_the_encodings_of_json(encoding: str):
    """All that may be JSON is, with a byte order mark or without."""
    body = json.dumps(INCOMING | {"sms_content": "señor"}, ensure_ascii=False)

    assert parse(body.encode(encoding)).sms_content == "señor"
    assert parse("\ufeff" + body).sms_content == "señor"


def test_a_status_that_is_new():
    """It becomes a member with ``is_known`` false."""
    event = parse(STATUS | {"status": "LEIDO"})

    assert event.status == "LEIDO"
    assert not event.status.is_known


@pytest.mark.parametrize("status", [None, 4, True, ["ENTREGADO"], {}])
def test_a_status_that_is_no_word(status: object):
    """It is missing as far as the field is concerned; the raw event has it."""
    event = parse(STATUS | {"status": status})

    assert event == StatusUpdate(id_sms=ID)
    assert event.raw["status"] == status


def test_fields_that_are_not_documented_stay():
    """Users may need them."""
    event = parse(STATUS | {"carrier": "Wom"})

    assert event == StatusUpdate(id_sms=ID, status=SmsStatus.ENTREGADO)
    assert event.raw["carrier"] == "Wom"


@pytest.mark.parametrize("missing", INCOMING)
def test_any_field_may_be_missing(missing: str):
    """The existing fields decide the event."""
    body = {name: value for name, value in INCOMING.items() if name != missing}

    assert parse(body) == IncomingSms(**body)
    assert parse({"status": "ENTREGADO"}) == StatusUpdate(status=SmsStatus.ENTREGADO)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, UnknownEvent),
        ({"id_sms": ID}, UnknownEvent),
        ({"id_sms": ID, "dst_number": NUMBER}, UnknownEvent),
        ({"event": "click"}, UnknownEvent),
        ({"src_number": NUMBER}, IncomingSms),
        ({"src_provider": "Wom"}, IncomingSms),
        ({"status": None}, StatusUpdate),
        ({"status": "LEIDO", "dst_number": NUMBER}, StatusUpdate),
        ({"status": "LEIDO", "src_number": NUMBER}, StatusUpdate),
        (STATUS | {"src_number": NUMBER, "sms_content": TEXT}, StatusUpdate),
        (INCOMING | {"status": "RECIBIDO"}, IncomingSms),
    ],
)
def test_the_fields_tell_what_it_is(body: dict[str, object], kind: type):
    """A known status outweighs content, and content outweighs an unknown status."""
    assert type(parse(body)) is kind


def test_an_event_that_is_unknown_says_which_sms():
    """So that it can be handled in order with the others."""
    assert parse({"id_sms": ID, "clicks": 2}).id_sms == ID


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (56990324203, NUMBER),
        ("", ""),
        (True, None),
        (5.5, None),
        ([NUMBER], None),
        ({"number": NUMBER}, None),
        (10**99, "1" + "0" * 99),
        pytest.param(10**5000, None, id="endless"),
    ],
)
def test_a_field_is_text(value: object, read: str | None):
    """A number may come as one."""
    assert parse(INCOMING | {"src_number": value}).src_number == read


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("text", ["", "Hola", "Mañana a las 8, ¿sí?", "a\0b"])
def test_contents_that_agree(text: str, encoding: str):
    """An SMS travels in one of several encodings, and nothing says in which."""
    event = incoming(text, text.encode(encoding).hex())

    assert event.content_agrees is True
    assert event.binary_content == text


@pytest.mark.parametrize(
    ("content", "binary", "text"),
    [
        ("Ma?ana", "Mañana".encode(), "Mañana"),
        ("Ma?ana", "Mañana".encode("latin-1"), "Mañana"),
        ("Ma?ana", "Mañana".encode("utf-16-be"), "Mañana"),
        ("?", "😀".encode(), "😀"),
        (None, b"Hola", "Hola"),
        ("Hola", b"\x00\x01\x02", "\x00\x01\x02"),
        ("Hola", b"\xd8\x00\x00\x20", "Ø\0\0 "),
    ],
)
def test_a_content_that_is_better_in_bytes(content: str | None, binary: bytes, text: str):
    """Text that the platform could not encode is still in the bytes."""
    event = incoming(content, binary.hex().upper())

    assert event.content_bytes == binary
    assert event.binary_content == text
    assert event.content_agrees is (None if content is None else False)


@pytest.mark.parametrize("binary", [None, "zz", "48 6", "486", "Hóla", 4.5])
def test_bytes_that_cannot_be_read(binary: object):
    """The text is all there is."""
    event = incoming("Hola", binary)

    assert (event.content_bytes, event.binary_content, event.content_agrees) == (None, None, None)
    assert event.sms_content == "Hola"


def test_half_a_surrogate_pair():
    """A field can always be encoded, and the raw event is unchanged."""
    event = parse(r'{"sms_content": "a\ud83d", "sms_content_binary": "6100", "status": "\udc00"}')

    assert event.sms_content == "a\ufffd"
    assert event.content_agrees is False
    assert event.raw["sms_content"] == "a\ud83d"
    assert parse(r'{"status": "\udc00"}').status == "\ufffd"
    assert parse(r'{"sms_content": "\ud83d\ude00"}').sms_content == "😀"


def test_of_a_name_that_comes_twice_the_last_counts():
    """As all readers of JSON have it."""
    event = parse('{"status": "EN_COLA", "status": "ENTREGADO"}')

    assert event.status is SmsStatus.ENTREGADO
    assert event.raw == {"status": "ENTREGADO"}


@pytest.mark.parametrize("digits", ["9" * 101, "9" * 60_000, "-1e999", "1" * 400 + ".5"])
def test_a_number_that_python_cannot_hold(digits: str):
    """It becomes text, at negligible cost."""
    assert parse(f'{{"n": {digits}}}').raw == {"n": digits}
    assert parse(f'{{"id_sms": {digits}}}').id_sms == digits


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"\xff\xfe\xff", b"status=ENTREGADO", b'{"status": "\xe9"}'),
        *(
            "",
            "x",
            '{"a": NaN}',
            '{"a": -Infinity}',
            '{"a": 1,}',
            '{"a": "\x01"}',
            "\ufeff\ufeff{}",
        ),
    ],
    ids=ascii,
)
def test_what_is_not_json(body: bytes | str):
    """One error, which does not quote it."""
    with pytest.raises(WebhookError, match="is not valid JSON") as raised:
        parse(body)

    assert str(raised.value) == "the body of a webhook is not valid JSON"
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("body", [b"[]", "null", "4", '"ENTREGADO"', '[{"status": "ENTREGADO"}]'])
def test_what_is_not_an_object(body: bytes | str):
    """Whatever else is JSON is no event."""
    with pytest.raises(WebhookError, match="is JSON, but not an object"):
        parse(body)


@pytest.mark.parametrize("body", [None, 4, [], object()])
def test_what_cannot_be_a_body(body: object):
    """The same error."""
    with pytest.raises(WebhookError, match="is neither JSON nor a mapping"):
        parse(body)


def nested(depth: int, opening: str = '{"a":', closing: str = "}") -> str:
    return opening * depth + "{}" + closing * depth


def test_nesting_has_an_end():
    """It does not depend on the version of Python or on who calls."""
    assert parse(nested(MAX_DEPTH - 1)) == UnknownEvent()
    for depth in (MAX_DEPTH, 500, 10_000):
        for body in (nested(depth), f'{{"a": {nested(depth - 1, "[", "]")}}}'):
            with pytest.raises(WebhookError, match="is nested too deeply"):
                parse(body)


def test_a_mapping_that_holds_itself():
    """It is nested without end."""
    body = {"status": "ENTREGADO"}
    body["again"] = body

    with pytest.raises(WebhookError, match="is nested too deeply"):
        parse(body)


def test_the_error_is_one_of_the_tree():
    """It can be caught as a ConnectusError and as a ValueError."""
    assert issubclass(WebhookError, ConnectusError)
    assert issubclass(WebhookError, ValueError)


@pytest.mark.parametrize(
    "body",
    [
        INCOMING | {"sms_content": TEXT, "sms_content_binary": TEXT.encode().hex()},
        {"status": f"{NUMBER} {TEXT}", "id_sms": NUMBER},
        {"id_sms": TEXT, "dst_number": NUMBER},
        {"src_provider": NUMBER, "id_sms": TEXT},
    ],
)
def test_an_event_shows_nobody(body: dict[str, str], caplog: pytest.LogCaptureFixture):
    """Neither who wrote, nor what; an identifier and a status are shown."""
    caplog.set_level(logging.DEBUG)
    event = parse(body)
    shown = f"{event!r} {event} {[event]} {caplog.text}"

    for value in (NUMBER, OWN_NUMBER, TEXT, TEXT.encode().hex()):
        assert value not in shown
    assert ID in repr(parse(STATUS))
    assert "ENTREGADO" in repr(parse(STATUS))


def test_events_are_values():
    """Equal by their fields, hashable, and fit for another process."""
    event = parse(INCOMING)

    assert len({event, parse(INCOMING | {"new": 1})}) == 1
    assert pickle.loads(pickle.dumps(event)).raw == INCOMING


names = st.sampled_from([*INCOMING, "status", "other"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)
)
objects = st.dictionaries(names | st.text(), values | st.sampled_from(SmsStatus))


def event_or_error(body: object) -> None:
    try:
        event = parse(body)
    except WebhookError:
        return
    assert isinstance(event, StatusUpdate | IncomingSms | UnknownEvent)
    if isinstance(event, IncomingSms):
        assert event.content_agrees in {True, False, None}
        str(event.binary_content).encode()
        str(event.sms_content).encode()
    repr(event)


@given(st.binary())
def test_any_bytes(body: bytes):
    """An event or the one error."""
    event_or_error(body)


@given(st.text())
def test_any_text(body: str):
    """An event or the one error."""
    event_or_error(body)


@given(values)
def test_any_json(value: object):
    """NaN is refused, and an object is an event."""
    event_or_error(json.dumps(value))
    event_or_error(value)


@given(objects)
def test_any_object(body: dict[str, object]):
    """An object of JSON is always an event, with the raw one in it."""
    event = parse(body)

    assert event.raw == body or "nan" in repr(body)
    event_or_error(json.dumps(body, ensure_ascii=False))


@given(objects, st.data())
def test_any_object_with_a_byte_changed(body: dict[str, object], data: st.DataObject):
    """A broken line on the way."""
    text = bytearray(json.dumps(body).encode())
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))

    event_or_error(bytes(text))


@given(st.text(st.characters(categories=["Cs", "L", "So"])))
def test_any_content_agrees_with_itself(text: str):
    """Whatever an SMS says, half a surrogate pair apart."""
    event = parse({"sms_content": text, "sms_content_binary": text.encode(errors="replace").hex()})

    assert event.content_agrees or any("\ud800" <= sign <= "\udfff" for sign in text)
