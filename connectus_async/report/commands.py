"""Commands that go on with a campaign, for the shell. Pure."""

from typing import Final

OF_THE_API: Final = frozenset({"resume", "reconcile", "retry", "track"})
"""Commands of `connectus bulk` that call the API."""


def command(name: str, ledger: str, profile: str = "") -> str:
    """Write a command of a campaign.

    Args:
        name: The command of `connectus bulk`.
        ledger: The ledger, quoted for the shell.
        profile: The profile of the campaign; empty if none has to be named.

    >>> command("resume", "a.db", "sandbox"), command("status", "a.db", "sandbox")
    ('connectus bulk resume a.db --profile sandbox', 'connectus bulk status a.db')
    """
    written = f"connectus bulk {name} {ledger}"
    return with_profile(written, profile) if name in OF_THE_API else written


def with_profile(written: str, profile: str) -> str:
    """Add a profile to a command that calls the API, unless none has to be named."""
    return f"{written} --profile {profile}" if profile else written
