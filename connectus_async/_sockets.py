"""Socket options and questions to the kernel that keep the promise on both ends of an exchange.

At its end: bytes that were written must not arrive after their request was given up, or after the
process died. The kernel would go on sending them, for minutes where a network is cut. So a
connection is reset when it closes, unless all that was written has arrived; and what nobody
acknowledges is dropped after `KERNEL_SENDS_FOR`.

At its beginning: bytes that came while a connection was idle are an answer that nobody asked for,
or its end. The event loop sees them only once it runs, so the kernel is asked.
"""

import os
import select
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from inspect import isbuiltin
from typing import Any, Final

from connectus_async.config import KERNEL_SENDS_FOR

_LINGER: Final = "hh" if os.name == "nt" else "ii"
_RESET: Final = struct.pack(_LINGER, 1, 0)
_IN_ORDER: Final = struct.pack(_LINGER, 0, 0)

_UNACKNOWLEDGED_FOR: Final = {
    "linux": (18, 1000),  # TCP_USER_TIMEOUT, in milliseconds
    "darwin": (0x80, 1),  # TCP_RXT_CONNDROPTIME, in seconds
    "win32": (5, 1),  # TCP_MAXRT, in seconds
}
"""The option that ends a connection whose bytes are not acknowledged, and its unit."""

_SO_NWRITE: Final = 0x1024
"""macOS: how many bytes are not acknowledged."""


def end_with_process(sock: Any) -> None:
    """Have the kernel send nothing more once the socket is closed, by whomever or whatever.

    Not before it is connected: the options would cut the time to connect as well.

    Args:
        sock: A connected socket, or what an event loop has in its place.
    """
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    option = _UNACKNOWLEDGED_FOR.get(sys.platform)
    if option is not None:
        name, unit = option
        with suppress(OSError):  # a family other than TCP
            sock.setsockopt(socket.IPPROTO_TCP, name, int(KERNEL_SENDS_FOR * unit))


def close_in_order(sock: Any) -> bool:
    """Let a socket close by a FIN, if all that was written to it has arrived.

    Returns:
        Whether it has; if not, or where the kernel does not tell, a close resets the connection.
    """
    if _unacknowledged(sock) != 0:
        return False
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _IN_ORDER)
    return True


def _unacknowledged(sock: Any) -> int | None:
    """Count the bytes that were written and did not arrive; ``None`` where nobody knows."""
    try:
        if sys.platform == "darwin":
            return int(sock.getsockopt(socket.SOL_SOCKET, _SO_NWRITE))
        if sys.platform != "win32":
            import fcntl  # noqa: PLC0415 - not everywhere
            import termios  # noqa: PLC0415 - not everywhere

            count = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)
            return int.from_bytes(count, sys.byteorder)
    except (ImportError, OSError, ValueError):
        return None
    return None


def input_of(sock: Any) -> Callable[[], object]:
    """Make what tells whether there is something to read from a socket: bytes, or the end.

    Returns:
        A function that asks the kernel, in less than a microsecond, and gives something true if
        there is, or if nobody can tell: gevent and eventlet put others in the place of the
        functions that ask, which would let other code run meanwhile.
    """
    if isbuiltin(getattr(select, "poll", None)):
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        return partial(poll.poll, 0)
    if sys.platform == "win32" and isbuiltin(select.select):
        return partial(_is_readable, sock.fileno())
    return partial(bool, 1)


def _is_readable(number: int) -> bool:
    return bool(select.select([number], [], [], 0)[0])
