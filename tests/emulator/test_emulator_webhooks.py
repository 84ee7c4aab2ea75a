"""The platform's POSTs to the account's webhooks."""

import asyncio

import pytest
from aiohttp import web

from connectus_async.emulator import Emulator


class Receiver:
    """A webhook that keeps what it is told."""

    def __init__(self):
        self.told = asyncio.Queue()
        self.status = 200
        self.url = ""

    async def handle(self, request):
        await self.told.put(await request.json())
        return web.Response(status=self.status)

    async def next(self):
        return await self.told.get()


@pytest.fixture
async def receiver():
    receiver = Receiver()
    runner = web.ServerRunner(web.Server(receiver.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


@pytest.fixture
async def emulator(clock, receiver):
    """An emulator that knows the receiver."""
    ids = (f"id-{n}" for n in range(1, 1000))
    urls = {"status_webhook": receiver.url, "incoming_webhook": receiver.url}
    async with Emulator(clock=clock, ids=ids, **urls) as emulator:
        yield emulator


async def test_each_change_of_status_is_told_once(call, clock, receiver):
    """In order, as time passes, and then no more."""
    await call.sms()
    for word in ("EN_COLA", "ENVIADO_A_CARRIER", "ESPERANDO_RESPUESTA", "ENTREGADO"):
        assert {"status": word, "id_sms": "id-1"} == await receiver.next()
        clock.advance(seconds=1)
    clock.advance(days=1)
    await call.sms("56987680001")
    assert await receiver.next() == {"status": "EN_COLA", "id_sms": "id-2"}
    clock.advance(days=1)
    assert await receiver.next() == {"status": "NUMERO_INVALIDO", "id_sms": "id-2"}
    assert receiver.told.empty()


async def test_every_one_of_many_is_told_in_its_own_order(call, clock, receiver):
    """More than are posted at once."""
    for _ in range(100):
        await call.sms()
    words = ("EN_COLA", "ENVIADO_A_CARRIER", "ESPERANDO_RESPUESTA", "ENTREGADO")
    for word in words:
        told = [await receiver.next() for _ in range(100)]
        assert {word} == {change["status"] for change in told}
        assert len({change["id_sms"] for change in told}) == 100
        clock.advance(seconds=1)


async def test_a_moved_delivery_is_told_at_its_new_time(call, clock, receiver):
    """Earlier than first planned, and each status still once."""
    delivery = {"name": "a", "deliver_at": "2026-07-01 15:00:00", "id_product": 1}
    _, created = await call("POST /deliveries", {"delivery": delivery})
    id_delivery = created["id_delivery"]
    await call.sms(id_delivery=id_delivery)
    assert await receiver.next() == {"status": "PROGRAMADO", "id_sms": "id-2"}
    move = {"delivery": {"deliver_at": "2026-07-01 13:00:00"}}
    await call(f"PATCH /deliveries/{id_delivery}", move)
    await call.sms("56987680001")
    assert await receiver.next() == {"status": "EN_COLA", "id_sms": "id-3"}
    clock.advance(seconds=1)
    assert await receiver.next() == {"status": "NUMERO_INVALIDO", "id_sms": "id-3"}
    clock.advance(hours=1, seconds=-1)
    assert await receiver.next() == {"status": "EN_COLA", "id_sms": "id-2"}
    clock.advance(hours=3)
    for word in ("ENVIADO_A_CARRIER", "ESPERANDO_RESPUESTA", "ENTREGADO"):
        assert await receiver.next() == {"status": word, "id_sms": "id-2"}
    assert receiver.told.empty()


async def test_a_webhook_that_fails_does_not_stop_the_rest(call, clock, receiver):
    """A 500 counts as posted, and the next change is posted as usual."""
    receiver.status = 500
    await call.sms()
    await receiver.next()
    clock.advance(seconds=1)
    assert (await receiver.next())["status"] == "ENVIADO_A_CARRIER"


async def test_a_reply_is_posted_to_the_incoming_webhook(emulator, receiver):
    """With its text in hexadecimal as well."""
    reply = {"src_number": "56987688060", "dst_number": "56442341000", "sms_content": "Sí"}
    assert await emulator.incoming(**reply) == 200
    expected = {"src_provider": "Emulator", "id_sms": "id-1", "sms_content_binary": "53c3ad"}
    assert reply | expected == await receiver.next()


async def test_the_account_shows_its_webhooks(call, receiver):
    """Both URLs."""
    _, account = await call("GET /account")
    assert receiver.url == account["sms_status_hook_url"] == account["sms_incoming_hook_url"]


async def test_a_webhook_that_is_not_there_is_logged(caplog, unused_url):
    """By the kind of error: no number, no text."""
    async with Emulator(incoming_webhook=unused_url) as emulator:
        reply = {"src_number": "56987688060", "dst_number": "56442341000", "sms_content": "Sí"}
        assert await emulator.incoming(**reply) is None
    assert "a webhook did not respond: ClientConnectorError" in caplog.text
    assert "56987688060" not in caplog.text


async def test_a_reply_needs_a_webhook(clock):
    """Otherwise a test would wait for nothing."""
    async with Emulator(clock=clock) as emulator:
        with pytest.raises(ValueError, match="incoming_webhook"):
            await emulator.incoming(src_number="1", dst_number="2", sms_content="a")


async def test_closing_drops_what_is_still_to_be_told(calling, clock, receiver):
    """And leaves no task."""
    tasks = asyncio.all_tasks()
    async with Emulator(clock=clock, status_webhook=receiver.url) as emulator:
        await calling(emulator).sms()
        await receiver.next()
        clock.advance(seconds=1)
    left = {task.get_name() for task in asyncio.all_tasks() - tasks}
    assert "connectus emulator: webhooks" not in left


async def test_what_a_journal_remembers_is_not_told_again(calling, clock, receiver, tmp_path):
    """Changes of status are told of new messages only."""
    async with Emulator(clock=clock, journal=tmp_path / "journal") as emulator:
        await calling(emulator).sms()
    settings = {"clock": clock, "journal": tmp_path / "journal", "status_webhook": receiver.url}
    async with Emulator(**settings) as emulator:
        _, sent = await calling(emulator).sms()
        assert await receiver.next() == {"status": "EN_COLA", "id_sms": sent["id_sms"]}
        clock.advance(days=1)
        for word in ("ENVIADO_A_CARRIER", "ESPERANDO_RESPUESTA", "ENTREGADO"):
            assert await receiver.next() == {"status": word, "id_sms": sent["id_sms"]}
        assert len(emulator.received) == 2
    assert receiver.told.empty()
