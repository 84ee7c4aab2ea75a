"""Sends one message, then another amid a partition; ``localhost`` is the server's address.

It says when the second is written, and then what became of it.
"""

import asyncio
import socket
import sys
from unittest.mock import patch

import aiohttp
import pytest
from ways import WAYS

from connectus_async import AsyncConnectus, ConnectusError

WAY, ADDRESS, PORT = sys.argv[1:]
NUMBER = "56987688060"


class Resolver(aiohttp.abc.AbstractResolver):
    """Resolves the only name to which the client speaks without TLS."""

    async def resolve(self, host, port=0, family=socket.AF_INET):
        return [
            {
                "hostname": host,
                "host": ADDRESS,
                "port": port,
                "family": family,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
        ]

    async def close(self):
        pass


def say(*words):
    print(*words, flush=True)  # noqa: T201 - the test reads it


async def heard(word):
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    assert line.strip() == word


async def main():
    url = f"http://localhost:{PORT}/api_v3"
    async with AsyncConnectus("user", "key", base_url=url, max_retries=0) as connectus:
        await connectus.sms.send(NUMBER, "before")
        say("sent")
        await heard("cut")
        amid = connectus.with_options(timeout=0.3).sms.send(NUMBER, "amid")
        sending = asyncio.create_task(amid)
        for _ in range(20):
            await asyncio.sleep(0)
        say("written")
        try:
            await sending
        except ConnectusError as error:
            say(error.outcome.value)
        await heard("end")


with (
    patch("aiohttp.connector.DefaultResolver", lambda **_: Resolver()),
    pytest.MonkeyPatch.context() as monkeypatch,
):
    WAYS[WAY](monkeypatch)
    asyncio.run(main())
