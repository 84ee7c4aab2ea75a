"""Queries of SQLite, PostgreSQL and DuckDB: read in a stream, and nothing is changed."""

import datetime as dt
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from itertools import islice
from pathlib import Path

import anyio
import duckdb
import psycopg
import pytest
from anyio.to_thread import run_sync

from connectus_async import ConfigurationError, InvalidArgumentError
from connectus_async.postgres_server import PostgresServer
from connectus_async.recipients.cells import format_cell, is_blank
from connectus_async.recipients.sources import Line, Source, _databases, from_query

PASSWORD = "correct-horse"
ROWS = 1_234

PEOPLE = f"""
CREATE TABLE people AS
SELECT '569' || CAST(80000000 + i AS text) AS dst_number, 'Ana ' || CAST(i AS text) AS name, i
FROM (WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < {ROWS - 1})
      SELECT i FROM r) AS numbers
"""

Execute = Callable[[str], list[tuple[object, ...]]]


class Place:
    """A database, and a way to look at it and to change it."""

    def __init__(self, address: str, execute: Execute) -> None:
        self.address = address
        self.execute = execute


@pytest.fixture
def sqlite(tmp_path: Path) -> Place:
    path = tmp_path / "crm #1?.db"

    def execute(statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(statement).fetchall()

    return Place(f"sqlite:///{path}", execute)


@pytest.fixture
def duck(tmp_path: Path) -> Place:
    path = tmp_path / "crm.duckdb"

    def execute(statement: str) -> list[tuple[object, ...]]:
        with closing(duckdb.connect(path)) as connection:
            return connection.execute(statement).fetchall()

    return Place(f"duckdb:///{path}", execute)


@pytest.fixture
def postgresql(postgres: PostgresServer) -> Iterator[Place]:
    def execute(statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(postgres.address(), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    yield Place(postgres.address(password=PASSWORD), execute)
    execute("DROP TABLE IF EXISTS people")


@pytest.fixture(params=["sqlite", "postgresql", "duck"])
def place(request: pytest.FixtureRequest) -> Place:
    """A database with people, once of each kind."""
    found: Place = request.getfixturevalue(request.param)
    found.execute(PEOPLE)
    return found


async def lines_of(source: Source) -> list[Line]:
    return [line async for batch in source.batches() for line in batch]


async def test_rows_come_in_the_order_of_the_query_as_often_as_they_are_read(place: Place):
    """They are numbered from 1; their number is not known before."""
    query = await from_query("SELECT * FROM people ORDER BY i DESC", database=place.address)
    lines = await lines_of(query)

    assert (list(query.columns), query.length) == (["dst_number", "name", "i"], None)
    assert lines == [
        Line(number, {"dst_number": f"569{80_000_000 + i}", "name": f"Ana {i}", "i": i})
        for number, i in enumerate(reversed(range(ROWS)), 1)
    ]
    assert await lines_of(query) == lines
    assert await query.count() == ROWS


async def test_a_reading_that_was_given_up_holds_nothing(place: Place):
    """The table can be changed right after."""
    query = await from_query("SELECT * FROM people", database=place.address)

    def begin() -> int:
        with closing(query.lines()) as lines:
            return len(list(islice(lines, 3)))

    assert await run_sync(begin) == 3
    place.execute("DELETE FROM people WHERE i > 0")

    assert await query.count() == 1


async def test_signs_that_mean_something_elsewhere_are_left_as_they_are(place: Place):
    """No sign of a text stands for a parameter; a comment and a semicolon may end the query."""
    text = "SELECT '5%' AS a, '%s' AS b, ':x ?' AS c, 'ñ' AS d; -- done"
    (line,) = await lines_of(await from_query(text, database=place.address))

    assert line.cells == {"a": "5%", "b": "%s", "c": ":x ?", "d": "ñ"}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM people",
        "DELETE FROM people RETURNING name",
        "WITH gone AS (SELECT 1) DELETE FROM people",
        "SELECT 1 AS a; DELETE FROM people",
        "SELECT 1 AS a; COMMIT; DELETE FROM people",
        "COMMIT",
        "DROP TABLE people",
        "CREATE TABLE people2 AS SELECT * FROM people",
        "",
        "-- nothing",
    ],
)
async def test_a_statement_that_is_no_query_is_refused(place: Place, statement: str):
    """Nothing of it is run."""
    with pytest.raises(InvalidArgumentError, match=r"one that reads|one query that reads"):
        await from_query(statement, database=place.address)

    assert place.execute("SELECT count(*) FROM people") == [(ROWS,)]


@pytest.mark.parametrize(
    "statement", ["ATTACH DATABASE '{new}' AS n", "VACUUM INTO '{new}'", "PRAGMA query_only = off"]
)
async def test_sqlite_makes_no_file(sqlite: Place, tmp_path: Path, statement: str):
    """Though it could with a connection that only reads its own."""
    sqlite.execute(PEOPLE)
    new = tmp_path / "new.db"

    with pytest.raises(InvalidArgumentError, match="one query that reads"):
        await from_query(statement.format(new=new), database=sqlite.address)

    assert not new.exists()


async def test_duckdb_copies_nothing_to_a_file(duck: Place, tmp_path: Path):
    """Though it could with a connection that only reads its own."""
    new = tmp_path / "new.csv"

    duck.execute(PEOPLE)
    with pytest.raises(InvalidArgumentError, match="one query that reads"):
        await from_query(f"COPY people TO '{new}'", database=duck.address)

    assert not new.exists()


async def test_a_function_that_writes_is_refused_by_postgresql(postgresql: Place):
    """The transaction only reads, whatever a query calls."""
    postgresql.execute(PEOPLE)
    postgresql.execute("CREATE SEQUENCE tickets")
    try:
        with pytest.raises(InvalidArgumentError, match="one query that reads"):
            source = await from_query("SELECT nextval('tickets') AS a", database=postgresql.address)
            await lines_of(source)
    finally:
        postgresql.execute("DROP SEQUENCE tickets")


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("SELECT nope FROM people", "does not take the query.*nope"),
        ("SELECT name FROM persons", "does not take the query.*persons"),
        ("SELEC name FROM people", "does not take the query"),
    ],
)
async def test_a_wrong_query_says_what_is_wrong(place: Place, statement: str, problem: str):
    """In the words of the database, which name parts of the query."""
    with pytest.raises(InvalidArgumentError, match=problem) as raised:
        await from_query(statement, database=place.address)

    assert PASSWORD not in str(raised.value)
    assert "user=" not in str(raised.value)


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
async def test_two_columns_of_the_same_name_are_refused(place: Place):
    """Nobody knows which is meant. DuckDB gives the second one another name."""
    with pytest.raises(InvalidArgumentError, match="gives columns 1 and 2 the same name"):
        await from_query("SELECT name, name FROM people", database=place.address)


