"""Languages in which people read: sentences, plurals and numbers."""

from functools import cache
from gettext import NullTranslations, translation
from pathlib import Path
from typing import Final, NamedTuple

DOMAIN: Final = "connectus_async"
CATALOGUES: Final = Path(__file__).with_name("locales")
ENGLISH: Final = "en"


class Language(NamedTuple):
    """A language, in the form of one country or of all that speak it.

    Attributes:
        tag: Its tag, such as ``es`` or ``es_CL``, as Babel reads it.
        catalogue: Its sentences.
    """

    tag: str
    catalogue: NullTranslations

    def gettext(self, message: str) -> str:
        """Translate a sentence, which may have ``{names}`` for `str.format`."""
        return self.catalogue.gettext(message)

    def ngettext(self, one: str, many: str, count: int) -> str:
        """Translate a sentence about a number of things."""
        return self.catalogue.ngettext(one, many, count)

    def number(self, number: float) -> str:
        """Write a number with the language's separators.

        >>> language("en").number(2776)
        '2,776'
        """
        if self.tag == ENGLISH:
            return f"{number:,}"
        from babel.numbers import format_decimal  # noqa: PLC0415 - slow to import

        return format_decimal(number, locale=self.tag)

    def territory(self, code: str) -> str | None:
        """Name a country by its ISO code; ``None`` if there is no such country.

        >>> language("en").territory("PE")
        'Peru'
        """
        from babel import Locale  # noqa: PLC0415 - as above

        name: str | None = Locale.parse(self.tag).territories.get(code)
        return name


@cache
def language(tag: str) -> Language:
    """Return the language of a tag; English if there is no catalogue for it."""
    plain = tag.replace("-", "_").partition(".")[0]
    catalogue = translation(DOMAIN, CATALOGUES, [plain], fallback=True)
    if type(catalogue) is NullTranslations:
        return Language(ENGLISH, catalogue)
    return Language(plain, catalogue)
