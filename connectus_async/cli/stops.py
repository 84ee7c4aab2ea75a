"""Checks that stop a campaign before it is sent, each with the flag that lets it go on."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from connectus_async.cli.language import country, ngettext, number
from connectus_async.cli.language import gettext as _
from connectus_async.recipients.preflight import (
    UNKNOWN_COUNTRY,
    Finding,
    Need,
    PreflightReport,
)

RARE: Final = 50
"""Messages to a country are unusual if they are fewer than one in so many: a market has more, and a
mistyped code or a wrong column has about that."""

ANY: Final = "any"


class Balance(NamedTuple):
    """A need of a campaign, and the balance that pays for it; ``None`` if it is unknown."""

    need: Need
    has: int | None

    @property
    def lacks(self) -> int:
        """The amount that certainly is not covered."""
        return 0 if self.has is None else max(0, self.need.amount - self.has)


class Stop(NamedTuple):
    """Reason why a campaign is not sent.

    Attributes:
        flag: The flag that lets it go on.
        problem: The reason.
    """

    flag: str
    problem: str


def country_name(code: str) -> str:
    """Name a country of a report."""
    return _("unknown country") if code == UNKNOWN_COUNTRY else country(code)


def stops_of(
    report: PreflightReport,
    balances: Sequence[Balance] | None,
    *,
    region: str | None,
    ignores_balance: bool = False,
    countries: Collection[str] | None = None,
    allows_braces: bool = False,
) -> list[Stop]:
    """Find what stops a campaign.

    Args:
        report: The preflight report.
        balances: The balances; ``None`` if they are unknown.
        region: The country of the numbers without country code.
        ignores_balance: Whether the balance may be too low.
        countries: The only countries that messages may go to; ``["any"]`` for all, and ``None`` for
            those that are not unusual.
        allows_braces: Whether a text may have the name of a column in braces.
    """
    found = (
        None if ignores_balance else _balance(balances or ()),
        _countries(report.by_country or {}, region, countries),
        None if allows_braces else _braces(report),
    )
    return [stop for stop in found if stop is not None]


def unusual(
    by_country: Mapping[str, int], region: str | None, countries: Collection[str] | None
) -> list[str]:
    """Find the countries that messages should not go to without a word.

    With a list, those that are not in it. Without one, those with less than a 50th of the messages;
    all but the region if that does not have most of them; and the unknown.
    """
    if countries is not None:
        return [it for it in by_country if ANY not in countries and it not in countries]
    most = max(by_country.values(), default=0)
    is_elsewhere = region is not None and by_country.get(region, 0) < most
    few = sum(by_country.values()) / RARE
    return [
        country
        for country, count in by_country.items()
        if country == UNKNOWN_COUNTRY or count < few or (is_elsewhere and country != region)
    ]


def _balance(balances: Sequence[Balance]) -> Stop | None:
    if not (lacks := sum(it.lacks for it in balances)):
        return None
    return Stop(
        "--ignore-balance",
        ngettext(
            "the balance does not cover it: {count} message is lacking",
            "the balance does not cover it: {count} messages are lacking",
            lacks,
        ).format(count=number(lacks)),
    )


def _countries(
    by_country: Mapping[str, int], region: str | None, countries: Collection[str] | None
) -> Stop | None:
    if not (found := unusual(by_country, region, countries)):
        return None
    named = ", ".join(f"{country_name(it)} ({number(by_country[it])})" for it in found)
    known = [it for it in by_country if it != UNKNOWN_COUNTRY]
    return Stop(
        f"--allow-countries {ANY if UNKNOWN_COUNTRY in found else ','.join(known)}",
        _("it goes to unusual countries: {countries}").format(countries=named),
    )


def _braces(report: PreflightReport) -> Stop | None:
    if not (count := report.findings.get(Finding.BRACES, 0)):
        return None
    return Stop(
        "--allow-braces",
        ngettext(
            "{count} text has the name of a column in braces, as if it was not filled in",
            "{count} texts have the name of a column in braces, as if they were not filled in",
            count,
        ).format(count=number(count)),
    )
