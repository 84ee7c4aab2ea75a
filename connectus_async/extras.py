"""Libraries that only some campaigns need: imported when they are asked for."""

from importlib import import_module
from typing import Any

from connectus_async.errors import ConfigurationError


def library(needed_by: str, name: str, *, extra: str) -> Any:
    """Import a library that an extra brings.

    Args:
        needed_by: What an error is to name: the file or setting that needs the library.
        name: The module.
        extra: The extra of this package that brings it.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise ConfigurationError(
            needed_by, f"needs {name.partition('.')[0]}: pip install 'connectus-async[{extra}]'"
        ) from None
