"""Choice of the proxy for a host, from a setting or the environment.

The variables are those of curl: ``https_proxy``, ``http_proxy``, ``all_proxy`` and ``no_proxy``,
lower case first. ``CONNECTUS_PROXY`` precedes the first three. As in Go, none of them applies to
the local machine, where the emulator runs.
"""

import ipaddress
import os
from collections.abc import Iterator
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from connectus_async.errors import ConfigurationError

VARIABLE: Final = "CONNECTUS_PROXY"
NONE: Final = "none"
"""Value for no proxy, which overrides the environment."""

DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def checked(url: object, origin: str = "") -> str:
    """Validate the URL of a proxy; its default scheme is ``http``.

    Args:
        url: The URL, or `NONE`.
        origin: The environment variable that it comes from, with a colon.

    Raises:
        ConfigurationError: It is not a usable proxy; the message does not quote it.
    """
    if not isinstance(url, str):
        raise ConfigurationError("proxy", "must be text, such as http://proxy.example.com:3128")
    if url.strip().lower() == NONE:
        return NONE
    whole = url if "://" in url else f"http://{url}"
    problem = _problem(whole, has_scheme=whole is url)
    if problem is not None:
        raise ConfigurationError("proxy", origin + problem)
    return whole


def _problem(url: str, *, has_scheme: bool) -> str | None:
    if url.lower().startswith("socks"):
        return "SOCKS proxies are not supported; use an HTTP proxy, such as http://127.0.0.1:3128"
    try:
        parts = urlsplit(url)
        port = parts.port  # urlsplit checks the port only on access
        unquote(f"{parts.username}{parts.password}", errors="strict").encode("latin-1")
    except (TypeError, ValueError):  # its message may quote a password
        return "is not a URL such as http://user:password@proxy.example.com:3128"
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return "must be the URL of an HTTP proxy, such as http://proxy.example.com:3128"
    if port is None and not has_scheme:
        return "must have a port, as in proxy.example.com:3128"
    if not url.isprintable() or " " in url:
        return "must not have spaces"
    return None


def from_environment(base_url: str) -> str | None:
    """Return the proxy of the environment for a base URL.

    Raises:
        ConfigurationError: A variable does not name a usable proxy.
    """
    target = urlsplit(base_url)
    if is_loopback(target.hostname or "") or _is_exempt(target):
        return None
    for name in _names(target.scheme):
        if url := os.environ.get(name, "").strip():
            proxy = checked(url, f"{name}: ")
            return None if proxy == NONE else proxy
    return None


def is_loopback(host: str) -> bool:
    """Tell whether a host is the local machine."""
    if host == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _names(scheme: str) -> Iterator[str]:
    yield VARIABLE
    for name in (f"{scheme}_proxy", "all_proxy"):
        if name in os.environ:  # even if empty, it overrides upper case
            yield name
        elif not (name == "http_proxy" and "REQUEST_METHOD" in os.environ):
            yield name.upper()  # under CGI, HTTP_PROXY is a client's ``Proxy`` header


def _is_exempt(target: SplitResult) -> bool:
    """Tell whether ``no_proxy`` has a host, a parent domain, its network, or ``*``."""
    host = target.hostname or ""
    port = str(target.port or DEFAULT_PORTS[target.scheme])
    exempt = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    return any(_covers(entry, host, port) for entry in exempt.lower().replace(",", " ").split())


def _covers(entry: str, host: str, port: str) -> bool:
    if entry == "*":
        return True
    address = _address(host)
    if address is not None:
        return _is_in(address, entry)
    name, _, its_port = entry.partition(":")
    name = name.removeprefix("*").strip(".")
    return its_port in {"", port} and bool(name) and f".{host}".endswith(f".{name}")


def _is_in(address: ipaddress.IPv4Address | ipaddress.IPv6Address, entry: str) -> bool:
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
