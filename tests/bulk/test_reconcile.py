"""What became of the unknown, as the reports tell it: when in doubt, nothing is sent again."""

import asyncio
import datetime as dt
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from loop_time import LIMIT, pass_time

from connectus_async import AsyncConnectus, Email, Product, Sms, WhatsApp
from connectus_async.bulk import reconcile
from connectus_async.bulk.outcomes import Reconciliation
from connectus_async.bulk.reconcile import (
    AMBIGUOUS,
    CLOCK_CHANGED,
    LATE,
    NO_EARLIER,
    NO_LATER,
    NO_LATER_IN_CHAT,
    NO_REPORT,
    UNREADABLE,
)
from connectus_async.defaults import KERNEL_SENDS_FOR
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger.postgres.holding import LEASE
from connectus_async.ledger.states import ABSENT, State
from connectus_async.products.messages import Row

FIRST = 56_960_000_000
SANTIAGO = ZoneInfo("America/Santiago")
SETTLE = 0.001
SOURCE = "56999944837"
LOST = Fault.reset_after()
NEVER_CAME = Fault.reset_before()
NAMELESS = Fault.status(200, {"status": "EN_COLA"}, acted=True)
WELL = None
BEFORE = Sms(FIRST + 1_000, "Antes")
AFTER = Sms(FIRST + 2_000, "Después")
"""The witnesses: accepted before and after the messages in question."""
GIVEN_UP_BEFORE = Fault.call(before=lambda _: pass_time())
GIVEN_UP_AFTER = Fault.call(after=lambda _: pass_time())


