"""Time zones of phone numbers: phonenumbers' answers, with corrections.

A number with several possible zones waits for all of them. A mobile number that may be anywhere in
its country counts for the zones where at least one in two hundred of its people live: in Chile also
Magallanes and Aysén, but not Easter Island; in Ecuador not the Galápagos.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import attrs

from connectus_async.extras import library

Zones = tuple[str, ...]

_UNKNOWN: Final = "Etc/Unknown"
"""phonenumbers' answer for an unknown zone."""

_CHIHUAHUA: Final[Zones] = ("America/Chihuahua",)
_JUAREZ: Final[Zones] = ("America/Ciudad_Juarez",)
_MATAMOROS: Final[Zones] = ("America/Matamoros",)
_RAPA_NUI: Final[Zones] = ("America/Santiago", "Pacific/Easter")


@attrs.frozen
class Correction:
    """Correction of a wrong answer of phonenumbers.

    Attributes:
        wrong: An example of a number with a wrong answer. A test fails once phonenumbers answers
            it correctly, so that the correction is removed.
        zones: The zones by prefix; the longest matching prefix wins.
        source: The source of the right answer.
    """

    wrong: str
    zones: Mapping[str, Zones]
    source: str


CORRECTIONS: Final = (
    Correction(
        "56612221234",
        {"5661": ("America/Punta_Arenas",)},
        "Chile's numbering plan: area 61 is Magallanes; tzdata: -03 all the year",
    ),
    Correction(
        "56672211234",
        {"5667": ("America/Coyhaique",)},
        "Chile's numbering plan: area 67 is Aysén; tzdata 2025b: -03 all the year",
    ),
    Correction(
        "56322100123",
        {"5632210": _RAPA_NUI, "5632255": _RAPA_NUI},
        "The island's exchanges within Valparaíso's area 32; tzdata: Pacific/Easter",
    ),
    Correction(
        "56987688060",
        {"569": ("America/Santiago", "America/Punta_Arenas", "America/Coyhaique")},
        "Chile's mobile numbers have no area; tzdata: three zones on the mainland",
    ),
    Correction(
        "593987654321",
        {"5939": ("America/Guayaquil",)},
        "Ecuador's mobile numbers have no area, and nearly all are on the mainland",
    ),
    Correction(
        "50581234567",
        {"505": ("America/Managua",)},
        "tzdata: no DST in Nicaragua, unlike Chicago",
    ),
    Correction(
        "5581987654321",
        {"5581": ("America/Recife",), "55813619": ("America/Noronha",)},
        "Brazil's numbering plan: area 81 is Recife; one exchange of it is Fernando de Noronha",
    ),
    Correction(
        "5593987654321",
        {
            "5591": ("America/Belem",),
            "5593": ("America/Santarem",),
            "5594": ("America/Belem",),
        },
        "Brazil's numbering plan: areas 91, 93 and 94 are Pará; tzdata: -03 in all of it",
    ),
    Correction(
        "559250091234",
        {"5592": ("America/Manaus",)},
        "Brazil's numbering plan: area 92 is around Manaus",
    ),
    Correction(
        "559734811234",
        {"5597": ("America/Manaus", "America/Eirunepe")},
        "Brazil's numbering plan: area 97 is inner Amazonas; tzdata: its west is at -05",
    ),
    Correction(
        "555536821234",
        {"5555": ("America/Sao_Paulo",)},
        "Brazil's numbering plan: area 55 is in Rio Grande do Sul",
    ),
    Correction(
        "556734801234",
        {"5567": ("America/Campo_Grande",)},
        "Brazil's numbering plan: area 67 is Mato Grosso do Sul",
    ),
    Correction(
        "556935271234",
        {"5569": ("America/Porto_Velho",)},
        "Brazil's numbering plan: area 69 is Rondônia",
    ),
    Correction(
        "526144151234",
        {
            f"52{area}": _CHIHUAHUA
            for area in "614 621 625 627 628 629 635 639 648 649 652 659".split()  # noqa: SIM905
        }
        | {"52636": _CHIHUAHUA + _JUAREZ},
        "Mexico's numbering plan; tzdata 2022f: the state is at -06, except Juárez and its west",
    ),
    Correction(
        "526572121234",
        {"52657": _JUAREZ},
        "Mexico's numbering plan: 657 is Ciudad Juárez, as is 656",
    ),
    Correction(
        "528688121234",
        {
            **dict.fromkeys(("52868", "52891", "52897"), _MATAMOROS),
            **dict.fromkeys(("52862", "52873"), ("America/Monterrey", *_MATAMOROS)),
        },
        "Mexico's numbering plan; tzdata 2022f: the border has the time of Texas",
    ),
    Correction(
        "526632121234",
        {"52663": ("America/Tijuana",)},
        "Mexico's numbering plan: 663 is Tijuana, as is 664",
    ),
    Correction(
        "529979781234",
        {"52997": ("America/Merida", "America/Cancun")},
        "Mexico's numbering plan: 997 reaches into Quintana Roo",
    ),
    Correction("213551234567", {"213": ("Africa/Algiers",)}, "tzdata: no DST in Algeria"),
    Correction("218912345678", {"218": ("Africa/Tripoli",)}, "tzdata: no DST in Libya"),
    Correction("212650123456", {"212": ("Africa/Casablanca",)}, "tzdata: Morocco's own rules"),
    Correction("211977123456", {"211": ("Africa/Juba",)}, "tzdata: South Sudan is at +02"),
)

