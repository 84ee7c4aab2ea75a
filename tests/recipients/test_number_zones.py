"""Corrections of phonenumbers' time zones, as long as they are needed."""

import datetime as dt

import phonenumbers
import pytest
from phonenumbers.timezone import time_zones_for_number

from connectus_async.recipients.number_zones import CORRECTIONS, Correction
from connectus_async.recipients.phone_numbers import time_zones
from connectus_async.tz_database import zone as zone_of

WEEKS = [dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(weeks=n) for n in range(104)]

every_correction = pytest.mark.parametrize("correction", CORRECTIONS, ids=lambda one: one.wrong)


def clocks(zones: tuple[str, ...]) -> set[tuple[object, ...]]:
    """What the clocks of the zones show: a zone may have several names."""
    return {tuple(week.astimezone(zone_of(zone)).utcoffset() for week in WEEKS) for zone in zones}


@every_correction
def test_a_correction_is_still_needed(correction: Correction):
    """When this fails, phonenumbers has learnt it: delete the correction."""
    number = phonenumbers.parse(f"+{correction.wrong}")

    assert phonenumbers.is_valid_number(number)
    assert clocks(time_zones_for_number(number)) != clocks(time_zones(correction.wrong))


@every_correction
def test_a_correction_says_why_and_names_zones_that_there_are(correction: Correction):
    """Its number begins as it says, and its source is written down."""
    assert correction.source
    assert any(correction.wrong.startswith(digits) for digits in correction.zones)
    for zones in correction.zones.values():
        assert [zone_of(zone).key for zone in zones] == list(zones)


@pytest.mark.parametrize(
    ("digits", "zones"),
    [
        ("558136191234", ("America/Noronha",)),
        ("558134221234", ("America/Recife",)),
        ("59352521234", ("America/Guayaquil", "Pacific/Galapagos")),
        ("526361234567", ("America/Chihuahua", "America/Ciudad_Juarez")),
        ("528671234567", ("America/Matamoros",)),
        ("526561234567", ("America/Ciudad_Juarez",)),
        ("18681234567", ("America/Port_of_Spain",)),
        ("18682911234", ("America/Port_of_Spain",)),
        ("77710009998", ("Asia/Almaty", "Asia/Aqtobe")),
    ],
)
def test_a_number_is_where_its_first_digits_say(digits: str, zones: tuple[str, ...]):
    """The longest known prefix wins; countries that share a calling code are told by area."""
    assert time_zones(digits) == zones


def test_where_only_the_country_is_known_all_its_zones_count():
    """Those of the corrections too, and none of another country's."""
    assert set(time_zones("56100000000")) == {
        "America/Santiago",
        "America/Punta_Arenas",
        "America/Coyhaique",
        "Pacific/Easter",
    }
    assert {"America/Mexico_City", "America/Tijuana"} < set(time_zones("521000000000"))
    assert time_zones("521000000000", guess=False) == ()
    assert time_zones("5216641234567") == ("America/Tijuana",)
    assert time_zones("99987688060") == ()
