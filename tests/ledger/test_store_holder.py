"""Conformance of stores: the holder of a ledger, and what it finds on opening."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from doors import begin, bring, entry, finish, load, opened, policy, resolve, rows
from stores import every_variant

from connectus_async import LedgerError
from connectus_async.ledger.abc import Ledger, LedgerStore
from connectus_async.ledger.states import ABSENT, INTERRUPTED, OnUnknown, SkipReason, State


async def test_two_holders_are_never_given_the_same_message(store: LedgerStore):
    """A store refuses the second, or lets it know what the first sends; both can go on later."""
    second = store.ledger()
    async with opened(store) as first:
        await begin(first, entry("a"))
        with suppress(LedgerError):
            await second.open(policy())
            assert (await begin(second, entry("a"))).found is State.IN_FLIGHT
        await second.close()
        assert (await begin(first, entry("b"))).found is None
    await second.open(policy())

    assert (await begin(second, entry("a"))).found is State.UNKNOWN
    await second.close()


@pytest.mark.parametrize("is_new", [False, True])
async def test_who_is_refused_can_try_again_at_once(store: LedgerStore, *, is_new: bool):
    """Nothing of the first try is left when its refusal is heard."""
    async with opened(store):
        pass
    ledger = store.ledger()
    for _ in range(20):
        ledger = store.ledger() if is_new else ledger
        with pytest.raises(LedgerError):
            await ledger.open(policy("pascua"))
    await ledger.open(policy())

    assert (await begin(ledger, entry())).found is None
    await ledger.close()


async def test_opening_that_is_abandoned_leaves_the_ledger_free(store: LedgerStore):
    """Closed as always, it is free for the next holder."""
    ledger = store.ledger()
    opening = asyncio.ensure_future(ledger.open(policy()))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await ledger.close()

    async with opened(store) as other:
        assert await other.counts() == {}


@pytest.mark.parametrize(
    "other", [{"campaign": "pascua"}, {"identity": "recipient"}], ids=["name", "identity"]
)
async def test_a_ledger_of_another_campaign_is_refused_and_left_alone(
    store: LedgerStore, other: dict[str, str]
):
    """The keys of its messages would not be those of this campaign: all would be sent again."""
    async with opened(store) as ledger:
        await begin(ledger, entry())
    before = await rows(store)

    with pytest.raises(LedgerError, match="or use another ledger for this one") as refused:
        await store.ledger().open(policy(**other))

    assert str(refused.value).startswith(f"{refused.value.ledger}: ")
    assert await rows(store) == before


@every_variant
async def test_reopening_changes_nothing_that_has_an_end(store: LedgerStore):
    """Each message is as it was, and known by its key."""
    ends = [State.QUEUED, State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.HELD, State.SKIPPED]
    async with opened(store) as ledger:
        for state in ends:
            await bring(ledger, entry(state), state)
    before = await rows(store)

    for _ in range(2):
        async with opened(store) as ledger:
            assert await ledger.counts() == dict.fromkeys(ends, 1)
        assert await rows(store) == before
    async with opened(store) as ledger:
        found = [(await begin(ledger, entry(state))).found for state in ends[1:]]
    assert found == ends[1:]


@every_variant
async def test_messages_in_flight_of_a_dead_holder_are_unknown(store: LedgerStore):
    """They may have been sent; what was finished is as it was."""
    async with opened(store) as ledger:
        await finish(ledger, entry("a"), State.ACCEPTED, None, "id-a")
        await finish(ledger, entry("b"), State.QUEUED, "429")
        await begin(ledger, entry("c"))
    async with opened(store) as ledger:
        (unresolved,) = await ledger.unresolved()

    assert await rows(store, "key", "state", "reason", "attempts") == [
        ("a", "accepted", None, 1),
        ("b", "queued", "429", 1),
        ("c", "unknown", INTERRUPTED, 1),
    ]
    assert unresolved.started_at <= unresolved.ended_at


@every_variant
@pytest.mark.parametrize(
    ("on_unknown", "states"),
    [
        (OnUnknown.HOLD, ["unknown", "unknown", "held", "held"]),
        (OnUnknown.RESEND_IF_ABSENT, ["unknown", "unknown", "queued", "held"]),
        (OnUnknown.RESEND, ["queued", "queued", "queued", "queued"]),
    ],
)
async def test_the_policy_decides_what_becomes_of_messages_that_may_have_been_sent(
    store: LedgerStore, on_unknown: OnUnknown, states: list[str]
):
    """In flight, unknown, held as absent, and held because nobody can tell."""
    async with opened(store) as ledger:
        for key, reason in (("c", ABSENT), ("d", "ambiguous")):
            await finish(ledger, entry(key), State.UNKNOWN, "no answer")
            await resolve(ledger, State.HELD, reason)
        await finish(ledger, entry("b"), State.UNKNOWN, "no answer")
        await begin(ledger, entry("a"))

    async with opened(store, on_unknown=on_unknown) as ledger:
        found = sorted(await rows(store, "key", "state"))
        again = [one.key for _, one in await ledger.queued(0, 10)]
    assert [state for _, state in found] == states
    assert sorted(again) == [key for key, state in found if state == "queued"]


@every_variant
@pytest.mark.parametrize("on_unknown", OnUnknown)
async def test_messages_that_were_over_the_budget_wait_again(
    store: LedgerStore, on_unknown: OnUnknown
):
    """Another budget may cover them; all others that were skipped stay so."""
    async with opened(store) as ledger:
        for reason in SkipReason:
            ledger.put(entry(reason), None, reason)
    async with opened(store, on_unknown=on_unknown):
        found = await rows(store, "key", "state", "reason")

    assert found == [
        (it, "queued", None) if it is SkipReason.OVER_BUDGET else (it, "skipped", it)
        for it in SkipReason
    ]


@every_variant
async def test_numbers_go_on_after_the_last(store: LedgerStore):
    """No number is given twice, after reopening or between loading and sending."""
    async with opened(store) as ledger:
        await begin(ledger, entry("a"))
        await load(ledger, entry("b"), entry("b"))
        await begin(ledger, entry("c"))
    async with opened(store) as ledger:
        await begin(ledger, entry("d"))
        await load(ledger, entry("e"))
        numbers = [(await begin(ledger, entry(key))).number for key in "abcde"]

    assert numbers == sorted(set(numbers))
    assert [key for key in await rows(store, "key") if key] == list("abcde")


@every_variant
async def test_metadata_is_kept(store: LedgerStore):
    """A value that is written again is replaced; those under other names stay."""
    async with opened(store) as ledger:
        await ledger.set_metadata(source="a.csv", total="3")
        await ledger.set_metadata(source='b\'s "file" 😀.csv')
        within = await ledger.metadata()
    async with opened(store) as ledger:
        found = await ledger.metadata()

    assert (within["source"], within["total"]) == ('b\'s "file" 😀.csv', "3")
    assert (found["source"], found["total"]) == ('b\'s "file" 😀.csv', "3")
    assert (found["name"], found["identity"]) == ("navidad", "message")
    assert float(found["created_at"]) > 0


async def test_only_a_new_ledger_makes_keys_of_one_spelling(store: LedgerStore, ledger: Ledger):
    """An older one goes on to make them as it did, or a person would be somebody new."""
    assert "one_spelling" in await ledger.metadata()


CALLS: dict[str, Callable[[Ledger], Awaitable[Any]]] = {
    "begin": lambda ledger: begin(ledger, entry()),
    "begin_known": lambda ledger: ledger.begin_known([1]),
    "flush": lambda ledger: ledger.flush(),
    "queued": lambda ledger: ledger.queued(0, 1),
    "counts": lambda ledger: ledger.counts(),
    "waiting": lambda ledger: ledger.waiting(),
    "spent": lambda ledger: ledger.spent(),
    "metadata": lambda ledger: ledger.metadata(),
    "set_metadata": lambda ledger: ledger.set_metadata(source="a.csv"),
    "begin_load": lambda ledger: ledger.begin_load(),
    "load": lambda ledger: ledger.load([], 1),
    "end_load": lambda ledger: ledger.end_load(1, replaces=False),
    "take_unreleased": lambda ledger: ledger.take_unreleased(),
    "release": lambda ledger: ledger.release(),
    "left_out": lambda ledger: ledger.left_out(0, 1),
    "unresolved": lambda ledger: ledger.unresolved(),
    "accepted_ids": lambda ledger: ledger.accepted_ids(["a"]),
    "accepted_to": lambda ledger: ledger.accepted_to(["56987688060"]),
    "resolve": lambda ledger: ledger.resolve([]),
}


async def test_a_closed_ledger_answers_nothing(store: LedgerStore):
    """It says that it is closed; closing it again is harmless."""
    async with opened(store) as ledger:
        pass
    await ledger.close()

    for call in CALLS.values():
        with pytest.raises(LedgerError, match="is closed") as refused:
            await call(ledger)
        assert str(refused.value).startswith(f"{refused.value.ledger}: ")


async def test_a_ledger_that_is_not_open_yet_answers_nothing(store: LedgerStore):
    """Closing it is harmless, and it can be opened afterwards."""
    ledger = store.ledger()
    for call in CALLS.values():
        with pytest.raises(LedgerError, match="is not open"):
            await call(ledger)
    await ledger.close()
    await ledger.open(policy())

    assert await ledger.counts() == {}
    await ledger.close()


async def test_closing_writes_everything_that_was_recorded(store: LedgerStore):
    """Nothing of it needs a flush."""
    async with opened(store) as ledger:
        number = (await begin(ledger, entry("a"))).number
        for index in range(500):
            ledger.put(entry(f"skipped {index}"), None, SkipReason.EXPIRED)
        ledger.finish(entry("a"), number, State.ACCEPTED, None, "id-a")

    found = await rows(store, "state", "provider_id")
    assert found == [("accepted", "id-a"), *[("skipped", None)] * 500]


async def test_a_holder_sends_its_ledger_to_its_end_in_several_goes(store: LedgerStore):
    """One ledger may be opened and closed again and again, by one object or by several."""
    ledger = store.ledger()
    for key in "abc":
        await ledger.open(policy())
        await finish(ledger, entry(key))
        await ledger.close()

    assert await rows(store, "key", "state") == [(key, "accepted") for key in "abc"]
