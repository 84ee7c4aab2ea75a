"""Events per second through the ASGI receiver, and through a plain Starlette route for JSON.

The receiver checks the secret, limits the body, parses a typed event, keeps the order of each SMS,
and remembers handled events; the plain route does none of this. Both are measured under uvicorn,
each in its own process, and without a server. Rounds are interleaved, and figures are medians. All
events are different. Run from the top of the repository:

    python -m benchmarks.webhooks [EVENTS]
"""

import argparse
import asyncio
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectus_async import webhooks

ROUNDS = 11
CONNECTIONS = 32
DEFAULT_EVENTS = 4_000
SECRET = "a-secret-of-the-benchmark"  # noqa: S105 - it opens nothing else
PATH = f"/webhooks/{SECRET}"
ENOUGH = 0.7
BARE = "bare Starlette"


async def handle(_: webhooks.Event) -> None:
    """Do nothing with an event."""


async def route(request: Request) -> Response:
    """Parse JSON and answer."""
    await request.json()
    return Response()


APPS: dict[str, Any] = {
    BARE: Starlette(routes=[Route("/webhooks/{secret}", route, methods=["POST"])]),
    "ours": webhooks.asgi(handle, secret=SECRET),
}


def bodies() -> Iterator[bytes]:
    """Write status changes, each of another SMS."""
    for number in count():
        yield b'{"status": "ENTREGADO", "id_sms": "%032x"}' % number


def serve(name: str) -> None:
    """Run an app under uvicorn; the port is the first line of standard output."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(APPS[name], log_level="error", access_log=False, lifespan="off")
        uvicorn.Server(config).run([listener])


class Poster(asyncio.Protocol):
    """Posts on one connection, one event after another, until none is left."""

    def __init__(self, events: Iterator[bytes]) -> None:
        self._events = events
        self._answer = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._post()

    def data_received(self, data: bytes) -> None:
        """Go on when the answer, which has no body, is whole."""
        self._answer += data
        if self._answer.endswith(b"\r\n\r\n"):
            assert self._answer.startswith(b"HTTP/1.1 200 "), self._answer
            self._answer = b""
            self._post()

    def _post(self) -> None:
        body = next(self._events, None)
        if body is None:
            self._transport.close()
            self.done.set_result(None)
            return
        head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" % PATH.encode()
        self._transport.write(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))


class UnderUvicorn:
    """An app in a process of its own."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def rate(self, events: list[bytes]) -> float:
        """Post events, and return how many went through in a second."""
        loop, waiting = asyncio.get_running_loop(), iter(events)
        started = time.perf_counter()
        posters = [
            (await loop.create_connection(lambda: Poster(waiting), "127.0.0.1", self._port))[1]
            for _ in range(CONNECTIONS)
        ]
        await asyncio.gather(*(poster.done for poster in posters))
        return len(events) / (time.perf_counter() - started)


class Alone:
    """An app that is called by nobody but us."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def rate(self, events: list[bytes]) -> float:
        """Hand events over, and return how many went through in a second."""
        started = time.perf_counter()
        for body in events:
            await self._post(body)
        return len(events) / (time.perf_counter() - started)

    async def _post(self, body: bytes) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            assert message.get("status", 200) == 200

        length = str(len(body)).encode()
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": PATH,
            "root_path": "",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json"), (b"content-length", length)],
            "client": ("127.0.0.1", 4711),
        }
        await self._app(scope, receive, send)


@asynccontextmanager
async def under_uvicorn(name: str) -> AsyncIterator[UnderUvicorn]:
    """Start an app in a process of its own."""
    command = (sys.executable, "-m", "benchmarks.webhooks", "--serve", name)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield UnderUvicorn(int(await process.stdout.readline()))
    finally:
        process.terminate()
        await process.wait()


def report(title: str, rates: dict[str, list[float]]) -> float:
    """Print the medians, and the ratio of the pairs with its spread; return the ratio."""
    print(title)
    for name, measured in rates.items():
        print(f"{name:>15}: {statistics.median(measured):7,.0f} events a second")
    pairs = zip(rates["ours"], rates[BARE], strict=True)
    ratios = sorted(ours / bare for ours, bare in pairs)
    median = statistics.median(ratios)
    print(f"{'ratio':>15}: {median:.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})")
    return median


async def measure(events: int) -> None:
    """Measure both apps, under uvicorn and alone."""
    async with AsyncExitStack() as stack:
        served = {name: await stack.enter_async_context(under_uvicorn(name)) for name in APPS}
        alone = {name: Alone(app) for name, app in APPS.items()}
        settings = {f"uvicorn, {CONNECTIONS} connections": served, "without a server": alone}
        for title, ways in settings.items():
            source = bodies()
            rates: dict[str, list[float]] = {name: [] for name in ways}
            for number in range(ROUNDS + 1):
                for name, way in ways.items():
                    rate = await way.rate([next(source) for _ in range(events)])
                    if number:  # the first round is to warm up
                        rates[name].append(rate)
            ratio = report(f"{title}: {events} events, {ROUNDS} interleaved rounds, medians", rates)
            assert ratio >= ENOUGH or ways is alone, f"less than {ENOUGH} times as many"


def main() -> None:
    """Measure, or serve what is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("events", nargs="?", type=int, default=DEFAULT_EVENTS)
    parser.add_argument("--serve", choices=APPS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
    else:
        asyncio.run(measure(arguments.events))


if __name__ == "__main__":
    main()
