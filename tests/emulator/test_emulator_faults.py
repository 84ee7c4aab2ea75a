"""Injected faults: the client's view, and whether the message reached the phone."""

import asyncio
import json
import re

import pytest

from connectus_async.emulator import Emulator, Fault
from connectus_async.emulator.faults import RateLimit


async def raw_send(call):
    """The bytes that a send gets back over a socket of its own, up to its end."""
    body = b'{"dst_number": 56987688060, "sms_content": "Hola"}'
    reader, writer = await asyncio.open_connection("127.0.0.1", call.emulator.port)
    try:
        writer.write(
            b"POST /api_v3/sms/send_individual HTTP/1.1\r\nHost: a\r\nAuthorization: %b\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (call.basic.encode(), len(body), body)
        )
        return await reader.read()
    finally:
        writer.close()


async def send_and_give_up(call, moment):
    """A send whose client goes at some moment."""
    sending = asyncio.create_task(call.sms())
    await moment.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


@pytest.mark.parametrize(("fault", "reached"), [("reset_before", 0), ("reset_after", 1)])
async def test_a_reset_is_a_real_one(call, emulator, fault, reached):
    """An RST, not an end of file; before acting or after."""
    emulator.fault(getattr(Fault, fault)(), route="sms.send")
    with pytest.raises(ConnectionResetError):
        await raw_send(call)
    assert (reached, 1) == (len(emulator.received), emulator.requests["sms.send"])


