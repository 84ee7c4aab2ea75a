"""Address of a ledger in a database."""

import re
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

import attrs

from connectus_async.errors import ConfigurationError
from connectus_async.ledger.places import is_address

CAMPAIGN: Final = "campaign"
"""Parameter of an address that is ours; all others are libpq's."""

PLACE: Final = frozenset({"host", "hostaddr", "port", "dbname", "service", CAMPAIGN})
"""Parameters that tell one place from another."""

SECRETS: Final = frozenset(
    {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
)

_HOST: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(:\d*)?")


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
    if not is_address(address):
        raise ConfigurationError("ledger", "is no address postgresql://…")
    _check_escapes(address)
    before, _, query = address.partition("?")
    try:
        parameters = dict(_parameters(query))
    except ValueError:
        raise ConfigurationError("ledger", "has parameters that are not NAME=VALUE") from None
    authority, slash, path = before.partition("://")[2].partition("/")
    user, at, hosts = authority.rpartition("@")
    if not all(_HOST.fullmatch(host) for host in hosts.split(",")):
        raise ConfigurationError("ledger", "has no HOST or HOST:PORT; a password goes before an @")
    campaign = parameters.pop(CAMPAIGN, None)
    if campaign == "":
        raise ConfigurationError("ledger", "has an empty campaign: name it, or leave it out")
    where = f"{hosts}{slash}{path}"
    named = {} if campaign is None else {CAMPAIGN: campaign}
    shown = {name: value for name, value in parameters.items() if name not in SECRETS} | named
    place = {name: value for name, value in shown.items() if name in PLACE}
    return Address(
        conninfo=_joined(before, parameters),
        without_password=_joined(f"postgresql://{user.partition(':')[0]}{at}{where}", shown),
        name=_joined(f"postgresql://{where}", place),
        campaign=campaign,
    )


def with_campaign(address: str, campaign: str) -> str:
    """Add the name of a campaign to an address that has none.

    >>> with_campaign("postgresql://db.example/ledgers", "navidad")
    'postgresql://db.example/ledgers?campaign=navidad'
    """
    if parse(address).campaign is not None:
        return address
    before, _, query = address.partition("?")
    named = urlencode({CAMPAIGN: campaign}, quote_via=quote)
    return f"{before}?{query}&{named}" if query else f"{before}?{named}"


def _check_escapes(address: str) -> None:
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
    query = urlencode(parameters, safe="/,", quote_via=quote)
    return f"{before}?{query}" if query else before
