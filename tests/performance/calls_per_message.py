"""How many function calls a message takes: a figure that no busy machine changes.

Counted are the calls of our own functions, each step of a coroutine being one, and those that they
make, themselves or through the standard library: of C functions, of generated methods, of aiohttp
and of the event loop. What aiohttp and the event loop do then is not counted, nor is a
comprehension, which is a call in Python 3.11 alone. So the figure depends neither on how the kernel
and the threads share out their work, nor on the versions of aiohttp and Python. Everything runs on
asyncio's own loop and on the standard library's JSON, whatever else is installed.

What is not seen: how long a call takes, and so what a C function or a statement of SQL does; what
calls nothing, such as a loop or a large copy; a C type that is called, such as ``str``; what it
costs inside aiohttp or the event loop to use them otherwise, as with a task for each message;
memory and system calls. The benchmarks see that.
"""

import asyncio
import contextlib
import gc
import json
import math
import sys
import sysconfig
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FrameType
from typing import Any
from unittest.mock import patch

import attrs
from anyio.from_thread import start_blocking_portal

import connectus_async
from connectus_async import AsyncConnectus, Connectus, Sms, _json
from connectus_async.bulk.pacing.concurrency import Aimd
from connectus_async.ledger.records import Entry, Policy
from connectus_async.ledger.sqlite.ledger import SqliteLedger
from connectus_async.ledger.states import OnUnknown, State

BASELINE = Path(__file__).with_suffix(".json")
COMMAND = "nox -s baseline"

FEW, MANY = 64, 192
CONCURRENCY = 64
FIRST_NUMBER = 56_960_000_000
TEXT = "Hola, tu pedido va en camino."
SETTINGS = {"api_user": "user", "api_key": "key", "timeout": 60, "connect_timeout": 60}
"""Patient, for a busy machine is not to be seen."""
TOLERATED = 0.1
MOST_NAMED = 5

OURS = Path(connectus_async.__file__).parent
STANDARD_LIBRARY = sysconfig.get_path("stdlib")
INLINED = {"<listcomp>", "<dictcomp>", "<setcomp>"}
"""What has a frame of its own in Python 3.11, and in no later one."""

Figures = Mapping[str, float]
"""Calls per message, by the function that they count for."""


# The server


class Answering(asyncio.Protocol):
    """Accepts one request after the other."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    BODY = b'{"status":"EN_COLA","id_sms":"0123456789abcdef"}'

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._request = b""

    def data_received(self, data: bytes) -> None:
        self._request += data
        head, end, body = self._request.partition(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"content-length: ")
        if end and len(body) == int(length.partition(b"\r\n")[0]):
            self._request = b""
            self._transport.write(self.ANSWER % (len(self.BODY), self.BODY))


@contextlib.contextmanager
def answering() -> Iterator[dict[str, Any]]:
    """Run a server in a thread of its own, and give the settings of a client of it."""

    @contextlib.asynccontextmanager
    async def listening():
        loop = asyncio.get_running_loop()
        async with await loop.create_server(Answering, "127.0.0.1", 0, backlog=256) as server:
            yield server.sockets[0].getsockname()[1]

    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(listening()) as port,
    ):
        yield {"base_url": f"http://127.0.0.1:{port}", **SETTINGS}


# What is counted


def awaited_sends(settings: Mapping[str, Any], messages: int) -> None:
    async def send() -> None:
        async with AsyncConnectus(**settings) as connectus:
            for number in range(messages):
                await connectus.sms.send(FIRST_NUMBER + number, TEXT)

    run(send())


def blocking_sends(settings: Mapping[str, Any], messages: int) -> None:
    with Connectus(**settings) as connectus:
        for number in range(messages):
            connectus.sms.send(FIRST_NUMBER + number, TEXT)


def campaign(settings: Mapping[str, Any], messages: int) -> None:
    run(bulk(settings, messages, None))


def campaign_with_ledger(settings: Mapping[str, Any], messages: int) -> None:
    with TemporaryDirectory() as folder:
        run(bulk(settings, messages, Path(folder, "campaign.db")))


async def bulk(settings: Mapping[str, Any], messages: int, ledger: Path | None) -> None:
    sms = (Sms(FIRST_NUMBER + number, TEXT) for number in range(messages))
    async with (
        AsyncConnectus(**settings) as connectus,
        connectus.bulk(ledger=ledger, concurrency=CONCURRENCY) as sender,
    ):
        async for _ in sender.stream(sms):
            pass
    assert messages == sender.summary.accepted


def ledger_alone(_: Mapping[str, Any], messages: int) -> None:
    with TemporaryDirectory() as folder:
        run(written(SqliteLedger(Path(folder, "campaign.db")), messages))


async def written(ledger: SqliteLedger, messages: int) -> None:
    """Begin and finish messages, in groups that are of one size whatever the threads do."""
    await ledger.open(Policy("", "message", OnUnknown.HOLD, forgets_content=False))
    for first in range(0, messages, CONCURRENCY):
        keys = map(str, range(first, first + CONCURRENCY))
        entries = [Entry(key, None, "sms", key, "{}", 1) for key in keys]
        async with held(ledger):
            begun = [ledger.begin(entry, None) for entry in entries]
        claims = [await claim for claim in begun]
        async with held(ledger):
            for entry, claim in zip(entries, claims, strict=True):
                ledger.finish(entry, claim.number, State.ACCEPTED, None, "id")
    counts = await ledger.counts()
    await ledger.close()
    assert {State.ACCEPTED: messages} == counts


@contextlib.asynccontextmanager
async def held(ledger: SqliteLedger):
    """Let the ledger's thread write nothing before the end of the block, and then all."""
    loop = asyncio.get_running_loop()
    is_held, is_let_go = loop.create_future(), threading.Event()

    def hold(_: object) -> None:
        loop.call_soon_threadsafe(is_held.set_result, None)
        is_let_go.wait()

    holding = asyncio.ensure_future(ledger.ask(hold))
    await is_held
    yield
    is_let_go.set()
    await holding


