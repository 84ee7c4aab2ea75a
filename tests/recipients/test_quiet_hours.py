"""Quiet hours in the recipient's time zone."""

import datetime as dt
import doctest
import importlib
import sys
from zoneinfo import ZoneInfo

import pytest
from anyio.to_thread import run_sync
from hypothesis import assume, given
from hypothesis import strategies as st

from connectus_async import ConfigurationError, InvalidArgumentError
from connectus_async.recipients import phone_numbers
from connectus_async.recipients.quiet_hours import QuietHours, block_start

NIGHT = QuietHours(dt.time(21), dt.time(8))
SANTIAGO = ZoneInfo("America/Santiago")
CHILE, TIJUANA, IDAHO, TOLL_FREE = "56223456789", "526646341234", "12082101234", "18005550123"
ECUADOR = "593987654321"
NOWHERE = "99987688060"

COUNTRIES = {
    "CL": ("56987688060", "America/Santiago"),
    "MX": ("525512345678", "America/Mexico_City"),
    "PE": ("51987654321", "America/Lima"),
    "EC": (ECUADOR, "America/Guayaquil"),
    "US": ("13105550123", "America/Los_Angeles"),
    "CO": ("573101234567", "America/Bogota"),
    "AR": ("5491123456789", "America/Argentina/Buenos_Aires"),
    "BR": ("5592987654321", "America/Manaus"),
    "CR": ("50688887777", "America/Costa_Rica"),
    "UY": ("59894123456", "America/Montevideo"),
    "PY": ("595981123456", "America/Asuncion"),
    "BO": ("59171234567", "America/La_Paz"),
    "GT": ("50251234567", "America/Guatemala"),
}


def at(text: str, zone: str = "America/Santiago", fold: int = 0) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def until(hours: QuietHours, recipient: str, now: dt.datetime) -> str | None:
    moment = hours.until(recipient, now)
    return moment and f"{moment:%Y-%m-%d %H:%M %z}"


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("21:00-08:00", dt.time(21), dt.time(8)),
        (" 9:30 \N{EN DASH} 17:05 ", dt.time(9, 30), dt.time(17, 5)),
        ("22:00-24:00", dt.time(22), dt.time(0)),
        ("00:00-06:00", dt.time(0), dt.time(6)),
    ],
)
def test_hours_are_written_as_people_write_them(text: str, begin: dt.time, end: dt.time):
    """Two times with a dash between them."""
    assert QuietHours.parse(text) == QuietHours(begin, end)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "21-8",
        "21:00",
        "21:00-25:00",
        "21:60-08:00",
        "24:01-08:00",
        "9pm-8am",
        "2\u0661:00-08:00",
    ],
)
def test_what_is_no_hours_is_refused(text: str):
    """The form is shown."""
    with pytest.raises(ConfigurationError, match="must be two times such as 21:00-08:00"):
        QuietHours.parse(text)


def test_settings_that_make_no_sense_are_refused():
    """Before the first message, not at it."""
    with pytest.raises(ConfigurationError, match="no message could be sent"):
        QuietHours.parse("08:00-08:00")
    with pytest.raises(ConfigurationError, match="without a time zone"):
        QuietHours(dt.time(21, tzinfo=dt.UTC), dt.time(8))
    with pytest.raises(ConfigurationError, match="'America/Satniago' is unknown here"):
        QuietHours.parse("21:00-08:00", time_zone="America/Satniago")
    with pytest.raises(InvalidArgumentError, match="now: must have a time zone"):
        NIGHT.until(CHILE, dt.datetime(2026, 7, 31, 12))


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    """One sentence."""
    monkeypatch.setitem(sys.modules, "phonenumbers.timezone", None)

    with pytest.raises(ConfigurationError, match=r"'connectus-async\[phone\]'"):
        QuietHours.parse("21:00-08:00")


@pytest.mark.parametrize(
    ("now", "moment"),
    [
        ("2026-07-31 20:59:59", None),
        ("2026-07-31 21:00", "2026-08-01 08:00 -0400"),
        ("2026-07-31 23:59:59", "2026-08-01 08:00 -0400"),
        ("2026-08-01 00:00", "2026-08-01 08:00 -0400"),
        ("2026-08-01 07:59:59", "2026-08-01 08:00 -0400"),
        ("2026-08-01 08:00", None),
        ("2026-12-31 22:00", "2027-01-01 08:00 -0300"),
    ],
)
def test_the_night_crosses_midnight(now: str, moment: str | None):
    """It begins on one day and ends on the next; its end is free again."""
    assert until(NIGHT, CHILE, at(now)) == moment