@pytest.mark.parametrize(
    ("place", "rows"), [("postgresql", 10_000), ("duck", 3_000_000)], indirect=["place"]
)
async def test_rows_are_computed_as_they_are_read(place: Place, rows: int):
    """So the first come, though the last fails. DuckDB is some megabytes ahead."""
    text = f"SELECT CAST(CASE WHEN i = {rows} THEN 'x' ELSE '1' END AS int) AS a"
    text += f" FROM generate_series(1, {rows}) t(i)"
    query = await from_query(text, database=place.address)

    def first() -> Line:
        with closing(query.lines()) as lines:
            return next(lines)

    assert await run_sync(first) == Line(1, {"a": 1})


async def test_an_error_half_way_quotes_no_value(postgresql: Place, duck: Place):
    """Databases quote the value that they could not convert."""
    for place in (postgresql, duck):
        place.execute(PEOPLE)
        text = "SELECT CAST(CASE WHEN i = 1000 THEN dst_number || 'x' ELSE '1' END AS int) AS a"
        query = await from_query(f"{text} FROM people", database=place.address)

        with pytest.raises(InvalidArgumentError, match="cannot be read") as raised:
            await lines_of(query)

        assert "5698" not in str(raised.value)


async def test_a_text_that_is_not_text_is_named_without_it(sqlite: Place):
    """Python quotes it."""
    sqlite.execute(PEOPLE)
    text = "SELECT CASE WHEN i = 1000 THEN CAST(x'51ff' AS text) ELSE 'x' END AS a FROM people"
    query = await from_query(text, database=sqlite.address)

    with pytest.raises(InvalidArgumentError, match="a value that cannot be read") as raised:
        await lines_of(query)

    assert "Q" not in str(raised.value)


async def test_a_table_that_changed_its_columns_is_not_read(place: Place):
    """Templates and recipients were checked against the columns that it had."""
    query = await from_query("SELECT * FROM people", database=place.address)
    place.execute("ALTER TABLE people ADD COLUMN extra text")

    with pytest.raises(InvalidArgumentError, match="has other columns"):
        await lines_of(query)


async def test_a_file_in_use_says_so(sqlite: Place, monkeypatch: pytest.MonkeyPatch):
    """The query waits a while for it, and then the error says what to do."""
    monkeypatch.setattr(_databases, "BUSY_SECONDS", 0)
    sqlite.execute(PEOPLE)
    path = sqlite.address.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InvalidArgumentError, match="is in use by another program: close it"):
            await from_query("SELECT * FROM people", database=sqlite.address)


