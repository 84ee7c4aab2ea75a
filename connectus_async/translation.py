"""Languages in which people read: sentences, plurals, numbers and times.

The sentences of errors, and the reasons in a ledger, are English and the same for every reader.
`Language.sentence` translates one where a person reads it.
"""

import os
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations, translation
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import datetime as dt

    from babel import Locale

DOMAIN: Final = "connectus_async"
CATALOGUES: Final = os.path.join(os.path.dirname(__file__), "locales")  # noqa: PTH118, PTH120
ENGLISH: Final = "en"
AT_LARGE: Final = {"es": "es_419"}
"""The form of a language that is not the one of a single country."""

MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)

MAX_REMEMBERED: Final = 4096
"""Sentences; most of a campaign's are the same few."""

_CONTEXT: Final = "\4"
"""The sign after the meaning of a word, in a compiled catalogue."""

_PLACEHOLDER: Final = re.compile(r"\{(\d+)(:,)?\}")
_ASIDE: Final = re.compile(r"(.+) \((.+)\)", re.DOTALL)
_SEPARATORS: Final = (": ", "; ", ". ")


class Language:
    """A language, in the form of one country or of all that speak it.

    Args:
        tag: Its tag, such as ``es`` or ``es_CL``.
        catalogue: Its sentences.
    """

    def __init__(self, tag: str, catalogue: NullTranslations) -> None:
        self.tag = tag
        self._catalogue = catalogue
        self._templates: Templates | None = None
        self.sentence = lru_cache(MAX_REMEMBERED)(self._sentence)

    @property
    def is_english(self) -> bool:
        """``True`` if nothing is translated."""
        return self.tag == ENGLISH

    def gettext(self, message: str) -> str:
        """Translate a sentence, which may have ``{names}`` for `str.format`."""
        return self._catalogue.gettext(message) if message else ""

    def ngettext(self, one: str, many: str, count: float) -> str:
        """Translate a sentence about a number of things."""
        return self._catalogue.ngettext(one, many, count)  # type: ignore[arg-type]

    def pgettext(self, context: str, message: str) -> str:
        """Translate a word of several meanings.

        Args:
            context: Its meaning, such as ``column``.
            message: The word.
        """
        return self._catalogue.pgettext(context, message)

    def number(self, value: float, digits: int = 0) -> str:
        """Write a number with the language's separators.

        Args:
            value: The number.
            digits: Digits after the point.

        >>> language("en").number(2776), language("en").number(2.5, 1)
        ('2,776', '2.5')
        """
        if self.is_english:
            return f"{value:,.{digits}f}"
        from babel.numbers import format_decimal  # noqa: PLC0415 - slow to import

        form = "#,##0" + "." * (digits > 0) + "0" * digits
        return format_decimal(value, form, self.locale)

    def moment(self, value: "dt.datetime") -> str:
        """Write a date and a time of day, to the minute.

        >>> import datetime as dt
        >>> language("en").moment(dt.datetime(2026, 12, 24, 10))
        '2026-12-24 10:00'
        """
        return f"{self.date(value)} {value:%H:%M}"

    def date(self, value: "dt.date") -> str:
        """Write a day with its year."""
        if self.is_english:
            return f"{value:%Y-%m-%d}"
        from babel.dates import format_date  # noqa: PLC0415 - slow to import

        return format_date(value, "medium", self.locale)

    def digits(self, text: str) -> str:
        """Write a text with a short number in it, whose digits were chosen, in the language.

        >>> language("en").digits("< 0.1 %")
        '< 0.1 %'
        """
        if self.is_english:
            return text
        from babel.numbers import get_decimal_symbol  # noqa: PLC0415 - slow to import

        return text.replace(".", get_decimal_symbol(self.locale))

    def day(self, value: "dt.date") -> str:
        """Write a day without its year, as short as can be.

        >>> import datetime as dt
        >>> language("en").day(dt.date(2026, 12, 24))
        '24 Dec'
        """
        if self.is_english:
            return f"{value.day} {MONTHS[value.month - 1]}"
        return f"{value.day} {self.locale.months['format']['abbreviated'][value.month]}"

    def prepare(self) -> None:
        """Read from disk what numbers, times and names need. Blocks."""
        if not self.is_english:
            self.number(0)
            import datetime as dt  # noqa: PLC0415 - few need it

            self.date(dt.date.min)
            self.country("")

    def country(self, code: str) -> str:
        """Write the name of a country; the code itself if there is none.

        Args:
            code: Two letters, such as ``CL``.
        """
        return self.locale.territories.get(code) or code

    @property
    def locale(self) -> "Locale":
        """The rules for numbers, dates and names of countries."""
        return _locale(self.tag)

    def _sentence(self, text: str) -> str:
        """Translate a sentence of an error, or a reason that a ledger keeps.

        Args:
            text: The sentence in English.

        Returns:
            Its translation; the parts without one stay as they are.
        """
        if not isinstance(self._catalogue, GNUTranslations) or not (inner := core(text)):
            return text
        return text.replace(inner, self._known(inner) or self._in_parts(inner))

    def _known(self, text: str) -> str | None:
        if self._templates is None:
            self._templates = Templates(_messages(self._catalogue))
        if text in self._templates.exact:
            return self._catalogue.gettext(text)
        if (found := self._templates.match(text)) is None:
            return None
        template, values = found
        parts = _PLACEHOLDER.finditer(template)
        written = {int(part[1]): self._written(values[part[0]], part[2]) for part in parts}
        translated = self._catalogue.gettext(template)
        return _PLACEHOLDER.sub(lambda part: written[int(part[1])], translated)

    def _written(self, value: str, form: str | None) -> str:
        if form and value.replace(",", "").isdecimal():
            return self.number(int(value.replace(",", "")))
        return self.sentence(value)

    def _in_parts(self, text: str) -> str:
        """Translate a sentence that was put together of others: ``place: problem (advice)``."""
        if (aside := _ASIDE.fullmatch(text)) is not None:
            inner = self.sentence(aside[2])
            if inner != aside[2]:
                return f"{self.sentence(aside[1])} ({inner})"
        for separator in _SEPARATORS:
            head, found, tail = text.partition(separator)
            if found:
                return self.sentence(head) + separator + self.sentence(tail)
        return text


