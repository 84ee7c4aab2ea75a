"""Help of all commands: every option is explained, and every time is shown by an example."""

from collections.abc import Callable, Iterator
from contextlib import closing

import click
import pytest
from click.testing import Result

from connectus_async.cli import language
from connectus_async.cli.commands import SUMMARIES, connectus
from connectus_async.cli.commands.bulk import bulk
from connectus_async.cli.help_layout import SECTIONS
from connectus_async.cli.parameters import moment, naive_moment, scheduled, start
from connectus_async.cli.translated_help import translated

WRITTEN = '"2026-12-24 10:00"'
TIMES = {moment, naive_moment, scheduled, start}
"""Functions that read the times of options."""


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the tests of others in English."""
    monkeypatch.setenv("LANGUAGE", "en")
    yield
    language.choose([], {})


def commands() -> Iterator[tuple[str, click.Command]]:
    """All commands, with the words that call them."""
    yield "connectus", connectus
    waiting = [(f"connectus {it.name}", it.load()) for it in SUMMARIES]
    while waiting:
        words, command = waiting.pop()
        yield words, command
        if isinstance(command, click.Group):
            waiting += [(f"{words} {name}", sub) for name, sub in command.commands.items()]


def options_of_a_time() -> Iterator[tuple[str, click.Option]]:
    for words, command in commands():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.callback in TIMES:
                yield f"{words} {parameter.opts[0]}", parameter


@pytest.mark.parametrize("tag", ["en", "es"])
def test_every_command_and_option_is_explained(tag: str):
    """In a sentence, whatever else is in brackets."""
    language.choose(["--lang", tag], {})
    with closing(commands()) as found:
        silent = [
            f"{words} {parameter.opts[0]}"
            for words, command in found
            for parameter in translated(command).params
            if isinstance(parameter, click.Option)
            and not (parameter.help or "").partition("[")[0].strip()
        ]
        silent += [words for words, command in commands() if not translated(command).help]

    assert silent == []


@pytest.mark.parametrize("name", ["send", "resume", "retry"])
def test_every_option_of_a_campaign_is_under_one_heading(name: str):
    """There are too many for one list."""
    declared = {it.name for it in bulk.commands[name].params if isinstance(it, click.Option)}
    listed = [option for options in SECTIONS.values() for option in options]

    assert len(listed) == len(set(listed))
    assert declared <= set(listed)


@pytest.mark.parametrize(
    ("tag", "headings"),
    [
        ("en", ("Messages:", "Time:", "Other options:")),
        ("es", ("Mensajes:", "Horario:", "Otras opciones:")),
    ],
)
def test_the_help_has_these_headings(
    run: Callable[..., Result], tag: str, headings: tuple[str, ...]
):
    """And each option once."""
    shown = run("--lang", tag, "bulk", "send", "--help").stdout

    assert all(f"\n{heading}\n" in shown for heading in headings)
    assert "[FILE]\n " not in shown
    assert shown.count("  --text ") == shown.count("--help  ") == 1


@pytest.mark.parametrize("words", [("--help",), ("bulk", "--help")])
@pytest.mark.parametrize("tag", ["en", "es"])
def test_the_list_of_commands_has_whole_sentences(
    run: Callable[..., Result], words: tuple[str, ...], tag: str
):
    """However long they are."""
    assert "..." not in run("--lang", tag, *words).stdout.split("\n\n", 1)[1]


def test_every_time_is_shown_by_an_example():
    """In the help as in the error; what they show is what is taken."""
    wrong = []
    for name, option in options_of_a_time():
        context = click.Context(click.Command("send"))
        assert option.callback is not None
        option.callback(context, option, WRITTEN.strip('"'))
        with pytest.raises(click.BadParameter) as refused:
            option.callback(context, option, "24-12-2026 10:00")
        if WRITTEN not in (option.help or "") or WRITTEN not in refused.value.message:
            wrong.append(name)

    assert wrong == []
