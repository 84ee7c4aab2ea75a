"""What is checked of each message right before it leaves: it holds however it came there."""

import datetime as dt
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import pytest

from connectus_async import AsyncConnectus, Email, PaymentRequiredError, Sms
from connectus_async.bulk.guards import Guards, Refusal
from connectus_async.bulk.options import BulkOptions
from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger.records import Entry
from connectus_async.ledger.states import SkipReason, State
from connectus_async.recipients.quiet_hours import QuietHours
from connectus_async.recipients.suppression import SuppressionList

FIRST = 56_960_000_000
HOUR = dt.timedelta(hours=1)
SANTIAGO = ZoneInfo("America/Santiago")
LONG = "x" * 161


def entry(recipient: str = "56987688060", *, kind: str = "sms", billed: int = 1) -> Entry:
    return Entry("key", None, kind, recipient, "{}", billed)


def guards(spent: int = 0, **options: Any) -> Guards:
    return Guards(BulkOptions(**options), spent)


def refused(check: Any, *arguments: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        check(*arguments)
    return caught.value


def quiet_now(around: dt.timedelta = HOUR) -> QuietHours:
    """Make quiet hours in Chile that it is in the middle of."""
    now = dt.datetime.now(SANTIAGO)
    return QuietHours((now - around).time(), (now + around).time())


def messages(count: int) -> Iterator[Sms]:
    return (Sms(FIRST + index, f"Hola {index}") for index in range(count))


@pytest.fixture
async def client(settings: dict[str, Any]) -> AsyncIterator[AsyncConnectus]:
    async with AsyncConnectus(**settings) as client:
        yield client


def test_nothing_is_checked_without_being_asked_for():
    """A campaign without limits lets every message leave."""
    guard = guards()
    guard.check(entry())
    guard.take(entry(billed=10**9))


@pytest.mark.parametrize("recipient", ["56987688060", "Ana@Example.com"])
def test_a_suppressed_recipient_gets_nothing(recipient: str):
    """The list counts at the wire, whatever was there when the message was queued."""
    guard = guards(suppression=SuppressionList(["+56 9 8768 8060", "ana@example.com"]))

    refusal = refused(guard.check, entry(recipient))

    assert (refusal.state, refusal.skipped) == (State.SKIPPED, SkipReason.SUPPRESSED)
    assert str(refusal.error) == "recipient: is on the suppression list"
    guard.check(entry("56987688061"))


def test_what_comes_too_late_is_skipped():
    """A message about an offer that has ended is worse than none."""
    now = dt.datetime.now(dt.UTC)
    refusal = refused(guards(expires_at=now).check, entry())

    assert (refusal.state, refusal.skipped) == (State.SKIPPED, SkipReason.EXPIRED)
    assert "expires_at" in str(refusal.error)
    guards(expires_at=now + HOUR).check(entry())


def test_the_time_zone_of_the_end_is_heeded():
    """The same moment is the same moment in every zone."""
    soon = (dt.datetime.now(dt.UTC) + HOUR / 2).astimezone(SANTIAGO)

    guards(expires_at=soon).check(entry())
    assert refused(guards(expires_at=soon - HOUR).check, entry()).skipped is SkipReason.EXPIRED


def test_in_quiet_hours_a_message_waits():
    """It is not skipped: it stays queued, and the sentence says until when."""
    refusal = refused(guards(quiet_hours=quiet_now()).check, entry())

    assert (refusal.state, refusal.skipped) == (State.QUEUED, None)
    assert "quiet hours where it goes, until 20" in str(refusal.error)
    assert "8768" not in str(refusal.error)


def test_who_must_get_nothing_does_not_wait_for_the_morning():
    """A suppressed recipient is skipped at night as well."""
    guard = guards(
        quiet_hours=quiet_now(),
        suppression=SuppressionList(["56987688060"]),
        expires_at=dt.datetime.now(dt.UTC) - HOUR,
    )

    assert refused(guard.check, entry()).skipped is SkipReason.SUPPRESSED


def test_a_budget_is_taken_to_its_last_unit_and_not_further():
    """What just fits leaves; what does not is skipped, and names the budget."""
    guard = guards(budget=3)
    guard.take(entry(billed=2))
    refusal = refused(guard.take, entry(billed=2))
    guard.take(entry(billed=1))

    assert (refusal.state, refusal.skipped) == (State.SKIPPED, SkipReason.OVER_BUDGET)
    assert str(refusal.error) == "the budget of 3 does not cover it"
    refused(guard.take, entry(billed=1))


def test_what_cost_nothing_is_given_back():
    """A refused message leaves its part of the budget to another."""
    guard = guards(budget=1)
    guard.take(entry())
    guard.give_back(entry())

    guard.take(entry())
    refused(guard.take, entry())


def test_what_was_spent_before_counts():
    """A budget is the campaign's, not the run's."""
    refused(guards(10, budget=10).take, entry())
    guards(9, budget=10).take(entry())


async def test_a_budget_is_never_overdrawn(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path
):
    """Many at a time, refused ones and long ones among them, take no unit too many."""
    emulator.fault(Fault.status(400), route="sms.send", share=0.3)
    emulator.fault(Fault.reset_after(), route="sms.send", share=0.2)
    source = [Sms(FIRST + index, LONG if index % 3 else "Hola") for index in range(60)]
    async with client.bulk(ledger=tmp_path / "a.db", concurrency=16, budget=25) as bulk:
        summary = await bulk.run(source)
        spent = await bulk.spent()

    assert spent == sum(-(-len(message.content) // 160) for message in emulator.received)
    assert 0 < spent <= 25
    assert summary.skipped_by[SkipReason.OVER_BUDGET] == summary.skipped > 0
    assert summary.total == 60


async def test_a_larger_budget_takes_up_what_the_smaller_one_left(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path
):
    """Over budget is not for ever: opened again, it is queued, and each message arrives once."""
    async with client.bulk(ledger=tmp_path / "a.db", budget=4) as bulk:
        assert (await bulk.run(messages(10))).accepted == 4
    async with client.bulk(ledger=tmp_path / "a.db", budget=6) as bulk:
        assert (await bulk.run()).accepted == 2
        assert await bulk.spent() == 6
    async with client.bulk(ledger=tmp_path / "a.db") as bulk:
        assert (await bulk.run()).accepted == 4
        assert await bulk.counts() == {State.ACCEPTED: 10}

    assert len({message.recipient for message in emulator.received}) == 10
    assert len(emulator.received) == 10


async def test_what_may_have_been_sent_is_held_against_the_budget(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path
):
    """Unknown and held messages may have been charged."""
    emulator.fault(Fault.reset_after(), route="email.send", times=2)
    emails = [
        Email(f"ana{index}@example.com", "Hola", "Hola", src_email="yo@example.com")
        for index in range(2)
    ]
    async with client.bulk(ledger=tmp_path / "a.db", budget=3) as bulk:
        await bulk.run(emails)
        assert (await bulk.reconcile(settle=0.001)).held == 2
    async with client.bulk(ledger=tmp_path / "a.db", budget=3) as bulk:
        summary = await bulk.run(messages(2))

    assert (summary.accepted, summary.skipped) == (1, 1)


async def test_an_exhausted_balance_leaves_the_message_queued(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path
):
    """402 is about the account: the message is sent once there is balance again."""
    poor = emulator.fault(Fault.status(402), route="sms.send")
    async with client.bulk(ledger=tmp_path / "a.db", concurrency=2) as bulk:
        with pytest.raises(PaymentRequiredError):
            await bulk.run(messages(5))
        assert set(await bulk.counts()) == {State.QUEUED}
        poor.remove()
        await bulk.run(messages(5))
        assert await bulk.counts() == {State.ACCEPTED: 5}

    assert len(emulator.received) == 5


async def test_a_suppressed_message_that_was_queued_is_skipped_at_the_wire(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path
):
    """Who opts out between the loading and the sending gets nothing, and the ledger says why."""
    async with client.bulk(ledger=tmp_path / "a.db") as bulk:
        await bulk.load(messages(3))
    listed = SuppressionList([FIRST + 1])
    async with client.bulk(ledger=tmp_path / "a.db", suppression=listed) as bulk:
        summary = await bulk.run()
        assert await bulk.counts() == {State.ACCEPTED: 2, State.SKIPPED: 1}

    assert summary.skipped_by == {SkipReason.SUPPRESSED: 1}
    assert str(FIRST + 1) not in {message.recipient for message in emulator.received}


async def test_a_loaded_message_waits_through_the_quiet_hours(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path
):
    """It stays queued in the ledger, and leaves when the hours are over."""
    async with client.bulk(ledger=tmp_path / "a.db", quiet_hours=quiet_now()) as bulk:
        await bulk.load(messages(3))
        summary = await bulk.run()
        assert (summary.queued, await bulk.counts()) == (3, {State.QUEUED: 3})
        assert emulator.requests["sms.send"] == 0
    async with client.bulk(ledger=tmp_path / "a.db") as bulk:
        assert (await bulk.run()).accepted == 3


async def test_a_retry_after_429_is_checked_anew(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path
):
    """Who opts out while a message waits for its next try gets nothing."""
    listed = SuppressionList()

    def opt_out(_: int) -> None:
        listed._entries = SuppressionList([FIRST])._entries

    emulator.fault(Fault.call(before=opt_out), route="sms.send")
    emulator.fault(Fault.too_many(0), route="sms.send")
    async with client.bulk(ledger=tmp_path / "a.db", suppression=listed) as bulk:
        summary = await bulk.run(messages(1))
        assert await bulk.counts() == {State.SKIPPED: 1}

    assert summary.skipped_by == {SkipReason.SUPPRESSED: 1}
    assert emulator.requests["sms.send"] == 1
    assert emulator.received == []


async def test_what_must_not_leave_waits_for_no_rate(
    emulator: Emulator, client: AsyncConnectus, tmp_path: Path
):
    """A skipped message takes no turn of those that are sent."""
    listed = SuppressionList([FIRST + 1, FIRST + 2])
    with anyio.fail_after(60):
        async with client.bulk(
            ledger=tmp_path / "a.db", suppression=listed, rate=0.001, concurrency=1
        ) as bulk:
            summary = await bulk.run(messages(3))

    assert (summary.accepted, summary.skipped) == (1, 2)
    assert emulator.requests["sms.send"] == 1
