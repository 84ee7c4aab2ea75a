"""The JSON API of the inbox."""

import asyncio
import json
from contextlib import suppress
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web

from connectus_async.emulator import Emulator, Fault
from connectus_async.emulator.inbox import wire

HOSTILE = "<script>alert(1)</script>"


class Asker:
    """``await ask("GET /messages")`` answers the status and the parsed body."""

    def __init__(self, session, emulator):
        self.session = session
        self.url = emulator.inbox_url + "api"

    async def __call__(self, request, body=None, **headers):
        method, path = request.split(" ", 1)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        content = {} if body is None else {"json": body}
        async with self.session.request(
            method, self.url + path, headers=headers, **content
        ) as response:
            return response.status, await response.json()

    async def get(self, path):
        status, answer = await self("GET " + path)
        assert status == 200, answer
        return answer


@pytest.fixture
async def receiver():
    """A receiver of webhooks; it answers what its `answer` is."""
    app = web.Application()
    heard = SimpleNamespace(bodies=[], answer=(200, "gracias"))

    async def receive(request):
        heard.bodies.append(await request.json())
        status, text = heard.answer
        return web.Response(status=status, text=text)

    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield heard, f"http://user:secret@127.0.0.1:{runner.addresses[0][1]}/hook?token=secret"
    await runner.cleanup()


@pytest.fixture
async def emulator(clock, receiver):
    _, url = receiver
    ids = (f"{n:032x}" for n in range(1, 10**6))
    async with Emulator(
        clock=clock, ids=ids, inbox=True, status_webhook=url, incoming_webhook=url
    ) as emulator:
        yield emulator


@pytest.fixture
def ask(session, emulator):
    return Asker(session, emulator)


async def an_email(call, **fields):
    body = {"dst_email": "ana@example.com", "subject": "Aviso", "email_content": "<p>Hola</p>"}
    return await call("POST /email/send_single", {**body, **fields})


async def test_a_message_is_listed(ask, call):
    """With the beginning of its text, its state, and when that changes."""
    await call.sms(sms_content="x" * 500)

    answer = await ask.get("/messages")

    assert (answer["total"], len(answer["messages"])) == (1, 1)
    row = answer["messages"][0]
    assert (row["channel"], row["recipient"], row["state"]) == ("sms", "56987688060", "EN_COLA")
    assert (row["beginning"], row["seconds_to_change"]) == ("x" * 160, 1)


async def test_the_list_is_paged_newest_first(ask, call):
    """From an offset, as many as the limit says."""
    for number in range(5):
        await call.sms(sms_content=f"n{number}")

    answer = await ask.get("/messages?offset=1&limit=2")

    assert answer["total"] == 5
    assert [row["beginning"] for row in answer["messages"]] == ["n3", "n2"]
    assert (await ask.get("/messages?offset=9"))["messages"] == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("channel=email", ["<p>Hola</p>"]),
        ("channel=sms", ["dos ÑANDÚ", "uno"]),
        ("text=ñandú", ["dos ÑANDÚ"]),
        ("text=AVISO", ["<p>Hola</p>"]),
        ("recipient=%2B56 9 1111-1111", ["dos ÑANDÚ"]),
        ("recipient=ANA@", ["<p>Hola</p>"]),
        ("state=NUMERO_INVALIDO", ["uno"]),
        ("state=ENTREGADO&channel=sms", ["dos ÑANDÚ"]),
        ("text=nothing", []),
    ],
)
async def test_filters_find_messages(ask, call, clock, query, found):
    """Each alone and together, in any case, a number in any spelling."""
    await call.sms("56900000001", sms_content="uno")
    await call.sms("56911111111", sms_content="dos ÑANDÚ")
    await an_email(call)
    clock.advance(seconds=3)

    answer = await ask.get(f"/messages?{query}")

    assert [row["beginning"] for row in answer["messages"]] == found
    assert answer["total"] == len(found)


async def test_a_search_finds_what_comes_later(ask, call):
    """What an earlier search remembers is not all there is."""
    await call.sms(sms_content="uno hola")
    assert (await ask.get("/messages?text=hola"))["total"] == 1
    await call.sms(sms_content="dos hola")
    await call.sms(sms_content="tres")

    answer = await ask.get("/messages?text=hola")

    assert [row["beginning"] for row in answer["messages"]] == ["dos hola", "uno hola"]


