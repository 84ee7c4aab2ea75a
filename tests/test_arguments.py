"""Validation of arguments before sending, through the public methods.

A value that cannot be sent raises one error, which names the argument and does not show the value.
A value in another form of the same thing goes on the wire in the form that the API takes.
"""

import datetime as dt
import json
import pickle
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from hostile import HostileServer, http, keep_alive

from connectus_async import (
    AsyncConnectus,
    InvalidArgumentError,
    Outcome,
    Product,
    arguments,
)
from connectus_async.emulator import Emulator

NUMBER = "56987688060"
SOURCE = "hola@empresa.cl"

HUGE = 10**5000
"""More digits than Python writes."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Keep one loop, for what is kept for all tests of this file."""
    return "asyncio"


@pytest.fixture(scope="module")
async def emulator() -> AsyncIterator[Emulator]:
    """Keep one for all tests: it is to see no request of any."""
    async with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
async def connectus(emulator: Emulator) -> AsyncIterator[AsyncConnectus]:
    """Keep the async client alone: the blocking one hands all arguments on to one."""
    async with AsyncConnectus(
        emulator.api_user,
        emulator.api_key,
        qr_token=emulator.qr_token,
        base_url=emulator.base_url,
        qr_base_url=emulator.qr_base_url,
    ) as connectus:
        yield connectus


def label(value: object) -> str:
    """Name a value; not by its address, which differs from process to process."""
    return "huge" if value == HUGE else ascii(value)[:30].partition(" at 0x")[0]


VALID: dict[str, dict[str, Any]] = {
    "sms.send": {"dst_number": NUMBER, "sms_content": "Hola"},
    "sms.send_otp": {"dst_number": NUMBER, "sms_content": "493021"},
    "sms.status": {"id": "c79"},
    "sms.by_delivery": {"delivery_id": "c79"},
    "sms.by_date": {"begin_date": "2026-07-01", "end_date": "2026-07-31"},
    "email.send": {
        "dst_email": "ana@example.com",
        "subject": "Hola",
        "email_content": "<h1>Hola</h1>",
        "src_email": SOURCE,
    },
    "email.send_otp": {
        "dst_email": "ana@example.com",
        "subject": "Hola",
        "email_content": "493021",
        "src_email": SOURCE,
    },
    "email.status": {"id": "c79"},
    "whatsapp.send": {"dst_number": NUMBER, "whatsapp_content": "Hola", "src_number": NUMBER},
    "whatsapp.status": {"message_id": "c79"},
    "whatsapp.messages": {"src_number": NUMBER, "dst_number": NUMBER},
    "clients.get": {"id": "c79"},
    "clients.create": {"name": "Colegio"},
    "clients.update": {"id": "c79", "name": "Colegio"},
    "clients.add_balance": {"id": "c79", "amount": 28, "product": 2},
    "clients.remove_balance": {"id": "c79", "amount": 28, "product": 2},
    "short_links.create": {"link": "https://www.connectus.cl"},
    "short_links.events": {"short_link": "cnct.us/13neyY"},
    "deliveries.create": {"name": "Navidad", "deliver_at": "2026-07-31 09:30:00", "id_product": 1},
    "deliveries.get": {"id": "c79"},
    "deliveries.update": {"id": "c79", "name": "Navidad"},
    "whatsapp_qr.groups.create": {"name": "Vecinos", "numbers": [NUMBER]},
    "whatsapp_qr.groups.add_participants": {"group_name": "Vecinos", "numbers": [NUMBER]},
    "whatsapp_qr.groups.remove_participants": {"group_name": "Vecinos", "numbers": [NUMBER]},
    "whatsapp_qr.groups.invite_link": {"group_name": "Vecinos"},
    "whatsapp_qr.groups.make_admins": {"group_name": "Vecinos", "numbers": [NUMBER]},
    "whatsapp_qr.groups.demote_admins": {"group_name": "Vecinos", "numbers": [NUMBER]},
    "whatsapp_qr.groups.update_info": {"group_name": "Vecinos", "new_subject": "Vecinas"},
    "whatsapp_qr.groups.send": {"group_name": "Vecinos", "message": "Hola"},
    "whatsapp_qr.groups.last_messages": {"group_name": "Vecinos"},
    "whatsapp_qr.messages.send": {"number": NUMBER, "message": "Hola"},
    "whatsapp_qr.messages.last": {"number": NUMBER},
}
"""Arguments of every call that takes any; a test replaces one of them."""


