"""Conformance of stores: messages that may have been sent, and the accepted ones beside them."""

import time

import pytest
from doors import begin, bring, entry, finish, load, opened, resolve, rows

from connectus_async.ledger.abc import Ledger, LedgerStore
from connectus_async.ledger.content import content_hash, hashed
from connectus_async.ledger.records import Report, Resolution, Witnesses
from connectus_async.ledger.states import STEPS, State

ANYWHERE = Report("sms", (None, None, None))
DAY = 86_400.0


async def accept(ledger: Ledger, key: str, provider_id: str | None = "", **fields: str) -> int:
    """Send a message; its identifier is its key if nothing else is said."""
    return await finish(
        ledger,
        entry(key, **fields),
        State.ACCEPTED,
        None,
        key if provider_id == "" else provider_id,
    )


async def lose(ledger: Ledger, key: str, **fields: str) -> int:
    """Send a message whose outcome is not known."""
    return await finish(ledger, entry(key, **fields), State.UNKNOWN, "no answer")


async def witnesses(
    ledger: Ledger,
    report: Report = ANYWHERE,
    *,
    near: float = DAY,
    about: float = DAY,
    sample: int = 0,
) -> Witnesses:
    """Find the witnesses of all unknown messages."""
    group = await ledger.unresolved()
    return await ledger.witnesses(report, group, near=near, about=about, sample=sample)


async def test_unresolved_messages_are_the_unknown_ones_in_order(ledger: Ledger):
    """Each as it was given, with the times of its last attempt."""
    began = time.time()
    for state in State:
        await bring(ledger, entry(state), state)
    await bring(ledger, entry("b", text="¿Y?"), State.UNKNOWN)
    first, second = await ledger.unresolved()

    assert (second.kind, second.recipient) == ("sms", "56987688060")
    assert second.body == entry(text="¿Y?").body
    assert began <= first.started_at <= first.ended_at <= second.started_at <= second.ended_at
    assert first.number < second.number


@pytest.mark.parametrize("after", [*sorted(STEPS[State.UNKNOWN]), State.UNKNOWN])
async def test_an_unknown_message_is_resolved(store: LedgerStore, ledger: Ledger, after: State):
    """With a reason and an identifier, where they were found; it may stay unknown for another."""
    await lose(ledger, "a")
    await ledger.flush()
    before = await rows(store, "started_at", "ended_at", "attempts")
    await resolve(ledger, after, "it is so", "id-a")

    assert await rows(store, "state", "reason", "provider_id") == [(after, "it is so", "id-a")]
    assert await rows(store, "started_at", "ended_at", "attempts") == before
    assert len(await ledger.queued(0, 10)) == (after is State.QUEUED)


@pytest.mark.parametrize("after", [*sorted(STEPS[State.UNKNOWN]), State.UNKNOWN])
async def test_messages_that_are_not_unknown_any_more_are_not_resolved(
    store: LedgerStore, ledger: Ledger, after: State
):
    """Whatever was found out about them meanwhile, they stay as they are."""
    stays = [state for state in State if state is not State.UNKNOWN]
    await lose(ledger, "of before")
    (message,) = await ledger.unresolved()
    numbers = [await bring(ledger, entry(state), state) for state in stays]
    before = await rows(store)
    await ledger.resolve(
        [Resolution(message._replace(number=it), after, "it is so", "id") for it in numbers]
    )

    assert await rows(store) == before


async def test_many_messages_are_resolved_at_once(store: LedgerStore, ledger: Ledger):
    """Each in its own way."""
    states = [State.ACCEPTED, State.HELD, State.QUEUED, State.UNKNOWN]
    for state in states:
        await lose(ledger, state)
    messages = await ledger.unresolved()
    await ledger.resolve(
        [Resolution(one, state) for one, state in zip(messages, states, strict=True)]
    )

    assert await rows(store, "key", "state", "reason") == [(it, it, None) for it in states]


async def test_a_message_that_was_queued_again_is_sent_like_any_other(
    store: LedgerStore, ledger: Ledger
):
    """Its attempts are counted on."""
    number = await lose(ledger, "a")
    await resolve(ledger, State.QUEUED)
    assert (await begin(ledger, entry("a"))).number == number
    ledger.finish(entry("a"), number, State.ACCEPTED, None, "id-a")
    await ledger.flush()

    assert await rows(store, "state", "attempts", "provider_id") == [("accepted", 2, "id-a")]


async def test_a_message_has_the_last_witness_before_it_and_the_first_after_it(ledger: Ledger):
    """The nearest ones; they are all witnesses if no more are asked for."""
    numbers = [
        await accept(ledger, "a"),
        await accept(ledger, "b"),
        await lose(ledger, "c"),
        await lose(ledger, "d"),
        await accept(ledger, "e"),
        await accept(ledger, "f"),
    ]
    found = await witnesses(ledger)

    _, before, first, second, after, _ = numbers
    assert found.around == {first: (before, after), second: (before, after)}
    assert sorted(one.number for one in found.all) == [before, after]
    one = next(one for one in found.all if one.number == before)
    assert (one.provider_id, one.recipient, one.body) == ("b", "56987688060", entry().body)
    assert 0 < one.started_at <= one.ended_at


async def test_a_message_that_was_sent_at_the_same_time_is_on_neither_side(ledger: Ledger):
    """It does not show whether the report has caught up, nor where it begins; it is a witness."""
    around = await begin(ledger, entry("a"))
    lost = await lose(ledger, "b")
    ledger.finish(entry("a"), around.number, State.ACCEPTED, None, "a")

    assert await witnesses(ledger) == Witnesses((), {lost: (None, None)})
    assert [one.number for one in (await witnesses(ledger, sample=1)).all] == [around.number]


