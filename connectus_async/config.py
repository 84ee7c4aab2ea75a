"""Settings of a client: frozen, validated once, with defaults from the environment."""

import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import SplitResult, urlsplit

import attrs

from connectus_async import proxies
from connectus_async.defaults import DEFAULT_TIMEOUT, ENVIRONMENT, TIME_ZONE
from connectus_async.errors import ConfigurationError
from connectus_async.instrumentation import CallHook, checked_hook
from connectus_async.redaction import masked

if TYPE_CHECKING:
    import ssl
    from zoneinfo import ZoneInfo

BASE_URL: Final = "https://plataforma.connectus.la/api_v3"
QR_BASE_URL: Final = "https://whatsappqr.connectus.la"


def _split(setting: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # urlsplit checks the port only on access
    except (AttributeError, TypeError, ValueError):  # its message may quote a password
        raise ConfigurationError(setting, "is not a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(setting, "must begin with https:// and have a host")
    return parts


def _check_url(config: "Config", attribute: "attrs.Attribute[str]", url: str) -> None:
    setting = attribute.name
    parts = _split(setting, url)
    if any(sign in url for sign in "@?#"):
        raise ConfigurationError(setting, "must not have credentials, a query or a fragment")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigurationError(setting, "must be ASCII without spaces")
    host = parts.hostname or ""
    if parts.scheme == "http" and config.has_credentials and not proxies.is_loopback(host):
        raise ConfigurationError(
            setting,
            f"plain http would expose the credentials on the way to {host}; use https",
        )


def _check_proxy(config: "Config", attribute: "attrs.Attribute[Any]", url: str | None) -> None:
    if url is None or url == proxies.NONE:
        return
    bases = (config.base_url, config.qr_base_url)
    is_plain = any(urlsplit(base).scheme == "http" for base in bases)
    if is_plain and not proxies.is_loopback(urlsplit(url).hostname or ""):
        raise ConfigurationError(
            attribute.name, "would see the credentials of a plain http base URL; use https there"
        )


def _proxy(url: object) -> str | None:
    return None if url is None else proxies.checked(url)


def _check_ca_file(config: "Config", attribute: "attrs.Attribute[Any]", path: object) -> None:
    if path is None:
        return
    if not isinstance(path, str) or not path:
        raise ConfigurationError(attribute.name, "must be the path of a file")
    if config.ssl_context is not None:
        raise ConfigurationError(
            attribute.name, "cannot be combined with ssl_context; load the file into the context"
        )


def _check_ssl_context(_: "Config", __: "attrs.Attribute[Any]", context: object) -> None:
    if context is None:
        return
    import ssl  # noqa: PLC0415 - already imported

    if not isinstance(context, ssl.SSLContext):
        raise ConfigurationError("ssl_context", "must be an ssl.SSLContext")


def _check_hook(_: "Config", attribute: "attrs.Attribute[Any]", hook: object) -> None:
    checked_hook(attribute.name, hook)


def _positive(_: "Config", attribute: "attrs.Attribute[Any]", value: float) -> None:
    _check_number(attribute, value)
    if value <= 0:
        raise ConfigurationError(attribute.name, "must be above zero")


def _not_negative(_: "Config", attribute: "attrs.Attribute[Any]", value: float) -> None:
    _check_number(attribute, value)
    if value < 0:
        raise ConfigurationError(attribute.name, "must be zero or above")


def _check_number(attribute: "attrs.Attribute[Any]", value: object) -> None:
    kind = int if attribute.type is int else int | float
    if not isinstance(value, kind) or isinstance(value, bool) or not math.isfinite(value):
        wanted = "a whole number" if kind is int else "a finite number"
        raise ConfigurationError(attribute.name, f"must be {wanted}")


def _check_secret(_: "Config", attribute: "attrs.Attribute[str | None]", value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str) or not value.isprintable() or value != value.strip():
        raise ConfigurationError(
            attribute.name, "must be text without surrounding spaces or line breaks"
        )
    if not value:
        raise ConfigurationError(attribute.name, "is empty; leave it out or pass a value")


def _check_api_user(
    config: "Config", attribute: "attrs.Attribute[str | None]", value: str | None
) -> None:
    _check_secret(config, attribute, value)
    if value is not None and ":" in value:
        raise ConfigurationError(
            "api_user", "must not have a colon; basic authentication forbids it"
        )


def _check_time_zone(_: "Config", __: "attrs.Attribute[str]", name: str) -> None:
    check_time_zone(name)


def check_time_zone(name: str) -> None:
    """Check that this machine knows a time zone, other than the default.

    A plain Windows knows none, and most clients never need the default.

    Raises:
        ConfigurationError: The zone is not known.
    """
    if name != TIME_ZONE:
        from connectus_async import tz_database  # noqa: PLC0415 - as above

        tz_database.check(name)


def _without_slash(url: str) -> str:
    return url.rstrip("/") if isinstance(url, str) else url


def _path(path: Any) -> Any:
    return os.fspath(path) if isinstance(path, os.PathLike) else path


def _secret(validator: Callable[..., None] = _check_secret) -> Any:
    return attrs.field(default=None, validator=validator, repr=masked)


@attrs.frozen(kw_only=True)
class Config:
    """All settings of a client, documented in ``AsyncConnectus``."""

    api_user: str | None = _secret(_check_api_user)
    api_key: str | None = _secret()
    qr_token: str | None = _secret()
    base_url: str = attrs.field(default=BASE_URL, converter=_without_slash, validator=_check_url)
    qr_base_url: str = attrs.field(
        default=QR_BASE_URL, converter=_without_slash, validator=_check_url
    )
    timeout: float = attrs.field(default=DEFAULT_TIMEOUT, validator=_positive)
    connect_timeout: float = attrs.field(default=5.0, validator=_positive)
    max_retries: int = attrs.field(default=2, validator=_not_negative)
    backoff_base: float = attrs.field(default=0.5, validator=_not_negative)
    backoff_cap: float = attrs.field(default=8.0, validator=_not_negative)
    retry_after_cap: float = attrs.field(default=60.0, validator=_not_negative)
    max_connections: int = attrs.field(default=100, validator=_positive)
    keepalive_timeout: float = attrs.field(default=4.0, validator=_positive)
    max_response_bytes: int = attrs.field(default=16 * 2**20, validator=_positive)
    time_zone: str = attrs.field(default=TIME_ZONE, validator=_check_time_zone)
    ssl_context: "ssl.SSLContext | None" = attrs.field(
        default=None, validator=_check_ssl_context, repr=False
    )
    ca_file: str | None = attrs.field(default=None, converter=_path, validator=_check_ca_file)
    proxy: str | None = attrs.field(
        default=None, converter=_proxy, validator=_check_proxy, repr=False
    )
    on_call: CallHook | None = attrs.field(default=None, validator=_check_hook, repr=False)

    def __attrs_post_init__(self) -> None:
        if not self.has_credentials:
            raise ConfigurationError(
                "api_user",
                "no credentials: pass api_user and api_key, or set CONNECTUS_API_USER and "
                "CONNECTUS_API_KEY (qr_token or CONNECTUS_QR_TOKEN for WhatsApp QR)",
            )
        if (self.api_user is None) != (self.api_key is None):
            missing = "api_user" if self.api_user is None else "api_key"
            raise ConfigurationError(
                missing, f"is missing; pass {missing} or set {ENVIRONMENT[missing]}"
            )

    @property
    def has_credentials(self) -> bool:
        """``True`` if any credentials are set."""
        return not (self.api_user is None and self.api_key is None and self.qr_token is None)

    def proxy_for(self, base_url: str) -> str | None:
        """Return the proxy for a base URL: the setting, or that of the environment.

        Raises:
            ConfigurationError: The environment names an unusable proxy.
        """
        if self.proxy is not None:
            return None if self.proxy == proxies.NONE else self.proxy
        return proxies.from_environment(base_url)

    def check_concurrency(self, concurrency: int) -> None:
        """Check a number of concurrent messages.

        Raises:
            ConfigurationError: It exceeds the number of connections.
        """
        if not 1 <= concurrency <= self.max_connections:
            raise ConfigurationError(
                "concurrency", f"must be between 1 and max_connections ({self.max_connections})"
            )

    @property
    def zone(self) -> "ZoneInfo":
        """The time zone that aware datetimes are converted to; read from a file on first use.

        Raises:
            ConfigurationError: This machine does not know the zone.
        """
        from connectus_async import tz_database  # noqa: PLC0415 - rarely needed

        return tz_database.zone(self.time_zone)

    @classmethod
    def from_environment(cls, **settings: Any) -> Self:
        """Make a configuration from settings, and from the environment for the others.

        Args:
            settings: Settings by name; ``None`` counts as not given.

        Raises:
            ConfigurationError: A setting is missing or invalid.
        """
        given = {name: value for name, value in settings.items() if value is not None}
        found = {
            name: os.environ[variable]
            for name, variable in ENVIRONMENT.items()
            if os.environ.get(variable)
        }
        return cls(**{**found, **given})

    def with_options(self, **settings: Any) -> Self:
        """Copy this configuration, and replace the settings that are not ``None``."""
        given = {name: value for name, value in settings.items() if value is not None}
        return attrs.evolve(self, **given)
