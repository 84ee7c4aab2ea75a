"""Phone numbers: whether there can be such a number, and where it is. Through phonenumbers."""

import re
from functools import partial
from typing import Any, Final

from connectus_async import arguments
from connectus_async.bulk import number_zones
from connectus_async.bulk.extras import library
from connectus_async.bulk.suppression import ToDigits
from connectus_async.errors import ConfigurationError, InvalidArgumentError

_WRITTEN: Final = re.compile(r"[\d\s().+\-\N{NON-BREAKING HYPHEN}\N{EN DASH}]+")

_NO_COUNTRY: Final = "001"
"""What phonenumbers calls the region of numbers such as +800, which belong to no country."""


def normaliser(region: str | None) -> ToDigits:
    """Make what reduces numbers to their E.164 digits, and refuses those that cannot be.

    A number without ``+`` is one of the region, with its country code or without. A number of
    another country has to be written with ``+``: without it, a mistyped number at home can be a
    good one abroad.

    Args:
        region: The country whose numbers are written without ``+``, such as ``CL``; if ``None``,
            every number begins with its country code, with ``+`` or without.

    Returns:
        A function that takes what an error is to call the number, and the number, as
        `arguments.phone_number` does. It raises `InvalidArgumentError` with the reason, and never
        shows the number.

    Raises:
        ConfigurationError: There is no such country, or phonenumbers is not installed.

    >>> normaliser("CL")("dst_number", "9 8768 8060")
    '56987688060'
    """
    if region is not None and region not in _phonenumbers().SUPPORTED_REGIONS:
        raise ConfigurationError("region", "must be a country in two capital letters, such as CL")
    return partial(_digits, region)


def country(digits: str) -> str | None:
    """Tell the country of a number, in two capital letters; ``None`` if it is of none.

    Args:
        digits: Its E.164 digits.

    Raises:
        ConfigurationError: phonenumbers is not installed.

    >>> country("56987688060")
    'CL'
    """
    number = _international(digits)
    if number is None:
        return None
    region = _phonenumbers().region_code_for_number(number)
    return None if region in (None, _NO_COUNTRY) else str(region)


def time_zones(digits: str, *, guess: bool = True) -> tuple[str, ...]:
    """Tell in which time zones a number may be, by their IANA names; none if it has no country.

    Args:
        digits: Its E.164 digits.
        guess: Whether, where nothing is known but the country, all zones of that are told.

    Raises:
        ConfigurationError: phonenumbers is not installed.

    >>> time_zones("56223456789")
    ('America/Santiago',)
    """
    number = _international(digits)
    if number is None:
        return ()
    known = number_zones.of_number(digits, number)
    return known or (number_zones.guess(number) if guess else ())


def _phonenumbers() -> Any:
    return library("region", "phonenumbers", extra="phone")


def _international(digits: str) -> Any:
    phonenumbers = _phonenumbers()
    try:
        return phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return None


def _digits(region: str | None, field: str, value: str | int) -> str:
    text = _text(field, value)
    if region is None and not text.startswith("+"):
        text = f"+{text}"
    number = _parsed(region, field, text)
    problem = _problem(number)
    if problem is None:
        phonenumbers = _phonenumbers()
        form = phonenumbers.PhoneNumberFormat.E164
        return arguments.phone_number(field, phonenumbers.format_number(number, form))
    if region is not None and not text.startswith("+"):
        problem += f"; one from outside {region} is written with + and its country code"
    raise InvalidArgumentError(field, problem)


def _text(field: str, value: str | int) -> str:
    """Refuse what phonenumbers would make a number of: letters, extensions, decimal numbers."""
    if isinstance(value, str) and _WRITTEN.fullmatch(value):
        return value.strip()
    if type(value) is int and 0 <= value <= arguments.MAX_AMOUNT:
        return str(value)
    return arguments.phone_number(field, value)


def _parsed(region: str | None, field: str, text: str) -> Any:
    phonenumbers = _phonenumbers()
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        problem = {
            error.INVALID_COUNTRY_CODE: "begins with no country code",
            error.NOT_A_NUMBER: "is no phone number",
            error.TOO_LONG: "is too long for a phone number",
        }.get(error.error_type, "is too short for a phone number")
        raise InvalidArgumentError(field, problem) from None


def _problem(number: Any) -> str | None:
    phonenumbers = _phonenumbers()
    result = phonenumbers.ValidationResult
    problem = {
        result.INVALID_COUNTRY_CODE: "begins with no country code",
        result.TOO_SHORT: "is too short for a number of {}",
        result.IS_POSSIBLE_LOCAL_ONLY: "lacks its area code",
        result.TOO_LONG: "is too long for a number of {}",
        result.INVALID_LENGTH: "has not as many digits as a number of {}",
    }.get(phonenumbers.is_possible_number_with_reason(number))
    if problem is None and not phonenumbers.is_valid_number(number):
        problem = "is no number that is in use in {}"
    return None if problem is None else problem.format(_plan(number))


def _plan(number: Any) -> str:
    region = _phonenumbers().region_code_for_country_code(number.country_code)
    return f"+{number.country_code}" if region == _NO_COUNTRY else str(region)
