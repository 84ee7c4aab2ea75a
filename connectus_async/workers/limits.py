"""Limits of sender processes."""

import sys

from connectus_async.errors import ConfigurationError


def check_processes(processes: int, concurrency: int) -> None:
    """Check the number of sender processes.

    Raises:
        ConfigurationError: It is below one or above the concurrency, or the system is Windows.
    """
    if not isinstance(processes, int) or processes < 1:
        raise ConfigurationError("processes", "must be a whole number above zero")
    if processes > concurrency:
        raise ConfigurationError(
            "processes", f"must be at most the concurrency, which is {concurrency}"
        )
    if processes > 1 and sys.platform == "win32":
        raise ConfigurationError("processes", "must be 1 on Windows")
