"""Validity, country and time zones of phone numbers, through phonenumbers."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Final

import attrs

from connectus_async import arguments
from connectus_async.arguments import ToDigits
from connectus_async.errors import ConfigurationError, InvalidArgumentError
from connectus_async.extras import library
from connectus_async.ledger.keys import recipient_key
from connectus_async.recipients import number_patterns, number_zones
from connectus_async.recipients.number_writing import written

_NO_DIGITS: Final = re.compile(r"\D+")

_BETWEEN: Final = re.compile(r"[\s().-]+")

_MEXICO: Final = "MX"
_GIVEN_UP: Final = re.compile(r"(?:00)?(52)?(04[45]|01)(\d{10})")
"""Numbers as they were dialled in Mexico until 2019."""

_INTERNATIONAL: Final = "00"
"""The prefix written in place of ``+``. phonenumbers reads it as dialled in the country: in Brazil
and Colombia a carrier code follows, so it reduces 0055 51 to 51, a number of Peru."""

_NO_COUNTRY: Final = "001"
"""phonenumbers' region for numbers of no country, such as +800."""

SERVED: Final = ("AR", "BO", "BR", "CL", "CO", "CR", "EC", "GT", "MX", "PE", "PY", "US", "UY")
"""Countries that Connectus has balances for: a number without ``+`` may belong to any of them."""

NEIGHBOURS: Final = ("CU", "DO", "HN", "NI", "PA", "PR", "SV", "VE")
"""A number without ``+`` of any other country is refused if it is also a national number of one of
these or of `SERVED`: it probably lacks that country code."""

FITS_NAMED: Final = 4

SAMPLE: Final = 200
RARE: Final = 20
"""If at most one row in this many lacks its country code, that says nothing about the others."""

SHORTEST_ALIKE: Final = 10
"""From this length on, numbering plans of `SERVED` assign numbers in blocks of 1,000 or more."""

BLOCKS_REMEMBERED: Final = 2**17

_RESPELT: Final = frozenset({52, 55})
"""The country codes of Mexico and Brazil."""


class NoCountryCodeError(InvalidArgumentError):
    """A number seems to lack its country code: it could belong to several countries.

    Attributes:
        fits: The candidate countries, as ISO codes such as ``CL``.
    """

    def __init__(self, field: str, fits: tuple[str, ...], problem: str | None = None) -> None:
        super().__init__(field, problem or _lacks_country_code(fits))
        self.fits = fits

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.fits, self.problem)


def _lacks_country_code(fits: tuple[str, ...]) -> str:
    return (
        f"seems to lack its country code (candidates: {_named(fits)}); "
        "write it with + and the code, or set the region (--region)"
    )


def _named(countries: Sequence[str]) -> str:
    return ", ".join(countries[:FITS_NAMED]) + (", …" if len(countries) > FITS_NAMED else "")


class NationalNumbers:
    """Counts the numbers of a file that lack their country code, to refuse the file if most do.

    The few numbers of such a file that are valid as written would belong to strangers.

    Args:
        region: The region that the numbers were read with, if any.
    """

    def __init__(self, region: str | None) -> None:
        self._region = region
        self._rows = self._lacking = self._valid = 0
        self._fits: Counter[str] = Counter()
        self._sample: list[str] = []

    def add(self, content: object) -> None:
        """Count the result of a row: a message or an error."""
        self._rows += 1
        if isinstance(content, NoCountryCodeError):
            self._lacking += 1
            self._fits.update(content.fits)
        elif not isinstance(content, Exception):
            self._add_valid(getattr(content, "dst_number", None))

    def add_valid(self, digits: str) -> None:
        """Count a row with a valid number."""
        self._rows += 1
        self._add_valid(digits)

    def _add_valid(self, digits: str | int | None) -> None:
        self._valid += 1
        if len(self._sample) < SAMPLE and digits:
            self._sample.append(str(digits))

    def check(self, name: str) -> None:
        """Refuse the file if most of its numbers lack their country code. Call after the last row.

        Args:
            name: The name of the file.

        Raises:
            InvalidArgumentError: More numbers seem to lack the code of some country than are valid.
                Valid numbers that fit that country as well do not count: an area code of Brazil is
                also the country code of Peru.
        """
        if self._lacking <= self._valid and not self._valid_fit_too():
            return
        fits = self._named_fits()
        wrong = "seems to lack its country code"
        if self._region is not None:
            wrong = f"is not valid in {self._region} but fits another country"
        raise InvalidArgumentError(
            name,
            f"{self._lacking:,} of its {self._rows:,} rows have a number that {wrong}; nothing was "
            f"sent. Set the country with --region (most numbers fit {_named(fits)}), or write them "
            "with + and the country code",
        )

    def _named_fits(self) -> list[str]:
        """List all countries that most of the numbers fit: mobiles of Chile fit Peru as well."""
        most = [country for country, count in self._fits.items() if count * 2 > self._lacking]
        return sorted(most, key=lambda it: (-self._fits[it], it)) or self._most_fitting()

    def _most_fitting(self) -> list[str]:
        most = max(self._fits.values())
        return sorted(country for country, count in self._fits.items() if count == most)

    def _valid_fit_too(self) -> bool:
        """Tell whether most valid numbers also fit the country whose code the others lack."""
        is_rare = self._lacking * RARE <= self._rows
        if is_rare or self._region is not None or not self._sample:
            return False
        country = self._most_fitting()[0]
        alike = sum(_is_of(country, digits) for digits in self._sample)
        return alike * 2 > len(self._sample)


