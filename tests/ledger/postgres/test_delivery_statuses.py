"""Delivery statuses of a campaign in a database: their index, their neighbours, and bad days."""

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from databases import Database
from doors import Holder, entry, held, rows_now

from connectus_async import LedgerError, SmsStatus
from connectus_async.ledger import create_tables, early_statuses
from connectus_async.ledger.abc import DeliveryLog
from connectus_async.ledger.postgres import delivery, delivery_index, delivery_rows
from connectus_async.ledger.postgres.store import PostgresStore
from connectus_async.ledger.records import Recorded
from connectus_async.ledger.states import State
from connectus_async.postgres_server import PostgresServer

EN_COLA, ENVIADO, ENTREGADO = SmsStatus.EN_COLA, SmsStatus.ENVIADO_A_CARRIER, SmsStatus.ENTREGADO
NEWS, OLD, EARLY = Recorded.NEWS, Recorded.OLD, Recorded.EARLY

INDEXES = """
SELECT indisvalid FROM pg_index WHERE indrelid = 'connectus.outcome'::regclass
AND pg_get_indexdef(indexrelid) LIKE '%provider_id%'
"""
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
MANY = (
    """
    INSERT INTO outcome (id, state, attempts, provider_id)
    SELECT id, 'accepted', 1, md5(id::text) FROM generate_series(1000000000, 1000004999) AS it (id)
    """,
    """
    INSERT INTO early_status (campaign, id, is_number, status, said_at, kept_at)
    SELECT campaign.id, 'x' || it, true, '', 0, 0 FROM campaign, generate_series(1, 5000) AS it
    """,
)
SCHEDULED = """
INSERT INTO delivery (id, status) SELECT id, 'PROGRAMADO' FROM outcome WHERE provider_id = ANY(%s)
"""
RIGHTS = """
CREATE ROLE clerk LOGIN;
GRANT USAGE ON SCHEMA connectus TO clerk;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA connectus TO clerk
"""


@pytest.fixture
def holder(store: PostgresStore) -> Iterator[Holder]:
    """Be a holder that has sent the SMS ``a`` and ``b``."""
    with held(store) as holder:
        accept(holder, "a")
        accept(holder, "b")
        yield holder


@pytest.fixture
def log(store: PostgresStore, holder: Holder) -> Iterator[DeliveryLog]:
    with store.deliveries() as log:
        yield log


@pytest.fixture
def administrator(postgres: PostgresServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.address(), autocommit=True) as connection:
        connection.execute("SET search_path = connectus")
        yield connection


