"""Validation and response of each call."""

import hashlib
import io
import re
from datetime import timedelta

import pytest

from connectus_async.emulator.calls import CALL_NAMES, CALLS

NUMBER = "56987688060"
EMAIL = {"dst_email": "ana@example.com", "subject": "Aviso", "email_content": "<p>Hola</p>"}
WHATSAPP = {"src_number": "56999944837", "dst_number": NUMBER, "whatsapp_content": "Hola"}
GROUP = {"name": "equipo", "numbers": ["584141924112", "584148566479"], "options": {}}


def requests_below(prefix):
    """Method and path of each call of a host, with something in the place of ids."""
    return [f"{c.method} {re.sub('{.*}', 'x', c.path)}" for c in CALLS if c.prefix == prefix]


async def delivery(call, id_product=1, deliver_at="2026-07-01 13:00:00"):
    """The id of a new delivery; at the tests' noon it is an hour away."""
    body = {"name": "Julio", "deliver_at": deliver_at, "id_product": id_product}
    _, answer = await call("POST /deliveries", {"delivery": body})
    return answer["id_delivery"]


async def test_every_call_answers_and_is_counted_under_the_name_of_the_clients_method(
    call, emulator
):
    """All 37 calls are served, and `requests` tells them apart."""
    _, client = await call("POST /clients", {"name": "colegio"})
    _, link = await call("POST /short_link", {"link": "https://example.com"})
    _, sms = await call.sms()
    _, email = await call("POST /email/send_single", EMAIL)
    _, whatsapp = await call("POST /whatsapp/send_message", WHATSAPP)
    id_delivery, id_client = await delivery(call), client["id_unique"]
    otp = {"dst_number": NUMBER, "sms_content": "1234", "src_number": 4374}
    amount = {"amount": 5, "product": 1, "id_country": 1}
    answers = [
        await call("POST /sms/send_otp", otp),
        await call(f"GET /sms/{sms['id_sms']}"),
        await call(f"GET /sms/delivery_info?delivery_id={id_delivery}"),
        await call("GET /sms/date_report?begin_date=2026-07-01&end_date=2026-07-31"),
        await call("POST /email/send_otp_email", EMAIL),
        await call(f"GET /email/{email['id']}"),
        await call("GET /email/balance"),
        await call(f"GET /whatsapp/status?message_id={whatsapp['message_id']}"),
        await call(f"GET /whatsapp/messages?src_number=56999944837&dst_number={NUMBER}"),
        await call("GET /clients"),
        await call(f"GET /clients/{id_client}"),
        await call(f"PATCH /clients/{id_client}", {"name": "liceo"}),
        await call(f"POST /clients/{id_client}/add_balance", amount),
        await call(f"POST /clients/{id_client}/remove_balance", amount),
        await call(f"GET /short_link/{link['short_link']}"),
        await call("GET /account"),
        await call(f"GET /deliveries/{id_delivery}"),
        await call(f"PATCH /deliveries/{id_delivery}", {"delivery": {"name": "Agosto"}}),
        await call.qr("GET /qr"),
        await call.qr("GET /status"),
        await call.qr("POST /create-group", GROUP),
        *[
            await call.qr(request, {"groupName": "equipo", **fields})
            for request, fields in (
                ("POST /add-participants", {"numbers": ["34624477715"]}),
                ("POST /make-group-admins", {"numbers": ["34624477715"]}),
                ("POST /demote-group-admins", {"numbers": ["34624477715"]}),
                ("POST /remove-participants", {"numbers": ["34624477715"]}),
                ("GET /generate-invite-link", {}),
                ("POST /send-message-to-group", {"message": "Hola"}),
                ("GET /get-last-group-messages", {}),
                ("POST /update-group-info", {"newSubject": "otro"}),
            )
        ],
        await call.qr("POST /send", {"number": NUMBER, "message": "Hola"}),
        await call.qr("GET /get-last-messages", {"number": NUMBER}),
    ]

    assert [200] * len(answers) == [status for status, _ in answers]
    assert set(emulator.requests) == CALL_NAMES
    assert len(CALL_NAMES) == 37
    assert set(emulator.requests.values()) == {1}


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic !",
        "Basic ZW11bGF0b3I6d3Jvbmc=",
        "Bearer emulator-key",
        "Basic \xf1",
    ],
)
async def test_a_wrong_api_key_is_refused(call, emulator, authorization):
    """401 with the API's own message for every platform call, without acting."""
    for request in requests_below("/api_v3"):
        answer = await call.request(emulator.base_url, request, {}, authorization)
        assert answer == (401, {"error": "You must submit an API key"})
    assert emulator.received == []


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic emulator-token", "Bearer"])
async def test_a_wrong_qr_token_is_refused(call, emulator, authorization):
    """The QR host requires its bearer token for every call."""
    for request in requests_below("/qr_host"):
        answer = await call.request(emulator.qr_base_url, request, {}, authorization)
        assert answer == (401, {"error": "You must submit an API key"})


