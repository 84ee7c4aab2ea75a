"""Phone numbers: whether there can be such a number, and where it is. Through phonenumbers."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any, Final

from connectus_async import arguments
from connectus_async.arguments import ToDigits
from connectus_async.errors import ConfigurationError, InvalidArgumentError
from connectus_async.extras import library
from connectus_async.ledger.keys import recipient_key
from connectus_async.recipients import number_zones

_WRITTEN: Final = re.compile(r"[\d\s().+\-\N{NON-BREAKING HYPHEN}\N{EN DASH}]+")

_NO_DIGITS: Final = re.compile(r"\D+")

_INTERNATIONAL: Final = "00"
"""Written for ``+``. phonenumbers reads it as it is dialled at home: in Brazil and Colombia the
digits of a carrier follow, so that of 0055 51 it leaves 51, and the number is one of Peru."""

_NO_COUNTRY: Final = "001"
"""What phonenumbers calls the region of numbers such as +800, which belong to no country."""

SERVED: Final = ("AR", "BO", "BR", "CL", "CO", "CR", "EC", "GT", "MX", "PE", "PY", "US", "UY")
"""The countries that Connectus has balances for: there a number without ``+`` is at home."""

NEIGHBOURS: Final = ("CU", "DO", "HN", "NI", "PA", "PR", "SV", "VE")
"""A number without ``+`` that reads as one of elsewhere, and as one of these or of `SERVED` but for
its country code, is taken for theirs."""

FITS_NAMED: Final = 4

SAMPLE: Final = 200
RARE: Final = 20
"""Among so many rows, one that lacks its country code says nothing of the others."""

SHORTEST_ALIKE: Final = 10
"""From so many digits on, the plans of `SERVED` give numbers out by the thousand at least."""

BLOCKS_REMEMBERED: Final = 2**17

_RESPELT: Final = frozenset({52, 55})
"""The country codes of Mexico and Brazil."""


class NoCountryCodeError(InvalidArgumentError):
    """A number seems to lack its country code: as it is written it could be of several countries.

    Attributes:
        fits: The countries of which it could be, in two capital letters.
    """

    def __init__(self, field: str, fits: tuple[str, ...], problem: str | None = None) -> None:
        super().__init__(field, problem or _lacks_country_code(fits))
        self.fits = fits

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.fits, self.problem)


def _lacks_country_code(fits: tuple[str, ...]) -> str:
    return (
        f"seems to lack its country code: it could be a number of {_named(fits)}; "
        "write it with + and the code, or give the region (--region)"
    )


def _named(countries: Sequence[str]) -> str:
    return ", ".join(countries[:FITS_NAMED]) + (", …" if len(countries) > FITS_NAMED else "")


class NationalNumbers:
    """Counts the numbers of a file that lack their country code, to refuse it if most do.

    The few of such a file that can be read all the same would go to strangers.

    Args:
        region: The country that its numbers were read as, where one was given.
    """

    def __init__(self, region: str | None) -> None:
        self._region = region
        self._rows = self._lacking = self._good = 0
        self._fits: Counter[str] = Counter()
        self._some_good: list[str] = []

    def add(self, content: object) -> None:
        """Count what was made of a row: a message, or an error."""
        self._rows += 1
        if isinstance(content, NoCountryCodeError):
            self._lacking += 1
            self._fits.update(content.fits)
        elif not isinstance(content, Exception):
            self._good += 1
            if len(self._some_good) < SAMPLE and (digits := getattr(content, "dst_number", None)):
                self._some_good.append(str(digits))

    def check(self, name: str) -> None:
        """Refuse the file, once all its rows were counted.

        Args:
            name: Its name.

        Raises:
            InvalidArgumentError: More of its numbers could be of another country, whose code they
                lack, than can be sent. What can be sent does not count where it could be of that
                country too: an area of Brazil is the code of Peru.
        """
        if self._lacking <= self._good and not self._good_are_alike():
            return
        fits = self._most_fitting()
        wrong = "seems to lack its country code"
        if self._region is not None:
            wrong = f"is none of {self._region}, and could be one of another country"
        raise InvalidArgumentError(
            name,
            f"{self._lacking:,} of its {self._rows:,} rows have a number that {wrong}, so nothing "
            f"is sent: say with --region of which country they are (most could be numbers of "
            f"{_named(fits)}), or write them with + and the code",
        )

    def _most_fitting(self) -> list[str]:
        most = max(self._fits.values())
        return sorted(country for country, count in self._fits.items() if count == most)

    def _good_are_alike(self) -> bool:
        """Tell whether most of the good ones are of the country whose code the others lack, too."""
        is_rare = self._lacking * RARE <= self._rows
        if is_rare or self._region is not None or not self._some_good:
            return False
        country = self._most_fitting()[0]
        alike = sum(_is_of(country, digits) for digits in self._some_good)
        return alike * 2 > len(self._some_good)


def is_installed() -> bool:
    """Tell whether numbers can be checked here: whether phonenumbers is installed."""
    return find_spec("phonenumbers") is not None


def checker(region: str | None) -> ToDigits:
    """Make the strictest check of numbers that there is here.

    Args:
        region: As in `normaliser`.

    Returns:
        What `normaliser` gives. If it is ``None`` and phonenumbers is not installed,
        `arguments.phone_number`, which looks at the number of digits alone.

    Raises:
        ConfigurationError: As in `normaliser`, where there is a region.
    """
    return normaliser(region) if region is not None or is_installed() else arguments.phone_number


def normaliser(region: str | None) -> ToDigits:
    """Make what reduces numbers to their E.164 digits, and refuses those that cannot be.

    A number without ``+`` is one of the region, with its country code or without. A number of
    another country has to be written with ``+``: without it, a mistyped number at home can be a
    good one abroad.

    Args:
        region: The country whose numbers are written without ``+``, such as ``CL``; if ``None``,
            every number begins with its country code, with ``+`` or without. One without ``+``
            that is of none of the countries that Connectus serves so, and but for its country code
            could be of one, is refused.

    Returns:
        A function that takes what an error is to call the number, and the number, as
        `arguments.phone_number` does. It raises `InvalidArgumentError` with the reason, and never
        shows the number. With a region it gives E.164, without one the digits as they are written.
        A number in an older spelling (Mexico with 1, Brazil without its ninth digit) is kept so.

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
        return _international_digits(field, text)
    text = _with_plus(region, field, text)
    number = _parsed(region, field, text)
    problem = _problem(number)
    if problem is None and region is not None and not text.startswith("+"):
        problem = _abroad(region, number)
    if problem is None:
        return _e164(field, number) if region else _as_given(field, text, number)
    if region is None or text.startswith("+"):
        raise InvalidArgumentError(field, problem)
    problem += f"; one from outside {region} is written with + and its country code"
    if fits := _fits(_NO_DIGITS.sub("", text).removeprefix("0")):
        raise NoCountryCodeError(field, fits, problem)
    raise InvalidArgumentError(field, problem)


