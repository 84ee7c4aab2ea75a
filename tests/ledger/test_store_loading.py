"""Conformance of stores: loads, what a later one replaces, and people who may have another text."""

from collections.abc import Mapping

import pytest
from doors import begin, bring, entry, finish, load, opened, rows, unreleased
from stores import MakeStore, every_variant

from connectus_async.ledger.abc import Ledger, LedgerStore
from connectus_async.ledger.records import INVALID, Entry, Loaded, Loading, Waiting
from connectus_async.ledger.states import HAS_ANOTHER, REPLACED, Edited, SkipReason, State

OLD, NEW = "Hola mudno", "Hola mundo"
ANA, LUIS, EVA = "56960000001", "56960000002", "56960000003"
LEFT_OUT = f"has_another: {HAS_ANOTHER}"


@every_variant
async def test_loads_are_numbered(store: LedgerStore):
    """One after the other, in this ledger and after reopening it."""
    numbers = []
    for _ in range(2):
        async with opened(store) as ledger:
            numbers += [await ledger.begin_load() for _ in range(2)]

    assert numbers == [1, 2, 3, 4]


async def test_loaded_messages_wait_or_are_skipped(store: LedgerStore, ledger: Ledger):
    """Each has its line, and the result says which is which."""
    number = await ledger.begin_load()
    loaded = await ledger.load(
        [
            Loading(entry("a", line=2)),
            Loading(entry("b", line=3), SkipReason.SUPPRESSED),
            Loading(entry("c", line=4), SkipReason.EXPIRED, "it is after 20:00"),
            Loading(Entry(None, 5, INVALID, "", "", 0), SkipReason.INVALID, "is empty"),
        ],
        number,
    )

    assert loaded == [
        Loaded(None),
        *map(Loaded, (SkipReason.SUPPRESSED, SkipReason.EXPIRED, SkipReason.INVALID)),
    ]
    assert await rows(store, "line", "state", "reason", "attempts") == [
        (2, "queued", None, 0),
        (3, "skipped", "suppressed", 0),
        (4, "skipped", "expired: it is after 20:00", 0),
        (5, "skipped", "invalid: is empty", 0),
    ]
    assert await ledger.load([], number) == []


@every_variant
async def test_a_duplicate_within_a_load_is_skipped_and_named(store: LedgerStore, ledger: Ledger):
    """By the line of the first, in one transaction or in several."""
    number = await ledger.begin_load()
    first = await ledger.load(
        [Loading(entry("a", line=2)), Loading(entry("a", line=3)), Loading(entry("b"))], number
    )
    second = await ledger.load([Loading(entry("b", line=5)), Loading(entry("a", line=6))], number)

    duplicate = SkipReason.DUPLICATE
    assert first == [Loaded(None), Loaded(duplicate, first_line=2), Loaded(None)]
    assert second == [Loaded(duplicate), Loaded(duplicate, first_line=2)]
    assert await rows(store, "key", "line", "state", "reason") == [
        ("a", 2, "queued", None),
        (None, 3, "skipped", "duplicate: of line 2"),
        ("b", None, "queued", None),
        (None, 5, "skipped", "duplicate: of an earlier message"),
        (None, 6, "skipped", "duplicate: of line 2"),
    ]


@pytest.mark.parametrize("state", State)
async def test_a_message_of_an_earlier_load_is_known_and_stays_as_it_is(
    store: LedgerStore, state: State
):
    """After reopening, too; only its line is the new one."""
    async with opened(store) as ledger:
        await bring(ledger, entry(line=2), state)
    state = State.UNKNOWN if state is State.IN_FLIGHT else state
    async with opened(store) as ledger:
        before = await rows(store)
        loaded = await load(ledger, entry(line=7), entry("b"))

    assert loaded == [Loaded(None, state), Loaded(None)]
    first, second = await rows(store)
    assert first._replace(load=0) == before[0]._replace(line=7, load=0)
    assert second.key != first.key


@every_variant
async def test_messages_are_the_same_however_they_came(store: LedgerStore, ledger: Ledger):
    """Loaded, begun, put and loaded again: one row, and one number."""
    await load(ledger, entry("a"), entry("b"))
    first = await begin(ledger, entry("a"))
    ledger.put(entry("b"), None, SkipReason.EXPIRED)
    await begin(ledger, entry("c"))
    loaded = await load(ledger, *map(entry, "abcd"))

    known = [State.IN_FLIGHT, State.QUEUED, State.IN_FLIGHT, None]
    assert loaded == [Loaded(None, state) for state in known]
    assert (await begin(ledger, entry("a"))).number == first.number
    assert await rows(store, "key") == list("abcd")