async def test_the_scheme_of_authorization_is_case_insensitive(call, emulator):
    """As HTTP has it."""
    lower = call.basic.replace("Basic", "basic")
    status, _ = await call.request(emulator.base_url, "GET /account", None, lower)
    assert status == 200


SMS = "POST /sms/send_individual"
OTP = "POST /sms/send_otp"
MAIL = "POST /email/send_single"
DELIVERY = "POST /deliveries"
REPORT = "GET /sms/date_report"


@pytest.mark.parametrize(
    ("request_", "body", "error"),
    [
        (SMS, {"sms_content": "a"}, "dst_number is missing"),
        (SMS, {"dst_number": NUMBER}, "sms_content is missing"),
        (SMS, {"dst_number": NUMBER, "sms_content": ""}, "sms_content must not be empty"),
        (SMS, {"dst_number": NUMBER, "sms_content": " \n"}, "sms_content must not be empty"),
        (SMS, {"dst_number": NUMBER, "sms_content": 5}, "sms_content must be a string"),
        *[
            (SMS, {"dst_number": bad, "sms_content": "a"}, "dst_number must be a number in")
            for bad in (
                "",
                "+56987688060",
                "5698768x060",
                "5698768",
                "5" * 16,
                True,
                5.6e10,
                [],
                {},
            )
        ],
        (SMS, {"dst_number": "4915112345678", "sms_content": "a"}, "dst_number is in a country"),
        (SMS, {"dst_number": NUMBER, "sms_content": "a", "src_number": "x"}, "src_number must"),
        (SMS, {"dst_number": NUMBER, "sms_content": "a", "id_client": ""}, "id_client must"),
        (OTP, {"dst_number": NUMBER}, "sms_content is missing"),
        (
            OTP,
            {"dst_number": NUMBER, "sms_content": "a", "save_content": "no"},
            "save_content must",
        ),
        (MAIL, EMAIL | {"dst_email": "ana"}, "dst_email must be an email"),
        (MAIL, EMAIL | {"dst_email": "ana@example.com\n"}, "dst_email must be an email"),
        (MAIL, EMAIL | {"src_email": "a@b"}, "src_email must be an email"),
        (MAIL, EMAIL | {"subject": "a\r\nBcc: x@example.com"}, "subject must be a single line"),
        (MAIL, EMAIL | {"email_content": None}, "email_content is missing"),
        ("POST /email/send_otp_email", {}, "dst_email is missing"),
        ("POST /whatsapp/send_message", {"dst_number": NUMBER}, "whatsapp_content is missing"),
        ("POST /clients", {}, "name is missing"),
        ("POST /short_link", {"link": "javascript:alert(1)"}, "link must be an http"),
        ("POST /short_link", {"link": "https://a\r\nSet-Cookie: b"}, "link must be an http"),
        (DELIVERY, {}, "delivery is missing"),
        (DELIVERY, {"delivery": "x"}, "delivery must be an object"),
        (DELIVERY, {"delivery": {"id_product": 4}}, "id_product must be 1 (SMS)"),
        (DELIVERY, {"delivery": {"id_product": 1, "name": "a"}}, "deliver_at is missing"),
        *[
            (
                DELIVERY,
                {"delivery": {"id_product": 1, "name": "a", "deliver_at": bad}},
                "deliver_at ",
            )
            for bad in ("2026-07-01", "2026-07-01T12:00:00", "2026-13-01 12:00:00", 20260701)
        ],
        (REPORT, None, "begin_date is missing"),
        (f"{REPORT}?begin_date=2026-07-01", None, "end_date is missing"),
        (f"{REPORT}?begin_date=1-7-2026&end_date=2026-07-01", None, "begin_date must be a date"),
        (
            f"{REPORT}?begin_date=2026-02-30&end_date=2026-07-01",
            None,
            "begin_date is not a calendar date",
        ),
        (f"{REPORT}?begin_date=2026-07-02&end_date=2026-07-01", None, "end_date is before"),
        ("GET /sms/delivery_info", None, "delivery_id is missing"),
        ("GET /whatsapp/status", None, "message_id is missing"),
        (f"GET /whatsapp/messages?dst_number={NUMBER}", None, "src_number is missing"),
        ("GET /short_link/events", None, "short_link is missing"),
    ],
)
async def test_a_missing_or_malformed_parameter_is_refused_by_name(
    call, emulator, request_, body, error
):
    """400, the sentence begins with the field, and nothing reaches the phone."""
    status, answer = await call(request_, body)
    assert (status, answer["error"].startswith(error)) == (400, True), answer
    assert emulator.received == []


