"""Conformance of stores: delivery statuses, written beside a holder that may be sending."""

import random
import threading
import time
from collections.abc import Iterator

import pytest
from doors import Holder, begin, bring, entry, held, policy, rows_now
from stores import every_variant

from connectus_async import LedgerError, SmsStatus
from connectus_async.ledger.abc import DeliveryLog, LedgerStore
from connectus_async.ledger.records import OpenSms, Recorded
from connectus_async.ledger.states import State

EN_COLA, ENVIADO, ENTREGADO = SmsStatus.EN_COLA, SmsStatus.ENVIADO_A_CARRIER, SmsStatus.ENTREGADO
FINAL = [SmsStatus.ENTREGADO, SmsStatus.NO_ENTREGABLE, SmsStatus.NUMERO_INVALIDO]
WAY = [status for status in SmsStatus if status not in FINAL]
NEWS, OLD, EARLY = Recorded.NEWS, Recorded.OLD, Recorded.EARLY


@pytest.fixture
def holder(store: LedgerStore) -> Iterator[Holder]:
    """Be a holder that has sent the SMS ``a``, and sends ``b`` just now."""
    with held(store) as holder:
        accept(holder, "a")
        holder.run(begin(holder.ledger, entry("b")))
        yield holder


@pytest.fixture
def log(store: LedgerStore, holder: Holder) -> Iterator[DeliveryLog]:
    """Give a writer of delivery statuses that is open beside the holder."""
    with store.deliveries() as log:
        yield log


def accept(holder: Holder, key: str, provider_id: str | None = "") -> int:
    """Send an SMS; its identifier is its key if nothing else is said."""
    return holder.finish(
        entry(key), State.ACCEPTED, None, key if provider_id == "" else provider_id
    )


def name(holder: Holder, key: str) -> None:
    """Have the holder learn the identifier of an SMS that it has begun."""
    number = holder.run(begin(holder.ledger, entry(key))).number
    holder.ledger.finish(entry(key), number, State.ACCEPTED, None, key)
    holder.run(holder.ledger.flush())


def statuses(store: LedgerStore) -> list[tuple[str | None, str | None, float | None]]:
    return rows_now(store, "provider_id", "delivery_status", "delivered_at")


@every_variant
def test_a_status_is_durable_once_it_is_recorded(store: LedgerStore, log: DeliveryLog):
    """With its time, where it is the one of delivery; nothing else of the message changes."""
    before = rows_now(store)
    assert log.record("a", EN_COLA, 1_000.5).result() is NEWS
    assert rows_now(store) == [before[0]._replace(delivery_status="EN_COLA"), before[1]]
    assert log.record("a", ENTREGADO, 2_000.5).result() is NEWS
    assert statuses(store) == [("a", "ENTREGADO", 2_000.5), (None, None, None)]


def test_a_status_without_a_time_is_of_now(store: LedgerStore, log: DeliveryLog):
    """As of a webhook that has none."""
    before = time.time()
    log.record("a", ENTREGADO).result()

    ((_, _, at), _) = statuses(store)
    assert at is not None
    assert before - 0.001 <= at <= time.time() + 0.001


def test_a_status_that_comes_late_or_twice_changes_nothing(store: LedgerStore, log: DeliveryLog):
    """Alone, or at once with one that says more."""
    futures = [log.record("a", status) for status in (EN_COLA, ENTREGADO, EN_COLA, ENTREGADO)]
    assert NEWS in [future.result() for future in futures]
    before = statuses(store)

    for status in SmsStatus:
        assert log.record("a", status, 1).result() is OLD
    assert statuses(store) == before


