"""Check that a ledger is of the campaign that is to be sent."""

from collections.abc import Mapping

from connectus_async.ledger.metadata_names import IDENTITY, NAME


def difference(found: Mapping[str, str], wanted: Mapping[str, str]) -> str | None:
    """Describe a campaign that is another one than is wanted, and what to do.

    Args:
        found: The metadata of a ledger.
        wanted: The name and the identity that the campaign is to have.

    >>> difference({"name": "navidad"}, {"name": "navidad", "identity": "message"})
    """
    name = found.get(NAME, wanted[NAME])
    if name != wanted[NAME]:
        go_on = "give that name" if name else "give no name"
        return (
            f"is the ledger of {_named(name)}, and this is {_named(wanted[NAME])}: {go_on} to go on"
            " with that campaign, or use another ledger for this one"
        )
    identity = found.get(IDENTITY, wanted[IDENTITY])
    if identity != wanted[IDENTITY]:
        return (
            f"has the identity {identity!r}, and this campaign {wanted[IDENTITY]!r}: give that"
            " identity to go on with that campaign, or use another ledger for this one"
        )
    return None


def _named(campaign: str) -> str:
    return f"the campaign {campaign!r}" if campaign else "a campaign without a name"