@pytest.mark.parametrize(
    ("request_", "body", "error"),
    [
        ("POST /create-group", {"name": "g"}, "numbers is missing"),
        ("POST /create-group", {"name": "g", "numbers": []}, "numbers must be a list"),
        ("POST /create-group", {"name": "g", "numbers": NUMBER}, "numbers must be a list"),
        ("POST /create-group", {"name": "g", "numbers": ["x"]}, "numbers must be a number"),
        ("POST /create-group", {"name": "g", "numbers": [NUMBER] * 1025}, "numbers must be a list"),
        ("POST /create-group", GROUP | {"options": []}, "options must be an object"),
        ("POST /send", {"number": NUMBER}, "message is missing"),
        ("GET /get-last-messages", None, "number is missing"),
        ("GET /generate-invite-link", {}, "groupName is missing"),
    ],
)
async def test_the_qr_host_refuses_by_name_as_well(call, request_, body, error):
    """Its parameters are in the body, for GET too."""
    status, answer = await call.qr(request_, body)
    assert (status, answer["error"].startswith(error)) == (400, True), answer


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "body is not valid JSON"),
        (b"{", "body is not valid JSON"),
        (b"\xff", "body is not valid JSON"),
        (b"[" * 200_000, "body is not valid JSON"),
        (b'{"dst_number": ' + b"9" * 5000 + b"}", "body is not valid JSON"),
        (b"[]", "body must be a JSON object"),
        (b"null", "body must be a JSON object"),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(call, body, error):
    """Broken, nested too deep, numbers too long, or of another type."""
    assert (400, {"error": error}) == await call(SMS, body)


async def test_a_body_past_the_limit_is_refused(call, emulator):
    """413 beyond 8 MiB."""
    status, answer = await call(SMS, io.BytesIO(b" " * (8 * 2**20 + 1)))
    assert (status, answer) == (413, {"error": "body is too large"})
    assert emulator.received == []


@pytest.mark.parametrize(
    "request_",
    [
        "GET /sms/nope",
        "GET /email/nope",
        "GET /sms/delivery_info?delivery_id=nope",
        "GET /whatsapp/status?message_id=nope",
        "GET /clients/nope",
        "PATCH /clients/nope",
        "POST /clients/nope/add_balance",
        "POST /clients/nope/remove_balance",
        "GET /deliveries/nope",
        "PATCH /deliveries/nope",
        "GET /short_link/nope",
        "GET /short_link/events?short_link=cnct.us/nope",
        "GET /nope",
        "DELETE /clients/1",
        "GET /sms/send_individual/x",
    ],
)
async def test_an_unknown_id_or_route_is_not_found(call, request_):
    """404 with an error in JSON."""
    body = {"name": "a", "amount": 1, "product": 2, "delivery": {"name": "a"}}
    status, answer = await call(request_, None if request_.startswith("GET") else body)
    assert (status, answer["error"].endswith("not found")) == (404, True), answer


@pytest.mark.parametrize("field", ["id_client", "id_delivery"])
async def test_a_send_for_an_unknown_client_or_delivery_is_not_found(call, emulator, field):
    """404 names the field, and nothing is billed."""
    assert (404, {"error": f"{field} not found"}) == await call.sms(**{field: "nope"})
    assert emulator.received == []
    assert await call("GET /email/balance") == (200, {"balance": 1_000_000})