def test_a_status_that_is_not_known_is_kept_and_not_final(store: LedgerStore, log: DeliveryLog):
    """Cut short: nobody fills the store with it. Of two such, the first one stays."""
    assert log.record("a", SmsStatus("LEIDO" * 100 + "\0")).result() is NEWS
    assert log.record("a", SmsStatus("VISTO")).result() is OLD
    assert log.record("a", EN_COLA).result() is OLD
    assert statuses(store)[0][1] == ("LEIDO" * 100)[:64]
    assert [sms.id for sms in log.open_sms(0, 10).result()] == ["a"]
    assert log.record("a", ENTREGADO).result() is NEWS


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
@pytest.mark.parametrize("says_most", FINAL)
def test_the_status_that_says_most_stays_in_any_order(
    store: LedgerStore, log: DeliveryLog, says_most: SmsStatus, order: list[int]
):
    """Before its SMS or after it, each by a writer of its own."""
    words = [EN_COLA, ENVIADO, says_most, SmsStatus.PROGRAMADO]
    for place in order:
        with store.deliveries() as other:
            other.record("a", words[place]).result()
            other.record("b", words[place]).result()

    assert log.count_open().result() == 0
    assert statuses(store)[0][1] == says_most


@pytest.mark.parametrize("first", FINAL)
@pytest.mark.parametrize("second", FINAL)
def test_of_two_final_statuses_the_one_that_says_more_stays(
    store: LedgerStore, log: DeliveryLog, first: SmsStatus, second: SmsStatus
):
    """An SMS that was delivered has been on the phone, whatever else was said."""
    ranks = [SmsStatus.NO_ENTREGABLE, SmsStatus.NUMERO_INVALIDO, SmsStatus.ENTREGADO]
    log.record("a", first).result()
    became = log.record("a", second).result()

    assert became is (NEWS if ranks.index(second) > ranks.index(first) else OLD)
    assert statuses(store)[0][1] == max(first, second, key=ranks.index)


@every_variant
def test_a_status_that_is_faster_than_the_answer_is_not_lost(
    store: LedgerStore, holder: Holder, log: DeliveryLog
):
    """The one of them that says most is written once the holder has named the SMS."""
    assert log.record("b", ENTREGADO, 1_000).result() is EARLY
    assert log.record("b", EN_COLA, 2_000).result() is EARLY
    assert log.count_open().result() == 1
    name(holder, "c")
    assert log.count_open().result() == 2
    accept(holder, "d", "b")

    assert log.count_open().result() == 2
    assert ("b", "ENTREGADO", 1_000) in statuses(store)


def test_an_early_status_is_not_lost_to_a_worse_one_that_finds_its_sms(
    store: LedgerStore, holder: Holder, log: DeliveryLog
):
    """The first that comes once the SMS has a name does not take the place of the best."""
    assert log.record("c", ENTREGADO, 1_000).result() is EARLY
    name(holder, "c")
    assert log.record("c", EN_COLA, 2_000).result() is OLD

    assert ("c", ENTREGADO, 1_000) in statuses(store)


def test_an_early_status_outlives_its_writer(store: LedgerStore, holder: Holder):
    """It was durable when it was recorded: the next writer joins it."""
    with store.deliveries() as log:
        assert log.record("c", ENTREGADO, 1_000).result() is EARLY
    name(holder, "c")
    with store.deliveries() as log:
        assert log.count_open().result() == 1

    assert ("c", "ENTREGADO", 1_000) in statuses(store)


def test_an_early_status_outlives_its_holder(store: LedgerStore):
    """The next holder names the SMS; whichever says most stays."""
    with held(store):
        pass
    with store.deliveries() as log:
        for key, status in (("a", ENTREGADO), ("b", EN_COLA)):
            assert log.record(key, status, 1_000).result() is EARLY
    with held(store) as holder:
        name(holder, "a")
        name(holder, "b")
        with store.deliveries() as log:
            assert log.record("a", EN_COLA).result() is OLD
            assert log.record("b", ENTREGADO, 2_000).result() is NEWS

    assert statuses(store) == [("a", "ENTREGADO", 1_000), ("b", "ENTREGADO", 2_000)]


def test_a_status_finds_its_sms_without_anybody_asking(
    store: LedgerStore, holder: Holder, log: DeliveryLog
):
    """At the latest when the writer ends."""
    assert log.record("c", ENTREGADO, 1_000).result() is EARLY
    name(holder, "c")
    log.close()

    assert ("c", "ENTREGADO", 1_000) in statuses(store)


