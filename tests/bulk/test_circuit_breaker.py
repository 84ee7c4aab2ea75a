"""Circuit breaker: trips neither too early, at a passing fault, nor after all is burnt."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from connectus_async import (
    AsyncConnectus,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    PaymentRequiredError,
    RateLimitError,
    Sms,
)
from connectus_async.bulk import run, sender
from connectus_async.bulk.circuit_breaker import (
    FIRST_TRIES,
    FOREIGN_FIRST,
    FOREIGN_IN_A_ROW,
    REFUSED_AGAIN,
    UNKNOWN_FIRST,
    UNKNOWN_IN_A_ROW,
    CircuitBreaker,
)
from connectus_async.bulk.pacing.backoff import Backoff
from connectus_async.emulator import Emulator, Fault
from connectus_async.errors import (
    BadRequestError,
    CampaignStoppedError,
    ConnectError,
    ConnectionLostError,
    LedgerError,
    PermissionDeniedError,
    ProxyAuthenticationError,
    RequestTimeoutError,
    ServerError,
    UnreadableAnswerError,
    WrongEventLoopError,
)
from connectus_async.ledger.states import State

CALL = "POST /sms/send_individual"
FIRST = 56_960_000_000
REFUSED = ConnectError(CALL, "no connection: connection refused")
LOST = ConnectionLostError(CALL, "connection reset by peer")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def throttled(retry_after: float | None = None) -> RateLimitError:
    return RateLimitError(CALL, "429 Too Many Requests", None, retry_after)


@pytest.fixture
async def client(settings: dict[str, Any]) -> AsyncIterator[AsyncConnectus]:
    async with AsyncConnectus(**settings) as client:
        yield client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(60.0, concurrency=8, retry_after_cap=300.0, clock=clock)


@pytest.fixture
def answered(breaker: CircuitBreaker) -> CircuitBreaker:
    """A campaign that has had an answer."""
    breaker.answered()
    return breaker


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError(CALL, "401"),
        PermissionDeniedError(CALL, "403"),
        PaymentRequiredError(CALL, "402"),
        ProxyAuthenticationError(CALL, "407"),
        ConfigurationError("api_user", "is needed"),
        ClientClosedError(),
        LedgerError("a.db", "the disk is full"),
        WrongEventLoopError(),
    ],
)
def test_an_error_that_all_would_meet_stops_at_once(breaker: CircuitBreaker, error: Exception):
    """The error itself says why."""
    assert breaker.failed(error) is error


def test_a_refused_message_stops_nothing(answered: CircuitBreaker):
    """It is about that message alone, however many there are."""
    for _ in range(1_000):
        assert answered.failed(BadRequestError(CALL, "400")) is None


def test_an_address_that_never_answers_stops_after_a_few_tries(breaker: CircuitBreaker):
    """A wrong address is told from an outage by never having answered."""
    verdicts = [breaker.failed(REFUSED) for _ in range(FIRST_TRIES)]

    assert verdicts == [None] * (FIRST_TRIES - 1) + [REFUSED]


def test_a_server_that_throttles_is_there(breaker: CircuitBreaker):
    """429 from the first request on is no wrong address: it is waited for."""
    for _ in range(10 * FIRST_TRIES):
        assert breaker.failed(throttled()) is None
    assert breaker.failed(REFUSED) is None


def test_an_outage_is_waited_for_as_long_as_there_is_patience(
    answered: CircuitBreaker, clock: Clock
):
    """From its first failure on, and not a moment longer."""
    assert answered.failed(REFUSED) is None
    clock.now += 60.0
    assert answered.failed(REFUSED) is None
    clock.now += 0.1
    assert answered.failed(REFUSED) is REFUSED


def test_an_answer_ends_an_outage(answered: CircuitBreaker, clock: Clock):
    """Two outages are not one long one."""
    answered.failed(REFUSED)
    clock.now += 50.0
    answered.answered()
    clock.now += 50.0

    assert answered.failed(REFUSED) is None
    clock.now += 50.0
    assert answered.failed(REFUSED) is None


def test_nothing_but_429_is_an_outage_too(answered: CircuitBreaker, clock: Clock):
    """A server that takes nothing at all for so long is given up."""
    assert answered.failed(throttled(1)) is None
    clock.now += 61.0
    error = throttled(1)

    assert answered.failed(error) is error


@pytest.mark.parametrize(("retry_after", "stops"), [(300.0, False), (300.5, True), (None, False)])
def test_a_wait_that_is_too_long_is_not_begun(
    answered: CircuitBreaker, retry_after: float | None, *, stops: bool
):
    """A server that wants to be left alone for an hour is left alone, by stopping."""
    error = throttled(retry_after)

    assert answered.failed(error) is (error if stops else None)


def test_many_unknown_in_a_row_stop_the_campaign(answered: CircuitBreaker):
    """Each may be a message that nobody got, or a charge for nothing: the rest is spared."""
    for _ in range(UNKNOWN_IN_A_ROW - 1):
        assert answered.failed(LOST) is None

    verdict = answered.failed(LOST)

    assert isinstance(verdict, CampaignStoppedError)
    assert str(verdict) == (
        "the last 100 messages may or may not have been sent (connection reset by peer): "
        "stopped to spare the rest"
    )


@pytest.mark.parametrize(
    "error", [LOST, RequestTimeoutError(CALL, "no answer"), ServerError(CALL, "502 Bad Gateway")]
)
def test_unknowns_of_every_kind_count(answered: CircuitBreaker, error: Exception):
    """What the fault is does not matter: the outcome does."""
    verdicts = [answered.failed(error) for _ in range(UNKNOWN_IN_A_ROW)]

    assert [verdict is not None for verdict in verdicts] == [False] * 99 + [True]


def test_where_nothing_ever_came_fewer_unknowns_stop_a_campaign(breaker: CircuitBreaker):
    """Who loses each answer from the first one on, is no API that has a bad moment."""
    verdicts = [breaker.failed(LOST) for _ in range(UNKNOWN_FIRST)]

    assert [verdict is not None for verdict in verdicts] == [False] * 9 + [True]


def test_an_answer_between_them_ends_a_row_of_unknowns(answered: CircuitBreaker):
    """A server that answers now and then is not given up."""
    for _ in range(10):
        for _ in range(UNKNOWN_IN_A_ROW - 1):
            assert answered.failed(LOST) is None
        answered.answered()


def test_the_limit_grows_with_the_concurrency(clock: Clock):
    """What was on its way when the server went away fails together, and says it only once."""
    breaker = CircuitBreaker(60.0, concurrency=200, retry_after_cap=300.0, clock=clock)
    breaker.answered()
    verdicts = [breaker.failed(LOST) for _ in range(400)]

    assert [verdict is not None for verdict in verdicts] == [False] * 399 + [True]


PAGE = UnreadableAnswerError(CALL, "200, but the answer cannot be read (text/html)")


def test_pages_in_place_of_the_api_stop_a_campaign_after_a_few(breaker: CircuitBreaker):
    """Nobody gets a message from a firewall; what came is said."""
    verdicts = [breaker.failed(PAGE) for _ in range(FOREIGN_FIRST)]

    assert verdicts[:-1] == [None] * (FOREIGN_FIRST - 1)
    assert isinstance(verdicts[-1], CampaignStoppedError)
    assert str(verdicts[-1]).startswith(
        "3 answers in a row were none of the API's (200, but the answer cannot be read "
        "(text/html)): something may answer in its place"
    )


def test_pages_amid_a_campaign_stop_it_after_a_few_more(answered: CircuitBreaker):
    """The API is there; a page now and then is passed over."""
    for _ in range(5):
        for _ in range(FOREIGN_IN_A_ROW - 1):
            assert answered.failed(PAGE) is None
        answered.answered()
    verdicts = [answered.failed(PAGE) for _ in range(FOREIGN_IN_A_ROW)]

    assert [verdict is not None for verdict in verdicts] == [False] * 9 + [True]


def test_pages_are_unknowns_too(answered: CircuitBreaker):
    """Among lost answers, they count as such."""
    verdicts = [answered.failed((PAGE, LOST)[index % 2]) for index in range(UNKNOWN_IN_A_ROW)]

    assert [verdict is not None for verdict in verdicts] == [False] * 99 + [True]


def messages(count: int) -> Iterator[Sms]:
    return (Sms(FIRST + index, f"Hola {index}") for index in range(count))


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "FIRST", 0.001)
    monkeypatch.setattr(Backoff, "LONGEST", 0.001)


async def test_a_server_that_loses_every_answer_costs_a_bounded_number(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path, no_backoff: None
):
    """The campaign stops by itself; what had not left waits, and none was sent twice."""
    emulator.fault(Fault.reset_after(), route="sms.send")
    async with client.bulk(ledger=tmp_path / "a.db", concurrency=4) as bulk:
        await bulk.load(messages(300))
        with pytest.raises(CampaignStoppedError, match="may or may not have been sent"):
            await bulk.run()
        counts = await bulk.counts()

    assert UNKNOWN_FIRST <= counts[State.UNKNOWN] < UNKNOWN_FIRST + 4
    assert counts[State.QUEUED] == 300 - counts[State.UNKNOWN]
    assert len(emulator.received) == emulator.requests["sms.send"] == counts[State.UNKNOWN]


async def test_a_page_for_every_message_costs_a_few(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A firewall answers 200 in place of the API: nothing is accepted, the rest stays queued.

    However many may be on their way: the first few show who answers.
    """
    monkeypatch.setattr(run, "FIRST_ANSWER_SECONDS", 600)
    page = "<title>Checking your browser</title>"
    emulator.fault(Fault.status(200, page, {"Content-Type": "text/html"}), route="sms.send")
    async with client.bulk(ledger=tmp_path / "a.db", concurrency=64) as bulk:
        await bulk.load(messages(300))
        with pytest.raises(CampaignStoppedError) as caught:
            await bulk.run()
        counts = await bulk.counts()

    assert "it is not JSON (text/html, 36 bytes, titled “Checking your browser”)" in str(
        caught.value
    )
    assert FOREIGN_FIRST <= counts[State.UNKNOWN] < 2 * FOREIGN_FIRST
    assert counts == {
        State.UNKNOWN: counts[State.UNKNOWN],
        State.QUEUED: 300 - counts[State.UNKNOWN],
    }
    assert emulator.received == []


