"""Places of ledgers: the path of a file, or the address of a database."""

from typing import Final, TypeGuard

SCHEMES: Final = ("postgresql://", "postgres://")

LEDGER_SUFFIX: Final = ".ledger.db"
"""End of the names of files that the command line makes."""


def is_address(where: object) -> TypeGuard[str]:
    """Tell the address of a ledger in a database from the path of a file."""
    return isinstance(where, str) and where.startswith(SCHEMES)
