"""Help of commands in the language of the reader."""

import re
from collections.abc import Iterator
from copy import copy
from typing import Final

import click

from connectus_async.cli.language import current
from connectus_async.cli.language import gettext as _

OVERRIDES: Final = " Overrides the value used by `bulk send`."
_PIECES: Final = re.compile(rf"({re.escape(OVERRIDES)}|  (?=\[))")
_PARAGRAPHS: Final = re.compile(r"\n\s*\n")
_VERBATIM: Final = "\b"
"""The sign by which click keeps the lines of a paragraph."""


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
        yield from map(_message, _PARAGRAPHS.split(text or ""))
    yield command.short_help or ""
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
    return shown


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
    return "\n\n".join(_(_message(paragraph)) for paragraph in _PARAGRAPHS.split(text))


def _message(paragraph: str) -> str:
    """Write a paragraph on one line, unless its lines are to be kept."""
    return paragraph if _VERBATIM in paragraph else " ".join(paragraph.split())
