"""What became of sent SMS, written into their ledger beside its sender."""

import re
import sqlite3
from contextlib import closing

import pytest
from anyio.to_thread import run_sync
from report_ledgers import add, fill_disk, message, write_ledger

from connectus_async import AsyncConnectus, LedgerError, Sms, SmsStatus
from connectus_async.errors import ConfigurationError
from connectus_async.ledger import early_statuses, open_store
from connectus_async.ledger.records import Recorded
from connectus_async.ledger.sqlite import delivery_rows
from connectus_async.ledger.sqlite.delivery import SqliteDeliveryLog

EN_COLA, ENTREGADO = SmsStatus.EN_COLA, SmsStatus.ENTREGADO


@pytest.fixture
def path(tmp_path):
    return write_ledger(tmp_path / "navidad.db", [message(provider_id="a"), message()])


@pytest.fixture
def ledger(path):
    with SqliteDeliveryLog(path) as ledger:
        yield ledger


def read(path):
    query = "SELECT provider_id, delivery_status, delivered_at FROM message ORDER BY id"
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def name(path, id_sms, number=2):
    """Have the sender of a ledger name an SMS."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE message SET provider_id = ? WHERE id = ?", (id_sms, number))


def dropped(caplog):
    """The numbers that were put into the log, and nothing else."""
    sentence = r"delivery statuses dropped: (\d+)\. The ledger never had their SMS; .* those SMS"
    return [int(re.fullmatch(sentence, line)[1]) for line in caplog.messages]


def early(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT id, status FROM early_status ORDER BY 1").fetchall()


def test_a_status_that_is_faster_than_the_sender_outlives_its_writer(path):
    """It is on disk when it was taken: whoever is killed, the next writer joins it."""
    ledger, other = SqliteDeliveryLog(path), SqliteDeliveryLog(path)
    with ledger, other:
        assert ledger.record("b", ENTREGADO, 1_000).result() is Recorded.EARLY
        assert early(path) == [("b", "ENTREGADO")]
        name(path, "b")
        assert other.count_open().result() == 2  # it has not heard of the status, nor has to look
        with SqliteDeliveryLog(path) as after_a_restart:
            assert after_a_restart.count_open().result() == 1
    assert read(path)[1] == ("b", "ENTREGADO", 1_000)
    assert early(path) == []


def test_the_word_that_says_most_stays_whichever_came_before_its_sms(path):
    """One that comes after the sender named the SMS is news only if it says more."""
    words = [EN_COLA, ENTREGADO]
    for number, (first, second) in enumerate([words, words[::-1]], 2):
        with closing(sqlite3.connect(path)) as connection, connection:
            add(connection, message())
        id_sms = f"b{number}"
        with SqliteDeliveryLog(path) as ledger:
            assert ledger.record(id_sms, first, 1_000 * number).result() is Recorded.EARLY
        name(path, id_sms, number)
        with SqliteDeliveryLog(path) as ledger:
            became = ledger.record(id_sms, second, 1).result()
            assert became is (Recorded.NEWS if second is ENTREGADO else Recorded.OLD)
        assert read(path)[number - 1][:2] == (id_sms, "ENTREGADO")
    assert early(path) == []


def test_a_status_finds_its_sms_without_anybody_asking(path, monkeypatch):
    """The writer looks by itself, now and then."""
    monkeypatch.setattr(early_statuses, "FIRST_PAUSE", 0.01)
    with SqliteDeliveryLog(path) as ledger:
        ledger.record("b", ENTREGADO, 1_000).result()
        name(path, "b")
        while read(path)[1][1] is None:
            pass
    assert read(path)[1] == ("b", "ENTREGADO", 1_000)


def test_a_status_of_somebody_elses_sms_is_let_go_after_a_time(path, caplog):
    """It is tried once more then; how many those are is said, and not whose."""
    with SqliteDeliveryLog(path, early_seconds=0) as ledger:
        for id_sms in ("b", "c"):
            assert ledger.record(id_sms, ENTREGADO).result() is Recorded.EARLY
        assert ledger.count_open().result() == 1
        name(path, "b")
    assert read(path)[1] == ("b", None, None)
    assert early(path) == []
    assert sum(dropped(caplog)) == 2


def test_of_the_statuses_that_come_early_so_many_are_kept(path, caplog, monkeypatch):
    """The newest ones; neither a flood of them nor a long identifier fills the disk."""
    monkeypatch.setattr(delivery_rows, "MAX_EARLY", 10)
    with SqliteDeliveryLog(path) as ledger:
        for number in range(25):
            ledger.record(f"b{number:02}", ENTREGADO).result()
        assert ledger.record("c" * 257, ENTREGADO).result() is Recorded.EARLY
        assert early(path) == [(f"b{number}", "ENTREGADO") for number in range(15, 25)]
    assert dropped(caplog) == [
        1,
        15,
    ]  # the first at once, the others once an hour or at the end


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_a_ledger_of_an_older_version_keeps_what_comes_early_too(path, version):
    """It stays a ledger of that version."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    with SqliteDeliveryLog(path) as ledger:
        ledger.record("b", ENTREGADO, 1_000).result()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (version,)
    assert early(path) == [("b", "ENTREGADO")]


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_a_sender_takes_up_a_ledger_with_early_statuses(
    tmp_path, connectus: AsyncConnectus, version
):
    """What it names then is joined, whichever version made the ledger."""
    path = tmp_path / "a.db"
    async with connectus.bulk(ledger=path) as bulk:
        await bulk.run([])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    ledger = SqliteDeliveryLog(path)
    await run_sync(ledger.open)
    ids = []
    async with connectus.bulk(ledger=path) as bulk:
        await bulk.run([Sms("56987688060", "Hola")], on_outcome=lambda it: ids.append(it.id))
    await run_sync(ledger.close)
    assert [id_sms for id_sms, *_ in read(path)] == ids


