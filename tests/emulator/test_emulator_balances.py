"""The cost of a message, and the balance that pays."""

import pytest

from connectus_async.emulator import Emulator
from connectus_async.emulator.balances import COUNTRIES

NUMBER = "56987688060"
EMAIL = {"dst_email": "ana@example.com", "subject": "Aviso", "email_content": "Hola"}


async def free(call):
    """The account's free balances: SMS by country, e-mail, WhatsApp."""
    _, answer = await call("GET /clients")
    data = answer["data"]
    sms = {row["id_country"]: row["balance"] for row in data["free_sms_balance_by_country"]}
    return sms, data["free_email_balance"], data["free_whatsapp_balance"]


async def new_client(call):
    _, client = await call("POST /clients", {"name": "colegio"})
    return client["id_unique"]


async def move(call, client, way, amount, product=1, **fields):
    body = {"amount": amount, "product": product, **fields}
    return await call(f"POST /clients/{client}/{way}_balance", body)


@pytest.mark.parametrize(("length", "billed"), [(1, 1), (160, 1), (161, 2), (320, 2), (321, 3)])
@pytest.mark.parametrize("character", ["a", "ñ", "€"])
async def test_an_sms_bills_one_per_started_160_characters(call, length, billed, character):
    """Whatever the encoding."""
    await call.sms(sms_content=character * length)
    sms, _, _ = await free(call)
    assert 1_000_000 - billed == sms[1]


@pytest.mark.parametrize("id_country", COUNTRIES)
async def test_an_sms_bills_the_country_of_its_number(call, id_country):
    """By the calling code, and no other country."""
    _, code = COUNTRIES[id_country]
    status, _ = await call.sms(f"{code}123456789")
    sms, email, whatsapp = await free(call)
    assert status == 200
    assert {id_country} == {country for country, balance in sms.items() if balance == 999_999}
    assert (email, whatsapp) == (1_000_000, 1_000_000)


async def test_emails_and_whatsapp_messages_bill_one(call):
    """However long, whatever the country; one-time passwords bill like the rest."""
    long = "a" * 500
    await call("POST /email/send_single", EMAIL | {"email_content": long})
    await call("POST /email/send_otp_email", EMAIL)
    message = {"dst_number": "4915112345678", "whatsapp_content": long}
    await call("POST /whatsapp/send_message", message)
    await call("POST /sms/send_otp", {"dst_number": NUMBER, "sms_content": "1234"})
    sms, email, whatsapp = await free(call)
    assert (sms[1], email, whatsapp) == (999_999, 999_998, 999_999)
    assert await call("GET /email/balance") == (200, {"balance": 999_998})


async def test_messages_of_the_linked_phone_are_not_billed(call):
    """The QR host sends through the user's own WhatsApp."""
    await call.qr("POST /send", {"number": NUMBER, "message": "Hola"})
    _, _, whatsapp = await free(call)
    assert whatsapp == 1_000_000


async def test_without_balance_nothing_reaches_the_phone(calling):
    """402, for each product; the balance never goes below zero."""
    async with Emulator(balance=1) as emulator:
        call = calling(emulator)
        two_parts = await call.sms(sms_content="a" * 161)
        assert two_parts == (402, {"error": "sms balance is insufficient"})
        assert ((await call.sms())[0], (await call.sms())[0]) == (200, 402)
        assert (
            (await call("POST /email/send_single", EMAIL))[0],
            (await call("POST /email/send_single", EMAIL))[0],
        ) == (200, 402)
        message = {"dst_number": NUMBER, "whatsapp_content": "Hola"}
        assert (
            (await call("POST /whatsapp/send_message", message))[0],
            (await call("POST /whatsapp/send_message", message))[0],
        ) == (200, 402)
        assert [m.product for m in emulator.received] == ["sms", "email", "whatsapp"]
        sms, email, whatsapp = await free(call)
        assert (sms[1], email, whatsapp) == (0, 0, 0)


