"""The time of the running loop, which a test puts forward, as soon as what it is about has come.

So a time limit runs out at the right moment however slow the machine is, and takes no time.
"""

import asyncio
import time

from hostile import HostileServer

LIMIT = 30
"""Seconds for a time limit that a test lets run out; nothing else takes nearly as long."""


def pass_time(seconds: float = LIMIT + 2) -> None:
    """Put the clock of the loop forward: what is due within these seconds is due now.

    A limit of more than 5 seconds is rounded up to a whole second by aiohttp.
    """
    loop = asyncio.get_running_loop()
    ahead = loop.time() - time.monotonic() + seconds
    loop.time = lambda: time.monotonic() + ahead


async def all_has_arrived() -> None:
    """Let the loop read whatever was written to a connection of this machine before."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(1))
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as listener:
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        writer.write(b".")
        await reader.read()
        writer.close()
        await writer.wait_closed()


async def run_out_after(server: HostileServer, requests: int) -> None:
    """Let the limits run out once the server has read, and answered, so many requests."""
    await server.have_come(requests)
    await all_has_arrived()
    pass_time()