async def call(connectus: AsyncConnectus, name: str, /, **changes: Any) -> Any:
    found: Any = connectus
    for part in name.split("."):
        found = getattr(found, part)
    return await found(**(VALID[name] | changes))


async def assert_refused(
    connectus: AsyncConnectus, name: str, field: str, value: Any
) -> InvalidArgumentError:
    with pytest.raises(InvalidArgumentError) as caught:
        await call(connectus, name, **{field: value})
    error = caught.value
    assert error.field.partition("[")[0] == field
    assert str(error).startswith(error.field)
    assert error.outcome is Outcome.NOT_SENT
    if isinstance(value, str) and len(value) > 3:
        assert value not in str(error)
    if isinstance(value, int) and 999 < abs(value) < HUGE:
        assert str(value) not in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    return error


# Every kind of value, at every argument that takes it

NUMBERS = [
    ("sms.send", "dst_number"),
    ("sms.send_otp", "dst_number"),
    ("whatsapp.send", "dst_number"),
    ("whatsapp.send", "src_number"),
    ("whatsapp.messages", "src_number"),
    ("whatsapp.messages", "dst_number"),
    ("whatsapp_qr.messages.send", "number"),
    ("whatsapp_qr.messages.last", "number"),
]
SOURCE_NUMBERS = [("sms.send", "src_number"), ("sms.send_otp", "src_number")]
NUMBER_LISTS = [
    (f"whatsapp_qr.groups.{name}", "numbers")
    for name in (
        "create",
        "add_participants",
        "remove_participants",
        "make_admins",
        "demote_admins",
    )
]
TEXTS = [
    ("sms.send", "sms_content", arguments.MAX_SMS_CHARACTERS),
    ("sms.send_otp", "sms_content", arguments.MAX_SMS_CHARACTERS),
    ("email.send", "email_content", arguments.MAX_EMAIL_CHARACTERS),
    ("email.send_otp", "email_content", arguments.MAX_EMAIL_CHARACTERS),
    ("whatsapp.send", "whatsapp_content", arguments.MAX_WHATSAPP_CHARACTERS),
    ("whatsapp_qr.groups.send", "message", arguments.MAX_WHATSAPP_CHARACTERS),
    ("whatsapp_qr.groups.update_info", "new_description", arguments.MAX_WHATSAPP_CHARACTERS),
    ("whatsapp_qr.messages.send", "message", arguments.MAX_WHATSAPP_CHARACTERS),
]
LINES = [
    ("email.send", "subject"),
    ("email.send_otp", "subject"),
    ("clients.create", "name"),
    ("clients.update", "name"),
    ("deliveries.create", "name"),
    ("deliveries.update", "name"),
    ("whatsapp_qr.groups.create", "name"),
    ("whatsapp_qr.groups.add_participants", "group_name"),
    ("whatsapp_qr.groups.remove_participants", "group_name"),
    ("whatsapp_qr.groups.make_admins", "group_name"),
    ("whatsapp_qr.groups.demote_admins", "group_name"),
    ("whatsapp_qr.groups.invite_link", "group_name"),
    ("whatsapp_qr.groups.update_info", "group_name"),
    ("whatsapp_qr.groups.update_info", "new_subject"),
    ("whatsapp_qr.groups.send", "group_name"),
    ("whatsapp_qr.groups.last_messages", "group_name"),
]
ADDRESSES = [
    ("email.send", "dst_email"),
    ("email.send", "src_email"),
    ("email.send_otp", "dst_email"),
    ("email.send_otp", "src_email"),
]
IDENTIFIERS = [
    ("sms.status", "id"),
    ("sms.by_delivery", "delivery_id"),
    ("sms.send", "id_delivery"),
    ("sms.send", "id_client"),
    ("email.status", "id"),
    ("email.send", "id_delivery"),
    ("email.send", "id_client"),
    ("whatsapp.status", "message_id"),
    ("whatsapp.send", "id_delivery"),
    ("whatsapp.send", "id_client"),
    ("clients.get", "id"),
    ("clients.update", "id"),
    ("clients.add_balance", "id"),
    ("clients.remove_balance", "id"),
    ("deliveries.get", "id"),
    ("deliveries.update", "id"),
    ("short_links.events", "short_link"),
]
DATES = [("sms.by_date", "begin_date"), ("sms.by_date", "end_date")]
MOMENTS = [("deliveries.create", "deliver_at"), ("deliveries.update", "deliver_at")]
AMOUNTS = [
    ("clients.add_balance", "amount"),
    ("clients.add_balance", "product"),
    ("clients.remove_balance", "amount"),
    ("clients.remove_balance", "product"),
    ("deliveries.create", "id_product"),
]

