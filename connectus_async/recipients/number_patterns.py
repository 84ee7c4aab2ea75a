"""Recognition of ordinary phone numbers by the patterns of phonenumbers, without asking it.

To parse a number and validate it takes phonenumbers 60 us or more. The patterns of its metadata
decide most numbers in two: those of plain digits in which it would find nothing to strip or to
rewrite. Any other number is left to it.
"""

import enum
import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from connectus_async.arguments import NUMBER_LENGTHS
from connectus_async.extras import library
from connectus_async.ledger.keys import recipient_key

LONGEST_CODE: Final = 3

RESPELT: Final = frozenset({"52", "55"})
"""The country codes of Mexico and Brazil, where older spellings still work."""

_NO_COUNTRY: Final = "001"
_NEVER: Final = r"(?!)"
_TYPES: Final = (
    "mobile",
    "fixed_line",
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)
"""The types of which a valid number has one."""


class LineType(enum.StrEnum):
    """Type of a line that is no mobile."""

    LANDLINE = "landline"
    TOLL_FREE = "toll_free"


_LANDLINES: Final = {"CL": r"[2-7]\d{8}"}
"""Landlines of countries for which phonenumbers does not tell them from mobiles."""


class _Plan(NamedTuple):
    """Numbering plan of the only country with its code.

    Attributes:
        country: Its ISO code.
        code: Its country code.
        national: By length: a valid national number without trunk prefix or carrier code.
        possible: A national number, which need not be valid.
        abroad: A prefix for calls abroad.
        no_mobile: A valid number with its country code that is no mobile, in a group named by its
            type.
    """

    country: str
    code: str
    national: Mapping[int, re.Pattern[str]]
    possible: re.Pattern[str]
    abroad: re.Pattern[str]
    no_mobile: re.Pattern[str]

    def has(self, number: str) -> bool:
        """Tell whether a number is certainly a valid national one."""
        pattern = self.national.get(len(number))
        return pattern is not None and pattern.fullmatch(number) is not None


def plain_international(text: str) -> tuple[str, str] | None:
    """Recognise a number that begins with its country code.

    Args:
        text: The number without ``+``.

    Returns:
        Its country and its E.164 digits; ``None`` if only phonenumbers can tell.
    """
    if not (text.isascii() and text.isdigit()):
        return None
    plan = _plan_of(text[:LONGEST_CODE])
    if plan is None or not plan.has(text[len(plan.code) :]) or _is_older(plan, text):
        return None
    return plan.country, text


def plain_in(region: str, text: str) -> str | None:
    """Recognise a number of a country, with or without its country code.

    Args:
        region: The ISO code of the country.
        text: The number, without ``+``.

    Returns:
        Its E.164 digits; ``None`` if only phonenumbers can tell.
    """
    plan = _plan_in(region)
    if plan is None or not (text.isascii() and text.isdigit()) or plan.abroad.match(text):
        return None
    if plan.has(text):
        digits = plan.code + text
    elif not text.startswith(plan.code) or plan.possible.fullmatch(text):
        return None
    elif plan.has(text[len(plan.code) :]):
        digits = text
    else:
        return None
    return None if _is_older(plan, digits) else digits


def line_type(digits: str) -> LineType | None:
    """Return the type of a number that is certainly no mobile.

    Args:
        digits: Its E.164 digits.

    >>> line_type("56223456789"), line_type("56987688060")
    (<LineType.LANDLINE: 'landline'>, None)
    """
    match = _no_mobile_of(digits[:LONGEST_CODE])
    found = match and match(digits)
    return LineType(str(found.lastgroup)) if found else None


@lru_cache(10**LONGEST_CODE)
def _no_mobile_of(head: str) -> Callable[[str], re.Match[str] | None] | None:
    """Return what finds numbers that are no mobiles, of those that begin with three digits."""
    plan = _plan_of(head)
    return None if plan is None else plan.no_mobile.fullmatch


@lru_cache(10**LONGEST_CODE)
def country_of(head: str) -> str | None:
    """Return the country of the numbers with these first three digits, as `country` does.

    Returns:
        Its ISO code; ``None`` if only phonenumbers can tell.
    """
    if not head.isdigit() or head.startswith("0"):
        return None
    codes = _phonenumbers().COUNTRY_CODE_TO_REGION_CODE
    for size in range(1, LONGEST_CODE + 1):
        if countries := codes.get(int(head[:size])):
            return countries[0] if _is_alone(countries) else None
    return None


def _is_older(plan: _Plan, digits: str) -> bool:
    """Tell whether a number is in an older spelling."""
    return plan.code in RESPELT and recipient_key(digits) != digits


def _is_alone(countries: tuple[str, ...]) -> bool:
    return len(countries) == 1 and countries[0] != _NO_COUNTRY


@lru_cache(10**LONGEST_CODE)
def _plan_of(head: str) -> _Plan | None:
    """Return the plan of the numbers that begin with three digits."""
    country = country_of(head)
    return None if country is None else _plan_in(country)


@cache
def _plan_in(country: str) -> _Plan | None:
    """Make the plan of a country; ``None`` if it shares its code with others."""
    phonenumbers = _phonenumbers()
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(country)
    if not _is_alone(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[metadata.country_code]):
        return None
    code = str(metadata.country_code)
    return _Plan(
        country,
        code,
        {
            length: _national(metadata, length)
            for length in metadata.general_desc.possible_length
            if len(code) + length in NUMBER_LENGTHS
        },
        re.compile(metadata.general_desc.national_number_pattern),
        re.compile(metadata.international_prefix or _NEVER),
        _no_mobile(country, metadata),
    )


def _no_mobile(country: str, metadata: Any) -> re.Pattern[str]:
    """Make the pattern of numbers of a type that receives no SMS, or may not."""
    toll_free, mobile, landline = map(
        _pattern, (metadata.toll_free, metadata.mobile, metadata.fixed_line)
    )
    others = _LANDLINES.get(country, _NEVER)
    return re.compile(
        rf"{metadata.country_code}(?:(?P<{LineType.TOLL_FREE}>{toll_free})"
        rf"|(?P<{LineType.LANDLINE}>(?!(?:{mobile})\Z)(?:{landline})|{others}))"
    )


def _pattern(description: Any) -> str:
    return (description and description.national_number_pattern) or _NEVER


def _national(metadata: Any, length: int) -> re.Pattern[str]:
    """Make the pattern of valid national numbers of a length."""
    general = metadata.general_desc.national_number_pattern
    prefix = metadata.national_prefix_for_parsing or _NEVER  # in Argentina it may match nothing
    descriptions = (getattr(metadata, name) for name in _TYPES)
    types = [
        f"(?:{each.national_number_pattern})"
        for each in descriptions
        if each and (not each.possible_length or length in each.possible_length)
    ]
    return re.compile(
        rf"(?!0|(?:{prefix})(?<=\d))(?=(?:{general})\Z)(?:{'|'.join(types) or _NEVER})"
    )


def _phonenumbers() -> Any:
    return library("region", "phonenumbers", extra="phone")
