"""Our bulk sender compared with alternatives, against the same server.

It measures messages per second, and microseconds of this process's CPU per message, including
threads. Ours makes typed messages, checks them, paces them, records each durably before sending,
and returns a typed outcome; the others do none of this. All keep their connections and read the
responses. Rounds are interleaved, each with a new loop, new connections and a new ledger; figures
are medians, and ratios are of the same round. Slow alternatives send a share of the messages, which
does not change the rate. The server is the fast sink, in its own process; its capacity is printed
too. Run from the top of the repository:

    python -m benchmarks.bulk [--messages 10000] [--concurrency 16 64 256] [--rounds 3]
        [--only ours by-hand] [--uvloop] [--out FOLDER]
"""

import argparse
import asyncio
import warnings
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import aiohttp
import attrs
import httpx
import orjson
import requests
import twilio.rest
from anyio.from_thread import start_blocking_portal
from multidict import CIMultiDict
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from twilio.http.async_http_client import AsyncTwilioHttpClient
from yarl import URL

from benchmarks import figures
from benchmarks.figures import Round, costs, rates, ratio
from benchmarks.sink import fastest_loop, sink
from connectus_async import AsyncConnectus, Sms, _json
from connectus_async.instrumentation import CallHook, EventHook
from connectus_async.otel import Telemetry

MESSAGES = 10_000
CONCURRENCIES = (16, 64, 256)
ROUNDS = 3
FIRST_NUMBER = 56_960_000_000
TEXT = "Hola, tu pedido va en camino."
PATH = "/sms/send_individual"
OK = 200
MOST_CONNECTIONS = 100  # what aiohttp allows if nobody says anything; so does our client

Settings = Mapping[str, Any]


@attrs.frozen
class Task:
    """What is to be sent, in one round.

    Attributes:
        settings: ``base_url``, ``api_user`` and ``api_key`` of the server.
        messages: How many messages.
        concurrency: How many at a time.
        ledger: A file that is not there yet.
    """

    settings: Settings
    messages: int
    concurrency: int
    ledger: Path

    @property
    def url(self) -> str:
        """Where all are posted to."""
        return f"{self.settings['base_url']}{PATH}"

    @property
    def credentials(self) -> tuple[str, str]:
        """User and key."""
        return self.settings["api_user"], self.settings["api_key"]

    @property
    def authorization(self) -> str:
        """The header with the credentials."""
        return aiohttp.encode_basic_auth(*self.credentials)

    @property
    def numbers(self) -> Iterator[int]:
        """Who gets a message."""
        return iter(range(FIRST_NUMBER, FIRST_NUMBER + self.messages))

    def connector(self) -> aiohttp.TCPConnector:
        """Make what holds as many connections as are wanted at a time."""
        return aiohttp.TCPConnector(limit=max(self.concurrency, MOST_CONNECTIONS))


def body_for(number: int) -> dict[str, Any]:
    """Return what our client posts as well."""
    return {"dst_number": number, "sms_content": TEXT}


async def ours(
    task: Task,
    *,
    ledger: Path | None,
    on_call: CallHook | None = None,
    on_event: EventHook | None = None,
) -> None:
    """Send with everything on."""
    most = max(task.concurrency, MOST_CONNECTIONS)
    connectus = AsyncConnectus(**task.settings, max_connections=most, on_call=on_call)
    sender = connectus.bulk(ledger=ledger, concurrency=task.concurrency, on_event=on_event)
    async with connectus, sender as bulk:
        async for outcome in bulk.stream(Sms(number, TEXT) for number in task.numbers):
            assert outcome.id is not None
    assert bulk.summary.accepted == task.messages


async def ours_with_ledger(task: Task) -> None:
    """Each message is durable before it leaves."""
    await ours(task, ledger=task.ledger)


async def ours_without_ledger(task: Task) -> None:
    """A crash forgets who was reached."""
    await ours(task, ledger=None)