def is_installed() -> bool:
    """Tell whether phonenumbers is installed."""
    return find_spec("phonenumbers") is not None


def checker(region: str | None) -> ToDigits:
    """Return the strictest check of numbers available.

    Args:
        region: As in `normaliser`.

    Returns:
        The function of `normaliser`. Without a region and without phonenumbers, one that checks
        only how it is written, and the number of digits.

    Raises:
        ConfigurationError: With a region, as in `normaliser`.
    """
    return normaliser(region) if region is not None or is_installed() else _formed


def normaliser(region: str | None) -> ToDigits:
    """Make a function that validates numbers and reduces them to their E.164 digits.

    A number without ``+`` is read as one of the region, with or without its country code. A number
    of another country needs ``+``: without it, a mistyped domestic number could be a valid foreign
    one.

    Args:
        region: The country whose numbers are written without ``+``, such as ``CL``. If ``None``,
            every number begins with its country code, with or without ``+``; one without ``+`` is
            refused if it is not valid in a country that Connectus serves, but would be with that
            country's code in front.

    Returns:
        A function of a field name, for error messages, and a number, as `arguments.phone_number`.
        It raises `InvalidArgumentError` with the reason, and never shows the number. With a region
        it returns E.164, without one the digits as written. Older spellings (Mexico with 1, Brazil
        without the ninth digit) are kept.

    Raises:
        ConfigurationError: There is no such country, or phonenumbers is not installed.

    >>> normaliser("CL")("dst_number", "9 8768 8060")
    '56987688060'
    """
    if region is not None and region not in _phonenumbers().SUPPORTED_REGIONS:
        raise ConfigurationError("region", "must be a country in two capital letters, such as CL")
    return _Normaliser(region)


@attrs.frozen
class _Normaliser:
    """The function that `normaliser` makes."""

    region: str | None

    def __call__(self, field: str, value: str | int) -> str:
        if type(value) is str and (digits := _recognised(self.region, value)) is not None:
            return digits
        return _digits(self.region, field, value)


def _formed(field: str, value: str | int) -> str:
    if isinstance(value, str):
        value = _BETWEEN.sub("", written(field, value))
    return arguments.phone_number(field, value)


def _recognised(region: str | None, value: str) -> str | None:
    """Return the digits of an ordinary number, and nothing for one that has to be looked at."""
    if value.startswith("+"):
        found = number_patterns.plain_international(_bare(value[1:]))
        return None if found is None else found[1]
    text = value if value.isdecimal() or not value[:1].isdecimal() else _bare(value)
    if region is not None:
        return number_patterns.plain_in(region, text)
    found = number_patterns.plain_international(text)
    return found[1] if found is not None and found[0] in SERVED else None


def _bare(text: str) -> str:
    return text.replace(" ", "").replace("-", "")


