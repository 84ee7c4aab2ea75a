"""Hooks see each attempt and each message, change nothing, and see nothing personal."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hostile import HostileServer, answer, http, in_turn, keep_alive, reset_after, stall
from test_privacy import KEY, NUMBER, TEXT, TOKEN, USER, assert_hidden, everything
from test_privacy import client as personal_client
from ways import WAYS

from connectus_async import (
    AsyncConnectus,
    AuthenticationError,
    CampaignStoppedError,
    ConfigurationError,
    Connectus,
    DelayCause,
    EmailReceipt,
    Outcome,
    RejectedError,
    RequestError,
    SkipReason,
    Sms,
    SmsReceipt,
    State,
    SuppressionList,
)
from connectus_async.emulator import Emulator, Fault
from connectus_async.instrumentation import (
    CallEnded,
    CallStarted,
    MessageBegun,
    MessageEnded,
    Pace,
    RunEnded,
)

FIRST = 56_960_000_000
ERRORS = [ValueError("of the hook"), asyncio.CancelledError(), StopIteration(), RecursionError()]


class Recorder:
    """A hook that keeps what it is told."""

    def __init__(self, **headers: str) -> None:
        self.headers = headers
        self.started: list[CallStarted] = []
        self.ended: list[CallEnded] = []

    def __call__(self, started: CallStarted) -> Callable[[CallEnded], object]:
        self.started.append(started)
        started.headers.update(self.headers)
        return self.ended.append


def of(ended: CallEnded) -> tuple[Any, ...]:
    """What is the same in each run."""
    return ended.started.attempt, ended.outcome, ended.status, ended.error


def client_of(server: HostileServer, hook: Any, **options: Any) -> AsyncConnectus:
    return AsyncConnectus(
        "user", "key", base_url=server.url, on_call=hook, **({"backoff_base": 0} | options)
    )


# Calls


async def test_a_hook_is_told_of_a_call_before_it_is_sent_and_at_its_end(
    settings: dict[str, Any], emulator: Emulator
):
    """Each field, with a call that has an identifier in its path."""
    hook = Recorder()
    async with AsyncConnectus(**settings, on_call=hook) as connectus:
        receipt = await connectus.sms.send(NUMBER, TEXT)
        await connectus.sms.status(receipt.id)

    port = int(emulator.base_url.rpartition(":")[2].partition("/")[0])
    sent, asked = hook.ended
    assert hook.started == [sent.started, asked.started]
    assert sent.started == CallStarted(
        call="POST /sms/send_individual",
        method="POST",
        url=f"{emulator.base_url}/sms/send_individual",
        host="127.0.0.1",
        port=port,
        attempt=1,
        request_bytes=sent.started.request_bytes,
    )
    assert sent.started.request_bytes > len(TEXT)
    assert (asked.started.call, asked.started.request_bytes) == ("GET /sms/{id}", 0)
    assert asked.started.url == f"{emulator.base_url}/sms/{{id}}"
    assert of(sent) == of(asked) == (1, Outcome.ACCEPTED, 200, None)
    assert sent.seconds > 0
    assert sent.response_bytes == len(receipt.response.body)


CASES = {
    "rejected": (keep_alive(http(400)), (1, Outcome.REJECTED, 400, "BadRequestError"), {}),
    "throttled": (keep_alive(http(429)), (1, Outcome.NOT_SENT, 429, "RateLimitError"), {}),
    "failed": (keep_alive(http(500)), (1, Outcome.UNKNOWN, 500, "ServerError"), {}),
    "error in a success": (
        keep_alive(http(200, b'{"error": "not a mobile"}')),
        (1, Outcome.REJECTED, 200, "RejectedError"),
        {},
    ),
    "reset": (reset_after(), (1, Outcome.UNKNOWN, None, "ConnectionLostError"), {}),
    "half": (
        answer(http(200, b"{}", {"Content-Length": "9"})),
        (1, Outcome.UNKNOWN, 200, "ConnectionLostError"),
        {},
    ),
    "late": (stall(), (1, Outcome.UNKNOWN, None, "RequestTimeoutError"), {"timeout": 0.05}),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("name", CASES)
async def test_the_end_of_an_attempt_says_what_the_error_says(name, way, monkeypatch):
    """The caller's error is the same as without a hook."""
    reply, expected, options = CASES[name]
    way(monkeypatch)
    errors, hook = [], Recorder()
    async with HostileServer(reply) as server:
        for watching in (None, hook):
            async with client_of(server, watching, max_retries=0, **options) as connectus:
                with pytest.raises(RequestError) as caught:
                    await connectus.sms.send(NUMBER, TEXT)
            errors.append((type(caught.value), str(caught.value), caught.value.outcome))
            assert caught.value.__cause__ is None
            assert caught.value.__context__ is None

    assert errors[0] == errors[1]
    assert [of(ended) for ended in hook.ended] == [expected]