async def test_half_an_answer_ends_before_its_content_length(call, emulator):
    """Acted upon, then part of the body and the end of the connection."""
    emulator.fault(Fault.half_answer())
    head, _, body = (await raw_send(call)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    length = int(re.search(rb"Content-Length: (\d+)", head)[1])
    assert 0 < len(body) < length
    assert len(emulator.received) == 1


async def test_any_status_is_answered_without_acting(call, emulator, session):
    """From 200 to 599, with an empty body unless told otherwise."""
    for number, code in enumerate(range(200, 600), 1):
        emulator.fault(Fault.status(code), times=1)
        async with session.post(
            f"{emulator.base_url}/sms/send_individual",
            json={"dst_number": 56987688060, "sms_content": "Hola"},
            headers={"Authorization": call.basic},
            allow_redirects=False,
        ) as response:
            assert (code, b"") == (response.status, await response.read())
        assert (emulator.received, emulator.requests["sms.send"]) == ([], number)


async def test_a_status_may_come_after_acting(call, emulator):
    """A proxy's 502 over a server that did its work."""
    emulator.fault(Fault.status(502, {"error": "Bad gateway"}, acted=True))
    assert await call.sms() == (502, {"error": "Bad gateway"})
    assert len(emulator.received) == 1


@pytest.mark.parametrize(
    ("retry_after", "header"), [(1, "1"), ("Wed, 21 Oct 2026 07:28:00 GMT",) * 2]
)
async def test_too_many_says_when_to_come_back(call, emulator, session, retry_after, header):
    """429, not acted upon."""
    emulator.fault(Fault.too_many(retry_after=retry_after))
    async with session.get(
        f"{emulator.base_url}/account", headers={"Authorization": call.basic}
    ) as response:
        assert (429, header) == (response.status, response.headers["Retry-After"])
        assert await response.json() == {"error": "Too many requests"}


@pytest.mark.parametrize("body", ["<html>it works</html>", b"\xff\xfe", ""])
async def test_garbage_is_200_and_not_json(call, emulator, body):
    """Acted upon."""
    emulator.fault(Fault.garbage(body))
    raw = body if isinstance(body, bytes) else body.encode()
    head, _, got = (await closing_send(call)).partition(b"\r\n\r\n")
    assert (True, raw) == (head.startswith(b"HTTP/1.1 200"), got)
    with pytest.raises(ValueError, match=r"."):
        json.loads(got)
    assert len(emulator.received) == 1


async def closing_send(call):
    """As `raw_send`, asking the server to close."""
    call.basic += "\r\nConnection: close"
    return await raw_send(call)


async def test_a_timeout_acts_and_never_answers(call, emulator):
    """The message reached the phone; what serves the request goes with the client."""
    acted, gone = asyncio.Event(), asyncio.Event()

    async def watch(_, act):
        try:
            return await act()
        finally:
            gone.set()

    emulator.fault(Fault("watch", watch))
    emulator.fault(Fault.timeout())
    emulator.fault(Fault.call(after=lambda _: acted.set()))
    await send_and_give_up(call, acted)
    await gone.wait()
    assert len(emulator.received) == 1


async def test_a_delay_answers_as_usual(call, emulator):
    """Late, but the same."""
    fault = emulator.fault(Fault.delay(0.01), times=1)
    status, answer = await call.sms()
    assert (status, answer["status"], fault.fired) == (200, "EN_COLA", 1)


async def test_a_client_that_goes_during_a_delay_is_not_acted_upon(call, emulator):
    """The delay comes first."""
    come = asyncio.Event()
    emulator.fault(Fault.call(before=lambda _: come.set()))
    with emulator.fault(Fault.delay(3_600)):
        await send_and_give_up(call, come)
    assert (await call.sms())[0] == 200
    assert (len(emulator.received), emulator.requests["sms.send"]) == (1, 2)


async def test_a_fault_strikes_its_route_only(call, emulator):
    """Others are served as usual."""
    emulator.fault(Fault.status(503, {}), route="sms.send")
    assert ((await call.sms())[0], (await call("GET /account"))[0]) == (503, 200)


async def test_a_fault_without_a_route_strikes_all(call, emulator):
    """The QR host too."""
    emulator.fault(Fault.status(503, {}))
    assert ((await call.sms())[0], (await call.qr("GET /status"))[0]) == (503, 503)


async def test_a_fault_ends_after_so_many_times(call, emulator):
    """It says how often it happened, and how often it still will."""
    fault = emulator.fault(Fault.status(503, {}), times=2)
    assert [(await call.sms())[0] for _ in range(3)] == [503, 503, 200]
    assert (fault.fired, fault.times) == (2, 0)


async def test_a_fault_can_be_removed(call, emulator):
    """By hand, with a block, or all at once; twice does no harm."""
    fault = emulator.fault(Fault.status(503, {}))
    fault.remove()
    fault.remove()
    assert (await call.sms())[0] == 200
    with emulator.fault(Fault.status(503, {})) as placed:
        assert (await call.sms())[0] == 503
    assert ((await call.sms())[0], placed.fired) == (200, 1)
    emulator.fault(Fault.status(503, {}))
    emulator.clear_faults()
    assert (await call.sms())[0] == 200


async def test_a_share_is_decided_by_the_seed(calling):
    """The same for the same seed; a second fault does not change the first one's choices."""

    async def struck(seed, *, another=False):
        async with Emulator(seed=seed) as emulator:
            emulator.fault(Fault.status(503, {}), route="sms.send", share=0.3)
            if another:
                emulator.fault(Fault.delay(0), route="sms.send", share=0.5)
            call = calling(emulator)
            return [(await call.sms())[0] == 503 for _ in range(100)]

    first = await struck(1)
    assert 15 < sum(first) < 45
    assert first == await struck(1, another=True)
    assert first != await struck(2)


async def test_faults_nest_in_the_order_they_were_placed(call, emulator):
    """The first is outermost: a reset after acting around a refusal acts on nothing."""
    emulator.fault(Fault.reset_after())
    inner = emulator.fault(Fault.status(503))
    with pytest.raises(ConnectionResetError):
        await raw_send(call)
    assert (inner.fired, emulator.received) == (1, [])


async def test_a_fault_after_acting_does_not_act_for_a_stranger(call, emulator):
    """A request without valid credentials never sends a message."""
    call.basic = "Basic wrong"
    emulator.fault(Fault.garbage(b"{}"))
    assert await call.sms() == (200, {})
    assert emulator.received == []


@pytest.mark.parametrize(
    "order", [{"route": "sms.sent"}, {"share": 0}, {"share": 1.1}, {"times": 0}]
)
async def test_an_order_that_makes_no_sense_is_refused(emulator, order):
    """A misspelt route would otherwise be a test that tests nothing."""
    with pytest.raises(ValueError, match=next(iter(order))):
        emulator.fault(Fault.timeout(), **order)


@pytest.mark.parametrize("code", [99, 199, 600])
def test_a_status_that_is_no_final_one_is_refused(code):
    """From 200 to 599 only."""
    with pytest.raises(ValueError, match="code must be 200 to 599"):
        Fault.status(code)


async def test_past_the_rate_limit_the_answer_is_429(calling, session):
    """With the seconds to wait, and not acted upon."""
    async with Emulator(rate_limit=0.01) as emulator:
        call = calling(emulator)
        assert (await call.sms())[0] == 200
        async with session.post(
            f"{emulator.base_url}/sms/send_individual", headers={"Authorization": call.basic}
        ) as response:
            assert response.status == 429
            assert 90 <= int(response.headers["Retry-After"]) <= 100
        assert (len(emulator.received), emulator.requests["sms.send"]) == (1, 2)


def test_the_rate_limit_is_a_bucket_of_one_second():
    """Full at first, refilled as time passes, never past a second's worth."""
    times = iter([0, 0, 0, 0, 0.5, 0.5, 60, 60, 60])
    limit = RateLimit(2, timer=lambda: next(times))
    assert [limit.seconds_to_wait() for _ in range(8)] == [0, 0, 1, 0, 1, 0, 0, 1]
