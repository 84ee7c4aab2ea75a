"""No credentials and no personal data in logs, in the `repr` of any object, or in errors."""

import asyncio
import base64
import inspect
import json
import logging
import pickle
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hostile import HostileServer, answer, http, keep_alive

from connectus_async import (
    AsyncConnectus,
    ConfigurationError,
    ConnectusError,
    Email,
    InvalidArgumentError,
    RequestError,
    Sms,
    WhatsApp,
    converter,
    redaction,
)
from connectus_async.answer import Response
from connectus_async.call import Call, Host
from connectus_async.config import Config
from connectus_async.emulator import Emulator, Fault
from connectus_async.products.account import Account
from connectus_async.products.clients import BalanceChange
from connectus_async.products.email import EmailReceipt
from connectus_async.products.short_links import LinkEvents
from connectus_async.products.sms import SmsReceipt, SmsReport, SmsStatusReport
from connectus_async.products.whatsapp import WhatsAppConversation, WhatsAppReceipt

CALLS = json.loads((Path(__file__).parent / "contract/calls.json").read_text("utf-8"))

USER, KEY, TOKEN = "usuario-quetzal", "clave-quetzal-4471", "token-quetzal-9923"
CREDENTIALS = [
    USER,
    KEY,
    TOKEN,
    base64.b64encode(f"{USER}:{KEY}".encode()).decode(),
]

NUMBER, SOURCE = "56911223344", "56944556677"
ADDRESS, SOURCE_ADDRESS = "ana.soto@ejemplo.cl", "hola@empresa-quetzal.cl"
TEXT = "Hola Ana, tu clave es 493021"
PERSONAL = {
    "dst_number": NUMBER,
    "src_number": SOURCE,
    "number": NUMBER,
    "numbers": [NUMBER, SOURCE],
    "dst_email": ADDRESS,
    "src_email": SOURCE_ADDRESS,
    "sms_content": TEXT,
    "email_content": f"<h1>{TEXT}</h1>",
    "subject": TEXT,
    "whatsapp_content": TEXT,
    "message": TEXT,
    "new_description": TEXT,
}

HIDDEN = [*CREDENTIALS, NUMBER, SOURCE, ADDRESS, SOURCE_ADDRESS, TEXT, "493021"]


def assert_hidden(shown: object) -> None:
    """Look for every hidden value, in any case, and for a number with blanks in it."""
    text = str(shown).casefold()
    for value in HIDDEN:
        assert value.casefold() not in text
    assert NUMBER not in "".join(sign for sign in text if sign.isalnum())


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(api_user=USER, api_key=KEY, qr_token=TOKEN) as emulator:
        yield emulator


def method(connectus: AsyncConnectus, name: str) -> Any:
    found: Any = connectus
    for part in name.split("."):
        found = getattr(found, part)
    return found


def with_personal_arguments(call: Any, row: dict[str, Any]) -> dict[str, Any]:
    """Bind a row's arguments to their names, and put recognisable ones where they are personal."""
    arguments = inspect.signature(call).bind(*row["args"], **row["kwargs"]).arguments
    return arguments | {name: PERSONAL[name] for name in arguments if name in PERSONAL}


async def everything(connectus: AsyncConnectus) -> list[object]:
    """Make every call of the collection; return the answers and the errors."""
    results: list[object] = []
    for row in CALLS:
        call = method(connectus, row["method_name"])
        try:
            results.append(await call(**with_personal_arguments(call, row)))
        except ConnectusError as error:
            results.append(error)
    return results


def client(emulator: Emulator, **options: Any) -> AsyncConnectus:
    return AsyncConnectus(
        USER,
        KEY,
        qr_token=TOKEN,
        base_url=emulator.base_url,
        qr_base_url=emulator.qr_base_url,
        **({"backoff_base": 0} | options),
    )


def shown(value: object) -> str:
    """Everything that printing, logging or raising shows of a value."""
    texts = [repr(value), str(value), f"{value}", f"{value!a}"]
    if isinstance(value, BaseException):
        texts += traceback.format_exception(value)
        texts.append(repr(value.args))
    return "\n".join(texts)


