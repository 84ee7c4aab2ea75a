"""Error of commands that listen on a port."""

import os
import socket

from connectus_async.errors import ConfigurationError


def listen_error(host: str, port: int, error: OSError | UnicodeError) -> ConfigurationError:
    """Explain why a command cannot listen, and what to do."""
    if isinstance(error, UnicodeError | socket.gaierror):
        return ConfigurationError("host", f"{host} is not an address of this machine")
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    return ConfigurationError(
        "port", f"cannot listen on {host}:{port}: {reason}; choose another (0 takes a free one)"
    )