def run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(debug=False, loop_factory=asyncio.new_event_loop) as runner:
        runner.run(main)


@attrs.frozen
class Case:
    """What is counted.

    Attributes:
        send: Sends a number of messages.
        here: Whether calls in the thread that calls it count.
        in_new_threads: Whether calls in the threads that it starts count.
    """

    send: Callable[[Mapping[str, Any], int], None]
    here: bool = True
    in_new_threads: bool = False


CASES = {
    "an awaited sms.send": Case(awaited_sends),
    "a blocking sms.send, in both threads": Case(blocking_sends, in_new_threads=True),
    "a message of a campaign without a ledger": Case(campaign),
    "a message of a campaign with a ledger, but for the ledger's thread": Case(
        campaign_with_ledger
    ),
    "a message in the ledger's thread, in groups of 64": Case(
        ledger_alone, here=False, in_new_threads=True
    ),
}


# How it is counted


class Calls:
    """The calls that were seen: a list, for threads may append to it without a lock."""

    def __init__(self) -> None:
        self._seen: list[CodeType] = []

    def by_function(self) -> Counter[str]:
        return Counter(f"{_place(code.co_filename)} {code.co_qualname}" for code in self._seen)

    def see(self, frame: FrameType | None, event: str, _: object) -> None:
        """Take note of a call, if it counts, as one of the function of ours that is behind it."""
        if event == "call":
            if frame.f_code.co_name in INLINED:
                return
            if not _place(frame.f_code.co_filename):
                frame = frame.f_back
        elif event != "c_call":
            return
        while frame is not None and (place := _place(frame.f_code.co_filename)) is not None:
            if place and frame.f_code.co_name not in INLINED:
                self._seen.append(frame.f_code)
                return
            frame = frame.f_back


@cache
def _place(filename: str) -> str | None:
    """Tell which of our modules a file is.

    Returns:
        Its name; nothing if what its functions call counts for the function that called them; and
        ``None`` if that does not count.
    """
    path = Path(filename)
    if path.is_relative_to(OURS):
        return path.relative_to(OURS).as_posix()
    is_generated = filename.startswith("<")
    is_standard = path.is_relative_to(STANDARD_LIBRARY) and path.parts[-2] != "asyncio"
    is_installed = not {"site-packages", "dist-packages"}.isdisjoint(path.parts)
    return "" if is_generated or (is_standard and not is_installed) else None


@contextlib.contextmanager
def counted(case: Case) -> Iterator[Calls]:
    calls = Calls()
    before = sys.getprofile(), threading.getprofile()
    gc.disable()  # it calls what is registered with it when it likes
    threading.setprofile(calls.see if case.in_new_threads else None)
    sys.setprofile(calls.see if case.here else None)
    try:
        yield calls
    finally:
        sys.setprofile(before[0])
        threading.setprofile(before[1])
        gc.enable()


@contextlib.contextmanager
def same_everywhere() -> Iterator[None]:
    """Do without the extra ``speed``, and take a slow machine for no slow server."""
    with (
        patch.multiple(_json, dumps=_json._dumps, loads=_json._loads),
        patch("connectus_async.sync._runner.loop_factory", lambda: asyncio.new_event_loop),
        patch("connectus_async.transport.knows_aiohttp", lambda: True),
        patch.object(Aimd, "SLOW", math.inf),
    ):
        yield


def calls_per_message(case: Case) -> Figures:
    """Count what a message takes, in a long run less a short one."""

    def count(messages: int) -> Counter[str]:
        with counted(case) as calls:
            case.send(settings, messages)
        return calls.by_function()

    with same_everywhere(), answering() as settings:
        case.send(settings, FEW)  # what is done at the first time alone
        few, many = count(FEW), count(MANY)
    names = sorted(few | many)
    figures = {name: round((many[name] - few[name]) / (MANY - FEW), 2) for name in names}
    return {name: calls for name, calls in figures.items() if calls}


# What is said about it


def complaint_about(case: str, now: Figures, expected: float) -> str | None:
    """Say in what way the figures are too far from the baseline, if they are."""
    calls = sum(now.values())
    change = calls / expected - 1
    if abs(change) < TOLERATED:
        return None
    sentence = f"{case}: {calls:.1f} calls, {change:+.0%} on the baseline of {expected:.1f}."
    if change < 0:
        return f"{sentence} Keep what was won: record the baseline anew by {COMMAND}."
    most = [f"{name} {calls:.1f}" for name, calls in Counter(now).most_common(MOST_NAMED)]
    return (
        f"{sentence} Most are for: {'; '.join(most)}. Compare all with those of the commit before:"
        f" {COMMAND} prints them. If the rise has to be, record the baseline anew, and explain it"
        " in the commit."
    )


def recorded() -> dict[str, float]:
    """Read the baseline."""
    baseline: dict[str, float] = json.loads(BASELINE.read_text())
    return baseline


def record() -> None:
    """Write the baseline, and print what each of its sums is made of."""
    found = {name: calls_per_message(case) for name, case in CASES.items()}
    baseline = {name: round(sum(figures.values()), 1) for name, figures in found.items()}
    BASELINE.write_text(f"{json.dumps(baseline, indent=1)}\n")
    for name, figures in found.items():
        sys.stdout.write(f"{baseline[name]:6.1f} calls: {name}\n")
        for function, calls in Counter(figures).most_common():
            sys.stdout.write(f"{calls:10.1f} {function}\n")


if __name__ == "__main__":
    record()