FAULTS = {
    "none": None,
    "500": Fault.status(500, {"error": f"cannot send to {NUMBER} with the key {KEY}"}),
    "400": Fault.status(400, {"message": f"{ADDRESS}: no such person"}),
    "429": Fault.too_many(retry_after=0),
    "reset": Fault.reset_after(),
    "half": Fault.half_answer(),
    "garbage": Fault.garbage(f"{NUMBER} {TEXT} {KEY}"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_nothing_is_shown_of_a_run_through_all_calls(
    fault: Fault | None, emulator: Emulator, caplog: pytest.LogCaptureFixture
):
    """Root logger at DEBUG, asyncio in debug mode, every result and every error printed."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(enabled=True)
    if fault:
        emulator.fault(fault)

    async with client(emulator, max_retries=1) as connectus:
        results = await everything(connectus)

    assert set(emulator.requests) == {row["method_name"] for row in CALLS}
    assert caplog.text.count("connectus_async") >= len(CALLS)
    assert_hidden(caplog.text)
    for result in results:
        assert_hidden(shown(result))
        if isinstance(result, RequestError):
            assert_hidden(shown(pickle.loads(pickle.dumps(result))))


async def test_the_log_says_what_happened(emulator: Emulator, caplog: pytest.LogCaptureFixture):
    """Method, path without identifiers, status, outcome and try: one line for each try."""
    caplog.set_level(logging.DEBUG, "connectus_async")
    emulator.fault(Fault.status(503), route="sms.status", times=1)
    async with client(emulator) as connectus:
        receipt = await connectus.sms.send(NUMBER, TEXT)
        await connectus.sms.status(receipt.id)

    lines = [record.getMessage() for record in caplog.records if record.name == "connectus_async"]
    assert [line.partition(" in ")[0] for line in lines] == [
        "POST /sms/send_individual: 200 accepted",
        "GET /sms/{id}: 503 unknown",
        "GET /sms/{id}: 200 accepted",
    ]
    assert [line[-5:] for line in lines] == ["try 1", "try 1", "try 2"]
    assert receipt.id not in caplog.text


async def test_nothing_is_shown_of_a_client_and_what_it_is_made_of(emulator: Emulator):
    """A client ends up in a traceback with its locals, or in a debugger's window."""
    async with client(emulator) as connectus:
        await connectus.account.get()
        parts = [connectus, connectus.with_options(timeout=1), connectus._transport]
        parts += [connectus._transport.config, connectus._transport._pool]
        parts += vars(connectus).values()
        parts += [connectus.bulk(), connectus.whatsapp_qr.groups, connectus.whatsapp_qr.messages]
        for part in parts:
            assert_hidden(shown(part))


MESSAGES = [
    Sms(NUMBER, TEXT, src_number=SOURCE),
    Sms(int(NUMBER), TEXT, src_number=int(SOURCE)),
    Email(ADDRESS, TEXT, TEXT, src_email=SOURCE_ADDRESS),
    WhatsApp(NUMBER, TEXT, src_number=SOURCE),
    Config(api_user=USER, api_key=KEY, qr_token=TOKEN, proxy=f"http://{USER}:{KEY}@127.0.0.1:1"),
    Call(
        method="POST",
        path="/sms/{id}",
        host=Host.PLATFORM,
        ids={"id": NUMBER},
        query={"dst_number": NUMBER},
        body={"sms_content": TEXT},
    ),
    Response(200, {"X-Echo": NUMBER}, TEXT.encode()),
]


@pytest.mark.parametrize("value", MESSAGES, ids=lambda value: type(value).__name__)
def test_nothing_is_shown_of_what_is_sent(value: object):
    """What a message is, where it goes and what it says are for the server alone."""
    assert_hidden(shown(value))
    assert_hidden(shown([value]))


ROW = {"src_number": int(SOURCE), "dst_number": NUMBER, "sms_content": TEXT, "nueva": TEXT}
ANSWERS = [
    (SmsReceipt, {"id": f"{NUMBER}-1", "status": f"sent to {NUMBER}: {TEXT}"}),
    (EmailReceipt, {"id": ADDRESS, "status": TEXT}),
    (WhatsAppReceipt, {"message_id": NUMBER, "status": NUMBER}),
    (SmsStatusReport, {"status": f"{NUMBER} {TEXT}"}),
    (BalanceChange, {"message": f"added for {ADDRESS}"}),
    (LinkEvents, {"link": f"https://empresa.cl/?email={ADDRESS}"}),
    (SmsReport, {"messages": [ROW, ROW | {"dst_number": int(NUMBER)}]}),
    (SmsReport, [ROW]),
    (WhatsAppConversation, {"messages": [{"dst_number": NUMBER, "whatsapp_content": TEXT}]}),
    (
        Account,
        {
            "phone": int(NUMBER),
            "email": ADDRESS,
            "sms_status_hook_url": f"https://empresa.cl/{KEY}",
            "users": [{"name": TEXT, "phone": NUMBER, "email": ADDRESS}],
            "src_numbers": [{"src_number": int(SOURCE)}],
            "src_emails": [{"src_email": SOURCE_ADDRESS}],
            "unknown": [NUMBER],
        },
    ),
]


@pytest.mark.parametrize(("answer_type", "body"), ANSWERS)
def test_nothing_is_shown_of_what_is_answered(answer_type: type, body: Any):
    """Reports and the account are full of people; `raw` has it all and shows nothing."""
    structured = converter.structure(answer_type, body, Response(200, {}, b""))

    assert structured.raw == body
    assert_hidden(shown(structured))


# What a server may say about a request

ECHOES = {
    "number": NUMBER,
    "number with plus": f"+{NUMBER} is not a mobile",
    "number with blanks": "number +56 9 1122 3344 is not a mobile",
    "number with dashes": "number 56-9-1122-3344",
    "half a number": f"{NUMBER[:6]} is no prefix",
    "address": f"<{ADDRESS}> bounced",
    "address in capitals": ADDRESS.upper(),
    "another number": "use 56 9 8765 4321 or otro@ejemplo.cl instead",
    "text": f"cannot send {TEXT!r}",
    "text, cut": f"cannot send '{TEXT[:-2]}…'",
    "text, cut in a word": "cannot send 'Hola Ana, tu cla'",
    "text in capitals": TEXT.upper(),
    "text in HTML": f"cannot send &quot;{TEXT.replace(' ', '&nbsp;')}&quot;",
    "text, wrapped": TEXT.replace(" ", "\n    "),
    "code": "the code 493021 was used before",
    "key": f"the key {KEY} is not valid",
    "user": f"user {USER} may not",
    "token": f"Bearer {TOKEN}",
    "authorization": f"Authorization: Basic {CREDENTIALS[-1]}",
    "everything": f"{NUMBER}{ADDRESS}{TEXT}{KEY}",
    "long": f"{'x' * 1990}{NUMBER} {TEXT}",
    "long, of numbers": f"{NUMBER} " * 400,
}


@pytest.mark.parametrize("status", [200, 302, 400, 401, 402, 404, 418, 429, 500])
@pytest.mark.parametrize("member", ["error", "message"])
async def test_an_error_does_not_repeat_what_the_server_echoes(status: int, member: str):
    """Servers like to quote what they refuse; our sentence keeps their words, not their quotes."""
    if (status, member) == (200, "message"):
        return  # is no error
    async with HostileServer() as server:
        connectus = AsyncConnectus(
            USER, KEY, qr_token=TOKEN, base_url=server.url, qr_base_url=server.url, max_retries=0
        )
        async with connectus:
            for echo in ECHOES.values():
                server.reply = keep_alive(http(status, json.dumps({member: echo}).encode()))
                calls = [
                    connectus.sms.send(NUMBER, TEXT),
                    connectus.email.send(ADDRESS, TEXT, TEXT, src_email=SOURCE_ADDRESS),
                    connectus.whatsapp.messages(SOURCE, NUMBER),
                    connectus.whatsapp_qr.messages.send(NUMBER, TEXT),
                ]
                for call in calls:
                    with pytest.raises(RequestError) as caught:
                        await call
                    text = shown(caught.value)
                    assert_hidden_of_the_call(text, caught.value.call)
                    assert "8765 4321" not in text
                    assert "otro@" not in text


def assert_hidden_of_the_call(text: str, call: str) -> None:
    """Look for what the call carried, and for what looks like a number or an address."""
    for value in (*CREDENTIALS, NUMBER, SOURCE, ADDRESS, SOURCE_ADDRESS):
        assert value.casefold() not in text.casefold()
    if "messages" not in call:
        for word in ("hola", "clave", "493021"):
            assert word not in text.replace("hola@", "").casefold()


async def test_a_servers_words_are_kept_where_they_are_harmless():
    """Or nobody would know what to do."""
    words = "sms_content is too long: 161 characters where 160 are allowed"
    async with (
        HostileServer(keep_alive(http(400, json.dumps({"error": words}).encode()))) as server,
        AsyncConnectus(USER, KEY, base_url=server.url) as connectus,
    ):
        with pytest.raises(RequestError, match=words):
            await connectus.sms.send(NUMBER, TEXT)


@pytest.mark.parametrize(
    "words",
    ["\ud800", "\x1b[2J\x1b]0;title\x07", "a\0b", "\N{RIGHT-TO-LEFT OVERRIDE}x", "\r\nX: y"],
)
def test_a_servers_words_are_safe_to_print(words: str):
    """No half characters that cannot be written, and nothing that steers a terminal."""
    scrubbed = redaction.scrubbed(f"no: {words}")

    assert scrubbed.isprintable()
    assert scrubbed.startswith("no:")


@pytest.mark.parametrize("sign", ["a", "1", " ", "@", "a@", "1 ", "("])
def test_a_huge_error_text_is_cut_before_it_is_searched(sign: str):
    """A server cannot stop the event loop with a long word; the bound is a test's time limit."""
    scrubbed = redaction.scrubbed(sign * (16 * 2**20 // len(sign)), {"sms_content": TEXT})

    assert len(scrubbed) <= redaction.MAX_DETAIL_LENGTH + 1


def test_no_detail_is_shown_of_an_error_about_a_huge_request():
    """To look for parts of a megabyte in each refusal would hold up the event loop."""
    assert redaction.scrubbed("the address is unknown", {"email_content": "x" * 2**20}) == "…"


ODD_ANSWERS = {
    "encoding": http(200, b"{}", {"Content-Encoding": NUMBER}),
    "encoding is the key": http(200, b"{}", {"Content-Encoding": KEY}),
    "reason phrase": f"HTTP/1.1 400 {NUMBER} {TEXT}\r\nContent-Length: 0\r\n\r\n".encode(),
    "header": http(400, b"{}", {"X-Echo": f"{NUMBER} {KEY}"}),
    "location": http(302, b"", {"Location": f"https://{USER}:{KEY}@empresa.cl/{NUMBER}"}),
    "status line": f"{NUMBER} {TEXT} {KEY}\r\n\r\n".encode(),
    "bad header": f"HTTP/1.1 200 OK\r\n{NUMBER} {TEXT} {KEY}\r\n\r\n".encode(),
    "bad chunk": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{KEY}\r\n".encode(),
    "body": http(200, f"{NUMBER} {TEXT} {KEY}".encode()),
    "retry-after": http(429, b"{}", {"Retry-After": KEY}),
}


@pytest.mark.parametrize("raw", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
async def test_nothing_is_shown_of_an_odd_answer(raw: bytes, caplog: pytest.LogCaptureFixture):
    """A proxy may echo a request anywhere."""
    caplog.set_level(logging.DEBUG)
    async with (
        HostileServer(answer(raw)) as server,
        AsyncConnectus(USER, KEY, base_url=server.url, backoff_base=0) as connectus,
    ):
        with pytest.raises(RequestError) as caught:
            await connectus.account.get()

    assert_hidden(shown(caught.value))
    assert_hidden(caplog.text)


INVALID = [
    ("sms.send", {"dst_number": f"{NUMBER}x", "sms_content": TEXT}),
    ("sms.send", {"dst_number": NUMBER * 2, "sms_content": TEXT}),
    ("sms.send", {"dst_number": NUMBER, "sms_content": f"{TEXT}\ud800"}),
    ("sms.send", {"dst_number": NUMBER, "sms_content": TEXT * 2000}),
    ("sms.by_date", {"begin_date": NUMBER, "end_date": TEXT}),
    ("deliveries.create", {"name": "x", "deliver_at": TEXT, "id_product": 1}),
    (
        "email.send",
        {"dst_email": f"{ADDRESS} x", "subject": TEXT, "email_content": TEXT, "src_email": ADDRESS},
    ),
    ("short_links.create", {"link": f"ftp://{KEY}"}),
    ("whatsapp_qr.groups.create", {"name": "x", "numbers": [NUMBER, f"{NUMBER}x"]}),
    (
        "whatsapp_qr.groups.create",
        {"name": "x", "numbers": [NUMBER], "options": {"text": {TEXT: {NUMBER}}}},
    ),
]


@pytest.mark.parametrize(("name", "arguments"), INVALID)
async def test_nothing_is_shown_of_an_invalid_argument(
    name: str, arguments: dict[str, Any], emulator: Emulator
):
    """The error names the argument, for a log that others read."""
    async with client(emulator) as connectus:
        with pytest.raises(InvalidArgumentError) as caught:
            await method(connectus, name)(**arguments)

    assert_hidden(shown(caught.value))
    assert not emulator.requests


# Where credentials may go

CONFIG_ERRORS = [
    {"api_user": f"{USER}:x", "api_key": KEY},
    {"api_user": USER, "api_key": f"{KEY}\n"},
    {"api_user": USER, "api_key": KEY, "qr_token": f" {TOKEN}"},
    {"api_user": USER, "api_key": KEY, "base_url": f"https://{USER}:{KEY}@plataforma.connectus.la"},
    {"api_user": USER, "api_key": KEY, "base_url": f"https://{USER}:{KEY}/x@connectus.la"},
    {"api_user": USER, "api_key": KEY, "base_url": f"https://{USER}:{KEY}@conn℀ectus.la"},
    {"api_user": USER, "api_key": KEY, "base_url": f"https://connectus.la/?key={KEY}"},
    {"api_user": USER, "api_key": KEY, "proxy": f"{USER}:{KEY}@proxy:port"},
    {"api_user": USER, "api_key": KEY, "proxy": f"socks5://{USER}:{KEY}@proxy:1080"},
    {"api_user": USER, "api_key": KEY, "proxy": f"http://{USER}:{KEY}@pro℀xy:3128"},
    {"api_user": USER, "api_key": KEY, "timeout": KEY},
]


@pytest.mark.parametrize("settings", CONFIG_ERRORS, ids=lambda settings: [*settings][-1])
def test_nothing_is_shown_of_a_wrong_setting(settings: dict[str, str]):
    """Secrets end up in the wrong place; an error must not spread them further."""
    with pytest.raises(ConfigurationError) as caught:
        AsyncConnectus(**settings)

    assert_hidden(shown(caught.value))


@pytest.mark.parametrize("setting", ["base_url", "qr_base_url"])
@pytest.mark.parametrize(
    "url",
    [
        "http://plataforma.connectus.la/api_v3",
        "HTTP://plataforma.connectus.la",
        "http://10.0.0.1",
        "http://0.0.0.0:8000",
        "http://[::]:8000",
        "http://128.0.0.1",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://mylocalhost",
        "http://2130706433.com",
        "http://[2001:db8::1]",
        "http://127.0.0.1@example.com",
        "http://example.com\\@127.0.0.1",
    ],
)
@pytest.mark.parametrize("credentials", [{"api_user": USER, "api_key": KEY}, {"qr_token": TOKEN}])
def test_plain_http_to_anywhere_else_is_refused(
    credentials: dict[str, str], url: str, setting: str
):
    """Everyone on the way could read the key."""
    with pytest.raises(ConfigurationError) as caught:
        AsyncConnectus(**credentials, **{setting: url})

    assert caught.value.setting == setting


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://LocalHost:8000/api_v3",
        "http://127.0.0.1:8000",
        "http://127.9.9.9",
        "http://[::1]:8000",
        "http://[0:0:0:0:0:0:0:1]",
        "https://plataforma.connectus.la/api_v3",
        "https://10.0.0.1",
    ],
)
def test_loopback_and_https_are_let_through(url: str):
    """The emulator speaks plain http, on this machine only."""
    AsyncConnectus(USER, KEY, base_url=url, qr_base_url=url)


def test_a_distant_proxy_gets_no_plain_http():
    """It would read the credentials that were meant for this machine."""
    with pytest.raises(ConfigurationError) as caught:
        AsyncConnectus(USER, KEY, base_url="HTTP://localhost", proxy="http://proxy.example.com")

    assert caught.value.setting == "proxy"
    AsyncConnectus(USER, KEY, base_url="http://localhost", proxy="http://127.0.0.1:3128")


async def test_credentials_go_to_their_own_host_only():
    """The platform never sees the QR token, nor the QR host the key."""
    heads: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(http())
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with (
        listener,
        AsyncConnectus(USER, KEY, qr_token=TOKEN, base_url=url, qr_base_url=url) as connectus,
    ):
        await connectus.account.get()
        await connectus.whatsapp_qr.status()

    platform, qr = heads
    assert CREDENTIALS[-1] in platform
    assert TOKEN not in platform
    assert TOKEN in qr
    assert CREDENTIALS[-1] not in qr


async def test_a_cookie_is_not_sent_back():
    """A server cannot mark the calls of a client. An address of digits gets no cookies anyway."""
    async with (
        HostileServer(keep_alive(http(headers={"Set-Cookie": "a=b"}))) as server,
        AsyncConnectus(
            USER, KEY, base_url=server.url.replace("127.0.0.1", "localhost")
        ) as connectus,
    ):
        await connectus.account.get()
        assert len(connectus._transport._pool._session.cookie_jar) == 0
