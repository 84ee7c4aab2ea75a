"""Conformance of stores: other attempts by the user's word, and rows that were corrected."""

from collections.abc import Iterator, Mapping, Sequence

import pytest
from anyio.to_thread import run_sync
from doors import Holder, begin, bring, entry, finish, held, load, opened, rows, rows_now
from stores import MakeStore, every_variant

from connectus_async import SmsStatus
from connectus_async.ledger.abc import Ledger, LedgerStore
from connectus_async.ledger.records import Again, Corrects, Loaded, Loading, MessageRow, no_message
from connectus_async.ledger.states import CORRECTED_BECAUSE, Edited, SkipReason, State

ALL = Again(rejected=True, undelivered=True)
ANA, LUIS = "56987688060", "56987688061"


@pytest.fixture
def holder(store: LedgerStore) -> Iterator[Holder]:
    with held(store) as holder:
        yield holder


def undelivered(
    holder: Holder, store: LedgerStore, key: str, status: SmsStatus = SmsStatus.NO_ENTREGABLE
) -> int:
    """Send an SMS whose identifier is its key, and record its status."""
    number = holder.finish(entry(key, billed=3), State.ACCEPTED, None, key)
    record(store, key, status)
    return number


def record(store: LedgerStore, id_sms: str, status: SmsStatus) -> None:
    with store.deliveries() as log:
        log.record(id_sms, status).result()


def earlier(store: LedgerStore) -> Mapping[State, int]:
    with store.read() as reader:
        return reader.earlier_attempts()


def numbered(store: LedgerStore, numbers: Sequence[int]) -> Sequence[MessageRow]:
    with store.read() as reader:
        return reader.numbered(numbers)


@every_variant
async def test_a_rejected_message_is_begun_again_and_its_first_outcome_is_kept(
    store: LedgerStore,
):
    """By another holder, too; it counts both tries, and nothing of the first one is left."""
    async with opened(store) as ledger:
        number = await finish(ledger, entry("a"), State.REJECTED, "400")
        assert await ledger.queue_again(ALL) == 1
        assert await ledger.queue_again(ALL) == 0
    assert await rows(store, "state", "reason", "attempts") == [("queued", None, 1)]
    async with opened(store) as ledger:
        assert await ledger.queued(0, 10) == [(number, entry("a"))]
        await ledger.begin_known([number])
        ledger.finish(entry("a"), number, State.ACCEPTED, None, "x")
    assert await rows(store, "state", "provider_id", "attempts") == [("accepted", "x", 2)]
    assert await run_sync(earlier, store) == {State.REJECTED: 1}


@pytest.mark.parametrize("state", [*State])
async def test_only_what_reached_nobody_is_queued_again(ledger: Ledger, state: State):
    """What may have been sent is left to a reconciliation."""
    await bring(ledger, entry("a"), state)
    await ledger.flush()
    assert await ledger.queue_again(ALL) == (state is State.REJECTED)


@pytest.mark.parametrize("status", [*SmsStatus])
def test_an_undelivered_sms_is_queued_again(store: LedgerStore, holder: Holder, status: SmsStatus):
    """By its final status alone."""
    undelivered(holder, store, "a", status)
    is_chosen = status in {SmsStatus.NO_ENTREGABLE, SmsStatus.NUMERO_INVALIDO}
    with store.read() as reader:
        assert reader.count_again(Again(undelivered=True)) == is_chosen
        assert reader.count_again(Again(rejected=True)) == 0
    assert holder.run(holder.ledger.queue_again(Again(undelivered=True))) == is_chosen


def test_the_first_attempt_took_from_the_balance_and_is_known_to_be_accepted(
    store: LedgerStore, holder: Holder
):
    """A report that shows it does not show the second one."""
    ledger = holder.ledger
    undelivered(holder, store, "a")
    holder.run(ledger.queue_again(ALL))
    assert holder.run(ledger.spent()) == 3
    assert set(holder.run(ledger.accepted_ids(["a", "b"]))) == {"a"}
    (first,) = holder.run(ledger.accepted_to([ANA]))
    assert (first.provider_id, first.recipient, first.body) == ("a", ANA, entry("a").body)
    assert 0 < first.started_at <= first.ended_at

    holder.finish(entry("a"), State.ACCEPTED, None, "b")
    assert holder.run(ledger.spent()) == 6
    assert {it.provider_id for it in holder.run(ledger.accepted_to([ANA]))} == {"a", "b"}