def test_a_ledger_without_room_refuses_what_comes_early(ledger, path):
    """So that it is not answered 200."""
    fill_disk(path, "INSERT ON early_status")
    with pytest.raises(LedgerError, match="the disk is full"):
        ledger.record("b", ENTREGADO).result()
    assert ledger.record("a", ENTREGADO).result() is Recorded.NEWS


def test_sms_without_a_name_are_counted(tmp_path):
    """Of those that were accepted; the others have none yet."""
    rows = [message(provider_id=""), message(), message(state="queued"), message(kind="email")]
    with SqliteDeliveryLog(write_ledger(tmp_path / "a.db", rows)) as ledger:
        assert ledger.count_nameless().result() == 2
        assert ledger.count_open().result() == 0


async def test_statuses_are_written_while_the_sender_is_sending(
    tmp_path, connectus: AsyncConnectus
):
    """Each waits for the other, and neither loses anything."""
    path = tmp_path / "a.db"
    messages = [Sms(f"569{number:08}", "Hola") for number in range(500)]
    ledger = SqliteDeliveryLog(path)
    async with connectus.bulk(ledger=path) as bulk:
        await run_sync(ledger.open)
        stream = bulk.stream(messages)
        futures = [ledger.record(outcome.id, ENTREGADO) async for outcome in stream]
        await bulk.counts()
        await run_sync(ledger.close)
    assert {future.result() for future in futures} <= {Recorded.NEWS, Recorded.EARLY}
    assert {status for _, status, _ in read(path)} == {"ENTREGADO"}


def test_a_full_disk_is_said_and_passes(ledger, path):
    """The next status is written if there is room again."""
    fill_disk(path, "UPDATE ON outcome")
    with pytest.raises(LedgerError, match="the disk is full"):
        ledger.record("a", ENTREGADO).result()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TRIGGER full")
    assert ledger.record("a", ENTREGADO).result() is Recorded.NEWS


def test_what_is_no_ledger_is_refused(tmp_path):
    """In one sentence."""
    (tmp_path / "a.db").write_text("no ledger")
    with pytest.raises(LedgerError, match="is not a ledger"):
        SqliteDeliveryLog(tmp_path / "a.db").open()
    with pytest.raises(LedgerError, match="no such file"):
        SqliteDeliveryLog(tmp_path / "b.db").open()
    with pytest.raises(ConfigurationError, match="ledger: must be a path or an address"):
        open_store(7)
    with pytest.raises(LedgerError, match="is not open"):
        SqliteDeliveryLog(tmp_path / "a.db").record("a", ENTREGADO)


def test_a_question_that_cannot_be_answered_says_why(ledger, path):
    """A ledger that somebody took apart."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE outcome")
    with pytest.raises(LedgerError, match="cannot be used"):
        ledger.count_open().result()


def test_a_ledger_of_another_run_gets_its_index_once(path):
    """Opening it again changes nothing."""
    for _ in range(2):
        with SqliteDeliveryLog(path) as ledger:
            assert ledger.count_open().result() == 1
    with closing(sqlite3.connect(path)) as connection, connection:
        add(connection, message(provider_id="c"))
        plans = [
            str(connection.execute(f"EXPLAIN QUERY PLAN {query}", ("[]",)).fetchall())
            for query in (delivery_rows.PRESENT.record, delivery_rows.PRESENT.known)
        ]
    assert all("SEARCH outcome USING INDEX message_provider_id" in plan for plan in plans)
