"""Runner of commands: event loop, exit codes, and errors as one sentence."""

import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any, Final, TypeVar

import click

from connectus_async.cli.exit_codes import ExitCode, of_error
from connectus_async.cli.interrupts import at_first_interrupt, hold_interrupts, interrupts_on_loop
from connectus_async.cli.language import current, translated
from connectus_async.cli.language import gettext as _
from connectus_async.cli.standard_streams import discard
from connectus_async.errors import (
    ConfigurationError,
    ConnectusError,
    InvalidArgumentError,
    LedgerError,
)
from connectus_async.redaction import one_line

NOTHING_SENT: Final = "interrupted; nothing was sent"
SENDS: Final = frozenset({"send", "send-otp", "resume", "retry"})
"""Names of the commands that send messages."""

BEGAN: Final = f"{__name__}.began"
AT_WORK: Final = f"{__name__}.at_work"
_ARGUMENTS: Final = re.compile(r"\b(api_user|api_key|qr_token|base_url)\b")
"""Arguments of the library that a user of the command line gives by the environment."""
MAX_SENTENCE_CHARACTERS: Final = 500

ResultT = TypeVar("ResultT")


def run(
    command: Callable[[], Awaitable[ResultT]],
    *,
    as_json: bool = False,
    when_interrupted: str = "interrupted; the request under way may have been carried out",
) -> ResultT:
    """Run a command. An error ends the process with one sentence and its exit code.

    Args:
        command: The command.
        as_json: Whether to print an error as JSON too.
        when_interrupted: The sentence for Ctrl-C.

    Returns:
        The result of the command.
    """
    import asyncio  # noqa: PLC0415 - slow to import, and many commands end before they need it

    import anyio  # noqa: PLC0415 - as above

    current().prepare()
    options = {"use_uvloop": find_spec("uvloop") is not None}
    if (context := click.get_current_context(silent=True)) is not None:
        context.meta[__name__] = when_interrupted
    with errors_reported(as_json=as_json, when_interrupted=when_interrupted):
        try:
            return anyio.run(_interruptible, command, backend_options=options)
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


async def _interruptible(command: Callable[[], Awaitable[ResultT]]) -> ResultT:
    import asyncio  # noqa: PLC0415 - as above

    task = asyncio.current_task()
    if task is None:
        raise AssertionError  # a command is run in a task
    with interrupts_on_loop(), at_first_interrupt(task.cancel):
        return await command()


@contextmanager
def errors_reported(*, as_json: bool, when_interrupted: str) -> Iterator[None]:
    """End the process with one sentence and an exit code if the block raises.

    Args:
        as_json: Whether to print an error as JSON too.
        when_interrupted: The sentence for Ctrl-C, unless `run` has set another.
    """
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        text = _with_what_was_sent(error.format_message(), error.ctx)
        raise click.UsageError(text, error.ctx) from None
    except ConnectusError as error:
        if as_json:
            print_json({"type": "error", "outcome": error.outcome, "error": sentence(error)})
        _exit(error, _code_of(error))
    except BrokenPipeError:
        raise  # standard error is closed too: click ends the process quietly
    except OSError as error:
        _exit(error.strerror or error, of_error(error))
    except KeyboardInterrupt:
        hold_interrupts()
        context = click.get_current_context(silent=True)
        said = None if context is None else context.meta.get(__name__)
        _exit(said or when_interrupted, ExitCode.INTERRUPTED)


@contextmanager
def at_work() -> Iterator[None]:
    """Take an error of a block for no wrong usage, although it names an option.

    What was typed has been checked; the error is about a file, a balance, or what is known of a
    campaign.
    """
    context = click.get_current_context(silent=True)
    meta = {} if context is None else context.meta
    meta[AT_WORK] = True
    yield
    meta[AT_WORK] = False


def _code_of(error: ConnectusError) -> ExitCode:
    """Return the exit code of an error: of one about what was typed, that of wrong usage."""
    from connectus_async.cli.naming import is_about_usage  # noqa: PLC0415 - seldom needed

    context = click.get_current_context(silent=True)
    if context is None or context.meta.get(AT_WORK) or not is_about_usage(error):
        return of_error(error)
    return ExitCode.WRONG_USAGE


def sending_begins() -> None:
    """Note that messages leave from now on, so that a later error is no proof of the contrary."""
    if (context := click.get_current_context(silent=True)) is not None:
        context.meta[BEGAN] = True


def echo(text: str) -> None:
    """Print a result, on standard error if standard output fails.

    Standard output fails after ``| head`` or on a full disk. Outcomes of messages are not lost.

    Raises:
        OSError: Standard error fails too.
    """
    try:
        click.echo(text)
    except OSError:
        discard(sys.stdout)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        click.echo(text)


def print_json(value: Any) -> None:
    """Print one JSON document on a line of its own."""
    echo(json.dumps(value))


def sentence(error: object) -> str:
    r"""Write an error for machines: one line of English, shortened, without control characters.

    >>> sentence(ValueError("no column 'a\x1b[2Jb'"))
    "no column 'a?[2Jb'"
    """
    return one_line(str(error), MAX_SENTENCE_CHARACTERS)


def shown(error: object) -> str:
    """Write an error for a person: in the language, with the names of options, on one line."""
    match error:
        case ConfigurationError(setting=name) | InvalidArgumentError(field=name):
            text = f"{_named(name)}: {translated(error.problem)}"
        case LedgerError():
            text = f"{error.ledger}: {translated(error.problem)}"
        case _:
            text = translated(str(error))
    return one_line(_ARGUMENTS.sub(_variable, text), MAX_SENTENCE_CHARACTERS)


def _variable(argument: re.Match[str]) -> str:
    from connectus_async.defaults import ENVIRONMENT  # noqa: PLC0415 - seldom needed

    return ENVIRONMENT[argument[0]]


def _with_what_was_sent(text: str, context: click.Context | None) -> str:
    """Say that nothing was sent, after an error of a command that would have sent something."""
    said = _("Nothing was sent.")
    if context is None or context.meta.get(BEGAN) or said in text:
        return text
    if context.command.name not in SENDS and not isinstance(context.command, click.Group):
        return text
    stop = "" if text.endswith((".", "?", "?)")) or not text else "."
    return f"{text}{stop} {said}".strip()


def _named(argument: str) -> str:
    from connectus_async.cli.naming import option_name  # noqa: PLC0415 - seldom needed

    return option_name(argument)


def complain(reason: object, *, may_have_sent: bool = True) -> None:
    """Print an error on standard error.

    Args:
        reason: The error, or a sentence.
        may_have_sent: Whether a message may have been sent before it.
    """
    text = shown(reason)
    if not may_have_sent and "nothing was sent" not in str(reason).lower():
        text = _with_what_was_sent(text, click.get_current_context(silent=True))
    with suppress(OSError):  # nobody reads it: the exit code says as much
        click.echo(f"connectus: {text}", err=True)


def _exit(reason: object, code: ExitCode) -> None:
    complain(reason, may_have_sent=code in {ExitCode.MAYBE_SENT, ExitCode.INTERRUPTED})
    sys.exit(code)