NOT_THE_API = {
    "another path": Fault.status(404, "<title>Not Found</title>", {"Content-Type": "text/html"}),
    "another API": Fault.status(404, '{"detail": "Not Found"}'),
    "a router": Fault.status(405, ""),
    "given up": Fault.status(410, '{"error": "gone"}'),
    "the port of TLS": Fault.status(400, "Client sent an HTTP request to an HTTPS server."),
}


@pytest.mark.parametrize("fault", NOT_THE_API.values(), ids=NOT_THE_API)
@pytest.mark.parametrize("count", [1, 300])
async def test_a_wrong_base_url_rejects_nobody(
    emulator: Emulator,
    client: AsyncConnectus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_backoff: None,
    fault: Fault,
    count: int,
):
    """It is the path that is refused, not the message: after three requests all wait."""
    monkeypatch.setattr(run, "FIRST_ANSWER_SECONDS", 600)
    wrong = emulator.fault(fault, route="sms.send")
    async with client.bulk(ledger=tmp_path / "a.db", concurrency=64) as bulk:
        await bulk.load(messages(count))
        with pytest.raises(CampaignStoppedError, match=r"look at the base URL.*all wait$"):
            await bulk.run()
        counts = await bulk.counts()
        assert counts == {State.QUEUED: count}
        assert wrong.fired == FOREIGN_FIRST

        emulator.clear_faults()
        assert (await bulk.run()).accepted == count


