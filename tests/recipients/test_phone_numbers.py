"""Valid numbers in one form; all others are refused with a reason and never shown."""

import pickle
import re
import sys
from contextlib import nullcontext

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async import ConfigurationError, InvalidArgumentError, Sms
from connectus_async.ledger.keys import recipient_key
from connectus_async.recipients.phone_numbers import (
    NEIGHBOURS,
    SERVED,
    NationalNumbers,
    NoCountryCodeError,
    checker,
    country,
    normaliser,
    time_zones,
)
from connectus_async.recipients.preflight import COUNTRY_NAMES


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


@pytest.mark.parametrize(
    ("region", "number", "digits"),
    [
        ("BR", "0055 51 99123-4567", "5551991234567"),
        ("BR", "00 (55) 34 98412-3456", "5534984123456"),
        ("CO", "0057 301 234 5678", "573012345678"),
        ("CO", "0058 212 1049895", "582121049895"),
        ("BO", "001 253 712 3456", "12537123456"),
        ("US", "0056987688060", "56987688060"),
        ("CO", "\u0660\u0660573012345678", "573012345678"),
    ],
)
def test_00_stands_for_plus(region: str, number: str, digits: str):
    """And not for a carrier's prefix: the rest would be the number of a stranger."""
    assert normaliser(region)("dst_number", number) == digits


@pytest.mark.parametrize(
    ("region", "number"),
    [
        ("BR", "00 15 56 9 8768 8060"),
        ("CO", "0058 212 104989"),
        ("CO", "003211234500"),
        ("US", "002015551223"),
        ("CR", "000049595962"),
        ("CL", "00"),
    ],
)
def test_00_before_no_country_code_is_refused(region: str, number: str):
    """After a carrier's digits, or zeros that a spreadsheet put in front, the rest may be good."""
    with pytest.raises(InvalidArgumentError):
        normaliser(region)("dst_number", number)


@pytest.mark.parametrize(
    ("region", "number"),
    [
        (None, "+57 03 601 2345641"),
        (None, "+54 011 2341-0190"),
        (None, "+598 098123456"),
        (None, "598098123456"),
        (None, "+52 01 222 123 4510"),
        (None, "52012221234510"),
        (None, "+55 015 11 2345-6782"),
        (None, "112153694362"),
        (None, "(112) 15 3694362"),
        ("MX", "01 222 123 4510"),
        ("MX", "+52 01 222 123 4510"),
    ],
)
def test_what_is_sent_is_the_number_that_was_checked(region: str | None, number: str):
    """A number with a trunk prefix belongs to nobody, and no suppression list has it."""
    with pytest.raises(InvalidArgumentError):
        checker(region)("dst_number", number)


def test_a_number_from_abroad_is_written_with_plus():
    """Without it, a mistyped number at home could be a good one abroad."""
    digits = normaliser("CL")

    assert digits("dst_number", "+54 9 11 2345-6789") == "5491123456789"
    with pytest.raises(InvalidArgumentError, match="write foreign numbers with"):
        digits("dst_number", "5491123456789")


def test_a_mistyped_number_of_a_country_that_shares_its_calling_code_is_not_one_abroad():
    """829 is in the Dominican Republic, 859 in Kentucky."""
    digits = normaliser("DO")

    assert digits("dst_number", "829 234 5678") == "18292345678"
    assert digits("dst_number", "+1 859 234 5678") == "18592345678"
    assert digits("dst_number", "00 1 859 234 5678") == "18592345678"
    assert normaliser("US")("dst_number", "011 56 9 8768 8060") == "56987688060"
    with pytest.raises(InvalidArgumentError, match="is a number of US; write foreign numbers"):
        digits("dst_number", "859 234 5678")


