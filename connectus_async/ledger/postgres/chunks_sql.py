"""Statements about the chunks of a campaign. See `schema`."""

from typing import Final

from connectus_async.ledger.postgres.schema import CHANGEABLE, CHUNK, DONE, WAITING

REOPEN: Final = f"""
UPDATE chunk SET state = {WAITING}
WHERE campaign = %(campaign)s AND state = {DONE} AND id IN (
    SELECT outcome.id / {CHUNK} FROM outcome WHERE outcome.{CHANGEABLE} AND outcome.state = 'queued'
)
"""
"""Lets chunks be claimed again that have queued messages: run it in the transaction that queues
messages which have an outcome. The owner of a chunk sees to those that are queued meanwhile."""

SPAN: Final = f"""
SELECT min(id) * {CHUNK}, max(id) * {CHUNK} + {CHUNK - 1} FROM chunk WHERE campaign = %(campaign)s
"""
"""The lowest and the highest number that messages of a campaign can have, so that the messages of
others need not be looked at."""

OF_CAMPAIGN: Final = f"""
id BETWEEN %(first)s AND %(last)s
AND id / {CHUNK} IN (SELECT chunk.id FROM chunk WHERE chunk.campaign = %(campaign)s)
"""
"""Condition of ``outcome``, with the two numbers of `SPAN`."""
