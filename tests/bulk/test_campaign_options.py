"""What a bulk sender can be told, through both clients, against the emulator."""

import base64
import datetime as dt
import functools
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import anyio
import anyio.lowlevel
import pytest
from awaited import asyncio_only

from connectus_async import (
    AsyncConnectus,
    BulkSummary,
    CampaignStoppedError,
    ConfigurationError,
    ConnectError,
    Email,
    InvalidArgumentError,
    MessageOutcome,
    Outcome,
    PaymentRequiredError,
    QuietHours,
    RateLimitError,
    Row,
    SkipReason,
    Sms,
    State,
    SuppressionList,
)
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger.metadata_names import ONE_SPELLING
from connectus_async.ledger.records import CHARACTERS_A_TRANSACTION

FIRST = 56_960_000_000
SANTIAGO = ZoneInfo("America/Santiago")


def messages(count: int, first: int = 0, text: str = "Hola") -> list[Sms]:
    return [Sms(FIRST + index, text) for index in range(first, first + count)]


def recipients(emulator: Emulator) -> list[str]:
    return sorted(message.recipient for message in emulator.received)


async def sent(connectus: AsyncConnectus, source: object, **options: object) -> BulkSummary:
    async with connectus.bulk(**options) as bulk:
        return await bulk.run(source)


