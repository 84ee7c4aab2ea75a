"""Delivery statuses, recorded beside holders that may be sending.

Only holders change outcomes. A delivery log writes a table of its own, and keeps statuses that came
before a holder recorded their SMS.
"""

import time
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg import errors

from connectus_async.ledger.delivery_connection import Answer, Arguments, DeliveryConnection
from connectus_async.ledger.delivery_log import ThreadedDeliveryLog
from connectus_async.ledger.postgres import (
    campaigns,
    delivery_index,
    delivery_rows,
    problems,
    schema,
)
from connectus_async.ledger.postgres.address import Address
from connectus_async.ledger.postgres.connection import check_version, connect_blocking
from connectus_async.ledger.postgres.delivery_rows import CampaignConnection
from connectus_async.ledger.postgres.session import PATIENCE, PAUSE
from connectus_async.ledger.records import EARLY_SECONDS

SETTINGS: Final = """
SET enable_hashjoin = off; SET enable_mergejoin = off; SET statement_timeout = 0
"""
"""Each statement is about few SMS among many. As long as their table was not analyzed since it
grew, PostgreSQL may take them for so many that it reads the table, once for each group. The index
may take longer to build than a role lets its statements run."""


class PostgresDeliveryLog(ThreadedDeliveryLog):
    """Writer of delivery statuses into a ledger in a database. See `DeliveryLog`.

    Args:
        address: The database, and the campaign in it, which must exist.
        early_seconds: How long a status is kept for an SMS that the ledger does not have yet.
    """

    def __init__(self, address: Address, *, early_seconds: float = EARLY_SECONDS) -> None:
        super().__init__(lambda: _ServerConnection(address), early_seconds=early_seconds)


class _ServerConnection(DeliveryConnection[CampaignConnection]):
    """A connection that is opened again when it breaks.

    If the server does not come back in time, each further task tries once.
    """

    rows = delivery_rows

    def __init__(self, address: Address) -> None:
        self.name = address.name
        self.place = address
        self._address = address
        self._campaign: CampaignConnection | None = None
        self._patience = 0.0

    def open(self) -> None:
        self.run(lambda _: None)

    def close(self) -> None:
        if self._campaign is not None:
            self._campaign.connection.close()

    def run(
        self, function: Callable[[CampaignConnection, *Arguments], Answer], *args: *Arguments
    ) -> Answer:
        give_up_at = time.monotonic() + self._patience
        while True:
            try:
                answer = function(self._usable(), *args)
            except (psycopg.Error, OSError) as error:
                if time.monotonic() >= give_up_at:
                    self._patience = 0.0
                elif self._may_pass(error):
                    time.sleep(PAUSE)
                    continue
                raise problems.described(self.name, error) from None
            self._patience = PATIENCE
            return answer

    def _may_pass(self, error: Exception) -> bool:
        if isinstance(error, errors.DeadlockDetected | errors.SerializationFailure):
            return True
        is_lost = self._campaign is None or self._campaign.connection.closed
        return is_lost and isinstance(error, psycopg.OperationalError | OSError)

    def _usable(self) -> CampaignConnection:
        if self._campaign is None or self._campaign.connection.closed:
            self._campaign = None
            self._campaign = self._connected()
        return self._campaign

    def _connected(self) -> CampaignConnection:
        connection = connect_blocking(self._address)
        try:
            connection.execute(SETTINGS, prepare=False)  # several statements at once
            ((version,),) = connection.execute(schema.FIND_VERSION)
            check_version(self.name, version)
            campaign = campaigns.find(connection, self._address)
            delivery_index.make(connection, self.name)
        except BaseException:
            connection.close()
            raise
        return CampaignConnection(connection, campaign)
