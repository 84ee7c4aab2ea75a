"""How a command runs and ends: the event loop, the exit code, the one sentence of an error."""

import json
import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any, Final

import anyio
import click

from connectus_async.errors import ConnectusError, Outcome

EXIT_FAILED: Final = 1
EXIT_UNKNOWN: Final = 3
EXIT_INTERRUPTED: Final = 130


def run(
    command: Callable[[], Awaitable[int | None]],
    *,
    as_json: bool = False,
    when_interrupted: str = "interrupted; what was under way may have been carried out",
) -> None:
    """Run a command to its end, and leave the process with its exit code.

    Args:
        command: What to run; it returns the exit code, or ``None`` for 0.
        as_json: Whether an error is to be printed as JSON too.
        when_interrupted: What Ctrl-C means for the command.
    """
    options = {"use_uvloop": find_spec("uvloop") is not None}
    try:
        code = anyio.run(command, backend_options=options)
    except ConnectusError as error:
        if as_json:
            print_json({"outcome": error.outcome, "error": str(error)})
        click.echo(f"connectus: {error}", err=True)
        sys.exit(EXIT_UNKNOWN if error.outcome is Outcome.UNKNOWN else EXIT_FAILED)
    except KeyboardInterrupt:
        click.echo(f"connectus: {when_interrupted}", err=True)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(code or 0)


def print_json(value: Any) -> None:
    """Print one JSON document on a line of its own."""
    click.echo(json.dumps(value, ensure_ascii=False))
