"""Balances per product and country, which messages are billed to. Pure."""

from __future__ import annotations

from typing import Any, Final

from attrs import define

from connectus_async.emulator.refusals import NoBalanceError, RefusalError

BalanceKey = tuple[str, int | None]

COUNTRIES: Final = {
    1: ("Chile", "56"),
    2: ("Mexico", "52"),
    3: ("Peru", "51"),
    4: ("Ecuador", "593"),
    5: ("Estados Unidos", "1"),
    6: ("Colombia", "57"),
    7: ("Argentina", "54"),
    8: ("Brasil", "55"),
    10: ("Costa Rica", "506"),
    12: ("Uruguay", "598"),
    13: ("Paraguay", "595"),
    14: ("Bolivia", "591"),
    15: ("Guatemala", "502"),
}
_COUNTRY_OF_CODE: Final = {code: id_country for id_country, (_, code) in COUNTRIES.items()}
_LONGEST_CODE: Final = 3


@define(repr=False, eq=False)
class Balances:
    """Balances: one for the SMS of each country, one for e-mail, one for WhatsApp."""

    _amounts: dict[BalanceKey, int]

    @classmethod
    def of(cls, amount: int) -> Balances:
        """Make balances of `amount` each."""
        sms: list[BalanceKey] = [("sms", id_country) for id_country in COUNTRIES]
        return cls(dict.fromkeys([*sms, ("email", None), ("whatsapp", None)], amount))

    def withdraw(self, key: BalanceKey, amount: int) -> None:
        """Subtract `amount`, or raise `NoBalanceError` and change nothing."""
        if self._amounts[key] < amount:
            raise NoBalanceError(key[0])
        self._amounts[key] -= amount

    def deposit(self, key: BalanceKey, amount: int) -> None:
        """Add `amount`."""
        self._amounts[key] += amount

    @property
    def total(self) -> int:
        """The sum of all balances."""
        return sum(self._amounts.values())

    @property
    def email(self) -> int:
        """The balance of e-mails."""
        return self._amounts["email", None]

    @property
    def whatsapp(self) -> int:
        """The balance of WhatsApp messages."""
        return self._amounts["whatsapp", None]

    @property
    def sms_by_country(self) -> list[dict[str, Any]]:
        """The balances of SMS, one row per country."""
        return [
            {
                "id_country": id_country,
                "country_name": name,
                "balance": self._amounts["sms", id_country],
            }
            for id_country, (name, _) in COUNTRIES.items()
        ]


def country_of(number: str) -> int:
    """Return the id_country of a number, by its calling code."""
    for length in range(1, _LONGEST_CODE + 1):
        if id_country := _COUNTRY_OF_CODE.get(number[:length]):
            return id_country
    raise RefusalError(subject="dst_number", reason="is in a country without a balance")
