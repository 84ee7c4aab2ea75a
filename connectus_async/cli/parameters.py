"""The arguments and options that commands share, and their checks."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TextIO

import click

from connectus_async.arguments import MAX_EMAIL_CHARACTERS, link
from connectus_async.bulk.options import DEFAULT_CONCURRENCY
from connectus_async.errors import InvalidArgumentError

MAX_CONCURRENCY: Final = 400
"""Each message under way holds a connection, and processes may often open 1,024 files."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
concurrency_option = click.option(
    "--concurrency",
    type=click.IntRange(1, MAX_CONCURRENCY),
    default=DEFAULT_CONCURRENCY,
    show_default=True,
    help="Messages on their way at a time.",
)
processes_option = click.option(
    "--processes",
    type=click.IntRange(1),
    help="Processes that send, with all limits together; for more than one core.  [default: 1]",
)
region_option = click.option(
    "--region", help="The country of numbers without country code, such as CL."
)
src_number_option = click.option("--src-number", help="One of the account's numbers to send from.")


def _remembered(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    context.meta.setdefault(__name__, {})[parameter.name] = value


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options on the way to the API; `connection` has what was given."""
    proxy = click.option(
        "--proxy",
        expose_value=False,
        callback=_remembered,
        help="An HTTP proxy such as http://127.0.0.1:3128, or none.  [default: CONNECTUS_PROXY, "
        "HTTPS_PROXY]",
    )
    ca_file = click.option(
        "--ca-file",
        type=click.Path(exists=True, dir_okay=False),
        expose_value=False,
        callback=_remembered,
        help="PEM certificates to trust besides the system's.  [default: CONNECTUS_CA_FILE]",
    )
    return proxy(ca_file(command))


def connection() -> dict[str, Any]:
    """The settings of a client that the present command was given."""
    context = click.get_current_context(silent=True)
    return {} if context is None else dict(context.meta.get(__name__, {}))


def regular_file(_: click.Context, __: click.Parameter, path: Path) -> Path:
    """Refuse a pipe: it blocks, and cannot be read again to take a campaign up."""
    if path.exists() and not path.is_file():
        raise click.BadParameter(f"{path} is not a regular file; save it as one first")
    return path


def one_character(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Read a delimiter."""
    if value is None:
        return None
    value = "\t" if value == "\\t" else value
    if len(value) != 1 or value in '"\r\n':
        raise click.BadParameter("must be one character, and no quote; \\t is a tab")
    return value


def _not_empty(_: click.Context, __: click.Parameter, value: str) -> str:
    """Check an address: an empty one would be every address of the machine."""
    if not value.strip():
        raise click.BadParameter("is empty; 0.0.0.0 listens on every address")
    return value


host_option = click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    callback=_not_empty,
    help="The address to listen on.",
)


def url(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Check a URL."""
    try:
        return value if value is None else link(str(parameter.name), value)
    except InvalidArgumentError as error:
        raise click.BadParameter(error.problem) from None


def moment(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Read a moment, and write it in ISO 8601 with its time zone."""
    if value is None:
        return None
    try:
        read = dt.datetime.fromisoformat(value)
        first, second = (read.replace(fold=fold).astimezone() for fold in (0, 1))
    except (ValueError, OverflowError):
        raise click.BadParameter("must be a moment such as 2026-12-24T21:00") from None
    if read.tzinfo is not None:
        return value
    if first.utcoffset() != second.utcoffset():
        raise click.BadParameter(
            "is in an hour in which the clocks change here: say which it is with its offset, as in "
            f"{first.isoformat()}"
        )
    return first.isoformat()


def read_text(field: str, file: TextIO) -> str:
    """Read a text, one character more than can be sent at most.

    Raises:
        InvalidArgumentError: It is no text.
    """
    try:
        text = file.read(MAX_EMAIL_CHARACTERS + 1)
    except UnicodeDecodeError:
        raise InvalidArgumentError(field, "is not UTF-8 text; save it as UTF-8") from None
    if "\0" in text:
        raise InvalidArgumentError(field, "is not text: it holds a zero byte")
    return text
