"""Completion of commands by a shell."""

from typing import Final

import click
from click.shell_completion import get_completion_class

PROGRAM: Final = "connectus"
VARIABLE: Final = "_CONNECTUS_COMPLETE"
"""The variable by which click is asked to complete; it follows from the name of the program."""


def script(shell: str) -> str:
    """Write the script that makes a shell ask this program for completions.

    Args:
        shell: ``bash``, ``zsh`` or ``fish``.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise AssertionError  # click knows all three
    return kind(click.get_current_context().find_root().command, {}, PROGRAM, VARIABLE).source()
