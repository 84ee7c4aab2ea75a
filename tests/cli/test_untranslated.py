"""Nothing that a person reads is left in English."""

import ast
from pathlib import Path

import pytest

from connectus_async import cli
from connectus_async._tools import catalogues

MODULES = sorted(Path(cli.__file__).parent.rglob("*.py"))


def test_the_catalogues_are_complete_and_compiled(capsys):
    """`nox -s catalogues` brings them up to date."""
    catalogues.main(["--check"])

    assert capsys.readouterr().err == ""


SHOWN = {"echo", "print", "add_task", "confirm", "prompt", "secho", "UsageError", "BadParameter"}
"""Calls that show their first argument to a person."""


def english_shown(source):
    """List the literals with words that a module shows without a translation."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        name = getattr(call.func, "attr", None) or getattr(call.func, "id", None)
        if name in SHOWN:
            yield from filter(has_words, literals(call.args[0]))


def literals(node):
    """Find the strings of an expression; those in a call of `_` are translated."""
    if isinstance(node, ast.Call):
        if getattr(node.func, "id", "") in {"_", "ngettext"}:
            return
        yield from literals(node.func)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    if not isinstance(node, ast.Call):
        for child in ast.iter_child_nodes(node):
            yield from literals(child)


def has_words(text):
    return any(len(word) > 2 and word.isalpha() and word.islower() for word in text.split())


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ('echo("all is done")', ["all is done"]),
        ('echo(f"{count} rows left")', [" rows left"]),
        ('echo(_("{count} rows").format(count=1))', []),
        ('echo(f"{count:>12,} {_(state)}")', []),
        ('click.echo("\\n".join(lines))', []),
    ],
)
def test_a_sentence_that_is_shown_is_translated(shown, found):
    """So the test below sees what it looks for."""
    assert list(english_shown(shown)) == found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_shows_nothing_untranslated(path):
    """Each sentence that it prints goes through `_`."""
    assert not list(english_shown(path.read_text("utf-8")))


MARKS = {"_", "gettext", "ngettext", "pgettext"}


def marked(tree):
    """List the texts that the calls in a tree translate."""
    for call in filter(is_mark, ast.walk(tree)):
        yield from (arg.value for arg in call.args if is_text(arg))


def at_import(tree):
    """List what is run when a module is imported: all but the bodies of functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from node.decorator_list
        elif not isinstance(node, ast.Lambda):
            yield node
            yield from at_import(node)


def is_mark(node):
    name = getattr(node, "func", None) and getattr(node.func, "id", getattr(node.func, "attr", ""))
    return name in MARKS and any(map(is_text, node.args))


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@pytest.fixture(scope="module")
def wanted():
    """All that the catalogue has."""
    return {text for message in catalogues.wanted() for text in ids(message.id)}


def ids(message):
    return [message] if isinstance(message, str) else message


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_what_is_marked_is_found(path, wanted):
    """Babel does not look into an f-string."""
    assert {*marked(ast.parse(path.read_text("utf-8")))} - {"column"} <= wanted


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_nothing_is_translated_before_the_language_is_chosen(path):
    """At import, nobody has chosen it yet."""
    assert not [*filter(is_mark, at_import(ast.parse(path.read_text("utf-8"))))]
