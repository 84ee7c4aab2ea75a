"""A slow, delayed or paused server, and many faults at once."""

import asyncio
import sys
from collections import Counter
from datetime import timedelta

import aiohttp
import pytest

from connectus_async.emulator import Emulator, Fault

NUMBER = "56987688060"
WHATSAPP = {"src_number": "56999944837", "dst_number": NUMBER, "whatsapp_content": "Hola"}


class Gate:
    """A fault that tells when a request comes, and holds it until the gate opens."""

    def __init__(self, emulator):
        self.come = asyncio.Queue()
        self._open = asyncio.Semaphore(0)
        emulator.fault(Fault("gate", self._run))

    async def _run(self, _, act):
        self.come.put_nowait(None)
        await self._open.acquire()
        return await act()

    def open(self, requests=1):
        for _ in range(requests):
            self._open.release()

    async def wait(self, requests):
        for _ in range(requests):
            await self.come.get()


def arrivals(emulator):
    """A queue that says which request has come, by its number."""
    come = asyncio.Queue()
    emulator.fault(Fault.call(before=come.put_nowait))
    return come


async def sends(call, emulator, come, numbers):
    """Tasks that send to `numbers`, in the order in which they reached the server."""
    tasks = []
    for number in numbers:
        tasks.append(asyncio.create_task(call.sms(number)))
        await come.get()
    return tasks


async def test_a_queue_lets_so_many_be_worked_on_at_a_time(call, emulator):
    """The others wait, and one of them follows each that is done."""
    come = arrivals(emulator)
    emulator.fault(Fault.queue(0, at_a_time=2))
    gate = Gate(emulator)
    sending = await sends(call, emulator, come, range(56987688000, 56987688005))
    await gate.wait(2)
    assert gate.come.empty()
    for _ in range(3):
        gate.open()
        await gate.wait(1)
        assert gate.come.empty()
    gate.open(2)
    assert {200} == {status for status, _ in await asyncio.gather(*sending)}


async def test_a_queue_is_served_in_order(call, emulator):
    """First come, first served."""
    come = arrivals(emulator)
    emulator.fault(Fault.queue(0.001, at_a_time=1))
    numbers = [str(number) for number in range(56987688000, 56987688020)]
    await asyncio.gather(*await sends(call, emulator, come, numbers))
    assert numbers == [message.recipient for message in emulator.received]


async def test_answers_take_the_longer_the_more_come_at_once(call, emulator):
    """Five requests processed one at a time take at least five times as long."""
    loop = asyncio.get_running_loop()
    with emulator.fault(Fault.queue(0.02, at_a_time=1)):
        started = loop.time()
        await asyncio.gather(*(call.sms() for _ in range(5)))
        assert loop.time() - started > 0.099


async def test_a_queue_can_be_changed_while_requests_wait(call, emulator):
    """Those that wait are served by the old one, and the next ones by the new one."""
    come = arrivals(emulator)
    gate = Gate(emulator)
    gate.open(3)
    with emulator.fault(Fault.queue(60, at_a_time=1)):
        stuck = await sends(call, emulator, come, [NUMBER])
    with emulator.fault(Fault.queue(0, at_a_time=1)):
        assert (await call.sms())[0] == 200
    assert (await call.sms())[0] == 200
    assert not stuck[0].done()
    stuck[0].cancel()


async def test_who_leaves_the_queue_is_not_acted_upon_and_makes_room(call, emulator):
    """Whether at work or waiting."""
    come = arrivals(emulator)
    left = asyncio.Queue()

    async def tell(_, act):
        try:
            return await act()
        finally:
            left.put_nowait(None)

    emulator.fault(Fault("tell", tell))
    slow = emulator.fault(Fault.queue(60, at_a_time=1), times=2)
    for task in await sends(call, emulator, come, ["56987688001", "56987688002"]):
        task.cancel()
        await left.get()
    slow.times = None
    assert emulator.received == []
    sending = await sends(call, emulator, come, ["56987688003"])
    assert not sending[0].done()
    sending[0].cancel()
    await left.get()


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("at_a_time", {"seconds": 1, "at_a_time": 0}),
        ("seconds", {"seconds": -1, "at_a_time": 1}),
        ("seconds", {"seconds": float("nan"), "at_a_time": 1}),
    ],
)
def test_a_queue_that_makes_no_sense_is_refused(field, arguments):
    """By the name of the argument."""
    with pytest.raises(ValueError, match=f"^{field} must be"):
        Fault.queue(**arguments)


async def test_a_function_is_called_before_and_after_acting(call, emulator):
    """With the number of the request among those that the fault met."""
    calls = []

    def note(when):
        return lambda number: calls.append((when, number, len(emulator.received)))

    fault = Fault.call(before=note("before"), after=note("after"))
    with emulator.fault(fault, route="sms.send"):
        await call("GET /account")
        await call.sms()
        await call.sms()
    await call.sms()
    assert [("before", 1, 0), ("after", 1, 1), ("before", 2, 1), ("after", 2, 2)] == calls


