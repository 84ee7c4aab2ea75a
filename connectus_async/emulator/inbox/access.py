"""Who may see the inbox: pages of other sites may not, whatever name they give this machine."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SAME_SITE: Final = frozenset({"same-origin", "none"})

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " frame-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
EMAIL_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)
"""An email shows its own styles and embedded images; it runs nothing, and asks nobody."""
JSON_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"


class InboxError(Exception):
    """A request that is not answered; the text says why."""

    def __init__(self, status: int, sentence: str) -> None:
        """Answer with `status`."""
        super().__init__(sentence)
        self.status = status


def check_access(request: web.BaseRequest, bound: str, *, page: bool = False) -> None:
    """Check that a request names this machine, and that no page of another site makes it.

    A name of somebody else's that points here (DNS rebinding) is refused.

    Args:
        request: The request.
        bound: The address that the emulator is bound to.
        page: Whether it is for the page itself, to which another site may link.

    Raises:
        InboxError: The request is refused.
    """
    host = request.headers.get("Host", "")
    if not _names_this_machine(host, bound):
        raise InboxError(
            403,
            "the Host header names another machine; open the inbox by the URL that the emulator"
            " printed",
        )
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if not page and (site not in _SAME_SITE or origin not in {None, f"http://{host}"}):
        raise InboxError(403, "a page of another site may not ask or change anything here")


def _names_this_machine(host: str, bound: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in _LOOPBACK or name == bound.casefold():
        return True
    return _is_unspecified(bound) and _is_address(name)


def _is_unspecified(bound: str) -> bool:
    """Tell whether all addresses are bound: then a request may name any, but no name of a host."""
    return bound == "" or (_is_address(bound) and ip_address(bound).is_unspecified)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def json_response(answer: Mapping[str, Any], status: int = 200) -> web.Response:
    """Make an answer of the JSON API."""
    return web.Response(
        status=status,
        body=json.dumps(answer).encode(),
        content_type="application/json",
        headers={**HEADERS, "Content-Security-Policy": JSON_POLICY},
    )
