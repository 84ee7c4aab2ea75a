"""The keys of a ledger: wherever a key is, it is found, after a crash and in an old ledger too."""

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from old_schemas import SCHEMAS

from connectus_async import LedgerError
from connectus_async.ledger.records import Entry, Loading, Policy
from connectus_async.ledger.sqlite import key_index
from connectus_async.ledger.sqlite.key_index import KeyIndex
from connectus_async.ledger.sqlite.ledger import SqliteLedger
from connectus_async.ledger.sqlite.schema import SCHEMA_VERSION
from connectus_async.ledger.states import OnUnknown, SkipReason, State

POLICY = Policy("", "message", OnUnknown.HOLD, forgets_content=False)
FEW = 4
KEYS = "abcdefghij"


@pytest.fixture
def few_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_index, "MOST_IN_MEMORY", FEW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


def entry(key: str) -> Entry:
    return Entry(key, None, "sms", "56987688060", "{}", 1)


async def opened(path: Path) -> SqliteLedger:
    ledger = SqliteLedger(path)
    await ledger.open(POLICY)
    return ledger


def read(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["begin", "load"]), st.lists(st.sampled_from(KEYS), min_size=1)),
        st.tuples(st.sampled_from(["reopen", "crash"]), st.just([])),
    ),
    min_size=1,
    max_size=12,
)


@given(steps=STEPS, filter_bytes=st.sampled_from([1, 1 << 10]), most_read=st.sampled_from([0, 99]))
@settings(deadline=None, max_examples=60)
def test_a_key_is_begun_once_whatever_comes_between(
    steps: list[tuple[str, list[str]]], filter_bytes: int, most_read: int
):
    """Groups with twins, loadings, restarts and crashes, while keys go into the table."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(key_index, "MOST_IN_MEMORY", FEW)
        patch.setattr(key_index, "FILTER_BYTES", filter_bytes)
        patch.setattr(key_index, "MOST_READ", most_read)
        asyncio.run(_follow(steps, Path(folder)))


async def _follow(steps: list[tuple[str, list[str]]], folder: Path) -> None:
    path = folder / "0.db"
    ledger = await opened(path)
    reading = await ledger.begin_load()
    begun: set[str] = set()
    for number, (step, keys) in enumerate(steps, 1):
        if step == "begin":
            claims = await asyncio.gather(*(ledger.begin(entry(key), None) for key in keys))
            new = [key for key, claim in zip(keys, claims, strict=True) if claim.found is None]
            assert sorted(new) == sorted(set(keys) - begun)
            begun.update(keys)
        elif step == "load":
            await ledger.load([Loading(entry(key)) for key in keys], reading)
        elif step == "crash":
            left, path = path, folder / f"{number}.db"
            for suffix in ("", "-wal"):
                shutil.copyfile(f"{left}{suffix}", f"{path}{suffix}")
            await ledger.close()
            ledger = await opened(path)
        else:
            await ledger.close()
            ledger = await opened(path)
    await ledger.close()
    found = [key for (key,) in read(path, "SELECT key FROM message WHERE key IS NOT NULL")]
    assert len(found) == len(set(found))
    assert set(found) == {key for _, keys in steps for key in keys}


async def test_keys_go_into_the_table_together(few_in_memory: None, path: Path):
    """Once there are enough, and each with the number of its message."""
    ledger = await opened(path)
    in_table = []
    for key in KEYS:
        await ledger.begin(entry(key), None)
        await ledger.flush()
        in_table.append(len(read(path, "SELECT * FROM known_key")))
    await ledger.close()

    assert in_table == [0, 0, 0, 4, 4, 4, 4, 8, 8, 8]
    assert read(path, "SELECT * FROM known_key ORDER BY id") == read(
        path, "SELECT key, id FROM message ORDER BY id LIMIT 8"
    )


async def test_keys_that_were_in_memory_are_in_the_table_after_a_restart(path: Path):
    """What is open has few of its own to remember, however often it was opened."""
    for count in (1, 2, 3):
        ledger = await opened(path)
        assert len(read(path, "SELECT * FROM known_key")) == count - 1
        await ledger.begin(entry(KEYS[count]), None)
        await ledger.close()


VERSION_1 = (
    SCHEMAS[1]
    + """
INSERT INTO campaign VALUES ('name', ''), ('identity', 'message');
INSERT INTO message (key, kind, recipient, body, billed, state) VALUES
    ('a', 'sms', '56987688060', '{}', 1, 'accepted'),
    ('b', 'sms', '56987688060', '{}', 1, 'in_flight'),
    ('c', 'sms', '56987688060', '{}', 1, 'queued'),
    (NULL, 'invalid', '', '', 0, 'skipped');