async def test_ids_are_of_their_product(call):
    """An e-mail's id is no SMS."""
    _, email = await call("POST /email/send_single", EMAIL)
    assert await call(f"GET /sms/{email['id']}") == (404, {"error": "id not found"})


@pytest.mark.parametrize("number", [56987688060, NUMBER])
async def test_numbers_come_as_json_numbers_or_strings(call, emulator, number):
    """Both reach the same phone."""
    assert (200, {"status": "EN_COLA", "id_sms": f"{1:032x}"}) == await call.sms(number)
    assert [message.recipient for message in emulator.received] == [NUMBER]


async def test_received_has_everything_that_was_sent(call, emulator, clock):
    """Each product, with the sender that the account would use by default."""
    await call.sms(src_number=4374)
    await call(OTP, {"dst_number": NUMBER, "sms_content": "1234"})
    await call(MAIL, EMAIL)
    await call("POST /whatsapp/send_message", WHATSAPP)
    await call.qr("POST /send", {"number": NUMBER, "message": "Hola"})

    sms, otp, email, whatsapp, qr = emulator.received
    assert (
        *(sms.product, sms.recipient, sms.content),
        *(sms.src, sms.otp),
    ) == ("sms", NUMBER, "Hola", "4374", False)
    assert (None, None, None, clock.now) == (sms.subject, sms.id_delivery, sms.id_client, sms.time)
    assert (otp.src, otp.content, otp.otp) == ("56442341000", "1234", True)
    assert (
        *(email.product, email.recipient, email.subject),
        *(email.content, email.src),
    ) == ("email", "ana@example.com", "Aviso", "<p>Hola</p>", "contacto@example.com")
    assert (
        whatsapp.product,
        whatsapp.recipient,
        whatsapp.src,
    ) == ("whatsapp", NUMBER, "56999944837")
    assert (qr.product, qr.recipient, qr.content) == ("whatsapp_qr", NUMBER, "Hola")
    assert emulator.received_counts == {"sms": 2, "email": 1, "whatsapp": 1, "whatsapp_qr": 1}


async def test_no_repr_shows_a_number_or_a_text(call, emulator):
    """Neither in received messages nor in their containers."""
    await call.sms(sms_content="confidencial")
    await call(MAIL, EMAIL | {"subject": "confidencial"})
    shown = repr([emulator, emulator.received, emulator._state, emulator._api])
    for secret in ("confidencial", NUMBER, "ana@example.com", emulator.api_key, emulator.qr_token):
        assert secret not in shown


@pytest.mark.parametrize(
    ("recipient", "words"),
    [
        (
            "56987688060",
            ["EN_COLA", "ENVIADO_A_CARRIER", "ESPERANDO_RESPUESTA", "ENTREGADO", "ENTREGADO"],
        ),
        (
            "56987680000",
            ["EN_COLA", "ENVIADO_A_CARRIER", "ESPERANDO_RESPUESTA", *["NO_ENTREGABLE"] * 2],
        ),
        ("56987680001", ["EN_COLA", *["NUMERO_INVALIDO"] * 4]),
        ("56987680002", ["EN_COLA", "ENVIADO_A_CARRIER", *["ESPERANDO_RESPUESTA"] * 3]),
    ],
)
async def test_a_message_moves_through_its_statuses(call, clock, recipient, words):
    """A second each, by the recipient's last digits, in the report and in the SMPP form."""
    smpp = {
        "ENTREGADO": "DELIVRD",
        "NO_ENTREGABLE": "UNDELIV",
        "NUMERO_INVALIDO": "ESME_RINVDSTADR",
    }
    _, sent = await call.sms(recipient)
    for word in words:
        _, report = await call(f"{REPORT}?begin_date=2026-07-01&end_date=2026-07-01")
        assert word == report["data"][0]["status"]
        expected = (200, {"status": smpp.get(word, "ESME_ROK")})
        assert expected == await call(f"GET /sms/{sent['id_sms']}")
        clock.advance(seconds=1)


async def test_emails_and_whatsapp_messages_move_too(call, clock):
    """Their statuses are the webhook's words; an address's fate is in its local part."""
    _, good = await call(MAIL, EMAIL)
    _, bad = await call(MAIL, EMAIL | {"dst_email": "ana0000@example.com"})
    _, whatsapp = await call("POST /whatsapp/send_message", WHATSAPP)
    assert whatsapp["status"] == "EN_COLA"
    clock.advance(seconds=3)
    assert await call(f"GET /email/{good['id']}") == (200, {"status": "ENTREGADO"})
    assert await call(f"GET /email/{bad['id']}") == (200, {"status": "NO_ENTREGABLE"})
    request = f"GET /whatsapp/status?message_id={whatsapp['message_id']}"
    assert await call(request) == (200, {"status": "ENTREGADO"})


