"""Conformance of stores: claims, outcomes, duplicates, and the steps that a message may take."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import anyio
import pytest
from doors import (
    begin,
    bring,
    claims,
    entry,
    finish,
    load,
    opened,
    resolve,
    rows,
    settled,
)
from stores import every_variant

from connectus_async import LedgerError
from connectus_async.ledger.abc import Ledger, LedgerStore
from connectus_async.ledger.records import INVALID, Claim, Entry, Loading, Waiting
from connectus_async.ledger.states import STEPS, SkipReason, State

NO_MESSAGE = Entry(None, None, INVALID, "", "", 0)
PATIENCE = 60
"""Seconds after which something hangs; nothing here takes one."""


async def test_a_claim_is_durable_once_it_is_returned(store: LedgerStore, ledger: Ledger):
    """Whoever has a claim may send: a reader of this moment finds the message in flight."""
    claim = await begin(ledger, entry(line=2, billed=3))

    ((line, key, kind, recipient, state, reason, provider_id, attempts, *rest),) = await rows(store)
    *times, billed = rest[:5]
    started_at, *others = times
    assert claim.found is None
    assert (line, key, kind, recipient, billed) == (2, "a", "sms", "56987688060", 3)
    assert (state, reason, provider_id, attempts) == ("in_flight", None, None, 1)
    assert started_at > 0
    assert others == [None, None, None]


async def test_who_gives_up_a_claim_keeps_nobody_else_from_one(ledger: Ledger):
    """Those who wait are answered each, though they are written together."""
    given_up, *others = [asyncio.ensure_future(ledger.begin(entry(key), None)) for key in "abc"]
    given_up.cancel()

    with anyio.fail_after(PATIENCE):
        assert [(await other).found for other in others] == [None, None]


async def test_what_was_recorded_before_a_begin_is_written_once_it_returns(
    store: LedgerStore, ledger: Ledger
):
    """The order of the calls is the order in the store, whatever is waited for."""
    await finish(ledger, entry("a"), State.ACCEPTED, None, "id-a")
    await finish(ledger, entry("b"), State.QUEUED, "429")
    ledger.put(entry("c"), None, SkipReason.SUPPRESSED)
    ledger.put(entry("d"), None)
    await begin(ledger, entry("e"))

    assert await rows(store, "key", "state", "reason", "provider_id") == [
        ("a", "accepted", None, "id-a"),
        ("b", "queued", "429", None),
        ("c", "skipped", "suppressed", None),
        ("d", "queued", None, None),
        ("e", "in_flight", None, None),
    ]


async def test_flush_waits_for_everything(store: LedgerStore, ledger: Ledger):
    """What was recorded without being waited for is written then."""
    for key in "abc":
        await finish(ledger, entry(key), State.REJECTED, "400")
    await ledger.flush()

    assert await rows(store, "state", "reason") == [("rejected", "400")] * 3


async def test_an_outcome_has_a_time_and_a_begin_has_none(store: LedgerStore, ledger: Ledger):
    """Its attempt began before it ended; a next attempt has no end yet."""
    number = await finish(ledger, entry(), State.QUEUED, "429")
    await ledger.flush()
    ((first, ended_at),) = await rows(store, "started_at", "ended_at")
    await begin(ledger, entry(), number)
    ((second, later),) = await rows(store, "started_at", "ended_at")

    assert first <= ended_at <= second
    assert later is None


async def test_many_messages_begin_at_once_in_their_order(store: LedgerStore, ledger: Ledger):
    """However many groups they make."""
    found = await claims(ledger, *(entry(str(index)) for index in range(1_000)))

    numbers = [claim.number for claim in found]
    assert numbers == sorted(set(numbers))
    assert {claim.found for claim in found} == {None}
    assert await rows(store, "key", "state") == [
        (str(index), "in_flight") for index in range(1_000)
    ]


async def test_queued_messages_begin_together(store: LedgerStore, ledger: Ledger):
    """All are durable once it returns, however many groups they make."""
    await load(ledger, *(entry(str(index)) for index in range(600)))
    numbers = [number for number, _ in await ledger.queued(0, 1_000)]

    await ledger.begin_known(numbers)
    assert await rows(store, "state", "attempts") == [("in_flight", 1)] * 600


@every_variant
@pytest.mark.parametrize("count", [2, 5])
async def test_the_same_key_twice_at_once_begins_once(
    store: LedgerStore, ledger: Ledger, count: int
):
    """The others are told that it is in flight."""
    first, *others = await claims(ledger, *[entry()] * count)

    assert first.found is None
    assert others == [Claim(first.number, State.IN_FLIGHT)] * (count - 1)
    assert await rows(store, "state", "attempts") == [("in_flight", 1)]


@every_variant
async def test_a_key_is_known_whenever_it_came(store: LedgerStore):
    """In the same group, in an earlier one, and after reopening, among many others."""
    async with opened(store) as ledger:
        first = await claims(ledger, *map(entry, "abcaabd"))
        again = await claims(ledger, *map(entry, "dae"))
    async with opened(store) as ledger:
        later = await claims(ledger, *map(entry, "efgabf"))

    in_flight, unknown = State.IN_FLIGHT, State.UNKNOWN
    assert [it.found for it in first] == [None, None, None, in_flight, in_flight, in_flight, None]
    assert [it.found for it in again] == [in_flight, in_flight, None]
    assert [it.found for it in later] == [unknown, None, None, unknown, unknown, in_flight]
    assert await rows(store, "key") == list("abcdefg")


@pytest.mark.parametrize("state", [state for state in State if state is not State.QUEUED])
async def test_a_message_that_is_there_is_not_begun_again(
    store: LedgerStore, ledger: Ledger, state: State
):
    """Whoever gives it again is told its state, and it stays as it is."""
    number = await bring(ledger, entry(), state)
    before = await rows(store)

    assert await begin(ledger, entry()) == Claim(number, state)
    assert await rows(store) == before


@every_variant
async def test_a_queued_message_that_is_given_again_is_begun_once(
    store: LedgerStore, ledger: Ledger
):
    """Loaded before and streamed now: one row, and one of many claims is good."""
    await load(ledger, entry("a"), entry("b"))
    _, (number, _) = await ledger.queued(0, 10)

    found = await claims(ledger, *[entry("b")] * 4)
    assert found == [Claim(number), *[Claim(number, State.IN_FLIGHT)] * 3]
    assert await rows(store, "state", "attempts") == [("queued", 0), ("in_flight", 1)]


@every_variant
async def test_of_two_that_want_a_queued_message_at_once_one_gets_it(
    store: LedgerStore, ledger: Ledger
):
    """By its key and by its number: the latter knows that it waits."""
    number = await finish(ledger, entry(), State.QUEUED, "429")
    await ledger.flush()
    by_key, by_number, other = await settled(
        ledger.begin(entry(), None), ledger.begin(entry(), number), ledger.begin(entry("b"), None)
    )

    assert (by_key, by_number) == (Claim(number, State.IN_FLIGHT), Claim(number))
    assert other.found is None
    assert await rows(store, "state", "attempts") == [("in_flight", 2), ("in_flight", 1)]


async def test_a_message_that_was_not_sent_can_be_begun_again(store: LedgerStore, ledger: Ledger):
    """By its key or its number; each attempt is counted, and its reason is gone."""
    for _ in range(3):
        number = await finish(ledger, entry(), State.QUEUED, "429")
    assert await begin(ledger, entry(), number) == Claim(number)

    assert await rows(store, "state", "attempts", "reason") == [("in_flight", 4, None)]


async def test_a_provider_id_is_kept_whatever_comes_after(store: LedgerStore, ledger: Ledger):
    """An unknown outcome may have one, and resolving it without one leaves it."""
    await finish(ledger, entry(), State.UNKNOWN, "half an answer", "id-a")
    await resolve(ledger, State.ACCEPTED)

    assert await rows(store, "state", "provider_id") == [("accepted", "id-a")]


@every_variant
async def test_a_message_that_is_kept_is_begun_by_nobody_else(store: LedgerStore, ledger: Ledger):
    """An equal one finds it queued, until its worker has begun or given it up; both go on then."""
    number = (await begin(ledger, entry())).number
    ledger.finish(entry(), number, State.QUEUED, "429", None, is_kept=True)
    assert await claims(ledger, entry(), entry()) == [Claim(number, State.QUEUED)] * 2

    by_key, by_number = await settled(ledger.begin(entry(), None), ledger.begin(entry(), number))
    assert (by_key.found is None, by_number) == (False, Claim(number))
    ledger.finish(entry(), number, State.QUEUED, "429", None, is_kept=True)
    ledger.put(entry(), number)
    assert await begin(ledger, entry()) == Claim(number)
    assert await rows(store, "state", "attempts") == [("in_flight", 3)]


async def test_a_kept_message_that_is_given_up_can_be_skipped(store: LedgerStore, ledger: Ledger):
    """With a reason, which may have a sentence."""
    number = (await begin(ledger, entry())).number
    ledger.finish(entry(), number, State.QUEUED, "429", None, is_kept=True)
    ledger.put(entry(), number, SkipReason.EXPIRED, "it is after 20:00")

    assert await begin(ledger, entry()) == Claim(number, State.SKIPPED)
    assert await rows(store, "state", "reason") == [("skipped", "expired: it is after 20:00")]


async def test_a_kept_message_is_free_after_reopening(store: LedgerStore):
    """Its worker is gone with its holder."""
    async with opened(store) as ledger:
        number = (await begin(ledger, entry())).number
        ledger.finish(entry(), number, State.QUEUED, "429", None, is_kept=True)
    async with opened(store) as ledger:
        assert await begin(ledger, entry()) == Claim(number)


@every_variant
async def test_a_message_that_is_known_is_not_put_again(store: LedgerStore, ledger: Ledger):
    """Neither as skipped nor as waiting, in the same group or later."""
    ledger.put(entry("a"), None)
    ledger.put(entry("a"), None, SkipReason.EXPIRED)
    await finish(ledger, entry("b"), State.ACCEPTED, None, "id-b")
    ledger.put(entry("b"), None)
    ledger.put(entry("b"), None, SkipReason.SUPPRESSED)
    await ledger.flush()

    assert await rows(store, "key", "state", "provider_id") == [
        ("a", "queued", None),
        ("b", "accepted", "id-b"),
    ]


async def test_a_message_without_a_key_is_one_of_its_own(store: LedgerStore, ledger: Ledger):
    """Nothing tells two of them apart, so both are kept, and both may be sent."""
    for _ in range(2):
        ledger.put(NO_MESSAGE, None, SkipReason.INVALID, "is empty")
    found = await claims(ledger, entry(None), entry(None))

    assert [claim.found for claim in found] == [None, None]
    assert await rows(store, "kind", "state", "reason") == [
        *[("invalid", "skipped", "invalid: is empty")] * 2,
        *[("sms", "in_flight", None)] * 2,
    ]


@pytest.mark.parametrize("reason", SkipReason)
async def test_a_message_is_skipped_for_its_reason(
    store: LedgerStore, ledger: Ledger, reason: SkipReason
):
    """With a sentence or without one."""
    ledger.put(entry("a"), None, reason)
    ledger.put(entry("b"), None, reason, "it is so")
    await ledger.flush()

    assert await rows(store, "state", "reason", "attempts", "started_at") == [
        ("skipped", reason, 0, None),
        ("skipped", f"{reason}: it is so", 0, None),
    ]


TEXTS = [
    "nul \0 in the middle",
    "quotes ' \" and \\ and \n and ;--",
    "emoji 😀👩‍👩‍👧 and ñandú and \u2028",
    "{{ name }} %s {0} \ufeff",
    "x" * 100_000,
]


@pytest.mark.parametrize("text", TEXTS, ids=["nul", "quotes", "emoji", "template", "long"])
async def test_any_text_comes_back_as_it_was(store: LedgerStore, text: str):
    """A message that is sent after reopening is the one that was given before."""
    given = [entry("streamed", text=text, line=7), entry("loaded", text=text, recipient="a@b.cl")]
    async with opened(store) as ledger:
        await finish(ledger, given[0], State.QUEUED, "429")
        await load(ledger, given[1])
    async with opened(store) as ledger:
        queued = await ledger.queued(0, 10)

    assert [one for _, one in queued] == given


@pytest.mark.parametrize("sign", ["\ud800", "\0"], ids=["half a pair", "a zero"])
async def test_what_came_over_the_wire_is_kept_so_far_as_a_text_can_hold_it(
    store: LedgerStore, ledger: Ledger, sign: str
):
    """Half a surrogate pair, which JSON can spell, becomes a question mark; a NUL goes."""
    told = f"it {sign} is"
    expected = told.replace("\ud800", "?").replace("\0", "")
    await finish(ledger, entry("a"), State.ACCEPTED, None, told)
    await finish(ledger, entry("b"), State.REJECTED, told)
    ledger.put(entry("c"), None, SkipReason.INVALID, told)
    await ledger.set_metadata(source=told)

    assert await rows(store, "reason", "provider_id") == [
        (None, expected),
        (expected, None),
        (f"invalid: {expected}", None),
    ]
    assert (await ledger.metadata())["source"] == expected


async def test_queued_messages_are_read_page_by_page(ledger: Ledger):
    """In order, those that wait alone, and each as it was given."""
    given = [entry(str(index), line=index + 2) for index in range(7)]
    await load(ledger, *given)
    numbers = [number for number, _ in await ledger.queued(0, 10)]
    await ledger.begin_known([numbers[2], numbers[5]])

    first = await ledger.queued(0, 3)
    second = await ledger.queued(first[-1][0], 3)
    assert [one for _, one in first] == [given[0], given[1], given[3]]
    assert [one for _, one in second] == [given[4], given[6]]
    assert list(await ledger.queued(second[-1][0], 3)) == []


async def test_messages_are_counted_by_state_and_add_up_to_what_is_spent(ledger: Ledger):
    """States without any are left out; what certainly was not sent costs nothing."""
    assert await ledger.counts() == {}
    assert await ledger.spent() == 0

    for power, state in enumerate(State):
        for copy in "ab":
            await bring(ledger, entry(f"{state} {copy}", billed=10**power), state)

    assert await ledger.counts() == dict.fromkeys(State, 2)
    may_have_gone = {State.IN_FLIGHT, State.ACCEPTED, State.UNKNOWN, State.HELD}
    assert await ledger.spent() == sum(
        2 * 10**power for power, state in enumerate(State) if state in may_have_gone
    )


async def test_what_waits_is_added_up_by_kind(ledger: Ledger):
    """Messages, what they cost, and how many people they go to: one person may get several."""
    assert await ledger.waiting() == {}

    for state in State:
        await bring(ledger, entry(f"{state}", billed=2), state)
    number = await ledger.begin_load()
    more = [
        entry("a", billed=3),
        entry("b", recipient="56987688061"),
        entry("c", kind="email", recipient="ana@example.com"),
    ]
    await ledger.load([Loading(one) for one in more], number)
    await ledger.end_load(number, replaces=False)

    assert await ledger.waiting() == {"sms": Waiting(3, 6, 2), "email": Waiting(1, 1, 1)}


class Wish(NamedTuple):
    """A call for a message of a number, the state that it is for, and the one that it asks for."""

    before: State
    after: State
    call: Callable[[Ledger, int], Any]


def _finishing(state: State) -> Wish:
    return Wish(
        State.IN_FLIGHT,
        state,
        lambda ledger, number: ledger.finish(entry(), number, state, "because", None),
    )


WISHES = {
    "begin": Wish(
        State.QUEUED, State.IN_FLIGHT, lambda ledger, number: ledger.begin(entry(), number)
    ),
    "begin_known": Wish(
        State.QUEUED, State.IN_FLIGHT, lambda ledger, number: ledger.begin_known([number])
    ),
    "skip": Wish(
        State.QUEUED,
        State.SKIPPED,
        lambda ledger, number: ledger.put(entry(), number, SkipReason.EXPIRED),
    ),
    "wait": Wish(State.QUEUED, State.QUEUED, lambda ledger, number: ledger.put(entry(), number)),
    **{f"finish {state}": _finishing(state) for state in sorted(STEPS[State.IN_FLIGHT])},
}


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("state", State)
async def test_a_call_for_another_state_is_refused_and_leaves_the_message_as_it_is(
    store: LedgerStore, ledger: Ledger, state: State, wish: str
):
    """Whoever makes it does not know what became of the message: that ends the campaign."""
    number = await bring(ledger, entry(), state)
    before, after, call = WISHES[wish]
    found = await rows(store)

    async def ask() -> None:
        made = call(ledger, number)
        if made is not None:
            await settled(made)
        await ledger.flush()

    if state is before or state is after is State.QUEUED:
        await ask()
        assert await rows(store, "state") == [after]
        assert after in STEPS[state] or after is state
    else:
        with pytest.raises(LedgerError, match="changed by somebody else"):
            await ask()
        assert await rows(store) == found