"""
)


async def test_a_ledger_of_the_first_version_goes_on(path: Path):
    """Nobody whom it reached is reached again, and it knows new messages as well."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)

    ledger = await opened(path)
    claims = [await ledger.begin(entry(key), None) for key in "abcdd"]
    await ledger.close()

    assert [claim.found for claim in claims] == [
        *(State.ACCEPTED, State.UNKNOWN, None, None),
        State.IN_FLIGHT,
    ]
    assert read(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert [key for (key,) in read(path, "SELECT key FROM message ORDER BY id")] == [
        "a",
        "b",
        "c",
        None,
        "d",
    ]


VERSION_2 = (
    SCHEMAS[2]
    + """
INSERT INTO campaign VALUES ('name', ''), ('identity', 'message');
UPDATE campaign SET value = '2' WHERE name = 'keys_merged_to';
INSERT INTO message (key, kind, recipient, body, billed, state) VALUES
    ('a', 'sms', '56987688060', '{}', 1, 'in_flight'),
    ('b', 'sms', '56987688060', '{}', 1, 'in_flight'),
    ('c', 'sms', '56987688060', '{}', 1, 'in_flight'),
    ('d', 'sms', '56987688060', '{}', 1, 'in_flight');
INSERT INTO known_key SELECT key, id FROM message WHERE id <= 2;
"""
)


async def test_a_ledger_of_the_second_version_goes_on(path: Path):
    """What it had for itself alone is gone, and its keys are known, in its table or not.

    They are still made as they were then.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_2)

    ledger = await opened(path)
    claims = [await ledger.begin(entry(key), None) for key in "abcde"]
    facts = await ledger.metadata()
    await ledger.close()

    assert [claim.found for claim in claims] == [*[State.UNKNOWN] * 4, None]
    assert sorted(facts) == ["created_at", "holder", "identity", "log", "name"]
    assert read(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    indexes = read(path, "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE INDEX%'")
    assert indexes == [("changeable",)]


async def test_a_key_of_two_messages_is_refused(path: Path):
    """The table is where it would come out: the ledger is wrong, and nothing more leaves."""
    ledger = await opened(path)
    ledger.put(entry("a"), None, SkipReason.EXPIRED, None)
    await ledger.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO message (key, kind, billed, state) VALUES ('a', 'sms', 1, 'queued')"
        )

    with pytest.raises(LedgerError, match=r"^a\.db: has a message twice"):
        await opened(path)


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE entry (id INTEGER PRIMARY KEY, key TEXT);")
        connection.executescript(key_index.SCHEMA)
        connection.execute("INSERT INTO known_key VALUES ('a', 1)")
        yield connection


def test_a_twin_is_told_from_the_first(connection: sqlite3.Connection):
    """By its number, whether the first is among the newest or in the table."""
    keys = KeyIndex()

    assert keys.add(connection, [("a", 2), ("b", 3), ("b", 4)]) == {2: 1, 4: 3}
    assert keys.find(connection, ["a", "b", "c"]) == {"a": 1, "b": 3}
    assert keys.find(connection, ["a"]) == {"a": 1}


@pytest.mark.parametrize(("most_read", "looks"), [(1, 0), (0, 1)])
def test_a_new_key_is_looked_for_only_where_too_many_were_there(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, most_read: int, looks: int
):
    """Where all were read when the ledger was opened, the table is asked for known ones alone."""
    monkeypatch.setattr(key_index, "MOST_READ", most_read)
    connection.execute("INSERT INTO entry VALUES (1, 'a')")
    keys = KeyIndex()
    keys.prepare(connection)
    asked: list[str] = []
    connection.set_trace_callback(asked.append)

    assert keys.add(connection, [("b", 2), ("c", 3)]) == {}
    assert len(asked) == looks
    assert keys.add(connection, [("d", 4), ("a", 5)]) == {5: 1}
    assert len(asked) == looks + 1


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ("INSERT INTO message (id, key, kind, billed, state) VALUES (9, 'x', '', 1, 'queued')", 9),
        ("UPDATE message SET key = 'x' WHERE key = 'a'", 1),
    ],
)
async def test_a_key_that_came_by_hand_is_known_once_it_is_in_the_table(
    few_in_memory: None, path: Path, change: str, number: int
):
    """However it came, and whether or not there are as many keys as the sender knows."""
    ledger = await opened(path)
    for key in "ab":
        await ledger.begin(entry(key), None)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(change)
    for key in "cd":
        await ledger.begin(entry(key), None)
    await ledger.flush()

    assert (await ledger.begin(entry("x"), None)).number == number
    await ledger.close()


async def test_a_message_that_came_by_hand_with_the_next_number_stops_the_campaign(path: Path):
    """The number is the sender's for a message of its own, of which there can be only one."""
    ledger = await opened(path)
    await ledger.begin(entry("a"), None)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO message (key, kind, billed, state) VALUES ('x', '', 1, 'queued')"
        )
    with pytest.raises(LedgerError, match=r"^a\.db: has a message twice"):
        await ledger.begin(entry("b"), None)
    await ledger.close()
    assert read(path, "SELECT key, state FROM message") == [("a", "in_flight"), ("x", "queued")]


async def test_keys_of_what_could_not_be_loaded_are_not_known(path: Path):
    """One message that SQLite cannot hold takes the others of its batch with it, and their keys."""
    ledger = await opened(path)
    await ledger.begin(entry("z"), None)
    reading = await ledger.begin_load()
    with pytest.raises(OverflowError):
        await ledger.load(
            [Loading(entry("a")), Loading(entry("b")._replace(billed=2**70))], reading
        )

    claims = [await ledger.begin(entry(key), None) for key in "abaz"]
    await ledger.close()
    assert [claim.found for claim in claims] == [None, None, *[State.IN_FLIGHT] * 2]


async def test_an_upgrade_keeps_all_times_of_a_message_that_waits_again(path: Path):
    """One that was over the budget of an earlier run was ended once."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"""{SCHEMAS[3]}
            INSERT INTO message (kind, billed, state, ended_at)
            VALUES ('sms', 1, 'queued', 1793973600.25)""")
    ledger = await opened(path)
    await ledger.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT state, round(ended_at, 3) FROM message").fetchall() == [
            ("queued", 1793973600.25)
        ]
