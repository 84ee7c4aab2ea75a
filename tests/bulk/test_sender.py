"""The bulk sender: every message gets one outcome, and none is sent twice."""

import asyncio
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from awaited import asyncio_only
from hostile import HostileServer, http, keep_alive

from connectus_async import (
    AsyncConnectus,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    Email,
    InvalidArgumentError,
    PaymentRequiredError,
    Sms,
    WhatsApp,
)
from connectus_async.bulk.outcomes import MessageOutcome
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger.states import SkipReason, State
from connectus_async.products.messages import Row

FIRST = 56_960_000_000


def messages(count: int) -> Iterator[Sms]:
    return (Sms(FIRST + index, f"Hola {index}") for index in range(count))


def recipients(emulator: Emulator) -> list[str]:
    return sorted(message.recipient for message in emulator.received)


async def test_every_message_gets_one_outcome_and_arrives_once(
    connectus: AsyncConnectus, emulator: Emulator
):
    """The outcome names the message, its place and the identifier that the phone's copy has."""
    async with connectus.bulk(concurrency=8) as bulk:
        outcomes = [outcome async for outcome in bulk.stream(messages(200))]

    assert sorted(outcome.index for outcome in outcomes) == list(range(200))
    assert {(outcome.id, outcome.message.sms_content) for outcome in outcomes} == {
        (message.id, message.content) for message in emulator.received
    }
    assert len(emulator.received) == 200
    assert (bulk.summary.accepted, bulk.summary.total) == (200, 200)


async def test_products_can_be_mixed(connectus: AsyncConnectus, emulator: Emulator):
    """Each kind of message goes through its own service, with all of its fields."""
    mixed = [
        Sms("56987688060", "Hola", src_number="56442341000"),
        Email("ana@example.com", "Hola", "<b>Hola</b>", src_email="contacto@example.com"),
        WhatsApp("56987688060", "Hola", src_number="56999944837"),
    ]
    async with connectus.bulk() as bulk:
        summary = await bulk.run(mixed)

    assert summary.accepted == 3
    assert sorted(message.product for message in emulator.received) == ["email", "sms", "whatsapp"]


@asyncio_only
async def test_an_async_source_is_pulled_as_messages_are_sent(connectus: AsyncConnectus):
    """Messages may come from a database or a queue."""

    async def source() -> AsyncIterator[Sms]:
        for message in messages(20):
            await asyncio.sleep(0)
            yield message

    async with connectus.bulk(concurrency=4) as bulk:
        assert (await bulk.run(source())).accepted == 20


async def test_a_source_is_pulled_no_further_than_needed(connectus: AsyncConnectus):
    """Memory is flat: a message lives from its pull until its outcome is taken, and few do."""
    alive: weakref.WeakSet[Sms] = weakref.WeakSet()
    most = 0

    def source() -> Iterator[Sms]:
        nonlocal most
        for message in messages(500):
            alive.add(message)
            most = max(most, len(alive))
            yield message

    async with connectus.bulk(concurrency=4) as bulk:
        async for _ in bulk.stream(source()):
            pass

    assert most <= 16


async def test_one_failed_message_never_stops_the_rest(
    connectus: AsyncConnectus, emulator: Emulator
):
    """Invalid, refused and unknown ones are named; the others arrive; none arrives twice."""
    emulator.fault(Fault.status(400), route="sms.send", times=1)
    emulator.fault(Fault.reset_after(), route="email.send")
    bad = [Sms("56", "Hola"), Sms(FIRST, ""), Row(7, InvalidArgumentError("name", "is empty")), 42]
    lost = Email("ana@example.com", "Hola", "<b>Hola</b>", src_email="contacto@example.com")

    async with connectus.bulk(concurrency=4) as bulk:
        outcomes = [outcome async for outcome in bulk.stream([*bad, *messages(50), lost])]

    failed = [outcome for outcome in outcomes if outcome.error]
    assert sorted(outcome.index for outcome in failed if outcome.index < 4) == [0, 1, 2, 3]
    assert bulk.summary.counts == {
        State.SKIPPED: 4,
        State.REJECTED: 1,
        State.UNKNOWN: 1,
        State.ACCEPTED: 49,
    }
    assert bulk.summary.skipped_by == {SkipReason.INVALID: 4}
    assert [outcome.line for outcome in failed if outcome.index == 2] == [7]
    assert len(recipients(emulator)) == len(set(recipients(emulator))) == 50


@pytest.mark.parametrize("is_async", [False, True])
async def test_none_in_the_place_of_a_message_is_named(connectus: AsyncConnectus, is_async: bool):
    """It does not stand for the end: what comes after it is sent."""

    async def asynchronous(items: list[Any]) -> AsyncIterator[Any]:
        for item in items:
            yield item

    items: list[Any] = [None, Sms(FIRST, "Hola")]
    async with connectus.bulk(concurrency=1) as bulk:
        source = asynchronous(items) if is_async else items
        outcomes = [outcome async for outcome in bulk.stream(source)]

    assert [outcome.state for outcome in outcomes] == [State.SKIPPED, State.ACCEPTED]
    assert str(outcomes[0].error) == "message: must be Sms, Email or WhatsApp, not NoneType"