@pytest.mark.parametrize(
    ("now", "moment"),
    [
        ("2026-07-31 12:59", None),
        ("2026-07-31 13:00", "2026-07-31 15:00 -0400"),
        ("2026-07-31 14:59", "2026-07-31 15:00 -0400"),
        ("2026-07-31 15:00", None),
        ("2026-07-31 00:00", None),
    ],
)
def test_a_siesta_is_within_a_day(now: str, moment: str | None):
    """Hours that do not cross midnight are quiet between their ends only."""
    assert until(QuietHours.parse("13:00-15:00"), CHILE, at(now)) == moment


@pytest.mark.parametrize(("number", "zone"), COUNTRIES.values(), ids=COUNTRIES)
def test_the_clock_is_the_recipients(number: str, zone: str):
    """Half past seven in the morning is quiet and half past eight is not, where the number is."""
    early, late = at("2026-07-31 07:30", zone), at("2026-07-31 08:30", zone)

    assert NIGHT.until(number, early) == at("2026-07-31 08:00", zone)
    assert NIGHT.until(number, late) is None


@pytest.mark.parametrize(
    ("hours", "number", "now", "moment"),
    [
        # Chile puts its clocks forward at midnight, from 0:00 to 1:00 on 6 September 2026
        ("21:00-08:00", CHILE, at("2026-09-05 22:00"), "2026-09-06 08:00 -0300"),
        ("21:00-00:30", CHILE, at("2026-09-05 23:59"), "2026-09-06 01:30 -0300"),
        ("00:00-01:00", CHILE, at("2026-09-05 23:59"), None),
        ("00:30-06:00", CHILE, at("2026-09-06 01:00"), "2026-09-06 06:00 -0300"),
        # and back at midnight, from 24:00 to 23:00 on 4 April 2026: that hour comes twice
        ("21:00-08:00", CHILE, at("2026-04-04 22:00"), "2026-04-05 08:00 -0400"),
        ("22:00-23:30", CHILE, at("2026-04-04 22:00"), "2026-04-04 23:30 -0300"),
        ("22:00-23:30", CHILE, at("2026-04-04 23:40"), None),
        ("22:00-23:30", CHILE, at("2026-04-04 23:10", fold=1), "2026-04-04 23:30 -0400"),
        ("23:50-23:20", CHILE, at("2026-04-04 23:55"), "2026-04-04 23:20 -0400"),
        # Mexico City has one time all the year, while Tijuana goes with California
        ("21:00-08:00", "525512345678", at("2026-03-07 22:00", "America/Mexico_City"),
         "2026-03-08 08:00 -0600"),
        ("21:00-08:00", TIJUANA, at("2026-03-07 22:00", "America/Tijuana"),
         "2026-03-08 08:00 -0700"),
        ("21:00-02:30", "12125550123", at("2026-03-08 01:59", "America/New_York"),
         "2026-03-08 03:30 -0400"),
        ("21:00-01:30", "12125550123", at("2026-11-01 00:30", "America/New_York"),
         "2026-11-01 01:30 -0400"),
    ],
)  # fmt: skip
def test_the_nights_in_which_the_clocks_change(
    hours: str, number: str, now: dt.datetime, moment: str | None
):
    """The end is by the clock on the wall, however long the night was."""
    assert until(QuietHours.parse(hours), number, now) == moment


@pytest.mark.parametrize(
    ("number", "now", "moment"),
    [
        (IDAHO, "2026-07-31 07:59", "2026-07-31 09:00 -0600"),
        (IDAHO, "2026-07-31 08:59", "2026-07-31 09:00 -0600"),
        (IDAHO, "2026-07-31 09:00", None),
        (IDAHO, "2026-07-31 21:30", "2026-08-01 09:00 -0600"),
        (IDAHO, "2026-07-31 20:59", None),
    ],
)
def test_a_number_in_several_zones_is_left_alone_while_any_is_quiet(
    number: str, now: str, moment: str | None
):
    """Idaho has two: it is quiet from nine in the east until eight in the west."""
    assert phone_numbers.time_zones(number) == ("America/Boise", "America/Los_Angeles")
    assert until(NIGHT, number, at(now, "America/Boise")) == moment


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("521000000000", "America/Mexico_City"),
        ("521000000000", "America/Tijuana"),
        ("56100000000", "America/Santiago"),
        ("56100000000", "Pacific/Easter"),
        ("55110000", "America/Rio_Branco"),
    ],
)
def test_a_number_of_which_only_the_country_is_known_waits_for_all_of_it(number: str, zone: str):
    """The fallback has no say."""
    hours = QuietHours.parse("21:00-08:00", time_zone="Asia/Tokyo")

    assert hours.until(number, at("2026-07-31 21:00", zone))
    assert hours.until(number, at("2026-07-31 07:59", zone))


