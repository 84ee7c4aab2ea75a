"""Address of a ledger in a database."""

from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import attrs

from connectus_async.errors import ConfigurationError

CAMPAIGN: Final = "campaign"
"""Parameter of an address that is ours; all others are libpq's."""

PLACE: Final = frozenset({"host", "hostaddr", "port", "dbname", "service", CAMPAIGN})
"""Parameters that tell one place from another."""

SECRETS: Final = frozenset(
    {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
)


@attrs.frozen
class Address:
    """Address of a database, and of a campaign in it.

    Attributes:
        conninfo: The address for libpq, which may have a password.
        without_password: The address as it may be printed to be typed again.
        name: The place as messages name it, without user and password.
        campaign: The campaign's name; ``None`` if the address has none.
    """

    conninfo: str = attrs.field(repr=False)
    without_password: str = attrs.field(repr=False)
    name: str
    campaign: str | None


def parse(address: str) -> Address:
    """Take an address apart.

    Args:
        address: ``postgresql://[user[:password]@]host[:port]/database[?campaign=NAME]``, and any
            further parameters of libpq.

    Raises:
        ConfigurationError: It cannot be one.

    >>> parse("postgresql://ana:secret@db.example/ledgers?campaign=navidad")
    Address(name='postgresql://db.example/ledgers?campaign=navidad', campaign='navidad')
    """
    _check(address)
    before, _, query = address.partition("?")
    try:
        parameters = dict(_parameters(query))
    except ValueError:
        raise ConfigurationError("ledger", "has parameters that are not NAME=VALUE") from None
    user, at, host = urlsplit(before).netloc.rpartition("@")
    path = urlsplit(before).path
    campaign = parameters.pop(CAMPAIGN, "") or None
    named = {} if campaign is None else {CAMPAIGN: campaign}
    shown = {name: value for name, value in parameters.items() if name not in SECRETS} | named
    place = {name: value for name, value in shown.items() if name in PLACE}
    return Address(
        conninfo=_joined(before, parameters),
        without_password=_joined(f"postgresql://{user.partition(':')[0]}{at}{host}{path}", shown),
        name=_joined(f"postgresql://{host}{path}", place),
        campaign=campaign,
    )


def with_campaign(address: str, campaign: str) -> str:
    """Give the address of another campaign of the same database.

    >>> with_campaign("postgresql://db.example/ledgers?campaign=navidad", "año nuevo")
    'postgresql://db.example/ledgers?campaign=a%C3%B1o%20nuevo'
    """
    before, _, query = parse(address).conninfo.partition("?")
    return _joined(before, dict(_parameters(query)) | {CAMPAIGN: campaign})


def _check(address: str) -> None:
    """Refuse what would make a part of a password look like a part of the place."""
    user, at, rest = address.partition("@")
    if " " in address or not address.isprintable():
        raise ConfigurationError("ledger", "has a blank or a line break: write it as %20 or %0A")
    if "#" in address or "@" in rest or (at and set("/?") & set(user.partition("://")[2])):
        raise ConfigurationError(
            "ledger", "has one of @ / ? # in a user, password or value: write %40, %2F, %3F or %23"
        )


def _parameters(query: str) -> list[tuple[str, str]]:
    written = query.replace("+", "%2B")  # to libpq it is no blank
    found = parse_qsl(written, keep_blank_values=True, strict_parsing=bool(query), errors="strict")
    if len(found) > len(dict(found)):
        raise ConfigurationError("ledger", "has a parameter twice")
    return found


def _joined(before: str, parameters: dict[str, str]) -> str:
    return f"{before}?{urlencode(parameters, quote_via=quote)}" if parameters else before
