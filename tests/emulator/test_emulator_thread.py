"""An emulator in a thread of its own, for code that blocks."""

import asyncio
import base64
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from threads import WAIT, begun_since

from connectus_async.emulator import Emulator, Fault


@pytest.fixture
def no_blocking() -> None:
    """To block the loop is what is tested here."""


def send(emulator: Emulator) -> int:
    """Send an SMS with a client that blocks; return the HTTP status."""
    user = base64.b64encode(f"{emulator.api_user}:{emulator.api_key}".encode()).decode()
    request = urllib.request.Request(
        f"{emulator.base_url}/sms/send_individual",
        json.dumps({"dst_number": 56987688060, "sms_content": "Hola"}).encode(),
        {"Authorization": f"Basic {user}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=WAIT) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_it_answers_code_that_blocks():
    """Its faults are placed from there, and its thread ends with it."""
    with Emulator():  # aiohttp starts a thread of its own at the first time
        pass
    before = set(threading.enumerate())
    with Emulator() as emulator:
        assert send(emulator) == 200
        with emulator.fault(Fault.status(500), route="sms.send"):
            assert send(emulator) == 500
        emulator.assert_sent(to=56987688060, times=1)
    assert not begun_since(before)


async def test_its_coroutines_are_awaited_in_any_loop():
    """That of an async test, in which the emulator is not."""
    with Emulator() as emulator:
        async with emulator.refusing():
            with pytest.raises(urllib.error.URLError):
                await asyncio.to_thread(send, emulator)
        assert await asyncio.to_thread(send, emulator) == 200
        await emulator.webhooks_settled()


def test_a_reply_is_posted_by_code_that_blocks():
    """`call` runs a coroutine of the emulator where there is no loop."""
    told: list[dict[str, object]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        log_message: Callable[..., None] = lambda *_: None

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/"
        with Emulator(incoming_webhook=url) as emulator:
            status = emulator.call(
                emulator.incoming(
                    src_number="56987688060", dst_number="56987600000", sms_content="Sí"
                )
            )
        thread.join()
    assert (status, [post["sms_content"] for post in told]) == (200, ["Sí"])