def test_a_status_of_an_sms_that_never_comes_is_dropped_after_a_time(
    store: LedgerStore, holder: Holder
):
    """It is of somebody else's SMS; what comes for one that does come later is new."""
    with store.deliveries(early_seconds=0) as log:
        assert log.record("c", ENTREGADO).result() is EARLY
        log.count_open().result()
        name(holder, "c")
        assert log.count_open().result() == 2
        assert log.record("c", EN_COLA).result() is NEWS


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "early"])
def test_a_number_in_hexadecimal_digits_is_the_same_in_capitals(
    store: LedgerStore, holder: Holder, log: DeliveryLog, *, is_known: bool
):
    """Of any other identifier, the case may tell two SMS apart."""
    number = "c7925e64955445bbbe0ae39339b9514c"
    uuid = "C7925E64-9554-45bb-be0a-e39339b9514d"
    pairs = [(number, number.upper()), (uuid.upper(), uuid), ("AbC", "aBc"), ("g" * 32, "G" * 32)]
    for ours, _ in pairs if is_known else ():
        accept(holder, ours)
    became = [log.record(theirs, ENTREGADO, 1).result() for _, theirs in pairs]
    for ours, _ in () if is_known else pairs:
        accept(holder, ours)
    log.count_open().result()

    same = NEWS if is_known else EARLY
    assert became == [same, same, EARLY, EARLY]
    delivered = [status for id_sms, status, _ in statuses(store) if id_sms not in {"a", None}]
    assert delivered == ["ENTREGADO", "ENTREGADO", None, None]


def test_only_sms_have_a_delivery_status(store: LedgerStore, holder: Holder, log: DeliveryLog):
    """An email with the same identifier has none."""
    holder.finish(entry("mail", kind="email"), State.ACCEPTED, None, "mail")
    assert log.record("mail", ENTREGADO).result() is EARLY
    assert log.count_open().result() == 1


def test_open_sms_are_read_page_by_page(store: LedgerStore):
    """Accepted SMS with an identifier and no final status; each with the time of its answer."""
    with held(store) as holder, store.deliveries() as log:
        for state in State:
            holder.run(bring(holder.ledger, entry(state), state))
        accept(holder, "nameless", None)
        holder.finish(entry("mail", kind="email"), State.ACCEPTED, None, "mail")
        numbers = [accept(holder, str(index)) for index in range(6)]
        for index, status in enumerate([ENTREGADO, EN_COLA, *FINAL[1:]]):
            log.record(str(index), status).result()
        first = log.open_sms(0, 2).result()
        second = log.open_sms(first[-1].number, 2).result()
        times = dict(rows_now(store, "key", "ended_at"))

        assert [(sms.number, sms.id) for sms in (*first, *second)] == [
            (numbers[index], str(index)) for index in (1, 4, 5)
        ]
        assert [round(sms.accepted_at, 3) for sms in first] == [times["1"], times["4"]]
        assert log.open_sms(second[-1].number, 2).result() == []
        assert log.count_open().result() == 3
        assert log.count_nameless().result() == 2
        check_times(log, first[1])


def check_times(log: DeliveryLog, middle: OpenSms) -> None:
    """Read and count what was accepted until then, since then, and just then."""
    at = middle.accepted_at
    assert [sms.id for sms in log.open_sms(0, 9, until=at).result()] == ["1", "4"]
    assert [sms.id for sms in log.open_sms(0, 9, since=at).result()] == ["4", "5"]
    assert log.open_sms(0, 9, since=at, until=at).result() == [middle]
    assert log.count_open(since=at).result() == log.count_open(until=at).result() == 2
    assert log.count_open(until=at - 1_000).result() == 0


