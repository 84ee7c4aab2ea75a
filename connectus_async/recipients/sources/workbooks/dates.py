"""Dates and times of workbooks: from a number of days to a date, and to its text through Babel."""

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any, Final

import attrs

from connectus_async.extras import library
from connectus_async.recipients.sources.workbooks.conventions import Conventions, plain_blanks
from connectus_async.recipients.sources.workbooks.tokens import (
    CountryNeededError,
    Section,
    Token,
    UnknownFormError,
)

FIRST_REAL_DAY: Final = 61
"""1 March 1900. Excel counts a 29 February before it, which there was not."""

END: Final = 2_958_466
"""The day after 31 December 9999, the last one that Excel has."""

SECOND: Final = 1000
MILLISECONDS: Final = 86_400 * SECOND
_DAY: Final = dt.timedelta(days=1)
_UNITS: Final = {"h": 3600, "m": 60, "s": 1}
_PATTERNS: Final = {
    "y": "yy",
    "yy": "yy",
    "yyy": "yyyy",
    "yyyy": "yyyy",
    "m": "M",
    "mm": "MM",
    "mmm": "MMM",
    "mmmm": "MMMM",
    "mmmmm": "MMMMM",
    "d": "d",
    "dd": "dd",
    "ddd": "EEE",
    "dddd": "EEEE",
    "s": "s",
    "ss": "ss",
}
"""Patterns of Unicode for those of Excel; hours and minutes depend on their neighbours."""

_SLASH: Final = Token("mark", "/")
_NAMES: Final = frozenset({"MMM", "MMMM", "MMMMM", "EEE", "EEEE", "a"})


def moment(days: float, *, since_1904: bool, step: int = 1) -> dt.datetime | None:
    """Convert a number of days to a date and time.

    Args:
        days: The days that Excel counts.
        since_1904: Whether the workbook counts them from 1904.
        step: What to round to, in milliseconds.

    Returns:
        The date and time; on a made-up day if ``days`` is less than 1. ``None`` if Excel has no
        date for it.

    >>> moment(46380.646, since_1904=False, step=1000)
    datetime.datetime(2026, 12, 24, 15, 30, 14)
    """
    if not 0 <= days < END:
        return None
    start = dt.datetime(1904, 1, 1) if since_1904 else dt.datetime(1899, 12, 30)  # noqa: DTZ001 - it has no zone
    if not since_1904 and 1 <= days < FIRST_REAL_DAY:
        start += _DAY
    try:
        return start + dt.timedelta(milliseconds=rounded(days, step))
    except OverflowError:
        return None