@pytest.mark.parametrize("number", ["56987688060", 56987688060, "+56 9 8768 8060"])
def test_without_a_region_every_number_has_its_country_code(number: str | int):
    """As the API wants it."""
    assert normaliser(None)("dst_number", number) == "56987688060"


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("9876", "is too short for CL"),
        ("9876880601234", "is too long for CL"),
        ("+56 1 0000 0000", "is not a valid CL number"),
        ("+1 212 555 12345", "is too long for US"),
        ("+999 12345678", "does not begin with a country code"),
        ("+800 0000 000", r"too short for \+800"),
        ("1", "is not a phone number"),
        ("", "is empty"),
        ("5,69877E+10", "is in scientific notation"),
        ("5.69877E+10", "is in scientific notation"),
        (56987688060.0, "is a decimal number"),
        (True, "must be text or int, not bool"),
        (None, "must be text or int, not NoneType"),
        (-56987688060, "must be from 0 to"),
        ("98768 FLOWERS", "has something other than digits"),
        ("+56 9 8768 8060 ext. 3", "has an extension"),
        ("tel:+56987688060;phone-context=+1", "has something other than digits"),
        (10**20, "must be from 0 to"),
        ("98768 8060 / 98768 8061", "has 2 numbers"),
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
    """The error comes before any row is read."""
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
    """A number of no country has none."""
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
    """In national and in international form; the result is accepted as input."""
    example = phonenumbers.example_number(region)
    home = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
    abroad = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    if not 9 <= len(abroad) <= 16:
        return

    digits = normaliser(region)("dst_number", home)

    assert f"+{digits}" == abroad
    assert normaliser(None)("dst_number", abroad) == digits
    if region in SERVED:
        assert normaliser(None)("dst_number", digits) == digits


DECIMALS = [
    *["98768806.0", " 98768806.0 ", "+98768806.0", "(98768806.0)", "9 8768 806.0", "9-8768806.0"],
    *["98768806,0", "98768806.00", "56987688060.0", "98768806.000000", "9876880.60"],
    "\N{ARABIC-INDIC DIGIT NINE}8768806.0",
]


@pytest.mark.parametrize("region", [None, "CL", "EC", "MX", "PE", "PY"])
@pytest.mark.parametrize("number", [*DECIMALS, 98768806.0, 56987688060.0])
def test_a_decimal_number_is_no_phone_number(number: str | float, region: str | None):
    """pandas writes a column with a gap so; without the point, it is a stranger's number."""
    with pytest.raises(InvalidArgumentError, match=r"is a decimal number.*; format the column"):
        normaliser(region)("phone", number)


@given(
    st.integers(10**5, 10**12),
    st.sampled_from([None, *SERVED]),
    st.sampled_from([".0", ",0", ".00", ".5", ".25", " .0"]),
)
def test_no_decimal_number_is_ever_read(whole: int, region: str | None, rest: str):
    """Whatever its digits would be in some country."""
    with pytest.raises(InvalidArgumentError, match="is a decimal number"):
        normaliser(region)("phone", f"{whole}{rest}")


@pytest.mark.parametrize(
    ("number", "region", "digits"),
    [
        ("9.8768.8060", "CL", "56987688060"),
        ("9.87688060", "CL", "56987688060"),
        ("98768.8060", "CL", "56987688060"),
        ("98.76.88.06.0", "CL", "56987688060"),
        ("+56.987688060", None, "56987688060"),
        ("(2) 2345.6789", "CL", "56223456789"),
        ("2.2345.6789", "CL", "56223456789"),
        ("2345.6000", "GT", "50223456000"),
    ],
)
def test_points_may_part_a_number(number: str, region: str | None, digits: str):
    """As people write them: three digits or more follow a point that is alone."""
    assert normaliser(region)("phone", number) == digits


NATIONAL = {
    "CL": ["987688060", "9 8768 8060", "0987688060", 987688060, "223456789"],
    "MX": ["5512345678", "3312345678", "811 234 5678"],
    "CO": ["3001234567"],
    "AR": ["1123456789", "91123456789", "3514567890"],
    "PE": ["987654321"],
    "BR": ["11987654321", "1132345678"],
    "BO": ["71234567"],
    "UY": ["99123456", "099123456"],
    "CR": ["88123456"],
    "GT": ["51234567"],
    "EC": ["0987654321"],
    "VE": ["4141234567"],
    "DO": ["8092345678"],
}


