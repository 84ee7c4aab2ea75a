"""Places of ledgers: the path of a file, or the address of a database."""

from typing import Final, TypeGuard

LEDGER_SUFFIX: Final = ".ledger.db"
"""End of the name of a ledger's file that the user has not named."""

SCHEMES: Final = ("postgresql://", "postgres://")


def is_address(where: object) -> TypeGuard[str]:
    """Tell the address of a ledger in a database from the path of a file."""
    return isinstance(where, str) and where.startswith(SCHEMES)