async def test_a_second_run_sends_nothing_and_a_grown_source_only_what_is_new(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """The ledger knows every message by what it says and to whom."""
    assert (await sent(connectus, messages(30), ledger=ledger)).accepted == 30

    again = await sent(connectus, messages(30), ledger=ledger)
    grown = await sent(connectus, messages(40), ledger=ledger)

    assert again.skipped_by == {SkipReason.DUPLICATE: 30}
    assert (grown.accepted, grown.skipped) == (10, 30)
    assert len(recipients(emulator)) == len(set(recipients(emulator))) == 40


async def test_what_is_loaded_waits_until_it_is_sent(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """Each row is named with what became of it; nothing leaves before ``run``."""
    placed = {}
    bad = Row(9, InvalidArgumentError("name", "is empty in this row"))
    rows = [*(Row(line, sms) for line, sms in enumerate(messages(3), 2)), bad]
    async with connectus.bulk(ledger=ledger) as bulk:
        total = await bulk.load(
            [*rows, Row(10, messages(1)[0])],
            on_row=lambda row, loaded: placed.update({row.line: loaded}),
        )
        assert (total, emulator.requests.total()) == (5, 0)
        assert await bulk.counts() == {State.QUEUED: 3, State.SKIPPED: 2}
        await bulk.run()
        assert await bulk.counts() == {State.ACCEPTED: 3, State.SKIPPED: 2}
        assert await bulk.spent() == 3

    assert placed[9].skipped is SkipReason.INVALID
    assert (placed[10].skipped, placed[10].first_line) == (SkipReason.DUPLICATE, 2)
    assert len(recipients(emulator)) == 3


async def test_large_messages_are_put_down_a_few_at_a_time(
    connectus: AsyncConnectus, ledger: Path | str
):
    """However large they are, few are kept until they are in the ledger: never 500."""
    size = CHARACTERS_A_TRANSACTION // 2
    read, read_when_put_down = 0, []

    def emails() -> Iterator[Email]:
        nonlocal read
        for read in range(1, 6):
            yield Email(f"a{read}@ejemplo.cl", "Hola", "a" * size, src_email="yo@empresa.cl")

    async with connectus.bulk(ledger=ledger) as bulk:
        await bulk.load(emails(), on_row=lambda *_: read_when_put_down.append(read))

    assert read_when_put_down == [2, 2, 4, 4, 5]


async def test_a_source_is_loaded_again_without_doubling_anything(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """Known rows are told by their state; duplicates within the source are still duplicates."""
    seen = []
    for _ in range(2):
        async with connectus.bulk(ledger=ledger) as bulk:
            seen.clear()
            await bulk.load(
                [*messages(2), messages(1)[0]], on_row=lambda _, loaded: seen.append(loaded)
            )
            await bulk.run()

    assert [loaded.known for loaded in seen] == [State.ACCEPTED, State.ACCEPTED, None]
    assert seen[2].skipped is SkipReason.DUPLICATE
    assert len(recipients(emulator)) == 2


async def test_each_recipient_gets_one_message_where_that_is_asked_for(
    connectus: AsyncConnectus, emulator: Emulator, ledger_of: Callable[[str], Path | str]
):
    """By default two texts to one number are two messages."""
    both = [Sms(FIRST, "Hola Ana"), Sms(FIRST, "Hola Eva"), Sms(f"+{FIRST}", "Hola Ana")]

    assert (await sent(connectus, both, ledger=ledger_of("navidad"))).accepted == 2
    by_recipient = {"ledger": ledger_of("pascua"), "identity": "recipient"}
    assert (await sent(connectus, both, **by_recipient)).accepted == 1


async def test_a_key_of_ones_own_tells_equal_messages_apart(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """And makes different ones the same."""
    rows = [
        Row(None, Sms(FIRST, "Hola"), key="order 1"),
        Row(None, Sms(FIRST, "Hola"), key="order 2"),
        Row(None, Sms(FIRST, "Adiós"), key="order 2"),
    ]

    assert (await sent(connectus, rows, ledger=ledger)).accepted == 2
    assert [message.content for message in emulator.received] == ["Hola", "Hola"]


async def test_throttling_burns_no_recipient(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """A message that is answered 429 is sent again, however often that happens."""
    emulator.fault(Fault.too_many(0), route="sms.send", times=7)

    summary = await sent(connectus, messages(60), ledger=ledger, concurrency=4)

    assert summary.accepted == 60
    assert len(set(recipients(emulator))) == len(recipients(emulator)) == 60


async def test_the_last_message_is_sent_again_as_well(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """That the source has no more does not mean that the campaign is over."""
    emulator.fault(Fault.too_many(0), route="sms.send", times=2)

    assert (await sent(connectus, messages(1), ledger=ledger, concurrency=4)).accepted == 1
    assert len(emulator.received) == 1


async def test_a_retry_after_past_the_cap_stops_and_leaves_the_rest_queued(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """Nobody waits an hour by surprise; the same campaign goes on later."""
    fault = emulator.fault(Fault.too_many(3600), route="sms.send")

    with pytest.raises(RateLimitError):
        await sent(connectus, messages(20), ledger=ledger, concurrency=4)
    fault.remove()

    assert (await sent(connectus, messages(20), ledger=ledger)).accepted == 20


async def test_a_balance_that_is_added_to_lets_the_rest_go(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """402 is the campaign's problem, not the messages': they stay queued."""
    with emulator.fault(Fault.status(402), route="sms.send"), pytest.raises(PaymentRequiredError):
        await sent(connectus, messages(20), ledger=ledger, concurrency=4)

    assert (await sent(connectus, messages(20), ledger=ledger)).accepted == 20


async def test_unknown_after_unknown_stops_to_spare_the_rest(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """A server that fails for everybody does not get the whole campaign."""
    emulator.fault(Fault.status(500), route="sms.send")

    with pytest.raises(CampaignStoppedError, match="may or may not have been sent"):
        await sent(connectus, messages(400), ledger=ledger, concurrency=4, patience=0.5)

    assert emulator.requests["sms.send"] < 40


async def test_a_closed_port_stops_at_once(unused_url: str, ledger: Path | str):
    """Where nothing was ever answered, the address is wrong."""
    connectus = AsyncConnectus("user", "key", base_url=unused_url)
    async with connectus, connectus.bulk(ledger=ledger, concurrency=4) as bulk:
        with pytest.raises(ConnectError):
            await bulk.run(messages(20))
        assert bulk.summary.queued == bulk.summary.total


async def test_the_suppressed_get_nothing_even_if_they_opted_out_after_loading(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str, tmp_path: Path
):
    """The list is asked when a message is put down, and again right before it leaves."""
    path = tmp_path / "suppressed.txt"
    path.write_text(f"{FIRST}\n", "utf-8")
    suppression = await anyio.to_thread.run_sync(SuppressionList.read, path)

    async with connectus.bulk(ledger=ledger, suppression=suppression) as bulk:
        await bulk.load(messages(3))
        path.write_text(f"{FIRST}\n{FIRST + 1}\n", "utf-8")
        await anyio.to_thread.run_sync(suppression.refresh)
        await bulk.run()
        assert await bulk.counts() == {State.ACCEPTED: 1, State.SKIPPED: 2}

    assert recipients(emulator) == [str(FIRST + 2)]


async def test_quiet_hours_leave_messages_queued(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """They leave with a later run; the outcome says from when on."""
    hour = dt.timedelta(hours=1)
    begin, end = (f"{dt.datetime.now(dt.UTC) + shift:%H:%M}" for shift in (-hour, hour))
    parse = functools.partial(QuietHours.parse, f"{begin}-{end}", time_zone="UTC")
    quiet = await anyio.to_thread.run_sync(parse)
    outcomes: list[MessageOutcome] = []
    mail = Email("ana@example.com", "Hola", "<b>Hola</b>", src_email="contacto@example.com")

    async with connectus.bulk(ledger=ledger, quiet_hours=quiet) as bulk:
        await bulk.run([mail], on_outcome=outcomes.append)

    assert [outcome.state for outcome in outcomes] == [State.QUEUED]
    assert "quiet hours where it goes, until" in str(outcomes[0].error)
    assert (await sent(connectus, None, ledger=ledger)).accepted == 1
    assert len(emulator.received) == 1


async def test_what_is_too_late_is_skipped(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """For good: nobody wants it any more."""
    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)

    summary = await sent(connectus, messages(5), ledger=ledger, expires_at=past)

    assert summary.skipped_by == {SkipReason.EXPIRED: 5}
    assert not emulator.requests


async def test_the_budget_is_never_passed_and_may_be_raised(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """It counts SMS as they are billed, over all runs of the campaign."""
    long = messages(6, text="a" * 161)
    async with connectus.bulk(ledger=ledger, budget=7, concurrency=4) as bulk:
        await bulk.load(long)
        await bulk.run()
    assert (bulk.summary.accepted, bulk.summary.skipped_by) == (3, {SkipReason.OVER_BUDGET: 3})

    async with connectus.bulk(ledger=ledger, budget=10) as bulk:
        await bulk.run()

    assert bulk.summary.accepted == 2
    assert len(emulator.received) == 5


async def test_an_unknown_message_is_sent_again_only_where_that_is_said_out_loud(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """By default it is not, in any later run."""
    emulator.fault(Fault.reset_after(), route="sms.send", times=1)
    assert (await sent(connectus, messages(1), ledger=ledger)).unknown == 1

    assert (await sent(connectus, messages(1), ledger=ledger)).accepted == 0
    assert len(emulator.received) == 1
    assert (await sent(connectus, None, ledger=ledger, on_unknown="resend")).accepted == 1
    assert len(emulator.received) == 2


async def test_a_pause_lets_nothing_leave_until_it_ends(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """Progress tells that it holds."""
    async with connectus.bulk(ledger=ledger) as bulk:
        await bulk.load(messages(10))
        bulk.pause()
        assert bulk.progress().is_paused
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bulk.run)
            await anyio.wait_all_tasks_blocked()
            assert not emulator.received
            bulk.resume()
        assert not bulk.progress().is_paused

    assert bulk.summary.accepted == 10


@asyncio_only
async def test_cancel_ends_the_stream_and_leaves_the_rest_queued(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """A later run sends it."""
    async with connectus.bulk(ledger=ledger, concurrency=2) as bulk:
        await bulk.load(messages(100))
        async for _ in bulk.stream():
            bulk.cancel()
        counts = await bulk.counts()
        assert counts[State.ACCEPTED] == len(emulator.received) < 100
        assert counts[State.ACCEPTED] + counts[State.QUEUED] == 100
        await bulk.run()

    assert len(set(recipients(emulator))) == len(recipients(emulator)) == 100


async def test_limits_change_while_it_sends(connectus: AsyncConnectus, ledger: Path | str):
    """Progress shows what holds now."""
    async with connectus.bulk(ledger=ledger, rate=5, concurrency=8) as bulk:
        bulk.set_rate(1_000)
        bulk.set_concurrency(2)
        progress = bulk.progress()
        assert (progress.rate_limit, progress.concurrency_limit) == (1_000, 2)
        await bulk.run(messages(20))

    assert bulk.summary.accepted == 20


@asyncio_only
async def test_progress_is_watched_until_the_sender_is_left(
    connectus: AsyncConnectus, ledger: Path | str
):
    """The last word is the final one."""
    seen = []

    async def watch() -> None:
        seen.extend([progress async for progress in bulk.watch(0.01)])

    async with anyio.create_task_group() as tasks, connectus.bulk(ledger=ledger) as bulk:
        tasks.start_soon(watch)
        await bulk.run(messages(50))

    assert seen[-1].summary.accepted == 50
    assert seen[-1].in_flight == 0


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        ({"rate": 0}, "rate"),
        ({"rate": "fast"}, "rate"),
        ({"rate_unit": "bytes"}, "rate_unit"),
        ({"identity": "name"}, "identity"),
        ({"on_unknown": "hope"}, "on_unknown"),
        ({"on_unknown": "resend_if_absent"}, "on_unknown"),
        ({"forget_content": True}, "forget_content"),
        ({"budget": -1}, "budget"),
        ({"patience": 0}, "patience"),
        ({"expires_at": dt.datetime(2026, 12, 24)}, "expires_at"),
        ({"expires_at": dt.datetime(2026, 9, 6, 0, 30, tzinfo=SANTIAGO)}, "expires_at"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": "64"}, "concurrency"),
        ({"concurrency": 2.5}, "concurrency"),
        ({"budget": 2.5}, "budget"),
        ({"patience": None}, "patience"),
        ({"suppression": "optouts.txt"}, "suppression"),
        ({"suppression": ["+56 9 8768 8060"]}, "suppression"),
        ({"quiet_hours": "21:00-08:00"}, "quiet_hours"),
        ({"ledger": 7}, "ledger"),
        ({"ledger": "/"}, "ledger"),
    ],
)
async def test_an_option_that_makes_no_sense_is_named(
    connectus: AsyncConnectus, options: dict[str, object], setting: str
):
    """Before anything is opened or sent."""
    with pytest.raises(ConfigurationError) as caught:
        connectus.bulk(**options)
    assert caught.value.setting == setting


@pytest.mark.parametrize("call", ["load", "counts", "spent", "reconcile"])
async def test_what_needs_a_ledger_says_so(connectus: AsyncConnectus, call: str):
    """Without one there is nothing to ask."""
    async with connectus.bulk() as bulk:
        with pytest.raises(ConfigurationError, match="ledger"):
            await getattr(bulk, call)(*[[]] * (call == "load"))


async def test_one_stream_at_a_time(connectus: AsyncConnectus):
    """Two would claim each other's messages."""
    async with connectus.bulk(concurrency=1) as bulk:
        first = bulk.stream(messages(10))
        await anext(first)
        with pytest.raises(ConfigurationError, match="stream under way"):
            await anext(bulk.stream(messages(10)))


async def test_an_outcome_tells_the_request_and_the_message_apart(
    connectus: AsyncConnectus, emulator: Emulator
):
    """A message that ended the campaign was refused, and is queued all the same."""
    emulator.fault(Fault.status(401), route="sms.send")
    outcomes: list[MessageOutcome] = []
    async with connectus.bulk(concurrency=1) as bulk:
        with pytest.raises(Exception, match="401"):
            await bulk.run(messages(3), on_outcome=outcomes.append)

    assert (outcomes[0].state, outcomes[0].outcome) == (State.QUEUED, Outcome.REJECTED)


def chunks() -> Iterator[Sms]:
    yield from messages(2)
    raise LookupError("the database went away")


async def test_a_source_that_breaks_off_is_not_taken_for_loaded(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """What it gave is put down; nothing is sent; loading it again takes it up."""
    async with connectus.bulk(ledger=ledger) as bulk:
        with pytest.raises(LookupError):
            await bulk.load(chunks())
        assert await bulk.counts() == {State.QUEUED: 2}
        await bulk.load(messages(4))
        await bulk.run()

    assert not [route for route in emulator.requests if route != "sms.send"]
    assert len(recipients(emulator)) == 4


class Doubtful(SuppressionList):
    """A list whose file cannot be read until it is mended."""

    is_mended = False
    looks = 0

    def refresh(self) -> bool:
        """Look at the file."""
        self.looks += 1
        if not self.is_mended:
            raise InvalidArgumentError("opt-outs.txt", "is now empty")
        return False


@pytest.fixture
def _looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectus_async.bulk.suppression_watch.REFRESH_SECONDS", 0)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await anyio.lowlevel.checkpoint()


@asyncio_only
@pytest.mark.usefixtures("_looks_at_once")
async def test_while_the_suppression_list_cannot_be_read_nobody_is_reached(
    connectus: AsyncConnectus, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    """A list that is being rewritten is soon whole: the campaign waits, and goes on."""
    monkeypatch.setattr("connectus_async.bulk.suppression_watch.MOST_FAILED_READS", 10**9)
    suppression = Doubtful()
    async with connectus.bulk(suppression=suppression) as bulk:
        await until(lambda: bulk.progress().is_paused)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bulk.run, messages(3))
            looks = suppression.looks
            await until(lambda: suppression.looks > looks + 20)
            assert emulator.received == []
            suppression.is_mended = True

        assert bulk.summary.accepted == 3


@asyncio_only
@pytest.mark.usefixtures("_looks_at_once")
async def test_a_sender_that_is_entered_again_reaches_people_once_the_list_is_mended(
    connectus: AsyncConnectus, emulator: Emulator
):
    """A list that could not be read when the sender was left holds nobody back for ever."""
    suppression = Doubtful()
    bulk = connectus.bulk(suppression=suppression)
    async with bulk:
        await until(lambda: bulk.progress().is_paused)
    suppression.is_mended = True
    async with bulk:
        assert (await bulk.run(messages(1))).accepted == 1


class Followed(SuppressionList):
    """A list that counts the looks at its file."""

    looks = 0

    def refresh(self) -> bool:
        """Look, and count it."""
        self.looks += 1
        return super().refresh()


@asyncio_only
@pytest.mark.usefixtures("_looks_at_once")
async def test_nobody_is_reached_while_the_list_is_half_written(
    connectus: AsyncConnectus, emulator: Emulator, tmp_path: Path
):
    """Its writer rests between two lines, for longer than it takes to look at it twice."""
    path = tmp_path / "suppressed.txt"
    lines = [f"{FIRST + index}\n" for index in range(20)]
    path.write_text("".join(lines), "utf-8")
    suppression = await anyio.to_thread.run_sync(Followed.read, path)

    async def source():
        yield messages(1, first=20)[0]
        await anyio.to_thread.run_sync(path.write_text, "".join(lines[:10]), "utf-8")
        looks = suppression.looks
        await until(lambda: suppression.looks > looks + 3)
        for sms in messages(20):
            yield sms

    async with connectus.bulk(suppression=suppression) as bulk:
        summary = await bulk.run(source())

    assert summary.skipped_by == {SkipReason.SUPPRESSED: 20}
    assert recipients(emulator) == [str(FIRST + 20)]


async def test_a_list_that_grew_before_the_sender_was_entered(
    connectus: AsyncConnectus, emulator: Emulator, tmp_path: Path
):
    """It may have been read hours before: it is read again before anybody is reached."""
    path = tmp_path / "suppressed.txt"
    path.write_text(f"{FIRST}\n", "utf-8")
    os.utime(path, (0, 0))
    suppression = await anyio.to_thread.run_sync(SuppressionList.read, path)
    path.write_text(f"{FIRST}\n{FIRST + 1}\n", "utf-8")

    async with connectus.bulk(suppression=suppression) as bulk:
        summary = await bulk.run(messages(3))

    assert summary.skipped_by == {SkipReason.SUPPRESSED: 2}
    assert recipients(emulator) == [str(FIRST + 2)]


@asyncio_only
@pytest.mark.usefixtures("_looks_at_once")
async def test_a_suppression_list_that_stays_broken_stops_the_campaign(
    connectus: AsyncConnectus, emulator: Emulator, ledger: Path | str
):
    """With what is wrong with it; everything stays queued."""
    async with connectus.bulk(ledger=ledger, suppression=Doubtful()) as bulk:
        await until(lambda: bulk.progress().is_paused)
        with pytest.raises(InvalidArgumentError, match="is now empty"):
            await bulk.run(messages(3))
        assert set(await bulk.counts()) <= {State.QUEUED}
    assert emulator.received == []


@asyncio_only
@pytest.mark.usefixtures("_looks_at_once")
async def test_a_list_that_is_mended_does_not_undo_a_pause_of_the_user(connectus: AsyncConnectus):
    """Each of the two reasons holds by itself."""
    suppression = Doubtful()
    async with connectus.bulk(suppression=suppression) as bulk:
        await until(lambda: bulk.progress().is_paused)
        bulk.pause()
        suppression.is_mended = True
        looks = suppression.looks
        await until(lambda: suppression.looks > looks + 2)
        assert bulk.progress().is_paused
        bulk.resume()
        assert not bulk.progress().is_paused


SPELLINGS = [
    (Sms, 541123456789, 5491123456789),
    (Sms, 5215512345678, 525512345678),
    (Sms, 551187654321, 5511987654321),
    (Email, "ana@xn--and-6ma2c.cl", "Ana@Ñandú.cl"),
]


def spelt(kind: type[Sms] | type[Email], who: object, text: str) -> Sms | Email:
    if kind is Sms:
        return Sms(who, text)
    return Email(who, "Hola", text, src_email="yo@empresa.cl")


@pytest.mark.parametrize(("kind", "one", "other"), SPELLINGS)
@pytest.mark.parametrize(
    ("identity", "texts"), [("message", ("Hola", "Hola")), ("recipient", ("Hola", "Buenas"))]
)
async def test_one_person_in_two_spellings_is_reached_once(
    connectus, emulator, ledger, kind, one, other, identity, texts
):
    """Whose phone rings for one number hears it ring for the other; it is sent as it was given."""
    first, second = (spelt(kind, who, text) for who, text in zip((one, other), texts, strict=True))

    for message in (first, second, first):
        await sent(connectus, [message], ledger=ledger, identity=identity)

    assert recipients(emulator) == [str(one)]


def old_key(kind: str, recipient: str, content: str) -> str:
    document = f"\0{kind}\0{recipient}\0{content}".encode()
    return base64.b64encode(hashlib.blake2b(document, digest_size=15).digest()).decode()


@pytest.mark.parametrize(("kind", "one", "other"), SPELLINGS[:3])
async def test_a_ledger_from_before_finds_its_people_by_its_own_keys(
    connectus, emulator, tmp_path, kind, one, other
):
    """It is taken up, and nobody in it is somebody new."""
    ledger = tmp_path / "navidad.db"
    source = [spelt(kind, who, "Hola") for who in (one, other)]
    await sent(connectus, [], ledger=ledger)
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("DELETE FROM campaign WHERE name = ?", (ONE_SPELLING,))
    await sent(connectus, source[:1], ledger=ledger)
    with closing(sqlite3.connect(ledger)) as connection:
        ((key,),) = connection.execute("SELECT key FROM message")
    assert key == old_key("sms", str(one), "Hola")

    again = await sent(connectus, source[:1], ledger=ledger)
    both = await sent(connectus, source, ledger=ledger)

    assert again.skipped_by == both.skipped_by == {SkipReason.DUPLICATE: 1}
    assert recipients(emulator) == sorted(map(str, (one, other)))  # as that ledger has it


async def test_a_person_in_another_spelling_is_suppressed(connectus, emulator, ledger):
    """By the list of a campaign, as its messages are loaded and right before they leave."""
    spellings = [str(number) for _, number, _ in SPELLINGS[:3]]
    suppression = SuppressionList([*spellings, SPELLINGS[3][1]])
    others = [spelt(kind, who, "Hola") for kind, _, who in SPELLINGS]

    async with connectus.bulk(ledger=ledger, suppression=suppression) as bulk:
        await bulk.load(others[:2])
        summary = await bulk.run(others)

    assert summary.skipped_by[SkipReason.SUPPRESSED] >= 2
    assert emulator.received == []