def _with_plus(region: str | None, field: str, text: str) -> str:
    """Write ``+`` for 00, unless what follows could be a number at home that was filled with 0."""
    if text.startswith("+"):
        return text
    is_plain = text.isascii() and text.isdigit()
    digits = text if is_plain else _phonenumbers().normalize_digits_only(text)
    if not digits.startswith(_INTERNATIONAL):
        return text
    digits = digits.removeprefix(_INTERNATIONAL)
    if digits.startswith("0") or (digits and region is not None and _is_of(region, digits)):
        raise InvalidArgumentError(
            field, "begins with 00, and no country code that is certain; write + in place of 00"
        )
    return f"+{digits}"


def _international_digits(field: str, text: str) -> str:
    """Read a number that begins with its country code, without a ``+`` that says so."""
    if len(text) >= SHORTEST_ALIKE and text.isascii() and text.isdigit() and _is_block(text[:-3]):
        return text
    number = None
    try:
        number = _parsed(None, field, f"+{text}")
        if _is_served(number):
            return _as_given(field, text, number)
        problem = _problem(number)
    except InvalidArgumentError as error:
        problem = error.problem
    digits = _NO_DIGITS.sub("", text)
    if fits := _fits(arguments.phone_number(field, digits.removeprefix("0"))):
        raise NoCountryCodeError(field, fits)
    if problem is not None:
        arguments.phone_number(field, digits)  # what it says comes first
        raise InvalidArgumentError(field, problem)
    return _as_given(field, text, number)


