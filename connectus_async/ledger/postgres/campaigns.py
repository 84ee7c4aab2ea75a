"""Campaigns of a database by their names, what is of each, and their metadata: texts by name."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from connectus_async.errors import LedgerError
from connectus_async.ledger.postgres.address import Address
from connectus_async.ledger.postgres.connection import Connection
from connectus_async.ledger.postgres.problems import NO_CAMPAIGN, SEVERAL
from connectus_async.ledger.postgres.schema import CHUNK
from connectus_async.ledger.texts import storable
from connectus_async.redaction import one_line

Scope: TypeAlias = Mapping[str, Any]
"""Parameters of a statement: the number of a campaign, and the two of `SPAN`."""

READ: Final = "SELECT name, value FROM metadata WHERE campaign = %s"
WRITE: Final = """
INSERT INTO metadata SELECT %s, name, value FROM unnest(%s::text[], %s::text[]) AS it (name, value)
ON CONFLICT (campaign, name) DO UPDATE SET value = excluded.value
"""
FIND: Final = "SELECT id FROM campaign WHERE name = %s"
NAMES: Final = "SELECT name FROM campaign ORDER BY id"
ADD: Final = """
WITH made AS (
    INSERT INTO campaign (name) VALUES (%s) ON CONFLICT DO NOTHING RETURNING id
)
INSERT INTO control (campaign) SELECT id FROM made
"""

MOST_LISTED: Final = 400
"""Characters of the names in a message."""

SPAN: Final = f"""
SELECT min(id) * {CHUNK}, max(id) * {CHUNK} + {CHUNK - 1} FROM chunk WHERE campaign = %s
"""
"""The lowest and the highest number that a message of a campaign can have: with them, a statement
does not look at the messages of all others."""

OUTCOME_OF: Final = f"""
id BETWEEN %(first)s AND %(last)s
AND id / {CHUNK} IN (SELECT chunk.id FROM chunk WHERE chunk.campaign = %(campaign)s)
"""
"""Condition on ``outcome`` or ``delivery``."""


def to_write(campaign: int, values: Mapping[str, str]) -> tuple[int, list[str], list[str]]:
    """Give the parameters of `WRITE`."""
    return campaign, [*values], [storable(value) for value in values.values()]


def find(connection: Connection, address: Address) -> int:
    """Find the campaign that an address names, or the only one of its database.

    Raises:
        LedgerError: There is none, or the address names none of several.
    """
    names = [address.campaign]
    if address.campaign is None:
        names = [name for (name,) in connection.execute(NAMES)]
    if len(names) > 1:
        listed = one_line(", ".join(map(str, names)), MOST_LISTED)
        raise LedgerError(address.name, SEVERAL.format(names=listed))
    found = connection.execute(FIND, names).fetchone() if names else None
    if found is None:
        raise LedgerError(address.name, NO_CAMPAIGN)
    return int(found[0])


def scope(campaign: int, span: tuple[Any, ...] | None) -> Scope:
    """Give the parameters of statements about a campaign, by the row that `SPAN` gave."""
    first, last = span or (None, None)
    return {"campaign": campaign, "first": first, "last": last}