async def test_a_sub_client_can_be_created_read_renamed_and_listed(call, clock):
    """By its id_unique or its number; both of the API's date formats appear."""
    _, created = await call("POST /clients", {"name": "colegio"})
    expected = {
        "id": 1,
        "id_account": 2311,
        "name": "colegio",
        "balance": 0,
        "avatar": None,
        "id_unique": "00000001",
        "deleted": "F",
        "created_at": "Wed, 01 Jul 2026 12:00:00.000000000 -04 -04:00",
        "updated_at": "Wed, 01 Jul 2026 12:00:00.000000000 -04 -04:00",
    }
    assert expected == created
    assert (200, expected) == await call("GET /clients/00000001")
    assert (200, expected) == await call("GET /clients/1")
    clock.advance(hours=1)
    _, renamed = await call("PATCH /clients/00000001", {"name": "liceo"})
    updated_at = "Wed, 01 Jul 2026 13:00:00.000000000 -04 -04:00"
    assert expected | {"name": "liceo", "updated_at": updated_at} == renamed
    _, listed = await call("GET /clients")
    (row,) = listed["data"]["clients"]
    assert (row["name"], row["created_at"]) == ("liceo", "2026-07-01T12:00:00.000-04:00")
    assert (row["balance"]["email_balance"], row["balance"]["whatsapp_balance"]) == (0, 0)
    assert list(COUNTRIES) == [country["id_country"] for country in row["balance"]["sms_balance"]]


async def test_balance_moves_between_the_account_and_a_client(call):
    """What one gains the other loses; amounts may be strings."""
    client = await new_client(call)
    added = await move(call, client, "add", "30", "1", id_country="6")
    assert added == (200, {"message": "Balance added successfully"})
    await move(call, client, "add", 5, 2)
    removed = await move(call, client, "remove", 10, id_country=6)
    assert removed == (200, {"message": "Balance removed successfully"})
    sms, email, _ = await free(call)
    assert (sms[6], email) == (999_980, 999_995)
    _, answer = await call(f"GET /clients/{client}")
    assert answer["balance"] == 25


@pytest.mark.parametrize(
    ("way", "amount", "product", "fields"),
    [
        ("add", 1_000_001, 1, {"id_country": 1}),
        ("add", 1_000_001, 2, {}),
        ("remove", 1, 1, {"id_country": 1}),
        ("remove", 1, 3, {}),
    ],
)
async def test_neither_side_goes_below_zero(call, way, amount, product, fields):
    """402, and nothing moves."""
    client = await new_client(call)
    status, _ = await move(call, client, way, amount, product, **fields)
    assert status == 402
    sms, email, whatsapp = await free(call)
    assert (sms[1], email, whatsapp) == (1_000_000, 1_000_000, 1_000_000)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"product": 2}, "amount is missing"),
        ({"amount": 0, "product": 2}, "amount must be a positive integer"),
        ({"amount": -1, "product": 2}, "amount must be a positive integer"),
        ({"amount": 1.5, "product": 2}, "amount must be a positive integer"),
        ({"amount": 1}, "product is missing"),
        ({"amount": 1, "product": 4}, "product must be 1 (SMS), 2 (email) or 3 (WhatsApp)"),
        ({"amount": 1, "product": 1}, "id_country is missing"),
        ({"amount": 1, "product": 1, "id_country": 9}, "id_country is unknown"),
    ],
)
@pytest.mark.parametrize("way", ["add", "remove"])
async def test_a_malformed_move_is_refused_by_name(call, way, body, error):
    """400, the field first."""
    client = await new_client(call)
    answer = await call(f"POST /clients/{client}/{way}_balance", body)
    assert (400, {"error": error}) == answer


async def test_a_send_draws_on_the_client_it_names_and_else_on_the_free_balance(call, emulator):
    """A client without balance cannot send, however much the account has."""
    client = await new_client(call)
    assert await call.sms(id_client=client) == (402, {"error": "sms balance is insufficient"})
    await move(call, client, "add", 1, id_country=1)
    assert (
        (await call.sms(id_client=client))[0],
        (await call.sms(id_client=client))[0],
    ) == (200, 402)
    await call.sms()
    sms, _, _ = await free(call)
    assert sms[1] == 999_998
    assert [client, None] == [message.id_client for message in emulator.received]


async def test_without_free_balance_a_send_without_client_is_refused(calling):
    """The account cannot spend the balance of its sub-clients."""
    async with Emulator(balance=1) as emulator:
        call = calling(emulator)
        client = await new_client(call)
        await move(call, client, "add", 1, id_country=1)
        assert ((await call.sms())[0], (await call.sms(id_client=client))[0]) == (402, 200)
