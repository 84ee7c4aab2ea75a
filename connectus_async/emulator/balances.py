"""Balances: what a message costs is taken from the pocket of its product and country. Pure."""

from __future__ import annotations

from typing import Any, Final

from attrs import define

from connectus_async.emulator.refusals import NoBalanceError, RefusalError

Pocket = tuple[str, int | None]

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
class Purse:
    """Balances: one for each country's SMS, one for e-mail, one for WhatsApp."""

    _amounts: dict[Pocket, int]

    @classmethod
    def of(cls, amount: int) -> Purse:
        """A purse with `amount` in every pocket."""
        sms: list[Pocket] = [("sms", id_country) for id_country in COUNTRIES]
        return cls(dict.fromkeys([*sms, ("email", None), ("whatsapp", None)], amount))

    def take(self, pocket: Pocket, amount: int) -> None:
        """Take `amount` out, or raise `NoBalanceError` and take nothing."""
        if self._amounts[pocket] < amount:
            raise NoBalanceError(pocket[0])
        self._amounts[pocket] -= amount

    def give(self, pocket: Pocket, amount: int) -> None:
        """Put `amount` in."""
        self._amounts[pocket] += amount

    @property
    def total(self) -> int:
        """All pockets together."""
        return sum(self._amounts.values())

    @property
    def email(self) -> int:
        """How many e-mails it pays for."""
        return self._amounts["email", None]

    @property
    def whatsapp(self) -> int:
        """How many WhatsApp messages it pays for."""
        return self._amounts["whatsapp", None]

    @property
    def sms_by_country(self) -> list[dict[str, Any]]:
        """How many SMS it pays for, a row a country."""
        return [
            {
                "id_country": id_country,
                "country_name": name,
                "balance": self._amounts["sms", id_country],
            }
            for id_country, (name, _) in COUNTRIES.items()
        ]


def country_of(number: str) -> int:
    """The id_country of a number, by its calling code."""
    for length in range(1, _LONGEST_CODE + 1):
        if id_country := _COUNTRY_OF_CODE.get(number[:length]):
            return id_country
    raise RefusalError(subject="dst_number", reason="is of a country that has no balance")