async def ours_with_hooks(task: Task) -> None:
    """Hooks that do nothing."""
    await ours(task, ledger=task.ledger, on_call=lambda _: None, on_event=lambda _: None)


class _Discarding(SpanExporter):
    """Exports spans to nobody: the cost of a collector is not ours."""

    def export(self, _: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


async def ours_with_telemetry(task: Task) -> None:
    """All spans and metrics are made, and the spans batched; nobody gets them."""
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(_Discarding(), max_queue_size=2 * MESSAGES))
    meters = MeterProvider([InMemoryMetricReader()])
    telemetry = Telemetry(tracer_provider=tracers, meter_provider=meters)
    campaign = telemetry.campaign()
    await ours(task, ledger=task.ledger, on_call=telemetry.on_call, on_event=campaign)
    await asyncio.to_thread(tracers.shutdown)


async def by_hand(task: Task) -> None:
    """``gather``, a semaphore and a session, as people write it: an error ends it all."""
    semaphore = asyncio.Semaphore(task.concurrency)

    async def send(session: aiohttp.ClientSession, number: int) -> None:
        async with semaphore, session.post(task.url, json=body_for(number)) as response:
            response.raise_for_status()
            await response.json()

    headers = {"Authorization": task.authorization}
    async with aiohttp.ClientSession(headers=headers, connector=task.connector()) as session:
        await asyncio.gather(*(send(session, number) for number in task.numbers))


async def tuned(task: Task) -> None:
    """All that aiohttp's public API allows: no cookies, no second encoding, orjson, few tasks."""
    url = URL(task.url, encoded=True)
    headers = CIMultiDict({"Authorization": task.authorization, "Content-Type": "application/json"})

    async def send(session: aiohttp.ClientSession, number: int) -> None:
        body = orjson.dumps(body_for(number))
        async with session.post(url, data=body, headers=headers) as response:
            assert response.status == OK
            orjson.loads(await response.read())

    session = aiohttp.ClientSession(
        connector=task.connector(), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    )
    async with session:
        await in_tasks(task, lambda number: send(session, number))


async def with_httpx(task: Task) -> None:
    """A client of httpx, and as many tasks as connections."""

    async def send(client: httpx.AsyncClient, number: int) -> None:
        response = await client.post(task.url, json=body_for(number))
        response.raise_for_status()
        response.json()

    limits = httpx.Limits(
        max_connections=task.concurrency, max_keepalive_connections=task.concurrency
    )
    async with httpx.AsyncClient(auth=task.credentials, limits=limits) as client:
        await in_tasks(task, lambda number: send(client, number))


async def with_twilio(task: Task) -> None:
    """The call that twilio's users make, pointed at our server: typed message in, instance out."""
    async with twilio_http_client() as http_client:
        client = twilio.rest.Client(*task.credentials, http_client=http_client)
        client.api.base_url = task.settings["base_url"]

        async def send(number: int) -> None:
            message = await client.messages.create_async(
                to=f"+{number}", from_="+56900000000", body=TEXT
            )
            assert message.status is not None

        await in_tasks(task, send)


async def with_twilio_http_client(task: Task) -> None:
    """The HTTP client below twilio's asynchronous calls, without what is above it."""

    async def send(number: int) -> None:
        response = await client.request(
            "POST", task.url, data=body_for(number), auth=task.credentials
        )
        assert response.status_code == OK
        orjson.loads(response.text)

    async with twilio_http_client() as client:
        await in_tasks(task, send)


def twilio_http_client() -> AsyncTwilioHttpClient:
    """Make the client, and say nothing of a warning of aiohttp that is about twilio's own code."""
    warnings.filterwarnings("ignore", "The 'auth' parameter", DeprecationWarning)
    return AsyncTwilioHttpClient()