async def test_types_of_postgresql_become_cells(postgresql: Place):
    """A value that Python cannot hold is an error; the rest is what the database shows."""
    text = """
    SELECT 1.10::numeric(6, 2) AS price, 'NaN'::numeric AS nan, 0.1::real AS single,
    DATE '2026-12-24' AS day, TIME '15:30' AS hour, gen_random_uuid() AS id, NULL AS nothing,
    true AS vip, ARRAY[1, 2] AS list, '{"a": 1}'::jsonb AS document
    """
    (line,) = await lines_of(await from_query(text, database=postgresql.address))
    cells = line.cells
    assert not isinstance(cells, InvalidArgumentError)

    assert (cells["price"], cells["day"]) == (Decimal("1.10"), dt.date(2026, 12, 24))
    assert (format_cell("single", cells["single"]), cells["hour"]) == ("0.1", dt.time(15, 30))
    assert len(str(cells["id"])) == 36
    assert is_blank(cells["nothing"])
    assert is_blank(cells["nan"])
    assert (cells["vip"], cells["list"], cells["document"]) == (True, [1, 2], {"a": 1})

    with pytest.raises(InvalidArgumentError, match="has a value that cannot be read"):
        await lines_of(
            await from_query("SELECT DATE 'infinity' AS day", database=postgresql.address)
        )


async def test_a_float_of_duckdb_has_the_digits_of_its_own_type(duck: Place):
    """As in any dataframe."""
    duck.execute(PEOPLE)

    (line,) = await lines_of(await from_query("SELECT 0.1::FLOAT AS a", database=duck.address))

    assert line.cells == {"a": 0.1}


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("mysql://ana:correct-horse@db.example/crm", "must be the address of a database"),
        ("sqlite://", "must be the address of a database"),
        ("crm.db", "must be the address of a database"),
        ("sqlite:///no/such.db", "there is no file no/such.db"),
        ("duckdb:///no/such.duckdb", "there is no file no/such.duckdb"),
        ("postgresql://ana:correct-horse@/crm?x", "has parameters that are not NAME=VALUE"),
        ("postgresql://db.example/crm?campaign=a", "has the parameter campaign"),
        ("postgresql://ana:correct-horse@no.invalid/crm", "no.invalid/crm.*cannot be reached"),
        ("postgresql://no.invalid/crm?nope=correct-horse", "does not know|libpq"),
    ],
)
async def test_a_wrong_address_is_refused_without_its_secrets(address: str, problem: str):
    """The error says what to do."""
    with pytest.raises(InvalidArgumentError, match=problem) as raised:
        await from_query("SELECT 1 AS a", database=address)

    assert PASSWORD not in str(raised.value)
    assert "ana" not in str(raised.value)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path):
    """It is named."""
    path = tmp_path / "notes.db"
    path.write_text("not a database, but long enough to be taken for one" * 20)

    for scheme in ("sqlite", "duckdb"):
        with pytest.raises(InvalidArgumentError, match=r"notes\.db: "):
            await from_query("SELECT 1 AS a FROM x", database=f"{scheme}:///{path}")


async def test_neither_the_query_nor_the_password_is_in_a_repr(postgresql: Place):
    """A query may name people, and an address has a password."""
    postgresql.execute(PEOPLE)
    query = await from_query(
        "SELECT * FROM people WHERE name = 'Ana 7'", database=postgresql.address
    )

    assert PASSWORD not in repr(query)
    assert "Ana" not in repr(query) + query.name
    assert PASSWORD not in query.database.address


async def test_another_query_has_another_name(place: Place):
    """So that a ledger tells one from another."""
    one, same, other = [
        await from_query(f"SELECT * FROM people WHERE i < {most}", database=place.address)
        for most in (5, 5, 6)
    ]

    assert one.name == same.name
    assert one.name != other.name


@pytest.mark.parametrize(
    ("place", "missing", "extra"),
    [
        ("sqlite", "sqlalchemy", "databases"),
        ("postgresql", "sqlalchemy", "databases"),
        ("postgresql", "psycopg", "databases"),
        ("duck", "duckdb", "duckdb"),
    ],
    indirect=["place"],
)
async def test_a_missing_library_is_named(
    place: Place, monkeypatch: pytest.MonkeyPatch, missing: str, extra: str
):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(ConfigurationError, match=rf"connectus-async\[{extra}\]"):
        await from_query("SELECT 1 AS a", database=place.address)


@pytest.mark.parametrize("seconds", [0, 0.2])
async def test_a_query_that_nobody_waits_for_any_more_is_interrupted(place: Place, seconds: float):
    """It would go on for years, and Ctrl-C with it."""
    endless = "SELECT count(*) AS a FROM people a, people b, people c, people d, people e"

    with anyio.move_on_after(seconds) as scope:
        await lines_of(await from_query(endless, database=place.address))

    assert scope.cancelled_caught
