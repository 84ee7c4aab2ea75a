"""Access check of requests: secret, address, method and body size."""

import hmac
import logging
import re
from collections.abc import Iterable
from http import HTTPStatus
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Never, TypeAlias
from urllib.parse import unquote_to_bytes

import attrs

from connectus_async.errors import ConfigurationError

MAX_BODY: Final = 64 * 1024
"""Maximum bytes of a body; the documented events have a few hundred."""

UNIX: Final = "unix"
"""Name for the peer of a Unix socket, which has no address."""

_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{16,}")
_ENCODED: Final = re.compile(rb"[%+]")
_MAX_DIGITS: Final = 20
_log: Final = logging.getLogger("connectus_async")

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


@attrs.frozen(eq=False)
class WebhookResponse:
    """Response to a webhook.

    Attributes:
        status: The HTTP status code.
        text: A sentence for the platform's log.
        headers: Additional header fields.
        closes: Whether the connection must close, since a part of the body is unread.
    """

    status: int
    text: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    closes: bool = False

    @property
    def body(self) -> bytes:
        """The encoded text."""
        return self.text.encode()

    @property
    def fields(self) -> list[tuple[str, str]]:
        """All header fields, except those that the server adds."""
        return [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(self.body))),
            *self.headers,
        ]


OK: Final = WebhookResponse(HTTPStatus.OK)
NOT_FOUND: Final = WebhookResponse(HTTPStatus.NOT_FOUND)
NOT_POST: Final = WebhookResponse(HTTPStatus.METHOD_NOT_ALLOWED, headers=(("Allow", "POST"),))
NO_LENGTH: Final = WebhookResponse(
    HTTPStatus.LENGTH_REQUIRED, "the body has no length", closes=True
)
TOO_LARGE: Final = WebhookResponse(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is longer than {MAX_BODY} bytes", closes=True
)
TOO_SLOW: Final = WebhookResponse(
    HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time", closes=True
)
INCOMPLETE: Final = WebhookResponse(HTTPStatus.BAD_REQUEST, "the body is incomplete", closes=True)
ENCODED: Final = WebhookResponse(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is compressed", closes=True
)
FAILED: Final = WebhookResponse(HTTPStatus.INTERNAL_SERVER_ERROR, "the handler failed")
BUSY: Final = WebhookResponse(
    HTTPStatus.SERVICE_UNAVAILABLE, "too many concurrent events", (("Retry-After", "5"),)
)


class RejectedRequest(Exception):  # noqa: N818 - a response like others
    """A request is answered with a response, and not handled."""

    def __init__(self, response: WebhookResponse) -> None:
        super().__init__(response)
        self.response = response


@attrs.define(kw_only=True)
class RequestHead:
    """A request without its body.

    Attributes:
        method: The HTTP method.
        path: The decoded path.
        query: The query string, as received.
        peer: The address of the peer; empty or ``None`` for a Unix socket.
        forwarded_for: All ``X-Forwarded-For`` fields, joined by commas.
        length: The ``Content-Length``, if any.
        encoding: The ``Content-Encoding``.
    """

    method: str
    path: str
    query: str
    peer: str | None
    forwarded_for: str = ""
    length: str | None = None
    encoding: str = ""


def _secret(value: str | None) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _SECRET.fullmatch(value):
        raise ConfigurationError(
            "secret",
            "must be 16 or more letters, digits, - and _, since it is part of a URL; "
            "use secrets.token_urlsafe()",
        )
    return value.encode()


def _names(setting: str, values: Iterable[str]) -> list[str]:
    is_list = isinstance(values, Iterable) and not isinstance(values, str | bytes)
    names = list(values) if is_list else []
    if not is_list or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(setting, "must be a list of addresses and networks as text")
    return names


def _networks(setting: str, names: Iterable[str]) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(name) for name in names)
    except ValueError as error:
        raise ConfigurationError(setting, str(error)) from None