CONTROLS = ["\r\n", "\n", "\r", "\0", "\x1b", "\x7f", "\x85", "\t", "\v", "\f"]
SEPARATORS = ["\N{LINE SEPARATOR}", "\N{PARAGRAPH SEPARATOR}"]

BAD_NUMBERS = [
    None,
    True,
    False,
    5.69e10,
    56987688060.0,
    float("nan"),
    b"56987688060",
    [NUMBER],
    "",
    " ",
    "+",
    "-",
    "5.69877E+10",
    "5,69877E+10",
    "56987688060.0",
    "98768806.0",
    "98768806,0",
    "+98768806.00",
    "5698768.8060",
    "++56987688060",
    "56987688060+",
    "(56) 987688060",
    "56/987688060",
    "56987688060;ext=1",
    "ana",
    "1234567",
    1234567,
    "1234567890123456",
    1234567890123456,
    "0056987688060",
    "+0056987688060",
    "0987688060",
    HUGE,
    -56987688060,
    "\N{FULLWIDTH DIGIT FIVE}6987688060",
    "\N{ARABIC-INDIC DIGIT FIVE}6987688060",
    "5\N{SUPERSCRIPT SIX}987688060",
    "569876880\N{CIRCLED DIGIT SIX}0",
    "5698768806\ud800",
    "5698768\0" + "8060",
    "\N{RIGHT-TO-LEFT OVERRIDE}06088678965",
    "2345678\n2345679",
    "-56987688060",
    "\N{EN DASH}56987688060",
    Decimal("5.7E+10"),
    Decimal("56987688060.5"),
    Decimal("NaN"),
    Decimal(-56987688060),
]


@pytest.mark.parametrize("value", BAD_NUMBERS, ids=label)
async def test_what_is_no_phone_number_is_refused(
    value: Any, connectus: AsyncConnectus, emulator: Emulator
):
    """A spreadsheet's rounding of a number would reach another person's phone."""
    for name, field in NUMBERS:
        await assert_refused(connectus, name, field, value)
    for name, field in NUMBER_LISTS:
        error = await assert_refused(connectus, name, field, [NUMBER, value])
        assert error.field == f"{field}[1]"

    assert not emulator.requests


@pytest.mark.parametrize(
    "number",
    [
        *["98768806.0", "98768806,0", " +98768806.00 ", "56 987 688 060.0", "9876880.60"],
        *["(98768806.0)", "9-8768806.0", "5698768806.0000", 98768806.0],
    ],
)
async def test_a_decimal_number_is_told_from_other_mistakes(number: Any, connectus: AsyncConnectus):
    """What to do about it is said: the file is to be written anew."""
    error = await assert_refused(connectus, "sms.send", "dst_number", number)

    assert "is a decimal number" in error.problem
    assert "format the column as text" in error.problem


@pytest.mark.parametrize(
    "value",
    [
        *[True, 5.69e10, "", " ", "ana", "Empresa", b"4374", [4374], -4374, HUGE],
        *["1234567890123456", "43\N{RIGHT-TO-LEFT OVERRIDE}74", "\N{FULLWIDTH DIGIT FOUR}374"],
    ],
    ids=label,
)
async def test_what_is_no_source_number_is_refused(
    value: Any, connectus: AsyncConnectus, emulator: Emulator
):
    """A source may be short, but it has digits alone."""
    for name, field in SOURCE_NUMBERS:
        await assert_refused(connectus, name, field, value)

    assert not emulator.requests


@pytest.mark.parametrize(
    "values",
    [NUMBER, NUMBER.encode(), int(NUMBER), None, [], (), iter([]), [NUMBER] * 1025, True],
    ids=label,
)
async def test_what_is_no_list_of_numbers_is_refused(
    values: Any, connectus: AsyncConnectus, emulator: Emulator
):
    """A number given bare would otherwise be read as a list of its digits."""
    for name, field in NUMBER_LISTS:
        error = await assert_refused(connectus, name, field, values)
        assert error.field == field

    assert not emulator.requests


