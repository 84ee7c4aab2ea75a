"""The benchmarks' fast sink: it counts and rejects requests as documented."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
BODY = b'{"dst_number": 56987688060}'


def request(body=BODY, authorization=b"Authorization: Basic YTpi\r\n"):
    return b"POST / HTTP/1.1\r\n%bCONTENT-length: %d\r\n\r\n%b" % (authorization, len(body), body)


@asynccontextmanager
async def fast_sink(*options):
    """A process, a connection to it, and a function that ends it and returns its counts."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.sink", "fast", *options),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    settings = json.loads(await process.stdout.readline())

    async def stop():
        output, _ = await process.communicate(b"")
        return json.loads(output)

    port = urlsplit(settings["base_url"]).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer, stop
    finally:
        writer.close()
        await process.communicate(b"")


async def answer(reader):
    """The status and the body of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
    return int(head.split()[1]), json.loads(await reader.readexactly(length))


async def test_it_answers_each_request_with_an_id_of_its_own():
    """Over one connection, however the bytes are cut."""
    async with fast_sink() as (reader, writer, stop):
        answers = []
        for _ in range(2):
            writer.write(request())
            answers.append(await answer(reader))
        whole = request()
        for position in range(0, len(whole), 7):
            writer.write(whole[position : position + 7])
            await writer.drain()
        answers.append(await answer(reader))
        writer.write(request() + request(b""))
        answers += [await answer(reader), await answer(reader)]
        counts = await stop()
    ids = [f"{number:032x}" for number in range(1, 6)]
    assert [(200, {"status": "EN_COLA", "id_sms": id_}) for id_ in ids] == answers
    assert 5 == counts["received"]
    assert {"received", "cpu_seconds"} == counts.keys()


async def test_without_authorization_nothing_is_received():
    """401, and not counted."""
    async with fast_sink() as (reader, writer, stop):
        writer.write(request(authorization=b""))
        assert await answer(reader) == (401, {"error": "unauthorized"})
        assert (await stop())["received"] == 0


@pytest.mark.parametrize(("bodies", "distinct"), [([b"a", b"b", b"a"], 2), ([b"a"], 1)])
async def test_it_can_count_distinct_bodies(bodies, distinct):
    """On request, since it costs memory."""
    async with fast_sink("--distinct") as (reader, writer, stop):
        for body in bodies:
            writer.write(request(body))
            assert (await answer(reader))[0] == 200
        counts = await stop()
    assert (len(bodies), distinct) == (counts["received"], counts["distinct"])
