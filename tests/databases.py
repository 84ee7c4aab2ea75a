"""A database for tests, each of which finds it without messages."""

from typing import Final

import psycopg

from connectus_async.ledger import create_tables
from connectus_async.ledger.postgres import schema
from connectus_async.postgres_server import PostgresServer
from connectus_async.workers.tickets import create_queue

_EMPTY: Final = """
SELECT string_agg(format('DELETE FROM %%I.%%I', schemaname, tablename), ';') FROM pg_tables
WHERE schemaname = %s AND tablename <> 'version'
"""
_END_OTHERS: Final = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_EMPTY_QUEUE: Final = "DELETE FROM procrastinate_jobs; DELETE FROM procrastinate_workers"


class Database:
    """Database of a server, with the tables of ledgers and of their queue."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        create_tables(server.address())
        create_queue(server.address())
        with psycopg.connect(server.address()) as connection:
            (self._empty,) = connection.execute(_EMPTY, [schema.NAME]).fetchone() or ("",)

    def address(self, campaign: str = "navidad") -> str:
        """Give the address of a campaign."""
        return self._server.address(campaign=campaign)

    def empty(self) -> None:
        """Delete all campaigns and tickets, and end the connections of those who had them."""
        self._execute(_END_OTHERS, self._empty, _EMPTY_QUEUE)

    def _execute(self, *statements: str) -> None:
        with psycopg.connect(self._server.address(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)