@every_variant
async def test_a_load_forgets_the_rows_of_the_last_one_that_were_no_messages(
    store: LedgerStore, ledger: Ledger
):
    """Loaded or put, with a key or without one; each load has its own, and may use their keys."""
    invalid = Entry("line 2", 2, INVALID, "", "", 0)
    for _ in range(2):
        number = await ledger.begin_load()
        ledger.put(invalid, None, SkipReason.INVALID, "is empty")
        await ledger.load([Loading(entry("a", line=3)), Loading(entry("a", line=4))], number)
        assert sorted(await rows(store, "key", "line"), key=str) == [
            ("a", 3),
            ("line 2", 2),
            (None, 4),
        ]


async def test_a_source_counts_as_loaded_at_its_end(ledger: Ledger):
    """Whoever resumes a campaign has to know whether all of it is there."""
    number = await ledger.begin_load()
    await ledger.load([Loading(entry())], number)
    assert (await ledger.metadata())["loaded"] == "0"

    assert await ledger.end_load(number, replaces=True) == {}
    assert (await ledger.metadata())["loaded"] == "1"
    await ledger.begin_load()
    assert (await ledger.metadata())["loaded"] == "0"


@pytest.mark.parametrize("replaces", [False, True])
async def test_queued_messages_that_a_source_lost_are_skipped_if_it_replaces(
    store: LedgerStore, ledger: Ledger, *, replaces: bool
):
    """They wait again once it has them; messages that were sent stay as they are."""
    await load(ledger, *map(entry, "abc"))
    await finish(ledger, entry("a"))
    await load(ledger, entry("c"), replaces=replaces)
    skipped = ("b", "skipped", f"superseded: {REPLACED}")
    assert await rows(store, "key", "state", "reason") == [
        ("a", "accepted", None),
        skipped if replaces else ("b", "queued", None),
        ("c", "queued", None),
    ]

    number = await ledger.begin_load()
    loaded = await ledger.load([Loading(entry("b"))], number, tells_left_out=True)
    assert loaded == [Loaded(None, State.QUEUED)]
    assert [one.key for _, one in await ledger.queued(0, 10)] == ["b", "c"]
    assert (await rows(store, "reason", "ended_at"))[1:] == [(None, None)] * 2


async def test_a_message_that_returns_but_is_to_be_skipped_stays_skipped(
    store: LedgerStore, ledger: Ledger
):
    """Its person may have opted out meanwhile."""
    await load(ledger, entry("a"))
    await load(ledger, replaces=True)
    number = await ledger.begin_load()
    loaded = await ledger.load([Loading(entry("a"), SkipReason.SUPPRESSED)], number)

    assert loaded == [Loaded(None, State.SKIPPED)]
    assert await rows(store, "state") == ["skipped"]


@every_variant
async def test_a_message_that_waits_is_skipped_as_too_often(make_store: MakeStore):
    """Each load decides anew; messages that were sent stay as they are."""
    store = make_store()
    async with opened(store) as ledger:
        await load(ledger, *map(entry, "abc"))
        await finish(ledger, entry("a"))
        for _ in range(2):
            number = await ledger.begin_load()
            items = [Loading(entry(key), SkipReason.TOO_OFTEN) for key in "abd"]
            loaded = await ledger.load([*items, Loading(entry("c"))], number)
            skipped = Loaded(SkipReason.TOO_OFTEN)
            sent, waits = Loaded(None, State.ACCEPTED), Loaded(None, State.QUEUED)
            assert loaded == [sent, skipped, skipped, waits]
            await ledger.end_load(number, replaces=True)
            assert await rows(store, "key", "state", "reason") == [
                ("a", "accepted", None),
                ("b", "skipped", "too_often"),
                ("c", "queued", None),
                ("d", "skipped", "too_often"),
            ]
        again = await load(ledger, *map(entry, "bd"))
        assert again == [Loaded(None, State.QUEUED)] * 2
        assert [one.key for _, one in await ledger.queued(0, 10)] == ["b", "c", "d"]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("skipped", [None, SkipReason.SUPPRESSED])
