"""Numbers that can be, in one form; every other is refused with its reason and never shown."""

import re
import sys

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async import ConfigurationError, InvalidArgumentError
from connectus_async.bulk.phone_numbers import country, normaliser, time_zones


@pytest.mark.parametrize(
    "number",
    [
        "987688060",
        987688060,
        "9 8768 8060",
        "(9) 8768-8060",
        "56987688060",
        56987688060,
        "+56 9 8768 8060",
        "+56\N{NO-BREAK SPACE}9\N{NO-BREAK SPACE}8768\N{NON-BREAKING HYPHEN}8060",
        "0056987688060",
        " +56.9.8768.8060 ",
    ],
)
def test_one_number_has_one_form(number: str | int):
    """However a list writes it, so that duplicates are found."""
    assert normaliser("CL")("dst_number", number) == "56987688060"


def test_a_number_from_abroad_is_written_with_plus():
    """Without it, a mistyped number at home could be a good one abroad."""
    digits = normaliser("CL")

    assert digits("dst_number", "+54 9 11 2345-6789") == "5491123456789"
    with pytest.raises(InvalidArgumentError, match="from outside CL is written with"):
        digits("dst_number", "5491123456789")


@pytest.mark.parametrize("number", ["56987688060", 56987688060, "+56 9 8768 8060"])
def test_without_a_region_every_number_has_its_country_code(number: str | int):
    """As the API wants it."""
    assert normaliser(None)("dst_number", number) == "56987688060"


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("9876", "is too short for a number of CL"),
        ("9876880601234", "is too long for a number of CL"),
        ("+56 1 0000 0000", "is no number that is in use in CL"),
        ("+1 212 555 12345", "is too long for a number of US"),
        ("+999 12345678", "begins with no country code"),
        ("+800 0000 000", r"too short for a number of \+800"),
        ("1", "is no phone number"),
        ("", "is empty"),
        ("5,69877E+10", "is in scientific notation"),
        ("5.69877E+10", "is in scientific notation"),
        (56987688060.0, "is a decimal number"),
        (True, "must be text or int, not bool"),
        (None, "must be text or int, not NoneType"),
        (-56987688060, "must be from 0 to"),
        ("98768 FLOWERS", "has something other than digits"),
        ("+56 9 8768 8060 ext. 3", "has something other than digits"),
        ("tel:+56987688060;phone-context=+1", "has something other than digits"),
        (10**20, "must be from 0 to"),
        ("98768 8060 / 98768 8061", "has something other than digits"),
        ("9" * 300, "is too long for a phone number"),
    ],
)
def test_a_number_that_cannot_be_is_refused_with_its_reason(number: object, problem: str):
    """The reason is enough to mend the list; the number stays out of it."""
    with pytest.raises(InvalidArgumentError, match=f"^phone: .*({problem})") as caught:
        normaliser("CL")("phone", number)

    assert not re.search(r"[89]{2}|[0-9]{4}", caught.value.problem.replace(str(2**53 - 1), ""))


def test_a_local_number_lacks_its_area_code():
    """It rings only next door."""
    with pytest.raises(InvalidArgumentError, match="phone: lacks its area code"):
        normaliser("US")("phone", "555-1234")


@pytest.mark.parametrize("region", ["", "cl", "Chile", "ZZ", "001", "+56"])
def test_a_region_that_is_none_is_a_wrong_setting(region: str):
    """It is told before any row is read."""
    with pytest.raises(ConfigurationError, match="region: must be a country"):
        normaliser(region)


@pytest.mark.parametrize(
    ("digits", "region", "zones"),
    [
        ("56223456789", "CL", ("America/Santiago",)),
        ("5491123456789", "AR", ("America/Buenos_Aires",)),
        ("12125551234", "US", ("America/New_York",)),
        ("80012345678", None, None),
        ("56000000000", "CL", None),
        ("1", None, ()),
        ("", None, ()),
    ],
)
def test_a_number_tells_where_it_is(digits: str, region: str | None, zones: object):
    """What is known of no country has none."""
    assert country(digits) == region
    if zones is not None:
        assert time_zones(digits) == zones


@pytest.mark.parametrize(
    "ask", [lambda: normaliser("CL"), lambda: country("56"), lambda: time_zones("5")]
)
def test_a_missing_library_is_named(ask, monkeypatch: pytest.MonkeyPatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    monkeypatch.setitem(sys.modules, "phonenumbers.timezone", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'connectus-async\[phone\]'"):
        ask()


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
def test_every_country_reads_its_own_example(region: str):
    """As written at home, and as written from abroad; and what comes out goes in again."""
    example = phonenumbers.example_number(region)
    home = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
    abroad = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    if not 9 <= len(abroad) <= 16:
        return

    digits = normaliser(region)("dst_number", home)

    assert f"+{digits}" == abroad
    assert normaliser(None)("dst_number", digits) == digits
