"""One of several messages: the next channel only after a definite failure of the one before."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest

from connectus_async import (
    AllChannelsFailedError,
    AsyncConnectus,
    Email,
    InvalidArgumentError,
    Outcome,
    Sms,
    UndeliveredError,
    UnknownOutcomeError,
    WhatsApp,
)
from connectus_async.emulator import Emulator, Fault
from connectus_async.products import sms_polling

SMS = Sms("56987688060", "Hola")
EMAIL = Email("ana@example.com", "Hola", "Hola", src_email="tienda@example.com")
WHATSAPP = WhatsApp("56987688060", "Hola", src_number="56987600000")


def products(emulator: Emulator) -> list[str]:
    return [message.product for message in emulator.received]


async def test_a_message_that_is_accepted_is_the_only_one(
    connectus: AsyncConnectus, emulator: Emulator
):
    """Without waiting for its delivery."""
    receipt = await connectus.send([SMS, EMAIL])
    (sms,) = emulator.received

    assert (receipt.index, receipt.id, receipt.delivered) == (0, sms.id, None)
    assert receipt.failures == ()
    assert emulator.requests == {"sms.send": 1}


async def test_after_a_definite_failure_the_next_channel_is_used(
    connectus: AsyncConnectus, emulator: Emulator
):
    """A rejection, or an API that refuses before it acts."""
    with (
        emulator.fault(Fault.status(402), route="sms.send"),
        emulator.fault(Fault.status(429), route="whatsapp.send"),
    ):
        receipt = await connectus.send([SMS, WHATSAPP, EMAIL])

    assert receipt.index == 2
    assert [error.outcome for error in receipt.failures] == [Outcome.REJECTED, Outcome.NOT_SENT]
    assert products(emulator) == ["email"]


async def test_after_an_unknown_outcome_nothing_more_is_sent(
    connectus: AsyncConnectus, emulator: Emulator
):
    """The person may have the first one."""
    with (
        emulator.fault(Fault.reset_after(), route="sms.send"),
        pytest.raises(UnknownOutcomeError),
    ):
        await connectus.send([SMS, EMAIL])
    assert products(emulator) == ["sms"]


@pytest.fixture
def polled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sms_polling, "PollSchedule", partial(sms_polling.PollSchedule, first=0.01))


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """Each look at its clock is ten seconds later, so that statuses are final when asked for."""
    looks = count(step=10)
    begun = datetime(2026, 11, 30, 12, tzinfo=UTC)
    async with Emulator(clock=lambda: begun + timedelta(seconds=next(looks))) as emulator:
        yield emulator


@pytest.mark.usefixtures("polled_at_once")
@pytest.mark.parametrize(
    ("last_digits", "within", "delivered", "sent"),
    [
        ("8060", 60, True, ["sms"]),
        ("0000", 60, None, ["sms", "email"]),
        ("0002", 0.05, None, ["sms"]),
    ],
)
async def test_an_sms_that_will_not_be_delivered_is_a_failure(
    connectus: AsyncConnectus,
    emulator: Emulator,
    last_digits: str,
    within: float,
    delivered: bool | None,
    sent: list[str],
):
    """One that is not delivered in time may still be, so that nothing more is sent."""
    receipt = await connectus.send(
        [Sms(f"5698768{last_digits}", "Hola"), EMAIL], delivered_within=within
    )

    assert receipt.delivered is delivered
    assert products(emulator) == sent
    assert [type(error) for error in receipt.failures] == [UndeliveredError] * (len(sent) - 1)


async def test_if_all_fail_each_error_is_given(connectus: AsyncConnectus, emulator: Emulator):
    """With an outcome that holds for all of them."""
    with emulator.fault(Fault.status(400)), pytest.raises(AllChannelsFailedError) as caught:
        await connectus.send([SMS, EMAIL])

    assert caught.value.outcome is Outcome.REJECTED
    assert [error.outcome for error in caught.value.failures] == [Outcome.REJECTED] * 2
    assert not emulator.received
    assert "ana@" not in str(caught.value)


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([], "messages: must be a list of at least one message"),
        (SMS, "messages: must be a list of at least one message"),
        ([SMS, "Hola"], r"messages\[1\]: must be Sms, Email or WhatsApp, not str"),
        ([SMS, Email("ana", "a", "b", src_email="a@example.com")], "dst_email"),
    ],
)
async def test_all_messages_are_checked_before_the_first_is_sent(
    connectus: AsyncConnectus, emulator: Emulator, messages: Any, problem: str
):
    """A mistake in the last one is not found when the first has gone out."""
    with pytest.raises(InvalidArgumentError, match=problem):
        await connectus.send(messages)
    assert not emulator.requests
