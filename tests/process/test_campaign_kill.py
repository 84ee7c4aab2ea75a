"""``kill -9`` amid a campaign, again and again: nobody is reached twice, and nobody is lost.

Where a kill falls is drawn from a seed. It falls at a request, which the emulator has acted on or
never will, or at a statement of the ledger, right before or right after it is carried out.
"""

from collections import Counter
from random import Random

import pytest
from campaigns import Campaign, Found, Kill, shuffled

from connectus_async.emulator import Emulator, Fault
from connectus_async.ledger.states import State

SENDS_BETWEEN_KILLS = 90
"""What all kills let pass has to be less than there is to send, or one would find nothing left."""

STATEMENTS_TO_OPEN = 20
STATEMENTS_TO_LOAD = 100
STATEMENTS_BETWEEN_KILLS = 60
"""Most of them open the ledger and reconcile; each of the others begins 16 messages at most."""


def send(chance, *, after):
    return Kill("sms.send", chance.randint(1, SENDS_BETWEEN_KILLS), after=after)


def sends(chance, count):
    return [[send(chance, after=bool(number % 2))] for number in range(count)]


def statements(
    chance: Random, count: int, last: int = STATEMENTS_BETWEEN_KILLS
) -> list[list[Kill]]:
    return [
        [Kill("statement", chance.randint(1, last), after=bool(number % 2))]
        for number in range(count)
    ]


def reads(chance):
    """Kills at each of the two reads that a message needs which the emulator never acted on."""
    return [
        [send(chance, after=False), Kill("sms.by_date", number, after=after)]
        for number in (1, 2)
        for after in (False, True)
    ]


@pytest.fixture
def campaign(emulator: Emulator, tmp_path) -> Campaign:
    return Campaign(emulator=emulator, ledger=tmp_path / "campaign.db", total=2_000)


def check_interrupted(campaign: Campaign, found: list[Found]) -> None:
    """Every crash leaves at most as much unknown as is on its way at a time."""
    assert 0 < max(each.interrupted for each in found) <= campaign.concurrency


@pytest.mark.timeout(1_800)
async def test_fifty_kills_of_a_campaign(campaign):
    """Amid loading, sending and reconciling: all 5,000 are reached exactly once in the end."""
    campaign.total = 5_000
    chance = Random(4)
    kills = [
        *shuffled(
            chance,
            statements(chance, 4, STATEMENTS_TO_OPEN),
            statements(chance, 6, STATEMENTS_TO_LOAD),
        ),
        *shuffled(chance, sends(chance, 22), statements(chance, 10), reads(chance)),
    ]
    found = [await campaign.start(kill) for kill in (*kills, None)]

    assert len(kills) == 50
    assert max(each.unknown for each in found) <= campaign.concurrency
    check_interrupted(campaign, found)
    assert campaign.reached == Counter(campaign.recipients)
    assert found[-1].counts == {State.ACCEPTED: campaign.total}
    assert campaign.states() == dict.fromkeys(campaign.recipients, State.ACCEPTED)


@pytest.mark.timeout(1_800)
async def test_kills_of_a_campaign_that_is_streamed(campaign):
    """The same source is streamed over the same ledger each time; at its end nothing is left."""
    campaign.streams, campaign.concurrency = True, 64
    chance = Random(5)
    kills = shuffled(
        chance,
        sends(chance, 8),
        statements(chance, 4),
        reads(chance),
        statements(chance, 2, STATEMENTS_TO_OPEN),
    )
    found = [await campaign.start(kill) for kill in (*kills, None)]
    requests = campaign.emulator.requests.total()
    again = await campaign.start()

    assert max(each.unknown for each in found) <= campaign.concurrency
    check_interrupted(campaign, found)
    assert campaign.reached == Counter(campaign.recipients)
    assert found[-1].counts == again.counts == {State.ACCEPTED: campaign.total}
    assert requests == campaign.emulator.requests.total()


@pytest.mark.timeout(1_800)
async def test_kills_amid_everything_else_that_goes_wrong(campaign, emulator):
    """429, resets and 502, with and without acting, at once: each is reached exactly once."""
    emulator.fault(Fault.too_many("0"), route="sms.send", share=0.05)
    emulator.fault(Fault.reset_after(), share=0.01)
    emulator.fault(Fault.status(502, acted=True), share=0.005)
    emulator.fault(Fault.status(502), share=0.005)
    chance = Random(6)
    kills = shuffled(chance, sends(chance, 10), statements(chance, 4))
    found = [await campaign.start(kill) for kill in (*kills, None)]

    check_interrupted(campaign, found)
    assert campaign.reached == Counter(campaign.recipients)
    assert found[-1].counts == {State.ACCEPTED: campaign.total}


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("reconciles", [False, True])
async def test_what_may_have_been_sent_is_held_by_default(campaign, emulator, reconciles):
    """It is never sent again, and the ledger names whom it did not reach for certain."""
    emulator.fault(Fault.reset_after(), route="sms.send", share=0.01)
    emulator.fault(Fault.status(502), route="sms.send", share=0.01)
    campaign.on_unknown, campaign.reconciles = "hold", reconciles
    campaign.total = 1_000
    chance = Random(7)
    kills = shuffled(chance, sends(chance, 6), statements(chance, 2))
    found = [await campaign.start(kill) for kill in (*kills, None)]

    states = campaign.states()
    accepted = {recipient for recipient, state in states.items() if state == State.ACCEPTED}
    left = State.HELD if reconciles else State.UNKNOWN
    missed = campaign.recipients - set(campaign.reached)
    assert found[-1].interrupted <= len(kills) * campaign.concurrency
    assert max(campaign.reached.values()) == 1
    assert set(found[-1].counts) == {State.ACCEPTED, left}
    assert set(states) == campaign.recipients
    assert set() < missed <= campaign.recipients - accepted
    assert accepted <= set(campaign.reached)
    if reconciles:
        assert missed == campaign.recipients - accepted
