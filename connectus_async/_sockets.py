"""Socket options and kernel queries for safe exchanges.

At the end of an exchange, written bytes must not arrive after their request was abandoned or the
process died. The kernel would keep sending them, for minutes if the network is down. So a closing
connection is reset unless all written bytes have arrived, and unacknowledged bytes are dropped
after `KERNEL_SENDS_FOR`.

At the beginning, input on an idle connection is an unsolicited response, or the end of the
connection. The event loop sees it only once it runs, so this module asks the kernel.
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

from connectus_async.defaults import KERNEL_SENDS_FOR

_LINGER: Final = "hh" if os.name == "nt" else "ii"
_RESET: Final = struct.pack(_LINGER, 1, 0)
_IN_ORDER: Final = struct.pack(_LINGER, 0, 0)

_UNACKNOWLEDGED_FOR: Final = {
    "linux": (18, 1000),  # TCP_USER_TIMEOUT, in milliseconds
    "darwin": (0x80, 1),  # TCP_RXT_CONNDROPTIME, in seconds
    "win32": (5, 1),  # TCP_MAXRT, in seconds
}
"""The option that limits the time without acknowledgement, and its units per second."""

_SO_NWRITE: Final = 0x1024
"""macOS: option for the number of unacknowledged bytes."""


def end_with_process(sock: Any) -> None:
    """Make the kernel send nothing more once the socket is closed, for any reason.

    Call it only when connected: the options would also shorten the time to connect.

    Args:
        sock: A connected socket, or an event loop's substitute for one.
    """
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    option = _UNACKNOWLEDGED_FOR.get(sys.platform)
    if option is not None:
        name, unit = option
        with suppress(OSError):  # a family other than TCP
            sock.setsockopt(socket.IPPROTO_TCP, name, int(KERNEL_SENDS_FOR * unit))


def close_in_order(sock: Any) -> bool:
    """Let a socket close with a FIN, if all written bytes have arrived.

    Returns:
        Whether they have; if not, or if the kernel does not tell, closing resets the connection.
    """
    if _unacknowledged(sock) != 0:
        return False
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _IN_ORDER)
    return True


def _unacknowledged(sock: Any) -> int | None:
    """Count the written bytes that have not arrived; ``None`` if the kernel does not tell."""
    try:
        if sys.platform == "darwin":
            return int(sock.getsockopt(socket.SOL_SOCKET, _SO_NWRITE))
        if sys.platform != "win32":
            import fcntl  # noqa: PLC0415 - Unix only
            import termios  # noqa: PLC0415 - Unix only

            count = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)
            return int.from_bytes(count, sys.byteorder)
    except (ImportError, OSError, ValueError):
        return None
    return None


def input_of(sock: Any) -> Callable[[], object]:
    """Return a function that tells whether a socket has input: bytes, or the end.

    Returns:
        A function that asks the kernel, in less than a microsecond, and returns a true value if
        there is input or if it cannot tell: gevent and eventlet replace the functions of the
        kernel query, and theirs would let other code run meanwhile.
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