@pytest.mark.parametrize(
    ("region", "number"),
    [(region, number) for region, numbers in NATIONAL.items() for number in numbers],
)
def test_a_number_without_its_country_code_is_told_and_not_sent_abroad(
    region: str, number: str | int
):
    """Read with its first digits as country code, it is nobody's, or a stranger's in Iran."""
    with pytest.raises(NoCountryCodeError, match="seems to lack its country code") as caught:
        normaliser(None)("phone", number)

    assert region in caught.value.fits
    assert pickle.loads(pickle.dumps(caught.value)).fits == caught.value.fits
    assert not re.search(r"[0-9]{4}", str(caught.value))


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("569876880600", "is not a valid CL number"),
        ("+569876880600", "is not a valid CL number"),
        ("56100000000", "is not a valid CL number"),
        ("99912345678901", "does not begin with a country code"),
        ("0056987688060", "begins with 0; write it in international format"),
        ("123", "has 3 digits"),
        ("98768806.0", "is a decimal number"),
        ("Ana", "has something other than digits"),
    ],
)
def test_a_number_that_cannot_be_is_refused_without_a_region_too(number: str, problem: str):
    """With its reason."""
    with pytest.raises(InvalidArgumentError, match=f"^phone: {problem}"):
        normaliser(None)("phone", number)


@pytest.mark.parametrize(
    "number",
    [
        *["5491123456789", "541123456789", "525512345678", "5511987654321", "573001234567"],
        *["12125551234", "51987654321", "593987654321", "50688123456", "59899123456"],
        *["5215512345678", "5216641234567", "551187654321", "34612345678", "4915123456789"],
    ],
)
def test_an_international_number_needs_no_plus(number: str):
    """Older spellings of Mexico and Brazil among them: they are sent as they are written."""
    assert normaliser(None)("phone", number) == number


@pytest.mark.parametrize(
    ("number", "digits"),
    [
        ("54 11 15 2345-6789", "54111523456789"),
        ("+54 11 15 2345-6789", "54111523456789"),
        ("+54 (11) 15 2345-6789", "5491123456789"),
        ("+44 (0)20 7946 0018", "442079460018"),
    ],
)
def test_digits_stay_as_they_are_written_where_they_did(number: str, digits: str):
    """An older ledger recognises them; numbers refused before are in E.164."""
    assert normaliser(None)("phone", number) == digits


@pytest.mark.parametrize("number", ["+4791234567", "+98 768 8060", "+34911234567", "+6581234567"])
def test_a_plus_says_that_it_is_abroad(number: str):
    """Where the rest could be a number at home as well."""
    digits = re.sub(r"\D", "", number)
    assert normaliser(None)("phone", number) == digits
    with pytest.raises(NoCountryCodeError):
        normaliser(None)("phone", digits)


@pytest.mark.parametrize(
    ("region", "number", "digits"),
    [("MX", "5215512345678", "5215512345678"), ("BR", "1187654321", "551187654321")],
)
def test_an_older_spelling_is_read_at_home(region: str, number: str, digits: str):
    """The library has forgotten it, phones and lists of contacts have not."""
    assert normaliser(region)("phone", number) == digits


@pytest.mark.parametrize(
    ("region", "number", "prefix"),
    [
        ("MX", "044 55 1234 5678", "044"),
        ("MX", "0455512345678", "045"),
        ("MX", "01 222 123 4510", "01"),
        ("MX", "+52 01 222 123 4510", "01"),
        (None, "+52 044 55 1234 5678", "044"),
        (None, "520445512345678", "044"),
        ("CL", "+52 045 55 1234 5678", "045"),
    ],
)
def test_a_prefix_that_mexico_gave_up_is_named(region: str | None, number: str, prefix: str):
    """So that people know which digits go."""
    with pytest.raises(
        InvalidArgumentError, match=rf"has the old Mexican prefix {prefix}: write \+52 and the ten"
    ):
        normaliser(region)("phone", number)


@pytest.mark.parametrize(
    ("region", "number"), [("BR", "1195469034"), ("BR", "+551195469034"), (None, "551195469034")]
)
def test_a_mobile_that_may_lack_a_digit_is_refused(region: str | None, number: str):
    """In Brazil, one of today without its last digit looks as one from before the ninth."""
    with pytest.raises(InvalidArgumentError):
        normaliser(region)("dst_number", number)


