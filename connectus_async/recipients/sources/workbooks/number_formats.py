"""Values of cells with their number format: what a calculation and what a text gets."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from connectus_async.recipients.cells import (
    MAX_EXACT,
    Cell,
    ErrorCell,
    ShownDigits,
    ShownFloat,
    ShownInt,
    ShownMoment,
    ShownTime,
    without_tail,
)
from connectus_async.recipients.sources.workbooks.conventions import (
    conventions_named,
    conventions_of,
)
from connectus_async.recipients.sources.workbooks.dates import (
    END,
    DateForm,
    DurationForm,
    date_form,
    moment,
    short_date,
)
from connectus_async.recipients.sources.workbooks.numbers import (
    NumberForm,
    number_form,
)
from connectus_async.recipients.sources.workbooks.tokens import (
    CountryNeededError,
    Section,
    Token,
    UnknownFormError,
    sections,
)

GENERAL: Final = "General"
OF_SYSTEM: Final = "[currency]"
"""Stands for the formats of currency that a workbook leaves to the system."""

REMEMBERED: Final = 1024
"""Days whose text is kept: a column has the same few many times."""

OUTSIDE: Final = "########"
"""What a cell shows for a number that is no date."""

BEFORE_1900: Final = "00-01-1900"

SHORT_DATE: Final = "short-date"
SHORT_DATE_AND_TIME: Final = "short-date-and-time"
BUILT_IN: Final = {
    0: GENERAL,
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    9: "0%",
    10: "0.00%",
    11: "0.00E+00",
    12: "# ?/?",
    13: "# ??/??",
    14: SHORT_DATE,
    15: "d-mmm-yy",
    16: "d-mmm",
    17: "mmm-yy",
    18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM",
    20: "h:mm",
    21: "h:mm:ss",
    22: SHORT_DATE_AND_TIME,
    37: "#,##0;-#,##0",
    38: "#,##0;-#,##0",
    39: "#,##0.00;-#,##0.00",
    40: "#,##0.00;-#,##0.00",
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mm:ss.0",
    48: "##0.0E+0",
    49: "@",
}
"""The formats that a workbook does not write out, by their number. The others depend on the system
or its currency."""

TEXT: Final = Token("mark", "@")
_NO_FIELDS: Final = re.compile(r'"[^"]*"|\\.|_.|\[(?![hms]+\])[^\]]*\]|General', re.IGNORECASE)
_TIME_FIELD: Final = re.compile("[ymdhs]")
_DATE_FIELD: Final = re.compile("[yd]|mmm")

ToCell = Callable[[float, int], Cell]
"""Makes a cell of a number and the place of its column."""


class NumberFormats:
    """The number formats of a workbook.

    Args:
        region: The country whose conventions the workbook follows, such as ``CL``; ``None`` if it
            is not known.
        file: The name of the workbook, for error messages.
        since_1904: Whether it counts days from 1904.

    Attributes:
        unknown: A format that is not rendered, by the place of a column that has it.
        without_country: The places of columns whose cells depend on the country.
    """

    def __init__(self, region: str | None, file: str, *, since_1904: bool) -> None:
        self._country = conventions_of(region, file)
        self._file = file
        self._since_1904 = since_1904
        self.unknown: dict[int, str] = {}
        self.without_country: set[int] = set()

    def to_cell(self, code: str) -> ToCell:
        """Make the function that makes cells of a number format."""
        try:
            if code in {SHORT_DATE, SHORT_DATE_AND_TIME}:
                has_time = code == SHORT_DATE_AND_TIME
                return self._dates(short_date(self._country, self._file, has_time=has_time))
            return self._known(code)
        except UnknownFormError as error:
            return self._unknown(code, needs_country=isinstance(error, CountryNeededError))

    def _known(self, code: str) -> ToCell:
        found = sections(code)
        shown = [section for section in found[:3] if not _is_for_text(section, found)]
        country = self._country
        for section in shown:
            country = conventions_named(section.place, self._file) or country
        if shown[0].is_date:
            form = date_form(shown[0], country, self._file)
            return self._durations(form) if isinstance(form, DurationForm) else self._dates(form)
        forms = [number_form(section, country) for section in shown]
        if any(section.condition for section in shown):
            return self._conditional(code, shown, forms)
        return self._numbers(forms)

    def _conditional(
        self, code: str, found: Sequence[Section], forms: Sequence[NumberForm]
    ) -> ToCell:
        """Make the function of a format whose first sections have a condition each."""
        if any(section.condition is None for section in found[:-1]) or found[-1].condition:
            raise UnknownFormError
        ways = [self._numbers([form]) for form in forms]
        negative = self._unknown(code, needs_country=False)  # its sign depends on the conditions

        def to_cell(number: float, column: int) -> Cell:
            if number < 0:
                return negative(number, column)
            place = next(at for at, section in enumerate(found) if section.is_for(number))
            return ways[place](number, column)

        return to_cell

    def _unknown(self, code: str, *, needs_country: bool) -> ToCell:
        fields = _NO_FIELDS.sub("", code).casefold()
        is_date = _TIME_FIELD.search(fields) is not None
        has_date = _DATE_FIELD.search(fields) is not None

        def to_cell(number: float, column: int) -> Cell:
            if needs_country:
                self.without_country.add(column)
            else:
                self.unknown.setdefault(column, code)
            return self._moment(number, has_date=has_date) if is_date else without_tail(number)

        return to_cell

    def _numbers(self, forms: Sequence[NumberForm]) -> ToCell:
        first = forms[0]
        is_general = first.is_general and first.is_plain
        needs_country = any(form.needs_country for form in forms)
        padded = ShownDigits if first.is_padded and not first.is_plain else ShownInt
        shows_digits = first.is_plain or first.is_padded

        def to_cell(number: float, column: int) -> Cell:
            whole = int(number)
            is_whole = whole == number
            if not -MAX_EXACT < number < MAX_EXACT:
                return number
            if is_whole and is_general and number >= 0:
                return whole
            if needs_country or (first.is_general and not is_whole and not first.decimal):
                self.without_country.add(column)
                return whole if is_whole and shows_digits else without_tail(number)
            text = _signed(forms, whole if is_whole else number)
            if not text:
                return None
            value: ShownInt | ShownFloat
            if is_whole and shows_digits:
                value = padded(whole) if number > 0 else ShownInt(whole)
            else:
                value = ShownFloat(number if is_whole else without_tail(number))
            value.shown = text
            return value

        return to_cell

    def _dates(self, form: DateForm) -> ToCell:
        @lru_cache(REMEMBERED)
        def cell(days: float) -> Cell:
            value = self._moment(days, has_date=form.has_date)
            shown = moment(days, since_1904=self._since_1904, step=form.step)
            if isinstance(value, ErrorCell) or shown is None:
                return value
            value.shown = form.text(shown)
            return value

        return lambda days, _column: cell(days)

    def _durations(self, form: DurationForm) -> ToCell:
        def to_cell(days: float, _column: int) -> Cell:
            if not 0 <= days < END:
                return ErrorCell(OUTSIDE)
            value = ShownFloat(days)
            value.shown = form.text(days)
            return value

        return to_cell

    def _moment(self, days: float, *, has_date: bool) -> ShownMoment | ShownTime | ErrorCell:
        value = moment(days, since_1904=self._since_1904)
        if value is None:
            return ErrorCell(OUTSIDE)
        if days >= 1:
            return ShownMoment.combine(value.date(), value.time())
        if has_date and not self._since_1904:
            return ErrorCell(BEFORE_1900)
        return ShownTime(value.hour, value.minute, value.second, value.microsecond)


class ToCells(dict[str | int | None, ToCell]):
    """Makes cells of numbers, by the place of their style.

    Args:
        codes: The number format of each style; without any, all of them are general.
        formats: The formats of the workbook.
    """

    def __init__(self, codes: Sequence[str], formats: NumberFormats) -> None:
        super().__init__()
        self._codes = codes
        self._formats = formats

    def __missing__(self, style: str | int | None) -> ToCell:
        """Make the function of a style; a cell without one has the first.

        Raises:
            IndexError: There is no such style.
        """
        place = int(style or 0)
        if place < 0:
            raise IndexError
        made = self[style] = self._formats.to_cell(self._codes[place] if self._codes else GENERAL)
        return made


def _is_for_text(section: Section, found: Sequence[Section]) -> bool:
    """Tell whether a section that is not the first shows texts only."""
    return section is not found[0] and section.tokens == (TEXT,)


def _signed(forms: Sequence[NumberForm], number: float) -> str:
    """Write a number by the format of its sign."""
    if number < 0:
        return (
            forms[1].text(-number).strip()
            if len(forms) > 1
            else "-" + forms[0].text(-number).strip()
        )
    form = forms[2] if not number and len(forms) > 2 else forms[0]
    return form.text(number).strip()
