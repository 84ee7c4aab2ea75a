"""Messages that are skipped without a load, though others may be sending the campaign."""

import time
from collections.abc import Sequence

from connectus_async.ledger.postgres import replacing
from connectus_async.ledger.postgres.connection import AsyncConnection, repeated
from connectus_async.ledger.postgres.releasing import HOLD, LOCK, RECALL, SETTLE
from connectus_async.ledger.postgres.writer import Place


async def skip_too_often(connection: AsyncConnection, place: Place, numbers: Sequence[int]) -> int:
    """Skip messages that wait. See `Ledger.skip_too_often`."""
    values = {
        **place._asdict(),
        "takes": True,
        "releases": True,
        "replaces": False,
        "is_newest": False,
        "is_loaded": False,
        "load": 0,
        "chunks": [],
        "masks": [],
        "made": [],
        "touched": [],
        "now": time.time(),
    }

    async def write() -> int:
        async with connection.transaction():
            await connection.execute(LOCK, (place.campaign,))
            await connection.execute(HOLD, values)
            await connection.execute(RECALL, values)
            skipped = await replacing.skip_too_often(connection, values, numbers)
            await connection.execute(SETTLE, values)
        return skipped

    return await repeated(write)
