"""Numbers are recognised by a pattern only where phonenumbers says exactly the same."""

import random

import phonenumbers
import pytest

from connectus_async import InvalidArgumentError
from connectus_async.recipients import phone_numbers
from connectus_async.recipients.number_patterns import LONGEST_CODE, country_of, line_type
from connectus_async.recipients.phone_numbers import NEIGHBOURS, SERVED, country, normaliser

EUROPE = ("DE", "ES", "FR", "GB", "IT")
"""They have what the others lack: leading zeros that stay, and a code that is shared."""

REGIONS = (None, *SERVED, *NEIGHBOURS, *EUROPE)
NUMBERS = 400
DIGITS = "0123456789"
TYPES = ("fixed_line", "mobile", "premium_rate", "shared_cost", "toll_free", "uan", "voip")


def national(draw: random.Random, region: str) -> str:
    """Draw digits that are often a number of a country, and often nearly one."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    found = [getattr(metadata, name) for name in TYPES]
    examples = [each.example_number for each in found if each is not None and each.example_number]
    if draw.random() < 0.6:
        digits = list(draw.choice(examples))
        for _ in range(draw.randint(0, 5)):
            digits[draw.randrange(len(digits))] = draw.choice(DIGITS)
    else:
        length = draw.choice(metadata.general_desc.possible_length)
        digits = draw.choices(DIGITS, k=length)
    number = "".join(digits) + draw.choice(["", "", "", "", "7"])
    return draw.choice(["", "", "", "", "0", "00", "1", "15", "9", "19", "90"]) + number


def written(draw: random.Random, region: str) -> str:
    """Draw a way to write a number of a country."""
    code = phonenumbers.country_code_for_region(region)
    number = draw.choice(["", f"{code}", f"+{code}"]) + national(draw, region)
    if draw.random() < 0.75:
        return number
    signs = list(number)
    for _ in range(draw.randint(1, 3)):
        signs.insert(draw.randint(0, len(signs)), draw.choice(" -+("))
    return "".join(signs)


def asked(monkeypatch: pytest.MonkeyPatch, region: str | None, number: str) -> str:
    """Read a number without patterns."""
    with monkeypatch.context() as patched:
        patched.setattr(phone_numbers, "_recognised", lambda *_: None)
        try:
            return normaliser(region)("dst_number", number)
        except InvalidArgumentError as error:
            return str(error)


@pytest.mark.parametrize("region", REGIONS)
def test_a_pattern_says_what_phonenumbers_says(region, monkeypatch: pytest.MonkeyPatch):
    """For numbers of each country, of all countries in a file without region, and near misses."""
    draw = random.Random(str(region))
    recognised = 0
    for _ in range(NUMBERS):
        home = region if region and draw.random() < 0.7 else draw.choice(REGIONS[1:])
        number = written(draw, home)
        digits = phone_numbers._recognised(region, number)
        if digits is not None:
            recognised += 1
            assert digits == asked(monkeypatch, region, number), (region, number)
    assert recognised


@pytest.mark.parametrize(
    ("region", "number"),
    [
        ("CL", "987688060"),
        ("CL", "9 8768-8060"),
        ("CL", "56987688060"),
        ("CL", "+56 9 8768 8060"),
        (None, "56987688060"),
        (None, "+56987688060"),
    ],
)
def test_ordinary_numbers_are_not_asked_for(region, number, monkeypatch: pytest.MonkeyPatch):
    """To ask phonenumbers takes thirty times as long."""
    monkeypatch.setattr(phone_numbers, "_digits", None)
    assert normaliser(region)("dst_number", number) == "56987688060"


OF_TYPES = {
    phonenumbers.PhoneNumberType.FIXED_LINE: "landline",
    phonenumbers.PhoneNumberType.TOLL_FREE: "toll_free",
}


@pytest.mark.parametrize("region", [*SERVED, *NEIGHBOURS, *EUROPE])
def test_a_number_that_is_no_mobile_is_told_as_phonenumbers_tells_it(region: str):
    """Where the country has its code alone. In Chile, landlines do not begin with 9."""
    draw = random.Random(region)
    code = phonenumbers.country_code_for_region(region)
    is_alone = country_of(str(code).ljust(LONGEST_CODE, "2")) == region
    told = set()
    for _ in range(NUMBERS):
        number = phonenumbers.PhoneNumber(code, int(national(draw, region)))
        if not phonenumbers.is_valid_number(number):
            continue
        digits = f"{code}{phonenumbers.national_significant_number(number)}"
        expected = OF_TYPES.get(phonenumbers.number_type(number)) if is_alone else None
        if region == "CL" and expected != "toll_free":
            expected = "landline" if digits[2] in "234567" and len(digits) == 11 else None
        assert line_type(digits) == expected, digits
        told.add(expected)
    assert not is_alone or "landline" in told


def test_three_digits_tell_a_country_or_nothing():
    """Codes that countries share tell nothing."""
    draw = random.Random(0)
    for head in map(str, range(100, 1_000)):
        found = country_of(head)
        number = head + "".join(draw.choices(DIGITS, k=draw.randint(5, 12)))
        assert found in (None, country(number)), number
    assert country_of("569") == "CL"
    assert country_of("120") is country_of("447") is country_of("800") is country_of("999") is None
    assert LONGEST_CODE == max(map(len, map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE)))
