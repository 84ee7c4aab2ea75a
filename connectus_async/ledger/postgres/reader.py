"""Reader of a campaign in a database. It works beside the holders and never writes."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, LiteralString

import psycopg

from connectus_async.ledger.abc import LedgerReader
from connectus_async.ledger.postgres import (
    again,
    campaigns,
    problems,
    releasing,
    schema,
    statistics,
)
from connectus_async.ledger.postgres.address import Address
from connectus_async.ledger.postgres.connection import (
    Connection,
    check_version,
    connect_blocking,
    described,
)
from connectus_async.ledger.records import (
    MOMENTS,
    Again,
    Frequency,
    Latency,
    MessageRow,
    TimeGrid,
    Total,
    Unreleased,
)
from connectus_async.ledger.states import MAY_BE_SENT, State

_SHOWN: Final = {
    "state": "state::text",
    **{moment: f"round({moment} * 1000) / 1000" for moment in MOMENTS},
    "number": "id",
    "load": "reading",
    "body": "CASE WHEN %(has_bodies)s THEN body END",
}
ROWS: Final = f"""
SELECT {", ".join(_SHOWN.get(it, it) for it in MessageRow._fields)}
FROM message WHERE campaign = %(campaign)s AND id BETWEEN %(first)s AND %(last)s
"""
IN_STATES: Final = "AND state = ANY(%(states)s::state[])"
NUMBERED: Final = f"{ROWS} AND id = ANY(%(numbers)s) ORDER BY id"
IN_ORDER: Final = "ORDER BY id"
REACHED: Final = f"""
SELECT recipient FROM message
WHERE campaign = %(campaign)s AND id BETWEEN %(first)s AND %(last)s
    AND state IN ({", ".join(f"'{state}'" for state in sorted(MAY_BE_SENT))})
    AND coalesce(ended_at, started_at) >= %(since)s
"""
BY_LINE: Final = "ORDER BY line NULLS FIRST, id"
ROWS_A_BATCH: Final = 20_000
"""Rows of an export in memory at a time."""


@contextmanager
def read(address: Address) -> Iterator["PostgresReader"]:
    """Open a snapshot for a block. See `LedgerStore.read`.

    Raises:
        LedgerError: There is no such campaign, or it cannot be read.
    """
    try:
        with closing(connect_blocking(address)) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.transaction():
                ((version,),) = connection.execute(schema.FIND_VERSION)
                check_version(address.name, version)
                yield PostgresReader(connection, campaigns.find(connection, address))
    except psycopg.Error as error:  # not an OSError, which may be one of the block
        raise problems.described(address.name, error) from None


def names(address: Address) -> list[str]:
    """List the campaigns of a database, the oldest first.

    Raises:
        LedgerError: It has no tables of ledgers, or cannot be read.
    """
    with described(address), closing(connect_blocking(address)) as connection:
        ((version,),) = connection.execute(schema.FIND_VERSION)
        check_version(address.name, version)
        return [name for (name,) in connection.execute(campaigns.NAMES)]


class PostgresReader(LedgerReader):
    """Snapshot of a campaign in a database. See `LedgerReader`.

    Args:
        connection: A connection in a transaction that shows no later changes.
        campaign: The number of the campaign.
    """

    def __init__(self, connection: Connection, campaign: int) -> None:
        self._connection = connection
        span = connection.execute(campaigns.SPAN, (campaign,)).fetchone()
        self._scope = campaigns.scope(campaign, span)
        self._names = map("messages_{}".format, itertools.count())

    def metadata(self) -> Mapping[str, str]:
        """Read the metadata of the campaign."""
        return dict(self._connection.execute(campaigns.READ, (self._scope["campaign"],)))

    def totals(self) -> Mapping[State, Total]:
        """Add up the messages by state. A state without messages is left out."""
        return statistics.totals(self._connection, self._scope)

    def skipped(self) -> Mapping[str, int]:
        """Count the skipped messages by reason, the most frequent first."""
        return statistics.skipped(self._connection, self._scope)

    def invalid(self, limit: int) -> Sequence[Frequency]:
        """Count the invalid rows by what is wrong with them, the most frequent first."""
        return self._frequencies(statistics.INVALID, limit)

    def errors(self, limit: int) -> Sequence[Frequency]:
        """Count the messages that were not accepted, by state and reason."""
        return self._frequencies(statistics.ERRORS, limit)

    def deliveries(self, limit: int) -> Mapping[str, int]:
        """Count the messages by delivery status, the most frequent first."""
        found = self._frequencies(statistics.DELIVERIES, limit)
        return {each.sentence: each.messages for each in found}

    def outcomes(self, grid: TimeGrid) -> Sequence[Mapping[State, int]]:
        """Count the outcomes in each part of a time by state."""
        return statistics.outcomes(self._connection, self._scope, grid)

    def ended_since(self, moment: float) -> int:
        """Count the messages whose outcome became known after a time."""
        return statistics.ended_since(self._connection, self._scope, moment)

    def latencies(self, grid: TimeGrid) -> Sequence[Latency | None]:
        """Measure the latency in each part of a time; ``None`` for a part without an answer."""
        return statistics.latencies(self._connection, self._scope, grid)

    def messages(
        self,
        states: Collection[State] | None = None,
        *,
        has_bodies: bool = False,
        is_by_line: bool = False,
    ) -> Iterator[Sequence[MessageRow]]:
        """Read the messages in order, in batches. See `LedgerReader.messages`."""
        chosen = "" if states is None else IN_STATES
        order = BY_LINE if is_by_line else IN_ORDER
        wanted = [state.value for state in states or ()]
        values = {**self._scope, "states": wanted, "has_bodies": has_bodies}
        for batch in self._batches(f"{ROWS} {chosen} {order}", values):
            yield list(map(MessageRow._make, batch))

    def reached(self, since: float) -> Iterator[Sequence[str]]:
        """Read the recipients of messages that were or may have been sent."""
        for batch in self._batches(REACHED, {**self._scope, "since": since}):
            yield [recipient for (recipient,) in batch]

    def _batches(
        self, statement: LiteralString, values: Mapping[str, object]
    ) -> Iterator[list[tuple[Any, ...]]]:
        with self._connection.cursor(name=next(self._names)) as cursor:
            cursor.execute(statement, values)
            while batch := cursor.fetchmany(ROWS_A_BATCH):
                yield batch

    def count_again(self, choice: Again) -> int:
        """Count messages that can be sent again. See `LedgerReader.count_again`."""
        return again.count(self._connection, self._scope, choice)

    def again(self, choice: Again) -> Iterator[Sequence[tuple[int, str]]]:
        """Read messages that can be sent again. See `LedgerReader.again`."""
        yield from self._batches(again.CHOSEN, {**self._scope, **again.values_of(choice)})

    def unreleased(self) -> Sequence[Unreleased]:
        """Count the messages that nobody has released yet. See `LedgerReader.unreleased`."""
        return releasing.unreleased(self._connection, self._scope)

    def earlier_attempts(self) -> Mapping[State, int]:
        """Count the earlier attempts by their outcome. See `LedgerReader.earlier_attempts`."""
        return again.earlier(self._connection, self._scope)

    def numbered(self, numbers: Sequence[int]) -> Sequence[MessageRow]:
        """Read the messages with some numbers. See `LedgerReader.numbered`."""
        values = {**self._scope, "numbers": [*numbers], "has_bodies": False}
        return [*map(MessageRow._make, self._connection.execute(NUMBERED, values))]

    def _frequencies(self, query: str, limit: int) -> Sequence[Frequency]:
        return statistics.frequencies(self._connection, query, self._scope, limit)
