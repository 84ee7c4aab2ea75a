"""Forks of a process that has handled webhooks for a ledger in a database."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from scripts import ended, ran, started
from test_webhook_fork import FORK, IDS

from connectus_async.ledger.postgres.schema import CHUNK, DONE
from connectus_async.postgres_server import PostgresServer

SENT = f"""
WITH made AS (INSERT INTO campaign (name) VALUES ('navidad') RETURNING id),
filled AS (
    INSERT INTO chunk (campaign, state, begun) SELECT id, {DONE}, 0 FROM made RETURNING *
),
sent AS (
    SELECT filled.id * {CHUNK} + place AS id, campaign, it.id AS provider_id
    FROM filled, unnest(%s::text[]) WITH ORDINALITY AS it (id, place)
),
loaded AS (
    INSERT INTO entry (id, campaign, kind, recipient, body, billed)
    SELECT id, campaign, 'sms', '56987688060', '{{}}', 1 FROM sent
)
INSERT INTO outcome (id, state, attempts, provider_id)
SELECT id, 'accepted', 1, provider_id FROM sent
"""
DELIVERED = """
SELECT coalesce(string_agg(provider_id, '' ORDER BY provider_id), '') FROM message
WHERE delivery_status = 'ENTREGADO'
"""

WRITING = """
import psycopg

def fork_amid_a_status(child):
    with psycopg.connect(sys.argv[2]) as other:
        other.execute(
            "INSERT INTO connectus.delivery (id, status)"
            " SELECT id, '' FROM connectus.outcome WHERE provider_id = 'c'"
        )
        future = handle._ledger.record("c", SmsStatus.ENTREGADO)
        with psycopg.connect(sys.argv[2], autocommit=True) as observer:
            query = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while not observer.execute(query).fetchone():
                pass
        ended(fork(child))
    future.result()
"""


@pytest.fixture
def administrator(
    postgres: PostgresServer, postgres_ledger: str
) -> Iterator[psycopg.Connection[tuple[str]]]:
    """Somebody who has sent the SMS of `IDS`."""
    with psycopg.connect(postgres.address(), autocommit=True) as connection:
        connection.execute("SET search_path = connectus")
        connection.execute(SENT, [[*IDS]])
        yield connection


@pytest.fixture
def delivered(administrator: psycopg.Connection[tuple[str]]) -> Callable[[], str]:
    return lambda: "".join(*administrator.execute(DELIVERED))


def test_a_handler_that_was_used_before_a_fork_goes_on_in_parent_and_child(
    postgres_ledger: str, delivered: Callable[[], str]
):
    """Also in a grandchild; each of them closes its own, or leaves it."""
    script = """
def grandchild():
    handle(status("d"))

def child():
    handle(status("b"))
    ended(fork(grandchild))
    handle(status("c"))
    handle.close()

handle(status("a"))
ended(fork(child))
ended(fork(handle.close))
ended(fork(gc.collect))
handle(status("e"))
handle.close()
"""
    assert ran(FORK + script, postgres_ledger) == ["child 0"] * 4
    assert delivered() == "abcde"


def test_many_forks_while_other_threads_write(postgres_ledger: str, delivered: Callable[[], str]):
    """At whatever moment the fork comes, no child hangs, and nothing is lost."""
    script = """
is_over = threading.Event()

def work(id_sms):
    while not is_over.is_set():
        handle(status(id_sms))

threads = [threading.Thread(target=work, args=id_sms) for id_sms in "abc"]
for thread in threads:
    thread.start()
for number in range(20):
    ended(fork(lambda: handle(status("d"))))
is_over.set()
for thread in threads:
    thread.join()
handle.close()
"""
    assert ran(FORK + script, postgres_ledger) == ["child 0"] * 20
    assert delivered() == "abcd"


def test_a_fork_amid_a_status_leaves_the_connection_to_the_parent(
    postgres: PostgresServer, postgres_ledger: str, delivered: Callable[[], str]
):
    """The child has one of its own at once, and the parent's status is written."""
    script = """
fork_guard.LONGEST_WAIT = 0.01

def child():
    handle(status("b"))
    handle.close()
    gc.collect()

handle(status("a"))
fork_amid_a_status(child)
handle(status("d"))
handle.close()
"""
    addresses = postgres_ledger, postgres.address()
    assert ran(FORK + WRITING + script, *addresses) == ["child 0"]
    assert delivered() == "abcd"


def test_a_fork_that_python_does_not_hear_of_leaves_the_connection_to_the_parent(
    postgres_ledger: str, delivered: Callable[[], str]
):
    """A server in C may fork without a word."""
    script = """
import ctypes

handle(status("a"))
sys.stdout.flush()
pid = ctypes.PyDLL(None).fork()
if not pid:
    handle(status("b"))
    handle.close()
    os._exit(0)
ended(pid)
handle(status("c"))
handle.close()
"""
    assert ran(FORK + script, postgres_ledger) == ["child 0"]
    assert delivered() == "abc"


def test_a_status_that_came_early_before_a_fork_finds_its_sms_after_it(
    postgres_ledger: str,
    administrator: psycopg.Connection[tuple[str]],
    delivered: Callable[[], str],
):
    """Whoever hears of the next one joins it."""
    script = """
handle(status("z"))

def child():
    say("forked")
    sys.stdin.readline()
    handle(status("a"))
    handle.close()

ended(fork(child))
"""
    with started(FORK + script, postgres_ledger) as process:
        assert process.stdout.readline() == "forked\n"
        administrator.execute("UPDATE outcome SET provider_id = 'z' WHERE provider_id = 'h'")
        process.stdin.write("\n")
        assert ended(process) == ["child 0"]
    assert delivered() == "az"
