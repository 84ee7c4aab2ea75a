"""Language of the command line.

Write every sentence that a person reads as ``_("{count} rows").format(count=number(rows))``, and
with `ngettext` if a noun in it has a plural. What machines read (`--json`, keys, states in a file)
stays English.
"""

from connectus_async.translation import ENGLISH, Language, language

_language: Language = language(ENGLISH)


def gettext(message: str) -> str:
    """Translate a sentence."""
    return _language.gettext(message)


def ngettext(one: str, many: str, count: int) -> str:
    """Translate a sentence about a number of things."""
    return _language.ngettext(one, many, count)


def country_name(code: str) -> str:
    """Name a country; one that the language has no name for is unknown."""
    return _language.territory(code) or gettext("unknown country")


def number(value: float) -> str:
    """Write a number with the separators of the language."""
    return _language.number(value)
