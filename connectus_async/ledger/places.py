"""Places of ledgers: the path of a file, or the address of a database."""

from typing import Final, TypeGuard

SCHEMES: Final = ("postgresql://", "postgres://")


def is_address(where: object) -> TypeGuard[str]:
    """Tell the address of a ledger in a database from the path of a file."""
    return isinstance(where, str) and where.startswith(SCHEMES)