@given(st.sampled_from(SERVED), st.integers(10**9, 10**10 - 1), st.integers(1, 5))
def test_numbers_of_one_thousand_are_alike(region: str, tail: int, length: int):
    """A cached answer holds for the whole block; a look-up each takes thirty times as long."""
    code = str(phonenumbers.country_code_for_region(region))
    digits = (code + str(tail))[: 8 + length]

    def is_read(number: str) -> bool:
        try:
            return normaliser(None)("phone", number) == number
        except InvalidArgumentError:
            return False

    parsed = phonenumbers.parse(f"+{digits}")
    if phonenumbers.is_valid_number(parsed) and region_of(parsed) in SERVED and len(digits) >= 10:
        assert is_read(digits)
    elif is_read(digits):
        spelt = phonenumbers.parse(f"+{recipient_key(digits)}")
        assert phonenumbers.is_valid_number(spelt)


def region_of(number: object) -> str | None:
    return phonenumbers.region_code_for_number(number)


def test_the_countries_are_those_of_the_balances():
    """A new country must be added to the numbers as well."""
    assert set(SERVED) == set(COUNTRY_NAMES)
    assert not set(SERVED) & set(NEIGHBOURS)


def test_without_the_library_only_the_form_is_checked(monkeypatch: pytest.MonkeyPatch):
    """A region cannot be read then, and that is said."""
    monkeypatch.setitem(sys.modules, "phonenumbers", None)

    assert checker(None)("phone", "tel:(+56) 9.8768.8060") == "56987688060"
    assert checker(None)("phone", 56987688060) == "56987688060"
    with pytest.raises(InvalidArgumentError, match="has 2 numbers"):
        checker(None)("phone", "56987688060/56987688061")
    with pytest.raises(ConfigurationError, match="pip install"):
        checker("CL")


def test_a_file_in_which_most_numbers_lack_it_is_refused():
    """The flag is named, with the country that most could be of."""
    count = NationalNumbers(None)
    for content in [*[lacking("PE", "CL")] * 2, lacking("CL"), object(), object()]:
        count.add(content)
    count.add(InvalidArgumentError("phone", "is empty in this row"))

    with pytest.raises(InvalidArgumentError, match=r"^a\.csv: 3 of its 6 rows .*--region .*fit CL"):
        count.check("a.csv")
    count.add(object())
    count.check("a.csv")


def test_a_file_of_another_country_than_its_region_is_refused():
    """The few that are good numbers of the wrong country as well are strangers'."""
    count, digits = NationalNumbers("MX"), normaliser("MX")
    for number in ("987654321", "987654322", "5512345678"):
        try:
            count.add(digits("phone", number))
        except InvalidArgumentError as error:
            count.add(error)

    with pytest.raises(InvalidArgumentError, match=r"not valid in MX .*PE") as caught:
        count.check("a.csv")
    assert "2 of its 3 rows" in caught.value.problem


@pytest.mark.parametrize(
    ("written", "is_refused"),
    [
        (["51 99123-45{:02}"] * 30 + ["53 99123-45{:02}"] * 10, True),
        (["51 99123-45{:02}"] * 30 + ["+55 53 99123-45{:02}"] * 10, False),
        (["51 9912345{:02}"] * 30 + ["53 99123-45{:02}"], False),
        (["51 99123-45{:02}"] * 10 + ["56 9 8768 80{:02}"] * 20 + ["53 99123-45{:02}"] * 10, False),
    ],
)
def test_an_area_at_home_may_be_a_code_from_abroad(written: list[str], *, is_refused: bool):
    """Porto Alegre's 51 is Peru's code, so the rest of a file tells whose numbers they are."""
    count, digits = NationalNumbers(None), normaliser(None)
    for place, number in enumerate(written):
        try:
            count.add(Sms(digits("phone", number.format(place)), "Hola"))
        except InvalidArgumentError as error:
            count.add(error)

    with pytest.raises(InvalidArgumentError, match="BR") if is_refused else nullcontext():
        count.check("a.csv")


def lacking(*fits: str) -> NoCountryCodeError:
    return NoCountryCodeError("phone", fits)
