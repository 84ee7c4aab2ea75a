"""Campaigns of a database by their names, and their metadata: texts by name."""

from collections.abc import Mapping
from typing import Final

from connectus_async.ledger.postgres.texts import storable

READ: Final = "SELECT name, value FROM metadata WHERE campaign = %s"
WRITE: Final = """
INSERT INTO metadata SELECT %s, name, value FROM unnest(%s::text[], %s::text[]) AS it (name, value)
ON CONFLICT (campaign, name) DO UPDATE SET value = excluded.value
"""
FIND: Final = "SELECT id FROM campaign WHERE name = %s"
NAMES: Final = "SELECT name FROM campaign ORDER BY id"
ADD: Final = "INSERT INTO campaign (name) VALUES (%s) ON CONFLICT DO NOTHING"

LOAD: Final = "reading"
"""Name of the number of the last load, in the metadata."""


def to_write(campaign: int, values: Mapping[str, str]) -> tuple[int, list[str], list[str]]:
    """Give the parameters of `WRITE`."""
    return campaign, [*values], [storable(value) for value in values.values()]