@lru_cache(BLOCKS_REMEMBERED)
def _is_block(head: str) -> bool:
    """Tell whether the thousand numbers that begin so are of `SERVED`, written as they are."""
    digits = f"{head}000"
    number = _international(digits)
    return (
        number is not None
        and f"{number.country_code}{number.national_number}" == digits
        and _is_served(number)
    )


def _is_served(number: Any) -> bool:
    phonenumbers = _phonenumbers()
    number = _present(number)
    region = phonenumbers.region_code_for_number(number)
    return region in SERVED and phonenumbers.is_valid_number_for_region(number, region)


def _fits(digits: str) -> tuple[str, ...]:
    """Tell of which countries digits could be a number, but for the country code."""
    return tuple(region for region in sorted(SERVED + NEIGHBOURS) if _is_of(region, digits))


def _is_of(region: str, digits: str) -> bool:
    """Tell whether digits are a number of a country, but for the country code."""
    phonenumbers = _phonenumbers()
    return len(digits) in _lengths(region) and phonenumbers.is_valid_number_for_region(
        phonenumbers.PhoneNumber(
            country_code=phonenumbers.country_code_for_region(region),
            national_number=int(digits),
        ),
        region,
    )


def _lengths(region: str) -> tuple[int, ...]:
    metadata = _phonenumbers().PhoneMetadata.metadata_for_region(region)
    return tuple(metadata.general_desc.possible_length)


def _as_given(field: str, text: str, number: Any) -> str:
    """Take the digits as they stand, as `arguments.phone_number` does, wherever it takes them.

    A ledger has its keys of them: in another form, though a better one, the message would be new.
    So those with a 0 or more for calls at home, of which phonenumbers takes no notice, are refused:
    as they stand they are nobody's, and on no suppression list.
    """
    canonical = _e164(field, number)
    try:
        digits = arguments.phone_number(field, text)
    except InvalidArgumentError:
        if text.startswith("+"):
            return canonical
        digits = _phonenumbers().normalize_digits_only(text)
    if recipient_key(digits) != recipient_key(canonical):
        raise InvalidArgumentError(
            field,
            "has a prefix for calls within its country, such as 0, after the country code: leave "
            "the prefix out",
        )
    return digits


def _e164(field: str, number: Any) -> str:
    phonenumbers = _phonenumbers()
    form = phonenumbers.PhoneNumberFormat.E164
    return arguments.phone_number(field, phonenumbers.format_number(number, form))


def _present(number: Any) -> Any:
    """Write a number as phonenumbers knows it: it has forgotten older spellings that still work."""
    if number.country_code not in _RESPELT:
        return number
    phonenumbers = _phonenumbers()
    form = phonenumbers.PhoneNumberFormat.E164  # with its leading zeros, where it has some
    digits = phonenumbers.format_number(number, form).removeprefix("+")
    spelt = recipient_key(digits)
    return number if spelt == digits or _may_lack_a_digit(digits) else _international(spelt)


def _may_lack_a_digit(digits: str) -> bool:
    """Tell an old mobile of Brazil that looks as one of today of which a digit was forgotten."""
    return len(digits) == 12 and digits.startswith("55") and digits[4] == "9"


def _text(field: str, value: str | int) -> str:
    """Refuse what phonenumbers would make a number of: letters, extensions, decimal numbers."""
    if isinstance(value, str) and _WRITTEN.fullmatch(value):
        arguments.refuse_a_decimal(field, value)
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
    number = _present(number)
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


def _abroad(region: str, number: Any) -> str | None:
    """Tell of which other country a number is, where its country has its calling code from that."""
    phonenumbers = _phonenumbers()
    code = number.country_code
    is_guest = phonenumbers.region_code_for_country_code(code) != region
    if not is_guest or phonenumbers.country_code_for_region(region) != code:
        return None
    if phonenumbers.is_valid_number_for_region(number, region):
        return None
    return f"is a number of {phonenumbers.region_code_for_number(number)}"


def _plan(number: Any) -> str:
    region = _phonenumbers().region_code_for_country_code(number.country_code)
    return f"+{number.country_code}" if region == _NO_COUNTRY else str(region)