@pytest.mark.parametrize(
    "value",
    [*[None, 1, True, b"Hola", ["Hola"]], *["", " ", "\n\t ", "\xa0", "a\ud800b", "\udfff"]],
    ids=ascii,
)
async def test_what_is_no_text_is_refused(
    value: Any, connectus: AsyncConnectus, emulator: Emulator
):
    """A blank message costs as much as any; half a character cannot be written in UTF-8."""
    for name, field, _ in TEXTS:
        if (value, field) != (None, "new_description"):
            await assert_refused(connectus, name, field, value)
    for name, field in LINES:
        if value is not None or (name, field) not in OPTIONAL_LINES:
            await assert_refused(connectus, name, field, value)

    assert not emulator.requests


OPTIONAL_LINES = [("deliveries.update", "name"), ("whatsapp_qr.groups.update_info", "new_subject")]


@pytest.mark.parametrize(("name", "field", "limit"), TEXTS)
async def test_a_text_that_is_too_long_is_refused(
    name: str, field: str, limit: int, connectus: AsyncConnectus, emulator: Emulator
):
    """The error says how long it is and how long it may be."""
    error = await assert_refused(connectus, name, field, "x" * (limit + 1))

    assert str(limit + 1) in str(error)
    assert str(limit) in str(error)
    assert not emulator.requests


@pytest.mark.parametrize("sign", CONTROLS + SEPARATORS, ids=ascii)
@pytest.mark.parametrize("text", ["Hola{}Bcc: x@example.com", "{}Hola", "Hola{}"])
async def test_a_control_character_in_a_line_is_refused(
    text: str, sign: str, connectus: AsyncConnectus, emulator: Emulator
):
    """A line break in a subject, a name or an address could forge a header."""
    for name, field in LINES + IDENTIFIERS:
        await assert_refused(connectus, name, field, text.format(sign))
    for name, field in ADDRESSES:
        await assert_refused(connectus, name, field, text.format(sign) + "@example.com")
        await assert_refused(connectus, name, field, "ana@example.com" + sign)

    assert not emulator.requests


async def test_a_line_that_is_too_long_is_refused(connectus: AsyncConnectus, emulator: Emulator):
    """RFC 5322 ends a line at 998 characters."""
    for name, field in LINES:
        await assert_refused(connectus, name, field, "x" * 999)

    assert not emulator.requests


@pytest.mark.parametrize(
    "value",
    [
        *[None, 1, True, b"ana@example.com", ["ana@example.com"]],
        *["", " ", "ana", "@", "ana@", "@example.com", "ana @example.com", "ana@exam ple.com"],
        *["ana@example.com, eva@example.com", "ana@example.com;eva@example.com", "a@b@c.cl"],
        *["Ana <ana@example.com>", "<ana@example.com>", "ana\xa0@example.com"],
        *["ana@example\N{ZERO WIDTH SPACE}.com", "a\N{RIGHT-TO-LEFT OVERRIDE}@b.cl", "ana@\ud800"],
        f"{'a' * 250}@b.cl",
    ],
    ids=label,
)
async def test_what_is_no_email_address_is_refused(
    value: Any, connectus: AsyncConnectus, emulator: Emulator
):
    """One address, bare; two in one field would be one email to both."""
    for name, field in ADDRESSES:
        await assert_refused(connectus, name, field, value)

    assert not emulator.requests


@pytest.mark.parametrize(
    "value",
    [
        *[True, False, 1.5, b"c79", ["c79"], "", " ", ".", "..", "...", "\ud800", "x" * 257],
        *[-1, HUGE, "c79\N{ZERO WIDTH SPACE}", "c\xa079"],
    ],
    ids=label,
)
async def test_what_is_no_identifier_is_refused(
    value: Any, connectus: AsyncConnectus, emulator: Emulator
):
    """Dots alone would climb the path; blanks and huge numbers name nothing."""
    for name, field in IDENTIFIERS:
        await assert_refused(connectus, name, field, value)

    assert not emulator.requests


async def test_an_identifier_that_is_needed_cannot_be_none(
    connectus: AsyncConnectus, emulator: Emulator
):
    """An identifier that was never given is not the text None."""
    for name, field in IDENTIFIERS:
        if field not in {"id_delivery", "id_client"}:
            await assert_refused(connectus, name, field, None)

    assert not emulator.requests


@pytest.mark.parametrize("value", ["/", "//", "cnct.us/..", "cnct.us//.//"])
async def test_a_short_link_without_a_code_is_refused(
    value: str, connectus: AsyncConnectus, emulator: Emulator
):
    """There is nothing to ask for."""
    await assert_refused(connectus, "short_links.events", "short_link", value)

    assert not emulator.requests