async def test_an_unknown_outcome_is_not_sent_again(connectus: AsyncConnectus, emulator: Emulator):
    """The server acted and the answer was lost: one message, one request."""
    emulator.fault(Fault.reset_after(), route="sms.send")

    async with connectus.bulk(concurrency=4) as bulk:
        summary = await bulk.run(messages(9))

    assert summary.unknown == 9
    assert emulator.requests["sms.send"] == len(set(recipients(emulator))) == 9


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthenticationError), (402, PaymentRequiredError)]
)
async def test_an_error_that_all_would_meet_stops_the_campaign(
    connectus: AsyncConnectus, emulator: Emulator, status: int, error: type[Exception]
):
    """What was pulled is named, the rest stays in the source, and the error says why."""
    emulator.fault(Fault.status(status), route="sms.send")
    outcomes: list[MessageOutcome] = []
    source = messages(1000)

    async with connectus.bulk(concurrency=4) as bulk:
        with pytest.raises(error):
            async for outcome in bulk.stream(source):
                outcomes.append(outcome)  # noqa: PERF401 - those before the error are wanted

    assert 1 <= emulator.requests["sms.send"] <= len(outcomes) <= 8
    assert {outcome.state for outcome in outcomes} == {State.QUEUED}
    assert len(list(source)) == 1000 - len(outcomes)


async def test_what_waits_while_a_campaign_fails_has_its_error(
    connectus: AsyncConnectus, emulator: Emulator
):
    """The outcome of a message that was pulled and not sent says why it was not."""
    emulator.fault(Fault.status(401), route="sms.send")
    outcomes: list[MessageOutcome] = []

    async with connectus.bulk(concurrency=2, rate=0.01) as bulk:
        with pytest.raises(AuthenticationError):
            async for outcome in bulk.stream(messages(9)):
                outcomes.append(outcome)  # noqa: PERF401 - those before the error are wanted

    assert emulator.requests["sms.send"] == 1
    first, second = outcomes
    assert isinstance(first.error, AuthenticationError)
    assert second.error is first.error


@asyncio_only
async def test_what_waits_when_a_campaign_is_cancelled_says_so(connectus: AsyncConnectus):
    """Each message that was pulled has an outcome with a reason."""
    pulled = asyncio.Event()

    def source() -> Iterator[Sms]:
        yield from messages(1)
        pulled.set()
        yield from messages(9)

    async with connectus.bulk(concurrency=2) as bulk:
        bulk.pause()
        outcomes = asyncio.ensure_future(anext(bulk.stream(source())))
        await pulled.wait()
        bulk.cancel()
        outcome = await outcomes

    assert outcome.state is State.QUEUED
    assert str(outcome.error) == "it was stopped before"


async def test_the_error_of_a_campaign_comes_out_as_itself(
    connectus: AsyncConnectus, emulator: Emulator
):
    """No exception group is wrapped around what is raised inside ``async with``."""
    emulator.fault(Fault.status(401), route="sms.send")

    with pytest.raises(AuthenticationError):
        async with connectus.bulk() as bulk:
            await bulk.run(messages(10))


async def test_an_error_of_the_source_comes_after_the_outcomes(
    connectus: AsyncConnectus, emulator: Emulator
):
    """What the source gave before it failed is sent and named first."""

    def source() -> Iterator[Sms]:
        yield from messages(5)
        raise LookupError("the file broke off")

    outcomes: list[MessageOutcome] = []
    async with connectus.bulk() as bulk:
        with pytest.raises(LookupError, match="the file broke off"):
            async for outcome in bulk.stream(source()):
                outcomes.append(outcome)  # noqa: PERF401 - those before the error are wanted

    assert len(outcomes) == len(emulator.received) == 5


async def test_a_break_finishes_what_is_under_way_and_pulls_no_more(
    connectus: AsyncConnectus, emulator: Emulator
):
    """Leaving early loses no outcome: the summary counts every message that arrived."""
    source = messages(1000)
    async with connectus.bulk(concurrency=8) as bulk:
        async for _ in bulk.stream(source):
            break

    left = len(list(source))
    assert bulk.summary.accepted == bulk.summary.total == len(emulator.received) == 1000 - left
    assert len(set(recipients(emulator))) == len(emulator.received)


@asyncio_only
async def test_cancellation_finishes_what_is_under_way(
    connectus: AsyncConnectus, emulator: Emulator
):
    """A cancelled campaign names the outcome of each message that it had begun to send."""
    summaries = []
    first_arrived = asyncio.Event()

    async def campaign() -> None:
        async with connectus.bulk(concurrency=8) as bulk:
            summaries.append(bulk.summary)
            async for _ in bulk.stream(messages(1000)):
                first_arrived.set()

    task = asyncio.create_task(campaign())
    await first_arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    (summary,) = summaries
    assert summary.total < 1000
    assert summary.accepted == summary.total == len(emulator.received)


