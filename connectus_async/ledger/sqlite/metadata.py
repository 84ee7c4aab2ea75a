"""Metadata of a campaign: texts by name. Here are the names that are this store's own."""

import sqlite3
from collections.abc import Mapping
from typing import Final

from connectus_async.ledger import metadata_names
from connectus_async.ledger.texts import storable

HOLDER: Final = "holder"
"""The token of the holder that opened the ledger last."""

LOG: Final = "log"
"""Tells whether the log has more than the file. See `connection`."""

ORDER: Final = "ordered_"
"""Begin of the name of an order, which is the name of a field of `Orders`."""

READ: Final = "SELECT name, value FROM campaign"
WRITE: Final = """
INSERT INTO campaign VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""


def read(connection: sqlite3.Connection) -> dict[str, str]:
    """Read all of it."""
    return dict(connection.execute(READ))


def write(connection: sqlite3.Connection, values: Mapping[str, str]) -> None:
    """Write some of it; values under other names stay."""
    rows = [(name, storable(value)) for name, value in values.items()]
    connection.executemany(WRITE, rows)


def load_number(connection: sqlite3.Connection) -> int:
    """Read the number of the last load; 0 if there was none."""
    return int(read(connection).get(metadata_names.LOAD, 0))
