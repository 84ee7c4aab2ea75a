"""Addresses of ledgers: what libpq gets, what messages show, and what is refused."""

import pytest

from connectus_async import ConfigurationError
from connectus_async.ledger.postgres.address import parse, with_campaign

SECRET = "geheim"


@pytest.mark.parametrize(
    ("written", "conninfo", "name", "retyped"),
    [
        (
            f"postgres://ana:{SECRET}@db.example:6543/ledgers?sslmode=require&campaign=navidad",
            f"postgres://ana:{SECRET}@db.example:6543/ledgers?sslmode=require",
            "postgresql://db.example:6543/ledgers?campaign=navidad",
            "postgresql://ana@db.example:6543/ledgers?sslmode=require&campaign=navidad",
        ),
        (
            f"postgresql://?host=/run/pg&user=ana&password={SECRET}&dbname=d&campaign=Navidad%201",
            f"postgresql://?host=/run/pg&user=ana&password={SECRET}&dbname=d",
            "postgresql://?host=/run/pg&dbname=d&campaign=Navidad%201",
            "postgresql://?host=/run/pg&user=ana&dbname=d&campaign=Navidad%201",
        ),
        (
            f"postgresql://ana:a%2F{SECRET}%40@one:1,[::1]:2,three/d",
            f"postgresql://ana:a%2F{SECRET}%40@one:1,[::1]:2,three/d",
            "postgresql://one:1,[::1]:2,three/d",
            "postgresql://ana@one:1,[::1]:2,three/d",
        ),
        (
            f"postgresql://?service=prod&sslpassword=a+{SECRET}",
            f"postgresql://?service=prod&sslpassword=a%2B{SECRET}",
            "postgresql://?service=prod",
            "postgresql://?service=prod",
        ),
        ("postgresql://", "postgresql://", "postgresql://", "postgresql://"),
    ],
)
def test_an_address_keeps_its_password_to_itself(written, conninfo, name, retyped):
    """Libpq gets all but the campaign; what is printed can be typed again."""
    address = parse(written)

    assert (address.conninfo, address.name, address.without_password) == (conninfo, name, retyped)
    assert SECRET not in f"{address!r} {address.name} {address.without_password}"
    assert parse(retyped).name == name


def test_a_campaign_is_named_once():
    """One that an address has stays; others are added."""
    assert parse("postgresql://h/d").campaign is None
    assert parse("postgresql://h/d?campaign=a%20b").campaign == "a b"
    assert with_campaign("postgresql://h/d?campaign=a", "b") == "postgresql://h/d?campaign=a"
    assert with_campaign("postgresql://h/d?user=u", "a&b") == (
        "postgresql://h/d?user=u&campaign=a%26b"
    )


@pytest.mark.parametrize(
    "written",
    [
        f"mysql://ana:{SECRET}@h/d",
        f"host=h password={SECRET}",
        f"postgresql://ana:{SECRET}@h/d ",
        f"postgresql://ana:{SECRET}\n@h/d",
        f"postgresql://ana:@{SECRET}@h/d",
        f"postgresql://ana:/{SECRET}@h/d",
        f"postgresql://ana:?{SECRET}@h/d",
        f"postgresql://ana:#{SECRET}@h/d",
        f"postgresql://ana:#{SECRET}",
        f"postgresql://ana:{SECRET}/d",
        f"postgresql://[{SECRET}/d",
        f"postgresql://h/d?{SECRET}",
        f"postgresql://h/d?a={SECRET}&",
        f"postgresql://h/d?a={SECRET}&a=2",
        f"postgresql://h/d?a=%FF{SECRET}",
        f"postgresql://h/d?password={SECRET}&campaign=",
    ],
)
def test_what_is_no_address_is_refused_without_being_shown(written):
    """A password that is not escaped must not be taken for a host, which messages show."""
    with pytest.raises(ConfigurationError) as refused:
        parse(written)

    assert refused.value.setting == "ledger"
    assert SECRET not in str(refused.value)