@pytest.fixture
def without_index(administrator: psycopg.Connection) -> psycopg.Connection:
    administrator.execute(f"DROP INDEX IF EXISTS {delivery_index.NAME}")
    return administrator


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of the test alone, with the tables of ledgers."""
    with PostgresServer(syncs=False) as server:
        create_tables(server.address())
        yield server


def accept(holder: Holder, key: str) -> None:
    """Send an SMS, whose identifier is its key."""
    holder.finish(entry(key), State.ACCEPTED, None, key)


def statuses(store: PostgresStore) -> dict[str, str | None]:
    return dict(rows_now(store, "provider_id", "delivery_status"))


def waiting(administrator: psycopg.Connection, query: str) -> int:
    """Wait until a statement waits for a lock; return the process that has it."""
    while (row := administrator.execute(WAITING, [f"%{query}%"]).fetchone()) is None:
        pass
    return int(row[0])


@contextmanager
def locked(postgres: PostgresServer, *ids: str) -> Iterator[psycopg.Connection]:
    """Have somebody else record a status of SMS for a block."""
    with psycopg.connect(postgres.address()) as other:
        other.execute("SET search_path = connectus")
        other.execute(SCHEDULED, [[*ids]])
        yield other


def at_once(count: int, work: Callable[[int], object]) -> None:
    """Run something in threads that begin together."""
    starts = threading.Barrier(count)

    def run(number: int) -> None:
        starts.wait()
        work(number)

    with ThreadPoolExecutor(count) as pool:
        for _ in pool.map(run, range(count)):
            pass


@pytest.mark.parametrize("small", [delivery_index.SMALL, -1], ids=["small", "large"])
@pytest.mark.usefixtures("holder")
def test_logs_that_open_at_once_make_one_index(
    store: PostgresStore,
    without_index: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    small: int,
):
    """Each can record at once, whoever made it."""
    monkeypatch.setattr(delivery_index, "SMALL", small)

    def record(number: int) -> None:
        with store.deliveries() as log:
            assert log.record("a", [EN_COLA, ENTREGADO][number % 2]).result() in {NEWS, OLD}

    at_once(4, record)
    assert without_index.execute(INDEXES).fetchall() == [(True,)]
    assert statuses(store) == {"a": "ENTREGADO", "b": None}


@pytest.mark.usefixtures("holder")
def test_an_index_that_is_only_half_there_is_made_anew(
    store: PostgresStore, administrator: psycopg.Connection
):
    """As one is whose making was interrupted: PostgreSQL keeps it, and does not use it."""
    with store.deliveries():
        pass
    administrator.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass",
        [delivery_index.NAME],
    )
    with store.deliveries() as log:
        assert log.record("a", ENTREGADO).result() is NEWS

    assert administrator.execute(INDEXES).fetchall() == [(True,)]


@pytest.mark.usefixtures("holder")
def test_whoever_writes_does_not_wait_for_the_index(
    store: PostgresStore,
    without_index: psycopg.Connection,
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
):
    """The index waits for those who write already; others begin meanwhile."""
    monkeypatch.setattr(delivery_index, "LOCK_TIMEOUT", "SET LOCAL lock_timeout = '1ms'")
    log = store.deliveries()
    with ThreadPoolExecutor(1) as pool:
        with locked(postgres) as other:
            other.execute("UPDATE outcome SET reason = '' WHERE provider_id = 'a'")
            opening = pool.submit(log.open)
            waiting(without_index, "CREATE INDEX CONCURRENTLY")
            without_index.execute("UPDATE outcome SET reason = '' WHERE provider_id = 'b'")
            assert not opening.done()
        opening.result()
    assert log.record("a", ENTREGADO).result() is NEWS
    log.close()


@pytest.mark.usefixtures("holder")
def test_a_user_without_the_right_is_told_who_makes_the_index(
    postgres: PostgresServer, without_index: psycopg.Connection
):
    """And by what; then nothing but the right to write is needed."""
    without_index.execute(RIGHTS)
    log = PostgresStore(postgres.address(campaign="navidad", user="clerk")).deliveries()
    try:
        sentence = (
            r"needs an index .* only the owner of its tables can make: (DROP .*); (CREATE .*)"
        )
        with pytest.raises(LedgerError, match=sentence) as refused:
            log.open()
        for statement in re.search(sentence, str(refused.value)).groups():
            without_index.execute(statement)
        with log:
            assert log.record("a", ENTREGADO).result() is NEWS
            assert log.record("z", ENTREGADO).result() is EARLY
    finally:
        without_index.execute("DROP OWNED BY clerk; DROP ROLE clerk")


@pytest.mark.usefixtures("log")
def test_sms_are_looked_for_by_the_index(administrator: psycopg.Connection):
    """Its expression is the one of the statements."""
    administrator.execute("SET enable_seqscan = off")
    connection = delivery_rows.CampaignConnection(administrator, 1)
    values = {"now": 0, "id": ["a"], "is_number": [False], "status": [""], "place": [1]}
    plans = [
        str(connection.ask(f"EXPLAIN {delivery_rows.RECORD}", said_at=[0.0], **values)),
        str(connection.ask(f"EXPLAIN {delivery_rows.NAMED}", after=0)),
    ]
    assert all("outcome_provider_id" in plan for plan in plans)


@pytest.mark.usefixtures("log")
def test_many_sms_at_once_are_looked_for_by_the_index(administrator: psycopg.Connection):
    """To read all SMS for each status of a large group took milliseconds a status."""
    administrator.execute(delivery.SETTINGS)
    for statement in (*MANY, "ANALYZE outcome, early_status"):
        administrator.execute(statement)
    ((campaign,),) = administrator.execute("SELECT id FROM campaign")
    connection = delivery_rows.CampaignConnection(administrator, campaign)
    many = {"id": ["a"] * 1_000, "is_number": [True] * 1_000, "status": [""] * 1_000}
    values = {"now": 0, **many, "place": [1] * 1_000, "said_at": [0.0] * 1_000}
    plans = [
        str(connection.ask(f"EXPLAIN {delivery_rows.RECORD}", **values)),
        str(connection.ask(f"EXPLAIN {delivery_rows.NAMED}", after=0)),
    ]
    assert ["outcome_provider_id" in plan for plan in plans] == [True, True]


def test_a_status_is_for_the_sms_of_its_campaign(
    store: PostgresStore, database: Database, log: DeliveryLog
):
    """An SMS of another campaign with the same identifier is another one, and early ones too."""
    other = PostgresStore(database.address("pascua"))
    with held(other, campaign="pascua") as holder, other.deliveries() as theirs:
        accept(holder, "a")
        assert log.record("a", ENTREGADO).result() is NEWS
        assert theirs.record("a", EN_COLA).result() is NEWS
        assert log.record("c", ENTREGADO).result() is EARLY
        accept(holder, "c")
        assert theirs.count_open().result() == 2
        assert log.count_open().result() == 1
        assert [sms.id for sms in log.open_sms(0, 9).result()] == ["b"]
        assert theirs.record("b", EN_COLA).result() is EARLY
        assert [log.count_nameless().result(), theirs.count_nameless().result()] == [0, 0]

    assert statuses(store) == {"a": "ENTREGADO", "b": None}
    assert statuses(other) == {"a": "EN_COLA", "c": None}


def test_an_address_without_a_campaign_is_of_the_only_one(
    store: PostgresStore, postgres: PostgresServer, database: Database, holder: Holder
):
    """With a second one, it has to say which."""
    log = PostgresStore(postgres.address()).deliveries()
    with log:
        assert log.record("a", ENTREGADO).result() is NEWS
    with held(PostgresStore(database.address("pascua")), campaign="pascua"):
        pass
    with pytest.raises(LedgerError, match=r"several campaigns.* navidad, pascua"):
        log.open()


def test_logs_that_record_the_same_sms_at_once_keep_what_says_most(
    store: PostgresStore, administrator: psycopg.Connection
):
    """Beside a holder that names them meanwhile; nothing is left over."""
    ids = [str(number) for number in range(40)]

    def record(number: int) -> None:
        with store.deliveries() as log:
            words = [EN_COLA, ENVIADO, ENTREGADO]
            futures = [
                log.record(id_sms, words[(place + number) % 3])
                for place in range(3)
                for id_sms in ids[:: 1 - 2 * (number % 2)]
            ]
            assert {future.result() for future in futures} <= {NEWS, OLD, EARLY}

    with held(store) as holder:
        with ThreadPoolExecutor(1) as pool:
            recording = pool.submit(at_once, 4, record)
            for id_sms in ids:
                accept(holder, id_sms)
            recording.result()
        with store.deliveries() as log:
            assert log.count_open().result() == 0

    assert statuses(store) == dict.fromkeys(ids, "ENTREGADO")
    assert administrator.execute("SELECT count(*) FROM early_status").fetchall() == [(0,)]


def test_an_early_status_that_is_improved_while_its_sms_is_found_is_not_lost(
    store: PostgresStore,
    holder: Holder,
    log: DeliveryLog,
    postgres: PostgresServer,
    administrator: psycopg.Connection,
):
    """By a writer that has not seen the name of the SMS yet."""
    assert log.record("c", EN_COLA).result() is EARLY
    accept(holder, "c")
    with locked(postgres, "c"):
        future = log.record("c", ENVIADO)
        waiting(administrator, "FROM told")
        administrator.execute("UPDATE early_status SET status = 'ENTREGADO' WHERE id = 'c'")
    assert future.result() is NEWS
    assert log.count_open().result() == 2

    assert statuses(store)["c"] == "ENTREGADO"


def test_a_status_finds_its_sms_without_anybody_asking(
    store: PostgresStore, holder: Holder, log: DeliveryLog, monkeypatch: pytest.MonkeyPatch
):
    """The writer looks by itself, now and then."""
    monkeypatch.setattr(early_statuses, "FIRST_PAUSE", 0.01)
    log.record("c", ENTREGADO).result()
    accept(holder, "c")
    while statuses(store)["c"] is None:
        pass
    assert statuses(store)["c"] == "ENTREGADO"


def test_of_the_statuses_that_come_early_the_newest_are_kept(
    log: DeliveryLog,
    administrator: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    """Of this campaign alone; neither a flood of them nor a long identifier fills the disk."""
    monkeypatch.setattr(delivery_rows, "MAX_EARLY", 10)
    for number in range(25):
        log.record(f"c{number:02}", ENTREGADO).result()
    assert log.record("c" * 257, ENTREGADO).result() is EARLY
    log.close()

    found = administrator.execute("SELECT id FROM early_status ORDER BY id").fetchall()
    assert [id_sms for (id_sms,) in found] == [f"c{number}" for number in range(15, 25)]
    told = [int(re.search(r"dropped: (\d+)", line)[1]) for line in caplog.messages]
    assert sum(told) == 16


def test_a_connection_that_is_ended_is_opened_again(
    log: DeliveryLog, postgres: PostgresServer, administrator: psycopg.Connection
):
    """Also amid a group, which is written again; and what came meanwhile."""
    with locked(postgres, "a"):
        first = log.record("a", ENTREGADO)
        process = waiting(administrator, "FROM told")
        second = log.record("b", ENTREGADO)
        administrator.execute("SELECT pg_terminate_backend(%s, 60000)", [process])
    assert [first.result(), second.result()] == [NEWS, NEWS]

    administrator.execute(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE query LIKE %s",
        ["%FROM told%"],
    )
    assert log.count_open().result() == 0


def test_a_deadlock_with_somebody_else_is_no_failure(
    log: DeliveryLog, postgres: PostgresServer, administrator: psycopg.Connection
):
    """The group is written again once the other is done."""
    with locked(postgres, "b") as other:
        other.execute("SET deadlock_timeout = '1h'")  # so it is the log that is stopped
        futures = [log.record(id_sms, ENTREGADO) for id_sms in "ab"]
        waiting(administrator, "FROM told")
        other.execute(SCHEDULED, [["a"]])

    assert [future.result() for future in futures] == [NEWS, NEWS]


def test_a_crash_of_the_server_is_survived(server: PostgresServer):
    """What comes while it is away waits until it is back."""
    store = PostgresStore(server.address(campaign="navidad"))
    with held(store) as holder:
        accept(holder, "a")
    with store.deliveries() as log:
        server.crash()
        futures = [log.record("a", EN_COLA), log.record("b", ENTREGADO)]
        counted = log.count_open()
        server.start()
        assert [future.result() for future in futures] == [NEWS, EARLY]
        assert counted.result() == 1

    assert statuses(store) == {"a": "EN_COLA"}


def test_a_server_that_stays_away_is_given_up(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
):
    """Whoever waits gets the reason; a later status is recorded if it is back."""
    monkeypatch.setattr(delivery, "PATIENCE", 0.5)
    store = PostgresStore(server.address(campaign="navidad"))
    with held(store) as holder:
        accept(holder, "a")
    with store.deliveries() as log:
        log.count_open().result()
        server.crash()
        for ask in (lambda: log.record("a", ENTREGADO), log.count_open, log.count_nameless):
            with pytest.raises(LedgerError, match="navidad: cannot be reached"):
                ask().result()
        with pytest.raises(LedgerError, match="cannot be reached"):
            store.deliveries().open()
        server.start()
        assert log.record("a", ENTREGADO).result() is NEWS
