"""Options of a campaign whose ledger is in a database: its name, and no password in sight."""

import attrs
import pytest

from connectus_async import ConfigurationError
from connectus_async.bulk.options import BulkOptions

ADDRESS = "postgresql://ana:geheim@db.example/ledgers"


def test_an_address_stays_as_it_is_and_keeps_its_password_from_the_repr():
    """A copy of the options has it too."""
    options = BulkOptions(ledger=f"{ADDRESS}?campaign=navidad")

    assert attrs.evolve(options, rate=5.0).ledger == f"{ADDRESS}?campaign=navidad"
    assert "ledger='postgresql://db.example/ledgers?campaign=navidad'" in repr(options)
    assert "ledger=PosixPath('a.db')" in repr(BulkOptions(ledger="a.db"))


@pytest.mark.parametrize(
    ("address", "campaign"),
    [
        (f"{ADDRESS}?campaign=navidad", ""),
        (f"{ADDRESS}?campaign=navidad", "navidad"),
        (ADDRESS, "navidad"),
    ],
)
def test_a_campaign_has_the_name_of_the_option_or_the_address(address: str, campaign: str):
    """The keys of its messages have it in them, so it must be one and the same."""
    assert BulkOptions(ledger=address, campaign=campaign).campaign == "navidad"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"ledger": ADDRESS}, "campaign: is needed, or"),
        ({"ledger": f"{ADDRESS}?campaign=a", "campaign": "b"}, "campaign: is another one"),
        ({"ledger": f"{ADDRESS}#"}, "ledger: has one of @"),
        ({"ledger": "mysql://ana:geheim@h/d"}, "ledger: must be a path, or an address postgresql:"),
        ({"ledger": 7}, "ledger: must be a path or an address"),
    ],
)
def test_what_names_no_campaign_of_a_database_is_refused(options, problem: str):
    """Without a name, the messages of two files would be one campaign."""
    with pytest.raises(ConfigurationError, match=problem) as refused:
        BulkOptions(**options)

    assert "geheim" not in str(refused.value)
