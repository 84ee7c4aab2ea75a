"""Account that a campaign is sent with: what its ledger records of it, without a credential."""

import os
from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from connectus_async.cli import profiles
from connectus_async.cli.exit_codes import ExitCode
from connectus_async.cli.language import gettext as _
from connectus_async.cli.parameters import credentials, takes_any_account
from connectus_async.config import BASE_URL
from connectus_async.defaults import ENVIRONMENT
from connectus_async.errors import ConfigurationError, LedgerError
from connectus_async.ledger import metadata_names, open_store
from connectus_async.ledger.states import ATTEMPTED, MAY_BE_SENT, State

if TYPE_CHECKING:
    from connectus_async.cli.ledgers import Place

MARK_BYTES: Final = 8


class Account(NamedTuple):
    """Account of a campaign.

    Attributes:
        profile: The profile to name by ``--profile``; empty for the default one, and for
            credentials of the environment.
        mark: Hash of the API's address and the user; empty if there is no user.
    """

    profile: str
    mark: str

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> Self | None:
        """Read what a ledger records; ``None`` if it was made by another version or a program."""
        if metadata_names.ACCOUNT not in metadata:
            return None
        profile = metadata.get(metadata_names.PROFILE, "")
        return cls(profile, metadata[metadata_names.ACCOUNT])

    def is_other(self, recorded: "Account") -> bool:
        """Tell whether it is another account than the recorded one, or has another profile."""
        if self.profile and recorded.profile and self.profile != recorded.profile:
            return True
        if self.mark and recorded.mark:
            return self.mark != recorded.mark
        return self.profile != recorded.profile


def present() -> Account | None:
    """Find the account of the present command; ``None`` if it calls nobody."""
    choice = credentials()
    if choice is None:
        return None
    user, address = (
        choice.settings.get(name) or os.environ.get(ENVIRONMENT[name]) or default
        for name, default in (("api_user", ""), ("base_url", BASE_URL))
    )
    named = "" if choice.profile in {None, profiles.DEFAULT} else str(choice.profile)
    mark = blake2b(f"{address.rstrip('/')}\n{user}".encode(), digest_size=MARK_BYTES)
    return Account(named, mark.hexdigest() if user else "")


def account_to_check() -> Account | None:
    """Find the account that a campaign must have been sent with; ``None`` for any."""
    return None if takes_any_account() else present()


def account_to_record() -> dict[str, str]:
    """Write the account of the present command, for its ledger."""
    account = present()
    if account is None:
        return {}
    return {metadata_names.PROFILE: account.profile, metadata_names.ACCOUNT: account.mark}


def present_profile() -> str:
    """Name the profile of the present command; empty if none has to be named."""
    account = present()
    return account.profile if account else ""


def check_account(ledger: "Place", account: Account | None) -> None:
    """Check that a campaign goes on with the account that it was sent with. Blocks.

    Args:
        ledger: The ledger, which need not be there.
        account: The account of the present command; ``None`` for any.

    Raises:
        ConfigurationError: It is another account.
    """
    if account is None:
        return
    try:
        with open_store(ledger).read() as reader:
            metadata, states = reader.metadata(), reader.totals().keys()
    except LedgerError:  # there is none yet, or opening it says what is wrong
        return
    recorded = Account.read(metadata)
    if recorded is None or not account.is_other(recorded) or _was_refused(metadata, states):
        return
    raise ConfigurationError(profiles.OPTION, _difference(account, recorded))


def _was_refused(metadata: Mapping[str, str], states: Collection[State]) -> bool:
    """Tell whether a campaign stopped before its first message, as wrong credentials do."""
    is_stopped = metadata.get(metadata_names.STOPPED_CODE) == str(int(ExitCode.STOPPED))
    return is_stopped and not {*ATTEMPTED, *MAY_BE_SENT}.intersection(states)


def _difference(account: Account, recorded: Account) -> str:
    if not recorded.profile:
        return _(
            "this campaign was sent without --profile, by another account than the present one:"
            " leave it out, or go on with the present one by --other-account"
        )
    if recorded.profile == account.profile:
        return _(
            "this campaign was sent by another account than --profile {name} has now; to go on with"
            " the present one, add --other-account"
        ).format(name=recorded.profile)
    return _(
        "this campaign was sent with --profile {name}: add that, or go on with the present account"
        " by --other-account"
    ).format(name=recorded.profile)