def test_many_statuses_in_any_order_end_as_the_one_that_says_most(store: LedgerStore):
    """From several threads, beside a holder that goes on; a reader counts them."""
    ids = [str(number) for number in range(100)]
    told = [(id_sms, status) for id_sms in ids for status in (*WAY, ENTREGADO)]
    random.Random(1).shuffle(told)
    with held(store) as holder, store.deliveries() as log:
        futures = []

        def tell(part: int) -> None:
            futures.extend([log.record(*one) for one in told[part::3]])

        threads = [threading.Thread(target=tell, args=(part,)) for part in range(3)]
        for thread in threads:
            thread.start()
        for id_sms in ids:
            accept(holder, id_sms)
        for thread in threads:
            thread.join()
        results = {future.result() for future in futures}
        assert log.count_open().result() == 0

    assert len(futures) == len(told)
    assert results <= {NEWS, OLD, EARLY}
    with store.read() as reader:
        assert reader.deliveries(5) == {"ENTREGADO": 100}
        assert reader.totals()[State.ACCEPTED].messages == 100


def test_deliveries_are_counted_by_status(store: LedgerStore, holder: Holder, log: DeliveryLog):
    """The most frequent first, without anything that may be a number."""
    for key in "cdef":
        accept(holder, key)
    told = {"a": EN_COLA, "c": ENTREGADO, "d": ENTREGADO, "e": SmsStatus("no 56987688060")}
    for id_sms, status in told.items():
        log.record(id_sms, status).result()
    with store.read() as reader:
        assert reader.deliveries(1) == {"ENTREGADO": 2}
        assert list(reader.deliveries(5).items()) == [("ENTREGADO", 2), ("EN_COLA", 1), ("no …", 1)]


def test_a_delivery_status_does_not_move_a_message(store: LedgerStore):
    """Opening and resolving do as before; a status outlives them."""
    with held(store) as holder:
        accept(holder, "a")
        with store.deliveries() as log:
            log.record("a", ENTREGADO, 1_000).result()
    with held(store) as holder:
        assert holder.run(begin(holder.ledger, entry("a"))).found is State.ACCEPTED

    assert statuses(store) == [("a", "ENTREGADO", 1_000)]


def test_statuses_are_written_when_nobody_holds_the_ledger(store: LedgerStore):
    """As for days after a campaign, by several writers."""
    with held(store) as holder:
        accept(holder, "a")
        accept(holder, "b")
    with store.deliveries() as one, store.deliveries() as other:
        assert one.record("a", ENTREGADO, 1_000).result() is NEWS
        assert other.record("a", ENTREGADO, 2_000).result() is OLD
        assert other.record("b", EN_COLA).result() is NEWS
        assert one.count_open().result() == 1
    assert statuses(store) == [("a", "ENTREGADO", 1_000), ("b", "EN_COLA", None)]


def test_a_ledger_that_is_not_there_takes_no_statuses(store: LedgerStore):
    """It is named, and nothing is created; it is opened once it is there."""
    log = store.deliveries()
    for _ in range(2):
        with pytest.raises(LedgerError) as refused:
            log.open()
        assert str(refused.value).startswith(f"{refused.value.ledger}: ")
    with pytest.raises(LedgerError), store.read():
        pass
    with held(store), log:
        assert log.count_nameless().result() == 0


def test_a_log_that_is_not_open_takes_nothing(store: LedgerStore, holder: Holder):
    """Not yet or not any more; opening it twice and closing it twice is harmless."""
    log = store.deliveries()
    for _ in range(2):
        for call in (
            lambda: log.record("a", ENTREGADO),
            lambda: log.open_sms(0, 1),
            log.count_open,
            log.count_nameless,
        ):
            with pytest.raises(LedgerError, match="is not open"):
                call()
        log.open()
        log.open()
        assert log.count_open().result() == 1
        log.close()
        log.close()


def test_a_holder_closes_and_another_opens_beside_a_log(
    store: LedgerStore, log: DeliveryLog, holder: Holder
):
    """The log goes on with the new one."""
    holder.run(holder.ledger.close())
    assert log.record("a", EN_COLA).result() is NEWS
    holder.run(holder.ledger.open(policy()))
    name(holder, "c")

    assert log.record("c", ENTREGADO, 1_000).result() is NEWS
    assert {id_sms: status for id_sms, status, _ in statuses(store)} == {
        "a": "EN_COLA",
        None: None,
        "c": "ENTREGADO",
    }