async def test_a_state_is_that_of_the_present(ask, call, clock):
    """Whatever an earlier search found, and if the clock is put back."""
    await call.sms()

    async def counts():
        names = ("EN_COLA", "ENTREGADO")
        return [(await ask.get(f"/messages?state={name}"))["total"] for name in names]

    assert await counts() == [1, 0]
    clock.advance(seconds=5)
    assert await counts() == [0, 1]
    await call.sms()
    assert await counts() == [1, 1]
    clock.advance(seconds=-5)
    assert await counts() == [1, 0]


async def test_messages_of_a_delivery_are_found(ask, call):
    """The summary names the delivery; the message waits for it."""
    delivery = {"name": "Navidad", "deliver_at": "2026-12-24 10:00:00", "id_product": 1}
    _, made = await call("POST /deliveries", {"delivery": delivery})
    await call.sms(id_delivery=made["id_delivery"])
    await call.sms()

    answer = await ask.get(f"/messages?delivery={made['id_delivery']}")
    summary = await ask.get("/summary")

    assert [row["state"] for row in answer["messages"]] == ["PROGRAMADO"]
    assert [(it["name"], it["messages"]) for it in summary["deliveries"]] == [("Navidad", 1)]
    states = (await ask.get(f"/messages/{answer['messages'][0]['id']}"))["states"]
    assert [state["state"] for state in states if state["reached"]] == ["PROGRAMADO"]


async def test_the_wire_is_shown_without_credentials(ask, call, emulator):
    """Both heads and bodies as they were, but for the key."""
    _, sent = await call.sms(sms_content="Hola ñ")

    exchange = (await ask.get(f"/messages/{sent['id_sms']}"))["exchange"]

    request, answer = exchange["request"], exchange["answer"]
    assert request["head"].startswith("POST /api_v3/sms/send_individual HTTP/1.1\r\n")
    assert "Authorization: Basic ***" in request["head"]
    assert call.basic.removeprefix("Basic ") not in json.dumps(exchange)
    assert json.loads(request["body"])["sms_content"] == "Hola ñ"
    assert answer["head"].startswith("HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(answer['body'])}" in answer["head"]
    assert json.loads(answer["body"]) == sent
    assert (exchange["ended"], answer["cut"]) == (True, False)


async def test_credentials_of_any_form_are_masked(ask, emulator, session):
    """Also of the other host, without a scheme, and beside it."""
    secrets = {
        "Authorization": f"Bearer {emulator.qr_token}",
        "Cookie": "sesame=1; b=2",
        "X-Id": "me",
    }
    async with session.post(
        f"{emulator.qr_base_url}/send",
        json={"number": "56987688060", "message": "Hola"},
        headers=secrets,
    ) as response:
        sent = await response.json()

    head = (await ask.get(f"/messages/{sent['id']}"))["exchange"]["request"]["head"]

    assert "Authorization: Bearer ***\r\n" in head
    assert "Cookie: ***\r\n" in head
    assert "X-Id: me" in head
    assert not {emulator.qr_token, "sesame"} & set(head.replace("=", " ").split())


async def test_the_wire_of_a_faulty_request_is_that_of_the_fault(ask, call, emulator):
    """A lost answer is none; half an answer is half; a proxy's status is that of the proxy."""
    for fault in (Fault.reset_after(), Fault.half_answer(), Fault.status(502, "[]", acted=True)):
        with emulator.fault(fault), suppress(aiohttp.ClientError):
            await call.sms()
    reset, half, proxied = [
        (await ask.get(f"/messages/{message.id}"))["exchange"] for message in emulator.received
    ]

    assert reset["answer"] is None
    assert half["answer"]["body"].startswith('{"status"')
    assert not half["answer"]["body"].endswith("}")
    assert proxied["answer"]["head"].startswith("HTTP/1.1 502 ")
    assert proxied["answer"]["body"] == "[]"


async def test_the_wire_takes_bounded_memory(ask, call, emulator, monkeypatch):
    """A long body is cut, and the oldest exchange is dropped."""
    monkeypatch.setattr(wire, "PART_LIMIT", 1_000)
    emulator._inbox._wire.total_limit = 4_000
    for number in range(5):
        await an_email(call, email_content=f"{number}" * 5_000)
    exchanges = [
        (await ask.get(f"/messages/{message.id}"))["exchange"] for message in emulator.received
    ]

    kept = [exchange for exchange in exchanges if exchange]
    assert exchanges[0] is None
    assert 1 <= len(kept) < 5
    assert (kept[-1]["request"]["cut"], len(kept[-1]["request"]["body"])) == (True, 1_000)
    assert kept[-1]["request"]["size"] > 5_000


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts"),
    [
        ("a" * 160, "GSM-7", 160, [160]),
        ("a" * 161, "GSM-7", 161, [153, 8]),
        ("a" * 152 + "€" + "a" * 10, "GSM-7", 164, [152, 11]),
        ("ó" * 70, "UCS-2", 70, [70]),
        ("ó" * 66 + "😀" + "ó" * 10, "UCS-2", 78, [66, 11]),
    ],
    ids=["one", "two", "extended", "one of UCS-2", "emoji"],
)
async def test_an_sms_has_its_parts(ask, call, text, encoding, units, parts):
    """In the encoding that it needs; a character of two units stays whole."""
    _, sent = await call.sms(sms_content=text)

    sms = (await ask.get(f"/messages/{sent['id_sms']}"))["sms"]

    assert (sms["encoding"], sms["units"]) == (encoding, units)
    assert ([len(part) for part in sms["parts"]], "".join(sms["parts"])) == (parts, text)


