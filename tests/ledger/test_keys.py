"""Recipients are compared as people, in whatever way they are written."""

import doctest
import importlib

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async.ledger.keys import recipient_key, spellings


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("5491123456789", "5491123456789"),
        ("541123456789", "5491123456789"),
        ("543511234567", "5493511234567"),
        ("54111523456789", "5491123456789"),
        ("54351154567890", "5493514567890"),
        ("54296615456789", "5492966456789"),
        ("5215512345678", "525512345678"),
        ("525512345678", "525512345678"),
        ("5511987654321", "5511987654321"),
        ("551187654321", "5511987654321"),
        ("551171654321", "5511971654321"),
    ],
)
def test_a_number_has_one_spelling(written: str, key: str):
    """The one of today, so that most keys are what they were before."""
    assert recipient_key(written) == key


@pytest.mark.parametrize(
    "digits",
    [
        "56987688060",
        "12125551234",
        "521234567890",  # of Mexico, and begins like the older spelling
        "551132345678",  # a landline of Brazil: with a 9, a mobile of somebody else
        "551178123456",  # a radio, which never had the ninth digit
        "548001234567",  # toll-free
        "54111623456789",
        "1",
        "",
    ],
)
def test_other_numbers_stay_as_they_are(digits: str):
    """Nobody is taken for somebody else."""
    assert recipient_key(digits) == digits


@given(st.from_regex(r"[1-9][0-9]{7,14}", fullmatch=True))
def test_a_key_is_its_own_key(digits: str):
    """However often it is made."""
    assert recipient_key(recipient_key(digits)) == recipient_key(digits)


@given(
    st.from_regex(r"(52|54|55|[1-9][0-9])[0-9]{6,13}", fullmatch=True)
    | st.from_regex(r"54(11|351|2966)15[0-9]{8}", fullmatch=True)
    | st.from_regex(r"(521[0-9]{10}|55[0-9]{10}|54[0-9]{10})", fullmatch=True)
)
def test_a_key_knows_all_that_it_is_made_of(digits: str):
    """So a ledger is asked for people without a look at each of its numbers."""
    key = recipient_key(digits)
    assert digits in spellings(key)
    assert {recipient_key(written) for written in spellings(key)} == {key}


@given(st.sampled_from(["11", "351", "2966"]), st.integers(10**7, 10**8 - 1))
def test_every_way_to_write_a_mobile_of_argentina_is_one(area: str, subscriber: int):
    """With 9, with 15, and with neither."""
    local = str(subscriber)[: 10 - len(area)]

    keys = {recipient_key(f"54{way}{local}") for way in (area, f"9{area}", f"{area}15")}

    assert keys == {f"549{area}{local}"}


@given(st.from_regex(r"(54[123]|55[1-9][1-9][2-9]|521)[0-9]{7,10}", fullmatch=True))
def test_two_good_numbers_are_two_people(digits: str):
    """Where both spellings are numbers in use, they are landline and mobile of one subscriber."""
    key = recipient_key(digits)
    if key == digits or not is_good(digits):
        return

    assert key.startswith("549")


def is_good(digits: str) -> bool:
    return phonenumbers.is_valid_number(phonenumbers.parse(f"+{digits}"))


@pytest.mark.parametrize(
    "written",
    [
        "ana@\u00f1and\u00fa.cl",
        "ANA@\u00d1AND\u00da.CL",
        "ana@n\u0303andu\u0301.cl",
        "Ana@xn--and-6ma2c.cl",
        "ana@XN--AND-6MA2C.CL",
        "ana@\u00f1and\u00fa\N{IDEOGRAPHIC FULL STOP}cl.",
        "ana@\N{FULLWIDTH LATIN SMALL LETTER N}\u0303and\u00fa.cl",
    ],
)
def test_an_address_has_one_spelling(written: str):
    """Capitals, composed letters and punycode are the same mailbox."""
    assert recipient_key(written) == "ana@\u00f1and\u00fa.cl"


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("Ana@Ejemplo.CL", "ana@ejemplo.cl"),
        ("jose\u0301@ejemplo.cl", "jos\u00e9@ejemplo.cl"),
        ("a@stra\u00dfe.de", "a@strasse.de"),
        ("a@xn--strae-oqa.de", "a@strasse.de"),
        ("a@xn--99999999.cl", "a@xn--99999999.cl"),
        ("a@xn--.cl", "a@xn--.cl"),
        ("a@xn--\u00f1.cl", "a@xn--\u00f1.cl"),
    ],
)
def test_what_is_no_punycode_stays_as_it_is(written: str, key: str):
    """It is an address all the same."""
    assert recipient_key(written) == key


@given(st.text(min_size=1), st.text(st.characters(min_codepoint=0x2D, max_codepoint=0x7A)))
def test_every_address_has_a_key_that_can_be_written(local: str, label: str):
    """Whatever its domain says it is in punycode."""
    address = f"{local}@xn--{label}.cl".replace("\0", "").encode(errors="ignore").decode()

    assert "\0" not in recipient_key(address).encode().decode()


def test_docstring_examples_hold():
    """The examples of the documentation are true."""
    module = importlib.import_module("connectus_async.ledger.keys")

    assert doctest.testmod(module) == doctest.TestResults(failed=0, attempted=3)