async def test_only_accepted_messages_with_an_identifier_are_witnesses(ledger: Ledger):
    """An equal text may be another's."""
    for state in [state for state in State if state is not State.ACCEPTED]:
        await bring(ledger, entry(state), state)
    await accept(ledger, "nameless", None)
    found = await witnesses(ledger, sample=10)

    assert found.all == ()
    assert set(found.around.values()) == {(None, None)}


async def test_witnesses_are_in_the_same_report(ledger: Ledger):
    """Of the same kind, the same sub-client, delivery and sender, and to the same recipient."""
    fields = {
        "plain": {},
        "client": {"id_client": "7"},
        "delivery": {"id_delivery": "7"},
        "chat": {"kind": "whatsapp", "src_number": "56999944837"},
        "other chat": {"kind": "whatsapp", "src_number": "56999944837", "recipient": "5511"},
    }
    await lose(ledger, "lost")
    numbers = {key: await accept(ledger, key, **some) for key, some in fields.items()}
    reports = {
        "plain": ANYWHERE,
        "client": Report("sms", (None, "7", None)),
        "delivery": Report("sms", ("7", None, None)),
        "chat": Report("whatsapp", (None, None, "56999944837"), "56987688060"),
        "other chat": Report("whatsapp", (None, None, "56999944837"), "5511"),
        "nothing": Report("sms", ("8", None, None)),
    }
    for key, report in reports.items():
        found, number = await witnesses(ledger, report, sample=10), numbers.get(key)
        assert [one.number for one in found.all] == ([] if number is None else [number]), key
        assert list(found.around.values()) == [(None, number)], key


async def test_a_sample_of_witnesses_is_as_large_as_asked_for(ledger: Ledger):
    """Of those at about that time, beside the ones next to the messages in question."""
    numbers = {await accept(ledger, str(index)) for index in range(8)}
    await lose(ledger, "lost")

    sizes = [len((await witnesses(ledger, sample=sample)).all) for sample in (0, 3, 100)]
    assert sizes[0] == 1
    assert 3 <= sizes[1] <= 4
    assert sizes[2] == len(numbers)
    far = await witnesses(ledger, near=-1.0, about=-1.0, sample=100)
    assert far.all == ()


async def test_accepted_messages_are_found_by_their_identifiers(store: LedgerStore):
    """Those of other messages, and others, are left out."""
    async with opened(store) as ledger:
        await accept(ledger, "a")
        await accept(ledger, "b")
        await finish(ledger, entry("c"), State.UNKNOWN, "half an answer", "c")
    async with opened(store) as ledger:
        assert set(await ledger.accepted_ids(["a", "c", "d", "B", "it's", "a"])) == {"a"}
        assert set(await ledger.accepted_ids([])) == set()


async def test_accepted_messages_are_found_by_their_recipients(ledger: Ledger):
    """In the spelling in which they were sent, with or without an identifier."""
    first = await accept(ledger, "a", recipient="5215512345678", text="¿Y?")
    second = await accept(ledger, "b", None, recipient="56987688060")
    await accept(ledger, "c", recipient="56960000001")
    await lose(ledger, "d")
    found = await ledger.accepted_to(["5215512345678", "525512345678", "56987688060"])

    assert [(one.number, one.provider_id, one.recipient) for one in found] == [
        (first, "a", "5215512345678"),
        (second, None, "56987688060"),
    ]
    assert found[0].body == entry(text="¿Y?").body
    assert 0 < found[0].started_at <= found[0].ended_at
    assert list(await ledger.accepted_to([])) == []


SECRET = "Hola Ana, tu clave es 493021"


async def test_content_of_accepted_messages_is_forgotten_if_that_is_the_policy(
    store: LedgerStore,
):
    """Whether the answer or a report says so; a hash and the route stay, and the key is known."""
    async with opened(store, forgets_content=True) as ledger:
        await accept(ledger, "a", text=SECRET, id_client="7")
        await lose(ledger, "b", text=SECRET)
        await resolve(ledger, State.ACCEPTED, None, "b")
        found = await ledger.accepted_to(["56987688060"])
    async with opened(store, forgets_content=True) as ledger:
        again = [(await begin(ledger, entry(key))).found for key in "ab"]

    bodies = [entry(text=SECRET, id_client="7").body, entry(text=SECRET).body]
    assert [one.body for one in found] == list(map(hashed, bodies))
    assert [content_hash(body) in one.body for one, body in zip(found, bodies, strict=True)]
    assert SECRET not in found[0].body + found[1].body
    assert again == [State.ACCEPTED] * 2


async def test_content_that_may_be_sent_again_is_kept(store: LedgerStore):
    """Only accepted messages are forgotten: the others need their texts."""
    async with opened(store, forgets_content=True) as ledger:
        for key, state in (("a", State.QUEUED), ("b", State.UNKNOWN), ("c", State.UNKNOWN)):
            await finish(ledger, entry(key, text=SECRET), state, "no answer")
        await resolve(ledger, State.QUEUED)
        await load(ledger, entry("d", text=SECRET))
        queued = [one.body for _, one in await ledger.queued(0, 10)]
        (unknown,) = await ledger.unresolved()

    assert [*queued, unknown.body] == [entry(text=SECRET).body] * 4


async def test_content_is_kept_if_that_is_the_policy(ledger: Ledger):
    """As a reconciliation compares it with reports."""
    await accept(ledger, "a", text=SECRET)
    await lose(ledger, "b", text=SECRET)
    await resolve(ledger, State.ACCEPTED)

    found = await ledger.accepted_to(["56987688060"])
    assert [one.body for one in found] == [entry(text=SECRET).body] * 2