async def test_each_attempt_is_told_of():
    """A call that is repeated has as many starts and ends."""
    hook = Recorder()
    replies = in_turn(keep_alive(http(429)), keep_alive(http(429)), keep_alive(http()))
    async with HostileServer(replies) as server, client_of(server, hook) as connectus:
        await connectus.sms.send(NUMBER, TEXT)

    assert [of(ended)[:3] for ended in hook.ended] == [
        (1, Outcome.NOT_SENT, 429),
        (2, Outcome.NOT_SENT, 429),
        (3, Outcome.ACCEPTED, 200),
    ]


async def test_a_call_that_its_caller_gives_up_has_an_end():
    """It may have been sent."""
    hook = Recorder()
    async with HostileServer(stall()) as server, client_of(server, hook) as connectus:
        sending = asyncio.create_task(connectus.sms.send(NUMBER, TEXT))
        await server.have_come(1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    assert [of(ended) for ended in hook.ended] == [(1, Outcome.UNKNOWN, None, "CancelledError")]


async def test_a_call_that_never_left_has_an_end(unused_url: str):
    """Its attempts were not sent."""
    hook = Recorder()
    async with AsyncConnectus("user", "key", base_url=unused_url, on_call=hook) as connectus:
        with pytest.raises(RequestError):
            await connectus.with_options(max_retries=0).account.get()

    assert [of(ended) for ended in hook.ended] == [(1, Outcome.NOT_SENT, None, "ConnectError")]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("size", [1, 2**21], ids=["small", "large"])
async def test_a_hook_adds_header_fields_to_one_request(way, size, monkeypatch):
    """On each way, in addition to those of the client, which stay as they are."""
    way(monkeypatch)
    names = iter(["one", "two"])

    def hook(started: CallStarted) -> None:
        started.headers["traceparent"] = next(names)

    async with HostileServer() as server, client_of(server, hook) as connectus:
        for _ in range(2):
            await connectus.email.send("ana@example.com", "Hola", "x" * size, src_email="a@b.cl")
    async with HostileServer() as plain, client_of(plain, None) as connectus:
        await connectus.email.send("ana@example.com", "Hola", "x" * size, src_email="a@b.cl")

    def lines(head: str) -> Counter[str]:
        return Counter(line for line in head.split("\r\n") if not line.startswith("Host"))

    for name, head in zip(["one", "two"], server.heads, strict=True):
        assert lines(head) - lines(plain.heads[0]) == {f"traceparent: {name}": 1}
        assert not lines(plain.heads[0]) - lines(head)


FIELDS = [
    {"x": "a\r\nEvil: 1"},
    {"x": "a\n"},
    {"x": ""},
    {"x": " a"},
    {"x": "ñ"},
    {"x": 5},
    {5: "x"},
    {"x y": "a"},
    {"x:": "a"},
    {"": "a"},
    {"x": "a" * 8_193},
    {"Authorization": "Basic eDp5"},
    {"authorization": "Basic eDp5"},
    {"CONTENT-TYPE": "text/plain"},
    {"Content-Length": "0"},
    {"Transfer-Encoding": "chunked"},
    {"Host": "example.com"},
    {"Connection": "close"},
    {"Expect": "100-continue"},
    {f"x{number}": "a" for number in range(17)},
]


@pytest.mark.parametrize("fields", FIELDS, ids=lambda fields: ascii(fields)[:30])
async def test_header_fields_that_would_change_the_request_are_left_out(fields, caplog):
    """The message is sent as without a hook."""

    def hook(started: CallStarted) -> None:
        started.headers.update(fields)
        started.headers["traceparent"] = "one"

    async with HostileServer() as server, client_of(server, hook) as connectus:
        await connectus.sms.send(NUMBER, TEXT)
    async with HostileServer() as plain, client_of(plain, None) as connectus:
        await connectus.sms.send(NUMBER, TEXT)

    assert server.heads[0].split("\r\n")[2:] == plain.heads[0].split("\r\n")[2:]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def failing(error: BaseException, *, at_start: bool) -> Any:
    def end(_: CallEnded) -> None:
        raise error

    def hook(_: CallStarted) -> Any:
        if at_start:
            raise error
        return end

    return hook


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("at_start", [True, False], ids=["at the start", "at the end"])
async def test_an_error_in_a_hook_for_calls_changes_nothing_and_is_logged_once(
    error, at_start, settings, emulator, caplog
):
    """Also for the copies of the client."""
    hook = failing(error, at_start=at_start)
    async with AsyncConnectus(**settings, on_call=hook) as connectus:
        for client in (connectus, connectus.with_options(timeout=90)):
            await client.sms.send(NUMBER, TEXT)
            emulator.fault(Fault.status(400), times=1)
            with pytest.raises(RejectedError):
                await client.sms.send(NUMBER, TEXT)

    assert len(emulator.received) == 2
    assert [record.getMessage() for record in caplog.records] == [
        "on_call failed, which changes nothing for the message; its next errors are not logged"
    ]
    assert caplog.records[0].exc_info[1] is error


async def test_what_a_hook_returns_may_be_anything(settings, caplog):
    """One that returns no function fails at the end."""
    async with AsyncConnectus(**settings, on_call=lambda _: 5) as connectus:
        await connectus.sms.send(NUMBER, TEXT)

    assert len(caplog.records) == 1


def test_the_blocking_client_takes_the_same_hook(settings_of_thread: dict[str, Any]):
    """It is called in the thread of its event loop."""
    hook = Recorder()
    with Connectus(**settings_of_thread, on_call=hook) as connectus:
        connectus.sms.send(NUMBER, TEXT)
        connectus.with_options(timeout=90).sms.send(NUMBER, TEXT)
        with connectus.bulk(on_event=(events := []).append) as bulk:
            bulk.run([Sms(NUMBER, TEXT)])

    assert [ended.outcome for ended in hook.ended] == [Outcome.ACCEPTED] * 3
    assert events[-1] == RunEnded(stopped_by=None)


@pytest.fixture
def settings_of_thread() -> Any:
    """Arguments for a client of an emulator that runs in a thread of its own."""
    with Emulator() as emulator:
        yield {
            "api_user": emulator.api_user,
            "api_key": emulator.api_key,
            "base_url": emulator.base_url,
        }


# Campaigns


async def test_a_hook_is_told_of_each_message_by_its_outcome():
    """Whatever becomes of it, and without its recipient."""
    replies = [keep_alive(http(status)) for status in (400, 500, 200)]
    events: list[Any] = []
    numbers = [str(FIRST + number) for number in range(5)]
    messages = [*(Sms(number, TEXT) for number in numbers), Sms("1", TEXT)]
    listed = SuppressionList([numbers[4]])
    async with (
        HostileServer(in_turn(*replies)) as server,
        client_of(server, None) as connectus,
        connectus.bulk(suppression=listed, concurrency=1, on_event=events.append) as bulk,
    ):
        await bulk.run(messages)

    begun = [event for event in events if isinstance(event, MessageBegun)]
    ended = Counter(event for event in events if isinstance(event, MessageEnded))
    assert begun == [MessageBegun(channel="sms", ledger_seconds=None)] * 4
    sms: dict[str, Any] = {"channel": "sms"}
    assert ended == Counter(
        {
            MessageEnded(**sms, state=State.ACCEPTED, outcome=Outcome.ACCEPTED): 2,
            MessageEnded(
                **sms, state=State.REJECTED, outcome=Outcome.REJECTED, error="BadRequestError"
            ): 1,
            MessageEnded(
                **sms, state=State.UNKNOWN, outcome=Outcome.UNKNOWN, error="ServerError"
            ): 1,
            MessageEnded(
                **sms,
                state=State.SKIPPED,
                outcome=Outcome.NOT_SENT,
                skipped=SkipReason.SUPPRESSED,
                error="InvalidArgumentError",
            ): 1,
            MessageEnded(
                **sms,
                state=State.SKIPPED,
                outcome=Outcome.NOT_SENT,
                skipped=SkipReason.INVALID,
                error="InvalidArgumentError",
            ): 1,
        }
    )
    assert isinstance(events[0], Pace)
    assert isinstance(events[-2], Pace)
    assert events[-1] == RunEnded(stopped_by=None)


async def test_a_campaign_with_a_ledger_tells_its_queue_and_how_long_the_ledger_took(
    settings, ledger_of
):
    """The queue only if nobody else sends the same messages."""
    place = ledger_of("navidad")
    events: list[Any] = []
    async with (
        AsyncConnectus(**settings) as connectus,
        connectus.bulk(ledger=place, campaign="navidad", on_event=events.append) as bulk,
    ):
        await bulk.load([Sms(FIRST + number, TEXT) for number in range(7)])
        await bulk.run()

    paces = [event for event in events if isinstance(event, Pace)]
    is_shared = not isinstance(place, Path)
    assert (paces[0].queued, paces[-1].queued) == ((None, None) if is_shared else (7, 0))
    begun = [event for event in events if isinstance(event, MessageBegun)]
    assert len(begun) == 7
    assert all(event.ledger_seconds > 0 for event in begun)


async def test_the_pace_names_what_delays_a_campaign(settings, emulator):
    """A 429 that asks for a pause."""
    emulator.fault(Fault.too_many(retry_after=1), times=1)
    events: list[Any] = []
    async with (
        AsyncConnectus(**settings) as connectus,
        connectus.bulk(concurrency=1, on_event=events.append) as bulk,
    ):
        await bulk.run([Sms(FIRST, TEXT)])

    assert (DelayCause.RATE_LIMIT,) in [event.delays for event in events if type(event) is Pace]
    assert sum(isinstance(event, MessageBegun) for event in events) == 2
    assert sum(isinstance(event, MessageEnded) for event in events) == 1


async def test_the_end_of_a_run_names_the_error_that_stopped_it(settings, emulator):
    """The rest stays queued."""
    emulator.fault(Fault.status(401))
    events: list[Any] = []
    async with (
        AsyncConnectus(**settings) as connectus,
        connectus.bulk(on_event=events.append) as bulk,
    ):
        with pytest.raises(AuthenticationError):
            await bulk.run([Sms(FIRST, TEXT)])

    assert events[-1] == RunEnded(stopped_by="AuthenticationError")


async def test_a_stream_that_is_left_early_tells_of_its_end(settings):
    """Before the sender is left."""
    events: list[Any] = []
    async with (
        AsyncConnectus(**settings) as connectus,
        connectus.bulk(concurrency=2, on_event=events.append) as bulk,
    ):
        async for _ in bulk.stream(Sms(FIRST + number, TEXT) for number in range(1_000)):
            break

    begun = sum(isinstance(event, MessageBegun) for event in events)
    assert isinstance(events[-1], RunEnded)
    assert 0 < begun <= sum(isinstance(event, MessageEnded) for event in events) < 1_000


async def test_messages_that_somebody_cancels_have_an_end():
    """They may have been sent: each that was begun is unknown."""
    events: list[Any] = []
    messages = (Sms(FIRST + number, TEXT) for number in range(9))
    async with (
        HostileServer(stall()) as server,
        client_of(server, None) as connectus,
        connectus.bulk(concurrency=2, on_event=events.append) as bulk,
    ):
        sending = asyncio.create_task(bulk.run(messages))
        await server.have_come(2)
        for task in asyncio.all_tasks():
            if task.get_name() == "connectus bulk worker":
                task.cancel()
        with pytest.raises(CampaignStoppedError):
            await sending

    assert sum(isinstance(event, MessageBegun) for event in events) == 2
    assert [event for event in events if isinstance(event, MessageEnded)] == [
        MessageEnded(
            channel="sms", state=State.UNKNOWN, outcome=Outcome.UNKNOWN, error="CancelledError"
        )
    ] * 2
    assert events[-1] == RunEnded(stopped_by="CampaignStoppedError")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_error_in_a_hook_for_events_changes_nothing_and_is_logged_once(
    error, settings, emulator, caplog, tmp_path
):
    """All messages are sent, and recorded as sent."""

    def hook(_: object) -> None:
        raise error

    caplog.set_level(logging.WARNING)
    async with (
        AsyncConnectus(**settings) as connectus,
        connectus.bulk(ledger=tmp_path / "a.db", on_event=hook) as bulk,
    ):
        summary = await bulk.run(Sms(FIRST + number, TEXT) for number in range(20))
        assert await bulk.counts() == {State.ACCEPTED: 20}

    assert summary.accepted == len(emulator.received) == 20
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == [
        "on_event failed"
    ]


# What a hook may be, and sees


async def async_hook(_: object) -> None:
    """Nobody would wait for it."""


class AsyncHook:
    async def __call__(self, _: object) -> None:
        """As above."""


@pytest.mark.parametrize("hook", [async_hook, AsyncHook(), "print", 5])
def test_what_is_no_plain_function_is_refused(hook):
    """At once."""
    with pytest.raises(ConfigurationError, match=r"^on_call: must be a "):
        AsyncConnectus("user", "key", on_call=hook)
    with pytest.raises(ConfigurationError, match=r"^on_event: must be a "):
        AsyncConnectus("user", "key").bulk(on_event=hook)


FAULTS = {
    "none": None,
    "500": Fault.status(500, {"error": f"cannot send to {NUMBER} with the key {KEY}"}),
    "400": Fault.status(400, {"message": f"{NUMBER}: no such person"}),
    "garbage": Fault.garbage(f"{NUMBER} {TEXT} {KEY}"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_hook_sees_nothing_personal_and_no_credentials(fault: Fault | None):
    """In a run through all calls, and in a campaign."""
    async with Emulator(api_user=USER, api_key=KEY, qr_token=TOKEN) as emulator:
        if fault:
            emulator.fault(fault)
        seen: list[Any] = []
        hook = Recorder()
        async with personal_client(emulator, max_retries=1, on_call=hook) as connectus:
            results = await everything(connectus)
            async with connectus.bulk(concurrency=1, on_event=seen.append) as bulk:
                await bulk.run([Sms(NUMBER, TEXT)])

    assert len(hook.ended) >= len(emulator.requests)
    seen += hook.ended
    assert_hidden(seen)
    assert_hidden([attrs.asdict(record) for record in seen])
    ids = [result.id for result in results if isinstance(result, SmsReceipt | EmailReceipt)]
    assert not any(str(identifier) in str(seen) for identifier in ids)