async def test_states_and_webhooks_are_shown(ask, call, emulator, clock, receiver):
    """Each state with its time, each webhook with its answer, and no secret of its URL."""
    _, sent = await call.sms()
    receiver[0].answer = (500, "no")
    clock.advance(seconds=1)
    await emulator.webhooks_settled()

    message = await ask.get(f"/messages/{sent['id_sms']}")

    reached = [state["state"] for state in message["states"] if state["reached"]]
    assert reached == ["EN_COLA", "ENVIADO_A_CARRIER"]
    assert len(message["states"]) == 4
    posts = [(json.loads(post["body"])["status"], post["status"]) for post in message["webhooks"]]
    assert posts[-1] == ("ENVIADO_A_CARRIER", 500)
    assert message["webhooks"][-1]["answer"] == "no"
    assert "secret" not in json.dumps(message)


async def test_a_reply_reaches_the_incoming_webhook(ask, call, receiver):
    """From the recipient to the sender; the conversation shows it."""
    _, sent = await call.sms(src_number="56442341000")

    answer = await ask(f"POST /messages/{sent['id_sms']}/replies", {"text": "Sí"})
    talk = await ask.get("/conversations/56987688060")

    assert answer == (200, {"status": 200})
    (body,) = [body for body in receiver[0].bodies if "sms_content" in body]
    assert (body["src_number"], body["dst_number"]) == ("56987688060", "56442341000")
    assert body["sms_content"] == "Sí"
    (reply,) = talk["replies"]
    assert (reply["text"], reply["webhooks"][0]["answer"]) == ("Sí", "gracias")
    assert [message["id"] for message in talk["messages"]] == [sent["id_sms"]]


async def test_what_cannot_be_replied_to_says_so(ask, call, session):
    """Other channels have no webhook, and without a receiver nobody would hear it."""
    _, sent = await an_email(call)
    status, answer = await ask(f"POST /messages/{sent['id']}/replies", {"text": "Sí"})
    assert (status, "only an SMS" in answer["error"]) == (409, True)

    async with Emulator(inbox=True) as deaf:
        message = deaf._state.accept("sms", "56987688060", "Hola")
        status, answer = await Asker(session, deaf)(
            f"POST /messages/{message.id}/replies", {"text": "Sí"}
        )
        assert (status, "no incoming webhook" in answer["error"]) == (409, True)


async def test_conversations_are_listed(ask, call):
    """One for each recipient, the last one first."""
    for number in ("56900000000", "56911111111", "56900000000"):
        await call.sms(number)

    answer = await ask.get("/conversations")

    talks = [(talk["recipient"], talk["messages"]) for talk in answer["conversations"]]
    assert (answer["total"], talks) == (2, [("56900000000", 2), ("56911111111", 1)])


