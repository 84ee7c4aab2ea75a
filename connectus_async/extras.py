"""Optional libraries, imported on demand."""

from importlib import import_module
from typing import Any

from connectus_async.errors import LibraryMissingError


def library(needed_by: str, name: str, *, extra: str) -> Any:
    """Import the library of an extra.

    Args:
        needed_by: The file or setting that needs the library, for error messages.
        name: The module.
        extra: The extra of this package that installs it.

    Raises:
        LibraryMissingError: It is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise LibraryMissingError(
            needed_by, f"needs {name.partition('.')[0]}: pip install 'connectus-async[{extra}]'"
        ) from None
