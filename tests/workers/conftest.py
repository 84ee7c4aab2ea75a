"""A database with Procrastinate's tables."""

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from connectus_async.postgres_server import PostgresServer


@pytest.fixture(scope="session")
def jobs(postgres: "PostgresServer") -> "Iterator[psycopg.Connection]":
    """A connection to a database that Procrastinate has made its tables in."""
    import psycopg  # noqa: PLC0415 - few tests use it
    from procrastinate import App, SyncPsycopgConnector  # noqa: PLC0415 - as above

    app = App(connector=SyncPsycopgConnector(conninfo=postgres.address()))
    with app.open():
        app.schema_manager.apply_schema()
    with closing(psycopg.connect(postgres.address(), autocommit=True)) as connection:
        yield connection


@pytest.fixture
def queue(postgres: "PostgresServer", jobs: "psycopg.Connection") -> str:
    """The address of a database without jobs."""
    jobs.execute("TRUNCATE procrastinate_jobs, procrastinate_workers CASCADE")
    return postgres.address()
