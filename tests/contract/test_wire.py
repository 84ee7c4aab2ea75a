"""Every call of the API's collection, and what goes over the wire for it.

``calls.json`` holds a row for each call, ``answers.json`` the collection's example answers. Both
are data: to add a call, add its row, and the tests here say what is missing.
"""

import base64
import inspect
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from aiohttp import web
from awaited import CLIENTS

from connectus_async import AsyncConnectus, Outcome, RequestError
from connectus_async.emulator import Emulator

pytestmark = pytest.mark.both("either library writes and reads the JSON")

HERE = Path(__file__).parent
CALLS = json.loads((HERE / "calls.json").read_text("utf-8"))
ANSWERS = json.loads((HERE / "answers.json").read_text("utf-8"))

AUTHORIZATION = {
    "basic": "Basic " + base64.b64encode(b"the-user:the-key").decode(),
    "bearer": "Bearer the-token",
}


@attrs.define
class RecordingServer:
    """Answers what it is told to, and keeps the last request."""

    status: int = 200
    body: bytes = b"{}"
    request: dict[str, Any] | None = None

    async def handle(self, request: web.Request) -> web.Response:
        prefix = "/api_v3" if request.path.startswith("/api_v3/") else "/qr"
        self.request = {
            "method": request.method,
            "host": {"/api_v3": "platform", "/qr": "qr"}[prefix],
            "path": request.raw_path.partition("?")[0].removeprefix(prefix),
            "query": dict(request.query),
            "body": await request.json() if request.can_read_body else None,
            "auth": request.headers["Authorization"],
        }
        return web.Response(status=self.status, body=self.body, content_type="application/json")


@pytest.fixture
def server() -> RecordingServer:
    return RecordingServer()


@pytest.fixture(params=CLIENTS)
async def client(
    request: pytest.FixtureRequest, server: RecordingServer
) -> AsyncIterator[AsyncConnectus]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with CLIENTS[request.param](
        "the-user",
        "the-key",
        qr_token="the-token",
        base_url=f"{url}/api_v3",
        qr_base_url=f"{url}/qr",
    ) as client:
        yield client
    await runner.cleanup()


def method(client: AsyncConnectus, name: str) -> Any:
    """Find ``sms.send`` and the like."""
    found: Any = client
    for part in name.split("."):
        found = getattr(found, part)
    return found


def public_methods(owner: object, prefix: str = "") -> Iterator[str]:
    """Name every public method of every service, groups of services included."""
    for name, member in inspect.getmembers(owner):
        if name.startswith("_"):
            continue
        if not callable(member):
            yield from public_methods(member, f"{prefix}{name}.")
        elif prefix:
            yield prefix + name


@pytest.mark.parametrize(
    "row", CALLS, ids=[f"{index}-{row['method_name']}" for index, row in enumerate(CALLS)]
)
async def test_a_call_goes_over_the_wire_as_documented(
    row: dict[str, Any], client: AsyncConnectus, server: RecordingServer
):
    """Method, host, path, query, body and authorization equal the collection's."""
    await method(client, row["method_name"])(*row["args"], **row["kwargs"])

    expected = row["request"] | {"auth": AUTHORIZATION[row["request"]["auth"]]}
    assert server.request == expected


async def test_every_method_has_a_row_and_every_row_a_method(client: AsyncConnectus):
    """A call cannot be added without its row, nor a row be left behind."""
    assert set(public_methods(client)) == {row["method_name"] for row in CALLS}


@pytest.mark.parametrize(
    "example", ANSWERS, ids=[f"{row['method_name']}-{row['name']}" for row in ANSWERS]
)
async def test_an_example_answer_is_read(
    example: dict[str, Any], client: AsyncConnectus, server: RecordingServer
):
    """Every field of a success is typed; every example of an error is a rejection."""
    server.status = example["status"]
    server.body = b"" if example["body"] is None else json.dumps(example["body"]).encode()
    row = next(row for row in CALLS if row["method_name"] == example["method_name"])
    call = method(client, row["method_name"])

    if example["status"] != 200:
        with pytest.raises(RequestError) as caught:
            await call(*row["args"], **row["kwargs"])
        assert caught.value.outcome is Outcome.REJECTED
        assert caught.value.response.status == example["status"]
        return

    answer = await call(*row["args"], **row["kwargs"])

    assert {path: as_json(lookup(answer, path)) for path in example["expect"]} == example["expect"]
    assert answer.raw == example["body"]


