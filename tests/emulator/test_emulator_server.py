"""Start, refusal of connections, stop, and settings."""

import asyncio
import re
from itertools import count

import aiohttp
import pytest

from connectus_async.emulator import Emulator, Fault, server


class Probe:
    """A fault that only tells when requests have come."""

    def __init__(self, emulator):
        self._come = asyncio.Queue()
        emulator.fault(Fault("probe", self._run))

    async def _run(self, _, act):
        self._come.put_nowait(None)
        return await act()

    async def wait(self, requests):
        for _ in range(requests):
            await self._come.get()


async def test_it_listens_on_a_free_port_of_loopback():
    """Two at once do not meet, and the URLs name the port."""
    async with Emulator() as one, Emulator() as two:
        assert one.port != two.port
        assert f"http://127.0.0.1:{one.port}/api_v3" == one.base_url
        assert f"http://127.0.0.1:{one.port}/qr_host" == one.qr_base_url


async def test_the_credentials_can_be_set(calling):
    """What is passed is what is accepted."""
    async with Emulator(api_user="ñu", api_key="k:e:y", qr_token="t") as emulator:
        call = calling(emulator)
        assert ((await call.sms())[0], (await call.qr("GET /status"))[0]) == (200, 200)


async def test_ids_and_clock_can_be_fixed(calling, clock):
    """Then an answer is the same in every run."""
    async with Emulator(clock=clock, ids=map("id-{}".format, count(1))) as emulator:
        answers = [await calling(emulator).sms() for _ in range(2)]
        assert [answer["id_sms"] for _, answer in answers] == ["id-1", "id-2"]
        assert clock.now == emulator.received[0].time


async def test_ids_are_random_and_times_real_by_default(calling):
    """Thirty-two hexadecimal digits, and an aware time."""
    async with Emulator() as emulator:
        answers = [(await calling(emulator).sms())[1]["id_sms"] for _ in range(10)]
        assert len(set(answers)) == 10
        assert all(re.fullmatch("[0-9a-f]{32}", id_) for id_ in answers)
        assert emulator.received[0].time.tzinfo is not None


async def test_messages_can_be_counted_only(calling):
    """For load tests: nothing is remembered, everything is counted."""
    async with Emulator(keep_received=False) as emulator:
        call = calling(emulator)
        _, sent = await call.sms()
        await call.qr("POST /send", {"number": "56987688060", "message": "Hola"})
        assert (emulator.received, emulator.received_counts) == ([], {"sms": 1, "whatsapp_qr": 1})
        assert (await call(f"GET /sms/{sent['id_sms']}"))[0] == 404
        last = await call.qr("GET /get-last-messages", {"number": "56987688060"})
        assert last == (200, {"messages": []})


async def test_while_refusing_no_connection_is_taken(call, emulator):
    """Idle connections are closed too; afterwards it is there again on the same port."""
    port = emulator.port
    assert (await call.sms())[0] == 200
    async with emulator.refusing():
        for _ in range(2):
            with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
                await call.sms()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
    assert ((await call.sms())[0], emulator.port) == (200, port)
    assert len(emulator.received) == 2


async def test_what_is_under_way_is_answered_while_refusing(call, emulator):
    """Only new connections are refused."""
    probe = Probe(emulator)
    emulator.fault(Fault.delay(0.05))
    sending = asyncio.create_task(call.sms())
    await probe.wait(1)
    async with emulator.refusing():
        status, _ = await sending
    assert status == 200


@pytest.mark.parametrize("fault", [Fault.timeout(), Fault.delay(3_600)], ids=["timeout", "delay"])
async def test_closing_leaves_nothing_behind(calling, fault, monkeypatch):
    """Neither task nor listener, and requests that a fault keeps waiting are not waited for."""
    monkeypatch.setattr(server, "_SHUTDOWN_SECONDS", 3_600)
    tasks = asyncio.all_tasks()
    async with Emulator() as emulator:
        probe = Probe(emulator)
        emulator.fault(fault)
        hanging = [asyncio.create_task(calling(emulator).sms()) for _ in range(5)]
        await probe.wait(5)
    outcomes = await asyncio.gather(*hanging, return_exceptions=True)
    assert all(isinstance(outcome, aiohttp.ClientError) for outcome in outcomes)
    assert tasks == asyncio.all_tasks()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", emulator.port)


async def test_a_port_in_use_leaves_nothing_behind(emulator):
    """A partial start is undone."""
    tasks = asyncio.all_tasks()
    with pytest.raises(OSError, match="address already in use"):
        async with Emulator(port=emulator.port):
            pass
    assert tasks == asyncio.all_tasks()
