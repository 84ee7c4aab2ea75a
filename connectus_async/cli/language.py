"""Language of the command line.

Write every sentence that a person reads as ``_("{count} rows").format(count=number(rows))`` where
it is shown, and with `ngettext` if a noun in it has a plural. What machines read (`--json`, keys,
states in a file) stays English.
"""

import gettext as standard
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import click

from connectus_async.translation import CATALOGUES, ENGLISH, Language, language, languages, normal

if TYPE_CHECKING:
    import datetime as dt

OPTION: Final = "--lang"
VARIABLE: Final = "CONNECTUS_LANG"
LOCALE: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
CLICK: Final = "click"
NO_DOMAIN: Final = "messages"

_language: Language = language(ENGLISH)


def gettext(message: str) -> str:
    """Translate a sentence."""
    return _language.gettext(message)


def ngettext(one: str, many: str, count: float) -> str:
    """Translate a sentence about a number of things."""
    return _language.ngettext(one, many, count)


def number(value: float, digits: int = 0) -> str:
    """Write a number with the separators of the language."""
    return _language.number(value, digits)


def moment(value: "dt.datetime") -> str:
    """Write a date and a time of day, to the minute."""
    return _language.moment(value)


def country(code: str) -> str:
    """Write the name of a country, given by two letters."""
    return _language.country(code)


def translated(sentence: str) -> str:
    """Translate a sentence of the library: of an error, or a reason that a ledger keeps."""
    return _language.sentence(sentence)


def current() -> Language:
    """Return the language that was chosen."""
    return _language


def choose(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Choose the language: ``--lang``, CONNECTUS_LANG, or the locale. ``--json`` means English.

    Args:
        arguments: Arguments of the command line.
        environment: Environment variables.

    Returns:
        The arguments without ``--lang``.

    Raises:
        click.BadParameter: ``--lang`` has a language without a catalogue.
        click.BadOptionUsage: ``--lang`` has no value.
    """
    _set(language(_of_environment(environment)))
    end = arguments.index("--") if "--" in arguments else len(arguments)
    rest, tag = _taken(arguments[:end])
    if tag is not None:
        _set(_known(tag))
    if "--json" in rest:
        _set(language(ENGLISH))
    return [*rest, *arguments[end:]]


def _taken(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """Take the option out of the arguments; the last one counts."""
    rest: list[str] = []
    tag = None
    remaining = iter(arguments)
    for argument in remaining:
        if argument == OPTION:
            tag = next(remaining, None)
            if tag is None:
                raise click.BadOptionUsage(OPTION, gettext("--lang needs a language."))
        elif argument.startswith(OPTION + "="):
            tag = argument.removeprefix(OPTION + "=")
        else:
            rest.append(argument)
    return rest, tag


def _known(tag: str) -> Language:
    chosen = language(tag)
    if chosen.is_english and normal(tag).partition("_")[0] != ENGLISH:
        problem = gettext("there is no {language} here, only {languages}.")
        known = ", ".join(languages())
        raise click.BadParameter(
            problem.format(language=repr(tag), languages=known), param_hint=repr(OPTION)
        )
    return chosen


def _of_environment(environment: Mapping[str, str]) -> str:
    return next(filter(None, map(environment.get, (VARIABLE, *LOCALE))), ENGLISH)


def _set(chosen: Language) -> None:
    global _language  # noqa: PLW0603 - one language per process, as with the standard `gettext`
    _language = chosen
    _set_language_of_click(chosen)


def _set_language_of_click(chosen: Language) -> None:
    """Give click our catalogue: it translates by the standard `gettext`, which asks LANGUAGE."""
    standard.textdomain(NO_DOMAIN if chosen.is_english else CLICK)
    if not chosen.is_english:
        standard.bindtextdomain(CLICK, CATALOGUES)
        os.environ["LANGUAGE"] = chosen.tag
