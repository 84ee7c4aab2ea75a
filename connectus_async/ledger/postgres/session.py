"""One connection of a holder, opened again when it breaks."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, TypeVar

import psycopg
from psycopg import errors

from connectus_async.errors import LedgerError
from connectus_async.ledger.postgres import problems
from connectus_async.ledger.postgres.address import Address
from connectus_async.ledger.postgres.connection import AsyncConnection, connect, described

T = TypeVar("T")
Task: TypeAlias = Callable[[AsyncConnection, int], Awaitable[Any]]
"""Function that uses a connection for a campaign, which is given by its number."""

PATIENCE: Final = 60.0
"""Seconds for which a server that went away is asked again, as while it is restarted."""

PAUSE: Final = 0.25


class Session:
    """A connection that one task uses at a time.

    Args:
        address: The database.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._connection: AsyncConnection | None = None
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Connect.

        Raises:
            LedgerError: The database cannot be reached.
        """
        with described(self._address):
            self._connection = await self.connect()

    async def connect(self) -> AsyncConnection:
        """Make the connection."""
        return await connect(self._address)

    async def close(self) -> None:
        """Disconnect; repeating it is harmless."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def run(self, work: Callable[[AsyncConnection], Awaitable[T]], *, repeats: bool) -> T:
        """Run a function of the connection.

        Args:
            work: The function.
            repeats: Run it again if the connection breaks meanwhile. It may have done its work
                before that.

        Raises:
            LedgerError: The database cannot be used.
        """
        async with self._lock:
            give_up_at = time.monotonic() + PATIENCE
            while True:
                try:
                    connection = await self._usable(give_up_at)
                    return await work(connection)
                except (errors.DeadlockDetected, errors.SerializationFailure) as error:
                    if not repeats:
                        raise problems.described(self._address.name, error) from None
                except (psycopg.Error, OSError) as error:
                    is_open = self._connection is not None and not self._connection.closed
                    if is_open or not repeats or time.monotonic() > give_up_at:
                        raise problems.described(self._address.name, error) from None

    async def _usable(self, give_up_at: float) -> AsyncConnection:
        while self._connection is not None and self._connection.closed:
            try:
                connection = await self.connect()
            except (psycopg.OperationalError, OSError):
                if time.monotonic() > give_up_at:
                    raise
                await asyncio.sleep(PAUSE)
            else:
                if self._connection is None:  # closed meanwhile
                    await connection.close()
                else:
                    self._connection = connection
        if self._connection is None:
            raise LedgerError(self._address.name, problems.CLOSED)
        return self._connection