async def test_a_message_that_nobody_got_takes_the_content_of_its_newest_source(
    store: LedgerStore, ledger: Ledger, state: State, skipped: SkipReason | None
):
    """Its key is the user's, or that of a recipient; what may have been sent stays as it was."""
    old = entry("a", line=1, recipient=ANA, text=OLD)
    await (load(ledger, old) if state is State.QUEUED else bring(ledger, old, state))
    new = entry("a", line=2, recipient=LUIS, text=NEW, billed=2)
    number = await ledger.begin_load()
    loaded = await ledger.load([Loading(new, skipped)], number)
    await ledger.end_load(number, replaces=True)

    changes = state in {State.QUEUED, State.REJECTED, State.SKIPPED} and not skipped
    assert loaded == [Loaded(None, State.QUEUED if changes else state)]
    assert await rows(store, "line", "recipient", "state", "billed") == [
        (2, LUIS, "queued", 2) if changes else (2, ANA, state, 1)
    ]
    if changes:
        assert [one for _, one in await ledger.queued(0, 10)] == [new]
        assert await rows(store, "reason", "ended_at") == [(None, None)]
        ((number, one),) = await ledger.queued(0, 10)
        assert (await begin(ledger, one, number)).found is None


@pytest.mark.parametrize("state", State)
async def test_a_message_with_the_same_content_stays_as_it_is(
    store: LedgerStore, ledger: Ledger, state: State
):
    """Its other line is no other content, nor is another way to write it down."""
    await bring(ledger, entry("a", line=1), state)
    before = await rows(store, "recipient", "state", "reason", "attempts")
    again = entry("a", line=2)
    written = again._replace(body=again.body.replace(": ", ":"))
    loaded = [*await load(ledger, again), *await load(ledger, written)]

    assert loaded == [Loaded(None, state)] * 2
    assert await rows(store, "recipient", "state", "reason", "attempts") == before


async def edit(ledger: Ledger, edited: Edited, *people: str) -> Mapping[int, int]:
    """Load another text for some people; return the count of those who are left out."""
    number = await ledger.begin_load()
    new = [entry(f"{who} {NEW}", recipient=who, text=NEW, line=2) for who in people]
    await ledger.load([Loading(one) for one in new], number)
    return await ledger.end_load(number, replaces=True, edited=edited)


async def send_old(ledger: Ledger, *states: State) -> None:
    """Bring the old text for one person each to some states."""
    for who, state in zip((ANA, LUIS, EVA), states, strict=False):
        await bring(ledger, entry(f"{who} {OLD}", recipient=who, text=OLD), state)


@pytest.mark.parametrize("edited", Edited)
@pytest.mark.parametrize(
    "state", [State.ACCEPTED, State.IN_FLIGHT, State.UNKNOWN, State.HELD, State.REJECTED]
)
async def test_people_who_may_have_another_text_are_counted_and_left_out_as_wished(
    store: LedgerStore, ledger: Ledger, edited: Edited, state: State
):
    """Where they are refused, the source is not loaded; a rejected text is with nobody."""
    await send_old(ledger, state)
    people = await edit(ledger, edited, ANA, LUIS)

    has_another = state is not State.REJECTED and edited is not Edited.EVERYONE
    assert people == ({0: 1} if has_another else {})
    assert await rows(store, "recipient", "state", "reason") == [
        (ANA, state, (await rows(store, "reason"))[0]),
        (ANA, "skipped", LEFT_OUT) if has_another else (ANA, "queued", None),
        (LUIS, "queued", None),
    ]
    is_refused = has_another and edited is Edited.ABORT
    assert (await ledger.metadata())["loaded"] == ("0" if is_refused else "1")


async def test_people_are_compared_not_spellings(ledger: Ledger):
    """A number of Mexico with and without its 1; an address in capitals and without."""
    for who in ("5215512345678", "ana@example.com"):
        await finish(ledger, entry(who, recipient=who, text=OLD))
    people = await edit(ledger, Edited.REMAINING, "525512345678", "Ana@Example.com", LUIS)

    assert people == {0: 2}
    assert [one.recipient for _, one in await ledger.queued(0, 10)] == [LUIS]


async def test_people_who_have_another_text_are_counted_by_the_load_of_the_last_one(
    ledger: Ledger,
):
    """So that it can be told whose template was another one."""
    for who, text in ((ANA, "a"), (LUIS, "a"), (EVA, "a"), (ANA, "b")):
        one = entry(f"{who} {text}", recipient=who, text=text)
        await load(ledger, one)
        await finish(ledger, one)

    assert await edit(ledger, Edited.ABORT, ANA, LUIS) == {2: 1, 4: 1}
    assert await edit(ledger, Edited.EVERYONE, ANA, LUIS, EVA) == {}