async def with_requests(task: Task) -> None:
    """A pool of threads over one session of requests; the loop has nothing to do."""

    def send(number: int) -> None:
        response = session.post(task.url, json=body_for(number), timeout=30)
        response.raise_for_status()
        response.json()

    adapter = requests.adapters.HTTPAdapter(pool_maxsize=task.concurrency)
    with requests.Session() as session, ThreadPoolExecutor(task.concurrency) as pool:
        session.mount(task.url, adapter)
        session.auth = task.credentials
        for _ in pool.map(send, task.numbers):
            pass


async def in_tasks(task: Task, send: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """Send with as many tasks as there may be messages on their way."""

    async def work(numbers: Iterator[int]) -> None:
        for number in numbers:
            await send(number)

    numbers = task.numbers
    await asyncio.gather(*(work(numbers) for _ in range(task.concurrency)))


@attrs.frozen
class Contestant:
    """A way to send.

    Attributes:
        label: What it is called in a plot.
        send: Sends all messages of a task.
        share: Which share of the messages it sends, for it is slow.
        has_extra: Whether it gets what the extra ``speed`` brings: uvloop and orjson.
    """

    label: str
    send: Callable[[Task], Coroutine[Any, Any, None]]
    share: float = 1.0
    has_extra: bool = False


CONTESTANTS = {
    "ours": Contestant("ours, with ledger", ours_with_ledger),
    "ours-no-ledger": Contestant("ours, no ledger", ours_without_ledger),
    "ours-speed": Contestant("ours, with ledger and [speed]", ours_with_ledger, has_extra=True),
    "ours-hooks": Contestant("ours, with ledger and idle hooks", ours_with_hooks),
    "ours-otel": Contestant("ours, with ledger and OpenTelemetry", ours_with_telemetry),
    "by-hand": Contestant("aiohttp by hand", by_hand),
    "tuned": Contestant("aiohttp tuned, orjson", tuned),
    "twilio": Contestant("twilio async", with_twilio, share=0.4),
    "twilio-http": Contestant("twilio's HTTP client alone", with_twilio_http_client, share=0.4),
    "requests": Contestant("requests, threads", with_requests, share=0.1),
    "httpx": Contestant("httpx async", with_httpx, share=0.04),
}
REFERENCES = ("by-hand", "tuned", "twilio", "twilio-http")


@contextmanager
def json_of(*, orjson_too: bool) -> Iterator[None]:
    """Have our client write and read JSON as where orjson is installed, or as where it is not."""
    dumps, loads = (orjson.dumps, orjson.loads) if orjson_too else (_json._dumps, _json._loads)  # noqa: SLF001
    with patch.multiple(_json, dumps=dumps, loads=loads):
        yield


def one_round(contestant: Contestant, task: Task, *, uvloop: bool) -> Round:
    """Measure one round, on a loop of its own."""
    has_uvloop = uvloop or contestant.has_extra
    loop_factory = fastest_loop if has_uvloop else asyncio.new_event_loop
    with (
        json_of(orjson_too=has_uvloop),
        TemporaryDirectory(dir=task.ledger.parent) as folder,
        asyncio.Runner(loop_factory=loop_factory) as runner,
    ):
        task = attrs.evolve(task, ledger=Path(folder) / "campaign.db")
        return figures.timed(lambda: runner.run(contestant.send(task)), task.messages)


def measure(
    names: Sequence[str], options: argparse.Namespace, settings: Settings, concurrency: int
) -> dict[str, list[Round]]:
    """Measure all with one number of messages at a time."""

    def one(name: str, part: float = 1.0) -> Round:
        contestant = CONTESTANTS[name]
        messages = max(concurrency, int(options.messages * contestant.share * part))
        task = Task(settings, messages, concurrency, options.out / "campaign.db")
        return one_round(contestant, task, uvloop=options.uvloop)

    for name in names:
        one(name, 0.1)
    return figures.interleaved(names, options.rounds, one)


def report(measured: dict[str, list[Round]]) -> None:
    """Print the medians, and ratios to the loop by hand; then ours to each of the others."""
    reference = "by-hand" if "by-hand" in measured else next(iter(measured))
    print(f"{'':>16} {'messages/s':>10} {'us CPU':>7}  times the rate of {reference}")
    for name, rounds in measured.items():
        against = ratio(rounds, measured[reference])
        print(f"{name:>16} {rates(rounds).median:10,.0f} {costs(rounds).median:7.0f}  {against}")
    for name in REFERENCES:
        for mine in ("ours", "ours-speed"):
            if {mine, name} <= measured.keys():
                print(f"{mine:>16} / {name}: {ratio(measured[mine], measured[name])}")


def draw(path: Path, results: dict[int, dict[str, list[Round]]], title: str) -> None:
    """Draw rate and CPU of all, with a bar for each number at a time."""
    names = list(next(iter(results.values())))
    with figures.plot(path, title, 5.5, "messages a second", "", aside=True) as (left, right):
        right.set_title("CPU per message (µs, log scale)", loc="left", fontsize="medium")
        for place, (concurrency, measured) in enumerate(results.items()):
            offset = (place - (len(results) - 1) / 2) * 0.8 / len(results)
            rows = [row + offset for row in range(len(names))]
            for axes, spread in ((left, rates), (right, costs)):
                axes.barh(
                    rows,
                    [spread(measured[name]).median for name in names],
                    height=0.8 / len(results),
                    label=f"{concurrency} at a time",
                )
        right.set_xscale("log")
        right.set_xlim(left=10)
        right.xaxis.set_major_formatter("{x:,.0f}")
        left.legend(loc="lower right")
        for axes in (left, right):
            axes.invert_yaxis()
            axes.set_yticks(range(len(names)))
        left.set_yticklabels([CONTESTANTS[name].label for name in names])
        right.set_yticklabels([])
        left.locator_params(axis="x", nbins=6)
        left.xaxis.set_major_formatter("{x:,.0f}")


def figures_of(measured: dict[str, list[Round]]) -> dict[str, Any]:
    """Return what is worth keeping of one number at a time."""
    reference = "by-hand" if "by-hand" in measured else next(iter(measured))
    return {
        name: {
            "messages": rounds[0].messages,
            "messages_per_second": rates(rounds),
            "cpu_us_per_message": costs(rounds),
            f"rate_over_{reference}": ratio(rounds, measured[reference]),
        }
        for name, rounds in measured.items()
    }


def measure_all(options: argparse.Namespace) -> None:
    """Measure, print, and write the result."""
    names = options.only or list(CONTESTANTS)
    where = figures.environment(options.out)
    loop = "uvloop for all" if options.uvloop else "asyncio's own loop, but for ours-speed"
    print(f"{options.messages:,} messages, {options.rounds} interleaved rounds, medians; {loop}")
    results = {}
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(sink("fast")) as server,
    ):
        for concurrency in options.concurrency:
            print(f"\n{concurrency} at a time", flush=True)
            results[concurrency] = measure(names, options, server.settings, concurrency)
            report(results[concurrency])
        served = portal.call(server.stop)
    everything = [rates(rounds).median for each in results.values() for rounds in each.values()]
    print()
    print(figures.headroom(served, max(everything)))
    name = f"bulk-{options.messages}{'-uvloop' * options.uvloop}"
    by_concurrency = {number: figures_of(measured) for number, measured in results.items()}
    figures.write(
        options.out,
        name,
        {
            "environment": where,
            "rounds": options.rounds,
            "loop": loop,
            "sink_cpu_us_per_message": served["cpu_seconds"] / served["received"] * 1e6,
            "by_concurrency": by_concurrency,
        },
    )
    draw(options.out / f"{name}.png", results, f"{options.messages:,} SMS to a loopback server")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--concurrency", type=int, nargs="+", default=CONCURRENCIES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, metavar="NAME")
    parser.add_argument("--uvloop", action="store_true", help="uvloop, and orjson for ours")
    options = figures.parse(parser)
    measure_all(options)


if __name__ == "__main__":
    main()
