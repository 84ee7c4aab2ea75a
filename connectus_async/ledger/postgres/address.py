"""Address of a ledger in a database."""

from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

import attrs

from connectus_async.errors import ConfigurationError

SCHEMES: Final = ("postgresql", "postgres")
CAMPAIGN: Final = "campaign"
"""Parameter of an address that is ours; all others are libpq's."""


@attrs.frozen
class Address:
    """Address of a database, and of a campaign in it.

    Attributes:
        conninfo: The address for libpq, which may have a password.
        name: The place as messages name it, without user and password.
        campaign: The campaign's name; ``None`` if the address has none.
    """

    conninfo: str = attrs.field(repr=False)
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
    try:
        url = urlsplit(address)
        parameters = parse_qsl(url.query, keep_blank_values=True, errors="strict")
        port = url.port
    except ValueError:
        raise ConfigurationError("ledger", "is no valid address of a database") from None
    campaigns = [value for name, value in parameters if name == CAMPAIGN]
    if len(campaigns) > 1:
        raise ConfigurationError("ledger", "has the parameter campaign twice")
    others = [(name, value) for name, value in parameters if name != CAMPAIGN]
    place = address.partition("?")[0]
    conninfo = f"{place}?{urlencode(others, quote_via=quote)}" if others else place
    campaign = campaigns[0] if campaigns else None
    return Address(conninfo, _name(url, port, campaign), campaign)


def _name(url: SplitResult, port: int | None, campaign: str | None) -> str:
    place = f"{url.hostname or ''}{'' if port is None else f':{port}'}"
    question = "" if campaign is None else f"?{urlencode({CAMPAIGN: campaign}, quote_via=quote)}"
    return f"postgresql://{place}{url.path}{question}"