async def test_a_redirect_for_every_message_costs_a_few(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A portal that wants a login is not asked a hundred times."""
    monkeypatch.setattr(run, "FIRST_ANSWER_SECONDS", 600)
    emulator.fault(Fault.status(302, "", {"Location": "/login"}), route="sms.send")
    async with client.bulk(ledger=tmp_path / "a.db", concurrency=64) as bulk:
        await bulk.load(messages(300))
        with pytest.raises(CampaignStoppedError, match=r"302 Found.*may or may not"):
            await bulk.run()
        counts = await bulk.counts()

    assert FOREIGN_FIRST <= counts[State.UNKNOWN] < 2 * FOREIGN_FIRST


PAGE_404 = Fault.status(404, "<h1>Not Found</h1>", {"Content-Type": "text/html"})


@pytest.mark.parametrize(("times", "rejected"), [(REFUSED_AGAIN - 1, 0), (REFUSED_AGAIN, 1)])
async def test_a_message_that_a_page_refuses_while_others_are_taken_is_rejected(
    emulator: Emulator,
    client: AsyncConnectus,
    tmp_path: Path,
    no_backoff: None,
    times: int,
    rejected: int,
):
    """It is tried a few times, does not hold up the campaign, and never comes again."""

    def rows() -> Iterator[Sms]:
        for index, message in enumerate(messages(20)):
            if index == 1:
                emulator.fault(PAGE_404, route="sms.send", times=times)
            yield message

    async with client.bulk(ledger=tmp_path / "a.db", concurrency=1) as bulk:
        summary = await bulk.run(rows())
        counts = await bulk.counts()

    assert (summary.accepted, summary.rejected) == (20 - rejected, rejected)
    assert sum(counts.values()) == 20
    assert counts[State.ACCEPTED] == len(emulator.received) == 20 - rejected


async def test_pages_that_refuse_everybody_amid_a_campaign_reject_nobody(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path, no_backoff: None
):
    """A gateway that has lost its way answers 404 for the API: the campaign stops, and all wait."""
    async with client.bulk(ledger=tmp_path / "a.db", concurrency=8) as bulk:
        await bulk.load(messages(300))
        stream = bulk.stream()
        await anext(stream)
        emulator.fault(PAGE_404, route="sms.send")
        with pytest.raises(CampaignStoppedError, match="all wait"):
            await _drained(stream)
        counts = await bulk.counts()

    accepted = len(emulator.received)
    assert counts == {State.ACCEPTED: accepted, State.QUEUED: 300 - accepted}


async def test_after_an_answer_as_many_are_on_their_way_as_may_be(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One message is accepted, and then eight are on their way together."""
    monkeypatch.setattr(run, "FIRST_ANSWER_SECONDS", 600)
    all_came = asyncio.Event()

    async def wait(number: int) -> None:
        if number == 9:
            all_came.set()
        if number > 1:
            await all_came.wait()

    emulator.fault(Fault.call(before=wait), route="sms.send")
    async with client.bulk(ledger=tmp_path / "a.db", concurrency=8) as bulk:
        summary = await bulk.run(messages(9))

    assert summary.accepted == 9


async def test_a_slow_first_answer_is_not_waited_for(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """After a second, as many are on their way as may be."""
    monkeypatch.setattr(run, "FIRST_ANSWER_SECONDS", 0)
    all_came = asyncio.Event()

    async def wait(number: int) -> None:
        if number == 8:
            all_came.set()
        await all_came.wait()

    emulator.fault(Fault.call(before=wait), route="sms.send")
    async with client.bulk(ledger=tmp_path / "a.db", concurrency=8) as bulk:
        summary = await bulk.run(messages(8))

    assert summary.accepted == 8


async def test_a_wrong_address_stops_after_three_tries(
    settings: dict[str, Any], tmp_path: Path, unused_url: str, no_backoff: None
):
    """All messages stay queued, and the error says that there was no connection."""
    wrong = settings | {"base_url": unused_url}
    async with (
        AsyncConnectus(**wrong) as client,
        client.bulk(ledger=tmp_path / "a.db", concurrency=1) as bulk,
    ):
        await bulk.load(messages(10))
        with pytest.raises(ConnectError, match="no connection"):
            await bulk.run()
        counts = await bulk.counts()
        tries = await bulk._ledger.ask(
            lambda connection: connection.execute("SELECT sum(attempts) FROM message")
        )

    assert counts == {State.QUEUED: 10}
    assert tries == [(FIRST_TRIES,)]


async def test_an_outage_amid_a_campaign_is_waited_for(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path, no_backoff: None
):
    """A server that comes back in time costs nothing: every message arrives once."""
    async with client.bulk(ledger=tmp_path / "a.db", concurrency=4) as bulk:
        await bulk.load(messages(20))
        stream = bulk.stream()
        await anext(stream)
        async with emulator.refusing():
            rest = asyncio.ensure_future(_drained(stream))
            while not bulk._pacer._backoff.probing:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)
        await rest
        counts = await bulk.counts()

    reached = sorted(message.recipient for message in emulator.received)
    assert len(reached) == len(set(reached)) >= counts[State.ACCEPTED]
    assert counts[State.ACCEPTED] + counts.get(State.UNKNOWN, 0) == 20


async def _drained(stream: Any) -> None:
    async for _ in stream:
        pass


async def test_a_retry_after_that_is_too_long_stops_the_campaign(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path
):
    """It is not slept through: the error has the seconds, and all messages stay queued."""
    emulator.fault(Fault.too_many(86_400), route="sms.send")
    async with client.bulk(ledger=tmp_path / "a.db", concurrency=2) as bulk:
        await bulk.load(messages(10))
        with pytest.raises(RateLimitError) as caught:
            await bulk.run()
        counts = await bulk.counts()

    assert caught.value.retry_after == 86_400
    assert counts == {State.QUEUED: 10}
    assert emulator.received == []


async def test_a_pause_is_no_outage(
    emulator: Emulator,
    client: AsyncConnectus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    no_backoff: None,
):
    """What the user holds up is not held against the server."""
    monkeypatch.setattr(sender, "CircuitBreaker", partial(CircuitBreaker, clock=clock))
    async with client.bulk(ledger=tmp_path / "a.db", concurrency=1) as bulk:
        pausing = Fault.call(before=lambda number: bulk.pause() if number == 1 else None)
        emulator.fault(pausing, route="sms.send")
        throttles = emulator.fault(Fault.too_many(0), route="sms.send", times=2)
        await bulk.load(messages(3))
        running = asyncio.ensure_future(bulk.run())
        while not throttles.fired or bulk.progress().in_flight:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        clock.now += 3_600.0
        bulk.resume()
        summary = await running

    assert throttles.fired == 2
    assert summary.accepted == len(emulator.received) == 3
