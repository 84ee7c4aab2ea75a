"""Error of commands that listen on a port."""

import errno
import os
import socket

from connectus_async.errors import ConfigurationError


def listen_error(host: str, port: int, error: OSError | UnicodeError) -> ConfigurationError:
    """Explain why a command cannot listen, and what to do."""
    if isinstance(error, UnicodeError | socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return ConfigurationError("host", f"{host} is not an address of this machine")
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    return ConfigurationError(
        f"{host}:{port}",
        f"cannot be listened on: {reason}; choose another --port (0 takes a free one)",
    )
