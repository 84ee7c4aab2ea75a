"""Calls at the very end: in an exit handler, and in a thread after the main one has ended."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE

import pytest
from scripts import LIMIT

pytestmark = pytest.mark.both("either loop ends with its process")

AT_EXIT = "atexit.register(call)"
AFTER_THE_MAIN_THREAD = """
def after_the_main_thread():
    threading.main_thread().join()
    call()

threading.Thread(target=after_the_main_thread).start()
"""

PROGRAM = """
import sys
sys.modules["aiodns"] = None  # which needs no executor
import asyncio, atexit, os, threading
from connectus_async import AsyncConnectus, Connectus, NotSentError, Sms

MESSAGES = [Sms("56987688060", "Hola")]

def call():
    try:
        send()
        print("sent")
    except NotSentError as error:
        print(error)

def send():
    {body}

{moment}
"""

EXITING = (
    "POST /sms/send_individual: no connection: Python is exiting and no longer resolves "
    "host names (nothing was sent; send before the main thread ends)"
)
ONE = """with Connectus() as connectus:
        connectus.sms.send("56987688060", "Hola")"""
MANY = """with Connectus() as connectus, connectus.bulk(ledger=sys.argv[1]) as bulk:
        bulk.run(MESSAGES)"""
ONE_AWAITED = """async def main():
        async with AsyncConnectus() as connectus:
            await connectus.sms.send("56987688060", "Hola")
    asyncio.run(main())"""
MANY_AWAITED = """async def main():
        async with AsyncConnectus() as connectus, connectus.bulk(ledger=sys.argv[1]) as bulk:
            await bulk.run(MESSAGES)
    asyncio.run(main())"""


@pytest.mark.parametrize("moment", [AT_EXIT, AFTER_THE_MAIN_THREAD], ids=["handler", "thread"])
@pytest.mark.parametrize(
    ("body", "host", "told"),
    [
        pytest.param(ONE, "localhost", "sent", id="blocking"),
        pytest.param(MANY, "localhost", "sent", id="blocking bulk"),
        pytest.param(ONE_AWAITED, "localhost", EXITING, id="async"),
        pytest.param(ONE_AWAITED, "127.0.0.1", "sent", id="async, by address"),
        pytest.param(MANY_AWAITED, "localhost", EXITING, id="async bulk"),
        pytest.param(MANY_AWAITED, "127.0.0.1", "sent", id="async bulk, by address"),
    ],
)
async def test_a_first_call_at_the_end_works_or_says_why_not(
    emulator, tmp_path, moment, body, host, told
):
    """Executors take nothing any more; only asyncio's own loops cannot do without."""
    environment = {
        **os.environ,
        "CONNECTUS_BASE_URL": emulator.base_url.replace("127.0.0.1", host),
        "CONNECTUS_API_USER": emulator.api_user,
        "CONNECTUS_API_KEY": emulator.api_key,
    }
    program = PROGRAM.format(moment=moment, body=body)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", program, tmp_path / "ledger.db"),
        stdout=PIPE,
        stderr=PIPE,
        env=environment,
    )
    async with asyncio.timeout(LIMIT):
        output, errors = await process.communicate()

    assert (output.decode().strip(), errors) == (told, b"")
    assert len(emulator.received) == (told == "sent")
