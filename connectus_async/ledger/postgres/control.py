"""Orders to the holders of a campaign in a database, from any terminal."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Final, Unpack, cast

from connectus_async.ledger.abc import LedgerControl
from connectus_async.ledger.postgres import campaigns, schema
from connectus_async.ledger.postgres.address import Address
from connectus_async.ledger.postgres.connection import (
    Connection,
    check_version,
    connect_blocking,
    described,
)
from connectus_async.ledger.records import NewOrders, Orders, Sender
from connectus_async.ledger.texts import storable

READ: Final = f"SELECT {', '.join(Orders._fields)} FROM control WHERE campaign = %s"
SENDERS: Final = """
SELECT place, extract(epoch FROM joined_at)::double precision FROM worker
WHERE campaign = %s AND left_at IS NULL
    AND seen_at > clock_timestamp() - lease * interval '1 second'
ORDER BY id
"""


class PostgresControl(LedgerControl):
    """Giver of orders to the holders of a campaign in a database. See `LedgerControl`.

    Args:
        address: The database, and the campaign in it.
    """

    def __init__(self, address: Address) -> None:
        self._address = address

    def orders(self) -> Orders:
        """Read the present orders."""
        with self._connected() as (connection, campaign):
            ((*found,),) = connection.execute(READ, (campaign,))
            return Orders(*found)

    def change(self, **orders: Unpack[NewOrders]) -> None:
        """Give new orders. See `LedgerControl.change`."""
        given = cast("Mapping[str, object]", orders)
        values = {
            name: storable(value) if isinstance(value, str) else value
            for name, value in given.items()
        }
        changes = ", ".join(f"{name} = %({name})s" for name in Orders._fields if name in values)
        statement = f"UPDATE control SET {changes} WHERE campaign = %(campaign)s"
        with self._connected() as (connection, campaign):
            connection.execute(statement, {**values, "campaign": campaign})

    def senders(self) -> Sequence[Sender]:
        """Find the present holders."""
        with self._connected() as (connection, campaign):
            rows = connection.execute(SENDERS, (campaign,))
            return [Sender(place, since) for place, since in rows]

    @contextmanager
    def _connected(self) -> Iterator[tuple[Connection, int]]:
        address = self._address
        with described(address), closing(connect_blocking(address)) as connection:
            ((version,),) = connection.execute(schema.FIND_VERSION)
            check_version(address.name, version)
            yield connection, campaigns.find(connection, address)
