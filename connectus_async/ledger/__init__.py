"""Memory of a campaign, and the only place that knows how it is stored.

Other packages use the doors in `abc`, the records and the states. A store is a package of its own,
reached by `open_store` alone.
"""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from connectus_async.errors import ConfigurationError

if TYPE_CHECKING:
    from connectus_async.ledger.abc import LedgerStore


def open_store(where: str | PathLike[str]) -> "LedgerStore":
    """Find the store of a ledger; nothing is read or created yet.

    Args:
        where: The path of its file.

    Raises:
        ConfigurationError: It is no path.
    """
    from connectus_async.ledger.sqlite.store import SqliteStore  # noqa: PLC0415 - one of several

    try:
        return SqliteStore(Path(where))
    except TypeError:
        raise ConfigurationError("ledger", "must be a path") from None
