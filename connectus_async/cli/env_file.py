"""File ``.env`` of the current folder: variables for the command line, unless they are set already.

Only names that begin with ``CONNECTUS_`` are read. The library itself never reads the file.
"""

import os
from collections.abc import MutableMapping
from importlib import import_module
from typing import Final

from connectus_async.errors import ConfigurationError

NAME: Final = ".env"
PREFIX: Final = "CONNECTUS_"
MAX_BYTES: Final = 2**20

ROUTE: Final = (
    "CONNECTUS_BASE_URL",
    "CONNECTUS_QR_BASE_URL",
    "CONNECTUS_PROXY",
    "CONNECTUS_CA_FILE",
)
"""Variables that say where credentials go, or who may read them on the way."""

_added: set[str] = set()


def load(environment: MutableMapping[str, str]) -> None:
    """Add the variables of the file to the environment; those that are set stay as they are.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    _added.clear()
    if not os.path.isfile(NAME):  # noqa: PTH113 - pathlib is slow to import
        return
    for name, value in _read().items():
        if name.startswith(PREFIX) and value and not environment.get(name):
            environment[name] = value
            _added.add(name)


def has_added(name: str) -> bool:
    """Tell whether a variable comes from the file."""
    return name in _added


def check_route() -> None:
    """Refuse to send credentials of another place where the file says.

    A folder may come from somebody else, and with it a file that leads credentials to them.

    Raises:
        ConfigurationError: The file says where to send them.
    """
    for name in ROUTE:
        if has_added(name):
            raise ConfigurationError(
                name,
                f"is in {NAME}, but the credentials are not, and would go where a file in this "
                "folder says: set it in the environment, or put the credentials beside it",
            )


def _read() -> dict[str, str | None]:
    if os.path.getsize(NAME) > MAX_BYTES:  # noqa: PTH202 - as above
        raise ConfigurationError(NAME, f"has more than {MAX_BYTES:,} bytes")
    try:
        found: dict[str, str | None] = import_module("dotenv").dotenv_values(
            NAME, interpolate=False
        )
    except UnicodeDecodeError:
        raise ConfigurationError(NAME, "is not UTF-8 text; save it as UTF-8") from None
    return found
