"""Conventions of a country for numbers and dates, through Babel."""

import locale as windows_codes
import re
from functools import lru_cache
from typing import Any, Final

import attrs

from connectus_async.extras import library

SPANISH: Final = "es"
_SEPARATOR: Final = re.compile(r"[-/.]")
_NO_BREAK: Final = dict.fromkeys(map(ord, "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"), " ")
"""Such a blank would make an SMS dearer, and looks like an ordinary one."""


@attrs.frozen
class Conventions:
    """How a country writes numbers and dates.

    Attributes:
        locale: Its locale, of Babel.
        decimal: The sign before decimals.
        group: The sign between groups of three digits.
        between_dates: The sign between the parts of a date, which a slash in a format stands for.
    """

    locale: Any
    decimal: str
    group: str
    between_dates: str


def plain_blanks(text: str) -> str:
    """Replace blanks that do not break a line by ordinary ones."""
    return text.translate(_NO_BREAK)


@lru_cache(64)
def conventions_of(region: str | None, file: str) -> Conventions | None:
    """Find the conventions of a country.

    Args:
        region: The country, such as ``CL``. In a country with several languages, they are those of
            Spanish, if it is one of them.
        file: The file that needs them, for error messages.

    Returns:
        The conventions; ``None`` if the country is not known.

    Raises:
        ConfigurationError: Babel is not installed.
    """
    if region is None:
        return None
    languages = library(file, "babel.languages", extra="excel")
    spoken = languages.get_official_languages(region, de_facto=True)
    language = SPANISH if SPANISH in spoken else next(iter(spoken), None)
    return None if language is None else _conventions(f"{language}_{region}", file)


@lru_cache(64)
def conventions_named(place: str, file: str) -> Conventions | None:
    """Find the conventions that a number format names.

    Args:
        place: A code of Windows in hexadecimal digits, or a tag such as ``es-cl``.
        file: The file that needs them, for error messages.

    Returns:
        The conventions; ``None`` if the place is not known, or is a language without a country.

    Raises:
        ConfigurationError: Babel is not installed.
    """
    try:
        name = windows_codes.windows_locale.get(int(place, 16) & 0xFFFF)
    except ValueError:
        name = place.replace("-", "_")
    return None if name is None else _conventions(name, file)


def _conventions(name: str, file: str) -> Conventions | None:
    core = library(file, "babel.core", extra="excel")
    numbers = library(file, "babel.numbers", extra="excel")
    try:
        found = core.Locale.parse(name)
    except (ValueError, core.UnknownLocaleError):
        return None
    if not (found.territory or "").isalpha():
        return None
    separator = _SEPARATOR.search(found.date_formats["short"].pattern)
    return Conventions(
        found,
        numbers.get_decimal_symbol(found),
        plain_blanks(numbers.get_group_symbol(found)),
        "/" if separator is None else separator[0],
    )