async def test_the_date_report_takes_whole_days_of_the_platforms_zone(call, clock):
    """Both days count; 03:59 UTC of 1 July is still 30 June in Santiago."""
    clock.now = clock.now.replace(hour=3, minute=59)
    await call.sms(sms_content="June")
    clock.advance(minutes=1)
    await call.sms(sms_content="July")
    clock.advance(days=1, seconds=-1)
    await call.sms(sms_content="July, late")

    async def texts(begin, end):
        _, report = await call(f"{REPORT}?begin_date={begin}&end_date={end}")
        return [row["sms_content"] for row in report["data"]]

    assert await texts("2026-07-01", "2026-07-01") == ["July", "July, late"]
    assert await texts("2026-06-01", "2026-06-30") == ["June"]
    assert await texts("0001-01-01", "9999-12-31") == ["June", "July", "July, late"]
    assert await texts("2026-07-02", "2026-07-03") == []


async def test_a_row_of_a_report(call):
    """The names that the API uses elsewhere, and a time that names its offset."""
    id_delivery = await delivery(call)
    await call.sms(id_delivery=id_delivery)
    row = {
        "id_sms": f"{2:032x}",
        "status": "PROGRAMADO",
        "src_number": "56442341000",
        "dst_number": NUMBER,
        "sms_content": "Hola",
        "id_delivery": id_delivery,
        "id_client": None,
        "created_at": "2026-07-01T12:00:00.000-04:00",
    }
    expected = (200, {"data": [row]})
    assert expected == await call(f"GET /sms/delivery_info?delivery_id={id_delivery}")
    assert expected == await call(f"{REPORT}?begin_date=2026-07-01&end_date=2026-07-01")


async def test_save_content_hash_keeps_the_text_out_of_reports(call, emulator):
    """The phone still gets it."""
    await call(OTP, {"dst_number": NUMBER, "sms_content": "1234", "save_content": "hash"})
    _, report = await call(f"{REPORT}?begin_date=2026-07-01&end_date=2026-07-01")
    assert hashlib.sha256(b"1234").hexdigest() == report["data"][0]["sms_content"]
    assert [message.content for message in emulator.received] == ["1234"]


async def test_a_lone_surrogate_is_taken_like_any_text(call, emulator):
    """JSON can carry half a surrogate pair, and the digest copes with it."""
    otp = b'{"dst_number": 56987688060, "sms_content": "\\ud83d", "save_content": "hash"}'
    status, _ = await call(OTP, otp)
    assert (status, emulator.received[0].content) == (200, "\ud83d")
    status, _ = await call(f"{REPORT}?begin_date=2026-07-01&end_date=2026-07-01")
    assert status == 200


async def test_whatsapp_messages_are_those_between_two_numbers(call):
    """Oldest first; another pair has none."""
    await call("POST /whatsapp/send_message", WHATSAPP | {"whatsapp_content": "uno"})
    await call("POST /whatsapp/send_message", WHATSAPP | {"whatsapp_content": "dos"})
    request = f"GET /whatsapp/messages?src_number=56999944837&dst_number={NUMBER}"
    _, answer = await call(request)
    assert [row["whatsapp_content"] for row in answer["data"]] == ["uno", "dos"]
    assert await call(request.replace("837&", "838&")) == (200, {"data": []})


async def test_short_links_redirect_and_count(call, session, emulator):
    """Each visit is a click, and both ways to ask for them agree."""
    link = "https://example.com/ñandú?a=1"
    _, created = await call("POST /short_link", {"link": link})
    short_link = created["short_link"]
    assert short_link.startswith(f"127.0.0.1:{emulator.port}/l/")
    for _ in range(3):
        async with session.get(f"http://{short_link}", allow_redirects=False) as response:
            assert (302, link) == (response.status, response.headers["Location"])
    code = short_link.rpartition("/")[2]
    for asked in (code, short_link, short_link.replace("/", "%2F")):
        expected = (200, {"link": link, "clicks": 3})
        assert expected == await call(f"GET /short_link/{asked}")
        assert expected == await call(f"GET /short_link/events?short_link={asked}")
    async with session.get(f"http://{short_link}x") as response:
        assert response.status == 404