def country(digits: str) -> str | None:
    """Return the ISO code of a number's country, or ``None`` if it has none.

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
    """Return the IANA names of a number's possible time zones; none if it has no country.

    Args:
        digits: Its E.164 digits.
        guess: Whether to return all zones of the country if nothing else is known.

    Raises:
        ConfigurationError: phonenumbers is not installed.

    >>> time_zones("56223456789")
    ('America/Santiago',)
    """
    if digits[:2] in number_patterns.RESPELT:  # the older spelling has the same area
        digits = recipient_key(digits)
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
    if (digits := _recognised(region, _BETWEEN.sub("", text))) is not None:
        return digits
    _refuse_a_given_up_prefix(region, field, text)
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
    problem += "; write foreign numbers with + and the country code"
    if fits := _fits(_NO_DIGITS.sub("", text).removeprefix("0")):
        raise NoCountryCodeError(field, fits, problem)
    raise InvalidArgumentError(field, problem)


def _refuse_a_given_up_prefix(region: str | None, field: str, text: str) -> None:
    """Say which digits go, where a number of Mexico has a prefix that is not dialled any more."""
    match = _GIVEN_UP.fullmatch(_NO_DIGITS.sub("", text))
    if match is None or not (match[1] or region == _MEXICO) or not _is_of(_MEXICO, match[3]):
        return
    raise InvalidArgumentError(
        field,
        f"has the old Mexican prefix {match[2]}: write +52 and the ten digits that follow it",
    )


def _with_plus(region: str | None, field: str, text: str) -> str:
    """Replace 00 by ``+``, unless the rest could be a national number padded with zeros."""
    if text.startswith("+"):
        return text
    is_plain = text.isascii() and text.isdigit()
    digits = text if is_plain else _phonenumbers().normalize_digits_only(text)
    if not digits.startswith(_INTERNATIONAL):
        return text
    digits = digits.removeprefix(_INTERNATIONAL)
    if digits.startswith("0") or (digits and region is not None and _is_of(region, digits)):
        raise InvalidArgumentError(
            field, "begins with 00, but its country code is ambiguous; write + in place of 00"
        )
    return f"+{digits}"


def _international_digits(field: str, text: str) -> str:
    """Read a number that begins with its country code, without ``+``."""
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
        arguments.phone_number(field, digits)  # its error comes first
        raise InvalidArgumentError(field, problem)
    return _as_given(field, text, number)


@lru_cache(BLOCKS_REMEMBERED)
def _is_block(head: str) -> bool:
    """Tell whether a block of 1,000 numbers belongs to a `SERVED` country as written."""
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
    """List the countries in which digits are a valid national number."""
    return tuple(region for region in sorted(SERVED + NEIGHBOURS) if _is_of(region, digits))


def _is_of(region: str, digits: str) -> bool:
    """Tell whether digits are a valid national number of a country."""
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
    """Keep the digits as written, where `arguments.phone_number` accepts them.

    The keys of a ledger come from these digits: in another form the message would be a new one.
    phonenumbers ignores trunk prefixes, such as 0. Numbers with one are refused: as written they
    belong to nobody, and no suppression list has them.
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
            "has a trunk prefix, such as 0, after the country code; remove the prefix",
        )
    return digits


def _e164(field: str, number: Any) -> str:
    phonenumbers = _phonenumbers()
    form = phonenumbers.PhoneNumberFormat.E164
    return arguments.phone_number(field, phonenumbers.format_number(number, form))


def _present(number: Any) -> Any:
    """Convert older spellings, which still work, to the one that phonenumbers supports."""
    if number.country_code not in _RESPELT:
        return number
    phonenumbers = _phonenumbers()
    form = phonenumbers.PhoneNumberFormat.E164  # with its leading zeros, where it has some
    digits = phonenumbers.format_number(number, form).removeprefix("+")
    spelt = recipient_key(digits)
    return number if spelt == digits or _may_lack_a_digit(digits) else _international(spelt)


def _may_lack_a_digit(digits: str) -> bool:
    """Tell whether an old Brazilian mobile could be a current one with a digit missing."""
    return len(digits) == 12 and digits.startswith("55") and digits[4] == "9"


def _text(field: str, value: str | int) -> str:
    """Refuse what phonenumbers would accept: letters, extensions and decimal numbers."""
    if isinstance(value, str):
        return written(field, value)
    if type(value) is int and 0 <= value <= arguments.MAX_AMOUNT:
        return str(value)
    return arguments.phone_number(field, value)


def _parsed(region: str | None, field: str, text: str) -> Any:
    phonenumbers = _phonenumbers()
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        problem = {
            error.INVALID_COUNTRY_CODE: "does not begin with a country code",
            error.NOT_A_NUMBER: "is not a phone number",
            error.TOO_LONG: "is too long for a phone number",
        }.get(error.error_type, "is too short for a phone number")
        raise InvalidArgumentError(field, problem) from None


def _problem(number: Any) -> str | None:
    phonenumbers = _phonenumbers()
    number = _present(number)
    result = phonenumbers.ValidationResult
    problem = {
        result.INVALID_COUNTRY_CODE: "does not begin with a country code",
        result.TOO_SHORT: "is too short for {}",
        result.IS_POSSIBLE_LOCAL_ONLY: "lacks its area code",
        result.TOO_LONG: "is too long for {}",
        result.INVALID_LENGTH: "has the wrong length for {}",
    }.get(phonenumbers.is_possible_number_with_reason(number))
    if problem is None and not phonenumbers.is_valid_number(number):
        problem = "is not a valid {} number"
    return None if problem is None else problem.format(_plan(number))


def _abroad(region: str, number: Any) -> str | None:
    """Describe a number of another country that shares the region's calling code."""
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