def rounded(days: float, step: int) -> int:
    """Convert days to milliseconds, rounded to a number of them."""
    return (round(days * MILLISECONDS) + step // 2) // step * step


@attrs.frozen
class DateForm:
    """A format of a date or a time of day.

    Attributes:
        pattern: Its pattern, of Babel.
        fields: What Babel needs to write a date by it.
        locale: The locale of its names.
        has_date: Whether it shows more than a time of day.
        step: What it rounds to, in milliseconds.
    """

    pattern: str
    fields: Any
    locale: Any
    has_date: bool
    step: int

    def text(self, value: dt.datetime) -> str:
        """Write a date and time."""
        return plain_blanks(self.pattern % self.fields(value, self.locale)).strip()


@attrs.frozen
class DurationForm:
    """A format of a duration, such as ``[h]:mm``.

    Attributes:
        tokens: Its tokens.
        step: What it rounds to, in milliseconds.
    """

    tokens: Sequence[Token]
    step: int

    def text(self, days: float) -> str:
        """Write a duration that is not negative."""
        seconds = rounded(days, self.step) // SECOND
        return "".join(_duration(token, seconds) for token in self.tokens).strip()


def _duration(token: Token, seconds: int) -> str:
    if token.kind not in {"elapsed", "date"}:
        return token.text
    unit = token.text[0].casefold()
    count = seconds // _UNITS[unit]
    return f"{count if token.kind == 'elapsed' else count % 60:0{len(token.text)}}"


def date_form(
    section: Section, conventions: Conventions | None, file: str
) -> DateForm | DurationForm:
    """Read the section of a number format that shows a date, a time or a duration.

    Args:
        section: The section.
        conventions: Those of the country, if it is known.
        file: The file, for error messages.

    Raises:
        UnknownFormError: It has something that is not rendered.
        CountryNeededError: It needs the conventions.
        ConfigurationError: Babel is not installed.
    """
    kinds = {token.kind for token in section.tokens}
    if kinds & {"digit", "general"} or any(token.text in {"%", "@"} for token in section.tokens):
        raise UnknownFormError
    step = SECOND if any(token.text[:1] in {"s", "S"} for token in section.tokens) else 1
    if "elapsed" in kinds:
        if any(token.kind == "date" and token.text[0] not in "hmsHMS" for token in section.tokens):
            raise UnknownFormError
        return DurationForm(section.tokens, step)
    dates = library(file, "babel.dates", extra="excel")
    if section.system:
        pattern = _of_system(section.system, conventions)
        return _form(dates, pattern, conventions, has_date=section.system == "date", step=SECOND)
    slash = conventions.between_dates if conventions else "/"
    tokens = [_SLASH._replace(text=slash) if it == _SLASH else it for it in section.tokens]
    fields = list(_fields(tokens))
    if any(before[-1] == after[0] for before, after in pairwise(fields)):
        raise UnknownFormError  # the two would be one field
    if conventions is None and _NAMES.intersection(fields):
        raise CountryNeededError
    has_date = any(field[:1] in {"y", "M", "d", "E"} for field in fields)
    return _form(dates, "".join(fields), conventions, has_date=has_date, step=step)


def short_date(conventions: Conventions | None, file: str, *, has_time: bool) -> DateForm:
    """Make the format of a day in the short form of a country, with the whole year.

    Raises:
        CountryNeededError: The country is not known.
        ConfigurationError: Babel is not installed.
    """
    if conventions is None:
        raise CountryNeededError
    dates = library(file, "babel.dates", extra="excel")
    pattern = conventions.locale.date_formats["short"].pattern
    pattern = pattern.replace("yy", "y").replace("y", "yyyy") + " H:mm" * has_time
    return _form(dates, pattern, conventions, has_date=True, step=1)


def _form(
    dates: Any, pattern: str, conventions: Conventions | None, *, has_date: bool, step: int
) -> DateForm:
    locale = "en" if conventions is None else conventions.locale
    found = dates.parse_pattern(pattern)
    return DateForm(found.format, dates.DateTimeFormat, locale, has_date, step)


def _of_system(system: str, conventions: Conventions | None) -> str:
    if conventions is None:
        raise CountryNeededError
    if system == "date":
        return str(conventions.locale.date_formats["full"].pattern)
    return str(conventions.locale.time_formats["medium"].pattern)


def _fields(tokens: Sequence[Token]) -> Iterator[str]:
    """Write the tokens as fields of a pattern of Unicode."""
    tokens = list(_joined(tokens))
    has_period = any(token.kind == "period" for token in tokens)
    units = [token.text.casefold() if token.kind == "date" else "" for token in tokens]
    for place, token in enumerate(tokens):
        if token.kind == "period":
            if token.text.casefold() != "am/pm":
                raise UnknownFormError
            yield "a"
        elif token.kind == "date":
            yield _field(place, units, has_period=has_period)
        else:
            yield "'" + token.text.replace("'", "''") + "'"


def _joined(tokens: Sequence[Token]) -> Iterator[Token]:
    """Join literals that follow each other."""
    for is_kept, group in groupby(tokens, lambda token: token.kind in {"date", "period"}):
        if is_kept:
            yield from group
        elif text := "".join(token.text for token in group):
            yield Token("literal", text)


def _field(place: int, units: Sequence[str], *, has_period: bool) -> str:
    unit = units[place]
    if unit in {"h", "hh"}:
        return unit if has_period else unit.upper()
    before = next(filter(None, reversed(units[:place])), "")
    after = next(filter(None, units[place + 1 :]), "")
    if unit in {"m", "mm"} and (before[:1] == "h" or after[:1] == "s"):
        return unit
    if unit not in _PATTERNS:
        raise UnknownFormError
    return _PATTERNS[unit]