def test_a_late_status_of_the_first_attempt_is_not_that_of_the_second(
    store: LedgerStore, holder: Holder
):
    undelivered(holder, store, "a")
    holder.run(holder.ledger.queue_again(ALL))
    holder.finish(entry("a"), State.ACCEPTED, None, "b")
    record(store, "a", SmsStatus.NUMERO_INVALIDO)
    record(store, "b", SmsStatus.EN_COLA)

    assert rows_now(store, "delivery_status") == ["EN_COLA"]


def test_messages_are_chosen_by_their_reason(store: LedgerStore, holder: Holder):
    """Or by their status, if they have no reason; in capitals or not."""
    holder.finish(entry("a"), State.REJECTED, "400 Sin saldo")
    holder.finish(entry("b"), State.REJECTED, "404")
    undelivered(holder, store, "c")
    with store.read() as reader:
        found = [reader.count_again(ALL._replace(reason=it)) for it in ("SALDO", "no_ent", "x")]
    assert found == [1, 1, 0]
    assert holder.run(holder.ledger.queue_again(ALL._replace(reason="saldo"))) == 1


async def test_a_forgotten_content_cannot_be_sent_again(store: LedgerStore):
    """There is nothing to send."""
    async with opened(store, forgets_content=True) as ledger:
        await finish(ledger, entry("a"), State.ACCEPTED, None, "a")
        await finish(ledger, entry("b", text='{"hash":1}'), State.REJECTED)
        await ledger.flush()
        await run_sync(record, store, "a", SmsStatus.NO_ENTREGABLE)
        assert await ledger.queue_again(ALL) == 1


ANYTHING = Corrects()


async def add(ledger: Ledger, *items: Loading, corrects: Corrects = ANYTHING) -> list[Loaded]:
    """Add messages to those that were loaded; who may have another one is left out."""
    number = await ledger.begin_load(corrects=corrects)
    loaded = await ledger.load(items, number)
    await ledger.end_load(number, replaces=False, edited=Edited.REMAINING)
    return [*loaded]


async def load_rows(ledger: Ledger, *items: Loading) -> int:
    number = await ledger.begin_load()
    await ledger.load(items, number)
    await ledger.end_load(number, replaces=True)
    return number


INVALID_ROW = Loading(no_message(3), SkipReason.INVALID, "has 4 digits")


async def test_what_is_added_changes_nothing_else(store: LedgerStore):
    """Rows that are no message stay, as do the lines of known ones, and what waits goes on."""
    async with opened(store) as ledger:
        await load_rows(ledger, Loading(entry("a", line=2)), INVALID_ROW)
        new = entry("b", line=3, recipient=LUIS)
        assert await add(ledger, Loading(new), Loading(entry("a", line=9))) == [
            Loaded(None),
            Loaded(None, State.QUEUED),
        ]
        assert (await ledger.metadata())["loaded"] == "1"
        assert [one for _, one in await ledger.queued(0, 10)] == [entry("a", line=2), new]
    assert await rows(store, "line", "state") == [(2, "queued"), (3, "skipped"), (3, "queued")]


async def test_an_addition_that_was_cut_off_leaves_the_campaign_loaded(store: LedgerStore):
    """It can be resumed, and the same added again."""
    async with opened(store) as ledger:
        await load_rows(ledger, Loading(entry("a", line=2)))
        number = await ledger.begin_load(corrects=ANYTHING)
        await ledger.load([Loading(entry("b", line=3, recipient=LUIS))], number)
    async with opened(store) as ledger:
        assert (await ledger.metadata())["loaded"] == "1"
        await add(ledger, Loading(entry("b", line=3, recipient=LUIS)))
        assert {one.key for _, one in await ledger.queued(0, 10)} == {"a", "b"}


async def test_a_row_that_was_corrected_supersedes_what_reached_nobody(store: LedgerStore):
    """Its line tells; what was sent stays, and what has no correction."""
    async with opened(store) as ledger:
        sent, refused = entry("a", line=2), entry("b", line=4, recipient=LUIS)
        number = await load_rows(
            ledger, Loading(sent), INVALID_ROW, Loading(refused), Loading(entry("c", line=5))
        )
        await finish(ledger, sent)
        await finish(ledger, refused, State.REJECTED, "400")
        await finish(ledger, entry("c", line=5), State.REJECTED, "400")
        fixed = [entry(f"new {line}", line=line, recipient=f"5698768807{line}") for line in (3, 4)]
        await ledger.flush()
        corrects = Corrects(await rows(store, "number"), number)
        more = Loading(entry("x", line=2, recipient="5691"))
        await add(ledger, *map(Loading, fixed), more, corrects=corrects)

    assert sorted(await rows(store, "line", "state")) == [
        *[(2, "accepted"), (2, "queued"), (3, "queued"), (3, "skipped")],
        *[(4, "queued"), (4, "skipped"), (5, "rejected")],
    ]
    assert (await rows(store, "reason")).count(CORRECTED_BECAUSE) == 2