class AccessCheck:
    """Accepts or rejects a request by its head.

    Args:
        secret: The required last segment of the path, or query value ``secret``.
        allowed_networks: The networks that requests may come from, such as ``["203.0.113.0/24"]``;
            any if empty.
        trusted_proxies: The proxies whose ``X-Forwarded-For`` is trusted; ``"unix"`` for the peer
            of a Unix socket.
        insecure: Whether to allow a receiver without protection.

    Raises:
        ConfigurationError: Nothing protects the receiver, or a setting is invalid.
    """

    def __init__(
        self,
        *,
        secret: str | None = None,
        allowed_networks: Iterable[str] = (),
        trusted_proxies: Iterable[str] = (),
        insecure: bool = False,
    ) -> None:
        self._secret = _secret(secret)
        self._allowed = _networks("allowed_networks", _names("allowed_networks", allowed_networks))
        proxies = _names("trusted_proxies", trusted_proxies)
        self._trusts_unix = UNIX in proxies
        self._trusted = _networks("trusted_proxies", (name for name in proxies if name != UNIX))
        if self._secret is None and not self._allowed and not insecure:
            raise ConfigurationError(
                "secret",
                "is missing; pass one, or allowed_networks (insecure=True accepts every request)",
            )

    def check(self, head: RequestHead) -> None:
        """Check a request before its body is read.

        An unauthorized request gets a 404 without details.

        Raises:
            RejectedRequest: The request is not accepted.
        """
        if not self._has_secret(head):
            _reject(NOT_FOUND, "wrong or missing secret")
        if self._allowed and not self._is_allowed(head):
            _reject(NOT_FOUND, "address not allowed")
        if head.method != "POST":
            _reject(NOT_POST, "not a POST")
        if head.encoding and head.encoding.strip().lower() != "identity":
            _reject(ENCODED, "compressed body")
        if head.length is not None:
            _check_length(head.length)

    def _has_secret(self, head: RequestHead) -> bool:
        if self._secret is None:
            return True
        candidates = [head.path.rstrip("/").rpartition("/")[2].encode(errors="replace")]
        if head.query:
            pairs = (pair.partition("=") for pair in head.query.split("&"))
            candidates += [
                _decoded(value) for name, _, value in pairs if _decoded(name) == b"secret"
            ]
        found = [hmac.compare_digest(one, self._secret) for one in candidates]
        return any(found)

    def _is_allowed(self, head: RequestHead) -> bool:
        address = self._origin(head)
        return address is not None and _is_in(address, self._allowed)

    def _origin(self, head: RequestHead) -> Address | None:
        """Return the sender's address: the first one, from our end, that is not a trusted proxy."""
        address = _address(head.peer) if head.peer else None
        if not head.forwarded_for:
            return address
        is_trusted = _is_in(address, self._trusted) if head.peer else self._trusts_unix
        hops = head.forwarded_for.split(",")
        while is_trusted and hops:
            address = _address(hops.pop())
            is_trusted = _is_in(address, self._trusted)
        return address


class Body:
    """A body being received, up to the maximum size."""

    def __init__(self) -> None:
        self._received = bytearray()

    def add(self, chunk: bytes) -> None:
        """Add a chunk.

        Raises:
            RejectedRequest: The body is too large.
        """
        if len(self._received) + len(chunk) > MAX_BODY:
            _reject(TOO_LARGE, "body too large")
        self._received += chunk

    def whole(self) -> bytes:
        """Return the whole body."""
        return bytes(self._received)


def _decoded(part: str) -> bytes:
    """Decode a name or value of a query; the server has already decoded the path."""
    written = part.encode(errors="replace")
    return unquote_to_bytes(written.replace(b"+", b" ")) if _ENCODED.search(written) else written


def _reject(response: WebhookResponse, reason: str) -> Never:
    _log.info("webhook rejected with %d: %s", response.status, reason)
    raise RejectedRequest(response)


def _check_length(digits: str) -> None:
    if not digits.isascii() or not digits.isdecimal():
        _reject(INCOMPLETE, "invalid Content-Length")
    if len(digits) > _MAX_DIGITS or int(digits) > MAX_BODY:
        _reject(TOO_LARGE, "body too large")


def _is_in(address: Address | None, networks: tuple[Network, ...]) -> bool:
    return address is not None and any(address in network for network in networks)


def _address(text: str) -> Address | None:
    """Parse an address, with or without a port; convert IPv4-mapped IPv6 to IPv4."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
