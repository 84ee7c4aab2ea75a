"""The ledger of a dry run: a copy in temporary tables, which are gone when it is closed.

They are in one connection, and nothing else is on its search path: no statement can reach the
tables of the others. So they are not opened again if the connection breaks.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from connectus_async.errors import ConfigurationError, LedgerError
from connectus_async.ledger.postgres import problems, schema, sending
from connectus_async.ledger.postgres.address import Address
from connectus_async.ledger.postgres.connection import AsyncConnection, check_version
from connectus_async.ledger.postgres.holding import LEASE, Holding
from connectus_async.ledger.postgres.ledger import PostgresLedger
from connectus_async.ledger.postgres.session import Session
from connectus_async.ledger.records import Policy

ONE_MOMENT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
HIDE_OTHERS: Final = "SELECT set_config('search_path', 'pg_temp', false)"

_COPY: Final = f"INSERT INTO {{0}} OVERRIDING SYSTEM VALUE SELECT {{0}}.* FROM {schema.NAME}.{{0}} "
_OF_CAMPAIGN: Final = "WHERE {}.campaign = (SELECT id FROM campaign)"

COPY_CAMPAIGN: Final = f"{_COPY.format('campaign')} WHERE name = %s"
COPY: Final = (
    *(
        _COPY.format(table) + _OF_CAMPAIGN.format(table)
        for table in ("metadata", "control", "chunk", "entry", "early_status")
    ),
    f"""
    INSERT INTO worker (id, campaign, place, lease, left_at) OVERRIDING SYSTEM VALUE
    SELECT id, campaign, place, lease, clock_timestamp() FROM {schema.NAME}.worker
    {_OF_CAMPAIGN.format("worker")}
    """,
    f"""
    INSERT INTO outcome (id, state, attempts, started_at, ended_at, provider_id, reason)
    SELECT id, state::text::state, attempts, started_at, ended_at, provider_id, reason
    FROM {schema.NAME}.outcome JOIN entry USING (id)
    """,
    f"""
    INSERT INTO earlier_attempt
    SELECT id, attempts, state::text::state, started_at, ended_at, provider_id, reason,
        delivery_status, delivered_at
    FROM {schema.NAME}.earlier_attempt JOIN entry USING (id)
    """,
    f"{_COPY.format('delivery')} JOIN entry USING (id)",
    f"{_COPY.format('begun')} JOIN chunk ON chunk.id = begun.chunk",
    *(
        f"SELECT setval(pg_get_serial_sequence('{table}', '{number}'), max({number})) FROM {table}"
        for table, number in (
            *(("campaign", "id"), ("worker", "id"), ("chunk", "id")),
            ("early_status", "number"),
        )
    ),
    "ANALYZE chunk, entry, outcome",
)
"""To the copy, all workers have left: it takes over what they had begun."""


class TrialSession(Session):
    """A connection with a copy of a campaign, which may not be there.

    Args:
        address: The database.
        campaign: The campaign's name.
    """

    def __init__(self, address: Address, campaign: str) -> None:
        super().__init__(address)
        self._campaign = campaign
        self._is_copied = False

    async def connect(self) -> AsyncConnection:
        """Connect, and copy the campaign.

        Raises:
            LedgerError: It was copied already, and the copy is gone.
        """
        if self._is_copied:
            raise LedgerError(self._address.name, problems.BROKEN_TRIAL)
        connection = await super().connect()
        try:
            await self._copy(connection)
        except BaseException:
            await connection.close()
            raise
        self._is_copied = True
        return connection

    async def _copy(self, connection: AsyncConnection) -> None:
        (version,) = await sending.one(connection, schema.FIND_VERSION, ())
        check_version(self._address.name, version)
        async with connection.transaction():
            await connection.execute(ONE_MOMENT)
            await connection.execute(HIDE_OTHERS)
            await connection.execute(f"{schema.TABLES} {schema.VIEW}", prepare=False)
            await connection.execute(COPY_CAMPAIGN, (self._campaign,))
            for statement in COPY:
                await connection.execute(statement)


class TrialHolding(Holding):
    """Holding of a copy: its sessions are one."""

    def _sessions(self, policy: Policy) -> tuple[Session, Session, Session]:
        session = TrialSession(self._address, self._name(policy))
        return session, session, session


class TrialLedger(PostgresLedger):
    """A ledger that begins as a copy of a campaign, which may not be there.

    Args:
        original: The database, and the campaign in it.
    """

    def __init__(self, original: Address) -> None:
        super().__init__(original, lease=LEASE)
        self._holding = TrialHolding(original, lease=LEASE)

    async def hand_out(
        self,
        defer: Callable[[Any, str], Awaitable[object]],  # noqa: ARG002 - nobody else has the copy
    ) -> None:
        """Refuse: nobody can help with a copy. See `SharedLedger.hand_out`."""
        raise ConfigurationError("ledger", "is the one of a dry run: it gives out no tickets")