async def test_faults_are_placed_and_removed(ask, call):
    """As on the command line; the list counts what they struck."""
    status, placed = await ask("POST /faults", {"fault": "sms.send=status:503,times=1"})
    assert (status, placed["route"], placed["times"]) == (200, "sms.send", 1)
    assert (await call.sms())[0] == 503
    (listed,) = (await ask.get("/faults"))["faults"]
    assert (listed["number"], listed["fired"], listed["times"]) == (placed["number"], 1, 0)

    assert await ask(f"DELETE /faults/{placed['number']}") == (200, {})
    assert (await ask(f"DELETE /faults/{placed['number']}"))[0] == 404
    await ask("POST /faults", {"fault": "too_many"})
    await ask("DELETE /faults")
    assert (await ask.get("/faults"))["faults"] == []
    assert (await call.sms())[0] == 200


async def test_all_can_be_cleared(ask, call, emulator):
    """Messages, not balances; what comes afterwards is seen."""
    await call.sms(sms_content="uno")
    await ask.get("/messages?text=uno")
    balances = (await ask.get("/summary"))["balances"]

    assert await ask("DELETE /messages") == (200, {})

    summary = await ask.get("/summary")
    assert (summary["messages"], summary["balances"]) == (0, balances)
    assert emulator.received == []
    await call.sms(sms_content="dos")
    assert (await ask.get("/messages?text=uno"))["total"] == 0
    assert (await ask.get("/conversations"))["total"] == 1


async def test_a_list_that_a_test_emptied_is_read_anew(ask, call, emulator):
    """`received` is a list of the user's, too."""
    for text in ("uno", "dos"):
        await call.sms(sms_content=text)
    await ask.get("/messages?text=o")
    await ask.get("/conversations")
    emulator.received.clear()
    await call.sms(sms_content="otro")

    assert (await ask.get("/messages?text=o"))["total"] == 1
    assert (await ask.get("/conversations"))["conversations"][0]["messages"] == 1


async def test_a_journal_remembers_a_clearing(session, calling, tmp_path):
    """What was cleared does not come back at the next start."""
    path = tmp_path / "journal"
    async with Emulator(inbox=True, journal=path) as emulator:
        await calling(emulator).sms(sms_content="uno")
        await Asker(session, emulator)("DELETE /messages")
        await calling(emulator).sms(sms_content="dos")
    async with Emulator(inbox=True, journal=path) as emulator:
        assert [message.content for message in emulator.received] == ["dos"]


async def test_an_email_is_a_page_that_runs_nothing(ask, call, session):
    """Its policy makes a sandbox of it, however it is opened."""
    _, sent = await an_email(call, email_content=HOSTILE)

    async with session.get(f"{ask.url}/messages/{sent['id']}/email") as response:
        policy = response.headers["Content-Security-Policy"]
        assert (response.status, await response.text()) == (200, HOSTILE)
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:80", 200),
        ("[::1]:8037", 200),
        ("127.0.0.1", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:8037", 403),
        ("192.168.1.2", 403),
        ("[", 403),
    ],
)
async def test_only_names_of_this_machine_are_answered(ask, host, status):
    """Whatever else points here was pointed here by somebody else (DNS rebinding)."""
    for path in ("/summary", "/events") if status == 403 else ("/summary",):
        assert (await ask(f"GET {path}", Host=host))[0] == status


