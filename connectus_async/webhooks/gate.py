"""Who may come in: by the secret, by the address, and with a body of what size."""

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
"""Bytes. What the platform documents is a few hundred."""

UNIX: Final = "unix"
"""Stands for the peer of a Unix socket, which has no address."""

_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{16,}")
_ENCODED: Final = re.compile(rb"[%+]")
_MAX_DIGITS: Final = 20
_log: Final = logging.getLogger("connectus_async")

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


@attrs.frozen(eq=False)
class Reply:
    """What is answered.

    Attributes:
        status: The HTTP status code.
        text: A sentence for whoever looks into the platform's log.
        headers: Header fields beyond those of the text.
        closes: Whether the connection is of no further use: there is more on it than was read.
    """

    status: int
    text: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    closes: bool = False

    @property
    def body(self) -> bytes:
        """The text in bytes."""
        return self.text.encode()

    @property
    def fields(self) -> list[tuple[str, str]]:
        """All header fields but those that the server writes."""
        return [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(self.body))),
            *self.headers,
        ]


TAKEN: Final = Reply(HTTPStatus.OK)
NOT_FOUND: Final = Reply(HTTPStatus.NOT_FOUND)
NOT_POST: Final = Reply(HTTPStatus.METHOD_NOT_ALLOWED, headers=(("Allow", "POST"),))
NO_LENGTH: Final = Reply(HTTPStatus.LENGTH_REQUIRED, "the body has no length", closes=True)
TOO_LARGE: Final = Reply(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is longer than {MAX_BODY} bytes", closes=True
)
TOO_SLOW: Final = Reply(HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time", closes=True)
BROKEN_OFF: Final = Reply(HTTPStatus.BAD_REQUEST, "the body breaks off", closes=True)
ENCODED: Final = Reply(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is compressed", closes=True)
FAILED: Final = Reply(HTTPStatus.INTERNAL_SERVER_ERROR, "the event could not be handled")
BUSY: Final = Reply(
    HTTPStatus.SERVICE_UNAVAILABLE, "too many events at a time", (("Retry-After", "5"),)
)


class Refused(Exception):  # noqa: N818 - an answer like others
    """A request gets this answer, and nothing else happens."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self.reply = reply


@attrs.define(kw_only=True)
class Head:
    """A request but for its body.

    Attributes:
        method: The HTTP method.
        path: The path, from wherever the server has it, decoded.
        query: The part after the question mark, as it came.
        peer: The address at the other end of the connection; empty or ``None`` for a Unix socket.
        forwarded_for: All ``X-Forwarded-For``, joined by commas.
        length: The ``Content-Length``, if there is one.
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
            "must be 16 or more letters, digits, - and _, for it is a part of a URL; "
            "secrets.token_urlsafe() makes one",
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


class Gate:
    """Lets a request in or refuses it, by its head.

    Args:
        secret: What the last segment of the path or the query value ``secret`` must be.
        allowed_networks: Where requests may come from, such as ``["203.0.113.0/24"]``; from
            anywhere if empty.
        trusted_proxies: Whose ``X-Forwarded-For`` is believed; ``"unix"`` is a Unix socket's peer.
        insecure: Whether a receiver may be open to everybody.

    Raises:
        ConfigurationError: Nothing protects the receiver, or a setting makes no sense.
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
                "is missing: pass one, or allowed_networks; insecure=True would let everybody in",
            )

    def check(self, head: Head) -> None:
        """Look at a request before its body is read.

        Who has no business here gets 404 and is told nothing more.

        Raises:
            Refused: It is not let in.
        """
        if not self._has_secret(head):
            _refuse(NOT_FOUND, "a wrong secret or none")
        if self._allowed and not self._is_allowed(head):
            _refuse(NOT_FOUND, "from an address that is not allowed")
        if head.method != "POST":
            _refuse(NOT_POST, "not a POST")
        if head.encoding and head.encoding.strip().lower() != "identity":
            _refuse(ENCODED, "a body that is compressed")
        if head.length is not None:
            _check_length(head.length)

    def _has_secret(self, head: Head) -> bool:
        if self._secret is None:
            return True
        words = [head.path.rstrip("/").rpartition("/")[2].encode(errors="replace")]
        if head.query:
            pairs = (pair.partition("=") for pair in head.query.split("&"))
            words += [_decoded(value) for name, _, value in pairs if _decoded(name) == b"secret"]
        found = [hmac.compare_digest(word, self._secret) for word in words]
        return any(found)

    def _is_allowed(self, head: Head) -> bool:
        address = self._origin(head)
        return address is not None and _is_in(address, self._allowed)

    def _origin(self, head: Head) -> Address | None:
        """Find who sent it: the last one, seen from us, whom we do not trust to tell."""
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
    """A body on its way, of which no more is kept than may come."""

    def __init__(self) -> None:
        self._received = bytearray()

    def add(self, chunk: bytes) -> None:
        """Take what came.

        Raises:
            Refused: It is too much.
        """
        if len(self._received) + len(chunk) > MAX_BODY:
            _refuse(TOO_LARGE, "a body that is too large")
        self._received += chunk

    def whole(self) -> bytes:
        """Return all of it."""
        return bytes(self._received)


def _decoded(part: str) -> bytes:
    """Decode a name or value of a query, once; a server has decoded the path already."""
    written = part.encode(errors="replace")
    return unquote_to_bytes(written.replace(b"+", b" ")) if _ENCODED.search(written) else written


def _refuse(reply: Reply, why: str) -> Never:
    _log.info("a webhook was answered %d: %s", reply.status, why)
    raise Refused(reply)


def _check_length(digits: str) -> None:
    if not digits.isascii() or not digits.isdecimal():
        _refuse(BROKEN_OFF, "a length that is no number")
    if len(digits) > _MAX_DIGITS or int(digits) > MAX_BODY:
        _refuse(TOO_LARGE, "a body that is too large")


def _is_in(address: Address | None, networks: tuple[Network, ...]) -> bool:
    return address is not None and any(address in network for network in networks)


def _address(text: str) -> Address | None:
    """Read an address, with a port or without; one of IPv4 in IPv6 is the former."""
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