async def test_a_coroutine_function_is_awaited(call, emulator):
    """So the answer can be held for as long as a test likes."""
    acted, answer = asyncio.Event(), asyncio.Event()

    async def hold(number):
        assert number == 1
        acted.set()
        await answer.wait()

    emulator.fault(Fault.call(after=hold))
    sending = asyncio.create_task(call.sms())
    await acted.wait()
    assert (len(emulator.received), sending.done()) == (1, False)
    answer.set()
    assert (await sending)[0] == 200


@pytest.mark.parametrize(("hook", "reached"), [("before", 1), ("after", 2)])
async def test_a_client_can_be_killed_at_one_request_exactly(emulator, hook, reached):
    """At the second: before the server acts, or after it acted and before it answers."""
    processes = []

    async def kill(number):
        if number == 2:
            processes[-1].kill()
            await asyncio.Event().wait()  # the end of the connection ends it

    emulator.fault(Fault.call(**{hook: kill}), route="sms.send")
    settings = {
        "CONNECTUS_BASE_URL": emulator.base_url,
        "CONNECTUS_API_USER": emulator.api_user,
        "CONNECTUS_API_KEY": emulator.api_key,
    }
    for _ in range(2):
        processes.append(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "connectus_async", "sms", "send", NUMBER, "Hola"),
                env=settings,
                stdout=asyncio.subprocess.DEVNULL,
            )
        )
        await processes[-1].wait()
    assert [0, -9] == [process.returncode for process in processes]
    assert reached == len(emulator.received)


async def reported(call, id_delivery):
    """How many messages each of the three reports shows."""
    answers = [
        await call("GET /sms/date_report?begin_date=2026-07-01&end_date=2026-07-01"),
        await call(f"GET /sms/delivery_info?delivery_id={id_delivery}"),
        await call(f"GET /whatsapp/messages?src_number=56999944837&dst_number={NUMBER}"),
    ]
    return [len(answer["data"]) for _, answer in answers]


async def test_reports_may_be_late(calling, clock):
    """The phone has a message at once, and its id can be asked for; reports show it later."""
    async with Emulator(clock=clock, report_delay=30) as emulator:
        call = calling(emulator)
        delivery = {"name": "a", "deliver_at": "2026-07-01 13:00:00", "id_product": 1}
        _, created = await call("POST /deliveries", {"delivery": delivery})
        _, sent = await call.sms(id_delivery=created["id_delivery"])
        await call("POST /whatsapp/send_message", WHATSAPP)
        assert [2, 200] == [len(emulator.received), (await call(f"GET /sms/{sent['id_sms']}"))[0]]
        clock.advance(seconds=29)
        assert [0, 0, 0] == await reported(call, created["id_delivery"])
        clock.advance(seconds=1)
        assert [1, 1, 1] == await reported(call, created["id_delivery"])


async def test_the_delay_of_reports_can_be_changed_while_it_runs(call, emulator, clock):
    """It holds for messages that were there before, too."""
    await call.sms()
    today = "GET /sms/date_report?begin_date=2026-07-01&end_date=2026-07-01"
    emulator.report_delay = timedelta(hours=1).total_seconds()
    assert (await call(today))[1] == {"data": []}
    emulator.report_delay = 0
    assert len((await call(today))[1]["data"]) == 1


async def storm(calling, seed, requests):
    """What each of many sends got while several faults were in effect, and what arrived."""
    async with Emulator(seed=seed) as emulator:
        emulator.fault(Fault.too_many(), route="sms.send", share=0.05)
        emulator.fault(Fault.reset_after(), route="sms.send", share=0.01)
        emulator.fault(Fault.status(502, {"acted": 1}, acted=True), route="sms.send", share=0.01)
        emulator.fault(Fault.status(502, {"acted": 0}), route="sms.send", share=0.01)
        call = calling(emulator)
        outcomes = []
        for _ in range(requests):
            try:
                status, answer = await call.sms()
                outcomes.append((status, answer.get("acted")))
            except aiohttp.ClientError:
                outcomes.append(("reset", None))
        return outcomes, len(emulator.received)


async def test_many_faults_share_the_requests_as_the_seed_has_it(calling):
    """429, resets and both kinds of 502 at once; what reached the phone adds up."""
    outcomes, received = await storm(calling, 4, 600)
    counts = Counter(outcomes)
    assert {(200, None), (429, None), ("reset", None), (502, 1), (502, 0)} == set(counts)
    assert received == counts[200, None] + counts["reset", None] + counts[502, 1]
    assert 15 <= counts[429, None] <= 50
    assert (outcomes, received) == await storm(calling, 4, 600)