async def test_an_emulator_for_all_addresses_takes_addresses_but_no_names(session):
    """A name may be somebody else's."""
    async with Emulator(inbox=True, host="0.0.0.0") as emulator:
        emulator.host = "127.0.0.1"
        ask = Asker(session, emulator)
        assert (await ask("GET /summary", Host="192.168.1.2:8037"))[0] == 200
        assert (await ask("GET /summary", Host="evil.example"))[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
async def test_another_site_changes_and_learns_nothing(ask, call, emulator, session, headers):
    """Its requests come with its origin, or as those of another site. It may link to the page."""
    _, sent = await call.sms()
    for request, body in (
        ("DELETE /messages", None),
        ("POST /faults", {"fault": "timeout"}),
        (f"POST /messages/{sent['id_sms']}/replies", {"text": "Sí"}),
        ("GET /messages", None),
        ("GET /events", None),
    ):
        assert (await ask(request, body, **headers))[0] == 403
    assert (len(emulator.received), (await ask.get("/faults"))["faults"]) == (1, [])
    linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    async with session.get(emulator.inbox_url, headers=linked) as response:
        assert response.status == 200


async def test_a_form_of_another_site_changes_nothing(ask, session):
    """A form cannot send JSON by its type."""
    async with session.post(f"{ask.url}/faults", data='{"fault": "timeout"}') as response:
        assert response.status == 415


@pytest.mark.parametrize(
    ("request_", "body", "status", "named"),
    [
        ("GET /messages?kind=sms", None, 400, "kind"),
        ("GET /messages?channel=fax", None, 400, "channel"),
        ("GET /messages?state=LISTO", None, 400, "state"),
        ("GET /messages?limit=501", None, 400, "limit"),
        ("GET /messages?offset=-1", None, 400, "offset"),
        (f"GET /messages?text={'x' * 1001}", None, 400, "text"),
        ("GET /messages/none", None, 404, "id"),
        ("POST /faults", {"fault": 1}, 400, "fault"),
        ("POST /faults", [], 400, "fault"),
        ("POST /faults", {"fault": "sms.sing=timeout"}, 400, "route"),
    ],
)
async def test_a_bad_request_is_named(ask, request_, body, status, named):
    """By the parameter that is wrong."""
    got, answer = await ask(request_, body)
    assert (got, named in answer["error"]) == (status, True)


async def test_a_change_is_told_at_once(ask, call, session):
    """A stream begins with the present number, and an event follows each change."""
    async with session.get(f"{ask.url}/events") as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"

        async def event():
            await stream.content.readuntil(b"data: ")
            return json.loads(await stream.content.readline())["messages"]

        assert await event() == 0
        await call.sms()
        assert await event() == 1


async def test_an_open_stream_does_not_hold_up_the_end(session):
    """It ends with the emulator."""
    async with Emulator(inbox=True) as emulator:
        stream = await session.get(f"{emulator.inbox_url}api/events")
        await stream.content.readuntil(b"data: ")
    assert (await stream.content.read()).endswith(b"\n\n")


async def test_too_many_streams_are_refused(ask, session):
    """With a sentence; those that are closed make room."""
    streams = [await session.get(f"{ask.url}/events") for _ in range(32)]
    assert (await ask("GET /events"))[0] == 503
    for stream in streams:
        stream.close()


async def test_an_emulator_without_inbox_has_none(session):
    """Nor does one that keeps no messages."""
    async with Emulator() as emulator, session.get(emulator.inbox_url) as response:
        assert response.status == 404
    with pytest.raises(ValueError, match="keep_received"):
        Emulator(inbox=True, keep_received=False)


async def test_the_page_is_served_with_a_strict_policy(session, emulator):
    """All of it comes from here, and nothing else is asked."""
    for path, type_ in (
        ("", "text/html"),
        ("page.js", "text/javascript"),
        ("message.js", "text/javascript"),
        ("tools.js", "text/javascript"),
        ("page.css", "text/css"),
    ):
        async with session.get(emulator.inbox_url + path) as response:
            assert (response.status, response.content_type) == (200, type_)
            policy = response.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
    async with session.get(emulator.inbox_url.removesuffix("inbox/")) as response:
        assert (response.status, str(response.url)) == (200, emulator.inbox_url)


async def test_requests_are_reported_without_what_they_ask(session, calling):
    """Method, path and status; no query, and none of the inbox."""
    reported, ended = [], asyncio.Event()

    def report(*request):
        reported.append(request)
        if request[-1] is None:
            ended.set()

    async with Emulator(inbox=True, on_request=report) as emulator:
        call = calling(emulator)
        await call.sms()
        await call("GET /whatsapp/messages?src_number=1&dst_number=56987688060")
        await session.get(f"{emulator.base_url}/nothing%0A%1B")
        with emulator.fault(Fault.reset_before()), pytest.raises(aiohttp.ClientError):
            await call.sms()
        await session.get(emulator.inbox_url)
        await ended.wait()
    assert reported == [
        ("POST", "/api_v3/sms/send_individual", 200),
        ("GET", "/api_v3/whatsapp/messages", 400),
        ("GET", "/api_v3/nothing%0A%1B", 404),
        ("POST", "/api_v3/sms/send_individual", None),
    ]
