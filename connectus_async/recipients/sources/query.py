"""Queries of databases: SQLite and PostgreSQL through SQLAlchemy, DuckDB through its relations."""

import hashlib
from collections.abc import Generator
from typing import Final

import attrs
from anyio.to_thread import run_sync

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.sources._databases import Database, database_at
from connectus_async.recipients.sources._source import Line, Source, check_columns
from connectus_async.recipients.sources.interrupting import interruptible
from connectus_async.redaction import masked

NAME_BYTES: Final = 4


@attrs.frozen(kw_only=True)
class Query(Source):
    """A query; `from_query` makes it. Rows are numbered from 1, in the order of the query.

    Attributes:
        query: The query.
        database: The database that runs it.
    """

    query: str = attrs.field(repr=masked)
    database: Database

    @classmethod
    def open(cls, query: str, where: Database) -> "Query":
        """Run a query to read its columns; see `from_query`. Blocking."""
        digest = hashlib.blake2b(query.encode(), digest_size=NAME_BYTES).hexdigest()
        name = f"query {digest} of {where.name}"
        with where.run(query) as (columns, _):
            check_columns(name, columns)
            return cls(name=name, columns=columns, query=query, database=where)

    def lines(self) -> Generator[Line, None, None]:
        """Run the query and read its rows. Blocking."""
        with self.database.run(self.query) as (columns, rows):
            if columns != self.columns:
                raise InvalidArgumentError(self.name, "has other columns than when it was opened")
            for number, cells in enumerate(rows, 1):
                yield Line(number, cells)

    def interrupt(self) -> None:
        """Interrupt the query in the database. Blocking."""
        self.database.interrupt()


async def from_query(query: str, *, database: str) -> Query:
    """Make a source of the rows of a query, which is run to read its columns.

    | database | address | requires |
    |---|---|---|
    | SQLite | ``sqlite:///PATH`` | ``connectus-async[databases]`` |
    | PostgreSQL | ``postgresql://USER@HOST/DATABASE`` | ``connectus-async[databases]`` |
    | DuckDB | ``duckdb:///PATH`` | ``connectus-async[duckdb]`` |

    A relative path begins after three slashes, an absolute one has four. The address of PostgreSQL
    takes the parameters of libpq; its password better comes from ``PGPASSWORD`` or ``~/.pgpass``.
    No error, name or ``repr`` shows the user or the password.

    The database changes nothing: a file is opened to be read, PostgreSQL runs a cursor in a
    transaction that only reads, and any statement but a query is refused. Rows come in a stream, a
    few hundred at a time, in worker threads. As with a lazy frame (`from_dataframe`), the query
    runs again each time it is read, and its rows may be others then.

    Args:
        query: The query, a single one.
        database: The address of the database.

    Returns:
        The source. Its name has a hash of the query, so that a ledger tells one from another.

    Raises:
        InvalidArgumentError: The address is none of these, or the database cannot be read, or it
            does not take the query.
        ConfigurationError: The library for the database is not installed.
    """
    where = await run_sync(database_at, database)
    return await interruptible(where.interrupt, Query.open, query, where)