@pytest.mark.parametrize(
    "value",
    [
        *[None, 1, True, b"https://a.cl", "", " ", "www.connectus.cl", "ftp://a.cl"],
        *["javascript:alert(1)", "https://a.cl/a b", "https://a.cl/\n", " https://a.cl"],
        *["https://a.cl/\0", "https://a.cl/\x1b", "https://a.cl/\ud800", "https://", "http:///a"],
        f"https://a.cl/{'x' * 8192}",
    ],
    ids=label,
)
async def test_what_is_no_link_is_refused(
    value: Any, connectus: AsyncConnectus, emulator: Emulator
):
    """Whoever clicks is to arrive somewhere."""
    await assert_refused(connectus, "short_links.create", "link", value)

    assert not emulator.requests


@pytest.mark.parametrize(
    "value",
    [None, 0, -1, True, False, 1.0, 28.5, "28", b"28", 10**30, 2**63, float("nan")],
    ids=repr,
)
async def test_what_is_no_amount_is_refused(
    value: Any, connectus: AsyncConnectus, emulator: Emulator
):
    """True is not one message; and balances move in whole messages."""
    for name, field in AMOUNTS:
        await assert_refused(connectus, name, field, value)
    for name in ("clients.add_balance", "clients.remove_balance"):
        with pytest.raises(InvalidArgumentError) as caught:
            await call(connectus, name, product=Product.SMS, id_country=value)
        assert caught.value.field == "id_country"

    assert not emulator.requests


@pytest.mark.parametrize("name", ["clients.add_balance", "clients.remove_balance"])
async def test_a_country_goes_with_sms_alone(
    name: str, connectus: AsyncConnectus, emulator: Emulator
):
    """It is needed exactly where SMS are counted by country."""
    for product in (Product.EMAIL, Product.WHATSAPP, 2, 3, 4):
        with pytest.raises(InvalidArgumentError) as caught:
            await call(connectus, name, product=product, id_country=1)
        assert caught.value.field == "id_country"
    for product in (Product.SMS, 1):
        with pytest.raises(InvalidArgumentError) as caught:
            await call(connectus, name, product=product)
        assert caught.value.field == "id_country"

    assert not emulator.requests


BAD_DATES = [
    *[None, 1, True, 20260701, "", "today", "01-07-2026", "2026/07/01", "2026-13-01", "2026-02-30"],
    *["2026-07-01T00:00:00", "2026-07-01 00:00:00", "2026-07-01Z", "2026-07-01\n", b"2026-07-01"],
    dt.time(9, 30),
]


@pytest.mark.parametrize("value", BAD_DATES, ids=repr)
async def test_what_is_no_date_is_refused(
    value: Any, connectus: AsyncConnectus, emulator: Emulator
):
    """The API's form alone, and days that exist."""
    for name, field in DATES:
        await assert_refused(connectus, name, field, value)

    assert not emulator.requests


@pytest.mark.parametrize(
    "value",
    [
        *[1, True, 1.5, "", "tomorrow", "2026-07-01", "2026-07-01T09:30:00", "2026-07-01 09:30"],
        *["2026-07-01 25:00:00", "2026-07-01 09:30:00Z", "2026-07-01 09:30:00 ", b"x"],
        dt.date(2026, 7, 31),
    ],
    ids=repr,
)
async def test_what_is_no_moment_is_refused(
    value: Any, connectus: AsyncConnectus, emulator: Emulator
):
    """A day alone would be midnight, when nobody wants a message."""
    for name, field in MOMENTS:
        await assert_refused(connectus, name, field, value)

    assert not emulator.requests


async def test_a_period_that_ends_before_it_begins_is_refused(
    connectus: AsyncConnectus, emulator: Emulator
):
    """It would come back empty, as if nothing had been sent."""
    with pytest.raises(InvalidArgumentError) as caught:
        await connectus.sms.by_date("2026-07-02", "2026-07-01")

    assert caught.value.field == "end_date"
    assert not emulator.requests


@pytest.mark.parametrize("value", ["Hash", "md5", "", True, 1, [], {}], ids=repr)
async def test_content_is_saved_as_a_hash_or_as_it_is(
    value: Any, connectus: AsyncConnectus, emulator: Emulator
):
    """A misspelt "hash" would store a one-time password in plain sight."""
    await assert_refused(connectus, "sms.send_otp", "save_content", value)

    assert not emulator.requests


ENDLESS: dict[str, Any] = {}
ENDLESS["endless"] = ENDLESS


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(depth):
        inner = {"inner": inner}
    return inner


