"""A ledger in PostgreSQL, and a connection that watches it."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from connectus_async.ledger.postgres.address import parse
from connectus_async.ledger.postgres.store import PostgresStore


@pytest.fixture
def store(postgres_ledger: str) -> PostgresStore:
    return PostgresStore(postgres_ledger)


@pytest.fixture
async def observer(
    postgres_ledger: str,
) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
    """A connection of nobody's."""
    async with await psycopg.AsyncConnection.connect(
        parse(postgres_ledger).conninfo, autocommit=True
    ) as it:
        yield it