def core(text: str) -> str:
    """Cut off what joins a part of a sentence to the one before it.

    >>> core("; write it with +"), core(" through the proxy")
    ('write it with +', 'through the proxy')
    """
    return text.lstrip(" ;:").rstrip()


class Templates:
    """Sentences with numbered placeholders, to find the one that a text was made of.

    Args:
        messages: The sentences; ``{0:,}`` stands for a number with separators, ``{0}`` for a text.
    """

    def __init__(self, messages: Sequence[str]) -> None:
        self.exact = frozenset(messages)
        templates = filter(_PLACEHOLDER.search, messages)
        self._by_first_word: dict[str, list[str]] = {}
        for template in sorted(templates, key=_literal_length, reverse=True):
            self._by_first_word.setdefault(_first_word(template), []).append(template)
        self._patterns: dict[str, re.Pattern[str]] = {}

    def match(self, text: str) -> tuple[str, dict[str, str]] | None:
        """Find the template of a text, the one with the longest literal part first.

        Returns:
            The template, and the text in place of each placeholder; ``None`` if none matches.
        """
        matches = (self._match(text, word) for word in (text.partition(" ")[0], ""))
        return next(filter(None, matches), None)

    def _match(self, text: str, word: str) -> tuple[str, dict[str, str]] | None:
        if (templates := self._by_first_word.get(word)) is None:
            return None
        if (pattern := self._patterns.get(word)) is None:
            groups = map(_as_group, enumerate(templates))
            pattern = self._patterns[word] = re.compile("|".join(groups), re.DOTALL)
        found = pattern.fullmatch(text)
        if found is None or found.lastgroup is None:
            return None
        template = templates[int(found.lastgroup[1:])]
        values = [value for value in found.groups() if value is not None][1:]
        names = dict.fromkeys(part[0] for part in _PLACEHOLDER.finditer(template))
        return template, dict(zip(names, values, strict=True))


def _first_word(template: str) -> str:
    """Return the word that each text of a template begins with; nothing if that is filled in."""
    word, _, rest = template.partition(" ")
    return word if rest and not _PLACEHOLDER.search(word) else ""


def _literal_length(template: str) -> int:
    return len(_PLACEHOLDER.sub("", template))


def _as_group(numbered: tuple[int, str]) -> str:
    """Make the expression of a template, in a group with its number as name."""
    number, template = numbered
    seen: set[str] = set()
    pattern = ""
    end = 0
    for part in _PLACEHOLDER.finditer(template):
        literal = template[end : part.start()]
        name = f"v{number}_{part[1]}"
        value = f"(?P={name})" if part[1] in seen else f"(?P<{name}>{_value(literal, part[2])})"
        pattern += re.escape(literal) + value
        seen.add(part[1])
        end = part.end()
    return f"(?P<t{number}>{pattern}{re.escape(template[end:])})"


def _value(before: str, form: str | None) -> str:
    """Make the expression of what was filled in; a part that is joined to a word may be empty."""
    if form:
        return r"[\d,]+"
    return ".*?" if before and not before.endswith((" ", "(")) else ".+?"


def _messages(catalogue: NullTranslations) -> list[str]:
    texts = (message for message in catalogue._catalog if isinstance(message, str))  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way to list them
    return [text for text in texts if text and _CONTEXT not in text]


@cache
def language(tag: str) -> Language:
    """Return the language of a tag; English if there is no catalogue for it."""
    plain = normal(tag)
    catalogue = translation(DOMAIN, CATALOGUES, [plain], fallback=True)
    if type(catalogue) is NullTranslations:
        return Language(ENGLISH, catalogue)
    return Language(plain, catalogue)


def normal(tag: str) -> str:
    """Write a tag as catalogues and Babel do.

    >>> normal("es-MX"), normal("es_CL.UTF-8@euro")
    ('es_MX', 'es_CL')
    """
    return tag.replace("-", "_").partition(".")[0].partition("@")[0]


def languages() -> list[str]:
    """List the languages that there are: English, and those with a catalogue."""
    return [ENGLISH, *sorted(os.listdir(CATALOGUES))]  # noqa: PTH208 - `pathlib` is slow to import


@cache
def _locale(tag: str) -> "Locale":
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415 - slow to import

    plain, _, country = tag.partition("_")
    try:
        return Locale.parse(tag if country else AT_LARGE.get(plain, plain))
    except (UnknownLocaleError, ValueError):
        return Locale.parse(AT_LARGE.get(plain, plain))