@pytest.mark.parametrize(
    "value",
    [
        *[5, "x", [1], True, {"x": object()}, {"x": {1}}, {"x": b"x"}, {"x": "\ud800"}],
        *[ENDLESS, nested(100_000)],
    ],
    ids=lambda value: type(value).__name__,
)
async def test_options_that_json_cannot_say_are_refused(
    value: Any, connectus: AsyncConnectus, emulator: Emulator
):
    """The options of a group are the one argument that is free in form."""
    await assert_refused(connectus, "whatsapp_qr.groups.create", "options", value)

    assert not emulator.requests


async def test_a_change_of_nothing_is_refused(connectus: AsyncConnectus, emulator: Emulator):
    """Nothing to change is a mistake in the calling code."""
    for change in (
        connectus.deliveries.update("c79"),
        connectus.whatsapp_qr.groups.update_info("Vecinos"),
    ):
        with pytest.raises(InvalidArgumentError):
            await change

    assert not emulator.requests


# Good values, and the form in which they go on the wire


@pytest.fixture(scope="module")
def all_bodies() -> list[Any]:
    return []


@pytest.fixture
def bodies(all_bodies: list[Any]) -> list[Any]:
    """Take note of each JSON body."""
    all_bodies.clear()
    return all_bodies


@pytest.fixture(scope="module")
async def recorded(all_bodies: list[Any]) -> AsyncIterator[AsyncConnectus]:
    async def handle(request: web.Request) -> web.Response:
        all_bodies.append(await request.json() if request.can_read_body else dict(request.query))
        return web.json_response({})

    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with AsyncConnectus(
        "user", "key", qr_token="token", base_url=url, qr_base_url=url
    ) as connectus:
        yield connectus
    await runner.cleanup()


GOOD_NUMBERS = [
    "56987688060",
    56987688060,
    "+56987688060",
    "+56 9 8768 8060",
    "+56 9 8768-8060",
    " 56987688060\n",
    "56\xa09\xa08768\xa08060",
    "56\N{NARROW NO-BREAK SPACE}987688060",
    "\t+56\N{FIGURE SPACE}9\N{THIN SPACE}87688060",
    "56-9-8768-8060",
    "56\N{NON-BREAKING HYPHEN}9\N{EN DASH}87688060",
    "\N{LEFT-TO-RIGHT EMBEDDING}+56 9 8768 8060\N{POP DIRECTIONAL FORMATTING}",
    "5698768\N{ZERO WIDTH SPACE}8060",
    Decimal(56987688060),
    Decimal("5.6987688060E10"),
    Decimal("56987688060.00"),
]


@pytest.mark.parametrize("value", GOOD_NUMBERS, ids=ascii)
async def test_a_number_goes_on_the_wire_as_digits(
    value: Any, recorded: AsyncConnectus, bodies: list[Any]
):
    """As a JSON number for SMS, which is how the API shows it, and as text elsewhere."""
    for name, field in NUMBERS:
        await call(recorded, name, **{field: value})
        assert bodies[-1][field] == (56987688060 if name.startswith("sms") else "56987688060")
    for name, field in NUMBER_LISTS:
        await call(recorded, name, **{field: iter([value, value])})
        assert bodies[-1][field] == ["56987688060"] * 2


@pytest.mark.parametrize(
    ("value", "wire"), [("12345678", 12345678), ("123456789012345", 123456789012345)]
)
async def test_numbers_have_8_to_15_digits(
    value: str, wire: int, recorded: AsyncConnectus, bodies: list[Any]
):
    """The shortest and the longest that E.164 knows."""
    await recorded.sms.send(value, "Hola")

    assert bodies[-1]["dst_number"] == wire


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        ("4374", 4374),
        (4374, 4374),
        ("+56 442340006", 56442340006),
        ("43\u200b74", 4374),
        ("0800", "0800"),
        ("0", "0"),
    ],
)
async def test_a_source_may_be_a_short_code(
    value: Any, wire: Any, recorded: AsyncConnectus, bodies: list[Any]
):
    """A leading zero is kept by sending it as text."""
    for name, field in SOURCE_NUMBERS:
        await call(recorded, name, **{field: value})
        assert bodies[-1][field] == wire
        assert type(bodies[-1][field]) is type(wire)


EXACT = [
    "Hola",
    " Hola ",
    "Hola\nAna\r\n\tadiós",
    "\N{BELL}",
    "\U0001f600" * 40,
    'comillas " y \\ y </script>',
    "\0",
    "Hola\N{LINE SEPARATOR}Ana",
]