async def test_several_texts_of_one_load_are_no_edit(ledger: Ledger):
    """Neither at first nor once one of them is sent and the same source is loaded again."""
    both = [entry(key, recipient=ANA, text=key) for key in "ab"]
    await load(ledger, *both, edited=Edited.ABORT)
    await finish(ledger, both[0])
    number = await ledger.begin_load()
    await ledger.load([Loading(one) for one in both], number)

    assert await ledger.end_load(number, replaces=True, edited=Edited.ABORT) == {}
    assert [one for _, one in await ledger.queued(0, 10)] == both[1:]


async def test_messages_that_were_left_out_are_read_page_by_page(ledger: Ledger):
    """Those of the last load, in order, each as it was given."""
    await send_old(ledger, *[State.ACCEPTED] * 3)
    await edit(ledger, Edited.REMAINING, ANA, LUIS, EVA)

    first = await ledger.left_out(0, 2)
    second = await ledger.left_out(first[-1][0], 2)
    assert [one.recipient for _, one in [*first, *second]] == [ANA, LUIS, EVA]
    assert first[0][1] == entry(f"{ANA} {NEW}", recipient=ANA, text=NEW, line=2)
    await ledger.begin_load()
    assert list(await ledger.left_out(0, 10)) == []


@pytest.mark.parametrize("tells_left_out", [False, True])
async def test_a_message_that_was_left_out_waits_again_once_it_is_loaded(
    ledger: Ledger, *, tells_left_out: bool
):
    """Until the load ends; its result tells that, where it is asked for."""
    await send_old(ledger, State.ACCEPTED)
    await edit(ledger, Edited.REMAINING, ANA)
    number = await ledger.begin_load()
    new = entry(f"{ANA} {NEW}", recipient=ANA, text=NEW)
    loaded = await ledger.load([Loading(new)], number, tells_left_out=tells_left_out)

    told = Loaded(SkipReason.HAS_ANOTHER, State.SKIPPED)
    assert loaded == [told if tells_left_out else Loaded(None, State.QUEUED)]
    assert len(await ledger.queued(0, 10)) == 1
    assert await ledger.end_load(number, replaces=True, edited=Edited.EVERYONE) == {}
    assert len(await ledger.queued(0, 10)) == 1


async def test_a_refused_source_is_refused_again_and_the_old_one_goes_on(ledger: Ledger):
    """Whoever goes back to the old text sends it to those who do not have it yet."""
    await load(ledger, *[entry(f"{who} {OLD}", recipient=who, text=OLD) for who in (ANA, LUIS)])
    await finish(ledger, entry(f"{ANA} {OLD}", recipient=ANA, text=OLD))
    for _ in range(2):
        assert await edit(ledger, Edited.ABORT, ANA, LUIS) == {1: 1}
    number = await ledger.begin_load()
    old = [entry(f"{who} {OLD}", recipient=who, text=OLD) for who in (ANA, LUIS)]
    await ledger.load([Loading(one) for one in old], number)

    assert await ledger.end_load(number, replaces=True, edited=Edited.ABORT) == {}
    assert [one.recipient for _, one in await ledger.queued(0, 10)] == [LUIS]


@pytest.mark.parametrize("to_all", [True, False])
async def test_a_holder_sends_what_it_has_released(
    store: LedgerStore, ledger: Ledger, to_all: bool
):
    """All of it waits, and is counted before; a release of nothing is harmless."""
    for _ in range(2):
        await load(ledger, *map(entry, "ab"), replaces=True, releases=False)
        await ledger.take_unreleased()
        assert await ledger.waiting() == {"sms": Waiting(2, 2, 1)}
        await ledger.release(to_all=to_all)
    await ledger.take_unreleased()
    await ledger.release()

    assert [it.key for _, it in await ledger.queued(0, 10)] == ["a", "b"]
    assert await unreleased(store) == []


async def test_the_next_holder_sends_what_was_left_once_it_has_released_it(store: LedgerStore):
    async with opened(store) as ledger:
        await load(ledger, entry("a"), releases=False)
    async with opened(store) as ledger:
        await ledger.take_unreleased()
        await ledger.release()
        assert [it.key for _, it in await ledger.queued(0, 10)] == ["a"]