async def test_a_corrected_row_that_is_left_out_supersedes_nothing(store: LedgerStore):
    """Its person may have another message: so the row is still to be fixed."""
    async with opened(store) as ledger:
        number = await load_rows(ledger, Loading(entry("a", line=2)), INVALID_ROW)
        await finish(ledger, entry("a", line=2))
        await ledger.flush()
        corrects = Corrects(await rows(store, "number"), number)
        await add(ledger, Loading(entry("b", line=3)), corrects=corrects)

    assert (3, "skipped", "invalid: has 4 digits") in await rows(store, "line", "state", "reason")


async def test_a_superseded_message_is_not_sent_by_its_old_source(store: LedgerStore):
    """Its number was a wrong one."""
    refused = entry("a", line=2)
    async with opened(store) as ledger:
        number = await load_rows(ledger, Loading(refused))
        old = await finish(ledger, refused, State.REJECTED, "400")
        b = Loading(entry("b", line=2, recipient=LUIS))
        await add(ledger, b, corrects=Corrects([old], number))
        assert await load(ledger, refused, replaces=False) == [Loaded(None, State.SKIPPED)]
        assert [one.key for _, one in await ledger.queued(0, 10)] == ["b"]


@every_variant
async def test_messages_are_read_by_their_numbers(store: LedgerStore):
    """In order; those that are not there are left out."""
    async with opened(store) as ledger:
        numbers = [(await begin(ledger, entry(key))).number for key in "abc"]
    found = await run_sync(numbered, store, [numbers[2], 10**12, numbers[0]])
    assert [(row.number, row.key, row.load) for row in found] == [
        (numbers[0], "a", 0),
        (numbers[2], "c", 0),
    ]


def chosen(store: LedgerStore, choice: Again) -> list[tuple[int, str]]:
    with store.read() as reader:
        assert reader.count_again(choice) == sum(map(len, reader.again(choice)))
        return [one for batch in reader.again(choice) for one in batch]


def test_some_of_the_chosen_messages_stay_as_they_are(store: LedgerStore, holder: Holder):
    """They are chosen again later; each is read with its recipient."""
    first = holder.finish(entry("a", recipient=ANA), State.REJECTED, "400")
    second = undelivered(holder, store, "b")
    holder.finish(entry("c"), State.ACCEPTED, None, "c")
    assert sorted(chosen(store, ALL)) == [(first, ANA), (second, ANA)]

    but_first = ALL._replace(but=[first])
    assert chosen(store, but_first) == [(second, ANA)]
    assert holder.run(holder.ledger.queue_again(but_first)) == 1
    assert rows_now(store, "key", "state") == [
        ("a", "rejected"),
        ("b", "queued"),
        ("c", "accepted"),
    ]
    assert chosen(store, ALL) == [(first, ANA)]


@every_variant
async def test_what_waits_is_skipped_as_too_often(make_store: MakeStore):
    """Messages that somebody begins, or that have an outcome, stay as they are."""
    store = make_store()
    async with opened(store) as ledger:
        await load(ledger, *map(entry, "abcde"))
        numbers = [number for number, _ in await ledger.queued(0, 10)]
        await ledger.begin_known(numbers[:2])
        ledger.finish(entry("a"), numbers[0], State.REJECTED, "400", None)
        assert await ledger.skip_too_often(numbers[:4]) == 2
        assert await ledger.skip_too_often(numbers[:4]) == 0
        assert await ledger.skip_too_often([]) == 0
        assert [one.key for _, one in await ledger.queued(0, 10)] == ["e"]
        again = await load(ledger, entry("d"))
        assert again == [Loaded(None, State.QUEUED)]
        assert [one.key for _, one in await ledger.queued(0, 10)] == ["d", "e"]
        await ledger.begin_known([numbers[3]])
    assert await rows(store, "key", "state", "reason", "attempts") == [
        ("a", "rejected", "400", 1),
        ("b", "in_flight", None, 1),
        ("c", "skipped", "too_often", 0),
        ("d", "in_flight", None, 1),
        ("e", "queued", None, 0),
    ]