class Clock:
    """The platform's clock, which a test may set."""

    def __init__(self) -> None:
        self.moment: dt.datetime | None = None

    def __call__(self) -> dt.datetime:
        return self.moment or dt.datetime.now(dt.UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def emulator(clock: Clock) -> AsyncIterator[Emulator]:
    async with Emulator(clock=clock) as emulator:
        yield emulator


@pytest.fixture
async def client(settings: dict[str, Any]) -> AsyncIterator[AsyncConnectus]:
    async with AsyncConnectus(**settings) as client:
        yield client


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


def script(emulator: Emulator, *faults: Fault | None, route: str = "sms.send") -> None:
    """Let each of the next requests go as it says."""
    ahead = deque(faults)

    async def run(request: Any, act: Any) -> Any:
        fault = ahead.popleft() if ahead else WELL
        return await (act() if fault is None else fault.run(request, act))

    emulator.fault(Fault("script", run), route=route)


def witnessed(emulator: Emulator, *faults: Fault | None) -> None:
    """Let the requests between those of the witnesses go as it says."""
    script(emulator, WELL, *faults, WELL)


def between(source: Sequence[Any]) -> list[Any]:
    """Put messages between the witnesses."""
    return [BEFORE, *source, AFTER]


def reached(emulator: Emulator) -> list[int]:
    """How often each message reached the phone that reached it at all; without the witnesses."""
    got = Counter((got.recipient, got.content) for got in emulator.received)
    for witness in (BEFORE, AFTER):
        assert got.pop((str(witness.dst_number), witness.sms_content), 1) == 1
    return sorted(got.values())


async def moved(bulk: Any, moment: dt.datetime, number: int) -> None:
    """Let a message have been sent at another time."""
    at = moment.timestamp()
    await bulk._ledger.ask(
        lambda connection: connection.execute(
            "UPDATE message SET started_at = ?, ended_at = ? WHERE id = ?", (at, at, number)
        )
    )


def around(outer: Fault, inner: Fault) -> Fault:
    """Nest one fault in another."""

    async def run(request: Any, act: Any) -> Any:
        return await outer.run(request, lambda: inner.run(request, act))

    return Fault(f"{outer.name} {inner.name}", run)


def rows(emulator: Emulator, **changed: Any) -> dict[str, list[dict[str, Any]]]:
    """Write a report of all that was received."""
    return {
        "data": [
            {
                "id_sms": message.id,
                "dst_number": message.recipient,
                "sms_content": message.content,
                "created_at": message.time.isoformat(),
            }
            | changed
            for message in emulator.received
        ]
    }


@pytest.mark.parametrize(
    ("fault", "acted"),
    [
        (Fault.reset_after(), True),
        (Fault.reset_before(), False),
        (around(Fault.timeout(), GIVEN_UP_AFTER), True),
        (around(GIVEN_UP_BEFORE, Fault.delay(2 * LIMIT)), False),
        (Fault.status(502, acted=True), True),
        (Fault.status(502), False),
        (Fault.half_answer(), True),
        (Fault.status(302), False),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
@pytest.mark.parametrize("on_unknown", ["hold", "resend_if_absent"])
async def test_every_fault_that_makes_unknown_is_cleared_up(
    emulator: Emulator,
    client: AsyncConnectus,
    path: Path,
    fault: Fault,
    on_unknown: Any,
    *,
    acted: bool,
):
    """What arrived is accepted with its identifier, and what did not is held or sent again."""
    script(emulator, WELL, fault, WELL)
    source = [Sms(FIRST + index, f"Hola {index}") for index in range(3)]
    async with client.with_options(timeout=LIMIT).bulk(
        ledger=path, concurrency=1, on_unknown=on_unknown
    ) as bulk:
        assert (await bulk.run(source)).unknown == 1
        found = await bulk.reconcile(settle=SETTLE)
        ids = await bulk._ledger.ask(
            lambda connection: connection.execute(
                "SELECT provider_id FROM message WHERE state = 'accepted'"
            )
        )
        if acted:
            assert found == Reconciliation(accepted=1)
        elif on_unknown == "hold":
            assert found == Reconciliation(held=1, reasons={ABSENT: 1})
        else:
            assert found == Reconciliation(queued=1)
        assert {id_ for (id_,) in ids} == {message.id for message in emulator.received}
        await bulk.run(source)
        await bulk.run()

    is_held = not acted and on_unknown == "hold"
    assert reached(emulator) == [1] * (2 if is_held else 3)


async def test_nothing_unknown_asks_nothing_and_waits_for_nothing(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """A campaign that went well is told so at once."""
    async with client.bulk(ledger=path) as bulk:
        await bulk.run([Sms(FIRST, "Hola")])
        assert await bulk.reconcile(settle=3_600) == Reconciliation()

    assert emulator.requests.keys() == {"sms.send"}


async def test_a_report_is_believed_after_the_settle_time_and_twice(
    emulator: Emulator, client: AsyncConnectus, path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Neither the first look nor the second comes earlier than it was told."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float, *_: object) -> None:
        if seconds > 1:
            slept.append(seconds)
        await sleep(0)

    witnessed(emulator, NEVER_CAME)
    monkeypatch.setattr(reconcile, "_now", time.time)
    quick = client.with_options(timeout=20)
    async with quick.bulk(ledger=path, concurrency=1) as bulk:
        await bulk.run(between([Sms(FIRST, "Hola")]))
        monkeypatch.setattr(asyncio, "sleep", note)
        found = await bulk.reconcile(settle=60)

    assert found.held == 1
    assert emulator.requests["sms.by_date"] == 2
    assert slept == [pytest.approx(60, abs=10), 60]
    assert slept[0] <= 60


@pytest.mark.parametrize("is_interrupted", [False, True])
async def test_a_report_is_not_read_while_a_message_may_still_arrive(
    emulator: Emulator,
    client: AsyncConnectus,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_interrupted: bool,
):
    """What was given up may leave for the client's timeout, and as long as the kernel sends."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float, *_: object) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(reconcile, "_now", time.time)
    script(emulator, LOST)
    async with client.bulk(ledger=path) as bulk:
        await bulk.run([Sms(FIRST, "Hola")])
        if is_interrupted:
            await bulk._ledger.ask(
                lambda connection: connection.execute(
                    "UPDATE message SET state = 'in_flight', ended_at = NULL"
                )
            )
    async with client.with_options(timeout=90).bulk(ledger=path) as bulk:
        monkeypatch.setattr(asyncio, "sleep", note)
        assert (await bulk.reconcile(settle=SETTLE)).accepted == 1

    assert slept[0] == pytest.approx(90 + KERNEL_SENDS_FOR, abs=20)
    assert slept[0] <= 90 + KERNEL_SENDS_FOR


async def test_a_message_of_another_worker_may_be_sent_until_its_lease_ends(
    emulator: Emulator,
    client: AsyncConnectus,
    postgres_ledger: str,
    monkeypatch: pytest.MonkeyPatch,
):
    """Nobody knows when a worker that was given up noticed it: the report waits for that, too."""
    slept: list[float] = []

    async def note(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(reconcile, "_now", time.time)
    monkeypatch.setattr(reconcile, "asyncio", SimpleNamespace(sleep=note))
    script(emulator, LOST)
    async with client.with_options(timeout=90).bulk(ledger=postgres_ledger) as bulk:
        await bulk.run([Sms(FIRST, "Hola")])
        await bulk.reconcile(settle=SETTLE)

    longest = LEASE + 90 + KERNEL_SENDS_FOR
    assert slept[0] == pytest.approx(longest, abs=9)
    assert slept[0] <= longest


async def test_a_clock_that_was_set_back_is_not_waited_for(
    emulator: Emulator, client: AsyncConnectus, path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What was sent in what is now the future is waited for as what was sent just now."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float, *_: object) -> None:
        slept.append(seconds)
        await sleep(0)

    witnessed(emulator, NEVER_CAME)
    async with client.with_options(timeout=20).bulk(ledger=path, concurrency=1) as bulk:
        await bulk.run(between([Sms(FIRST, "Hola")]))
        for number in (1, 2, 3):
            await moved(bulk, dt.datetime.now(dt.UTC) + dt.timedelta(days=1), number)
        monkeypatch.setattr(asyncio, "sleep", note)
        assert (await bulk.reconcile(settle=SETTLE)).held == 1

    assert max(slept) == 20 + KERNEL_SENDS_FOR


async def test_what_comes_into_the_report_between_two_reads_is_not_absent(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """One look at a report that is late is not enough."""
    script(emulator, LOST)
    script(emulator, Fault.status(200, {"data": []}), route="sms.by_date")
    async with client.bulk(ledger=path, on_unknown="resend_if_absent") as bulk:
        await bulk.run([Sms(FIRST, "Hola")])
        assert await bulk.reconcile(settle=SETTLE) == Reconciliation(accepted=1)
        await bulk.run()

    assert reached(emulator) == [1]


async def test_reads_that_contradict_each_other_conclude_nothing(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """Reports that differ from read to read are asked again later."""
    witnessed(emulator, LOST, NEVER_CAME)
    empty = Fault.status(200, {"data": []})
    script(emulator, empty, WELL, empty, WELL, empty, route="sms.by_date")
    source = [Sms(FIRST, "Hola"), Sms(FIRST + 1, "Hola")]
    async with client.bulk(ledger=path, concurrency=1, on_unknown="resend_if_absent") as bulk:
        await bulk.run(between(source))
        assert await bulk.reconcile(settle=SETTLE) == Reconciliation(unknown=2, reasons={LATE: 2})
        assert (await bulk.reconcile(settle=SETTLE)) == Reconciliation(accepted=1, queued=1)
        await bulk.run()

    assert reached(emulator) == [1, 1]


@pytest.mark.parametrize("on_unknown", ["hold", "resend_if_absent"])
@pytest.mark.parametrize("forget_content", [False, True])
async def test_a_late_report_leaves_the_unknown_unknown(
    emulator: Emulator,
    client: AsyncConnectus,
    path: Path,
    on_unknown: Any,
    *,
    forget_content: bool,
):
    """It lacks what the API is known to have, so it proves nothing; later it does."""
    emulator.report_delay = 3_600
    script(emulator, WELL, LOST, NEVER_CAME, WELL)
    source = [Sms(FIRST + index, "Hola") for index in range(4)]
    async with client.bulk(
        ledger=path, concurrency=1, on_unknown=on_unknown, forget_content=forget_content
    ) as bulk:
        await bulk.run(source)
        late = await bulk.reconcile(settle=SETTLE)
        emulator.report_delay = 0
        found = await bulk.reconcile(settle=SETTLE)
        await bulk.run()

    assert late == Reconciliation(unknown=2, reasons={LATE: 2})
    assert (found.accepted, found.held + found.queued) == (1, 1)
    assert reached(emulator) == [1] * (3 if on_unknown == "hold" else 4)


@pytest.mark.parametrize(
    ("faults", "accepted", "absent"),
    [
        ([WELL, LOST, NEVER_CAME], 1, 1),
        ([LOST, LOST, LOST], 3, 0),
        ([NEVER_CAME, NEVER_CAME, LOST], 1, 2),
        ([LOST, NEVER_CAME, WELL], 1, 1),
        ([NEVER_CAME, WELL, WELL], 0, 1),
        ([NAMELESS, LOST, NEVER_CAME], 1, 1),
        ([NAMELESS, NAMELESS, NEVER_CAME], 0, 1),
        ([NAMELESS, WELL, LOST], 1, 0),
    ],
)
@pytest.mark.parametrize("forget_content", [False, True])
async def test_identical_messages_are_told_apart_by_their_number(
    emulator: Emulator,
    client: AsyncConnectus,
    path: Path,
    faults: Sequence[Fault | None],
    accepted: int,
    absent: int,
    *,
    forget_content: bool,
):
    """Three of the same text to one recipient: as many count as the report shows, none twice."""
    witnessed(emulator, *faults)
    source = [Row(None, Sms(FIRST, "Hola"), key=key) for key in "abc"]
    async with client.bulk(
        ledger=path, concurrency=1, on_unknown="resend_if_absent", forget_content=forget_content
    ) as bulk:
        await bulk.run(between(source))
        found = await bulk.reconcile(settle=SETTLE)
        assert (found.accepted, found.queued, found.held, found.unknown) == (accepted, absent, 0, 0)
        await bulk.run()
        assert await bulk.counts() == {State.ACCEPTED: 5}

    assert reached(emulator) == [3]


async def test_a_twin_without_an_identifier_takes_only_its_own_sighting(
    emulator: Emulator, client: AsyncConnectus, path: Path, clock: Clock
):
    """Last week's is in no report of today: today's is not taken for it, and not sent again."""
    script(emulator, NAMELESS, LOST)
    twins = [Row(None, Sms(FIRST, "Hola"), key=key) for key in "ab"]
    last_week = dt.datetime.now(dt.UTC) - dt.timedelta(days=7)
    async with client.bulk(ledger=path, on_unknown="resend_if_absent") as bulk:
        clock.moment = last_week
        await bulk.run(twins[:1])
        await moved(bulk, last_week, 1)
        clock.moment = None
        await bulk.run(twins[1:])
        assert await bulk.reconcile(settle=SETTLE) == Reconciliation(accepted=1)
        await bulk.run()

    assert reached(emulator) == [2]


async def test_twins_in_a_report_without_times_are_not_guessed(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """The one sighting may be of either, so nothing is concluded from it."""
    script(emulator, NAMELESS, NEVER_CAME)
    twins = [Row(None, Sms(FIRST, "Hola"), key=key) for key in "ab"]
    async with client.bulk(ledger=path, concurrency=1, on_unknown="resend_if_absent") as bulk:
        await bulk.run(twins)
        timeless = Fault.status(200, rows(emulator, created_at=None))
        script(emulator, timeless, timeless, route="sms.by_date")
        found = await bulk.reconcile(settle=SETTLE)

    assert found == Reconciliation(held=1, reasons={AMBIGUOUS: 1})


MOMENTS = [
    dt.datetime(2025, 3, 5, 23, 59, 59, 900_000, tzinfo=SANTIAGO),
    dt.datetime(2025, 3, 6, 0, 0, 0, 100_000, tzinfo=SANTIAGO),
    dt.datetime(2025, 3, 5, 20, 59, 59, 900_000, tzinfo=SANTIAGO),  # midnight in UTC
    dt.datetime(2025, 4, 5, 23, 30, tzinfo=SANTIAGO),  # comes twice
    dt.datetime(2025, 4, 5, 23, 30, fold=1, tzinfo=SANTIAGO),
    dt.datetime(2025, 9, 7, 1, 0, tzinfo=SANTIAGO),  # a day that has no midnight
    dt.datetime(2024, 2, 29, 23, 59, 59, tzinfo=SANTIAGO),
    dt.datetime(2024, 12, 31, 23, 59, 59, 999_000, tzinfo=SANTIAGO),
]


ZONES = [SANTIAGO, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Etc/GMT+12")]


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
async def test_a_day_boundary_hides_nothing(
    emulator: Emulator,
    settings: dict[str, Any],
    path: Path,
    clock: Clock,
    moment: dt.datetime,
    zone: ZoneInfo,
):
    """Sent at the end of a day and taken on the next, in whatever zone the API counts days."""
    witnessed(emulator, LOST, LOST, NEVER_CAME)
    source = between([Sms(FIRST + index, "Hola") for index in range(3)])
    offsets = [dt.timedelta(minutes=minutes) for minutes in (-4, -4, 4, 0, 0)]
    async with (
        AsyncConnectus(**settings, time_zone=zone.key) as client,
        client.bulk(ledger=path, concurrency=1) as bulk,
    ):
        for number, (message, offset) in enumerate(zip(source, offsets, strict=True), 1):
            clock.moment = moment.astimezone(dt.UTC) + offset
            await bulk.run([message])
            await moved(bulk, moment, number)
        found = await bulk.reconcile(settle=SETTLE)

    assert found == Reconciliation(accepted=2, held=1, reasons={ABSENT: 1})


@pytest.mark.parametrize("written", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.000"])
async def test_a_time_without_a_zone_is_the_platforms(
    emulator: Emulator, client: AsyncConnectus, path: Path, written: str
):
    """Naive times are read in the client's zone: a report of today shows today's message."""
    script(emulator, LOST)
    async with client.bulk(ledger=path) as bulk:
        await bulk.run([Sms(FIRST, "Hola")])
        naive = emulator.received[0].time.astimezone(SANTIAGO).strftime(written)
        script(emulator, Fault.status(200, rows(emulator, created_at=naive)), route="sms.by_date")
        assert await bulk.reconcile(settle=SETTLE) == Reconciliation(accepted=1)


@pytest.mark.parametrize("on_unknown", ["hold", "resend_if_absent"])
async def test_what_others_sent_long_before_is_not_ours(
    emulator: Emulator, client: AsyncConnectus, path: Path, clock: Clock, on_unknown: Any
):
    """The same words at another time may be another's message: a person decides."""
    clock.moment = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    await client.sms.send(FIRST, "Hola")
    clock.moment = None
    script(emulator, NEVER_CAME)
    for _ in range(2):
        async with client.bulk(ledger=path, on_unknown=on_unknown) as bulk:
            await bulk.run([Sms(FIRST, "Hola")])
            found = await bulk.reconcile(settle=SETTLE)
            assert (await bulk.counts()) == {State.HELD: 1}

    assert found == Reconciliation()
    assert reached(emulator) == [1]


async def test_what_others_sent_at_the_same_time_counts_as_ours(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """Nobody can tell the two apart, and at most once is the promise."""
    await client.sms.send(FIRST, "Hola")
    script(emulator, NEVER_CAME)
    async with client.bulk(ledger=path, on_unknown="resend_if_absent") as bulk:
        await bulk.run([Sms(FIRST, "Hola")])
        assert await bulk.reconcile(settle=SETTLE) == Reconciliation(accepted=1)
        await bulk.run()

    assert reached(emulator) == [1]


@pytest.mark.parametrize(
    "report",
    [
        Fault.garbage(),
        Fault.status(500),
        Fault.status(429, headers={"Retry-After": "0"}),
        Fault.status(404),
        Fault.half_answer(),
        Fault.reset_before(),
        Fault.status(200, {"data": "none"}),
        Fault.status(200, {"status": "ok"}),
        Fault.status(200, "null"),
        Fault.status(200, {"data": [{"id_sms": "1", "sms_content": "Hola"}]}),
        Fault.status(200, {"data": [{"id_sms": "1", "dst_number": "56987688060"}]}),
    ],
    ids=lambda fault: fault.name,
)
async def test_a_report_that_cannot_be_read_says_nothing(
    emulator: Emulator, client: AsyncConnectus, path: Path, report: Fault
):
    """The messages stay unknown, with the reason, and are found the next time."""
    witnessed(emulator, LOST, NEVER_CAME)
    broken = emulator.fault(report, route="sms.by_date")
    source = between([Sms(FIRST, "Hola"), Sms(FIRST + 1, "Hola")])
    async with client.bulk(ledger=path, concurrency=1, on_unknown="resend_if_absent") as bulk:
        await bulk.run(source)
        unread = await bulk.reconcile(settle=SETTLE)
        assert (unread.unknown, sum(unread.reasons.values())) == (2, 2)
        broken.remove()
        assert await bulk.reconcile(settle=SETTLE) == Reconciliation(accepted=1, queued=1)


@pytest.mark.parametrize(
    "changed",
    [
        {"dst_number": "+56 9 6000 0000"},
        {"sms_content": "Ho..."},
        {"sms_content": "9f86d081884c7d659a2feaa0c55ad015"},
    ],
    ids=["number", "cut", "hash"],
)
async def test_a_report_in_another_writing_is_recognised_by_its_witnesses(
    emulator: Emulator, client: AsyncConnectus, path: Path, changed: dict[str, str]
):
    """What is known to have been accepted looks otherwise there, so absence proves nothing."""
    script(emulator, WELL, LOST)
    source = [Sms(FIRST, "Hola"), Sms(FIRST + 1, "Hola")]
    async with client.bulk(ledger=path, concurrency=1, on_unknown="resend_if_absent") as bulk:
        await bulk.run(source)
        foreign = emulator.fault(Fault.status(200, rows(emulator, **changed)), route="sms.by_date")
        found = await bulk.reconcile(settle=SETTLE)
        foreign.remove()
        await bulk.run()

    assert found == Reconciliation(unknown=1, reasons={UNREADABLE: 1})
    assert reached(emulator) == [1, 1]


async def test_a_report_that_is_cut_short_is_recognised_by_its_witnesses(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """A page of a longer list lacks most of what is known to be there."""
    script(emulator, *[WELL] * 5, LOST)
    source = [Sms(FIRST + index, "Hola") for index in range(6)]
    async with client.bulk(ledger=path, concurrency=1, on_unknown="resend_if_absent") as bulk:
        await bulk.run(source)
        page = {"data": rows(emulator)["data"][:3]}
        emulator.fault(Fault.status(200, page), route="sms.by_date")
        found = await bulk.reconcile(settle=SETTLE)

    assert found == Reconciliation(unknown=1, reasons={LATE: 1})


@pytest.mark.parametrize("text", ["  Hola  ", "mañana", "man\u0303ana", "Hola\r\n😀", "\ufeffHola"])
async def test_texts_are_recognised_however_they_are_composed(
    emulator: Emulator, client: AsyncConnectus, path: Path, text: str
):
    """Blanks at the ends and the two ways to write an ñ make no other message."""
    script(emulator, LOST)
    async with client.bulk(ledger=path) as bulk:
        await bulk.run([Sms(FIRST, text)])
        trimmed = rows(emulator, sms_content=text.replace("n\u0303", "ñ").strip(" "))
        script(emulator, Fault.status(200, trimmed), route="sms.by_date")
        assert await bulk.reconcile(settle=SETTLE) == Reconciliation(accepted=1)


async def test_numbers_may_come_as_numbers(emulator: Emulator, client: AsyncConnectus, path: Path):
    """The API's examples have them both ways."""
    script(emulator, LOST)
    async with client.bulk(ledger=path) as bulk:
        await bulk.run([Sms(FIRST, "Hola")])
        report = rows(emulator, dst_number=FIRST, id_sms=None, id=7)
        script(emulator, Fault.status(200, report), route="sms.by_date")
        assert await bulk.reconcile(settle=SETTLE) == Reconciliation(accepted=1)


SPELLINGS = [
    ("5215512345678", "525512345678"),
    ("525512345678", "5215512345678"),
    ("541123456789", "5491123456789"),
    ("54111523456789", "541123456789"),
    ("551187654321", "5511987654321"),
    ("5511987654321", "551187654321"),
]


def respelt(emulator: Emulator, spellings: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Write a report in which numbers are written otherwise than they were sent."""
    report = rows(emulator)
    for row in report["data"]:
        row["dst_number"] = spellings.get(row["dst_number"], row["dst_number"])
    return report


@pytest.mark.parametrize(("sent", "shown"), SPELLINGS)
async def test_a_report_may_spell_a_number_otherwise(
    emulator: Emulator, client: AsyncConnectus, path: Path, sent: str, shown: str
):
    """Who was reached is not taken for somebody who was not."""
    witnessed(emulator, LOST)
    async with client.bulk(ledger=path, on_unknown="resend_if_absent", concurrency=1) as bulk:
        await bulk.run(between([Sms(sent, "Hola")]))
        report = Fault.status(200, respelt(emulator, {sent: shown}))
        script(emulator, *[report] * reconcile.MAX_READS, route="sms.by_date")
        assert await bulk.reconcile(settle=SETTLE) == Reconciliation(accepted=1)


@pytest.mark.parametrize(("sent", "shown"), SPELLINGS)
async def test_a_witness_may_be_spelt_otherwise(
    emulator: Emulator, client: AsyncConnectus, path: Path, sent: str, shown: str
):
    """It is known by its identifier, and its recipient is the same person."""
    script(emulator, WELL, NEVER_CAME, WELL)
    witnesses = Sms(sent, "Antes"), Sms(sent, "Después")
    async with client.bulk(ledger=path, concurrency=1) as bulk:
        await bulk.run([witnesses[0], Sms(FIRST, "Hola"), witnesses[1]])
        report = Fault.status(200, respelt(emulator, {sent: shown}))
        script(emulator, *[report] * reconcile.MAX_READS, route="sms.by_date")
        absent = await bulk.reconcile(settle=SETTLE)
    assert absent == Reconciliation(held=1, reasons={ABSENT: 1})


@pytest.mark.parametrize("forget_content", [False, True])
@pytest.mark.parametrize(("sent", "other"), SPELLINGS)
async def test_a_twin_in_another_spelling_keeps_its_own_sighting(
    emulator: Emulator,
    client: AsyncConnectus,
    path: Path,
    sent: str,
    other: str,
    *,
    forget_content: bool,
):
    """The one that was accepted does not lend it to the one that never came."""
    options = {"concurrency": 1, "forget_content": forget_content}
    script(emulator, WELL, NAMELESS, NEVER_CAME, WELL)
    async with client.bulk(ledger=path, **options) as bulk:
        twins = [Row(None, Sms(spelt, "Hola"), key=spelt) for spelt in (sent, other)]
        await bulk.run(between(twins))
        report = Fault.status(200, respelt(emulator, {sent: other}))
        script(emulator, *[report] * reconcile.MAX_READS, route="sms.by_date")
        absent = await bulk.reconcile(settle=SETTLE)
    assert absent == Reconciliation(held=1, reasons={ABSENT: 1})


@pytest.mark.parametrize("forget_content", [False, True])
async def test_a_delivery_is_asked_for_its_own_messages(
    emulator: Emulator, client: AsyncConnectus, path: Path, *, forget_content: bool
):
    """Messages of several deliveries and of none are each looked up where they are."""
    ids = [
        (await client.deliveries.create(name, "2099-12-24 09:00:00", Product.SMS)).id
        for name in ("uno", "dos")
    ]
    source = [
        Sms(FIRST + index, "Hola", id_delivery=id_delivery)
        for index, id_delivery in enumerate([*ids, None] * 4)
    ]
    script(emulator, *[WELL] * 3, *[LOST] * 3, *[NEVER_CAME] * 3, *[WELL] * 3)
    async with client.bulk(ledger=path, concurrency=1, forget_content=forget_content) as bulk:
        await bulk.run(source)
        emulator.report_delay = 3_600
        late = await bulk.reconcile(settle=SETTLE)
        emulator.report_delay = 0
        found = await bulk.reconcile(settle=SETTLE)

    assert late == Reconciliation(unknown=6, reasons={LATE: 6})
    assert found == Reconciliation(accepted=3, held=3, reasons={ABSENT: 3})
    assert emulator.requests["sms.by_delivery"] > 0
    assert reached(emulator) == [1] * 9


@pytest.mark.parametrize("forget_content", [False, True])
async def test_a_conversation_is_asked_for_whatsapp(
    emulator: Emulator, client: AsyncConnectus, path: Path, *, forget_content: bool
):
    """Each pair of numbers is a report of its own, and only its own messages are its witnesses."""
    source = [
        Row(None, WhatsApp(FIRST + index % 2, "Hola", src_number=SOURCE), key=str(index))
        for index in range(8)
    ]
    faults = [WELL, WELL, LOST, LOST, NEVER_CAME, NEVER_CAME, WELL, NEVER_CAME]
    script(emulator, *faults, route="whatsapp.send")
    async with client.bulk(
        ledger=path, concurrency=1, on_unknown="resend_if_absent", forget_content=forget_content
    ) as bulk:
        await bulk.run(source)
        found = await bulk.reconcile(settle=SETTLE)
        await bulk.run()
        again = await bulk.reconcile(settle=SETTLE)
        await bulk.run([Row(None, WhatsApp(FIRST + 1, "Y bien", src_number=SOURCE))])
        proven = await bulk.reconcile(settle=SETTLE)
        await bulk.run()
        assert await bulk.counts() == {State.ACCEPTED: 9}

    unproven = Reconciliation(unknown=2, reasons={NO_LATER_IN_CHAT: 2})
    assert found == attrs.evolve(unproven, accepted=2, queued=1)
    assert (again, proven) == (unproven, Reconciliation(queued=2))
    assert reached(emulator) == [1, 4, 4]


async def test_emails_wait_for_a_person(emulator: Emulator, client: AsyncConnectus, path: Path):
    """No report shows them: they are held at once, and never sent again by themselves."""
    source = [
        Email(f"ana{index}@example.com", "Hola", "Hola", src_email="yo@example.com")
        for index in range(2)
    ]
    script(emulator, LOST, NEVER_CAME, route="email.send")
    async with client.bulk(ledger=path, on_unknown="resend_if_absent") as bulk:
        await bulk.run(source)
        found = await bulk.reconcile(settle=3_600)
    async with client.bulk(ledger=path, on_unknown="resend_if_absent") as bulk:
        await bulk.run(source)
        assert await bulk.counts() == {State.HELD: 2}

    assert found == Reconciliation(held=2, reasons={NO_REPORT: 2})
    assert emulator.requests.keys() == {"email.send"}


async def test_the_users_word_sends_what_is_held(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """Opened again with ``resend``, even what nobody can tell of is sent: at least once."""
    script(emulator, NEVER_CAME, route="email.send")
    email = Email("ana@example.com", "Hola", "Hola", src_email="yo@example.com")
    async with client.bulk(ledger=path) as bulk:
        await bulk.run([email])
        assert (await bulk.reconcile(settle=SETTLE)).held == 1
    async with client.bulk(ledger=path, on_unknown="resend") as bulk:
        await bulk.run()
        assert await bulk.counts() == {State.ACCEPTED: 1}

    assert reached(emulator) == [1]


async def test_what_a_kill_left_in_flight_is_cleared_up(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """A row in flight is looked up like any other unknown, though its end is not on record."""
    async with client.bulk(ledger=path, concurrency=1) as bulk:
        await bulk.run([BEFORE, Sms(FIRST, "Hola"), Sms(FIRST + 1, "Hola")])
        await bulk._ledger.ask(
            lambda connection: connection.execute(
                "UPDATE message SET state = 'in_flight', ended_at = NULL, provider_id = NULL,"
                " recipient = CASE id WHEN 3 THEN '56960000009' ELSE recipient END WHERE id > 1"
            )
        )
    async with client.bulk(ledger=path) as bulk:
        alone = await bulk.reconcile(settle=SETTLE)
        await bulk.run([AFTER])
        found = await bulk.reconcile(settle=SETTLE)

    assert alone == Reconciliation(accepted=1, unknown=1, reasons={NO_LATER: 1})
    assert found == Reconciliation(held=1, reasons={ABSENT: 1})


async def test_an_absence_without_a_witness_after_it_proves_nothing(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """A late report lacks it too: it is not sent again before a later message is in the report."""
    script(emulator, WELL, LOST)
    async with client.bulk(ledger=path, concurrency=1, on_unknown="resend_if_absent") as bulk:
        await bulk.run([BEFORE])
        earlier = rows(emulator)
        await bulk.run([Sms(FIRST, "Hola")])
        late = emulator.fault(Fault.status(200, earlier), route="sms.by_date")
        assert await bulk.reconcile(settle=SETTLE) == Reconciliation(
            unknown=1, reasons={NO_LATER: 1}
        )
        await bulk.run()
        late.remove()
        assert await bulk.reconcile(settle=SETTLE) == Reconciliation(accepted=1)

    assert reached(emulator) == [1]


async def test_the_only_message_of_a_ledger_has_no_witness(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """However late the report is, and however often it is asked, nobody is reached twice."""
    emulator.report_delay = 3_600
    script(emulator, LOST)
    async with client.bulk(ledger=path, on_unknown="resend_if_absent") as bulk:
        await bulk.run([Sms(FIRST, "Hola")])
        for _ in range(2):
            found = await bulk.reconcile(settle=SETTLE)
            await bulk.run()

    assert found == Reconciliation(unknown=1, reasons={NO_LATER: 1})
    assert reached(emulator) == [1]


async def test_the_messages_before_and_beside_it_do_not_witness_how_late_a_report_is(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """What was begun before the message had ended may have been accepted before it."""
    script(emulator, WELL, LOST, WELL)
    async with client.bulk(ledger=path, concurrency=1, on_unknown="resend_if_absent") as bulk:
        await bulk.run([BEFORE, Sms(FIRST, "Hola"), AFTER])
        await bulk._ledger.ask(
            lambda connection: connection.execute(
                "UPDATE message SET started_at = (SELECT started_at FROM message WHERE id = 2)"
                " WHERE id = 3"
            )
        )
        kept = [row for row in rows(emulator)["data"] if row["sms_content"] != "Hola"]
        emulator.fault(Fault.status(200, {"data": kept}), route="sms.by_date")
        found = await bulk.reconcile(settle=SETTLE)
        await bulk.run()

    assert found == Reconciliation(unknown=1, reasons={NO_LATER: 1})
    assert reached(emulator) == [1]


@pytest.mark.parametrize("times", [True, False])
async def test_a_report_that_is_cut_off_above_a_message_does_not_make_it_absent(
    emulator: Emulator, client: AsyncConnectus, path: Path, *, times: bool
):
    """It shows the newest only: all that was sent later, and nothing from before."""
    script(emulator, LOST)
    changed = {} if times else {"created_at": None}
    async with client.bulk(ledger=path, concurrency=1, on_unknown="resend_if_absent") as bulk:
        await bulk.run([Sms(FIRST, "Hola"), AFTER])
        newest = {"data": rows(emulator, **changed)["data"][-1:]}
        emulator.fault(Fault.status(200, newest), route="sms.by_date")
        found = await bulk.reconcile(settle=SETTLE)
        await bulk.run()

    assert found == Reconciliation(unknown=1, reasons={NO_EARLIER: 1})
    assert reached(emulator) == [1]


async def test_what_others_sent_before_shows_that_a_report_is_not_cut_off(
    emulator: Emulator, client: AsyncConnectus, path: Path, clock: Clock
):
    """The first message of a campaign is absent where the account sent something earlier."""
    clock.moment = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    await client.sms.send(FIRST + 7, "De antes")
    clock.moment = None
    script(emulator, NEVER_CAME)
    async with client.bulk(ledger=path, concurrency=1, on_unknown="resend_if_absent") as bulk:
        await bulk.run([Sms(FIRST, "Hola"), AFTER])
        assert await bulk.reconcile(settle=SETTLE) == Reconciliation(queued=1)


async def test_a_witness_of_another_day_shows_nothing(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """A report of many days may lack one of them."""
    witnessed(emulator, NEVER_CAME)
    now = dt.datetime.now(dt.UTC)
    async with client.bulk(ledger=path, concurrency=1, on_unknown="resend_if_absent") as bulk:
        await bulk.run(between([Sms(FIRST, "Hola")]))
        await moved(bulk, now - dt.timedelta(hours=25), 2)
        assert await bulk.reconcile(settle=SETTLE) == Reconciliation(
            unknown=1, reasons={NO_LATER: 1}
        )


async def test_each_message_needs_witnesses_of_its_own(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """Of four that never came, those between witnesses are absent; the last one is not."""
    script(emulator, WELL, *[NEVER_CAME] * 2, WELL, NEVER_CAME, WELL, NEVER_CAME)
    source = [Sms(FIRST + index, "Hola") for index in range(7)]
    async with client.bulk(ledger=path, concurrency=1, on_unknown="resend_if_absent") as bulk:
        await bulk.run(source)
        found = await bulk.reconcile(settle=SETTLE)
        await bulk.run()
        again = await bulk.reconcile(settle=SETTLE)
        await bulk.run()

    assert found == Reconciliation(queued=3, unknown=1, reasons={NO_LATER: 1})
    assert again == Reconciliation(queued=1)
    assert reached(emulator) == [1] * 7


async def test_a_clock_that_was_changed_amid_a_campaign_shows_no_order(
    emulator: Emulator, client: AsyncConnectus, path: Path
):
    """A message that seems to have been sent later may have been sent before."""
    witnessed(emulator, LOST)
    async with client.bulk(ledger=path, concurrency=1, on_unknown="resend_if_absent") as bulk:
        await bulk.run(between([Sms(FIRST, "Hola")]))
        await moved(bulk, dt.datetime.now(dt.UTC) + dt.timedelta(hours=2), 3)
        kept = [row for row in rows(emulator)["data"] if row["sms_content"] != "Hola"]
        emulator.fault(Fault.status(200, {"data": kept}), route="sms.by_date")
        found = await bulk.reconcile(settle=SETTLE)

    assert found == Reconciliation(unknown=1, reasons={CLOCK_CHANGED: 1})


@pytest.mark.parametrize("days", [-40, -3, 3, 40])
@pytest.mark.parametrize("is_put_right", [False, True])
async def test_the_days_of_both_clocks_are_asked_for(
    emulator: Emulator,
    client: AsyncConnectus,
    path: Path,
    clock: Clock,
    days: int,
    *,
    is_put_right: bool,
):
    """Our clock was days off while sending, and may have been put right since."""
    witnessed(emulator, LOST, NEVER_CAME)
    clock.moment = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    dated = Fault("dated", partial(_dated, clock))
    emulator.fault(dated)
    async with client.bulk(ledger=path, concurrency=1, on_unknown="resend_if_absent") as bulk:
        await bulk.run(between([Sms(FIRST, "Hola"), Sms(FIRST + 1, "Hola")]))
        if is_put_right:
            emulator.clear_faults()
        assert await bulk.reconcile(settle=SETTLE) == Reconciliation(accepted=1, queued=1)


async def _dated(clock: Clock, _: Any, act: Any) -> Any:
    response = await act()
    response.headers["Date"] = format_datetime(clock(), usegmt=True)
    return response


@pytest.mark.parametrize("field", ["id_client", "src_number", "id_delivery"])
@pytest.mark.parametrize("kind", ["sms", "whatsapp"])
async def test_only_a_message_of_the_same_route_is_a_witness(
    emulator: Emulator, client: AsyncConnectus, path: Path, field: str, kind: str
):
    """A report may show the account's messages, and none of a sub-client or a later delivery."""
    own = "56999944838" if field == "src_number" else (await client.clients.create("x")).id_unique
    if field == "id_delivery":
        product = Product.SMS if kind == "sms" else Product.WHATSAPP
        own = (await client.deliveries.create("x", "2099-12-24 09:00:00", product)).id

    def message(text: str, **fields: Any) -> Any:
        if kind == "sms":
            return Sms(FIRST, text, **fields)
        return WhatsApp(FIRST, text, **{"src_number": SOURCE, **fields})

    script(emulator, WELL, LOST, WELL, route=f"{kind}.send")
    source = [message("Antes"), message("Hola", **{field: own}), message("Después")]
    async with client.bulk(ledger=path, concurrency=1, on_unknown="resend_if_absent") as bulk:
        await bulk.run(source)
        others = {"data": []}
        for route in ("sms.by_date", "sms.by_delivery", "whatsapp.messages"):
            emulator.fault(Fault.status(200, others), route=route)
        found = await bulk.reconcile(settle=SETTLE)
        await bulk.run()

    assert (found.unknown, found.queued) == (1, 0)
    assert found.reasons.keys() <= {NO_LATER, NO_LATER_IN_CHAT}


@pytest.mark.parametrize("kind", ["sms", "whatsapp"])
@pytest.mark.parametrize("seed", range(12))
async def test_no_report_that_lacks_something_has_anybody_reached_twice(
    emulator: Emulator, client: AsyncConnectus, path: Path, kind: str, seed: int
):
    """Whether it stands still, is cut off, or both, and whatever became of each request."""
    chance = Random(seed)
    acted_or_not = [LOST, NEVER_CAME, NAMELESS, Fault.status(502, acted=True), Fault.status(502)]
    total = chance.randint(3, 25)
    script(
        emulator,
        *(chance.choice([WELL] * 3 + acted_or_not) for _ in range(total)),
        route=f"{kind}.send",
    )
    source: list[Any] = [Sms(FIRST + index, "Hola") for index in range(total)]
    content, has_times = f"{kind}_content", chance.random() < 0.7
    if kind == "whatsapp":
        texts = [f"Hola {index}" for index in range(total)]
        source = [WhatsApp(FIRST + len(text) % 2, text, src_number=SOURCE) for text in texts]
    shown_part = slice(None)

    async def report(request: Any, act: Any) -> Any:
        shown = [
            {"id": got.id, "dst_number": got.recipient, content: got.content}
            | ({"created_at": got.time.isoformat()} if has_times else {})
            for got in list(emulator.received)[shown_part]
        ]
        return await Fault.status(200, {"data": shown}).run(request, act)

    for route in ("sms.by_date", "whatsapp.messages"):
        emulator.fault(Fault("report", report), route=route)
    async with client.bulk(
        ledger=path, concurrency=chance.choice([1, 4, 8]), on_unknown="resend_if_absent"
    ) as bulk:
        await bulk.run(source)
        for _ in range(4):
            first, last = sorted(chance.randint(0, len(emulator.received)) for _ in range(2))
            parts = [slice(last), slice(first, None), slice(first, last), slice(None)]
            shown_part = chance.choice(parts)
            await bulk.reconcile(settle=SETTLE)
            await bulk.run()

    assert set(reached(emulator)) <= {1}
