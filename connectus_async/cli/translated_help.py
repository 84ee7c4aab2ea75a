"""Help of commands in the language of the reader."""

import re
from collections.abc import Iterator
from copy import copy
from typing import Final

import click

from connectus_async.cli.help_layout import SECTIONS
from connectus_async.cli.language import current
from connectus_async.cli.language import gettext as _

OVERRIDES: Final = " Overrides the value used by `bulk send`."
_PIECES: Final = re.compile(rf"({re.escape(OVERRIDES)}|  (?=\[))")
_PARAGRAPHS: Final = re.compile(r"\n\s*\n")
VALUES: Final = ("FILENAME", "FLOAT", "FLOAT RANGE", "INTEGER", "INTEGER RANGE", "TEXT")
"""Types of click whose names are not translated by click itself."""

_VERBATIM: Final = "\b"
"""The sign by which click keeps the lines of a paragraph."""

_LINE: Final = re.compile(r"^(\s*(?:\d+\s+)?)(?!\s|connectus )(\S.*)$", re.MULTILINE)
"""A line of such a paragraph: blanks and a number, then words, which are no command."""


def translated(command: click.Command) -> click.Command:
    """Copy a command with its help, and those of its options and subcommands, translated."""
    if current().is_english:
        return command
    shown = copy(command)
    shown.help = _paragraphs(command.help)
    shown.short_help = _text(command.short_help)
    shown.epilog = _paragraphs(command.epilog)
    shown.params = [_parameter(parameter) for parameter in command.params]
    shown.options_metavar = _text(command.options_metavar)
    if isinstance(shown, click.Group):
        shown.subcommand_metavar = _(shown.subcommand_metavar)
        shown.commands = {name: translated(sub) for name, sub in shown.commands.items()}
    return shown


def messages(command: click.Command) -> Iterator[str]:
    """List all that `translated` translates, for the catalogues."""
    for text in (command.help, command.epilog):
        for paragraph in _PARAGRAPHS.split(text or ""):
            yield from _messages(paragraph)
    yield command.short_help or ""
    yield from VALUES
    yield from SECTIONS
    yield command.options_metavar or ""
    for parameter in command.params:
        pieces = _PIECES.split(getattr(parameter, "help", None) or "")
        yield from (piece.strip() for piece in pieces)
    if isinstance(command, click.Group):
        yield command.subcommand_metavar
        for sub in command.commands.values():
            yield from messages(sub)


def _parameter(parameter: click.Parameter) -> click.Parameter:
    shown = copy(parameter)
    if isinstance(shown, click.Option):
        shown.help = _text(shown.help)
        if shown.metavar is None and _type(shown) in VALUES:
            shown.metavar = _(_type(shown))
    return shown


def _type(option: click.Option) -> str:
    return str(option.type.name).upper()


def _text(text: str | None) -> str | None:
    if text is None:
        return None
    return "".join(
        piece[: len(piece) - len(piece.lstrip())] + _(piece.strip())
        for piece in _PIECES.split(text)
    )


def _paragraphs(text: str | None) -> str | None:
    if text is None:
        return None
    return "\n\n".join(map(_paragraph, _PARAGRAPHS.split(text)))


def _paragraph(text: str) -> str:
    if _VERBATIM in text:
        return _LINE.sub(lambda line: line[1] + _(line[2]), text)
    message = " ".join(text.split())
    return _(message)


def _messages(paragraph: str) -> Iterator[str]:
    """List the messages of a paragraph: one, unless its lines are to be kept."""
    if _VERBATIM in paragraph:
        yield from (line[2] for line in _LINE.finditer(paragraph) if line[2] != _VERBATIM)
    else:
        yield " ".join(paragraph.split())