def lookup(answer: object, path: str) -> Any:
    """Follow a path such as ``clients[0].balance.email_balance``."""
    for part in path.replace("[", ".").replace("]", "").split("."):
        answer = answer[int(part)] if part.isdecimal() else getattr(answer, part)
    return answer


def as_json(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


async def test_the_emulator_answers_every_call(connectus: AsyncConnectus, emulator: Emulator):
    """All calls of the collection in one go, each against state that an earlier one made."""
    delivery = await connectus.deliveries.create("Navidad", "2099-12-24 09:00:00", 1)
    await connectus.deliveries.update(delivery.id, name="Fin de año")
    assert (await connectus.deliveries.get(delivery.id)).name == "Fin de año"

    sms = await connectus.sms.send("56987688060", "Hola", id_delivery=delivery.id)
    assert (await connectus.sms.status(sms.id)).status is not None
    assert (await connectus.sms.send_otp("56987688060", "493021", save_content="hash")).id
    assert [row.id for row in (await connectus.sms.by_delivery(delivery.id)).messages] == [sms.id]
    assert len((await connectus.sms.by_date("2000-01-01", "2099-12-31")).messages) == 2

    left = (await connectus.email.balance()).balance
    address = {"src_email": "contacto@empresa.cl"}
    email = await connectus.email.send("ana@example.com", "Hola", "<h1>Hola</h1>", **address)
    assert (await connectus.email.send_otp("ana@example.com", "Clave", "493021", **address)).id
    assert (await connectus.email.status(email.id)).status
    assert (await connectus.email.balance()).balance == left - 2

    source = "56999944837"
    whatsapp = await connectus.whatsapp.send("56987688060", "Hola", src_number=source)
    assert (await connectus.whatsapp.status(whatsapp.id)).status
    conversation = await connectus.whatsapp.messages(source, "56987688060")
    assert [row.whatsapp_content for row in conversation.messages] == ["Hola"]

    client = await connectus.clients.create("Colegio")
    await connectus.clients.update(client.id_unique, "Colegio Darwin")
    await connectus.clients.add_balance(client.id_unique, 28, 1, id_country=1)
    await connectus.clients.remove_balance(client.id_unique, 8, 1, id_country=1)
    assert (await connectus.clients.get(client.id_unique)).name == "Colegio Darwin"
    (listed,) = (await connectus.clients.list()).clients
    assert {row.id_country: row.balance for row in listed.balance.sms_balance}[1] == 20

    link = await connectus.short_links.create("https://www.connectus.cl")
    assert (await connectus.short_links.events(link.short_link)).clicks == 0
    assert (await connectus.account.get()).src_numbers

    qr, groups, messages = (
        connectus.whatsapp_qr,
        connectus.whatsapp_qr.groups,
        connectus.whatsapp_qr.messages,
    )
    assert (await qr.qr()).response.body
    assert (await qr.status()).raw
    await groups.create("Vecinos", ["584141924112", "584148566479"])
    await groups.add_participants("Vecinos", ["34624477715"])
    await groups.remove_participants("Vecinos", ["584148566479"])
    await groups.make_admins("Vecinos", ["34624477715"])
    await groups.demote_admins("Vecinos", ["34624477715"])
    assert (await groups.invite_link("Vecinos")).raw
    await groups.update_info("Vecinos", new_subject="Vecinas", new_description="Del pasaje")
    await groups.send("Vecinas", "Hola")
    assert "Hola" in json.dumps((await groups.last_messages("Vecinas")).raw)
    await messages.send("584141992998", "Hola")
    assert "Hola" in json.dumps((await messages.last("584141992998")).raw)

    assert set(emulator.requests) == {row["method_name"] for row in CALLS}