@pytest.mark.parametrize("value", EXACT, ids=ascii)
async def test_a_text_goes_on_the_wire_as_it_is(
    value: str, recorded: AsyncConnectus, bodies: list[Any]
):
    """Blanks and line breaks belong to the message."""
    for name, field, _ in TEXTS:
        await call(recorded, name, **{field: value})
        assert bodies[-1].get(field, bodies[-1].get("newDescription")) == value


@pytest.mark.parametrize(("name", "field", "limit"), TEXTS)
async def test_a_text_may_be_as_long_as_its_limit(
    name: str, field: str, limit: int, recorded: AsyncConnectus, bodies: list[Any]
):
    """The limit itself is let through."""
    await call(recorded, name, **{field: "x" * limit})

    assert len(bodies[-1].get(field, bodies[-1].get("newDescription"))) == limit


LINES_THAT_ARE_FINE = [
    "¿Listo? 50\xa0% de descuento",
    "Familia \U0001f468\N{ZERO WIDTH JOINER}\U0001f469\N{ZERO WIDTH JOINER}\U0001f467",
    "\u2764\N{VARIATION SELECTOR-16} Vecinos",
    "שלום\N{RIGHT-TO-LEFT MARK}!",
    "नमस्ते",
    "new emoji \U0001fae9",
    "\N{EM SPACE}Hola",
]


@pytest.mark.parametrize("value", LINES_THAT_ARE_FINE, ids=ascii)
async def test_a_line_may_have_any_character_that_is_no_control(
    value: str, recorded: AsyncConnectus, bodies: list[Any]
):
    """Subjects and group names are full of emoji and typographic blanks."""
    await recorded.email.send("ana@example.com", value, "x", src_email=SOURCE)
    await recorded.whatsapp_qr.groups.send(value, "x")
    await recorded.clients.create(value)

    assert [bodies[0]["subject"], bodies[1]["groupName"], bodies[2]["name"]] == [value] * 3


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        ("ana@example.com", "ana@example.com"),
        (" ana@example.com ", "ana@example.com"),
        ("ana+x@mail.example.com", "ana+x@mail.example.com"),
        ("ñandú@ejemplo.cl", "ñandú@ejemplo.cl"),
        ("ana@localhost", "ana@localhost"),
        (f"{'a' * 249}@b.cl", f"{'a' * 249}@b.cl"),
    ],
)
async def test_an_email_address_goes_on_the_wire_bare(
    value: str, wire: str, recorded: AsyncConnectus, bodies: list[Any]
):
    """Blanks around it come from copying."""
    for name, field in ADDRESSES:
        await call(recorded, name, **{field: value})
        assert bodies[-1][field] == wire


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        ("2026-07-01", "2026-07-01"),
        ("2026-7-1", "2026-07-01"),
        (dt.date(2026, 7, 1), "2026-07-01"),
        (dt.datetime(2026, 7, 1, 23, 59, tzinfo=dt.UTC), "2026-07-01"),
        (dt.datetime(2026, 7, 2, 3, 59, tzinfo=dt.UTC), "2026-07-01"),
        (dt.datetime(2026, 7, 1, 23, 59), "2026-07-01"),
        (dt.date(26, 7, 1), "0026-07-01"),
    ],
)
async def test_a_date_goes_on_the_wire_in_the_apis_form(
    value: Any, wire: str, recorded: AsyncConnectus, bodies: list[Any]
):
    """A day, whatever it is given as; of an aware moment, the day that it is in Santiago."""
    await recorded.sms.by_date(value, "2026-12-31")

    assert bodies[-1] == {"begin_date": wire, "end_date": "2026-12-31"}


SANTIAGO = dt.timezone(dt.timedelta(hours=-4))


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        ("2026-07-31 09:30:00", "2026-07-31 09:30:00"),
        ("2026-7-31 9:30:0", "2026-07-31 09:30:00"),
        (dt.datetime(2026, 7, 31, 9, 30), "2026-07-31 09:30:00"),
        (dt.datetime(2026, 7, 31, 13, 30, tzinfo=dt.UTC), "2026-07-31 09:30:00"),
        (dt.datetime(2026, 7, 31, 9, 30, 5, 999, tzinfo=SANTIAGO), "2026-07-31 09:30:05"),
        (dt.datetime(2026, 12, 31, 13, 30, tzinfo=dt.UTC), "2026-12-31 10:30:00"),
    ],
)
async def test_a_moment_goes_on_the_wire_in_the_time_of_santiago(
    value: Any, wire: str, recorded: AsyncConnectus, bodies: list[Any]
):
    """An aware datetime is converted, summer time included; a naive one is taken as it stands."""
    await recorded.deliveries.create("Navidad", value, Product.SMS)
    await recorded.deliveries.update("c79", deliver_at=value)

    assert [body["delivery"]["deliver_at"] for body in bodies] == [wire, wire]


