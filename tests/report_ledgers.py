"""Ledgers for the tests of reports, written row by row."""

import random
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from connectus_async.ledger.sqlite.schema import SCHEMA

BEGIN = 1_793_973_600.0
"""2026-11-06 14:00 UTC."""

SECRET = "Hola Ana, tu clave es 493021"


def message(**columns: Any) -> dict[str, Any]:
    """Make a row: an accepted SMS, where nothing else is said."""
    return {
        "kind": "sms",
        "recipient": "56987688060",
        "body": f'{{"sms_content":"{SECRET}"}}',
        "billed": 1,
        "state": "accepted",
        "attempts": 1,
        "started_at": BEGIN,
        "ended_at": BEGIN + 0.25,
        **columns,
    }


def write_ledger(path: Path, messages: Iterable[Mapping[str, Any]], **facts: str) -> Path:
    """Write a ledger as a sender leaves it behind."""
    facts = {"name": "Navidad", "source": "clientes.csv", "loaded": "1", **facts}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMA)
        connection.executemany("INSERT INTO campaign VALUES (?, ?)", facts.items())
        connection.execute("BEGIN")
        for columns in messages:
            add(connection, columns)
        connection.execute("COMMIT")
    return path


def add(connection: sqlite3.Connection, columns: Mapping[str, Any]) -> None:
    names = ", ".join(columns)
    values = ", ".join(f":{name}" for name in columns)
    connection.execute(f"INSERT INTO message ({names}) VALUES ({values})", columns)


def over_two_days() -> Iterator[dict[str, Any]]:
    """Make up a campaign with a night in which the API was down."""
    chance = random.Random(2)
    for place in range(2_000):
        begin = BEGIN + place * 172_800 / 2_000
        if not 60_000 < begin - BEGIN < 90_000:
            yield message(started_at=begin, ended_at=begin + chance.lognormvariate(-1.0, 0.3))


def campaign(count: int, *, finished: bool = True) -> Iterator[dict[str, Any]]:
    """Make up a campaign with something of everything, the same each time."""
    chance = random.Random(count)
    for place in range(count):
        begin = BEGIN + place * 900 / count
        common = {
            "key": f"key-{place}",
            "line": place + 2,
            "recipient": f"569{chance.randrange(10**7, 10**8)}",
            "started_at": begin,
            "ended_at": begin + chance.lognormvariate(-1.6, 0.45),
        }
        unsent = {"attempts": 0, "started_at": None, "ended_at": None}
        kind = chance.random()
        if kind < 0.03:
            reason = chance.choice(["400: no coverage", "409: <script>alert(1)</script>"])
            yield message(**common, state="rejected", reason=reason)
        elif kind < 0.04:
            state = "held" if finished else "unknown"
            yield message(**common, state=state, reason="no answer within 30 s")
        elif kind < 0.08:
            reason = chance.choice(["suppressed", "expired", "invalid: dst_number: is empty"])
            yield message(**common | unsent, state="skipped", reason=reason)
        elif not finished and place > 0.9 * count:
            yield message(**common | unsent, state="queued")
        else:
            status = chance.choice(["ENTREGADO", "ENTREGADO", "NO ENTREGADO", None])
            yield message(
                **common, provider_id=f"{chance.getrandbits(64):016x}", delivery_status=status
            )


def fill_disk(path: Path, event: str) -> None:
    """Have SQLite find the disk full at each such event, until the trigger ``full`` is dropped.

    A table that counts its rows for ever is full once it has had the highest number.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"""
            CREATE TABLE room (id INTEGER PRIMARY KEY AUTOINCREMENT);
            INSERT INTO room VALUES ({2**63 - 1});
            CREATE TRIGGER full BEFORE {event} BEGIN INSERT INTO room VALUES (NULL); END;
        """)
