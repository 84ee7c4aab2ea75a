"""Tables of a database: made once, whoever asks, and by nobody without the right."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier

import psycopg
import pytest
from anyio.to_thread import run_sync
from doors import entry, finish, load, opened, policy, rows

from connectus_async import LedgerError
from connectus_async.ledger import create_tables, open_store
from connectus_async.postgres_server import PostgresServer

_NUMBERS = count(1)


@pytest.fixture
def administrator(postgres: PostgresServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.address(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def empty(postgres: PostgresServer, administrator: psycopg.Connection) -> Iterator[str]:
    """A database without tables, by its name."""
    name = f"empty_{next(_NUMBERS)}"
    administrator.execute(f"CREATE DATABASE {name}")
    yield name
    administrator.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def tables(address: str) -> list[str]:
    with psycopg.connect(address) as connection:
        found = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'connectus'"
        )
        return [name for (name,) in found]


def test_tables_are_made_once(postgres: PostgresServer, empty: str):
    """All of them in a schema of their own; again, nothing changes."""
    address = postgres.address(empty)

    assert [create_tables(address), create_tables(address)] == [True, False]
    assert {"campaign", "entry", "outcome", "message", "version"} <= {*tables(address)}


def test_two_who_make_tables_at_once_make_them_once(postgres: PostgresServer, empty: str):
    """The second waits for the first."""
    starts = Barrier(4)

    def make(_: int) -> bool:
        starts.wait()
        return create_tables(postgres.address(empty))

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(make, range(4))) == [False, False, False, True]


@pytest.mark.parametrize(
    ("number", "problem"),
    [(9_999, "made by a newer connectus-async .* 9999"), (0, "of an older connectus-async")],
)
def test_tables_of_another_version_are_left_alone(
    postgres: PostgresServer, empty: str, number: int, problem: str
):
    """What another version knows may be lost by this one."""
    address = postgres.address(empty)
    create_tables(address)
    with psycopg.connect(address) as connection:
        connection.execute("UPDATE connectus.version SET number = %s", [number])

    with pytest.raises(LedgerError, match=problem):
        create_tables(address)


def test_who_may_make_no_schema_is_told_so(
    postgres: PostgresServer, administrator: psycopg.Connection, empty: str
):
    """And nothing of it is left in the database."""
    administrator.execute("CREATE ROLE sender LOGIN")
    try:
        with pytest.raises(LedgerError, match="has not the right"):
            create_tables(postgres.address(empty, user="sender"))
        assert not tables(postgres.address(empty))
    finally:
        administrator.execute("DROP ROLE sender")


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        (lambda server: server.address("missing"), "does not let this user into this database"),
        (
            lambda server: server.address(user="missing"),
            "does not let this user into this database",
        ),
        (lambda server: server.address(port="1"), "cannot be reached"),
        (lambda server: server.address(sslmod="x"), "something that libpq does not know"),
    ],
    ids=["database", "user", "port", "parameter"],
)
def test_a_database_that_cannot_be_used_says_why(
    postgres: PostgresServer, place: Callable[[PostgresServer], str], problem: str
):
    """In one sentence; who sets up a database is the one who can put it right."""
    with pytest.raises(LedgerError, match=problem):
        create_tables(place(postgres))


RIGHTS = """
GRANT USAGE ON SCHEMA connectus TO sender;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA connectus TO sender;
"""


async def test_who_sends_needs_rights_on_rows_alone(
    postgres: PostgresServer, administrator: psycopg.Connection, empty: str
):
    """To load, to send, to try and to read; the tables are somebody else's."""
    address = postgres.address(empty, campaign="navidad")
    await run_sync(create_tables, address)
    administrator.execute("CREATE ROLE sender LOGIN")
    with psycopg.connect(address.partition("&campaign=")[0]) as connection:
        connection.execute(RIGHTS)
    store = open_store(address.replace("user=postgres", "user=sender"))
    try:
        async with opened(store) as ledger:
            await load(ledger, entry("a"), entry("b"))
            await finish(ledger, entry("c"))
        trial = store.trial()
        await trial.open(policy())
        await load(trial, entry("a"), entry("d"))
        await trial.close()
        assert await rows(store, "key", "state") == [
            ("a", "queued"),
            ("b", "queued"),
            ("c", "accepted"),
        ]
    finally:
        administrator.execute(f"DROP DATABASE {empty} WITH (FORCE)")
        administrator.execute("DROP ROLE sender")
