"""Whether a server of this machine is served by an event loop, which a blocking call would stop."""

import asyncio
import contextlib
import socket
from urllib.parse import urlsplit

from connectus_async.errors import OwnServerError
from connectus_async.proxies import is_loopback


def refuse_to_block(*urls: str) -> None:
    """Refuse a call that blocks the loop of this thread, if that has to answer it.

    Raises:
        OwnServerError: The loop of this thread listens where one of the URLs leads.
    """
    loop = asyncio._get_running_loop()  # noqa: SLF001 - documented; the public one raises
    if loop is None:
        return
    ports = {parts.port for parts in map(urlsplit, urls) if is_loopback(parts.hostname or "")}
    if ports and ports & set(_ports_of(loop)):
        raise OwnServerError


def _ports_of(loop: asyncio.AbstractEventLoop) -> list[int]:
    """List the ports that a loop listens on; none if it does not tell, as uvloop does not."""
    selector = getattr(loop, "_selector", None)
    files = [] if selector is None else [*(selector.get_map() or ())]
    return [port for file in files if (port := _listening_port(file)) is not None]


def _listening_port(file: int) -> int | None:
    try:
        opened = socket.socket(fileno=file)
    except OSError:  # no socket
        return None
    try:
        with contextlib.suppress(OSError):
            if opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                port: int = opened.getsockname()[1]
                return port
    finally:
        opened.detach()
    return None