async def test_the_account_has_the_documented_fields(call):
    """Lists are not empty, and there are no webhooks unless configured."""
    _, account = await call("GET /account")
    assert {"id_account", "name", "country", "phone", "email", "sms_status_hook_url"} < set(account)
    assert all(account[name] for name in ("purchases", "users", "src_numbers", "src_emails"))
    assert (account["sms_status_hook_url"], account["sms_incoming_hook_url"]) == (None, None)


async def test_a_delivery_can_be_read_and_moved_until_its_time(call, clock):
    """Then its status is EJECUTADO and it stays as it is."""
    id_delivery = await delivery(call)
    expected = {
        "id_delivery": id_delivery,
        "name": "Julio",
        "deliver_at": "2026-07-01 13:00:00",
        "id_product": 1,
        "status": "PROGRAMADO",
    }
    assert (200, expected) == await call(f"GET /deliveries/{id_delivery}")
    move = {"delivery": {"name": "Tarde", "deliver_at": "2026-07-01 14:00:00"}}
    expected |= {"name": "Tarde", "deliver_at": "2026-07-01 14:00:00"}
    assert (200, expected) == await call(f"PATCH /deliveries/{id_delivery}", move)
    clock.advance(hours=2)
    assert (200, expected | {"status": "EJECUTADO"}) == await call(f"GET /deliveries/{id_delivery}")
    status, answer = await call(f"PATCH /deliveries/{id_delivery}", move)
    assert (status, answer["error"]) == (400, "id_delivery has already been executed")


async def test_an_update_of_a_delivery_must_update_something(call):
    """An empty one is refused."""
    id_delivery = await delivery(call)
    status, answer = await call(f"PATCH /deliveries/{id_delivery}", {"delivery": {}})
    assert (status, answer["error"]) == (400, "name or deliver_at is missing")


async def test_messages_of_a_delivery_leave_at_its_time(call, clock):
    """PROGRAMADO until then, wherever the delivery was moved to; then the statuses begin."""
    id_delivery = await delivery(call)
    _, sent = await call.sms(id_delivery=id_delivery)
    assert sent["status"] == "PROGRAMADO"
    move = {"delivery": {"deliver_at": "2026-07-01 12:30:00"}}
    await call(f"PATCH /deliveries/{id_delivery}", move)

    async def word():
        _, report = await call(f"GET /sms/delivery_info?delivery_id={id_delivery}")
        return report["data"][0]["status"]

    clock.advance(minutes=29)
    assert await word() == "PROGRAMADO"
    clock.now += timedelta(minutes=1)
    assert await word() == "EN_COLA"
    clock.advance(seconds=3)
    assert await word() == "ENTREGADO"


@pytest.mark.parametrize(("id_product", "product"), [(1, "sms"), (2, "email"), (3, "whatsapp")])
async def test_a_delivery_takes_messages_of_its_product_only(call, emulator, id_product, product):
    """1 is SMS, 2 e-mail and 3 WhatsApp; the others are refused and not billed."""
    id_delivery = await delivery(call, id_product)
    statuses = {
        "sms": await call.sms(id_delivery=id_delivery),
        "email": await call(MAIL, EMAIL | {"id_delivery": id_delivery}),
        "whatsapp": await call(
            "POST /whatsapp/send_message", WHATSAPP | {"id_delivery": id_delivery}
        ),
    }
    refused = (400, {"error": "id_delivery is of another product"})
    assert {product} == {name for name, answer in statuses.items() if answer != refused}
    assert [(product, id_delivery)] == [(m.product, m.id_delivery) for m in emulator.received]


async def test_an_executed_delivery_takes_no_message(call, emulator):
    """One whose time is past is refused."""
    id_delivery = await delivery(call, deliver_at="2026-07-01 12:00:00")
    status, answer = await call.sms(id_delivery=id_delivery)
    assert (status, answer["error"]) == (400, "id_delivery has already been executed")
    assert emulator.received == []


async def test_delivery_info_is_for_sms(call):
    """Another product's delivery is refused."""
    id_delivery = await delivery(call, 2)
    status, _ = await call(f"GET /sms/delivery_info?delivery_id={id_delivery}")
    assert status == 400
