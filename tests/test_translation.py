"""Languages: the sentences of the library as its readers get them, numbers, times."""

import datetime as dt
import io
import re
from gettext import GNUTranslations

import pytest
from babel.messages import Catalog
from babel.messages.mofile import write_mo

from connectus_async import translation
from connectus_async._tools.catalogues import sentences
from connectus_async.errors import ConnectError, InvalidArgumentError, LedgerError
from connectus_async.translation import Language, language, languages

SPANISH = language("es")
PLACEHOLDER = re.compile(r"\{(\d+)(:,)?\}")


def spoken(**texts: str) -> Language:
    """Make a language of a few sentences, as a catalogue has them."""
    catalogue = Catalog(locale="es")
    for english, translated in texts.items():
        catalogue.add(english, translated)
    file = io.BytesIO()
    write_mo(file, catalogue)
    file.seek(0)
    return Language("es_CL", GNUTranslations(file))


def templates():
    """List the sentences of the catalogue that have numbered placeholders."""
    messages = SPANISH._catalogue._catalog
    texts = filter(lambda message: isinstance(message, str), messages)
    return [text for text in texts if PLACEHOLDER.search(text)]


@pytest.mark.parametrize("template", templates())
def test_a_sentence_of_the_library_is_found_by_what_is_filled_into_it(template):
    """None is taken for another, and nothing of it is lost."""
    values = {
        part[1]: "5,127" if part[2] else f"x{part[1]}x" for part in PLACEHOLDER.finditer(template)
    }
    english, expected = (
        PLACEHOLDER.sub(lambda part: values[part[1]], text)
        for text in (template, SPANISH.gettext(template))
    )

    assert SPANISH.sentence(english) == expected


def test_the_parts_of_an_error_are_translated_each():
    """The place, the problem and the advice; what has no translation stays as it is."""
    refused = ConnectError("POST /sms/send_individual", "no connection: connection refused")
    unknown = LedgerError("a.db", "something new")

    assert SPANISH.sentence(str(refused)) == (
        "POST /sms/send_individual: sin conexión: conexión rechazada"
        " (no se envió nada; revisa la URL base y la red)"
    )
    assert SPANISH.sentence(str(unknown)) == "a.db: something new"
    assert SPANISH.sentence("interrupted") == "interrumpido"


def test_what_is_filled_in_is_translated_too_and_numbers_are_written_anew():
    """A sentence may hold another."""
    spanish = spoken(**{"has {0:,} rows that {1}": "{1}: {0:,} filas", "are empty": "vacías"})

    assert spanish.sentence("has 12,345 rows that are empty") == "vacías: 12.345 filas"


def test_the_most_specific_sentence_is_taken():
    """One that another encloses."""
    spanish = spoken(**{"no {0}": "sin {0}", "no answer in {0} s": "nada en {0} s"})

    assert spanish.sentence("no answer in 5 s") == "nada en 5 s"
    assert spanish.sentence("no idea") == "sin idea"


def test_a_sentence_of_many_lines_is_found():
    """An answer of a server may be quoted."""
    assert spoken(**{"it said {0}": "dijo {0}"}).sentence("it said a\nb") == "dijo a\nb"


def test_english_stays_as_it_is():
    """It is the language that errors are written in."""
    english = language("en")

    assert english.sentence(str(InvalidArgumentError("text", "is empty"))) == "text: is empty"
    assert (english.number(12_345), english.number(2.25, 1)) == ("12,345", "2.2")
    assert english.moment(dt.datetime(2026, 12, 24, 10)) == "2026-12-24 10:00"


@pytest.mark.parametrize(
    ("tag", "number", "moment"),
    [
        ("es", "12,345.5", "24 dic 2026 10:00"),
        ("es_CL", "12.345,5", "24-12-2026 10:00"),
        ("es-MX", "12,345.5", "24 dic 2026 10:00"),
        ("es_AR.UTF-8", "12.345,5", "24 dic 2026 10:00"),
        ("es_XX", "12,345.5", "24 dic 2026 10:00"),
    ],
)
def test_numbers_and_times_are_those_of_the_country(tag, number, moment):
    """Without one, of Latin America at large."""
    chosen = language(tag)

    assert chosen.number(12_345.5, 1) == number
    assert chosen.moment(dt.datetime(2026, 12, 24, 10)) == moment
    assert chosen.gettext("skipped") == "omitido"


def test_countries_have_names_in_each_language():
    """What is no country stays as it is."""
    assert [language(tag).country("US") for tag in ("en", "es")] == [
        "United States",
        "Estados Unidos",
    ]
    assert language("es").country("??") == "??"


@pytest.mark.parametrize("tag", ["fr", "", "C", "nonsense-1", "../es"])
def test_a_language_without_a_catalogue_is_english(tag):
    """So is a name that leads elsewhere."""
    assert language(tag).is_english


def test_the_languages_are_those_with_a_catalogue():
    """English is the one of the source."""
    assert languages() == ["en", "es"]


def test_plurals_follow_the_language():
    """One rule for each."""
    chosen = translation.language("es")

    assert chosen.ngettext("one", "many", 1) == "one"
    assert chosen.ngettext("one", "many", 0) == "many"


SOURCE = '''
"""A docstring that is no sentence to translate."""
NAME: Final = "two words here"
QUERY = "SELECT a FROM b WHERE c"
def f(name: "dict[str, str] | None"):
    """Nor this one."""
    _logger.warning("a log is not translated")
    raise TypeError("nor what programmers read")
    raise LedgerError(name, f"has {len(name):,} rows, {name!r} and {'no more of it'}")
    return "is for {} days".format(3) + "; and is more"
'''


def test_the_sentences_of_a_module_are_found():
    """Without documentation, logs, SQL, and errors for programmers."""
    assert sentences(SOURCE) == [
        "two words here",
        "has {0:,} rows, {1} and {2}",
        "no more of it",
        "is for {0} days",
        "and is more",
    ]