async def test_amounts_and_products_go_on_the_wire_as_numbers(
    recorded: AsyncConnectus, bodies: list[Any]
):
    """A product by name or by number, an unknown number as well."""
    await recorded.clients.add_balance("c79", 1, Product.SMS, id_country=1)
    await recorded.clients.remove_balance("c79", 10**9, Product.EMAIL)
    await recorded.clients.add_balance("c79", 2, 9)

    assert bodies == [
        {"amount": 1, "product": 1, "id_country": 1},
        {"amount": 10**9, "product": 2},
        {"amount": 2, "product": 9},
    ]


async def test_options_go_on_the_wire_as_they_are(recorded: AsyncConnectus, bodies: list[Any]):
    """Whatever JSON can say."""
    options = {"announce": True, "memo": None, "nested": {"list": [1, "dos", 3.5]}}
    await recorded.whatsapp_qr.groups.create("Vecinos", [NUMBER], options)
    await recorded.whatsapp_qr.groups.create("Vecinos", [NUMBER])

    assert [body["options"] for body in bodies] == [options, {}]


async def test_what_is_left_out_does_not_go_on_the_wire(
    recorded: AsyncConnectus, bodies: list[Any]
):
    """No null where the API expects nothing."""
    await recorded.sms.send(NUMBER, "Hola", src_number=None, id_delivery=None, id_client=None)

    assert bodies == [{"dst_number": 56987688060, "sms_content": "Hola"}]


# Identifiers in the path

PATHS = {
    "c79": "c79",
    "a/b": "a%2Fb",
    "../account": "..%2Faccount",
    "a?b=c": "a%3Fb%3Dc",
    "a#b": "a%23b",
    "a b": "a%20b",
    " a": "%20a",
    "a%2Fb": "a%252Fb",
    "{id}": "%7Bid%7D",
    "{0.__class__}": "%7B0.__class__%7D",
    "ñ": "%C3%B1",
    ".a": ".a",
    "..;": "..%3B",
    "a\\b": "a%5Cb",
    "x" * 256: "x" * 256,
}


@pytest.mark.parametrize(("value", "wire"), PATHS.items(), ids=lambda value: value[:20])
async def test_an_identifier_stays_in_its_place_of_the_path(value: str, wire: str):
    """A slash, a question mark or dots in it cannot turn the call into another."""
    async with (
        HostileServer(keep_alive(http())) as server,
        AsyncConnectus("user", "key", base_url=f"{server.url}/api_v3") as connectus,
    ):
        await connectus.sms.status(value)
        await connectus.clients.update(value, "Colegio")
        await connectus.whatsapp.status(value)

    assert server.targets == [
        f"/api_v3/sms/{wire}",
        f"/api_v3/clients/{wire}",
        f"/api_v3/whatsapp/status?message_id={wire}",
    ]


async def test_an_identifier_may_be_an_int(recorded: AsyncConnectus, bodies: list[Any]):
    """The API shows some as numbers."""
    await recorded.sms.send(NUMBER, "Hola", id_client=11)

    assert json.dumps(bodies[-1]["id_client"]) == '"11"'


@pytest.mark.parametrize(
    "value",
    ["13neyY", "cnct.us/13neyY", "https://cnct.us/13neyY", "https://cnct.us/13neyY/"],
)
async def test_a_short_link_is_asked_for_by_its_code(value: str):
    """As the API gave it, as a URL, or bare."""
    async with (
        HostileServer(keep_alive(http())) as server,
        AsyncConnectus("user", "key", base_url=server.url) as connectus,
    ):
        await connectus.short_links.events(value)

    assert server.targets == ["/short_link/13neyY"]


@pytest.mark.parametrize("number", ["5.69877E+10", "5,69877e+10", "6E10"])
async def test_a_number_that_a_spreadsheet_spoilt_is_explained(
    number: str, connectus: AsyncConnectus
):
    """The digits are gone, so nothing is guessed; the error says how to keep them."""
    with pytest.raises(InvalidArgumentError, match="scientific notation"):
        await connectus.sms.send(number, "Hola")