CORRECTED: Final[Mapping[str, Zones]] = {
    digits: zones for correction in CORRECTIONS for digits, zones in correction.zones.items()
}
_LENGTHS: Final = sorted({len(digits) for digits in CORRECTED}, reverse=True)


def of_number(digits: str, number: Any) -> Zones:
    """Return the possible zones of a number; none if only its country is known.

    Args:
        digits: Its E.164 digits.
        number: The same number, parsed by phonenumbers.

    Raises:
        ConfigurationError: phonenumbers is not installed.
    """
    for length in _LENGTHS:
        if zones := CORRECTED.get(digits[:length]):
            return zones
    return _looked_up(number)


def guess(number: Any) -> Zones:
    """Return all zones of a number's country, or of its area if countries share the calling code.

    Raises:
        ConfigurationError: phonenumbers is not installed.
    """
    phonenumbers = library("time_zones", "phonenumbers", extra="phone")
    if len(phonenumbers.region_codes_for_country_code(number.country_code)) == 1:
        return _of_country(str(number.country_code))
    zones = library("time_zones", "phonenumbers.timezone", extra="phone")
    return _without_unknown(zones.time_zones_for_geographical_number(number))


@lru_cache
def _of_country(calling_code: str) -> Zones:
    """Return all zones of a calling code."""
    data = library("time_zones", "phonenumbers.tzdata", extra="phone").TIMEZONE_DATA
    tables = (data, CORRECTED)
    known = (
        table[digits]
        for table in tables
        for digits in sorted(table)
        if digits.startswith(calling_code)
    )
    return tuple(dict.fromkeys(zone for zones in known for zone in zones))


def _looked_up(number: Any) -> Zones:
    """Look a number up in phonenumbers.

    For a mobile number of Jamaica it returns every zone of +1, so numbers of a country that shares
    another's calling code are looked up by area.
    """
    zones = library("time_zones", "phonenumbers.timezone", extra="phone")
    found = zones.time_zones_for_number(number)
    if _without_unknown(found) and _is_of_a_guest(number):
        found = zones.time_zones_for_geographical_number(number)
    return _without_unknown(found)


def _without_unknown(found: Zones) -> Zones:
    return () if found == (_UNKNOWN,) else found


def _is_of_a_guest(number: Any) -> bool:
    """Tell whether a number's country is not the main one of its calling code."""
    phonenumbers = library("time_zones", "phonenumbers", extra="phone")
    region = phonenumbers.region_code_for_number(number)
    return bool(region != phonenumbers.region_code_for_country_code(number.country_code))