@pytest.mark.parametrize(
    ("older", "number"),
    [
        ("5215512345678", "525512345678"),
        ("5216641234567", "526641234567"),
        ("5219981234567", "529981234567"),
        ("559287654321", "5592987654321"),
    ],
)
@pytest.mark.parametrize("time", ["2026-07-31 21:00", "2026-08-01 07:59", "2026-07-31 12:00"])
def test_an_older_spelling_is_as_quiet_as_the_same_number_today(older: str, number: str, time: str):
    """The same phone rings."""
    hours = QuietHours.parse("21:00-08:00")

    for zone in ("America/Mexico_City", "America/Tijuana", "America/Cancun", "America/Manaus"):
        assert hours.until(older, at(time, zone)) == hours.until(number, at(time, zone))


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("56612221234", "America/Punta_Arenas"),
        ("56672211234", "America/Coyhaique"),
        ("56322100123", "Pacific/Easter"),
        ("56987688060", "America/Punta_Arenas"),
        ("18762101234", "America/Jamaica"),
        ("5581987654321", "America/Recife"),
        ("5593987654321", "America/Santarem"),
        ("526144151234", "America/Chihuahua"),
        ("528688121234", "America/Matamoros"),
        ("50581234567", "America/Managua"),
    ],
)
def test_nobody_is_disturbed_where_phonenumbers_is_wrong(number: str, zone: str):
    """From nine in the evening until eight in the morning, by the clocks of the place."""
    for month in (1, 7):
        evening, morning = f"2026-0{month}-15 21:00", f"2026-0{month}-15 07:59"
        assert NIGHT.until(number, at(evening, zone))
        assert NIGHT.until(number, at(morning, zone))
        assert NIGHT.until(number, at(f"2026-0{month}-15 12:00", zone)) is None


@pytest.mark.parametrize("recipient", ["ana.soto@ejemplo.cl", NOWHERE, "", TOLL_FREE])
def test_the_fallback_is_for_those_whose_zone_is_not_known(recipient: str):
    """Email, numbers of no country, and those that ring where it is always night somewhere."""
    now = at("2026-07-31 12:00", "Asia/Tokyo")
    santiago = QuietHours.parse("18:00-09:00").until(recipient, now)
    tokyo = QuietHours.parse("18:00-09:00", time_zone="Asia/Tokyo").until(recipient, now)

    assert santiago == at("2026-07-31 09:00")
    assert tokyo is None


@pytest.mark.parametrize("number", [number for number, _ in COUNTRIES.values()])
@given(last=st.integers(0, 999))
def test_neighbours_are_in_one_zone_and_country(number: str, last: int):
    """The result for one number of a block holds for the whole block."""
    one = f"{number[:-3]}{last:03}"

    assert phone_numbers.time_zones(one) == phone_numbers.time_zones(block_start(one))
    assert phone_numbers.country(one) == phone_numbers.country(block_start(one))


TIMES = st.times().map(lambda time: time.replace(second=0, microsecond=0))
MOMENTS = st.datetimes(dt.datetime(2025, 1, 1), dt.datetime(2027, 1, 1), timezones=st.just(dt.UTC))


@given(
    begin=TIMES,
    end=TIMES,
    now=MOMENTS,
    number=st.sampled_from([CHILE, TIJUANA, IDAHO, ECUADOR, NOWHERE]),
)
def test_the_moment_is_free_and_does_not_move(
    begin: dt.time, end: dt.time, now: dt.datetime, number: str
):
    """The message may be sent at that moment, and any earlier call returns the same moment."""
    assume(begin != end)
    hours = QuietHours(begin, end)
    moment = hours.until(number, now) or now

    assert hours.until(number, moment) is None
    if moment > now:
        assert hours.until(number, now + (moment - now) / 2) in (None, moment)


async def test_nothing_blocks_the_event_loop_once_the_zones_are_loaded():
    """Not even the first number of a country; the blocking part runs in a thread."""
    night = await run_sync(lambda: QuietHours.parse("21:00-08:00", time_zone="Pacific/Kiritimati"))
    await run_sync(night.load)
    noon = dt.datetime(2026, 7, 31, 12, tzinfo=dt.UTC)

    assert until(night, "6421123456", noon) == "2026-08-01 08:00 +1200"
    assert until(night, "81312345678", noon) == "2026-08-01 08:00 +0900"
    assert until(night, "351912345678", noon) is None
    assert until(night, "ana@ejemplo.cl", noon) == "2026-08-01 08:00 +1400"


def test_docstring_examples_hold():
    """The examples of the documentation are true."""
    module = importlib.import_module("connectus_async.recipients.quiet_hours")

    assert doctest.testmod(module) == doctest.TestResults(failed=0, attempted=4)
