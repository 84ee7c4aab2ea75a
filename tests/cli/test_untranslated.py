"""Nothing that a person reads is left in English."""

import ast
from pathlib import Path

import pytest

from connectus_async import cli
from connectus_async._tools import catalogues


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


@pytest.mark.parametrize(
    "path", sorted(Path(cli.__file__).parent.rglob("*.py")), ids=lambda path: path.stem
)
def test_a_module_shows_nothing_untranslated(path):
    """Each sentence that it prints goes through `_`."""
    assert not list(english_shown(path.read_text("utf-8")))