@asyncio_only
async def test_a_cancel_scope_around_a_campaign_is_obeyed(
    connectus: AsyncConnectus, emulator: Emulator
):
    """Structured cancellation ends a campaign in the same orderly way."""
    with anyio.CancelScope() as scope:
        async with connectus.bulk(concurrency=8) as bulk:
            async for _ in bulk.stream(messages(1000)):
                scope.cancel()

    assert scope.cancelled_caught
    assert bulk.summary.total < 1000
    assert bulk.summary.accepted == bulk.summary.total == len(emulator.received)


async def test_a_cancelled_campaign_makes_no_further_try():
    """What waits for its next try was not sent, is counted so, and stays so."""
    async with HostileServer(keep_alive(http(429, headers={"Retry-After": "60"}))) as server:
        connectus = AsyncConnectus("user", "key", base_url=server.url)
        with anyio.CancelScope() as scope:
            async with connectus, connectus.bulk(concurrency=1) as bulk:
                waiting = asyncio.ensure_future(bulk.run(messages(10)))
                await server.asked.wait()
                scope.cancel()
                await waiting

        assert scope.cancelled_caught
        assert server.requests == {"POST": 1}
        assert bulk.summary.counts == {State.QUEUED: 1}


@asyncio_only
async def test_a_client_that_closes_amid_a_campaign_loses_no_name(
    connectus: AsyncConnectus, emulator: Emulator
):
    """Every message that was pulled has an outcome, and the error says why there are no more."""
    emulator.fault(Fault.timeout(), route="sms.send")
    reached = asyncio.Event()

    def source() -> Iterator[Sms]:
        yield from messages(4)
        reached.set()
        yield from messages(4)

    async def campaign() -> list[MessageOutcome]:
        outcomes = []
        async with connectus.bulk(concurrency=5) as bulk:
            with pytest.raises(ClientClosedError):
                async for outcome in bulk.stream(source()):
                    outcomes.append(outcome)  # noqa: PERF401 - those before the error are wanted
        return outcomes

    task = asyncio.create_task(campaign())
    await reached.wait()
    await connectus.close()

    assert sorted(outcome.index for outcome in await task) == list(range(len(task.result())))


@asyncio_only
@pytest.mark.parametrize("concurrency", [1, 2])
async def test_a_cancelled_source_does_not_look_finished(
    connectus: AsyncConnectus, concurrency: int
):
    """A source that awaits what somebody else cancelled has failed, and the campaign says so."""

    async def source() -> AsyncIterator[Sms]:
        for message in messages(5):
            yield message
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with connectus.bulk(concurrency=concurrency) as bulk:
        with pytest.raises(RuntimeError, match="source of the messages was cancelled"):
            await bulk.run(source())

    assert bulk.summary.accepted == 5


@asyncio_only
async def test_a_stream_that_outlives_its_sender_says_so(connectus: AsyncConnectus):
    """It does not end as if everything had been sent."""
    async with connectus.bulk(concurrency=1) as bulk:
        stream = bulk.stream(messages(100))
        await anext(stream)

    with pytest.raises(ConfigurationError, match="left before its stream had ended"):
        async for _ in stream:
            pass


async def test_the_error_of_a_row_is_not_sent_whatever_it_is(connectus: AsyncConnectus):
    """It stands for a message that never was, and stops nothing."""
    rows = [Row(2, ValueError("no number")), Row(3, ClientClosedError()), *messages(1)]
    async with connectus.bulk(concurrency=1) as bulk:
        summary = await bulk.run(rows)

    assert summary.counts == {State.SKIPPED: 2, State.ACCEPTED: 1}


async def test_a_callback_sees_every_outcome(connectus: AsyncConnectus):
    """``run`` reports one outcome at a time and returns the counts."""
    seen: list[MessageOutcome] = []
    async with connectus.bulk() as bulk:
        summary = await bulk.run(messages(10), on_outcome=seen.append)

    assert len(seen) == summary.total == 10


@asyncio_only
async def test_a_callback_may_be_async(connectus: AsyncConnectus):
    """A progress report that writes to a database is waited for."""
    seen: list[MessageOutcome] = []

    async def note(outcome: MessageOutcome) -> None:
        await asyncio.sleep(0)
        seen.append(outcome)

    async with connectus.bulk() as bulk:
        summary = await bulk.run(messages(10), on_outcome=note)

    assert len(seen) == summary.total == 10


async def test_a_bulk_that_was_not_entered_says_so(connectus: AsyncConnectus):
    """The mistake is named, and nothing is sent."""
    with pytest.raises(ConfigurationError, match=r"with connectus\.bulk\(\)"):
        await connectus.bulk().run(messages(1))


@pytest.mark.parametrize("concurrency", [0, -1, 101])
async def test_more_at_a_time_than_there_are_connections_is_refused(
    connectus: AsyncConnectus, concurrency: int
):
    """Messages that wait for a connection would time out for no fault of the server."""
    with pytest.raises(ConfigurationError, match="max_connections"):
        connectus.bulk(concurrency=concurrency)
